//! A test double for the tests of any mail client: start it, say what goes wrong, look at the truth.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use postbound_simnet::Phase;
//! use postbound_simnet::double::{Claim, Mail, SmtpDouble};
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! let double = SmtpDouble::start().await?; // a free port of its own; everything ends with it
//! double.on(Phase::Rcpt).to("bob@example.org").first(2).reply(451, "4.7.1 greylisted").mount();
//! double.expect(Mail::to("bob@example.org").containing("hello"));
//!
//! // Here your client sends a message to double.address(), and says that it was not delivered.
//! # let mut stream = tokio::net::TcpStream::connect(double.address()).await?;
//! # stream.write_all(b"QUIT\r\n").await?;
//! # stream.read_to_end(&mut Vec::new()).await?;
//!
//! let verified = double.verify();
//! assert!(!verified.holds(), "{verified}"); // what was expected, what came, and the nearest miss
//! assert!(verified.agrees(Claim::NotDelivered)); // the client told the truth
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! The same rules hold in virtual time: [`SmtpDouble::in_memory`] for a client that runs over any
//! `AsyncRead + AsyncWrite`, and `SmtpDouble::turmoil` for one in a simulation of several hosts.

mod builder;
mod caps;
mod converse;
mod mail;
mod on;
#[cfg(feature = "turmoil")]
mod simulated;
mod verify;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::Phase;

pub use builder::Builder;
pub use caps::Caps;
pub use mail::Mail;
pub use on::{On, RuleGuard};
#[cfg(feature = "turmoil")]
pub use simulated::Simulated;
pub use verify::{Claim, MailFacts, Verification};

use crate::coverage::Coverage;
use crate::net::loopback::Loopback;
use crate::net::mem::{Network, Stream};
use crate::plan::{Plan, PlanError, Rule};
use crate::wait::until;
use crate::{Delivery, Double, RuleId};

/// A test double on a network of its own: [`Loopback`] sockets, an in-memory [`Network`], or a host
/// of a simulation. Dropping it closes and frees everything.
#[derive(Debug)]
pub struct SmtpDouble<N = Loopback> {
    double: Double,
    network: N,
    expected: Mutex<Vec<Mail>>,
}

impl SmtpDouble {
    /// A double on a free loopback port.
    ///
    /// # Errors
    /// If no port can be had.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was open.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// How a double is to be, before it starts on whichever network.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        // A bound network has an address.
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        self.network.local_addr().unwrap_or(nowhere)
    }

    /// The host to point a client at: `127.0.0.1`.
    #[must_use]
    pub fn host(&self) -> String {
        self.address().ip().to_string()
    }

    /// The port to point a client at.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address().port()
    }
}

impl SmtpDouble<Network> {
    /// A double in memory, on the current runtime's clock: in virtual time if that is paused.
    #[must_use]
    pub fn in_memory() -> Self {
        SmtpDouble::builder().in_memory()
    }

    /// A new connection to it.
    ///
    /// # Errors
    /// If the plan says so.
    ///
    /// # Cancel safety
    /// Nothing is held before the connection is open.
    pub async fn connect(&self) -> io::Result<Stream> {
        let connector = self.network.connector();
        let addresses = connector.resolve("double.example", 25).await?;
        let address = addresses.first().ok_or(io::ErrorKind::NotFound)?;
        connector.connect(*address).await
    }
}

#[cfg(feature = "turmoil")]
impl SmtpDouble<Simulated> {
    /// A double to be a host of this name in a turmoil simulation; see [`Simulated::host`]. Of rules
    /// that are set while it runs, one that resets the connection ends it.
    #[must_use]
    pub fn turmoil(name: impl Into<String>) -> Self {
        let double = Builder::default().double();
        let network = Simulated::new(double.clone(), name.into());
        Self::on_network(double, network)
    }
}

impl<N> SmtpDouble<N> {
    fn on_network(double: Double, network: N) -> Self {
        Self {
            double,
            network,
            expected: Mutex::default(),
        }
    }

    /// The network that it is on.
    #[must_use]
    pub const fn network(&self) -> &N {
        &self.network
    }

    /// The double beneath: its rules, its ledger and its trace.
    #[must_use]
    pub const fn double(&self) -> &Double {
        &self.double
    }

