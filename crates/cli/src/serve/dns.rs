//! The name server beside the listeners: what it says of which domain.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use simnet::dns::{Answer, Server, Zone};
use simnet::plan::parse_duration;

use super::Arguments;
use super::listeners::Listener;
use crate::exit::{self, Stop};

/// Where mail for any domain goes if nothing else was said.
const HOST: &str = "mx.double.example";

const ANSWERS: &str = "PREFERENCE:HOST with commas between several, null, none, nxdomain, servfail, never, alias:NAME or many:NUMBER, each with `after TIME ` before it if need be";

/// What is said of one domain.
#[derive(Clone, Debug)]
pub(super) struct Record {
    domain: String,
    answer: Answer,
}

impl FromStr for Record {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (domain, answer) = text
            .split_once('=')
            .ok_or("expected DOMAIN=ANSWER; there is no =")?;
        let domain = match domain {
            "*" => domain.to_owned(),
            _ => name(domain)?,
        };
        let answer = read(answer)?;
        if let Some(count) = many(&answer) {
            // Type, class, time to live, length and preference, and a host of this domain.
            let most = 65_000 / (domain.len() + 26);
            if usize::from(count) > most {
                return Err(format!(
                    "{count} records of {domain:?} are longer than a message of the DNS; at most {most} fit"
                ));
            }
        }
        Ok(Self { domain, answer })
    }
}

/// How many records there are, if they are made up.
fn many(answer: &Answer) -> Option<u16> {
    match answer {
        Answer::Many(count) => Some(*count),
        Answer::After(_, then) => many(then),
        _ => None,
    }
}

fn read(text: &str) -> Result<Answer, String> {
    if let Some(rest) = text.strip_prefix("after ") {
        let (time, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let time = parse_duration(time).map_err(|expected| format!("expected {expected}"))?;
        return Ok(Answer::After(time, Box::new(read(rest)?)));
    }
    Ok(match text {
        "null" => Answer::mx([(0, ".")]),
        "none" => Answer::NoRecords,
        "nxdomain" => Answer::NoSuchDomain,
        "servfail" => Answer::ServFail,
        "never" => Answer::Hang,
        _ => match text.split_once(':') {
            Some(("alias", other)) => Answer::Alias(name(other)?),
            Some(("many", count)) => match count.parse::<u16>() {
                Ok(count @ 1..) => Answer::Many(count),
                _ => return Err(format!("{count:?}: expected a number from 1 to 65535")),
            },
            Some(_) => Answer::Mx(text.split(',').map(exchange).collect::<Result<_, _>>()?),
            None => return Err(format!("{text:?} is no answer: expected {ANSWERS}")),
        },
    })
}

/// `10:mx1.example.org`
fn exchange(text: &str) -> Result<(u16, String), String> {
    let wrong = || format!("{text:?}: expected PREFERENCE:HOST, such as 10:mx1.example.org");
    let (preference, host) = text.split_once(':').ok_or_else(wrong)?;
    let preference = preference.parse().map_err(|_| wrong())?;
    Ok((preference, name(host)?))
}

/// A name, in lower case and without a dot at its end.
fn name(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_".contains(&octet);
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(plain);
    if name.len() <= 253 && name.split('.').all(label) {
        return Ok(name);
    }
    Err(format!("{text:?} is no name of a domain"))
}

/// What was asked for, with the hosts where the main listener is.
fn zone(arguments: &Arguments, main: &Listener) -> Result<Zone, Stop> {
    let mut answers = Vec::new();
    for Record { domain, answer } in &arguments.mx {
        if answers.iter().any(|(known, _)| known == domain) {
            let why = format!("--mx: {domain} is there twice");
            return Err(Stop::new(exit::USAGE, why));
        }
        answers.push((domain.clone(), answer.clone()));
    }
    if answers.is_empty() {
        answers.push(("*".to_owned(), Answer::mx([(10, HOST)])));
    }
    let addresses = main.loopback.addresses().iter().map(SocketAddr::ip);
    // Who listens everywhere is here, too.
    let here = |ip: IpAddr| match ip.is_unspecified() {
        true => IpAddr::V4(Ipv4Addr::LOCALHOST),
        false => ip,
    };
    Ok(Zone::new(answers).at(addresses.map(here)))
}

/// Listens, on this port if it is not 0.
pub(super) async fn open(arguments: &Arguments, main: &Listener) -> Result<Option<Server>, Stop> {
    let Some(port) = arguments.dns else {
        return Ok(None);
    };
    let zone = zone(arguments, main)?;
    let server = Server::bind_at(zone, port).await.map_err(|error| {
        let why = format!("--dns: 127.0.0.1:{port} can't be had: {error}; try --dns 0");
        Stop::new(exit::SYSTEM, why)
    })?;
    Ok(Some(server))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use simnet::dns::Answer;

    use super::Record;

    #[test]
    fn what_is_said_of_a_domain_is_read_from_a_few_words() {
        for (text, answer) in [
            (
                "Example.org.=10:MX1.example.org,20:mx2.example.org",
                Answer::mx([(10, "mx1.example.org"), (20, "mx2.example.org")]),
            ),
            ("example.org=null", Answer::mx([(0, ".")])),
            ("example.org=none", Answer::NoRecords),
            ("example.org=nxdomain", Answer::NoSuchDomain),
            ("example.org=servfail", Answer::ServFail),
            ("example.org=never", Answer::Hang),
            (
                "example.org=alias:b.example",
                Answer::Alias("b.example".to_owned()),
            ),
            ("example.org=many:300", Answer::Many(300)),
            (
                "example.org=after 2s servfail",
                Answer::After(Duration::from_secs(2), Box::new(Answer::ServFail)),
            ),
        ] {
            let record: Record = text.parse().unwrap();
            assert_eq!(
                (record.domain.as_str(), record.answer),
                ("example.org", answer)
            );
        }
        assert_eq!("*=none".parse::<Record>().unwrap().domain, "*");
        for (text, expected) in [
            ("example.org", "there is no ="),
            ("=null", "no name of a domain"),
            ("a..b=null", "no name of a domain"),
            ("exa mple=null", "no name of a domain"),
            ("example.org=", "is no answer"),
            ("example.org=mx1.example.org", "is no answer"),
            ("example.org=x:mx1", "PREFERENCE:HOST"),
            ("example.org=65536:mx1", "PREFERENCE:HOST"),
            ("example.org=10:mx1,mx2", "PREFERENCE:HOST"),
            ("example.org=10:", "no name of a domain"),
            ("example.org=many:0", "from 1 to 65535"),
            ("example.org=after 1s many:2000", "at most 1756 fit"),
            ("example.org=after soon null", "a time such as"),
            ("example.org=after 2s", "is no answer"),
        ] {
            let wrong = text.parse::<Record>().unwrap_err();
            assert!(wrong.contains(expected), "{text}: {wrong}");
        }
    }
}
