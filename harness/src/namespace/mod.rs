//! Two network namespaces with a cable between them: the kernel's own faults, as a referee of what the
//! simulated network makes of the same plan.
//!
//! What a plan says of the server, the double does. What it says of connections and the link, the
//! kernel does: a route that swallows, a route that is answered by ICMP, a cable that is pulled, a
//! process that dies. Client and server are processes of their own, started inside their namespace, so
//! that nobody changes the namespace of a running thread. Time is real here.

mod case;
mod pair;
mod role;

pub use case::{Means, Ran, run};
pub use pair::{Pair, SERVER_PORT, sweep, why_not};
pub use role::{ROLE, play};

use std::net::{IpAddr, SocketAddr};

use simnet::plan::{ConnectFault, Family, ResolveFault, Rule};

use crate::case::Case;

/// The addresses that the name has in this case, each where the kernel does what the plan says of it.
#[must_use]
pub fn addresses(case: &Case) -> Vec<SocketAddr> {
    let families = case.plan.rules.iter().find_map(|rule| match rule {
        Rule::Resolve(ResolveFault::Families(families)) => Some(families.clone()),
        Rule::Resolve(ResolveFault::Addresses(count)) => {
            Some(vec![Family::V4; usize::from(*count)])
        }
        _ => None,
    });
    let families = families.unwrap_or_else(|| vec![Family::V4]);
    let address = |(index, family): (usize, &Family)| {
        let number = u8::try_from(index + 1).unwrap_or(u8::MAX);
        let fault = case.plan.rules.iter().find_map(|rule| match rule {
            Rule::Connect { address, fault }
                if address.is_none_or(|at| at == u16::from(number)) =>
            {
                Some(fault)
            }
            _ => None,
        });
        let (ip, port): (IpAddr, u16) = match (fault, family) {
            (Some(ConnectFault::Blackhole), Family::V4) => (pair::swallowed(number).into(), 25),
            (Some(ConnectFault::Blackhole), Family::V6) => (pair::swallowed6(number).into(), 25),
            (Some(ConnectFault::Unreachable), _) => (pair::unreachable(number).into(), 25),
            (Some(ConnectFault::Refuse), Family::V4) => (pair::SERVER.into(), pair::CLOSED_PORT),
            (Some(ConnectFault::Refuse), Family::V6) => (pair::SERVER6.into(), pair::CLOSED_PORT),
            (_, Family::V4) => (pair::SERVER.into(), SERVER_PORT),
            (_, Family::V6) => (pair::SERVER6.into(), SERVER_PORT),
        };
        SocketAddr::new(ip, port)
    };
    families.iter().enumerate().map(address).collect()
}
