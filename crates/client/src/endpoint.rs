//! Where a server listens, and in which order several are tried.

use std::fmt;

use crate::client::{ClientError, check_host};
use crate::seed::Seed;

/// Where a server listens, and its place among others.
///
/// As with SRV records (RFC 2782), a lower priority is tried first, and equals are tried in a
/// random order that favours the heavier ones.
///
/// ```
/// use postbound::{Client, Endpoint};
/// let client = Client::builder("smtp.example.org", 587)
///     .endpoint(Endpoint::new("smtp.example.org", 2587)?.priority(1))
///     .endpoint(Endpoint::new("backup.example.org", 587)?.priority(2))
///     .build()?;
/// assert_eq!(client.endpoints().count(), 3);
/// # Ok::<(), postbound::ClientError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
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

    pub(crate) fn len(&self) -> usize {
        1 + self.others.len()
    }

    /// The endpoint at this place, counted from 0.
    pub(crate) fn at(&self, place: usize) -> &Endpoint {
        self.iter().nth(place).unwrap_or(&self.first)
    }
}

/// The order in which a call tries endpoints, by their places in the client's list.
#[derive(Clone, Debug)]
pub(crate) struct Order(Vec<usize>);

impl Order {
    /// By priority; equals by weight and chance.
    pub(crate) fn new(endpoints: &Endpoints, seed: &Seed) -> Self {
        let mut left: Vec<usize> = (0..endpoints.len()).collect();
        let of = |place: usize| {
            let Endpoint {
                priority, weight, ..
            } = endpoints.at(place);
            (*priority, *weight)
        };
        left.sort_by_key(|&place| of(place).0);
        let mut order = Vec::with_capacity(left.len());
        while let Some(&first) = left.first() {
            let priority = of(first).0;
            let equals = left.iter().take_while(|&&place| of(place).0 == priority);
            let sum: u64 = equals.clone().map(|&place| u64::from(of(place).1)).sum();
            let chosen = match sum {
                0 => 0,
                _ if equals.clone().nth(1).is_none() => 0,
                // The first whose running sum of weights is over a number drawn below the whole.
                _ => {
                    let drawn = seed.up_to(sum - 1);
                    let mut running = 0;
                    equals
                        .take_while(|&&place| {
                            running += u64::from(of(place).1);
                            running <= drawn
                        })
                        .count()
                }
            };
            order.push(left.remove(chosen));
        }
        Self(order)
    }

    pub(crate) fn places(&self) -> &[usize] {
        &self.0
    }

    /// This one failed in the middle of a transaction: the others come first from now on.
    pub(crate) fn put_last(&mut self, place: usize) {
        if let Some(at) = self.0.iter().position(|&known| known == place) {
            let place = self.0.remove(at);
            self.0.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, Endpoints, Order};
    use crate::seed::Seed;

    fn endpoints(of: &[(u16, u16)]) -> Endpoints {
        let mut all = of.iter().map(|&(priority, weight)| {
            let endpoint = Endpoint::new("mx.example", 25).unwrap();
            endpoint.priority(priority).weight(weight)
        });
        Endpoints {
            first: all.next().unwrap(),
            others: all.collect(),
        }
    }

    #[test]
    fn a_lower_priority_comes_first_whatever_the_weights() {
        let endpoints = endpoints(&[(2, 9), (0, 0), (1, 5)]);
        for seed in 0..50 {
            let order = Order::new(&endpoints, &Seed::new(seed));
            assert_eq!(order.places(), [1, 2, 0]);
        }
    }

    #[test]
    fn equals_come_first_as_often_as_their_weights_say() {
        let endpoints = endpoints(&[(0, 3), (0, 1), (0, 0)]);
        let seed = Seed::new(1);
        let mut first = [0; 3];
        for _ in 0..4_000 {
            let order = Order::new(&endpoints, &seed);
            let mut sorted = order.places().to_vec();
            first[sorted[0]] += 1;
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2]);
        }
        assert!((2_850..3_150).contains(&first[0]), "{first:?}");
        assert_eq!(first[2], 0);
    }

    #[test]
    fn the_order_is_the_callers_where_nothing_is_left_to_chance() {
        let endpoints = endpoints(&[(0, 0), (0, 0), (0, 0)]);
        assert_eq!(Order::new(&endpoints, &Seed::new(3)).places(), [0, 1, 2]);
    }
}
