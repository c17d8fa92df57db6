//! Authentication: SASL mechanisms (RFC 4422) as AUTH speaks them (RFC 4954).
//!
//! Everything random or tied to the connection comes in as an argument: the nonce, whether the
//! connection is encrypted, the channel bindings. Nothing here waits, and key derivation is done in
//! slices whose size the driver chooses.

mod binding;
mod cram_md5;
mod credentials;
mod error;
mod exchange;
mod external;
mod hash;
mod login;
mod mechanism;
mod oauthbearer;
mod plain;
mod policy;
mod scram;
mod secret;
mod xoauth2;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use binding::{BindingKind, ChannelBinding};
pub use credentials::Credentials;
pub use error::AuthError;
pub use mechanism::{Mechanism, Strength, UnknownMechanism};
pub use policy::AuthPolicy;
pub use secret::Secret;

pub(crate) use exchange::{Exchange, Response, Step, start};
pub(crate) use policy::candidates;

/// A nonce as SCRAM wants it, from octets that nobody can guess.
#[must_use]
pub fn nonce(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}

/// Everything that one authentication needs to know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Auth {
    /// Who the client is.
    pub credentials: Credentials,
    /// What may be used to prove it.
    pub policy: AuthPolicy,
    /// Whether the connection is encrypted and the server's identity verified.
    pub secure: bool,
    /// What TLS gives the -PLUS mechanisms to bind to, the preferred one first.
    pub bindings: Vec<ChannelBinding>,
    /// For SCRAM: printable US-ASCII without commas, unpredictable and new each time (RFC 5802 §5.1).
    pub nonce: String,
}

impl Auth {
    /// Over a connection that is not encrypted, with the default policy.
    #[must_use]
    pub fn new(credentials: Credentials, nonce: impl Into<String>) -> Self {
        Self {
            credentials,
            policy: AuthPolicy::default(),
            secure: false,
            bindings: Vec::new(),
            nonce: nonce.into(),
        }
    }
}
