//! Transactions behind one another, as dialogues.

use std::time::{Duration, Instant};

use postbound_proto::{
    Bounds, Completed, Envelope, Failure, FailureKind, Outcome, Phase, Session, TransactionOptions,
};

use crate::dialogue::{self, at_rest, config, write};

struct Talk {
    session: Session,
    now: Instant,
}

impl Talk {
    /// A session at rest, with a server that offers these.
    fn with(extensions: &str) -> Self {
        let now = Instant::now();
        Self {
            session: at_rest(config(), &[extensions], now),
            now,
        }
    }

    /// With message `a` under way up to its 354, and `b` behind it.
    fn with_two(extensions: &str, bounds: Bounds) -> Self {
        let mut talk = Self::with(extensions);
        let options = TransactionOptions::default();
        talk.session
            .begin(&envelope("a"), options, bounds, talk.now)
            .unwrap();
        talk.session
            .follow(&envelope("b"), options, talk.now)
            .unwrap();
        talk
    }

    fn hears(&mut self, octets: &str) {
        self.session.receive(octets.as_bytes(), self.now);
    }

    /// Everything that one write would take.
    fn says(&mut self, chunk: &[u8]) -> String {
        self.says_at_most(chunk, usize::MAX)
    }

    fn says_at_most(&mut self, chunk: &[u8], most: usize) -> String {
        let octets = write(&mut self.session, chunk, most, self.now);
        String::from_utf8(octets).unwrap()
    }

    fn accepted(&mut self) -> String {
        match self.session.take_result() {
            Some(Ok(Completed::Accepted(acceptance))) => acceptance.reply.to_string(),
            other => panic!("{other:?}"),
        }
    }

    fn failed(&mut self) -> Box<Failure> {
        match self.session.take_result() {
            Some(Err(failure)) => failure,
            other => panic!("{other:?}"),
        }
    }
}

fn envelope(name: &str) -> Envelope {
    let path = |side: &str| format!("{name}@{side}.example");
    Envelope::new(path("from").parse().unwrap(), [path("to").parse().unwrap()]).unwrap()
}

fn group(name: &str) -> String {
    format!("MAIL FROM:<{name}@from.example>\r\nRCPT TO:<{name}@to.example>\r\nDATA\r\n")
}

const OK: &str = "250 ok\r\n250 ok\r\n354 go\r\n";

#[test]
fn mail_data_and_the_next_group_leave_in_one_write() {
    let mut talk = Talk::with_two("PIPELINING", Bounds::NONE);
    assert_eq!(talk.says(b""), group("a"), "nothing of b before a is whole");
    talk.hears(OK);
    talk.session.provide(b"one\r\n", true, talk.now);
    assert_eq!(talk.says(b"one\r\n"), format!("one\r\n.\r\n{}", group("b")));
    assert_eq!(talk.session.outcome(), Outcome::Ambiguous);
    assert_eq!(talk.session.phase(), Some(Phase::DataTermination));

    // All replies in one read: the first result, and the second transaction at its mail data.
    talk.hears(&format!("250 a queued\r\n{OK}"));
    assert_eq!(talk.accepted(), "250 a queued");
    assert_eq!(talk.session.outcome(), Outcome::NotAccepted);
    assert!(talk.session.needs_chunk() && talk.session.is_under_way());
    let options = TransactionOptions::default();
    talk.session
        .follow(&envelope("c"), options, talk.now)
        .unwrap();
    talk.session.provide(b"two\r\n", true, talk.now);
    assert_eq!(talk.says(b"two\r\n"), format!("two\r\n.\r\n{}", group("c")));
    talk.hears("250 b queued\r\n");
    assert_eq!(talk.accepted(), "250 b queued");
    talk.hears(OK);
    talk.session.provide(b"", true, talk.now);
    assert_eq!(talk.says(b""), ".\r\n");
    talk.hears("250 c queued\r\n");
    assert_eq!(talk.accepted(), "250 c queued");
    assert!(talk.session.is_idle());
}

