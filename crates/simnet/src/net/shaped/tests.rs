#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has to fail"
)]

use std::future::poll_fn;
use std::task::Poll;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

impl Abort for DuplexStream {
    fn abort(self) {}
}

/// The server's end of a path with this rule, and the client's.
fn path(rule: &str) -> (Shaped<DuplexStream>, DuplexStream) {
    let plan: Plan = format!("v1 | {rule}").parse().unwrap();
    let (server, client) = duplex(64);
    (Shaped::new(server, &plan, true), client)
}

fn paused<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}

/// Octets of ten that one read and one write of a server with this rule take.
fn taken(rule: &str) -> (usize, usize) {
    paused(async {
        let (mut shaped, mut client) = path(rule);
        client.write_all(b"0123456789").await.unwrap();
        let mut buffer = [0; 64];
        let read = shaped.read(&mut buffer).await.unwrap();
        assert_eq!(buffer.get(..read), b"0123456789".get(..read), "{rule}");
        let written = shaped.write(b"9876543210").await.unwrap();
        let came = client.read(&mut buffer).await.unwrap();
        assert_eq!(buffer.get(..came), b"9876543210".get(..written), "{rule}");
        (read, written)
    })
}

#[test]
fn fragments_bind_the_reads_or_the_writes_of_the_server_or_both() {
    assert_eq!(taken("mail: normal"), (10, 10));
    assert_eq!(taken("link: fragment 1"), (1, 1));
    assert_eq!(taken("link: fragment 3 to-client"), (10, 3));
    assert_eq!(taken("link: fragment 3 to-server"), (3, 10));
    // Each direction may have its own, and the first for a direction acts.
    let both = "link: fragment 2 to-client | link: fragment 5 to-server | link: fragment 7";
    assert_eq!(taken(both), (5, 2));
}

#[test]
fn pieces_are_writes_with_a_pause_between_them_and_reads_of_their_own() {
    paused(async {
        let (mut server, mut client) = path("link: split after 3 4 9 15");
        client.write_all(b"0123456789").await.unwrap();
        let mut buffer = [0; 64];
        for piece in ["012", "3", "45678", "9"] {
            let read = server.read(&mut buffer).await.unwrap();
            assert_eq!(buffer.get(..read).unwrap(), piece.as_bytes());
        }
        let begun = Instant::now();
        tokio::spawn(async move {
            server.write_all(b"0123456789").await.unwrap();
            std::future::pending::<()>().await;
        });
        for (piece, millis) in [("012", 0), ("3", 10), ("45678", 20), ("9", 30)] {
            let read = client.read(&mut buffer).await.unwrap();
            assert_eq!(buffer.get(..read).unwrap(), piece.as_bytes());
            assert_eq!(begun.elapsed().as_millis(), millis, "{piece}");
        }
    });
}

#[test]
fn octets_of_many_writes_come_together_whatever_the_server_does_meanwhile() {
    for (then, ends) in [
        ("stall", false),
        ("close", true),
        ("half-close", true),
        ("reset", true),
    ] {
        let plan = format!(
            "v1 | link: coalesce 100ms to-client | greeting: after 10ms | command#2: normal; {then}"
        );
        paused(async {
            let (server, mut client) = duplex(4_096);
            let begun = Instant::now();
            let double = Double::new(plan.parse().unwrap());
            let served = tokio::spawn(async move { serve(&double, server, true).await });
            let mut buffer = [0; 4_096];
            let greeting = client.read(&mut buffer).await.unwrap();
            assert!(buffer.get(..greeting).unwrap().starts_with(b"220 "));
            assert_eq!(begun.elapsed().as_millis(), 100);
            tokio::time::sleep(Duration::from_millis(5)).await;
            client.write_all(b"EHLO me\r\n").await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
            client.write_all(b"NOOP\r\nNOOP\r\n").await.unwrap();
            let replies = client.read(&mut buffer).await.unwrap();
            let replies = std::str::from_utf8(buffer.get(..replies).unwrap()).unwrap();
            assert_eq!(replies.matches("2.0.0 ok").count(), 2, "{then}: {replies}");
            assert_eq!(begun.elapsed().as_millis(), 200);
            let end = tokio::select! {
                end = client.read(&mut buffer) => Some(end.unwrap()),
                () = tokio::time::sleep(Duration::from_secs(1)) => None,
            };
            assert_eq!(end, ends.then_some(0), "{then}");
            drop(client);
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(served.is_finished(), ends, "{then}");
        });
    }
}

