//! What is told of a session meanwhile and behind it: its dialogue, and how long each phase lasted.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use postbound_proto::sasl::{Auth, Credentials};
use postbound_proto::*;

use crate::dialogue;

/// A session whose lines are kept.
struct Talk {
    session: Session,
    now: Instant,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Talk {
    fn offering(extensions: &str) -> Self {
        let now = Instant::now();
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&lines);
        let mut config = dialogue::config();
        config.observer = Some(Observer::new(move |line, _| {
            kept.lock().unwrap().push(line.to_string());
        }));
        assert!(format!("{config:?}").contains("Observer"));
        let mut talk = Self {
            session: Session::open(config, Bounds::NONE, now),
            now,
            lines,
        };
        talk.later(1).hears("220 mx.example\r\n");
        talk.says(b"");
        talk.later(2)
            .hears(&format!("250-mx.example\r\n250 {extensions}\r\n"));
        talk
    }

    fn later(&mut self, seconds: u64) -> &mut Self {
        self.now += Duration::from_secs(seconds);
        self
    }

    fn hears(&mut self, octets: &str) {
        self.session.receive(octets.as_bytes(), self.now);
    }

    fn says(&mut self, chunk: &[u8]) {
        let _ = dialogue::says(&mut self.session, chunk, self.now);
    }

    fn completed(&mut self) -> Completed {
        self.session.take_result().unwrap().unwrap()
    }

    fn lines(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap())
    }
}

#[test]
fn every_line_is_shown_as_it_comes_and_of_mail_data_the_number_of_octets() {
    let mut talk = Talk::offering("PIPELINING");
    talk.completed();
    let envelope = Envelope::new("a@b".parse().unwrap(), ["c@d".parse().unwrap()]).unwrap();
    let options = TransactionOptions::default();
    talk.session
        .begin(&envelope, options, Bounds::NONE, talk.now)
        .unwrap();
    talk.says(b"");
    talk.hears("250 ok\r\n250 ok\r\n354 go\r\n");
    talk.session.provide(b".x", true, talk.now);
    talk.says(b".x");
    talk.hears("250 2.0.0 queued\r\n");
    talk.completed();
    assert_eq!(
        talk.lines(),
        [
            "<-  220 mx.example",
            " -> EHLO me.example",
            "<-  250 mx.example / PIPELINING",
            " -> MAIL FROM:<a@b>",
            " -> RCPT TO:<c@d>",
            " -> DATA",
            "<-  250 ok",
            "<-  250 ok",
            "<-  354 go",
            " -> [8 octets of mail data]",
            "<-  250 2.0.0 queued",
        ]
    );
}

#[test]
fn of_an_authentication_only_the_mechanism_is_shown() {
    let mut talk = Talk::offering("AUTH LOGIN PLAIN CRAM-MD5");
    talk.completed();
    talk.lines();
    let begin = |talk: &mut Talk, only| {
        let mut auth = Auth::new(Credentials::password("me", "pencil"), "nonce");
        auth.secure = true;
        auth.policy = auth.policy.only([only]);
        talk.session
            .authenticate(auth, Bounds::NONE, talk.now)
            .unwrap();
        talk.says(b"");
    };
    begin(&mut talk, sasl::Mechanism::Plain);
    talk.hears("535 no\r\n");
    assert_eq!(
        talk.lines()[..],
        [" -> AUTH PLAIN [a response]", "<-  535 no"]
    );
    assert!(talk.session.take_result().unwrap().is_err());
    begin(&mut talk, sasl::Mechanism::Login);
    talk.hears("334 VXNlcm5hbWU6\r\n");
    talk.says(b"");
    assert_eq!(
        talk.lines(),
        [
            " -> AUTH LOGIN",
            "<-  334 [a challenge]",
            " -> [a response]"
        ]
    );
    talk.hears("334 ***\r\n");
    talk.says(b"");
    assert_eq!(talk.lines(), ["<-  334 [a challenge]", " -> *"]);
    talk.hears("501 ok\r\n");
}

#[test]
fn each_phase_that_occurred_has_its_time_and_no_other_has_one() {
    let mut talk = Talk::offering("PIPELINING");
    let Completed::Ready(mut timings) = talk.completed() else {
        panic!("not ready");
    };
    let second = Duration::from_secs(1);
    assert_eq!(timings.of(Phase::Greeting), Some(second));
    assert_eq!(timings.of(Phase::Ehlo), Some(second * 2));
    for phase in Phase::ALL {
        let occurred = matches!(phase, Phase::Greeting | Phase::Ehlo);
        assert_eq!(timings.of(phase).is_some(), occurred, "{phase}");
    }
    timings.add(Phase::Ehlo, second);
    timings.add(Phase::Connect, Duration::ZERO);
    let mut all = *timings;
    all.merge(&timings);
    let shown: Vec<(Phase, u64)> = all
        .iter()
        .map(|(phase, it)| (phase, it.as_secs()))
        .collect();
    assert_eq!(
        shown,
        [(Phase::Connect, 0), (Phase::Greeting, 2), (Phase::Ehlo, 6)]
    );
    let custom = CustomCommand::noop();
    talk.session
        .command(&custom, Bounds::NONE, talk.now)
        .unwrap();
    talk.says(b"");
    talk.later(5).hears("250 ok\r\n");
    let Completed::Answered(reply, timings) = talk.completed() else {
        panic!("not answered");
    };
    assert_eq!(reply.to_string(), "250 ok");
    assert_eq!(
        timings.iter().collect::<Vec<_>>(),
        [(Phase::Command, second * 5)]
    );
}

#[test]
fn tls_that_breaks_ends_the_session_with_the_problem() {
    let mut talk = Talk::offering("PIPELINING");
    talk.completed();
    let problem = TlsProblem::Certificate(CertificateProblem::WrongName);
    talk.session.quit(Bounds::NONE, talk.now).unwrap();
    talk.session.tls_failed(problem, talk.now);
    let failure = talk.session.take_result().unwrap().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Tls(problem));
    assert_eq!(
        (failure.phase, failure.outcome),
        (Phase::Quit, Outcome::NotAccepted)
    );
    assert!(!talk.session.is_usable());
}

#[test]
fn what_is_queued_is_counted_in_debug_and_not_shown() {
    let mut talk = Talk::offering("PIPELINING");
    talk.completed();
    talk.session.quit(Bounds::NONE, talk.now).unwrap();
    let shown = format!("{:?}", talk.session);
    assert!(
        shown.contains("[6 octets]") && !shown.contains("QUIT"),
        "{shown}"
    );
}

#[test]
fn what_phases_lasted_is_added_up_by_phase_and_to_the_nanosecond() {
    let seconds = Duration::from_secs;
    let mut all = Timings::default();
    all.add(Phase::Greeting, seconds(1));
    all.add(Phase::Mail, seconds(2));
    let mut more = Timings::default();
    more.add(Phase::Greeting, seconds(4));
    more.add(Phase::Rcpt, Duration::ZERO);
    all.merge(&more);
    let spent: Vec<_> = all.iter().collect();
    let expected = [
        (Phase::Greeting, seconds(5)),
        (Phase::Mail, seconds(2)),
        (Phase::Rcpt, Duration::ZERO),
    ];
    assert_eq!(spent, expected);
    assert_eq!(all.of(Phase::Quit), None);
    assert_eq!(format!("{more:?}"), "{Greeting: 4s, Rcpt: 0ns}");
}
