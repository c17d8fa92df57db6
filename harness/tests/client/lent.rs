//! What a pool lends: which connection, within which limits, and what is told of it afterwards.

use std::time::Duration;

use postbound::{
    Bounds, Chunking, Client, ClientBuilder, Envelope, Error, Mail, Phase, Pool, Receipt, Require,
    Timeouts,
};
use postbound_harness::run::paused;
use postbound_harness::run::several::Several;
use simnet::net::mem::Network;
use simnet::{Double, Plan, Script};
use tokio::time::{Instant, sleep, sleep_until};

const MESSAGE: &str = "Subject: one\r\n\r\nand only one\r\n";

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn envelope(recipients: usize) -> Envelope {
    let to = (1..=recipients).map(|n| format!("r{n}@double.example").parse().unwrap());
    Envelope::new("a@client.example".parse().unwrap(), to).unwrap()
}

fn network<const N: usize>(plans: [&str; N]) -> Several {
    Several::new(plans.map(|plan| plan.parse().unwrap()))
}

fn client(network: &Several) -> ClientBuilder<Several> {
    Client::builder("double.example", 25)
        .timeouts(Timeouts::uniform(ms(2_000)).unwrap())
        .connector(network.clone())
}

fn pool(network: &Several, size: usize) -> Pool<Several> {
    Pool::builder(client(network).build().unwrap())
        .size(size)
        .build()
}

async fn send(pool: &Pool<Several>) -> Result<Receipt, Error> {
    pool.send(&envelope(1), MESSAGE, Bounds::none()).await
}

#[test]
fn a_connection_is_kept_until_its_limit_and_not_in_the_instant_of_it() {
    for (rest, connections) in [(999, 1), (1_000, 2)] {
        // Each limit alone: from the last use, and from when it was opened.
        paused(async {
            let network = network(["v1"]);
            let client = client(&network).build().unwrap();
            let pool = Pool::builder(client).idle(ms(1_000)).build();
            let _ = send(&pool).await.unwrap();
            sleep(ms(rest)).await;
            let _ = send(&pool).await.unwrap();
            assert_eq!(network.connections(), connections, "at rest for {rest} ms");
        });
        paused(async {
            let network = network(["v1"]);
            let client = client(&network).build().unwrap();
            let pool = Pool::builder(client).age(ms(1_000)).build();
            // It is there after a round trip.
            let opened = Instant::now() + ms(2);
            assert_eq!(pool.warm(1, Bounds::none()).await.unwrap(), 1);
            sleep_until(opened + ms(rest)).await;
            let _ = send(&pool).await.unwrap();
            assert_eq!(network.connections(), connections, "{rest} ms old");
        });
    }
}

#[test]
fn what_is_warm_or_in_use_already_is_not_opened_again() {
    // How many are at rest and in use, and how many shall be at rest, of six.
    for (idle, in_use, count, then) in [
        (1, 0, 2, 2),
        (1, 1, 2, 2),
        (3, 2, 4, 4),
        (5, 0, 6, 6),
        (2, 2, 6, 4),
        (1, 3, 6, 3),
    ] {
        paused(async {
            let network = network(["v1"]);
            let pool = pool(&network, 6);
            assert_eq!(
                pool.warm(idle + in_use, Bounds::none()).await.unwrap(),
                idle + in_use
            );
            let mut lent = Vec::new();
            for _ in 0..in_use {
                lent.push(pool.checkout(Bounds::none()).await.unwrap());
            }
            let begun = Instant::now();
            let warm = pool.warm(count, Bounds::none()).await.unwrap();
            assert_eq!(
                warm, then,
                "{idle} at rest, {in_use} in use, {count} wanted"
            );
            assert!(begun.elapsed() < ms(50), "waited for a slot");
            let opened = u32::try_from(then + in_use).unwrap();
            assert_eq!(network.connections(), opened);
        });
    }
}

#[test]
fn a_checkout_in_vain_says_of_which_server_and_how_long_it_took() {
    paused(async {
        let network = network(["v1"]);
        let pool = pool(&network, 1);
        let held = pool.checkout(Bounds::none()).await.unwrap();
        let error = send(&pool).await.unwrap_err();
        assert_eq!(error.phase(), Phase::Checkout);
        assert_eq!(error.endpoint(), "double.example:25");
        assert_eq!(error.elapsed(), ms(2_000));
        assert_eq!(error.timings().of(Phase::Checkout), Some(ms(2_000)));
        drop(held);
    });
}

