//! What the server took: the ground truth.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::TlsFacts;
use crate::double::Caps;

/// A message in the mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// The connection it came over, counted from 1.
    pub connection: u32,
    /// The server that took it, by the name it gives itself.
    pub server: String,
    /// What was agreed on under TLS; none if it came in clear.
    pub tls: Option<TlsFacts>,
    /// The name that the client gave with EHLO or HELO.
    pub ehlo: String,
    /// The reverse-path, without angle brackets.
    pub reverse_path: String,
    /// The accepted forward-paths, without angle brackets.
    pub forward_paths: Vec<String>,
    /// The parameters of each accepted RCPT.
    pub rcpt_parameters: Vec<String>,
    /// The parameters of MAIL.
    pub parameters: String,
    /// The message, with transparency taken away.
    pub octets: Vec<u8>,
    /// The mail data as it came, with transparency and its end; empty unless the double was told to
    /// [keep it](crate::Double::keeping_wire_octets).
    pub wire: Vec<u8>,
}

/// Something that the client did wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The connection, counted from 1.
    pub connection: u32,
    /// What it was.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}: {}", self.connection, self.what)
    }
}

/// Where messages are kept besides, before they are answered for.
struct Keep(Box<KeepFn>);

type KeepFn = dyn Fn(u64, &Delivery) -> io::Result<()> + Send + Sync;

impl fmt::Debug for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keep")
    }
}

/// Mailbox and findings of a double, shared by its clones, or of all doubles of a topology.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    deliveries: Vec<Delivery>,
    /// Messages that were taken out.
    gone: u64,
    octets: usize,
    findings: Vec<Finding>,
    connections: u32,
    open: usize,
    caps: Caps,
    keep: Option<Keep>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            deliveries: Vec::new(),
            gone: 0,
            octets: 0,
            findings: Vec::new(),
            connections: 0,
            open: 0,
            caps: Caps::unbounded(),
            keep: None,
        }
    }
}

/// A connection is open for as long as this lives.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) connection: u32,
    ledger: Ledger,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.ledger.state().open -= 1;
        self.ledger.changed.notify_waiters();
    }
}

impl Ledger {
    pub(crate) fn capped(caps: Caps) -> Self {
        let ledger = Self::default();
        ledger.state().caps = caps;
        ledger
    }

    pub(crate) fn keep(
        &self,
        keep: impl Fn(u64, &Delivery) -> io::Result<()> + Send + Sync + 'static,
    ) {
        self.state().keep = Some(Keep(Box::new(keep)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every committed message, in the order of commitment.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state().deliveries.clone()
    }

    /// Takes every committed message out, so that a double that runs for long does not grow.
    #[must_use]
    pub fn drain(&self) -> Vec<Delivery> {
        let mut state = self.state();
        state.octets = 0;
        state.gone += state.deliveries.len() as u64;
        std::mem::take(&mut state.deliveries)
    }

    /// The messages from this number on, counted from 0 over all that ever were, and the number of
    /// the first of them: a later one than asked for if older ones were taken out.
    #[must_use]
    pub fn since(&self, number: u64) -> (u64, Vec<Delivery>) {
        let state = self.state();
        let skip = usize::try_from(number.saturating_sub(state.gone)).unwrap_or(usize::MAX);
        let deliveries = state.deliveries.iter().skip(skip).cloned().collect();
        (number.max(state.gone), deliveries)
    }

    /// The message with this number, counted from 0 over all that ever were, if it is there.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<Delivery> {
        let state = self.state();
        let index = usize::try_from(number.checked_sub(state.gone)?).ok()?;
        state.deliveries.get(index).cloned()
    }

    /// How many messages were ever committed, with those that were taken out.
    #[must_use]
    pub fn ever(&self) -> u64 {
        let state = self.state();
        state.gone + state.deliveries.len() as u64
    }

    /// How many messages were committed.
    #[must_use]
    pub fn committed(&self) -> usize {
        self.state().deliveries.len()
    }

    /// How often this very message was committed, in all mailboxes together.
    #[must_use]
    pub fn copies(&self, message: &[u8]) -> usize {
        self.state()
            .deliveries
            .iter()
            .filter(|delivery| delivery.octets == message)
            .count()
    }

    /// Everything that the client did wrong.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        self.state().findings.clone()
    }

    /// Takes every finding out.
    #[must_use]
    pub fn drain_findings(&self) -> Vec<Finding> {
        std::mem::take(&mut self.state().findings)
    }

    /// How many connections were accepted.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.state().connections
    }

    /// How many connections are open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.state().open
    }

    /// Waits until `done`, looked at whenever a message is committed or a connection ends, or until
    /// `deadline`. Says what `done` said last.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn wait(&self, deadline: Instant, done: impl Fn(&Self) -> bool) -> bool {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if done(self) {
                return true;
            }
            tokio::select! {
                biased;
                () = changed => {}
                () = sleep_until(deadline) => return done(self),
            }
        }
    }

    /// A new connection.
    pub(crate) fn open(&self) -> Open {
        let mut state = self.state();
        state.connections += 1;
        state.open += 1;
        Open {
            connection: state.connections,
            ledger: self.clone(),
        }
    }

    /// Whether there is room for a message of so many octets.
    pub(crate) fn has_room(&self, octets: usize) -> bool {
        let state = self.state();
        state.deliveries.len() < state.caps.messages
            && octets <= state.caps.mailbox_octets.saturating_sub(state.octets)
    }

    /// Takes the message, unless it is to be kept elsewhere, too, and can't be.
    pub(crate) fn commit(&self, delivery: Delivery) -> io::Result<()> {
        let mut state = self.state();
        if let Some(Keep(keep)) = &state.keep {
            keep(state.gone + state.deliveries.len() as u64, &delivery)?;
        }
        state.octets += delivery.octets.len() + delivery.wire.len();
        state.deliveries.push(delivery);
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    pub(crate) fn find(&self, connection: u32, what: String) {
        let mut state = self.state();
        if state.findings.len() < state.caps.findings {
            state.findings.push(Finding { connection, what });
        }
    }
}
