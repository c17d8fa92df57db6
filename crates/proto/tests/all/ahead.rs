//! Messages ahead of the replies, as dialogues.

use std::time::{Duration, Instant};

use postbound_proto::transparency::LineEndings;
use postbound_proto::{
    Bounds, Chunking, Completed, Config, Envelope, Failure, FailureKind, Limit, Outcome, Phase,
    Protocol, ProtocolError, Require, Session, TransactionOptions,
};

use crate::dialogue::{at_rest, config, write};

const EXTENSIONS: [&str; 2] = ["PIPELINING", "CHUNKING"];
const BODY: &str = "hi\r\n";

struct Talk {
    session: Session,
    now: Instant,
    messages: Vec<String>,
    given: usize,
    /// Results that were had.
    had: usize,
}

impl Talk {
    fn with(extensions: &[&str], change: impl FnOnce(&mut Config)) -> Self {
        let now = Instant::now();
        let mut config = config();
        change(&mut config);
        Self {
            session: at_rest(config, extensions, now),
            now,
            messages: Vec::new(),
            given: 0,
            had: 0,
        }
    }

    fn new() -> Self {
        Self::with(&EXTENSIONS, |_| ())
    }

    /// With messages `a`, `b` and so on under way.
    fn under_way(count: usize) -> Self {
        let mut talk = Self::new();
        for name in ["a", "b", "c", "d"].into_iter().take(count) {
            talk.begins(name, Bounds::NONE).unwrap();
        }
        talk
    }

    fn begins(&mut self, name: &str, bounds: Bounds) -> Result<(), Box<Failure>> {
        self.begins_with(&envelope(name, 1), BODY, options(BODY), bounds)
    }

    fn begins_with(
        &mut self,
        envelope: &Envelope,
        body: &str,
        options: TransactionOptions,
        bounds: Bounds,
    ) -> Result<(), Box<Failure>> {
        if self.session.is_under_way() {
            self.session.follow(envelope, options, self.now)?;
        } else {
            self.session.begin(envelope, options, bounds, self.now)?;
        }
        self.messages.push(body.to_owned());
        self.gives();
        Ok(())
    }

    /// Gives every message that is wanted, in their order.
    fn gives(&mut self) {
        while self.session.needs_chunk() {
            let body = self.messages[self.given].clone();
            self.given += 1;
            self.session.provide(body.as_bytes(), true, self.now);
        }
    }

    fn hears(&mut self, octets: &str) {
        self.session.receive(octets.as_bytes(), self.now);
    }

    fn says(&mut self) -> String {
        self.says_at_most(usize::MAX)
    }

    fn says_at_most(&mut self, most: usize) -> String {
        let chunk = self.messages.get(self.had).cloned().unwrap_or_default();
        let octets = write(&mut self.session, chunk.as_bytes(), most, self.now);
        String::from_utf8(octets).unwrap()
    }

    fn accepted(&mut self) -> String {
        self.had += 1;
        match self.session.take_result() {
            Some(Ok(Completed::Accepted(acceptance))) => acceptance.reply.to_string(),
            other => panic!("{other:?}"),
        }
    }

    fn failed(&mut self) -> Box<Failure> {
        self.had += 1;
        match self.session.take_result() {
            Some(Err(failure)) => failure,
            other => panic!("{other:?}"),
        }
    }

    fn outcomes(&mut self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        while let Some(result) = self.session.take_result() {
            outcomes.push(match result {
                Ok(_) => Outcome::Accepted,
                Err(failure) => failure.outcome,
            });
        }
        outcomes
    }
}

fn envelope(name: &str, recipients: usize) -> Envelope {
    let to = (0..recipients).map(|n| match n {
        0 => format!("{name}@to.example").parse().unwrap(),
        n => format!("{name}{n}@to.example").parse().unwrap(),
    });
    Envelope::new(format!("{name}@from.example").parse().unwrap(), to).unwrap()
}

fn options(body: &str) -> TransactionOptions {
    let mut options = TransactionOptions::default();
    options.chunking = Chunking::AHEAD;
    options.size = Some(body.len() as u64);
    options
}

fn with(body: &str, change: impl FnOnce(&mut TransactionOptions)) -> TransactionOptions {
    let mut options = options(body);
    change(&mut options);
    options
}

fn group(name: &str) -> String {
    format!(
        "MAIL FROM:<{name}@from.example>\r\nRCPT TO:<{name}@to.example>\r\nBDAT 4 LAST\r\n{BODY}"
    )
}

