//! XOAUTH2, as Google and Microsoft describe it.

use core::fmt;

use super::exchange::{Exchange, Response, Step, join, text};
use super::{AuthError, Credentials};

pub(super) struct XOAuth2 {
    message: Option<Response>,
    error: Option<String>,
}

/// The separator is the octet 1, which nothing may have in it.
pub(super) fn checked(credentials: &Credentials) -> Result<(&[u8], &[u8]), AuthError> {
    let (user, token) = (credentials.user.as_bytes(), credentials.octets());
    let control = |octet: &u8| octet.is_ascii_control();
    if user.iter().any(control) || !token.iter().all(u8::is_ascii_graphic) {
        return Err(AuthError::Unencodable);
    }
    Ok((user, token))
}

impl XOAuth2 {
    pub(super) fn new(credentials: &Credentials) -> Result<Self, AuthError> {
        let (user, token) = checked(credentials)?;
        Ok(Self {
            message: Some(join(&[
                b"user=",
                user,
                b"\x01auth=Bearer ",
                token,
                b"\x01\x01",
            ])),
            error: None,
        })
    }
}

impl Exchange for XOAuth2 {
    fn initial(&mut self) -> Option<Response> {
        self.message.take()
    }

    /// A challenge is JSON that says what is wrong; an empty line brings the refusal itself.
    fn challenge(&mut self, challenge: &[u8]) -> Result<Step, AuthError> {
        if self.error.is_some() {
            return Err(AuthError::Challenge);
        }
        self.error = Some(text(challenge));
        Ok(Step::Respond(Response::default()))
    }

    fn is_complete(&self) -> bool {
        self.message.is_none() && self.error.is_none()
    }

    fn detail(&self) -> Option<&str> {
        self.error.as_deref()
    }
}

impl fmt::Debug for XOAuth2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("XOAuth2")
    }
}
