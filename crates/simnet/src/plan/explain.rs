//! A plan in words: what each rule does, and what a good client makes of it.

use proto::Phase;

use super::{
    Break, ConnectFault, Direction, IntakeFault, LinkFault, Pace, Plain, ProxyFault, ProxySay,
    ResolveFault, Rule, SaslFault, Say, ServerFault, Strike, Then, TlsFault, When,
};

/// A rule in words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explained {
    /// The rule, in its canonical form.
    pub rule: String,
    /// What it does.
    pub does: String,
    /// What a good client makes of it and reports.
    pub good: String,
}

impl Rule {
    /// What it does, and what a good client makes of it.
    #[must_use]
    pub fn explain(&self) -> Explained {
        let (when, rule) = self.split();
        let mut does = does(rule);
        if let Some(when) = when {
            does.push_str(&conditions(when));
        }
        Explained {
            rule: self.to_string(),
            does,
            good: good(rule),
        }
    }
}

fn does(rule: &Rule) -> String {
    match rule {
        Rule::Resolve(fault) => match fault {
            ResolveFault::Hang => "the look-up of the server's name is never answered".to_owned(),
            ResolveFault::Fail => "there is no such name".to_owned(),
            ResolveFault::Empty => "the name has no address".to_owned(),
            ResolveFault::After(delay) => format!("the look-up takes {}", Plain(*delay)),
            ResolveFault::Addresses(count) => format!("the name has {count} addresses"),
            ResolveFault::Families(families) => {
                format!(
                    "the name has {} addresses, of both families",
                    families.len()
                )
            }
        },
        Rule::Connect { address, fault } => {
            let what = match fault {
                ConnectFault::Refuse => "nobody listens: the connection is refused".to_owned(),
                ConnectFault::Unreachable => "there is no route".to_owned(),
                ConnectFault::Blackhole => "the SYN vanishes: no answer, ever".to_owned(),
                ConnectFault::After(delay) => {
                    format!("the connection opens after {}", Plain(*delay))
                }
            };
            match address {
                Some(number) => format!("at address {number}, {what}"),
                None => what,
            }
        }
        Rule::Server { phase, nth, fault } => {
            let which = match nth {
                Some(nth) => format!("at {phase}, the time with number {nth} on a connection"),
                None => format!("at {phase}, each time"),
            };
            format!("{which}: {}", server(fault))
        }
        Rule::Intake(fault) => match fault {
            IntakeFault::Stop { after, heal: None } => {
                format!("the server stops reading after {after} octets of mail data")
            }
            IntakeFault::Stop {
                after,
                heal: Some(heal),
            } => format!(
                "the server stops reading after {after} octets of mail data, for {}",
                Plain(*heal)
            ),
            IntakeFault::Trickle { octets, every } => format!(
                "the server reads at most {octets} octets of mail data, then waits for {}",
                Plain(*every)
            ),
            IntakeFault::Interrupt { after, fault } => format!(
                "after {after} octets of mail data, without waiting for their end: {}",
                server(fault)
            ),
        },
        Rule::Tls(fault) => tls(fault),
        Rule::Proxy(fault) => proxy(fault),
        Rule::Link(fault) => link(fault),
        Rule::When { .. } => String::new(),
    }
}

fn proxy(fault: &ProxyFault) -> String {
    let what = match &fault.say {
        ProxySay::Normal => "the proxy answers as it should".to_owned(),
        ProxySay::Nothing => "the proxy says nothing".to_owned(),
        ProxySay::Half => "the proxy says the first half of its answer".to_owned(),
        ProxySay::Refuse(code) => format!("the proxy refuses with {code}"),
        ProxySay::Garbage => "the proxy says octets that are no answer".to_owned(),
        ProxySay::Oversized => "the proxy's answer does not end".to_owned(),
        ProxySay::Early(octets) => format!(
            "the octets \"{}\" stand right behind the proxy's answer",
            octets.escape_ascii()
        ),
    };
    let step = fault.step.name();
    let pace = match fault.pace {
        Pace::AtOnce => String::new(),
        Pace::After(delay) => format!(", after {}", Plain(delay)),
        Pace::Drip(every) => format!(", an octet each {}", Plain(every)),
        Pace::Hold => ", which never comes".to_owned(),
    };
    let then = match fault.then {
        Then::Continue => "",
        Then::Close => ", and closes the connection",
        Then::HalfClose => ", and closes its side of the connection but reads on",
        Then::Reset => ", and resets the connection",
        Then::Stall => ", and falls silent",
    };
    format!("at the {step}, {what}{pace}{then}")
}

