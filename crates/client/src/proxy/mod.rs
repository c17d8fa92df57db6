//! SOCKS5 and HTTP CONNECT: a network behind another one.

mod error;
mod http;
mod socks;
mod url;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use proto::sasl::Secret;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub use error::ProxyError;

use crate::client::{ClientBuilder, ClientError, check_host};
use crate::connector::Connector;

/// Octets of an HTTP proxy's answer: far more than any has a reason to say.
const HTTP_ANSWER: usize = 8 * 1024;
/// Octets of a user's name or a password (RFC 1929 §2).
const SOCKS_CREDENTIAL: usize = 255;

/// A proxy to reach servers through.
///
/// Reaching the proxy and all that is said to it counts as [`Phase::Connect`](crate::Phase::Connect):
/// the same limit, the same cancellation. What it says is capped while it is read. A proxy that
/// fails is the [`source`](std::error::Error::source) of the error, as a [`ProxyError`].
///
/// The server's name is looked up by the proxy, unless [`resolve_locally`](Self::resolve_locally)
/// says otherwise. TLS is with the server, and shows the proxy nothing.
///
/// ```
/// use postbound::{Client, Proxy};
/// let client = Client::submission("smtp.example.org")
///     .proxy(Proxy::socks5("proxy.example.net", 1080)?)
///     .build()?;
/// let by_url = Client::submission("smtp.example.org")
///     .proxy(Proxy::from_url("http://proxy.example.net:3128")?)
///     .build()?;
/// # let _ = (client, by_url);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    credentials: Option<(String, Secret)>,
    resolve_locally: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Socks5,
    Http,
}

impl Proxy {
    /// A SOCKS5 proxy (RFC 1928). Its usual port is 1080.
    ///
    /// # Errors
    /// If `host` is neither a domain nor an IP address, or `port` is zero.
    pub fn socks5(host: impl Into<String>, port: u16) -> Result<Self, ClientError> {
        Self::new(Kind::Socks5, host.into(), port)
    }

    /// An HTTP proxy that knows CONNECT (RFC 9110 §9.3.6). Its usual ports are 3128 and 8080.
    ///
    /// # Errors
    /// If `host` is neither a domain nor an IP address, or `port` is zero.
    pub fn http(host: impl Into<String>, port: u16) -> Result<Self, ClientError> {
        Self::new(Kind::Http, host.into(), port)
    }

    fn new(kind: Kind, host: String, port: u16) -> Result<Self, ClientError> {
        check_host(&host)?;
        if port == 0 {
            return Err(ClientError::ProxyPort);
        }
        Ok(Self {
            kind,
            host,
            port,
            credentials: None,
            resolve_locally: false,
        })
    }

    /// Tells the proxy a user's name and a password: RFC 1929 for SOCKS5, Basic (RFC 7617) for HTTP.
    /// Everybody who listens on the way to the proxy can read both, as its name says: neither
    /// protocol has TLS on that way.
    ///
    /// # Errors
    /// If either is empty or has more than 255 octets, if there is a control character in either, or
    /// a colon in the user's name.
    pub fn clear_text_credentials(
        mut self,
        user: impl Into<String>,
        password: impl Into<Secret>,
    ) -> Result<Self, ClientError> {
        let (user, password) = (user.into(), password.into());
        let fits = |octets: &[u8]| {
            (1..=SOCKS_CREDENTIAL).contains(&octets.len())
                && !octets.iter().any(u8::is_ascii_control)
        };
        if !fits(user.as_bytes()) || user.contains(':') || !fits(password.expose()) {
            return Err(ClientError::ProxyCredentials);
        }
        self.credentials = Some((user, password));
        Ok(self)
    }

    /// Looks the server's name up by the connector underneath and names an address to the proxy. By
    /// default the proxy is given the name.
    pub fn resolve_locally(mut self) -> Self {
        self.resolve_locally = true;
        self
    }

    /// A network that is reached through it, over another one.
    pub fn over<C>(self, connector: C) -> Proxied<C> {
        Proxied {
            proxy: self,
            connector,
        }
    }

