//! The table of rules with their counts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::due::{Memory, late};
use super::facts::{RuleFacts, RuleId};
use super::fits::{Occasion, misses, place};
use super::gate::Gate;
use crate::plan::{IntakeFault, Label, Plan, Rule, ServerFault};
use crate::wait::until;

/// The rules of a running double. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    entries: Vec<Entry>,
    last: u64,
}

#[derive(Debug)]
struct Entry {
    id: RuleId,
    rule: Rule,
    /// Where its replies wait, if it holds them.
    gate: Option<Gate>,
    strikes: u32,
    memory: Memory,
    nearest: Option<(usize, String)>,
}

impl Rules {
    /// The rules of this plan that the server acts on.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let rules = Self::default();
        rules.add(
            plan.rules
                .iter()
                .filter(|rule| rule.takes_conditions())
                .cloned(),
        );
        rules
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets rules, in their order, before all that are there. Rules of the network have no effect
    /// here: they hold from the moment that a network is built.
    pub fn add(&self, rules: impl IntoIterator<Item = Rule>) -> Vec<RuleId> {
        let state = &mut *self.state();
        let mut added = Vec::new();
        for rule in rules {
            state.last += 1;
            added.push(Entry {
                id: RuleId::new(state.last),
                gate: rule.holds().then(Gate::default),
                rule,
                strikes: 0,
                memory: Memory::default(),
                nearest: None,
            });
        }
        let ids = added.iter().map(|entry| entry.id).collect();
        state.entries.splice(0..0, added);
        ids
    }

    /// Takes a rule away, and lets go what it holds. Says whether it was there.
    pub fn remove(&self, id: RuleId) -> bool {
        let entries = &mut self.state().entries;
        let before = entries.len();
        entries.retain(|entry| entry.id != id);
        entries.len() < before
    }

    /// Takes all rules away, and lets go what they hold.
    pub fn clear(&self) {
        self.state().entries.clear();
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state().entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is known of each rule, in the order in which they are looked for.
    #[must_use]
    pub fn facts(&self) -> Vec<RuleFacts> {
        self.state().entries.iter().map(Entry::facts).collect()
    }

    /// What the server does on this occasion, if a rule says so.
    pub(crate) fn strike(&self, occasion: &Occasion<'_>) -> Option<Struck<ServerFault>> {
        self.look(occasion, |rule| match rule {
            Rule::Server { fault, .. } => Some(fault),
            _ => None,
        })
    }

    /// How it takes in mail data, if a rule says so.
    pub(crate) fn intake(&self, occasion: &Occasion<'_>) -> Option<Struck<IntakeFault>> {
        self.look(occasion, |rule| match rule {
            Rule::Intake(fault) => Some(fault),
            _ => None,
        })
    }

    fn look<F: Clone>(
        &self,
        occasion: &Occasion<'_>,
        wanted: impl Fn(&Rule) -> Option<&F>,
    ) -> Option<Struck<F>> {
        let mut state = self.state();
        let mut entries = state.entries.iter_mut();
        entries.find_map(|entry| {
            // One that is not wanted is not asked, and so not counted.
            wanted(entry.rule.split().1)?;
            if !entry.strikes(occasion) {
                return None;
            }
            Some(Struck {
                fault: wanted(entry.rule.split().1)?.clone(),
                gate: entry.gate.clone(),
                label: entry.rule.label(),
            })
        })
    }

    fn gate(&self, id: RuleId) -> Option<Gate> {
        let state = self.state();
        let entry = state.entries.iter().find(|entry| entry.id == id)?;
        entry.gate.clone()
    }

    /// Lets every reply go that this rule holds, and has it hold none any more. Gives the connections
    /// of those that waited, in the order of their arrival; none if there is no such rule that holds.
    pub fn release(&self, id: RuleId) -> Option<Vec<u32>> {
        Some(self.gate(id)?.release())
    }

    /// Lets the reply go that this rule has held for longest; it goes on holding others. Gives the
    /// reply's connection.
    pub fn release_one(&self, id: RuleId) -> Option<u32> {
        self.gate(id)?.release_one()
    }

    /// Waits until this rule holds so many replies, for at most `within`, and gives the connections
    /// whose replies it holds then, in the order of their arrival. A rule that holds nothing is not
    /// waited for.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn waiting_within(&self, id: RuleId, replies: usize, within: Duration) -> Vec<u32> {
        let Some(gate) = self.gate(id) else {
            return Vec::new();
        };
        gate.arrived(replies, until(within)).await;
        gate.waiting()
    }
}

/// What goes wrong on an occasion.
#[derive(Debug)]
pub(crate) struct Struck<F> {
    pub(crate) fault: F,
    /// Where its reply is held until the test lets it go.
    pub(crate) gate: Option<Gate>,
    /// What it counts as.
    pub(crate) label: Label,
}

impl Drop for Entry {
    fn drop(&mut self) {
        // Nobody could let it go any more.
        if let Some(gate) = &self.gate {
            gate.release();
        }
    }
}

impl Entry {
    fn facts(&self) -> RuleFacts {
        let when = self.rule.split().0;
        RuleFacts {
            id: self.id,
            rule: self.rule.to_string(),
            name: when.and_then(|when| when.name.clone()),
            strikes: self.strikes,
            holds: self.gate.as_ref().is_some_and(|gate| !gate.is_open()),
            waiting: self.gate.as_ref().map(Gate::waiting).unwrap_or_default(),
            expected: when.and_then(|when| when.times),
            nearest: self.nearest.as_ref().map(|(_, what)| what.clone()),
        }
    }

    /// Whether it strikes on this occasion; if so, that is counted.
    fn strikes(&mut self, occasion: &Occasion<'_>) -> bool {
        let (when, rule) = self.rule.split();
        let Some((phase, nth)) = place(rule) else {
            return false;
        };
        if phase != occasion.phase {
            return false;
        }
        let mut misses = misses(nth, when, occasion);
        if misses.is_empty()
            && let Some(when) = when
        {
            let strikes = self.strikes;
            misses.extend(late(when, strikes));
            misses.extend(self.memory.early(when, occasion));
        }
        if misses.is_empty() {
            self.strikes = self.strikes.saturating_add(1);
            return true;
        }
        if when.is_some_and(|when| when.times.is_some())
            && self
                .nearest
                .as_ref()
                .is_none_or(|(count, _)| misses.len() < *count)
        {
            let what = format!("{}: {}", occasion.describe(), misses.join("; "));
            self.nearest = Some((misses.len(), what));
        }
        false
    }
}