    /// The beginning of a rule for what the server does at `phase`. Rules set later are looked for
    /// earlier.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// // Rules set later are looked for earlier.
    /// double.on(Phase::Mail).reply(451, "4.3.0 everyone").mount();
    /// double.on(Phase::Mail).from("vip@x").reply(250, "2.1.0 but you").mount();
    /// let replies = double.converse(["EHLO me", "MAIL FROM:<a@x>", "MAIL FROM:<vip@x>"]).await;
    /// assert_eq!(replies[2..], ["451 4.3.0 everyone", "250 2.1.0 but you"]);
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on(&self, phase: Phase) -> On<'_> {
        On::new(self.double.rules(), phase)
    }

    /// Sets a rule from its text, `rcpt[bob@example.org, first 2]: reply 451 4.7.1 greylisted`.
    ///
    /// # Errors
    /// If the text is no rule, or one of the network, which is fixed when the double starts.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.rule("rcpt[bob@*, first 1]: reply 451 4.7.1 greylisted").unwrap();
    /// let replies = double.converse(["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<bob@x>"]).await;
    /// assert_eq!(replies[3], "451 4.7.1 greylisted");
    /// let error = double.rule("rcpt: replay 451").unwrap_err();
    /// assert!(error.to_string().contains("column 7"), "{error}");
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn rule(&self, text: &str) -> Result<RuleId, PlanError> {
        self.double.rule(text)
    }

    /// The same for as long as the guard lives.
    ///
    /// # Errors
    /// As [`SmtpDouble::rule`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// let guard = double.scoped_rule("mail: stall").unwrap();
    /// assert_eq!(double.converse(["EHLO me", "MAIL FROM:<a@x>"]).await[2], "(silence)");
    /// drop(guard);
    /// assert!(double.converse(["EHLO me", "MAIL FROM:<a@x>"]).await[2].starts_with("250"));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn scoped_rule(&self, text: &str) -> Result<RuleGuard, PlanError> {
        let id = self.rule(text)?;
        Ok(RuleGuard::new(self.double.rules().clone(), id))
    }

    /// Takes a rule away. Says whether it was there.
    pub fn unmount(&self, id: RuleId) -> bool {
        self.double.rules().remove(id)
    }

    fn expected(&self) -> MutexGuard<'_, Vec<Mail>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message is expected in the mailbox, once unless it says otherwise; [`SmtpDouble::verify`]
    /// tells.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// use postbound_simnet::double::Mail;
    ///
    /// double.expect(Mail::to("bob@x").from("a@x").containing("hello"));
    /// double.converse(["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<bob@x>", "DATA", "hallo\r\n."]).await;
    /// let verified = double.verify();
    /// assert!(!verified.holds());
    /// assert!(verified.to_string().contains("its octets do not contain \"hello\""), "{verified}");
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn expect(&self, mail: Mail) {
        self.expected().push(mail);
    }

    /// Every committed message, in the order of commitment.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.converse(["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA", "..hi\r\n."]).await;
    /// let received = double.received();
    /// assert_eq!(received[0].reverse_path, "a@x");
    /// assert_eq!(received[0].forward_paths, ["b@x"]);
    /// assert_eq!(received[0].octets, b".hi\r\n"); // the dot of RFC 5321 §4.5.2 is gone
    /// assert_eq!(received[0].wire, b"..hi\r\n.\r\n");
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn received(&self) -> Vec<Delivery> {
        self.double.ledger().deliveries()
    }

    /// Waits until so many messages are committed, for at most `within`, and gives those that are.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// let none = double.received_within(1, Duration::from_secs(5)).await;
    /// assert!(none.is_empty());
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn received_within(&self, messages: usize, within: Duration) -> Vec<Delivery> {
        let deadline = until(within);
        let enough = |ledger: &crate::Ledger| ledger.committed() >= messages;
        self.double.ledger().wait(deadline, enough).await;
        self.received()
    }

    /// Waits until every connection has ended, for at most `within`. Says whether they have: a client
    /// that has given up and still holds one leaks it.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// use tokio::io::AsyncReadExt;
    ///
    /// let mut held = double.connect().await.unwrap();
    /// held.read_u8().await.unwrap(); // the greeting begins
    /// assert!(!double.idle_within(Duration::from_secs(5)).await);
    /// drop(held);
    /// assert!(double.idle_within(Duration::from_secs(5)).await);
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn idle_within(&self, within: Duration) -> bool {
        let deadline = until(within);
        let idle = |ledger: &crate::Ledger| ledger.open_connections() == 0;
        self.double.ledger().wait(deadline, idle).await
    }

    /// What was expected and what came, as facts. It asserts nothing; the test does.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// use postbound_simnet::double::Claim;
    ///
    /// double.on(Phase::DataTermination).commit().silent().then_close().mount();
    /// double.converse(["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA", "hi\r\n."]).await;
    /// let verified = double.verify();
    /// assert!(verified.agrees(Claim::Unknown));
    /// assert!(!verified.agrees(Claim::NotDelivered), "a client that says so makes a duplicate");
    /// assert!(verified.is_clean(), "{verified}");
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use = "facts that nobody looks at prove nothing"]
    pub fn verify(&self) -> Verification {
        Verification::new(&self.double, &self.expected())
    }

    /// What of the faults was struck so far: by which rules, at which phase, how often, and with the
    /// message taken or not. See [`coverage`](crate::coverage) for goals that have to be struck.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        self.double.coverage()
    }

    /// As it was before anyone came: no rules but the plan's, an empty mailbox and transcript,
    /// nothing expected. What was [covered](Self::coverage) stays. Connections that are open stay open, and numbers go on.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::Mail).reply(451, "4.3.0 later").mount();
    /// double.converse(["EHLO me", "MAIL FROM:<a@x>"]).await;
    /// double.reset();
    /// assert!(double.converse(["EHLO me", "MAIL FROM:<a@x>"]).await[2].starts_with("250"));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn reset(&self) {
        self.double.reset();
        self.expected().clear();
    }
}

/// One rule of the server from its text.
pub(crate) fn server_rule(text: &str) -> Result<Rule, PlanError> {
    let wrong = |expected: &str| PlanError {
        line: 1,
        column: 1,
        found: text.to_owned(),
        expected: expected.to_owned(),
    };
    if text.contains('\n') {
        return Err(wrong("one rule"));
    }
    let plan = format!("v1 | {text}")
        .parse::<Plan>()
        .map_err(|mut error| {
            // Behind `v1 | `.
            error.column = error.column.saturating_sub(5).max(1);
            error
        })?;
    let rules: [Rule; 1] = plan.rules.try_into().map_err(|_| wrong("one rule"))?;
    let [rule] = rules;
    if rule.takes_conditions() {
        Ok(rule)
    } else {
        Err(wrong(
            "a rule of the server: faults of the network are fixed when the double starts",
        ))
    }
}

/// A double can be shared between tasks.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Arc<SmtpDouble>>();
};
