//! The matrix itself, run and put into a table.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets::NOTHING};
use harness::matrix::Verdict;
use harness::{Cell, Matrix};
use postbound::{Outcome, Phase};
use simnet::net::Backend;

use crate::progress::bar;

/// What became of a set of cells.
#[derive(Default)]
struct Row {
    held: usize,
    skipped: usize,
    broken: usize,
    outcomes: BTreeMap<Outcome, usize>,
    /// The longest call, and the limit of the phase.
    longest: Option<(Duration, Duration)>,
}

/// The matrix's result, to be shown.
pub(crate) struct Shown {
    pub(crate) table: Table,
    pub(crate) broken: Vec<String>,
    pub(crate) held: usize,
    pub(crate) skipped: BTreeMap<String, usize>,
}

/// Runs the matrix on these networks.
pub(crate) fn run(backends: &[Backend], each: impl Fn(&Cell, &Verdict)) -> Shown {
    let matrix = Matrix::new(backends);
    let bar = bar(matrix.cells().len() as u64, "cells");
    let mut rows: BTreeMap<(Backend, usize), (&'static str, Row)> = BTreeMap::new();
    let (mut broken, mut held, mut skipped) = (Vec::new(), 0, BTreeMap::new());
    matrix.run(|cell, verdict| {
        each(cell, &verdict);
        let place = cell.phase.map_or(Phase::COUNT, Phase::index);
        let (_, row) = rows
            .entry((cell.backend, place))
            .or_insert_with(|| (cell.place(), Row::default()));
        match &verdict {
            Verdict::Holds(report) => {
                held += 1;
                row.held += 1;
                *row.outcomes.entry(report.claim.outcome).or_default() += 1;
                if row
                    .longest
                    .is_none_or(|(longest, _)| report.elapsed > longest)
                {
                    row.longest = Some((report.elapsed, cell.case.timeout));
                }
            }
            Verdict::Broken(report, violations) => {
                row.broken += 1;
                let what: Vec<_> = violations.iter().map(ToString::to_string).collect();
                broken.push(format!(
                    "{cell}: {}\n  replay: {}\n{}",
                    what.join("; "),
                    harness::replay::line_on(cell.backend, &cell.case),
                    report.events
                ));
            }
            Verdict::Skipped(why) => {
                row.skipped += 1;
                let why = why.rsplit(": ").next().unwrap_or(why);
                *skipped
                    .entry(format!("{}: {why}", cell.backend))
                    .or_default() += 1;
            }
            _ => {}
        }
        bar.inc(1);
    });
    bar.finish_and_clear();
    let mut table = Table::new();
    table.load_style(NOTHING).set_header([
        "network",
        "fault at",
        "faults",
        "held",
        "skipped",
        "accepted",
        "not accepted",
        "ambiguous",
        "longest call",
        "the phase's limit",
    ]);
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for ((backend, _), (place, row)) in &rows {
        let count = |outcome| {
            row.outcomes
                .get(&outcome)
                .copied()
                .unwrap_or_default()
                .to_string()
        };
        let seconds = |d: Duration| format!("{:.3} s", d.as_secs_f64());
        table.add_row([
            backend.to_string(),
            (*place).to_owned(),
            (row.held + row.skipped + row.broken).to_string(),
            if row.broken > 0 {
                format!("{} BROKEN", row.broken)
            } else {
                row.held.to_string()
            },
            row.skipped.to_string(),
            count(Outcome::Accepted),
            count(Outcome::NotAccepted),
            count(Outcome::Ambiguous),
            row.longest
                .map(|(took, _)| seconds(took))
                .unwrap_or_default(),
            row.longest.map(|(_, of)| seconds(of)).unwrap_or_default(),
        ]);
    }
    Shown {
        table,
        broken,
        held,
        skipped,
    }
}
