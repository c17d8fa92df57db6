//! One case of a sweep: run, judged and counted.

use harness::coverage::{Scope, Tally};
use harness::differential::{Agreement, compare};
use harness::run::mem::Meter;
use harness::run::sansio;
use harness::sweep::Found;
use harness::{Case, Violation, referee, run};
use simnet::net::Backend;

/// What counts memory, in a build that can.
fn meter() -> Option<Meter> {
    #[cfg(feature = "meter")]
    return Some(|run| {
        let info = allocation_counter::measure(run);
        harness::Memory::new(info.bytes_current, info.bytes_max)
    });
    #[cfg(not(feature = "meter"))]
    None
}

pub(super) fn tally(scope: Scope, backend: &str) -> Tally {
    let tally = Tally::new(scope, backend);
    match meter() {
        Some(_) => tally,
        None => tally.without("g8"),
    }
}

/// Runs a case on mem with every oracle. Where there is a second opinion, the two have to agree:
/// two drivers, two networks, two servers.
pub(super) fn examine(
    number: u64,
    case: &Case,
    twice: u64,
    second: Option<&mut sansio::Runner>,
    found: &mut Found,
) {
    let report = run::mem::examine(case, meter(), number.is_multiple_of(twice));
    let mut violations = report.violations(case, run::mem::TOLERANCE);
    if let Some(runner) = second.filter(|_| sansio::can(case).is_ok()) {
        match compare(case, &runner.run(case), &report) {
            Agreement::Same => found.note("sans-io agrees"),
            Agreement::Tie(class) => found.note(class),
            Agreement::Differs(how) => violations.push(Violation::new("referee", how)),
        }
    }
    found.count(number, case, &report, &violations);
}

/// What the referee notes of most cases.
pub(super) const AS_MEM: &str = "the same as on mem";

/// Runs a case on another network and has it judged by what mem makes of it.
pub(super) fn judge(backend: Backend, number: u64, case: &Case, found: &mut Found) {
    if let Err(why) = referee::can(backend, case) {
        found.skip(why.rsplit(": ").next().unwrap_or(&why));
        return;
    }
    let (report, tolerance) = run::on(backend, case);
    let mut violations = report.violations(case, tolerance);
    match referee::judge(case, &run::mem::run_quick(case), &report, tolerance.late) {
        Agreement::Same => found.note(AS_MEM),
        Agreement::Tie(class) => found.note(class),
        Agreement::Differs(how) => violations.push(Violation::new("referee", how)),
    }
    found.count(number, case, &report, &violations);
}
