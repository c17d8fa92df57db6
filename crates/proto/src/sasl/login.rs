//! LOGIN: the user, then the password. What the prompts say is not looked at, because servers differ.

use core::fmt;

use super::exchange::{Exchange, Response, Step, join};
use super::{AuthError, Credentials};

pub(super) struct Login {
    /// The password below the user.
    left: Vec<Response>,
}

impl Login {
    pub(super) fn new(credentials: &Credentials) -> Self {
        Self {
            left: vec![
                join(&[credentials.octets()]),
                join(&[credentials.user.as_bytes()]),
            ],
        }
    }
}

impl Exchange for Login {
    fn initial(&mut self) -> Option<Response> {
        None
    }

    fn challenge(&mut self, _prompt: &[u8]) -> Result<Step, AuthError> {
        self.left
            .pop()
            .map(Step::Respond)
            .ok_or(AuthError::Challenge)
    }

    fn is_complete(&self) -> bool {
        self.left.is_empty()
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}
