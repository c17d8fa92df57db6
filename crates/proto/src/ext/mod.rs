//! Service extensions: what the server offered in its reply to EHLO (RFC 5321 §4.1.1.1), and the
//! typed parameters of MAIL and RCPT that they bring.

mod delivery;
mod dsn;
mod limits;
mod offered;
mod xtext;

use core::fmt;
use std::borrow::Cow;

pub use delivery::{ByMode, DeliverBy, FutureRelease, FutureReleaseLimits, MtPriority};
pub use dsn::{EnvelopeId, Notify, OriginalRecipient, Ret};
pub use limits::TransactionLimits;
pub use offered::Extensions;

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
    /// Paths and header sections outside US-ASCII (RFC 6531).
    SmtpUtf8,
    /// Mail data in chunks of announced length, by BDAT (RFC 3030 §2).
    Chunking,
    /// Mail data that need not consist of lines (RFC 3030 §3).
    BinaryMime,
    /// Delivery status notifications on request (RFC 3461).
    Dsn,
    /// Onward transmission over TLS only (RFC 8689).
    RequireTls,
    /// How much the server takes of what (RFC 9422).
    Limits(TransactionLimits),
    /// Delivery within a time (RFC 2852), and the shortest time that the server agrees to, in
    /// seconds, if it has one.
    DeliverBy(Option<u32>),
    /// Message transfer priorities (RFC 6710), and the name of the server's policy, if it has one.
    MtPriority(Option<String>),
    /// Submission now, release later (RFC 4865).
    FutureRelease(FutureReleaseLimits),
    /// Authentication by any of these SASL mechanisms (RFC 4954), in upper case and the server's
    /// order.
    Auth(Vec<String>),
    /// TLS on this connection (RFC 3207).
    StartTls,
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

impl Extension {
    /// The extension that a line of the reply to EHLO names, if it is a valid one.
    fn parse(line: &[u8]) -> Option<Self> {
        // What servers said before RFC 2554, and some still say besides.
        if let Some(parameters) = line.strip_prefix(b"AUTH=") {
            return Some(Self::Auth(mechanisms(&text(parameters))));
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
        let parameters = parameters.trim_ascii();
        let text_of = || text(parameters);
        let first = || text_of().split_whitespace().next().map(str::to_owned);
        let keyword = match keyword.iter().any(u8::is_ascii_lowercase) {
            true => Cow::Owned(keyword.to_ascii_uppercase()),
            false => Cow::Borrowed(keyword),
        };
        Some(match &*keyword {
            b"PIPELINING" => Self::Pipelining,
            b"SIZE" => Self::Size(SizeLimit(text_of().parse().ok().filter(|size| *size > 0))),
            b"8BITMIME" => Self::EightBitMime,
            b"ENHANCEDSTATUSCODES" => Self::EnhancedStatusCodes,
            b"SMTPUTF8" => Self::SmtpUtf8,
            b"CHUNKING" => Self::Chunking,
            b"BINARYMIME" => Self::BinaryMime,
            b"DSN" => Self::Dsn,
            b"REQUIRETLS" => Self::RequireTls,
            b"LIMITS" => Self::Limits(TransactionLimits::parse(&text_of())),
            b"DELIVERBY" => Self::DeliverBy(
                first()
                    .and_then(|seconds| seconds.parse().ok())
                    .filter(|seconds| *seconds > 0),
            ),
            b"MT-PRIORITY" => Self::MtPriority(first()),
            b"FUTURERELEASE" => Self::FutureRelease(FutureReleaseLimits::parse(&text_of())),
            b"AUTH" => Self::Auth(mechanisms(&text_of())),
            b"STARTTLS" => Self::StartTls,
            _ => Self::Other {
                keyword: text(&keyword),
                parameters: text_of(),
            },
        })
    }

    /// The EHLO keyword, in upper case.
    #[must_use]
    pub fn keyword(&self) -> &str {
        match self {
            Self::Pipelining => "PIPELINING",
            Self::Size(_) => "SIZE",
            Self::EightBitMime => "8BITMIME",
            Self::EnhancedStatusCodes => "ENHANCEDSTATUSCODES",
            Self::SmtpUtf8 => "SMTPUTF8",
            Self::Chunking => "CHUNKING",
            Self::BinaryMime => "BINARYMIME",
            Self::Dsn => "DSN",
            Self::RequireTls => "REQUIRETLS",
            Self::Limits(_) => "LIMITS",
            Self::DeliverBy(_) => "DELIVERBY",
            Self::MtPriority(_) => "MT-PRIORITY",
            Self::FutureRelease(_) => "FUTURERELEASE",
            Self::Auth(_) => "AUTH",
            Self::StartTls => "STARTTLS",
            Self::Other { keyword, .. } => keyword,
        }
    }
}

/// SASL mechanisms (RFC 4422 §3.1): what is none, or named twice, is left out.
fn mechanisms(parameters: &str) -> Vec<String> {
    let mut mechanisms: Vec<String> = Vec::new();
    for word in parameters.split_whitespace() {
        let name = word.to_ascii_uppercase();
        let valid = name.len() <= 20
            && name
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'));
        if valid && !mechanisms.contains(&name) {
            mechanisms.push(name);
        }
    }
    mechanisms
}

/// Printable US-ASCII as it is, everything else as a question mark.
fn text(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    text.extend(octets.iter().map(|octet| match octet {
        b' '..=b'~' => char::from(*octet),
        _ => '?',
    }));
    text
}

impl fmt::Display for Extension {
    /// As in a reply to EHLO.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.keyword())?;
        match self {
            Self::Size(SizeLimit(Some(maximum))) => write!(f, " {maximum}"),
            Self::Limits(limits) => limits.fmt(f),
            Self::DeliverBy(Some(seconds)) => write!(f, " {seconds}"),
            Self::MtPriority(Some(policy)) => write!(f, " {policy}"),
            Self::FutureRelease(limits) => limits.fmt(f),
            Self::Auth(mechanisms) => mechanisms.iter().try_for_each(|name| write!(f, " {name}")),
            Self::Other { parameters, .. } if !parameters.is_empty() => write!(f, " {parameters}"),
            _ => Ok(()),
        }
    }
}

/// A parameter of MAIL or RCPT that can't be one: which, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterError {
    parameter: &'static str,
    why: &'static str,
}

impl ParameterError {
    const fn new(parameter: &'static str, why: &'static str) -> Self {
        Self { parameter, why }
    }
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.parameter, self.why)
    }
}

impl std::error::Error for ParameterError {}
