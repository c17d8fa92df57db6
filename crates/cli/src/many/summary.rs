//! What became of many messages, in a few lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::fate::Fate;
use super::run::Item;
use crate::exit;
use crate::words::{brief, counted};

/// How many messages of one kind are named; the journal has them all.
const NAMED: usize = 10;

/// The messages by what became of them.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    messages: usize,
    before: usize,
    accepted: usize,
    /// Accepted, and some recipients were refused.
    partly: Vec<(String, String)>,
    not_accepted: Vec<(String, String)>,
    ambiguous: Vec<(String, String)>,
    not_begun: Vec<(String, String)>,
    again: usize,
    by: BTreeMap<String, usize>,
    pub(crate) elapsed: Duration,
    /// Why it ended before its time, if it did.
    pub(crate) ended: Option<&'static str>,
}

impl Summary {
    pub(crate) fn new(items: &[Item]) -> Self {
        let mut summary = Self {
            messages: items.len(),
            ..Self::default()
        };
        for item in items {
            summary.count(item);
        }
        summary
    }

    fn count(&mut self, item: &Item) {
        let name = item.found.to_string();
        self.again += usize::from(item.tries > 1);
        if let Some(endpoint) = &item.endpoint {
            *self.by.entry(endpoint.clone()).or_default() += 1;
        }
        let first = |is: fn(&Fate) -> bool| item.fates.iter().find(|fate| is(fate));
        let accepted = first(Fate::is_accepted).is_some();
        if item.before {
            self.before += 1;
        } else if let Some(fate) = first(Fate::is_ambiguous) {
            self.ambiguous.push((name, fate.to_string()));
        } else if let Some(why) = &item.unreadable {
            self.not_begun
                .push((name, format!("it can't be read: {why}")));
        } else if let Some(fate) = first(Fate::is_not_accepted) {
            let list = match accepted {
                true => &mut self.partly,
                false => &mut self.not_accepted,
            };
            list.push((name, fate.to_string()));
        } else if accepted {
            self.accepted += 1;
        } else {
            self.not_begun.push((name, String::new()));
        }
    }

    /// The exit code that says the worst of it.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self { ambiguous, .. } if !ambiguous.is_empty() => exit::AMBIGUOUS,
            Self {
                not_accepted,
                not_begun,
                ..
            } if !(not_accepted.is_empty() && not_begun.is_empty()) => exit::INCOMPLETE,
            Self { partly, .. } if !partly.is_empty() => exit::PARTIAL,
            _ => exit::OK,
        }
    }

    pub(crate) fn as_json(&self) -> Value {
        let list = |list: &[(String, String)]| -> Vec<Value> {
            let all = list.iter();
            all.map(|(message, why)| json!({"message": message, "why": why}))
                .collect()
        };
        json!({
            "messages": self.messages,
            "accepted_before": self.before,
            "accepted": self.accepted + self.partly.len(),
            "accepted_in_part": list(&self.partly),
            "not_accepted": list(&self.not_accepted),
            "ambiguous": list(&self.ambiguous),
            "not_begun": list(&self.not_begun),
            "tried_again": self.again,
            "by": self.by,
            "elapsed": self.elapsed.as_secs_f64(),
            "ended": self.ended,
        })
    }

    /// For people.
    pub(crate) fn text(&self, has_journal: bool) -> String {
        let mut text = String::new();
        let now = self.accepted + self.partly.len();
        let _ = writeln!(
            text,
            "{}: {} accepted, {} not accepted, {} ambiguous, {} not begun; in {}",
            counted(self.messages, "message", "messages"),
            now + self.before,
            self.not_accepted.len(),
            self.ambiguous.len(),
            self.not_begun.len(),
            brief(self.elapsed)
        );
        if let Some(why) = self.ended {
            let _ = writeln!(text, "  ended by {why}");
        }
        if self.before > 0 {
            let _ = writeln!(
                text,
                "  {} accepted in an earlier run, not sent again",
                self.before
            );
        }
        for (endpoint, count) in &self.by {
            let _ = writeln!(text, "  {count} taken by {endpoint}");
        }
        if self.again > 0 {
            let _ = writeln!(text, "  {} tried again", self.again);
        }
        let mut list = |title: &str, list: &[(String, String)]| {
            if list.is_empty() {
                return;
            }
            let _ = writeln!(text, "{title}");
            for (name, why) in list.iter().take(NAMED) {
                let colon = if why.is_empty() { "" } else { ": " };
                let _ = writeln!(text, "  {name}{colon}{why}");
            }
            if let Some(more @ 1..) = list.len().checked_sub(NAMED) {
                let where_ = if has_journal {
                    "; the journal has them"
                } else {
                    ""
                };
                let _ = writeln!(text, "  and {more} more{where_}");
            }
        };
        list("accepted, but not for every recipient:", &self.partly);
        list("not accepted, safe to send again:", &self.not_accepted);
        list(
            "ambiguous, may have been accepted; sending them again (--resend-ambiguous) may make duplicates:",
            &self.ambiguous,
        );
        list("not begun:", &self.not_begun);
        text
    }
}