fn server(fault: &ServerFault) -> String {
    let say = match &fault.say {
        Say::Normal => "the server says what it should".to_owned(),
        Say::Reply { code, text } => {
            format!("the server replies {code} {}", text.escape_default())
        }
        Say::Raw(octets) => format!("the server says the octets \"{}\"", octets.escape_ascii()),
        Say::Half => "the server says the first half of its reply".to_owned(),
        Say::Nothing => "the server says nothing".to_owned(),
        Say::Garbage => "the server says octets that are no reply".to_owned(),
        Say::EndlessLines => "the server says reply lines without end".to_owned(),
        Say::EndlessLine => "the server says a line without end".to_owned(),
        Say::Twice => "the server says its reply twice".to_owned(),
        Say::Sasl(fault) => match fault {
            SaslFault::WrongNonce => {
                "the server's nonce does not begin with the client's".to_owned()
            }
            SaslFault::WrongBinding => {
                "the server is bound to another TLS connection than the client".to_owned()
            }
            SaslFault::BadSignature => "the server's signature is wrong".to_owned(),
            SaslFault::Iterations(count) => format!("the server asks for {count} iterations"),
            SaslFault::Oversize => "the server's challenge is too long".to_owned(),
            SaslFault::Echo => "the server's refusal repeats what the client said".to_owned(),
        },
    };
    let pace = match fault.pace {
        Pace::AtOnce => String::new(),
        Pace::After(delay) => format!(", {} later", Plain(delay)),
        Pace::Drip(every) => format!(", one octet every {}", Plain(every)),
        Pace::Hold => ", once the test lets it go".to_owned(),
    };
    let then = match fault.then {
        Then::Continue => "",
        Then::Close => ", then closes the connection",
        Then::HalfClose => {
            ", then closes its side of the connection but goes on reading and taking messages"
        }
        Then::Reset => ", then resets the connection",
        Then::Stall => ", then neither reads nor writes again",
    };
    let commit = if fault.commit {
        "; the message is in the mailbox before anything is said"
    } else {
        ""
    };
    format!("{say}{pace}{then}{commit}")
}

fn tls(fault: &TlsFault) -> String {
    match fault {
        TlsFault::At { octet, then } => {
            let what = match then {
                Break::Stall => "nothing more comes",
                Break::Close => "FIN comes instead",
                Break::Reset => "RST comes instead",
                Break::Corrupt => "all its bits are turned",
            };
            format!("at octet {octet} of the server's handshake {what}")
        }
        TlsFault::After(delay) => format!("the server's handshake begins {} later", Plain(*delay)),
        TlsFault::Drip(every) => {
            format!(
                "one octet of the server's handshake every {}",
                Plain(*every)
            )
        }
        TlsFault::TinyRecords => "records of 32 octets".to_owned(),
        TlsFault::Endless => "a handshake without end".to_owned(),
        TlsFault::Plaintext => "a reply in clear where the handshake is due".to_owned(),
        TlsFault::Inject { octets, after } => {
            let octets = octets.escape_ascii();
            let late = after.map_or(String::new(), |after| format!(", {} later", Plain(after)));
            format!("the octets \"{octets}\" in clear before the handshake{late}")
        }
        TlsFault::Drop(octets) => {
            format!("the connection is cut {octets} octets behind the handshake")
        }
        TlsFault::Alert(octets) => {
            format!("a fatal alert behind {octets} octets that the server says under TLS")
        }
        TlsFault::NoCloseNotify => "the server never says close_notify".to_owned(),
        TlsFault::Certificate(certificate) => {
            format!("the server's certificate is: {certificate}")
        }
    }
}

