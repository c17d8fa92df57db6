//! The message in chunks of announced length (RFC 3030 §2), without a copy of it.

use core::ops::Range;
use std::io::IoSlice;

use crate::transparency::{BareLineEnding, Encoder};

/// Frames a message: a BDAT command in front of each chunk, and behind it the octets as they are.
///
/// The source comes in pieces of its own; each becomes one chunk or several.
#[derive(Debug)]
pub(super) struct Chunks {
    encoder: Encoder,
    /// Octets of the source in one chunk, at most.
    most: usize,
    /// The part of the current piece of the source that is the current chunk.
    part: Range<usize>,
    /// The current chunk's command, and how much of it was taken.
    command: Vec<u8>,
    command_taken: usize,
    /// Octets of the current chunk that were not taken.
    left: u64,
    state: State,
    last: bool,
    /// The last chunk was taken whole.
    finished: bool,
    /// Octets taken so far with the commands, and how many they are at the current chunk's end.
    taken: u64,
    end: u64,
}

/// How far the current chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There is none.
    None,
    /// It may not leave yet.
    Held,
    /// It may leave.
    Granted,
}

/// What stopping met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// No chunk that may leave.
    Clean,
    /// One that might have left.
    Granted,
    /// One that has begun to.
    HalfSaid,
}

impl Chunks {
    pub(super) fn new(encoder: Encoder, most: u32) -> Self {
        Self {
            encoder,
            most: usize::try_from(most).unwrap_or(usize::MAX).max(1),
            part: 0..0,
            command: Vec::new(),
            command_taken: 0,
            left: 0,
            state: State::None,
            last: false,
            finished: false,
            taken: 0,
            end: 0,
        }
    }

    /// Begins the next piece of the source.
    pub(super) fn next_source(&mut self) {
        self.part = 0..0;
    }

    /// Prepares octets of the current chunk or, behind its end, of the next one, which is then held.
    pub(super) fn prepare(&mut self, source: &[u8], last: bool) -> Result<(), BareLineEnding> {
        while self.state == State::None {
            let begin = self.part.end;
            let end = source.len().min(begin.saturating_add(self.most));
            self.last = last && end == source.len();
            if self.finished || (begin == end && !self.last) {
                return Ok(());
            }
            self.part = begin..end;
            let part = source.get(begin..end).unwrap_or_default();
            self.encoder.next_chunk();
            self.left = encoded_octets(self.encoder.clone(), part, self.last)?;
            if self.left == 0 && !self.last {
                // One CR that waits for what follows it.
                self.encoder.prepare(part, false)?;
                continue;
            }
            let last = if self.last { " LAST" } else { "" };
            self.command = format!("BDAT {}{last}\r\n", self.left).into_bytes();
            self.command_taken = 0;
            self.end = self.taken + self.command.len() as u64 + self.left;
            self.state = State::Held;
        }
        let part = source.get(self.part.clone()).unwrap_or_default();
        self.encoder.prepare(part, self.last)
    }

    /// Whether a chunk is held, and whether it is the last one then.
    pub(super) fn held(&self) -> Option<bool> {
        (self.state == State::Held).then_some(self.last)
    }

    /// The chunk that is held may leave. Says its command, and where it ends.
    pub(super) fn grant(&mut self) -> (&[u8], u64) {
        self.state = State::Granted;
        (&self.command, self.end)
    }

    /// No further chunk leaves, as far as that can be.
    pub(super) fn stop(&mut self) -> Stop {
        let stop = match self.state {
            State::Granted if self.command_taken > 0 => return Stop::HalfSaid,
            State::Granted => Stop::Granted,
            _ => Stop::Clean,
        };
        self.state = State::None;
        stop
    }

    /// Whether everything up to here was taken.
    pub(super) const fn has_left(&self, end: u64) -> bool {
        self.taken >= end
    }

    pub(super) fn slices<'a>(&'a self, source: &'a [u8], slices: &mut [IoSlice<'a>]) -> usize {
        if self.state != State::Granted {
            return 0;
        }
        let mut count = 0;
        let command = self.command.get(self.command_taken..).unwrap_or_default();
        if let Some(slice) = slices.first_mut().filter(|_| !command.is_empty()) {
            *slice = IoSlice::new(command);
            count = 1;
        }
        let part = source.get(self.part.clone()).unwrap_or_default();
        let rest = slices.get_mut(count..).unwrap_or_default();
        count + self.encoder.slices(part, rest)
    }

    /// Whether the first so many slices go to the message's end.
    pub(super) fn ends_with(&self, slices: usize) -> bool {
        let command = usize::from(self.command_taken < self.command.len());
        let pieces = slices.checked_sub(command);
        pieces.is_some_and(|pieces| self.encoder.ends_with(pieces))
    }

    pub(super) fn taken(&mut self, count: usize) {
        let command = count.min(self.command.len() - self.command_taken);
        self.command_taken += command;
        self.encoder.taken(count - command);
        self.left = self.left.saturating_sub((count - command) as u64);
        self.taken += count as u64;
        if self.command_taken == self.command.len() && self.left == 0 {
            self.state = State::None;
            self.finished = self.last;
        }
    }

    pub(super) fn pending(&self) -> usize {
        match self.state {
            State::None => 0,
            _ => self.command.len() - self.command_taken + self.encoder.pending(),
        }
    }

    pub(super) const fn is_finished(&self) -> bool {
        self.finished
    }

    /// Octets of the message that were taken, without the commands.
    pub(super) const fn octets_taken(&self) -> u64 {
        self.encoder.octets_taken()
    }
}

/// How many octets the encoder makes of `part`.
fn encoded_octets(mut encoder: Encoder, part: &[u8], last: bool) -> Result<u64, BareLineEnding> {
    let before = encoder.octets_taken();
    loop {
        encoder.prepare(part, last)?;
        encoder.taken(encoder.pending());
        if !encoder.needs_prepare(part, last) {
            return Ok(encoder.octets_taken() - before);
        }
    }
}