#[test]
fn what_the_client_says_comes_to_the_server_together_and_in_pieces_behind_that() {
    paused(async {
        let plan = "v1 | link: coalesce 100ms to-server | link: fragment 3";
        let (server, mut client) = duplex(4_096);
        let begun = Instant::now();
        let double = Double::new(plan.parse().unwrap());
        tokio::spawn(async move { serve(&double, server, true).await });
        let mut buffer = [0; 4_096];
        let mut heard = Vec::new();
        while !heard.ends_with(b"\r\n") {
            let count = client.read(&mut buffer).await.unwrap();
            heard.extend_from_slice(buffer.get(..count).unwrap());
        }
        for part in ["EH", "LO me\r", "\n"] {
            tokio::time::sleep(Duration::from_millis(30)).await;
            client.write_all(part.as_bytes()).await.unwrap();
        }
        client.read_exact(&mut buffer[..3]).await.unwrap();
        assert_eq!(begun.elapsed().as_millis(), 100);
        assert!(buffer.starts_with(b"250"));
    });
}

/// What comes out at the other end within a second if "0123456789" is written in two parts, how it
/// ends, and how long it took.
async fn arrives(
    mut from: impl AsyncWrite + Unpin,
    mut to: impl AsyncRead + Unpin,
) -> (String, &'static str, u128) {
    let begun = Instant::now();
    let mut came = Vec::new();
    let mut last = begun;
    let mut end = "open";
    let write = async {
        for part in [b"01234", b"56789"] {
            from.write_all(part).await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    let read = async {
        loop {
            let mut buffer = [0; 64];
            match to.read(&mut buffer).await {
                Ok(0) => return end = "fin",
                Ok(count) => came.extend_from_slice(buffer.get(..count).unwrap()),
                Err(_) => return end = "reset",
            }
            last = Instant::now();
        }
    };
    tokio::select! {
        () = write => {}
        () = read => {}
        () = tokio::time::sleep(Duration::from_secs(1)) => {}
    }
    let took = last.duration_since(begun).as_millis();
    (String::from_utf8(came).unwrap(), end, took)
}

#[test]
fn each_strike_is_at_its_octet_whichever_way_it_travels() {
    // How it looks to who reads: behind a reset in memory there is nothing, and no word for it.
    for (strike, came, end, took) in [
        ("stall", "0123456", "open", 0),
        ("close", "0123456", "fin", 0),
        ("reset", "0123456", "fin", 0),
        ("shut", "0123456", "open", 0),
        ("corrupt", "0123456689", "open", 0),
        ("drip 20ms", "0123456789", "open", 60),
    ] {
        let seen = paused(async {
            let (server, client) = path(&format!("link: at octet 8 to-client {strike}"));
            arrives(server, client).await
        });
        assert_eq!(seen, (came.to_owned(), end, took), "to-client {strike}");
        if strike == "corrupt" {
            continue;
        }
        let seen = paused(async {
            let (server, client) = path(&format!("link: at octet 8 to-server {strike}"));
            arrives(client, server).await
        });
        // The server itself is told.
        let end = if strike == "reset" { "reset" } else { end };
        assert_eq!(seen, (came.to_owned(), end, took), "to-server {strike}");
    }
}

#[test]
fn a_server_that_talks_without_end_to_nobody_waits_at_some_time() {
    for strike in ["stall", "close", "reset"] {
        paused(async {
            let (mut server, _client) = path(&format!("link: at octet 1 to-client {strike}"));
            let block = [0; 1_024];
            let mut writes = 0;
            let ends = poll_fn(|cx| {
                for _ in 0..1_000 {
                    match Pin::new(&mut server).poll_write(cx, &block) {
                        Poll::Ready(Ok(_)) => writes += 1,
                        Poll::Ready(Err(_)) => return Poll::Ready("reset"),
                        Poll::Pending => return Poll::Ready("waits"),
                    }
                }
                Poll::Ready("goes on")
            })
            .await;
            let expected = if strike == "reset" { "reset" } else { "waits" };
            assert_eq!((ends, writes), (expected, 64), "{strike}");
        });
    }
}
