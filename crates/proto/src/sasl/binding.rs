//! What ties an authentication to the TLS connection under it.

use core::fmt;

/// A kind of channel binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BindingKind {
    /// The hash of the server's certificate (RFC 5929 §4).
    TlsServerEndPoint,
    /// Keying material exported from the TLS session (RFC 9266).
    TlsExporter,
}

impl BindingKind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::TlsServerEndPoint => "tls-server-end-point",
            Self::TlsExporter => "tls-exporter",
        }
    }
}

/// A channel binding: its kind and its octets, as TLS gives them.
#[derive(Clone, PartialEq, Eq)]
pub struct ChannelBinding {
    pub(super) kind: BindingKind,
    pub(super) octets: Box<[u8]>,
}

impl ChannelBinding {
    /// A binding of this kind.
    #[must_use]
    pub fn new(kind: BindingKind, octets: impl Into<Box<[u8]>>) -> Self {
        Self {
            kind,
            octets: octets.into(),
        }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> BindingKind {
        self.kind
    }
}

impl fmt::Debug for ChannelBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An exported secret is nobody's business.
        write!(f, "ChannelBinding({})", self.kind.name())
    }
}
