//! The one command: what everything costs, in one table.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

use std::process::ExitCode;

use harness::case::Case;
use harness::run::{mem, sansio, turmoil};
use postbound::Security;
use postbound_benches::canned::WORKLOADS;
use postbound_benches::contest::Entrant;
use postbound_benches::count::Heap;
use postbound_benches::page::page;
use postbound_benches::rows::Bench;
use postbound_benches::sink::Sink;
use postbound_benches::{gate, idle, sink, table};
use simnet::plan::Certificate;
use simnet::tls::server_config;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "\
usage: postbound-benches [--quick] [--json] [--html FILE]   the table
       postbound-benches counters --check | --update         what repeats exactly, against the baseline";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// What the allocator of this program, which is `allocation_counter`'s, counts on this thread.
fn heap(call: &mut dyn FnMut()) -> Heap {
    let counted = allocation_counter::measure(call);
    Heap {
        allocations: counted.count_total,
        octets: counted.bytes_total,
        left: counted.bytes_current,
    }
}

fn run(arguments: &[&str]) -> Result<bool, Failure> {
    match arguments {
        ["sink"] => {
            sink::run(server_config(
                harness::case::authority(),
                Certificate::Good,
            )?)?;
        }
        ["work", "canned", name, messages] => {
            let workload = WORKLOADS.iter().find(|workload| workload.name == *name);
            workload.ok_or("no such workload")?.prepare()?(messages.parse()?)?;
        }
        ["work", "sim", backend, cases] => {
            let case = Case::default();
            let mut runner = sansio::Runner::default();
            for _ in 0..cases.parse::<u32>()? {
                match *backend {
                    "sans-io" => drop(runner.run(&case)),
                    "mem" => drop(mem::run_quick(&case)),
                    "turmoil" => drop(turmoil::run(&case)),
                    _ => return Err("no such backend".into()),
                }
            }
        }
        ["work", "entrant", name, port, recipients, octets, messages] => {
            let entrant = Entrant::ALL.into_iter().find(|e| e.name() == *name);
            let entrant = entrant.ok_or("no such entrant")?;
            let mut round = entrant.enter(port.parse()?, recipients.parse()?, octets.parse()?)?;
            round(messages.parse()?)?;
        }
        ["work", "rest", security, connections] => {
            let security = match *security {
                "plain" => Security::None,
                "tls" => Security::StartTls,
                _ => return Err("plain or tls".into()),
            };
            let octets = idle::heap(heap, &Sink::start()?, security, connections.parse()?)?;
            println!("{octets} octets of heap for a connection at rest");
        }
        ["counters", "--update"] => {
            let counted = gate::counted(heap)?;
            let text = serde_json::to_string_pretty(&counted)?;
            std::fs::write(gate::path(), text + "\n")?;
            println!("{} is up to date", gate::path().display());
        }
        ["counters", "--check"] => {
            let text = std::fs::read_to_string(gate::path())?;
            let (report, holds) =
                gate::compare(&serde_json::from_str(&text)?, &gate::counted(heap)?);
            print!("{report}");
            return Ok(holds);
        }
        _ => match on_one_processor(arguments) {
            Some(done) => return Ok(done),
            None => measure(arguments)?,
        },
    }
    Ok(true)
}

/// Runs this program once more on one processor, where client and server take turns: what a message
/// costs both is then what it takes, wherever the scheduler would have put them.
fn on_one_processor(arguments: &[&str]) -> Option<bool> {
    const MARK: &str = "POSTBOUND_BENCHES_PINNED";
    if std::env::var_os(MARK).is_some() {
        return None;
    }
    let status = std::process::Command::new("taskset")
        .args(["-c", "0"])
        .arg(std::env::current_exe().ok()?)
        .args(arguments)
        .env(MARK, "1")
        .status();
    match status {
        Ok(status) => Some(status.success()),
        Err(error) => {
            eprintln!("taskset can't be run ({error}): not on one processor, figures are noisier");
            None
        }
    }
}

fn measure(arguments: &[&str]) -> Result<(), Failure> {
    let (mut quick, mut json, mut html) = (false, false, None);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match *argument {
            "--quick" => quick = true,
            "--json" => json = true,
            "--html" => html = Some(arguments.next().ok_or(USAGE)?),
            "--help" => {
                println!("{USAGE}");
                return Ok(());
            }
            unknown => return Err(format!("{unknown:?} is no option\n{USAGE}").into()),
        }
    }
    let bench = Bench {
        sink: Sink::start()?,
        meter: heap,
        quick,
        progress: |what| eprintln!("{what} …"),
    };
    let results = bench.all()?;
    if let Some(path) = html {
        std::fs::write(path, page(&results)?).map_err(|error| format!("{path}: {error}"))?;
        eprintln!("{path} has the plots");
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&results)?);
    } else {
        println!("{}", table::text(&results.rows));
        for growth in &results.scale {
            println!("{}: exponent {:.2}", growth.name, growth.exponent);
        }
    }
    Ok(())
}