#[test]
fn without_pipelining_the_next_one_waits_for_the_result() {
    let mut talk = Talk::with_two("SIZE", Bounds::NONE);
    for (said, reply) in [
        ("MAIL FROM:<a@from.example>\r\n", "250 ok\r\n"),
        ("RCPT TO:<a@to.example>\r\n", "250 ok\r\n"),
        ("DATA\r\n", "354 go\r\n"),
    ] {
        assert_eq!(talk.says(b""), said);
        talk.hears(reply);
    }
    talk.session.provide(b"one\r\n", true, talk.now);
    assert_eq!(talk.says(b"one\r\n"), "one\r\n.\r\n");
    assert_eq!(talk.says(b"one\r\n"), "");
    talk.hears("250 queued\r\n");
    talk.accepted();
    assert_eq!(talk.says(b""), "MAIL FROM:<b@from.example>\r\n");
}

#[test]
fn the_outcome_flips_on_the_last_octet_of_the_mail_data_wherever_a_write_ends() {
    let whole = format!("one\r\n.\r\n{}", group("b"));
    for most in 0..whole.len() {
        let mut talk = Talk::with_two("PIPELINING", Bounds::NONE);
        talk.says(b"");
        talk.hears(OK);
        talk.session.provide(b"one\r\n", true, talk.now);
        let mut said = talk.says_at_most(b"one\r\n", most);
        let ambiguous = talk.session.outcome() == Outcome::Ambiguous;
        assert_eq!(ambiguous, most >= "one\r\n.\r\n".len(), "{most}");
        said.push_str(&talk.says(b"one\r\n"));
        assert_eq!(said, whole, "{most}");
        talk.hears(&format!("250 queued\r\n{OK}"));
        talk.accepted();
        assert!(talk.session.needs_chunk());
    }
}

#[test]
fn a_refusal_of_the_first_goes_on_with_the_second() {
    // Before its mail data: behind an RSET.
    let mut talk = Talk::with_two("PIPELINING", Bounds::NONE);
    talk.says(b"");
    talk.hears("250 ok\r\n550 nobody\r\n554 no recipients\r\n");
    assert_eq!(talk.failed().kind, FailureKind::Refused);
    assert_eq!(talk.says(b""), format!("RSET\r\n{}", group("b")));
    talk.hears(&format!("250 ok\r\n{OK}"));
    assert!(talk.session.needs_chunk());

    // Behind its mail data: the server has forgotten it by itself (RFC 5321 §4.1.1.4).
    let mut talk = Talk::with_two("PIPELINING", Bounds::NONE);
    talk.says(b"");
    talk.hears(OK);
    talk.session.provide(b"one\r\n", true, talk.now);
    talk.says(b"one\r\n");
    talk.hears(&format!("554 no\r\n{OK}"));
    let failure = talk.failed();
    assert_eq!(failure.outcome, Outcome::NotAccepted);
    assert_eq!(failure.phase, Phase::DataTermination);
    assert!(talk.session.needs_chunk());
}

#[test]
fn two_results_in_one_read_are_both_had() {
    let mut talk = Talk::with_two("PIPELINING", Bounds::NONE);
    talk.says(b"");
    talk.hears(OK);
    talk.session.provide(b"one\r\n", true, talk.now);
    talk.says(b"one\r\n");
    talk.hears("250 a queued\r\n250 ok\r\n550 nobody\r\n554 no recipients\r\n");
    assert_eq!(talk.accepted(), "250 a queued");
    assert_eq!(talk.failed().phase, Phase::Rcpt);
    assert!(talk.session.is_idle());
}

#[test]
fn what_ends_the_connection_is_told_of_the_current_one_only() {
    let ends: [fn(&mut Talk); 4] = [
        |talk| talk.session.closed(talk.now),
        |talk| talk.hears("garbage\r\n"),
        |talk| talk.session.cancel(talk.now),
        |talk| {
            talk.now += Duration::from_secs(3_600);
            talk.session.expire(talk.now);
        },
    ];
    for end in ends {
        let mut talk = Talk::with_two("PIPELINING", Bounds::NONE);
        talk.says(b"");
        talk.hears(OK);
        talk.session.provide(b"one\r\n", true, talk.now);
        talk.says(b"one\r\n");
        end(&mut talk);
        assert_eq!(talk.failed().outcome, Outcome::Ambiguous);
        assert!(talk.session.take_result().is_none());
        assert!(!talk.session.is_under_way() && !talk.session.is_idle());
        assert_eq!(talk.says(b""), "");
    }
    // And of the second once it is the current one.
    let mut talk = Talk::with_two("PIPELINING", Bounds::NONE);
    talk.says(b"");
    talk.hears(OK);
    talk.session.provide(b"one\r\n", true, talk.now);
    talk.says(b"one\r\n");
    talk.hears("250 queued\r\n421 bye\r\n");
    talk.accepted();
    let failure = talk.failed();
    assert_eq!(
        (failure.phase, failure.outcome),
        (Phase::Mail, Outcome::NotAccepted)
    );
}