fn link(fault: &LinkFault) -> String {
    let way = |direction: &Direction| match direction {
        Direction::ToServer => " on the way to the server",
        Direction::ToClient => " on the way to the client",
        Direction::Both => "",
    };
    match fault {
        LinkFault::Latency(delay) => format!("everything takes {} one way", Plain(*delay)),
        LinkFault::Fragment { direction, octets } => {
            format!("at most {octets} octets move at once{}", way(direction))
        }
        LinkFault::Split { direction, after } => {
            let octets: Vec<_> = after.iter().map(u64::to_string).collect();
            let (octets, way) = (octets.join(", "), way(direction));
            format!("a piece ends behind each of the octets {octets}{way}")
        }
        LinkFault::Coalesce { direction, every } => format!(
            "octets are held back and come together every {}{}",
            Plain(*every),
            way(direction)
        ),
        LinkFault::Blackhole {
            direction,
            after,
            heal,
        } => {
            let heal = heal.map_or("for ever".to_owned(), |heal| format!("for {}", Plain(heal)));
            format!(
                "from {} on everything vanishes{}, {heal}",
                Plain(*after),
                way(direction)
            )
        }
        LinkFault::Window(octets) => format!("the path takes {octets} octets, not more"),
        LinkFault::At {
            octet,
            direction,
            strike,
        } => {
            let what = match strike {
                Strike::Stall => "nothing more arrives".to_owned(),
                Strike::Shut => "nothing more is taken".to_owned(),
                Strike::Close => "FIN arrives instead".to_owned(),
                Strike::Reset => "RST arrives instead".to_owned(),
                Strike::Corrupt => "its lowest bit is flipped".to_owned(),
                Strike::Drip(every) => format!("one octet arrives every {}", Plain(*every)),
            };
            format!("at octet {octet}{} {what}", way(direction))
        }
    }
}

fn conditions(when: &When) -> String {
    let conditions = [
        when.connection.map(|n| format!("on connection {n}")),
        when.command
            .map(|n| format!("at the command with number {n}")),
        when.to
            .as_ref()
            .map(|to| format!("for the forward-path {to}")),
        when.from
            .as_ref()
            .map(|from| format!("for the reverse-path {from}")),
        when.ehlo
            .as_ref()
            .map(|ehlo| format!("for a client that calls itself {ehlo}")),
        when.greylist.map(|delay| {
            format!(
                "until {} after a pair of paths was first seen",
                Plain(delay)
            )
        }),
        when.over
            .map(|(n, per)| format!("once there are more than {n} in {}", Plain(per))),
        when.first.map(|n| format!("the first {n} times")),
        when.times.map(|n| format!("{n} times, which are expected")),
    ];
    let conditions: Vec<_> = conditions.into_iter().flatten().collect();
    match conditions.is_empty() {
        true => String::new(),
        false => format!("; only {}", conditions.join(" and ")),
    }
}

const NOT_TAKEN: &str = "the message was not taken";
const AFTER: &str = "the message may have been taken: not to be sent again unasked (RFC 1047)";

fn good(rule: &Rule) -> String {
    match rule {
        Rule::Resolve(ResolveFault::Addresses(_) | ResolveFault::Families(_)) => {
            "tries them in turn, all within one limit, and delivers to one that answers".to_owned()
        }
        Rule::Resolve(ResolveFault::After(_)) => in_time("resolve"),
        Rule::Resolve(_) => format!("names resolve as the phase, within its limit; {NOT_TAKEN}"),
        Rule::Connect {
            fault: ConnectFault::After(_),
            ..
        } => in_time("connect"),
        Rule::Connect { .. } => {
            format!(
                "tries the next address if there is one, or names connect as the phase, within its limit; {NOT_TAKEN}"
            )
        }
        Rule::Server { phase, fault, .. } => at_phase(*phase, fault),
        Rule::Intake(IntakeFault::Interrupt { fault, .. }) => match &fault.say {
            _ if fault.then == Then::HalfClose => {
                format!("names data-block as the phase; once all of it was sent {AFTER}")
            }
            Say::Reply { code, .. } if *code >= 400 => {
                format!("stops sending and reports the {code}; {NOT_TAKEN}")
            }
            _ => format!("names data-block as the phase; {NOT_TAKEN}"),
        },
        Rule::Intake(_) => {
            format!(
                "delivers if it can within the limits; if not, names data-block as the phase; {NOT_TAKEN}"
            )
        }
        Rule::Tls(TlsFault::TinyRecords) => "delivers".to_owned(),
        Rule::Tls(TlsFault::After(_)) => in_time("tls-handshake"),
        Rule::Tls(TlsFault::NoCloseNotify) => {
            "believes whole replies, and never takes half a one for a whole one".to_owned()
        }
        Rule::Tls(TlsFault::Drop(_) | TlsFault::Alert(_)) => {
            format!("names the phase that it had got to; before the end of mail data {NOT_TAKEN}")
        }
        Rule::Tls(TlsFault::Inject { .. }) => {
            format!("uses none of these octets and ends the connection; {NOT_TAKEN} (RFC 3207)")
        }
        Rule::Tls(_) => {
            format!("names tls-handshake as the phase, within its limit; {NOT_TAKEN}")
        }
        Rule::Proxy(fault) => match fault.say {
            ProxySay::Normal => in_time("connect"),
            ProxySay::Early(_) => {
                format!(
                    "takes them for the server's first words, and judges them as such; {NOT_TAKEN}"
                )
            }
            _ => format!(
                "names connect as the phase, within its limit, and says that it was the proxy; {NOT_TAKEN}"
            ),
        },
        Rule::Link(
            LinkFault::Latency(_)
            | LinkFault::Fragment { .. }
            | LinkFault::Split { .. }
            | LinkFault::Coalesce { .. }
            | LinkFault::Window(_),
        ) => "delivers, as long as no limit passes".to_owned(),
        Rule::Link(_) => {
            format!(
                "names the phase that it had got to, within its limit; before the end of mail data {NOT_TAKEN}, behind it that can't be known"
            )
        }
        Rule::When { rule, .. } => good(rule),
    }
}

