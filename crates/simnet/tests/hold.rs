//! Replies that are held until the test lets them go: no clock says when the server speaks.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has to fail"
)]

mod common;

use std::time::Duration;

use common::{Client, greeted, paused, real};
use postbound_simnet::double::SmtpDouble;
use postbound_simnet::{Event, Phase};
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_reply_is_held_until_the_test_lets_it_go_and_what_is_held_is_in_the_mailbox() {
    paused(async {
        let double = SmtpDouble::in_memory();
        let held = double
            .on(Phase::DataTermination)
            .named("final")
            .hold()
            .scoped();
        let mut client = greeted(&double, "c.example").await;
        let client = async { client.send("a@x", &["b@x"], "t").await };
        let test = async {
            assert_eq!(held.waiting(), [0; 0]);
            assert_eq!(held.waiting_within(1, SOON).await, [1]);
            assert_eq!((double.received().len(), held.strikes()), (1, 1));
            let last = double.verify().transcript.pop().unwrap();
            assert_eq!(last.event, Event::Held);
            // However long the test takes.
            tokio::time::sleep(Duration::from_secs(3_000)).await;
            assert_eq!(held.waiting(), [1]);
            assert_eq!(held.release(), [1]);
            assert_eq!(held.waiting(), [0; 0]);
        };
        let begun = Instant::now();
        let (codes, ()) = tokio::join!(client, test);
        assert_eq!(codes, ["250", "250", "354", "250"]);
        let late = begun.elapsed() - Duration::from_secs(3_000);
        assert!(late < Duration::from_millis(20), "{late:?}");
        // It is open for good.
        let mut next = greeted(&double, "c.example").await;
        assert_eq!(next.send("a@x", &["b@x"], "t").await.len(), 4);
        assert_eq!(held.strikes(), 2);
    });
}

#[test]
fn whoever_has_waited_for_longest_goes_first_and_the_others_go_on_waiting() {
    paused(async {
        let double = SmtpDouble::in_memory();
        let held = double
            .on(Phase::Mail)
            .reply(451, "4.3.0 not now")
            .hold()
            .then_close()
            .scoped();
        let one = async |number| {
            tokio::time::sleep(Duration::from_millis(10) * number).await;
            let mut client = greeted(&double, "c.example").await;
            (client.say("MAIL FROM:<a@x>").await, client.reply().await)
        };
        let clients = async { tokio::join!(one(1), one(2), one(3)) };
        let test = async {
            assert_eq!(held.waiting_within(3, SOON).await, [1, 2, 3]);
            assert_eq!(held.release_one(), Some(1));
            assert_eq!(held.waiting(), [2, 3]);
            tokio::time::sleep(SOON).await;
            assert_eq!(double.double().ledger().open_connections(), 2);
            held.release();
            assert_eq!(held.release_one(), None);
        };
        let (replies, ()) = tokio::join!(clients, test);
        let said = ("451 4.3.0 not now".to_owned(), "<end>".to_owned());
        assert_eq!(replies, (said.clone(), said.clone(), said));
    });
}

#[test]
fn a_rule_that_is_taken_away_lets_go_what_it_held() {
    paused(async {
        let double = SmtpDouble::in_memory();
        let mut client = greeted(&double, "c.example").await;
        for way in ["unmount", "guard", "reset", "clear"] {
            let guard = double.scoped_rule("rcpt: hold").unwrap();
            let test = async {
                assert_eq!(guard.waiting_within(1, SOON).await, [1], "{way}");
                match way {
                    "unmount" => assert!(double.unmount(guard.id())),
                    "guard" => drop(guard),
                    "reset" => double.reset(),
                    _ => double.double().rules().clear(),
                }
            };
            let (codes, ()) = tokio::join!(client.send("a@x", &["b@x"], "t"), test);
            assert_eq!(codes, ["250", "250", "354", "250"], "{way}");
        }
    });
}

#[test]
fn a_rule_that_holds_is_counted_and_expected_like_any_other() {
    paused(async {
        let double = SmtpDouble::in_memory();
        let rule = "rcpt[bob@x, times 2]: hold";
        let id = double.rule(rule).unwrap();
        let rules = double.double().rules();
        let mut client = greeted(&double, "c.example").await;
        let (codes, waiting) = tokio::join!(client.send("a@x", &["eve@x", "bob@x"], "t"), async {
            let waiting = rules.waiting_within(id, 1, SOON).await;
            rules.release_one(id);
            waiting
        });
        assert_eq!((codes.len(), waiting), (5, vec![1]));
        let verified = double.verify();
        assert!(!verified.holds());
        assert!(
            verified.to_string().contains("struck 1 times, expected 2"),
            "{verified}"
        );
        assert_eq!(verified.rules[0].rule, "rcpt[bob@x, times 2]: normal; hold");
        // Nobody comes: the wait has an end.
        let begun = Instant::now();
        assert_eq!(rules.waiting_within(id, 1, SOON).await, [0; 0]);
        assert_eq!(begun.elapsed(), SOON);
        // A rule that holds nothing is not waited for, and there is nothing to let go.
        let other = double.rule("mail: reply 451 no").unwrap();
        assert_eq!(rules.waiting_within(other, 1, SOON).await, [0; 0]);
        assert_eq!((begun.elapsed(), rules.release(other)), (SOON, None));
    });
}

