//! Where a message comes from, and what is said while it goes.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has to fail"
)]

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use postbound::{
    BodyType, Chunking, Client, Connection, Envelope, Error, FailureKind, LineEndings, Message,
    Outcome, Phase, Receipt,
};
use postbound_harness::run::paused;
use simnet::net::mem::{Network, Stream};
use simnet::{Double, Plan, Script};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, sleep};

fn envelope() -> Envelope {
    Envelope::new(
        "a@example.org".parse().unwrap(),
        ["b@example.org".parse().unwrap()],
    )
    .unwrap()
}

fn healthy() -> Network {
    Network::new(Double::new(Plan::healthy()))
}

async fn connect(network: &Network) -> Connection<Stream> {
    Client::builder("mx.example", 25)
        .connector(network.connector())
        .build()
        .unwrap()
        .connect(Duration::from_secs(60))
        .await
        .unwrap()
}

async fn send(network: &Network, message: impl Into<Message<'_>>) -> Result<Receipt, Error> {
    Client::builder("mx.example", 25)
        .connector(network.connector())
        .build()
        .unwrap()
        .send(&envelope(), message, Duration::from_secs(600))
        .await
}

fn mailbox(network: &Network) -> Vec<Vec<u8>> {
    let deliveries = network.double().ledger().deliveries();
    assert_eq!(network.double().ledger().findings(), []);
    deliveries.into_iter().map(|d| d.octets).collect()
}

/// The parameters of MAIL.
fn parameters(network: &Network) -> String {
    network.double().ledger().deliveries()[0].parameters.clone()
}

/// A reader that gives these pieces, one a read.
struct Pieces(Vec<io::Result<Vec<u8>>>);

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.0.is_empty() {
            buf.put_slice(&self.0.remove(0)?);
        }
        Poll::Ready(Ok(()))
    }
}

fn pieces(pieces: &[&str]) -> Pieces {
    Pieces(pieces.iter().map(|p| Ok(p.as_bytes().to_vec())).collect())
}

#[test]
fn octets_of_every_kind_arrive_the_same() {
    let text = "Subject: x\r\n\r\n.dot\r\n";
    let sources: Vec<Message<'static>> = vec![
        text.into(),
        text.as_bytes().into(),
        text.to_owned().into(),
        text.as_bytes().to_vec().into(),
        Bytes::from_static(text.as_bytes()).into(),
        Message::reader(text.as_bytes()),
        Message::reader_with_length(text.as_bytes(), text.len() as u64),
        Message::reader(pieces(&["Subj", "ect: x\r", "\n", "\r\n.", "dot\r\n"])),
    ];
    for message in sources {
        let name = format!("{message:?}");
        paused(async {
            let network = healthy();
            let _ = send(&network, message).await.unwrap();
            assert_eq!(mailbox(&network), [text.as_bytes()], "{name}");
        });
    }
}

#[test]
fn a_known_length_is_declared_and_an_unknown_one_is_not() {
    paused(async {
        let network = healthy();
        let _ = send(&network, "a\n").await.unwrap();
        // RFC 1870 counts the CRLF that the LF becomes.
        assert_eq!(parameters(&network), "SIZE=3");
        let network = healthy();
        let message = Message::reader_with_length(&b"a\r\n"[..], 3);
        let _ = send(&network, message).await.unwrap();
        assert_eq!(parameters(&network), "SIZE=3 BODY=8BITMIME");
        let network = healthy();
        let _ = send(&network, Message::reader(&b"a\r\n"[..]))
            .await
            .unwrap();
        assert_eq!(parameters(&network), "BODY=8BITMIME");
    });
}

