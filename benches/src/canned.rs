//! The sink in memory, in the client's own thread: the same dialogue in the same steps in every run,
//! so that instructions and allocations can be counted exactly.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use postbound::{Bounds, CancellationToken, Client, Connector, Mail, Pool};
use proto::{Completed, Config, EhloName, Session, TransactionOptions};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::contest::{Round, message};
use crate::ours::envelope;
use crate::sink::Dialogue;

type Failure = Box<dyn std::error::Error + Send + Sync>;

static TURNS: AtomicU64 = AtomicU64::new(0);

/// A way to a server in memory that answers each write at the client's next wake-up.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to it")]
pub struct Canned;

impl Connector for Canned {
    type Stream = Stream;

    async fn resolve(&self, _host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))])
    }

    async fn connect(&self, _address: SocketAddr) -> io::Result<Stream> {
        Ok(Stream::new(usize::MAX))
    }
}

/// A way to a server in memory that answers EHLO and never says a word again.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to it")]
pub struct Silent;

impl Connector for Silent {
    type Stream = Stream;

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Canned.resolve(host, port).await
    }

    async fn connect(&self, _address: SocketAddr) -> io::Result<Stream> {
        Ok(Stream::new(1))
    }
}

/// A connection to it.
#[derive(Debug)]
pub struct Stream {
    dialogue: Dialogue<'static>,
    held: Vec<u8>,
    given: usize,
    /// What is answered has not arrived yet.
    asleep: bool,
    /// Writes that are still answered.
    answers: usize,
}

