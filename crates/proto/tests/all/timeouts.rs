//! Limits that are refused, and the promise as a table.

use std::time::Duration;

use postbound_proto::{Phase, Timeouts, TimeoutsError};

#[test]
fn zero_and_absurd_limits_are_refused_and_named() {
    for limit in [
        Duration::ZERO,
        Duration::from_micros(999),
        Duration::MAX,
        Duration::from_secs(24 * 60 * 60 + 1),
    ] {
        let uniform = Timeouts::uniform(limit).unwrap_err();
        assert!(uniform.to_string().starts_with("the limit of every phase"));
        for phase in Phase::ALL {
            let refused = Timeouts::INTERACTIVE.with(phase, limit).unwrap_err();
            assert!(refused.to_string().contains(phase.name()), "{refused}");
            assert!(refused.to_string().contains("between"), "{refused}");
        }
    }
    assert_eq!(
        Timeouts::INTERACTIVE.with_min_rate(0),
        Err(TimeoutsError::MinRate)
    );
}

#[test]
fn the_ends_of_the_allowed_range_are_allowed() {
    for limit in [Timeouts::MIN, Timeouts::MAX] {
        assert_eq!(Timeouts::uniform(limit).unwrap().of(Phase::Quit), limit);
    }
}

#[test]
fn the_rfc_s_minima_are_kept() {
    // RFC 5321 §4.5.3.2.1 to .6, in minutes.
    for (phase, minutes) in [
        (Phase::Greeting, 5),
        (Phase::Mail, 5),
        (Phase::Rcpt, 5),
        (Phase::DataInitiation, 2),
        (Phase::DataBlock, 3),
        (Phase::DataTermination, 10),
    ] {
        let limit = Timeouts::RFC5321.of(phase);
        assert!(limit >= Duration::from_secs(minutes * 60), "{phase}");
    }
}

#[test]
fn the_promise_reads_as_a_table_whose_rows_add_up() {
    let promise = Timeouts::INTERACTIVE.worst_case(3, 20_000);
    let table = promise.to_string();
    let mut lines = table.lines();
    assert_eq!(
        lines.next().map(|l| l.split_whitespace().collect()),
        Some(vec!["phase", "times", "limit", "transfer", "at", "most"])
    );
    assert!(table.contains("rcpt"));
    let together = lines.next_back().unwrap();
    let total = format!("{:.3} s", promise.total().as_secs_f64());
    assert!(together.starts_with("together") && together.ends_with(&total));
    let sum: Duration = promise.items().iter().map(|item| item.total()).sum();
    assert_eq!(sum, promise.total());
    assert_eq!(lines.count(), promise.items().len());
}

#[test]
fn the_promise_grows_with_recipients_and_octets_and_never_overflows() {
    let timeouts = Timeouts::RFC5321;
    let one = timeouts.worst_case(1, 1_000).total();
    assert_eq!(
        timeouts.worst_case(2, 1_000).total() - one,
        timeouts.of(Phase::Rcpt)
    );
    // 8 KiB more take a second each in the block and in the buffers behind it.
    assert_eq!(
        timeouts.worst_case(1, 1_000 + 8 * 1_024).total() - one,
        Duration::from_secs(2)
    );
    let absurd = timeouts.worst_case(usize::MAX, u64::MAX).total();
    assert!(absurd > one);
}
