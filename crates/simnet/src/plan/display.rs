//! A plan as text.

use std::fmt;

use super::duration::Plain;
use super::{
    ConnectFault, Direction, Family, IntakeFault, LinkFault, Pace, Plan, ResolveFault, Rule, Say,
    ServerFault, Strike, Then,
};

impl fmt::Display for Plan {
    /// The form of a file: a version line, then one rule a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "postbound-plan v1")?;
        for rule in &self.rules {
            writeln!(f, "{rule}")?;
        }
        Ok(())
    }
}

impl Plan {
    /// The plan on one line, as a replay key: `v1 | rcpt: stall`.
    #[must_use]
    pub fn one_line(&self) -> String {
        self.rules
            .iter()
            .fold("v1".to_owned(), |line, rule| format!("{line} | {rule}"))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |f: &mut fmt::Formatter<'_>, name: &str, nth: &Option<u16>| match nth {
            Some(nth) => write!(f, "{name}#{nth}: "),
            None => write!(f, "{name}: "),
        };
        match self {
            Self::Resolve(fault) => match fault {
                ResolveFault::Hang => f.write_str("resolve: hang"),
                ResolveFault::Fail => f.write_str("resolve: fail"),
                ResolveFault::Empty => f.write_str("resolve: empty"),
                ResolveFault::After(delay) => write!(f, "resolve: after {}", Plain(*delay)),
                ResolveFault::Addresses(count) => write!(f, "resolve: addresses {count}"),
                ResolveFault::Families(families) => {
                    f.write_str("resolve: addresses")?;
                    families.iter().try_for_each(|family| match family {
                        Family::V4 => f.write_str(" v4"),
                        Family::V6 => f.write_str(" v6"),
                    })
                }
            },
            Self::Connect { address, fault } => {
                place(f, "connect", address)?;
                match fault {
                    ConnectFault::Refuse => f.write_str("refuse"),
                    ConnectFault::Unreachable => f.write_str("unreachable"),
                    ConnectFault::Blackhole => f.write_str("blackhole"),
                    ConnectFault::After(delay) => write!(f, "after {}", Plain(*delay)),
                }
            }
            Self::Server { phase, nth, fault } => {
                place(f, phase.name(), nth)?;
                fault.fmt(f)
            }
            Self::Intake(fault) => match fault {
                IntakeFault::Stop { after, heal } => {
                    write!(f, "data-block: stop after {after}")?;
                    heal.map_or(Ok(()), |heal| write!(f, " heal {}", Plain(heal)))
                }
                IntakeFault::Trickle { octets, every } => {
                    write!(f, "data-block: trickle {octets} every {}", Plain(*every))
                }
                IntakeFault::Interrupt { after, fault } => {
                    write!(f, "data-block: interrupt after {after}; {fault}")
                }
            },
            Self::Tls(fault) => fault.fmt(f),
            Self::Proxy(fault) => fault.fmt(f),
            Self::Link(fault) => fault.fmt(f),
            Self::When { when, rule } => {
                let rule = rule.to_string();
                if when.is_always() {
                    return f.write_str(&rule);
                }
                let (place, rest) = rule.split_once(':').unwrap_or((&rule, ""));
                write!(f, "{place}[{when}]:{rest}")
            }
        }
    }
}

impl fmt::Display for LinkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(delay) => write!(f, "link: latency {}", Plain(*delay)),
            Self::Fragment { direction, octets } => write!(f, "link: fragment {octets}{direction}"),
            Self::Split { direction, after } => {
                f.write_str("link: split after")?;
                after.iter().try_for_each(|octet| write!(f, " {octet}"))?;
                direction.fmt(f)
            }
            Self::Coalesce { direction, every } => {
                write!(f, "link: coalesce {}{direction}", Plain(*every))
            }
            Self::Blackhole {
                direction,
                after,
                heal,
            } => {
                write!(f, "link: blackhole after {}", Plain(*after))?;
                if let Some(heal) = heal {
                    write!(f, " heal {}", Plain(*heal))?;
                }
                direction.fmt(f)
            }
            Self::Window(octets) => write!(f, "link: window {octets}"),
            Self::At {
                octet,
                direction,
                strike,
            } => {
                write!(f, "link: at octet {octet}{direction} ")?;
                match strike {
                    Strike::Stall => f.write_str("stall"),
                    Strike::Shut => f.write_str("shut"),
                    Strike::Close => f.write_str("close"),
                    Strike::Reset => f.write_str("reset"),
                    Strike::Corrupt => f.write_str("corrupt"),
                    Strike::Drip(every) => write!(f, "drip {}", Plain(*every)),
                }
            }
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ToServer => " to-server",
            Self::ToClient => " to-client",
            Self::Both => "",
        })
    }
}

impl fmt::Display for ServerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut clauses = Vec::new();
        if self.commit {
            clauses.push("commit".to_owned());
        }
        match &self.say {
            Say::Normal => clauses.push("normal".to_owned()),
            Say::Reply { code, text } => clauses.push(reply(*code, text)),
            Say::Raw(octets) => clauses.push(format!("raw \"{}\"", octets.escape_ascii())),
            Say::Half => clauses.push("half".to_owned()),
            // Nothing said and something done reads best without the nothing.
            Say::Nothing if self.pace == Pace::AtOnce && self.then != Then::Continue => {}
            Say::Nothing => clauses.push("nothing".to_owned()),
            Say::Garbage => clauses.push("garbage".to_owned()),
            Say::EndlessLines => clauses.push("endless-lines".to_owned()),
            Say::EndlessLine => clauses.push("endless-line".to_owned()),
            Say::Twice => clauses.push("twice".to_owned()),
            Say::Sasl(fault) => clauses.push(fault.to_string()),
        }
        match self.pace {
            Pace::AtOnce => {}
            Pace::After(delay) => clauses.push(format!("after {}", Plain(delay))),
            Pace::Drip(every) => clauses.push(format!("drip {}", Plain(every))),
            Pace::Hold => clauses.push("hold".to_owned()),
        }
        match self.then {
            Then::Continue => {}
            Then::Close => clauses.push("close".to_owned()),
            Then::HalfClose => clauses.push("half-close".to_owned()),
            Then::Reset => clauses.push("reset".to_owned()),
            Then::Stall => clauses.push("stall".to_owned()),
        }
        f.write_str(&clauses.join("; "))
    }
}

/// Text that could be taken for something else is quoted.
fn reply(code: u16, text: &str) -> String {
    let plain = text
        .chars()
        .all(|c| (' '..='~').contains(&c) && !matches!(c, ';' | '|' | '"' | '\\'))
        && text.trim() == text;
    match (text.is_empty(), plain) {
        (true, _) => format!("reply {code}"),
        (false, true) => format!("reply {code} {text}"),
        (false, false) => format!("reply {code} \"{}\"", text.escape_default()),
    }
}
