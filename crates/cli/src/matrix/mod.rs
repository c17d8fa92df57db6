//! `postbound matrix`: the fault matrix as a table, and as many random cases as one likes.

pub(crate) mod cells;
mod coverage;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use harness::matrix::Verdict;
use harness::peers::PeerRecord;
use harness::results::Sweep;
use harness::{Cell, Results};
use serde_json::json;
use simnet::net::Backend;

use crate::exit::{self, Stop};
use crate::peers;
use crate::results::{self, Files};
use crate::sweeps::{Sweeps, line};

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

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Stop> {
    arguments.files.check()?;
    if !arguments.merge.is_empty() {
        let results = results::merge(&arguments.merge)?;
        summary(&results);
        return end(arguments, &results);
    }
    let found = RefCell::new(Results::new());
    let tallies = RefCell::new(BTreeMap::new());
    let shown = cells::run(&arguments.backend, |cell, verdict| {
        found.borrow_mut().add(cell, verdict);
        let peers = match arguments.peers && cell.backend == Backend::Mem {
            true => PeerRecord::all(cell),
            false => Vec::new(),
        };
        if let Verdict::Holds(report) | Verdict::Broken(report, _) = verdict {
            let mut tallies = tallies.borrow_mut();
            let tally = tallies
                .entry(cell.backend)
                .or_insert_with(|| coverage::tally(cell.backend));
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

fn end(arguments: &Arguments, results: &Results) -> Result<u8, Stop> {
    if !arguments.files.prints_json() {
        if !results.sweeps.is_empty() {
            coverage::show(results);
        }
        coverage::goals(results);
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