impl Stream {
    fn new(answers: usize) -> Self {
        let mut dialogue = Dialogue::new(&TURNS, false);
        dialogue.out.extend_from_slice(b"220 canned.example\r\n");
        Self {
            dialogue,
            held: Vec::new(),
            given: 0,
            asleep: false,
            answers,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let rest = this.dialogue.out.get(this.given..).unwrap_or_default();
        if rest.is_empty() || std::mem::take(&mut this.asleep) {
            if !rest.is_empty() {
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        let octets = rest.len().min(buffer.remaining());
        buffer.put_slice(rest.get(..octets).unwrap_or_default());
        this.given += octets;
        if this.given == this.dialogue.out.len() {
            this.given = 0;
            this.dialogue.out.clear();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(octets)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let Some(answers) = this.answers.checked_sub(1) else {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        };
        this.answers = answers;
        let mut written = 0;
        for slice in slices {
            this.held.extend_from_slice(slice);
            written += slice.len();
        }
        let taken = this.dialogue.take(&this.held);
        this.held.drain(..taken);
        this.asleep = true;
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What can be counted exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Its name.
    pub name: &'static str,
    kind: Kind,
    recipients: usize,
    octets: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The server's side alone: it is in the other counts, too.
    Server,
    Session,
    Send,
    SendGuarded,
    SendAll,
}

const fn workload(name: &'static str, kind: Kind, recipients: usize, octets: usize) -> Workload {
    Workload {
        name,
        kind,
        recipients,
        octets,
    }
}

/// All of them.
pub const WORKLOADS: [Workload; 10] = [
    workload("server 1 KiB", Kind::Server, 1, 1024),
    workload("server 64 KiB", Kind::Server, 1, 65_536),
    workload("session 1 KiB", Kind::Session, 1, 1024),
    workload("session 64 KiB", Kind::Session, 1, 65_536),
    workload("send 1 KiB", Kind::Send, 1, 1024),
    workload("send 1 KiB, deadline and token", Kind::SendGuarded, 1, 1024),
    workload("send 64 KiB", Kind::Send, 1, 65_536),
    workload("send 1 KiB, 100 recipients", Kind::Send, 100, 1024),
    workload("send_all 1 KiB", Kind::SendAll, 1, 1024),
    workload("send_all 64 KiB", Kind::SendAll, 1, 65_536),
];

impl Workload {
    /// Makes it ready to run.
    ///
    /// # Errors
    /// If there is no runtime to be had.
    pub fn prepare(self) -> Result<Round, Failure> {
        match self.kind {
            Kind::Server => Ok(server(self.octets)),
            Kind::Session => session(self.recipients, self.octets),
            Kind::Send => single(self.recipients, self.octets, false),
            Kind::SendGuarded => single(self.recipients, self.octets, true),
            Kind::SendAll => send_all(self.recipients, self.octets),
        }
    }
}

/// A runtime whose clock stands still: its timers cost the same in each run.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
}

fn client() -> Result<Client<Canned>, postbound::ClientError> {
    Client::builder("canned.example", 25)
        .without_extension("CHUNKING")
        .connector(Canned)
        .build()
}

fn single(recipients: usize, octets: usize, guarded: bool) -> Result<Round, Failure> {
    let runtime = runtime()?;
    let (envelope, message) = (envelope(recipients)?, message(octets));
    let mut connection = runtime.block_on(client()?.connect(Bounds::none()))?;
    let token = CancellationToken::new();
    Ok(Box::new(move |messages| {
        runtime.block_on(async {
            for _ in 0..messages {
                let bounds = match guarded {
                    true => Bounds::none()
                        .within(Duration::from_secs(60))
                        .cancelled_by(&token),
                    false => Bounds::none(),
                };
                let transaction = connection.transaction(&envelope)?;
                let _ = transaction.send(&message, bounds).await?;
            }
            Ok(())
        })
    }))
}

fn send_all(recipients: usize, octets: usize) -> Result<Round, Failure> {
    let runtime = runtime()?;
    let (envelope, message) = (envelope(recipients)?, message(octets));
    let pool = Pool::builder(client()?).size(1).messages(u32::MAX).build();
    runtime.block_on(pool.warm(1, Bounds::none()))?;
    Ok(Box::new(move |messages| {
        runtime.block_on(async {
            let mails = (0..messages).map(|_| Mail::new(envelope.clone(), &message));
            let mut results = pool.send_all(mails, Bounds::none());
            while let Some(sent) = results.next().await {
                let _ = sent.result?;
            }
            Ok(())
        })
    }))
}

/// The server's side of the same dialogue, alone.
fn server(octets: usize) -> Round {
    let mut message = message(octets);
    message.extend_from_slice(b".\r\n");
    let mut server = Dialogue::new(&TURNS, false);
    let group: &[u8] = b"MAIL FROM:<sender@client.example> SIZE=1024\r\nRCPT TO:<recipient1@sink.example>\r\nDATA\r\n";
    let mut held = Vec::new();
    Box::new(move |messages| {
        for _ in 0..messages {
            for octets in [group, &message] {
                held.extend_from_slice(octets);
                let taken = server.take(&held);
                held.drain(..taken);
                server.out.clear();
            }
        }
        Ok(())
    })
}

/// The session alone, driven by hand.
fn session(recipients: usize, octets: usize) -> Result<Round, Failure> {
    let (envelope, message) = (envelope(recipients)?, message(octets));
    let now = Instant::now();
    let name: EhloName = "client.example".parse()?;
    let mut config = Config::new(name);
    config.masked = vec!["CHUNKING".to_owned()];
    let mut session = Session::open(config, proto::Bounds::NONE, now);
    let mut server = Dialogue::new(&TURNS, false);
    server.out.extend_from_slice(b"220 canned.example\r\n");
    let mut held = Vec::new();
    drive(&mut session, &mut server, &mut held, &[], now)?;
    Ok(Box::new(move |messages| {
        for _ in 0..messages {
            let mut options = TransactionOptions::default();
            options.size = Some(message.len() as u64);
            session
                .begin(&envelope, options, proto::Bounds::NONE, now)
                .map_err(refused)?;
            drive(&mut session, &mut server, &mut held, &message, now)?;
        }
        Ok(())
    }))
}

fn drive(
    session: &mut Session,
    server: &mut Dialogue<'_>,
    held: &mut Vec<u8>,
    message: &[u8],
    now: Instant,
) -> Result<Completed, Failure> {
    loop {
        if let Some(result) = session.take_result() {
            return result.map_err(refused);
        }
        if session.needs_chunk() {
            session.provide(message, true, now);
        }
        let mut slices = [io::IoSlice::new(&[]); 16];
        let count = session.transmit(message, &mut slices, now);
        let mut octets = 0;
        for slice in slices.iter().take(count) {
            held.extend_from_slice(slice);
            octets += slice.len();
        }
        session.transmitted(octets, message, now);
        let taken = server.take(held);
        held.drain(..taken);
        if !server.out.is_empty() {
            session.receive(&server.out, now);
            server.out.clear();
        }
    }
}

fn refused(failure: Box<proto::Failure>) -> Failure {
    format!("the session failed: {failure:?}").into()
}
