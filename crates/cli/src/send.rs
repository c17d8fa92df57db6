//! `postbound send`.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use clap::Args;
use postbound::{
    Bounds, CancellationToken, Envelope, ForwardPath, LineEndings, Outcome, PathError, Require,
    Retry, ReversePath, WorstCase,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::account::Account;
use crate::exit::{self, Stop, usage};
use crate::extensions::Extensions;
use crate::interrupt::interruptible;
use crate::many;
use crate::mx;
use crate::network::{URL, warn_of_password};
use crate::terms::Terms;
use crate::told::{as_json, describe};
use crate::words::{brief, counted};
use crate::{duration, runtime};

/// The spelling of options follows swaks where they mean the same.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    many: many::Options,
    /// The server: a domain or an IP address, with the port behind a colon if need be. Given again,
    /// the next one is dialled when those before it can't be had
    #[arg(short, long, value_name = "HOST[:PORT]")]
    server: Vec<String>,
    /// The server, whether to encrypt, and who one is:
    /// `smtp+starttls://USER:PASSWORD@HOST:PORT?timeout=20s` [default: POSTBOUND_URL, where everybody
    /// on this machine can't read the password]
    #[arg(long, value_name = "URL", conflicts_with = "server")]
    url: Option<String>,
    #[command(flatten)]
    mx: mx::Options,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    account: Account,
    #[command(flatten)]
    extensions: Extensions,
    /// The reverse-path; empty or `<>` for the null reverse-path
    #[arg(short, long, value_name = "MAILBOX")]
    from: ReversePath,
    /// A forward-path; several with commas between them, or the option again
    #[arg(short, long, required = true, value_parser = forward_paths, value_name = "MAILBOX")]
    to: Vec<ForwardPaths>,
    /// The message: a file, or `-` for standard input
    #[arg(short, long, default_value = "-", value_name = "FILE")]
    data: PathBuf,
    /// End at the latest this long after the program began, reading the message included, such as 30s
    #[arg(long, value_parser = duration, value_name = "TIME")]
    deadline: Option<Duration>,
    /// Keep this much of the deadline for the final reply, or stop before it is ambiguous
    #[arg(long, value_parser = duration, default_value = "0ms", value_name = "TIME", requires = "deadline")]
    reserve: Duration,
    /// Wait this much longer for the final reply after a cancellation or an expiry
    #[arg(long, value_parser = duration, default_value = "0ms", value_name = "TIME")]
    linger: Duration,
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
    /// Show what is said and heard; there are no secrets in it
    #[arg(long)]
    transcript: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// What stands behind one `--to`.
#[derive(Clone, Debug)]
struct ForwardPaths(Vec<ForwardPath>);

/// Splits at the commas that no quoted local part holds.
fn forward_paths(text: &str) -> Result<ForwardPaths, PathError> {
    let (mut quoted, mut escaped) = (false, false);
    let outside = |c: char| {
        match c {
            _ if escaped => {
                escaped = false;
                return false;
            }
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            _ => {}
        }
        c == ',' && !quoted
    };
    let paths: Result<_, _> = text.split(outside).map(str::parse).collect();
    paths.map(ForwardPaths)
}

impl Arguments {
    /// Whether it is more than a dry run.
    pub(crate) const fn sends(&self) -> bool {
        !self.plan
    }

    fn forward_paths(&self) -> impl Iterator<Item = &ForwardPath> {
        self.to.iter().flat_map(|paths| &paths.0)
    }
}

fn retry(arguments: &Arguments) -> Retry {
    let retry = Retry::attempts(arguments.retry.saturating_add(1));
    match arguments.may_duplicate {
        true => retry.may_duplicate(),
        false => retry,
    }
}

/// The message. It is read on a thread of its own, since a pipe may be silent for ever and the
/// deadline holds all the same.
fn message(arguments: &Arguments, until: Option<Instant>) -> Result<Vec<u8>, Stop> {
    let file = arguments.data.clone();
    let (done, read) = mpsc::channel();
    std::thread::spawn(move || {
        let mut message = Vec::new();
        let octets = match file.as_os_str() == "-" {
            true => std::io::stdin().lock().read_to_end(&mut message),
            false => fs::File::open(file).and_then(|mut file| file.read_to_end(&mut message)),
        };
        // Nobody may want it any more.
        let _ = done.send(octets.map(|_| message));
    });
    let read = match until {
        Some(until) => read.recv_timeout(until.saturating_duration_since(Instant::now())),
        None => read.recv().map_err(RecvTimeoutError::from),
    };
    let why = match read {
        Ok(Ok(message)) => return Ok(message),
        Ok(Err(error)) => format!("can't be read: {error}"),
        Err(RecvTimeoutError::Timeout) => {
            "did not come to its end before the deadline; nothing was sent".to_owned()
        }
        Err(RecvTimeoutError::Disconnected) => "can't be read".to_owned(),
    };
    let file = match arguments.data.as_os_str() == "-" {
        true => "on standard input".to_owned(),
        false => arguments.data.display().to_string(),
    };
    Err(Stop::new(exit::INPUT, format!("the message {file} {why}")))
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Stop> {
    let until = arguments
        .deadline
        .and_then(|deadline| Instant::now().checked_add(deadline));
    if let Some(url) = &arguments.url {
        warn_of_password(url, URL);
    }
    let named = arguments.url.is_some() || !arguments.server.is_empty();
    let url = match std::env::var(URL) {
        Ok(url) if !named => Some(url),
        _ => arguments.url.clone(),
    };
    let servers = match &url {
        Some(url) => std::slice::from_ref(url),
        None => arguments.server.as_slice(),
    };
    if url.is_none() && servers.iter().any(|server| server.contains("://")) {
        return Err(usage("a URL goes with --url"));
    }
    // With MX delivery it is never asked for.
    let nobody = ["localhost".to_owned()];
    let servers = if arguments.mx.mx { &nobody } else { servers };
    let many = !arguments.many.messages.is_empty();
    let mut builder = arguments.terms.client(servers)?;
    builder = arguments.extensions.client(builder);
    // Many messages are tried again in passes, so that none waits for another.
    if !many {
        builder = builder.retry(retry(arguments));
    }
    if let Some(auth) = arguments.account.auth()? {
        builder = builder.auth(auth);
    }
    if arguments.transcript {
        builder = builder.transcript(|entry| eprintln!("{entry}"));
    }
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
    let client = builder
        .require(require)
        .line_endings(line_endings)
        .build()
        .map_err(usage)?;
    let envelope =
        Envelope::new(arguments.from.clone(), arguments.forward_paths().cloned()).map_err(usage)?;
    let envelope = arguments.extensions.envelope(envelope).map_err(usage)?;
    if many {
        let terms = many::Terms {
            bounds: Bounds::none()
                .reserve(arguments.reserve)
                .linger(arguments.linger),
            deadline: arguments.deadline,
            linger: arguments.linger,
            retry: arguments.retry,
            may_duplicate: arguments.may_duplicate,
            plan: arguments.plan,
            json: arguments.json,
        };
        let route = match arguments.mx.mx {
            true => many::Route::Mx(arguments.mx.delivery(client, arguments.terms.port())?),
            false => many::Route::Servers(client),
        };
        return many::send(&arguments.many, &terms, route, envelope);
    }
    let message = message(arguments, until)?;
    let octets = postbound::wire_octets(&message);
    let by_mx = match arguments.mx.mx {
        true => Some(
            arguments
                .mx
                .delivery(client.clone(), arguments.terms.port())?,
        ),
        false => None,
    };
    let promise = match &by_mx {
        Some(mx) => mx.worst_case(&envelope, octets),
        None => client.worst_case(arguments.forward_paths().count(), octets),
    };
    if arguments.plan {
        show_promise(arguments, &promise, octets);
        return Ok(exit::OK);
    }
    // What one server can take at most is no surprise; several, again and again, may be one.
    if servers.len() > 1 || arguments.retry > 0 || by_mx.is_some() {
        eprintln!(
            "ends within {}, whatever happens",
            brief(most(arguments, &promise))
        );
    }
    let token = CancellationToken::new();
    let mut bounds = Bounds::none()
        .cancelled_by(&token)
        .reserve(arguments.reserve)
        .linger(arguments.linger);
    if let Some(until) = until {
        bounds = bounds.until(until.into_std());
    }
    let runtime = runtime()?;
    let result = runtime.block_on(interruptible(&token, async {
        match &by_mx {
            Some(mx) => Err(mx.send(&envelope, &message, bounds).await),
            None => Ok(client.send(&envelope, &message, bounds).await),
        }
    }));
    runtime.shutdown_background();
    let result = match result {
        Some(Ok(result)) => result,
        None => {
            say_given_up(arguments.json);
            return Ok(exit::AMBIGUOUS);
        }
        Some(Err(delivered)) => {
            if arguments.json {
                let domains = delivered.iter();
                let value: serde_json::Map<_, _> = domains
                    .map(|one| (one.domain.clone(), as_json(&one.result)))
                    .collect();
                println!("{}", Value::from(value));
            } else {
                print!("{}", mx::describe_all(&delivered));
            }
            return Ok(mx::code(&delivered));
        }
    };
    if arguments.json {
        println!("{}", as_json(&result));
    } else if result.is_ok() {
        print!("{}", describe(&result));
    } else {
        eprint!("{}", describe(&result));
    }
    Ok(exit::code(&result))
}

/// What became of a message whose final reply is not waited for any more.
fn say_given_up(json: bool) {
    let why = "interrupted again while the final reply was waited for";
    let outcome = Outcome::Ambiguous.to_string();
    if json {
        println!("{}", json!({"outcome": outcome, "error": why}));
    } else {
        eprintln!("{outcome}: {why} (the message may have been accepted)");
    }
}

/// How long it takes at most.
fn most(arguments: &Arguments, promise: &WorstCase) -> Duration {
    let total = promise.total();
    let most = arguments
        .deadline
        .map_or(total, |deadline| deadline.min(total));
    most.saturating_add(arguments.linger)
}

fn show_promise(arguments: &Arguments, promise: &WorstCase, octets: u64) {
    let recipients = arguments.forward_paths().count();
    println!("{promise}");
    println!(
        "\n{}, {octets} octets on the wire: `send` ends within {:.3} s, whatever happens.",
        counted(recipients, "recipient", "recipients"),
        most(arguments, promise).as_secs_f64()
    );
}
