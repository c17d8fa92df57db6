//! turmoil: hosts with names, in virtual ticks.
//!
//! A blackhole is `hold` and never `partition`, which refuses connections at once. Latency has no
//! spread, and each hop takes up to one tick more.

use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinSet;
use tokio::time::sleep;
use turmoil::net::TcpListener;

use super::shaped;
use crate::ledger::Ledger;
use crate::plan::{ConnectFault, LinkFault, Plan};
use crate::server::{Abort, Double, share};

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

/// What happens to a host in the middle of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Happening {
    /// Its process dies: connections end, further ones are refused. The mailbox stays.
    Crash,
    /// It is there again.
    Bounce,
    /// Whatever travels between it and the client is held back.
    Hold,
    /// What was held back arrives.
    Release,
}

/// Hosts with a double each, one ledger over all their mailboxes, and what happens to them when.
#[derive(Debug)]
pub struct Topology {
    hosts: Arc<[(String, Double)]>,
    /// Every host answers to any name.
    anonymous: bool,
    ledger: Ledger,
    happenings: Vec<(Duration, String, Happening)>,
}

impl Topology {
    /// These hosts, all of them up.
    #[must_use]
    pub fn new<N: Into<String>>(hosts: impl IntoIterator<Item = (N, Double)>) -> Self {
        let (hosts, ledger, _) = share(hosts);
        Self {
            hosts: hosts.into(),
            anonymous: false,
            ledger,
            happenings: Vec::new(),
        }
    }

    /// Something happens to a host this long after the beginning. An unknown name is nobody.
    #[must_use]
    pub fn at(mut self, when: Duration, host: impl Into<String>, what: Happening) -> Self {
        self.happenings.push((when, host.into(), what));
        self.happenings.sort_by_key(|(when, ..)| *when);
        self
    }

    /// All mailboxes and findings.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Runs `client` in a simulation with one host for each of the doubles' addresses.
    ///
    /// # Errors
    /// If the simulation does, such as by a panic or by running over its duration.
    pub fn run<F>(
        &self,
        options: Options,
        client: impl FnOnce(Connector) -> F,
    ) -> Result<(), Box<dyn std::error::Error>>
    where
        F: Future<Output = ()> + 'static,
    {
        let mut sim = turmoil::Builder::new()
            .tick_duration(options.tick)
            .simulation_duration(options.duration)
            .min_message_latency(LATENCY)
            .max_message_latency(LATENCY)
            .epoch(SystemTime::UNIX_EPOCH)
            .rng_seed(options.seed)
            .build();
        for (name, double) in self.hosts.iter() {
            for number in 1..=double.plan().addresses() {
                let (name, double) = (host(name, number), double.clone());
                sim.host(name.clone(), move || {
                    listen(name.clone(), double.clone(), number)
                });
            }
        }
        let connector = Connector {
            hosts: Arc::clone(&self.hosts),
            anonymous: self.anonymous,
        };
        let future = client(connector);
        sim.client(CLIENT, async move {
            future.await;
            Ok(())
        });
        for (name, double) in self.hosts.iter() {
            for number in 1..=double.plan().addresses() {
                let name = host(name, number);
                sim.set_link_latency(CLIENT, name.clone(), latency(double.plan()));
                if double.plan().connect_fault(number) == Some(&ConnectFault::Blackhole) {
                    sim.hold(CLIENT, name);
                }
            }
        }
        let mut happenings = self.happenings.iter().peekable();
        loop {
            while let Some((_, name, what)) =
                happenings.next_if(|(when, ..)| *when <= sim.elapsed())
            {
                for name in self.addresses(name) {
                    match what {
                        Happening::Crash => sim.crash(name),
                        Happening::Bounce => sim.bounce(name),
                        Happening::Hold => sim.hold(CLIENT, name),
                        Happening::Release => sim.release(CLIENT, name),
                    }
                }
            }
            if sim.step()? {
                return Ok(());
            }
        }
    }

