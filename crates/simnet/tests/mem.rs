//! The in-memory network: what it takes from TCP, pinned from both sides.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has to fail"
)]

use std::io::ErrorKind;
use std::time::Duration;

use postbound_simnet::net::mem::{Network, Stream};
use postbound_simnet::{Double, Plan, Script};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

fn paused<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}

async fn open(plan: &str) -> (Network, Stream) {
    let network = Network::new(Double::new(plan.parse().unwrap()));
    let connector = network.connector();
    let address = connector.resolve("mx.example", 25).await.unwrap()[0];
    let stream = connector.connect(address).await.unwrap();
    (network, stream)
}

async fn reply(stream: &mut Stream) -> String {
    let mut text = String::new();
    loop {
        let mut octet = [0];
        stream.read_exact(&mut octet).await.unwrap();
        text.push(char::from(octet[0]));
        let last = text.lines().last().unwrap_or_default();
        if text.ends_with("\r\n") && last.as_bytes().get(3) == Some(&b' ') {
            return text;
        }
    }
}

async fn say(stream: &mut Stream, line: &str) -> String {
    stream.write_all(line.as_bytes()).await.unwrap();
    reply(stream).await
}

/// What happens within a virtual day, if anything does.
#[expect(clippy::disallowed_methods, reason = "a test may wait as it likes")]
async fn within_a_day<T>(future: impl Future<Output = T>) -> Option<T> {
    timeout_at(Instant::now() + Duration::from_secs(86_400), future)
        .await
        .ok()
}

#[test]
fn a_connection_takes_one_round_trip_and_a_greeting_half_of_one_more() {
    paused(async {
        let begun = Instant::now();
        let (_network, mut stream) = open("v1 | link: latency 7ms").await;
        assert_eq!(begun.elapsed(), Duration::from_millis(14));
        assert_eq!(reply(&mut stream).await, "220 double.example ESMTP\r\n");
        assert_eq!(begun.elapsed(), Duration::from_millis(21));
        assert!(say(&mut stream, "NOOP\r\n").await.starts_with("250"));
        assert_eq!(begun.elapsed(), Duration::from_millis(35));
    });
}

#[test]
fn a_refused_connection_takes_a_round_trip_and_a_blackholed_one_never_ends() {
    paused(async {
        let network = Network::new(Double::new(
            "v1 | resolve: addresses 2 | connect#1: refuse | connect#2: blackhole"
                .parse()
                .unwrap(),
        ));
        let connector = network.connector();
        let addresses = connector.resolve("mx.example", 25).await.unwrap();
        let begun = Instant::now();
        assert_eq!(
            connector.connect(addresses[0]).await.unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
        assert_eq!(begun.elapsed(), Duration::from_millis(2));
        assert!(
            within_a_day(connector.connect(addresses[1]))
                .await
                .is_none()
        );
    });
}

#[test]
fn the_window_blocks_a_writer_at_exactly_its_size_and_reading_opens_it() {
    paused(async {
        let (network, mut stream) = open("v1 | link: window 100 | greeting: after 10s").await;
        let begun = Instant::now();
        let first = stream.write(&[b'x'; 300]).await.unwrap();
        assert_eq!(first, 100);
        let second = stream.write(&[b'x'; 300]).await.unwrap();
        assert_eq!(
            begun.elapsed(),
            Duration::from_secs(10),
            "the server reads behind its greeting"
        );
        assert!(second > 0);
        assert_eq!(network.client_octets(), 100 + second as u64);
    });
}

#[test]
fn a_reset_wakes_a_blocked_writer() {
    paused(async {
        let (_network, mut stream) =
            open("v1 | link: window 10 | greeting: nothing; after 5s; reset").await;
        let begun = Instant::now();
        stream.write_all(&[b'x'; 10]).await.unwrap();
        assert_eq!(
            stream.write(b"x").await.unwrap_err().kind(),
            ErrorKind::ConnectionReset
        );
        assert_eq!(begun.elapsed(), Duration::from_millis(5_001));
        assert_eq!(
            stream.read(&mut [0; 10]).await.unwrap_err().kind(),
            ErrorKind::ConnectionReset
        );
    });
}

#[test]
fn a_reset_comes_behind_the_octets_that_were_delivered_before_it() {
    paused(async {
        // Whether they are read as they come, or long behind it, or a write has met it first.
        for (wait, write) in [(0, false), (1_000, false), (1_000, true)] {
            let (_network, mut stream) = open("v1 | greeting: normal; reset").await;
            tokio::time::sleep(Duration::from_millis(wait)).await;
            if write {
                let met = stream.write(b"x").await.unwrap_err();
                assert_eq!(met.kind(), ErrorKind::ConnectionReset);
            }
            let mut all = Vec::new();
            let end = stream.read_to_end(&mut all).await.unwrap_err();
            assert_eq!(all, b"220 double.example ESMTP\r\n");
            assert_eq!(end.kind(), ErrorKind::ConnectionReset);
        }
    });
}

#[test]
fn a_close_comes_behind_the_octets_that_were_said_before_it() {
    paused(async {
        let (_network, mut stream) = open("v1 | greeting: normal; close").await;
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"220 double.example ESMTP\r\n");
    });
}

