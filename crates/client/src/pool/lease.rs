//! A connection while it is lent out.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proto::{Bounds, Chunking, Envelope, FailureKind, Phase, Timings, TransactionOptions};
use tokio::sync::OwnedSemaphorePermit;

use super::circuit::Admitted;
use super::{Parked, Pool, Shared};
use crate::clock;
use crate::connection::Connection;
use crate::connector::Connector;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::guard::Guard;
use crate::message::Message;
use crate::receipt::Receipt;
use crate::step::{Due, step};
use crate::traced;
use crate::transaction::Settings;

/// A connection of a [`Pool`], which goes back when this is dropped.
///
/// It does so only if it [is at rest](Connection::is_idle) then; otherwise it is closed. Either way
/// the slot is free for the next checkout.
pub struct Pooled<C: Connector> {
    pool: Pool<C>,
    connection: Option<Connection<C::Stream>>,
    slot: Option<OwnedSemaphorePermit>,
    /// It was at rest in the pool, and so may have been closed in this very moment.
    was_at_rest: bool,
    waited: Duration,
}

impl<C: Connector> fmt::Debug for Pooled<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pooled")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

impl<C: Connector> Deref for Pooled<C> {
    type Target = Connection<C::Stream>;

    fn deref(&self) -> &Self::Target {
        match &self.connection {
            Some(connection) => connection,
            None => unreachable!("nobody is given one without a connection"),
        }
    }
}

impl<C: Connector> DerefMut for Pooled<C> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match &mut self.connection {
            Some(connection) => connection,
            None => unreachable!("nobody is given one without a connection"),
        }
    }
}

impl<C: Connector> Drop for Pooled<C> {
    fn drop(&mut self) {
        let shared = &self.pool.shared;
        if let Some(connection) = self.connection.take().filter(Connection::is_idle)
            && let Some(mut connection) = shared.park(connection)
        {
            connection.part();
        }
        // The connection is there before the slot is, so that who gets the slot finds it.
        self.slot = None;
        if shared.slots.is_closed() {
            shared.returned.notify_waiters();
        }
    }
}

impl<C: Connector> Shared<C> {
    /// Takes the connection in, or gives it back if it is not to be kept.
    fn park(&self, connection: Connection<C::Stream>) -> Option<Connection<C::Stream>> {
        let since = clock::now();
        let mut state = self.state();
        if self.slots.is_closed() || !self.may_be_kept(&connection, since) {
            return Some(connection);
        }
        state.idle.push(Parked { connection, since });
        None
    }

    /// A connection that was at rest and that the server has neither closed nor said anything on.
    fn take_quiet(&self) -> Option<Connection<C::Stream>> {
        self.weed(|parked| self.is_fresh(parked));
        loop {
            let Parked { mut connection, .. } = self.state().idle.pop()?;
            if connection.is_quiet() {
                return Some(connection);
            }
        }
    }
}

/// A checkout that waits for a slot, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn of(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One dial of the endpoints that may be dialled. The circuits are told how each ended, and when
/// it is dropped that nothing was learned of the others.
struct Attempt<'a, C: Connector> {
    shared: &'a Shared<C>,
    admitted: Vec<Admitted>,
}

impl<C: Connector> Attempt<'_, C> {
    fn dialled(&mut self, endpoint: &Endpoint, failure: Option<&Error>) {
        if let Some(at) = self.admitted.iter().position(|one| one.is(endpoint)) {
            let one = self.admitted.remove(at);
            let mut state = self.shared.state();
            state.circuits.dialled(&one, failure, clock::now());
        }
    }
}

impl<C: Connector> Drop for Attempt<'_, C> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        for one in &self.admitted {
            state.circuits.not_dialled(one);
        }
    }
}

impl<C: Connector> Pool<C> {
    /// Waits for a slot, and for a connection where none is at rest or `reuse` is not wanted.
    pub(crate) async fn lease(
        &self,
        guard: &mut Guard<'_>,
        bounds: Bounds,
        reuse: bool,
    ) -> Result<Pooled<C>, Error> {
        let started = clock::now();
        let limit = self.client().timeouts().of(Phase::Checkout);
        let due = Due::of(limit, bounds, started);
        let mut lease = match step(guard, self.slot(reuse), due).await {
            Ok(Ok(lease)) => lease,
            Ok(Err(kind)) | Err(kind) => return Err(self.failed(kind, started)),
        };
        lease.waited = clock::now().saturating_duration_since(started);
        traced::waited(Phase::Checkout, lease.waited);
        if lease.connection.is_none() {
            lease.dial(guard, bounds).await?;
        }
        Ok(lease)
    }

    async fn slot(&self, reuse: bool) -> Result<Pooled<C>, FailureKind> {
        let waiting = Waiting::of(&self.shared.waiting);
        let slot = Arc::clone(&self.shared.slots)
            .acquire_owned()
            .await
            .map_err(|_| FailureKind::PoolClosed)?;
        drop(waiting);
        // Another thread's came back between the count and the slot: it is taken in any case.
        let full = self.idle() + self.in_use() > self.size();
        // Within the one wait, and so exempt from the cooperative budget, under which a closed
        // connection could look quiet.
        let connection = (reuse || full).then(|| self.shared.take_quiet()).flatten();
        Ok(Pooled {
            pool: self.clone(),
            was_at_rest: connection.is_some(),
            connection,
            slot: Some(slot),
            waited: Duration::ZERO,
        })
    }
}

