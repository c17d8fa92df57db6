//! One direction of a connection: what is under way, what has arrived, what the link does to it.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use crate::plan::{Direction, LinkFault, Plan, Strike};

/// What the link does to octets that travel one way.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) latency: Duration,
    pub(super) window: usize,
    /// Most octets that one read or write moves.
    pub(super) fragment: usize,
    /// Reads end behind these octets of the stream.
    splits: Vec<u64>,
    coalesce: Option<Duration>,
    blackhole: Option<(Duration, Option<Duration>)>,
    /// How many octets pass before the strike.
    strike: Option<(u64, Strike)>,
}

impl Shape {
    pub(super) fn new(plan: &Plan, way: Direction) -> Self {
        let mut shape = Self {
            latency: Duration::from_millis(1),
            window: 65_536,
            fragment: usize::MAX,
            splits: Vec::new(),
            coalesce: None,
            blackhole: None,
            strike: None,
        };
        let applies = |direction: &Direction| direction.covers(way);
        // The first of a kind acts, as everywhere in a plan.
        for fault in plan.link_faults().rev() {
            match fault {
                // Without any latency a flood would keep virtual time from moving.
                LinkFault::Latency(delay) => shape.latency = (*delay).max(Duration::from_millis(1)),
                LinkFault::Window(octets) => {
                    shape.window = usize::try_from(*octets).unwrap_or(usize::MAX).max(1);
                }
                LinkFault::Fragment { direction, octets } if applies(direction) => {
                    shape.fragment = usize::try_from(*octets).unwrap_or(usize::MAX).max(1);
                }
                LinkFault::Split { direction, after } if applies(direction) => {
                    shape.splits.clone_from(after);
                }
                LinkFault::Coalesce { direction, every } if applies(direction) => {
                    shape.coalesce = Some(*every);
                }
                LinkFault::Blackhole {
                    direction,
                    after,
                    heal,
                } if applies(direction) => shape.blackhole = Some((*after, *heal)),
                LinkFault::At {
                    octet,
                    direction,
                    strike,
                } if applies(direction) => shape.strike = Some((octet.saturating_sub(1), *strike)),
                _ => {}
            }
        }
        shape
    }

    /// When something that is sent now arrives, and whether it ever does.
    fn arrival(&self, opened: Instant, now: Instant, extra: Duration) -> Option<Instant> {
        let mut at = now + self.latency + extra;
        if let Some(every) = self.coalesce.filter(|every| !every.is_zero()) {
            let since = at.saturating_duration_since(opened).as_nanos();
            let rest = since % every.as_nanos();
            if rest > 0 {
                let wait = every.as_nanos() - rest;
                at += Duration::from_nanos(u64::try_from(wait).unwrap_or(0));
            }
        }
        match self.blackhole {
            // What is in flight when the blackhole opens is lost in it, too.
            Some((after, heal)) if at >= opened + after => {
                heal.map(|heal| at.max(opened + after + heal))
            }
            _ => Some(at),
        }
    }
}

/// Something under way.
#[derive(Debug)]
enum Parcel {
    Octets(Vec<u8>),
    Fin,
    Rst,
}

/// How a direction ended, as its reader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Open,
    Fin,
    Rst,
}

#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) shape: Shape,
    opened: Instant,
    under_way: VecDeque<(Instant, Parcel)>,
    arrived: VecDeque<u8>,
    /// Octets written and not yet read.
    unread: usize,
    /// Octets ever written.
    sent: u64,
    /// When the last octet of a drip leaves.
    dripped: Option<Instant>,
    pub(super) end: End,
    /// The reader's stream is gone.
    pub(super) abandoned: bool,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

impl Pipe {
    pub(super) fn new(shape: Shape, opened: Instant) -> Self {
        Self {
            shape,
            opened,
            under_way: VecDeque::new(),
            arrived: VecDeque::new(),
            unread: 0,
            sent: 0,
            dripped: None,
            end: End::Open,
            abandoned: false,
            reader: None,
            writer: None,
        }
    }

    /// How many octets may be written now.
    pub(super) fn room(&self) -> usize {
        let room = self.shape.window.saturating_sub(self.unread);
        match self.shape.strike {
            Some((before, Strike::Shut)) => {
                let left = before.saturating_sub(self.sent);
                room.min(usize::try_from(left).unwrap_or(usize::MAX))
            }
            _ => room,
        }
    }

    fn send(&mut self, parcel: Parcel, now: Instant, extra: Duration) {
        if let Some(at) = self.shape.arrival(self.opened, now, extra) {
            // TCP keeps the order.
            let at = self.under_way.back().map_or(at, |(last, _)| at.max(*last));
            self.under_way.push_back((at, parcel));
            wake(&mut self.reader);
        }
    }

