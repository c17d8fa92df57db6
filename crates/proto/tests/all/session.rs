//! The session as a dialogue: what is said, what is answered, what became of the message.

use std::io::IoSlice;
use std::time::{Duration, Instant};

use postbound_proto::{
    Bounds, Completed, Config, Envelope, Failure, FailureKind, Limit, Outcome, Phase,
    ProtocolError, Require, Session, Timeouts, TransactionOptions, Unsupported,
};

const MESSAGE: &[u8] = b"Subject: x\r\n\r\n.hidden\r\n";

/// A session, its message and a clock that only the test moves.
struct Dialogue {
    session: Session,
    chunk: &'static [u8],
    now: Instant,
}

impl Dialogue {
    fn greeting() -> Self {
        let now = Instant::now();
        let mut config = Config::new("me.example".parse().unwrap());
        config.timeouts = Timeouts::uniform(Duration::from_secs(10)).unwrap();
        Self {
            session: Session::open(config, Bounds::NONE, now),
            chunk: b"",
            now,
        }
    }

    /// At rest behind an EHLO that offered these.
    fn ready(extensions: &[&str]) -> Self {
        let mut dialogue = Self::greeting();
        dialogue.server("220 mx.example\r\n");
        dialogue.client("EHLO me.example\r\n");
        let mut reply = String::from("250-mx.example\r\n");
        for extension in extensions {
            reply.push_str(&format!("250-{extension}\r\n"));
        }
        reply.push_str("250 HELP\r\n");
        dialogue.server(&reply);
        assert!(matches!(dialogue.result(), Ok(Completed::Ready(_))));
        dialogue
    }

    fn begin(&mut self, recipients: usize, options: TransactionOptions, bounds: Bounds) {
        let to = (1..=recipients).map(|n| format!("r{n}@example.org").parse().unwrap());
        let envelope = Envelope::new("s@example.org".parse().unwrap(), to).unwrap();
        self.session
            .begin(&envelope, options, bounds, self.now)
            .unwrap();
    }

    /// In the middle of mail data, with the message given.
    fn mail_data(bounds: Bounds) -> Self {
        let mut dialogue = Self::ready(&["PIPELINING"]);
        dialogue.begin(1, TransactionOptions::default(), bounds);
        dialogue.client("MAIL FROM:<s@example.org>\r\nRCPT TO:<r1@example.org>\r\nDATA\r\n");
        dialogue.server("250 ok\r\n250 ok\r\n354 go ahead\r\n");
        assert!(dialogue.session.needs_chunk());
        dialogue.chunk = MESSAGE;
        dialogue.session.provide(MESSAGE, true, dialogue.now);
        dialogue
    }

    /// Behind the last octet of the end of mail data.
    fn ambiguous(bounds: Bounds) -> Self {
        let mut dialogue = Self::mail_data(bounds);
        dialogue.client("Subject: x\r\n\r\n..hidden\r\n.\r\n");
        assert_eq!(dialogue.session.outcome(), Outcome::Ambiguous);
        dialogue
    }

    fn later(&mut self, millis: u64) -> &mut Self {
        self.now += Duration::from_millis(millis);
        self
    }

    fn server(&mut self, octets: &str) {
        self.session.receive(octets.as_bytes(), self.now);
    }

    /// What the client says now, at most `most` octets of it.
    fn says(&mut self, most: usize) -> String {
        let mut said = Vec::new();
        while said.len() < most {
            let mut slices = [IoSlice::new(&[]); 4];
            let count = self.session.transmit(self.chunk, &mut slices, self.now);
            let mut octets: Vec<u8> = slices[..count].iter().flat_map(|s| s.to_vec()).collect();
            octets.truncate(most - said.len());
            if octets.is_empty() {
                break;
            }
            self.session.transmitted(octets.len(), self.chunk, self.now);
            said.extend_from_slice(&octets);
        }
        String::from_utf8(said).unwrap()
    }

    fn client(&mut self, expected: &str) {
        assert_eq!(self.says(usize::MAX), expected);
    }

    fn silent(&mut self) {
        self.client("");
    }

    fn result(&mut self) -> Result<Completed, Box<Failure>> {
        self.session.take_result().expect("a result")
    }

