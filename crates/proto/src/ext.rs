//! Service extensions: what the server offered in its reply to EHLO (RFC 5321 §4.1.1.1).

use core::fmt;

use crate::{Limits, Reply};

/// One service extension, typed where this release uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Extension {
    /// Several commands in one write (RFC 2920).
    Pipelining,
    /// Message size declaration (RFC 1870).
    Size(SizeLimit),
    /// 8-bit mail data (RFC 6152).
    EightBitMime,
    /// Enhanced status codes in replies (RFC 2034).
    EnhancedStatusCodes,
    /// Authentication (RFC 4954), with the names of the mechanisms.
    Auth(Vec<String>),
    /// One that this release knows nothing to do with, as the server wrote it.
    Other {
        /// The EHLO keyword.
        keyword: String,
        /// What follows it.
        parameters: String,
    },
}

/// What a server says about the size of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeLimit(Option<u64>);

impl SizeLimit {
    /// The largest message it takes, if it has a fixed maximum. A zero means none (RFC 1870 §4),
    /// and a value that is no number is taken for none.
    #[must_use]
    pub const fn maximum(&self) -> Option<u64> {
        self.0
    }
}

/// The service extensions of a server. Empty where it only knows HELO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    domain: String,
    offered: Vec<Extension>,
}

impl Extensions {
    /// None at all, as after HELO.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            domain: String::new(),
            offered: Vec::new(),
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
                    mechanisms.extend(more);
                    mechanisms.truncate(limits.ehlo_keywords.max(1));
                }
                _ => {}
            }
        }
        offered.shrink_to_fit();
        Self { domain, offered }
    }

    /// How the server names itself.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether commands may be sent in groups.
    #[must_use]
    pub fn pipelining(&self) -> bool {
        self.offered.contains(&Extension::Pipelining)
    }

    /// Whether sizes may be declared, and the server's maximum.
    #[must_use]
    pub fn size(&self) -> Option<SizeLimit> {
        self.offered.iter().find_map(|extension| match extension {
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

    /// The names of the authentication mechanisms, in the server's order.
    #[must_use]
    pub fn auth(&self) -> &[String] {
        self.offered
            .iter()
            .find_map(|extension| match extension {
                Extension::Auth(mechanisms) => Some(mechanisms.as_slice()),
                _ => None,
            })
            .unwrap_or_default()
    }

    /// Every extension, in the server's order.
    pub fn iter(&self) -> impl Iterator<Item = &Extension> {
        self.offered.iter()
    }
}

/// Printable US-ASCII as it is, everything else as a question mark.
fn text(octets: &[u8]) -> String {
    octets
        .iter()
        .map(|octet| match octet {
            b' '..=b'~' => char::from(*octet),
            _ => '?',
        })
        .collect()
}

impl Extension {
    fn parse(line: &[u8]) -> Option<Self> {
        // What servers said before RFC 2554, and some still say besides.
        if let Some(mechanisms) = line.strip_prefix(b"AUTH=") {
            return Some(Self::auth(&text(mechanisms)));
        }
        let end = line.iter().position(|octet| *octet == b' ');
        let (keyword, parameters) = line.split_at(end.unwrap_or(line.len()));
        let valid = keyword.first().is_some_and(u8::is_ascii_alphanumeric)
            && keyword
                .iter()
                .all(|octet| octet.is_ascii_alphanumeric() || *octet == b'-');
        if !valid {
            return None;
        }
        let parameters = text(parameters.trim_ascii());
        Some(match text(keyword).to_ascii_uppercase().as_str() {
            "PIPELINING" => Self::Pipelining,
            "SIZE" => Self::Size(SizeLimit(parameters.parse().ok().filter(|size| *size > 0))),
            "8BITMIME" => Self::EightBitMime,
            "ENHANCEDSTATUSCODES" => Self::EnhancedStatusCodes,
            "AUTH" => Self::auth(&parameters),
            keyword => Self::Other {
                keyword: keyword.to_owned(),
                parameters,
            },
        })
    }

    fn auth(mechanisms: &str) -> Self {
        let names = mechanisms.split_ascii_whitespace();
        Self::Auth(names.map(str::to_ascii_uppercase).collect())
    }

    /// The EHLO keyword.
    #[must_use]
    pub fn keyword(&self) -> &str {
        match self {
            Self::Pipelining => "PIPELINING",
            Self::Size(_) => "SIZE",
            Self::EightBitMime => "8BITMIME",
            Self::EnhancedStatusCodes => "ENHANCEDSTATUSCODES",
            Self::Auth(_) => "AUTH",
            Self::Other { keyword, .. } => keyword,
        }
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.keyword())?;
        match self {
            Self::Size(SizeLimit(Some(maximum))) => write!(f, " {maximum}"),
            Self::Auth(mechanisms) => mechanisms
                .iter()
                .try_for_each(|mechanism| write!(f, " {mechanism}")),
            Self::Other { parameters, .. } if !parameters.is_empty() => write!(f, " {parameters}"),
            _ => Ok(()),
        }
    }
}
