//! G1: every call ends at most `min(T, W)` after it is first polled.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::time::Duration;

use postbound_harness::{Case, arbitrary, keeps, property, run};

#[test]
fn g1_bounded_whatever_goes_wrong() {
    property(4_000, arbitrary::case(), |case| keeps("g1", case));
}

#[test]
fn g1_bounded_by_the_sum_of_the_limits_when_every_phase_uses_up_its_own() {
    // Each reply comes 3 ms before its limit; a round trip takes 2 ms of that.
    let text = "timeout=1s recipients=3 octets=300 -- v1 | resolve: after 997ms | connect: after 995ms \
        | greeting: after 997ms | ehlo#1: reply 502 no; after 995ms | ehlo#2: after 995ms \
        | mail: after 995ms | rcpt: after 995ms | data-initiation: after 995ms \
        | data-termination: after 995ms | quit: after 995ms";
    let case: Case = text.parse().unwrap();
    let report = run::mem::run(&case);
    assert_eq!(report.claim.kind, "accepted", "{}", report.events);
    let promise = case.promise();
    // The promise is not padded: what is missing is the mail data, which leaves at once here, and
    // a few milliseconds in each of the eleven waits.
    let data = case
        .limits()
        .worst_case(3, 400)
        .between(postbound::Phase::DataBlock, postbound::Phase::DataBlock);
    let unused = promise - report.elapsed;
    assert!(report.elapsed <= promise);
    assert!(
        unused >= data.total(),
        "{unused:?} unused: a wait is missing in the promise"
    );
    assert!(
        unused < data.total() + Duration::from_millis(11 * 8 + 50),
        "{unused:?} of {promise:?} were never used"
    );
}

#[test]
fn g1_bounded_also_when_the_message_source_stalls() {
    run::paused(async {
        use simnet::{Double, Plan, net::mem::Network};
        let case: Case = "timeout=2s -- v1".parse().unwrap();
        let network = Network::new(Double::new(Plan::healthy()));
        let client = case.client(network.connector());
        let (_writer, reader) = tokio::io::duplex(64);
        let begun = tokio::time::Instant::now();
        let error = client
            .send(
                &case.envelope(),
                postbound::Message::reader(reader),
                Duration::from_secs(60),
            )
            .await
            .unwrap_err();
        assert_eq!(error.phase(), postbound::Phase::DataBlock);
        assert_eq!(error.outcome(), postbound::Outcome::NotAccepted);
        let limit = Duration::from_secs(2);
        assert_eq!(error.limit(), Some(limit));
        // Eight milliseconds of dialogue come before it.
        let elapsed = begun.elapsed();
        assert!(
            elapsed >= limit && elapsed < limit + Duration::from_millis(12),
            "{elapsed:?}"
        );
    });
}