    /// The failed call in one line.
    fn failure(&mut self) -> (Phase, FailureKind, Outcome) {
        let failure = self.result().expect_err("a failure");
        (failure.phase, failure.kind, failure.outcome)
    }
}

#[test]
fn without_pipelining_every_command_waits_for_its_reply() {
    let mut dialogue = Dialogue::ready(&[]);
    dialogue.begin(2, TransactionOptions::default(), Bounds::NONE);
    dialogue.client("MAIL FROM:<s@example.org>\r\n");
    dialogue.server("250 ok\r\n");
    dialogue.client("RCPT TO:<r1@example.org>\r\n");
    dialogue.server("250 ok\r\n");
    dialogue.client("RCPT TO:<r2@example.org>\r\n");
    dialogue.server("250 ok\r\n");
    dialogue.client("DATA\r\n");
    dialogue.silent();
}

#[test]
fn a_window_of_commands_is_never_exceeded_by_more_than_one() {
    let mut dialogue = Dialogue::ready(&["PIPELINING"]);
    dialogue.begin(1_000, TransactionOptions::default(), Bounds::NONE);
    let first = dialogue.says(usize::MAX);
    assert!(first.len() < 4_096 + 512, "{}", first.len());
    assert!(!first.contains("DATA"));
    // Each reply makes room for another command.
    dialogue.server("250 ok\r\n250 ok\r\n");
    assert!(dialogue.says(usize::MAX).starts_with("RCPT TO:<r"));
}

#[test]
fn helo_is_said_after_500_502_and_504_and_after_nothing_else() {
    for code in [500, 502, 504] {
        let mut dialogue = Dialogue::greeting();
        dialogue.server("220 mx\r\n");
        dialogue.client("EHLO me.example\r\n");
        dialogue.server(&format!("{code} what\r\n"));
        dialogue.client("HELO me.example\r\n");
        dialogue.server("250 mx\r\n");
        assert!(matches!(dialogue.result(), Ok(Completed::Ready(_))));
        assert_eq!(dialogue.session.extensions().iter().count(), 0);
    }
    for code in [421, 450, 501, 503, 521, 530, 550, 554] {
        let mut dialogue = Dialogue::greeting();
        dialogue.server("220 mx\r\n");
        dialogue.client("EHLO me.example\r\n");
        dialogue.server(&format!("{code} no\r\n"));
        dialogue.silent();
        let (phase, kind, _) = dialogue.failure();
        assert_eq!((phase, kind), (Phase::Ehlo, FailureKind::Refused), "{code}");
    }
}

#[test]
fn a_greeting_that_is_no_220_ends_it_without_a_word() {
    for code in [221, 421, 450, 521, 554] {
        let mut dialogue = Dialogue::greeting();
        dialogue.server(&format!("{code} go away\r\n"));
        dialogue.silent();
        let (phase, kind, outcome) = dialogue.failure();
        assert_eq!(phase, Phase::Greeting);
        assert_eq!(outcome, Outcome::NotAccepted);
        if code >= 400 {
            assert_eq!(kind, FailureKind::Refused);
        } else {
            assert_eq!(kind, FailureKind::Protocol(ProtocolError::Unexpected));
        }
        assert!(!dialogue.session.is_idle());
    }
}

#[test]
fn a_421_is_a_421_wherever_it_comes_and_whatever_follows_it() {
    let mut dialogue = Dialogue::ready(&["PIPELINING"]);
    dialogue.begin(2, TransactionOptions::default(), Bounds::NONE);
    dialogue.says(usize::MAX);
    dialogue.server("250 ok\r\n421 4.3.2 closing\r\n250 ok\r\n354 go\r\n");
    let failure = dialogue.result().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert_eq!(failure.reply.unwrap().code().get(), 421);
    assert_eq!(failure.outcome, Outcome::NotAccepted);
    assert!(!dialogue.session.is_idle());

    // Behind the end of mail data it is a complete negative reply.
    let mut dialogue = Dialogue::ambiguous(Bounds::NONE);
    dialogue.server("421 4.3.2 closing\r\n");
    assert_eq!(
        dialogue.failure(),
        (
            Phase::DataTermination,
            FailureKind::Refused,
            Outcome::NotAccepted
        )
    );

    // At rest it is what the next call is told.
    let mut dialogue = Dialogue::ready(&[]);
    dialogue.server("421 4.4.2 idle too long\r\n");
    let refused = dialogue
        .session
        .reset(Bounds::NONE, dialogue.now)
        .unwrap_err();
    assert_eq!(refused.kind, FailureKind::Refused);
    assert_eq!(refused.reply.unwrap().code().get(), 421);
}

