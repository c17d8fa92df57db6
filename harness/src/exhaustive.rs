//! Every single fault: each octet of the healthy dialogue, each strike, each configuration; each
//! millisecond of a deadline and of a cancellation; each poll of a call, cancelled and dropped.
//!
//! Nothing here is drawn at random and nothing is kept: a case is made from its number, so that any
//! part of the whole can be run anywhere, left off and gone on with.

use std::time::Duration;

use postbound::Security;
use simnet::Plan;
use simnet::net::mem::Network;
use simnet::plan::{Direction, LinkFault, Rule, Strike};

use crate::case::{Case, SETTINGS};
use crate::run;

/// Far more than any healthy dialogue lasts, dripping included. It is virtual time.
const LIMIT: Duration = Duration::from_secs(10);

/// Long enough that a dialogue has many milliseconds of its own.
const LATENCY: Duration = Duration::from_millis(3);

/// What of a deadline is kept for the final reply, and how long it is listened for afterwards.
const RESERVES: [(u64, u64); 3] = [(0, 0), (9, 0), (0, 4)];

/// Which configurations are gone through.
#[expect(clippy::exhaustive_enums, reason = "there is TLS or there is none")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Everything in clear: every combination of the settings.
    Clear,
    /// STARTTLS, demanded or taken if it is there, or TLS from the first octet: with and without PIPELINING, AUTH and 8-bit mail data.
    Tls,
}

/// A configuration, and how many octets and milliseconds its healthy dialogue has.
#[derive(Clone, Debug)]
struct Configuration {
    case: Case,
    to_client: u64,
    to_server: u64,
    millis: u64,
    /// The number of the first case of this configuration.
    first: u64,
}

/// A set of cases by number.
#[derive(Clone, Debug)]
pub struct Exhaustive {
    configurations: Vec<Configuration>,
    len: u64,
}

/// Every combination of the settings' values.
fn combinations(names: Option<&[&str]>) -> Vec<Case> {
    let mut cases = vec![Case {
        timeout: LIMIT,
        ..Case::default()
    }];
    for (name, values) in SETTINGS {
        if values.is_empty() || names.is_some_and(|names| !names.contains(name)) {
            continue;
        }
        let with = |case: &Case, value: &str| {
            let mut case = case.clone();
            case.set(name, value).expect("a value of the setting's own");
            case
        };
        cases = cases
            .iter()
            .flat_map(|case| values.iter().map(|value| with(case, value)))
            .collect();
    }
    cases
}

fn configurations(transport: Transport) -> Vec<Case> {
    match transport {
        Transport::Clear => combinations(None),
        Transport::Tls => {
            let cases = combinations(Some(&["pipelining", "body", "auth"]));
            let modes = [
                Security::StartTls,
                Security::StartTlsIfOfferedInsecure,
                Security::Implicit,
            ];
            let with = |case: &Case, tls| Case {
                tls,
                ..case.clone()
            };
            modes
                .iter()
                .flat_map(|tls| cases.iter().map(|case| with(case, *tls)))
                .collect()
        }
    }
}

/// A plan of nothing but a latency at which a dialogue has many milliseconds.
fn slow() -> Plan {
    Plan::of([Rule::Link(LinkFault::Latency(LATENCY))])
}

impl Configuration {
    fn strikes(&self, direction: Direction) -> u64 {
        match direction {
            Direction::ToServer => self.to_server,
            _ => self.to_client,
        }
    }

    fn octets(&self) -> u64 {
        Strike::EVERY
            .iter()
            .map(|(_, way)| self.strikes(*way))
            .sum()
    }

    fn len(&self) -> u64 {
        self.octets() + self.millis * (RESERVES.len() as u64 + 2)
    }

