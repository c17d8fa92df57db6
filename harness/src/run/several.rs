//! Several in-memory networks behind one name, one connection after the other.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use postbound::Connector;

use simnet::net::mem::{Network, Stream};
use simnet::{Delivery, Double, Finding, Plan};

/// The first connection meets the first plan, the second the second and so on; the last plan is met
/// by all that follow. Clones share everything.
#[derive(Clone, Debug)]
pub struct Several {
    networks: Arc<[Network]>,
    met: Arc<AtomicUsize>,
    opening: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

struct Opening<'a>(&'a AtomicUsize);

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Several {
    /// Networks with these plans on the current runtime.
    ///
    /// # Panics
    /// If there is no plan.
    #[must_use]
    pub fn new(plans: impl IntoIterator<Item = Plan>) -> Self {
        Self::of(
            plans
                .into_iter()
                .map(|plan| Double::new(plan).without_trace()),
        )
    }

    /// Networks with these doubles on the current runtime.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn of(doubles: impl IntoIterator<Item = Double>) -> Self {
        let networks: Arc<[Network]> = doubles.into_iter().map(Network::new).collect();
        assert!(!networks.is_empty(), "there is a network");
        Self {
            networks,
            met: Arc::default(),
            opening: Arc::default(),
            most: Arc::default(),
        }
    }

    /// From now on every new connection meets the last plan.
    pub fn heal(&self) {
        self.met.store(self.networks.len(), Ordering::Relaxed);
    }

    fn network(&self, number: usize) -> &Network {
        &self.networks[number.min(self.networks.len() - 1)]
    }

    /// Streams that the client holds.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.networks.iter().map(Network::client_streams).sum()
    }

    /// The most streams that the client held or was opening at any time.
    #[must_use]
    pub fn most_streams(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// How many connections the servers accepted.
    #[must_use]
    pub fn connections(&self) -> u32 {
        let ledgers = self.networks.iter().map(|n| n.double().ledger());
        ledgers.map(simnet::Ledger::connections).sum()
    }

    /// What is in all mailboxes.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        let ledgers = self.networks.iter().map(|n| n.double().ledger());
        ledgers.flat_map(simnet::Ledger::deliveries).collect()
    }

    /// What the client did wrong anywhere.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let ledgers = self.networks.iter().map(|n| n.double().ledger());
        ledgers.flat_map(simnet::Ledger::findings).collect()
    }
}

impl Connector for Several {
    type Stream = Stream;

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let next = self.met.load(Ordering::Relaxed);
        let connector = self.network(next).connector();
        connector.resolve(host, port).await
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Stream> {
        let opening = self.opening.fetch_add(1, Ordering::Relaxed) + 1;
        let _opening = Opening(&self.opening);
        let open = self.streams() + opening;
        self.most.fetch_max(open, Ordering::Relaxed);
        let number = self.met.fetch_add(1, Ordering::Relaxed);
        self.network(number).connector().connect(address).await
    }
}
