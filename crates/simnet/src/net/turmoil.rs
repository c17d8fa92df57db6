//! turmoil: hosts with names, in virtual ticks.
//!
//! A blackhole is `hold` and never `partition`, which refuses connections at once. Latency has no
//! spread, and each hop takes up to one tick more.

use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinSet;
use tokio::time::sleep;
use turmoil::net::TcpListener;

use super::shaped::Shaped;
use crate::plan::{ConnectFault, LinkFault};
use crate::server::{Abort, Double};

/// How a simulation runs.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Options {
    /// A tick. Default 1 ms; a coarser one is faster and moves every arrival by up to itself.
    pub tick: Duration,
    /// How long it may last. Default one hour.
    pub duration: Duration,
    /// The seed of whatever turmoil draws.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tick: Duration::from_millis(1),
            duration: Duration::from_secs(3_600),
            seed: 0,
        }
    }
}

const CLIENT: &str = "client";
const PORT: u16 = 25;

fn host(number: u16) -> String {
    format!("double{number}")
}

/// Runs `client` in a simulation with one host for each of the double's addresses.
///
/// # Errors
/// If the simulation does, such as by a panic or by running over its duration.
pub fn simulate<F>(
    double: &Double,
    options: Options,
    client: impl FnOnce(Connector) -> F,
) -> Result<(), Box<dyn std::error::Error>>
where
    F: Future<Output = ()> + 'static,
{
    let plan = double.plan();
    let latency = plan
        .link_faults()
        .find_map(|fault| match fault {
            LinkFault::Latency(delay) => Some(*delay),
            _ => None,
        })
        .unwrap_or(Duration::from_millis(1));
    let mut sim = turmoil::Builder::new()
        .tick_duration(options.tick)
        .simulation_duration(options.duration)
        .min_message_latency(latency)
        .max_message_latency(latency)
        .epoch(SystemTime::UNIX_EPOCH)
        .rng_seed(options.seed)
        .build();
    let mut blackholed = Vec::new();
    for number in 1..=plan.addresses() {
        let fault = plan.connect_fault(number).cloned();
        if fault == Some(ConnectFault::Blackhole) {
            blackholed.push(host(number));
        }
        let double = double.clone();
        sim.host(host(number), move || {
            listen(double.clone(), fault.clone(), number)
        });
    }
    let connector = Connector {
        double: double.clone(),
    };
    let future = client(connector);
    sim.client(CLIENT, async move {
        future.await;
        Ok(())
    });
    for name in blackholed {
        sim.hold(CLIENT, name);
    }
    sim.run()
}

async fn listen(
    double: Double,
    fault: Option<ConnectFault>,
    number: u16,
) -> Result<(), Box<dyn std::error::Error>> {
    if fault == Some(ConnectFault::Refuse) {
        pending::<()>().await;
    }
    let listener = TcpListener::bind((IpAddr::from([0, 0, 0, 0]), PORT)).await?;
    let mut connections: JoinSet<()> = JoinSet::new();
    loop {
        if let Some(ConnectFault::After(delay)) = &fault {
            // turmoil opens a connection when it is accepted.
            sleep(*delay).await;
        }
        let (stream, _) = listener.accept().await?;
        while let Some(ended) = connections.try_join_next() {
            ended?;
        }
        for fault in double.plan().link_faults() {
            if let LinkFault::Blackhole { after, heal, .. } = fault {
                let (after, heal) = (*after, *heal);
                connections.spawn(async move {
                    sleep(after).await;
                    turmoil::hold(CLIENT, host(number));
                    if let Some(heal) = heal {
                        sleep(heal).await;
                        turmoil::release(CLIENT, host(number));
                    }
                });
            }
        }
        let double = double.clone();
        connections.spawn(async move {
            let shaped = Shaped::new(Stream(stream), double.plan(), false);
            double.serve(shaped).await;
        });
    }
}

/// A connection in a simulation.
#[derive(Debug)]
pub struct Stream(turmoil::net::TcpStream);

impl Abort for Stream {
    /// turmoil resets only if octets are unread; plans that need more are skipped.
    fn abort(self) {}
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

/// The simulated client's way to the double.
#[derive(Clone, Debug)]
pub struct Connector {
    double: Double,
}

impl Connector {
    /// The double's addresses, whatever the name.
    ///
    /// # Errors
    /// If the plan says so.
    ///
    /// # Cancel safety
    /// Nothing is held.
    pub async fn resolve(&self, _name: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        let plan = self.double.plan();
        let addresses = (1..=plan.addresses())
            .map(|number| SocketAddr::new(turmoil::lookup(host(number)), PORT))
            .collect();
        super::resolve(plan, addresses).await
    }

    /// A simulated connection.
    ///
    /// # Errors
    /// If nobody listens.
    ///
    /// # Cancel safety
    /// turmoil forgets neither the socket nor its port before the simulation ends.
    pub async fn connect(&self, address: SocketAddr) -> io::Result<Stream> {
        turmoil::net::TcpStream::connect(address).await.map(Stream)
    }
}

#[cfg(feature = "client")]
super::connector!(Connector, Stream);
