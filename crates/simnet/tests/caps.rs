//! A double is attacked by the clients it tests: nothing of it grows with what they do.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has to fail"
)]

use std::time::Duration;

use postbound_simnet::double::{Caps, SmtpDouble};
use postbound_simnet::net::loopback::{CONNECTIONS, LIFE};
use postbound_simnet::{Phase, Triggers};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

fn paused<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}

fn real<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// The codes of one message of so many octets.
async fn message(
    double: &SmtpDouble<postbound_simnet::net::mem::Network>,
    octets: usize,
) -> String {
    let text = format!("{}\r\n.", "x".repeat(octets));
    let lines = ["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA", &text];
    double.converse(lines).await[5][..3].to_owned()
}

#[test]
fn a_mailbox_that_is_full_by_octets_says_so_and_takes_what_still_fits() {
    paused(async {
        let mut caps = Caps::default();
        caps.mailbox_octets = 1_000;
        let double = SmtpDouble::builder().caps(caps).in_memory();
        // Kept as it is and as it was sent.
        assert_eq!(message(&double, 400).await, "250");
        assert_eq!(message(&double, 200).await, "452");
        assert_eq!(message(&double, 50).await, "250");
        assert_eq!(double.received().len(), 2);
    });
}

#[test]
fn the_transcript_forgets_the_oldest_octets_first() {
    paused(async {
        let mut caps = Caps::default();
        caps.transcript_octets = 2_000;
        let double = SmtpDouble::builder().caps(caps).in_memory();
        let long = format!("NOOP {}", "x".repeat(300));
        double.converse(vec![long.as_str(); 40]).await;
        let entries = double.double().trace().entries();
        let octets: usize = entries.iter().map(|entry| entry.event.detail().len()).sum();
        // What is shown is a little more than what was said.
        assert!(octets > 1_000 && octets < 4_000, "{octets}");
        assert!(
            !entries
                .iter()
                .any(|entry| entry.event.detail().contains("220 ")),
            "the greeting is long gone"
        );
    });
}

#[test]
fn a_command_line_without_end_is_cut_off() {
    paused(async {
        let double = SmtpDouble::in_memory();
        let mut client = double.connect().await.unwrap();
        let mut written = 0;
        while written < 1_000_000 && client.write_all(&[b'x'; 1_000]).await.is_ok() {
            written += 1_000;
        }
        let mut said = Vec::new();
        let _ = client.read_to_end(&mut said).await;
        assert!(written < 200_000, "{written} octets were taken");
        assert!(double.idle_within(Duration::from_secs(1)).await);
    });
}

#[test]
fn whoever_comes_when_a_greylist_is_full_is_greylisted_and_nothing_more_is_kept() {
    paused(async {
        let double = SmtpDouble::in_memory();
        double
            .on(Phase::Rcpt)
            .greylist(Duration::from_secs(60))
            .mount();
        // 1,000 recipients a transaction is the cap of another resource.
        for round in 0..5 {
            let mut lines = vec!["EHLO me".to_owned(), format!("MAIL FROM:<{round}@x>")];
            lines.extend((0..1_000).map(|number| format!("RCPT TO:<{number}@x>")));
            assert!(double.converse(lines).await[1_001].starts_with("451"));
        }
        sleep(Duration::from_secs(61)).await;
        let first = ["EHLO me", "MAIL FROM:<0@x>", "RCPT TO:<0@x>"];
        assert!(double.converse(first).await[3].starts_with("250"));
        let last = ["EHLO me", "MAIL FROM:<4@x>", "RCPT TO:<999@x>"];
        assert!(double.converse(last).await[3].starts_with("451"));
    });
}

#[test]
fn one_transaction_asks_for_so_many_faults_and_no_more() {
    paused(async {
        let double = SmtpDouble::builder()
            .triggers(Triggers::default())
            .in_memory();
        let mut lines = vec!["EHLO me".to_owned(), "MAIL FROM:<a@x>".to_owned()];
        lines.extend((0..150).map(|number| format!("RCPT TO:<rcpt451+{number}@x>")));
        let replies = double.converse(lines).await;
        let refused =
            |replies: &[String]| replies.iter().filter(|it| it.starts_with("451")).count();
        assert_eq!(refused(&replies), 100, "the rest are names like any other");
    });
}

#[test]
fn so_many_connections_are_served_and_the_next_when_one_has_gone() {
    real(async {
        let double = SmtpDouble::start().await.unwrap();
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut stream = TcpStream::connect(double.address()).await.unwrap();
            assert_eq!(stream.read_u8().await.unwrap(), b'2');
            held.push(stream);
        }
        let mut next = TcpStream::connect(double.address()).await.unwrap();
        tokio::select! {
            biased;
            _ = next.read_u8() => panic!("one too many was served"),
            () = sleep(Duration::from_millis(50)) => {}
        }
        held.pop();
        assert_eq!(next.read_u8().await.unwrap(), b'2');
    });
}

#[test]
fn a_connection_that_is_never_ended_is_ended_and_gives_its_place_back() {
    paused(async {
        let double = SmtpDouble::start().await.unwrap();
        double.on(Phase::Greeting).then_stall().mount();
        let begun = Instant::now();
        let mut stream = TcpStream::connect(double.address()).await.unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
        assert!(said.starts_with(b"220 "), "{}", said.escape_ascii());
        assert!(begun.elapsed() >= LIFE);
        assert!(double.idle_within(Duration::from_secs(1)).await);
    });
}
