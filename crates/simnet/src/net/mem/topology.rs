//! Several hosts on one in-memory network, and one ledger over all their mailboxes.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Connector, Host, Shared};
use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::server::{Double, share};
use crate::trace::Trace;

/// Hosts with a double each, every one with a plan of its own. They share one [`Ledger`], in which
/// each delivery names its server, and one [`Trace`]. Dropping it ends the doubles' connections.
///
/// A host can crash, come back and be given another plan while clients are at it.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
/// # runtime.block_on(async {
/// use postbound_simnet::{Double, Plan, net::mem::Topology};
/// use tokio::io::AsyncReadExt;
///
/// let topology = Topology::new([
///     ("mx1.example", Double::new("v1 | connect: refuse".parse()?)),
///     ("mx2.example", Double::new(Plan::healthy())),
/// ]);
/// let connector = topology.connector();
/// let first = connector.resolve("mx1.example", 25).await?[0];
/// assert!(connector.connect(first).await.is_err());
/// let second = connector.resolve("mx2.example", 25).await?[0];
/// let mut greeting = [0; 15];
/// connector.connect(second).await?.read_exact(&mut greeting).await?;
/// assert_eq!(&greeting, b"220 mx2.example");
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Topology {
    shared: Arc<Shared>,
    ledger: Ledger,
    trace: Trace,
}

impl Topology {
    /// Hosts on the current runtime. A name with a port behind a colon, such as
    /// `mx.example:587`, answers on that port; one without answers on every other. No more than 256
    /// hosts have addresses of their own.
    #[must_use]
    pub fn new<N: Into<String>>(hosts: impl IntoIterator<Item = (N, Double)>) -> Self {
        let (hosts, ledger, trace) = share(hosts);
        let hosts = hosts
            .into_iter()
            .map(|(name, double)| Host::new(Some(name), double))
            .collect();
        Self {
            shared: Arc::new(Shared::new(hosts)),
            ledger,
            trace,
        }
    }

    /// The client's way in. Clones share the network.
    #[must_use]
    pub fn connector(&self) -> Connector {
        Connector {
            shared: Arc::clone(&self.shared),
        }
    }

    /// All mailboxes and findings.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What happened, on all hosts.
    #[must_use]
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The host's process dies: its connections end with a FIN, or a RST where octets are unread,
    /// and further ones are refused. What is in the mailbox stays. An unknown name is nobody.
    pub fn crash(&self, name: &str) {
        for host in self.shared.named(name) {
            host.up.store(false, Ordering::Relaxed);
            host.tasks().abort_all();
        }
    }

    /// The host is there again. An unknown name is nobody.
    pub fn bounce(&self, name: &str) {
        for host in self.shared.named(name) {
            host.up.store(true, Ordering::Relaxed);
        }
    }

    /// What goes wrong from now on with new connections to this host; an empty plan heals it. An
    /// unknown name is nobody.
    pub fn set_plan(&self, name: &str, plan: &Plan) {
        for host in self.shared.named(name) {
            let healed = host.double().with_plan(plan.clone());
            *host.lock() = healed;
        }
    }

    /// Streams that clients hold.
    #[must_use]
    pub fn client_streams(&self) -> usize {
        self.shared.client.open.load(Ordering::Relaxed)
    }

    /// Streams that the doubles hold.
    #[must_use]
    pub fn server_streams(&self) -> usize {
        self.shared.server.open.load(Ordering::Relaxed)
    }

    /// The first panic of a connection's task that has ended, if there was one.
    #[must_use]
    pub fn panicked(&self) -> Option<String> {
        self.shared.panicked()
    }
}

impl fmt::Debug for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topology")
            .field("hosts", &self.shared.hosts)
            .finish_non_exhaustive()
    }
}

impl Drop for Topology {
    fn drop(&mut self) {
        self.shared.abort();
    }
}
