//! `postbound send`.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use postbound::{
    Bounds, CancellationToken, Client, EhloName, Endpoint, Envelope, Error, ForwardPath,
    LineEndings, Phase, Receipt, Recipient, Require, Retry, ReversePath, Security, Timeouts,
    Timings, Tls,
};
use serde_json::{Value, json};

use crate::exit::{self, Stop};
use crate::{duration, runtime};

/// The spelling of options follows swaks where they mean the same.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The server: a domain or an IP address, with the port behind a colon if need be. Given again,
    /// the next one is dialled when those before it can't be had
    #[arg(short, long, required = true, value_name = "HOST[:PORT]")]
    server: Vec<String>,
    /// The port of servers that name none [default: 465 with --tls implicit, else 25]
    #[arg(short, long)]
    port: Option<u16>,
    /// The reverse-path; empty or `<>` for the null reverse-path
    #[arg(short, long, value_name = "MAILBOX")]
    from: ReversePath,
    /// A forward-path; several with commas between them, or the option again
    #[arg(
        short,
        long,
        required = true,
        value_delimiter = ',',
        value_name = "MAILBOX"
    )]
    to: Vec<ForwardPath>,
    /// Whether and when to encrypt: implicit, starttls, starttls-if-offered-insecure or none. The
    /// third one any active attacker can switch off, and it takes any certificate
    #[arg(long, value_name = "MODE", default_value_t = Security::None)]
    tls: Security,
    /// Trust the authorities in this PEM file and no other [default: those of the system]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How to name oneself in EHLO
    #[arg(long, alias = "helo", value_name = "NAME")]
    ehlo: Option<EhloName>,
    /// The message: a file, or `-` for standard input
    #[arg(short, long, default_value = "-", value_name = "FILE")]
    data: PathBuf,
    /// End at the latest after this long, such as 30s
    #[arg(long, value_parser = duration, value_name = "TIME")]
    deadline: Option<Duration>,
    /// Keep this much of the deadline for the final reply, or stop before it is ambiguous
    #[arg(long, value_parser = duration, default_value = "0ms", value_name = "TIME")]
    reserve: Duration,
    /// Wait this much longer for the final reply after a cancellation or an expiry
    #[arg(long, value_parser = duration, default_value = "0ms", value_name = "TIME")]
    linger: Duration,
    /// The set of limits to start from
    #[arg(long, value_enum, default_value_t = Preset::Interactive)]
    timeouts: Preset,
    /// The same limit for every phase
    #[arg(long, value_parser = duration, value_name = "TIME")]
    timeout: Option<Duration>,
    /// The limit of one phase, such as greeting=20s; may be given again
    #[arg(long, value_name = "PHASE=TIME")]
    limit: Vec<String>,
    /// Try up to this many times more if a failure may pass. Never after an ambiguous outcome
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..100), value_name = "TIMES")]
    retry: u32,
    /// With --retry: try again after an ambiguous outcome, too. RECIPIENTS MAY GET THE MESSAGE TWICE
    #[arg(long, requires = "retry")]
    may_duplicate: bool,
    /// Send nothing unless every recipient is accepted
    #[arg(long)]
    require_all: bool,
    /// Refuse a message with bare CR or LF instead of making each a CRLF
    #[arg(long)]
    refuse_bare_line_endings: bool,
    /// Send nothing: only show how long it could take at most
    #[arg(long)]
    plan: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Preset {
    /// For somebody who waits
    Interactive,
    /// RFC 5321's minima, for a queue
    Rfc5321,
}

fn usage(why: impl ToString) -> Stop {
    Stop::new(exit::USAGE, why.to_string())
}

fn timeouts(arguments: &Arguments) -> Result<Timeouts, Stop> {
    let mut timeouts = match (arguments.timeout, arguments.timeouts) {
        (Some(limit), _) => Timeouts::uniform(limit).map_err(usage)?,
        (None, Preset::Interactive) => Timeouts::INTERACTIVE,
        (None, Preset::Rfc5321) => Timeouts::RFC5321,
    };
    for limit in &arguments.limit {
        let (phase, time) = limit.split_once('=').ok_or_else(|| {
            usage(format!(
                "--limit {limit:?}: write PHASE=TIME, such as greeting=20s"
            ))
        })?;
        let phase: Phase = phase.parse().map_err(|e| usage(format!("--limit: {e}")))?;
        let time = duration(time).map_err(|e| usage(format!("--limit {limit:?}: {e}")))?;
        timeouts = timeouts.with(phase, time).map_err(usage)?;
    }
    Ok(timeouts)
}

