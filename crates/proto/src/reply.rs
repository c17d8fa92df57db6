//! Replies (RFC 5321 §4.2).

use core::fmt;

use smallvec::SmallVec;

use crate::Limits;
use crate::reader::{ReplyError, ReplyReader};

/// Octets of a reply that needs no memory of its own: one line with a queue's id.
const SHORT: usize = 40;

/// A reply code: three digits, 2 to 5 first, 0 to 5 second (RFC 5321 §4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyCode(u16);

/// What a code's first digit says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "RFC 5321 has these four and no room for others"
)]
pub enum ReplyClass {
    /// 2yz: done.
    Completion,
    /// 3yz: go on.
    Intermediate,
    /// 4yz: not now.
    TransientFailure,
    /// 5yz: not ever.
    PermanentFailure,
}

impl ReplyCode {
    /// 220: the greeting.
    pub const SERVICE_READY: Self = Self(220);
    /// 221: the answer to QUIT.
    pub const CLOSING: Self = Self(221);
    /// 250: done.
    pub const OK: Self = Self(250);
    /// 354: mail data may be sent.
    pub const START_MAIL_INPUT: Self = Self(354);
    /// 421: the server must shut down, whatever was asked (RFC 5321 §3.8).
    pub const SERVICE_UNAVAILABLE: Self = Self(421);

    /// The code, if it is one.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 200 && code <= 559 && code / 10 % 10 <= 5 {
            Some(Self(code))
        } else {
            None
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// What the first digit says.
    #[must_use]
    pub const fn class(self) -> ReplyClass {
        match self.0 / 100 {
            2 => ReplyClass::Completion,
            3 => ReplyClass::Intermediate,
            4 => ReplyClass::TransientFailure,
            _ => ReplyClass::PermanentFailure,
        }
    }

    /// 2yz.
    #[must_use]
    pub fn is_completion(self) -> bool {
        self.class() == ReplyClass::Completion
    }

    /// 4yz or 5yz.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 >= 400
    }
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An enhanced status code such as `5.1.1` (RFC 2034, RFC 3463).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct EnhancedStatusCode {
    /// 2, 4 or 5.
    pub class: u8,
    /// What it is about, 0 to 999.
    pub subject: u16,
    /// What precisely, 0 to 999.
    pub detail: u16,
}

impl EnhancedStatusCode {
    /// The code at the start of a reply line's text, if there is one.
    fn parse(text: &[u8]) -> Option<Self> {
        let code = text.split(|octet| *octet == b' ').next()?;
        let mut parts = code.split(|octet| *octet == b'.').map(number);
        let (class, subject, detail) = (parts.next()??, parts.next()??, parts.next()??);
        if parts.next().is_some() || !matches!(class, 2 | 4 | 5) || code.get(1) != Some(&b'.') {
            return None;
        }
        Some(Self {
            class: u8::try_from(class).ok()?,
            subject,
            detail,
        })
    }
}

fn number(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() || digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0')))
}

impl fmt::Display for EnhancedStatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// A complete reply, with every octet as it came.
///
/// `Display` shows it on one line with everything escaped that could act on a terminal or a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    code: ReplyCode,
    raw: SmallVec<[u8; SHORT]>,
}

impl Reply {
    pub(crate) fn new(code: ReplyCode, raw: &[u8]) -> Self {
        Self {
            code,
            raw: SmallVec::from_slice(raw),
        }
    }

    /// Reads exactly one reply.
    ///
    /// # Errors
    /// If the octets are no reply, or more or less than one.
    pub fn parse(octets: &[u8]) -> Result<Self, ReplyError> {
        match ReplyReader::new(&Limits::DEFAULT).receive(octets)? {
            (consumed, Some(reply)) if consumed == octets.len() => Ok(reply),
            _ => Err(ReplyError::NotOne),
        }
    }

    /// The same with every line's text put through `change`.
    pub(crate) fn with_text(self, change: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        let mut raw = Vec::with_capacity(self.raw.len());
        for line in self.raw.split_inclusive(|octet| *octet == b'\n') {
            let text = line.strip_suffix(b"\r\n").unwrap_or(line);
            let (code, text) = text.split_at(text.len().min(4));
            raw.extend_from_slice(code);
            raw.extend_from_slice(&change(text));
            raw.extend_from_slice(b"\r\n");
        }
        Self {
            raw: SmallVec::from_vec(raw),
            ..self
        }
    }

    /// The reply code.
    #[must_use]
    pub const fn code(&self) -> ReplyCode {
        self.code
    }

    /// The enhanced status code. The basic code wins: one of another class is not reported.
    #[must_use]
    pub fn enhanced(&self) -> Option<EnhancedStatusCode> {
        let enhanced = EnhancedStatusCode::parse(self.lines().next()?)?;
        (u16::from(enhanced.class) == self.code.0 / 100).then_some(enhanced)
    }

    /// The text of each line, without code, separator and CRLF.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.raw
            .strip_suffix(b"\r\n")
            .unwrap_or(&self.raw)
            .split(|octet| *octet == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .map(|line| line.get(4..).unwrap_or_default())
    }

    /// The octets as they came, with every CRLF.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// 4yz: the same may be accepted later.
    #[must_use]
    pub fn is_transient_failure(&self) -> bool {
        self.code.class() == ReplyClass::TransientFailure
    }

    /// 5yz: the same will be refused again.
    #[must_use]
    pub fn is_permanent_failure(&self) -> bool {
        self.code.class() == ReplyClass::PermanentFailure
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt(f)?;
        for (i, line) in self.lines().enumerate() {
            match (i, line.is_empty()) {
                (0, true) => {}
                (0, false) => f.write_str(" ")?,
                _ => f.write_str(" / ")?,
            }
            escape(line, f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({self})")
    }
}

fn escape(octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for chunk in octets.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_plain(c) {
                fmt::Write::write_char(f, c)?;
            } else if c.is_ascii() {
                write!(f, "\\x{:02x}", u32::from(c))?;
            } else {
                write!(f, "\\u{{{:x}}}", u32::from(c))?;
            }
        }
        for octet in chunk.invalid() {
            write!(f, "\\x{octet:02x}")?;
        }
    }
    Ok(())
}

/// Neither a control nor a character that changes how others are shown.
fn is_plain(c: char) -> bool {
    !(c.is_control()
        || c == '\\'
        || matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{61c}' | '\u{180e}'))
}
