//! Properties with a seed that is always the same unless one asks for another.

use std::fmt::{Debug, Display};
use std::sync::LazyLock;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::case::Case;
use crate::run;

/// How many cases each property tries: `PROPTEST_CASES`, or `default`.
fn cases(default: u32) -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(default)
}

/// The seed: `POSTBOUND_SEED`, or 1.
#[must_use]
pub fn seed() -> u64 {
    std::env::var("POSTBOUND_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1)
}

/// A source of cases for this seed.
#[must_use]
pub fn runner(seed: u64, cases: u32) -> TestRunner {
    nth(seed, 0, cases)
}

/// A source for one case: the one with this number, so that each can be had without the others.
#[must_use]
pub fn source(seed: u64, number: u64) -> TestRunner {
    // The numbers begin behind the source of everything that is drawn in a row.
    nth(seed, number + 1, 1)
}

fn nth(seed: u64, number: u64, cases: u32) -> TestRunner {
    let mut octets = [0; 32];
    octets[..8].copy_from_slice(&seed.to_le_bytes());
    octets[8..16].copy_from_slice(&number.to_le_bytes());
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..CONFIG.clone()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &octets))
}

/// It reads the environment, once.
static CONFIG: LazyLock<Config> = LazyLock::new(Config::default);

/// Tries `check` on cases drawn from `strategy`, and shrinks the first that fails.
///
/// # Panics
/// With the shrunk case and the one line that replays it: `postbound replay`, or, for what is more than
/// one client and one server, this test with this seed.
pub fn property<T: Debug + Display>(
    default: u32,
    strategy: impl Strategy<Value = T>,
    check: impl Fn(&T) -> Result<(), String>,
) {
    let seed = seed();
    let result = runner(seed, cases(default))
        .run(&strategy, |case| check(&case).map_err(TestCaseError::fail));
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, case)) => {
            let text = case.to_string();
            let replay = match text.parse::<Case>() {
                Ok(_) => crate::replay::line(&text),
                Err(_) => format!("{}\n  shrunk to: {text}", crate::replay::this_test(seed)),
            };
            panic!("{why}\n  seed {seed}; replay: {replay}")
        }
        Err(TestError::Abort(why)) => panic!("given up: {why}"),
    }
}

/// Whether the case keeps this guarantee on the in-memory network.
///
/// # Errors
/// How it was broken.
pub fn keeps(guarantee: &str, case: &Case) -> Result<(), String> {
    let violations = run::mem::run_quick(case).violations(case, run::mem::TOLERANCE);
    match violations
        .iter()
        .find(|violation| violation.guarantee == guarantee)
    {
        Some(violation) => Err(violation.to_string()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::arbitrary;

    #[test]
    fn a_case_that_fails_for_having_any_rule_is_shrunk_to_one_rule() {
        let failed = catch_unwind(AssertUnwindSafe(|| {
            property(1_000, arbitrary::case(), |case| {
                match case.plan.rules.len() {
                    0 => Ok(()),
                    rules => Err(format!("{rules} rules")),
                }
            });
        }));
        let Err(panic) = failed else {
            panic!("no case of all of them had a rule");
        };
        let text = panic.downcast_ref::<String>().map_or("", String::as_str);
        assert!(text.starts_with("1 rules\n"), "{text}");
        let (_, line) = text.split_once("replay: ").unwrap_or_default();
        let case = line.split('\'').nth(1).unwrap_or_default();
        let case: Case = case.parse().unwrap_or_else(|why| panic!("{line}: {why:?}"));
        assert_eq!(case.plan.rules.len(), 1, "{line}");
    }
}