#[test]
fn what_is_written_to_a_closed_socket_is_answered_by_a_reset() {
    paused(async {
        let (_network, mut stream) = open("v1 | greeting: close").await;
        assert_eq!(stream.read(&mut [0; 10]).await.unwrap(), 0);
        stream.write_all(b"EHLO me\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(
            stream.write(b"x").await.unwrap_err().kind(),
            ErrorKind::ConnectionReset
        );
    });
}

#[test]
fn single_octets_are_read_where_the_plan_says_so() {
    paused(async {
        let (_network, mut stream) = open("v1 | link: fragment 1 to-client").await;
        let mut buffer = [0; 100];
        for _ in 0..10 {
            assert_eq!(stream.read(&mut buffer).await.unwrap(), 1);
        }
    });
}

#[test]
fn pieces_end_behind_the_octets_that_the_plan_names() {
    paused(async {
        // "220 double.example ESMTP\r\n" has 26 octets: within the code, behind it, within CRLF.
        let (network, mut stream) =
            open("v1 | link: split after 2 3 25 to-client | link: split after 3 to-server").await;
        let mut buffer = [0; 100];
        for piece in ["22", "0", " double.example ESMTP\r", "\n"] {
            let read = stream.read(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..read], piece.as_bytes());
        }
        // Behind the last of them all is as usual, and the other way has its own.
        assert!(say(&mut stream, "EHLO me\r\n").await.starts_with("250-"));
        assert!(say(&mut stream, "QUIT\r\n").await.starts_with("221"));
        assert_eq!(network.double().ledger().findings(), []);
    });
}

#[test]
fn a_server_that_closes_its_side_says_no_more_and_takes_what_comes() {
    paused(async {
        let (network, mut stream) =
            open("v1 | rcpt: normal; half-close | data-initiation: endless-lines").await;
        reply(&mut stream).await;
        say(&mut stream, "EHLO me\r\n").await;
        say(&mut stream, "MAIL FROM:<a@x>\r\n").await;
        let taken = say(&mut stream, "RCPT TO:<b@x>\r\n").await;
        assert!(taken.starts_with("250"));
        let mut rest = String::new();
        assert_eq!(stream.read_to_string(&mut rest).await.unwrap(), 0);
        stream.write_all(b"DATA\r\n").await.unwrap();
        stream.write_all(b"hi\r\n.\r\nQUIT\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(network.double().ledger().deliveries().len(), 1);
        let told = network.double().trace().to_string();
        assert_eq!(told.matches("half-close").count(), 1, "{told}");
        assert!(!told.contains("354") && !told.contains("queued"), "{told}");
        assert!(told.ends_with("=== the server: close\n"), "{told}");
    });
}

#[test]
fn a_blackhole_takes_what_is_in_flight_and_gives_it_back_when_it_heals() {
    paused(async {
        let (_network, mut stream) =
            open("v1 | link: latency 10ms | link: blackhole after 5ms heal 1s to-client").await;
        let begun = Instant::now();
        reply(&mut stream).await;
        assert_eq!(begun.elapsed(), Duration::from_millis(1_005));
        let (_network, mut stream) =
            open("v1 | link: latency 10ms | link: blackhole after 5ms to-client").await;
        assert!(within_a_day(reply(&mut stream)).await.is_none());
    });
}

#[test]
fn of_two_rules_of_a_kind_the_first_acts() {
    paused(async {
        let begun = Instant::now();
        let (_network, mut stream) = open("v1 | link: latency 5ms | link: latency 80ms").await;
        reply(&mut stream).await;
        assert_eq!(begun.elapsed(), Duration::from_millis(15));
        let (_network, mut stream) = open("v1 | link: fragment 1 | link: fragment 9").await;
        assert_eq!(stream.read(&mut [0; 100]).await.unwrap(), 1);
    });
}

#[test]
fn a_drip_takes_an_interval_an_octet() {
    paused(async {
        let (_network, mut stream) = open("v1 | greeting: drip 1s").await;
        let begun = Instant::now();
        let greeting = reply(&mut stream).await;
        let expected = Duration::from_secs(greeting.len() as u64) + Duration::from_millis(1);
        assert_eq!(begun.elapsed(), expected);
    });
}

#[test]
fn a_flood_lets_time_go_on() {
    paused(async {
        let (_network, mut stream) = open("v1 | greeting: endless-lines").await;
        let begun = Instant::now();
        let mut buffer = vec![0; 65_536];
        for _ in 0..200 {
            assert!(stream.read(&mut buffer).await.unwrap() > 0);
        }
        assert!(begun.elapsed() > Duration::from_millis(10));
    });
}

#[test]
fn streams_are_counted_until_they_are_gone() {
    paused(async {
        let (network, stream) = open("v1").await;
        assert_eq!(network.client_streams(), 1);
        drop(stream);
        assert_eq!(network.client_streams(), 0);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks(),
            0
        );
        assert_eq!(network.panicked(), None);
    });
}

