//! The way to the servers: straight, or through a proxy.

use std::io;
use std::net::SocketAddr;

use postbound::{Connector, Proxied, Proxy, TcpConnector};
use tokio::net::TcpStream;

use crate::exit::{Stop, usage};

/// The environment variable with the URL of the server.
pub(crate) const URL: &str = "POSTBOUND_URL";
/// The environment variable with the proxy's URL.
const PROXY: &str = "POSTBOUND_PROXY";

#[derive(Clone, Debug)]
pub(crate) enum Network {
    Straight(TcpConnector),
    Proxied(Box<Proxied<TcpConnector>>),
}

impl Network {
    /// By this proxy, or the environment's, or none.
    pub(crate) fn new(proxy: Option<&str>) -> Result<Self, Stop> {
        let tcp = TcpConnector::new();
        let url = match proxy {
            Some(url) => {
                warn_of_password(url, PROXY);
                url.to_owned()
            }
            None => match std::env::var(PROXY) {
                Ok(url) if !url.is_empty() => url,
                _ => return Ok(Self::Straight(tcp)),
            },
        };
        let proxy = Proxy::from_url(&url).map_err(|error| usage(format!("the proxy: {error}")))?;
        Ok(Self::Proxied(Box::new(proxy.over(tcp))))
    }
}

/// Says so if this URL on the command line has a password in it.
pub(crate) fn warn_of_password(url: &str, variable: &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let has_password = authority
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':'));
    if has_password {
        eprintln!(
            "postbound: warning: a password on the command line can be read by everybody on this machine; put the URL into {variable}"
        );
    }
}

impl Connector for Network {
    type Stream = TcpStream;

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::Straight(tcp) => tcp.resolve(host, port).await,
            Self::Proxied(proxied) => proxied.resolve(host, port).await,
        }
    }

    async fn connect(&self, addr: SocketAddr) -> io::Result<TcpStream> {
        match self {
            Self::Straight(tcp) => tcp.connect(addr).await,
            Self::Proxied(proxied) => proxied.connect(addr).await,
        }
    }

    async fn connect_to(&self, host: &str, port: u16, addr: SocketAddr) -> io::Result<TcpStream> {
        match self {
            Self::Straight(tcp) => tcp.connect_to(host, port, addr).await,
            Self::Proxied(proxied) => proxied.connect_to(host, port, addr).await,
        }
    }

    fn relay(&self, host: &str) -> Option<(&str, u16)> {
        match self {
            Self::Straight(tcp) => tcp.relay(host),
            Self::Proxied(proxied) => proxied.relay(host),
        }
    }

    async fn connect_by(
        &self,
        relay: SocketAddr,
        host: &str,
        port: u16,
        addr: SocketAddr,
    ) -> io::Result<TcpStream> {
        match self {
            Self::Straight(tcp) => tcp.connect_by(relay, host, port, addr).await,
            Self::Proxied(proxied) => proxied.connect_by(relay, host, port, addr).await,
        }
    }
}
