//! The seam between MX delivery and any DNS.

use std::fmt;
use std::io;

/// One MX record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "RFC 1035 §3.3.9 gives an MX record these two fields"
)]
pub struct Exchange {
    /// The lower, the earlier it is tried.
    pub preference: u16,
    /// The host, with or without the dot at its end. The root alone, `.`, is a null MX (RFC 7505).
    pub host: String,
}

impl Exchange {
    pub(super) fn is_null(&self) -> bool {
        matches!(&*self.host, "." | "")
    }
}

/// Where mail for a domain goes: MX look-ups, by the DNS or a simulation.
///
/// The addresses of the hosts are looked up by the [`Connector`](crate::Connector), as those of any
/// server. Order, caps and limits are the caller's.
pub trait Exchanges: Send + Sync {
    /// The MX records of `domain`, in any order; none if it exists and has no such record.
    ///
    /// # Errors
    /// If the domain does not exist, or that is not known.
    ///
    /// # Cancel safety
    /// Must be safe to drop at any point.
    fn exchanges(
        &self,
        domain: &str,
    ) -> impl Future<Output = Result<Vec<Exchange>, LookupError>> + Send;
}

/// Why there is no answer about a domain.
#[derive(Debug)]
#[non_exhaustive]
pub enum LookupError {
    /// It does not exist (NXDOMAIN): nothing will change that soon.
    NoSuchDomain,
    /// The look-up failed (SERVFAIL, no answer, an answer that makes no sense): later it may not.
    Failed(io::Error),
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchDomain => "there is no such domain",
            Self::Failed(_) => "the look-up of the domain's mail exchanges failed",
        })
    }
}

impl std::error::Error for LookupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoSuchDomain => None,
            Self::Failed(error) => Some(error),
        }
    }
}
