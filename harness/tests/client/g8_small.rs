//! G8: what a peer can make a connection hold is capped, and the cap strikes while octets come.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::time::Duration;

use postbound::{Bounds, Client, FailureKind, Limits, Outcome, Phase, ProtocolError, ReplyError};
use postbound_harness::{Case, Counted, run};
use simnet::Double;
use simnet::net::mem::Network;

const PHASES: [Phase; 7] = [
    Phase::Greeting,
    Phase::Ehlo,
    Phase::Mail,
    Phase::Rcpt,
    Phase::DataInitiation,
    Phase::DataTermination,
    Phase::Quit,
];

/// How the call ended, and how many octets the client read in all of it.
fn flooded(phase: Phase, flood: &str, limits: Limits) -> (Option<FailureKind>, Outcome, u64) {
    run::paused(async {
        let plan = format!("v1 | {phase}: {flood}");
        let network = Network::new(Double::new(plan.parse().unwrap()));
        let (connector, octets) = Counted::new(network.connector());
        let client = Client::builder("mx.example", 25)
            .connector(connector)
            .limits(limits)
            .build()
            .unwrap();
        let case = Case::default();
        let result = client
            .send(&case.envelope(), &case.message(), Bounds::none())
            .await;
        // Nothing is left that goes on reading.
        tokio::time::sleep(Duration::from_secs(60)).await;
        let read = octets.read();
        match result {
            Ok(_) => (None, Outcome::Accepted, read),
            Err(error) => (Some(error.kind().clone()), error.outcome(), read),
        }
    })
}

/// What a healthy dialogue says before and behind, with room to spare.
const HEALTHY: u64 = 1_024;
/// One read of the client's.
const ONE_READ: u64 = 4_096;

#[test]
fn g8_small_a_reply_line_without_end_is_ended_by_its_cap_while_it_is_read() {
    let mut limits = Limits::DEFAULT;
    limits.reply_line = 1_000;
    for phase in PHASES {
        let (kind, outcome, read) = flooded(phase, "endless-line", limits);
        let most = HEALTHY + 1_000 + ONE_READ;
        assert!(read <= most, "{read} octets were read at {phase}");
        if phase == Phase::Quit {
            assert_eq!(outcome, Outcome::Accepted);
            continue;
        }
        let too_long = ProtocolError::Reply(ReplyError::LineTooLong(1_000));
        assert_eq!(kind, Some(FailureKind::Protocol(too_long)), "{phase}");
        let expected = match phase {
            Phase::DataTermination => Outcome::Ambiguous,
            _ => Outcome::NotAccepted,
        };
        assert_eq!(outcome, expected, "{phase}");
    }
}

#[test]
fn g8_small_a_reply_of_endless_lines_is_ended_by_its_caps_while_it_is_read() {
    let (mut lines, mut octets) = (Limits::DEFAULT, Limits::DEFAULT);
    lines.reply_lines = 10;
    octets.reply_octets = 500;
    for phase in PHASES.into_iter().filter(|phase| *phase != Phase::Quit) {
        let (kind, _, read) = flooded(phase, "endless-lines", lines);
        let too_many = ProtocolError::Reply(ReplyError::TooManyLines(10));
        assert_eq!(kind, Some(FailureKind::Protocol(too_many)), "{phase}");
        assert!(read <= HEALTHY + ONE_READ, "{read} octets at {phase}");

        let (kind, _, read) = flooded(phase, "endless-lines", octets);
        let too_many = ProtocolError::Reply(ReplyError::TooManyOctets(500));
        assert_eq!(kind, Some(FailureKind::Protocol(too_many)), "{phase}");
        assert!(read <= HEALTHY + ONE_READ, "{read} octets at {phase}");
    }
}

#[test]
fn g8_small_a_cap_of_zero_is_a_cap_of_one_and_no_cap_is_switched_off() {
    let mut limits = Limits::DEFAULT;
    (limits.reply_line, limits.reply_lines, limits.reply_octets) = (0, 0, 0);
    let (kind, outcome, read) = flooded(Phase::Greeting, "endless-line", limits);
    assert!(matches!(kind, Some(FailureKind::Protocol(_))), "{kind:?}");
    assert_eq!(outcome, Outcome::NotAccepted);
    assert!(read <= ONE_READ, "{read} octets");
}

/// A wrapper that is handed a future holds it a second time, and every move is of all of it.
#[test]
fn g8_small_a_call_s_future_holds_what_it_waits_for_once() {
    let case = Case::default();
    let client = case.client(postbound::TcpConnector::new());
    let (envelope, message) = (case.envelope(), case.message());
    let send = size_of_val(&client.send(&envelope, &message, Bounds::none()));
    assert!(send <= 8 * 1024, "{send} octets");
}