/// The servers, each tried after those that were given before it.
fn endpoints(arguments: &Arguments) -> Result<Vec<Endpoint>, Stop> {
    let open = |text: &String| !matches!(server(text), Ok((_, Some(_))));
    if arguments.port.is_some() && !arguments.server.iter().any(open) {
        return Err(usage("the port is given twice, in --server and in --port"));
    }
    let usual = match arguments.tls {
        Security::Implicit => 465,
        _ => 25,
    };
    let mut endpoints = Vec::new();
    for (priority, text) in (0..=u16::MAX).zip(&arguments.server) {
        let (host, port) = server(text)?;
        let port = port.or(arguments.port).unwrap_or(usual);
        let endpoint = Endpoint::new(host, port).map_err(usage)?;
        endpoints.push(endpoint.priority(priority));
    }
    Ok(endpoints)
}

/// Host and port, with an IPv6 address in brackets if a port follows it.
fn server(text: &str) -> Result<(&str, Option<u16>), Stop> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest
            .split_once(']')
            .ok_or_else(|| usage(format!("--server {text:?}: there is no closing bracket")))?;
        (host, rest.strip_prefix(':'))
    } else if text.matches(':').count() == 1 {
        let (host, port) = text.split_once(':').unwrap_or((text, ""));
        (host, Some(port))
    } else {
        (text, None)
    };
    let port = match port.map(str::parse) {
        None => None,
        Some(Ok(port)) => Some(port),
        Some(Err(_)) => {
            let port = port.unwrap_or_default();
            return Err(usage(format!("--server {text:?}: {port:?} is no port")));
        }
    };
    Ok((host, port))
}

fn retry(arguments: &Arguments) -> Retry {
    let retry = Retry::attempts(arguments.retry.saturating_add(1));
    match arguments.may_duplicate {
        true => retry.may_duplicate(),
        false => retry,
    }
}

fn message(arguments: &Arguments) -> Result<Vec<u8>, Stop> {
    let input = |error| {
        let file = arguments.data.display();
        Stop::new(
            exit::INPUT,
            format!("the message {file} can't be read: {error}"),
        )
    };
    if arguments.data.as_os_str() == "-" {
        let mut message = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut message)
            .map_err(input)?;
        Ok(message)
    } else {
        fs::read(&arguments.data).map_err(input)
    }
}

/// Whom to trust.
fn trust(arguments: &Arguments) -> Result<Tls, Stop> {
    let Some(file) = &arguments.ca else {
        return Ok(Tls::new());
    };
    if arguments.tls == Security::None {
        return Err(usage("--ca needs TLS; give --tls, too"));
    }
    let pem = fs::read(file).map_err(|error| {
        let file = file.display();
        Stop::new(exit::INPUT, format!("--ca {file} can't be read: {error}"))
    })?;
    Tls::new()
        .only_roots_pem(&pem)
        .map_err(|error| usage(format!("--ca {}: {error}", file.display())))
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Stop> {
    let timeouts = timeouts(arguments)?;
    let mut endpoints = endpoints(arguments)?.into_iter();
    let Some(first) = endpoints.next() else {
        return Err(usage("there is no --server"));
    };
    let require = if arguments.require_all {
        Require::AllRecipients
    } else {
        Require::AnyRecipient
    };
    let line_endings = if arguments.refuse_bare_line_endings {
        LineEndings::Refuse
    } else {
        LineEndings::Normalize
    };
    let mut builder = endpoints
        .fold(
            Client::builder(first.host(), first.port()),
            |builder, next| builder.endpoint(next),
        )
        .retry(retry(arguments))
        .timeouts(timeouts)
        .require(require)
        .line_endings(line_endings);
    if let Some(name) = &arguments.ehlo {
        builder = builder.ehlo_name(name.clone());
    }
    let client = builder
        .security(arguments.tls)
        .tls(trust(arguments)?)
        .build()
        .map_err(usage)?;
    let envelope =
        Envelope::new(arguments.from.clone(), arguments.to.iter().cloned()).map_err(usage)?;
    let message = message(arguments)?;
    if arguments.plan {
        show_promise(arguments, &client, &message);
        return Ok(exit::OK);
    }
    let token = CancellationToken::new();
    let mut bounds = Bounds::none()
        .cancelled_by(&token)
        .reserve(arguments.reserve)
        .linger(arguments.linger);
    if let Some(deadline) = arguments.deadline {
        bounds = bounds.within(deadline);
    }
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        let interrupt = tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                token.cancel();
            }
        });
        let result = client.send(&envelope, &message, bounds).await;
        interrupt.abort();
        result
    });
    runtime.shutdown_background();
    if arguments.json {
        println!("{}", as_json(&result));
    } else if result.is_ok() {
        print!("{}", describe(&result));
    } else {
        eprint!("{}", describe(&result));
    }
    Ok(exit::code(&result))
}

