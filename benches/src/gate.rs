//! What is counted is compared with what was counted before.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::canned::WORKLOADS;
use crate::count::{self, Meter};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How much more may be counted than before.
const TOLERANCE: f64 = 1.02;

/// Counts, and what they are counts of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Baseline {
    /// Instructions compare under one compiler only,
    pub compiler: String,
    /// and on processors for which the same routines are chosen.
    pub processor: String,
    /// By workload.
    pub counts: BTreeMap<String, Counts>,
}

/// One message's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// Instructions of the program itself, by callgrind; those of the C library are left out,
    /// because it chooses its routines by the processor.
    pub instructions: f64,
    /// Allocations.
    pub allocations: f64,
}

/// The committed baseline.
#[must_use]
pub fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("counters.json")
}

fn compiler() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = std::process::Command::new(rustc).arg("--version").output();
    output.map_or_else(
        |error| format!("unknown ({error})"),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

fn processor() -> String {
    let mut name = std::env::consts::ARCH.to_owned();
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        name.push_str(" avx2");
    }
    name
}

/// Counts every workload.
///
/// # Errors
/// If valgrind is missing, or a workload fails.
pub fn counted(meter: Meter) -> Result<Baseline, Failure> {
    let mut counts = BTreeMap::new();
    for workload in WORKLOADS {
        let instructions = count::instructions(&["canned", workload.name], 200, 600)?;
        let mut round = workload.prepare()?;
        let allocations = count::allocations(meter, &mut round, 100)?;
        let counted = Counts {
            instructions: instructions.own.round(),
            allocations: (allocations * 100.0).round() / 100.0,
        };
        counts.insert(workload.name.to_owned(), counted);
    }
    Ok(Baseline {
        compiler: compiler(),
        processor: processor(),
        counts,
    })
}

/// What has changed, and whether all of it may be.
#[must_use]
pub fn compare(before: &Baseline, now: &Baseline) -> (String, bool) {
    let mut report = String::new();
    let mut holds = true;
    let comparable = before.compiler == now.compiler && before.processor == now.processor;
    if !comparable {
        let _ = writeln!(
            report,
            "NOT CHECKED: instructions. The baseline is of {} on {}, this is {} on {}; allocations are checked",
            before.compiler, before.processor, now.compiler, now.processor
        );
    }
    for (name, counts) in &now.counts {
        let Some(before) = before.counts.get(name) else {
            let _ = writeln!(report, "MISSING  {name}: not in the baseline");
            holds = false;
            continue;
        };
        for (what, was, is, gated) in [
            (
                "instructions",
                before.instructions,
                counts.instructions,
                comparable,
            ),
            ("allocations", before.allocations, counts.allocations, true),
        ] {
            let worse = is > was * TOLERANCE;
            let verdict = match (worse, is * TOLERANCE < was) {
                (true, _) if gated => "WORSE   ",
                (_, true) if gated => "better  ",
                _ if gated => "same    ",
                _ => "-       ",
            };
            holds &= !(worse && gated);
            let _ = writeln!(
                report,
                "{verdict} {name}: {is} {what} a message, were {was}"
            );
        }
    }
    for name in before.counts.keys() {
        if !now.counts.contains_key(name) {
            let _ = writeln!(report, "MISSING  {name}: in the baseline and not counted");
            holds = false;
        }
    }
    (report, holds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(instructions: f64, allocations: f64) -> Baseline {
        let counts = Counts {
            instructions,
            allocations,
        };
        Baseline {
            compiler: "rustc 1".to_owned(),
            processor: "x86_64".to_owned(),
            counts: [("send".to_owned(), counts)].into(),
        }
    }

    #[test]
    fn more_than_two_percent_more_is_worse_and_less_is_not() {
        let before = baseline(1_000.0, 10.0);
        assert!(compare(&before, &baseline(1_019.0, 10.0)).1);
        assert!(!compare(&before, &baseline(1_021.0, 10.0)).1);
        assert!(!compare(&before, &baseline(1_000.0, 11.0)).1);
        assert!(compare(&before, &baseline(500.0, 1.0)).1);
    }

    #[test]
    fn an_allocation_where_there_was_none_is_worse() {
        assert!(!compare(&baseline(1.0, 0.0), &baseline(1.0, 1.0)).1);
    }

    #[test]
    fn another_compiler_leaves_instructions_unchecked_and_says_so() {
        let mut now = baseline(2_000.0, 10.0);
        now.compiler = "rustc 2".to_owned();
        let (report, holds) = compare(&baseline(1_000.0, 10.0), &now);
        assert!(holds && report.contains("NOT CHECKED"), "{report}");
        now = baseline(2_000.0, 20.0);
        now.compiler = "rustc 2".to_owned();
        assert!(!compare(&baseline(1_000.0, 10.0), &now).1);
    }

    #[test]
    fn a_workload_that_is_gone_or_new_is_told() {
        let mut other = baseline(1.0, 1.0);
        other.counts = [("another".to_owned(), Counts::default())].into();
        let (report, holds) = compare(&baseline(1.0, 1.0), &other);
        assert!(!holds && report.matches("MISSING").count() == 2, "{report}");
    }
}
