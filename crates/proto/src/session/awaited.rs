//! The replies that are due, in their order.

use std::collections::VecDeque;

use super::{Command, Phase};

/// A reply that is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub(super) command: Command,
    pub(super) phase: Phase,
    /// Octets of the command, for the window.
    pub(super) octets: usize,
    /// Where the command ends in the stream of commands: a reply before that is early.
    pub(super) end: u64,
}

/// All of them, and how much of the window their commands take: asked for at each command.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    replies: VecDeque<Expected>,
    octets: usize,
}

impl Awaited {
    pub(super) fn push_back(&mut self, expected: Expected) {
        self.octets += expected.octets;
        self.replies.push_back(expected);
    }

    pub(super) fn pop_front(&mut self) -> Option<Expected> {
        let first = self.replies.pop_front()?;
        self.octets -= first.octets;
        Some(first)
    }

    pub(super) fn pop_back(&mut self) -> Option<Expected> {
        let last = self.replies.pop_back()?;
        self.octets -= last.octets;
        Some(last)
    }

    pub(super) fn front(&self) -> Option<&Expected> {
        self.replies.front()
    }

    /// The first one counts as this phase's from now on.
    pub(super) fn enter(&mut self, phase: Phase) {
        if let Some(first) = self.replies.front_mut() {
            first.phase = phase;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.replies.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }

    /// Octets of the commands that are not answered.
    pub(super) const fn octets(&self) -> usize {
        self.octets
    }
}
