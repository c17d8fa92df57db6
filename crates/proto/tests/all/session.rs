//! The session as a dialogue: what is said, what is answered, what became of the message.

use std::time::Duration;

use postbound_proto::{
    BodyType, Bounds, Chunking, Completed, Envelope, FailureKind, Limit, Outcome, Phase,
    ProtocolError, Require, TransactionOptions, Unsupported,
};

use crate::dialogue::{Dialogue, MESSAGE, config};

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
    let message: &'static [u8] = b"0123456789abcde\r\n".repeat(8_000).leak();
    let mut dialogue = Dialogue::data(Bounds::NONE);
    dialogue.chunk = message;
    dialogue.session.provide(message, true, dialogue.now);
    // Enough for some seconds at the minimum rate.
    let _ = dialogue.says(100_000);
    let deadline = dialogue.session.deadline();
    dialogue.later(3_000);
    dialogue.session.transmitted(0, message, dialogue.now);
    assert_eq!(dialogue.session.deadline(), deadline);
    // One octet does, by a block's limit at most.
    let _ = dialogue.says(1);
    assert!(dialogue.session.deadline() > deadline);
}

#[test]
fn the_next_piece_is_wanted_once_the_one_before_is_taken() {
    let mut options = TransactionOptions::default();
    for chunking in [Chunking::Never, Chunking::UpTo(u32::MAX)] {
        options.chunking = chunking;
        let mut dialogue = Dialogue::ready(&["CHUNKING"]);
        dialogue.begin(1, options, Bounds::NONE);
        for reply in ["250 ok\r\n", "250 ok\r\n", "354 go ahead\r\n"] {
            if !dialogue.session.needs_chunk() {
                let _ = dialogue.says(usize::MAX);
                dialogue.server(reply);
            }
        }
        // Of nothing, and of one CR that waits for what follows, nothing can be taken.
        let pieces: [(&'static [u8], bool); 5] = [
            (b"ab\r\n", false),
            (b"", false),
            (b"c\r\nd", false),
            (b"\r", false),
            (b"\n", true),
        ];
        for (piece, last) in pieces {
            assert!(dialogue.session.needs_chunk(), "{chunking:?} {piece:?}");
            dialogue.chunk = piece;
            dialogue.session.provide(piece, last, dialogue.now);
            let absorbed = piece.len() < 2 && !last;
            assert_eq!(
                dialogue.session.needs_chunk(),
                absorbed,
                "{chunking:?} {piece:?}"
            );
            if absorbed {
                dialogue.silent();
                continue;
            }
            let _ = dialogue.says(1);
            assert!(!dialogue.session.needs_chunk(), "{chunking:?} {piece:?}");
            let _ = dialogue.says(usize::MAX);
            if chunking != Chunking::Never && !last {
                dialogue.server("250 ok\r\n");
            }
        }
        assert!(!dialogue.session.needs_chunk());
        assert_eq!(dialogue.session.outcome(), Outcome::Ambiguous);
    }
}

#[test]
fn a_window_that_is_full_to_the_octet_has_no_room() {
    let mail = "MAIL FROM:<s@example.org>\r\n";
    let rcpt = "RCPT TO:<r1@example.org>\r\n";
    for (window, said) in [
        (mail.len(), mail.to_owned()),
        (mail.len() + 1, format!("{mail}{rcpt}")),
    ] {
        let mut config = config();
        config.limits.pipeline_window = window;
        let mut dialogue = Dialogue::ready_with(config, &["PIPELINING"]);
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
fn a_transport_that_says_it_took_more_than_there_was_took_all_of_it() {
    let mut dialogue = Dialogue::greeting();
    dialogue.server("220 mx.example\r\n");
    assert_eq!(dialogue.says(5), "EHLO ");
    let now = dialogue.now;
    dialogue.session.transmitted(1_000, b"", now);
    dialogue.silent();
    dialogue.server("250 mx.example\r\n");
    assert!(matches!(dialogue.result(), Ok(Completed::Ready(_))));
    dialogue.begin(1, TransactionOptions::default(), Bounds::NONE);
    dialogue.client("MAIL FROM:<s@example.org>\r\n");
}

#[test]
fn a_refused_transaction_says_how_long_each_phase_lasted() {
    let mut dialogue = Dialogue::ready(&["PIPELINING"]);
    dialogue.begin(1, TransactionOptions::default(), Bounds::NONE);
    let _ = dialogue.says(usize::MAX);
    for (millis, reply) in [(3, "250 ok"), (5, "550 no"), (7, "503 no recipient")] {
        dialogue.later(millis).server(&format!("{reply}\r\n"));
    }
    let timings = dialogue.result().unwrap_err().timings;
    let lasted: Vec<_> = timings.iter().map(|(p, d)| (p, d.as_millis())).collect();
    let expected = [
        (Phase::Mail, 3),
        (Phase::Rcpt, 5),
        (Phase::DataInitiation, 7),
    ];
    assert_eq!(lasted, expected);
}

#[test]
fn nothing_is_begun_before_the_last_result_is_taken() {
    let mut dialogue = Dialogue::ambiguous(Bounds::NONE);
    dialogue.server("250 queued\r\n");
    let now = dialogue.now;
    let refused = dialogue.session.reset(Bounds::NONE, now).unwrap_err();
    assert_eq!(
        (refused.phase, refused.kind),
        (Phase::Reset, FailureKind::NotIdle)
    );
    let _ = dialogue.result();
    dialogue.session.reset(Bounds::NONE, now).unwrap();
}

#[test]
fn eight_bit_mail_data_is_declared_where_it_is_offered_and_refused_where_not() {
    let mut options = TransactionOptions::default();
    options.body = BodyType::EightBitMime;
    let mut dialogue = Dialogue::ready(&["8BITMIME"]);
    dialogue.begin(1, options, Bounds::NONE);
    dialogue.client("MAIL FROM:<s@example.org> BODY=8BITMIME\r\n");

    let mut dialogue = Dialogue::ready(&[]);
    let to = ["r@example.org".parse().unwrap()];
    let envelope = Envelope::new("s@example.org".parse().unwrap(), to).unwrap();
    let now = dialogue.now;
    let refused = dialogue
        .session
        .begin(&envelope, options, Bounds::NONE, now);
    let kind = FailureKind::Unsupported(Unsupported::EightBitMime);
    assert_eq!(refused.unwrap_err().kind, kind);
    dialogue.silent();
}

#[test]
fn data_waits_for_no_reply_but_for_room_in_the_window() {
    let mut config = config();
    config.limits.pipeline_window = 30;
    let mut dialogue = Dialogue::ready_with(config, &["PIPELINING"]);
    dialogue.begin(1, TransactionOptions::default(), Bounds::NONE);
    dialogue.client("MAIL FROM:<s@example.org>\r\nRCPT TO:<r1@example.org>\r\n");
    dialogue.server("250 ok\r\n");
    dialogue.client("DATA\r\n");
}
