//! Faults of a proxy from text.

use super::{Cursor, PlanError};
use crate::plan::{Pace, ProxyFault, ProxySay, ProxyStep, Then};

impl Cursor<'_> {
    /// What stands behind `proxy:`.
    pub(super) fn proxy(&mut self) -> Result<ProxyFault, PlanError> {
        let word = self.word();
        let Some(step) = ProxyStep::ALL.into_iter().find(|step| step.name() == word) else {
            return self.back(word, "a step of the proxy: method, auth or request");
        };
        let word = self.word();
        let say = match word {
            "normal" => ProxySay::Normal,
            "nothing" => ProxySay::Nothing,
            "half" => ProxySay::Half,
            "garbage" => ProxySay::Garbage,
            "oversized" => ProxySay::Oversized,
            "refuse" => ProxySay::Refuse(self.number("a code, at least 1")?),
            "early" if step == ProxyStep::Request => {
                self.blanks();
                ProxySay::Early(self.quoted()?)
            }
            _ => {
                return self.back(
                    word,
                    "normal, nothing, half, garbage, oversized, refuse CODE or, at request, early \"OCTETS\"",
                );
            }
        };
        let mut fault = ProxyFault::new(step, say);
        let mut clauses = 0;
        loop {
            self.blanks();
            if !self.rest().starts_with(';') {
                return Ok(fault);
            }
            self.at += 1;
            let word = self.word();
            // Each once, and how fast before what comes then.
            match (word, clauses) {
                ("after", 0) => fault.pace = Pace::After(self.duration()?),
                ("drip", 0) => fault.pace = Pace::Drip(self.duration()?),
                ("close", 0 | 1) => fault.then = Then::Close,
                ("half-close", 0 | 1) => fault.then = Then::HalfClose,
                ("reset", 0 | 1) => fault.then = Then::Reset,
                ("stall", 0 | 1) => fault.then = Then::Stall,
                _ => {
                    return self.back(
                        word,
                        "after TIME or drip TIME, then close, half-close, reset or stall",
                    );
                }
            }
            clauses = match word {
                "after" | "drip" => 1,
                _ => 2,
            };
        }
    }
}