fn in_time(phase: &str) -> String {
    format!(
        "delivers if that is within the limit of {phase}; if not, names that phase; {NOT_TAKEN}"
    )
}

fn at_phase(phase: Phase, fault: &ServerFault) -> String {
    if phase == Phase::Quit {
        return "has the message's success already and reports it; waits only shortly".to_owned();
    }
    let late = phase == Phase::DataTermination;
    // A server that reads on may take a message whose end was on its way already.
    let reads_on = fault.then == Then::HalfClose;
    let lost = if late || reads_on { AFTER } else { NOT_TAKEN };
    match &fault.say {
        Say::Reply { code, .. } if *code >= 400 => {
            let again = if *code < 500 {
                ", to be tried later"
            } else {
                ", for good"
            };
            let what = match phase {
                Phase::Rcpt => "reports that recipient's refusal",
                Phase::Reset => "does not use this connection again; reports the refusal before it",
                _ => "reports the refusal",
            };
            format!("{what} ({code}{again}); {NOT_TAKEN}")
        }
        Say::Normal | Say::Reply { .. } if fault.then == Then::Continue => match fault.pace {
            Pace::AtOnce if fault.say == Say::Normal => "delivers".to_owned(),
            Pace::AtOnce => {
                "goes by the reply code: delivers if it is the one that this command has".to_owned()
            }
            _ => format!(
                "delivers if the whole reply is within the limit of {phase}, which no octet moves; if not, names that phase; {lost}"
            ),
        },
        Say::Normal if late => "has the final reply and reports it".to_owned(),
        Say::Twice => "does not take the surplus for the answer to what it says next".to_owned(),
        Say::EndlessLine | Say::EndlessLines => {
            format!("ends at a cap or at the limit of {phase}, whichever comes first; {lost}")
        }
        _ => format!("names {phase} as the phase, within its limit; {lost}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proto::Phase;

    use crate::Plan;
    use crate::behaviour::Behaviour;
    use crate::plan::vocabulary::{faults, link_faults};

    fn of(rule: &str) -> (String, String) {
        let plan: Plan = format!("v1 | {rule}").parse().unwrap_or_default();
        let explained = plan.rules.first().map(super::Rule::explain);
        explained.map_or_else(Default::default, |one| (one.does, one.good))
    }

    #[test]
    fn a_rule_is_told_in_words() {
        let (does, good) = of("rcpt#2[bob@example.org, first 2]: reply 451 4.7.1 later; after 2s");
        assert_eq!(
            does,
            "at rcpt, the time with number 2 on a connection: the server replies 451 4.7.1 later, 2s later; only for the forward-path bob@example.org and the first 2 times"
        );
        assert!(good.contains("451, to be tried later"), "{good}");
        let (does, good) = of("data-termination: commit; stall");
        assert!(
            does.ends_with("the message is in the mailbox before anything is said"),
            "{does}"
        );
        assert!(good.contains("may have been taken"), "{good}");
        for reads_on in [
            "mail: normal; half-close",
            "data-block: interrupt after 1; reply 552 no; half-close",
        ] {
            let (_, good) = of(reads_on);
            assert!(good.contains("may have been taken"), "{reads_on}: {good}");
        }
    }

    #[test]
    fn everything_in_the_vocabulary_is_told_in_words() {
        let scale = Duration::from_secs(10);
        let named = Phase::ALL
            .into_iter()
            .flat_map(|phase| faults(phase, scale));
        let named = named.chain(link_faults(scale)).map(|fault| fault.plan);
        for plan in named.chain(Behaviour::all().iter().map(Behaviour::plan)) {
            for rule in &plan.rules {
                let told = rule.explain();
                assert_eq!(told.rule, rule.to_string());
                assert!(told.does.len() > 10 && told.good.len() > 7, "{told:?}");
            }
        }
    }
}
