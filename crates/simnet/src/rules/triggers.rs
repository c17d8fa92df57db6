//! Zero configuration: behaviour that a client asks for by an address or by its EHLO name.
//!
//! A label is what stands before the `@`, up to a `+` if there is one (so that each test can have an
//! address of its own, `rcpt451+7@…`), or the first label of an EHLO name. It says
//!
//! - a phase and a reply code, with an enhanced status code if wanted: `rcpt451`, `rcpt550_5.1.1`,
//!   `mail421`, `data452` (in place of 354), `dot552` (in place of the final 250), `rset500`, `quit421`,
//!   `ehlo502`;
//! - a named fault and a phase, as `postbound plan list` has them: `drip-rcpt`,
//!   `lost-reply-data-termination`;
//! - a delay or a drip of one's own: `delay5s-mail`, `drip200ms-dot`;
//! - a hostile behaviour that the server plays behind the greeting: `lost-reply`, `mixed-codes`.
//!
//! What comes before any command is asked for by the port: see [`port_faults`](crate::port_faults).
//!
//! What an EHLO name asks for holds for the connection, what an address asks for until the
//! transaction ends, and at RCPT for that one recipient.

use std::time::Duration;

use proto::Phase;

use super::{RuleId, Rules};
use crate::behaviour::Behaviour;
use crate::plan::vocabulary::faults;
use crate::plan::{Pace, Pattern, Plan, Rule, Say, ServerFault, When, parse_duration};

/// That a client may ask for faults, and how long named ones last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Triggers {
    /// About the client's limit for each phase: named delays last half of it. Default 10 s.
    pub scale: Duration,
}

impl Default for Triggers {
    fn default() -> Self {
        Self {
            scale: Duration::from_secs(10),
        }
    }
}

impl Triggers {
    /// How a client asks, for a person to read.
    pub const GRAMMAR: &'static str = "\
ADDRESS   LABEL[+ANYTHING]@ANYWHERE, as reverse-path or forward-path: until the transaction ends, at RCPT for that one recipient
EHLO      LABEL[.ANYTHING]: for the connection
LABEL     PHASE CODE[_STATUS]       rcpt451, rcpt550_5.1.1, mail421, data452, dot552, rset500, quit421, ehlo502
          delayTIME-PHASE           delay5s-mail
          dripTIME-PHASE            drip200ms-dot
          FAULT-PHASE               drip-rcpt, half-then-close-data, lost-reply-dot (`postbound plan list` has the faults of each phase)
          BEHAVIOUR                 lost-reply, mixed-codes (those that the server plays behind the greeting)
PHASE     a phase's name, or data (DATA and its 354), dot (the end of mail data and its reply), rset
CODE      400 to 559; STATUS an enhanced status code";

    /// The plan that a label asks for; `None` if it is an ordinary one.
    #[must_use]
    pub fn plan(self, label: &str) -> Option<Plan> {
        let label = label.to_ascii_lowercase();
        by_code(&label)
            .or_else(|| by_time(&label))
            .or_else(|| self.by_fault(&label))
            .or_else(|| by_behaviour(&label))
            .filter(|plan| plan.rules.iter().all(in_time))
    }

    fn by_fault(self, label: &str) -> Option<Plan> {
        // Both names may have hyphens in them.
        label.match_indices('-').find_map(|(at, _)| {
            let (name, rest) = label.split_at(at);
            let phase = phase(rest.strip_prefix('-')?)?;
            let mut known = faults(phase, self.scale).into_iter();
            Some(known.find(|fault| fault.name == name)?.plan)
        })
    }
}

/// A phase by its own name or by the words of testers.
fn phase(word: &str) -> Option<Phase> {
    match word {
        "data" => Some(Phase::DataInitiation),
        "dot" => Some(Phase::DataTermination),
        "rset" => Some(Phase::Reset),
        _ => word.parse().ok(),
    }
}

fn at(phase: Phase, fault: ServerFault) -> Plan {
    Plan::of([Rule::Server {
        phase,
        nth: None,
        fault,
    }])
}

/// `rcpt451`, `rcpt550_5.1.1`
fn by_code(label: &str) -> Option<Plan> {
    let digits = label.find(|c: char| c.is_ascii_digit())?;
    let (word, rest) = label.split_at(digits);
    let (code, enhanced) = rest.split_once('_').unwrap_or((rest, ""));
    let code = code.parse::<u16>().ok().filter(|code| *code >= 400)?;
    proto::ReplyCode::new(code)?;
    let class = code / 100;
    let enhanced = match enhanced {
        "" => format!("{class}.0.0"),
        given
            if given.split('.').count() == 3
                && given.bytes().all(|o| b".0123456789".contains(&o)) =>
        {
            given.to_owned()
        }
        _ => return None,
    };
    let fault = ServerFault::reply(code, format!("{enhanced} as asked for"));
    let closes = if code == 421 {
        fault.then(crate::plan::Then::Close)
    } else {
        fault
    };
    Some(at(phase(word)?, closes))
}

/// `lost-reply`: one that the server alone plays.
fn by_behaviour(label: &str) -> Option<Plan> {
    let plan = Behaviour::find(label)?.plan();
    plan.rules
        .iter()
        .all(Rule::takes_conditions)
        .then_some(plan)
}

