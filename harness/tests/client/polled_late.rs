//! A runtime may come back to a task late: what has arrived meanwhile, and what has passed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use postbound::{Bounds, CancellationToken, Client, Connector, Error, Message, Outcome, Receipt};
use postbound_harness::{Case, Counted, run};
use simnet::net::mem::Network;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::sleep;

type Call<'a> = Pin<&'a mut dyn Future<Output = Result<Receipt, Error>>>;

async fn poll(call: &mut Call<'_>) -> Poll<Result<Receipt, Error>> {
    poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await
}

/// Polls the call every millisecond for so long, and requires that it is not over.
async fn drive(call: &mut Call<'_>, millis: u64) {
    for _ in 0..millis {
        assert!(poll(call).await.is_pending(), "the call is over too soon");
        sleep(Duration::from_millis(1)).await;
    }
}

fn case(text: &str) -> Case {
    text.parse().unwrap()
}

#[test]
fn g2_cancellable_a_final_reply_that_is_there_at_a_late_poll_beats_the_token() {
    for tls in ["", "tls=implicit "] {
        let case = case(&format!(
            "timeout=10s {tls}-- v1 | data-termination: after 100ms | quit: nothing"
        ));
        run::paused(async {
            let network = Network::new(case.double());
            let client = case.client(network.connector());
            let (envelope, message) = (case.envelope(), case.message());
            let token = CancellationToken::new();
            let mut call: Call<'_> = pin!(client.send(&envelope, &message, &token));
            drive(&mut call, 40).await;
            sleep(Duration::from_millis(500)).await;
            token.cancel();
            match poll(&mut call).await {
                Poll::Ready(Ok(receipt)) => assert_eq!(receipt.reply().code().get(), 250),
                other => panic!("{tls}: {other:?}"),
            }
        });
    }
}

#[test]
fn g4_honest_a_final_reply_that_is_there_at_a_late_poll_beats_the_deadline() {
    let case = case("timeout=10s -- v1 | data-termination: after 100ms | quit: nothing");
    run::paused(async {
        let network = Network::new(case.double());
        let client = case.client(network.connector());
        let (envelope, message) = (case.envelope(), case.message());
        let deadline = Duration::from_millis(200);
        let mut call: Call<'_> = pin!(client.send(&envelope, &message, deadline));
        drive(&mut call, 40).await;
        sleep(Duration::from_millis(500)).await;
        assert!(matches!(poll(&mut call).await, Poll::Ready(Ok(_))));
    });
}

#[test]
fn g4_honest_the_reserve_holds_at_a_late_poll_too() {
    let case = case("timeout=10s -- v1");
    run::paused(async {
        let network = Network::new(case.double());
        let client = case.client(network.connector());
        let envelope = case.envelope();
        let (mut source, reader) = tokio::io::duplex(64);
        let bounds = Bounds::none()
            .within(Duration::from_secs(1))
            .reserve(Duration::from_millis(300));
        let mut call: Call<'_> = pin!(client.send(&envelope, Message::reader(reader), bounds));
        drive(&mut call, 20).await;
        // The rest of the message is there, and so is its end; the time for it has passed.
        source.write_all(b"Subject: late\r\n\r\n").await.unwrap();
        drop(source);
        sleep(Duration::from_millis(800)).await;
        match poll(&mut call).await {
            Poll::Ready(Err(error)) => assert_eq!(error.outcome(), Outcome::NotAccepted),
            other => panic!("{other:?}"),
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!(network.double().ledger().committed(), 0);
    });
}

#[test]
fn g2_cancellable_reading_under_tls_writes_nothing_once_the_token_is_cancelled() {
    // A record that was changed on its way is answered with an alert, if one may speak.
    let mut struck = 0;
    for octet in 900..1_600 {
        let case = case(&format!(
            "timeout=10s tls=implicit -- v1 | link: at octet {octet} to-client corrupt | data-termination: after 100ms"
        ));
        struck += run::paused(async {
            let network = Network::new(case.double());
            let (connector, octets) = Counted::new(network.connector());
            let client = case.client(connector);
            let (envelope, message) = (case.envelope(), case.message());
            let token = CancellationToken::new();
            let mut call: Call<'_> = pin!(client.send(&envelope, &message, &token));
            for _ in 0..40 {
                if poll(&mut call).await.is_ready() {
                    return 0;
                }
                sleep(Duration::from_millis(1)).await;
            }
            sleep(Duration::from_millis(500)).await;
            token.cancel();
            let before = octets.written();
            let ended = poll(&mut call).await;
            let after = octets.written();
            assert_eq!(after, before, "octet {octet}: {ended:?}");
            match ended {
                Poll::Ready(Err(error)) => i32::from(error.outcome() == Outcome::Ambiguous),
                Poll::Ready(Ok(_)) => 0,
                Poll::Pending => panic!("octet {octet}: a cancelled call waits"),
            }
        });
    }
    assert!(
        struck > 10,
        "only {struck} octets of the final reply were struck"
    );
}

/// A peer that resets in the instant of MAIL. The write meets it, but the runtime has not looked yet
/// whether there is something to read.
#[derive(Debug)]
struct Resets {
    says: VecDeque<u8>,
    farewell: &'static str,
    reset: bool,
    looked: bool,
}

impl AsyncRead for Resets {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (looked, reset) = (self.looked, self.reset);
        self.looked = reset;
        if !looked && (self.reset || self.says.is_empty()) {
            return Poll::Pending;
        }
        let said: Vec<u8> = self.says.drain(..).collect();
        buf.put_slice(&said);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Resets {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if buf.starts_with(b"MAIL") {
            self.reset = true;
            let farewell = self.farewell.bytes();
            self.says.extend(farewell);
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        self.says.extend(*b"250-mx.example\r\n250 PIPELINING\r\n");
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct ThatResets(&'static str);

impl Connector for ThatResets {
    type Stream = Resets;

    async fn resolve(&self, _host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
    }

    async fn connect(&self, _address: SocketAddr) -> io::Result<Resets> {
        Ok(Resets {
            says: VecDeque::from(*b"220 mx.example\r\n"),
            farewell: self.0,
            reset: false,
            looked: false,
        })
    }
}

#[test]
fn g4_honest_what_was_said_before_a_reset_is_read_even_if_the_write_learns_of_it_first() {
    for (farewell, told) in [
        (
            "421 4.3.2 going down\r\n",
            "mail: the server refused: 421 4.3.2 going down",
        ),
        ("", "mail: the connection failed"),
    ] {
        let error = run::paused(async {
            let client = Client::builder("mx.example", 25)
                .connector(ThatResets(farewell))
                .build()
                .unwrap();
            let (envelope, message) = (Case::default().envelope(), Case::default().message());
            client
                .send(&envelope, &message, Bounds::none())
                .await
                .unwrap_err()
        });
        assert_eq!(error.outcome(), Outcome::NotAccepted);
        assert!(error.to_string().starts_with(told), "{error}");
        assert!(error.elapsed() < Duration::from_millis(1), "{error}");
    }
}
