//! Delivery to the domains of the recipients, by their MX records.

#[cfg(feature = "mx")]
mod dns;
mod exchanges;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::IpAddr;

use proto::{Bounds as Start, DomainProblem, Envelope, Failure, FailureKind, Outcome, Phase};
use proto::{ForwardPath, WorstCase};

use crate::bounds::Bounds;
use crate::client::Client;
use crate::clock;
use crate::connector::Connector;
use crate::endpoint::{Endpoint, Order};
use crate::error::{self, Error};
use crate::guard::Guard;
use crate::message::Message;
use crate::receipt::Receipt;
use crate::step::{Due, step};
use crate::tcp::TcpConnector;

#[cfg(feature = "mx")]
pub use dns::Dns;
pub use exchanges::{Exchange, Exchanges, LookupError};

/// Delivers each message to the servers of its recipients' domains (RFC 5321 §5.1).
///
/// Recipients are grouped by domain, and each domain has one transaction and one result. Its servers
/// are the hosts of its MX records, the lowest preference first and equals in a random order from
/// the client's seed; without any MX record the domain itself is the server. A domain with a null MX
/// (RFC 7505) and one that does not exist take no mail, which is permanent; a look-up that failed is
/// not. Hosts that are no domains are left out.
///
/// The client gives everything but the servers: limits, retries, name, network. Its own endpoints
/// are not used. The look-ups are those of `Dns`, with the feature `mx`, or any other [`Exchanges`].
///
/// There is no DANE (RFC 7672) and no MTA-STS (RFC 8461): a server's name comes from the DNS and is
/// believed. What has to stay between sender and recipient needs a submission server that does.
#[derive(Clone)]
pub struct Mx<R, C = TcpConnector> {
    client: Client<C>,
    exchanges: R,
    port: u16,
    most: usize,
}

/// What became of a message at one domain.
#[derive(Debug)]
#[non_exhaustive]
pub struct Delivered {
    /// The domain, in lower case.
    pub domain: String,
    /// Its recipients, as the envelope has them.
    pub recipients: Vec<ForwardPath>,
    /// The server's answer, or why there is none.
    pub result: Result<Receipt, Error>,
}

impl<R, C> Mx<R, C> {
    /// The default of [`most`](Self::most): RFC 5321 §5.1 asks for at least two, and domains with
    /// more than four servers are rare.
    pub const MOST: usize = 5;

    /// Delivery with this client's settings and these look-ups.
    #[must_use]
    pub fn new(client: Client<C>, exchanges: R) -> Self {
        Self {
            client,
            exchanges,
            port: 25,
            most: Self::MOST,
        }
    }

    /// The client whose settings it has.
    #[must_use]
    pub const fn client(&self) -> &Client<C> {
        &self.client
    }

    /// The port of every server. Default 25.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The most servers of one domain that are dialled, whatever the DNS says. Default
    /// [`MOST`](Self::MOST); zero is taken as one.
    #[must_use]
    pub const fn most(mut self, most: usize) -> Self {
        self.most = if most == 0 { 1 } else { most };
        self
    }

    /// The longest that [`send`](Self::send) can last: for each domain a look-up, and the client's
    /// promise with as many servers as may be dialled.
    #[must_use]
    pub fn worst_case(&self, envelope: &Envelope, octets: u64) -> WorstCase {
        let groups = group(envelope);
        let servers = std::iter::repeat_n(self.client.security(), self.most);
        let none = self.client.timeouts().worst_case(0, 0).repeated(0);
        groups.values().fold(none, |sum, recipients| {
            let one = self
                .client
                .attempts_worst_case(servers.clone(), recipients.len(), octets);
            sum.and(&one).plus(Phase::Resolve, 1)
        })
    }
}

