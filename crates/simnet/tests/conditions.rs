//! Conditions of rules as text: they round-trip, and what is wrong with one is said with its place.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has to fail"
)]

use std::time::Duration;

use postbound_simnet::Plan;
use postbound_simnet::plan::{Pattern, Rule, ServerFault, When};
use proptest::option::of;
use proptest::prelude::*;
use proto::Phase;

fn error(text: &str) -> String {
    text.parse::<Plan>().unwrap_err().to_string()
}

#[test]
fn a_rule_with_conditions_is_shown_in_its_canonical_form() {
    let text = "v1 | rcpt#2[ first 2 , to bob@x.example,connection 3]: reply 451 4.7.1 later | mail[over 3 per 60s]: reply 421 slow; close";
    assert_eq!(
        text.parse::<Plan>().unwrap().one_line(),
        "v1 | rcpt#2[connection 3, bob@x.example, first 2]: reply 451 4.7.1 later | mail[over 3 per 1m]: reply 421 slow; close"
    );
}

#[test]
fn what_is_wrong_with_a_condition_is_said_with_its_place() {
    for (rule, expected) in [
        (
            "rcpt[]: stall",
            "column 11: expected a condition: ADDRESS, to PATTERN",
        ),
        ("rcpt[bob]: stall", "column 11: expected a condition"),
        ("rcpt[first]: stall", "column 16: expected a condition"),
        (
            "rcpt[first 0]: stall",
            "column 17: expected a number, at least 1, found \"0]:\"",
        ),
        (
            "rcpt[first 1, first 2]: stall",
            "column 20: expected each condition once",
        ),
        (
            "rcpt[greylist 5]: stall",
            "column 20: expected a time such as 250ms",
        ),
        ("rcpt[over 3 in 1s]: stall", "column 18: expected per TIME"),
        (
            "rcpt[first 1: stall",
            "column 18: expected a comma and another condition, or ]",
        ),
        (
            "connect[first 1]: refuse",
            "column 13: expected no conditions",
        ),
        (
            "link[first 1]: latency 5ms",
            "column 10: expected no conditions",
        ),
    ] {
        let error = error(&format!("v1 | {rule}"));
        assert!(error.contains(expected), "{rule}: {error}");
    }
}

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9.*-]{1,10}@[a-z.*]{1,10}",
        any::<String>(),
        "[ -~]{0,12}"
    ]
}

fn time() -> impl Strategy<Value = Duration> {
    (1u64..=86_400_000).prop_map(Duration::from_millis)
}

fn when() -> impl Strategy<Value = When> {
    let who = (of(pattern()), of(pattern()), of(pattern()), of(pattern()));
    let which = (of(1u32..), of(1u32..), of(1u32..), of(1u32..));
    let clock = (of(time()), of((1u32.., time())));
    (who, which, clock).prop_map(|(who, which, clock)| {
        let mut when = When::default();
        when.name = who.0;
        when.to = who.1.map(Pattern::new);
        when.from = who.2.map(Pattern::new);
        when.ehlo = who.3.map(Pattern::new);
        (when.connection, when.command, when.first, when.times) = which;
        (when.greylist, when.over) = clock;
        when
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn every_condition_is_the_text_that_it_prints(whens in prop::collection::vec(when(), 0..4)) {
        let plan = Plan::of(whens.into_iter().map(|when| {
            let fault = ServerFault::reply(451, "x; y");
            Rule::Server { phase: Phase::Rcpt, nth: Some(2), fault }.when(when)
        }));
        prop_assert_eq!(plan.to_string().parse::<Plan>(), Ok(plan.clone()));
        prop_assert_eq!(plan.one_line().parse::<Plan>(), Ok(plan));
    }

    #[test]
    fn no_text_in_brackets_makes_the_parser_panic(text in "v1 \\| rcpt\\[[a-z0-9@*,\\] \"\\\\:]{0,40}(\\]: stall)?") {
        if let Err(error) = text.parse::<Plan>() {
            prop_assert!(error.column >= 1 && error.column <= text.chars().count() + 1);
        }
    }
}
