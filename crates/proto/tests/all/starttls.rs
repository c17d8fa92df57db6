//! Dialogues about STARTTLS (RFC 3207): when it is said, what may come between it and TLS, and what
//! is left of what was known before.

use std::time::{Duration, Instant};

use postbound_proto::*;

use crate::dialogue;

struct Dialogue {
    session: Session,
    now: Instant,
    said: String,
}

impl Dialogue {
    fn new(security: Security) -> Self {
        let now = Instant::now();
        let mut config = dialogue::config();
        config.security = security;
        let bounds = Bounds::NONE;
        let session = Session::open(config, bounds, now);
        let mut dialogue = Self {
            session,
            now,
            said: String::new(),
        };
        dialogue.hear("220 mx.example ESMTP\r\n");
        dialogue
    }

    /// Hands octets over and lets the client say what it wants to.
    fn hear(&mut self, octets: &str) -> &mut Self {
        self.now += Duration::from_millis(1);
        self.session.receive(octets.as_bytes(), self.now);
        self.said += &dialogue::says(&mut self.session, b"", self.now);
        self
    }

    fn result(&mut self) -> Result<Completed, Box<Failure>> {
        self.session.take_result().unwrap()
    }

    fn failure(&mut self) -> Box<Failure> {
        let failure = self.result().unwrap_err();
        assert_eq!(failure.outcome, Outcome::NotAccepted);
        // Nothing more is ever said.
        let envelope = Envelope::new(
            "a@b.example".parse().unwrap(),
            ["c@d.example".parse().unwrap()],
        );
        let options = TransactionOptions::default();
        let said = self.said.clone();
        let again = self
            .session
            .begin(&envelope.unwrap(), options, Bounds::NONE, self.now);
        assert!(again.is_err());
        self.session.upgraded(self.now);
        self.hear("250 ok\r\n");
        assert_eq!(self.said, said);
        failure
    }
}

const OFFER: &str = "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 STARTTLS\r\n";
const HELLO: &str = "EHLO me.example\r\n";
const STARTTLS: &str = "EHLO me.example\r\nSTARTTLS\r\n";

#[test]
fn starttls_is_said_alone_and_ehlo_is_said_again_under_tls() {
    for security in [Security::StartTls, Security::StartTlsIfOfferedInsecure] {
        let mut dialogue = Dialogue::new(security);
        dialogue.hear(OFFER);
        assert_eq!(dialogue.said, STARTTLS);
        assert_eq!(dialogue.session.phase(), Some(Phase::StartTls));
        assert!(dialogue.session.deadline().is_some());
        dialogue.hear("220 go ahead\r\n");
        assert!(matches!(dialogue.result(), Ok(Completed::Upgrade(_))));
        assert!(!dialogue.session.is_idle() && dialogue.session.is_upgrade_due());
        assert!(dialogue.session.is_usable());
        assert!(!dialogue.session.is_encrypted());
        assert_eq!(dialogue.said, STARTTLS, "not an octet more in clear");

        dialogue.session.upgraded(dialogue.now);
        assert_eq!(dialogue.session.phase(), Some(Phase::Ehlo));
        assert!(dialogue.session.is_encrypted() && !dialogue.session.is_upgrade_due());
        dialogue.hear("");
        dialogue.hear("250-mx.example\r\n250-STARTTLS\r\n250 8BITMIME\r\n");
        assert_eq!(
            dialogue.said,
            format!("{STARTTLS}{HELLO}"),
            "once is enough"
        );
        assert!(matches!(dialogue.result(), Ok(Completed::Ready(_))));
        assert!(dialogue.session.is_idle());
    }
}

#[test]
fn what_was_offered_before_tls_is_forgotten() {
    let mut dialogue = Dialogue::new(Security::StartTls);
    dialogue.hear(OFFER).hear("220 go ahead\r\n");
    assert!(dialogue.result().is_ok());
    dialogue.session.upgraded(dialogue.now);
    dialogue.hear("");
    assert_eq!(dialogue.session.extensions().iter().count(), 0);
    dialogue.hear("250-mx.example\r\n250 8BITMIME\r\n");
    let extensions = dialogue.session.extensions();
    assert!(!extensions.pipelining() && extensions.size().is_none());
    assert!(extensions.eight_bit_mime());
}

#[test]
fn every_octet_behind_the_220_ends_the_session() {
    let injected = "250-evil\r\n250 AUTH PLAIN\r\n";
    for length in 1..=injected.len() {
        // In one read with the reply, in two, and after the call has said that TLS is due.
        for late in [0, 1, 2] {
            let mut dialogue = Dialogue::new(Security::StartTls);
            dialogue.hear(OFFER);
            let part = &injected[..length];
            match late {
                0 => dialogue.hear(&format!("220 go\r\n{part}")),
                1 => dialogue.hear("220 go\r\n").hear(part),
                _ => {
                    dialogue.hear("220 go\r\n");
                    assert!(matches!(dialogue.result(), Ok(Completed::Upgrade(_))));
                    dialogue.hear(part)
                }
            };
            let failure = dialogue.failure();
            assert_eq!(
                failure.kind,
                FailureKind::Protocol(ProtocolError::Injected),
                "{part:?}"
            );
            assert_eq!(failure.phase, Phase::StartTls);
            assert!(!dialogue.session.is_encrypted());
        }
    }
}

