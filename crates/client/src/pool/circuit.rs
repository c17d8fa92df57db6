//! Whether each server is worth dialling: after failures in a row it is left alone for a while.

use std::time::{Duration, Instant};

use proto::FailureKind;

use crate::endpoint::{Endpoint, Order};
use crate::error::Error;

/// What a pool knows about dialling one of its servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Circuit {
    /// It is dialled as needed.
    Closed,
    /// It failed too often in a row and is passed over for this much longer. If there is no other
    /// server, one call at a time tries it all the same.
    Open {
        /// How much longer.
        left: Duration,
    },
    /// The next checkout that needs a connection dials it, or one is doing so right now; the others
    /// pass it over until it is known how that went.
    HalfOpen,
}

/// When a server is left alone, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) failures: u32,
    pub(super) pause: Duration,
}

/// What is known of one server: failures in a row, and since when they are too many.
#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    opened: Option<Instant>,
    probing: bool,
    /// When a transaction last ended by the server's fault, if none has ended well since.
    broke_off: Option<Instant>,
}

impl Breaker {
    fn state(&self, rule: Rule, now: Instant) -> Circuit {
        let Some(opened) = self.opened else {
            return Circuit::Closed;
        };
        let left = rule
            .pause
            .saturating_sub(now.saturating_duration_since(opened));
        if left.is_zero() {
            Circuit::HalfOpen
        } else {
            Circuit::Open { left }
        }
    }

    /// Whether one may dial now, and if so, whether that is the one that tries it. Behind the pause
    /// only one at a time may.
    fn admit(&mut self, rule: Rule, now: Instant) -> Option<bool> {
        match self.state(rule, now) {
            Circuit::Closed => Some(false),
            Circuit::HalfOpen => self.probe(),
            Circuit::Open { .. } => None,
        }
    }

    /// The same, were there no other server to dial.
    fn probe(&mut self) -> Option<bool> {
        (!std::mem::replace(&mut self.probing, true)).then_some(true)
    }

    fn succeeded(&mut self) {
        *self = Self {
            broke_off: self.broke_off,
            ..Self::default()
        };
    }

    fn failed(&mut self, rule: Rule, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= rule.failures {
            self.opened = Some(now);
        }
    }
}

/// What is known of each of a client's endpoints.
#[derive(Debug)]
pub(super) struct Circuits {
    rule: Rule,
    of: Vec<(Endpoint, Breaker)>,
}

/// An endpoint that may be dialled.
#[derive(Debug)]
pub(super) struct Admitted {
    endpoint: Endpoint,
    /// Nobody else may dial it meanwhile.
    probes: bool,
}

