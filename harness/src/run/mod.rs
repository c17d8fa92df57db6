//! Running a case: the same client, the same plan, on one network or another.

pub mod loopback;
pub mod mem;
pub mod turmoil;

use std::future::Future;
use std::time::Duration;

use postbound::{CancellationToken, Connector, Error, Receipt};
use simnet::Double;
use simnet::net::Backend;
use simnet::plan::Rule;
use tokio::time::Instant;

use crate::case::Case;
use crate::report::{Claim, Report, Tolerance};

/// Runs the case on this backend, which must be able to, and says how late it may be there.
#[must_use]
pub fn on(backend: Backend, case: &Case) -> (Report, Tolerance) {
    match backend {
        Backend::Mem => (mem::run(case), mem::TOLERANCE),
        Backend::Turmoil => (turmoil::run(case), turmoil::TOLERANCE),
        Backend::Loopback => (loopback::run(case), loopback::TOLERANCE),
    }
}

/// Makes the case's call over `connector`. `at_cancel` is called in the instant of cancellation.
pub(crate) async fn call<C: Connector>(
    case: &Case,
    connector: C,
    at_cancel: impl FnOnce() + Send + 'static,
) -> (Result<Receipt, Error>, Duration) {
    let client = case.client(connector);
    let envelope = case.envelope();
    let message = case.message();
    let token = CancellationToken::new();
    let canceller = case.cancel.map(|after| {
        let token = token.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            at_cancel();
            token.cancel();
        })
    });
    let begun = Instant::now();
    let result = client.send(&envelope, &message, case.bounds(&token)).await;
    let elapsed = begun.elapsed();
    if let Some(canceller) = canceller {
        canceller.abort();
    }
    (result, elapsed)
}

/// What the double and the client know, side by side.
pub(crate) fn report(
    case: &Case,
    double: &Double,
    result: &Result<Receipt, Error>,
    elapsed: Duration,
) -> Report {
    let deliveries = double.ledger().deliveries();
    let message = case.message();
    let accepted: Vec<&str> = match result {
        Ok(receipt) => receipt.recipients(),
        Err(error) => error.recipients(),
    }
    .iter()
    .filter(|recipient| recipient.is_accepted())
    .map(|recipient| recipient.path().as_str())
    .collect();
    // Two faults can conspire to attribute one RCPT's reply to another, which no client can see.
    let attributed = case
        .plan
        .rules
        .iter()
        .filter(|rule| matches!(rule, Rule::Server { .. }))
        .count()
        < 2;
    let intact = deliveries.iter().all(|delivery| {
        delivery.octets == message
            && delivery.reverse_path == "sender@client.example"
            && (!attributed || delivery.forward_paths == accepted)
    });
    Report {
        claim: Claim::of(result),
        elapsed,
        committed: deliveries.len(),
        intact,
        findings: double
            .ledger()
            .findings()
            .iter()
            .map(ToString::to_string)
            .collect(),
        open_streams: 0,
        octets_after_cancel: 0,
        trace: double.trace().hash(),
        events: double.trace().to_string(),
    }
}

/// Runs a future to its end on a runtime of its own whose clock is paused.
pub fn paused<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(future)
}
