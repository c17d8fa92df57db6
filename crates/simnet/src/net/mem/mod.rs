//! An in-memory network on tokio's clock: the workhorse of the proofs.
//!
//! Nothing happens here without an event, so that on a paused clock a ten-minute silence costs as
//! little as a quick reply, and every time is exact to the timers' millisecond. What it models of
//! TCP: order, latency (at least 1 ms each way), a window in octets, FIN, RST (unread octets are
//! lost, a blocked writer wakes up), and that octets sent to a closed socket are answered by a
//! reset. What it does not: loss with retransmission, reordering and congestion, which a client
//! sees as latency.

mod pipe;
mod stream;

use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;
use tokio::time::sleep;

pub use stream::Stream;

use stream::{Counters, pair};

use crate::plan::{ConnectFault, Direction, Family};
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
}

#[derive(Debug)]
struct Shared {
    double: Double,
    tasks: Mutex<JoinSet<()>>,
    client: Arc<Counters>,
    server: Arc<Counters>,
}

impl Network {
    /// A network on the current runtime.
    #[must_use]
    pub fn new(double: Double) -> Self {
        Self {
            shared: Arc::new(Shared {
                double,
                tasks: Mutex::default(),
                client: Arc::default(),
                server: Arc::default(),
            }),
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
        &self.shared.double
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

    /// The first panic of a connection's task that has ended, if there was one.
    #[must_use]
    pub fn panicked(&self) -> Option<String> {
        let mut tasks = self
            .shared
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = tasks.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                return Some(error.to_string());
            }
        }
        None
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let mut tasks = self
            .shared
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tasks.abort_all();
    }
}

/// A client's way into a [`Network`].
#[derive(Clone, Debug)]
pub struct Connector {
    shared: Arc<Shared>,
}

/// The address with this number, counted from 1. It is a label and never touches a real socket.
fn address(number: u16, family: Family, port: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    let ip = match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::new(10, 0, high, low)),
        Family::V6 => IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number)),
    };
    SocketAddr::new(ip, port)
}

fn number(address: SocketAddr) -> u16 {
    match address.ip() {
        IpAddr::V4(ip) => {
            let [_, _, high, low] = ip.octets();
            u16::from_be_bytes([high, low])
        }
        IpAddr::V6(ip) => {
            let [.., number] = ip.segments();
            number
        }
    }
}

impl Connector {
    /// Octets that clients wrote, all connections together.
    #[must_use]
    pub fn client_octets(&self) -> u64 {
        self.shared.client.octets.load(Ordering::Relaxed)
    }

    /// The addresses of any name: one, unless the plan says otherwise.
    ///
    /// # Errors
    /// If the plan says so.
    ///
    /// # Cancel safety
    /// Nothing is held.
    pub async fn resolve(&self, _host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let plan = self.shared.double.plan();
        let addresses = (1..=plan.addresses())
            .map(|number| address(number, plan.family(number), port))
            .collect();
        crate::net::resolve(plan, addresses).await
    }

    /// A connection to one address, after a round trip.
    ///
    /// # Errors
    /// If the plan says so.
    ///
    /// # Cancel safety
    /// Nothing is held before the connection is open.
    pub async fn connect(&self, address: SocketAddr) -> io::Result<Stream> {
        let plan = self.shared.double.plan();
        let latency = pipe::Shape::new(plan, Direction::ToServer).latency;
        match plan.connect_fault(number(address)) {
            Some(ConnectFault::Unreachable) => return Err(io::ErrorKind::HostUnreachable.into()),
            Some(ConnectFault::Blackhole) => pending().await,
            Some(ConnectFault::After(delay)) => sleep(*delay).await,
            Some(ConnectFault::Refuse) | None => {}
        }
        sleep(latency * 2).await;
        if let Some(ConnectFault::Refuse) = plan.connect_fault(number(address)) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let Shared {
            double,
            tasks,
            client,
            server,
        } = &*self.shared;
        let (near, far) = pair(plan, Arc::clone(client), Arc::clone(server));
        let double = double.clone();
        let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(async move { double.serve(far).await });
        Ok(near)
    }
}

#[cfg(feature = "client")]
crate::net::connector!(Connector, Stream);