    /// Sends octets. Says whether they have met a strike that resets the other direction, too.
    pub(super) fn send_octets(&mut self, octets: Vec<u8>, now: Instant) -> bool {
        let before = self.sent;
        self.unread += octets.len();
        self.sent += octets.len() as u64;
        match self.shape.strike {
            Some((safe, strike)) if self.sent > safe => {
                let first = before <= safe;
                let safe = usize::try_from(safe.saturating_sub(before)).unwrap_or(usize::MAX);
                self.strike(strike, octets, safe.min(self.unread), first, now)
            }
            _ => {
                self.send(Parcel::Octets(octets), now, Duration::ZERO);
                false
            }
        }
    }

    /// Lets the first `safe` octets pass; `first` says that the next one is the one to strike at.
    fn strike(
        &mut self,
        strike: Strike,
        mut octets: Vec<u8>,
        safe: usize,
        first: bool,
        now: Instant,
    ) -> bool {
        let mut struck = octets.split_off(safe.min(octets.len()));
        if !octets.is_empty() {
            self.send(Parcel::Octets(octets), now, Duration::ZERO);
        }
        match strike {
            Strike::Corrupt => {
                if let Some(octet) = struck.first_mut().filter(|_| first) {
                    *octet ^= 1;
                }
                self.send(Parcel::Octets(struck), now, Duration::ZERO);
            }
            Strike::Drip(every) => {
                for octet in struck {
                    let at = self.dripped.map_or(now, |last| last.max(now)) + every;
                    self.dripped = Some(at);
                    let extra = at.saturating_duration_since(now);
                    self.send(Parcel::Octets(vec![octet]), now, extra);
                }
            }
            Strike::Close if first => self.send(Parcel::Fin, now, Duration::ZERO),
            Strike::Reset if first => {
                self.send(Parcel::Rst, now, Duration::ZERO);
                return true;
            }
            Strike::Close | Strike::Reset | Strike::Stall | Strike::Shut => {}
        }
        false
    }

    pub(super) fn send_fin(&mut self, now: Instant) {
        self.send(Parcel::Fin, now, Duration::ZERO);
    }

    /// A reset that arrives this much later than one that is sent now. It wakes a blocked writer at
    /// the same end, too.
    pub(super) fn send_rst(&mut self, now: Instant, extra: Duration) {
        self.send(Parcel::Rst, now, extra);
    }

    /// Whether nothing is under way.
    pub(super) fn is_still(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Lets in what has arrived by now, and says when the next arrival is.
    pub(super) fn arrive(&mut self, now: Instant) -> Option<Instant> {
        while let Some((at, _)) = self.under_way.front() {
            if *at > now {
                return Some(*at);
            }
            match self.under_way.pop_front() {
                Some((_, Parcel::Octets(octets))) if self.arrived.is_empty() => {
                    self.arrived = octets.into();
                }
                Some((_, Parcel::Octets(octets))) => self.arrived.extend(octets),
                Some((_, Parcel::Fin)) if self.end == End::Open => self.end = End::Fin,
                // What has arrived before it can still be read, as on Linux (measured on 6.18, loopback:
                // the octets, then ECONNRESET). Some other systems throw it away.
                Some((_, Parcel::Rst)) => self.end = End::Rst,
                _ => {}
            }
        }
        None
    }

    /// When a reset will arrive, if one is under way.
    pub(super) fn rst_due(&self) -> Option<Instant> {
        self.under_way
            .iter()
            .find(|(_, parcel)| matches!(parcel, Parcel::Rst))
            .map(|(at, _)| *at)
    }

    pub(super) fn has_unread(&self) -> bool {
        self.unread > 0
    }

    pub(super) fn has_arrived(&self) -> bool {
        !self.arrived.is_empty()
    }

    /// How many octets there are up to the end of a piece.
    fn piece(&self) -> usize {
        let read = self.sent - self.unread as u64;
        let mut ends = self.shape.splits.iter();
        ends.find(|end| **end > read)
            .and_then(|end| usize::try_from(end - read).ok())
            .unwrap_or(usize::MAX)
    }

    /// Takes at most `most` octets that have arrived.
    pub(super) fn read(&mut self, most: usize, mut put: impl FnMut(&[u8])) {
        let most = most.min(self.shape.fragment).min(self.piece());
        let mut left = most.min(self.arrived.len());
        self.unread -= left;
        while left > 0 {
            let (front, _) = self.arrived.as_slices();
            let part = front.len().min(left);
            put(front.get(..part).unwrap_or_default());
            self.arrived.drain(..part);
            left -= part;
        }
        // The window opens at once: acknowledgements are not delayed.
        wake(&mut self.writer);
    }
}

pub(super) fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
