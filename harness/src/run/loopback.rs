//! A case on real sockets, in real time: the referee.

use std::time::Duration;

use simnet::net::loopback::Loopback;

use crate::case::Case;
use crate::report::{Report, Tolerance};

/// A loaded machine may schedule late; nothing finer is asserted of it.
pub const TOLERANCE: Tolerance = Tolerance::late(Duration::from_millis(1_000));

/// Runs the case against a double on ports of its own.
///
/// # Panics
/// If the machine has no loopback sockets to give.
#[must_use]
pub fn run(case: &Case) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let report = runtime.block_on(async {
        let loopback = Loopback::bind(case.double(), 0)
            .await
            .expect("a loopback port");
        let connector = loopback.connector();
        let begun = tokio::time::Instant::now();
        let (result, elapsed) = super::call(case, connector, || ()).await;
        // What the kernel still has under way reaches the double.
        tokio::time::sleep(Duration::from_millis(30)).await;
        let mut report = super::report(case, loopback.double(), &result, elapsed);
        let met = loopback.double().trace().start();
        report.met = met.map(|start| start.saturating_duration_since(begun));
        report
    });
    runtime.shutdown_background();
    report
}
