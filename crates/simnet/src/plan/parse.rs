//! A plan from text.

mod cursor;
mod link;
mod proxy;
mod server;
mod tls;
mod when;

use std::fmt;
use std::str::FromStr;

use proto::Phase;

use cursor::Cursor;

use super::{ConnectFault, Family, IntakeFault, Plan, ResolveFault, Rule, When};

/// A plan that can't be read: where, what was found, what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanError {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What stands there.
    pub found: String,
    /// What should.
    pub expected: String,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            column,
            found,
            expected,
        } = self;
        write!(f, "line {line}, column {column}: expected {expected}, ")?;
        if found.is_empty() {
            f.write_str("found the end of the line")
        } else {
            write!(f, "found {found:?}")
        }
    }
}

impl std::error::Error for PlanError {}

impl FromStr for Plan {
    type Err = PlanError;

    /// Reads the form of a file (`postbound-plan v1`, then a rule a line; `#` begins a comment line)
    /// or of a replay key (`v1 | RULE | RULE`).
    fn from_str(text: &str) -> Result<Self, PlanError> {
        let mut plan = Self::default();
        if let Some(rest) = text.strip_prefix("v1")
            && rest.trim_start().chars().next().is_none_or(|c| c == '|')
        {
            let mut cursor = Cursor::new(1, text, 2);
            loop {
                cursor.blanks();
                if cursor.rest().is_empty() {
                    return Ok(plan);
                }
                cursor.literal("|", "| and another rule, on the same line")?;
                plan.rules.push(cursor.rule()?);
            }
        }
        let mut versioned = false;
        for (number, line) in text.lines().enumerate() {
            let mut cursor = Cursor::new(number + 1, line, 0);
            cursor.blanks();
            if cursor.rest().is_empty() || cursor.rest().starts_with('#') {
                continue;
            }
            if versioned {
                plan.rules.push(cursor.rule()?);
                cursor.end()?;
            } else {
                cursor.version()?;
                versioned = true;
            }
        }
        if versioned {
            Ok(plan)
        } else {
            Cursor::new(text.lines().count().max(1), "", 0)
                .fail("the version line, postbound-plan v1")
        }
    }
}

impl<'a> Cursor<'a> {
    fn rule(&mut self) -> Result<Rule, PlanError> {
        let (mut when, mut bracket) = (None, 0);
        let rule = self.place(&mut when, &mut bracket)?;
        match when {
            None => Ok(rule),
            Some(when) if rule.takes_conditions() => Ok(rule.when(when)),
            Some(_) => {
                self.at = bracket;
                self.fail("no conditions: only what the server does can have them")
            }
        }
    }

    fn place(&mut self, when: &mut Option<When>, bracket: &mut usize) -> Result<Rule, PlanError> {
        self.blanks();
        let start = self.at;
        let word = self.word();
        let nth = if self.rest().starts_with('#') {
            self.at += 1;
            Some(self.number::<u16>("a number from 1 to 65535")?)
        } else {
            None
        };
        *bracket = self.at;
        *when = self.when()?;
        if matches!(word, "link" | "proxy") || word.parse::<Phase>().is_ok() {
            self.literal(":", "a colon")?;
        }
        match (word, nth) {
            ("link", None) => self.link(),
            ("proxy", None) => Ok(Rule::Proxy(self.proxy()?)),
            ("resolve", None) => self.resolve(),
            ("checkout" | "backoff", _) => {
                self.at = start;
                self.fail("another phase: the client waits for itself here and for no peer")
            }
            ("tls-handshake", None) => Ok(Rule::Tls(self.tls()?)),
            ("link" | "proxy" | "resolve" | "tls-handshake", _) => {
                self.at = start;
                self.fail("the place without a number")
            }
            ("connect", address) => self.connect(address),
            _ => match word.parse::<Phase>() {
                Ok(phase) => {
                    if phase == Phase::DataBlock
                        && let Some(intake) = self.intake(nth.is_some())?
                    {
                        return Ok(intake);
                    }
                    let fault = self.server(Some(phase))?;
                    Ok(Rule::Server { phase, nth, fault })
                }
                Err(_) => {
                    self.at = start;
                    let own = [Phase::Checkout, Phase::Backoff];
                    let places = Phase::ALL.iter().filter(|phase| !own.contains(phase));
                    let names: Vec<_> = places.map(|phase| phase.name()).collect();
                    self.fail(format!("a place: link, proxy, {}", names.join(", ")))
                }
            },
        }
    }