#[test]
fn early_and_surplus_replies_are_protocol_errors() {
    // A reply to a command that has not left.
    let mut dialogue = Dialogue::greeting();
    dialogue.server("220 mx\r\n250 surprise\r\n");
    assert_eq!(
        dialogue.failure().1,
        FailureKind::Protocol(ProtocolError::Early)
    );

    // More replies than commands.
    let mut dialogue = Dialogue::ready(&["PIPELINING"]);
    dialogue.begin(1, TransactionOptions::default(), Bounds::NONE);
    dialogue.says(usize::MAX);
    dialogue.server("250 ok\r\n250 ok\r\n354 go\r\n250 delivered\r\n");
    assert_eq!(
        dialogue.failure(),
        (
            Phase::DataBlock,
            FailureKind::Protocol(ProtocolError::Early),
            Outcome::NotAccepted
        )
    );

    // Behind the final reply a surplus changes nothing but the connection.
    let mut dialogue = Dialogue::ambiguous(Bounds::NONE);
    dialogue.server("250 queued\r\n250 what\r\n");
    assert!(matches!(dialogue.result(), Ok(Completed::Accepted(_))));
    assert!(!dialogue.session.is_idle());
}

#[test]
fn the_outcome_flips_at_the_last_octet_that_the_transport_took() {
    let mut dialogue = Dialogue::mail_data(Bounds::NONE);
    let wire = "Subject: x\r\n\r\n..hidden\r\n.\r\n";
    for octet in wire.chars() {
        assert_eq!(dialogue.session.outcome(), Outcome::NotAccepted);
        assert_eq!(dialogue.session.phase(), Some(Phase::DataBlock));
        assert_eq!(dialogue.says(1), octet.to_string());
    }
    assert_eq!(dialogue.session.outcome(), Outcome::Ambiguous);
    assert_eq!(dialogue.session.phase(), Some(Phase::DataTermination));
}

#[test]
fn a_refusal_in_the_middle_of_mail_data_is_definite_and_an_acceptance_is_not_believed() {
    for code in [421, 451, 452, 552, 554] {
        let mut dialogue = Dialogue::mail_data(Bounds::NONE);
        dialogue.says(20);
        dialogue.server(&format!("{code} stop\r\n"));
        dialogue.silent();
        assert_eq!(
            dialogue.failure(),
            (Phase::DataBlock, FailureKind::Refused, Outcome::NotAccepted)
        );
        assert!(!dialogue.session.is_idle());
    }
    let mut dialogue = Dialogue::mail_data(Bounds::NONE);
    dialogue.says(20);
    dialogue.server("250 thanks\r\n");
    assert_eq!(
        dialogue.failure(),
        (
            Phase::DataBlock,
            FailureKind::Protocol(ProtocolError::Early),
            Outcome::NotAccepted
        )
    );
}

#[test]
fn every_end_in_the_ambiguous_stretch_is_called_ambiguous() {
    type End = fn(&mut Dialogue);
    let ends: [(&str, End); 6] = [
        ("close", |d| d.session.closed(d.now)),
        ("break", |d| d.session.broken(d.now)),
        ("cancellation", |d| d.session.cancel(d.now)),
        ("expiry", |d| {
            d.later(11_000);
            d.session.expire(d.now);
        }),
        ("garbage", |d| d.server("hello\r\n")),
        ("a reply that can't be", |d| d.server("354 more\r\n")),
    ];
    for (name, end) in ends {
        let mut dialogue = Dialogue::ambiguous(Bounds::NONE);
        end(&mut dialogue);
        let (phase, _, outcome) = dialogue.failure();
        assert_eq!(
            (phase, outcome),
            (Phase::DataTermination, Outcome::Ambiguous),
            "{name}"
        );
        // The same one octet before is definite.
        let mut dialogue = Dialogue::mail_data(Bounds::NONE);
        dialogue.says(25);
        end(&mut dialogue);
        assert_eq!(dialogue.failure().2, Outcome::NotAccepted, "{name}");
    }
}

