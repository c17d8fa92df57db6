//! `postbound plan`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use postbound::Phase;
use simnet::net::Backend;
use simnet::plan::vocabulary::{NamedFault, faults, link_faults};

use crate::exit::{self, Stop};
use crate::serve::read_plan;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read a plan file; show it in its canonical form and where it can run
    Check {
        /// The plan file
        file: PathBuf,
    },
    /// List every named fault: its rules, what it does, what a good client makes of it
    List {
        /// Only those of this phase, or `link`
        place: Option<String>,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Stop> {
    match &arguments.command {
        Command::Check { file } => {
            let plan = read_plan(file)?;
            print!("{plan}");
            println!("\n# on one line: {}", plan.one_line());
            for backend in Backend::ALL {
                match backend.can(&plan) {
                    Ok(()) => println!("# {backend} can do all of it"),
                    Err(why) => println!("# {why}"),
                }
            }
        }
        Command::List { place } => list(place.as_deref())?,
    }
    Ok(exit::OK)
}

fn list(only: Option<&str>) -> Result<(), Stop> {
    let scale = Duration::from_secs(10);
    let mut places: Vec<(&str, Vec<NamedFault>)> = Phase::ALL
        .into_iter()
        .map(|phase| (phase.name(), faults(phase, scale)))
        .collect();
    places.push(("link", link_faults(scale)));
    if let Some(only) = only {
        places.retain(|(name, _)| *name == only);
        if places.is_empty() {
            let why = match only.parse::<Phase>() {
                Err(error) => format!("{error}, link"),
                Ok(_) => "nothing is known of it".to_owned(),
            };
            return Err(Stop::new(exit::USAGE, why));
        }
    }
    println!("# times are for a client whose limits are about 10s");
    for (name, faults) in places.iter().filter(|(_, faults)| !faults.is_empty()) {
        println!("\n## {name}");
        for fault in faults {
            let rules: Vec<_> = fault.plan.rules.iter().map(ToString::to_string).collect();
            let mark = if fault.harmless { "delivers" } else { "fails" };
            println!("{:<20} {:<9} {}", fault.name, mark, rules.join(" | "));
            println!("{:<30} {}", "", fault.explain);
        }
    }
    Ok(())
}
