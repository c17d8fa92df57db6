//! The promise, before the call is made.

use core::fmt;
use core::time::Duration;

use crate::{Phase, Security, Timeouts};

/// How long a call can last at most, itemised by phase.
///
/// Its `Display` is a table. Made by [`Timeouts::worst_case`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorstCase {
    timeouts: Timeouts,
    items: Vec<WorstCaseItem>,
}

/// One row of a [`WorstCase`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorstCaseItem {
    /// The phase.
    pub phase: Phase,
    /// How often its limit can run out in one call.
    pub times: u64,
    /// The limit.
    pub limit: Duration,
    /// What the size of the mail data adds at the minimum rate.
    pub transfer: Duration,
}

impl WorstCaseItem {
    /// The row's sum.
    #[must_use]
    pub fn total(&self) -> Duration {
        let nanos = self.limit.as_nanos().saturating_mul(u128::from(self.times));
        let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
        let rest = u32::try_from(nanos % 1_000_000_000).unwrap_or(0);
        Duration::new(seconds, rest).saturating_add(self.transfer)
    }
}

impl WorstCase {
    pub(crate) fn of_message(timeouts: &Timeouts, recipients: usize, octets: u64) -> Self {
        let recipients = u64::try_from(recipients).unwrap_or(u64::MAX);
        let items = Phase::ALL
            .into_iter()
            .filter_map(|phase| {
                let times = match phase {
                    // EHLO, and HELO where the server does not know EHLO.
                    Phase::Ehlo => 2,
                    Phase::Rcpt => recipients,
                    Phase::Checkout
                    | Phase::TlsHandshake
                    | Phase::StartTls
                    | Phase::Auth
                    | Phase::Command
                    | Phase::Reset
                    | Phase::Backoff => 0,
                    _ => 1,
                };
                let limit = timeouts.of(phase);
                let transfer = match phase {
                    Phase::DataBlock => timeouts.transfer(octets),
                    Phase::DataTermination => {
                        timeouts.data_termination(octets).saturating_sub(limit)
                    }
                    _ => Duration::ZERO,
                };
                (times > 0).then_some(WorstCaseItem {
                    phase,
                    times,
                    limit,
                    transfer,
                })
            })
            .collect();
        Self {
            timeouts: *timeouts,
            items,
        }
    }

    /// With this many occasions more on which the limit of `phase` can run out.
    #[must_use]
    pub fn plus(mut self, phase: Phase, times: u64) -> Self {
        if let Some(item) = self.items.iter_mut().find(|item| item.phase == phase) {
            item.times = item.times.saturating_add(times);
        } else if times > 0 {
            let at = self.items.partition_point(|item| item.phase < phase);
            let item = WorstCaseItem {
                phase,
                times,
                limit: self.timeouts.of(phase),
                transfer: Duration::ZERO,
            };
            self.items.insert(at, item);
        }
        self
    }

    /// With what this mode adds: the handshake, and for STARTTLS its command and EHLO once more.
    #[must_use]
    pub fn plus_security(self, security: Security) -> Self {
        let starttls = u64::from(security.is_starttls());
        self.plus(Phase::TlsHandshake, u64::from(security != Security::None))
            .plus(Phase::StartTls, starttls)
            .plus(Phase::Ehlo, starttls)
    }

    /// All of it, this many times.
    #[must_use]
    pub fn repeated(mut self, times: u64) -> Self {
        let factor = u32::try_from(times).unwrap_or(u32::MAX);
        for item in &mut self.items {
            item.times = item.times.saturating_mul(times);
            item.transfer = item.transfer.saturating_mul(factor);
        }
        self.items.retain(|item| item.times > 0);
        self
    }

    /// This and then the other, under the same timeouts.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        for item in &other.items {
            self = self.plus(item.phase, item.times);
            if let Some(sum) = self.items.iter_mut().find(|sum| sum.phase == item.phase) {
                sum.transfer = sum.transfer.saturating_add(item.transfer);
            }
        }
        self
    }

    /// The sum.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.items
            .iter()
            .fold(Duration::ZERO, |sum, item| sum.saturating_add(item.total()))
    }

    /// The part that these phases have in it: [`Phase::Resolve`] to [`Phase::Ehlo`] for dialling,
    /// [`Phase::Mail`] to [`Phase::DataTermination`] for a mail transaction.
    #[must_use]
    pub fn between(&self, first: Phase, last: Phase) -> Self {
        Self {
            timeouts: self.timeouts,
            items: self
                .items
                .iter()
                .filter(|item| (first..=last).contains(&item.phase))
                .copied()
                .collect(),
        }
    }

    /// The rows, in the order of [`Phase::ALL`].
    #[must_use]
    pub fn items(&self) -> &[WorstCaseItem] {
        &self.items
    }
}

impl fmt::Display for WorstCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<18}{:>7}{:>12}{:>12}{:>12}",
            "phase", "times", "limit", "transfer", "at most"
        )?;
        for item in &self.items {
            writeln!(
                f,
                "{:<18}{:>7}{:>12}{:>12}{:>12}",
                item.phase,
                item.times,
                Seconds(item.limit),
                Seconds(item.transfer),
                Seconds(item.total())
            )?;
        }
        write!(f, "{:<49}{:>12}", "together", Seconds(self.total()))
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() {
            return f.pad("-");
        }
        f.pad(&format!("{:.3} s", self.0.as_secs_f64()))
    }
}