/// What one write takes of `a` to `c`.
fn three() -> String {
    format!("{}RSET\r\n{}RSET\r\n{}", group("a"), group("b"), group("c"))
}

const OK: &str = "250 ok\r\n";

#[test]
fn mail_rcpt_and_the_whole_message_leave_in_one_write() {
    let mut talk = Talk::under_way(1);
    assert_eq!(talk.session.phase(), Some(Phase::Mail));
    assert_eq!(talk.says(), group("a"));
    assert_eq!(talk.session.outcome(), Outcome::Ambiguous);
    assert_eq!(talk.session.phase(), Some(Phase::Mail));
    talk.hears(OK);
    assert_eq!(talk.session.phase(), Some(Phase::Rcpt));
    talk.hears(OK);
    assert_eq!(talk.session.phase(), Some(Phase::DataTermination));
    talk.hears("250 queued\r\n");
    assert_eq!(talk.accepted(), "250 queued");
    assert!(talk.session.is_idle());
}

#[test]
fn several_messages_leave_in_one_write_and_each_has_the_reply_to_its_own_last_chunk() {
    let mut talk = Talk::under_way(3);
    assert_eq!(talk.says(), three());
    talk.hears("250 ok\r\n250 ok\r\n250 a\r\n250 ok\r\n250 ok\r\n250 ok\r\n554 not b\r\n");
    talk.hears("250 ok\r\n250 ok\r\n250 ok\r\n250 c\r\n");
    assert_eq!(talk.accepted(), "250 a");
    let failure = talk.failed();
    assert_eq!(failure.reply.unwrap().to_string(), "554 not b");
    assert_eq!(failure.outcome, Outcome::NotAccepted);
    assert_eq!(failure.phase, Phase::DataTermination);
    assert_eq!(talk.accepted(), "250 c");
    assert!(talk.session.is_idle());
}

#[test]
fn a_message_takes_the_place_of_each_that_has_its_result() {
    let mut talk = Talk::under_way(3);
    talk.says();
    talk.hears("250 ok\r\n250 ok\r\n250 a\r\n");
    assert_eq!(talk.accepted(), "250 a");
    talk.begins("d", Bounds::NONE).unwrap();
    assert_eq!(talk.says(), format!("RSET\r\n{}", group("d")));
    // All the rest is answered in one read: the next one follows results that are not taken.
    talk.hears(&OK.repeat(4 * 3));
    talk.begins("e", Bounds::NONE).unwrap();
    assert_eq!(talk.says(), "", "not before they are taken");
    for _ in 0..3 {
        talk.accepted();
    }
    assert_eq!(talk.says(), group("e"));
    talk.hears(&OK.repeat(3));
    talk.accepted();
    assert!(talk.session.is_idle());
}

#[test]
fn the_window_has_an_end_in_messages_and_in_octets() {
    let mut talk = Talk::new();
    let two = with(BODY, |options| options.chunking = Chunking::Ahead(2));
    for name in ["a", "b"] {
        talk.begins_with(&envelope(name, 1), BODY, two, Bounds::NONE)
            .unwrap();
    }
    let refused = talk.begins_with(&envelope("c", 1), BODY, two, Bounds::NONE);
    assert_eq!(refused.unwrap_err().kind, FailureKind::NotIdle);
    talk.says();
    talk.hears(&OK.repeat(3));
    talk.accepted();
    talk.begins_with(&envelope("c", 1), BODY, two, Bounds::NONE)
        .unwrap();

    let mut talk = Talk::with(&EXTENSIONS, |config| config.limits.ahead_octets = 9);
    talk.begins("a", Bounds::NONE).unwrap();
    talk.begins("b", Bounds::NONE).unwrap();
    assert!(talk.begins("c", Bounds::NONE).is_err(), "twelve octets");
}

#[test]
fn the_outcome_of_each_flips_with_the_last_octet_of_its_own_chunk_wherever_a_write_ends() {
    let whole = three();
    let ends = [
        group("a").len(),
        group("a").len() + 6 + group("b").len(),
        whole.len(),
    ];
    for most in 0..=whole.len() {
        let mut talk = Talk::under_way(3);
        assert_eq!(talk.says_at_most(most), whole[..most]);
        let left = ends.iter().filter(|end| **end <= most).count();
        assert_eq!(talk.session.may_be_accepted(), left > 0, "{most}");
        talk.session.closed(talk.now);
        let outcomes = talk.outcomes();
        // The current one always has a result; what has not left whole has none behind it.
        let mut expected = vec![Outcome::Ambiguous; left];
        if left == 0 {
            expected.push(Outcome::NotAccepted);
        }
        assert_eq!(outcomes, expected, "{most}");
        assert_eq!(talk.says(), "");
        assert!(!talk.session.is_usable());
    }
}