    /// The case with this number, counted from 0.
    fn case(&self, mut number: u64) -> Case {
        let mut case = self.case.clone();
        for (strike, direction) in Strike::EVERY {
            let octets = self.strikes(direction);
            if number < octets {
                case.plan = Plan::of([Rule::Link(LinkFault::At {
                    octet: number + 1,
                    direction,
                    strike,
                })]);
                return case;
            }
            number -= octets;
        }
        case.plan = slow();
        let at = Some(Duration::from_millis(number % self.millis));
        let which = usize::try_from(number / self.millis).unwrap_or(usize::MAX);
        match RESERVES.get(which) {
            Some((reserve, linger)) => {
                case.deadline = at;
                case.reserve = Duration::from_millis(*reserve);
                case.linger = Duration::from_millis(*linger);
            }
            None => {
                case.cancel = at;
                let lingers = which > RESERVES.len();
                case.linger = Duration::from_millis(if lingers { 4 } else { 0 });
            }
        }
        case
    }
}

impl Exhaustive {
    /// Every case of these configurations. Each configuration is run once, to be measured.
    ///
    /// # Panics
    /// If a healthy dialogue does not deliver.
    #[must_use]
    pub fn new(transport: Transport) -> Self {
        let mut len = 0;
        let mut measured = Vec::new();
        for case in configurations(transport) {
            let (to_client, to_server) = octets(&case);
            let millis = run::mem::run_quick(&Case {
                plan: slow(),
                ..case.clone()
            });
            let configuration = Configuration {
                case,
                to_client,
                to_server,
                // One beyond the end, where it makes no difference any more.
                millis: u64::try_from(millis.elapsed.as_millis()).unwrap_or(u64::MAX) + 2,
                first: len,
            };
            len += configuration.len();
            measured.push(configuration);
        }
        Self {
            configurations: measured,
            len,
        }
    }

    /// How many cases there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The healthy case of each configuration.
    pub fn healthy(&self) -> impl Iterator<Item = &Case> {
        self.configurations
            .iter()
            .map(|configuration| &configuration.case)
    }

    /// How many configurations there are.
    #[must_use]
    pub fn configurations(&self) -> usize {
        self.configurations.len()
    }

    /// The case with this number, counted from 0; `None` behind the last.
    #[must_use]
    pub fn case(&self, number: u64) -> Option<Case> {
        if number >= self.len {
            return None;
        }
        let behind = self
            .configurations
            .partition_point(|configuration| configuration.first <= number);
        let configuration = self.configurations.get(behind.checked_sub(1)?)?;
        Some(configuration.case(number - configuration.first))
    }
}

/// The octets of a healthy dialogue, to the client and to the server.
fn octets(case: &Case) -> (u64, u64) {
    run::paused(async {
        let network = Network::new(case.double().without_trace());
        let (result, _) = run::call(case, network.connector(), || ()).await;
        assert!(result.is_ok(), "a healthy dialogue delivers: {case}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        (network.server_octets(), network.client_octets())
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_number_is_another_case_and_the_line_of_each_is_the_case() {
        let all = Exhaustive::new(Transport::Clear);
        let values = SETTINGS.iter().map(|(_, values)| values.len().max(1));
        assert_eq!(all.configurations(), values.product::<usize>());
        let last = all.configurations.last().unwrap().first;
        let mut lines = BTreeSet::new();
        for number in last..all.len() {
            let case = all.case(number).unwrap();
            let line = case.to_string();
            assert_eq!(line.parse::<Case>().unwrap(), case);
            assert!(lines.insert(line), "{case} is there twice");
        }
        assert_eq!(all.case(all.len()), None);
    }

    #[test]
    fn every_octet_that_the_server_says_is_struck_and_none_behind_the_last() {
        let all = Exhaustive::new(Transport::Clear);
        let first = &all.configurations[0];
        let report = run::mem::run(&first.case);
        let said = report.dialogue.iter().map(|entry| match &entry.event {
            simnet::Event::Said(octets) => octets.len() as u64,
            _ => 0,
        });
        assert_eq!(said.sum::<u64>(), first.to_client);
        let octets = Strike::EVERY.iter().map(|(_, way)| first.strikes(*way));
        assert_eq!(octets.sum::<u64>(), first.octets());
        assert!(first.to_server > u64::from(first.case.octets));
    }
}
