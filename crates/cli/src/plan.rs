//! `postbound plan`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use postbound::Phase;
use simnet::behaviour::{Behaviour, CASES};
use simnet::double::Claim;
use simnet::net::Backend;
use simnet::plan::vocabulary::{NamedFault, faults, link_faults, proxy_faults};
use simnet::plan::{ProxyKind, Rule};
use simnet::{Plan, Triggers, port_faults};

use crate::exit::{self, Stop};

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
    /// Say in words what each rule does and what a good client makes of it
    Explain {
        /// A plan file, or a plan on one line: 'v1 | rcpt: stall', or the rule alone
        #[arg(value_name = "FILE|TEXT")]
        plan: String,
    },
    /// List the hostile behaviours and every named fault: rules, what goes wrong, what a good client
    /// makes of it
    List {
        /// Only those of this phase, or `proxy`, or `link`, or `behaviours`; or `zero`: how a client asks for
        /// them by addresses, by its EHLO name and by the port
        place: Option<String>,
    },
    /// Show a hostile behaviour: its plan, the RFC, what goes wrong, what a good client does
    Show {
        /// Its name, as `plan list` has it
        name: String,
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
        Command::Explain { plan } => explain(&read(plan)?),
        Command::List { place } => match place.as_deref() {
            Some("behaviours") => list_behaviours(),
            Some("zero") => list_zero(),
            Some(place) => list(Some(place))?,
            None => {
                list_behaviours();
                println!();
                list(None)?;
            }
        },
        Command::Show { name } => show(&behaviour(name)?),
    }
    Ok(exit::OK)
}

/// A plan from a file of this name or, if there is none, from the text itself.
fn read(argument: &str) -> Result<Plan, Stop> {
    let path = Path::new(argument);
    if path.exists() {
        return read_plan(path);
    }
    let text = argument.trim_start();
    let whole = ["v1", "postbound-plan"]
        .iter()
        .any(|begin| text.starts_with(begin));
    if !whole && !text.contains(':') {
        let why = format!("there is no file {argument:?}, and it is no rule: PLACE: CLAUSES");
        return Err(Stop::new(exit::INPUT, why));
    }
    let plan = if whole {
        text.parse()
    } else {
        format!("v1 | {text}").parse()
    };
    plan.map_err(|mut error: simnet::PlanError| {
        if !whole {
            // Behind `v1 | `.
            error.column = error.column.saturating_sub(5).max(1);
        }
        Stop::new(exit::USAGE, format!("{argument:?}: {error}"))
    })
}

/// A plan from a file.
pub(crate) fn read_plan(file: &Path) -> Result<Plan, Stop> {
    let text = fs::read_to_string(file).map_err(|error| {
        Stop::new(
            exit::INPUT,
            format!("the plan {} can't be read: {error}", file.display()),
        )
    })?;
    text.parse()
        .map_err(|error| Stop::new(exit::USAGE, format!("{}: {error}", file.display())))
}

/// The hostile behaviour of this name.
pub(crate) fn behaviour(name: &str) -> Result<Behaviour, Stop> {
    Behaviour::find(name).ok_or_else(|| {
        let like = Behaviour::like(name);
        let hint = if like.is_empty() {
            "`postbound plan list behaviours` has them all".to_owned()
        } else {
            format!("there are {}", like.join(", "))
        };
        Stop::new(
            exit::USAGE,
            format!("there is no behaviour {name:?}; {hint}"),
        )
    })
}

fn explain(plan: &Plan) {
    if plan.rules.is_empty() {
        println!("a healthy server on a healthy network: a good client delivers");
    }
    for told in plan.rules.iter().map(Rule::explain) {
        println!("{}", told.rule);
        println!("    what happens   {}", told.does);
        println!("    a good client  {}", told.good);
    }
}

fn list_behaviours() {
    println!("# hostile behaviours; `postbound serve --behaviour NAME` plays one");
    for case in &CASES {
        println!("\n## {} {}", case.number, case.title);
        if let Some(why) = case.not_by_a_server {
            println!("(no server can play it: {why})");
        }
        for one in Behaviour::all()
            .iter()
            .filter(|one| one.case == case.number)
        {
            println!("{:<29} {:<10} {}", one.name, truth(one), one.rfc);
            println!("{:<29} {}", "", one.wrong);
        }
    }
}

fn list_zero() {
    println!(
        "# behaviour that a client of `postbound serve` asks for, without any configuration\n"
    );
    println!("{}\n", Triggers::GRAMMAR);
    println!("# and, with `--ports FIRST`, by the port: FIRST and");
    for fault in port_faults() {
        let rules: Vec<_> = fault.plan.rules.iter().map(ToString::to_string).collect();
        let tls = if fault.implicit_tls { "TLS" } else { "" };
        println!(
            "+{:<3} {:<30} {tls:<4} {}",
            fault.offset,
            fault.name,
            rules.join(" | ")
        );
    }
}

/// What a good client claims about the message, in a word.
const fn truth(behaviour: &Behaviour) -> &'static str {
    match behaviour.truth {
        Claim::Delivered => "delivers",
        Claim::NotDelivered => "fails",
        Claim::Unknown => "ambiguous",
    }
}

fn show(behaviour: &Behaviour) {
    println!("# {}", behaviour.name);
    if let Some(case) = behaviour.hostile_case() {
        println!("# case {}: {}", case.number, case.title);
    }
    println!("# {}", behaviour.rfc);
    println!("# what goes wrong: {}", behaviour.wrong);
    println!("# a good client: {}", behaviour.good);
    let taken = match behaviour.truth {
        Claim::Delivered => "the message was taken, and the client says so",
        Claim::NotDelivered => "the message was not taken, and the client says so",
        Claim::Unknown => "nobody can know whether it was taken, and the client says so",
    };
    println!("# the truth: {taken}");
    let needs = behaviour.needs.to_string();
    if !needs.is_empty() {
        println!("# it needs: {needs}");
    }
    print!("{}", behaviour.plan());
}

fn list(only: Option<&str>) -> Result<(), Stop> {
    let scale = Duration::from_secs(10);
    let mut places: Vec<(&str, Vec<NamedFault>)> = Phase::ALL
        .into_iter()
        .map(|phase| (phase.name(), faults(phase, scale)))
        .collect();
    let proxies = ProxyKind::ALL
        .map(|kind| proxy_faults(kind, scale))
        .concat();
    places.push(("proxy", proxies));
    places.push(("link", link_faults(scale)));
    if let Some(only) = only {
        places.retain(|(name, _)| *name == only);
        if places.is_empty() {
            let why = match only.parse::<Phase>() {
                Err(error) => format!("{error}, proxy, link"),
                Ok(_) => "nothing is known of it".to_owned(),
            };
            return Err(Stop::new(exit::USAGE, why));
        }
        if places.iter().all(|(_, faults)| faults.is_empty()) {
            println!("# {only}: the client waits for itself, and nobody can make it go wrong");
            return Ok(());
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