#[test]
fn required_and_not_offered_is_an_error_before_anything_else_is_said() {
    let mut dialogue = Dialogue::new(Security::StartTls);
    let failure = dialogue
        .hear("250-mx.example\r\n250 AUTH PLAIN\r\n")
        .failure();
    assert_eq!(
        failure.kind,
        FailureKind::Unsupported(Unsupported::StartTls)
    );
    assert_eq!(failure.phase, Phase::StartTls);
    assert_eq!(dialogue.said, HELLO);

    for code in [500, 502, 504] {
        let mut dialogue = Dialogue::new(Security::StartTls);
        let failure = dialogue.hear(&format!("{code} what\r\n")).failure();
        assert_eq!(
            failure.kind,
            FailureKind::Unsupported(Unsupported::StartTls)
        );
        assert_eq!(failure.reply.unwrap().code().get(), code);
        assert_eq!(dialogue.said, HELLO, "HELO can't lead to TLS");
    }
}

#[test]
fn required_and_refused_is_an_error_before_anything_else_is_said() {
    for reply in [
        "454 4.7.0 not now",
        "502 5.5.1 what",
        "501 5.5.4 no",
        "421 4.3.2 bye",
    ] {
        let mut dialogue = Dialogue::new(Security::StartTls);
        let failure = dialogue.hear(OFFER).hear(&format!("{reply}\r\n")).failure();
        assert_eq!(failure.kind, FailureKind::Refused, "{reply}");
        assert_eq!(failure.phase, Phase::StartTls);
        assert_eq!(failure.reply.unwrap().to_string(), reply);
        assert_eq!(dialogue.said, STARTTLS);
    }
    for reply in ["354 go on", "250 ok", "235 you are in", "221 bye"] {
        let mut dialogue = Dialogue::new(Security::StartTls);
        let failure = dialogue.hear(OFFER).hear(&format!("{reply}\r\n")).failure();
        let unexpected = FailureKind::Protocol(ProtocolError::Unexpected);
        assert_eq!(failure.kind, unexpected, "{reply}");
        assert_eq!(dialogue.said, STARTTLS);
    }
}

#[test]
fn if_offered_goes_on_in_clear_where_it_is_not_offered_or_refused() {
    let insecure = Security::StartTlsIfOfferedInsecure;
    let mut dialogue = Dialogue::new(insecure);
    dialogue.hear("250-mx.example\r\n250 8BITMIME\r\n");
    assert!(matches!(dialogue.result(), Ok(Completed::Ready(_))));
    assert!(!dialogue.session.is_encrypted());

    let mut dialogue = Dialogue::new(insecure);
    dialogue.hear(OFFER).hear("454 4.7.0 not now\r\n");
    assert!(matches!(dialogue.result(), Ok(Completed::Ready(_))));
    assert!(dialogue.session.is_idle() && dialogue.session.extensions().pipelining());

    let mut dialogue = Dialogue::new(insecure);
    dialogue.hear("502 what\r\n").hear("250 mx.example\r\n");
    assert!(matches!(dialogue.result(), Ok(Completed::Ready(_))));
    assert_eq!(dialogue.said, "EHLO me.example\r\nHELO me.example\r\n");
}

#[test]
fn none_and_implicit_never_say_it() {
    for security in [Security::None, Security::Implicit] {
        let mut dialogue = Dialogue::new(security);
        dialogue.hear(OFFER);
        assert!(matches!(dialogue.result(), Ok(Completed::Ready(_))));
        assert_eq!(dialogue.said, HELLO);
        assert_eq!(
            dialogue.session.is_encrypted(),
            security == Security::Implicit
        );
    }
}

#[test]
fn a_mode_is_found_by_its_name() {
    for security in Security::ALL {
        assert_eq!(security.name().parse(), Ok(security));
    }
    let refused = "tls".parse::<Security>().unwrap_err().to_string();
    assert!(refused.ends_with("implicit, starttls, starttls-if-offered-insecure and none"));
}

#[test]
fn octets_of_tls_where_a_reply_is_due_are_told_apart_from_nonsense() {
    for octets in [&b"\x15\x03\x01\x00\x02\x02\x46"[..], b"\x16"] {
        let mut session = Session::open(
            Config::new("me.example".parse().unwrap()),
            Bounds::NONE,
            Instant::now(),
        );
        session.receive(octets, Instant::now());
        let failure = session.take_result().unwrap().unwrap_err();
        let tls = FailureKind::Protocol(ProtocolError::Reply(ReplyError::Tls));
        assert_eq!(failure.kind, tls);
        assert!(
            failure
                .kind
                .to_string()
                .contains("expects TLS from the first octet")
        );
    }
}
