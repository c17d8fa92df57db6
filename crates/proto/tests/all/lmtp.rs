//! LMTP (RFC 2033), as a dialogue.

use std::time::{Duration, Instant};

use postbound_proto::{
    Bounds, Chunking, Completed, Envelope, Failure, FailureKind, Outcome, Phase, Protocol,
    Recipient, Session, Timeouts, TransactionOptions,
};

use crate::dialogue;

const MESSAGE: &[u8] = b"Subject: x\r\n\r\ny\r\n";

struct Dialogue {
    session: Session,
    chunk: &'static [u8],
    now: Instant,
}

impl Dialogue {
    fn greeted() -> Self {
        let now = Instant::now();
        let mut config = dialogue::config();
        config.timeouts = Timeouts::uniform(Duration::from_secs(10)).unwrap();
        config.protocol = Protocol::Lmtp;
        let mut dialogue = Self {
            session: Session::open(config, Bounds::NONE, now),
            chunk: b"",
            now,
        };
        dialogue.server("220 mx.example LMTP\r\n");
        assert_eq!(dialogue.says(), "LHLO me.example\r\n");
        dialogue
    }

    /// Behind the last octet of mail data, where `accepted` of three recipients were.
    fn ambiguous(accepted: [bool; 3], chunking: Chunking) -> Self {
        let mut dialogue = Self::greeted();
        dialogue.server("250-mx.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
        assert!(matches!(dialogue.result(), Ok(Completed::Ready(_))));
        let mut options = TransactionOptions::default();
        options.chunking = chunking;
        dialogue.begin(options);
        let _ = dialogue.says();
        dialogue.server("250 ok\r\n");
        for yes in accepted {
            dialogue.server(if yes {
                "250 ok\r\n"
            } else {
                "550 5.1.1 no\r\n"
            });
        }
        if chunking == Chunking::Never {
            dialogue.server("354 go ahead\r\n");
        }
        dialogue.chunk = MESSAGE;
        let now = dialogue.now;
        dialogue.session.provide(MESSAGE, true, now);
        let _ = dialogue.says();
        assert_eq!(dialogue.session.outcome(), Ambiguous);
        dialogue
    }

    fn begin(&mut self, options: TransactionOptions) {
        let to = (1..=3).map(|n| format!("r{n}@example.org").parse().unwrap());
        let envelope = Envelope::new("s@example.org".parse().unwrap(), to).unwrap();
        let now = self.now;
        self.session
            .begin(&envelope, options, Bounds::NONE, now)
            .unwrap();
    }

    fn server(&mut self, octets: &str) {
        self.session.receive(octets.as_bytes(), self.now);
    }

    fn says(&mut self) -> String {
        dialogue::says(&mut self.session, self.chunk, self.now)
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn expire(&mut self) {
        let now = self.now;
        self.session.expire(now);
    }

    fn result(&mut self) -> Result<Completed, Box<Failure>> {
        self.session.take_result().unwrap()
    }

    fn failure(&mut self) -> Failure {
        *self.result().unwrap_err()
    }
}

fn outcomes(recipients: &[Recipient]) -> Vec<Outcome> {
    recipients.iter().map(Recipient::outcome).collect()
}

use Outcome::{Accepted, Ambiguous, NotAccepted};

#[test]
fn each_accepted_recipient_has_a_final_reply_and_an_outcome_of_its_own() {
    for chunking in [Chunking::Never, Chunking::IF_OFFERED] {
        let mut dialogue = Dialogue::ambiguous([true, false, true], chunking);
        dialogue.server("552 5.2.2 r1 is full\r\n");
        assert!(!dialogue.session.is_over());
        dialogue.server("250 2.1.5 r3\r\n");
        let Ok(Completed::Accepted(acceptance)) = dialogue.result() else {
            panic!()
        };
        assert_eq!(
            outcomes(&acceptance.recipients),
            [NotAccepted, NotAccepted, Accepted]
        );
        let finals: Vec<_> = acceptance
            .recipients
            .iter()
            .map(|r| r.final_reply().map(|reply| reply.code().get()))
            .collect();
        assert_eq!(finals, [Some(552), None, Some(250)]);
        assert_eq!(acceptance.reply.to_string(), "250 2.1.5 r3");
        assert!(dialogue.session.is_idle());
    }
}

#[test]
fn a_message_that_nobody_takes_is_refused_and_the_connection_stays() {
    let mut dialogue = Dialogue::ambiguous([true; 3], Chunking::Never);
    dialogue.server("452 4.2.2 full\r\n452 4.2.2 full\r\n550 5.7.1 no\r\n");
    let failure = dialogue.failure();
    assert_eq!(
        (failure.phase, failure.kind, failure.outcome),
        (Phase::DataTermination, FailureKind::Refused, NotAccepted)
    );
    assert_eq!(outcomes(&failure.recipients), [NotAccepted; 3]);
    assert!(dialogue.session.is_idle());
}

#[test]
fn whoever_has_no_final_reply_is_ambiguous_and_the_others_are_not() {
    for end in ["close", "expire", "421"] {
        let mut dialogue = Dialogue::ambiguous([true; 3], Chunking::Never);
        dialogue.server("250 ok\r\n");
        let now = dialogue.now;
        let (first, kind) = match end {
            "close" => {
                dialogue.session.closed(now);
                (Ambiguous, FailureKind::Closed)
            }
            "421" => {
                dialogue.server("421 4.3.2 closing\r\n");
                (NotAccepted, FailureKind::Refused)
            }
            _ => {
                dialogue.later(10);
                dialogue.expire();
                let limit = postbound_proto::Limit::Phase(Duration::from_secs(10));
                (Ambiguous, FailureKind::TimedOut(limit))
            }
        };
        let failure = dialogue.failure();
        assert_eq!((failure.outcome, failure.kind), (Ambiguous, kind), "{end}");
        assert_eq!(
            outcomes(&failure.recipients),
            [Accepted, first, Ambiguous],
            "{end}"
        );
        assert!(!dialogue.session.is_idle());
    }
}

#[test]
fn a_421_for_the_last_recipient_hides_nothing_and_spends_the_connection() {
    let mut dialogue = Dialogue::ambiguous([true, true, false], Chunking::Never);
    dialogue.server("250 ok\r\n421 4.3.2 closing\r\n");
    let Ok(Completed::Accepted(acceptance)) = dialogue.result() else {
        panic!()
    };
    assert_eq!(
        outcomes(&acceptance.recipients),
        [Accepted, NotAccepted, NotAccepted]
    );
    assert!(!dialogue.session.is_idle());
}

#[test]
fn each_final_reply_has_the_limit_of_its_phase() {
    let mut dialogue = Dialogue::ambiguous([true; 3], Chunking::Never);
    for _ in 0..2 {
        dialogue.later(9);
        dialogue.expire();
        dialogue.server("250 ok\r\n");
        assert!(!dialogue.session.is_over());
    }
    dialogue.later(9);
    dialogue.server("250 ok\r\n");
    assert!(matches!(dialogue.result(), Ok(Completed::Accepted(_))));
}

#[test]
fn a_server_that_does_not_know_lhlo_is_not_asked_with_helo() {
    let mut dialogue = Dialogue::greeted();
    dialogue.server("500 5.5.1 what\r\n");
    let failure = dialogue.failure();
    assert_eq!(
        (failure.phase, failure.kind),
        (Phase::Ehlo, FailureKind::Refused)
    );
    assert_eq!(dialogue.says(), "");
}

#[test]
fn a_surplus_final_reply_does_not_change_the_result() {
    let mut dialogue = Dialogue::ambiguous([true, false, false], Chunking::Never);
    dialogue.server("250 ok\r\n550 no\r\n");
    assert!(matches!(dialogue.result(), Ok(Completed::Accepted(_))));
    assert!(!dialogue.session.is_idle());
}
