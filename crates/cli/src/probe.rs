//! `postbound probe`.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use postbound::{Bounds, CustomCommand, Error, Phase, Receipt, Reply, Timeouts, Timings};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::account::Account;
use crate::certificates::{self, Certificate};
use crate::exit::{self, Stop, usage};
use crate::network::{URL, warn_of_password};
use crate::terms::Terms;
use crate::told::describe;
use crate::words::brief;
use crate::{duration, runtime};

/// Dials, greets, encrypts, authenticates if it is told who it is, says the commands that it is given,
/// and says goodbye; shows what the server offers, its certificates, its answers and where the time
/// went. No mail is sent.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The server: a domain or an IP address, with the port behind a colon if need be; or a URL
    #[arg(value_name = "HOST[:PORT]|URL")]
    server: String,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    account: Account,
    /// End at the latest after this long, such as 30s
    #[arg(long, value_parser = duration, value_name = "TIME")]
    deadline: Option<Duration>,
    /// Say this command, such as 'VRFY Smith', EXPN, NOOP, HELP or one of the server's own, and show
    /// its reply; may be given again
    #[arg(long, value_parser = command, value_name = "COMMAND")]
    command: Vec<CustomCommand>,
    /// Show what is said and heard; there are no secrets in it
    #[arg(long)]
    transcript: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// What a connection showed.
struct Seen {
    endpoint: String,
    address: String,
    domain: String,
    extensions: Vec<String>,
    tls: Option<Tls>,
    authenticated: Option<String>,
    /// What was asked, and the answers.
    replies: Vec<(String, Reply)>,
    timings: Timings,
}

/// What is known of its TLS.
struct Tls {
    version: String,
    suite: String,
    verified: bool,
    /// The server's own first.
    chain: Vec<Certificate>,
}