/// Whether it is not too late for it once a command was said.
fn in_time(rule: &Rule) -> bool {
    match rule {
        Rule::Server { phase, .. } => *phase != Phase::Greeting,
        Rule::Resolve(_) | Rule::Connect { .. } | Rule::Tls(_) | Rule::Proxy(_) => false,
        _ => true,
    }
}

/// `delay5s-mail`, `drip200ms-dot`
fn by_time(label: &str) -> Option<Plan> {
    let (what, word) = label.split_once('-')?;
    let pace = |text| parse_duration(text).ok().filter(|time| !time.is_zero());
    let pace = match what.strip_prefix("delay") {
        Some(time) => Pace::After(pace(time)?),
        None => Pace::Drip(pace(what.strip_prefix("drip")?)?),
    };
    Some(at(phase(word)?, ServerFault::say(Say::Normal).pace(pace)))
}

/// What one connection's client asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    triggers: Option<Triggers>,
    pub(crate) rules: Rules,
    /// Those of the transaction.
    transaction: Vec<RuleId>,
}

/// Rules that addresses of one transaction may ask for.
const RULES: usize = 100;

impl Asked {
    pub(crate) fn new(triggers: Option<Triggers>) -> Self {
        Self {
            triggers,
            rules: Rules::default(),
            transaction: Vec::new(),
        }
    }

    fn plan(&self, label: &str) -> Option<Plan> {
        self.triggers?.plan(label)
    }

    pub(crate) fn by_name(&mut self, name: &str) {
        self.rules.clear();
        self.transaction.clear();
        if let Some(plan) = self.plan(name.split('.').next().unwrap_or_default()) {
            self.rules.add(plan.rules);
        }
    }

    pub(crate) fn by_sender(&mut self, path: &str) {
        if let Some(plan) = self.plan(label(path)) {
            self.transaction.extend(self.rules.add(plan.rules));
        }
    }

    pub(crate) fn by_recipient(&mut self, path: &str) {
        if self.transaction.len() >= RULES {
            return;
        }
        let Some(plan) = self.plan(label(path)) else {
            return;
        };
        let rules = plan.rules.into_iter().map(|rule| match rule {
            Rule::Server {
                phase: Phase::Rcpt, ..
            } => rule.when(When {
                to: Some(Pattern::new(path.replace('*', ""))),
                ..When::default()
            }),
            rule => rule,
        });
        self.transaction.extend(self.rules.add(rules));
    }

    /// The transaction is over.
    pub(crate) fn forget(&mut self) {
        for id in self.transaction.drain(..) {
            self.rules.remove(id);
        }
    }
}

/// What stands before the `@`, up to a `+`.
fn label(path: &str) -> &str {
    let local = path.rsplit_once('@').map_or(path, |(local, _)| local);
    local.split('+').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Triggers, label};

    #[test]
    fn labels_ask_for_what_testers_expect() {
        for (label, plan) in [
            ("rcpt451", "v1 | rcpt: reply 451 4.0.0 as asked for"),
            ("RCPT550_5.1.1", "v1 | rcpt: reply 550 5.1.1 as asked for"),
            ("mail421", "v1 | mail: reply 421 4.0.0 as asked for; close"),
            (
                "data452",
                "v1 | data-initiation: reply 452 4.0.0 as asked for",
            ),
            (
                "dot552",
                "v1 | data-termination: reply 552 5.0.0 as asked for",
            ),
            ("delay5s-mail", "v1 | mail: normal; after 5s"),
            ("drip200ms-dot", "v1 | data-termination: normal; drip 200ms"),
            ("drip-rcpt", "v1 | rcpt: normal; drip 1250ms"),
            ("half-then-close-ehlo", "v1 | ehlo: half; close"),
            ("lost-reply-dot", "v1 | data-termination: commit; stall"),
            ("lost-reply", "v1 | data-termination: commit; stall"),
            ("reply-missing", "v1 | rcpt#2: nothing"),
        ] {
            let asked = Triggers::default().plan(label);
            assert_eq!(
                asked.map(|plan| plan.one_line()).as_deref(),
                Some(plan),
                "{label}"
            );
        }
    }

    #[test]
    fn ordinary_names_ask_for_nothing() {
        for label in [
            "",
            "bob",
            "rcpt",
            "rcpt250",
            "rcpt999",
            "rcpt45",
            "mx1",
            "drip",
            "delayed-mail",
            "delay0s-mail",
            "rcpt550_x",
            "john-doe",
            "drip-nothing",
            // Too late, or not the server's to play.
            "greeting-554",
            "greeting554",
            "drip-greeting",
            "blackhole-connect",
            "connection-refused",
            "zero-window",
        ] {
            assert_eq!(Triggers::default().plan(label), None, "{label}");
        }
    }

    #[test]
    fn a_label_is_what_stands_before_the_at_and_the_plus() {
        assert_eq!(label("rcpt451+7@x.example"), "rcpt451");
        assert_eq!(label("rcpt451@x.example"), "rcpt451");
        assert_eq!(label("Postmaster"), "Postmaster");
    }
}
