//! A host on the in-memory network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;

use super::stream::Counters;
use crate::plan::Family;
use crate::server::Double;

#[derive(Debug)]
pub(super) struct Host {
    /// `None` answers to every name.
    name: Option<String>,
    double: Mutex<Double>,
    pub(super) up: AtomicBool,
    tasks: Mutex<JoinSet<()>>,
}

impl Host {
    pub(super) fn new(name: Option<String>, double: Double) -> Self {
        Self {
            name,
            double: Mutex::new(double),
            up: AtomicBool::new(true),
            tasks: Mutex::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Double> {
        self.double.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn double(&self) -> Double {
        self.lock().clone()
    }

    pub(super) fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) hosts: Vec<Host>,
    pub(super) client: Arc<Counters>,
    pub(super) server: Arc<Counters>,
}

impl Shared {
    pub(super) fn new(hosts: Vec<Host>) -> Self {
        Self {
            hosts,
            client: Arc::default(),
            server: Arc::default(),
        }
    }

    /// The hosts of exactly this name.
    pub(super) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Host> {
        self.hosts
            .iter()
            .filter(move |host| host.name.as_deref() == Some(name))
    }

    /// The place of the host that answers for a name on a port: the one with that port in its
    /// name, or else the one without any.
    pub(super) fn find(&self, name: &str, port: u16) -> Option<usize> {
        let with_port = format!("{name}:{port}");
        let answers = |wanted: &str| {
            self.hosts.iter().position(|host| {
                host.name
                    .as_deref()
                    .is_none_or(|name| name.eq_ignore_ascii_case(wanted))
            })
        };
        answers(&with_port).or_else(|| answers(name))
    }

    pub(super) fn panicked(&self) -> Option<String> {
        self.hosts.iter().find_map(|host| {
            let mut tasks = host.tasks();
            while let Some(ended) = tasks.try_join_next() {
                if let Err(error) = ended
                    && error.is_panic()
                {
                    return Some(error.to_string());
                }
            }
            None
        })
    }

    pub(super) fn abort(&self) {
        for host in &self.hosts {
            host.tasks().abort_all();
        }
    }
}

/// The address with this number, counted from 1, of the host at this place. It is a label and never
/// touches a real socket.
pub(super) fn address(place: usize, number: u16, family: Family, port: u16) -> SocketAddr {
    let place = u8::try_from(place).unwrap_or(u8::MAX);
    let [high, low] = number.to_be_bytes();
    let ip = match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::new(10, place, high, low)),
        Family::V6 => IpAddr::V6(Ipv6Addr::new(
            0xfd00,
            0,
            0,
            0,
            0,
            0,
            u16::from(place),
            number,
        )),
    };
    SocketAddr::new(ip, port)
}

/// The place of the host and the number of its address.
pub(super) fn place(address: SocketAddr) -> (usize, u16) {
    match address.ip() {
        IpAddr::V4(ip) => {
            let [_, place, high, low] = ip.octets();
            (usize::from(place), u16::from_be_bytes([high, low]))
        }
        IpAddr::V6(ip) => {
            let [.., place, number] = ip.segments();
            (usize::from(place), number)
        }
    }
}
