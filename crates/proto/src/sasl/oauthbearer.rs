//! OAUTHBEARER (RFC 7628).

use core::fmt;

use super::exchange::{Exchange, Response, Step, join, text};
use super::scram::escape_name;
use super::xoauth2::checked;
use super::{AuthError, Credentials};

pub(super) struct OAuthBearer {
    message: Option<Response>,
    error: Option<String>,
}

impl OAuthBearer {
    pub(super) fn new(credentials: &Credentials) -> Result<Self, AuthError> {
        let (_, token) = checked(credentials)?;
        let user = escape_name(&credentials.user);
        Ok(Self {
            message: Some(join(&[
                b"n,a=",
                user.as_bytes(),
                b",\x01auth=Bearer ",
                token,
                b"\x01\x01",
            ])),
            error: None,
        })
    }
}

impl Exchange for OAuthBearer {
    fn initial(&mut self) -> Option<Response> {
        self.message.take()
    }

    /// RFC 7628 §3.2.3: a challenge says what is wrong; a single octet 1 brings the refusal itself.
    fn challenge(&mut self, challenge: &[u8]) -> Result<Step, AuthError> {
        if self.error.is_some() {
            return Err(AuthError::Challenge);
        }
        self.error = Some(text(challenge));
        Ok(Step::Respond(join(&[b"\x01"])))
    }

    fn is_complete(&self) -> bool {
        self.message.is_none() && self.error.is_none()
    }

    fn detail(&self) -> Option<&str> {
        self.error.as_deref()
    }
}

impl fmt::Debug for OAuthBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OAuthBearer")
    }
}
