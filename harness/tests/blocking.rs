//! The blocking calls on real sockets: the same bounds, cancellation and truth.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::time::Duration;

use postbound::{Bounds, CancellationToken, Envelope, Mail, Message, Outcome, Phase, blocking};
use postbound_harness::Case;
use simnet::net::loopback::{Connector, Loopback};
use simnet::{Double, Ledger};
use tokio::runtime::Runtime;

/// Everything here is late at most by this, however busy the machine is.
const LATE: Duration = Duration::from_secs(2);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A double on a runtime of its own.
struct Served {
    _runtime: Runtime,
    loopback: Loopback,
}

impl Served {
    fn new(plan: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let double = Double::new(plan.parse().unwrap());
        let loopback = runtime.block_on(Loopback::bind(double, 0)).unwrap();
        Self {
            _runtime: runtime,
            loopback,
        }
    }

    fn client(&self) -> postbound::Client<Connector> {
        let case: Case = "timeout=20s -- v1".parse().unwrap();
        case.client(self.loopback.connector())
    }

    fn ledger(&self) -> &Ledger {
        self.loopback.double().ledger()
    }
}

fn envelope() -> Envelope {
    Case::default().envelope()
}

const MESSAGE: &str = "Subject: blocking\r\n\r\n.text\r\n";

#[test]
fn a_message_is_sent_and_the_connection_used_again() {
    let server = Served::new("v1");
    let client = blocking::Client::new(server.client()).unwrap();
    let receipt = client.send(&envelope(), MESSAGE, ms(20_000)).unwrap();
    assert_eq!(receipt.reply().code().get(), 250);

    let envelope = envelope();
    let mut connection = client.connect(Bounds::none()).unwrap();
    for _ in 0..2 {
        let receipt = connection.send(&envelope, MESSAGE, Bounds::none()).unwrap();
        assert_eq!(receipt.refused().count(), 0);
    }
    connection.reset(Bounds::none()).unwrap();
    // What is not wrapped is run all the same.
    let transaction = connection.get_mut().transaction(&envelope).unwrap();
    let reader = Message::reader(std::io::Cursor::new(MESSAGE));
    let receipt = client.run(transaction.send(reader, Bounds::none()));
    assert!(receipt.is_ok());
    connection.quit(Bounds::none());
    assert_eq!(server.ledger().committed(), 4);
    assert_eq!(server.ledger().findings(), []);
}

#[test]
fn g1_bounded_blocking_a_call_ends_by_its_deadline_and_tells_the_truth() {
    for (plan, phase, outcome) in [
        (
            "v1 | greeting: stall",
            Phase::Greeting,
            Outcome::NotAccepted,
        ),
        (
            "v1 | data-termination: commit; stall",
            Phase::DataTermination,
            Outcome::Ambiguous,
        ),
    ] {
        let server = Served::new(plan);
        let client = blocking::Client::new(server.client()).unwrap();
        let error = client.send(&envelope(), MESSAGE, ms(200)).unwrap_err();
        assert!(error.is_timeout());
        assert_eq!((error.phase(), error.outcome()), (phase, outcome));
        let took = error.elapsed();
        assert!(took >= ms(200) && took < ms(200) + LATE, "{took:?}");
    }
}

#[test]
fn g2_cancellable_blocking_from_another_thread() {
    let server = Served::new("v1 | mail: stall");
    let client = blocking::Client::new(server.client()).unwrap();
    let token = CancellationToken::new();
    let canceller = token.clone();
    let begun = tokio::time::Instant::now();
    let other = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async { tokio::time::sleep(ms(100)).await });
        canceller.cancel();
    });
    let error = client.send(&envelope(), MESSAGE, &token).unwrap_err();
    assert!(error.is_cancelled());
    assert_eq!(error.phase(), Phase::Mail);
    assert!(begun.elapsed() < ms(100) + LATE);
    other.join().unwrap();
}

#[test]
fn it_can_be_used_within_a_runtime_of_either_kind() {
    let server = Served::new("v1 | data-initiation: after 20ms");
    let client = blocking::Client::new(server.client()).unwrap();
    for runtime in [
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap(),
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap(),
    ] {
        // Neither has sockets or timers of its own, and neither is needed.
        runtime.block_on(async {
            let client = client.clone();
            let call = async move { client.send(&envelope(), MESSAGE, ms(20_000)).is_ok() };
            assert!(tokio::spawn(call).await.unwrap());
        });
    }
    assert_eq!(server.ledger().committed(), 2);
}

#[test]
fn a_pool_sends_many_and_is_shut_down() {
    let server = Served::new("v1 | rcpt#7: reply 550 5.1.1 nobody");
    let pool = postbound::Pool::builder(server.client()).size(2).build();
    let pool = blocking::Pool::new(pool).unwrap();
    assert_eq!(pool.warm(2, Bounds::none()).unwrap(), 2);
    let mails = (0..50).map(|n| {
        let message = format!("Subject: {n}\r\n\r\nhello\r\n");
        Mail::new(envelope(), message)
    });
    let results: Vec<_> = pool.send_all(mails, ms(60_000)).collect();
    assert_eq!(results.len(), 50);
    let refused = results.iter().filter(|sent| sent.result.is_err()).count();
    assert!((1..=2).contains(&refused), "{refused}");
    let accepted = 50 - refused;
    assert_eq!(server.ledger().committed(), accepted);

    // From several threads at once.
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let pool = pool.clone();
            std::thread::spawn(move || pool.send(&envelope(), MESSAGE, ms(20_000)).is_ok())
        })
        .collect();
    assert!(senders.into_iter().all(|sender| sender.join().unwrap()));
    assert_eq!(server.ledger().connections(), 2);
    assert_eq!(pool.shutdown(Bounds::none()), 0);
    assert_eq!(pool.get_ref().idle(), 0);
    assert!(pool.send(&envelope(), MESSAGE, ms(20_000)).is_err());
    assert_eq!(server.ledger().findings(), []);
}