#[test]
fn a_source_that_ends_early_or_fails_is_named_and_nothing_is_accepted() {
    let failing = Pieces(vec![
        Ok(b"Subject: x\r\n".to_vec()),
        Err(io::Error::other("the disk is gone")),
    ]);
    for (message, why) in [
        (
            Message::reader_with_length(&b"Subject: x\r\n"[..], 100),
            "88 octets before its declared length",
        ),
        (Message::reader(failing), "the disk is gone"),
    ] {
        paused(async {
            let network = healthy();
            let error = send(&network, message).await.unwrap_err();
            assert_eq!(*error.kind(), FailureKind::Source);
            assert_eq!(
                (error.phase(), error.outcome()),
                (Phase::DataBlock, Outcome::NotAccepted)
            );
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(cause.contains(why), "{cause}");
            sleep(Duration::from_secs(60)).await;
            assert!(mailbox(&network).is_empty());
        });
    }
}

#[test]
fn what_a_source_has_beyond_its_length_is_left_unread() {
    paused(async {
        let network = healthy();
        let message = Message::reader_with_length(&b"first\r\nsecond\r\n"[..], 7);
        let _ = send(&network, message).await.unwrap();
        assert_eq!(mailbox(&network), [b"first\r\n"]);
    });
}

#[test]
fn a_source_has_to_keep_up_and_may_pause_within_the_limit() {
    paused(async {
        let network = healthy();
        let (mut writer, reader) = tokio::io::duplex(64);
        // Each line within the block's 15 s; but a drip of them is no progress.
        let slow = async move {
            for _ in 0..10 {
                sleep(Duration::from_secs(14)).await;
                if writer.write_all(b"a line\r\n").await.is_err() {
                    break;
                }
            }
        };
        let (result, ()) = tokio::join!(send(&network, Message::reader(reader)), slow);
        let error = result.unwrap_err();
        assert_eq!(error.phase(), Phase::DataBlock);
        assert_eq!(error.limit(), Some(Duration::from_secs(15)));

        let network = healthy();
        let (mut writer, reader) = tokio::io::duplex(64);
        let quick = async move {
            for _ in 0..14 {
                sleep(Duration::from_secs(1)).await;
                writer.write_all(b"a line\r\n").await.unwrap();
            }
        };
        let (result, ()) = tokio::join!(send(&network, Message::reader(reader)), quick);
        let _ = result.unwrap();
        assert_eq!(mailbox(&network), [b"a line\r\n".repeat(14)]);
    });
}

#[test]
fn eight_bit_octets_are_declared_and_a_server_without_the_extension_gets_none() {
    let text = "Subject: x\r\n\r\nGr\u{fc}\u{df}e\r\n";
    paused(async {
        let network = healthy();
        let _ = send(&network, text).await.unwrap();
        assert!(parameters(&network).contains("BODY=8BITMIME"));

        let script = Script::default().without("8BITMIME");
        let network = Network::new(Double::new(Plan::healthy()).with_script(script));
        let error = send(&network, text).await.unwrap_err();
        assert!(matches!(error.kind(), FailureKind::Unsupported(_)));
        assert_eq!(error.phase(), Phase::Mail);
        // A reader shows what it has only on the way: the call ends before such an octet leaves.
        let error = send(&network, Message::reader(text.as_bytes()))
            .await
            .unwrap_err();
        assert!(matches!(error.kind(), FailureKind::Unsupported(_)));
        assert_eq!(error.phase(), Phase::DataBlock);
        sleep(Duration::from_secs(60)).await;
        assert!(mailbox(&network).is_empty());
        // What is 7-bit all the way is fine.
        let plain = Message::reader(&b"Subject: x\r\n\r\nplain\r\n"[..]);
        let _ = send(&network, plain).await.unwrap();
        assert_eq!(mailbox(&network).len(), 1);
    });
}

#[test]
fn a_caller_who_says_that_a_reader_is_seven_bit_is_taken_at_their_word() {
    paused(async {
        let script = Script::default().without("8BITMIME");
        let network = Network::new(Double::new(Plan::healthy()).with_script(script));
        let mut connection = connect(&network).await;
        let envelope = envelope();
        let transaction = connection.transaction(&envelope).unwrap();
        let text = "Subject: x\r\n\r\nGr\u{fc}\u{df}e\r\n";
        let message = Message::reader(text.as_bytes());
        let sent = transaction.body(BodyType::SevenBit);
        let sent = sent.send(message, Duration::from_secs(60)).await;
        assert!(sent.is_ok(), "{sent:?}");
        assert_eq!(network.double().ledger().committed(), 1);
    });
}

