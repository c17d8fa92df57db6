//! What happened, in order and with times.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// One event at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A connection was accepted.
    Opened,
    /// A command line, without CRLF.
    Command(Vec<u8>),
    /// Mail data was read up to its end: this many octets as they came.
    MailData(usize),
    /// The server wrote these octets.
    Said(Vec<u8>),
    /// The server put a message into the mailbox.
    Committed,
    /// What the server says now is held until the test lets it go.
    Held,
    /// The server ended the connection: `close`, `reset` or `stall`.
    Ended(&'static str),
    /// The server closed its own side of the connection, and reads on.
    HalfClosed,
    /// The client's end of the connection is gone.
    Gone,
    /// What became of the TLS handshake.
    Tls(String),
    /// The proxy opened a tunnel: how, and to where.
    Tunnel(String),
    /// The client did something wrong.
    Finding(String),
}

impl Event {
    /// What kind of event it is, in a word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Command(_) => "command",
            Self::MailData(_) => "mail-data",
            Self::Said(_) => "said",
            Self::Committed => "committed",
            Self::Held => "held",
            Self::Ended(_) => "ended",
            Self::HalfClosed => "half-closed",
            Self::Gone => "gone",
            Self::Tls(_) => "tls",
            Self::Tunnel(_) => "tunnel",
            Self::Finding(_) => "finding",
        }
    }

    /// What there is to say of it beyond its kind: octets as text, with everything escaped that is
    /// no printable US-ASCII.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Command(octets) | Self::Said(octets) => octets.escape_ascii().to_string(),
            Self::MailData(octets) => octets.to_string(),
            Self::Ended(how) => (*how).to_owned(),
            Self::Tls(what) | Self::Tunnel(what) | Self::Finding(what) => what.clone(),
            Self::Opened | Self::Committed | Self::Held | Self::HalfClosed | Self::Gone => {
                String::new()
            }
        }
    }

    /// What it holds of what was said.
    fn octets(&self) -> usize {
        match self {
            Self::Command(octets) | Self::Said(octets) => octets.len(),
            Self::Finding(what) | Self::Tunnel(what) => what.len(),
            _ => 0,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened => f.write_str("=== connected"),
            Self::Command(line) => write!(f, " -> {}", line.escape_ascii()),
            Self::MailData(octets) => write!(f, " -> [{octets} octets of mail data]"),
            Self::Said(octets) => {
                let text = octets.strip_suffix(b"\r\n").unwrap_or(octets);
                write!(f, "<-  {}", text.escape_ascii())
            }
            Self::Committed => f.write_str("=== committed to the mailbox"),
            Self::Held => f.write_str("=== the reply is held"),
            Self::Ended(how) => write!(f, "=== the server: {how}"),
            Self::Tls(what) => write!(f, "=== TLS: {what}"),
            Self::Tunnel(what) => write!(f, "=== a tunnel by {what}"),
            Self::HalfClosed => f.write_str("=== the server: half-close"),
            Self::Gone => f.write_str("=== the client closed"),
            Self::Finding(what) => write!(f, "!!! {what}"),
        }
    }
}

/// When an event happened, on which connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Since the trace's first event.
    pub at: Duration,
    /// The connection, counted from 1.
    pub connection: u32,
    /// What happened.
    pub event: Event,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at,
            connection,
            event,
        } = self;
        write!(f, "{:>10.3} s  {connection}  {event}", at.as_secs_f64())
    }
}

/// A recorder, shared by its clones. Off, it costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    state: Option<Arc<Mutex<State>>>,
}

#[derive(Debug)]
struct State {
    start: Option<Instant>,
    entries: VecDeque<Entry>,
    /// Octets in the entries.
    octets: usize,
    /// Entries that were there once: taken out, or too old to be kept.
    gone: u64,
    most_entries: usize,
    most_octets: usize,
}

impl State {
    fn push(&mut self, entry: Entry) {
        self.octets += entry.event.octets();
        self.entries.push_back(entry);
        while self.entries.len() > self.most_entries || self.octets > self.most_octets {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.octets -= oldest.event.octets();
            self.gone += 1;
        }
    }
}

impl Trace {
    /// A recorder. Its clock starts with the first event.
    #[must_use]
    pub fn new() -> Self {
        Self::capped(usize::MAX, usize::MAX)
    }

    /// A recorder that keeps so many entries and octets; the oldest go first.
    pub(crate) fn capped(most_entries: usize, most_octets: usize) -> Self {
        let state = State {
            start: None,
            entries: VecDeque::new(),
            octets: 0,
            gone: 0,
            most_entries,
            most_octets,
        };
        Self {
            state: Some(Arc::new(Mutex::new(state))),
        }
    }

    /// None.
    #[must_use]
    pub const fn off() -> Self {
        Self { state: None }
    }

    fn state(&self) -> Option<MutexGuard<'_, State>> {
        let state = self.state.as_ref()?;
        Some(state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn record(&self, connection: u32, event: impl FnOnce() -> Event) {
        if let Some(mut state) = self.state() {
            let now = Instant::now();
            let start = *state.start.get_or_insert(now);
            state.push(Entry {
                at: now.saturating_duration_since(start),
                connection,
                event: event(),
            });
        }
    }

    /// When the first event happened, if there was one: what every entry's time is counted from.
    #[must_use]
    pub fn start(&self) -> Option<Instant> {
        self.state()?.start
    }

    /// Everything so far.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.since(0).1
    }

    /// The entries from this number on, counted from 0 over all that ever were, and the number of
    /// the first of them: a later one than asked for if older ones are gone.
    #[must_use]
    pub fn since(&self, number: u64) -> (u64, Vec<Entry>) {
        let Some(state) = self.state() else {
            return (number, Vec::new());
        };
        let skip = usize::try_from(number.saturating_sub(state.gone)).unwrap_or(usize::MAX);
        let entries = state.entries.iter().skip(skip).cloned().collect();
        (number.max(state.gone), entries)
    }

    /// Takes everything so far out, so that a double that runs for long does not grow.
    #[must_use]
    pub fn drain(&self) -> Vec<Entry> {
        self.state()
            .map(|mut state| {
                state.octets = 0;
                state.gone += state.entries.len() as u64;
                Vec::from(std::mem::take(&mut state.entries))
            })
            .unwrap_or_default()
    }

    /// A hash of everything so far (FNV-1a of its text): equal for equal runs.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.to_string()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
                (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
            })
    }
}

impl fmt::Display for Trace {
    /// One event a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(state) = self.state() {
            for entry in &state.entries {
                writeln!(f, "{entry}")?;
            }
        }
        Ok(())
    }
}
