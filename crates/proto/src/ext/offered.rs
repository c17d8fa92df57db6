//! What one server offered.

use super::{Extension, FutureReleaseLimits, SizeLimit, TransactionLimits, text};
use crate::{Limits, Reply};

/// The service extensions of a server. Empty where it only knows HELO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    domain: String,
    offered: Vec<Extension>,
    /// The two that are asked about at every command.
    pipelining: bool,
    chunking: bool,
}

impl Extensions {
    /// None at all, as after HELO.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            domain: String::new(),
            offered: Vec::new(),
            pipelining: false,
            chunking: false,
        }
    }

    /// What a reply to EHLO offers. Lines that are no EHLO keyword, repeated ones and those over
    /// the cap are ignored: nothing is ever taken from them.
    #[must_use]
    pub fn from_ehlo(reply: &Reply, limits: &Limits) -> Self {
        let mut lines = reply.lines();
        let domain = lines
            .next()
            .and_then(|line| line.split(|octet| *octet == b' ').next())
            .map(text)
            .unwrap_or_default();
        let mut offered: Vec<Extension> = Vec::new();
        for line in lines.take(limits.ehlo_keywords.max(1)) {
            let Some(extension) = Extension::parse(line) else {
                continue;
            };
            let known = offered
                .iter_mut()
                .find(|other| other.keyword() == extension.keyword());
            match (known, extension) {
                (None, extension) => offered.push(extension),
                // Servers with an `AUTH=` line for old clients have two that belong together.
                (Some(Extension::Auth(mechanisms)), Extension::Auth(more)) => {
                    for name in more {
                        if !mechanisms.contains(&name) {
                            mechanisms.push(name);
                        }
                    }
                }
                _ => {}
            }
        }
        offered.shrink_to_fit();
        Self {
            domain,
            pipelining: offered.contains(&Extension::Pipelining),
            chunking: offered.contains(&Extension::Chunking),
            offered,
        }
    }

    /// How the server names itself.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Without those of these keywords, in any case: as if the server had not named them.
    #[must_use]
    pub fn without(mut self, keywords: &[String]) -> Self {
        self.offered.retain(|extension| {
            !keywords
                .iter()
                .any(|keyword| keyword.eq_ignore_ascii_case(extension.keyword()))
        });
        self.pipelining = self.offered.contains(&Extension::Pipelining);
        self.chunking = self.offered.contains(&Extension::Chunking);
        self
    }

    fn find<'a, T>(&'a self, what: impl FnMut(&'a Extension) -> Option<T>) -> Option<T> {
        self.offered.iter().find_map(what)
    }

    /// Whether commands may be sent in groups.
    #[must_use]
    pub const fn pipelining(&self) -> bool {
        self.pipelining
    }

    /// Whether sizes may be declared, and the server's maximum.
    #[must_use]
    pub fn size(&self) -> Option<SizeLimit> {
        self.find(|extension| match extension {
            Extension::Size(limit) => Some(*limit),
            _ => None,
        })
    }

    /// Whether 8-bit mail data may be sent.
    #[must_use]
    pub fn eight_bit_mime(&self) -> bool {
        self.offered.contains(&Extension::EightBitMime)
    }

    /// Whether replies carry enhanced status codes.
    #[must_use]
    pub fn enhanced_status_codes(&self) -> bool {
        self.offered.contains(&Extension::EnhancedStatusCodes)
    }

    /// Whether paths and header sections may have characters outside US-ASCII.
    #[must_use]
    pub fn smtputf8(&self) -> bool {
        self.offered.contains(&Extension::SmtpUtf8)
    }

    /// Whether mail data may be sent by BDAT.
    #[must_use]
    pub const fn chunking(&self) -> bool {
        self.chunking
    }

    /// Whether mail data need not consist of lines. It goes with [`chunking`](Self::chunking) only.
    #[must_use]
    pub fn binary_mime(&self) -> bool {
        self.offered.contains(&Extension::BinaryMime) && self.chunking()
    }

    /// Whether delivery status notifications can be asked for.
    #[must_use]
    pub fn dsn(&self) -> bool {
        self.offered.contains(&Extension::Dsn)
    }

    /// Whether onward transmission over TLS can be required.
    #[must_use]
    pub fn require_tls(&self) -> bool {
        self.offered.contains(&Extension::RequireTls)
    }

    /// How much the server takes of what; nothing is limited where it does not say.
    #[must_use]
    pub fn limits(&self) -> TransactionLimits {
        self.find(|extension| match extension {
            Extension::Limits(limits) => Some(*limits),
            _ => None,
        })
        .unwrap_or_default()
    }

    /// Whether delivery within a time can be asked for, and the shortest time in seconds that the
    /// server agrees to: 0 where it names none.
    #[must_use]
    pub fn deliver_by(&self) -> Option<u32> {
        self.find(|extension| match extension {
            Extension::DeliverBy(minimum) => Some(minimum.unwrap_or(0)),
            _ => None,
        })
    }

    /// Whether messages may have a priority.
    #[must_use]
    pub fn mt_priority(&self) -> bool {
        self.find(|extension| matches!(extension, Extension::MtPriority(_)).then_some(()))
            .is_some()
    }

    /// Whether messages may be held, and for how long.
    #[must_use]
    pub fn future_release(&self) -> Option<&FutureReleaseLimits> {
        self.find(|extension| match extension {
            Extension::FutureRelease(limits) => Some(limits),
            _ => None,
        })
    }

    /// The SASL mechanisms that the server offers, in upper case and its order.
    #[must_use]
    pub fn auth(&self) -> &[String] {
        self.find(|extension| match extension {
            Extension::Auth(mechanisms) => Some(mechanisms.as_slice()),
            _ => None,
        })
        .unwrap_or_default()
    }

    /// Whether TLS can be begun on this connection.
    #[must_use]
    pub fn starttls(&self) -> bool {
        self.offered.contains(&Extension::StartTls)
    }

    /// Every extension, in the server's order.
    pub fn iter(&self) -> impl Iterator<Item = &Extension> {
        self.offered.iter()
    }
}
