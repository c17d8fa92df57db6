//! The sweeps behind the matrix: every case by number, on all cores, in shards, and gone on with
//! where they were broken off.

mod cases;
mod show;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Args;
use harness::coverage::Scope;
use harness::exhaustive::{Exhaustive, Transport};
use harness::results::Sweep;
use harness::run::sansio;
use harness::sweep::{Found, KEEP_EVERY, Part, State};
use harness::{Results, arbitrary, property, referee, swarm, sweep};
use indicatif::ProgressBar;
use proptest::strategy::{Strategy, ValueTree};
use serde::{Deserialize, Serialize};
use simnet::net::Backend;

use self::cases::{AS_MEM, examine, judge, tally};
pub(crate) use self::show::line;
use self::show::show;
use crate::duration;
use crate::exit::{self, Stop};
use crate::progress::bar;
use crate::results::read_json;

#[derive(Debug, Args)]
pub(crate) struct Sweeps {
    /// Behind the matrix, every single fault: each octet of the healthy dialogue, each strike, each
    /// configuration, on mem and without a runtime; each millisecond of a deadline
    #[arg(long)]
    exhaustive: bool,
    /// Of the exhaustive cases under TLS, every so-manieth only
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    tls_stride: u64,
    /// Of the cases on mem, every so-manieth is run twice and its trace compared
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    twice: u64,
    /// Behind the matrix, this many random cases on mem, all shards together
    #[arg(long, default_value_t = 0)]
    cases: u64,
    /// Behind the matrix, random cases for this long
    #[arg(long, value_parser = duration, value_name = "TIME")]
    seconds: Option<Duration>,
    /// Behind the matrix, this many random cases on each network of --backend but mem, judged by what
    /// mem makes of them; on turmoil and on real sockets if it names no other
    #[arg(long, default_value_t = 0)]
    referee: u64,
    /// The seed of the random cases
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only the i-th of n parts of every sweep, the same cases each time: for several machines
    #[arg(long, value_name = "I/N", default_value = "1/1", value_parser = shard)]
    shard: (u64, u64),
    /// Threads; as many as there are cores unless it is said
    #[arg(long)]
    jobs: Option<usize>,
    /// Keep in this file how far the sweeps have come, and go on from there if it exists
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
}

/// `2/8`.
fn shard(text: &str) -> Result<(u64, u64), String> {
    text.split_once('/')
        .and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)))
        .filter(|(i, n)| (1..=*n).contains(i))
        .ok_or_else(|| "expected I/N with I from 1 to N, such as 2/8".to_owned())
}

/// How far the sweeps had come.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    version: String,
    states: Vec<State>,
}

/// Sweeps that are run one behind the other.
struct Runs<'a> {
    arguments: &'a Sweeps,
    kept: Mutex<(Kept, Instant)>,
    quiet: bool,
}

impl Sweeps {
    /// Runs what was asked for, and adds it to the results.
    pub(crate) fn run(
        &self,
        backends: &[Backend],
        quiet: bool,
        results: &mut Results,
    ) -> Result<(), Stop> {
        let kept = match &self.resume {
            Some(path) if path.exists() => read_json::<Kept>(path, "--resume FILE")?,
            _ => Kept::default(),
        };
        let version = env!("CARGO_PKG_VERSION");
        if !kept.states.is_empty() && kept.version != version {
            let what = format!(
                "the sweeps in it are of postbound {}; remove it to begin anew",
                kept.version
            );
            return Err(Stop::new(exit::INPUT, what));
        }
        let version = version.to_owned();
        let runs = Runs {
            arguments: self,
            kept: Mutex::new((Kept { version, ..kept }, now())),
            quiet,
        };
        if self.exhaustive {
            runs.exhaustive(results)?;
        }
        if self.cases > 0 || self.seconds.is_some() {
            runs.random(results)?;
        }
        if self.referee > 0 {
            let others = [Backend::Turmoil, Backend::Loopback];
            let named = others.iter().any(|on| backends.contains(on));
            for on in others {
                if named && !backends.contains(&on) {
                    continue;
                }
                runs.referee(on, results)?;
            }
        }
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a person's patience is real time"
)]
fn now() -> Instant {
    Instant::now()
}