impl<C: Connector> Pooled<C> {
    async fn dial(&mut self, guard: &mut Guard<'_>, bounds: Bounds) -> Result<(), Error> {
        let started = clock::now();
        let shared = &self.pool.shared;
        let mut order = shared.client.order();
        let admitted = shared.state().circuits.admit(&mut order, started);
        let admitted = admitted.map_err(|kind| self.pool.failed(kind, started))?;
        let mut attempt = Attempt { shared, admitted };
        let mut told = |endpoint: &Endpoint, failure: Option<&Error>| {
            attempt.dialled(endpoint, failure);
        };
        let result = shared.client.dial_in(&order, guard, bounds, &mut told);
        let result = result.await.map(|(connection, _)| connection);
        self.connection = Some(result.map_err(|mut error| {
            let dialled = clock::now().saturating_duration_since(started);
            let elapsed = self.waited.saturating_add(dialled);
            error.merge_dial(&self.checkout(), elapsed);
            error
        })?);
        Ok(())
    }

    fn checkout(&self) -> Timings {
        let mut timings = Timings::default();
        timings.add(Phase::Checkout, self.waited);
        timings
    }

    /// Whether the failure says no more than that a connection at rest had come to its end.
    pub(crate) fn is_stale(&self, error: &Error) -> bool {
        self.was_at_rest && error.is_unanswered()
    }

    /// A new connection in the place of one that had come to its end.
    pub(crate) async fn renew(
        &mut self,
        guard: &mut Guard<'_>,
        bounds: Bounds,
    ) -> Result<(), Error> {
        self.was_at_rest = false;
        self.connection = None;
        self.dial(guard, bounds).await
    }

    /// One transaction as the pool's client makes it.
    pub(crate) async fn run(
        &mut self,
        guard: &mut Guard<'_>,
        envelope: &Envelope,
        message: &mut Message<'_>,
        bounds: Bounds,
    ) -> Result<Receipt, Error> {
        let settings = Settings::new(self.first_options());
        let now = clock::now();
        self.send_with(guard, envelope, message, settings, bounds, now)
            .await
    }

    /// Whether another message may go over it: within its limits, and at rest or soon to be.
    pub(crate) fn may_go_on(&self) -> bool {
        (self.is_idle() || self.is_under_way()) && self.pool.shared.may_be_kept(self, clock::now())
    }

    /// Whether somebody else waits for a slot.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.pool.shared.waiting.load(Ordering::Relaxed) > 0
    }

    /// What came before its first transaction is of no interest to the next.
    pub(crate) fn use_up(&mut self) {
        self.was_at_rest = true;
        self.waited = Duration::ZERO;
    }

    /// The options for the first transaction of a call: nothing leaves ahead of the replies where the
    /// connection may have come to its end, or it would be ambiguous and could not go over another.
    pub(crate) fn first_options(&self) -> TransactionOptions {
        let mut options = self.options();
        if self.was_at_rest && matches!(options.chunking, Chunking::Ahead(_)) {
            options.chunking = Chunking::IF_OFFERED;
        }
        options
    }

    /// How many messages may be under way at once over it.
    pub(crate) fn window(&self) -> usize {
        let offered = self.extensions();
        match self.options().chunking {
            Chunking::Ahead(window) if offered.chunking() && offered.pipelining() => {
                usize::try_from(window).unwrap_or(usize::MAX).max(2)
            }
            _ => 2,
        }
    }

    /// The options of the pool's client.
    pub(crate) fn options(&self) -> TransactionOptions {
        self.pool.client().options()
    }

    /// The result with what came before the transaction.
    pub(crate) fn tell(
        &mut self,
        result: Result<Receipt, Error>,
        started: Instant,
    ) -> Result<Receipt, Error> {
        let now = clock::now();
        let elapsed = now.saturating_duration_since(started);
        // That a connection at rest has come to its end says nothing.
        if !result.as_ref().is_err_and(|error| self.is_stale(error)) {
            let mut state = self.pool.shared.state();
            let failure = result.as_ref().err();
            state.circuits.ended(self.endpoint(), failure, now);
        }
        let mut before = self.checkout();
        let mut earlier = self.take_passed_over();
        if self.was_at_rest {
            earlier.clear();
        } else {
            before.merge(self.timings());
        }
        match result {
            Ok(mut receipt) => {
                receipt.acceptance.timings.merge(&before);
                receipt.elapsed = elapsed;
                if !earlier.is_empty() {
                    receipt.earlier = earlier.into();
                }
                Ok(receipt)
            }
            Err(mut error) => {
                error.merge_dial(&before, elapsed);
                Err(error.behind(earlier))
            }
        }
    }
}
