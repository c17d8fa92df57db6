//! Which server, and under which limits: the options that `send` and `probe` have in common.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use postbound::{
    Client, ClientBuilder, EhloName, Endpoint, Phase, Security, TcpConnector, Timeouts, Tls,
};

use crate::duration;
use crate::exit::{self, Stop, usage};
use crate::network::Network;

#[derive(Debug, Args)]
pub(crate) struct Terms {
    /// The port of servers that name none [default: 465 with --tls implicit, else 25]
    #[arg(short, long)]
    port: Option<u16>,
    /// How to name oneself in EHLO
    #[arg(long, alias = "helo", value_name = "NAME")]
    ehlo: Option<EhloName>,
    /// Whether and when to encrypt: implicit, starttls, starttls-if-offered-insecure or none. The
    /// third one any active attacker can switch off, and it takes any certificate [default: none]
    #[arg(long, value_name = "MODE")]
    tls: Option<Security>,
    /// Trust the authorities in this PEM file and no other [default: those of the system]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Reach the servers through this proxy: socks5://HOST:PORT, socks5h:// (it looks names up) or
    /// http:// (CONNECT) [default: the URL in POSTBOUND_PROXY, if there is one]. With a user:
    /// `USER:PASSWORD@` before the host and `?auth-without-tls=allow` behind it, as everybody on the
    /// way to the proxy can read them
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// The set of limits to start from [default: interactive]
    #[arg(long, value_enum)]
    timeouts: Option<Preset>,
    /// The same limit for every phase
    #[arg(long, value_parser = duration, value_name = "TIME", conflicts_with = "timeouts")]
    timeout: Option<Duration>,
    /// The limit of one phase, such as greeting=20s; may be given again
    #[arg(long, value_name = "PHASE=TIME")]
    limit: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Preset {
    /// For somebody who waits
    Interactive,
    /// RFC 5321's minima, for a queue
    Rfc5321,
}

impl Terms {
    /// The port that was given.
    pub(crate) const fn port(&self) -> Option<u16> {
        self.port
    }

    /// A client of these servers, each a host, perhaps with its port; or of one URL.
    pub(crate) fn client(&self, servers: &[String]) -> Result<ClientBuilder<Network>, Stop> {
        let (mut builder, base) = match servers {
            [] => return Err(usage("where to? Give --server or --url")),
            [url] if url.contains("://") => {
                if self.port.is_some() {
                    return Err(usage("the port of a URL is written in it"));
                }
                if self.tls.is_some() {
                    return Err(usage(
                        "a URL says by its scheme whether to encrypt; leave --tls out",
                    ));
                }
                let read = || Client::from_url(url).map_err(usage);
                // An option has the last word, phase by phase.
                (read()?, *read()?.build().map_err(usage)?.timeouts())
            }
            servers => (self.endpoints(servers)?, Timeouts::INTERACTIVE),
        };
        builder = builder.timeouts(self.timeouts(base)?).tls(self.trust()?);
        if let Some(security) = self.tls {
            builder = builder.security(security);
        }
        if let Some(name) = &self.ehlo {
            builder = builder.ehlo_name(name.clone());
        }
        Ok(builder.connector(Network::new(self.proxy.as_deref())?))
    }

    /// The servers, each tried after those that were given before it.
    fn endpoints(&self, servers: &[String]) -> Result<ClientBuilder<TcpConnector>, Stop> {
        let open = |text: &String| !matches!(place(text), Ok((_, Some(_))));
        if self.port.is_some() && !servers.iter().any(open) {
            return Err(usage(
                "the port is given twice, behind the host and in --port",
            ));
        }
        let usual = match self.tls {
            Some(Security::Implicit) => 465,
            _ => 25,
        };
        let mut builder = None;
        for (priority, text) in (0..=u16::MAX).zip(servers) {
            let (host, port) = place(text)?;
            let port = port.or(self.port).unwrap_or(usual);
            builder = Some(match builder {
                None => Client::builder(host, port),
                Some(builder) => {
                    let endpoint = Endpoint::new(host, port).map_err(usage)?;
                    ClientBuilder::endpoint(builder, endpoint.priority(priority))
                }
            });
        }
        builder.ok_or_else(|| usage("there is no server"))
    }

    /// Whom to trust.
    fn trust(&self) -> Result<Tls, Stop> {
        let Some(file) = &self.ca else {
            return Ok(Tls::new());
        };
        let pem = fs::read(file).map_err(|error| {
            let file = file.display();
            Stop::new(exit::INPUT, format!("--ca {file} can't be read: {error}"))
        })?;
        Tls::new()
            .only_roots_pem(&pem)
            .map_err(|error| usage(format!("--ca {}: {error}", file.display())))
    }

    fn timeouts(&self, base: Timeouts) -> Result<Timeouts, Stop> {
        let mut timeouts = match (self.timeout, self.timeouts) {
            (Some(limit), _) => Timeouts::uniform(limit).map_err(usage)?,
            (None, Some(Preset::Interactive)) => Timeouts::INTERACTIVE,
            (None, Some(Preset::Rfc5321)) => Timeouts::RFC5321,
            (None, None) => base,
        };
        for limit in &self.limit {
            let (phase, time) = limit.split_once('=').ok_or_else(|| {
                usage(format!(
                    "--limit {limit:?}: write PHASE=TIME, such as greeting=20s"
                ))
            })?;
            let phase: Phase = phase.parse().map_err(|e| usage(format!("--limit: {e}")))?;
            let time = duration(time).map_err(|e| usage(format!("--limit {limit:?}: {e}")))?;
            timeouts = timeouts.with(phase, time).map_err(usage)?;
        }
        Ok(timeouts)
    }
}

/// Host and port, with an IPv6 address in brackets if a port follows it.
fn place(text: &str) -> Result<(&str, Option<u16>), Stop> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest
            .split_once(']')
            .ok_or_else(|| usage(format!("{text:?}: there is no closing bracket")))?;
        let port = rest.strip_prefix(':');
        if port.is_none() && !rest.is_empty() {
            let why = "behind the bracket comes a colon and the port, or nothing";
            return Err(usage(format!("{text:?}: {why}; {rest:?} stands there")));
        }
        (host, port)
    } else if text.matches(':').count() == 1 {
        let (host, port) = text.split_once(':').unwrap_or((text, ""));
        (host, Some(port))
    } else {
        (text, None)
    };
    let port = match port.map(str::parse) {
        None => None,
        Some(Ok(port)) => Some(port),
        Some(Err(_)) => {
            let port = port.unwrap_or_default();
            return Err(usage(format!("{text:?}: {port:?} is no port")));
        }
    };
    Ok((host, port))
}
