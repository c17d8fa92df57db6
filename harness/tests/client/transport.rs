//! A transport that can't be written to any more, or that keeps what was written until it is flushed.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use postbound::{
    Bounds, Client, Connector, Envelope, Error, FailureKind, Outcome, Phase, Pool, Receipt,
};
use postbound_harness::run::paused;
use postbound_harness::{Case, run};
use simnet::net::mem::{self, Network};
use simnet::{Double, Plan};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep};

const MESSAGE: &str = "Subject: one\r\n\r\nand only one\r\n";

/// What is wrong with the transport, and how often it was flushed.
#[derive(Debug, Default)]
struct Wrong {
    write: Option<io::ErrorKind>,
    /// The stream ends behind the write that failed.
    ends: bool,
    has_ended: bool,
    keeps: bool,
    /// Takes one octet at a time.
    is_narrow: bool,
    flushed: usize,
    written: usize,
}

/// The in-memory network, whose streams go wrong when they are told to.
#[derive(Clone, Debug)]
struct Fragile {
    network: mem::Connector,
    wrong: Arc<Mutex<Wrong>>,
}

#[derive(Debug)]
struct Wire {
    stream: mem::Stream,
    wrong: Arc<Mutex<Wrong>>,
    kept: Vec<u8>,
}

impl Connector for Fragile {
    type Stream = Wire;

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.network.resolve(host, port).await
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Wire> {
        Ok(Wire {
            stream: self.network.connect(address).await?,
            wrong: Arc::clone(&self.wrong),
            kept: Vec::new(),
        })
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.wrong.lock().unwrap().has_ended {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let (fails, keeps, narrow) = {
            let mut wrong = self.wrong.lock().unwrap();
            wrong.written += 1;
            wrong.has_ended = wrong.ends;
            (wrong.write, wrong.keeps, wrong.is_narrow)
        };
        if let Some(kind) = fails {
            return Poll::Ready(Err(kind.into()));
        }
        let octets = if narrow { &octets[..1] } else { octets };
        if keeps {
            self.kept.extend_from_slice(octets);
            return Poll::Ready(Ok(octets.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wrong.lock().unwrap().flushed += 1;
        while !self.kept.is_empty() {
            let Self { stream, kept, .. } = &mut *self;
            let taken = ready!(Pin::new(stream).poll_write(cx, kept))?;
            self.kept.drain(..taken);
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

fn client(network: &Network) -> (Client<Fragile>, Arc<Mutex<Wrong>>) {
    let wrong = Arc::<Mutex<Wrong>>::default();
    let connector = Fragile {
        network: network.connector(),
        wrong: Arc::clone(&wrong),
    };
    let client = Client::builder("double.example", 25).connector(connector);
    (client.build().unwrap(), wrong)
}

fn envelope() -> Envelope {
    let from = "a@client.example".parse().unwrap();
    Envelope::new(from, ["b@double.example".parse().unwrap()]).unwrap()
}

/// A transaction over a connection that goes wrong like this before it begins, and how long it took.
fn sent(breaks: impl FnOnce(&mut Wrong)) -> (Result<Receipt, Error>, Duration) {
    paused(async {
        let network = Network::new(Double::new(Plan::healthy()));
        let (client, wrong) = client(&network);
        let mut connection = client.connect(Bounds::none()).await.unwrap();
        breaks(&mut wrong.lock().unwrap());
        let begun = Instant::now();
        let envelope = envelope();
        let transaction = connection.transaction(&envelope).unwrap();
        let result = transaction.send(MESSAGE, Bounds::none()).await;
        (result, begun.elapsed())
    })
}

#[test]
fn a_write_that_fails_ends_the_call_at_once_if_there_is_nothing_to_be_read() {
    for kind in [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset] {
        let (result, took) = sent(|wrong| wrong.write = Some(kind));
        let error = result.unwrap_err();
        assert_eq!((error.kind(), took), (&FailureKind::Broken, Duration::ZERO));
        assert_eq!(
            (error.phase(), error.outcome()),
            (Phase::Mail, Outcome::NotAccepted)
        );
        let cause = error.source().unwrap().downcast_ref::<io::Error>();
        assert_eq!(cause.unwrap().kind(), kind);
    }
}

#[test]
fn a_broken_pipe_behind_the_servers_end_is_that_end_and_a_reset_is_not() {
    for (kind, expected) in [
        (io::ErrorKind::BrokenPipe, FailureKind::Closed),
        (io::ErrorKind::ConnectionReset, FailureKind::Broken),
    ] {
        let (result, took) = sent(|wrong| {
            wrong.write = Some(kind);
            wrong.ends = true;
        });
        assert_eq!(
            (result.unwrap_err().kind(), took),
            (&expected, Duration::ZERO)
        );
    }
}

#[test]
fn what_a_transport_keeps_is_flushed_when_there_is_nothing_more_to_write_and_no_oftener() {
    let took = [false, true].map(|keeps| {
        paused(async {
            let network = Network::new(Double::new(Plan::healthy()));
            let (client, wrong) = client(&network);
            wrong.lock().unwrap().keeps = keeps;
            let begun = Instant::now();
            let receipt = client.send(&envelope(), MESSAGE, Bounds::none()).await;
            assert!(receipt.is_ok());
            assert_eq!(network.double().ledger().findings(), []);
            let wrong = wrong.lock().unwrap();
            // And once for each call, because of what the one before it may have left.
            assert!(wrong.flushed <= wrong.written + 3, "{wrong:?}");
            begun.elapsed()
        })
    });
    assert_eq!(took[0], took[1]);
}

#[test]
fn a_pool_says_the_whole_of_quit_if_the_transport_takes_it_octet_by_octet() {
    paused(async {
        let network = Network::new(Double::new(Plan::healthy()));
        let (client, wrong) = client(&network);
        let pool = Pool::builder(client).idle(Duration::from_secs(1)).build();
        assert_eq!(pool.warm(1, Bounds::none()).await.unwrap(), 1);
        wrong.lock().unwrap().is_narrow = true;
        sleep(Duration::from_secs(2)).await;
        assert_eq!(pool.reap(), 1);
        sleep(Duration::from_secs(1)).await;
        let said = network.double().trace().to_string();
        assert_eq!(said.matches("QUIT").count(), 1, "{said}");
    });
}

#[test]
fn an_end_without_close_notify_is_an_end_and_no_failure_of_the_transport() {
    for tls in ["implicit", "starttls"] {
        let case = format!(
            "timeout=2s tls={tls} -- v1 | tls-handshake: no-close-notify | mail: half; close"
        );
        let case: Case = case.parse().unwrap();
        let error = run::mem::result(&case).unwrap_err();
        assert_eq!(error.kind(), &FailureKind::Closed, "{tls}");
        let why = error.source().unwrap().to_string();
        assert!(why.contains("close_notify"), "{why}");
    }
}
