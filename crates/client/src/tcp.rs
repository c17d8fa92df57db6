//! The operating system's TCP.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream};

use crate::connector::Connector;
use crate::resolver::SystemResolver;

/// The operating system's TCP and resolver.
///
/// `TCP_NODELAY` is set on every connection: a client that waits for each reply gains nothing from
/// Nagle's algorithm, and small writes were measured to stall 44 ms for every message without it.
#[derive(Clone, Debug, Default)]
pub struct TcpConnector {
    resolver: SystemResolver,
}

impl TcpConnector {
    /// TCP with the process's shared resolver.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// TCP with a resolver of its own.
    #[must_use]
    pub fn with_resolver(resolver: SystemResolver) -> Self {
        Self { resolver }
    }
}

impl Connector for TcpConnector {
    type Stream = TcpStream;

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.resolver.resolve(host, port).await
    }

    async fn connect(&self, addr: SocketAddr) -> io::Result<TcpStream> {
        let socket = match addr {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // Before connecting: behind it a reset that is already there would be its error.
        socket.set_nodelay(true)?;
        socket.connect(addr).await
    }
}
