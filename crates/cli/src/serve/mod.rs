//! `postbound serve`.

mod control;
mod coverage;
mod dns;
mod listeners;
mod log;
mod mailbox;
mod offer;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use postbound::sasl::Mechanism;
use simnet::behaviour::ServerTls;
use simnet::net::can_serve;
use simnet::plan::{Certificate, Rule, TlsFault};
use simnet::{Account, Plan, Script};

use self::coverage::Wanted;
use self::listeners::{Extra, Opened};
use crate::account::password;
use crate::exit::{self, Stop};
use crate::interrupt::interrupted;
use crate::plan::{behaviour, read_plan};
use crate::runtime;

/// Serves until it is interrupted. Mail is never relayed.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The port, on 127.0.0.1 unless told otherwise; 0 for any free one
    #[arg(short, long, default_value_t = 2525)]
    port: u16,
    /// One more listener with the same mailbox: `NAME[@PORT]=WHAT`, where WHAT is a behaviour or rules
    /// with | between them, as in 'slow@2526=greeting: after 5s'. Without PORT it has any free one.
    /// May be given again
    #[arg(long, value_name = "LISTENER")]
    listener: Vec<Extra>,
    /// Listen on a range of ports from this one on, each with a fault of the greeting, the connection
    /// or TLS, as `postbound plan list zero` has them; 0 gives each any free one
    #[arg(long, value_name = "FIRST")]
    ports: Option<u16>,
    /// Be controlled over HTTP on this port of 127.0.0.1, 0 for any free one: rules, mailboxes and
    /// transcripts for tests in any language, namespaces for tests side by side, and a page to look
    /// at. What it is asked, GET /openapi.json says
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "0")]
    control: Option<u16>,
    /// A name, besides localhost, by which the control interface may be called
    #[arg(long, value_name = "NAME", requires = "control")]
    control_host: Vec<String>,
    /// Be a name server, too, on this port of 127.0.0.1 over UDP and TCP, 0 for any free one: for MX
    /// records, and for addresses of the hosts that they name, which are where the main port is
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "0")]
    dns: Option<u16>,
    /// What the name server says of a domain, `*` for every other one: DOMAIN=ANSWER, where ANSWER is
    /// PREFERENCE:HOST with commas between several, null, none, nxdomain, servfail, never, alias:NAME or
    /// many:NUMBER, with `after TIME ` before it if need be, as in
    /// 'example.org=10:mx1.example.org,20:mx2.example.org'. May be given again. Without it mail for any
    /// domain goes to the main port; with it other domains do not exist
    #[arg(long, value_name = "RECORD", requires = "dns")]
    mx: Vec<dns::Record>,
    /// Listen on this address instead of 127.0.0.1, 0.0.0.0 if none is named: others on the network
    /// may then send to it, whoever they are. The control interface stays where it is
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "0.0.0.0")]
    expose_to_network: Option<IpAddr>,
    /// The same for the control interface, which asks nobody who they are; by which name it may be
    /// called, --control-host says
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "0.0.0.0",
          requires_all = ["control", "control_host"])]
    expose_control_to_network: Option<IpAddr>,
    /// Take addresses and EHLO names for what they are, and never for what is to go wrong (see
    /// `postbound plan list zero`)
    #[arg(long)]
    no_triggers: bool,
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
    /// Write every message into this folder before it is said to be taken, as an .eml file and its
    /// envelope. One that can't be written is answered with 452
    #[arg(long, value_name = "FOLDER")]
    mailbox: Option<PathBuf>,
    /// Offer AUTH with these mechanisms, with commas between them; the password is in
    /// POSTBOUND_PASSWORD
    #[arg(long, value_name = "MECHANISMS", requires = "auth_user")]
    auth: Option<String>,
    /// Who may authenticate
    #[arg(long, value_name = "USER", requires = "auth")]
    auth_user: Option<String>,
    /// Offer every service extension that there is
    #[arg(long)]
    full: bool,
    /// Say this line in the reply to EHLO, too, such as 'LIMITS RCPTMAX=2' or 'SIZE 1000', in place of
    /// one with the same keyword, and hold clients to it where the double knows it. May be given again
    #[arg(long, value_parser = offer::line, value_name = "LINE")]
    offer: Vec<String>,
    /// Speak LMTP: a final reply and a mailbox for each recipient
    #[arg(long)]
    lmtp: bool,
    /// Stand behind a proxy, which clients have to ask for the server: SOCKS5 or HTTP CONNECT,
    /// whichever they speak. `proxy` rules say what goes wrong at it
    #[arg(long)]
    proxy: bool,
    /// The proxy serves only this user; the password is in POSTBOUND_PASSWORD
    #[arg(long, value_name = "USER", requires = "proxy")]
    proxy_user: Option<String>,
    /// Log as one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    wanted: Wanted,
    /// End after this many messages were taken
    #[arg(long, value_name = "NUMBER")]
    messages: Option<u64>,
}

