//! Where a rule strikes and what kind of fault it is, without its quantities: what is counted together.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use proto::Phase;

use super::{Direction, LinkFault, Rule, Strike};

/// Where a rule strikes.
#[expect(clippy::exhaustive_enums, reason = "these are the places of a plan")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// At the proxy in front of the server.
    Proxy,
    /// On the network.
    Link,
    /// At a phase.
    Phase(Phase),
}

impl Place {
    /// Its name in a plan.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Link => "link",
            Self::Phase(phase) => phase.name(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Place {
    type Err = proto::UnknownPhase;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "proxy" => Ok(Self::Proxy),
            "link" => Ok(Self::Link),
            _ => name.parse().map(Self::Phase),
        }
    }
}

/// Where and what: a cell of what is covered.
pub(crate) type Label = (Place, Cow<'static, str>);

impl Rule {
    pub(crate) fn label(&self) -> Label {
        (self.place(), self.kind())
    }

    /// Where it strikes.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::Phase(match self.split().1 {
            Self::Server { phase, .. } => *phase,
            Self::Resolve(_) => Phase::Resolve,
            Self::Connect { .. } => Phase::Connect,
            Self::Intake(_) => Phase::DataBlock,
            Self::Tls(_) => Phase::TlsHandshake,
            Self::Proxy(_) => return Place::Proxy,
            Self::Link(_) | Self::When { .. } => return Place::Link,
        })
    }

    /// What kind of fault it is, without its quantities: the first word of each of its clauses, with a
    /// reply's class. `rcpt#2: reply 451 4.7.1 later; after 2s` is `reply-4yz, after`.
    ///
    /// ```
    /// use postbound_simnet::Plan;
    ///
    /// let plan: Plan = "v1 | data-termination: commit; half; stall | link: at octet 7 to-client close".parse()?;
    /// let kinds: Vec<_> = plan.rules.iter().map(|rule| rule.kind()).collect();
    /// assert_eq!(kinds, ["commit, half, stall", "close to-client"]);
    /// # Ok::<(), postbound_simnet::PlanError>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> Cow<'static, str> {
        let rule = self.split().1;
        if let Self::Link(LinkFault::At {
            strike, direction, ..
        }) = rule
        {
            return Cow::Borrowed(strike.kind(*direction));
        }
        let text = rule.to_string();
        let (_, what) = text.split_once(": ").unwrap_or(("", &text));
        // What is quoted is said and not done.
        let quoted = what.find('"').zip(what.rfind('"'));
        let around =
            quoted.and_then(|(from, to)| Some([what.get(..from)?, what.get(to + 1..)?].concat()));
        let what = around.as_deref().unwrap_or(what);
        let named = matches!(rule, Self::Proxy(_));
        let kinds: Vec<_> = what
            .split("; ")
            .zip(0..)
            .filter_map(|(clause, index)| kind(clause, named && index == 0))
            .collect();
        let done: Vec<_> = kinds
            .iter()
            .map(String::as_str)
            .filter(|kind| *kind != "normal")
            .collect();
        match done.is_empty() {
            true => Cow::Borrowed("normal"),
            false => done.join(", ").into(),
        }
    }
}

/// What kind of clause it is: its first word, and the second where that is a name.
fn kind(clause: &str, named: bool) -> Option<String> {
    let mut words = clause.split_whitespace();
    let first = words.next()?;
    Some(match (first, words.next()) {
        ("reply", Some("421")) => "reply-421".to_owned(),
        ("reply", Some(code)) => format!("reply-{}yz", code.get(..1)?),
        (step, Some(word)) if named => format!("{step}-{word}"),
        ("certificate", Some(name)) => format!("certificate-{name}"),
        _ => first.to_owned(),
    })
}

impl Strike {
    /// What it is and which way, whatever its quantity: `stall to-client`.
    #[must_use]
    pub const fn kind(self, direction: Direction) -> &'static str {
        let to_client = matches!(direction, Direction::ToClient);
        match (self, to_client) {
            (Self::Stall, true) => "stall to-client",
            (Self::Stall, false) => "stall to-server",
            (Self::Shut, true) => "shut to-client",
            (Self::Shut, false) => "shut to-server",
            (Self::Close, true) => "close to-client",
            (Self::Close, false) => "close to-server",
            (Self::Reset, true) => "reset to-client",
            (Self::Reset, false) => "reset to-server",
            (Self::Corrupt, true) => "corrupt to-client",
            (Self::Corrupt, false) => "corrupt to-server",
            (Self::Drip(_), true) => "drip to-client",
            (Self::Drip(_), false) => "drip to-server",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Place;
    use crate::Plan;

    #[test]
    fn a_rule_has_a_place_and_a_kind_whatever_its_quantities() {
        for (rule, place, kind) in [
            (
                "rcpt#2[*@x, first 2]: reply 451 4.7.1 later; after 2s",
                "rcpt",
                "reply-4yz, after",
            ),
            ("mail: reply 550 \"no; stall | close\"", "mail", "reply-5yz"),
            (
                "quit: reply 421 4.3.2 bye; close",
                "quit",
                "reply-421, close",
            ),
            ("mail: normal", "mail", "normal"),
            ("mail: after 5s", "mail", "after"),
            ("mail: hold; close", "mail", "hold, close"),
            ("mail: raw \"250 x\\r\\n\"; drip 1s", "mail", "raw, drip"),
            (
                "data-termination: commit; stall",
                "data-termination",
                "commit, stall",
            ),
            (
                "data-block: interrupt after 20; reply 552 no; close",
                "data-block",
                "interrupt, reply-5yz, close",
            ),
            ("data-block: trickle 4 every 1s", "data-block", "trickle"),
            ("auth: iterations 9", "auth", "iterations"),
            ("tls-handshake: stall at 200", "tls-handshake", "stall"),
            (
                "tls-handshake: certificate expired",
                "tls-handshake",
                "certificate-expired",
            ),
            ("proxy: auth half; stall", "proxy", "auth-half, stall"),
            (
                "proxy: request refuse 5; after 1s",
                "proxy",
                "request-refuse, after",
            ),
            ("link: blackhole after 3ms heal 1s", "link", "blackhole"),
            (
                "link: at octet 57 to-server reset",
                "link",
                "reset to-server",
            ),
            ("connect#2: refuse", "connect", "refuse"),
            ("resolve: addresses 3", "resolve", "addresses"),
        ] {
            let plan: Plan = format!("v1 | {rule}").parse().unwrap_or_default();
            let found = plan.rules.first().map(|rule| (rule.place(), rule.kind()));
            let expected = place
                .parse::<Place>()
                .ok()
                .map(|place| (place, kind.into()));
            assert_eq!(found, expected, "{rule}");
        }
    }
}