#[test]
fn whatever_breaks_the_connection_those_that_were_answered_are_told_the_truth() {
    let ends: [fn(&mut Talk); 5] = [
        |talk| talk.session.closed(talk.now),
        |talk| talk.session.broken(talk.now),
        |talk| talk.hears("garbage\r\n"),
        |talk| talk.session.cancel(talk.now),
        |talk| {
            talk.now += Duration::from_secs(3_600);
            talk.session.expire(talk.now);
        },
    ];
    for end in ends {
        for replies in 0..11 {
            let mut talk = Talk::under_way(3);
            talk.says();
            talk.hears(&OK.repeat(replies));
            let accepted = (replies + 1) / 4;
            let mut outcomes = talk.outcomes();
            assert_eq!(outcomes, vec![Outcome::Accepted; accepted]);
            end(&mut talk);
            outcomes.extend(talk.outcomes());
            let mut expected = vec![Outcome::Accepted; accepted];
            expected.resize(3, Outcome::Ambiguous);
            assert_eq!(outcomes, expected, "{replies} replies");
        }
    }
}

#[test]
fn a_refused_mail_or_recipient_does_not_disturb_the_others() {
    for (replies, phase) in [
        ("550 no\r\n503 what\r\n503 what\r\n", Phase::Mail),
        ("250 ok\r\n550 no\r\n503 nobody\r\n", Phase::Rcpt),
    ] {
        let mut talk = Talk::under_way(3);
        talk.says();
        talk.hears(&format!("{OK}{OK}{OK}{OK}{replies}"));
        assert_eq!(talk.accepted(), "250 ok");
        let failure = talk.failed();
        assert_eq!(
            (failure.phase, failure.outcome),
            (phase, Outcome::NotAccepted)
        );
        assert_eq!(failure.reply.unwrap().to_string(), "550 no");
        talk.hears(&OK.repeat(4));
        talk.accepted();
        assert!(talk.session.is_idle());
        // RSET was said in front of `c`.
        talk.begins("d", Bounds::NONE).unwrap();
        assert_eq!(talk.says(), group("d"));
    }
}

#[test]
fn behind_a_refused_last_chunk_the_next_transaction_begins_with_reset() {
    for replies in [
        "550 no\r\n503 what\r\n503 what\r\n",
        "250 ok\r\n550 no\r\n503 nobody\r\n",
        "250 ok\r\n250 ok\r\n554 no\r\n",
    ] {
        let mut talk = Talk::under_way(1);
        talk.says();
        talk.hears(replies);
        assert_eq!(talk.failed().kind, FailureKind::Refused);
        talk.begins("b", Bounds::NONE).unwrap();
        assert_eq!(talk.says(), format!("RSET\r\n{}", group("b")));
    }
}

#[test]
fn what_was_refused_is_not_accepted_however_the_connection_ends() {
    for (replies, phase) in [
        ("550 no\r\n", Phase::Mail),
        ("250 ok\r\n550 no\r\n", Phase::Rcpt),
    ] {
        let mut talk = Talk::under_way(2);
        talk.says();
        talk.hears(replies);
        assert_eq!(talk.session.outcome(), Outcome::NotAccepted);
        assert!(talk.session.may_be_accepted(), "the one behind it");
        talk.session.closed(talk.now);
        let failure = talk.failed();
        assert_eq!(
            (failure.kind, failure.phase, failure.outcome),
            (FailureKind::Refused, phase, Outcome::NotAccepted)
        );
        let failure = talk.failed();
        assert_eq!(
            (failure.kind, failure.outcome),
            (FailureKind::Closed, Outcome::Ambiguous)
        );
        assert_eq!(failure.recipients[0].outcome(), Outcome::Ambiguous);
    }
}

#[test]
fn a_message_that_is_taken_for_nobody_is_ambiguous() {
    for replies in [
        "550 no\r\n503 what\r\n250 taken\r\n",
        "250 ok\r\n550 no\r\n250 taken\r\n",
    ] {
        let mut talk = Talk::under_way(1);
        talk.says();
        talk.hears(replies);
        let failure = talk.failed();
        let kind = FailureKind::Protocol(ProtocolError::Unexpected);
        assert_eq!((failure.kind, failure.outcome), (kind, Outcome::Ambiguous));
        assert!(!talk.session.is_usable());
    }
}

