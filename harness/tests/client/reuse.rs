//! The same pool after a send that was cancelled, timed out or dropped: nothing wrong, nothing lost,
//! nothing hung. The first reply of one kind comes 2.5 s late, message one is ended after 1 s, and
//! two and three follow.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::time::Duration;

use postbound::{Bounds, CancellationToken, Client, Envelope, Error, Outcome, Pool, Receipt};
use postbound_harness::run;
use postbound_harness::run::several::Several;
use tokio::time::{Instant, sleep};

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Cancel,
    TimeOut,
    Drop,
}

async fn send<'t>(
    pool: &Pool<Several>,
    name: &str,
    bounds: impl Into<Bounds<'t>>,
) -> Result<Receipt, Error> {
    let envelope = Envelope::new(
        format!("from-{name}@client.example").parse().unwrap(),
        [format!("to-{name}@double.example").parse().unwrap()],
    )
    .unwrap();
    let message = format!("Subject: {name}\r\n\r\n{}", "line of text\r\n".repeat(40));
    pool.send(&envelope, message, bounds).await
}

/// What the caller was told about one, two and three; `None` of what it dropped.
fn told(result: &Result<Receipt, Error>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => match error.reply() {
            Some(reply) => reply.code().to_string(),
            None => error.outcome().to_string(),
        },
    }
}

/// One row of the table: what is slow on the first connection, what is refused on every one.
fn cell(slow: &str, others: &str, told_two: &str, told_three: &str, stored: &[&str]) {
    for end in [End::Cancel, End::TimeOut, End::Drop] {
        for gap in [100, 3_000] {
            let gap = Duration::from_millis(gap);
            run::paused(async {
                let first = format!("v1 | {slow}").parse().unwrap();
                let network = Several::new([first, format!("v1{others}").parse().unwrap()]);
                let client = Client::builder("double.example", 25)
                    .connector(network.clone())
                    .build()
                    .unwrap();
                let pool = Pool::builder(client).size(1).build();
                let what = format!("{slow}, {end:?}, {gap:?}");

                let second = Duration::from_secs(1);
                let one = match end {
                    End::TimeOut => Some(send(&pool, "one", second).await),
                    End::Cancel => {
                        let token = CancellationToken::new();
                        let canceller = token.clone();
                        tokio::spawn(async move {
                            sleep(second).await;
                            canceller.cancel();
                        });
                        Some(send(&pool, "one", &token).await)
                    }
                    End::Drop => {
                        let (aborted, pool) = (Duration::from_secs(1), pool.clone());
                        let call = tokio::spawn(async move {
                            send(&pool, "one", Bounds::none()).await.is_ok()
                        });
                        sleep(aborted).await;
                        call.abort();
                        assert!(call.await.is_err(), "{what}: it ended by itself");
                        None
                    }
                };
                // It has ended in its second, and is told to be possibly accepted only if it was sent.
                let sent = slow.contains("data-termination");
                if let Some(result) = &one {
                    let error = result.as_ref().unwrap_err();
                    assert_eq!(error.is_cancelled(), end == End::Cancel, "{what}");
                    assert_eq!(error.is_timeout(), end == End::TimeOut, "{what}");
                    assert_eq!(error.outcome() == Outcome::Ambiguous, sent, "{what}");
                }
                assert_eq!(
                    (pool.in_use(), pool.idle(), network.streams()),
                    (0, 0, 0),
                    "{what}"
                );

                let mut answers = Vec::new();
                for name in ["two", "three"] {
                    sleep(gap).await;
                    let begun = Instant::now();
                    answers.push(told(&send(&pool, name, Duration::from_secs(6)).await));
                    assert!(
                        begun.elapsed() < Duration::from_millis(50),
                        "{what}: {name} took {:?}",
                        begun.elapsed()
                    );
                }
                assert_eq!(answers, [told_two, told_three], "{what}");
                sleep(Duration::from_secs(60)).await;

                // Each message is where it belongs, under its own envelope, once.
                let mut subjects = Vec::new();
                for delivery in network.deliveries() {
                    let text = String::from_utf8(delivery.octets).unwrap();
                    let name = text.lines().next().unwrap()["Subject: ".len()..].to_owned();
                    assert_eq!(delivery.reverse_path, format!("from-{name}@client.example"));
                    assert_eq!(
                        delivery.forward_paths,
                        [format!("to-{name}@double.example")]
                    );
                    subjects.push(name);
                }
                assert_eq!(subjects, stored, "{what}");
                assert_eq!(network.findings(), [], "{what}");
                // One was refused nothing that another connection would have got.
                assert_eq!(network.connections(), 2, "{what}");
            });
        }
    }
}

#[test]
fn reuse_after_a_slow_reply_to_mail() {
    cell("mail#1: after 2500ms", "", "ok", "ok", &["two", "three"]);
}

#[test]
fn reuse_after_a_slow_reply_to_rcpt() {
    cell("rcpt#1: after 2500ms", "", "ok", "ok", &["two", "three"]);
}

#[test]
fn reuse_after_a_slow_reply_to_data() {
    cell(
        "data-initiation#1: after 2500ms",
        "",
        "ok",
        "ok",
        &["two", "three"],
    );
}

#[test]
fn reuse_after_mail_data_that_is_taken_in_late() {
    cell(
        "link: window 64 | data-block: stop after 20 heal 2500ms",
        "",
        "ok",
        "ok",
        &["two", "three"],
    );
}

#[test]
fn reuse_after_a_slow_final_reply() {
    cell(
        "data-termination#1: after 2500ms",
        "",
        "ok",
        "ok",
        &["one", "two", "three"],
    );
}

#[test]
fn reuse_after_a_slow_final_reply_where_the_others_are_refused() {
    cell(
        "data-termination#1: after 2500ms | data-termination: reply 554 5.7.1 no",
        " | data-termination: reply 554 5.7.1 no",
        "554",
        "554",
        &["one"],
    );
}

#[test]
fn reuse_after_a_slow_final_reply_where_the_recipient_of_two_is_refused() {
    cell(
        "data-termination#1: after 2500ms | rcpt#2: reply 550 5.1.1 nobody",
        " | rcpt#1: reply 550 5.1.1 nobody",
        "550",
        "ok",
        &["one", "three"],
    );
}
