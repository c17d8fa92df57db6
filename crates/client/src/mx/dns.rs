//! MX look-ups by the DNS, through hickory-resolver.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;

use super::{Exchange, Exchanges, LookupError};

/// MX look-ups by the DNS: over UDP, and over TCP where an answer is too long for it.
///
/// Aliases (CNAME) are followed, eight of them at most. Each look-up stands for itself: it keeps no
/// cache, which is the name server's business, and when it ends or is dropped nothing of it is left
/// running. How long it may last is the call's limit of [`Phase::Resolve`](crate::Phase::Resolve). It
/// needs a tokio runtime.
///
/// DNSSEC is not validated: without DANE there is nothing that would depend on it.
///
/// ```no_run
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// use postbound::{Client, Dns, Envelope, Mx};
/// use std::time::Duration;
///
/// // Of the client only its settings are used, not its server.
/// let client = Client::builder("localhost", 25).ehlo_name("mail.example.net".parse()?).build()?;
/// let mx = Mx::new(client, Dns::from_system()?);
/// let envelope = Envelope::new("me@example.net".parse()?, ["you@example.org".parse()?])?;
/// for domain in mx.send(&envelope, b"Subject: hello\r\n\r\nworld\r\n", Duration::from_secs(60)).await {
///     match domain.result {
///         Ok(receipt) => println!("{}: {}", domain.domain, receipt.reply()),
///         Err(error) => println!("{}: {error}", domain.domain),
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Dns {
    settings: Arc<(ResolverConfig, ResolverOpts)>,
}

impl Dns {
    /// The name servers of the operating system: `/etc/resolv.conf`, or what takes its place.
    ///
    /// # Errors
    /// If they can't be found out.
    pub fn from_system() -> io::Result<Self> {
        let (config, options) = read_system_conf().map_err(io::Error::other)?;
        Ok(Self::new(config.name_servers, options))
    }

    /// These name servers, each over UDP and TCP.
    #[must_use]
    pub fn with_servers(servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        let servers = servers.into_iter().map(|address| {
            let mut server = NameServerConfig::udp_and_tcp(address.ip());
            for connection in &mut server.connections {
                connection.port = address.port();
            }
            server
        });
        Self::new(servers.collect(), ResolverOpts::default())
    }

    fn new(servers: Vec<NameServerConfig>, mut options: ResolverOpts) -> Self {
        options.use_hosts_file = ResolveHosts::Never;
        options.cache_size = 0;
        // A domain of a forward-path is complete: no search list is tried on it.
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        Self {
            settings: Arc::new((config, options)),
        }
    }
}

impl Exchanges for Dns {
    async fn exchanges(&self, domain: &str) -> Result<Vec<Exchange>, LookupError> {
        let (config, options) = &*self.settings;
        // One that can't be written as a name does not exist.
        let mut name = Name::from_ascii(domain).map_err(|_| LookupError::NoSuchDomain)?;
        name.set_fqdn(true);
        let resolver: TokioResolver =
            TokioResolver::builder_with_config(config.clone(), TokioRuntimeProvider::new())
                .with_options(options.clone())
                .build()
                .map_err(failed)?;
        match resolver.lookup(name, RecordType::MX).await {
            Ok(found) => Ok(found
                .answers()
                .iter()
                .filter_map(|record| match &record.data {
                    RData::MX(mx) => Some(Exchange {
                        preference: mx.preference,
                        host: mx.exchange.to_ascii(),
                    }),
                    _ => None,
                })
                .collect()),
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => match none.response_code {
                ResponseCode::NXDomain => Err(LookupError::NoSuchDomain),
                ResponseCode::NoError => Ok(Vec::new()),
                code => Err(LookupError::Failed(io::Error::other(format!(
                    "the name server answered {code}"
                )))),
            },
            Err(error) => Err(failed(error)),
        }
    }
}

fn failed(error: NetError) -> LookupError {
    LookupError::Failed(io::Error::other(error))
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<_> = self
            .settings
            .0
            .name_servers
            .iter()
            .map(|server| server.ip)
            .collect();
        f.debug_struct("Dns").field("servers", &servers).finish()
    }
}