#[test]
fn behind_a_refused_reset_nobody_knows_whose_transaction_it_is() {
    let mut talk = Talk::under_way(2);
    talk.says();
    talk.hears("250 ok\r\n550 no\r\n503 nobody\r\n500 what\r\n");
    assert_eq!(talk.failed().outcome, Outcome::NotAccepted);
    let failure = talk.failed();
    assert_eq!(
        (failure.phase, failure.outcome),
        (Phase::Reset, Outcome::Ambiguous)
    );
}

#[test]
fn a_421_is_the_reply_to_what_waits_for_one() {
    // (Replies, outcome of `a`), and `b` may have been taken before the server went.
    for (replies, outcome) in [
        ("421 bye\r\n", Outcome::NotAccepted),
        ("250 ok\r\n421 bye\r\n", Outcome::NotAccepted),
        ("250 ok\r\n250 ok\r\n421 bye\r\n", Outcome::NotAccepted),
    ] {
        let mut talk = Talk::under_way(2);
        talk.says();
        talk.hears(replies);
        let failure = talk.failed();
        assert_eq!(failure.kind, FailureKind::Refused);
        assert_eq!(failure.outcome, outcome, "{replies}");
        assert_eq!(talk.failed().outcome, Outcome::Ambiguous);
    }
    // One of two recipients: the other one's reply is still to come.
    let mut talk = Talk::new();
    talk.begins_with(&envelope("a", 2), BODY, options(BODY), Bounds::NONE)
        .unwrap();
    talk.says();
    talk.hears("250 ok\r\n421 bye\r\n");
    assert_eq!(talk.failed().outcome, Outcome::Ambiguous);
}

#[test]
fn what_can_not_go_ahead_waits_for_its_replies() {
    let all = with(BODY, |options| options.require = Require::AllRecipients);
    let unsized_ = with(BODY, |options| options.size = None);
    let large = with(BODY, |options| options.size = Some(131_073));
    for options in [all, unsized_, large] {
        let mut talk = Talk::new();
        talk.begins_with(&envelope("a", 1), BODY, options, Bounds::NONE)
            .unwrap();
        let said = "MAIL FROM:<a@from.example>\r\nRCPT TO:<a@to.example>\r\n";
        assert_eq!(talk.says(), said);
        talk.hears("250 ok\r\n250 ok\r\n");
        talk.gives();
        assert_eq!(talk.says(), format!("BDAT 4 LAST\r\n{BODY}"));
    }
    for (offered, said) in [
        (
            ["CHUNKING", "SIZE"],
            "MAIL FROM:<a@from.example> SIZE=4\r\n".to_owned(),
        ),
        (
            ["PIPELINING", "HELP"],
            group("a").replace("BDAT 4 LAST\r\nhi\r\n", "DATA\r\n"),
        ),
    ] {
        let mut talk = Talk::with(&offered, |_| ());
        talk.begins("a", Bounds::NONE).unwrap();
        assert_eq!(talk.says(), said);
    }
}

#[test]
fn the_pipeline_window_holds_for_the_commands() {
    let mut talk = Talk::with(&EXTENSIONS, |config| config.limits.pipeline_window = 60);
    let many = envelope("a", 6);
    talk.begins_with(&many, BODY, options(BODY), Bounds::NONE)
        .unwrap();
    talk.begins("b", Bounds::NONE).unwrap();
    let mut said = talk.says();
    assert!(!said.contains("BDAT"), "{said}");
    let mut replies = 0;
    let mut results = 0;
    while !said.ends_with(&group("b")) {
        assert!(replies < 11, "{said}");
        talk.hears(OK);
        replies += 1;
        talk.gives();
        results += talk.outcomes().len();
        said.push_str(&talk.says());
    }
    assert_eq!(said.matches("BDAT 4 LAST\r\nhi\r\n").count(), 2);
    talk.hears(&OK.repeat(12 - replies));
    assert_eq!(results + talk.outcomes().len(), 2);
    assert!(talk.session.is_idle());
}

