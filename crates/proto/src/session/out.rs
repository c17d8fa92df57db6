//! Octets on their way out, which may be secrets.

use core::fmt;
use core::ops::{Deref, DerefMut};

use zeroize::Zeroizing;

/// Commands queued. Overwritten when it is dropped, and silent in `Debug`.
#[derive(Default)]
pub(super) struct Out(Zeroizing<Vec<u8>>);

impl Deref for Out {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Out {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl fmt::Debug for Out {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} octets]", self.len())
    }
}
