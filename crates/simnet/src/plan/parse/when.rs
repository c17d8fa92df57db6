//! The conditions in brackets behind a rule's place.

use super::{Cursor, PlanError};
use crate::plan::{Pattern, When};

const CONDITIONS: &str = "a condition: ADDRESS, to PATTERN, from PATTERN, ehlo PATTERN, connection N, command N, greylist TIME, over N per TIME, first N, times N or name NAME";

impl Cursor<'_> {
    /// Reads `[CONDITION, …]`, if it stands here.
    pub(super) fn when(&mut self) -> Result<Option<When>, PlanError> {
        if !self.rest().starts_with('[') {
            return Ok(None);
        }
        self.at += 1;
        let mut when = When::default();
        loop {
            self.blanks();
            let start = self.at;
            if self.condition(&mut when)? {
                self.at = start;
                return self.fail("each condition once");
            }
            self.blanks();
            match self.rest().chars().next() {
                Some(',') => self.at += 1,
                Some(']') => {
                    self.at += 1;
                    return Ok(Some(when));
                }
                _ => return self.fail("a comma and another condition, or ]"),
            }
        }
    }

    /// Reads one condition. Says whether it was there before.
    fn condition(&mut self, when: &mut When) -> Result<bool, PlanError> {
        const COUNT: &str = "a number, at least 1";
        let start = self.at;
        let pattern = self.pattern()?;
        Ok(match pattern.as_str() {
            "name" => when.name.replace(self.operand()?).is_some(),
            "to" => when.to.replace(Pattern::new(self.operand()?)).is_some(),
            "from" => when.from.replace(Pattern::new(self.operand()?)).is_some(),
            "ehlo" => when.ehlo.replace(Pattern::new(self.operand()?)).is_some(),
            "connection" => when.connection.replace(self.count(COUNT)?).is_some(),
            "command" => when.command.replace(self.count(COUNT)?).is_some(),
            "first" => when.first.replace(self.count(COUNT)?).is_some(),
            "times" => when.times.replace(self.count(COUNT)?).is_some(),
            "greylist" => {
                let word = self.operand()?;
                let duration = self.time(&word)?;
                when.greylist.replace(duration).is_some()
            }
            "over" => {
                let count = self.count(COUNT)?;
                self.blanks();
                self.literal("per ", "per TIME")?;
                let word = self.operand()?;
                let duration = self.time(&word)?;
                when.over.replace((count, duration)).is_some()
            }
            address if address.contains('@') => when.to.replace(Pattern::new(address)).is_some(),
            _ => {
                self.at = start;
                return self.fail(CONDITIONS);
            }
        })
    }

    fn operand(&mut self) -> Result<String, PlanError> {
        self.blanks();
        self.pattern()
    }

    /// A word of a condition, or a text in quotes.
    fn pattern(&mut self) -> Result<String, PlanError> {
        if self.rest().starts_with('"') {
            return match String::from_utf8(self.quoted()?) {
                Ok(text) => Ok(text),
                Err(_) => self.fail("text in UTF-8"),
            };
        }
        let rest = self.rest();
        let end = rest
            .find(|c: char| c.is_whitespace() || "[],;:|#\"\\".contains(c))
            .unwrap_or(rest.len());
        if end == 0 {
            return self.fail(CONDITIONS);
        }
        self.at += end;
        Ok(rest.get(..end).unwrap_or_default().to_owned())
    }

    fn count(&mut self, what: &str) -> Result<u32, PlanError> {
        self.blanks();
        let start = self.at;
        let word = self.pattern()?;
        match word.parse::<u32>() {
            Ok(number) if number >= 1 && !word.starts_with('+') => Ok(number),
            _ => {
                self.at = start;
                self.fail(what)
            }
        }
    }

    fn time(&mut self, word: &str) -> Result<std::time::Duration, PlanError> {
        match crate::plan::parse_duration(word) {
            Ok(duration) if !duration.is_zero() => Ok(duration),
            Ok(_) => self.back(word, "a time of at least 1ms"),
            Err(expected) => self.back(word, expected),
        }
    }
}
