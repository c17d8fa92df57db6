//! One case between two namespaces, from its beginning to its report.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use postbound::Outcome;
use serde_json::Value;

use super::{Pair, ROLE};
use crate::case::Case;
use crate::report::{Claim, Report, Violation};
use crate::run::loopback::TOLERANCE;

/// What the kernel does to a connection that is open, and when: behind the first thing that the server
/// sees which is called so (`opened`, `mail-data`, or a command's verb).
#[expect(clippy::exhaustive_enums, reason = "the tests name every one")]
#[derive(Clone, Copy, Debug)]
pub enum Means {
    /// Nothing beyond what the addresses do.
    Routes,
    /// The closed port is answered by ICMP and not by a reset.
    Icmp,
    /// The cable is pulled so much later.
    Pull(&'static str, Duration),
    /// What the server sends is lost so much later.
    SwallowReplies(&'static str, Duration),
    /// The same, and so much later it gets through again.
    Heal(&'static str, Duration),
    /// The server's process is killed so much later, and its kernel ends the connection.
    Kill(&'static str, Duration),
    /// From the beginning one packet in ten is lost, and each is late.
    Lossy,
}

/// What came of a case.
#[expect(clippy::exhaustive_enums, reason = "it ran or it did not")]
#[derive(Debug)]
pub enum Ran {
    /// What was seen, and what it broke.
    Seen(Box<Report>, Vec<Violation>),
    /// Why it can't be had here.
    Skipped(String),
    /// The machine was so slow that the fault came behind what it was to strike.
    TooLate,
}

/// Longer than any case lasts.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that ends with its owner.
struct Process {
    child: Child,
    /// Ends when it is dropped, which a server takes for the end.
    stdin: Option<ChildStdin>,
    said: Receiver<Value>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts a role of this program inside its namespace.
    fn start(pair: &Pair, role: &str, case: &str, program: &Path) -> Result<Self, String> {
        let mut command = pair.inside(role == "server", program);
        command
            .arg(case)
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let (tell, said) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let Ok(value) = serde_json::from_str(&line) else {
                    continue;
                };
                if tell.send(value).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, stdin, said })
    }

    /// Waits for something that it says, and counts what it committed meanwhile.
    fn until(
        &self,
        is_it: impl Fn(&Value) -> bool,
        committed: &mut usize,
    ) -> Result<Value, String> {
        loop {
            match self.said.recv_timeout(PATIENCE) {
                Ok(value) => {
                    *committed += usize::from(value["event"] == "committed");
                    if is_it(&value) {
                        return Ok(value);
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Err("it says nothing".to_owned()),
                Err(RecvTimeoutError::Disconnected) => return Err("it is gone".to_owned()),
            }
        }
    }

    /// Goes on for so long, and counts what it committed meanwhile. Whether the server said anything.
    fn for_so_long(&self, time: Duration, committed: &mut usize) -> bool {
        let mut has_said = false;
        #[expect(clippy::disallowed_methods, reason = "a kernel's time is real")]
        let until = Instant::now() + time;
        loop {
            #[expect(clippy::disallowed_methods, reason = "a kernel's time is real")]
            let left = until.saturating_duration_since(Instant::now());
            match self.said.recv_timeout(left) {
                Ok(value) => {
                    *committed += usize::from(value["event"] == "committed");
                    has_said |= value["event"] == "said";
                }
                Err(_) => return has_said,
            }
        }
    }
}

/// Runs the case between two namespaces of its own: `program` plays the roles.
///
/// # Panics
/// If the namespaces work but a process in them does not.
#[must_use]
pub fn run(case: &Case, means: Means, program: &Path) -> Ran {
    let pair = match Pair::new() {
        Ok(pair) => pair,
        Err(why) => return Ran::Skipped(why),
    };
    let prepared = match means {
        Means::Icmp => pair.answer_by_icmp(),
        Means::Lossy => pair.lose_and_delay(),
        _ => Ok(()),
    };
    if let Err(why) = prepared {
        return Ran::Skipped(why);
    }
    if !pair.has_v6 && super::addresses(case).iter().any(|to| to.is_ipv6()) {
        return Ran::Skipped("there is no IPv6 here".to_owned());
    }
    match played(case, means, &pair, program) {
        Ok(Some((report, violations))) => Ran::Seen(Box::new(report), violations),
        Ok(None) => Ran::TooLate,
        Err(why) => panic!("{case}: {why}"),
    }
}

/// What was seen; nothing if the server had answered before the kernel did what it was to do.
fn played(
    case: &Case,
    means: Means,
    pair: &Pair,
    program: &Path,
) -> Result<Option<(Report, Vec<Violation>)>, String> {
    let line = case.to_string();
    let mut committed = 0;
    let mut server = Process::start(pair, "server", &line, program)?;
    server.until(|said| said["event"] == "ready", &mut committed)?;
    let client = Process::start(pair, "client", &line, program)?;
    if let Means::Pull(what, after)
    | Means::SwallowReplies(what, after)
    | Means::Heal(what, after)
    | Means::Kill(what, after) = means
    {
        let is_it = |said: &Value| {
            let detail = said["detail"].as_str().unwrap_or_default();
            said["event"] == what || detail.split(' ').next() == Some(what)
        };
        server.until(is_it, &mut committed)?;
        let mut answered = server.for_so_long(after, &mut committed);
        match means {
            Means::Pull(..) => pair.pull()?,
            Means::Kill(..) => server.child.kill().map_err(|error| error.to_string())?,
            _ => pair.swallow_replies()?,
        }
        answered |= server.for_so_long(Duration::ZERO, &mut committed);
        // DATA is answered at once: the mail data is what it is about.
        if answered && what != "DATA" {
            return Ok(None);
        }
        if matches!(means, Means::Heal(..)) {
            server.for_so_long(Duration::from_millis(700), &mut committed);
            pair.let_through()?;
        }
    }
    let told = client.until(|_| true, &mut 0)?;
    // What is on its way reaches the mailbox; then the server is told to end.
    server.for_so_long(Duration::from_millis(50), &mut committed);
    drop(server.stdin.take());
    let end = server.until(|said| said["event"] == "end", &mut committed);
    let end = match means {
        Means::Kill(..) => Value::Null,
        _ => end?,
    };
    let mut report = Report::of(claim(&told)?);
    report.elapsed = Duration::from_micros(told["micros"].as_u64().unwrap_or_default());
    report.committed = committed;
    report.intact = end["intact"] != Value::Bool(false);
    for finding in end["findings"].as_array().into_iter().flatten() {
        report.findings.push(finding.to_string());
    }
    let mut violations = report.violations(case, TOLERANCE);
    for violation in told["violations"].as_array().into_iter().flatten() {
        violations.push(Violation::new("g1", violation.to_string()));
    }
    Ok(Some((report, violations)))
}

fn claim(told: &Value) -> Result<Claim, String> {
    let outcomes = [Outcome::Accepted, Outcome::NotAccepted, Outcome::Ambiguous];
    let outcome = outcomes
        .into_iter()
        .find(|outcome| told["outcome"] == outcome.to_string())
        .ok_or("no outcome")?;
    let phase = match told["phase"].as_str() {
        Some(name) => Some(name.parse().map_err(|_| "no phase")?),
        None => None,
    };
    Ok(Claim {
        outcome,
        phase,
        // A handful of words, for the rest of the program.
        kind: told["kind"].as_str().unwrap_or_default().to_owned().leak(),
        code: told["code"]
            .as_u64()
            .and_then(|code| u16::try_from(code).ok()),
        accepted: told["accepted"]
            .as_u64()
            .and_then(|count| usize::try_from(count).ok())
            .unwrap_or_default(),
    })
}
