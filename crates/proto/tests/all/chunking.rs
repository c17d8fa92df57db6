//! Mail data by BDAT (RFC 3030), as a dialogue.

use std::time::{Duration, Instant};

use postbound_proto::transparency::LineEndings;
use postbound_proto::{
    BodyType, Bounds, Chunking, Completed, Envelope, Failure, FailureKind, Limit, Outcome, Phase,
    ProtocolError, Session, Timeouts, TransactionOptions, Unsupported,
};
use proptest::prelude::*;

use crate::dialogue::{self, at_rest};

struct Dialogue {
    session: Session,
    chunk: Vec<u8>,
    now: Instant,
}

fn envelope() -> Envelope {
    let to = ["b@example.org".parse().unwrap()];
    Envelope::new("a@example.org".parse().unwrap(), to).unwrap()
}

fn up_to(octets: u32) -> TransactionOptions {
    let mut options = TransactionOptions::default();
    options.chunking = Chunking::UpTo(octets);
    options
}

impl Dialogue {
    /// At rest behind an EHLO that offered these.
    fn ready(extensions: &str) -> Self {
        let now = Instant::now();
        let mut config = dialogue::config();
        config.timeouts = Timeouts::uniform(Duration::from_secs(10)).unwrap();
        config.limits.pipeline_window = 24;
        let extensions: Vec<&str> = extensions.split(' ').collect();
        Self {
            session: at_rest(config, &extensions, now),
            chunk: Vec::new(),
            now,
        }
    }

    /// Where the first piece of the message is wanted.
    fn begun(extensions: &str, options: TransactionOptions) -> Self {
        let mut dialogue = Self::ready(extensions);
        let now = dialogue.now;
        dialogue
            .session
            .begin(&envelope(), options, Bounds::NONE, now)
            .unwrap();
        for _ in 0..2 {
            let said = dialogue.says(usize::MAX);
            let replies = said.matches("\r\n").count();
            dialogue.server(&"250 ok\r\n".repeat(replies));
        }
        assert!(dialogue.session.needs_chunk());
        assert_eq!(dialogue.session.phase(), Some(Phase::DataBlock));
        dialogue
    }

    fn provide(&mut self, chunk: &[u8], last: bool) {
        assert!(self.session.needs_chunk());
        self.chunk = chunk.to_vec();
        self.session.provide(chunk, last, self.now);
    }

    fn server(&mut self, octets: &str) {
        self.session.receive(octets.as_bytes(), self.now);
    }

    fn later(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }

    /// One write.
    fn write(&mut self, most: usize) -> Vec<u8> {
        dialogue::write(&mut self.session, &self.chunk, most, self.now)
    }

    /// What the client says now, at most `most` octets of it.
    fn says(&mut self, most: usize) -> String {
        dialogue::says_at_most(&mut self.session, &self.chunk, most, self.now)
    }

    fn client(&mut self, expected: &str) {
        assert_eq!(self.says(usize::MAX), expected);
    }

    fn result(&mut self) -> Result<Completed, Box<Failure>> {
        self.session.take_result().unwrap()
    }

    fn failure(&mut self) -> Failure {
        *self.result().unwrap_err()
    }
}

#[test]
fn a_message_in_memory_is_one_chunk_and_one_write_and_nothing_is_stuffed() {
    let mut dialogue = Dialogue::begun("PIPELINING CHUNKING", up_to(u32::MAX));
    dialogue.provide(b".hidden\r\n", true);
    let write = dialogue.write(usize::MAX);
    assert_eq!(write, b"BDAT 9 LAST\r\n.hidden\r\n");
    assert_eq!(dialogue.session.outcome(), Outcome::Ambiguous);
    assert_eq!(dialogue.session.phase(), Some(Phase::DataTermination));
    dialogue.server("250 2.0.0 queued\r\n");
    let Ok(Completed::Accepted(acceptance)) = dialogue.result() else {
        panic!()
    };
    assert_eq!((acceptance.octets, acceptance.recipients.len()), (9, 1));
    assert!(dialogue.session.is_idle());
}

