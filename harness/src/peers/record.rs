//! What other clients did, as it is kept and as it is added up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{End, Peer, Seen};
use crate::matrix::Cell;
use crate::results::CellRecord;
use crate::results::micros;

/// What a client did in a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PeerRecord {
    /// The client and its version.
    pub client: String,
    /// Why the cell says nothing about it.
    pub not_tried: Option<String>,
    /// How the call ended, or that it did not, in words; nothing if it was not tried.
    pub end: Option<String>,
    /// Whether the call returned.
    pub ended: bool,
    /// The error's own words.
    pub error: Option<String>,
    /// How long the call lasted, or was watched, in microseconds.
    pub elapsed: u64,
    /// Messages in the server's mailbox.
    pub mailbox: usize,
    /// Whether it returned an error, and the mailbox has the message.
    pub failed_but_delivered: bool,
    /// Whether it said that the message was sent, and the mailbox has none.
    pub sent_but_not_delivered: bool,
}

impl PeerRecord {
    /// Has the client make the cell's call.
    #[must_use]
    pub fn of(peer: Peer, cell: &Cell) -> Self {
        let tried = peer.run(cell);
        let seen = tried.as_ref().ok();
        Self {
            client: peer.to_string(),
            not_tried: tried.as_ref().err().map(ToString::to_string),
            end: seen.map(|seen| seen.end.to_string()),
            ended: seen.is_some_and(Seen::has_ended),
            error: seen.and_then(|seen| seen.error.clone()),
            elapsed: seen.map_or(0, |seen| micros(seen.elapsed)),
            mailbox: seen.map_or(0, |seen| seen.mailbox),
            failed_but_delivered: seen.is_some_and(Seen::failed_but_delivered),
            sent_but_not_delivered: seen.is_some_and(Seen::sent_but_not_delivered),
        }
    }

    /// All clients in this cell.
    #[must_use]
    pub fn all(cell: &Cell) -> Vec<Self> {
        Peer::ALL.iter().map(|peer| Self::of(*peer, cell)).collect()
    }

    /// Whether the call was made and did not return.
    #[must_use]
    pub const fn has_no_end(&self) -> bool {
        self.end.is_some() && !self.ended
    }
}

/// What a client did in all cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Cells in which it was tried, and in how many of these the call had no end: by the place at which
    /// the fault strikes.
    pub places: BTreeMap<String, (usize, usize)>,
    /// Calls by how they ended, and by how they did not.
    pub ends: BTreeMap<String, usize>,
    /// Calls that returned an error while the mailbox has the message.
    pub failed_but_delivered: usize,
    /// Calls that said that the message was sent while the mailbox has none.
    pub sent_but_not_delivered: usize,
    /// Cells that say nothing about it, by reason.
    pub not_tried: BTreeMap<String, usize>,
}

impl Summary {
    /// Each client's, by name and version.
    #[must_use]
    pub fn of(cells: &[CellRecord]) -> BTreeMap<String, Self> {
        let mut all: BTreeMap<String, Self> = BTreeMap::new();
        for cell in cells {
            for peer in &cell.peers {
                let summary = all.entry(peer.client.clone()).or_default();
                if let Some(why) = &peer.not_tried {
                    *summary.not_tried.entry(why.clone()).or_default() += 1;
                    continue;
                }
                let place = summary.places.entry(cell.place.clone()).or_default();
                place.0 += 1;
                place.1 += usize::from(peer.has_no_end());
                let end = peer.end.clone().unwrap_or_default();
                *summary.ends.entry(end).or_default() += 1;
                summary.failed_but_delivered += usize::from(peer.failed_but_delivered);
                summary.sent_but_not_delivered += usize::from(peer.sent_but_not_delivered);
            }
        }
        all
    }

    /// Cells in which it was tried.
    #[must_use]
    pub fn tried(&self) -> usize {
        self.places.values().map(|(tried, _)| tried).sum()
    }

    /// Calls that had no end.
    #[must_use]
    pub fn without_end(&self) -> usize {
        self.places.values().map(|(_, open)| open).sum()
    }

    /// Calls that ended this way.
    #[must_use]
    pub fn ended(&self, end: End) -> usize {
        self.ends.get(end.name()).copied().unwrap_or_default()
    }
}