#[test]
fn half_a_final_reply_is_none() {
    for cut in 1.."250 2.0.0 queued\r\n".len() {
        let mut dialogue = Dialogue::ambiguous(Bounds::NONE);
        dialogue.server(&"250 2.0.0 queued\r\n"[..cut]);
        dialogue.session.closed(dialogue.now);
        assert_eq!(
            dialogue.failure(),
            (
                Phase::DataTermination,
                FailureKind::Closed,
                Outcome::Ambiguous
            )
        );
    }
}

#[test]
fn a_refused_transaction_leaves_a_connection_that_resets_before_the_next() {
    let mut dialogue = Dialogue::ready(&[]);
    dialogue.begin(1, TransactionOptions::default(), Bounds::NONE);
    dialogue.client("MAIL FROM:<s@example.org>\r\n");
    dialogue.server("250 ok\r\n");
    dialogue.client("RCPT TO:<r1@example.org>\r\n");
    dialogue.server("550 5.1.1 no such user\r\n");
    assert_eq!(
        dialogue.failure(),
        (Phase::Rcpt, FailureKind::Refused, Outcome::NotAccepted)
    );
    assert!(dialogue.session.is_idle());
    dialogue.begin(1, TransactionOptions::default(), Bounds::NONE);
    dialogue.client("RSET\r\n");
    dialogue.server("250 ok\r\n");
    dialogue.client("MAIL FROM:<s@example.org>\r\n");
}

#[test]
fn an_unwanted_354_closes_the_connection_and_no_lone_dot_is_said() {
    let mut dialogue = Dialogue::ready(&["PIPELINING"]);
    dialogue.begin(1, TransactionOptions::default(), Bounds::NONE);
    dialogue.says(usize::MAX);
    dialogue.server("250 ok\r\n550 5.1.1 no\r\n354 go ahead\r\n");
    dialogue.silent();
    assert_eq!(
        dialogue.failure(),
        (Phase::Rcpt, FailureKind::Refused, Outcome::NotAccepted)
    );
    assert!(!dialogue.session.is_idle());
}

#[test]
fn all_recipients_or_none_holds_data_back_until_every_rcpt_is_answered() {
    let mut dialogue = Dialogue::ready(&["PIPELINING"]);
    let mut options = TransactionOptions::default();
    options.require = Require::AllRecipients;
    dialogue.begin(2, options, Bounds::NONE);
    dialogue.client(
        "MAIL FROM:<s@example.org>\r\nRCPT TO:<r1@example.org>\r\nRCPT TO:<r2@example.org>\r\n",
    );
    dialogue.server("250 ok\r\n250 ok\r\n451 4.7.1 greylisted\r\n");
    dialogue.silent();
    let failure = dialogue.result().unwrap_err();
    assert_eq!(failure.phase, Phase::Rcpt);
    let accepted: Vec<_> = failure.recipients.iter().map(|r| r.is_accepted()).collect();
    assert_eq!(accepted, [true, false]);
    assert!(dialogue.session.is_idle());
}

#[test]
fn after_a_cancellation_not_one_octet_is_handed_out() {
    let mut dialogue = Dialogue::mail_data(Bounds::NONE);
    dialogue.says(7);
    dialogue.session.cancel(dialogue.now);
    dialogue.silent();
    assert_eq!(
        dialogue.failure(),
        (
            Phase::DataBlock,
            FailureKind::Cancelled,
            Outcome::NotAccepted
        )
    );
    dialogue.silent();
}

#[test]
fn a_deadline_is_armed_when_the_phase_starts_and_no_octet_moves_it() {
    let mut dialogue = Dialogue::greeting();
    let deadline = dialogue.session.deadline().unwrap();
    assert_eq!(deadline, dialogue.now + Duration::from_secs(10));
    for octet in "220-never ends".chars() {
        dialogue.later(700);
        dialogue.server(&octet.to_string());
        assert_eq!(dialogue.session.deadline(), Some(deadline));
    }
    // One millisecond before it nothing ends, at it the call does.
    dialogue.now = deadline - Duration::from_millis(1);
    dialogue.session.expire(dialogue.now);
    assert!(!dialogue.session.is_over());
    dialogue.later(1);
    dialogue.session.expire(dialogue.now);
    let limit = Limit::Phase(Duration::from_secs(10));
    assert_eq!(
        dialogue.failure(),
        (
            Phase::Greeting,
            FailureKind::TimedOut(limit),
            Outcome::NotAccepted
        )
    );
}

