//! The same plans on other networks than mem: turmoil in virtual time, and real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that can't be set up has to fail; the classes are what is learned here"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use postbound::Bounds;
use postbound_harness::differential::Agreement;
use postbound_harness::{Case, arbitrary, property, referee, run};
use proptest::strategy::{Strategy, ValueTree};
use simnet::net::Backend;
use simnet::net::mem::Network;

/// Judges so many random cases, so many at once.
fn referee(backend: Backend, cases: u64, at_once: usize) {
    judge(backend, cases, at_once, referee::LEAST, |number| {
        let mut source = property::source(property::seed(), number);
        arbitrary::case().new_tree(&mut source).unwrap().current()
    });
}

/// Judges the cases with these numbers, so many at once. Of a hundred so many have to tell the same story.
fn judge(
    backend: Backend,
    cases: u64,
    at_once: usize,
    least: u64,
    case: impl Fn(u64) -> Case + Sync,
) {
    let next = AtomicU64::new(0);
    let found = Mutex::new((BTreeMap::<String, u64>::new(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= cases {
                        break;
                    }
                    let case = case(number);
                    let class = match referee::can(backend, &case) {
                        Err(_) => "skipped".to_owned(),
                        Ok(()) => {
                            let mem = run::mem::run(&case);
                            let (other, tolerance) = run::on(backend, &case);
                            match referee::judge(&case, &mem, &other, tolerance.late) {
                                Agreement::Same => "the same".to_owned(),
                                Agreement::Tie(class) => class.to_owned(),
                                Agreement::Differs(how) => {
                                    let line = format!("{how}\n  {case}\n{}", other.events);
                                    found.lock().unwrap().1.push(line);
                                    "without a name".to_owned()
                                }
                            }
                        }
                    };
                    *found.lock().unwrap().0.entry(class).or_default() += 1;
                }
            });
        }
    });
    let (classes, unnamed) = found.into_inner().unwrap();
    println!("{backend}: {classes:#?}");
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
    let judged: u64 = classes
        .iter()
        .filter(|(class, _)| *class != "skipped")
        .map(|(_, n)| n)
        .sum();
    let agreed: u64 = classes
        .iter()
        .filter(|(class, _)| *class == "the same" || referee::is_same_story(class))
        .map(|(_, n)| n)
        .sum();
    assert!(
        judged * 2 > cases,
        "more was skipped than judged: {classes:?}"
    );
    assert!(
        agreed * 100 >= judged * least,
        "{agreed} of {judged} agree: {classes:#?}"
    );
}

#[test]
fn referee_turmoil_tells_the_same_story() {
    referee(Backend::Turmoil, 1_200, 2);
}

#[test]
fn referee_real_sockets_tell_the_same_story() {
    // Most of a case's real time is waiting.
    referee(Backend::Loopback, 160, 16);
}

/// Of the faults at each octet of a healthy dialogue those that this network can do, each with this
/// number's multiple.
fn octets(backend: Backend, settings: &str, step: usize) -> Vec<Case> {
    let case: Case = format!("{settings} -- v1").parse().unwrap();
    let plans: Vec<_> = run::paused(async {
        let network = Network::new(case.double());
        let (client, envelope) = (case.client(network.connector()), case.envelope());
        let sent = client
            .send(&envelope, &case.message(), Bounds::none())
            .await;
        assert!(sent.is_ok(), "{case}");
        network.fault_points().collect()
    });
    let with = |plan| {
        let mut case = case.clone();
        case.plan = plan;
        case
    };
    let cases = plans.into_iter().map(with);
    let can = cases.filter(|case| referee::can(backend, case).is_ok());
    can.step_by(step).collect()
}

#[test]
fn referee_octets_that_are_struck_are_struck_on_every_network() {
    for (backend, at_once, step) in [(Backend::Turmoil, 2, 29), (Backend::Loopback, 16, 13)] {
        for settings in [
            "timeout=300ms octets=40",
            "timeout=300ms octets=40 tls=starttls",
        ] {
            let cases = octets(backend, settings, step);
            let strikes = cases.iter().map(|case| case.plan.one_line());
            let strikes: BTreeSet<_> = strikes
                .filter_map(|line| Some(line.split_once(" to-")?.1.to_owned()))
                .collect();
            // All but a window that closes on the client and, on turmoil, resets.
            let least = if backend == Backend::Loopback { 10 } else { 8 };
            assert_eq!(strikes.len(), least, "{strikes:?}");
            let count = cases.len() as u64;
            assert!(count > 50, "{count}");
            // Whether the end is a FIN or a RST, the octets that were on their way decide.
            judge(backend, count, at_once, 90, |number| {
                cases[usize::try_from(number).unwrap()].clone()
            });
        }
    }
}

#[test]
fn g4_honest_a_refusal_in_the_middle_of_a_long_message_ends_the_writing_on_real_sockets_too() {
    // Ten megabytes against small buffers: most of it is still to be written when the server speaks.
    for then in ["", "; stall"] {
        for code in [421, 451, 552] {
            let case: Case = format!(
                "timeout=20s octets=10000000 -- v1 | link: window 4096 | data-block: interrupt after 65536; reply {code} no{then}"
            )
            .parse()
            .unwrap();
            let report = run::loopback::run(&case);
            let violations = report.violations(&case, run::loopback::TOLERANCE);
            assert_eq!(violations, [], "{case}");
            assert_eq!(
                report.claim.to_string(),
                format!("not accepted, refused at data-block ({code})"),
                "{case}\n{}",
                report.events
            );
            assert_eq!(report.committed, 0);
            // It does not wait for a limit, nor until all is written.
            assert!(
                report.elapsed < Duration::from_secs(10),
                "{case}: {:?}",
                report.elapsed
            );
        }
    }
}

#[test]
fn g4_honest_a_reset_is_no_mere_end_on_real_sockets_too() {
    // Whether the next command's write meets it or the wait behind it: what was said before is read,
    // and then the call is broken, with the system's word for it.
    for _ in 0..50 {
        let case: Case = "timeout=2s pipelining=no -- v1 | rcpt: normal; reset"
            .parse()
            .unwrap();
        for report in [run::loopback::run(&case), run::mem::run(&case)] {
            assert_eq!(report.violations(&case, run::loopback::TOLERANCE), []);
            let told = report.claim.to_string();
            let is_behind = told == "not accepted, broken at data-initiation (250)"
                || told == "not accepted, broken at data-initiation";
            assert!(is_behind, "{told}\n{}", report.events);
        }
    }
}
