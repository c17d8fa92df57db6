//! The results as a test suite of JUnit.

use simnet::junit::{NEVER, Suite, Verdict};

use super::Results;

/// Every cell, every sweep, and every goal that was missed.
pub(super) fn write(results: &Results) -> String {
    let mut suite = Suite::new("postbound");
    for cell in &results.cells {
        let class = format!("matrix.{}.{}", cell.backend, cell.place);
        let name = match &cell.setting {
            Some(setting) => format!("{} ({setting})", cell.fault),
            None => cell.fault.clone(),
        };
        let seconds = cell.ran.as_ref().map_or(0, |ran| ran.elapsed) as f64 / 1e6;
        let (what, more);
        let verdict = if !cell.violations.is_empty() {
            what = cell.violations.join("; ");
            more = crate::replay::line_on(&cell.backend, &cell.case);
            Verdict::Failed {
                what: &what,
                more: &more,
            }
        } else if let Some(why) = &cell.skipped {
            Verdict::Skipped(why)
        } else {
            Verdict::Passed
        };
        suite.case(&class, &name, seconds, verdict);
    }
    for sweep in &results.sweeps {
        let (what, more);
        let verdict = if sweep.broken.is_empty() {
            Verdict::Passed
        } else {
            let broken = results.broken.iter();
            let replay: Vec<_> = broken
                .filter(|broken| broken.backend == sweep.backend)
                .map(|broken| format!("{}: {}", broken.violations.join("; "), broken.case))
                .collect();
            what = format!("{} violations", sweep.violations());
            more = replay.join("\n");
            Verdict::Failed {
                what: &what,
                more: &more,
            }
        };
        let name = format!("{} ({} cases)", sweep.name, sweep.cases);
        let class = format!("sweep.{}", sweep.backend);
        suite.case(&class, &name, sweep.core_seconds, verdict);
    }
    for goal in results.missed() {
        let verdict = Verdict::Failed {
            what: NEVER,
            more: goal,
        };
        suite.case("coverage", goal, 0.0, verdict);
    }
    suite.to_string()
}
