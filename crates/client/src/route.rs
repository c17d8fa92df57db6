//! Failover: from a client's endpoints to one connection at rest.

use std::time::{Duration, Instant};

use proto::{Bounds, FailureKind, Limit};

use crate::client::Client;
use crate::clock;
use crate::connection::Connection;
use crate::connector::Connector;
use crate::endpoint::{Endpoint, Order};
use crate::error::Error;
use crate::guard::Guard;
use crate::traced;

/// What one endpoint may use for being dialled.
#[derive(Clone, Copy, Debug)]
struct Share {
    bounds: Bounds,
    /// What is named when it runs out, if that is not the call's own deadline.
    limit: Option<Limit>,
}

impl Share {
    /// An equal share, among the endpoints that are left, of what is left of the call's deadline
    /// without its reserve. What one does not use is divided among the others; the last one has
    /// all of it.
    fn of(bounds: Bounds, left: usize, now: Instant) -> Self {
        let whole = Self {
            bounds,
            limit: None,
        };
        let (Some(deadline), Ok(left @ 2..)) = (bounds.deadline, u32::try_from(left)) else {
            return whole;
        };
        let until = deadline.checked_sub(bounds.reserve).unwrap_or(deadline);
        let share = until.saturating_duration_since(now) / left;
        let mut bounds = bounds;
        bounds.deadline = now.checked_add(share);
        bounds.reserve = Duration::ZERO;
        Self {
            bounds,
            limit: Some(Limit::Share(share)),
        }
    }
}

/// Is told how each dial ended; without a failure, well.
pub(crate) type Told<'a> = &'a mut (dyn FnMut(&Endpoint, Option<&Error>) + Send);

/// Nobody has to be told.
pub(crate) fn nobody(_: &Endpoint, _: Option<&Error>) {}

impl<C: Connector> Client<C> {
    /// Dials the endpoints in the order of chance and priority.
    pub(crate) async fn dial(
        &self,
        guard: &mut Guard<'_>,
        bounds: Bounds,
    ) -> Result<Connection<C::Stream>, Error> {
        let started = clock::now();
        let order = self.order();
        match self.dial_in(&order, guard, bounds, &mut nobody).await {
            Ok((connection, _)) => Ok(connection),
            Err(mut error) => {
                error.lasted(clock::now().saturating_duration_since(started));
                Err(error)
            }
        }
    }

    /// Dials the endpoints in this order until one has a connection at rest, and says which.
    pub(crate) async fn dial_in(
        &self,
        order: &Order,
        guard: &mut Guard<'_>,
        bounds: Bounds,
        told: Told<'_>,
    ) -> Result<(Connection<C::Stream>, Endpoint), Error> {
        let mut earlier: Vec<Error> = Vec::new();
        let mut left = order.iter();
        loop {
            // An order is never empty; if it were, the client's first endpoint would be tried.
            let endpoint = left.next().unwrap_or_else(|| self.first());
            let share = Share::of(bounds, left.len() + 1, clock::now());
            // A call has room for what dialling needs only while it dials.
            let dial = Box::pin(self.dial_one(endpoint, guard, share.bounds));
            let dialled = traced::dial(endpoint, |done| *Connection::timings(done), dial).await;
            let mut error = match dialled {
                Ok(mut connection) => {
                    told(endpoint, None);
                    connection.pass_over(earlier);
                    return Ok((connection, endpoint.clone()));
                }
                Err(error) => error,
            };
            if let (FailureKind::TimedOut(Limit::Deadline), Some(limit)) =
                (error.kind(), share.limit)
            {
                error.name_limit(limit);
            }
            told(endpoint, Some(&error));
            // A 5yz is what the next one would say, too. Where one endpoint requires TLS all do, so
            // that whoever breaks it here gains nothing.
            // And a proxy's rules may allow that one.
            let passes = error.is_transient() || error.is_tls() || error.is_forbidden_by_proxy();
            if left.len() == 0 || !passes {
                return Err(error.behind(earlier));
            }
            earlier.push(error);
        }
    }
}
