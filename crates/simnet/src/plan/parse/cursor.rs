//! A place in a plan's text: words, numbers, times, octets in quotes, and what was expected there.

use std::str::FromStr;
use std::time::Duration;

use super::PlanError;
use crate::plan::duration::parse_duration;

pub(super) struct Cursor<'a> {
    line: usize,
    text: &'a str,
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(line: usize, text: &'a str, at: usize) -> Self {
        Self { line, text, at }
    }

    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn fail<T>(&self, expected: impl Into<String>) -> Result<T, PlanError> {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        let found: String = self
            .rest()
            .split([' ', ';', '|', '\n'])
            .next()
            .unwrap_or_default()
            .chars()
            .take(40)
            .collect();
        let found = match self.rest().chars().next() {
            Some(c) if found.is_empty() => c.to_string(),
            _ => found,
        };
        Err(PlanError {
            line: self.line,
            column: before.chars().count() + 1,
            found,
            expected: expected.into(),
        })
    }

    pub(super) fn blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    pub(super) fn literal(&mut self, literal: &str, expected: &str) -> Result<(), PlanError> {
        if !self.rest().starts_with(literal) {
            return self.fail(expected);
        }
        self.at += literal.len();
        Ok(())
    }

    /// The first line of a file.
    pub(super) fn version(&mut self) -> Result<(), PlanError> {
        self.literal("postbound-plan", "the version line, postbound-plan v1")?;
        match self.word() {
            "v1" => self.end(),
            other => self.back(other, "v1, the only version of plans that there is"),
        }
    }

    pub(super) fn end(&mut self) -> Result<(), PlanError> {
        self.blanks();
        if self.rest().is_empty() {
            Ok(())
        } else {
            self.fail("the end of the line, or `;` and another clause")
        }
    }

    /// The next word: up to a blank, `;`, `|`, `:`, `#` or `[`.
    pub(super) fn word(&mut self) -> &'a str {
        self.blanks();
        let rest = self.rest();
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, ';' | '|' | ':' | '#' | '['))
            .unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    pub(super) fn back<T>(
        &mut self,
        word: &str,
        expected: impl Into<String>,
    ) -> Result<T, PlanError> {
        self.at -= word.len();
        self.fail(expected)
    }

    pub(super) fn number<T: FromStr + PartialOrd + From<u8>>(
        &mut self,
        what: &str,
    ) -> Result<T, PlanError> {
        let word = self.word();
        match word.parse::<T>() {
            Ok(number) if number >= T::from(1) && !word.starts_with('+') => Ok(number),
            _ => self.back(word, what),
        }
    }

    pub(super) fn duration(&mut self) -> Result<Duration, PlanError> {
        let word = self.word();
        match parse_duration(word) {
            Ok(duration) if !duration.is_zero() => Ok(duration),
            Ok(_) => self.back(word, "a time of at least 1ms"),
            Err(expected) => self.back(word, expected),
        }
    }

    pub(super) fn keyword(&mut self, keyword: &str) -> Result<(), PlanError> {
        let word = self.word();
        if word == keyword {
            Ok(())
        } else {
            self.back(word, keyword)
        }
    }

    /// Octets in quotes, with `\r \n \t \\ \" \' \0 \xNN` and `\u{N}`.
    pub(super) fn quoted(&mut self) -> Result<Vec<u8>, PlanError> {
        self.literal("\"", "octets in quotes")?;
        let mut octets = Vec::new();
        loop {
            let Some(c) = self.rest().chars().next() else {
                return self.fail("a closing quote");
            };
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(octets),
                '\\' => self.escape(&mut octets)?,
                _ => octets.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }

    fn escape(&mut self, octets: &mut Vec<u8>) -> Result<(), PlanError> {
        let rest = self.rest();
        let simple = match rest.bytes().next() {
            Some(b'r') => Some(b'\r'),
            Some(b'n') => Some(b'\n'),
            Some(b't') => Some(b'\t'),
            Some(b'0') => Some(0),
            Some(octet @ (b'\\' | b'"' | b'\'')) => Some(octet),
            _ => None,
        };
        if let Some(octet) = simple {
            self.at += 1;
            octets.push(octet);
            return Ok(());
        }
        if let Some(octet) = rest
            .strip_prefix('x')
            .and_then(|hex| hex.get(..2))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
        {
            self.at += 3;
            octets.push(octet);
            return Ok(());
        }
        let unicode = rest.strip_prefix("u{").and_then(|hex| {
            let hex = hex.get(..hex.find('}')?)?;
            Some((
                hex.len(),
                char::from_u32(u32::from_str_radix(hex, 16).ok()?)?,
            ))
        });
        match unicode {
            Some((digits, c)) => {
                self.at += digits + 3;
                octets.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                Ok(())
            }
            None => self.fail("an escape: \\r \\n \\t \\0 \\\\ \\\" \\' \\xNN or \\u{N}"),
        }
    }
}
