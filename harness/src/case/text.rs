//! A case as its one line of text, and each setting by its name.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use postbound::sasl::UnknownMechanism;
use postbound::{Security, Timeouts};
use simnet::plan::{Plain, ProxyKind, parse_duration};

use super::Case;

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timeout={}", Plain(self.timeout))?;
        for (phase, limit) in &self.timeouts {
            write!(f, " timeout.{phase}={}", Plain(*limit))?;
        }
        write!(f, " recipients={} octets={}", self.recipients, self.octets)?;
        if self.all {
            f.write_str(" require=all")?;
        }
        if self.again {
            f.write_str(" again=yes")?;
        }
        if self.noop {
            f.write_str(" noop=yes")?;
        }
        if !self.pipelining {
            f.write_str(" pipelining=no")?;
        }
        if self.eight_bit {
            f.write_str(" body=8bit")?;
        }
        match self.chunking {
            Some(_) if self.ahead => f.write_str(" chunking=ahead")?,
            Some(octets) => write!(f, " chunking={octets}")?,
            None => {}
        }
        if self.lmtp {
            f.write_str(" protocol=lmtp")?;
        }
        if self.tls != Security::None {
            write!(f, " tls={}", self.tls)?;
        }
        if let Some(tls) = self.server_tls {
            write!(f, " server-tls={tls}")?;
        }
        if let Some(mechanism) = self.auth {
            write!(f, " auth={}", mechanism.name().to_ascii_lowercase())?;
        }
        if let Some(proxy) = self.proxy {
            write!(f, " proxy={proxy}")?;
        }
        for (name, value) in [("deadline", self.deadline), ("cancel", self.cancel)] {
            if let Some(value) = value {
                write!(f, " {name}={}", Plain(value))?;
            }
        }
        for (name, value) in [("reserve", self.reserve), ("linger", self.linger)] {
            if !value.is_zero() {
                write!(f, " {name}={}", Plain(value))?;
            }
        }
        write!(f, " -- {}", self.plan.one_line())
    }
}

/// A line that is no case: what was wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseError(String);

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CaseError {}

impl FromStr for Case {
    type Err = CaseError;

    fn from_str(text: &str) -> Result<Self, CaseError> {
        let (settings, plan) = text.split_once(" -- ").ok_or_else(|| {
            CaseError(
                "a case is `SETTINGS -- PLAN`, such as `timeout=2s -- v1 | rcpt: stall`; there is no ` -- `"
                    .to_owned(),
            )
        })?;
        let mut case = Self::new(
            plan.trim()
                .parse()
                .map_err(|error| CaseError(format!("in the plan: {error}")))?,
        );
        for setting in settings.split_whitespace() {
            let (name, value) = setting
                .split_once('=')
                .ok_or_else(|| CaseError(format!("{setting:?} is no setting; write NAME=VALUE")))?;
            case.set(name, value)
                .map_err(|why| CaseError(format!("{name}={}: {why}", value.escape_default())))?;
        }
        Ok(case)
    }
}

/// Every setting, and the values that the exhaustive sweep combines with those of all others. One
/// that is a quantity and no configuration has none.
pub const SETTINGS: &[(&str, &[&str])] = &[
    ("timeout", &[]),
    ("timeout.PHASE", &[]),
    ("recipients", &["1", "3"]),
    ("octets", &["0", "400"]),
    ("require", &["any", "all"]),
    ("again", &[]),
    ("noop", &[]),
    ("pipelining", &["yes", "no"]),
    ("body", &["7bit", "8bit"]),
    ("chunking", &["no", "150", "ahead"]),
    ("protocol", &["smtp", "lmtp"]),
    // TLS has an exhaustive sweep of its own.
    ("tls", &[]),
    ("server-tls", &[]),
    ("auth", &["none", "plain"]),
    // What is said to a proxy comes before all else, and depends on none of it.
    ("proxy", &[]),
    ("deadline", &[]),
    ("cancel", &[]),
    ("reserve", &[]),
    ("linger", &[]),
];

