//! A password or token, kept out of everything that people and programs print.

use core::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// A password or a token. Its memory is overwritten when the last clone is dropped, its `Debug` says
/// nothing, and it can be neither displayed nor serialized.
///
/// ```
/// let secret = postbound_proto::sasl::Secret::new("hunter2");
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// ```
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Secret {
    /// Takes the octets over; they are overwritten in the end. A `&str` or `&[u8]` is copied, and the
    /// original is the caller's to overwrite.
    #[must_use]
    pub fn new(octets: impl Into<Vec<u8>>) -> Self {
        Self(Arc::new(Zeroizing::new(octets.into())))
    }

    /// The octets.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Secret {
    /// Without telling by its duration where a difference is.
    fn eq(&self, other: &Self) -> bool {
        let pairs = self.expose().iter().zip(other.expose());
        let different = pairs.fold(0, |all, (a, b)| all | (a ^ b));
        self.expose().len() == other.expose().len() && different == 0
    }
}

impl Eq for Secret {}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self::new(secret)
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Self::new(secret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
