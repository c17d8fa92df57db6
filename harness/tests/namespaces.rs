//! The referee in network namespaces: the kernel's own faults, judged by what mem makes of the same plan.
//!
//! It needs rights (root, or CAP_NET_ADMIN and CAP_SYS_ADMIN) and `ip` of iproute2. What can't be had is
//! skipped, counted and named. Nothing leaves the namespaces.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't be set up has to fail; what is skipped has to be said"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postbound_harness::namespace::{Means, Ran, play, run, sweep, why_not};
use postbound_harness::run::mem;
use postbound_harness::{Case, Violation};

/// Cases at once: most of a case is waiting.
const AT_ONCE: usize = 6;
/// A busy machine may bring the fault too late.
const ATTEMPTS: usize = 4;
const SOON: Duration = Duration::from_millis(50);
const LATER: Duration = Duration::from_millis(150);

/// A name, what is asked of the client and goes wrong, what the kernel does to make it so, and the line
/// for mem where it has to be said in other words.
type Row = (&'static str, &'static str, Means, Option<&'static str>);

const ROWS: &[Row] = &[
    ("healthy", "timeout=2s -- v1", Means::Routes, None),
    (
        "healthy under TLS",
        "timeout=2s tls=starttls auth=scram-sha-256 -- v1",
        Means::Routes,
        None,
    ),
    (
        "SYN swallowed",
        "timeout=600ms -- v1 | connect: blackhole",
        Means::Routes,
        None,
    ),
    (
        "every address swallowed",
        "timeout=900ms -- v1 | resolve: addresses v4 v6 v4 v6 | connect: blackhole",
        Means::Routes,
        None,
    ),
    (
        "SYN swallowed, deadline first",
        "timeout=2s deadline=400ms -- v1 | connect: blackhole",
        Means::Routes,
        None,
    ),
    (
        "SYN swallowed, cancelled",
        "timeout=2s cancel=300ms -- v1 | connect: blackhole",
        Means::Routes,
        None,
    ),
    (
        "port closed: RST",
        "timeout=600ms -- v1 | connect: refuse",
        Means::Routes,
        None,
    ),
    (
        "port unreachable: ICMP",
        "timeout=600ms -- v1 | connect: refuse",
        Means::Icmp,
        None,
    ),
    (
        "host unreachable: ICMP",
        "timeout=600ms -- v1 | connect: unreachable",
        Means::Routes,
        None,
    ),
    (
        "happy eyeballs, IPv6 swallowed",
        "timeout=2s -- v1 | resolve: addresses v6 v4 | connect#1: blackhole",
        Means::Routes,
        None,
    ),
    (
        "happy eyeballs, IPv4 swallowed",
        "timeout=2s -- v1 | resolve: addresses v4 v6 | connect#1: blackhole",
        Means::Routes,
        None,
    ),
    (
        "happy eyeballs, IPv6 refused",
        "timeout=2s -- v1 | resolve: addresses v6 v4 | connect#1: refuse",
        Means::Routes,
        None,
    ),
    (
        "cable pulled at the greeting",
        "timeout=900ms -- v1 | greeting: after 600ms | link: blackhole after 50ms",
        Means::Pull("opened", SOON),
        None,
    ),
    (
        "cable pulled in the handshake",
        "timeout=900ms tls=implicit -- v1 | tls-handshake: after 600ms | link: blackhole after 50ms",
        Means::Pull("opened", SOON),
        None,
    ),
    (
        "cable pulled at EHLO",
        "timeout=900ms -- v1 | ehlo: after 600ms | link: blackhole after 50ms",
        Means::Pull("EHLO", SOON),
        None,
    ),
    (
        "cable pulled at MAIL",
        "timeout=900ms -- v1 | mail: after 600ms | link: blackhole after 50ms",
        Means::Pull("MAIL", SOON),
        None,
    ),
    (
        "cable pulled at MAIL under TLS",
        "timeout=900ms tls=starttls -- v1 | mail: after 600ms | link: blackhole after 50ms",
        Means::Pull("MAIL", SOON),
        None,
    ),
    (
        "cable pulled at MAIL, deadline first",
        "timeout=2s deadline=700ms -- v1 | mail: after 600ms | link: blackhole after 50ms",
        Means::Pull("MAIL", SOON),
        None,
    ),
    (
        "replies lost at RCPT",
        "timeout=900ms recipients=3 -- v1 | rcpt: after 600ms | link: blackhole after 50ms to-client",
        Means::SwallowReplies("RCPT", SOON),
        None,
    ),
    (
        "cable pulled in the mail data",
        "timeout=900ms octets=1000000 -- v1 | data-block: trickle 4096 every 10ms | link: blackhole after 200ms",
        Means::Pull("DATA", LATER),
        None,
    ),
    (
        "cable pulled behind the final dot",
        "timeout=900ms -- v1 | data-termination: after 600ms | link: blackhole after 50ms",
        Means::Pull("mail-data", SOON),
        None,
    ),
    (
        "replies lost behind the final dot, under TLS",
        "timeout=900ms tls=starttls -- v1 | data-termination: after 600ms | link: blackhole after 50ms to-client",
        Means::SwallowReplies("mail-data", SOON),
        None,
    ),
    (
        "cable pulled behind the final dot, cancelled",
        "timeout=3s cancel=800ms -- v1 | data-termination: after 600ms | link: blackhole after 50ms",
        Means::Pull("mail-data", SOON),
        None,
    ),
    (
        "replies lost behind the final dot, and there again",
        "timeout=8s -- v1 | data-termination: after 300ms | link: blackhole after 50ms heal 750ms to-client",
        Means::Heal("mail-data", SOON),
        None,
    ),
    (
        "server killed while it waits: FIN",
        "timeout=2s -- v1 | mail: after 20s",
        Means::Kill("MAIL", LATER),
        Some("timeout=2s -- v1 | mail: nothing; after 150ms; close"),
    ),
    (
        "server killed with octets unread: RST",
        "timeout=2s octets=200000 -- v1 | data-block: stop after 5000",
        Means::Kill("DATA", LATER),
        Some(
            "timeout=2s octets=200000 -- v1 | data-block: interrupt after 5000; nothing; after 150ms; reset",
        ),
    ),
    (
        "one packet in ten lost, each late",
        "timeout=15s octets=30000 -- v1 | link: latency 20ms",
        Means::Lossy,
        None,
    ),
    (
        "one packet in ten lost, each late, under TLS",
        "timeout=15s tls=starttls recipients=3 -- v1 | link: latency 20ms",
        Means::Lossy,
        None,
    ),
];

/// What became of a case.
enum Verdict {
    Agrees,
    Skipped(String),
    Fails(String),
}

fn examine(row: &Row) -> Verdict {
    let (name, line, means, on_mem) = row;
    let parsed = |line: &str| -> Case { line.parse().unwrap_or_else(|e| panic!("{name}: {e}")) };
    let (case, on_mem) = (parsed(line), parsed(on_mem.unwrap_or(line)));
    let expected = mem::run(&on_mem);
    let on_mem = expected.violations(&on_mem, mem::TOLERANCE);
    let program = std::env::current_exe().unwrap();
    let ran = (0..ATTEMPTS).find_map(|_| match run(&case, *means, &program) {
        Ran::TooLate => None,
        ran => Some(ran),
    });
    let (report, mut broken) = match ran {
        Some(Ran::Seen(report, violations)) => (report, violations),
        Some(Ran::Skipped(why)) => return Verdict::Skipped(why),
        _ => return Verdict::Fails(format!("{name}: the kernel came too late {ATTEMPTS} times")),
    };
    println!(
        "  {name}: {} after {:.3} s of at most {:.3} s, mailbox {}",
        report.claim,
        report.elapsed.as_secs_f64(),
        case.promise().as_secs_f64(),
        report.committed
    );
    broken.extend(on_mem);
    if report.claim != expected.claim || report.committed != expected.committed {
        let (was, on_mem) = (&report.claim, &expected.claim);
        let what = format!("{was}, but on mem {on_mem}, mailbox {}", expected.committed);
        broken.push(Violation::new("referee", what));
    }
    match broken.is_empty() {
        true => Verdict::Agrees,
        false => Verdict::Fails(format!("{name}: {broken:?}")),
    }
}

fn main() -> ExitCode {
    if play() {
        return ExitCode::SUCCESS;
    }
    // The usual arguments of a test: names to run, and --list.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let names: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    const NAME: &str = "referee_namespaces_tell_the_same_story";
    if arguments.iter().any(|argument| argument == "--list") {
        println!("{NAME}: test");
        return ExitCode::SUCCESS;
    }
    if !names.is_empty() && !names.iter().any(|name| NAME.contains(name.as_str())) {
        return ExitCode::SUCCESS;
    }
    sweep();
    if let Some(why) = why_not() {
        println!("{NAME}: all {} cases skipped: {why}", ROWS.len());
        return ExitCode::SUCCESS;
    }
    let next = AtomicUsize::new(0);
    let skipped = Mutex::new(BTreeMap::<String, Vec<&str>>::new());
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(row) = ROWS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match examine(row) {
                        Verdict::Agrees => {}
                        Verdict::Skipped(why) => {
                            skipped.lock().unwrap().entry(why).or_default().push(row.0);
                        }
                        Verdict::Fails(what) => failed.lock().unwrap().push(what),
                    }
                }
            });
        }
    });
    let (skipped, failed) = (skipped.into_inner().unwrap(), failed.into_inner().unwrap());
    let left_out: usize = skipped.values().map(Vec::len).sum();
    println!(
        "{NAME}: {} of {} cases agree with mem, {left_out} skipped, {} failed",
        ROWS.len() - left_out - failed.len(),
        ROWS.len(),
        failed.len()
    );
    for (why, names) in &skipped {
        println!("  skipped, as {why}: {}", names.join("; "));
    }
    match failed.is_empty() {
        true => ExitCode::SUCCESS,
        false => {
            println!("FAILED: {}", failed.join("\nFAILED: "));
            ExitCode::FAILURE
        }
    }
}
