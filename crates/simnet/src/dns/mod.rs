//! The double plays the DNS: MX look-ups that hang, fail, lie and never end, and where the hosts are.

#[cfg(test)]
mod tests;
mod udp;
mod wire;

use std::collections::BTreeMap;
use std::future::pending;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

pub use udp::Server;
use wire::Asks;

/// What the DNS says about one domain's mail exchanges.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// These hosts with their preferences, true or not: `.` alone is a null MX (RFC 7505), an address
    /// is a lie.
    Mx(Vec<(u16, String)>),
    /// As many hosts as this: `mx1.` and so on before the domain, in falling preference.
    Many(u16),
    /// The domain exists and has no MX record.
    NoRecords,
    /// The domain is another name for this one (CNAME), whose records have to be asked for.
    Alias(String),
    /// NXDOMAIN.
    NoSuchDomain,
    /// SERVFAIL.
    ServFail,
    /// No answer, ever.
    Hang,
    /// One of the others, this much later.
    After(Duration, Box<Self>),
}

impl Answer {
    /// These hosts with their preferences.
    pub fn mx<H: Into<String>>(records: impl IntoIterator<Item = (u16, H)>) -> Self {
        let records = records.into_iter();
        Self::Mx(records.map(|(at, host)| (at, host.into())).collect())
    }
}

impl Answer {
    /// Whether it names this host as an exchange of the domain.
    fn names(&self, host: &str, domain: &str) -> bool {
        match self {
            Self::Mx(records) => records.iter().any(|(_, named)| canonical(named) == host),
            Self::Many(count) => host
                .strip_prefix("mx")
                .and_then(|rest| rest.split_once('.'))
                .is_some_and(|(number, of)| {
                    let number = number.parse::<u16>();
                    number.is_ok_and(|n| (1..=*count).contains(&n))
                        && (domain == "*" || of == domain)
                }),
            Self::After(_, then) => then.names(host, domain),
            _ => false,
        }
    }

    /// Whether it never comes.
    fn hangs(&self) -> bool {
        match self {
            Self::After(_, then) => then.hangs(),
            other => *other == Self::Hang,
        }
    }
}

/// A name as a zone has it.
fn canonical(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// What came of a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "these are the kinds of answer that a look-up has"
)]
pub enum Found {
    /// The records, none if there are none.
    Records(Vec<(u16, String)>),
    /// Another name for this one, whose records have to be asked for.
    Alias(String),
    /// NXDOMAIN.
    NoSuchDomain,
    /// SERVFAIL.
    ServFail,
}

/// What the DNS says, by domain; `*` is every other one. What is not in it does not exist. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    answers: Arc<BTreeMap<String, Answer>>,
    addresses: Arc<[IpAddr]>,
}

impl Zone {
    /// These domains, in lower case and without a dot at the end.
    pub fn new<D: Into<String>>(answers: impl IntoIterator<Item = (D, Answer)>) -> Self {
        let answers = answers.into_iter();
        Self {
            answers: Arc::new(answers.map(|(d, answer)| (d.into(), answer)).collect()),
            addresses: Arc::default(),
        }
    }

    /// With its hosts at these addresses: those that MX records name, and domains without a record.
    /// Default none.
    #[must_use]
    pub fn at(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.addresses = addresses.into_iter().collect();
        self
    }

    /// What is said of this domain.
    fn answer(&self, domain: &str) -> &Answer {
        let other = || self.answers.get("*");
        let answer = self.answers.get(domain).or_else(other);
        answer.unwrap_or(&Answer::NoSuchDomain)
    }

    /// Whether an answer names it as an exchange.
    fn is_host(&self, name: &str) -> bool {
        let mut answers = self.answers.iter();
        answers.any(|(of, answer)| answer.names(name, of))
    }

    /// Whether no answer ever comes, to a question for MX records or for addresses.
    fn hangs(&self, name: &str, asks: Asks) -> bool {
        let name = canonical(name);
        let addressed =
            asks != Asks::Mx && self.is_host(&name) && !self.answers.contains_key(&name);
        asks != Asks::Other && !addressed && self.answer(&name).hangs()
    }

    /// Looks the addresses of a name up.
    ///
    /// # Errors
    /// What else is said of the name.
    ///
    /// # Cancel safety
    /// Nothing is held.
    pub async fn look_up_addresses(&self, name: &str) -> Result<Vec<IpAddr>, Found> {
        let name = canonical(name);
        let is_host = self.is_host(&name);
        if is_host && !self.answers.contains_key(&name) {
            return Ok(self.addresses.to_vec());
        }
        match self.look_up(&name).await {
            // A domain without an exchange is its own (RFC 5321 §5.1).
            Found::Records(records) if is_host || records.is_empty() => Ok(self.addresses.to_vec()),
            Found::Records(_) => Ok(Vec::new()),
            other => Err(other),
        }
    }

    /// Looks the mail exchanges of a domain up.
    ///
    /// # Cancel safety
    /// Nothing is held.
    pub async fn look_up(&self, domain: &str) -> Found {
        let domain = canonical(domain);
        let mut answer = self.answer(&domain);
        loop {
            return match answer {
                Answer::After(delay, then) => {
                    sleep(*delay).await;
                    answer = then;
                    continue;
                }
                Answer::Hang => pending().await,
                Answer::Mx(records) => Found::Records(records.clone()),
                Answer::Many(count) => Found::Records(
                    (1..=*count)
                        .map(|n| (count - n, format!("mx{n}.{domain}")))
                        .collect(),
                ),
                Answer::NoRecords => Found::Records(Vec::new()),
                Answer::Alias(name) => Found::Alias(name.clone()),
                Answer::NoSuchDomain => Found::NoSuchDomain,
                Answer::ServFail => Found::ServFail,
            };
        }
    }
}

/// Aliases of aliases that are followed.
#[cfg(feature = "client")]
const ALIASES: usize = 8;

#[cfg(feature = "client")]
impl postbound::Exchanges for Zone {
    async fn exchanges(
        &self,
        domain: &str,
    ) -> Result<Vec<postbound::Exchange>, postbound::LookupError> {
        use postbound::{Exchange, LookupError};
        let failed = |why| Err(LookupError::Failed(std::io::Error::other(why)));
        let mut domain = domain.to_owned();
        for _ in 0..=ALIASES {
            domain = match self.look_up(&domain).await {
                Found::Records(records) => {
                    let records = records.into_iter();
                    return Ok(records
                        .map(|(preference, host)| Exchange { preference, host })
                        .collect());
                }
                Found::Alias(name) => name,
                Found::NoSuchDomain => return Err(LookupError::NoSuchDomain),
                Found::ServFail => return failed("the name server failed"),
            };
        }
        failed("an alias led to an alias too often")
    }
}
