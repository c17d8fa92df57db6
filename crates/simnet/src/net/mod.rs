//! The networks that the double runs on, and what each of them can't do.

pub mod loopback;
pub mod mem;
mod shaped;
#[cfg(feature = "turmoil")]
pub mod turmoil;

use std::fmt;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;

use tokio::time::sleep;

use crate::plan::{
    Break, ConnectFault, Direction, Family, IntakeFault, LinkFault, Plan, ResolveFault, Rule,
    ServerFault, Strike, Then, TlsFault,
};

/// A network to run a plan on.
#[expect(
    clippy::exhaustive_enums,
    reason = "a new backend has to be handled wherever they differ"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Backend {
    /// In memory, in virtual time.
    Mem,
    /// turmoil, in virtual ticks.
    Turmoil,
    /// Real sockets, in real time.
    Loopback,
}

impl Backend {
    /// Every backend.
    pub const ALL: [Self; 3] = [Self::Mem, Self::Turmoil, Self::Loopback];

    /// The backend's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mem => "mem",
            Self::Turmoil => "turmoil",
            Self::Loopback => "loopback",
        }
    }

    /// Whether the backend can do all of the plan.
    ///
    /// # Errors
    /// The rule that it can't do, and why. Such a plan is skipped and counted, never weakened.
    pub fn can(self, plan: &Plan) -> Result<(), String> {
        for rule in &plan.rules {
            let why = match self {
                Self::Mem => None,
                Self::Turmoil => turmoil_cannot(rule.split().1),
                Self::Loopback => loopback_cannot(rule.split().1),
            };
            if let Some(why) = why {
                return Err(format!("{self} can't do `{rule}`: {why}"));
            }
        }
        Ok(())
    }
}

/// Whether a server on real sockets can do all of the plan, for a client that looks up names by
/// itself.
///
/// # Errors
/// The rule that it can't do, and why.
pub fn can_serve(plan: &Plan) -> Result<(), String> {
    Backend::Loopback.can(plan)?;
    for rule in &plan.rules {
        // Several addresses are listened on; everything else is the business of a resolver.
        if let Rule::Resolve(fault) = rule
            && !matches!(
                fault,
                ResolveFault::Addresses(_) | ResolveFault::Families(_)
            )
        {
            return Err(format!(
                "`{rule}`: no server has a say in the look-up of its own name"
            ));
        }
    }
    Ok(())
}

/// Whether a host in somebody else's simulation can do all of the plan: it only is the server.
///
/// # Errors
/// The rule that it can't do, and why.
#[cfg(feature = "turmoil")]
pub(crate) fn can_be_host(plan: &Plan) -> Result<(), String> {
    Backend::Turmoil.can(plan)?;
    for rule in &plan.rules {
        let other = match rule {
            Rule::Resolve(_) | Rule::Connect { .. } => true,
            Rule::Link(fault) => {
                use LinkFault::{At, Coalesce, Fragment, Split};
                !matches!(
                    fault,
                    Fragment { .. } | Split { .. } | Coalesce { .. } | At { .. }
                )
            }
            _ => false,
        };
        if other {
            return Err(format!(
                "a host can't do `{rule}`: names, connections and links are the simulation's own"
            ));
        }
    }
    Ok(())
}

fn resets(fault: &ServerFault) -> bool {
    fault.then == Then::Reset
}

