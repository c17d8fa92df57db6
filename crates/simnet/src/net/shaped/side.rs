//! One direction of a stream: how much moves at once, and where it is struck.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::plan::{Direction, LinkFault, Plan, Strike};

/// Between two pieces: who reads has the one before the next comes.
const PAUSE: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Side {
    /// Most octets that move at once.
    fragment: usize,
    /// Pieces end behind these octets, the next one first.
    splits: VecDeque<u64>,
    /// A piece has just ended.
    pauses: bool,
    /// How many octets pass before the strike.
    strike: Option<(u64, Strike)>,
    /// Octets that have passed.
    passed: u64,
    /// The end that the strike makes is made.
    pub(super) ended: bool,
    /// Of a drip, the octet that is on its way.
    pub(super) held: Option<u8>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Side {
    pub(super) fn new(plan: &Plan, way: Direction) -> Self {
        let mut side = Self {
            fragment: usize::MAX,
            splits: VecDeque::new(),
            pauses: false,
            strike: None,
            passed: 0,
            ended: false,
            held: None,
            timer: None,
        };
        // The first of a kind acts, as everywhere in a plan.
        for fault in plan.link_faults().rev() {
            match fault {
                LinkFault::Fragment { direction, octets } if direction.covers(way) => {
                    side.fragment = usize::try_from(*octets).unwrap_or(usize::MAX).max(1);
                }
                LinkFault::Split { direction, after } if direction.covers(way) => {
                    side.splits = after.iter().copied().collect();
                }
                LinkFault::At {
                    octet,
                    direction,
                    strike,
                } if direction.covers(way) => {
                    side.strike = Some((octet.saturating_sub(1), *strike));
                }
                _ => {}
            }
        }
        side
    }

    /// What strikes at the next octet.
    pub(super) fn due(&self) -> Option<Strike> {
        let (safe, strike) = self.strike?;
        (self.passed >= safe).then_some(strike)
    }

    /// Whether the next octet is the very one that is struck at.
    pub(super) fn is_first(&self) -> bool {
        self.strike.is_some_and(|(safe, _)| safe == self.passed)
    }

    /// How many octets may move at once, whatever strikes at them.
    fn at_once(&self) -> usize {
        let piece = self
            .splits
            .front()
            .map(|end| end.saturating_sub(self.passed));
        let piece = piece.and_then(|octets| usize::try_from(octets).ok());
        self.fragment.min(piece.unwrap_or(usize::MAX))
    }

    /// How many octets may move at once before something is to happen to them.
    pub(super) fn room(&self) -> usize {
        self.at_once().min(self.safe())
    }

    /// How many octets are to be taken at once from who sends them. What is to be lost is taken with what
    /// stands before it: so it is lost when it comes, and not when more of it is asked for.
    pub(super) fn most(&self) -> usize {
        match self.strike {
            Some((_, Strike::Stall | Strike::Close | Strike::Reset)) => self.at_once(),
            _ => self.room(),
        }
    }

    /// How many octets pass unharmed from here on.
    pub(super) fn safe(&self) -> usize {
        match self.strike {
            Some((safe, _)) if safe > self.passed => {
                usize::try_from(safe - self.passed).unwrap_or(usize::MAX)
            }
            _ => usize::MAX,
        }
    }

    /// So many octets have passed.
    pub(super) fn pass(&mut self, octets: usize) {
        self.passed += octets as u64;
        self.timer = None;
        while self.splits.front().is_some_and(|end| *end <= self.passed) {
            self.splits.pop_front();
            self.pauses = true;
        }
    }

    /// Waits between two pieces.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.pauses {
            ready!(self.poll_wait(PAUSE, cx));
            self.pauses = false;
            self.timer = None;
        }
        Poll::Ready(())
    }

    /// Waits until this long after it was first asked for since an octet passed.
    pub(super) fn poll_wait(&mut self, wait: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + wait)));
        timer.as_mut().poll(cx)
    }
}
