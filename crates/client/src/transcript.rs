//! What a client says and hears, for people.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::{Line, Observer};

use crate::endpoint::Endpoint;
use crate::traced;

type Show = dyn Fn(&TranscriptEntry) + Send + Sync;

/// One line of a dialogue, and when and with whom it was.
///
/// There are no secrets in it: passwords, tokens and what is made of them are never put into a
/// line, and a server that repeats one is shown without it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TranscriptEntry {
    /// Since dialling began.
    pub at: Duration,
    /// The server, as `host:port`.
    pub endpoint: Arc<str>,
    /// The address that is connected.
    pub address: SocketAddr,
    /// What was said or heard.
    pub line: Line,
}

impl fmt::Display for TranscriptEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.as_secs_f64();
        write!(f, "{at:>10.3} s  {}  {}", self.endpoint, self.line)
    }
}

/// Who is shown the entries.
#[derive(Clone)]
pub(crate) struct Transcript(pub(crate) Arc<Show>);

/// For one connection, if anybody wants to be shown its lines.
pub(crate) fn observer(
    transcript: Option<&Transcript>,
    endpoint: &Endpoint,
    address: SocketAddr,
    started: Instant,
) -> Option<Observer> {
    let show = transcript.map(|Transcript(show)| Arc::clone(show));
    let traced = traced::wants_lines();
    if show.is_none() && !traced {
        return None;
    }
    let endpoint = Arc::<str>::from(endpoint.to_string());
    Some(Observer::new(move |line, now| {
        if traced {
            traced::line(&endpoint, line);
        }
        if let Some(show) = &show {
            show(&TranscriptEntry {
                at: now.saturating_duration_since(started),
                endpoint: Arc::clone(&endpoint),
                address,
                line: line.clone(),
            });
        }
    }))
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transcript")
    }
}