    fn resolve(&mut self) -> Result<Rule, PlanError> {
        let word = self.word();
        Ok(Rule::Resolve(match word {
            "hang" => ResolveFault::Hang,
            "fail" => ResolveFault::Fail,
            "empty" => ResolveFault::Empty,
            "after" => ResolveFault::After(self.duration()?),
            "addresses" => self.addresses()?,
            _ => {
                return self.back(
                    word,
                    "hang, fail, empty, after TIME, addresses NUMBER or addresses v4 v6...",
                );
            }
        }))
    }

    /// How many there are, or the family of each.
    fn addresses(&mut self) -> Result<ResolveFault, PlanError> {
        const EXPECTED: &str = "a number from 1 to 1000, or v4 and v6 for up to 1000 addresses";
        let mut families = Vec::new();
        loop {
            self.blanks();
            let before = self.at;
            match self.word() {
                "v4" => families.push(Family::V4),
                "v6" => families.push(Family::V6),
                "" if !families.is_empty() => return Ok(ResolveFault::Families(families)),
                _ if families.is_empty() => {
                    self.at = before;
                    return match self.number::<u16>(EXPECTED)? {
                        count @ 1..=1_000 => Ok(ResolveFault::Addresses(count)),
                        _ => {
                            self.at = before;
                            self.fail(EXPECTED)
                        }
                    };
                }
                word => return self.back(word, "v4, v6 or the end of the rule"),
            }
            if families.len() > 1_000 {
                self.at = before;
                return self.fail(EXPECTED);
            }
        }
    }

    fn connect(&mut self, address: Option<u16>) -> Result<Rule, PlanError> {
        let word = self.word();
        let fault = match word {
            "refuse" => ConnectFault::Refuse,
            "unreachable" => ConnectFault::Unreachable,
            "blackhole" => ConnectFault::Blackhole,
            "after" => ConnectFault::After(self.duration()?),
            _ => return self.back(word, "refuse, unreachable, blackhole or after TIME"),
        };
        Ok(Rule::Connect { address, fault })
    }

    /// How mail data is taken in, or nothing: a reply to one of its chunks.
    fn intake(&mut self, numbered: bool) -> Result<Option<Rule>, PlanError> {
        self.blanks();
        let start = self.at;
        let word = self.word();
        if numbered && matches!(word, "stop" | "trickle" | "interrupt") {
            self.at = start;
            return self.fail("what is said to this chunk: mail data is taken in as a whole");
        }
        Ok(Some(Rule::Intake(match word {
            "stop" => {
                self.keyword("after")?;
                let after = self.number::<u64>("a number of octets, at least 1")?;
                IntakeFault::Stop {
                    after,
                    heal: self.heal()?,
                }
            }
            "trickle" => {
                let octets = self.number::<u32>("a number of octets, at least 1")?;
                self.keyword("every")?;
                IntakeFault::Trickle {
                    octets,
                    every: self.duration()?,
                }
            }
            "interrupt" => {
                self.keyword("after")?;
                let after = self.number::<u64>("a number of octets, at least 1")?;
                self.blanks();
                self.literal(";", "; and what the server does then")?;
                IntakeFault::Interrupt {
                    after,
                    fault: self.server(None)?,
                }
            }
            _ => {
                self.at = start;
                return Ok(None);
            }
        })))
    }
}