#[test]
fn the_wait_for_a_slot_is_in_the_times_of_what_comes_behind_it() {
    for second in ["v1", "v1 | greeting: close"] {
        paused(async {
            let network = network(["v1 | data-termination: after 500ms", second]);
            let client = client(&network).build().unwrap();
            let pool = Pool::builder(client).size(1).messages(1).build();
            let first = pool.clone();
            let first = tokio::spawn(async move { send(&first).await });
            sleep(ms(100)).await;
            let (timings, elapsed) = match send(&pool).await {
                Ok(receipt) => (*receipt.timings(), receipt.elapsed()),
                Err(error) => (*error.timings(), error.elapsed()),
            };
            let waited = timings.of(Phase::Checkout).unwrap();
            assert!(waited >= ms(400), "{second}: {waited:?}");
            assert!(timings.of(Phase::Connect).is_some(), "{second}");
            assert!(elapsed >= waited, "{second}: {elapsed:?}");
            assert!(first.await.unwrap().is_ok());
        });
    }
}

#[test]
fn what_came_before_the_first_message_is_not_told_of_the_next_ones() {
    paused(async {
        let network = network(["v1 | connect: after 300ms | greeting: after 200ms"]);
        let pool = pool(&network, 1);
        let mails = (0..3).map(|_| Mail::new(envelope(1), MESSAGE));
        let mut all = pool.send_all(mails, Bounds::none());
        let mut greetings = Vec::new();
        while let Some(sent) = all.next().await {
            greetings.push(sent.result.unwrap().timings().of(Phase::Greeting));
        }
        assert!(greetings[0].is_some_and(|greeting| greeting >= ms(200)));
        assert_eq!(greetings[1..], [None, None]);
    });
}

#[test]
fn a_message_of_a_pool_goes_as_its_clients_would() {
    paused(async {
        let network = network(["v1 | rcpt#2: reply 550 5.1.1 nobody"]);
        let client = client(&network).require(Require::AllRecipients);
        let pool = Pool::new(client.build().unwrap());
        let result = pool.send(&envelope(2), MESSAGE, Bounds::none()).await;
        assert!(result.unwrap_err().is_refused());
        assert!(network.deliveries().is_empty());
    });
    // A connection that was at rest makes no BDAT of what is to be DATA.
    paused(async {
        let network = Network::new(Double::new(Plan::healthy()).with_script(Script::full()));
        let client = Client::builder("double.example", 25).connector(network.connector());
        let pool = Pool::new(client.build().unwrap());
        for _ in 0..2 {
            let envelope = envelope(1);
            let sent = pool.send(&envelope, MESSAGE, Bounds::none());
            let _ = sent.await.unwrap();
        }
        assert_eq!(network.double().ledger().connections(), 1);
        let said = network.double().trace().to_string();
        assert_eq!(
            (said.matches("DATA").count(), said.matches("BDAT").count()),
            (2, 0)
        );
    });
}

/// How many messages are taken at once over one connection to a server that offers this.
fn taken_at_once(chunking: Chunking, script: Script) -> usize {
    paused(async {
        let network = Several::of([Double::new(Plan::healthy()).with_script(script)]);
        let client = client(&network).chunking(chunking).build().unwrap();
        let pool = Pool::builder(client).size(1).build();
        let mails = (0..100).map(|_| Mail::new(envelope(1), MESSAGE));
        let mut all = pool.send_all(mails, Bounds::none());
        for _ in 0..3 {
            let _ = all.next().await.unwrap().result.unwrap();
        }
        all.taken() - 3
    })
}

#[test]
fn a_window_of_messages_is_taken_only_where_they_may_go_ahead() {
    let full = Script::full;
    assert_eq!(taken_at_once(Chunking::Ahead(7), full()), 7);
    assert_eq!(taken_at_once(Chunking::IF_OFFERED, full()), 2);
    let without = |keyword| taken_at_once(Chunking::Ahead(7), full().without(keyword));
    assert_eq!(without("CHUNKING"), 2);
    assert_eq!(without("PIPELINING"), 2);
}

#[test]
fn what_is_lent_and_what_sends_can_be_shown() {
    paused(async {
        let network = network(["v1"]);
        let pool = pool(&network, 3);
        let lent = pool.checkout(Bounds::none()).await.unwrap();
        let shown = format!("{lent:?}");
        assert!(shown.starts_with("Pooled { connection: "), "{shown}");
        let shown = format!("{pool:?}");
        assert!(shown.starts_with("Pool { settings: "), "{shown}");
        assert!(shown.contains("size: 3"), "{shown}");
        let all = pool.send_all([], Bounds::none());
        let shown = format!("{all:?}");
        assert!(shown.starts_with("SendAll {"), "{shown}");
    });
}
