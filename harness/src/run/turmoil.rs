//! A case on turmoil, in virtual ticks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use simnet::net::turmoil::{Options, simulate};

use crate::case::Case;
use crate::report::{Report, Tolerance};

/// One tick for each hop of a whole dialogue, and the timers' resolution.
pub const TOLERANCE: Tolerance = Tolerance::late(Duration::from_millis(20));

/// Runs the case in a simulation of its own.
///
/// # Panics
/// If the simulation fails, which is a bug in it.
#[must_use]
pub fn run(case: &Case) -> Report {
    let double = case.double();
    let slot = Arc::new(Mutex::new(None));
    let mut options = Options::default();
    options.duration = case.promise() * 2 + Duration::from_secs(60);
    let (case_inside, slot_inside) = (case.clone(), Arc::clone(&slot));
    let ledger = double.ledger().clone();
    simulate(&double, options, move |connector| async move {
        let outcome = super::call(&case_inside, connector, || ()).await;
        *slot_inside.lock().unwrap() = Some(outcome);
        // What is still under way arrives. Each tick costs, so it is not waited for longer than
        // there is a connection on which something can come.
        for _ in 0..500 {
            tokio::time::sleep(Duration::from_millis(2)).await;
            if ledger.open_connections() == 0 {
                break;
            }
        }
    })
    .unwrap_or_else(|error| panic!("the simulation failed: {error}: {case}"));
    let (result, elapsed) = slot.lock().unwrap().take().expect("the call ended");
    super::report(case, &double, &result, elapsed)
}
