//! A connection as two lists of octets with their times of arrival.

use std::collections::VecDeque;

use simnet::plan::{Direction, LinkFault, Plan, Rule, Strike};

use super::Millis;

/// What travels behind the octets before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parcel {
    /// Octets up to this place in the stream.
    Octets(usize),
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

/// One direction: every octet that was ever written, and how far they came.
#[derive(Debug)]
pub(super) struct Pipe {
    octets: Vec<u8>,
    under_way: VecDeque<(Millis, Parcel)>,
    /// How many octets have arrived, and how many of them were read.
    arrived: usize,
    read: usize,
    /// Octets that vanished, which fill the window for ever.
    lost: usize,
    pub(super) end: End,
    /// The reader is gone.
    pub(super) abandoned: bool,
    /// The reader took octets since the writer was last asked.
    pub(super) opened_up: bool,
    opened: Millis,
    latency: Millis,
    window: usize,
    fragment: usize,
    /// Where pieces end.
    splits: Vec<u64>,
    coalesce: Option<Millis>,
    blackhole: Option<(Millis, Option<Millis>)>,
    strike: Option<(usize, Strike)>,
    struck: bool,
    dripped: Millis,
}

pub(super) fn millis(duration: std::time::Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

pub(super) fn latency(plan: &Plan) -> Millis {
    // The first of a kind acts, as everywhere in a plan.
    plan.rules
        .iter()
        .find_map(|rule| match rule {
            Rule::Link(LinkFault::Latency(delay)) => Some(millis(*delay).max(1)),
            _ => None,
        })
        .unwrap_or(1)
}

impl Pipe {
    fn new(octets: Vec<u8>, plan: &Plan, way: Direction, opened: Millis) -> Self {
        let mut pipe = Self {
            octets,
            under_way: VecDeque::with_capacity(4),
            arrived: 0,
            read: 0,
            lost: 0,
            end: End::Open,
            abandoned: false,
            opened_up: false,
            opened,
            latency: latency(plan),
            window: 65_536,
            fragment: usize::MAX,
            splits: Vec::new(),
            coalesce: None,
            blackhole: None,
            strike: None,
            struck: false,
            dripped: 0,
        };
        let size = |octets: u32| usize::try_from(octets).unwrap_or(usize::MAX).max(1);
        for rule in plan.rules.iter().rev() {
            let Rule::Link(fault) = rule else { continue };
            match fault {
                LinkFault::Window(octets) => pipe.window = size(*octets),
                LinkFault::Fragment { direction, octets } if direction.covers(way) => {
                    pipe.fragment = size(*octets);
                }
                LinkFault::Split { direction, after } if direction.covers(way) => {
                    pipe.splits.clone_from(after);
                }
                LinkFault::Coalesce { direction, every } if direction.covers(way) => {
                    pipe.coalesce = Some(millis(*every)).filter(|every| *every > 0);
                }
                LinkFault::Blackhole {
                    direction,
                    after,
                    heal,
                } if direction.covers(way) => {
                    pipe.blackhole = Some((opened + millis(*after), heal.map(millis)));
                }
                LinkFault::At {
                    octet,
                    direction,
                    strike,
                } if *direction == way => {
                    let before = usize::try_from(*octet).unwrap_or(usize::MAX);
                    pipe.strike = Some((before.saturating_sub(1), *strike));
                }
                _ => {}
            }
        }
        pipe
    }

    fn sent(&self) -> usize {
        self.octets.len() + self.lost
    }

    pub(super) fn sent_octets(&self) -> u64 {
        self.sent() as u64
    }

    fn unread(&self) -> usize {
        self.sent() - self.read
    }

    /// How many octets one write may have now.
    pub(super) fn room(&self) -> usize {
        let mut room = self.window.saturating_sub(self.unread());
        if let Some((before, Strike::Shut)) = self.strike {
            room = room.min(before.saturating_sub(self.sent()));
        }
        room.min(self.fragment)
    }

    fn arrival(&self, sent: Millis) -> Option<Millis> {
        let mut at = sent + self.latency;
        if let Some(every) = self.coalesce {
            at = self.opened + (at - self.opened).div_ceil(every) * every;
        }
        match self.blackhole {
            Some((from, heal)) if at >= from => heal.map(|heal| at.max(from + heal)),
            _ => Some(at),
        }
    }

    fn push(&mut self, parcel: Parcel, sent: Millis) -> bool {
        let Some(at) = self.arrival(sent) else {
            return false;
        };
        let at = self.under_way.back().map_or(at, |(last, _)| at.max(*last));
        match (self.under_way.back_mut(), parcel) {
            // Octets that arrive together are one parcel.
            (Some((last, Parcel::Octets(end))), Parcel::Octets(more)) if *last == at => *end = more,
            _ => self.under_way.push_back((at, parcel)),
        }
        true
    }

    fn push_octets(&mut self, octets: &[u8], sent: Millis) {
        if octets.is_empty() {
            return;
        }
        self.octets.extend_from_slice(octets);
        let end = self.octets.len();
        if !self.push(Parcel::Octets(end), sent) {
            self.octets.truncate(end - octets.len());
            self.lost += octets.len();
        }
    }

    /// Sends octets. Says whether the link resets both ends because of them.
    pub(super) fn send(&mut self, octets: &[u8], now: Millis) -> bool {
        let before = self.sent();
        let Some((place, strike)) = self
            .strike
            .filter(|(place, _)| before + octets.len() > *place)
        else {
            self.push_octets(octets, now);
            return false;
        };
        let (safe, rest) = octets.split_at(place.saturating_sub(before));
        self.push_octets(safe, now);
        let first = !std::mem::replace(&mut self.struck, true);
        match strike {
            Strike::Corrupt => {
                let mut rest = rest.to_vec();
                if let Some(octet) = rest.first_mut().filter(|_| first) {
                    *octet ^= 1;
                }
                self.push_octets(&rest, now);
            }
            Strike::Drip(every) => {
                for octet in rest.chunks(1) {
                    self.dripped = self.dripped.max(now) + millis(every);
                    self.push_octets(octet, self.dripped);
                }
            }
            Strike::Close if first => {
                self.push(Parcel::Fin, now);
                self.lost += rest.len();
            }
            Strike::Reset if first => {
                self.push(Parcel::Rst, now);
                self.lost += rest.len();
                return true;
            }
            _ => self.lost += rest.len(),
        }
        false
    }

    pub(super) fn send_fin(&mut self, now: Millis) {
        self.push(Parcel::Fin, now);
    }

    /// A reset that is sent now, or by the peer's system once something has reached it.
    pub(super) fn send_rst(&mut self, sent: Millis) {
        self.push(Parcel::Rst, sent);
    }

    pub(super) fn rst_under_way(&self) -> bool {
        self.under_way
            .iter()
            .any(|(_, parcel)| *parcel == Parcel::Rst)
    }

    pub(super) fn arrive(&mut self, now: Millis) {
        while let Some((at, parcel)) = self.under_way.front().copied() {
            if at > now {
                return;
            }
            self.under_way.pop_front();
            match parcel {
                Parcel::Octets(end) => self.arrived = end,
                Parcel::Fin if self.end == End::Open => self.end = End::Fin,
                Parcel::Fin => {}
                // What has arrived before it can still be read.
                Parcel::Rst => self.end = End::Rst,
            }
        }
    }

    pub(super) fn next_arrival(&self) -> Option<Millis> {
        self.under_way.front().map(|(at, _)| *at)
    }

    pub(super) fn has_arrived(&self) -> bool {
        self.arrived > self.read
    }

    pub(super) fn has_unread(&self) -> bool {
        self.unread() > 0
    }

    /// Takes at most `most` octets that have arrived: where they are in the stream.
    pub(super) fn take(&mut self, most: usize) -> &[u8] {
        let begin = self.read;
        let mut count = most.min(self.fragment).min(self.arrived - begin);
        for end in &self.splits {
            let left = end.saturating_sub(begin as u64);
            count = match usize::try_from(left) {
                Ok(left @ 1..) => count.min(left),
                _ => count,
            };
        }
        self.read += count;
        self.opened_up |= count > 0;
        self.octets.get(begin..self.read).unwrap_or_default()
    }

    /// Octets that were taken, from this place on.
    pub(super) fn taken_from(&self, place: usize) -> &[u8] {
        self.octets.get(place..self.read).unwrap_or_default()
    }
}

/// Both directions of a connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) to_server: Pipe,
    pub(super) to_client: Pipe,
}

