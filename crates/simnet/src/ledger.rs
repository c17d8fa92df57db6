//! What the server took: the ground truth.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A message in the mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// The connection it came over, counted from 1.
    pub connection: u32,
    /// The server that took it, by the name it gives itself.
    pub server: String,
    /// The reverse-path, without angle brackets.
    pub reverse_path: String,
    /// The accepted forward-paths, without angle brackets.
    pub forward_paths: Vec<String>,
    /// The parameters of MAIL.
    pub parameters: String,
    /// The message, with transparency taken away.
    pub octets: Vec<u8>,
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

/// Mailbox and findings of a double, shared by its clones, or of all doubles of a topology.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    deliveries: Vec<Delivery>,
    findings: Vec<Finding>,
    connections: u32,
}

impl Ledger {
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
        std::mem::take(&mut self.state().deliveries)
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

    /// How many connections were accepted.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.state().connections
    }

    /// A new connection's number.
    pub(crate) fn open(&self) -> u32 {
        let mut state = self.state();
        state.connections += 1;
        state.connections
    }

    pub(crate) fn commit(&self, delivery: Delivery) {
        self.state().deliveries.push(delivery);
    }

    pub(crate) fn find(&self, connection: u32, what: String) {
        self.state().findings.push(Finding { connection, what });
    }
}
