//! Whether a rule fits an occasion, and if not, by what it misses.

use proto::Phase;

use crate::plan::{Pattern, Rule, When};

/// A moment at which the server is about to do something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occasion<'a> {
    pub(crate) phase: Phase,
    /// The occasion's number within its phase and connection.
    pub(crate) nth: u16,
    pub(crate) connection: u32,
    pub(crate) command: u32,
    pub(crate) ehlo: &'a str,
    pub(crate) from: &'a str,
    /// The forward-path that is asked for, or those that were accepted.
    pub(crate) to: &'a [String],
}

impl Occasion<'_> {
    /// What it is, for a report.
    pub(super) fn describe(&self) -> String {
        let Self {
            phase,
            nth,
            connection,
            command,
            ..
        } = self;
        format!("connection {connection}, command {command}, {phase}#{nth}")
    }
}

/// The phase and number that a rule is for.
pub(super) fn place(rule: &Rule) -> Option<(Phase, Option<u16>)> {
    match rule {
        Rule::Server { phase, nth, .. } => Some((*phase, *nth)),
        Rule::Intake(_) => Some((Phase::DataBlock, None)),
        _ => None,
    }
}

/// What keeps a rule of this occasion's phase from fitting it. Nothing: it fits, as far as can be
/// said without counting.
pub(super) fn misses(
    nth: Option<u16>,
    when: Option<&When>,
    occasion: &Occasion<'_>,
) -> Vec<String> {
    let mut misses = Vec::new();
    number(&mut misses, "occasion", nth, occasion.nth);
    let Some(when) = when else {
        return misses;
    };
    number(
        &mut misses,
        "connection",
        when.connection,
        occasion.connection,
    );
    number(&mut misses, "command", when.command, occasion.command);
    let one = |found: &str| vec![found.to_owned()];
    pattern(&mut misses, "from", when.from.as_ref(), &one(occasion.from));
    pattern(&mut misses, "ehlo", when.ehlo.as_ref(), &one(occasion.ehlo));
    pattern(&mut misses, "to", when.to.as_ref(), occasion.to);
    misses
}

fn number<T: PartialEq + ToString>(
    misses: &mut Vec<String>,
    what: &str,
    expected: Option<T>,
    found: T,
) {
    if let Some(expected) = expected.filter(|expected| *expected != found) {
        misses.push(format!(
            "{what} was {}, not {}",
            found.to_string(),
            expected.to_string()
        ));
    }
}

fn pattern(misses: &mut Vec<String>, what: &str, expected: Option<&Pattern>, found: &[String]) {
    if let Some(expected) = expected
        && !found.iter().any(|found| expected.matches(found))
    {
        misses.push(format!(
            "{what} was <{}>, not {expected}",
            found.join(">, <")
        ));
    }
}