#[test]
fn the_reserve_stops_the_end_of_mail_data_while_it_is_still_definite() {
    let mut bounds = Bounds::NONE;
    bounds.reserve = Duration::from_secs(5);
    bounds.deadline = Some(Instant::now() + Duration::from_secs(8));
    let mut dialogue = Dialogue::mail_data(bounds);
    dialogue.says(10);
    dialogue.later(3_500);
    dialogue.silent();
    dialogue.session.expire(dialogue.now);
    assert_eq!(
        dialogue.failure(),
        (
            Phase::DataBlock,
            FailureKind::TimedOut(Limit::Reserve(Duration::from_secs(5))),
            Outcome::NotAccepted
        )
    );
}

#[test]
fn the_linger_turns_an_ambiguous_end_into_the_truth_and_has_an_end_itself() {
    let mut bounds = Bounds::NONE;
    bounds.linger = Duration::from_millis(500);
    let mut dialogue = Dialogue::ambiguous(bounds);
    dialogue.session.cancel(dialogue.now);
    assert!(!dialogue.session.is_over());
    assert_eq!(
        dialogue.session.deadline(),
        Some(dialogue.now + Duration::from_millis(500))
    );
    // Cancelling again and again does not prolong it.
    dialogue.later(400);
    dialogue.session.cancel(dialogue.now);
    dialogue.server("250 queued\r\n");
    assert!(matches!(dialogue.result(), Ok(Completed::Accepted(_))));

    let mut dialogue = Dialogue::ambiguous(bounds);
    dialogue.session.cancel(dialogue.now);
    dialogue.later(500);
    dialogue.session.expire(dialogue.now);
    assert_eq!(
        dialogue.failure(),
        (
            Phase::DataTermination,
            FailureKind::Cancelled,
            Outcome::Ambiguous
        )
    );
}

#[test]
fn a_message_over_the_server_s_maximum_is_refused_before_anything_is_said() {
    let mut dialogue = Dialogue::ready(&["SIZE 1000"]);
    let envelope = Envelope::new(
        "s@example.org".parse().unwrap(),
        ["r@example.org".parse().unwrap()],
    )
    .unwrap();
    let mut options = TransactionOptions::default();
    options.size = Some(1_001);
    let refused = dialogue
        .session
        .begin(&envelope, options, Bounds::NONE, dialogue.now)
        .unwrap_err();
    let expected = Unsupported::Size {
        size: 1_001,
        maximum: 1_000,
    };
    assert_eq!(refused.kind, FailureKind::Unsupported(expected));
    dialogue.silent();
    assert!(dialogue.session.is_idle());
    options.size = Some(1_000);
    dialogue
        .session
        .begin(&envelope, options, Bounds::NONE, dialogue.now)
        .unwrap();
    dialogue.client("MAIL FROM:<s@example.org> SIZE=1000\r\n");
}

#[test]
fn octets_at_rest_spend_the_connection() {
    for octets in ["2", "250 late\r\n", "junk\r\n", "220-half a line"] {
        let mut dialogue = Dialogue::ready(&[]);
        dialogue.server(octets);
        assert!(!dialogue.session.is_idle(), "{octets:?}");
        assert!(dialogue.session.reset(Bounds::NONE, dialogue.now).is_err());
        dialogue.silent();
    }
}