#[test]
fn without_chunking_or_without_asking_for_it_data_is_said() {
    for (extensions, options) in [
        ("PIPELINING", up_to(5)),
        ("CHUNKING", TransactionOptions::default()),
    ] {
        let mut dialogue = Dialogue::ready(extensions);
        let now = dialogue.now;
        dialogue
            .session
            .begin(&envelope(), options, Bounds::NONE, now)
            .unwrap();
        let mut said = String::new();
        for _ in 0..3 {
            said += &dialogue.says(usize::MAX);
            dialogue.server("250 ok\r\n");
        }
        assert!(said.ends_with("DATA\r\n"), "{said}");
    }
}

#[test]
fn without_pipelining_every_chunk_waits_for_the_reply_to_the_one_before() {
    let mut dialogue = Dialogue::begun("CHUNKING", up_to(4));
    dialogue.provide(b"ab\r\ncd\r\nef\r\n", true);
    dialogue.client("BDAT 4\r\nab\r\n");
    dialogue.server("250 ok\r\n");
    dialogue.client("BDAT 4\r\ncd\r\n");
    assert_eq!(dialogue.session.outcome(), Outcome::NotAccepted);
    dialogue.server("250 ok\r\n");
    dialogue.client("BDAT 4 LAST\r\nef\r\n");
    dialogue.server("250 ok\r\n");
    assert!(matches!(dialogue.result(), Ok(Completed::Accepted(_))));
}

#[test]
fn with_pipelining_chunks_fill_the_window_and_the_last_one_waits_for_all_replies() {
    let mut dialogue = Dialogue::begun("PIPELINING CHUNKING", up_to(4));
    dialogue.provide(b"ab\r\ncd\r\nef\r\ngh\r\nij\r\n", true);
    // The window of 24 octets has room for three commands of 8.
    dialogue.client("BDAT 4\r\nab\r\nBDAT 4\r\ncd\r\nBDAT 4\r\nef\r\n");
    dialogue.server("250 ok\r\n250 ok\r\n");
    dialogue.client("BDAT 4\r\ngh\r\n");
    dialogue.server("250 ok\r\n");
    dialogue.client("");
    assert_eq!(dialogue.session.outcome(), Outcome::NotAccepted);
    dialogue.server("250 ok\r\n");
    dialogue.client("BDAT 4 LAST\r\nij\r\n");
    assert_eq!(dialogue.session.outcome(), Outcome::Ambiguous);
    dialogue.server("250 ok\r\n");
    assert!(matches!(dialogue.result(), Ok(Completed::Accepted(_))));
}

#[test]
fn a_refused_chunk_ends_it_definitely_and_the_last_one_is_never_said() {
    let mut dialogue = Dialogue::begun("PIPELINING CHUNKING", up_to(4));
    dialogue.provide(b"ab\r\ncd\r\nef\r\n", true);
    dialogue.client("BDAT 4\r\nab\r\nBDAT 4\r\ncd\r\n");
    dialogue.server("552 5.3.4 too much\r\n");
    dialogue.client("");
    // Whatever the other says: it can't make the message accepted.
    dialogue.server("250 ok\r\n");
    let failure = dialogue.failure();
    assert_eq!(
        (failure.phase, failure.kind, failure.outcome),
        (Phase::DataBlock, FailureKind::Refused, Outcome::NotAccepted)
    );
    assert_eq!(failure.reply.unwrap().code().get(), 552);
    // The connection is at rest, and the server is told to forget it.
    assert!(dialogue.session.is_idle());
    let now = dialogue.now;
    dialogue
        .session
        .begin(&envelope(), up_to(4), Bounds::NONE, now)
        .unwrap();
    assert!(dialogue.says(usize::MAX).starts_with("RSET\r\n"));
}

