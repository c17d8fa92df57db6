//! Faults of TLS from text.

use super::{Cursor, PlanError};
use crate::plan::tls::{Break, Certificate, EXPECTED, TlsFault};

impl Cursor<'_> {
    /// What stands behind `tls-handshake:`.
    pub(super) fn tls(&mut self) -> Result<TlsFault, PlanError> {
        let word = self.word();
        if let Some(then) = Break::ALL.into_iter().find(|then| then.name() == word) {
            let octet = if self.keyword_follows("at") {
                self.number("an octet of the server's flight, counted from 1")?
            } else {
                1
            };
            return Ok(TlsFault::At { octet, then });
        }
        Ok(match word {
            "after" => TlsFault::After(self.duration()?),
            "drip" => TlsFault::Drip(self.duration()?),
            "tiny-records" => TlsFault::TinyRecords,
            "endless" => TlsFault::Endless,
            "plaintext" => TlsFault::Plaintext,
            "no-close-notify" => TlsFault::NoCloseNotify,
            "inject" => {
                self.blanks();
                let octets = self.quoted()?;
                let after = if self.keyword_follows("after") {
                    Some(self.duration()?)
                } else {
                    None
                };
                TlsFault::Inject { octets, after }
            }
            "drop" => TlsFault::Drop(self.octets_before()?),
            "alert" => TlsFault::Alert(self.octets_before()?),
            "certificate" => {
                let word = self.word();
                match word.parse::<Certificate>() {
                    Ok(certificate) => TlsFault::Certificate(certificate),
                    Err(_) => return self.back(word, Certificate::names()),
                }
            }
            _ => return self.back(word, EXPECTED),
        })
    }

    /// Behind how many octets, none included.
    fn octets_before(&mut self) -> Result<u32, PlanError> {
        self.keyword("after")?;
        let word = self.word();
        match word.parse() {
            Ok(octets) if !word.starts_with('+') => Ok(octets),
            _ => self.back(word, "a number of octets"),
        }
    }

    /// Takes this word if it comes next.
    fn keyword_follows(&mut self, keyword: &str) -> bool {
        self.blanks();
        let follows = self
            .rest()
            .strip_prefix(keyword)
            .is_some_and(|rest| rest.starts_with(' '));
        if follows {
            self.at += keyword.len();
        }
        follows
    }
}
