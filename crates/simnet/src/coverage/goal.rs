//! What must be struck sometimes, for tests to mean something.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use proto::Phase;

use crate::plan::vocabulary::{NamedFault, faults, link_faults, proxy_faults};
use crate::plan::{Place, Plan, ProxyKind, Strike};

/// A place and a kind of fault that must be struck at least once: `rcpt:reply`,
/// `data-termination:stall`, `data-termination:lost-reply`, or a place alone for any fault there.
///
/// The fault is a word of a rule at that place (`reply` and, of a class, `reply-4yz`), several of them
/// with commas between, or the name of a fault as [`vocabulary`](crate::plan::vocabulary) has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goal {
    text: String,
    place: Place,
    /// Words all of which a kind of fault must have.
    words: Vec<String>,
}

/// A text that is no goal, and what is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoalError(String);

impl fmt::Display for GoalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for GoalError {}

impl Goal {
    /// Where it is to be struck.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.place
    }

    /// Whether it stands for a fault of this kind at this place.
    #[must_use]
    pub fn stands_for(&self, place: Place, kind: &str) -> bool {
        let has = |wanted: &String| kind.split(", ").any(|word| stands_for(wanted, word));
        place == self.place && self.words.iter().all(has)
    }
}

/// Whether a word of a kind is the one that is wanted, or one of its class.
fn stands_for(wanted: &str, word: &str) -> bool {
    let behind = word.strip_prefix(wanted);
    behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(['-', ' ']))
}

/// Every named fault of a place.
fn named(place: Place) -> Vec<NamedFault> {
    // How long they last makes no difference to their kind.
    let scale = Duration::from_secs(10);
    match place {
        Place::Proxy => {
            let kinds = ProxyKind::ALL.into_iter();
            kinds.flat_map(|kind| proxy_faults(kind, scale)).collect()
        }
        Place::Link => link_faults(scale),
        Place::Phase(phase) => faults(phase, scale),
    }
}

impl FromStr for Goal {
    type Err = GoalError;

    fn from_str(text: &str) -> Result<Self, GoalError> {
        let (at, fault) = match text.split_once(':') {
            Some((at, fault)) => (at.trim(), Some(fault.trim())),
            None => (text.trim(), None),
        };
        let place = at.parse::<Place>();
        let place = place.map_err(|error| GoalError(format!("{text:?}: {error}")))?;
        // What the server never sees can't be counted by it.
        let unseen = [
            Phase::Checkout,
            Phase::Backoff,
            Phase::Resolve,
            Phase::Connect,
        ];
        if unseen.iter().any(|phase| place == Place::Phase(*phase)) {
            let why = format!("{text:?}: a double does not see what happens at {place}");
            return Err(GoalError(why));
        }
        let words = match fault {
            None => Vec::new(),
            Some(fault) => words(text, place, fault)?,
        };
        let text = fault.map_or_else(|| at.to_owned(), |fault| format!("{at}:{fault}"));
        Ok(Self { text, place, words })
    }
}

/// Whether it is a word of the rules at this place. The parser of plans knows: it takes it, or misses
/// only what has to stand behind it.
fn is_word(place: Place, word: &str) -> bool {
    let is_class = |class: &str| matches!(class, "2yz" | "3yz" | "4yz" | "5yz" | "421");
    let word = match word.strip_prefix("reply-") {
        Some(class) if is_class(class) => "reply",
        _ => word,
    };
    let mut strikes = Strike::EVERY.iter().map(|(strike, way)| strike.kind(*way));
    if place == Place::Link && strikes.any(|strike| stands_for(word, strike)) {
        return true;
    }
    // What is done at an octet is a word; that it is at one is none.
    if place == Place::Link && word == "at" {
        return false;
    }
    // A certificate's name and what a proxy does stand behind a blank in a plan.
    let plain = word
        .bytes()
        .all(|octet| octet.is_ascii_lowercase() || octet == b'-');
    let parsed = |words: &str| {
        let text = format!("v1 | {place}: {words}");
        match text.parse::<Plan>() {
            Ok(plan) => plan
                .rules
                .iter()
                .any(|rule| rule.kind().split(", ").any(|kind| kind == word)),
            Err(error) => words == word && error.column > text.len() - words.len() + 1,
        }
    };
    plain && !word.is_empty() && (parsed(word) || parsed(&word.replacen('-', " ", 1)))
}

/// The words of a kind, as they stand or by the name of a fault.
fn words(text: &str, place: Place, fault: &str) -> Result<Vec<String>, GoalError> {
    let words: Vec<&str> = fault.split(',').map(str::trim).collect();
    if words.iter().all(|word| is_word(place, word)) {
        return Ok(words.into_iter().map(ToOwned::to_owned).collect());
    }
    let all = named(place);
    if let Some(fault) = all.iter().find(|named| named.name == fault) {
        // What only makes it possible stands before it.
        let rule = fault.plan.rules.iter().rfind(|rule| rule.place() == place);
        let kind = rule.map(crate::plan::Rule::kind).unwrap_or_default();
        return Ok(kind.split(", ").map(ToOwned::to_owned).collect());
    }
    let mut names: Vec<&str> = all.iter().map(|named| named.name).collect();
    names.dedup();
    Err(GoalError(format!(
        "{text:?}: expected behind the colon a word of a rule, such as reply, stall or after, or one of {}",
        names.join(", ")
    )))
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}