#[test]
fn line_endings_are_as_data_would_send_them_and_pieces_become_one_chunk() {
    let mut talk = Talk::new();
    let (envelope, now) = (envelope("a", 1), talk.now);
    talk.session
        .begin(&envelope, options(BODY), Bounds::NONE, now)
        .unwrap();
    for (piece, last) in [("h\r", false), ("\ni", false), ("\n.", true)] {
        assert_eq!(talk.session.needs_chunk_of(), Some(0));
        talk.session.provide(piece.as_bytes(), last, now);
    }
    assert_eq!(talk.session.needs_chunk_of(), None);
    assert!(talk.says().ends_with("BDAT 9 LAST\r\nh\r\ni\r\n.\r\n"));

    let mut talk = Talk::new();
    talk.session
        .begin(&envelope, options(BODY), Bounds::NONE, now)
        .unwrap();
    talk.session.provide(&[b'a'; 11], false, now);
    let failure = talk.failed();
    assert_eq!(
        (failure.kind, failure.outcome),
        (FailureKind::Source, Outcome::NotAccepted),
        "more than it said"
    );
}

#[test]
fn an_empty_message_goes_ahead_too() {
    let mut talk = Talk::new();
    for name in ["a", "b"] {
        talk.begins_with(&envelope(name, 1), "", options(""), Bounds::NONE)
            .unwrap();
    }
    assert!(talk.says().ends_with("BDAT 0 LAST\r\n"));
    talk.session.closed(talk.now);
    assert_eq!(talk.outcomes(), [Outcome::Ambiguous; 2]);
}

#[test]
fn a_message_that_can_not_be_sent_is_given_up_alone() {
    let mut talk = Talk::under_way(1);
    let strict = with("x\n", |options| options.line_endings = LineEndings::Refuse);
    talk.begins_with(&envelope("b", 1), "x\n", strict, Bounds::NONE)
        .unwrap();
    let commands = "RSET\r\nMAIL FROM:<b@from.example>\r\nRCPT TO:<b@to.example>\r\n";
    assert_eq!(talk.says(), format!("{}{commands}", group("a")));
    talk.begins("c", Bounds::NONE).unwrap();
    assert_eq!(talk.says(), "");
    talk.hears(&OK.repeat(6));
    assert_eq!(talk.accepted(), "250 ok");
    let failure = talk.failed();
    assert!(matches!(failure.kind, FailureKind::Message(_)));
    assert_eq!(failure.outcome, Outcome::NotAccepted);
    talk.gives();
    assert_eq!(talk.says(), format!("RSET\r\n{}", group("c")));
    talk.hears(&OK.repeat(4));
    talk.accepted();
    assert!(talk.session.is_idle());
}

#[test]
fn nothing_of_a_message_leaves_once_the_reserve_is_broken() {
    let mut bounds = Bounds::NONE;
    let mut talk = Talk::new();
    bounds.deadline = Some(talk.now + Duration::from_secs(30));
    bounds.reserve = Duration::from_secs(10);
    talk.begins("a", bounds).unwrap();
    talk.begins("b", bounds).unwrap();
    let left = group("a").len() + 3;
    talk.says_at_most(left);
    talk.now += Duration::from_secs(21);
    assert_eq!(talk.says(), "");
    talk.hears(&OK.repeat(2));
    talk.session.expire(talk.now);
    assert!(
        !talk.session.is_over(),
        "the first one has until the deadline"
    );
    talk.hears(OK);
    assert_eq!(talk.accepted(), "250 ok");
    talk.session.expire(talk.now);
    let failure = talk.failed();
    assert_eq!(failure.outcome, Outcome::NotAccepted);
    assert_eq!(
        failure.kind,
        FailureKind::TimedOut(Limit::Reserve(bounds.reserve))
    );
}

#[test]
fn a_lingering_call_listens_for_every_message_that_has_left() {
    let mut bounds = Bounds::NONE;
    bounds.linger = Duration::from_secs(5);
    let mut talk = Talk::new();
    for name in ["a", "b", "c"] {
        talk.begins(name, bounds).unwrap();
    }
    talk.says();
    talk.session.cancel(talk.now);
    assert!(!talk.session.is_over());
    talk.hears(&OK.repeat(7));
    talk.accepted();
    talk.accepted();
    assert!(!talk.session.is_over());
    assert_eq!(talk.says(), "");
    talk.now += Duration::from_secs(5);
    talk.session.expire(talk.now);
    let failure = talk.failed();
    assert_eq!(
        (failure.kind, failure.outcome),
        (FailureKind::Cancelled, Outcome::Ambiguous)
    );
}

