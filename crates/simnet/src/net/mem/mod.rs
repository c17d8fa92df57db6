//! An in-memory network on tokio's clock: the workhorse of the proofs.
//!
//! Nothing happens here without an event, so that on a paused clock a ten-minute silence costs as
//! little as a quick reply, and every time is exact to the timers' millisecond. What it models of
//! TCP: order, latency (at least 1 ms each way), a window in octets, FIN, RST (what was
//! delivered before it can be read behind it, as on Linux; a blocked writer wakes up), and that octets
//! sent to a closed socket are answered by a reset. What it does not: loss with retransmission, reordering and congestion, which a client
//! sees as latency.

mod host;
mod pipe;
mod points;
mod stream;
mod topology;

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::sleep;

pub use stream::Stream;
pub use topology::Topology;

use host::{Host, Shared, address, place};
use stream::pair;

use crate::plan::{ConnectFault, Direction};
use crate::server::Double;

/// An in-memory network with one double on it. Dropping it ends the double's connections.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
/// # runtime.block_on(async {
/// use postbound_simnet::{Double, Plan, net::mem::Network};
/// use tokio::io::AsyncReadExt;
///
/// let network = Network::new(Double::new(Plan::healthy()));
/// let connector = network.connector();
/// let address = connector.resolve("mx.example", 25).await?[0];
/// let mut stream = connector.connect(address).await?;
/// let mut greeting = [0; 10];
/// stream.read_exact(&mut greeting).await?;
/// assert_eq!(&greeting, b"220 double");
/// # Ok::<(), std::io::Error>(()) })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Network {
    shared: Arc<Shared>,
    double: Double,
}

impl Network {
    /// A network on the current runtime.
    #[must_use]
    pub fn new(double: Double) -> Self {
        Self {
            shared: Arc::new(Shared::new(vec![Host::new(None, double.clone())])),
            double,
        }
    }

    /// The client's way in. Clones share the network.
    #[must_use]
    pub fn connector(&self) -> Connector {
        Connector {
            shared: Arc::clone(&self.shared),
        }
    }

    /// The double.
    #[must_use]
    pub fn double(&self) -> &Double {
        &self.double
    }

    /// Streams that clients hold.
    #[must_use]
    pub fn client_streams(&self) -> usize {
        self.shared.client.open.load(Ordering::Relaxed)
    }

    /// Octets that clients wrote, all connections together.
    #[must_use]
    pub fn client_octets(&self) -> u64 {
        self.shared.client.octets.load(Ordering::Relaxed)
    }

    /// Octets that servers wrote, all connections together.
    #[must_use]
    pub fn server_octets(&self) -> u64 {
        self.shared.server.octets.load(Ordering::Relaxed)
    }

    /// Tasks of the network itself that have not ended: one for each connection that a server still
    /// has. Any other task on the same runtime is somebody else's.
    ///
    /// # Errors
    /// The first panic of one that has.
    pub fn tasks(&self) -> Result<usize, String> {
        match self.shared.panicked() {
            Some(panic) => Err(panic),
            None => Ok(self
                .shared
                .hosts
                .iter()
                .map(|host| host.tasks().len())
                .sum()),
        }
    }

    /// The first panic of a connection's task that has ended, if there was one.
    #[must_use]
    pub fn panicked(&self) -> Option<String> {
        self.shared.panicked()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.shared.abort();
    }
}

/// A client's way into a [`Network`] or a [`Topology`].
#[derive(Clone, Debug)]
pub struct Connector {
    shared: Arc<Shared>,
}

impl Connector {
    /// Octets that clients wrote, all connections together.
    #[must_use]
    pub fn client_octets(&self) -> u64 {
        self.shared.client.octets.load(Ordering::Relaxed)
    }

    /// The addresses of a name: one, unless the plan says otherwise. A network with one double
    /// answers to any name.
    ///
    /// # Errors
    /// If the plan says so, or no host has the name.
    ///
    /// # Cancel safety
    /// Nothing is held.
    pub async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let found = self.shared.find(host, port);
        let Some((place, host)) = found.and_then(|at| Some((at, self.shared.hosts.get(at)?)))
        else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no such name"));
        };
        let double = host.double();
        let plan = double.plan();
        let addresses = (1..=plan.addresses())
            .map(|number| address(place, number, plan.family(number), port))
            .collect();
        crate::net::resolve(plan, addresses).await
    }

    /// A connection to one address, after a round trip.
    ///
    /// # Errors
    /// If the plan says so, or the host is not up.
    ///
    /// # Cancel safety
    /// Nothing is held before the connection is open.
    pub async fn connect(&self, address: SocketAddr) -> io::Result<Stream> {
        let (place, number) = place(address);
        let Some(host) = self.shared.hosts.get(place) else {
            return Err(io::ErrorKind::HostUnreachable.into());
        };
        let double = host.double();
        let plan = double.plan();
        let latency = pipe::Shape::new(plan, Direction::ToServer).latency;
        match plan.connect_fault(number) {
            Some(ConnectFault::Unreachable) => return Err(io::ErrorKind::HostUnreachable.into()),
            Some(ConnectFault::Blackhole) => pending().await,
            Some(ConnectFault::After(delay)) => sleep(*delay).await,
            Some(ConnectFault::Refuse) | None => {}
        }
        sleep(latency * 2).await;
        let refuses = plan.connect_fault(number) == Some(&ConnectFault::Refuse);
        if refuses || !host.up.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let Shared { client, server, .. } = &*self.shared;
        let (near, far) = pair(plan, Arc::clone(client), Arc::clone(server));
        host.tasks().spawn(async move { double.serve(far).await });
        Ok(near)
    }
}

#[cfg(feature = "client")]
crate::net::connector!(Connector, Stream);
