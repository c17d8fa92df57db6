//! A finished sweep, for people.

use harness::results::Sweep;
use harness::sweep::State;

/// A finished sweep in a few lines.
pub(super) fn show(state: &State) {
    let sweep = &state.sweep;
    println!("{}", line(sweep));
    for (why, count) in &sweep.skipped {
        println!("  {count} skipped: {why}");
    }
    for (outcome, count) in &sweep.outcomes {
        println!("  {count} {outcome}");
    }
    for (what, count) in &sweep.notes {
        println!("  {count} {what}");
    }
    for broken in state.broken.values() {
        let what = broken.violations.join("; ");
        eprintln!("BROKEN {what}\n  replay: {}", broken.replay());
    }
}

/// A sweep in one line.
pub(crate) fn line(sweep: &Sweep) -> String {
    format!(
        "{} {} on {} (shard {}), {} violations, {:.0} a second and core",
        sweep.cases,
        sweep.name,
        sweep.backend,
        sweep.shards.join(", "),
        sweep.violations(),
        sweep.rate()
    )
}