#[test]
fn over_lmtp_each_accepted_recipient_has_a_final_reply() {
    let mut talk = Talk::with(&EXTENSIONS, |config| config.protocol = Protocol::Lmtp);
    for name in ["a", "b", "c"] {
        talk.begins_with(&envelope(name, 2), BODY, options(BODY), Bounds::NONE)
            .unwrap();
    }
    talk.says();
    // Both, none, and the second.
    talk.hears("250 ok\r\n250 ok\r\n250 ok\r\n250 one\r\n452 full\r\n");
    talk.hears("250 ok\r\n250 ok\r\n550 no\r\n550 no\r\n503 nobody\r\n");
    talk.hears("250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n250 two\r\n");
    match talk.session.take_result() {
        Some(Ok(Completed::Accepted(acceptance))) => {
            let outcomes: Vec<_> = acceptance.recipients.iter().map(|r| r.outcome()).collect();
            assert_eq!(outcomes, [Outcome::Accepted, Outcome::NotAccepted]);
        }
        other => panic!("{other:?}"),
    }
    let failure = talk.failed();
    assert_eq!(
        (failure.phase, failure.outcome),
        (Phase::Rcpt, Outcome::NotAccepted)
    );
    assert_eq!(talk.accepted(), "250 two");
    assert!(talk.session.is_idle());
}

#[test]
fn a_reply_to_what_has_not_left_is_early() {
    let mut talk = Talk::under_way(2);
    talk.says_at_most(group("a").len() - 1);
    talk.hears(&OK.repeat(3));
    let failure = talk.failed();
    assert_eq!(
        (failure.kind, failure.outcome),
        (
            FailureKind::Protocol(ProtocolError::Early),
            Outcome::NotAccepted
        )
    );
    // A server that says no in the middle of a message has said what matters.
    let mut talk = Talk::under_way(2);
    talk.says_at_most(group("a").len() - 1);
    talk.hears("250 ok\r\n250 ok\r\n552 too large\r\n");
    let failure = talk.failed();
    assert_eq!(
        (failure.kind, failure.outcome),
        (FailureKind::Refused, Outcome::NotAccepted)
    );
    assert!(talk.session.take_result().is_none());
}

