//! Delivery status notifications (RFC 3461).

use core::fmt;
use core::ops::BitOr;
use core::str::FromStr;

use super::ParameterError;
use super::xtext::{utf8_xtext, xtext};
use crate::ForwardPath;

/// How much of the message comes back with a report of failure (RFC 3461 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ret {
    /// All of it.
    Full,
    /// Its header section.
    Headers,
}

impl fmt::Display for Ret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "FULL",
            Self::Headers => "HDRS",
        })
    }
}

/// An identifier that comes back in every report about the message (RFC 3461 §4.4): 1 to 100
/// printable US-ASCII characters, blanks among them.
///
/// ```
/// use postbound_proto::ext::EnvelopeId;
/// let id: EnvelopeId = "order 4711+1".parse()?;
/// assert_eq!((id.as_str(), id.to_string().as_str()), ("order 4711+1", "order+204711+2B1"));
/// assert!("a\r\nRCPT TO:<x@y>".parse::<EnvelopeId>().is_err());
/// # Ok::<(), postbound_proto::ext::ParameterError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeId(String);

impl EnvelopeId {
    /// The identifier as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EnvelopeId {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        let printable = text.bytes().all(|octet| matches!(octet, b' '..=b'~'));
        if !printable || text.is_empty() || text.len() > 100 {
            return Err(ParameterError::new(
                "ENVID",
                "an envelope identifier has 1 to 100 printable US-ASCII characters",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for EnvelopeId {
    /// As xtext, which is how it is sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&xtext(&self.0))
    }
}

/// When a recipient's fate is to be reported (RFC 3461 §4.1): never, or on any of three events.
///
/// ```
/// use postbound_proto::ext::Notify;
/// assert_eq!((Notify::SUCCESS | Notify::DELAY).to_string(), "SUCCESS,DELAY");
/// assert_eq!(Notify::NEVER.to_string(), "NEVER");
/// // NEVER goes with nothing: what is asked for by name is reported.
/// assert_eq!((Notify::NEVER | Notify::FAILURE).to_string(), "FAILURE");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notify(u8);

impl Notify {
    /// Never.
    pub const NEVER: Self = Self(0);
    /// When it was delivered.
    pub const SUCCESS: Self = Self(1);
    /// When it can't be delivered.
    pub const FAILURE: Self = Self(2);
    /// When delivery is delayed.
    pub const DELAY: Self = Self(4);

    const EVENTS: [(Self, &'static str); 3] = [
        (Self::SUCCESS, "SUCCESS"),
        (Self::FAILURE, "FAILURE"),
        (Self::DELAY, "DELAY"),
    ];
}

impl BitOr for Notify {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER {
            return f.write_str("NEVER");
        }
        let mut comma = "";
        for (event, name) in Self::EVENTS {
            if self.0 & event.0 != 0 {
                write!(f, "{comma}{name}")?;
                comma = ",";
            }
        }
        Ok(())
    }
}

impl FromStr for Notify {
    type Err = ParameterError;

    /// Reads `never`, or events with commas between them: `success,failure,delay`.
    fn from_str(text: &str) -> Result<Self, ParameterError> {
        if text.eq_ignore_ascii_case("never") {
            return Ok(Self::NEVER);
        }
        text.split(',').try_fold(Self::NEVER, |notify, word| {
            Self::EVENTS
                .into_iter()
                .find(|(_, name)| name.eq_ignore_ascii_case(word.trim()))
                .map(|(event, _)| notify | event)
                .ok_or(ParameterError::new(
                    "NOTIFY",
                    "write never, or any of success, failure and delay with commas between them",
                ))
        })
    }
}

/// Whom the message was first meant for, for reports about it (RFC 3461 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginalRecipient(String);

impl OriginalRecipient {
    /// A mailbox. Outside US-ASCII it is named as RFC 6533 has it, which needs no SMTPUTF8.
    #[must_use]
    pub fn mailbox(path: &ForwardPath) -> Self {
        let address = path.as_str();
        Self(if address.is_ascii() {
            format!("rfc822;{}", xtext(address))
        } else {
            format!("utf-8;{}", utf8_xtext(address))
        })
    }

    /// An address of any registered type, such as `x400`.
    ///
    /// # Errors
    /// If the type is no atom of US-ASCII, or the address has other than printable US-ASCII
    /// characters, or both together are longer than 500 octets as they are sent.
    pub fn other(address_type: &str, address: &str) -> Result<Self, ParameterError> {
        let atom = !address_type.is_empty()
            && address_type
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
        let printable = address.bytes().all(|octet| matches!(octet, b' '..=b'~'));
        let text = format!("{address_type};{}", xtext(address));
        if !atom || !printable || address.is_empty() || text.len() > 500 {
            return Err(ParameterError::new(
                "ORCPT",
                "an original recipient is an address type of letters, digits and hyphens, and an address of printable US-ASCII characters, together at most 500 octets",
            ));
        }
        Ok(Self(text))
    }
}

impl fmt::Display for OriginalRecipient {
    /// As it is sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
