//! Who is measured, and how: short rounds that take turns, so that what else the machine does meets
//! all of them alike.

use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use tokio::runtime::Runtime;

use crate::sink::Sink;
use crate::{ours, peers, raw, raw_tokio};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Sends so many messages over a connection that is open already.
pub type Round = Box<dyn FnMut(usize) -> Result<(), Failure>>;

/// A runtime as a program of one thread has it.
///
/// # Errors
/// What the operating system reports.
pub fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// A way to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entrant {
    /// One message after another, by PIPELINING.
    Single,
    /// The same with a deadline and a token.
    SingleGuarded,
    /// The same without PIPELINING.
    SingleAlone,
    /// The same as the server likes it best: with CHUNKING where the client has it.
    SingleBest,
    /// By CHUNKING without PIPELINING.
    SingleChunked,
    /// `send_all` over one connection, without CHUNKING.
    Many,
    /// The same without PIPELINING.
    ManyAlone,
    /// By CHUNKING without PIPELINING.
    ManyChunked,
    /// `send_all` over one connection, as the server likes it best.
    ManyBest,
    /// lettre on tokio.
    Lettre,
    /// lettre on blocking sockets.
    LettreBlocking,
    /// mail-send.
    MailSend,
    /// async-smtp.
    AsyncSmtp,
    /// By hand: two round trips.
    Raw,
    /// By hand: one round trip.
    RawAcross,
    /// By hand on tokio: two round trips.
    RawTokio,
    /// By hand on tokio: one round trip.
    RawTokioAcross,
    /// By hand: BDAT, one message at a time.
    RawChunked,
    /// By hand: BDAT, 25 messages at a time.
    RawWindow,
}

/// Messages under way at once where BDAT has a window.
pub const WINDOW: usize = 25;

impl Entrant {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Single,
        Self::SingleGuarded,
        Self::SingleAlone,
        Self::SingleChunked,
        Self::SingleBest,
        Self::Many,
        Self::ManyAlone,
        Self::ManyChunked,
        Self::ManyBest,
        Self::Lettre,
        Self::LettreBlocking,
        Self::MailSend,
        Self::AsyncSmtp,
        Self::Raw,
        Self::RawAcross,
        Self::RawTokio,
        Self::RawTokioAcross,
        Self::RawChunked,
        Self::RawWindow,
    ];
    /// The peers.
    pub const PEERS: [Self; 4] = [
        Self::Lettre,
        Self::LettreBlocking,
        Self::MailSend,
        Self::AsyncSmtp,
    ];

    /// Its name, in tables and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single => "send",
            Self::SingleGuarded => "send-guarded",
            Self::SingleAlone => "send-without-pipelining",
            Self::SingleChunked => "send-chunking-only",
            Self::SingleBest => "send-best",
            Self::Many => "send_all",
            Self::ManyAlone => "send_all-without-pipelining",
            Self::ManyChunked => "send_all-chunking-only",
            Self::ManyBest => "send_all-best",
            Self::Lettre => "lettre",
            Self::LettreBlocking => "lettre-blocking",
            Self::MailSend => "mail-send",
            Self::AsyncSmtp => "async-smtp",
            Self::Raw => "raw",
            Self::RawAcross => "raw-across",
            Self::RawTokio => "raw-tokio",
            Self::RawTokioAcross => "raw-tokio-across",
            Self::RawChunked => "raw-chunked",
            Self::RawWindow => "raw-window",
        }
    }

    /// Opens its connection to the sink.
    ///
    /// # Errors
    /// Its own.
    pub fn enter(self, port: u16, recipients: usize, octets: usize) -> Result<Round, Failure> {
        let message = message(octets);
        let (plain, alone, none) = (["CHUNKING"], ["PIPELINING"], ["CHUNKING", "PIPELINING"]);
        let phases = ours::Guarded::Phases;
        match self {
            Self::Single => ours::single(port, recipients, &message, &plain, phases),
            Self::SingleGuarded => {
                ours::single(port, recipients, &message, &plain, ours::Guarded::All)
            }
            Self::SingleAlone => ours::single(port, recipients, &message, &none, phases),
            Self::SingleChunked => ours::single(port, recipients, &message, &alone, phases),
            Self::SingleBest => ours::single(port, recipients, &message, &[], phases),
            Self::Many => ours::send_all(port, recipients, &message, &plain),
            Self::ManyAlone => ours::send_all(port, recipients, &message, &none),
            Self::ManyChunked => ours::send_all(port, recipients, &message, &alone),
            Self::ManyBest => ours::send_all(port, recipients, &message, &[]),
            Self::Lettre => peers::lettre(port, recipients, &message),
            Self::LettreBlocking => peers::lettre_blocking(port, recipients, &message),
            Self::MailSend => peers::mail_send(port, recipients, &message),
            Self::AsyncSmtp => peers::async_smtp(port, recipients, &message),
            Self::RawTokio => raw_tokio::enter(port, recipients, &message, false),
            Self::RawTokioAcross => raw_tokio::enter(port, recipients, &message, true),
            Self::Raw | Self::RawAcross | Self::RawChunked | Self::RawWindow => {
                let mut raw = raw::Raw::connect(port, recipients, message.len())?;
                Ok(Box::new(move |messages| {
                    match self {
                        Self::Raw => raw.pipelined(messages, &message),
                        Self::RawAcross => raw.across(messages, &message),
                        Self::RawChunked => raw.chunked(messages, &message, 1),
                        _ => raw.chunked(messages, &message, WINDOW),
                    }
                    .map_err(Into::into)
                }))
            }
        }
    }
}

