//! `postbound matrix`: the fault matrix as a table, and as many random cases as one likes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use comfy_table::{CellAlignment, Table, presets::NOTHING};
use harness::matrix::Verdict;
use harness::peers::PeerRecord;
use harness::results::Sweep;
use harness::{Cell, Matrix, Results};
use indicatif::{ProgressBar, ProgressStyle};
use postbound::{Outcome, Phase};
use serde_json::json;
use simnet::net::Backend;

use crate::exit::{self, Stop};
use crate::peers;
use crate::results::{self, Files};
use crate::sweeps::{self, Sweeps, line};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The networks to run on; several with commas between them
    #[arg(long, value_delimiter = ',', default_value = "mem")]
    backend: Vec<Backend>,
    #[command(flatten)]
    sweeps: Sweeps,
    /// List every cell
    #[arg(long)]
    all: bool,
    /// Beside ours, what lettre, mail-send and async-smtp do in the cells on mem: facts, and no verdict
    #[arg(long)]
    peers: bool,
    /// Run nothing: read these files of `--json FILE`, as of several shards, and show them as one
    #[arg(long, value_name = "FILE", num_args = 1..)]
    merge: Vec<PathBuf>,
    #[command(flatten)]
    files: Files,
}

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

pub(crate) fn bar(total: u64, unit: &str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let template = format!("{{bar:40}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar
}

/// Runs the matrix on these networks.
pub(crate) fn matrix(backends: &[Backend], each: impl Fn(&Cell, &Verdict)) -> Shown {
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

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Stop> {
    arguments.files.check()?;
    if !arguments.merge.is_empty() {
        let results = results::merge(&arguments.merge)?;
        summary(&results);
        return end(arguments, &results);
    }
    let found = RefCell::new(Results::new());
    let tallies = RefCell::new(BTreeMap::new());
    let shown = matrix(&arguments.backend, |cell, verdict| {
        found.borrow_mut().add(cell, verdict);
        let peers = match arguments.peers && cell.backend == Backend::Mem {
            true => PeerRecord::all(cell),
            false => Vec::new(),
        };
        if let Verdict::Holds(report) | Verdict::Broken(report, _) = verdict {
            let mut tallies = tallies.borrow_mut();
            let tally = tallies
                .entry(cell.backend)
                .or_insert_with(|| sweeps::matrix_tally(cell.backend));
            tally.cell(cell.place(), cell.fault, &cell.case, report);
        }
        each(arguments, cell, verdict, &peers);
        found.borrow_mut().add_peers(peers);
    });
    let mut results = found.into_inner();
    let json = arguments.files.prints_json();
    if !json {
        println!("{}", shown.table);
        println!("{} cells hold", shown.held);
        for (why, count) in &shown.skipped {
            println!("{count} skipped: {why}");
        }
        peers::show(&results);
    }
    for broken in &shown.broken {
        eprintln!("BROKEN {broken}");
    }
    for tally in tallies.into_inner().into_values() {
        results.add_tally(tally);
    }
    arguments
        .sweeps
        .run(&arguments.backend, json, &mut results)?;
    if json {
        let (cases, broken) = totals(&results);
        println!(
            "{}",
            json!({"held": shown.held, "broken": shown.broken.len(), "skipped": shown.skipped, "random": cases, "random_broken": broken})
        );
    }
    end(arguments, &results)
}

/// Cases and violations of all sweeps.
fn totals(results: &Results) -> (u64, u64) {
    let of = |count: fn(&Sweep) -> u64| results.sweeps.iter().map(count).sum();
    (of(|sweep| sweep.cases), of(Sweep::violations))
}

/// What merged results say, in a few lines.
fn summary(results: &Results) {
    let count = |verdict: &str| {
        let fits = |cell: &&harness::results::CellRecord| cell.verdict == verdict;
        results.cells.iter().filter(fits).count()
    };
    println!(
        "{} cells hold, {} are broken, {} were skipped",
        count("holds"),
        count("broken"),
        count("skipped")
    );
    peers::show(results);
    for sweep in &results.sweeps {
        println!("{}", line(sweep));
    }
    for broken in &results.broken {
        let what = broken.violations.join("; ");
        eprintln!("BROKEN {what}\n  replay: {}", broken.replay());
    }
}

/// Where how many faults struck on which network, and with which outcomes: of the sweeps, as the
/// matrix has a table of its own.
fn coverage(results: &Results) {
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
fn goals(results: &Results) {
    let coverage = &results.coverage;
    let reached = coverage.goals.values().filter(|count| **count > 0).count();
    println!(
        "{reached} of {} things that must happen sometimes did; {} combinations of place, fault, outcome and network",
        coverage.goals.len(),
        coverage.places.len()
    );
}

fn end(arguments: &Arguments, results: &Results) -> Result<u8, Stop> {
    if !arguments.files.prints_json() {
        if !results.sweeps.is_empty() {
            coverage(results);
        }
        goals(results);
    }
    for goal in results.missed() {
        eprintln!("BROKEN never seen: {goal}");
    }
    arguments.files.write(results)?;
    Ok(if results.hold() {
        exit::OK
    } else {
        exit::BROKEN
    })
}

fn each(arguments: &Arguments, cell: &Cell, verdict: &Verdict, peers: &[PeerRecord]) {
    let (word, report) = match verdict {
        Verdict::Holds(report) => ("holds", Some(report)),
        Verdict::Broken(report, _) => ("BROKEN", Some(report)),
        _ => ("skipped", None),
    };
    let promise = cell.case.promise().as_secs_f64();
    if arguments.files.prints_json() {
        let object = json!({
            "backend": cell.backend.name(), "place": cell.place(), "fault": cell.fault, "case": cell.case.to_string(),
            "verdict": word, "promise": promise,
            "elapsed": report.map(|r| r.elapsed.as_secs_f64()),
            "claim": report.map(|r| r.claim.to_string()),
            "mailbox": report.map(|r| r.committed),
            "peers": peers,
        });
        println!("{object}");
    } else if arguments.all {
        match report {
            Some(report) => println!(
                "{word:<8}{:<50}{:>8.3} of {promise:>7.3} s  {}, mailbox {}",
                cell.to_string(),
                report.elapsed.as_secs_f64(),
                report.claim,
                report.committed
            ),
            None => println!("{word:<8}{cell}"),
        }
    }
}
