//! How every dialogue begins, and what the transport takes of it.

use std::io::IoSlice;
use std::time::{Duration, Instant};

use postbound_proto::{
    Bounds, Completed, Config, Envelope, Failure, FailureKind, Outcome, Phase, Protocol, Session,
    Timeouts, TransactionOptions,
};

/// The client's configuration, under a name of its own.
pub(crate) fn config() -> Config {
    Config::new("me.example".parse().unwrap())
}

/// A session at rest behind an EHLO, or LHLO, that offered these.
pub(crate) fn at_rest(config: Config, offers: &[&str], now: Instant) -> Session {
    let hello = match config.protocol {
        Protocol::Lmtp => "LHLO me.example\r\n",
        _ => "EHLO me.example\r\n",
    };
    let mut session = Session::open(config, Bounds::NONE, now);
    session.receive(b"220 mx.example\r\n", now);
    assert_eq!(says(&mut session, b"", now), hello);
    let mut lines = vec!["mx.example"];
    lines.extend(offers);
    let last = lines.pop().unwrap();
    let mut reply: String = lines.iter().map(|line| format!("250-{line}\r\n")).collect();
    reply.push_str(&format!("250 {last}\r\n"));
    session.receive(reply.as_bytes(), now);
    let ready = session.take_result();
    assert!(matches!(ready, Some(Ok(Completed::Ready(_)))), "{ready:?}");
    session
}

/// One write: at most `most` octets of what the session says now.
pub(crate) fn write(session: &mut Session, chunk: &[u8], most: usize, now: Instant) -> Vec<u8> {
    // More than the encoder prepares at once.
    let mut slices = [IoSlice::new(&[]); 128];
    let count = session.transmit(chunk, &mut slices, now);
    let mut octets: Vec<u8> = slices[..count].iter().flat_map(|s| s.to_vec()).collect();
    octets.truncate(most);
    session.transmitted(octets.len(), chunk, now);
    octets
}

/// As many writes as it takes to at most `most` octets.
pub(crate) fn says_at_most(
    session: &mut Session,
    chunk: &[u8],
    most: usize,
    now: Instant,
) -> String {
    let mut said = Vec::new();
    while said.len() < most {
        let octets = write(session, chunk, most - said.len(), now);
        if octets.is_empty() {
            break;
        }
        said.extend_from_slice(&octets);
    }
    String::from_utf8(said).unwrap()
}

/// All that it says until it waits for a reply.
pub(crate) fn says(session: &mut Session, chunk: &[u8], now: Instant) -> String {
    says_at_most(session, chunk, usize::MAX, now)
}

pub(crate) const MESSAGE: &[u8] = b"Subject: x\r\n\r\n.hidden\r\n";

/// A session, its message and a clock that only the test moves.
pub(crate) struct Dialogue {
    pub(crate) session: Session,
    pub(crate) chunk: &'static [u8],
    pub(crate) now: Instant,
}

/// The same limit for every phase.
fn ten_seconds() -> Config {
    let mut config = config();
    config.timeouts = Timeouts::uniform(Duration::from_secs(10)).unwrap();
    config
}

impl Dialogue {
    pub(crate) fn greeting() -> Self {
        let now = Instant::now();
        Self {
            session: Session::open(ten_seconds(), Bounds::NONE, now),
            chunk: b"",
            now,
        }
    }

    /// At rest behind an EHLO that offered these.
    pub(crate) fn ready(extensions: &[&str]) -> Self {
        Self::ready_with(ten_seconds(), extensions)
    }

    pub(crate) fn ready_with(config: Config, extensions: &[&str]) -> Self {
        let now = Instant::now();
        Self {
            session: at_rest(config, extensions, now),
            chunk: b"",
            now,
        }
    }

    pub(crate) fn begin(&mut self, recipients: usize, options: TransactionOptions, bounds: Bounds) {
        let to = (1..=recipients).map(|n| format!("r{n}@example.org").parse().unwrap());
        let envelope = Envelope::new("s@example.org".parse().unwrap(), to).unwrap();
        self.session
            .begin(&envelope, options, bounds, self.now)
            .unwrap();
    }

    /// Where the message is wanted.
    pub(crate) fn data(bounds: Bounds) -> Self {
        let mut dialogue = Self::ready(&["PIPELINING"]);
        dialogue.begin(1, TransactionOptions::default(), bounds);
        dialogue.client("MAIL FROM:<s@example.org>\r\nRCPT TO:<r1@example.org>\r\nDATA\r\n");
        dialogue.server("250 ok\r\n250 ok\r\n354 go ahead\r\n");
        assert!(dialogue.session.needs_chunk());
        dialogue
    }

    /// In the middle of mail data, with the message given.
    pub(crate) fn mail_data(bounds: Bounds) -> Self {
        let mut dialogue = Self::data(bounds);
        dialogue.chunk = MESSAGE;
        dialogue.session.provide(MESSAGE, true, dialogue.now);
        dialogue
    }

    /// Behind the last octet of the end of mail data.
    pub(crate) fn ambiguous(bounds: Bounds) -> Self {
        let mut dialogue = Self::mail_data(bounds);
        dialogue.client("Subject: x\r\n\r\n..hidden\r\n.\r\n");
        assert_eq!(dialogue.session.outcome(), Outcome::Ambiguous);
        dialogue
    }

    pub(crate) fn later(&mut self, millis: u64) -> &mut Self {
        self.now += Duration::from_millis(millis);
        self
    }

    pub(crate) fn server(&mut self, octets: &str) {
        self.session.receive(octets.as_bytes(), self.now);
    }

    /// What the client says now, at most `most` octets of it.
    pub(crate) fn says(&mut self, most: usize) -> String {
        says_at_most(&mut self.session, self.chunk, most, self.now)
    }

    pub(crate) fn client(&mut self, expected: &str) {
        assert_eq!(self.says(usize::MAX), expected);
    }

    pub(crate) fn silent(&mut self) {
        self.client("");
    }

    pub(crate) fn result(&mut self) -> Result<Completed, Box<Failure>> {
        self.session.take_result().expect("a result")
    }

    /// The failed call in one line.
    pub(crate) fn failure(&mut self) -> (Phase, FailureKind, Outcome) {
        let failure = self.result().expect_err("a failure");
        (failure.phase, failure.kind, failure.outcome)
    }
}