#[test]
fn only_what_goes_in_chunks_is_gathered_before_it_leaves() {
    for (script, chunking) in [
        (Script::full(), Chunking::Never),
        (Script::default(), Chunking::IF_OFFERED),
    ] {
        paused(async {
            let network = Network::new(Double::new(Plan::healthy()).with_script(script));
            let mut connection = connect(&network).await;
            let (mut source, reader) = tokio::io::duplex(64);
            let envelope = envelope();
            let begun = Instant::now();
            let mut first = None;
            let transaction = connection.transaction(&envelope).unwrap();
            let transaction = transaction.chunking(chunking).on_progress(|_| {
                first.get_or_insert_with(|| begun.elapsed());
            });
            let sent = transaction.send(Message::reader(reader), Duration::from_secs(60));
            let writes = async move {
                source.write_all(b"Subject: x\r\n\r\n").await.unwrap();
                sleep(Duration::from_secs(5)).await;
                source.write_all(b"y\r\n").await.unwrap();
            };
            let (sent, ()) = tokio::join!(sent, writes);
            assert!(sent.is_ok());
            assert!(first.unwrap() < Duration::from_secs(1), "{chunking:?}");
        });
    }
}

#[test]
fn a_bare_line_ending_becomes_crlf_or_is_refused_by_choice() {
    paused(async {
        let network = healthy();
        let _ = send(&network, "a\nb\rc\r\n.\n").await.unwrap();
        assert_eq!(mailbox(&network), [b"a\r\nb\r\nc\r\n.\r\n"]);

        let network = healthy();
        let mut connection = connect(&network).await;
        let envelope = envelope();
        let error = connection
            .transaction(&envelope)
            .unwrap()
            .line_endings(LineEndings::Refuse)
            .send("fine\r\nnot\n", Duration::from_secs(60))
            .await
            .unwrap_err();
        assert!(matches!(error.kind(), FailureKind::Message(_)));
        assert!(error.is_permanent());
        assert!(std::error::Error::source(&error).is_some());
        assert!(mailbox(&network).is_empty());
    });
}

#[test]
fn progress_counts_every_octet_that_left() {
    paused(async {
        let network = Network::new(Double::new("v1 | link: window 1000".parse().unwrap()));
        let mut connection = connect(&network).await;
        let envelope = envelope();
        let message = "0123456789\r\n".repeat(2_000);
        let mut seen = Vec::new();
        let receipt = connection
            .transaction(&envelope)
            .unwrap()
            .body(BodyType::SevenBit)
            .on_progress(|progress| seen.push(progress))
            .send(&message[..], Duration::from_secs(600))
            .await
            .unwrap();
        assert!(seen.len() > 10);
        assert!(seen[0].octets > 0, "before any of it has left");
        assert!(seen.windows(2).all(|pair| pair[0].octets < pair[1].octets));
        assert_eq!(seen.last().unwrap().octets, receipt.octets());
        assert_eq!(receipt.octets(), message.len() as u64 + 3);
        assert!(seen.iter().all(|p| p.size == Some(message.len() as u64)));
    });
}

#[test]
fn the_debug_form_of_a_message_has_none_of_it() {
    for message in [
        Message::from("Subject: secret\r\n"),
        Message::from(Bytes::from_static(b"Subject: secret\r\n")),
        Message::reader(&b"Subject: secret\r\n"[..]),
    ] {
        assert!(!format!("{message:?}").contains("secret"));
    }
}