fn turmoil_cannot(rule: &Rule) -> Option<&'static str> {
    match rule {
        Rule::Resolve(ResolveFault::Families(families)) if families.contains(&Family::V6) => {
            Some("all its hosts are of one family")
        }
        Rule::Resolve(_) if addresses(rule) > LISTENED => {
            Some("each address is a host, and each tick takes all of them: 250 at most")
        }
        Rule::Connect {
            fault: ConnectFault::Unreachable,
            ..
        } => Some("it only knows refused connections"),
        Rule::Server { fault, .. } if resets(fault) => Some("it can't reset a connection at will"),
        Rule::Intake(IntakeFault::Interrupt { fault, .. }) if resets(fault) => {
            Some("it can't reset a connection at will")
        }
        Rule::Tls(TlsFault::At {
            then: Break::Reset, ..
        }) => Some("it can't reset a connection at will"),
        Rule::Intake(IntakeFault::Trickle { .. }) => None,
        Rule::Intake(_) | Rule::Link(LinkFault::Window(_)) => {
            Some("its window counts writes, not octets")
        }
        Rule::Link(LinkFault::At {
            strike: Strike::Reset,
            ..
        }) => Some("it can't reset a connection at will"),
        Rule::Link(LinkFault::At {
            strike: Strike::Shut,
            direction: Direction::ToServer,
            ..
        }) => Some("its window counts writes, not octets"),
        Rule::Link(LinkFault::Blackhole { direction, .. }) if *direction != Direction::Both => {
            Some("it only holds both directions at once")
        }
        _ => None,
    }
}

/// Addresses that somebody listens on at most. On real sockets they are to stay, with the connections to
/// them, well below the 1,024 descriptors that many systems give a process.
const LISTENED: usize = 250;

/// How many addresses the name has by this rule.
fn addresses(rule: &Rule) -> usize {
    match rule {
        Rule::Resolve(ResolveFault::Addresses(count)) => usize::from(*count),
        Rule::Resolve(ResolveFault::Families(families)) => families.len(),
        _ => 1,
    }
}

fn loopback_cannot(rule: &Rule) -> Option<&'static str> {
    match rule {
        Rule::Resolve(ResolveFault::Families(families))
            if families.iter().filter(|f| **f == Family::V6).count() > 1 =>
        {
            Some("IPv6 has one loopback address")
        }
        Rule::Resolve(_) if addresses(rule) > LISTENED => {
            Some("it listens on 250 addresses at most, of the few sockets that a process has")
        }
        Rule::Connect { fault, .. } => match fault {
            ConnectFault::Unreachable => Some("every loopback address has a route"),
            ConnectFault::After(_) => Some("the kernel answers a SYN at once"),
            ConnectFault::Blackhole if !cfg!(target_os = "linux") => {
                Some("a full backlog drops SYNs only on Linux")
            }
            _ => None,
        },
        Rule::Link(LinkFault::Latency(_)) => Some("real sockets have the latency they have"),
        Rule::Link(LinkFault::At {
            strike: Strike::Shut,
            direction: Direction::ToServer,
            ..
        }) => Some("the kernel takes what it has room for"),
        Rule::Link(LinkFault::Blackhole { direction, .. }) if *direction != Direction::Both => {
            Some("the server can only stop as a whole")
        }
        _ => None,
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|backend| backend.name() == name)
            .ok_or_else(|| format!("{name:?} is no backend; there are mem, turmoil and loopback"))
    }
}

/// Looks up any name, as the plan has it.
async fn resolve(plan: &Plan, addresses: Vec<SocketAddr>) -> io::Result<Vec<SocketAddr>> {
    match plan.resolve_fault() {
        Some(ResolveFault::Hang) => pending().await,
        Some(ResolveFault::Fail) => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
        Some(ResolveFault::Empty) => Ok(Vec::new()),
        Some(ResolveFault::After(delay)) => {
            sleep(*delay).await;
            Ok(addresses)
        }
        Some(ResolveFault::Addresses(_) | ResolveFault::Families(_)) | None => Ok(addresses),
    }
}

/// A connector of ours is one of the client's.
#[cfg(feature = "client")]
macro_rules! connector {
    ($connector:ty, $stream:ty) => {
        impl postbound::Connector for $connector {
            type Stream = $stream;

            async fn resolve(
                &self,
                host: &str,
                port: u16,
            ) -> std::io::Result<Vec<std::net::SocketAddr>> {
                Self::resolve(self, host, port).await
            }

            async fn connect(&self, addr: std::net::SocketAddr) -> std::io::Result<$stream> {
                Self::connect(self, addr).await
            }
        }
    };
}
#[cfg(feature = "client")]
use connector;