    /// Has the proxy open a tunnel.
    async fn open<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        target: Target<'_>,
        port: u16,
    ) -> io::Result<()> {
        let credentials = self
            .credentials
            .as_ref()
            .map(|(user, password)| (user.as_str(), password));
        let opened = match self.kind {
            Kind::Socks5 => socks::open(stream, target, port, credentials).await,
            Kind::Http => http::open(stream, target, port, credentials).await,
        };
        opened.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ProxyError::Closed.into(),
            _ => error,
        })
    }
}

/// The proxy as `host:port`.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// What a proxy is to reach.
#[derive(Clone, Copy, Debug)]
enum Target<'a> {
    Name(&'a str),
    Address(IpAddr),
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Address(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// A network that is reached through a [`Proxy`].
#[derive(Clone, Debug)]
pub struct Proxied<C> {
    proxy: Proxy,
    connector: C,
}

impl<C: Connector> Proxied<C> {
    /// Whether the proxy is told an address: an address in the place of a name was never looked up.
    fn names_an_address(&self, host: &str) -> bool {
        self.proxy.resolve_locally || host.parse::<IpAddr>().is_ok()
    }

    /// A stream to the proxy itself: its addresses in their turn.
    async fn reach(&self) -> io::Result<C::Stream> {
        let Proxy { host, port, .. } = &self.proxy;
        let addresses = match host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, *port)],
            Err(_) => self.connector.resolve(host, *port).await?,
        };
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the proxy's name has no address");
        for address in addresses {
            match self.connector.connect_to(host, *port, address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl<C: Connector> Connector for Proxied<C> {
    type Stream = C::Stream;

    /// The proxy's own addresses, which race as a server's would, where it is the proxy that looks
    /// the server's name up.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if self.proxy.resolve_locally {
            return self.connector.resolve(host, port).await;
        }
        let Proxy { host, port, .. } = &self.proxy;
        match host.parse::<IpAddr>() {
            Ok(ip) => Ok(vec![SocketAddr::new(ip, *port)]),
            Err(_) => self.connector.resolve(host, *port).await,
        }
    }

    /// Only without a client, which lets the proxy's addresses race ([`relay`](Connector::relay)).
    async fn connect(&self, addr: SocketAddr) -> io::Result<C::Stream> {
        let mut stream = self.reach().await?;
        let target = Target::Address(addr.ip());
        self.proxy.open(&mut stream, target, addr.port()).await?;
        Ok(stream)
    }

    async fn connect_to(&self, host: &str, port: u16, addr: SocketAddr) -> io::Result<C::Stream> {
        if self.names_an_address(host) {
            return self.connect(addr).await;
        }
        check_host(host).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let (proxy, proxy_port) = (&self.proxy.host, self.proxy.port);
        let mut stream = self.connector.connect_to(proxy, proxy_port, addr).await?;
        let target = Target::Name(host.strip_suffix('.').unwrap_or(host));
        self.proxy.open(&mut stream, target, port).await?;
        Ok(stream)
    }

    fn relay(&self, host: &str) -> Option<(&str, u16)> {
        let Proxy {
            host: proxy, port, ..
        } = &self.proxy;
        self.names_an_address(host)
            .then_some((proxy.as_str(), *port))
    }

    async fn connect_by(
        &self,
        relay: SocketAddr,
        _host: &str,
        _port: u16,
        addr: SocketAddr,
    ) -> io::Result<C::Stream> {
        let Proxy { host, port, .. } = &self.proxy;
        let mut stream = self.connector.connect_to(host, *port, relay).await?;
        let target = Target::Address(addr.ip());
        self.proxy.open(&mut stream, target, addr.port()).await?;
        Ok(stream)
    }
}

impl<C> ClientBuilder<C> {
    /// Reaches the servers through this proxy, over the connector that was set before.
    pub fn proxy(self, proxy: Proxy) -> ClientBuilder<Proxied<C>> {
        self.map_connector(|connector| proxy.over(connector))
    }
}

/// Says all of it.
async fn say<S: AsyncWrite + Unpin>(stream: &mut S, octets: &[u8]) -> io::Result<()> {
    stream.write_all(octets).await?;
    stream.flush().await
}

/// Hears exactly so many octets, and leaves those behind them for the client.
async fn hear<const N: usize, S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<[u8; N]> {
    let mut octets = [0; N];
    stream.read_exact(&mut octets).await?;
    Ok(octets)
}
