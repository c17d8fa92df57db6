//! The system resolver: it may hang, and nobody else has to wait for it.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has to fail"
)]

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use postbound::{Client, Outcome, Phase, SystemResolver, TcpConnector};
use tokio::runtime::{Builder, Runtime};

/// A look-up that answers nobody until the test lets it.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    under_way: AtomicUsize,
    most: AtomicUsize,
    lookups: AtomicUsize,
}

impl Gate {
    fn lookup(&self) -> io::Result<Vec<SocketAddr>> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let mut open = self.open.lock().unwrap();
        while !*open {
            open = self.opened.wait(open).unwrap();
        }
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        Ok(vec!["127.0.0.1:25".parse().unwrap()])
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

fn hanging() -> (Arc<Gate>, SystemResolver) {
    let gate = Arc::new(Gate::default());
    let inside = Arc::clone(&gate);
    let resolver = SystemResolver::with_lookup(move |_, _| inside.lookup());
    (gate, resolver)
}

fn real_time() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

const LIMIT: Duration = Duration::from_millis(50);

fn client(resolver: &SystemResolver, host: &str) -> Client {
    let timeouts = postbound::Timeouts::default()
        .with(Phase::Resolve, LIMIT)
        .unwrap();
    Client::builder(host, 25)
        .timeouts(timeouts)
        .connector(TcpConnector::with_resolver(resolver.clone()))
        .build()
        .unwrap()
}

#[test]
fn a_resolver_that_hangs_costs_the_limit_and_the_runtime_ends_without_it() {
    let (gate, resolver) = hanging();
    let (done, ended) = std::sync::mpsc::channel();
    let handle = std::thread::spawn(move || {
        let runtime = real_time();
        let error = runtime
            .block_on(client(&resolver, "mx.example").connect(Duration::from_secs(60)))
            .unwrap_err();
        // A blocking pool would wait here for the look-up, which never ends by itself.
        drop(runtime);
        done.send((error.phase(), error.outcome(), error.is_timeout()))
            .unwrap();
    });
    let ended = ended.recv_timeout(Duration::from_secs(30));
    // Whatever the result: the look-up's thread must not outlive the test.
    gate.open();
    assert_eq!(
        ended.expect("the runtime did not end while the look-up hung"),
        (Phase::Resolve, Outcome::NotAccepted, true)
    );
    handle.join().unwrap();
}

#[test]
fn however_many_names_hang_the_threads_stay_few_and_everybody_keeps_their_limit() {
    let (gate, resolver) = hanging();
    real_time().block_on(async {
        let calls: Vec<_> = (0..20)
            .map(|n| {
                let client = client(&resolver, &format!("mx{n}.example"));
                tokio::spawn(async move { client.connect(Duration::from_secs(60)).await })
            })
            .collect();
        for call in calls {
            let error = call.await.unwrap().unwrap_err();
            assert_eq!(error.phase(), Phase::Resolve);
            assert_eq!(error.limit(), Some(LIMIT));
        }
    });
    assert!(gate.most.load(Ordering::SeqCst) <= SystemResolver::THREADS);
    gate.open();
}

#[test]
fn equal_look_ups_share_one_and_each_gets_its_answer() {
    let (gate, resolver) = hanging();
    real_time().block_on(async {
        let calls: Vec<_> = (0..10)
            .map(|_| {
                let resolver = resolver.clone();
                tokio::spawn(async move { resolver.resolve("mx.example", 25).await })
            })
            .collect();
        // All have asked once the task that was spawned behind them has run.
        tokio::spawn(async {}).await.unwrap();
        gate.open();
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap().len(), 1);
        }
    });
    assert_eq!(gate.lookups.load(Ordering::SeqCst), 1);
}

#[test]
fn a_look_up_that_nobody_waits_for_any_more_is_not_begun() {
    let (gate, resolver) = hanging();
    real_time().block_on(async {
        for n in 0..SystemResolver::THREADS + 6 {
            let client = client(&resolver, &format!("mx{n}.example"));
            client.connect(Duration::from_millis(1)).await.unwrap_err();
        }
        gate.open();
        // The next look-up is behind all of them in the queue.
        assert!(resolver.resolve("last.example", 25).await.is_ok());
    });
    let lookups = gate.lookups.load(Ordering::SeqCst);
    assert!(lookups <= SystemResolver::THREADS + 1, "{lookups}");
}

#[test]
fn a_look_up_that_panics_is_an_error_and_the_next_one_works() {
    let count = AtomicUsize::new(0);
    let resolver = SystemResolver::with_lookup(move |_, port| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        assert!(!first, "the first one panics on purpose");
        Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
    });
    real_time().block_on(async {
        assert!(resolver.resolve("mx.example", 25).await.is_err());
        assert_eq!(resolver.resolve("mx.example", 25).await.unwrap().len(), 1);
    });
}