#[test]
fn a_refusal_while_another_chunk_is_half_said_is_definite_and_spends_the_connection() {
    let mut dialogue = Dialogue::begun("PIPELINING CHUNKING", up_to(4));
    dialogue.provide(b"ab\r\ncd\r\nef\r\n", true);
    assert_eq!(dialogue.says(15), "BDAT 4\r\nab\r\nBDA");
    dialogue.server("451 4.3.0 no\r\n");
    let failure = dialogue.failure();
    assert_eq!(
        (failure.phase, failure.kind, failure.outcome),
        (Phase::DataBlock, FailureKind::Refused, Outcome::NotAccepted)
    );
    assert_eq!(failure.reply.unwrap().code().get(), 451);
    assert!(!dialogue.session.is_idle());
}

#[test]
fn a_refusal_is_not_hidden_by_what_comes_of_the_other_chunks() {
    let mut dialogue = Dialogue::begun("PIPELINING CHUNKING", up_to(4));
    dialogue.provide(b"ab\r\ncd\r\nef\r\n", true);
    dialogue.client("BDAT 4\r\nab\r\nBDAT 4\r\ncd\r\n");
    dialogue.server("552 5.3.4 too much\r\n");
    let now = dialogue.now;
    dialogue.session.closed(now);
    let failure = dialogue.failure();
    assert_eq!(
        (failure.kind, failure.outcome),
        (FailureKind::Refused, Outcome::NotAccepted)
    );
}

#[test]
fn replies_before_their_chunk_has_left_are_not_believed_but_a_refusal_is() {
    for (octets, reply, kind) in [
        (0, "250 ok\r\n", FailureKind::Protocol(ProtocolError::Early)),
        (9, "250 ok\r\n", FailureKind::Protocol(ProtocolError::Early)),
        (9, "552 no\r\n", FailureKind::Refused),
        (
            11,
            "250 ok\r\n250 ok\r\n",
            FailureKind::Protocol(ProtocolError::Early),
        ),
        (
            12,
            "354 what\r\n",
            FailureKind::Protocol(ProtocolError::Unexpected),
        ),
    ] {
        let mut dialogue = Dialogue::begun("PIPELINING CHUNKING", up_to(4));
        dialogue.provide(b"ab\r\ncd\r\n", true);
        let _ = dialogue.says(octets);
        dialogue.server(reply);
        let failure = dialogue.failure();
        assert_eq!(
            (failure.kind, failure.outcome),
            (kind, Outcome::NotAccepted),
            "{octets} {reply}"
        );
    }
}

#[test]
fn every_end_behind_the_last_octet_of_the_last_chunk_is_ambiguous_and_none_before() {
    let whole = "BDAT 4\r\nab\r\n".len();
    let last = "BDAT 4 LAST\r\ncd\r\n".len();
    for octets in 0..=last {
        let mut dialogue = Dialogue::begun("PIPELINING CHUNKING", up_to(4));
        dialogue.provide(b"ab\r\ncd\r\n", true);
        assert_eq!(dialogue.says(usize::MAX).len(), whole);
        dialogue.server("250 ok\r\n");
        assert_eq!(dialogue.says(octets).len(), octets);
        let now = dialogue.now;
        dialogue.session.closed(now);
        let failure = dialogue.failure();
        let (outcome, phase) = match octets == last {
            true => (Outcome::Ambiguous, Phase::DataTermination),
            false => (Outcome::NotAccepted, Phase::DataBlock),
        };
        assert_eq!((failure.outcome, failure.phase), (outcome, phase));
    }
}

#[test]
fn an_unknown_length_ends_with_a_chunk_of_nothing() {
    let mut dialogue = Dialogue::begun("CHUNKING", up_to(u32::MAX));
    dialogue.provide(b"ab\r\n", false);
    dialogue.client("BDAT 4\r\nab\r\n");
    dialogue.server("250 ok\r\n");
    dialogue.provide(b"", true);
    dialogue.client("BDAT 0 LAST\r\n");
    assert_eq!(dialogue.session.outcome(), Outcome::Ambiguous);
    dialogue.server("250 ok\r\n");
    assert!(matches!(dialogue.result(), Ok(Completed::Accepted(_))));
}

