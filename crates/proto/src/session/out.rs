//! Octets on their way out, which may be secrets.

use core::fmt;
use core::ops::{Deref, DerefMut};

use zeroize::Zeroize;

/// Commands queued, and messages that go with them. Overwritten when it is dropped if there was a
/// secret among them, and silent in `Debug`.
#[derive(Default)]
pub(super) struct Out {
    octets: Vec<u8>,
    secret: bool,
}

impl Out {
    /// What is queued next is a secret.
    pub(super) const fn keep_secret(&mut self) {
        self.secret = true;
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        if self.secret {
            self.octets.zeroize();
        }
    }
}

impl Deref for Out {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.octets
    }
}

impl DerefMut for Out {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.octets
    }
}

impl fmt::Debug for Out {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} octets]", self.len())
    }
}