/// A message of about this many octets: lines of text with CRLF, none of which begins with a dot.
#[must_use]
pub fn message(octets: usize) -> Vec<u8> {
    let mut message = b"Subject: a message\r\n\r\n".to_vec();
    while message.len() < octets {
        message.extend_from_slice(
            b"The quick brown fox jumps over the lazy dog, again and again and again.\r\n",
        );
    }
    message
}

/// The median.
#[must_use]
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One entrant's rounds.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Rates {
    /// Messages a second of each round.
    pub rounds: Vec<f64>,
    /// The sink's share of the processor time of each round.
    pub sink: Vec<f64>,
}

impl Rates {
    /// The median.
    #[must_use]
    pub fn median(&self) -> f64 {
        median(&mut self.rounds.clone())
    }

    /// The median over the rounds of this one's rate by another's in the same round.
    #[must_use]
    pub fn by(&self, other: &Self) -> f64 {
        let pairs = self.rounds.iter().zip(&other.rounds);
        median(&mut pairs.map(|(a, b)| a / b).collect::<Vec<_>>())
    }
}

/// Lets the entrants take turns in rounds of about this length.
///
/// # Errors
/// The first entrant's.
pub fn race(
    sink: &Sink,
    entrants: &[Entrant],
    recipients: usize,
    octets: usize,
    rounds: usize,
    each: Duration,
) -> Result<Vec<Rates>, Failure> {
    let mut lanes = Vec::new();
    for entrant in entrants {
        let mut round = entrant.enter(sink.port(), recipients, octets)?;
        // How many fit into a round; the first one warms up.
        round(1)?;
        let begun = Instant::now();
        let mut messages = 0;
        while messages < 3 || (begun.elapsed() < each / 2 && messages < 100_000) {
            let more = if messages < 3 { 1 } else { messages };
            round(more)?;
            messages += more;
        }
        let one = begun.elapsed().as_secs_f64() / messages as f64;
        let count = ((each.as_secs_f64() / one) as usize).clamp(1, 1_000_000);
        lanes.push((round, count));
    }
    let mut rates = vec![Rates::default(); entrants.len()];
    for _ in 0..rounds {
        for ((round, count), rates) in lanes.iter_mut().zip(&mut rates) {
            let (begun, own, others) = (Instant::now(), ThreadTime::now(), sink.cpu()?);
            round(*count)?;
            let wall = begun.elapsed().as_secs_f64();
            let theirs = (sink.cpu()? - others) as f64 / 1e9;
            let cpu = own.elapsed().as_secs_f64() + theirs;
            rates.sink.push(theirs / cpu);
            rates.rounds.push(*count as f64 / wall);
        }
    }
    Ok(rates)
}
