//! A plan from text.

mod proxy;
mod tls;
mod when;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use proto::Phase;

use super::duration::parse_duration;
use super::{
    ConnectFault, Direction, Family, IntakeFault, LinkFault, Pace, Plan, ResolveFault, Rule,
    SaslFault, Say, ServerFault, Strike, Then, When,
};

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

const CLAUSES: &str = "normal, reply CODE [TEXT], raw \"OCTETS\", half, nothing, garbage, endless-lines, endless-line, twice, after TIME, drip TIME, continue, close, reset, stall or commit; at auth wrong-nonce, wrong-binding, bad-signature, iterations NUMBER, oversize or echo";

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
                cursor.literal("postbound-plan v1", "the version line, postbound-plan v1")?;
                cursor.blanks();
                cursor.end()?;
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

struct Cursor<'a> {
    line: usize,
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    const fn new(line: usize, text: &'a str, at: usize) -> Self {
        Self { line, text, at }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn fail<T>(&self, expected: impl Into<String>) -> Result<T, PlanError> {
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

    fn blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn literal(&mut self, literal: &str, expected: &str) -> Result<(), PlanError> {
        if !self.rest().starts_with(literal) {
            return self.fail(expected);
        }
        self.at += literal.len();
        Ok(())
    }

    fn end(&mut self) -> Result<(), PlanError> {
        self.blanks();
        if self.rest().is_empty() {
            Ok(())
        } else {
            self.fail("the end of the line, or `;` and another clause")
        }
    }

    /// The next word: up to a blank, `;`, `|`, `:`, `#` or `[`.
    fn word(&mut self) -> &'a str {
        self.blanks();
        let rest = self.rest();
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, ';' | '|' | ':' | '#' | '['))
            .unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn back<T>(&mut self, word: &str, expected: impl Into<String>) -> Result<T, PlanError> {
        self.at -= word.len();
        self.fail(expected)
    }

    fn number<T: FromStr + PartialOrd + From<u8>>(&mut self, what: &str) -> Result<T, PlanError> {
        let word = self.word();
        match word.parse::<T>() {
            Ok(number) if number >= T::from(1) && !word.starts_with('+') => Ok(number),
            _ => self.back(word, what),
        }
    }

    fn duration(&mut self) -> Result<Duration, PlanError> {
        let word = self.word();
        match parse_duration(word) {
            Ok(duration) if !duration.is_zero() => Ok(duration),
            Ok(_) => self.back(word, "a time of at least 1ms"),
            Err(expected) => self.back(word, expected),
        }
    }

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
        let start = self.text.len() - self.rest().trim_start().len();
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
        const EXPECTED: &str = "a number from 1 to 250, or v4 and v6 for up to 250 addresses";
        let mut families = Vec::new();
        loop {
            let before = self.at;
            match self.word() {
                "v4" => families.push(Family::V4),
                "v6" => families.push(Family::V6),
                "" if !families.is_empty() => return Ok(ResolveFault::Families(families)),
                _ if families.is_empty() => {
                    self.at = before;
                    return match self.number::<u16>(EXPECTED)? {
                        count @ 1..=250 => Ok(ResolveFault::Addresses(count)),
                        count => self.back(&count.to_string(), EXPECTED),
                    };
                }
                word => return self.back(word, "v4, v6 or the end of the rule"),
            }
            if families.len() > 250 {
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

    fn keyword(&mut self, keyword: &str) -> Result<(), PlanError> {
        let word = self.word();
        if word == keyword {
            Ok(())
        } else {
            self.back(word, keyword)
        }
    }

    fn heal(&mut self) -> Result<Option<Duration>, PlanError> {
        self.blanks();
        if self.rest().starts_with("heal ") {
            self.keyword("heal")?;
            return self.duration().map(Some);
        }
        Ok(None)
    }

    fn direction(&mut self) -> Result<Direction, PlanError> {
        let word = self.word();
        match word {
            "" | "both" => Ok(Direction::Both),
            "to-server" => Ok(Direction::ToServer),
            "to-client" => Ok(Direction::ToClient),
            _ => self.back(word, "to-server, to-client, both or the end of the line"),
        }
    }

    fn link(&mut self) -> Result<Rule, PlanError> {
        let word = self.word();
        Ok(Rule::Link(match word {
            "latency" => LinkFault::Latency(self.duration()?),
            "window" => LinkFault::Window(self.number("a number of octets, at least 1")?),
            "fragment" => LinkFault::Fragment {
                octets: self.number("a number of octets, at least 1")?,
                direction: self.direction()?,
            },
            "coalesce" => LinkFault::Coalesce {
                every: self.duration()?,
                direction: self.direction()?,
            },
            "blackhole" => {
                self.keyword("after")?;
                LinkFault::Blackhole {
                    after: self.duration()?,
                    heal: self.heal()?,
                    direction: self.direction()?,
                }
            }
            "at" => {
                self.keyword("octet")?;
                let octet = self.number::<u64>("an octet's number, from 1")?;
                self.strike(octet)?
            }
            _ => {
                return self.back(
                    word,
                    "latency TIME, window OCTETS, fragment OCTETS, coalesce TIME, blackhole after TIME or at octet NUMBER",
                );
            }
        }))
    }

    fn strike(&mut self, octet: u64) -> Result<LinkFault, PlanError> {
        let word = self.word();
        let direction = match word {
            "to-server" => Direction::ToServer,
            "to-client" => Direction::ToClient,
            _ => return self.back(word, "to-server or to-client"),
        };
        let word = self.word();
        let strike = match word {
            "stall" => Strike::Stall,
            "shut" => Strike::Shut,
            "close" => Strike::Close,
            "reset" => Strike::Reset,
            "corrupt" if direction == Direction::ToClient => Strike::Corrupt,
            "corrupt" => {
                return self.back(word, "another strike: only to-client is anything corrupted");
            }
            "drip" => Strike::Drip(self.duration()?),
            _ => return self.back(word, "stall, shut, close, reset, corrupt or drip TIME"),
        };
        Ok(LinkFault::At {
            octet,
            direction,
            strike,
        })
    }

    fn server(&mut self, phase: Option<Phase>) -> Result<ServerFault, PlanError> {
        let (mut say, mut pace, mut then, mut commit) = (None, None, None, false);
        loop {
            let word = self.word();
            let repeated = match word {
                "normal" => say.replace(Say::Normal).is_some(),
                "half" => say.replace(Say::Half).is_some(),
                "nothing" => say.replace(Say::Nothing).is_some(),
                "garbage" => say.replace(Say::Garbage).is_some(),
                "endless-lines" => say.replace(Say::EndlessLines).is_some(),
                "endless-line" => say.replace(Say::EndlessLine).is_some(),
                "twice" => say.replace(Say::Twice).is_some(),
                _ if SaslFault::NAMES.contains(&word) => {
                    if phase != Some(Phase::Auth) {
                        return self.back(word, format!("no {word}: only auth can"));
                    }
                    say.replace(Say::Sasl(self.sasl(word)?)).is_some()
                }
                "reply" => say.replace(self.reply()?).is_some(),
                "raw" => {
                    self.blanks();
                    let octets = self.quoted()?;
                    say.replace(Say::Raw(octets)).is_some()
                }
                "after" => pace.replace(Pace::After(self.duration()?)).is_some(),
                "drip" => pace.replace(Pace::Drip(self.duration()?)).is_some(),
                "continue" => then.replace(Then::Continue).is_some(),
                "close" => then.replace(Then::Close).is_some(),
                "reset" => then.replace(Then::Reset).is_some(),
                "stall" => then.replace(Then::Stall).is_some(),
                "commit" if phase != Some(Phase::DataTermination) => {
                    return self.back(word, "no commit: only data-termination can");
                }
                "commit" => std::mem::replace(&mut commit, true),
                _ => return self.back(word, CLAUSES),
            };
            if repeated {
                return self.back(
                    word,
                    "one clause each of what is said, how fast, and what comes then",
                );
            }
            self.blanks();
            if !self.rest().starts_with(';') {
                break;
            }
            self.at += 1;
        }
        let silent = then.is_some_and(|then| then != Then::Continue) && pace.is_none();
        Ok(ServerFault {
            say: say.unwrap_or(if silent { Say::Nothing } else { Say::Normal }),
            pace: pace.unwrap_or(Pace::AtOnce),
            then: then.unwrap_or(Then::Continue),
            commit,
        })
    }

    fn sasl(&mut self, word: &str) -> Result<SaslFault, PlanError> {
        Ok(match word {
            "wrong-nonce" => SaslFault::WrongNonce,
            "wrong-binding" => SaslFault::WrongBinding,
            "bad-signature" => SaslFault::BadSignature,
            "iterations" => SaslFault::Iterations(self.number("a number of iterations")?),
            "oversize" => SaslFault::Oversize,
            _ => SaslFault::Echo,
        })
    }

    fn reply(&mut self) -> Result<Say, PlanError> {
        let code = self.number::<u16>("a reply code from 200 to 559")?;
        if proto::ReplyCode::new(code).is_none() {
            return self.back(&code.to_string(), "a reply code from 200 to 559");
        }
        self.blanks();
        if self.rest().starts_with('"') {
            let octets = self.quoted()?;
            return match String::from_utf8(octets) {
                Ok(text) => Ok(Say::Reply { code, text }),
                Err(_) => self.fail("text in UTF-8; write other octets with raw"),
            };
        }
        let rest = self.rest();
        let end = rest.find([';', '|']).unwrap_or(rest.len());
        self.at += end;
        let text = rest.get(..end).unwrap_or_default().trim_end();
        Ok(Say::Reply {
            code,
            text: text.to_owned(),
        })
    }

    /// Octets in quotes, with `\r \n \t \\ \" \' \0 \xNN` and `\u{N}`.
    fn quoted(&mut self) -> Result<Vec<u8>, PlanError> {
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
