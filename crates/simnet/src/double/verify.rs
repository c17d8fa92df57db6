//! What was expected and what came.

use std::fmt;

use super::Mail;
use crate::{Double, Entry, Finding, RuleFacts};

/// What a client claims about the one message that a test had it send.
#[expect(clippy::exhaustive_enums, reason = "there is nothing else to claim")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It was delivered.
    Delivered,
    /// It was not: sending it again makes no duplicate.
    NotDelivered,
    /// It can't be known (RFC 1047).
    Unknown,
}

/// What is known of a message that was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailFacts {
    /// The expectation, in words.
    pub expected: String,
    /// How many were expected.
    pub times: usize,
    /// How many came.
    pub came: usize,
    /// The message that came nearest without being one, and by what it missed.
    pub nearest: Option<String>,
}

impl MailFacts {
    /// Whether too few or too many came.
    #[must_use]
    pub const fn is_unmet(&self) -> bool {
        self.came != self.times
    }
}

impl fmt::Display for MailFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} came, expected {}",
            self.expected, self.came, self.times
        )?;
        match &self.nearest {
            Some(nearest) if self.came < self.times => write!(f, "; nearest: {nearest}"),
            _ => Ok(()),
        }
    }
}

/// What was expected and what came, as facts. Its `Display` is the text of a failure.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verification {
    /// Every rule.
    pub rules: Vec<RuleFacts>,
    /// Every message that was expected.
    pub mail: Vec<MailFacts>,
    /// What the client did wrong, by the RFC.
    pub findings: Vec<Finding>,
    /// Messages in the mailbox.
    pub committed: usize,
    /// Connections that are still open.
    pub open_connections: usize,
    /// The last events, to be shown with a failure.
    pub transcript: Vec<Entry>,
}

/// Events that a failure shows.
const SHOWN: usize = 40;

impl Verification {
    pub(super) fn new(double: &Double, expected: &[Mail]) -> Self {
        let ledger = double.ledger();
        let deliveries = ledger.deliveries();
        let mail = expected.iter().map(|mail| {
            let misses: Vec<_> = deliveries
                .iter()
                .map(|delivery| mail.misses(delivery))
                .collect();
            let nearest = misses
                .iter()
                .zip(1..)
                .filter(|(misses, _)| !misses.is_empty())
                .min_by_key(|(misses, _)| misses.len());
            MailFacts {
                expected: mail.to_string(),
                times: mail.times,
                came: misses.iter().filter(|misses| misses.is_empty()).count(),
                nearest: nearest
                    .map(|(misses, number)| format!("message {number}: {}", misses.join("; "))),
            }
        });
        let mut transcript = double.trace().entries();
        transcript.drain(..transcript.len().saturating_sub(SHOWN));
        Self {
            rules: double.rules().facts(),
            mail: mail.collect(),
            findings: ledger.findings(),
            committed: deliveries.len(),
            open_connections: ledger.open_connections(),
            transcript,
        }
    }

    /// Whether every rule struck as often as it has to and every message came as often as expected.
    /// Findings do not count: see [`Verification::is_clean`].
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.rules.iter().any(RuleFacts::is_unmet) && !self.mail.iter().any(MailFacts::is_unmet)
    }

    /// Whether the client did nothing wrong, by the RFC.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether what the client claims is true: delivered means that the message is in the mailbox
    /// once, not delivered that it isn't, and unknown that it may be there once.
    #[must_use]
    pub const fn agrees(&self, claim: Claim) -> bool {
        match claim {
            Claim::Delivered => self.committed == 1,
            Claim::NotDelivered => self.committed == 0,
            Claim::Unknown => self.committed <= 1,
        }
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = |unmet| if unmet { "MISSED" } else { "ok" };
        for facts in &self.rules {
            write!(f, "{:<7}{facts}", mark(facts.is_unmet()))?;
            if facts.is_unmet() && facts.nearest.is_none() {
                f.write_str("; no occasion of its phase was left unstruck")?;
            }
            writeln!(f)?;
        }
        for facts in &self.mail {
            write!(f, "{:<7}{facts}", mark(facts.is_unmet()))?;
            if facts.came < facts.times && facts.nearest.is_none() {
                f.write_str("; no other message came")?;
            }
            writeln!(f)?;
        }
        for finding in &self.findings {
            writeln!(f, "{:<7}{finding}", "wrong")?;
        }
        writeln!(
            f,
            "{} messages in the mailbox, {} connections open; the dialogue:",
            self.committed, self.open_connections
        )?;
        if self.transcript.is_empty() {
            writeln!(f, "  (nobody came)")?;
        }
        for entry in &self.transcript {
            writeln!(f, "  {entry}")?;
        }
        Ok(())
    }
}
