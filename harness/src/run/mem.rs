//! A case on the in-memory network, in virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use postbound::{Error, Receipt};
use simnet::Double;
use simnet::net::mem::Network;

use crate::case::Case;
use crate::report::{Report, Tolerance};

/// The timers' resolution, and nothing else.
pub const TOLERANCE: Tolerance = Tolerance::late(Duration::from_millis(1));

/// Runs the case on a network of its own.
///
/// # Panics
/// If the double panicked, which is a bug in it.
#[must_use]
pub fn run(case: &Case) -> Report {
    run_on(case, case.double())
}

/// The same without a trace, for sweeps.
///
/// # Panics
/// If the double panicked, which is a bug in it.
#[must_use]
pub fn run_quick(case: &Case) -> Report {
    run_on(case, case.double().without_trace())
}

/// What the client's call returned, for who needs more than what can be compared.
///
/// # Errors
/// The call's own.
pub fn result(case: &Case) -> Result<Receipt, Error> {
    super::paused(async {
        let network = Network::new(case.double());
        super::call(case, network.connector(), || ()).await.0
    })
}

fn run_on(case: &Case, double: Double) -> Report {
    super::paused(async {
        let network = Network::new(double);
        let at_cancel = Arc::new(AtomicU64::new(u64::MAX));
        let mark = {
            let (at_cancel, octets) = (Arc::clone(&at_cancel), network.connector());
            move || at_cancel.store(octets.client_octets(), Ordering::Relaxed)
        };
        let begun = tokio::time::Instant::now();
        let (result, elapsed) = super::call(case, network.connector(), mark).await;
        let open_streams = network.client_streams();
        let before = at_cancel.load(Ordering::Relaxed);
        let after = network.client_octets().saturating_sub(before);
        // What is still under way arrives, so that the ledger has the last word.
        tokio::time::sleep(Duration::from_secs(60 * 60)).await;
        let mut report = super::report(case, network.double(), &result, elapsed);
        let met = network.double().trace().start();
        report.met = met.map(|start| start.saturating_duration_since(begun));
        report.open_streams = open_streams;
        report.octets_after_cancel = after;
        assert_eq!(network.panicked(), None, "the double panicked: {case}");
        report
    })
}
