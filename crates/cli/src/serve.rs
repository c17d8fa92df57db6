//! `postbound serve`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;
use simnet::behaviour::ServerTls;
use simnet::net::loopback::Loopback;
use simnet::plan::{Certificate, ResolveFault, Rule, TlsFault};
use simnet::tls::{Authority, Tls};
use simnet::{Account, Delivery, Double, Entry, Event, Plan, Script};

use crate::account::password;
use crate::exit::{self, Stop};
use crate::plan::behaviour;
use crate::runtime;

/// Serves until it is interrupted. Mail is never relayed.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The port on 127.0.0.1; 0 for any free one
    #[arg(short, long, default_value_t = 2525)]
    port: u16,
    /// What goes wrong: a plan file
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// What goes wrong: a hostile behaviour by its name, as `postbound plan list behaviours` has them;
    /// with TLS and AUTH where it needs them (for tester@double.example, password no-secret). May be
    /// given again
    #[arg(long, value_name = "NAME")]
    behaviour: Vec<String>,
    /// What goes wrong: one rule, such as 'rcpt: reply 451 4.7.1 greylisted'; may be given again
    #[arg(long, value_name = "RULE")]
    rule: Vec<String>,
    /// Do TLS: starttls offers it, implicit wants it from the first octet
    #[arg(long, value_enum, value_name = "MODE")]
    tls: Option<Mode>,
    /// Show this certificate: good, or with something wrong with it
    #[arg(long, value_name = "NAME", requires = "tls")]
    certificate: Option<Certificate>,
    /// Write the certificate of the authority behind it into this file, for clients to trust. It is
    /// a new one each time
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Write every message that was taken into this folder, as an .eml file and its envelope
    #[arg(long, value_name = "FOLDER")]
    mailbox: Option<PathBuf>,
    /// Offer AUTH with these mechanisms, with commas between them; the password is in
    /// POSTBOUND_PASSWORD
    #[arg(long, value_name = "MECHANISMS", requires = "auth_user")]
    auth: Option<String>,
    /// Who may authenticate
    #[arg(long, value_name = "USER", requires = "auth")]
    auth_user: Option<String>,
    /// Log as one JSON object a line
    #[arg(long)]
    json: bool,
    /// End after this many messages were taken
    #[arg(long, value_name = "NUMBER")]
    messages: Option<usize>,
}

/// Who may authenticate where a behaviour needs AUTH and nobody was named.
const USER: &str = "tester@double.example";
const PASSWORD: &str = "no-secret";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    Starttls,
    Implicit,
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

fn plan(arguments: &Arguments) -> Result<Plan, Stop> {
    let mut plan = match &arguments.plan {
        Some(file) => read_plan(file)?,
        None => Plan::healthy(),
    };
    for rule in &arguments.rule {
        let more: Plan =
            format!("postbound-plan v1\n{rule}")
                .parse()
                .map_err(|error: simnet::PlanError| {
                    Stop::new(
                        exit::USAGE,
                        format!(
                            "--rule {rule:?}: column {}: expected {}",
                            error.column, error.expected
                        ),
                    )
                })?;
        plan.rules.extend(more.rules);
    }
    for name in &arguments.behaviour {
        plan.rules.extend(behaviour(name)?.plan().rules);
    }
    if let Some(certificate) = arguments.certificate {
        plan.rules
            .push(Rule::Tls(TlsFault::Certificate(certificate)));
    }
    simnet::net::Backend::Loopback
        .can(&plan)
        .map_err(|why| Stop::new(exit::USAGE, why))?;
    for rule in &plan.rules {
        // Several addresses are listened on; everything else is the business of a resolver.
        if let Rule::Resolve(fault) = rule
            && !matches!(
                fault,
                ResolveFault::Addresses(_) | ResolveFault::Families(_)
            )
        {
            let why = format!("`{rule}`: no server has a say in the look-up of its own name");
            return Err(Stop::new(exit::USAGE, why));
        }
    }
    Ok(plan)
}

/// TLS as it was asked for or as the behaviours need it.
fn mode(arguments: &Arguments) -> Result<Option<Mode>, Stop> {
    let mut mode = arguments.tls;
    for name in &arguments.behaviour {
        let needed = match behaviour(name)?.needs.tls {
            ServerTls::StartTls => Mode::Starttls,
            ServerTls::Implicit | ServerTls::Unexpected => Mode::Implicit,
            _ => continue,
        };
        mode.get_or_insert(needed);
    }
    Ok(mode)
}