#[test]
fn what_a_client_does_wrong_is_found() {
    for (dialogue, finding) in [
        (&["EHLO me\n"][..], "bare LF"),
        (
            &["EHLO me\r\n", "MAIL FROM:<a@b>\r\n", "MAIL FROM:<a@b>\r\n"],
            "MAIL within a mail transaction",
        ),
        (&["EHLO me\r\n", "RCPT TO:<a@b>\r\n"], "RCPT before MAIL"),
        (&["MAIL FROM:<a@b>\r\n"], "MAIL before a successful EHLO"),
        (
            &["EHLO me\r\n", "MAIL FROM:<a@b> FUTURE=1\r\n"],
            "was not offered",
        ),
        (&["EHLO me\r\n", "FROB\r\n"], "is no command"),
        (&["EHLO me\r\nNOOP\r\n"], "PIPELINING is not in force"),
        (
            &[
                "EHLO me\r\n",
                "MAIL FROM:<a@b>\r\n",
                "RCPT TO:<a@b>\r\n",
                "DATA\r\n",
                "a\nb\r\n.\r\n",
            ],
            "bare LF",
        ),
        (
            &[
                "EHLO me\r\n",
                "MAIL FROM:<a@b>\r\n",
                "RCPT TO:<a@b>\r\n",
                "DATA\r\n",
                ".a\r\n.\r\n",
            ],
            "single dot",
        ),
        (
            &[
                "EHLO me\r\n",
                "MAIL FROM:<a@b>\r\n",
                "RCPT TO:<a@b>\r\n",
                "DATA\r\n",
                "\u{fc}\r\n.\r\n",
            ],
            "8-bit mail data",
        ),
    ] {
        paused(async {
            let (network, mut stream) = open("v1").await;
            reply(&mut stream).await;
            for line in dialogue {
                say(&mut stream, line).await;
            }
            let findings = network.double().ledger().findings();
            assert!(
                findings.iter().any(|f| f.to_string().contains(finding)),
                "{dialogue:?}: {findings:?}"
            );
        });
    }
}

#[test]
fn a_group_is_answered_in_order_and_the_message_is_kept_without_transparency() {
    paused(async {
        let (network, mut stream) = open("v1").await;
        reply(&mut stream).await;
        say(&mut stream, "EHLO me\r\n").await;
        assert!(
            say(&mut stream, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
                .await
                .starts_with("250 2.1.0")
        );
        assert!(reply(&mut stream).await.starts_with("250 2.1.5"));
        assert!(reply(&mut stream).await.starts_with("354"));
        assert!(
            say(&mut stream, "x\r\n..y\r\n.\r\n")
                .await
                .starts_with("250")
        );
        assert!(say(&mut stream, "QUIT\r\n").await.starts_with("221"));
        let deliveries = network.double().ledger().deliveries();
        assert_eq!(deliveries.len(), 1);
        assert_eq!(deliveries[0].octets, b"x\r\n.y\r\n");
        assert_eq!(
            (
                deliveries[0].reverse_path.as_str(),
                deliveries[0].forward_paths.as_slice()
            ),
            ("a@b", &["c@d".to_owned()][..])
        );
        assert_eq!(network.double().ledger().findings(), []);
    });
}

#[test]
fn a_script_can_do_without_an_extension() {
    paused(async {
        let network = Network::new(
            Double::new(Plan::healthy()).with_script(Script::default().without("PIPELINING")),
        );
        let connector = network.connector();
        let address = connector.resolve("mx.example", 25).await.unwrap()[0];
        let mut stream = connector.connect(address).await.unwrap();
        reply(&mut stream).await;
        assert!(!say(&mut stream, "EHLO me\r\n").await.contains("PIPELINING"));
    });
}
