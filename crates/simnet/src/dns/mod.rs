//! The double plays the DNS: MX look-ups that hang, fail, lie and never end.

#[cfg(test)]
mod tests;
mod udp;
mod wire;

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

pub use udp::Server;

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

/// What the DNS says, by domain. What is not in it does not exist. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    answers: Arc<BTreeMap<String, Answer>>,
}

impl Zone {
    /// These domains, in lower case and without a dot at the end.
    pub fn new<D: Into<String>>(answers: impl IntoIterator<Item = (D, Answer)>) -> Self {
        let answers = answers.into_iter();
        Self {
            answers: Arc::new(answers.map(|(d, answer)| (d.into(), answer)).collect()),
        }
    }

    /// Looks the mail exchanges of a domain up.
    ///
    /// # Cancel safety
    /// Nothing is held.
    pub async fn look_up(&self, domain: &str) -> Found {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        let mut answer = self.answers.get(&domain).unwrap_or(&Answer::NoSuchDomain);
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