/// What one end sees when it wants to write.
pub(super) enum Room {
    Octets(usize),
    Blocked,
    Reset,
}

impl Link {
    pub(super) fn new(buffers: (Vec<u8>, Vec<u8>), plan: &Plan, opened: Millis) -> Self {
        Self {
            to_server: Pipe::new(buffers.0, plan, Direction::ToServer, opened),
            to_client: Pipe::new(buffers.1, plan, Direction::ToClient, opened),
        }
    }

    /// The direction that this end reads and the one that it writes.
    fn both(&mut self, server: bool) -> (&mut Pipe, &mut Pipe) {
        if server {
            (&mut self.to_server, &mut self.to_client)
        } else {
            (&mut self.to_client, &mut self.to_server)
        }
    }

    /// Whether an end may write.
    pub(super) fn room(&mut self, server: bool, now: Millis) -> Room {
        let (incoming, outgoing) = self.both(server);
        incoming.arrive(now);
        if incoming.end == End::Rst {
            return Room::Reset;
        }
        if outgoing.abandoned && !incoming.rst_under_way() {
            // What is sent to a closed socket is answered by a reset.
            incoming.send_rst(now + outgoing.latency);
        }
        match outgoing.room() {
            0 => Room::Blocked,
            room => Room::Octets(room),
        }
    }

    pub(super) fn send(&mut self, server: bool, octets: &[u8], now: Millis) {
        let (incoming, outgoing) = self.both(server);
        if outgoing.send(octets, now) {
            incoming.send_rst(now);
        }
    }

    /// An end is dropped.
    pub(super) fn drop_end(&mut self, server: bool, now: Millis) {
        let (incoming, outgoing) = self.both(server);
        incoming.arrive(now);
        if incoming.end != End::Rst {
            if incoming.has_unread() {
                outgoing.send_rst(now);
            } else {
                outgoing.send_fin(now);
            }
        }
        incoming.abandoned = true;
        incoming.opened_up = true;
    }

    /// The octets' memory, to be used again.
    pub(super) fn into_buffers(self) -> (Vec<u8>, Vec<u8>) {
        let clean = |mut octets: Vec<u8>| {
            octets.clear();
            octets
        };
        (clean(self.to_server.octets), clean(self.to_client.octets))
    }
}
