//! The reply reader: strict, and bounded while it reads.

use core::fmt;

use memchr::memchr3;

use crate::Limits;
use crate::reply::{Reply, ReplyCode};

/// Octets that are no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyError {
    /// A line does not begin with three digits of a reply code.
    Code,
    /// Neither a space nor a hyphen nor the end of the line follows the code.
    Separator,
    /// The lines of one reply have different codes.
    MixedCodes,
    /// A TLS record: the port speaks TLS from the first octet.
    Tls,
    /// A NUL.
    Nul,
    /// A CR without LF, or an LF without CR.
    BareLineEnding,
    /// A line is longer than this many octets.
    LineTooLong(usize),
    /// There are more than this many lines.
    TooManyLines(usize),
    /// There are more than this many octets.
    TooManyOctets(usize),
    /// Not exactly one complete reply, where one was to be parsed.
    NotOne,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code => f.write_str("a reply line does not begin with a reply code"),
            Self::Separator => f.write_str(
                "neither a space, a hyphen nor the end of the line follows the reply code",
            ),
            Self::MixedCodes => f.write_str("the lines of one reply have different codes"),
            Self::Tls => f.write_str(
                "a TLS record where a reply is due; the server expects TLS from the first octet",
            ),
            Self::Nul => f.write_str("a reply has a NUL in it"),
            Self::BareLineEnding => f.write_str("a reply line does not end with CRLF"),
            Self::LineTooLong(cap) => write!(f, "a reply line has more than {cap} octets"),
            Self::TooManyLines(cap) => write!(f, "a reply has more than {cap} lines"),
            Self::TooManyOctets(cap) => write!(f, "a reply has more than {cap} octets"),
            Self::NotOne => f.write_str("not exactly one complete reply"),
        }
    }
}

impl std::error::Error for ReplyError {}

/// Reads replies from octets in any fragmentation.
///
/// Nothing is held between replies. An error stays: behind it nothing can be told apart any more.
#[derive(Debug)]
pub struct ReplyReader {
    line_cap: usize,
    lines_cap: usize,
    octets_cap: usize,
    /// The octets of an unfinished reply.
    held: Vec<u8>,
    /// Where its last line begins, and how many lines are before that.
    line_start: usize,
    lines: usize,
    code: [u8; 3],
    error: Option<ReplyError>,
}

impl ReplyReader {
    /// A reader with these caps.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            line_cap: limits.reply_line.max(6),
            lines_cap: limits.reply_lines.max(1),
            octets_cap: limits.reply_octets.max(6),
            held: Vec::new(),
            line_start: 0,
            lines: 0,
            code: [0; 3],
            error: None,
        }
    }

    /// Whether octets of an unfinished reply are held.
    #[must_use]
    pub const fn is_midway(&self) -> bool {
        !self.held.is_empty() || self.error.is_some()
    }

    /// How many octets are held.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held.len()
    }

    /// Takes octets up to the end of one reply, and says how many it took.
    ///
    /// # Errors
    /// At the first octet that can't belong to a reply or exceeds a cap, and at every call behind.
    pub fn receive(&mut self, input: &[u8]) -> Result<(usize, Option<Reply>), ReplyError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let whole = match self.held.is_empty() {
            true => self.whole(input),
            false => None,
        };
        let result = match whole {
            Some((consumed, reply)) => Ok((consumed, Some(reply))),
            None => self.octets(input),
        };
        if let Err(error) = &result {
            self.error = Some(error.clone());
            self.held = Vec::new();
        }
        result
    }

    /// The common case: all lines of one reply, well-formed and within every cap.
    fn whole(&self, input: &[u8]) -> Option<(usize, Reply)> {
        let digits = input.first_chunk::<3>()?;
        let mut end = 0;
        for _ in 0..self.lines_cap {
            let rest = input.get(end..)?;
            let length = memchr3(b'\r', b'\n', 0, rest)? + 2;
            let line = rest.get(..length)?;
            end += length;
            let separator = line.strip_prefix(digits)?.first()?;
            if length > self.line_cap || end > self.octets_cap || !line.ends_with(b"\r\n") {
                return None;
            }
            match separator {
                b'-' => {}
                b' ' => return Some((end, Reply::new(code(*digits)?, input.get(..end)?))),
                _ => return None,
            }
        }
        None
    }

    /// Octet by octet, so that every cap and rule strikes where it is broken.
    fn octets(&mut self, input: &[u8]) -> Result<(usize, Option<Reply>), ReplyError> {
        for (at, &octet) in input.iter().enumerate() {
            if let Some(reply) = self.octet(octet)? {
                return Ok((at + 1, Some(reply)));
            }
        }
        Ok((input.len(), None))
    }

    fn octet(&mut self, octet: u8) -> Result<Option<Reply>, ReplyError> {
        let column = self.held.len() - self.line_start;
        if column == 0 && self.lines >= self.lines_cap {
            return Err(ReplyError::TooManyLines(self.lines_cap));
        }
        if self.held.is_empty() && matches!(octet, 0x15 | 0x16) {
            // The content type of an alert or a handshake message.
            return Err(ReplyError::Tls);
        }
        if octet == 0 {
            return Err(ReplyError::Nul);
        }
        let after_cr = self.held.last() == Some(&b'\r');
        if after_cr != (octet == b'\n') {
            return Err(ReplyError::BareLineEnding);
        }
        match column {
            0..3 => self.code_digit(column, octet)?,
            3 if !matches!(octet, b' ' | b'-' | b'\r') => return Err(ReplyError::Separator),
            _ => {}
        }
        if column >= self.line_cap {
            return Err(ReplyError::LineTooLong(self.line_cap));
        }
        if self.held.len() >= self.octets_cap {
            return Err(ReplyError::TooManyOctets(self.octets_cap));
        }
        self.held.push(octet);
        if octet != b'\n' {
            return Ok(None);
        }
        if self.held.get(self.line_start + 3) == Some(&b'-') {
            self.line_start = self.held.len();
            self.lines += 1;
            return Ok(None);
        }
        let raw = core::mem::take(&mut self.held);
        self.line_start = 0;
        self.lines = 0;
        let code = code(self.code).ok_or(ReplyError::Code)?;
        Ok(Some(Reply::new(code, &raw)))
    }

    fn code_digit(&mut self, column: usize, octet: u8) -> Result<(), ReplyError> {
        let valid = match column {
            0 => (b'2'..=b'5').contains(&octet),
            1 => (b'0'..=b'5').contains(&octet),
            _ => octet.is_ascii_digit(),
        };
        let Some(digit) = self.code.get_mut(column).filter(|_| valid) else {
            return Err(ReplyError::Code);
        };
        if self.lines > 0 && *digit != octet {
            return Err(ReplyError::MixedCodes);
        }
        *digit = octet;
        Ok(())
    }
}

fn code(digits: [u8; 3]) -> Option<ReplyCode> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let [a, b, c] = digits.map(|digit| u16::from(digit - b'0'));
    ReplyCode::new(a * 100 + b * 10 + c)
}
