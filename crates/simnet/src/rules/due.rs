//! When a rule strikes by what was there before: how often, how many of late, and which pairs of paths.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::fits::Occasion;
use crate::plan::When;

/// Pairs of paths that a greylisting rule remembers; whoever comes then is greylisted for good. A
/// double is attacked by what it tests.
const PAIRS: usize = 4_096;

/// What a rule remembers of the occasions that fitted it.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// When a pair of paths was first seen.
    seen: BTreeMap<(String, String), Instant>,
    /// When the last occasions were, for a rate limit.
    recent: VecDeque<Instant>,
}

/// It has struck as often as it may.
pub(super) fn late(when: &When, strikes: u32) -> Option<String> {
    let most = [when.first, when.times].into_iter().flatten().min()?;
    (strikes >= most).then(|| format!("it had struck {most} times"))
}

impl Memory {
    /// It is not due yet, or no longer, by the clock. What is counted over time has to see every
    /// occasion that fits.
    pub(super) fn early(&mut self, when: &When, occasion: &Occasion<'_>) -> Option<String> {
        let now = Instant::now();
        let rate = when.over.and_then(|(count, per)| {
            let most = usize::try_from(count).unwrap_or(usize::MAX);
            self.is_slow(most, per, now)
                .then(|| format!("the rate was no more than {count}"))
        });
        rate.or_else(|| {
            let known = when
                .greylist
                .is_some_and(|delay| self.knows(occasion, delay, now));
            known.then(|| "the pair was no longer greylisted".to_owned())
        })
    }

    /// Whether this occasion is no more than the `most` that may fall into so long.
    fn is_slow(&mut self, most: usize, per: Duration, now: Instant) -> bool {
        self.recent.push_back(now);
        let is_past = |first: &Instant| now.duration_since(*first) >= per;
        while self.recent.front().is_some_and(is_past) || self.recent.len() > most.saturating_add(1)
        {
            self.recent.pop_front();
        }
        self.recent.len() <= most
    }

    /// Whether every pair of paths of this occasion was seen so long ago.
    fn knows(&mut self, occasion: &Occasion<'_>, delay: Duration, now: Instant) -> bool {
        let mut known = true;
        // Before RCPT there is only the reverse-path to go by.
        let nobody = [String::new()];
        let to = match occasion.to {
            [] => &nobody,
            to => to,
        };
        for to in to {
            let pair = (occasion.from.to_ascii_lowercase(), to.to_ascii_lowercase());
            known &= match self.seen.get(&pair) {
                Some(first) => now.duration_since(*first) >= delay,
                None => {
                    if self.seen.len() < PAIRS {
                        self.seen.insert(pair, now);
                    }
                    false
                }
            };
        }
        known
    }
}