#[test]
fn replies_in_any_fragmentation_lead_to_the_same_end() {
    let replies = "250 2.1.0 ok\r\n250-a\r\n250 b\r\n550 5.1.1 no\r\n354 go\r\n";
    for first in 0..replies.len() {
        for second in first..replies.len() {
            let mut dialogue = Dialogue::ready(&["PIPELINING"]);
            dialogue.begin(2, TransactionOptions::default(), Bounds::NONE);
            dialogue.says(usize::MAX);
            dialogue.server(&replies[..first]);
            dialogue.server(&replies[first..second]);
            dialogue.server(&replies[second..]);
            assert!(dialogue.session.needs_chunk());
            dialogue.chunk = MESSAGE;
            dialogue.session.provide(MESSAGE, true, dialogue.now);
            dialogue.says(usize::MAX);
            dialogue.server("250 queued\r\n");
            let Ok(Completed::Accepted(acceptance)) = dialogue.result() else {
                panic!("not accepted when cut at {first} and {second}");
            };
            let accepted: Vec<_> = acceptance
                .recipients
                .iter()
                .map(|r| r.is_accepted())
                .collect();
            assert_eq!(accepted, [true, false]);
        }
    }
}

#[test]
fn the_end_of_mail_data_leaves_whatever_the_number_of_pieces() {
    // Each line that ends with LF is two pieces, and so many are prepared at once.
    for lines in 1..200 {
        let mut dialogue = Dialogue::ready(&[]);
        dialogue.begin(1, TransactionOptions::default(), Bounds::NONE);
        for reply in ["250 ok\r\n", "250 ok\r\n", "354 go ahead\r\n"] {
            let _ = dialogue.says(usize::MAX);
            dialogue.server(reply);
        }
        let message: &'static [u8] = "a\n".repeat(lines).into_bytes().leak();
        dialogue.chunk = message;
        dialogue.session.provide(message, true, dialogue.now);
        dialogue.client(&format!("{}.\r\n", "a\r\n".repeat(lines)));
        assert_eq!(dialogue.session.outcome(), Outcome::Ambiguous, "{lines}");
    }
}

#[test]
fn the_earlier_of_two_deadlines_holds_and_at_a_tie_the_phase_is_named() {
    let seconds = Duration::from_secs;
    let phase = Limit::Phase(seconds(10));
    for (overall, until, limit) in [
        (9, 9, Limit::Deadline),
        (10, 10, phase),
        (11, 10, phase),
        (3_600, 10, phase),
    ] {
        let mut dialogue = Dialogue::ready(&[]);
        let mut bounds = Bounds::NONE;
        bounds.deadline = Some(dialogue.now + seconds(overall));
        dialogue.begin(1, TransactionOptions::default(), bounds);
        let until = dialogue.now + seconds(until);
        assert_eq!(dialogue.session.deadline(), Some(until), "{overall} s");
        dialogue.session.expire(until - Duration::from_nanos(1));
        assert!(!dialogue.session.is_over());
        dialogue.session.expire(until);
        let (_, kind, outcome) = dialogue.failure();
        assert_eq!(
            (kind, outcome),
            (FailureKind::TimedOut(limit), Outcome::NotAccepted)
        );
    }
}

#[test]
fn a_connection_that_failed_is_not_usable_though_its_result_is_still_to_be_taken() {
    assert!(Dialogue::ready(&[]).session.is_usable(), "at rest");
    let mut dialogue = Dialogue::mail_data(Bounds::NONE);
    assert!(dialogue.session.is_usable());
    dialogue.server("421 4.3.2 closing\r\n");
    assert!(dialogue.session.is_over() && dialogue.session.is_under_way());
    assert!(!dialogue.session.is_usable());
    let _ = dialogue.failure();
    assert!(!dialogue.session.is_usable());
}

#[test]
fn there_is_something_to_write_exactly_while_octets_have_not_left() {
    let mut dialogue = Dialogue::ready(&["PIPELINING"]);
    assert!(!dialogue.session.wants_write());
    dialogue.begin(1, TransactionOptions::default(), Bounds::NONE);
    for octet in "MAIL FROM:<s@example.org>\r\nRCPT TO:<r1@example.org>\r\nDATA\r\n".chars() {
        assert!(dialogue.session.wants_write());
        assert_eq!(dialogue.says(1), octet.to_string());
    }
    assert!(!dialogue.session.wants_write());
    dialogue.server("250 ok\r\n250 ok\r\n354 go ahead\r\n");
    assert!(!dialogue.session.wants_write(), "the message is not given");
    dialogue.chunk = MESSAGE;
    dialogue.session.provide(MESSAGE, true, dialogue.now);
    for octet in "Subject: x\r\n\r\n..hidden\r\n.\r\n".chars() {
        assert!(dialogue.session.wants_write());
        assert_eq!(dialogue.says(1), octet.to_string());
    }
    assert!(!dialogue.session.wants_write());
}