fn show_promise(arguments: &Arguments, client: &Client, message: &[u8]) {
    let octets = postbound::wire_octets(message);
    let promise = client.worst_case(arguments.to.len(), octets);
    println!("{promise}");
    let total = promise.total();
    let most = arguments
        .deadline
        .map_or(total, |deadline| deadline.min(total))
        + arguments.linger;
    println!(
        "\n{} recipients, {octets} octets on the wire: `send` ends within {:.3} s, whatever happens.",
        arguments.to.len(),
        most.as_secs_f64()
    );
}

/// What became of the message, in a few lines.
pub(crate) fn describe(result: &Result<Receipt, Error>) -> String {
    let mut lines = Vec::new();
    match result {
        Ok(receipt) => {
            lines.push(format!(
                "accepted by {}: {}",
                receipt.endpoint(),
                receipt.reply()
            ));
            lines.extend(
                receipt.refused().map(|recipient| {
                    format!("  refused: {} {}", recipient.path(), said(recipient))
                }),
            );
            lines.push(format!(
                "  {} octets in {}",
                receipt.octets(),
                brief(receipt.elapsed())
            ));
            lines.push(format!("  waits: {}", waits(receipt.timings())));
            lines.extend(receipt.earlier().iter().map(before));
        }
        Err(error) => {
            lines.push(format!("{}: {error}", error.outcome()));
            let mut cause = std::error::Error::source(error);
            while let Some(error) = cause {
                lines.push(format!("  because: {error}"));
                cause = error.source();
            }
            for attempt in error.attempts() {
                let why = attempt
                    .error
                    .as_ref()
                    .map_or("no answer".to_owned(), ToString::to_string);
                lines.push(format!("  tried {}: {why}", attempt.address));
            }
            for recipient in error.recipients().iter().filter(|r| r.reply().is_some()) {
                lines.push(format!("  {} {}", recipient.path(), said(recipient)));
            }
            lines.push(format!("  waits: {}", waits(error.timings())));
            lines.extend(error.earlier().iter().map(before));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

/// A failure that came before, on one line.
fn before(error: &Error) -> String {
    format!("  before that: {error}")
}

/// A duration as people read it.
fn brief(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{:.1} ms", duration.as_secs_f64() * 1_000.0)
    } else {
        format!("{:.3} s", duration.as_secs_f64())
    }
}

fn said(recipient: &Recipient) -> String {
    recipient
        .reply()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn waits(timings: &Timings) -> String {
    timings
        .iter()
        .map(|(phase, spent)| format!("{phase} {}", brief(spent)))
        .collect::<Vec<_>>()
        .join(", ")
}

fn as_json(result: &Result<Receipt, Error>) -> Value {
    let recipients = |recipients: &[Recipient]| -> Vec<Value> {
        recipients
            .iter()
            .map(|r| json!({"path": r.path().as_str(), "accepted": r.is_accepted(), "reply": r.reply().map(ToString::to_string)}))
            .collect()
    };
    let timings = |timings: &Timings| -> Value {
        timings
            .iter()
            .map(|(phase, spent)| (phase.name().to_owned(), json!(spent.as_secs_f64())))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let earlier = |errors: &[Error]| -> Vec<Value> {
        errors
            .iter()
            .map(|e| json!({"endpoint": e.endpoint(), "phase": e.phase().name(), "error": e.kind().to_string(), "outcome": e.outcome().to_string(), "elapsed": e.elapsed().as_secs_f64()}))
            .collect()
    };
    match result {
        Ok(receipt) => json!({
            "outcome": "accepted",
            "endpoint": receipt.endpoint(),
            "address": receipt.address().to_string(),
            "reply": receipt.reply().to_string(),
            "recipients": recipients(receipt.recipients()),
            "earlier": earlier(receipt.earlier()),
            "octets": receipt.octets(),
            "elapsed": receipt.elapsed().as_secs_f64(),
            "phases": timings(receipt.timings()),
        }),
        Err(error) => json!({
            "outcome": error.outcome().to_string(),
            "endpoint": error.endpoint(),
            "address": error.address().map(|a| a.to_string()),
            "phase": error.phase().name(),
            "error": error.kind().to_string(),
            "cause": std::error::Error::source(error).map(ToString::to_string),
            "reply": error.reply().map(ToString::to_string),
            "recipients": recipients(error.recipients()),
            "earlier": earlier(error.earlier()),
            "elapsed": error.elapsed().as_secs_f64(),
            "phases": timings(error.timings()),
        }),
    }
}
