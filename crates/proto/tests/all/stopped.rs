//! What stops a call, and what is known of the message then.

use std::time::{Duration, Instant};

use postbound_proto::{Bounds, Completed, FailureKind, Limit, Outcome, Phase, TransactionOptions};

use crate::dialogue::{Dialogue, MESSAGE};

#[test]
fn the_outcome_flips_at_the_last_octet_that_the_transport_took() {
    let mut dialogue = Dialogue::mail_data(Bounds::NONE);
    let wire = "Subject: x\r\n\r\n..hidden\r\n.\r\n";
    for (taken, octet) in (0..).zip(wire.chars()) {
        assert_eq!(dialogue.session.mail_data_octets(), taken);
        assert_eq!(dialogue.session.outcome(), Outcome::NotAccepted);
        assert_eq!(dialogue.session.phase(), Some(Phase::DataBlock));
        assert_eq!(dialogue.says(1), octet.to_string());
    }
    assert_eq!(dialogue.session.outcome(), Outcome::Ambiguous);
    assert_eq!(dialogue.session.phase(), Some(Phase::DataTermination));
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

#[test]
fn a_message_that_can_not_be_gone_on_with_ends_its_call() {
    let mut dialogue = Dialogue::mail_data(Bounds::NONE);
    dialogue.says(20);
    let now = dialogue.now;
    dialogue.session.refuse_message(FailureKind::Source, now);
    dialogue.silent();
    assert_eq!(
        dialogue.failure(),
        (Phase::DataBlock, FailureKind::Source, Outcome::NotAccepted)
    );
    assert!(!dialogue.session.is_usable());
}

#[test]
fn a_connection_whose_call_was_dropped_takes_no_other() {
    let mut dialogue = Dialogue::mail_data(Bounds::NONE);
    dialogue.says(7);
    dialogue.session.abandon();
    assert!(!dialogue.session.is_usable() && !dialogue.session.is_idle());
    let refused = dialogue.session.reset(Bounds::NONE, dialogue.now);
    assert_eq!(refused.unwrap_err().kind, FailureKind::NotIdle);
}

#[test]
fn a_recipient_that_was_refused_is_not_ambiguous_whatever_the_message_is() {
    let mut dialogue = Dialogue::ready(&["PIPELINING"]);
    dialogue.begin(2, TransactionOptions::default(), Bounds::NONE);
    let _ = dialogue.says(usize::MAX);
    dialogue.server("250 ok\r\n550 5.1.1 nobody\r\n250 ok\r\n354 go ahead\r\n");
    dialogue.chunk = MESSAGE;
    dialogue.session.provide(MESSAGE, true, dialogue.now);
    let _ = dialogue.says(usize::MAX);
    dialogue.session.closed(dialogue.now);
    let failure = dialogue.result().unwrap_err();
    let outcomes: Vec<_> = failure.recipients.iter().map(|r| r.outcome()).collect();
    assert_eq!(failure.outcome, Outcome::Ambiguous);
    assert_eq!(outcomes, [Outcome::NotAccepted, Outcome::Ambiguous]);
    let replies = failure
        .recipients
        .iter()
        .map(|r| r.reply().unwrap().to_string());
    assert_eq!(replies.collect::<Vec<_>>(), ["550 5.1.1 nobody", "250 ok"]);
}
