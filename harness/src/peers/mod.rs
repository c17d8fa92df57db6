//! Other clients in the same cells of the matrix: their own connections on the in-memory network,
//! in virtual time. Facts, and no judgement: what ends, what does not, and what the mailbox says.

mod calls;
mod record;
mod stream;

pub use record::{PeerRecord, Summary};

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use postbound::sasl::Mechanism;
use postbound::{Phase, Security};
use simnet::net::Backend;
use simnet::net::mem::Network;
use tokio::time::{Instant, sleep};

use crate::case::Case;
use crate::matrix::Cell;
use crate::run::paused;
use stream::Watch;

/// How long a call is watched, in virtual time. Every fault of the matrix that ends by itself has ended
/// long before.
pub const WATCHED: Duration = Duration::from_secs(60 * 60);

/// How much a client may read before its call counts as one that has no end: an endless reply that
/// comes at once takes no virtual time. More than lettre reads before its own cap ends it, twice over.
pub const MOST_READ: u64 = 256 << 10;

/// A client that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Peer {
    /// lettre's `AsyncSmtpConnection`.
    Lettre,
    /// mail-send's `SmtpClient`.
    MailSend,
    /// async-smtp's `SmtpTransport`.
    AsyncSmtp,
}

/// How a call ended, or that it did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum End {
    /// It returned `Ok`: the message was sent.
    Sent,
    /// It returned an error.
    Failed,
    /// It was still waiting when it was no longer watched.
    Open,
    /// It had read [`MOST_READ`] octets and went on.
    Reading,
}

/// What a client did in a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// How the call ended.
    pub end: End,
    /// The error's own words.
    pub error: Option<String>,
    /// How long the call lasted, or was watched.
    pub elapsed: Duration,
    /// Messages in the server's mailbox: the ground truth.
    pub mailbox: usize,
}

/// A cell that says nothing about a client: why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotTried(pub &'static str);

impl Peer {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lettre, Self::MailSend, Self::AsyncSmtp];

    /// The crate's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lettre => "lettre",
            Self::MailSend => "mail-send",
            Self::AsyncSmtp => "async-smtp",
        }
    }

    /// The version that was built, from the lock file.
    #[must_use]
    pub fn version(self) -> &'static str {
        let lock = include_str!("../../../Cargo.lock");
        let mark = format!("name = \"{}\"\nversion = \"", self.name());
        let rest = lock.split_once(&mark).map_or("", |(_, rest)| rest);
        rest.split('"').next().unwrap_or_default()
    }

    /// Which limit it was given: the phase's, wherever it takes one.
    #[must_use]
    pub const fn told(self) -> &'static str {
        match self {
            Self::Lettre => "its connection takes no limit for what follows the connect",
            Self::MailSend => "`timeout` is the phase's limit",
            Self::AsyncSmtp => "it takes no limit",
        }
    }

    /// Whether it can take part in the cell.
    ///
    /// # Errors
    /// If the cell would say nothing about it: why.
    pub fn can(self, cell: &Cell) -> Result<(), NotTried> {
        let case = &cell.case;
        let why = match (self, case.tls) {
            _ if cell.backend != Backend::Mem => "it is run on mem",
            _ if case.proxy.is_some() => "it gets a stream that is connected: no proxy",
            _ if matches!(cell.phase, Some(Phase::Resolve | Phase::Connect)) => {
                "it gets a stream that is connected"
            }
            _ if case.chunking.is_some() => "it has no CHUNKING",
            _ if case.lmtp => "LMTP is left out",
            _ if case.again || case.noop => "it sends one message: no RSET, no NOOP",
            (_, Security::None) => return Ok(()),
            (Self::Lettre, Security::StartTls) => return Ok(()),
            (Self::Lettre, _) => "over a stream that it gets, it has TLS by STARTTLS only",
            (Self::MailSend, _) => "over a stream that it gets, it has no TLS",
            (Self::AsyncSmtp, _) => "it leaves TLS to its user",
        };
        Err(NotTried(why))
    }

    /// Has it make the cell's call.
    ///
    /// # Errors
    /// If the cell says nothing about it: why.
    pub fn run(self, cell: &Cell) -> Result<Seen, NotTried> {
        self.can(cell)?;
        let mut case = cell.case.clone();
        // The mechanism that all of them have.
        case.auth = case.auth.map(|_| Mechanism::Plain);
        let plan = case.plan.to_string();
        if ["wrong-nonce", "iterations", "bad-signature"]
            .iter()
            .any(|scram| plan.contains(scram))
        {
            return Err(NotTried("it has no SCRAM"));
        }
        paused(self.run_on(&case)).ok_or(NotTried("no connection is made"))
    }

    async fn run_on(self, case: &Case) -> Option<Seen> {
        let network = Network::new(case.double());
        let connector = network.connector();
        let dial = async {
            let addresses = connector.resolve("double.example", 25).await.ok()?;
            connector.connect(*addresses.first()?).await.ok()
        };
        let stream = first(dial, sleep(WATCHED)).await??;
        let (watch, watched) = Watch::over(stream);
        let begun = Instant::now();
        let call = first(self.send(case, watch), watched);
        let (end, error) = match first(call, sleep(WATCHED)).await {
            Some(Some(Ok(()))) => (End::Sent, None),
            Some(Some(Err(error))) => (End::Failed, Some(in_full(&*error))),
            Some(None) => (End::Reading, None),
            None => (End::Open, None),
        };
        let elapsed = begun.elapsed();
        // What is still under way arrives.
        sleep(WATCHED).await;
        let mailbox = network.double().ledger().deliveries().len();
        Some(Seen {
            end,
            error,
            elapsed,
            mailbox,
        })
    }

    async fn send(self, case: &Case, stream: Watch) -> Result<(), Box<dyn Error + Send + Sync>> {
        match self {
            Self::Lettre => calls::lettre(case, stream).await,
            Self::MailSend => calls::mail_send(case, stream).await,
            Self::AsyncSmtp => calls::async_smtp(case, stream).await,
        }
    }
}

/// What the call returned, or nothing if it was stopped.
async fn first<T>(call: impl Future<Output = T>, stopped: impl Future<Output = ()>) -> Option<T> {
    tokio::select! {
        biased;
        result = call => Some(result),
        () = stopped => None,
    }
}

/// The error and what is behind it.
fn in_full(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut behind = error.source();
    while let Some(source) = behind {
        let more = source.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        behind = source.source();
    }
    text
}

impl Seen {
    /// Whether the call returned.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.end, End::Sent | End::Failed)
    }

    /// Whether the call returned an error, and the message is in the mailbox all the same: whoever sends
    /// it again sends it twice.
    #[must_use]
    pub const fn failed_but_delivered(&self) -> bool {
        matches!(self.end, End::Failed) && self.mailbox > 0
    }

    /// Whether the call said that the message was sent, and it is not in the mailbox.
    #[must_use]
    pub const fn sent_but_not_delivered(&self) -> bool {
        matches!(self.end, End::Sent) && self.mailbox == 0
    }
}

impl End {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "error",
            Self::Open => "no end within 1 h",
            Self::Reading => "read 256 KiB and went on",
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.version())
    }
}

impl fmt::Display for NotTried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
