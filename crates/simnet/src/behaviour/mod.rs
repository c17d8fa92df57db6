//! The library of hostile behaviours: what a server or a network does to clients in the wild, each
//! with its name, its plan, the RFC, and what a good client makes of it.
//!
//! ```
//! use postbound_simnet::behaviour::Behaviour;
//! use postbound_simnet::double::Claim;
//!
//! let lost = Behaviour::find("lost-reply").ok_or("no such behaviour")?;
//! assert_eq!(lost.plan().one_line(), "v1 | data-termination: commit; stall");
//! assert_eq!(lost.truth, Claim::Unknown); // nobody can know: the message may be there
//! # Ok::<(), &str>(())
//! ```

mod cases;
mod network;
mod order;
mod replies;
mod sasl;
mod security;

use std::fmt;

pub use cases::{CASES, HostileCase};

use crate::Plan;
use crate::double::Claim;

/// A behaviour with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Behaviour {
    /// Its name, as `postbound serve --behaviour` takes it.
    pub name: &'static str,
    /// The number of the [hostile case](CASES) that it is an instance of.
    pub case: u8,
    /// Where the RFC says what is right.
    pub rfc: &'static str,
    /// What goes wrong.
    pub wrong: &'static str,
    /// What a good client does and reports.
    pub good: &'static str,
    /// What a good client, whose limits are some seconds each, claims about the message.
    pub truth: Claim,
    /// What the server and the client have to be for it to strike.
    pub needs: Needs,
    rules: &'static str,
}

/// What the server and the client have to be for a behaviour to strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Needs {
    /// Whether and how the server does TLS.
    pub tls: ServerTls,
    /// The mechanism that the server offers, by the name that SASL has for it.
    pub auth: Option<&'static str>,
    /// How many recipients the message has to have.
    pub recipients: u16,
}

/// Whether and how the server does TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerTls {
    /// Not at all.
    No,
    /// By STARTTLS, which the client requires.
    StartTls,
    /// From the first octet, and the client knows.
    Implicit,
    /// From the first octet, and the client believes that it is not so.
    Unexpected,
}

impl ServerTls {
    /// Its name in the text of a behaviour.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::No => "none",
            Self::StartTls => "starttls",
            Self::Implicit => "implicit",
            Self::Unexpected => "implicit, which the client does not know",
        }
    }
}

impl Behaviour {
    const fn new(case: u8, name: &'static str, rfc: &'static str, rules: &'static str) -> Self {
        Self {
            name,
            case,
            rfc,
            wrong: "",
            good: "",
            truth: Claim::NotDelivered,
            needs: Needs {
                tls: ServerTls::No,
                auth: None,
                recipients: 1,
            },
            rules,
        }
    }

    const fn wrong(mut self, wrong: &'static str) -> Self {
        self.wrong = wrong;
        self
    }

    /// What a good client does, where it can say that nothing was taken.
    const fn refuse(mut self, good: &'static str) -> Self {
        self.good = good;
        self.truth = Claim::NotDelivered;
        self
    }

    /// The same, where it delivers all the same.
    const fn deliver(mut self, good: &'static str) -> Self {
        self.good = good;
        self.truth = Claim::Delivered;
        self
    }

    /// The same, where nobody can know.
    const fn unknown(mut self, good: &'static str) -> Self {
        self.good = good;
        self.truth = Claim::Unknown;
        self
    }

    const fn tls(mut self, tls: ServerTls) -> Self {
        self.needs.tls = tls;
        self
    }

    const fn auth(mut self, mechanism: &'static str) -> Self {
        self.needs.auth = Some(mechanism);
        self
    }

    const fn recipients(mut self, count: u16) -> Self {
        self.needs.recipients = count;
        self
    }

    /// Every one, in the order of the cases.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let tables = [
            security::BEHAVIOURS,
            replies::BEHAVIOURS,
            order::BEHAVIOURS,
            sasl::BEHAVIOURS,
            network::BEHAVIOURS,
        ];
        tables.concat()
    }

    /// The one of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|one| one.name == name)
    }

    /// The names that come nearest to one that does not exist, for an error's text.
    #[must_use]
    pub fn like(name: &str) -> Vec<&'static str> {
        let words: Vec<&str> = name.split('-').filter(|word| word.len() > 2).collect();
        let fits = |one: &Self| words.iter().any(|word| one.name.contains(word));
        let all = Self::all();
        all.iter().filter(|one| fits(one)).map(|b| b.name).collect()
    }

    /// Its rules as text: `v1 | rcpt: stall`.
    #[must_use]
    pub fn text(&self) -> String {
        format!("v1 | {}", self.rules)
    }

    /// What goes wrong, as a plan.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let parsed = self.text().parse();
        debug_assert!(parsed.is_ok(), "{}: {parsed:?}", self.name);
        parsed.unwrap_or_default()
    }

    /// The case that it is an instance of.
    #[must_use]
    pub fn hostile_case(&self) -> Option<&'static HostileCase> {
        CASES.iter().find(|case| case.number == self.case)
    }
}

impl fmt::Display for Needs {
    /// What is needed, in words; nothing if nothing is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut needs = Vec::new();
        if self.tls != ServerTls::No {
            needs.push(format!("TLS ({})", self.tls.name()));
        }
        if let Some(mechanism) = self.auth {
            needs.push(format!("AUTH {mechanism}"));
        }
        if self.recipients > 1 {
            needs.push(format!("{} recipients", self.recipients));
        }
        f.write_str(&needs.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Behaviour, CASES};
    use crate::Plan;

    #[test]
    fn every_behaviour_is_complete_and_has_a_name_of_its_own() {
        let mut names = BTreeSet::new();
        for one in Behaviour::all() {
            assert!(names.insert(one.name), "{} twice", one.name);
            assert!(one.hostile_case().is_some(), "{}: case", one.name);
            assert!(one.rfc.starts_with("RFC "), "{}: {}", one.name, one.rfc);
            for text in [one.wrong, one.good] {
                assert!(text.len() > 7, "{}: {text:?}", one.name);
            }
            let plan = one.text().parse::<Plan>();
            assert!(plan.is_ok(), "{}: {plan:?}", one.name);
            assert_eq!(one.plan().one_line().parse(), plan, "{}", one.name);
        }
    }

    #[test]
    fn every_hostile_case_is_played_or_says_why_it_cannot_be() {
        for case in &CASES {
            let played = Behaviour::all().iter().any(|b| b.case == case.number);
            assert_ne!(
                played,
                case.not_by_a_server.is_some(),
                "case {}",
                case.number
            );
        }
        let numbers: Vec<u8> = CASES.iter().map(|case| case.number).collect();
        assert_eq!(numbers, (1..=43).collect::<Vec<u8>>());
    }

    #[test]
    fn a_wrong_name_is_answered_with_those_that_are_near() {
        assert_eq!(Behaviour::find("lost-replay"), None);
        assert!(Behaviour::like("lost-replay").contains(&"lost-reply"));
        assert_eq!(Behaviour::like("zz"), Vec::<&str>::new());
    }
}