#[test]
fn every_call_can_be_moved_to_another_task() {
    fn moves<T: Send + 'static>(_: T) {}
    let client = Client::new("mx.example", 25).unwrap();
    let envelope = envelope();
    moves(async move {
        let mut connection = client.connect(Duration::from_secs(1)).await?;
        let transaction = connection.transaction(&envelope)?;
        let receipt = transaction.send("x", Duration::from_secs(1)).await?;
        connection.reset(Duration::from_secs(1)).await?;
        connection.quit(Duration::from_secs(1)).await;
        let again = client.send(&envelope, "x", Duration::from_secs(1)).await?;
        Ok::<_, Error>((receipt, again))
    });
}

/// Offers what RFC 3030 has.
fn chunking() -> Network {
    let script = Script::default().with("CHUNKING").with("BINARYMIME");
    Network::new(Double::new(Plan::healthy()).with_script(script))
}

/// The commands that announce chunks, as the server saw them.
fn chunks(network: &Network) -> Vec<String> {
    let trace = network.double().trace().to_string();
    let lines = trace.lines().filter_map(|line| line.split_once("BDAT "));
    lines
        .map(|(_, rest)| rest.trim_end_matches(['"', '\\']).to_owned())
        .collect()
}

async fn send_in_chunks(network: &Network, most: Chunking, message: Message<'_>) -> Receipt {
    let client = Client::builder("mx.example", 25)
        .connector(network.connector())
        .chunking(most)
        .build()
        .unwrap();
    let bounds = Duration::from_secs(600);
    client.send(&envelope(), message, bounds).await.unwrap()
}

#[test]
fn a_message_in_memory_goes_in_one_chunk_or_in_as_many_as_one_asks_for() {
    let message = b"Subject: x\r\n\r\n.hidden\r\nunended";
    let arrived = [message.as_slice(), b"\r\n"].concat();
    for (most, count) in [(Chunking::IF_OFFERED, 1), (Chunking::UpTo(10), 3)] {
        paused(async {
            let network = chunking();
            let receipt = send_in_chunks(&network, most, message.into()).await;
            assert_eq!(receipt.octets(), arrived.len() as u64);
            assert_eq!(mailbox(&network), [arrived.as_slice()]);
            assert_eq!(chunks(&network).len(), count, "{:?}", chunks(&network));
        });
    }
}

#[test]
fn a_reader_s_octets_are_gathered_into_chunks() {
    let pieces = || {
        let line = b"0123456789abcde\n".repeat(64);
        Pieces((0..600).map(|_| Ok(line.clone())).collect())
    };
    paused(async {
        // 600 KiB of lines that end with LF: two whole chunks of 256 KiB, and the rest.
        let network = chunking();
        let whole = b"0123456789abcde\r\n".repeat(64 * 600);
        let _ = send_in_chunks(&network, Chunking::IF_OFFERED, Message::reader(pieces())).await;
        assert!(mailbox(&network) == [whole.as_slice()]);
        let said = chunks(&network);
        assert_eq!(said.len(), 3, "{said:?}");
        // Of an unknown length that ends just there: a last one of nothing.
        let network = chunking();
        let mut exact = pieces();
        exact.0.truncate(256);
        let _ = send_in_chunks(&network, Chunking::IF_OFFERED, Message::reader(exact)).await;
        let said = chunks(&network);
        assert!(said.len() == 2 && said[1].starts_with("0 LAST"), "{said:?}");
    });
}

#[test]
fn binary_mail_data_arrives_octet_for_octet() {
    paused(async {
        let network = chunking();
        let message = b"Subject: x\r\n\r\n\x00\n.\r\r\n.\xff";
        let envelope = envelope();
        let mut connection = connect(&network).await;
        let transaction = connection.transaction(&envelope).unwrap();
        let bounds = Duration::from_secs(60);
        let _ = transaction
            .body(BodyType::BinaryMime)
            .send(message, bounds)
            .await
            .unwrap();
        assert_eq!(mailbox(&network), [message]);
        assert_eq!(
            parameters(&network),
            format!("SIZE={} BODY=BINARYMIME", message.len())
        );
    });
}
