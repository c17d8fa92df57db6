//! Limits that are refused, and the promise as a table.

use std::time::Duration;

use postbound_proto::{Phase, Security, Timeouts, TimeoutsError, WorstCase};

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

#[test]
fn the_constants_are_what_they_are_said_to_be() {
    assert_eq!(Timeouts::MIN, Duration::from_millis(1));
    assert_eq!(Timeouts::MAX, Duration::from_secs(86_400));
    assert_eq!(Timeouts::MIN_RATE, 8_192);
    assert_eq!(Timeouts::SEND_BUFFER, 4_194_304);
    assert_eq!(Timeouts::default(), Timeouts::INTERACTIVE);
    assert_eq!(Timeouts::INTERACTIVE.min_rate(), 8_192);
}

#[test]
fn a_transfer_takes_its_octets_at_the_minimum_rate_rounded_up() {
    let timeouts = Timeouts::INTERACTIVE.with_min_rate(1_000).unwrap();
    assert_eq!(timeouts.min_rate(), 1_000);
    for (octets, millis) in [(0, 0), (1, 1), (999, 999), (1_000, 1_000), (2_500, 2_500)] {
        assert_eq!(timeouts.transfer(octets), Duration::from_millis(millis));
    }
    let timeouts = timeouts.with_min_rate(1_000_000).unwrap();
    assert_eq!(timeouts.transfer(1), Duration::from_millis(1));
    assert_eq!(timeouts.transfer(1_001), Duration::from_millis(2));
    assert_eq!(timeouts.transfer(u64::MAX).as_secs(), u64::MAX / 1_000_000);

    // The final reply is waited for longer by what the buffers may hold, and not by more.
    let timeouts = Timeouts::INTERACTIVE.with_send_buffer(8_192 * 3);
    let limit = timeouts.of(Phase::DataTermination);
    for (octets, seconds) in [(0, 0), (8_192, 1), (8_192 * 3, 3), (8_192 * 99, 3)] {
        let waited = timeouts.data_termination(octets);
        assert_eq!(waited - limit, Duration::from_secs(seconds), "{octets}");
    }
}

fn rows(promise: &WorstCase) -> Vec<(Phase, u64)> {
    let items = promise.items().iter();
    items.map(|item| (item.phase, item.times)).collect()
}

#[test]
fn a_promise_is_added_to_phase_by_phase_in_their_order() {
    let promise = Timeouts::INTERACTIVE.worst_case(2, 100);
    let message = [
        (Phase::Resolve, 1),
        (Phase::Connect, 1),
        (Phase::Greeting, 1),
        (Phase::Ehlo, 2),
        (Phase::Mail, 1),
        (Phase::Rcpt, 2),
        (Phase::DataInitiation, 1),
        (Phase::DataBlock, 1),
        (Phase::DataTermination, 1),
        (Phase::Quit, 1),
    ];
    assert_eq!(rows(&promise), message);
    assert_eq!(Timeouts::INTERACTIVE.worst_case(0, 0).items().len(), 9);

    assert_eq!(promise.clone().plus(Phase::Auth, 0), promise);
    let more = promise.clone().plus(Phase::Auth, 3).plus(Phase::Mail, 4);
    let mut expected = message.to_vec();
    expected.insert(4, (Phase::Auth, 3));
    expected[5].1 += 4;
    assert_eq!(rows(&more), expected);
    let ten = Duration::from_secs(10);
    assert_eq!(more.total() - promise.total(), ten * 7);

    let added = |security| {
        let total = promise.clone().plus_security(security).total();
        total - promise.total()
    };
    assert_eq!(added(Security::None), Duration::ZERO);
    assert_eq!(added(Security::Implicit), ten);
    assert_eq!(added(Security::StartTls), ten * 3);
    assert_eq!(added(Security::StartTlsIfOfferedInsecure), ten * 3);
}

#[test]
fn promises_are_repeated_joined_and_cut() {
    let promise = Timeouts::INTERACTIVE.worst_case(1, 8_192 * 5);
    assert_eq!(promise.clone().repeated(3).total(), promise.total() * 3);
    assert_eq!(promise.clone().repeated(0).items(), []);
    let both = promise
        .clone()
        .and(&Timeouts::INTERACTIVE.worst_case(4, 8_192 * 2));
    let block = |promise: &WorstCase| {
        let block = promise.between(Phase::DataBlock, Phase::DataBlock);
        block.items()[0].transfer.as_secs()
    };
    assert_eq!((block(&promise), block(&both)), (5, 7));
    let rcpt = both.between(Phase::Rcpt, Phase::Rcpt);
    assert_eq!(rows(&rcpt), [(Phase::Rcpt, 5)]);
    assert_eq!(rcpt.total(), Duration::from_secs(50));
    let dial = promise.between(Phase::Resolve, Phase::Ehlo);
    assert_eq!(dial.items().len(), 4);
    assert_eq!(dial.total(), Duration::from_secs(5 + 10 + 15 + 20));

    let fraction = Timeouts::uniform(Duration::from_micros(1_500)).unwrap();
    let quits = fraction.worst_case(1, 0).between(Phase::Quit, Phase::Quit);
    assert_eq!(quits.repeated(3).total(), Duration::from_micros(4_500));
    let table = promise.to_string();
    let block = table.lines().find(|line| line.starts_with("data-block"));
    let block: Vec<&str> = block.unwrap().split_whitespace().collect();
    assert_eq!(
        block[1..],
        ["1", "15.000", "s", "5.000", "s", "20.000", "s"]
    );
    let rcpt = table.lines().find(|line| line.starts_with("rcpt")).unwrap();
    assert!(rcpt.contains(" - "), "no transfer is a dash: {rcpt}");
}