fn unknown_setting() -> String {
    let names: Vec<_> = SETTINGS.iter().map(|(name, _)| *name).collect();
    format!("no such setting; there are {}", names.join(", "))
}

impl Case {
    /// Changes one setting, as the text form names it.
    ///
    /// # Errors
    /// If [`SETTINGS`] does not have it, or not this value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let listed = |(known, _): &(&str, _)| {
            *known == name || (*known == "timeout.PHASE" && name.starts_with("timeout."))
        };
        if !SETTINGS.iter().any(listed) {
            return Err(unknown_setting());
        }
        match name {
            "timeout" => {
                self.timeout = duration(value)?;
                Timeouts::uniform(self.timeout).map_err(|e| e.to_string())?;
            }
            "recipients" => {
                self.recipients = number(value)?;
                if self.recipients == 0 {
                    return Err("there must be a recipient".to_owned());
                }
            }
            "octets" => {
                self.octets = number(value)?;
                if self.octets > 64 * 1024 * 1024 {
                    return Err("at most 67108864".to_owned());
                }
            }
            "require" if value == "all" => self.all = true,
            "require" if value == "any" => self.all = false,
            "require" => return Err("expected all or any".to_owned()),
            "again" if value == "yes" => self.again = true,
            "again" if value == "no" => self.again = false,
            "again" => return Err("expected yes or no".to_owned()),
            "noop" if value == "yes" => self.noop = true,
            "noop" if value == "no" => self.noop = false,
            "noop" => return Err("expected yes or no".to_owned()),
            "pipelining" if value == "yes" => self.pipelining = true,
            "pipelining" if value == "no" => self.pipelining = false,
            "pipelining" => return Err("expected yes or no".to_owned()),
            "body" if value == "7bit" => self.eight_bit = false,
            "body" if value == "8bit" => self.eight_bit = true,
            "body" => return Err("expected 7bit or 8bit".to_owned()),
            "chunking" if value == "no" => self.chunking = None,
            "chunking" if value == "ahead" => {
                self.chunking = Some(u32::MAX);
                self.ahead = true;
            }
            "chunking" => {
                self.ahead = false;
                let octets: u32 = number(value)?;
                if octets == 0 {
                    return Err("a chunk has at least one octet".to_owned());
                }
                self.chunking = Some(octets);
            }
            "protocol" if value == "smtp" => self.lmtp = false,
            "protocol" if value == "lmtp" => self.lmtp = true,
            "protocol" => return Err("expected smtp or lmtp".to_owned()),
            "tls" => self.tls = value.parse().map_err(|e| format!("{e}"))?,
            "server-tls" => {
                self.server_tls = Some(value.parse().map_err(|e| format!("{e}"))?);
            }
            "auth" if value == "none" => self.auth = None,
            "auth" => {
                let mechanism = value.parse();
                self.auth = Some(mechanism.map_err(|e: UnknownMechanism| e.to_string())?);
            }
            "proxy" if value == "none" => self.proxy = None,
            "proxy" => {
                let known = |kind: &ProxyKind| kind.name() == value;
                let kind = ProxyKind::ALL.into_iter().find(known);
                self.proxy = Some(kind.ok_or("expected none, socks5 or http")?);
            }
            "deadline" => self.deadline = Some(duration(value)?),
            "cancel" => self.cancel = Some(duration(value)?),
            "reserve" => self.reserve = duration(value)?,
            "linger" => self.linger = duration(value)?,
            _ => {
                let Some(phase) = name.strip_prefix("timeout.") else {
                    return Err(unknown_setting());
                };
                let phase = phase
                    .parse()
                    .map_err(|e: postbound::UnknownPhase| e.to_string())?;
                let limit = duration(value)?;
                Timeouts::default()
                    .with(phase, limit)
                    .map_err(|e| e.to_string())?;
                self.timeouts.push((phase, limit));
            }
        }
        Ok(())
    }
}

fn number<T: FromStr>(value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| "expected a whole number that fits".to_owned())
}

fn duration(value: &str) -> Result<Duration, String> {
    parse_duration(value).map_err(|expected| format!("expected {expected}"))
}
