//! The guarantees by name, as `docs/DESIGN.md` states them.

/// One guarantee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Guarantee {
    /// `g1` to `g10`, as violations and tests carry it.
    pub id: &'static str,
    /// Its name in one word.
    pub name: &'static str,
    /// What is promised, in one sentence.
    pub promise: &'static str,
}

const fn guarantee(id: &'static str, name: &'static str, promise: &'static str) -> Guarantee {
    Guarantee { id, name, promise }
}

/// Every guarantee, in order.
pub const GUARANTEES: [Guarantee; 10] = [
    guarantee(
        "g1",
        "bounded",
        "Every call ends by its deadline and within the sum of its limits, whatever the peer, the network or the resolver does.",
    ),
    guarantee(
        "g2",
        "cancellable",
        "A cancelled call ends at once, and not one further octet is written.",
    ),
    guarantee(
        "g3",
        "drop-safe",
        "What a call held is free when it is over: sockets, tasks, timers and memory.",
    ),
    guarantee(
        "g4",
        "honest",
        "Accepted, not accepted or ambiguous is what the server's own mailbox says, to the octet.",
    ),
    guarantee(
        "g5",
        "no duplicates",
        "Nothing is sent again after an ambiguous end, and no mailbox has a message twice.",
    ),
    guarantee(
        "g6",
        "tight",
        "No limit runs out early, and the error names the phase that it ran out in.",
    ),
    guarantee(
        "g7",
        "live",
        "A peer that answers within the limits never causes a failure, at any pace and in any fragments.",
    ),
    guarantee(
        "g8",
        "small",
        "Memory has a fixed cap, whatever the peer sends.",
    ),
    guarantee(
        "g9",
        "discreet",
        "A secret is in nothing that is printed, in no encoding.",
    ),
    guarantee(
        "g10",
        "repeatable",
        "One line, one run: the same case leaves the same trace.",
    ),
];

#[cfg(test)]
mod tests {
    use super::GUARANTEES;

    #[test]
    fn every_guarantee_has_the_name_that_the_design_gives_it() {
        let design = include_str!("../../docs/DESIGN.md");
        for (number, guarantee) in (1..).zip(GUARANTEES) {
            assert_eq!(guarantee.id, format!("g{number}"));
            let row = format!("| G{number} | {} |", guarantee.name);
            assert!(design.contains(&row), "docs/DESIGN.md has no row {row:?}");
        }
    }
}
