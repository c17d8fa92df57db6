//! What is told to `tracing`: nothing, without the feature of that name.
//!
//! Spans: `send` around a call of [`Client::send`](crate::Client::send), `dial` around each endpoint
//! that is dialled, `transaction` around each mail transaction. Events: each phase with how long it
//! lasted, what a dial and a transaction came to, the wait before another attempt; and at the level
//! TRACE each line of the dialogue, which has no secrets in it by construction. Below that level
//! nobody's address is told, unless the server repeats it in a refusal.

#[cfg(not(feature = "tracing"))]
pub(crate) use off::*;
#[cfg(feature = "tracing")]
pub(crate) use on::*;

#[cfg(feature = "tracing")]
mod on {
    use std::time::Duration;

    use proto::{Line, Outcome, Phase, Timings};
    use tracing::instrument::Instrumented;
    use tracing::{Instrument, Level, debug, debug_span, enabled, trace, warn};

    use crate::endpoint::Endpoint;
    use crate::error::Error;
    use crate::receipt::Receipt;

    fn millis(duration: Duration) -> f64 {
        duration.as_secs_f64() * 1_000.0
    }

    pub(crate) fn send<F: Future>(recipients: usize, call: F) -> Instrumented<F> {
        call.instrument(debug_span!("send", recipients))
    }

    pub(crate) async fn dial<T>(
        endpoint: &Endpoint,
        timings: impl Fn(&T) -> Timings,
        dial: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let span = debug_span!("dial", %endpoint);
        let told = async {
            let result = dial.await;
            if enabled!(Level::DEBUG) {
                match &result {
                    Ok(connection) => {
                        let timings = timings(connection);
                        phases(&timings);
                        let whole = timings.iter().map(|(_, spent)| spent).sum();
                        debug!(outcome = "connected", elapsed_ms = millis(whole), "dialled");
                    }
                    Err(error) => failed(error),
                }
            }
            result
        };
        told.instrument(span).await
    }

    pub(crate) type Span = tracing::Span;

    pub(crate) fn transaction_with(endpoint: &str) -> Span {
        debug_span!("transaction", endpoint)
    }

    pub(crate) async fn transaction(
        span: Span,
        transaction: impl Future<Output = Result<Receipt, Error>>,
    ) -> Result<Receipt, Error> {
        let told = async {
            let result = transaction.await;
            match &result {
                Ok(receipt) if enabled!(Level::DEBUG) => {
                    phases(receipt.timings());
                    debug!(
                        outcome = Outcome::Accepted.to_string(),
                        code = receipt.reply().code().get(),
                        octets = receipt.octets(),
                        refused = receipt.refused().count(),
                        elapsed_ms = millis(receipt.elapsed()),
                        "sent"
                    );
                }
                Ok(_) => {}
                Err(error) => failed(error),
            }
            result
        };
        told.instrument(span).await
    }

    /// What is the caller's to act on is a warning: the message may have been accepted.
    pub(crate) fn failed(error: &Error) {
        if enabled!(Level::DEBUG) {
            phases(error.timings());
        }
        let elapsed_ms = millis(error.elapsed());
        let code = error.reply().map(|reply| reply.code().get());
        if error.is_ambiguous() {
            warn!(phase = error.phase().name(), outcome = %error.outcome(), code, elapsed_ms, %error, "failed");
        } else {
            debug!(phase = error.phase().name(), outcome = %error.outcome(), code, elapsed_ms, %error, "failed");
        }
    }

    fn phases(timings: &Timings) {
        for (phase, spent) in timings.iter() {
            waited(phase, spent);
        }
    }

    /// A phase is over.
    pub(crate) fn waited(phase: Phase, spent: Duration) {
        debug!(phase = phase.name(), elapsed_ms = millis(spent), "phase");
    }

    /// Whether lines are wanted.
    pub(crate) fn wants_lines() -> bool {
        enabled!(Level::TRACE)
    }

    pub(crate) fn line(endpoint: &str, line: &Line) {
        trace!(endpoint, %line, "line");
    }
}

#[cfg(not(feature = "tracing"))]
mod off {
    use std::time::Duration;

    use proto::{Line, Phase, Timings};

    use crate::endpoint::Endpoint;
    use crate::error::Error;

    pub(crate) fn send<F: Future>(_recipients: usize, call: F) -> F {
        call
    }

    pub(crate) fn dial<T, F>(_: &Endpoint, _: impl Fn(&T) -> Timings, dial: F) -> F
    where
        F: Future<Output = Result<T, Error>>,
    {
        dial
    }

    pub(crate) struct Span;

    pub(crate) const fn transaction_with(_: &str) -> Span {
        Span
    }

    pub(crate) fn transaction<F: Future>(_: Span, transaction: F) -> F {
        transaction
    }

    pub(crate) const fn failed(_: &Error) {}

    pub(crate) const fn waited(_: Phase, _: Duration) {}

    pub(crate) const fn wants_lines() -> bool {
        false
    }

    pub(crate) const fn line(_: &str, _: &Line) {}
}
