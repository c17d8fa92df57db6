//! `postbound send` with many messages: over a few connections, in passes, with a journal.

mod fate;
mod journal;
mod mbox;
mod promise;
mod run;
mod source;
mod summary;

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use postbound::{Bounds, CancellationToken, Circuit, Envelope, Phase};
use tokio::time::{Instant, sleep};

pub(crate) use self::promise::Route;
use self::promise::{Promise, Way};
use self::run::{Run, Wanted, over_mx, over_pool};
use self::summary::Summary;
use crate::exit::{self, Stop};
use crate::interrupt::interruptible;
use crate::runtime;

/// The wait before the second pass; it doubles from one to the next.
const FIRST_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Options {
    /// Many messages, each with the same envelope: files, directories with .eml files, Maildirs and
    /// mbox files
    #[arg(value_name = "MESSAGES", conflicts_with = "data")]
    pub(crate) messages: Vec<PathBuf>,
    /// Send MESSAGES over this many connections; with --mx, this many at a time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1000), value_name = "CONNECTIONS", requires = "messages")]
    pool: u16,
    /// Write down in this file, as JSON lines, what became of each of MESSAGES. With the same file
    /// again, what was accepted or may have been is not sent again, and everything else is
    #[arg(long, value_name = "FILE", requires = "messages")]
    journal: Option<PathBuf>,
    /// Send again what the journal does not know the outcome of. RECIPIENTS MAY GET IT TWICE
    #[arg(long, requires = "journal")]
    resend_ambiguous: bool,
}

/// What `send` says about all of them.
pub(crate) struct Terms {
    pub(crate) bounds: Bounds<'static>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) linger: Duration,
    pub(crate) retry: u32,
    pub(crate) may_duplicate: bool,
    pub(crate) plan: bool,
    pub(crate) json: bool,
}

pub(crate) fn send(
    options: &Options,
    terms: &Terms,
    route: Route,
    envelope: Envelope,
) -> Result<u8, Stop> {
    let found = source::find(&options.messages, &envelope)?;
    let way = Way::new(options.pool, route);
    let promise = Promise::new(options.pool, terms, &way, &found, &envelope);
    let line = promise.line(options.pool, terms, found.len());
    if terms.plan {
        println!("{}\n\n{line}", promise.one);
        return Ok(exit::OK);
    }
    eprintln!("{line}");
    let run = Run::new(envelope, found, options.journal.as_deref(), bar())?;
    let run = RefCell::new(run);
    let runtime = runtime()?;
    let (elapsed, ended) = runtime.block_on(passes(options, terms, &run, &way));
    runtime.shutdown_background();
    let run = run.into_inner();
    run.bar().finish_and_clear();
    let mut summary = Summary::new(&run.items);
    summary.elapsed = elapsed;
    summary.ended = ended;
    if terms.json {
        println!("{}", summary.as_json());
    } else {
        print!("{}", summary.text(options.journal.is_some()));
    }
    match run.stop {
        Some(stop) => Err(stop),
        None => Ok(summary.code()),
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let template = "{bar:40} {pos}/{len} messages, {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Pass after pass, until there is nothing left that another may help. Says how long that took, and
/// what ended it early.
async fn passes(
    options: &Options,
    terms: &Terms,
    run: &RefCell<Run>,
    way: &Way,
) -> (Duration, Option<&'static str>) {
    let started = Instant::now();
    let token = CancellationToken::new();
    let until = terms
        .deadline
        .and_then(|deadline| started.checked_add(deadline));
    let mut bounds = terms.bounds.clone().cancelled_by(&token);
    if let Some(until) = until {
        bounds = bounds.until(until.into_std());
    }
    let over = || token.is_cancelled() || until.is_some_and(|until| until <= Instant::now());
    let all = async {
        for pass in 0..=terms.retry {
            let wanted = Wanted {
                permanent: pass == 0,
                ambiguous: if pass == 0 {
                    options.resend_ambiguous
                } else {
                    terms.may_duplicate
                },
            };
            let todo = run.borrow().wanted(wanted);
            if todo.is_empty() || over() || run.borrow().stop.is_some() {
                break;
            }
            if pass > 0 {
                let wait = wait(pass, way);
                if until.is_some_and(|until| until <= Instant::now() + wait) {
                    break;
                }
                token.run_until_cancelled(sleep(wait)).await;
            }
            let bounds = bounds.clone();
            match way {
                Way::Pool(pool) => over_pool(run, pool, todo, wanted, bounds).await,
                Way::Mx(mx) => {
                    let at_a_time = usize::from(options.pool);
                    over_mx(run, mx, at_a_time, todo, wanted, over, bounds).await;
                }
            }
        }
        if let Way::Pool(pool) = way {
            pool.shutdown(bounds).await;
        }
    };
    // What is given up was begun and has no end, and so counts as ambiguous.
    let ended = match interruptible(&token, all).await {
        None => Some("a second interrupt"),
        Some(()) if token.is_cancelled() => Some("an interrupt"),
        Some(()) if over() => Some("its deadline"),
        Some(()) => None,
    };
    (started.elapsed(), ended)
}

/// How long to wait before this pass.
fn wait(pass: u32, way: &Way) -> Duration {
    let limit = way.client().timeouts().of(Phase::Backoff);
    let wait = FIRST_WAIT
        .saturating_mul(1 << (pass - 1).min(20))
        .min(limit);
    match way {
        Way::Pool(pool) => match pool.circuit() {
            Circuit::Open { left } => wait.max(left),
            _ => wait,
        },
        Way::Mx(_) => wait,
    }
}