    /// The simulated hosts of this name: one for each of its addresses.
    fn addresses(&self, name: &str) -> Vec<String> {
        self.hosts
            .iter()
            .filter(|(known, _)| known == name)
            .flat_map(|(name, double)| {
                (1..=double.plan().addresses()).map(move |number| host(name, number))
            })
            .collect()
    }
}

const CLIENT: &str = "client";
const PORT: u16 = 25;
const LATENCY: Duration = Duration::from_millis(1);

fn host(name: &str, number: u16) -> String {
    format!("{name}/{number}")
}

fn latency(plan: &Plan) -> Duration {
    plan.link_faults()
        .find_map(|fault| match fault {
            LinkFault::Latency(delay) => Some(*delay),
            _ => None,
        })
        .unwrap_or(LATENCY)
}

/// Runs `client` in a simulation with one double, which answers to any name.
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
    let topology = Topology {
        hosts: [("double".to_owned(), double.clone())].into(),
        anonymous: true,
        ledger: double.ledger().clone(),
        happenings: Vec::new(),
    };
    topology.run(options, client)
}

async fn listen(
    name: String,
    double: Double,
    number: u16,
) -> Result<(), Box<dyn std::error::Error>> {
    if double.plan().connect_fault(number) == Some(&ConnectFault::Refuse) {
        pending::<()>().await;
    }
    let listener = TcpListener::bind((IpAddr::from([0, 0, 0, 0]), PORT)).await?;
    let mut connections: JoinSet<()> = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        while let Some(ended) = connections.try_join_next() {
            ended?;
        }
        let blackhole = double.plan().link_faults().find_map(|fault| match fault {
            LinkFault::Blackhole { after, heal, .. } => Some((*after, *heal)),
            _ => None,
        });
        if let Some((after, heal)) = blackhole {
            let name = name.clone();
            connections.spawn(async move {
                sleep(after).await;
                turmoil::hold(CLIENT, name.as_str());
                if let Some(heal) = heal {
                    sleep(heal).await;
                    turmoil::release(CLIENT, name.as_str());
                }
            });
        }
        let double = double.clone();
        connections.spawn(async move { serve(&double, stream).await });
    }
}

/// Serves one connection to its end.
pub(crate) async fn serve(double: &Double, stream: turmoil::net::TcpStream) {
    shaped::serve(double, Stream(stream), false).await;
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

/// The simulated client's way to the doubles.
#[derive(Clone, Debug)]
pub struct Connector {
    hosts: Arc<[(String, Double)]>,
    anonymous: bool,
}

impl Connector {
    /// The addresses of a name.
    ///
    /// # Errors
    /// If the plan says so, or no host has the name.
    ///
    /// # Cancel safety
    /// Nothing is held.
    pub async fn resolve(&self, name: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        let Some((name, double)) = self
            .hosts
            .iter()
            .find(|(known, _)| self.anonymous || known == name)
        else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no such name"));
        };
        let plan = double.plan();
        let addresses = (1..=plan.addresses())
            .map(|number| SocketAddr::new(turmoil::lookup(host(name, number)), PORT))
            .collect();
        super::resolve(plan, addresses).await
    }

    /// How much later a connection to this address opens.
    fn delay(&self, ip: IpAddr) -> Option<Duration> {
        self.hosts.iter().find_map(|(name, double)| {
            let plan = double.plan();
            let here = |number: &u16| turmoil::lookup(host(name, *number)) == ip;
            match plan.connect_fault((1..=plan.addresses()).find(here)?) {
                Some(ConnectFault::After(delay)) => Some(*delay),
                _ => None,
            }
        })
    }

    /// A simulated connection.
    ///
    /// # Errors
    /// If nobody listens.
    ///
    /// # Cancel safety
    /// turmoil forgets neither the socket nor its port before the simulation ends.
    pub async fn connect(&self, address: SocketAddr) -> io::Result<Stream> {
        // turmoil opens a connection when it is accepted, and tells nobody of it before.
        if let Some(delay) = self.delay(address.ip()) {
            sleep(delay).await;
        }
        turmoil::net::TcpStream::connect(address).await.map(Stream)
    }
}

#[cfg(feature = "client")]
super::connector!(Connector, Stream);
