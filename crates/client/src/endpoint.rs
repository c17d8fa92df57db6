//! Where a server listens, and in which order several are tried.

use std::fmt;

use proto::Security;

use crate::client::{ClientError, check_host};
use crate::seed::Seed;

/// Where a server listens, and its place among others.
///
/// As with SRV records (RFC 2782), a lower priority is tried first, and equals are tried in a
/// random order that favours the heavier ones.
///
/// ```
/// use postbound::{Client, Endpoint, Security};
/// let client = Client::submission_starttls("smtp.example.org")
///     .endpoint(Endpoint::new("smtp.example.org", 465)?.security(Security::Implicit).priority(1))
///     .endpoint(Endpoint::new("backup.example.org", 587)?.priority(2))
///     .build()?;
/// assert_eq!(client.endpoints().count(), 3);
/// # Ok::<(), postbound::ClientError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
    /// `None` is the client's.
    security: Option<Security>,
    priority: u16,
    weight: u16,
}

impl Endpoint {
    /// A server of priority 0 and weight 1.
    ///
    /// # Errors
    /// If `host` is neither a domain nor an IP address, or `port` is zero.
    pub fn new(host: impl Into<String>, port: u16) -> Result<Self, ClientError> {
        let endpoint = Self::unchecked(host.into(), port);
        endpoint.check()?;
        Ok(endpoint)
    }

    pub(crate) const fn unchecked(host: String, port: u16) -> Self {
        Self {
            host,
            port,
            security: None,
            priority: 0,
            weight: 1,
        }
    }

    pub(crate) fn check(&self) -> Result<(), ClientError> {
        check_host(&self.host)?;
        if self.port == 0 {
            return Err(ClientError::Port);
        }
        Ok(())
    }

    /// Whether and when a connection to it is encrypted. Default: as the client's
    /// [`security`](crate::ClientBuilder::security) says.
    #[must_use]
    pub const fn security(mut self, security: Security) -> Self {
        self.security = Some(security);
        self
    }

    pub(crate) fn security_or(&self, default: Security) -> Security {
        self.security.unwrap_or(default)
    }

    /// Tried before every endpoint of a higher priority. Default 0.
    #[must_use]
    pub const fn priority(mut self, priority: u16) -> Self {
        self.priority = priority;
        self
    }

    /// How often it comes first among those of its priority, compared with them. Default 1; zero
    /// is for one that is only used when the others fail.
    #[must_use]
    pub const fn weight(mut self, weight: u16) -> Self {
        self.weight = weight;
        self
    }

    /// The domain or IP address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Endpoint {
    /// `host:port`, an IPv6 address in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

/// A client's endpoints, of which there is always one.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints {
    pub(crate) first: Endpoint,
    pub(crate) others: Vec<Endpoint>,
}

impl Endpoints {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Endpoint> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// The endpoints of one call, in the order in which it tries them.
#[derive(Clone, Debug)]
pub(crate) struct Order(Vec<Endpoint>);

impl Order {
    /// By priority; equals by weight and chance.
    pub(crate) fn new<'a>(endpoints: impl IntoIterator<Item = &'a Endpoint>, seed: &Seed) -> Self {
        let mut left: Vec<Endpoint> = endpoints.into_iter().cloned().collect();
        left.sort_by_key(|endpoint| endpoint.priority);
        let mut order = Vec::with_capacity(left.len());
        while let Some(first) = left.first() {
            let priority = first.priority;
            let equals = || left.iter().take_while(|equal| equal.priority == priority);
            let sum: u64 = equals().map(|equal| u64::from(equal.weight)).sum();
            let chosen = if sum == 0 || equals().nth(1).is_none() {
                0
            } else {
                // The first whose running sum of weights is over a number drawn below the whole.
                let drawn = seed.up_to(sum - 1);
                let mut running = 0;
                equals()
                    .take_while(|equal| {
                        running += u64::from(equal.weight);
                        running <= drawn
                    })
                    .count()
            };
            order.push(left.remove(chosen));
        }
        Self(order)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Endpoint> {
        self.0.iter()
    }

    /// No more than this many.
    pub(crate) fn truncate(&mut self, most: usize) {
        self.0.truncate(most);
    }

    /// This one and no other.
    pub(crate) fn only(endpoint: &Endpoint) -> Self {
        Self(vec![endpoint.clone()])
    }

    /// Those alone for which `keep` holds.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&Endpoint) -> bool) {
        self.0.retain(keep);
    }

    /// This one broke off in the middle of a transaction: the others come first from now on.
    pub(crate) fn put_last(&mut self, endpoint: &Endpoint) {
        if let Some(at) = self.0.iter().position(|known| known == endpoint) {
            let endpoint = self.0.remove(at);
            self.0.push(endpoint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, Order};
    use crate::seed::Seed;

    /// Endpoints with these priorities and weights, on the ports 1, 2 and so on.
    fn endpoints(of: &[(u16, u16)]) -> Vec<Endpoint> {
        (1..)
            .zip(of)
            .map(|(port, &(priority, weight))| {
                let endpoint = Endpoint::new("mx.example", port).unwrap();
                endpoint.priority(priority).weight(weight)
            })
            .collect()
    }

    fn ports(endpoints: &[Endpoint], seed: &Seed) -> Vec<u16> {
        let order = Order::new(endpoints, seed);
        order.iter().map(Endpoint::port).collect()
    }

    #[test]
    fn a_lower_priority_comes_first_whatever_the_weights() {
        let endpoints = endpoints(&[(2, 9), (0, 0), (1, 5)]);
        for seed in 0..50 {
            assert_eq!(ports(&endpoints, &Seed::new(seed)), [2, 3, 1]);
        }
    }

    #[test]
    fn equals_come_first_as_often_as_their_weights_say() {
        let endpoints = endpoints(&[(0, 3), (0, 1), (0, 0)]);
        let seed = Seed::new(1);
        let mut first = [0; 4];
        for _ in 0..4_000 {
            let mut ports = ports(&endpoints, &seed);
            first[usize::from(ports[0])] += 1;
            ports.sort_unstable();
            assert_eq!(ports, [1, 2, 3]);
        }
        assert!((2_850..3_150).contains(&first[1]), "{first:?}");
        assert_eq!(first[3], 0);
    }

    #[test]
    fn the_order_is_the_callers_where_nothing_is_left_to_chance() {
        let endpoints = endpoints(&[(0, 0), (0, 0), (0, 0)]);
        assert_eq!(ports(&endpoints, &Seed::new(3)), [1, 2, 3]);
    }
}