#[test]
fn what_follows_leaves_in_one_write_with_the_last_chunk() {
    let mut dialogue = Dialogue::begun("PIPELINING CHUNKING", up_to(4));
    let now = dialogue.now;
    dialogue.session.follow(&envelope(), up_to(4), now).unwrap();
    dialogue.provide(b"ab\r\ncd\r\n", true);
    dialogue.client("BDAT 4\r\nab\r\n");
    dialogue.server("250 ok\r\n");
    let write = String::from_utf8(dialogue.write(usize::MAX)).unwrap();
    assert!(
        write.starts_with("BDAT 4 LAST\r\ncd\r\nMAIL FROM:<a@example.org>\r\n"),
        "{write}"
    );
    assert_eq!(dialogue.session.outcome(), Outcome::Ambiguous);
    dialogue.server("250 ok\r\n");
    assert!(matches!(dialogue.result(), Ok(Completed::Accepted(_))));
    // The window has room for no more behind them.
    dialogue.server("250 ok\r\n");
    dialogue.client("RCPT TO:<b@example.org>\r\n");
    dialogue.server("250 ok\r\n");
    dialogue.provide(b"ef\r\n", true);
    dialogue.client("BDAT 4 LAST\r\nef\r\n");
    dialogue.server("250 ok\r\n");
    assert!(matches!(dialogue.result(), Ok(Completed::Accepted(_))));
}

#[test]
fn bare_line_endings_are_counted_as_they_leave_or_refused_before_anything_of_the_chunk_has_left() {
    let mut dialogue = Dialogue::begun("CHUNKING", up_to(u32::MAX));
    dialogue.provide(b"a\nb\rc", true);
    dialogue.client("BDAT 9 LAST\r\na\r\nb\r\nc\r\n");

    let mut options = up_to(u32::MAX);
    options.line_endings = LineEndings::Refuse;
    let mut dialogue = Dialogue::begun("CHUNKING", options);
    dialogue.provide(b"a\r\nb\nc", true);
    let failure = dialogue.failure();
    assert!(matches!(failure.kind, FailureKind::Message(at) if at.octet == 4));
    dialogue.client("");
}

#[test]
fn binary_mail_data_is_not_changed_and_needs_its_extension() {
    let mut options = TransactionOptions::default();
    options.body = BodyType::BinaryMime;
    let mut dialogue = Dialogue::begun("CHUNKING BINARYMIME", options);
    dialogue.provide(b"a\nb\r.\r\n.x", true);
    dialogue.client("BDAT 9 LAST\r\na\nb\r.\r\n.x");

    for extensions in ["CHUNKING", "BINARYMIME", "8BITMIME"] {
        let mut dialogue = Dialogue::ready(extensions);
        let now = dialogue.now;
        let refused = dialogue
            .session
            .begin(&envelope(), options, Bounds::NONE, now)
            .unwrap_err();
        assert_eq!(
            refused.kind,
            FailureKind::Unsupported(Unsupported::BinaryMime)
        );
        dialogue.client("");
    }
}

#[test]
fn each_reply_to_a_chunk_has_the_limit_of_a_data_block() {
    let mut dialogue = Dialogue::begun("CHUNKING", up_to(4));
    dialogue.provide(b"ab\r\ncd\r\n", true);
    let _ = dialogue.says(usize::MAX);
    dialogue.later(9_000);
    dialogue.server("250 ok\r\n");
    let _ = dialogue.says(usize::MAX);
    assert_eq!(dialogue.session.phase(), Some(Phase::DataTermination));
    let mut dialogue = Dialogue::begun("CHUNKING", up_to(4));
    dialogue.provide(b"ab\r\ncd\r\n", true);
    let _ = dialogue.says(usize::MAX);
    dialogue.later(10_000);
    let now = dialogue.now;
    dialogue.session.expire(now);
    let failure = dialogue.failure();
    assert_eq!(
        (failure.phase, failure.kind),
        (
            Phase::DataBlock,
            FailureKind::TimedOut(Limit::Phase(Duration::from_secs(10)))
        )
    );
}

