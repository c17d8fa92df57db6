//! G9: a password or token is in nothing that is printed, whatever goes wrong while it is used.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::error::Error as _;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postbound::sasl::Mechanism;
use postbound::{CancellationToken, Connector, Error};
use postbound_harness::case::{SECRET, USER};
use postbound_harness::run::paused;
use postbound_harness::secret::{clean, pieces};
use postbound_harness::told::Told;
use postbound_harness::{Case, arbitrary, property};
use simnet::net::mem::Network;
use simnet::plan::vocabulary::faults;

fn debug(out: &mut String, value: &impl Debug) {
    writeln!(out, "{value:?}\n{value:#?}").unwrap();
}

fn error(out: &mut String, error: &Error) {
    writeln!(out, "{error}\n{error:#}").unwrap();
    debug(out, error);
    debug(out, &error.auth_detail());
    let mut cause = error.source();
    while let Some(error) = cause {
        writeln!(out, "{error}\n{error:?}").unwrap();
        cause = error.source();
    }
}

/// Everything that a run can print, on both sides.
fn outputs(case: &Case) -> String {
    let told = Told::up_to(tracing::Level::TRACE);
    let out = tracing::subscriber::with_default(told.clone(), || printed(case));
    assert!(!told.text().is_empty(), "nothing was told");
    out + &told.text()
}

fn printed(case: &Case) -> String {
    paused(async {
        let mut out = format!("{case}\n");
        let network = Network::new(case.double());
        debug(&mut out, network.double());
        let transcript = Arc::new(Mutex::new(String::new()));
        match case.proxy() {
            Some(proxy) => {
                debug(&mut out, &proxy);
                writeln!(out, "{proxy}").unwrap();
                let connector = proxy.over(network.connector());
                debug(&mut out, &connector);
                talk(case, connector, &transcript, &mut out).await;
            }
            None => talk(case, network.connector(), &transcript, &mut out).await,
        }
        let double = network.double();
        writeln!(out, "{}", double.trace()).unwrap();
        writeln!(out, "{:?}", double.trace().entries()).unwrap();
        debug(&mut out, &double.ledger().findings());
        writeln!(out, "{:?}", double.ledger().deliveries()).unwrap();
        out.push_str(&transcript.lock().unwrap());
        out
    })
}

/// What the client's side prints.
async fn talk<C: Connector>(
    case: &Case,
    connector: C,
    transcript: &Arc<Mutex<String>>,
    out: &mut String,
) {
    let client = {
        let transcript = Arc::clone(transcript);
        case.builder(connector)
            .transcript(move |entry| {
                writeln!(transcript.lock().unwrap(), "{entry}\n{entry:?}").unwrap();
            })
            .build()
            .unwrap()
    };
    debug(out, &client);
    debug(out, &case.authentication());
    let token = CancellationToken::new();
    if let Some(after) = case.cancel {
        let token = token.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            token.cancel();
        });
    }
    let bounds = case.bounds(&token);
    match client.connect(bounds.clone()).await {
        Ok(mut connection) => {
            debug(out, &connection);
            let envelope = case.envelope();
            let sent = match connection.transaction(&envelope) {
                Ok(transaction) => transaction.send(&case.message(), bounds).await,
                Err(error) => Err(error),
            };
            match sent {
                Ok(receipt) => debug(out, &receipt),
                Err(failed) => error(out, &failed),
            }
            debug(out, &connection);
        }
        Err(failed) => error(out, &failed),
    }
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    debug(out, &client);
}

#[test]
fn g9_discreet_whatever_goes_wrong_in_whatever_mechanism() {
    let pieces = pieces();
    property(200, arbitrary::auth_case(), |case| {
        clean(&outputs(case), &pieces)
    });
}

#[test]
fn g9_discreet_with_every_named_fault_in_every_mechanism_and_every_fragment() {
    let pieces = pieces();
    let mut runs = 0;
    for mechanism in Mechanism::ALL {
        for fault in faults(postbound::Phase::Auth, std::time::Duration::from_secs(1)) {
            for octets in [0, 5] {
                let mut case = Case::new(fault.plan.clone());
                case.timeout = std::time::Duration::from_secs(1);
                case.auth = Some(mechanism);
                if octets > 0 {
                    let link: simnet::Plan =
                        format!("v1 | link: fragment {octets}").parse().unwrap();
                    case.plan.rules.extend(link.rules);
                }
                clean(&outputs(&case), &pieces).unwrap_or_else(|why| panic!("{case}: {why}"));
                runs += 1;
            }
        }
    }
    assert!(runs > 500);
}

#[test]
fn g9_discreet_a_proxys_credentials_whatever_goes_wrong_with_it() {
    let pieces = pieces();
    property(300, arbitrary::proxy_case(), |case| {
        clean(&outputs(case), &pieces)
    });
}

#[test]
fn g9_discreet_the_search_finds_what_it_looks_for() {
    let pieces = pieces();
    let plain = format!("\0{USER}\0{SECRET}");
    let octets = plain.as_bytes();
    for leak in [
        SECRET.to_owned(),
        STANDARD.encode(SECRET),
        STANDARD.encode(&plain),
        STANDARD.encode(format!("x{plain}")),
        STANDARD.encode(format!("xx{plain}")),
        format!("{octets:?}"),
        format!("{octets:#?}"),
        format!("{:?}", SECRET),
        octets.iter().map(|octet| format!("%{octet:02X}")).collect(),
        octets.iter().map(|octet| format!("{octet:02x}")).collect(),
        format!(
            "a line that ends with {}\nand another",
            &SECRET[..SECRET.len() / 2]
        ),
    ] {
        assert!(clean(&leak, &pieces).is_err(), "{leak}");
    }
    assert_eq!(clean("nothing of the kind", &pieces), Ok(()));
}
