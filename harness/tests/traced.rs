//! What the client tells `tracing`: phases, endpoints, durations and outcomes, in spans that say to
//! which call they belong.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't be set up has to fail"
)]

use postbound::{Bounds, Outcome, Phase};
use postbound_harness::told::Told;
use postbound_harness::{Case, run};
use tracing::Level;

fn told(level: Level, case: &str) -> (Outcome, String) {
    let case: Case = case.parse().unwrap();
    let told = Told::up_to(level);
    let report = tracing::subscriber::with_default(told.clone(), || run::mem::run(&case));
    assert_eq!(report.violations(&case, run::mem::TOLERANCE), [], "{case}");
    (report.claim.outcome, told.text())
}

/// The lines that have all of these in them.
fn lines<'t>(text: &'t str, parts: &[&str]) -> Vec<&'t str> {
    let has = |line: &&str| parts.iter().all(|part| line.contains(part));
    text.lines().filter(has).collect()
}

#[test]
fn a_message_is_told_by_phase_with_times_and_its_outcome() {
    let (outcome, text) = told(
        Level::DEBUG,
        "timeout=2s tls=starttls auth=scram-sha-256 -- v1 | rcpt: after 700ms | greeting: after 300ms",
    );
    assert_eq!(outcome, Outcome::Accepted);
    assert_eq!(
        lines(&text, &["span send", "recipients=1"]).len(),
        1,
        "{text}"
    );
    let dial = ["send span dial", "endpoint=double.example:25"];
    assert_eq!(lines(&text, &dial).len(), 1, "{text}");
    let dialled = ["send:dial DEBUG", "dialled", "outcome=connected"];
    assert_eq!(lines(&text, &dialled).len(), 1, "{text}");
    let sent = [
        "send:transaction DEBUG",
        "sent",
        "outcome=accepted",
        "code=250",
    ];
    assert_eq!(lines(&text, &sent).len(), 1, "{text}");
    for phase in [
        Phase::Resolve,
        Phase::Connect,
        Phase::Greeting,
        Phase::Ehlo,
        Phase::StartTls,
        Phase::TlsHandshake,
        Phase::Auth,
        Phase::Mail,
        Phase::Rcpt,
        Phase::DataInitiation,
        Phase::DataTermination,
    ] {
        let name = format!("phase={phase} ");
        let at = if phase <= Phase::Auth {
            "send:dial"
        } else {
            "send:transaction"
        };
        assert_eq!(
            lines(&text, &[at, &name, "elapsed_ms="]).len(),
            1,
            "{phase}: {text}"
        );
    }
    // 300 ms and the round trip.
    assert_eq!(
        lines(&text, &["phase=greeting ", "elapsed_ms=30"]).len(),
        1,
        "{text}"
    );
    assert_eq!(lines(&text, &["TRACE"]), [""; 0]);
}

#[test]
fn a_failure_is_told_where_it_was_and_only_what_may_have_been_accepted_is_a_warning() {
    let (_, text) = told(
        Level::DEBUG,
        "timeout=2s -- v1 | mail: reply 451 4.7.1 later",
    );
    let failed = [
        "send:transaction DEBUG",
        "phase=mail ",
        "outcome=not accepted",
        "code=451",
    ];
    assert_eq!(lines(&text, &failed).len(), 1, "{text}");
    assert_eq!(lines(&text, &["WARN"]), [""; 0]);

    let (_, text) = told(Level::DEBUG, "timeout=2s -- v1 | connect: blackhole");
    let failed = [
        "send:dial DEBUG",
        "phase=connect ",
        "timed out",
        "elapsed_ms=2000",
    ];
    assert!(!lines(&text, &failed[..2]).is_empty(), "{text}");
    assert_eq!(
        lines(&text, &[failed[0], failed[1], failed[3], "error="]).len(),
        1,
        "{text}"
    );

    let (outcome, text) = told(
        Level::WARN,
        "timeout=2s -- v1 | data-termination: commit; stall",
    );
    assert_eq!(outcome, Outcome::Ambiguous);
    let all: Vec<_> = text.lines().collect();
    assert_eq!(all.len(), 1, "{text}");
    let warning = ["WARN", "phase=data-termination ", "outcome=ambiguous"];
    assert_eq!(lines(&text, &warning).len(), 1, "{text}");
}

#[test]
fn the_dialogue_is_told_line_by_line_at_the_lowest_level_and_the_waits_between_attempts() {
    let (_, text) = told(Level::TRACE, "timeout=2s -- v1");
    for line in [
        "<-  220",
        " -> EHLO",
        " -> MAIL FROM",
        "octets of mail data",
        "<-  250",
    ] {
        assert!(!lines(&text, &["TRACE", line]).is_empty(), "{line}: {text}");
    }

    let told = Told::up_to(Level::DEBUG);
    tracing::subscriber::with_default(told.clone(), || {
        run::paused(async {
            let case: Case = "timeout=2s -- v1 | mail: reply 451 4.7.1 later"
                .parse()
                .unwrap();
            let network = simnet::net::mem::Network::new(case.double());
            let builder = case.builder(network.connector());
            let client = builder
                .retry(postbound::Retry::attempts(3))
                .build()
                .unwrap();
            let (envelope, message) = (case.envelope(), case.message());
            client
                .send(&envelope, &message, Bounds::none())
                .await
                .unwrap_err();
        });
    });
    let text = told.text();
    assert_eq!(
        lines(&text, &["send DEBUG", "phase=backoff "]).len(),
        2,
        "{text}"
    );
    assert_eq!(lines(&text, &["span dial"]).len(), 3, "{text}");
}

#[test]
fn nobody_who_listens_changes_what_is_done() {
    let case: Case = "timeout=2s tls=starttls auth=plain -- v1 | link: fragment 5"
        .parse()
        .unwrap();
    let told = Told::up_to(Level::TRACE);
    let heard = tracing::subscriber::with_default(told.clone(), || run::mem::run(&case));
    let alone = run::mem::run(&case);
    assert_eq!((heard.trace, heard.elapsed), (alone.trace, alone.elapsed));
    assert!(!told.text().is_empty());
}