#[test]
fn the_last_chunk_is_the_last_whatever_the_number_of_pieces() {
    for lines in 1..200 {
        let mut dialogue = Dialogue::begun("CHUNKING", up_to(u32::MAX));
        dialogue.provide("a\n".repeat(lines).as_bytes(), true);
        let said = dialogue.says(usize::MAX);
        let expected = format!("BDAT {} LAST\r\n{}", 3 * lines, "a\r\n".repeat(lines));
        assert_eq!(said, expected, "{lines}");
        assert_eq!(dialogue.session.outcome(), Outcome::Ambiguous, "{lines}");
    }
    // One that is not the last is counted to its end, too.
    let mut dialogue = Dialogue::begun("CHUNKING", up_to(u32::MAX));
    dialogue.provide("a\n".repeat(200).as_bytes(), false);
    dialogue.client(&format!("BDAT 600\r\n{}", "a\r\n".repeat(200)));
}

/// Chunks taken apart again: the message, and how many there were.
fn message_of(wire: &[u8]) -> (Vec<u8>, usize) {
    let (mut rest, mut message, mut chunks) = (wire, Vec::new(), 0);
    loop {
        let end = rest.iter().position(|octet| *octet == b'\n').unwrap();
        let line = std::str::from_utf8(&rest[..end]).unwrap().trim_end();
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words[0], "BDAT");
        let length: usize = words[1].parse().unwrap();
        rest = &rest[end + 1..];
        message.extend_from_slice(&rest[..length]);
        rest = &rest[length..];
        chunks += 1;
        if words.get(2) == Some(&"LAST") {
            assert!(rest.is_empty());
            return (message, chunks);
        }
    }
}

