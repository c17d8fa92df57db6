//! One experiment: what the client is asked to do, and what goes wrong meanwhile.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use postbound::{Bounds, CancellationToken, Client, Connector, Envelope, Phase, Require, Timeouts};
use simnet::plan::{Plain, parse_duration};
use simnet::{Double, Plan, Script};

/// One experiment, complete in one line of text: `timeout=2s recipients=1 octets=400 -- v1 | rcpt: stall`.
///
/// Times are whole milliseconds. What is not named has the default that [`Case::default`] shows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Case {
    /// Every phase's limit.
    pub timeout: Duration,
    /// Other limits for some phases.
    pub timeouts: Vec<(Phase, Duration)>,
    /// Recipients of the message.
    pub recipients: u16,
    /// Octets of the message.
    pub octets: u32,
    /// Whether every recipient has to be accepted.
    pub all: bool,
    /// Whether the message is sent once more over the same connection if it is refused.
    pub again: bool,
    /// The overall deadline.
    pub deadline: Option<Duration>,
    /// What of the deadline is kept for the final reply.
    pub reserve: Duration,
    /// How much longer the final reply is waited for.
    pub linger: Duration,
    /// When the token is cancelled.
    pub cancel: Option<Duration>,
    /// Whether the server offers PIPELINING.
    pub pipelining: bool,
    /// Whether the message has octets over 127.
    pub eight_bit: bool,
    /// What goes wrong.
    pub plan: Plan,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            timeouts: Vec::new(),
            recipients: 1,
            octets: 400,
            all: false,
            again: false,
            deadline: None,
            reserve: Duration::ZERO,
            linger: Duration::ZERO,
            cancel: None,
            pipelining: true,
            eight_bit: false,
            plan: Plan::healthy(),
        }
    }
}

impl Case {
    /// The default client against this plan.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            ..Self::default()
        }
    }

    /// The client's limits.
    #[must_use]
    pub fn limits(&self) -> Timeouts {
        let uniform = Timeouts::uniform(self.timeout).unwrap_or_default();
        self.timeouts
            .iter()
            .fold(uniform, |timeouts, (phase, limit)| {
                timeouts.with(*phase, *limit).unwrap_or(timeouts)
            })
    }

    /// The envelope.
    #[must_use]
    pub fn envelope(&self) -> Envelope {
        let from = "sender@client.example".parse().expect("a valid path");
        let to = (1..=self.recipients.max(1)).map(|n| {
            format!("recipient{n}@double.example")
                .parse()
                .expect("a valid path")
        });
        Envelope::new(from, to).expect("there is a recipient")
    }

    /// Which recipients must be accepted.
    #[must_use]
    pub fn require(&self) -> Require {
        if self.all {
            Require::AllRecipients
        } else {
            Require::AnyRecipient
        }
    }

    /// The server that the client meets.
    #[must_use]
    pub fn double(&self) -> Double {
        let mut script = Script::default();
        if !self.pipelining {
            script = script.without("PIPELINING");
        }
        Double::new(self.plan.clone()).with_script(script)
    }

    /// The message: lines that begin with dots are among the others.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        let octets = usize::try_from(self.octets).unwrap_or(usize::MAX);
        let mut message = b"Subject: a case\r\n\r\n".to_vec();
        if self.eight_bit {
            message.extend_from_slice("Gr\u{fc}\u{df}e\r\n".as_bytes());
        }
        let mut line = 0;
        while message.len() < octets {
            line += 1;
            let text: &[u8] = match line % 5 {
                1 => b".leading dot\r\n",
                2 => b".\r\n",
                3 => b"..two\r\n",
                _ => b"The quick brown fox jumps over the lazy dog, again and again and again.\r\n",
            };
            message.extend_from_slice(text);
        }
        message
    }

    /// The client that is put to the test.
    #[must_use]
    pub fn client<C: Connector>(&self, connector: C) -> Client<C> {
        Client::builder("double.example", 25)
            .timeouts(self.limits())
            .require(self.require())
            .connector(connector)
            .build()
            .expect("a valid client")
    }

    /// The call's bounds, with this token.
    pub fn bounds(&self, token: &CancellationToken) -> Bounds {
        let bounds = Bounds::none()
            .cancelled_by(token)
            .reserve(self.reserve)
            .linger(self.linger);
        match self.deadline {
            Some(deadline) => bounds.within(deadline),
            None => bounds,
        }
    }

    /// The longest that the call may last: the sum of the limits, or the deadline if it is earlier,
    /// and the linger.
    #[must_use]
    pub fn promise(&self) -> Duration {
        let message = self.message();
        let octets = postbound::wire_octets(&message);
        let sum = self
            .limits()
            .worst_case(usize::from(self.recipients.max(1)), octets)
            .total();
        let again = if self.again {
            // The refused transaction, and the RSET behind it.
            let limits = self.limits();
            let refused = limits
                .worst_case(usize::from(self.recipients.max(1)), octets)
                .between(Phase::Mail, Phase::DataTermination);
            refused.total() + limits.of(Phase::Reset)
        } else {
            Duration::ZERO
        };
        let sum = sum + again;
        self.deadline.map_or(sum, |deadline| deadline.min(sum)) + self.linger
    }
}

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
        if !self.pipelining {
            f.write_str(" pipelining=no")?;
        }
        if self.eight_bit {
            f.write_str(" body=8bit")?;
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
    ("pipelining", &["yes", "no"]),
    ("body", &["7bit", "8bit"]),
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
            "pipelining" if value == "yes" => self.pipelining = true,
            "pipelining" if value == "no" => self.pipelining = false,
            "pipelining" => return Err("expected yes or no".to_owned()),
            "body" if value == "7bit" => self.eight_bit = false,
            "body" if value == "8bit" => self.eight_bit = true,
            "body" => return Err("expected 7bit or 8bit".to_owned()),
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
