//! A case on the in-memory network, in virtual time.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use postbound::{Error, Receipt};
use simnet::Double;
use simnet::net::mem::{Connector, Network};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::case::Case;
use crate::report::{Memory, Report, Tolerance};

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
    run_by(case, double, |caller| {
        super::call(case, caller.connector, caller.at_cancel)
    })
}

/// What whoever makes a case's call is given.
#[non_exhaustive]
pub struct Caller {
    /// The way to the double.
    pub connector: Connector,
    /// To be called in the instant of cancellation.
    pub at_cancel: Box<dyn FnOnce() + Send>,
}

/// Runs the case, but somebody else makes the call, and says what came of it and how long it took:
/// a client that is known to be wrong, for one.
///
/// # Panics
/// If the double panicked, which is a bug in it.
#[must_use]
pub fn run_by<F>(case: &Case, double: Double, call: impl FnOnce(Caller) -> F) -> Report
where
    F: Future<Output = (Result<Receipt, Error>, Duration)>,
{
    super::paused(async {
        let network = Network::new(double);
        let octets_at_cancel = Arc::new(AtomicU64::new(u64::MAX));
        let at_cancel = {
            let (at, octets) = (Arc::clone(&octets_at_cancel), network.connector());
            Box::new(move || at.store(octets.client_octets(), Ordering::Relaxed))
        };
        let begun = Instant::now();
        let (result, elapsed) = call(Caller {
            connector: network.connector(),
            at_cancel,
        })
        .await;
        let open_streams = network.client_streams();
        // What was told to end gets the chance to.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let alive = Handle::current().metrics().num_alive_tasks();
        let tasks = match network.tasks() {
            Ok(servers) => alive.saturating_sub(servers),
            Err(panic) => panic!("the double panicked: {panic}: {case}"),
        };
        // What is still under way arrives, so that the ledger has the last word.
        tokio::time::sleep(Duration::from_secs(60 * 60)).await;
        let before = octets_at_cancel.load(Ordering::Relaxed);
        let after = network.client_octets().saturating_sub(before);
        let mut report = super::report(case, network.double(), &result, elapsed);
        let met = network.double().trace().start();
        report.met = met.map(|start| start.saturating_duration_since(begun));
        report.open_streams = open_streams;
        report.tasks = Some(tasks);
        report.octets_after_cancel = after;
        assert_eq!(network.panicked(), None, "the double panicked: {case}");
        report
    })
}

/// Measures what a run does to this thread's memory. A program that counts allocations has one.
pub type Meter = fn(&mut dyn FnMut()) -> Memory;

/// Runs the case with every oracle: measured, if there is a meter, and once more for its trace if
/// `twice`.
///
/// # Panics
/// If the double panicked, which is a bug in it.
#[must_use]
pub fn examine(case: &Case, meter: Option<Meter>, twice: bool) -> Report {
    let run = || match twice {
        true => run(case),
        false => run_quick(case),
    };
    let mut report = None;
    let mut memory = meter.map(|meter| measured(meter, &run, &mut report));
    // What is made once and kept for good is no leak: such a thing is not made again.
    if let (Some(meter), Some(Memory { left: 1.., .. })) = (meter, memory) {
        memory = Some(measured(meter, &run, &mut report));
    }
    let mut report = report.unwrap_or_else(run);
    report.memory = memory;
    if twice {
        let second = self::run(case);
        let same = second.claim == report.claim && second.elapsed == report.elapsed;
        // Another result is another run, even if the double saw the same.
        report.again = Some(if same { second.trace } else { !report.trace });
    }
    report
}

/// Runs under the meter, the report's own memory not counted.
fn measured(meter: Meter, run: &dyn Fn() -> Report, slot: &mut Option<Report>) -> Memory {
    let mut report = None;
    let ran = meter(&mut || report = Some(run()));
    slot.clone_from(&report);
    let freed = meter(&mut || drop(report.take()));
    Memory::new(ran.left + freed.left, ran.peak)
}
