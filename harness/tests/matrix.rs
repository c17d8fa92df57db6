//! Every cell of the fault matrix, on every backend.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::time::Duration;

use postbound_harness::{Matrix, Report, matrix::Verdict, replay, run};
use simnet::Plan;
use simnet::net::Backend;

fn holds_on(backend: Backend) {
    let (mut held, mut skipped, mut broken) = (0, 0, Vec::new());
    Matrix::new(&[backend]).run(|cell, verdict| match verdict {
        Verdict::Holds(_) => held += 1,
        Verdict::Skipped(_) => skipped += 1,
        Verdict::Broken(report, violations) => {
            let lines: Vec<_> = violations.iter().map(ToString::to_string).collect();
            broken.push(format!(
                "{cell}: {}\n  replay: {}\n{}",
                lines.join("; "),
                replay::line_on(backend, &cell.case),
                report.events
            ));
        }
        other => broken.push(format!("{cell}: a verdict without a meaning: {other:?}")),
    });
    assert!(
        broken.is_empty(),
        "{} cells are broken:\n{}",
        broken.len(),
        broken.join("\n")
    );
    assert!(held > skipped, "more was skipped than tried");
}

#[test]
fn every_cell_holds_in_memory() {
    holds_on(Backend::Mem);
}

#[test]
fn every_cell_holds_on_turmoil() {
    holds_on(Backend::Turmoil);
}

#[test]
fn every_cell_holds_on_loopback() {
    holds_on(Backend::Loopback);
}

/// What anybody could tell of a run.
fn seen(report: &Report) -> (String, Duration, u64, usize) {
    let claim = format!("{} {}", report.claim, report.claim.accepted);
    (claim, report.elapsed, report.trace, report.committed)
}

#[test]
fn no_fault_is_unreachable_each_makes_a_run_another_than_the_healthy_one() {
    let mut idle = Vec::new();
    for cell in Matrix::new(&[Backend::Mem]).cells() {
        let mut healthy = cell.case.clone();
        healthy.plan = Plan::healthy();
        if seen(&run::mem::run(&cell.case)) == seen(&run::mem::run(&healthy)) {
            idle.push(cell.to_string());
        }
    }
    // A fragment shows in a single read and nowhere else: the network's own tests look at those.
    let fragments = [
        "mem link/fragment",
        "mem link/fragment-replies",
        "mem link/split-greeting",
    ];
    assert_eq!(idle, fragments, "they do nothing");
}
