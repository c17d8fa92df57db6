//! PLAIN (RFC 4616).

use core::fmt;

use super::exchange::{Exchange, Response, Step, join};
use super::{AuthError, Credentials};

pub(super) struct Plain {
    message: Option<Response>,
}

impl Plain {
    pub(super) fn new(credentials: &Credentials) -> Result<Self, AuthError> {
        let parts = [
            credentials.authorize_as.as_bytes(),
            credentials.user.as_bytes(),
            credentials.octets(),
        ];
        // RFC 4616 §2: NUL separates the three.
        if parts.iter().any(|part| part.contains(&0)) {
            return Err(AuthError::Unencodable);
        }
        let [authorize_as, user, password] = parts;
        Ok(Self {
            message: Some(join(&[authorize_as, b"\0", user, b"\0", password])),
        })
    }
}

impl Exchange for Plain {
    fn initial(&mut self) -> Option<Response> {
        self.message.take()
    }

    fn challenge(&mut self, _challenge: &[u8]) -> Result<Step, AuthError> {
        Err(AuthError::Challenge)
    }

    fn is_complete(&self) -> bool {
        self.message.is_none()
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plain")
    }
}