#[test]
fn mail_data_that_is_still_leaving_has_the_limit_of_a_block_and_then_of_the_end() {
    let body = "x".repeat(998) + "\r\n";
    let mut talk = Talk::new();
    let timeouts = *talk.session.timeouts();
    talk.begins_with(&envelope("a", 1), &body, options(&body), Bounds::NONE)
        .unwrap();
    talk.says_at_most(200);
    talk.hears(&OK.repeat(2));
    assert_eq!(talk.session.phase(), Some(Phase::DataBlock));
    let block = timeouts.of(Phase::DataBlock);
    assert_eq!(talk.session.deadline(), Some(talk.now + block));
    let begun = talk.now;
    talk.now += Duration::from_millis(50);
    talk.says_at_most(100);
    assert!(talk.session.deadline() > Some(begun + block), "octets left");
    talk.says();
    assert_eq!(talk.session.phase(), Some(Phase::DataTermination));
    let termination = timeouts.data_termination(body.len() as u64);
    assert_eq!(talk.session.deadline(), Some(talk.now + termination));
    talk.hears("250 queued\r\n");
    match talk.session.take_result() {
        Some(Ok(Completed::Accepted(acceptance))) => assert_eq!(acceptance.octets, 1_000),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_recipient_that_is_accepted_behind_a_refused_mail_is_no_refusal_of_the_message() {
    let mut talk = Talk::under_way(1);
    talk.says();
    talk.hears("550 no\r\n250 ok\r\n");
    let failure = talk.failed();
    let kind = FailureKind::Protocol(ProtocolError::Unexpected);
    assert_eq!(
        (failure.kind, failure.phase, failure.outcome),
        (kind, Phase::Rcpt, Outcome::Ambiguous)
    );
}

#[test]
fn a_421_behind_the_last_final_reply_says_nothing_of_the_next_message() {
    let mut talk = Talk::with(&EXTENSIONS, |config| config.protocol = Protocol::Lmtp);
    talk.begins("a", Bounds::NONE).unwrap();
    talk.begins("b", Bounds::NONE).unwrap();
    talk.says();
    talk.hears("250 ok\r\n250 ok\r\n421 bye\r\n");
    assert_eq!(talk.failed().outcome, Outcome::NotAccepted);
    assert_eq!(talk.failed().outcome, Outcome::Ambiguous);
}

#[test]
fn a_message_in_more_pieces_than_fit_at_once_is_one_chunk_all_the_same() {
    for lines in [1, 7, 8, 9, 31, 32, 33, 200] {
        let body = "x\n".repeat(lines);
        let mut talk = Talk::new();
        let options = with(&body, |options| options.size = Some(1_000));
        talk.session
            .begin(&envelope("a", 1), options, Bounds::NONE, talk.now)
            .unwrap();
        talk.session.provide(body.as_bytes(), false, talk.now);
        talk.session.provide(body.as_bytes(), true, talk.now);
        let said = talk.says();
        let (command, chunk) = said.split_once(" LAST\r\n").unwrap();
        let octets = lines * 6;
        assert!(command.ends_with(&format!("BDAT {octets}")), "{command}");
        assert_eq!(chunk, "x\r\n".repeat(lines * 2));
    }
}

#[test]
fn what_goes_ahead_follows_one_that_does_not_alone() {
    let mut talk = Talk::new();
    let by_data = with(BODY, |options| options.chunking = Chunking::Never);
    talk.begins_with(&envelope("a", 1), BODY, by_data, Bounds::NONE)
        .unwrap();
    talk.begins("b", Bounds::NONE).unwrap();
    let refused = talk.begins("c", Bounds::NONE).unwrap_err();
    assert_eq!(refused.kind, FailureKind::NotIdle);
}

#[test]
fn a_message_that_was_given_is_not_taken_again() {
    let mut talk = Talk::under_way(1);
    talk.session.provide(b"again\r\n", true, talk.now);
    let said = talk.says();
    assert_eq!(said.matches("BDAT").count(), 1, "{said}");
    assert!(!said.contains("again"), "{said}");
}

#[test]
fn those_that_have_left_behind_a_421_are_told_its_text() {
    let mut talk = Talk::under_way(2);
    talk.says();
    talk.hears("421 4.3.2 bye\r\n");
    let (first, second) = (talk.failed(), talk.failed());
    assert_eq!(first.kind, FailureKind::Refused);
    assert_eq!(
        (second.kind, second.outcome),
        (FailureKind::Closed, Outcome::Ambiguous)
    );
    for reply in [first.reply, second.reply] {
        assert_eq!(reply.unwrap().to_string(), "421 4.3.2 bye");
    }
}

#[test]
fn a_message_as_large_as_may_be_ahead_goes_ahead() {
    for (octets, goes) in [(4, true), (3, false)] {
        let mut talk = Talk::with(&EXTENSIONS, |config| config.limits.ahead_octets = octets);
        talk.begins("a", Bounds::NONE).unwrap();
        assert_eq!(talk.says() == group("a"), goes);
    }
    // And so many of them together.
    let mut talk = Talk::with(&EXTENSIONS, |config| config.limits.ahead_octets = 8);
    talk.begins("a", Bounds::NONE).unwrap();
    talk.begins("b", Bounds::NONE).unwrap();
    assert!(talk.begins("c", Bounds::NONE).is_err());
}

#[test]
fn an_empty_message_s_outcome_flips_with_the_last_octet_of_its_command() {
    let whole = "MAIL FROM:<a@from.example>\r\nRCPT TO:<a@to.example>\r\nBDAT 0 LAST\r\n";
    for most in 0..=whole.len() {
        let mut talk = Talk::new();
        talk.begins_with(&envelope("a", 1), "", options(""), Bounds::NONE)
            .unwrap();
        assert_eq!(talk.says_at_most(most), whole[..most]);
        let left = most == whole.len();
        assert_eq!(talk.session.outcome() == Outcome::Ambiguous, left, "{most}");
    }
}

#[test]
fn a_write_that_takes_nothing_does_not_move_the_deadline_of_a_message_ahead() {
    let body = "x".repeat(99_998) + "\r\n";
    let mut talk = Talk::new();
    talk.begins_with(&envelope("a", 1), &body, options(&body), Bounds::NONE)
        .unwrap();
    talk.says_at_most(200);
    talk.hears(&OK.repeat(2));
    // Enough for some seconds at the minimum rate.
    talk.says_at_most(80_000);
    let deadline = talk.session.deadline();
    talk.now += Duration::from_secs(3);
    talk.says_at_most(0);
    assert_eq!(talk.session.deadline(), deadline);
    talk.says_at_most(1);
    assert!(talk.session.deadline() > deadline);
}

#[test]
fn commands_behind_a_message_that_has_left_whole_are_not_held_back_by_the_reserve() {
    let mut bounds = Bounds::NONE;
    let mut talk = Talk::new();
    bounds.deadline = Some(talk.now + Duration::from_secs(30));
    bounds.reserve = Duration::from_secs(10);
    talk.begins("a", bounds).unwrap();
    // The second message is not given yet.
    talk.session
        .follow(&envelope("b", 1), options(BODY), talk.now)
        .unwrap();
    assert_eq!(talk.says_at_most(group("a").len()), group("a"));
    assert_eq!(talk.session.outcome(), Outcome::Ambiguous);
    talk.now += Duration::from_secs(21);
    let commands = "RSET\r\nMAIL FROM:<b@from.example>\r\nRCPT TO:<b@to.example>\r\n";
    assert_eq!(talk.says(), commands);
}

#[test]
fn octets_of_a_message_that_leave_do_not_move_the_deadline_of_the_reply_before_it() {
    let mut talk = Talk::under_way(2);
    let deadline = talk.session.deadline();
    assert_eq!(talk.session.phase(), Some(Phase::Mail));
    for most in [10, group("a").len() - 12, usize::MAX] {
        talk.now += Duration::from_secs(2);
        talk.says_at_most(most);
        assert_eq!(talk.session.deadline(), deadline);
    }
    assert_eq!(talk.session.outcome(), Outcome::Ambiguous);
}

#[test]
fn a_message_of_which_nothing_is_wanted_any_more_is_not_taken() {
    let mut talk = Talk::new();
    let now = talk.now;
    talk.session
        .begin(&envelope("a", 1), options(BODY), Bounds::NONE, now)
        .unwrap();
    assert!(talk.session.needs_chunk());
    talk.says();
    talk.hears("550 no\r\n");
    assert!(!talk.session.needs_chunk());
    talk.session.provide(BODY.as_bytes(), true, now);
    assert_eq!(talk.says(), "");
    talk.hears("503 what\r\n");
    let failure = talk.failed();
    assert_eq!(
        (failure.phase, failure.outcome),
        (Phase::Mail, Outcome::NotAccepted)
    );
    assert!(talk.session.is_idle());
}

#[test]
fn a_lingering_call_wants_no_further_message() {
    let mut bounds = Bounds::NONE;
    bounds.linger = Duration::from_secs(5);
    let mut talk = Talk::new();
    talk.begins("a", bounds).unwrap();
    let (b, now) = (envelope("b", 1), talk.now);
    talk.session.follow(&b, options(BODY), now).unwrap();
    talk.says();
    assert_eq!(talk.session.needs_chunk_of(), Some(1));
    talk.session.cancel(now);
    assert_eq!(talk.session.needs_chunk_of(), None);
    talk.hears(&OK.repeat(3));
    talk.accepted();
    assert!(talk.session.take_result().is_none());
    assert!(!talk.session.is_usable());
}

#[test]
fn only_what_follows_a_message_ahead_begins_with_reset() {
    let by_data = with(BODY, |options| options.chunking = Chunking::Never);
    let data = |name| group(name).replace("BDAT 4 LAST\r\nhi\r\n", "DATA\r\n");
    let mut talk = Talk::under_way(1);
    talk.begins_with(&envelope("b", 1), BODY, by_data, Bounds::NONE)
        .unwrap();
    assert_eq!(talk.says(), format!("{}RSET\r\n{}", group("a"), data("b")));

    let mut talk = Talk::new();
    talk.begins_with(&envelope("a", 1), BODY, by_data, Bounds::NONE)
        .unwrap();
    talk.begins("b", Bounds::NONE).unwrap();
    assert_eq!(talk.says(), data("a"));
    talk.hears("250 ok\r\n250 ok\r\n354 go\r\n");
    talk.gives();
    assert_eq!(talk.says(), format!("{BODY}.\r\n{}", group("b")));
}

#[test]
fn no_message_is_asked_for_once_the_reserve_is_broken() {
    let mut bounds = Bounds::NONE;
    bounds.reserve = Duration::from_secs(10);
    let mut talk = Talk::new();
    bounds.deadline = Some(talk.now + Duration::from_secs(9));
    talk.begins("a", bounds).unwrap();
    let kind = FailureKind::TimedOut(Limit::Reserve(bounds.reserve));
    assert_eq!(talk.failed().kind, kind, "at once");

    // Behind a message that has left it is not said any further, and the first one has its time.
    let mut talk = Talk::new();
    bounds.deadline = Some(talk.now + Duration::from_secs(30));
    talk.begins("a", bounds).unwrap();
    talk.says();
    talk.now += Duration::from_secs(21);
    talk.begins("b", bounds).unwrap();
    assert!(!talk.session.is_over() && !talk.session.needs_chunk());
    let commands = "RSET\r\nMAIL FROM:<b@from.example>\r\nRCPT TO:<b@to.example>\r\n";
    assert_eq!(talk.says(), commands);
    talk.hears(&OK.repeat(3));
    talk.accepted();
}
