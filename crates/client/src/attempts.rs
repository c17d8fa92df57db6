//! One call to send, and the attempts that it is made of.

use std::future::pending;

use proto::{Bounds, Envelope, Failure, FailureKind, Outcome, Phase};

use crate::client::Client;
use crate::clock;
use crate::connection::Connection;
use crate::connector::Connector;
use crate::endpoint::Order;
use crate::error::{self, Error};
use crate::guard::Guard;
use crate::message::Message;
use crate::receipt::Receipt;
use crate::route::nobody;
use crate::step::{Due, step};
use crate::traced;
use crate::transaction::Settings;

impl<C: Connector> Client<C> {
    /// Attempts until one is accepted, or the retry policy has no other.
    pub(crate) async fn deliver(
        &self,
        guard: &mut Guard<'_>,
        envelope: &Envelope,
        mut message: Message<'_>,
        bounds: Bounds,
        mut order: Order,
    ) -> Result<Receipt, Error> {
        let started = clock::now();
        let longest = self.timeouts().of(Phase::Backoff);
        let until = bounds
            .deadline
            .map(|deadline| deadline.checked_sub(bounds.reserve).unwrap_or(deadline));
        let mut earlier: Vec<Error> = Vec::new();
        let mut attempts = 0;
        self.retry().begin(started);
        loop {
            attempts += 1;
            let attempt = self
                .attempt(guard, envelope, &mut message, bounds, &mut order)
                .await;
            let mut error = match attempt {
                Ok((mut receipt, mut connection)) => {
                    receipt.elapsed = clock::now().saturating_duration_since(started);
                    earlier.append(&mut connection.take_passed_over());
                    receipt.earlier = earlier.into();
                    connection.say_quit(guard, bounds).await;
                    return Ok(receipt);
                }
                Err(error) => error,
            };
            let now = clock::now();
            let wait = if message.is_whole() {
                let seed = self.seed();
                self.retry()
                    .wait(attempts, &error, longest, until, seed, now)
            } else {
                None
            };
            if let Some(wait) = wait {
                let due = Due::of(wait, bounds, now);
                let waited = step(guard, pending::<()>(), due).await;
                let spent = clock::now().saturating_duration_since(now);
                traced::waited(Phase::Backoff, spent);
                error.add_time(Phase::Backoff, spent);
                earlier.append(&mut error.take_earlier());
                earlier.push(error);
                match waited {
                    Ok(()) | Err(FailureKind::TimedOut(_)) => continue,
                    Err(kind) => error = self.stopped(kind),
                }
            }
            error.lasted(clock::now().saturating_duration_since(started));
            return Err(error.behind(earlier));
        }
    }

    /// One attempt: dials and runs the transaction.
    async fn attempt(
        &self,
        guard: &mut Guard<'_>,
        envelope: &Envelope,
        message: &mut Message<'_>,
        bounds: Bounds,
        order: &mut Order,
    ) -> Result<(Receipt, Connection<C::Stream>), Error> {
        let started = clock::now();
        let (mut connection, endpoint) = self.dial_in(order, guard, bounds, &mut nobody).await?;
        let dialled = *connection.timings();
        let settings = Settings::new(self.options());
        let result = connection
            .send_with(guard, envelope, message, settings, bounds, clock::now())
            .await;
        match result {
            Ok(mut receipt) => {
                receipt.acceptance.timings.merge(&dialled);
                Ok((receipt, connection))
            }
            // Nothing is awaited after an error: dropping the connection closes it.
            Err(mut error) => {
                if error.breaks_off() {
                    order.put_last(&endpoint);
                }
                error.merge_dial(&dialled, clock::now().saturating_duration_since(started));
                Err(error.behind(connection.take_passed_over()))
            }
        }
    }

    /// Cancelled between two attempts.
    fn stopped(&self, kind: FailureKind) -> Error {
        let failure = Failure::new(Phase::Backoff, kind, Outcome::NotAccepted);
        let context = error::Context {
            endpoint: self.endpoint(),
            ..error::Context::default()
        };
        Error::new(Box::new(failure), context)
    }
}
