//! Real sockets on loopback addresses, in real time: for any client in any language, and the referee
//! of the simulated networks.
//!
//! A blackholed SYN is a listener without a backlog that one filler connection keeps full (Linux
//! drops further SYNs then); a reset is a close with zero linger; `link: window` makes the kernel's
//! buffers as small as it allows; a blackhole in mid-stream is a server that stops altogether.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::shaped;
use crate::plan::{ConnectFault, Family, LinkFault, Plan};
use crate::server::{Abort, Double};

/// Connections served at once; others wait in the backlog. A double is attacked by what it tests.
pub const CONNECTIONS: usize = 256;

/// How long one connection is served, whatever it does: a client that leaks them gets its place back
/// for the next. Longer than any wait of RFC 5321 §4.5.3.2 and than any behaviour in the library.
pub const LIFE: Duration = Duration::from_secs(3600);

/// A double on loopback ports, or where it was told by name. Dropping it closes everything.
#[derive(Debug)]
pub struct Loopback {
    double: Double,
    addresses: Vec<SocketAddr>,
    /// Sockets that are bound and never accept.
    _deaf: Vec<Socket>,
    _fillers: Vec<TcpStream>,
    _tasks: JoinSet<()>,
}

impl Abort for TcpStream {
    fn abort(self) {
        // Without it the close would be a FIN, which is all that is left to do then.
        let _ = SockRef::from(&self).set_linger(Some(Duration::ZERO));
    }
}

fn small_buffers(plan: &Plan) -> Option<usize> {
    plan.link_faults().find_map(|fault| match fault {
        LinkFault::Window(octets) => Some(usize::try_from(*octets).unwrap_or(usize::MAX)),
        _ => None,
    })
}

fn bound(address: SocketAddr, plan: &Plan) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if let Some(octets) = small_buffers(plan) {
        // Before listening: accepted sockets inherit it, and the window is fixed by then.
        socket.set_recv_buffer_size(octets)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

impl Loopback {
    /// Listens on 127.0.0.1, on any free port if `port` is zero; the plan's further addresses are
    /// 127.0.0.2 and so on, on the same port, and ::1 for one of IPv6.
    ///
    /// # Errors
    /// If a socket can't be had, such as on a port that is taken.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was open.
    pub async fn bind(double: Double, port: u16) -> io::Result<Self> {
        Self::expose_at(double, SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
    }

    /// Listens on this address, which others on the network may reach: a double is a server made to be
    /// attacked by the tests of one machine, and takes mail of anyone who comes. It has no accounts but
    /// the script's and relays nothing. [`Loopback::bind`] is for everything else.
    ///
    /// # Errors
    /// As [`Loopback::bind`]; and [`io::ErrorKind::Unsupported`] if the plan has several addresses,
    /// which only a loopback has.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was open.
    pub async fn expose_at(double: Double, first: SocketAddr) -> io::Result<Self> {
        let anywhere = first.ip() != IpAddr::V4(Ipv4Addr::LOCALHOST);
        if anywhere && double.plan().addresses() > 1 {
            let why = "a plan with several addresses can only be served on 127.0.0.1";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        let mut loopback = Self {
            double,
            addresses: Vec::new(),
            _deaf: Vec::new(),
            _fillers: Vec::new(),
            _tasks: JoinSet::new(),
        };
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        let mut port = first.port();
        for number in 1..=loopback.double.plan().addresses() {
            let last = u8::try_from(number).unwrap_or(u8::MAX);
            let ip = match loopback.double.plan().family(number) {
                _ if anywhere => first.ip(),
                Family::V4 => IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)),
                Family::V6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
            };
            let address = SocketAddr::new(ip, port);
            let socket = bound(address, loopback.double.plan())?;
            let address = socket
                .local_addr()?
                .as_socket()
                .ok_or_else(|| io::Error::other("a socket without an address"))?;
            port = address.port();
            loopback.addresses.push(address);
            match loopback.double.plan().connect_fault(number) {
                Some(ConnectFault::Refuse) => loopback._deaf.push(socket),
                Some(ConnectFault::Blackhole) => {
                    socket.listen(0)?;
                    loopback._fillers.push(TcpStream::connect(address).await?);
                    loopback._deaf.push(socket);
                }
                _ => {
                    socket.listen(1024)?;
                    let listener = TcpListener::from_std(socket.into())?;
                    let (double, permits) = (loopback.double.clone(), Arc::clone(&permits));
                    loopback._tasks.spawn(accept(listener, double, permits));
                }
            }
        }
        Ok(loopback)
    }

    /// Where it listens: the first address.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.addresses.first().copied()
    }

    /// Where it listens: every address, also those at which nobody answers.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The double.
    #[must_use]
    pub fn double(&self) -> &Double {
        &self.double
    }

    /// A client's way in, which resolves any name to this double.
    #[must_use]
    pub fn connector(&self) -> Connector {
        Connector {
            double: self.double.clone(),
            addresses: self.addresses.clone(),
        }
    }
}

async fn accept(listener: TcpListener, double: Double, permits: Arc<Semaphore>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // A connection that was reset in the backlog, or no descriptor to be had just now.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let double = double.clone();
        connections.spawn(async move {
            let _ = stream.set_nodelay(true);
            tokio::select! {
                biased;
                () = shaped::serve(&double, stream, true) => {}
                () = tokio::time::sleep(LIFE) => {}
            }
            drop(permit);
        });
    }
}

/// A client's way to a [`Loopback`].
#[derive(Clone, Debug)]
pub struct Connector {
    double: Double,
    addresses: Vec<SocketAddr>,
}

impl Connector {
    /// The double's addresses, whatever the name.
    ///
    /// # Errors
    /// If the plan says so.
    ///
    /// # Cancel safety
    /// Nothing is held.
    pub async fn resolve(&self, _host: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        super::resolve(self.double.plan(), self.addresses.clone()).await
    }

    /// A real connection.
    ///
    /// # Errors
    /// What the operating system reports.
    ///
    /// # Cancel safety
    /// The socket is closed.
    pub async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_nodelay(true)?;
        if small_buffers(self.double.plan()).is_some() {
            socket.set_send_buffer_size(4096)?;
        }
        socket.connect(address).await
    }
}

#[cfg(feature = "client")]
super::connector!(Connector, TcpStream);