/// Where it listens unless told otherwise.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Who may authenticate where a behaviour needs AUTH and nobody was named.
const USER: &str = "tester@double.example";
const PASSWORD: &str = "no-secret";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    Starttls,
    Implicit,
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
        if more.rules.is_empty() {
            let why = format!("--rule {rule:?}: expected a rule, such as 'rcpt: stall'");
            return Err(Stop::new(exit::USAGE, why));
        }
        plan.rules.extend(more.rules);
    }
    for name in &arguments.behaviour {
        plan.rules.extend(behaviour(name)?.plan().rules);
    }
    if let Some(certificate) = arguments.certificate {
        plan.rules
            .push(Rule::Tls(TlsFault::Certificate(certificate)));
    }
    possible(&plan)?;
    strikes(arguments, &plan)?;
    Ok(plan)
}

/// Refuses a rule that would never strike, because what it is about is not there.
fn strikes(arguments: &Arguments, plan: &Plan) -> Result<(), Stop> {
    let tls = mode(arguments)?.is_some();
    for rule in &plan.rules {
        let missing = match rule {
            Rule::Tls(_) if !tls => "the double does no TLS; give --tls starttls or implicit",
            Rule::Proxy(_) if !arguments.proxy => "there is no proxy; give --proxy",
            rule if rule.holds() && arguments.control.is_none() => {
                let why = format!("`{rule}`: nobody could let it go; give --control");
                return Err(Stop::new(exit::USAGE, why));
            }
            _ => continue,
        };
        let why = format!("`{rule}` would never strike: {missing}");
        return Err(Stop::new(exit::USAGE, why));
    }
    Ok(())
}

/// Refuses what real sockets, or a server at all, can't do.
fn possible(plan: &Plan) -> Result<(), Stop> {
    can_serve(plan).map_err(|why| Stop::new(exit::USAGE, why))
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
    let mut script = match arguments.full {
        true => Script::full(),
        false => Script::default(),
    };
    script = arguments.offer.iter().fold(script, Script::with);
    script.lmtp = arguments.lmtp;
    if let (Some(mechanisms), Some(user)) = (&arguments.auth, &arguments.auth_user) {
        for mechanism in mechanisms.split(',') {
            let known = mechanism.parse::<Mechanism>();
            known.map_err(|why| Stop::new(exit::USAGE, format!("--auth: {why}")))?;
        }
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
    let runtime = runtime()?;
    let code = runtime.block_on(serve(arguments, plan));
    runtime.shutdown_background();
    code
}

async fn serve(arguments: &Arguments, plan: Plan) -> Result<u8, Stop> {
    arguments.wanted.check()?;
    let Opened { mut listeners, tls } = listeners::open(arguments, plan).await?;
    let Some(main) = listeners.first() else {
        return Err(Stop::new(exit::SYSTEM, "nothing is listened on"));
    };
    let double = main.loopback.double().clone();
    let dns = dns::open(arguments, main).await?;
    let controlled = match arguments.control {
        Some(port) => Some(control::open(arguments, port).await?),
        None => None,
    };
    log::ready(arguments, &listeners, controlled.as_ref(), dns.as_ref());
    warn(arguments);
    // It takes the main listener over; everything ends with it.
    let controlling =
        controlled.map(|(socket, _)| control::serve(arguments, socket, &mut listeners, tls));
    let keeps = arguments.control.is_some();
    let mut interrupt = std::pin::pin!(interrupted());
    let mut events = 0;
    loop {
        let pause = tokio::time::sleep(Duration::from_millis(20));
        let done = tokio::select! {
            biased;
            () = &mut interrupt => true,
            () = pause => false,
        };
        // What is to be looked at later has to stay.
        let entries = if keeps {
            let (first, entries) = double.trace().since(events);
            events = first + entries.len() as u64;
            entries
        } else {
            double.trace().drain()
        };
        for entry in entries {
            log::entry(&entry, arguments.json);
        }
        // Files are written before the reply, by the ledger's own hand.
        if !keeps {
            let _ = double.ledger().drain();
        }
        let taken = double.ledger().ever();
        if done || arguments.messages.is_some_and(|messages| taken >= messages) {
            if !arguments.json {
                println!("{taken} messages taken");
            }
            let covered = match &controlling {
                Some((_, control)) => control.coverage(),
                None => double.coverage(),
            };
            return arguments.wanted.end(&covered, arguments.json);
        }
    }
}

/// Says what being reached by others means, to whoever asked for it.
fn warn(arguments: &Arguments) {
    let beyond = |address: Option<IpAddr>| address.filter(|address| !address.is_loopback());
    for (address, what) in [
        (
            arguments.expose_to_network,
            "mail of anyone who comes is taken, and relayed nowhere",
        ),
        (
            arguments.expose_control_to_network,
            "anyone who comes may read the mailbox and set rules",
        ),
    ] {
        if let Some(address) = beyond(address) {
            eprintln!("postbound: listening on {address}, beyond this machine: {what}");
        }
    }
}