#[test]
fn a_lingering_call_takes_the_first_result_and_does_not_go_on() {
    let mut bounds = Bounds::NONE;
    bounds.linger = Duration::from_secs(5);
    let mut talk = Talk::with_two("PIPELINING", bounds);
    talk.says(b"");
    talk.hears(OK);
    talk.session.provide(b"one\r\n", true, talk.now);
    talk.says(b"one\r\n");
    talk.session.cancel(talk.now);
    assert!(!talk.session.is_over());
    talk.hears("250 queued\r\n250 ok\r\n");
    talk.accepted();
    assert!(talk.session.take_result().is_none());
    assert!(!talk.session.is_idle() && !talk.session.is_under_way());
}

#[test]
fn only_one_can_follow_and_only_a_transaction() {
    let mut talk = Talk::with("PIPELINING");
    let options = TransactionOptions::default();
    let (b, now) = (envelope("b"), talk.now);
    let refused = talk.session.follow(&b, options, now).unwrap_err();
    assert_eq!(refused.kind, FailureKind::NotIdle);
    assert!(talk.session.is_idle());

    let mut talk = Talk::with_two("PIPELINING", Bounds::NONE);
    let refused = talk.session.follow(&b, options, now).unwrap_err();
    assert_eq!(refused.kind, FailureKind::NotIdle);
    assert_eq!(talk.says(b""), group("a"));
}

#[test]
fn nothing_follows_on_a_connection_that_is_spent_or_in_a_call_that_was_stopped() {
    let options = TransactionOptions::default();
    // Refused for good: the result is not taken yet, and the connection is over.
    let mut talk = Talk::with("PIPELINING");
    talk.session
        .begin(&envelope("a"), options, Bounds::NONE, talk.now)
        .unwrap();
    talk.says(b"");
    talk.hears("421 bye\r\n");
    let refused = talk.session.follow(&envelope("b"), options, talk.now);
    assert_eq!(refused.unwrap_err().kind, FailureKind::NotIdle);
    assert_eq!(talk.says(b""), "");

    // Only the final reply is still listened for.
    let mut bounds = Bounds::NONE;
    bounds.linger = Duration::from_secs(5);
    let mut talk = Talk::with("PIPELINING");
    talk.session
        .begin(&envelope("a"), options, bounds, talk.now)
        .unwrap();
    talk.says(b"");
    talk.hears(OK);
    talk.session.provide(b"one\r\n", true, talk.now);
    talk.says(b"one\r\n");
    talk.session.cancel(talk.now);
    let refused = talk.session.follow(&envelope("b"), options, talk.now);
    assert_eq!(refused.unwrap_err().kind, FailureKind::NotIdle);
    talk.hears("250 queued\r\n");
    talk.accepted();
}

#[test]
fn what_follows_never_leaves_in_the_midst_of_mail_data() {
    // Each bare LF makes two pieces, and a write takes a few of them.
    for lines in [1, 7, 8, 9, 31, 32, 33, 200] {
        let mut talk = Talk::with_two("PIPELINING", Bounds::NONE);
        talk.says(b"");
        talk.hears(OK);
        let message = "a\n".repeat(lines);
        talk.session.provide(message.as_bytes(), true, talk.now);
        let said = dialogue::says(&mut talk.session, message.as_bytes(), talk.now);
        assert_eq!(
            said,
            format!("{}.\r\n{}", "a\r\n".repeat(lines), group("b"))
        );
    }
}
