//! What is played inside a namespace, in a process of its own: the server or the client of a case. They
//! tell what they see as JSON, one object a line.
#![expect(
    clippy::print_stdout,
    reason = "it is how the two processes tell what they saw"
)]

use std::io::Read;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use postbound::{Connector, Error, FailureKind, Receipt};
use serde_json::json;
use simnet::Event;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{SERVER_PORT, addresses, pair};
use crate::case::Case;
use crate::report::{Claim, Report};
use crate::run;
use crate::run::loopback::TOLERANCE;

/// The environment's name for the role that this process plays: `server` or `client`. The case is its
/// argument.
pub const ROLE: &str = "POSTBOUND_NAMESPACE_ROLE";

/// How often the server looks whether there is something to tell.
const LOOK: Duration = Duration::from_millis(5);

/// Plays the role that the environment asks for, if it does; says whether it did.
///
/// # Panics
/// If the role can't be played.
#[must_use]
pub fn play() -> bool {
    let Some(role) = std::env::var_os(ROLE) else {
        return false;
    };
    let line = std::env::args().nth(1).expect("a case");
    let case: Case = line.parse().expect("a case");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    match role.to_str() {
        Some("server") => runtime.block_on(serve(&case)),
        _ => runtime.block_on(send(&case)),
    }
    runtime.shutdown_background();
    true
}

/// Serves and tells what happens, until its standard input ends.
async fn serve(case: &Case) {
    let double = case.double();
    let mut listeners = Vec::new();
    for ip in [pair::SERVER.into(), pair::SERVER6.into()] {
        match TcpListener::bind(SocketAddr::new(ip, SERVER_PORT)).await {
            Ok(listener) => listeners.push(listener),
            Err(error) => assert!(ip.is_ipv6(), "{ip}: {error}"),
        }
    }
    let mut tasks = JoinSet::new();
    for listener in listeners {
        let double = double.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let double = double.clone();
                connections.spawn(async move { double.serve(stream).await });
            }
        });
    }
    let (end, ended) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        drop(end);
    });
    println!("{}", json!({"event": "ready"}));
    let mut going = true;
    while going {
        going = ended.try_recv() != Err(mpsc::TryRecvError::Disconnected);
        tokio::time::sleep(LOOK).await;
        for entry in double.trace().drain() {
            let detail = match &entry.event {
                Event::Command(_) => entry.event.detail(),
                _ => String::new(),
            };
            println!("{}", json!({"event": entry.event.kind(), "detail": detail}));
        }
    }
    let message = case.message();
    let deliveries = double.ledger().deliveries();
    let intact = deliveries.iter().all(|delivery| delivery.octets == message);
    let findings: Vec<_> = double
        .ledger()
        .findings()
        .iter()
        .map(ToString::to_string)
        .collect();
    println!(
        "{}",
        json!({"event": "end", "intact": intact, "findings": findings})
    );
}

/// The way out of the namespace: real sockets, and addresses that the case has.
struct Inside(Vec<SocketAddr>);

impl Connector for Inside {
    type Stream = TcpStream;

    async fn resolve(&self, _host: &str, _port: u16) -> std::io::Result<Vec<SocketAddr>> {
        Ok(self.0.clone())
    }

    async fn connect(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Makes the case's call and tells what it claims, and what of its limits it broke.
async fn send(case: &Case) {
    let (result, elapsed) = run::call(case, Inside(addresses(case)), || ()).await;
    let claim = Claim::of(&result);
    let violations: Vec<_> = limits(case, &result, elapsed);
    println!(
        "{}",
        json!({
            "outcome": claim.outcome.to_string(),
            "phase": claim.phase.map(postbound::Phase::name),
            "kind": claim.kind,
            "code": claim.code,
            "accepted": claim.accepted,
            "micros": u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            "violations": violations,
        })
    );
}

/// What of both bounds, of cancellation and of the tightness of limits did not hold: what the client's
/// own process can tell.
fn limits(case: &Case, result: &Result<Receipt, Error>, elapsed: Duration) -> Vec<String> {
    let mut report = Report::of(Claim::of(result));
    report.elapsed = elapsed;
    if let Err(error) = result {
        report.timings = *error.timings();
        report.timed_out = match error.kind() {
            FailureKind::TimedOut(limit) => Some(*limit),
            _ => None,
        };
    }
    let violations = report.violations(case, TOLERANCE);
    let mine = violations
        .iter()
        .filter(|violation| ["g1", "g2", "g6"].contains(&violation.guarantee));
    mine.map(ToString::to_string).collect()
}