proptest! {
    /// The same message arrives however it is cut, and it is the one that DATA would carry.
    #[test]
    fn the_message_is_the_one_that_data_carries(
        message in proptest::collection::vec(proptest::sample::select(b"a.\r\n".to_vec()), 0..200),
        cuts in proptest::collection::vec(0usize..40, 0..6),
        most in 1u32..50,
        take in 1usize..60,
        pipelining: bool,
    ) {
        let extensions = if pipelining { "PIPELINING CHUNKING" } else { "CHUNKING" };
        let mut dialogue = Dialogue::begun(extensions, up_to(most));
        let mut pieces = Vec::new();
        let mut rest = message.as_slice();
        for cut in cuts {
            let (piece, more) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        pieces.push(rest);
        let (mut wire, mut given) = (Vec::new(), 0);
        let mut answered = 0;
        for _ in 0..10_000 {
            if dialogue.session.needs_chunk() {
                let last = given + 1 == pieces.len();
                dialogue.provide(pieces[given], last);
                given += 1;
            }
            let octets = dialogue.write(take);
            wire.extend_from_slice(&octets);
            if octets.is_empty() {
                if dialogue.session.outcome() == Outcome::Ambiguous {
                    break;
                }
                if !dialogue.session.needs_chunk() {
                    dialogue.server("250 ok\r\n");
                    answered += 1;
                }
            }
            prop_assert!(!dialogue.session.is_over());
        }
        prop_assert_eq!(dialogue.session.outcome(), Outcome::Ambiguous);
        let (arrived, chunks) = message_of(&wire);
        prop_assert_eq!(answered + 1, chunks);
        let mut expected = Vec::new();
        let mut octets = message.iter().copied().peekable();
        while let Some(octet) = octets.next() {
            match octet {
                b'\r' => { octets.next_if_eq(&b'\n'); expected.extend(b"\r\n"); }
                b'\n' => expected.extend(b"\r\n"),
                _ => expected.push(octet),
            }
        }
        if !expected.is_empty() && !expected.ends_with(b"\r\n") {
            expected.extend(b"\r\n");
        }
        prop_assert_eq!(arrived, expected);
        dialogue.server("250 ok\r\n");
        prop_assert!(matches!(dialogue.result(), Ok(Completed::Accepted(_))));
    }
}

#[test]
fn a_chunk_that_might_have_left_and_has_not_begun_to_needs_no_reply() {
    let mut dialogue = Dialogue::begun("PIPELINING CHUNKING", up_to(4));
    dialogue.provide(b"ab\r\ncd\r\nef\r\n", true);
    assert_eq!(dialogue.says(12), "BDAT 4\r\nab\r\n");
    dialogue.server("552 5.3.4 too much\r\n");
    let failure = dialogue.failure();
    assert_eq!(
        (failure.phase, failure.kind),
        (Phase::DataBlock, FailureKind::Refused)
    );
    assert!(dialogue.session.is_idle());
    dialogue.client("");
}

#[test]
fn of_several_refused_chunks_the_first_refusal_is_told() {
    let mut dialogue = Dialogue::begun("PIPELINING CHUNKING", up_to(4));
    dialogue.provide(b"ab\r\ncd\r\nef\r\n", true);
    dialogue.client("BDAT 4\r\nab\r\nBDAT 4\r\ncd\r\n");
    dialogue.server("552 5.3.4 too much\r\n451 4.3.0 no\r\n");
    let failure = dialogue.failure();
    assert_eq!(failure.reply.unwrap().to_string(), "552 5.3.4 too much");
    assert!(dialogue.session.is_idle());
}

#[test]
fn what_follows_leaves_with_the_last_chunk_wherever_a_write_ends_before() {
    let whole = b"BDAT 4 LAST\r\ncd\r\nMAIL FROM:<a@example.org>\r\n";
    for first in 0..whole.len() {
        let mut dialogue = Dialogue::begun("PIPELINING CHUNKING", up_to(4));
        let now = dialogue.now;
        dialogue.session.follow(&envelope(), up_to(4), now).unwrap();
        dialogue.provide(b"ab\r\ncd\r\n", true);
        dialogue.client("BDAT 4\r\nab\r\n");
        dialogue.server("250 ok\r\n");
        assert_eq!(dialogue.write(first), whole[..first]);
        assert_eq!(dialogue.write(usize::MAX), whole[first..]);
        dialogue.client("");
    }
}

#[test]
fn while_chunks_are_on_their_way_there_is_something_to_write() {
    let mut dialogue = Dialogue::begun("CHUNKING", up_to(4));
    assert!(!dialogue.session.wants_write());
    dialogue.provide(b"ab\r\ncd\r\n", true);
    for octet in "BDAT 4\r\nab\r\n".bytes() {
        assert!(dialogue.session.wants_write());
        assert_eq!(dialogue.write(1), [octet]);
    }
    dialogue.server("250 ok\r\n");
    for octet in "BDAT 4 LAST\r\ncd\r\n".bytes() {
        assert!(dialogue.session.wants_write());
        assert_eq!(dialogue.write(1), [octet]);
    }
    assert!(!dialogue.session.wants_write());
}

#[test]
fn what_follows_never_leaves_in_the_midst_of_the_last_chunk() {
    // Each bare LF makes two pieces, and a write takes a few of them.
    for lines in [1, 7, 8, 9, 31, 32, 33, 200] {
        let mut dialogue = Dialogue::begun("PIPELINING CHUNKING", up_to(u32::MAX));
        let now = dialogue.now;
        dialogue.session.follow(&envelope(), up_to(4), now).unwrap();
        dialogue.provide("a\n".repeat(lines).as_bytes(), true);
        let (octets, chunk) = (3 * lines, "a\r\n".repeat(lines));
        dialogue.client(&format!(
            "BDAT {octets} LAST\r\n{chunk}MAIL FROM:<a@example.org>\r\n"
        ));
    }
}

#[test]
fn behind_a_refused_chunk_there_is_nothing_to_write() {
    let mut dialogue = Dialogue::begun("PIPELINING CHUNKING", up_to(4));
    dialogue.provide(b"ab\r\ncd\r\nef\r\ngh\r\n", true);
    dialogue.client("BDAT 4\r\nab\r\nBDAT 4\r\ncd\r\nBDAT 4\r\nef\r\n");
    dialogue.server("552 5.3.4 too much\r\n");
    assert!(!dialogue.session.is_over() && !dialogue.session.wants_write());
    dialogue.client("");
}
