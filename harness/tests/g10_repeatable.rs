//! G10: one seed, one trace; one line, one failure, on every network.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use postbound_harness::differential::{Agreement, compare};
use postbound_harness::{Case, arbitrary, property, run};
use proptest::prop_oneof;
use simnet::net::Backend;

#[test]
fn g10_repeatable_the_same_case_twice_leaves_the_same_trace() {
    property(1_000, arbitrary::case(), |case| {
        let (first, second) = (run::mem::run(case), run::mem::run(case));
        if first.trace != second.trace
            || first.claim != second.claim
            || first.elapsed != second.elapsed
        {
            return Err(format!(
                "two runs differ:\n{}\n{}",
                first.events, second.events
            ));
        }
        Ok(())
    });
}

#[test]
fn g10_repeatable_the_same_case_twice_on_turmoil_leaves_the_same_trace() {
    property(60, arbitrary::case(), |case| {
        if Backend::Turmoil.can(&case.plan).is_err() {
            return Ok(());
        }
        let (first, second) = (run::turmoil::run(case), run::turmoil::run(case));
        if first.trace != second.trace || first.claim != second.claim {
            return Err(format!(
                "two runs differ:\n{}\n{}",
                first.events, second.events
            ));
        }
        Ok(())
    });
}

#[test]
fn g10_repeatable_a_case_is_the_line_that_it_prints() {
    let any = prop_oneof![
        arbitrary::case(),
        arbitrary::auth_case(),
        arbitrary::proxy_case()
    ];
    property(3_000, any, |case| {
        let line = case.to_string();
        match line.parse::<Case>() {
            Ok(again) if again == *case => Ok(()),
            other => Err(format!("{line} was read as {other:?}")),
        }
    });
}

#[test]
fn g10_repeatable_regressions_hold_on_every_network() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/regressions");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    files.sort();
    let mut runs = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for line in text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let case: Case = line
                .parse()
                .unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            if run::sansio::can(&case).is_ok() {
                let without_a_runtime = run::sansio::run(&case);
                let agreement = compare(&case, &without_a_runtime, &run::mem::run(&case));
                assert_eq!(agreement, Agreement::Same, "{line}");
            }
            for backend in Backend::ALL {
                if backend.can(&case.plan).is_ok() {
                    let (report, tolerance) = run::on(backend, &case);
                    let violations = report.violations(&case, tolerance);
                    assert_eq!(violations, [], "{backend}: {line}\n{}", report.events);
                    runs += 1;
                }
            }
        }
    }
    assert!(runs > 10, "only {runs} regressions were run");
}