#[test]
fn a_write_that_takes_nothing_does_not_move_the_deadline() {
    let mut dialogue = Dialogue::mail_data(Bounds::NONE);
    let deadline = dialogue.session.deadline();
    dialogue.later(3_000);
    dialogue.session.transmitted(0, MESSAGE, dialogue.now);
    assert_eq!(dialogue.session.deadline(), deadline);
    // One octet does, by a block's limit at most.
    let _ = dialogue.says(1);
    assert!(dialogue.session.deadline() > deadline);
}

#[test]
fn a_window_that_is_full_to_the_octet_has_no_room() {
    let mail = "MAIL FROM:<s@example.org>\r\n";
    let rcpt = "RCPT TO:<r1@example.org>\r\n";
    for (window, said) in [
        (mail.len(), mail.to_owned()),
        (mail.len() + 1, format!("{mail}{rcpt}")),
    ] {
        let mut config = Config::new("me.example".parse().unwrap());
        config.limits.pipeline_window = window;
        let now = Instant::now();
        let mut dialogue = Dialogue {
            session: Session::open(config, Bounds::NONE, now),
            chunk: b"",
            now,
        };
        dialogue.server("220 mx.example\r\n");
        dialogue.client("EHLO me.example\r\n");
        dialogue.server("250-mx.example\r\n250 PIPELINING\r\n");
        let _ = dialogue.result();
        dialogue.begin(1, TransactionOptions::default(), Bounds::NONE);
        dialogue.client(&said);
    }
}

#[test]
fn behind_a_refused_mail_nothing_more_of_the_transaction_is_said() {
    let mut dialogue = Dialogue::ready(&[]);
    dialogue.begin(2, TransactionOptions::default(), Bounds::NONE);
    dialogue.client("MAIL FROM:<s@example.org>\r\n");
    dialogue.server("451 4.7.1 later\r\n");
    assert_eq!(
        dialogue.failure(),
        (Phase::Mail, FailureKind::Refused, Outcome::NotAccepted)
    );
    dialogue.silent();
    assert!(dialogue.session.is_idle());

    // With PIPELINING some of it is said already, and all of that is answered first.
    let mut dialogue = Dialogue::ready(&["PIPELINING"]);
    dialogue.begin(500, TransactionOptions::default(), Bounds::NONE);
    let said = dialogue.says(usize::MAX);
    let replies = said.matches("\r\n").count();
    assert!(replies < 500);
    dialogue.server("451 4.7.1 later\r\n");
    for _ in 1..replies {
        assert!(!dialogue.session.is_over());
        dialogue.silent();
        dialogue.server("503 5.5.1 what\r\n");
    }
    let failure = dialogue.result().unwrap_err();
    assert_eq!(failure.phase, Phase::Mail);
    assert_eq!(failure.reply.unwrap().to_string(), "451 4.7.1 later");
    dialogue.silent();
    assert!(dialogue.session.is_idle());
}

#[test]
fn data_is_said_up_to_the_instant_at_which_the_reserve_begins_and_not_behind_it() {
    let mut bounds = Bounds::NONE;
    bounds.reserve = Duration::from_secs(5);
    for (behind, said) in [(0, "DATA\r\n"), (1, "")] {
        let mut dialogue = Dialogue::ready(&[]);
        bounds.deadline = Some(dialogue.now + Duration::from_secs(8));
        dialogue.begin(1, TransactionOptions::default(), bounds);
        dialogue.client("MAIL FROM:<s@example.org>\r\n");
        dialogue.server("250 ok\r\n");
        dialogue.client("RCPT TO:<r1@example.org>\r\n");
        dialogue.later(3_000 + behind);
        dialogue.server("250 ok\r\n");
        dialogue.client(said);
        if behind > 0 {
            let limit = Limit::Reserve(bounds.reserve);
            let (_, kind, outcome) = dialogue.failure();
            assert_eq!(
                (kind, outcome),
                (FailureKind::TimedOut(limit), Outcome::NotAccepted)
            );
        }
    }
    // The same holds for mail data.
    for (behind, said) in [(0, "Subject: x\r\n\r\n..hidden\r\n.\r\n"), (1, "")] {
        let mut dialogue = Dialogue::ready(&[]);
        bounds.deadline = Some(dialogue.now + Duration::from_secs(8));
        dialogue.begin(1, TransactionOptions::default(), bounds);
        for reply in ["250 ok\r\n", "250 ok\r\n", "354 go ahead\r\n"] {
            let _ = dialogue.says(usize::MAX);
            dialogue.server(reply);
        }
        dialogue.chunk = MESSAGE;
        dialogue.session.provide(MESSAGE, true, dialogue.now);
        dialogue.later(3_000 + behind);
        dialogue.client(said);
    }
}