impl<R: Exchanges, C: Connector> Mx<R, C> {
    /// Sends the message to one domain after the other, in their alphabetical order.
    ///
    /// If the call has a deadline, each domain may use an equal share of what is left of it, for
    /// everything: so none starves the next. Ends within [`worst_case`](Self::worst_case), and within
    /// `bounds`.
    ///
    /// # Cancel safety
    /// Dropping the future frees everything at once. What became of the message is not known then;
    /// cancel with a token to be told.
    pub async fn send<'t>(
        &self,
        envelope: &Envelope,
        message: &[u8],
        bounds: impl Into<Bounds<'t>>,
    ) -> Vec<Delivered> {
        let asked = bounds.into();
        let (bounds, mut guard) = asked.start();
        let groups = group(envelope);
        let mut left = groups.len();
        let mut all = Vec::with_capacity(left);
        for (domain, places) in groups {
            let share = share(bounds, left);
            left -= 1;
            let Ok(part) = envelope.subset(|place| places.contains(&place)) else {
                continue;
            };
            let result = self
                .send_to(&mut guard, &domain, &part, message, share)
                .await;
            all.push(Delivered {
                domain,
                recipients: part.forward_paths().to_vec(),
                result,
            });
        }
        all
    }

    async fn send_to(
        &self,
        guard: &mut Guard<'_>,
        domain: &str,
        envelope: &Envelope,
        message: &[u8],
        bounds: Start,
    ) -> Result<Receipt, Error> {
        let started = clock::now();
        let endpoints = match self.servers(guard, domain, bounds).await {
            Ok(endpoints) => endpoints,
            Err((kind, cause)) => {
                let failure = Failure::new(Phase::Resolve, kind, Outcome::NotAccepted);
                let context = error::Context {
                    endpoint: domain.to_owned(),
                    elapsed: clock::now().saturating_duration_since(started),
                    cause,
                    ..error::Context::default()
                };
                return Err(Error::new(Box::new(failure), context));
            }
        };
        let looked_up = clock::now().saturating_duration_since(started);
        let mut order = Order::new(&endpoints, self.client.seed());
        order.truncate(self.most);
        let message = Message::from(message);
        let mut result = self
            .client
            .deliver(guard, envelope, message, bounds, order)
            .await;
        let elapsed = clock::now().saturating_duration_since(started);
        match &mut result {
            // Up to the final reply: the look-up is added, and QUIT is not.
            Ok(receipt) => receipt.elapsed = receipt.elapsed.saturating_add(looked_up),
            Err(error) => error.lasted(elapsed),
        }
        result
    }

    /// The servers of a domain, at least one.
    async fn servers(
        &self,
        guard: &mut Guard<'_>,
        domain: &str,
        bounds: Start,
    ) -> Result<Vec<Endpoint>, (FailureKind, Option<io::Error>)> {
        if let Some(address) = literal(domain) {
            return Ok(vec![Endpoint::unchecked(address.to_string(), self.port)]);
        }
        let itself = Endpoint::new(domain, self.port)
            .map_err(|_| (FailureKind::Domain(DomainProblem::NoSuchDomain), None))?;
        let due = Due::of(
            self.client.timeouts().of(Phase::Resolve),
            bounds,
            clock::now(),
        );
        let records = match step(guard, self.exchanges.exchanges(domain), due).await {
            Ok(Ok(records)) => records,
            Ok(Err(LookupError::NoSuchDomain)) => {
                return Err((FailureKind::Domain(DomainProblem::NoSuchDomain), None));
            }
            Ok(Err(LookupError::Failed(cause))) => return Err((FailureKind::Broken, Some(cause))),
            Err(kind) => return Err((kind, None)),
        };
        match &*records {
            // The implicit MX.
            [] => return Ok(vec![itself]),
            // RFC 7505 §3: only where it is the only one.
            [one] if one.is_null() => {
                return Err((FailureKind::Domain(DomainProblem::NullMx), None));
            }
            _ => {}
        }
        let servers: Vec<Endpoint> = records
            .into_iter()
            .filter_map(|record| {
                let host = record.host.strip_suffix('.').unwrap_or(&record.host);
                // An address is no host (RFC 5321 §5.1), and what is no domain leads nowhere.
                let named = host.parse::<IpAddr>().is_err();
                let endpoint = Endpoint::new(host, self.port).ok().filter(|_| named)?;
                Some(endpoint.priority(record.preference))
            })
            .collect();
        if servers.is_empty() {
            let cause = io::Error::other("no MX record names a host");
            return Err((FailureKind::Broken, Some(cause)));
        }
        Ok(servers)
    }
}

/// An equal share of what is left for one of so many domains.
fn share(bounds: Start, left: usize) -> Start {
    let (Some(deadline), Ok(left @ 2..)) = (bounds.deadline, u32::try_from(left)) else {
        return bounds;
    };
    let now = clock::now();
    let mut share = bounds;
    share.deadline = now.checked_add(deadline.saturating_duration_since(now) / left);
    share
}

/// The places of the recipients in the envelope, by domain.
fn group(envelope: &Envelope) -> BTreeMap<String, Vec<usize>> {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, path) in envelope.forward_paths().iter().enumerate() {
        let domain = path.domain().to_ascii_lowercase();
        groups.entry(domain).or_default().push(place);
    }
    groups
}

/// The address of an address literal, such as `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
fn literal(domain: &str) -> Option<IpAddr> {
    let inside = domain.strip_prefix('[')?.strip_suffix(']')?;
    inside.strip_prefix("ipv6:").unwrap_or(inside).parse().ok()
}

impl<R, C> fmt::Debug for Mx<R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mx")
            .field("port", &self.port)
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}