/// AUTH as it was asked for or as the behaviours need it.
fn script(arguments: &Arguments) -> Result<Script, Stop> {
    let script = Script::default();
    if let (Some(mechanisms), Some(user)) = (&arguments.auth, &arguments.auth_user) {
        let mechanisms = mechanisms.replace(',', " ").to_ascii_uppercase();
        return Ok(script.with_auth(&mechanisms, Account::new(user, password()?)));
    }
    let mut mechanisms = Vec::new();
    for name in &arguments.behaviour {
        mechanisms.extend(behaviour(name)?.needs.auth);
    }
    if mechanisms.is_empty() {
        return Ok(script);
    }
    Ok(script.with_auth(&mechanisms.join(" "), Account::new(USER, PASSWORD)))
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Stop> {
    let plan = plan(arguments)?;
    if let Some(folder) = &arguments.mailbox {
        fs::create_dir_all(folder).map_err(|error| {
            Stop::new(
                exit::OUTPUT,
                format!("the folder {} can't be made: {error}", folder.display()),
            )
        })?;
    }
    let runtime = runtime()?;
    let code = runtime.block_on(serve(arguments, plan));
    runtime.shutdown_background();
    code
}

/// TLS with certificates that nobody else has.
fn secure(arguments: &Arguments, mode: Mode) -> Result<Tls, Stop> {
    let no = |error| Stop::new(exit::SYSTEM, format!("no certificate: {error}"));
    let authority = Authority::fresh().map_err(no)?;
    if let Some(file) = &arguments.ca {
        fs::write(file, authority.pem()).map_err(|error| {
            let file = file.display();
            Stop::new(exit::OUTPUT, format!("{file} can't be written: {error}"))
        })?;
    }
    let tls = Tls::starttls(&authority).map_err(no)?;
    Ok(tls.with_implicit(mode == Mode::Implicit))
}

async fn serve(arguments: &Arguments, plan: Plan) -> Result<u8, Stop> {
    let port = arguments.port;
    let mut double = Double::new(plan).with_script(script(arguments)?);
    if let Some(mode) = mode(arguments)? {
        double = double.with_tls(secure(arguments, mode)?);
    } else if arguments.ca.is_some() {
        let why = "--ca without --tls: there is no certificate to trust";
        return Err(Stop::new(exit::USAGE, why));
    }
    let loopback = Loopback::bind(double, port).await.map_err(|error| {
        Stop::new(
            exit::SYSTEM,
            format!("127.0.0.1:{port} can't be had: {error}; try --port 0"),
        )
    })?;
    let address = loopback
        .local_addr()
        .map(|a| a.to_string())
        .unwrap_or_default();
    if arguments.json {
        println!(
            "{}",
            json!({"event": "ready", "address": address, "plan": loopback.double().plan().one_line()})
        );
    } else {
        println!("ready {address}");
    }
    let interrupt = async {
        // Without signals there is nothing that could interrupt it.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let mut interrupt = std::pin::pin!(interrupt);
    let mut taken = 0;
    loop {
        let pause = tokio::time::sleep(Duration::from_millis(20));
        let done = tokio::select! {
            biased;
            () = &mut interrupt => true,
            () = pause => false,
        };
        for entry in loopback.double().trace().drain() {
            log(&entry, arguments.json);
        }
        for delivery in loopback.double().ledger().drain() {
            taken += 1;
            if let Some(folder) = &arguments.mailbox {
                store(folder, taken, &delivery)?;
            }
        }
        if done || arguments.messages.is_some_and(|messages| taken >= messages) {
            if !arguments.json {
                println!("{taken} messages taken");
            }
            return Ok(exit::OK);
        }
    }
}

fn log(entry: &Entry, as_json: bool) {
    if !as_json {
        println!("{entry}");
        return;
    }
    let (event, detail) = match &entry.event {
        Event::Opened => ("opened", String::new()),
        Event::Command(line) => ("command", line.escape_ascii().to_string()),
        Event::MailData(octets) => ("mail-data", octets.to_string()),
        Event::Said(octets) => ("said", octets.escape_ascii().to_string()),
        Event::Committed => ("committed", String::new()),
        Event::Ended(how) => ("ended", (*how).to_owned()),
        Event::Gone => ("gone", String::new()),
        Event::Tls(what) => ("tls", what.clone()),
        Event::Finding(what) => ("finding", what.clone()),
        _ => ("other", entry.event.to_string()),
    };
    let at = entry.at.as_secs_f64();
    println!(
        "{}",
        json!({"at": at, "connection": entry.connection, "event": event, "detail": detail})
    );
}

fn store(folder: &Path, number: usize, delivery: &Delivery) -> Result<(), Stop> {
    let write = |name: String, octets: &[u8]| {
        let file = folder.join(name);
        fs::write(&file, octets).map_err(|error| {
            Stop::new(
                exit::OUTPUT,
                format!("{} can't be written: {error}", file.display()),
            )
        })
    };
    let envelope = json!({
        "connection": delivery.connection,
        "reverse_path": delivery.reverse_path,
        "forward_paths": delivery.forward_paths,
        "parameters": delivery.parameters,
    });
    write(format!("{number:06}.eml"), &delivery.octets)?;
    write(
        format!("{number:06}.json"),
        format!("{envelope}\n").as_bytes(),
    )
}
