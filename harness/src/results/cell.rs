//! A cell as it is kept: what was done, what was promised, and the dialogue.

use std::time::Duration;

use postbound::Security;
use serde::{Deserialize, Serialize};
use simnet::{Entry, Event};

use crate::case::Case;
use crate::matrix::{Cell, Verdict};
use crate::peers::PeerRecord;
use crate::report::Report;

/// How many events of a dialogue are kept; what an endless fault says is not all worth reading.
const MOST_LINES: usize = 120;
/// How many octets of one event are kept.
const MOST_OCTETS: usize = 300;

/// A cell of the matrix and what it showed. Times are microseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CellRecord {
    /// The network.
    pub backend: String,
    /// The phase at which the fault strikes, or `link`.
    pub place: String,
    /// What the row's cells have in common beside the place: TLS, chunks, LMTP, a proxy.
    pub setting: Option<String>,
    /// The fault's name.
    pub fault: String,
    /// What the fault does.
    pub explain: String,
    /// Whether the message must be delivered all the same.
    pub harmless: bool,
    /// The case, to be replayed.
    pub case: String,
    /// The limit of each phase.
    pub limit: u64,
    /// The longest that the call may last.
    pub promise: u64,
    /// `holds`, `broken` or `skipped`.
    pub verdict: String,
    /// Why it was skipped.
    pub skipped: Option<String>,
    /// What was broken.
    pub violations: Vec<String>,
    /// What the call did; nothing if the cell was skipped.
    pub ran: Option<Ran>,
    /// What other clients did, if they were asked.
    #[serde(default)]
    pub peers: Vec<PeerRecord>,
}

/// What the call of a cell did. Times are microseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ran {
    /// How long the call lasted.
    pub elapsed: u64,
    /// What the client says, in words.
    pub claim: String,
    /// What became of the message, says the client.
    pub outcome: String,
    /// Where the call ended, if the message was not accepted.
    pub phase: Option<String>,
    /// Messages in the server's mailbox.
    pub mailbox: usize,
    /// How long each phase lasted, in the order of the session.
    pub phases: Vec<(String, u64)>,
    /// How long after the call's beginning the dialogue begins, if that is known.
    pub met: Option<u64>,
    /// What the server saw and said.
    pub dialogue: Vec<Line>,
    /// Events that were not kept.
    pub more: usize,
}

/// One event of a dialogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Line {
    /// Microseconds since the dialogue's first event.
    pub at: u64,
    /// The connection, counted from 1.
    pub connection: u32,
    /// Whose it is: `client`, `server`, `note`, or `finding` for what the client did wrong.
    pub from: String,
    /// What it was.
    pub text: String,
}

/// Whole microseconds.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn shown(octets: &[u8]) -> String {
    let octets = octets.strip_suffix(b"\r\n").unwrap_or(octets);
    match octets.split_at_checked(MOST_OCTETS) {
        Some((first, rest)) if !rest.is_empty() => {
            format!("{} … {} more octets", first.escape_ascii(), rest.len())
        }
        _ => octets.escape_ascii().to_string(),
    }
}

impl Line {
    fn of(entry: &Entry) -> Self {
        let (from, text) = match &entry.event {
            Event::Command(line) => ("client", shown(line)),
            Event::MailData(octets) => ("client", format!("[{octets} octets of mail data]")),
            Event::Gone => ("client", "[closed]".to_owned()),
            Event::Said(octets) => ("server", shown(octets)),
            Event::Ended(how) => ("server", format!("[{how}]")),
            Event::HalfClosed => ("server", "[half-close]".to_owned()),
            Event::Opened => ("note", "connected".to_owned()),
            Event::Committed => ("note", "committed to the mailbox".to_owned()),
            Event::Tls(what) => ("note", format!("TLS: {what}")),
            Event::Finding(what) => ("finding", what.clone()),
            other => ("note", other.to_string()),
        };
        Self {
            at: micros(entry.at),
            connection: entry.connection,
            from: from.to_owned(),
            text,
        }
    }
}

impl Ran {
    fn of(report: &Report) -> Self {
        Self {
            elapsed: micros(report.elapsed),
            claim: report.claim.to_string(),
            outcome: report.claim.outcome.to_string(),
            phase: report.claim.phase.map(|phase| phase.name().to_owned()),
            mailbox: report.committed,
            phases: report
                .timings
                .iter()
                .map(|(phase, spent)| (phase.name().to_owned(), micros(spent)))
                .collect(),
            met: report.met.map(micros),
            dialogue: report
                .dialogue
                .iter()
                .take(MOST_LINES)
                .map(Line::of)
                .collect(),
            more: report.dialogue.len().saturating_sub(MOST_LINES),
        }
    }
}

impl CellRecord {
    /// A cell and its verdict.
    #[must_use]
    pub fn of(cell: &Cell, verdict: &Verdict) -> Self {
        let (word, report, skipped, violations) = match verdict {
            Verdict::Holds(report) => ("holds", Some(report), None, &[][..]),
            Verdict::Broken(report, violations) => {
                ("broken", Some(report), None, violations.as_slice())
            }
            Verdict::Skipped(why) => ("skipped", None, Some(why.clone()), &[][..]),
        };
        Self {
            backend: cell.backend.name().to_owned(),
            place: cell.place().to_owned(),
            setting: setting(&cell.case),
            fault: cell.fault.to_owned(),
            explain: cell.explain.to_owned(),
            harmless: cell.is_harmless(),
            case: cell.case.to_string(),
            limit: micros(cell.case.timeout),
            promise: micros(cell.case.promise()),
            verdict: word.to_owned(),
            skipped,
            violations: violations.iter().map(ToString::to_string).collect(),
            ran: report.map(|report| Ran::of(report)),
            peers: Vec::new(),
        }
    }

    /// What tells this cell from all others.
    #[must_use]
    pub fn id(&self) -> String {
        let setting = self.setting.as_deref().unwrap_or_default();
        [&self.backend, &self.place, &self.fault, setting].join("/")
    }
}

/// What tells the case's row from others at the same place, in a word.
fn setting(case: &Case) -> Option<String> {
    match (case.tls, case.proxy) {
        (Security::None, Some(proxy)) => Some(proxy.to_string()),
        (Security::None, None) if case.ahead => Some("ahead".to_owned()),
        (Security::None, None) if case.chunking.is_some() => Some("chunking".to_owned()),
        (Security::None, None) if case.lmtp => Some("lmtp".to_owned()),
        (Security::None, None) => None,
        (tls, _) => Some(tls.to_string()),
    }
}