fn command(text: &str) -> Result<CustomCommand, String> {
    let (verb, argument) = text.split_once(' ').unwrap_or((text, ""));
    CustomCommand::new(verb, argument).map_err(|error| error.to_string())
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Stop> {
    warn_of_password(&arguments.server, URL);
    let mut builder = arguments
        .terms
        .client(std::slice::from_ref(&arguments.server))?;
    if let Some(auth) = arguments.account.auth()? {
        builder = builder.auth(auth);
    }
    if arguments.transcript {
        builder = builder.transcript(|entry| eprintln!("{entry}"));
    }
    let client = builder.build().map_err(usage)?;
    let mut bounds = Bounds::none();
    if let Some(deadline) = arguments.deadline {
        bounds = bounds.until(Instant::now().into_std() + deadline);
    }
    let runtime = runtime()?;
    let seen = runtime.block_on(async {
        let mut connection = client.connect(bounds.clone()).await?;
        let mut timings = *connection.timings();
        let mut replies = Vec::new();
        for command in &arguments.command {
            let asked = Instant::now();
            let reply = connection.command(command, bounds.clone()).await?;
            timings.add(Phase::Command, asked.elapsed());
            replies.push((command.to_string(), reply));
        }
        let seen = Seen {
            endpoint: connection.endpoint().to_owned(),
            address: connection.address().to_string(),
            domain: connection.extensions().domain().to_owned(),
            extensions: connection
                .extensions()
                .iter()
                .map(ToString::to_string)
                .collect(),
            tls: connection.tls().map(|tls| Tls {
                version: tls.version().to_owned(),
                suite: tls.suite().to_owned(),
                verified: tls.is_verified(),
                chain: tls
                    .chain()
                    .iter()
                    .map(|one| Certificate::read(one))
                    .collect(),
            }),
            authenticated: connection.authenticated().map(|m| m.to_string()),
            replies,
            timings,
        };
        connection.quit(bounds).await;
        Ok::<_, Error>(seen)
    });
    runtime.shutdown_background();
    let limits = client.timeouts();
    match seen {
        Ok(seen) if arguments.json => println!("{}", seen.as_json(limits)),
        Ok(seen) => print!("{}", seen.describe(limits)),
        Err(error) => {
            let code = exit::of(&error);
            if arguments.json {
                println!("{}", failed(&error, limits));
            } else {
                eprint!("{}", waterfall(error.timings(), limits));
                eprint!("{}", describe(&Err::<Receipt, _>(error)));
            }
            return Ok(code);
        }
    }
    Ok(exit::OK)
}

impl Seen {
    fn describe(&self, limits: &Timeouts) -> String {
        let mut text = format!("{} at {} is {}\n", self.endpoint, self.address, self.domain);
        for extension in &self.extensions {
            text.push_str(&format!("  offers {extension}\n"));
        }
        match &self.tls {
            None => text.push_str("  the connection is in clear\n"),
            Some(tls) => {
                let verified = if tls.verified {
                    "verified"
                } else {
                    "NOT verified"
                };
                text.push_str(&format!(
                    "  {} with {}, the certificate is {verified}\n",
                    tls.version, tls.suite
                ));
                let now = certificates::now();
                for (number, certificate) in tls.chain.iter().enumerate() {
                    text.push_str(&format!("  certificate {}: ", number + 1));
                    text.push_str(&certificate.describe(now));
                }
            }
        }
        match &self.authenticated {
            None => text.push_str("  not authenticated\n"),
            Some(mechanism) => text.push_str(&format!("  authenticated with {mechanism}\n")),
        }
        for (command, reply) in &self.replies {
            text.push_str(&format!("  {command}: {reply}\n"));
        }
        text + &waterfall(&self.timings, limits)
    }

    fn as_json(&self, limits: &Timeouts) -> Value {
        let now = certificates::now();
        json!({
            "endpoint": self.endpoint,
            "address": self.address,
            "domain": self.domain,
            "extensions": self.extensions,
            "tls": self.tls.as_ref().map(|tls| json!({
                "version": tls.version, "suite": tls.suite, "verified": tls.verified,
                "certificates": tls.chain.iter().map(|one| one.as_json(now)).collect::<Vec<_>>(),
            })),
            "authenticated": self.authenticated,
            "commands": self.replies.iter().map(|(command, reply)| json!({
                "command": command, "code": reply.code().get(), "reply": reply.to_string(),
            })).collect::<Vec<_>>(),
            "phases": phases(&self.timings, limits),
        })
    }
}

fn failed(error: &Error, limits: &Timeouts) -> Value {
    json!({
        "endpoint": error.endpoint(),
        "address": error.address().map(|address| address.to_string()),
        "phase": error.phase().name(),
        "error": error.kind().to_string(),
        "cause": std::error::Error::source(error).map(ToString::to_string),
        "reply": error.reply().map(ToString::to_string),
        "detail": error.auth_detail(),
        "phases": phases(error.timings(), limits),
    })
}

fn phases(timings: &Timings, limits: &Timeouts) -> Value {
    let phase = |(phase, spent): (Phase, Duration)| {
        let facts =
            json!({"seconds": spent.as_secs_f64(), "limit": limits.of(phase).as_secs_f64()});
        (phase.name().to_owned(), facts)
    };
    timings.iter().map(phase).collect::<Map<_, _>>().into()
}

/// Characters of the picture.
const WIDTH: f64 = 40.0;

/// One bar a phase, each where the one before it ends, and how much of its limit it took.
fn waterfall(timings: &Timings, limits: &Timeouts) -> String {
    let whole: Duration = timings.iter().map(|(_, spent)| spent).sum();
    let scale = |spent: Duration| match whole.is_zero() {
        true => 0,
        // At most WIDTH.
        false => (spent.as_secs_f64() / whole.as_secs_f64() * WIDTH).round() as usize,
    };
    let mut text = String::new();
    let mut before = Duration::ZERO;
    for (phase, spent) in timings.iter() {
        let from = scale(before);
        before += spent;
        let length = scale(before).saturating_sub(from).max(1);
        let bar = format!("{}{}", " ".repeat(from), "\u{2588}".repeat(length));
        let limit = limits.of(phase);
        let share = spent.as_secs_f64() / limit.as_secs_f64() * 100.0;
        // Writing to a String can't fail.
        let _ = writeln!(
            text,
            "  {:<14}{:>10} of {:>10} {share:>5.1}%  {bar}",
            phase.name(),
            brief(spent),
            brief(limit),
        );
    }
    text
}