impl Runs<'_> {
    fn part(&self, len: u64) -> Part {
        let mut part = Part::whole(len);
        part.shard = self.arguments.shard;
        part.jobs = self.arguments.jobs.unwrap_or(part.jobs);
        part
    }

    fn exhaustive(&self, results: &mut Results) -> Result<(), Stop> {
        let twice = self.arguments.twice;
        for transport in [Transport::Clear, Transport::Tls] {
            let all = Exhaustive::new(transport);
            let mut part = self.part(all.len());
            let of = format!(
                "{} configurations ({} cases)",
                all.configurations(),
                all.len()
            );
            let case = |number| all.case(number).unwrap_or_default();
            let (name, scope) = match transport {
                Transport::Clear => {
                    let name = format!("every octet and millisecond of {of}");
                    self.sweep(&name, "sans-io", &part, Scope::SansIo, results, || {
                        let mut runner = sansio::Runner::default();
                        move |number, found: &mut Found| {
                            let case = case(number);
                            match sansio::can(&case) {
                                Ok(()) => {
                                    let report = runner.run(&case);
                                    found.add(number, &case, &report, sansio::TOLERANCE);
                                }
                                Err(_) => found.skip("it knows no TLS and no AUTH"),
                            }
                        }
                    })?;
                    (name, Scope::Clear)
                }
                Transport::Tls => {
                    part.stride = self.arguments.tls_stride;
                    let every = match part.stride {
                        1 => String::new(),
                        stride => format!(", one in {stride}"),
                    };
                    (
                        format!("every octet and millisecond of {of} under TLS{every}"),
                        Scope::Tls,
                    )
                }
            };
            self.sweep(&name, "mem", &part, scope, results, || {
                let mut runner = sansio::Runner::default();
                move |number, found: &mut Found| {
                    let case = case(number);
                    examine(number, &case, twice, Some(&mut runner), found);
                }
            })?;
        }
        Ok(())
    }

    /// Random cases, until enough were tried or the time is up.
    fn random(&self, results: &mut Results) -> Result<(), Stop> {
        let arguments = self.arguments;
        let (seed, twice) = (arguments.seed, arguments.twice);
        let len = match arguments.cases {
            0 => 1 << 40,
            cases => cases,
        };
        let mut part = self.part(len);
        part.until = arguments.seconds.map(|most| now() + most);
        // Rare things can't be demanded of few cases.
        let scope = match arguments.cases {
            20_000.. => Scope::Random,
            _ => Scope::Any,
        };
        let name = format!("random cases of seed {seed}");
        self.sweep(&name, "mem", &part, scope, results, || {
            let (any, swarm) = (arbitrary::case().boxed(), swarm::case().boxed());
            let mut runner = sansio::Runner::default();
            move |number, found: &mut Found| {
                let mut source = property::source(seed, number);
                // Every third has two faults and more out of a part of the vocabulary.
                let strategy = if number.is_multiple_of(3) {
                    &swarm
                } else {
                    &any
                };
                match strategy.new_tree(&mut source) {
                    Ok(tree) => examine(number, &tree.current(), twice, Some(&mut runner), found),
                    Err(why) => found.skip(&why.to_string()),
                }
            }
        })
    }

    /// The same random cases on another network, and whether it tells the same story.
    fn referee(&self, backend: Backend, results: &mut Results) -> Result<(), Stop> {
        let seed = self.arguments.seed;
        let mut part = self.part(self.arguments.referee);
        if backend == Backend::Loopback {
            // Most of a case's real time is waiting.
            part.jobs *= 8;
        }
        part.chunk = 8;
        let name = format!("random cases of seed {seed}, judged by mem");
        self.sweep(&name, backend.name(), &part, Scope::Any, results, || {
            let strategy = arbitrary::case();
            move |number, found: &mut Found| {
                let mut source = property::source(seed, number);
                match strategy.new_tree(&mut source) {
                    Ok(tree) => judge(backend, number, &tree.current(), found),
                    Err(why) => found.skip(&why.to_string()),
                }
            }
        })?;
        if let Some(sweep) = results.sweeps.last_mut() {
            let count = |fits: fn(&str) -> bool| -> u64 {
                let notes = sweep.notes.iter();
                notes.filter(|(class, _)| fits(class)).map(|(_, n)| n).sum()
            };
            let judged = sweep.cases;
            let agreed = count(|class| class == AS_MEM || referee::is_same_story(class));
            // One in a hundred says something only if there are hundreds.
            if judged >= 500 && agreed * 100 < judged * referee::LEAST {
                eprintln!("BROKEN {backend} agrees with mem in {agreed} of {judged} cases");
                *sweep.broken.entry("referee".to_owned()).or_default() += 1;
            }
        }
        Ok(())
    }

    fn sweep<W>(
        &self,
        name: &str,
        backend: &str,
        part: &Part,
        scope: Scope,
        results: &mut Results,
        worker: impl Fn() -> W + Sync,
    ) -> Result<(), Stop>
    where
        W: FnMut(u64, &mut Found),
    {
        let fresh = Sweep::new(name, backend, self.arguments.shard);
        let same = |state: &State| {
            let sweep = &state.sweep;
            sweep.name == name && sweep.backend == backend && sweep.shards == fresh.shards
        };
        let state = {
            let mut kept = self.kept();
            let at = kept.0.states.iter().position(same);
            at.map(|at| kept.0.states.swap_remove(at))
        };
        let state = state.unwrap_or_else(|| State::new(fresh.clone()));
        let bar = match part.until {
            Some(_) => ProgressBar::no_length(),
            None => bar(part.cases(), "cases"),
        };
        let done = state.sweep.cases + state.sweep.skipped.values().sum::<u64>();
        bar.set_position(done);
        bar.reset_eta();
        bar.set_message(name.to_owned());
        let state = sweep::run(
            state,
            part,
            &tally(scope, backend),
            worker,
            |cases, state| {
                bar.inc(cases);
                let mut kept = self.kept();
                if kept.1.elapsed() >= KEEP_EVERY {
                    self.keep(&mut kept.0, state);
                    kept.1 = now();
                }
            },
        );
        bar.finish_and_clear();
        let mut kept = self.kept();
        self.keep(&mut kept.0, &state);
        if let Some(path) = self
            .arguments
            .resume
            .as_deref()
            .filter(|path| !path.exists())
        {
            return Err(Stop::new(
                exit::OUTPUT,
                format!("{} can't be written", path.display()),
            ));
        }
        kept.0.states.push(state.clone());
        if !self.quiet {
            show(&state);
        }
        results.add_sweep(state);
        Ok(())
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, (Kept, Instant)> {
        self.kept
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Writes how far the sweeps have come. If that fails, it is tried again, and said at the end.
    fn keep(&self, kept: &mut Kept, state: &State) {
        let Some(path) = self.arguments.resume.as_deref() else {
            return;
        };
        kept.states.push(state.clone());
        if let Ok(text) = serde_json::to_string(kept) {
            let _ = replace(path, &text);
        }
        kept.states.pop();
    }
}

/// Writes a file so that there is always a whole one.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}