impl Circuits {
    pub(super) fn new<'a>(rule: Rule, endpoints: impl Iterator<Item = &'a Endpoint>) -> Self {
        let of = endpoints.map(|endpoint| (endpoint.clone(), Breaker::default()));
        Self {
            rule,
            of: of.collect(),
        }
    }

    pub(super) fn states(&self, now: Instant) -> Vec<(Endpoint, Circuit)> {
        let of = self.of.iter();
        of.map(|(endpoint, breaker)| (endpoint.clone(), breaker.state(self.rule, now)))
            .collect()
    }

    fn breaker(&mut self, endpoint: &Endpoint) -> Option<&mut Breaker> {
        let mut of = self.of.iter_mut();
        let (_, breaker) = of.find(|(known, _)| known == endpoint)?;
        Some(breaker)
    }

    /// Leaves in the order what may be dialled now: those that broke off lately come last, and those
    /// whose circuit is open not at all. Where that leaves nothing, the one that failed least
    /// recently is tried at once, by one call at a time: a server that is there again is found by
    /// the first call.
    pub(super) fn admit(
        &mut self,
        order: &mut Order,
        now: Instant,
    ) -> Result<Vec<Admitted>, FailureKind> {
        let rule = self.rule;
        let mut broke_off: Vec<_> = self
            .of
            .iter()
            .filter_map(|(endpoint, breaker)| Some((breaker.broke_off?, endpoint)))
            .filter(|(at, _)| now.saturating_duration_since(*at) < rule.pause)
            .collect();
        broke_off.sort_by_key(|(at, _)| *at);
        for (_, endpoint) in broke_off {
            order.put_last(endpoint);
        }
        let mut admitted = Vec::new();
        order.retain(|endpoint| {
            let breaker = self.breaker(endpoint);
            let Some(probes) = breaker.and_then(|breaker| breaker.admit(rule, now)) else {
                return false;
            };
            let endpoint = endpoint.clone();
            admitted.push(Admitted { endpoint, probes });
            true
        });
        if admitted.is_empty() {
            let free = self.of.iter_mut().filter(|(_, breaker)| !breaker.probing);
            let Some((endpoint, breaker)) = free.min_by_key(|(_, breaker)| breaker.opened) else {
                let left =
                    self.of
                        .iter()
                        .filter_map(|(_, breaker)| match breaker.state(rule, now) {
                            Circuit::Open { left } => Some(left),
                            _ => None,
                        });
                return Err(FailureKind::CircuitOpen(left.min().unwrap_or_default()));
            };
            let probes = breaker.probe().is_some();
            *order = Order::only(endpoint);
            let endpoint = endpoint.clone();
            admitted.push(Admitted { endpoint, probes });
        }
        Ok(admitted)
    }

    /// How a dial ended; without a failure, well.
    pub(super) fn dialled(&mut self, one: &Admitted, failure: Option<&Error>, now: Instant) {
        let rule = self.rule;
        let Some(breaker) = self.breaker(&one.endpoint) else {
            return;
        };
        if one.probes {
            breaker.probing = false;
        }
        match failure {
            None => breaker.succeeded(),
            Some(error) if error.is_of_server() => breaker.failed(rule, now),
            Some(_) => {}
        }
    }

    /// Nothing was learned: it was not its turn, or the caller gave up first.
    pub(super) fn not_dialled(&mut self, one: &Admitted) {
        if one.probes
            && let Some(breaker) = self.breaker(&one.endpoint)
        {
            breaker.probing = false;
        }
    }

    /// How a transaction with this server ended; without a failure, well.
    pub(super) fn ended(&mut self, server: &str, failure: Option<&Error>, now: Instant) {
        let broke_off = match failure {
            None => None,
            Some(error) if error.breaks_off() => Some(now),
            Some(error) if error.is_refused() => None,
            Some(_) => return,
        };
        for (endpoint, breaker) in &mut self.of {
            // Named only where there is something to change: this is on the way of every message.
            if breaker.broke_off != broke_off && endpoint.to_string() == server {
                breaker.broke_off = broke_off;
            }
        }
    }
}

