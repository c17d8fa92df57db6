//! What was covered, and what must happen sometimes.

use std::collections::{BTreeMap, BTreeSet};

use comfy_table::{CellAlignment, Table, presets::NOTHING};
use harness::Results;
use harness::coverage::{Scope, Tally};
use postbound::Phase;
use simnet::net::Backend;

/// Where how many faults struck on which network, and with which outcomes: of the sweeps, as the
/// matrix has a table of its own.
pub(super) fn show(results: &Results) {
    /// Kinds of fault, and runs by outcome.
    type Covered<'a> = (BTreeSet<&'a str>, BTreeMap<&'a str, u64>);
    let mut rows: BTreeMap<(&str, usize, &str), Covered<'_>> = BTreeMap::new();
    for ((place, fault, outcome, network), count) in &results.coverage.places {
        let at = place.parse().map_or(Phase::COUNT, Phase::index);
        let row = rows.entry((network, at, place)).or_default();
        row.0.insert(fault);
        *row.1.entry(outcome).or_default() += count;
    }
    let mut table = Table::new();
    let outcomes = ["accepted", "not accepted", "ambiguous"];
    table.load_style(NOTHING).set_header(
        ["network", "at", "kinds of fault"]
            .into_iter()
            .chain(outcomes),
    );
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for ((network, _, place), (faults, counts)) in &rows {
        let count = |outcome: &str| counts.get(outcome).copied().unwrap_or_default().to_string();
        let cells = [
            (*network).to_owned(),
            (*place).to_owned(),
            faults.len().to_string(),
        ];
        table.add_row(cells.into_iter().chain(outcomes.map(count)));
    }
    println!("What was covered, the matrix and the sweeps together:\n\n{table}\n");
}

/// What must happen sometimes, and how far it did.
pub(super) fn goals(results: &Results) {
    let coverage = &results.coverage;
    let reached = coverage.goals.values().filter(|count| **count > 0).count();
    println!(
        "{reached} of {} things that must happen sometimes did; {} combinations of place, fault, outcome and network",
        coverage.goals.len(),
        coverage.places.len()
    );
}

/// The tally of the matrix's cells on a network: only the one that can do everything must show
/// everything.
pub(super) fn tally(backend: Backend) -> Tally {
    let scope = match backend {
        Backend::Mem => Scope::Matrix,
        _ => Scope::Any,
    };
    Tally::new(scope, backend)
}
