//! The zone on loopback ports, for resolvers of any kind.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::wire::{Asks, Query};
use super::{Found, Zone};

/// Longer answers come over TCP only (RFC 1035 §4.2.1).
const DATAGRAM: usize = 512;

/// Answers that are waited with, and connections that are open, at once; what is more is lost, or closed. A
/// name server is attacked by what it tests, too.
const AT_ONCE: usize = 1_024;

/// How long a query is waited with, and a connection served, whatever the zone says.
const LIFE: Duration = Duration::from_secs(600);

/// A name server for a [`Zone`], over UDP and TCP. Dropping it closes everything.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Listens on 127.0.0.1 and any port that is free for both.
    ///
    /// # Errors
    /// If no such port can be had.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was open.
    pub async fn bind(zone: Zone) -> io::Result<Self> {
        Self::bind_at(zone, 0).await
    }

    /// Listens on 127.0.0.1 and this port; 0 is any that is free for both.
    ///
    /// # Errors
    /// If the port can't be had.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was open.
    pub async fn bind_at(zone: Zone, port: u16) -> io::Result<Self> {
        let mut tries = 0;
        let (listener, socket) = loop {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
            match UdpSocket::bind(listener.local_addr()?).await {
                Ok(socket) => break (listener, socket),
                Err(error) if tries >= 16 || port > 0 => return Err(error),
                Err(_) => tries += 1,
            }
        };
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(datagrams(zone.clone(), Arc::new(socket)));
        tasks.spawn(connections(zone, listener));
        Ok(Self {
            address,
            _tasks: tasks,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

/// The answer to a message, if it is a query at all.
async fn answer(zone: &Zone, message: &[u8], most: usize) -> Option<Vec<u8>> {
    let query = Query::parse(message)?;
    let found = match query.asks {
        Asks::Mx => zone.look_up(&query.name).await,
        Asks::Other => Found::Records(Vec::new()),
        Asks::V4 | Asks::V6 => match zone.look_up_addresses(&query.name).await {
            Ok(addresses) => return Some(query.answer_addresses(&addresses, most)),
            Err(other) => other,
        },
    };
    Some(query.answer(&found, most))
}

/// Until it is done, or its time is over.
async fn for_life(task: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        () = task => {}
        () = sleep(LIFE) => {}
    }
}

async fn datagrams(zone: Zone, socket: Arc<UdpSocket>) {
    let mut answers = JoinSet::new();
    let mut buffer = [0; 2048];
    loop {
        while answers.try_join_next().is_some() {}
        let Ok((count, from)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        if answers.len() >= AT_ONCE {
            continue;
        }
        let message = buffer.get(..count).unwrap_or_default().to_vec();
        // What is never answered takes no place from what is.
        if Query::parse(&message).is_none_or(|query| zone.hangs(&query.name, query.asks)) {
            continue;
        }
        let (zone, socket) = (zone.clone(), Arc::clone(&socket));
        answers.spawn(for_life(async move {
            if let Some(answer) = answer(&zone, &message, DATAGRAM).await {
                let _ = socket.send_to(&answer, from).await;
            }
        }));
    }
}

async fn connections(zone: Zone, listener: TcpListener) {
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) if open.len() < AT_ONCE => {
                let zone = zone.clone();
                open.spawn(for_life(async move {
                    let _ = serve(&zone, stream).await;
                }));
            }
            Ok(_) => {}
            // No descriptor to be had just now.
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve(zone: &Zone, mut stream: TcpStream) -> io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut message = vec![0; usize::from(length)];
        stream.read_exact(&mut message).await?;
        let Some(answer) = answer(zone, &message, usize::from(u16::MAX)).await else {
            return Ok(());
        };
        let length = u16::try_from(answer.len()).unwrap_or(u16::MAX);
        stream
            .write_all(&[&length.to_be_bytes()[..], &answer].concat())
            .await?;
    }
}