impl Admitted {
    pub(super) fn is(&self, endpoint: &Endpoint) -> bool {
        self.endpoint == *endpoint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;
    use proto::{Failure, Outcome, Phase};

    const PAUSE: Duration = Duration::from_secs(10);
    const RULE: Rule = Rule {
        failures: 2,
        pause: PAUSE,
    };

    fn endpoints() -> [Endpoint; 2] {
        [("a.example", 0), ("b.example", 1)]
            .map(|(host, priority)| Endpoint::new(host, 25).unwrap().priority(priority))
    }

    fn error(kind: FailureKind) -> Error {
        let failure = Failure::new(Phase::Greeting, kind, Outcome::NotAccepted);
        Error::new(Box::new(failure), crate::error::Context::default())
    }

    /// Who may be dialled now, in this order.
    fn admitted(circuits: &mut Circuits, now: Instant) -> (Vec<Admitted>, Vec<String>) {
        let mut order = Order::new(&endpoints(), &Seed::new(1));
        let admitted = circuits.admit(&mut order, now).unwrap_or_default();
        let names = order.iter().map(|endpoint| endpoint.host().to_owned());
        let names = names.take(admitted.len()).collect();
        (admitted, names)
    }

    fn fails(circuits: &mut Circuits, times: usize, now: Instant) {
        for _ in 0..times {
            let (admitted, _) = admitted(circuits, now);
            circuits.dialled(&admitted[0], Some(&error(FailureKind::Closed)), now);
            admitted
                .iter()
                .skip(1)
                .for_each(|one| circuits.not_dialled(one));
        }
    }

    #[test]
    fn one_opens_at_the_threshold_and_lets_one_try_after_the_pause() {
        let mut circuits = Circuits::new(RULE, endpoints().iter());
        let now = crate::clock::now();
        let given_up = error(FailureKind::Cancelled);
        for _ in 0..RULE.failures {
            let (both, _) = admitted(&mut circuits, now);
            circuits.dialled(&both[0], Some(&given_up), now);
        }
        assert_eq!(circuits.states(now)[0].1, Circuit::Closed, "not its fault");
        fails(&mut circuits, 1, now);
        assert_eq!(admitted(&mut circuits, now).1, ["a.example", "b.example"]);
        fails(&mut circuits, 1, now);
        let states: Vec<_> = circuits.states(now).into_iter().map(|(_, s)| s).collect();
        assert_eq!(states, [Circuit::Open { left: PAUSE }, Circuit::Closed]);
        assert_eq!(admitted(&mut circuits, now).1, ["b.example"]);

        let later = now + PAUSE;
        let (probe, both) = admitted(&mut circuits, later);
        assert_eq!(both, ["a.example", "b.example"]);
        assert_eq!(
            admitted(&mut circuits, later).1,
            ["b.example"],
            "one at a time"
        );
        probe.iter().for_each(|one| circuits.not_dialled(one));
        let (probe, both) = admitted(&mut circuits, later);
        assert_eq!(both, ["a.example", "b.example"], "the next one tries");
        circuits.dialled(&probe[0], Some(&error(FailureKind::Closed)), later);
        assert_eq!(
            circuits.states(later)[0].1,
            Circuit::Open { left: PAUSE },
            "one failure behind the pause is enough"
        );
        let (probe, _) = admitted(&mut circuits, later + PAUSE);
        circuits.dialled(&probe[0], None, later + PAUSE);
        assert_eq!(circuits.states(later + PAUSE)[0].1, Circuit::Closed);
    }

    #[test]
    fn where_all_are_open_the_least_recently_failed_is_tried_by_one_at_a_time() {
        let mut circuits = Circuits::new(RULE, endpoints().iter());
        let now = crate::clock::now();
        fails(&mut circuits, 2, now);
        let soon = now + Duration::from_secs(1);
        fails(&mut circuits, 2, soon);
        let (first, names) = admitted(&mut circuits, soon);
        assert_eq!(names, ["a.example"]);
        let (second, names) = admitted(&mut circuits, soon);
        assert_eq!(names, ["b.example"]);
        let mut order = Order::new(&endpoints(), &Seed::new(1));
        let refused = circuits.admit(&mut order, soon).unwrap_err();
        let left = Duration::from_secs(9);
        assert_eq!(refused, FailureKind::CircuitOpen(left));
        circuits.dialled(&first[0], Some(&error(FailureKind::Closed)), soon);
        circuits.dialled(&second[0], None, soon);
        assert_eq!(admitted(&mut circuits, soon).1, ["b.example"]);
    }

    #[test]
    fn who_broke_off_comes_last_until_a_transaction_ends_well_or_the_pause_is_over() {
        let mut circuits = Circuits::new(RULE, endpoints().iter());
        let now = crate::clock::now();
        let given_up = error(FailureKind::Cancelled);
        circuits.ended("a.example:25", Some(&given_up), now);
        assert_eq!(admitted(&mut circuits, now).1, ["a.example", "b.example"]);
        let broken = error(FailureKind::Closed);
        circuits.ended("a.example:25", Some(&broken), now);
        assert_eq!(admitted(&mut circuits, now).1, ["b.example", "a.example"]);
        // A dial that succeeds says nothing about transactions.
        let (both, _) = admitted(&mut circuits, now);
        circuits.dialled(&both[1], None, now);
        assert_eq!(admitted(&mut circuits, now).1, ["b.example", "a.example"]);
        circuits.ended("a.example:25", Some(&given_up), now);
        assert_eq!(admitted(&mut circuits, now).1, ["b.example", "a.example"]);
        assert_eq!(
            admitted(&mut circuits, now + PAUSE).1,
            ["a.example", "b.example"]
        );
        circuits.ended("a.example:25", None, now);
        assert_eq!(admitted(&mut circuits, now).1, ["a.example", "b.example"]);
        // A refusal is a transaction that ended well.
        circuits.ended("a.example:25", Some(&broken), now);
        assert_eq!(admitted(&mut circuits, now).1, ["b.example", "a.example"]);
        let refused = error(FailureKind::Refused);
        circuits.ended("a.example:25", Some(&refused), now);
        assert_eq!(admitted(&mut circuits, now).1, ["a.example", "b.example"]);
    }
}
