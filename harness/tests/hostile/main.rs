//! The hostile cases: what a client must survive, one test each. Rows 1 to 12 are at the boundary of
//! TLS, 13 to 17 are what a caller may say, 18 to 33 what a server may answer, 34 to 38 AUTH, and 39 to
//! 43 what takes its time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

mod answered;
mod auth;
mod late;
mod said;
mod tls;

use std::time::Duration;

use postbound::{Bounds, Client, Envelope, Error, Message, Phase, Receipt};
use postbound_harness::{Case, Report, run};
use simnet::net::mem::Network;
use simnet::{Double, Plan, Script};

/// The phases whose reply the server can spoil before the end of mail data.
const BEFORE: [Phase; 5] = [
    Phase::Greeting,
    Phase::Ehlo,
    Phase::Mail,
    Phase::Rcpt,
    Phase::DataInitiation,
];

fn case(plan: &str) -> Case {
    format!("timeout=2s -- v1 | {plan}")
        .parse()
        .unwrap_or_else(|error| panic!("{plan}: {error}"))
}

/// Runs the case; every guarantee holds, whatever else is looked at.
fn run_one(plan: &str) -> Report {
    let case = case(plan);
    let report = run::mem::run(&case);
    let violations = report.violations(&case, run::mem::TOLERANCE);
    assert_eq!(violations, [], "{case}\n{}", report.events);
    report
}

fn claim(plan: &str) -> String {
    run_one(plan).claim.to_string()
}

fn error(plan: &str) -> Error {
    run::mem::result(&case(plan)).expect_err(plan)
}

fn quoted(octets: &[u8]) -> String {
    format!("raw \"{}\"", octets.escape_ascii())
}

fn envelope() -> Envelope {
    let to = ["b@example.org".parse().unwrap()];
    Envelope::new("a@example.org".parse().unwrap(), to).unwrap()
}

fn client(network: &Network) -> Client<simnet::net::mem::Connector> {
    Client::builder("mx.example", 25)
        .connector(network.connector())
        .build()
        .unwrap()
}

/// One message to a healthy server with this script.
fn send(
    script: Script,
    envelope: &Envelope,
    message: Message<'_>,
) -> (Network, Result<Receipt, Error>) {
    run::paused(async {
        let double = Double::new(Plan::healthy())
            .with_script(script)
            .keeping_wire_octets();
        let network = Network::new(double);
        let result = client(&network)
            .send(envelope, message, Bounds::none())
            .await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        (network, result)
    })
}
