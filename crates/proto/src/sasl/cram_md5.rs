//! CRAM-MD5 (RFC 2195).

use core::fmt;

use super::exchange::{Exchange, Response, Step, join};
use super::hash::{Hash, Keyed};
use super::{AuthError, Credentials};

pub(super) struct CramMd5 {
    user: String,
    keyed: Option<Keyed>,
}

impl CramMd5 {
    pub(super) fn new(credentials: &Credentials) -> Self {
        Self {
            user: credentials.user.clone(),
            keyed: Some(Keyed::new(Hash::Md5, credentials.octets())),
        }
    }
}

impl Exchange for CramMd5 {
    fn initial(&mut self) -> Option<Response> {
        None
    }

    fn challenge(&mut self, challenge: &[u8]) -> Result<Step, AuthError> {
        let keyed = self.keyed.take().ok_or(AuthError::Challenge)?;
        // An empty challenge would make the same answer good for ever.
        if challenge.is_empty() {
            return Err(AuthError::Challenge);
        }
        let digest: String = keyed
            .sign(&[challenge])
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        Ok(Step::Respond(join(&[
            self.user.as_bytes(),
            b" ",
            digest.as_bytes(),
        ])))
    }

    fn is_complete(&self) -> bool {
        self.keyed.is_none()
    }
}

impl fmt::Debug for CramMd5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CramMd5")
    }
}
