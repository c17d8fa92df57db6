//! What is known of a rule, for a report.

use std::fmt;

/// Tells a rule of a running double from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(u64);

impl RuleId {
    /// The rule with this number, as [`RuleId::get`] gave it.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is known of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleFacts {
    /// Which it is.
    pub id: RuleId,
    /// The rule as text.
    pub rule: String,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// How often it struck.
    pub strikes: u32,
    /// How often it has to (its `times`), if that was said.
    pub expected: Option<u32>,
    /// Whether it holds its replies until they are let go. Not any more once all were let go for good.
    pub holds: bool,
    /// The connections whose replies it holds, in the order of their arrival.
    pub waiting: Vec<u32>,
    /// The occasion that came nearest without being struck, and by what it missed. Only kept for
    /// rules with an expectation.
    pub nearest: Option<String>,
}

impl RuleFacts {
    /// Whether it struck less often than it has to.
    #[must_use]
    pub fn is_unmet(&self) -> bool {
        self.expected.is_some_and(|times| self.strikes < times)
    }
}

impl fmt::Display for RuleFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` struck {} times", self.rule, self.strikes)?;
        if let Some(expected) = self.expected {
            write!(f, ", expected {expected}")?;
        }
        match &self.nearest {
            Some(nearest) if self.is_unmet() => write!(f, "; nearest: {nearest}"),
            _ => Ok(()),
        }
    }
}
