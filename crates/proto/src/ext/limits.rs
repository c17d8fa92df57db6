//! LIMITS (RFC 9422).

use core::fmt;

/// How much the server takes of what, before it refuses. What it does not say, or says in a way
/// that is no number from 1 to 999,999, is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionLimits {
    /// Mail transactions over one connection (MAILMAX).
    pub mail: Option<u32>,
    /// Recipients of one mail transaction (RCPTMAX).
    pub recipients: Option<u32>,
    /// Different domains among the recipients of one mail transaction (RCPTDOMAINMAX).
    pub recipient_domains: Option<u32>,
}

impl TransactionLimits {
    pub(super) fn parse(parameters: &str) -> Self {
        let mut limits = Self::default();
        for parameter in parameters.split_whitespace() {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let slot = match name.to_ascii_uppercase().as_str() {
                "MAILMAX" => &mut limits.mail,
                "RCPTMAX" => &mut limits.recipients,
                "RCPTDOMAINMAX" => &mut limits.recipient_domains,
                _ => continue,
            };
            let digits = (1..=6).contains(&value.len())
                && value.bytes().all(|octet| octet.is_ascii_digit())
                && !value.starts_with('0');
            if digits {
                *slot = value.parse().ok();
            }
        }
        limits
    }
}

impl fmt::Display for TransactionLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, limit) in [
            ("MAILMAX", self.mail),
            ("RCPTMAX", self.recipients),
            ("RCPTDOMAINMAX", self.recipient_domains),
        ] {
            if let Some(limit) = limit {
                write!(f, " {name}={limit}")?;
            }
        }
        Ok(())
    }
}