#[test]
fn what_is_said_in_the_middle_of_the_mail_data_is_held_too() {
    paused(async {
        let double = SmtpDouble::in_memory();
        let rule = "data-block: interrupt after 3; reply 552 5.3.4 stop; hold; close";
        let held = double.scoped_rule(rule).unwrap();
        let mut client = greeted(&double, "c.example").await;
        let (codes, ()) = tokio::join!(client.send("a@x", &["b@x"], "text"), async {
            assert_eq!(held.waiting_within(1, SOON).await, [1]);
            held.release();
        });
        assert_eq!(codes.last().unwrap(), "552");
    });
}

#[test]
fn a_client_that_is_gone_by_then_is_told_nothing_and_its_connection_ends() {
    paused(async {
        let double = SmtpDouble::in_memory();
        let held = double.on(Phase::Mail).hold().scoped();
        let mut client = greeted(&double, "c.example").await;
        tokio::select! {
            _ = client.say("MAIL FROM:<a@x>") => panic!("it was not held"),
            waiting = held.waiting_within(1, SOON) => assert_eq!(waiting, [1]),
        }
        drop(client);
        // A server that says nothing does not notice.
        assert!(!double.idle_within(SOON).await);
        held.release();
        assert!(double.idle_within(SOON).await);
    });
}

#[test]
fn on_real_sockets_a_reply_is_held_and_a_double_that_is_dropped_holds_nobody() {
    real(async {
        let double = SmtpDouble::start().await.unwrap();
        let held = double.on(Phase::Greeting).hold().scoped();
        let open = async || {
            let stream = tokio::net::TcpStream::connect(double.address()).await;
            Client(stream.unwrap())
        };
        let (mut first, mut second) = (open().await, open().await);
        assert_eq!(held.waiting_within(2, SOON).await.len(), 2);
        assert_eq!(held.release_one(), Some(1));
        assert!(first.reply().await.starts_with("220"));
        assert_eq!(held.waiting(), [2]);
        drop(double);
        let ended = second.reply().await;
        assert!(ended.starts_with('<'), "{ended}");
        assert_eq!(held.waiting_within(0, SOON).await, [0; 0]);
    });
}

#[cfg(feature = "turmoil")]
#[test]
fn in_a_simulation_it_is_the_same_and_in_virtual_time() {
    let mut sim = turmoil::Builder::new()
        .simulation_duration(Duration::from_secs(60))
        .tick_duration(Duration::from_millis(10))
        .build();
    let double = SmtpDouble::turmoil("mx1");
    double.network().host(&mut sim);
    let held = double.on(Phase::DataTermination).hold().scoped();
    sim.client("client", async {
        let stream = turmoil::net::TcpStream::connect("mx1:25").await?;
        let mut client = Client(stream);
        client.reply().await;
        client.say("EHLO c.example").await;
        let begun = Instant::now();
        assert_eq!(client.send("a@x", &["b@x"], "t").await.len(), 4);
        assert!(begun.elapsed() >= Duration::from_secs(30));
        Ok(())
    });
    sim.client("test", async move {
        assert_eq!(held.waiting_within(1, SOON).await, [1]);
        tokio::time::sleep(Duration::from_secs(30)).await;
        held.release();
        Ok(())
    });
    sim.run().unwrap();
    assert_eq!(double.received().len(), 1);
}

#[test]
fn a_thousand_clients_that_wait_are_let_go_in_their_order() {
    paused(async {
        let double = SmtpDouble::in_memory();
        let held = double.on(Phase::Greeting).hold().scoped();
        let mut clients = Vec::new();
        for _ in 0..1_000 {
            clients.push(Client(double.connect().await.unwrap()));
        }
        let waiting = held.waiting_within(1_000, SOON).await;
        assert!(waiting.is_sorted() && waiting.len() == 1_000);
        for (number, client) in (1..).zip(&mut clients) {
            assert_eq!(held.release_one(), Some(number));
            assert!(client.reply().await.starts_with("220"));
        }
    });
}
