//! Where many messages go, and how long that can take at most.

use std::time::Duration;

use postbound::{Client, Dns, Envelope, Mx, Phase, Pool, WorstCase};

use super::Terms;
use super::source::Found;
use crate::network::Network;
use crate::words::{brief, counted};

/// How long a pool leaves servers alone of which none can be had.
const PAUSE: Duration = Duration::from_secs(10);

/// Where they go.
pub(crate) enum Route {
    /// To this client's servers.
    Servers(Client<Network>),
    /// To the servers of the recipients' domains.
    Mx(Mx<Dns, Network>),
}

/// The same, with the connections that they go over.
pub(crate) enum Way {
    Pool(Pool<Network>),
    Mx(Mx<Dns, Network>),
}

impl Way {
    pub(crate) fn new(connections: u16, route: Route) -> Self {
        match route {
            Route::Servers(client) => {
                let pool = Pool::builder(client).size(usize::from(connections));
                Self::Pool(pool.pause(PAUSE).build())
            }
            Route::Mx(mx) => Self::Mx(mx),
        }
    }

    pub(crate) fn client(&self) -> &Client<Network> {
        match self {
            Self::Pool(pool) => pool.client(),
            Self::Mx(mx) => mx.client(),
        }
    }

    /// The longest that one message takes.
    fn worst_case(&self, envelope: &Envelope, octets: u64) -> WorstCase {
        match self {
            // A server that takes one recipient at a time makes a transaction of each (RFC 9422).
            Self::Pool(pool) => pool
                .worst_case(1, octets)
                .repeated(envelope.forward_paths().len() as u64),
            Self::Mx(mx) => mx.worst_case(envelope, octets),
        }
    }
}

/// What all of it can last at most.
pub(crate) struct Promise {
    /// One message over one connection, in one pass.
    pub(crate) one: WorstCase,
    all: Duration,
}

impl Promise {
    pub(crate) fn new(
        connections: u16,
        terms: &Terms,
        way: &Way,
        found: &[Found],
        envelope: &Envelope,
    ) -> Self {
        let of = |octets: u64| way.worst_case(envelope, octets);
        let one = of(found.iter().map(|found| found.octets).max().unwrap_or(0));
        let sum = found.iter().fold(Duration::ZERO, |sum, found| {
            sum.saturating_add(of(found.octets).total())
        });
        // Each connection has one message at hand and one that follows it, whatever the others do.
        let pass = (sum / u32::from(connections)).saturating_add(one.total().saturating_mul(2));
        let timeouts = way.client().timeouts();
        let waits = timeouts
            .of(Phase::Backoff)
            .max(PAUSE)
            .saturating_mul(terms.retry);
        let all = pass
            .saturating_mul(terms.retry + 1)
            .saturating_add(waits)
            .saturating_add(timeouts.of(Phase::Quit));
        Self { one, all }
    }

    pub(crate) fn line(&self, connections: u16, terms: &Terms, messages: usize) -> String {
        let all = terms
            .deadline
            .map_or(self.all, |deadline| deadline.min(self.all));
        format!(
            "{} over {} in {} at most: ends within {}, whatever happens; one message within {}",
            counted(messages, "message", "messages"),
            counted(usize::from(connections), "connection", "connections"),
            counted(terms.retry as usize + 1, "pass", "passes"),
            brief(all.saturating_add(terms.linger)),
            brief(self.one.total()),
        )
    }
}
