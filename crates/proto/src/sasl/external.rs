//! EXTERNAL (RFC 4422 appendix A): TLS has shown who the client is.

use super::exchange::{Exchange, Response, Step, join};
use super::{AuthError, Credentials};

#[derive(Debug)]
pub(super) struct External {
    authorize_as: String,
    said: bool,
}

impl External {
    pub(super) fn new(credentials: &Credentials) -> Self {
        Self {
            authorize_as: credentials.authorize_as.clone(),
            said: false,
        }
    }
}

impl Exchange for External {
    fn initial(&mut self) -> Option<Response> {
        self.said = true;
        Some(join(&[self.authorize_as.as_bytes()]))
    }

    fn challenge(&mut self, _challenge: &[u8]) -> Result<Step, AuthError> {
        Err(AuthError::Challenge)
    }

    fn is_complete(&self) -> bool {
        self.said
    }
}