#[test]
fn the_reserve_alone_says_nothing_where_there_is_no_deadline() {
    let mut bounds = Bounds::NONE;
    bounds.reserve = Duration::from_secs(5);
    let mut dialogue = Dialogue::mail_data(bounds);
    dialogue.later(9_000);
    dialogue.client("Subject: x\r\n\r\n..hidden\r\n.\r\n");
}

#[test]
fn a_cancellation_stays_one_though_a_recipient_was_refused() {
    let mut dialogue = Dialogue::ready(&["PIPELINING"]);
    dialogue.begin(1, TransactionOptions::default(), Bounds::NONE);
    let _ = dialogue.says(usize::MAX);
    dialogue.server("250 ok\r\n550 5.1.1 nobody\r\n");
    dialogue.session.cancel(dialogue.now);
    let failure = dialogue.result().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Cancelled);
    assert_eq!(failure.outcome, Outcome::NotAccepted);
    assert_eq!(failure.reply.unwrap().to_string(), "550 5.1.1 nobody");

    // A deadline is what the refusal explains.
    let mut dialogue = Dialogue::ready(&["PIPELINING"]);
    dialogue.begin(1, TransactionOptions::default(), Bounds::NONE);
    let _ = dialogue.says(usize::MAX);
    dialogue.server("250 ok\r\n550 5.1.1 nobody\r\n");
    dialogue.later(10_000);
    dialogue.session.expire(dialogue.now);
    assert_eq!(
        dialogue.failure(),
        (Phase::Rcpt, FailureKind::Refused, Outcome::NotAccepted)
    );

    // A 421 is the later word.
    let mut dialogue = Dialogue::ready(&["PIPELINING"]);
    dialogue.begin(1, TransactionOptions::default(), Bounds::NONE);
    let _ = dialogue.says(usize::MAX);
    dialogue.server("250 ok\r\n550 5.1.1 nobody\r\n421 4.3.2 closing\r\n");
    let failure = dialogue.result().unwrap_err();
    assert_eq!(failure.phase, Phase::DataInitiation);
    assert_eq!(failure.reply.unwrap().to_string(), "421 4.3.2 closing");
}

#[test]
fn to_stop_what_is_not_under_way_spends_nothing() {
    let mut dialogue = Dialogue::ready(&[]);
    dialogue.session.cancel(dialogue.now);
    dialogue.later(3_600_000);
    dialogue.session.expire(dialogue.now);
    assert!(dialogue.session.is_idle());

    // A result that is still to be taken stands.
    let mut dialogue = Dialogue::ambiguous(Bounds::NONE);
    dialogue.server("250 queued\r\n");
    dialogue.session.cancel(dialogue.now);
    assert!(matches!(dialogue.result(), Ok(Completed::Accepted(_))));
    assert!(dialogue.session.take_result().is_none());
    assert!(dialogue.session.is_idle());
}

#[test]
fn nothing_is_lingered_for_before_the_last_octet_has_left() {
    let mut bounds = Bounds::NONE;
    bounds.linger = Duration::from_millis(500);
    let mut dialogue = Dialogue::mail_data(bounds);
    let _ = dialogue.says(25);
    dialogue.session.cancel(dialogue.now);
    assert_eq!(
        dialogue.failure(),
        (
            Phase::DataBlock,
            FailureKind::Cancelled,
            Outcome::NotAccepted
        )
    );
}
