//! Where replies wait that a rule holds until the test lets them go.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The place of one rule's held replies. Clones share it. No thread waits in it, so that it is as exact
/// in virtual time as anything else.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    is_open: bool,
    /// Tickets and connections, in the order of arrival.
    waiting: VecDeque<(u64, u32)>,
    tickets: u64,
}

/// A place in the queue, given up when it is dropped: the connection may end while it waits.
struct Place<'a> {
    gate: &'a Gate,
    ticket: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let ticket = self.ticket;
        self.gate
            .state()
            .waiting
            .retain(|(other, _)| *other != ticket);
        self.gate.changed.notify_waiters();
    }
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until this connection's reply is let go. `arrived` is called if it has to wait.
    ///
    /// # Cancel safety
    /// Its place is given up.
    pub(crate) async fn pass(&self, connection: u32, arrived: impl FnOnce()) {
        let place = {
            let mut state = self.state();
            if state.is_open {
                return;
            }
            arrived();
            state.tickets += 1;
            let ticket = state.tickets;
            state.waiting.push_back((ticket, connection));
            Place { gate: self, ticket }
        };
        self.changed.notify_waiters();
        let let_go = |state: &State| {
            !state
                .waiting
                .iter()
                .any(|(other, _)| *other == place.ticket)
        };
        self.until(let_go).await;
    }

    /// Waits until `done`, looked at whenever a reply arrives or is let go.
    async fn until(&self, done: impl Fn(&State) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if done(&self.state()) {
                return;
            }
            changed.await;
        }
    }

    /// The connections whose replies it holds, in the order of their arrival.
    pub(crate) fn waiting(&self) -> Vec<u32> {
        self.state()
            .waiting
            .iter()
            .map(|(_, connection)| *connection)
            .collect()
    }

    /// Whether it holds none any more.
    pub(crate) fn is_open(&self) -> bool {
        self.state().is_open
    }

    /// Waits until it holds so many replies, or none any more, at most until `deadline`.
    pub(crate) async fn arrived(&self, replies: usize, deadline: Instant) {
        tokio::select! {
            biased;
            () = self.until(|state| state.is_open || state.waiting.len() >= replies) => {}
            () = sleep_until(deadline) => {}
        }
    }

    /// Lets the reply go that has waited for longest. Gives its connection.
    pub(crate) fn release_one(&self) -> Option<u32> {
        let (_, connection) = self.state().waiting.pop_front()?;
        self.changed.notify_waiters();
        Some(connection)
    }

    /// Lets every reply go, and holds none any more. Gives the connections of those that waited.
    pub(crate) fn release(&self) -> Vec<u32> {
        let mut state = self.state();
        state.is_open = true;
        let released = state
            .waiting
            .drain(..)
            .map(|(_, connection)| connection)
            .collect();
        drop(state);
        self.changed.notify_waiters();
        released
    }
}
