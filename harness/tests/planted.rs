//! The test of the oracles: for each of them a client that is wrong in just this way, on a real run,
//! and the oracle has to say so. The right client, run the same way, is found fault with by none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::collections::BTreeSet;
use std::future::{Future, pending};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use postbound::sasl::Mechanism;
use postbound::{
    Bounds, CancellationToken, Client, Connector, Error, Outcome, Receipt, Security, Timeouts,
};
use postbound_harness::case::SECRET;
use postbound_harness::differential::Agreement;
use postbound_harness::guarantee::GUARANTEES;
use postbound_harness::referee;
use postbound_harness::run::mem::{self, Caller, TOLERANCE};
use postbound_harness::{Case, Memory, Report};
use simnet::net::mem::{Network, Stream};
use simnet::{Double, Plan};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

type Sent = Result<Receipt, Error>;

fn case(line: &str) -> Case {
    line.parse().unwrap()
}

/// The guarantees that are broken when this caller makes the case's call.
fn broken<F>(case: &Case, call: impl FnOnce(Caller) -> F) -> BTreeSet<&'static str>
where
    F: Future<Output = (Sent, Duration)>,
{
    let report = mem::run_by(case, case.double(), call);
    guarantees(&report, case)
}

fn guarantees(report: &Report, case: &Case) -> BTreeSet<&'static str> {
    let violations = report.violations(case, TOLERANCE);
    violations.iter().map(|v| v.guarantee).collect()
}

/// The right client's call.
async fn send(case: &Case, connector: impl Connector) -> Sent {
    let client = case.client(connector);
    let never = CancellationToken::new();
    let bounds = case.bounds(&never);
    client.send(&case.envelope(), &case.message(), bounds).await
}

async fn timed(call: impl Future<Output = Sent>) -> (Sent, Duration) {
    let begun = Instant::now();
    let sent = call.await;
    (sent, begun.elapsed())
}

fn only(guarantee: &'static str) -> BTreeSet<&'static str> {
    BTreeSet::from([guarantee])
}

/// A receipt from a server of its own, which says nothing about the one in the case.
async fn somebody_elses_receipt() -> Receipt {
    let network = Network::new(Double::new(Plan::healthy()));
    send(&Case::default(), network.connector()).await.unwrap()
}

#[test]
fn planted_nothing_and_no_oracle_finds_anything() {
    for line in [
        "timeout=2s -- v1",
        "timeout=2s auth=plain recipients=3 -- v1 | rcpt#2: reply 550 no",
        "timeout=2s -- v1 | mail: stall",
        "timeout=2s cancel=4ms -- v1",
        "timeout=2s deadline=5ms -- v1 | data-termination: commit; stall",
        "timeout=2s tls=starttls -- v1 | link: fragment 7",
    ] {
        let case = case(line);
        let twice = mem::examine(&case, Some(meter), true);
        assert_eq!(guarantees(&twice, &case), BTreeSet::new(), "{line}");
    }
}

#[test]
fn planted_g1_a_client_that_waits_as_long_as_it_likes() {
    let case = case("timeout=2s -- v1 | greeting: stall");
    let patient = async |connector| {
        let mut patient = Case::new(Plan::healthy());
        patient.timeout = Duration::from_secs(200);
        send(&patient, connector).await
    };
    let found = broken(&case, |caller| timed(patient(caller.connector)));
    assert_eq!(found, only("g1"));
}

#[test]
fn planted_g2_a_client_that_does_not_look_at_its_token() {
    let case = case("timeout=2s cancel=3ms -- v1 | link: latency 2ms");
    let found = broken(&case, |caller| async move {
        tokio::spawn(async move {
            sleep(Duration::from_millis(3)).await;
            (caller.at_cancel)();
        });
        timed(send(&case_without_cancel(), caller.connector)).await
    });
    assert_eq!(found, only("g2"));
}

fn case_without_cancel() -> Case {
    case("timeout=2s -- v1 | link: latency 2ms")
}

#[test]
fn planted_g2_a_client_that_says_goodbye_behind_the_cancellation() {
    let case = case("timeout=2s cancel=1ms -- v1");
    let found = broken(&case, |caller| async move {
        let begun = Instant::now();
        let address = caller
            .connector
            .resolve("double.example", 25)
            .await
            .unwrap();
        let mut stream = caller.connector.connect(address[0]).await.unwrap();
        (caller.at_cancel)();
        let elapsed = begun.elapsed().min(Duration::from_millis(1));
        stream.write_all(b"QUIT\r\n").await.unwrap();
        drop(stream);
        let cancelled = {
            let token = CancellationToken::new();
            token.cancel();
            let client = Case::default().client(caller.connector.clone());
            client.connect(&token).await.unwrap_err()
        };
        (Err(cancelled), elapsed)
    });
    // The strict server finds fault with it, too: nobody may speak before the greeting.
    assert!(found.contains("g2"), "{found:?}");
}

#[test]
fn planted_g3_a_client_that_keeps_its_socket() {
    static KEPT: Mutex<Vec<Stream>> = Mutex::new(Vec::new());
    let case = case("timeout=2s -- v1");
    let found = broken(&case, |caller| async move {
        let address = caller
            .connector
            .resolve("double.example", 25)
            .await
            .unwrap();
        let stream = caller.connector.connect(address[0]).await.unwrap();
        KEPT.lock().unwrap().push(stream);
        timed(send(&Case::default(), caller.connector)).await
    });
    KEPT.lock().unwrap().clear();
    assert_eq!(found, only("g3"));
}

#[test]
fn planted_g3_a_client_that_leaves_a_task_behind() {
    let case = case("timeout=2s -- v1");
    let found = broken(&case, |caller| async move {
        tokio::spawn(pending::<()>());
        timed(send(&Case::default(), caller.connector)).await
    });
    assert_eq!(found, only("g3"));
}

#[test]
fn planted_g3_a_client_that_leaves_a_timer_behind() {
    let case = case("timeout=2s -- v1");
    let found = broken(&case, |caller| async move {
        tokio::spawn(sleep(Duration::from_secs(600)));
        timed(send(&Case::default(), caller.connector)).await
    });
    assert_eq!(found, only("g3"));
}

fn meter(run: &mut dyn FnMut()) -> Memory {
    let info = allocation_counter::measure(run);
    Memory::new(info.bytes_current, info.bytes_max)
}

/// What a run of the healthy case looks like to the oracles if the client also does this.
fn measured(extra: impl Fn()) -> BTreeSet<&'static str> {
    let case = case("timeout=2s -- v1");
    // What is made once is made before.
    drop(mem::run(&case));
    let mut report = None;
    let ran = meter(&mut || {
        extra();
        report = Some(mem::run(&case));
    });
    let freed = {
        let mut copy = report.clone();
        std::mem::swap(&mut copy, &mut report);
        meter(&mut || drop(copy.take()))
    };
    let mut report = report.unwrap();
    report.memory = Some(Memory::new(ran.left + freed.left, ran.peak));
    guarantees(&report, &case)
}

#[test]
fn planted_g3_a_client_that_leaks_memory_and_g8_one_that_takes_too_much() {
    assert_eq!(measured(|| ()), BTreeSet::new());
    let leak = || std::mem::forget(std::hint::black_box(vec![0u8; 32]));
    assert_eq!(measured(leak), only("g3"));
    let hoard = || drop(std::hint::black_box(vec![0u8; 8 * 1024 * 1024]));
    assert_eq!(measured(hoard), only("g8"));
}

#[test]
fn planted_g4_a_client_that_calls_a_refused_message_accepted() {
    let case = case("timeout=2s -- v1 | data-termination: reply 554 5.7.1 no");
    let found = broken(&case, |caller| async move {
        let (_, elapsed) = timed(send(&Case::default(), caller.connector)).await;
        (Ok(somebody_elses_receipt().await), elapsed)
    });
    assert_eq!(found, only("g4"));
}

#[test]
fn planted_g4_a_client_that_calls_an_accepted_message_not_accepted() {
    let case = case("timeout=2s -- v1");
    let found = broken(&case, |caller| async move {
        let (_, elapsed) = timed(send(&Case::default(), caller.connector)).await;
        let other = Network::new(Double::new("v1 | mail: reply 550 no".parse().unwrap()));
        (send(&Case::default(), other.connector()).await, elapsed)
    });
    // It is a failure where nothing failed, too.
    assert_eq!(found, BTreeSet::from(["g4", "g7"]));
}

#[test]
fn planted_g4_a_client_that_sends_another_message() {
    let case = case("timeout=2s octets=400 -- v1");
    let found = broken(&case, |caller| async move {
        let mut another = Case::default();
        another.octets = 401;
        another.eight_bit = true;
        timed(send(&another, caller.connector)).await
    });
    assert_eq!(found, only("g4"));
}

#[test]
fn planted_g4_a_client_that_forgets_a_recipient() {
    let case = case("timeout=2s recipients=2 -- v1");
    let found = broken(&case, |caller| async move {
        let mut fewer = Case::default();
        fewer.recipients = 1;
        let sent = timed(send(&fewer, caller.connector)).await;
        let other = Network::new(Double::new(Plan::healthy()));
        let mut both = Case::default();
        both.recipients = 2;
        (send(&both, other.connector()).await, sent.1)
    });
    assert_eq!(found, only("g4"));
}

#[test]
fn planted_g5_a_client_that_sends_again_after_an_ambiguous_end() {
    let case = case("timeout=2s -- v1 | data-termination#1: commit; close");
    let found = broken(&case, |caller| async move {
        let mut again = Case::default();
        again.timeout = Duration::from_secs(1);
        timed(async {
            match send(&again, caller.connector.clone()).await {
                Err(error) if error.is_ambiguous() => send(&again, caller.connector).await,
                sent => sent,
            }
        })
        .await
    });
    assert_eq!(found, only("g5"));
}

#[test]
fn planted_g6_a_client_that_gives_up_early() {
    let case = case("timeout=2s deadline=1s -- v1 | rcpt: stall");
    let found = broken(&case, |caller| async move {
        let client = Case::default().client(caller.connector);
        let bounds = Bounds::none().within(Duration::from_millis(900));
        timed(client.send(
            &Case::default().envelope(),
            &Case::default().message(),
            bounds,
        ))
        .await
    });
    assert_eq!(found, only("g6"));
}

#[test]
fn planted_g7_a_client_that_is_too_hasty_for_a_slow_link() {
    let case = case("timeout=2s -- v1 | link: latency 90ms");
    let found = broken(&case, |caller| async move {
        let mut hasty = Case::default();
        hasty.timeout = Duration::from_millis(100);
        timed(send(&hasty, caller.connector)).await
    });
    assert_eq!(found, only("g7"));
}

#[test]
fn planted_g9_a_client_that_names_its_secret_in_an_error() {
    let case = case("timeout=2s auth=plain -- v1 | auth: stall");
    let found = broken(&case, |caller| async move {
        // An error names the server, and this one's name is the secret in hexadecimal.
        let host: String = SECRET.bytes().map(|octet| format!("{octet:02x}")).collect();
        let mut plain = Case::new("v1 | auth: stall".parse().unwrap());
        plain.auth = Some(Mechanism::Plain);
        let client = Client::builder(host, 25)
            .timeouts(Timeouts::uniform(Duration::from_secs(2)).unwrap())
            .auth(plain.authentication().unwrap())
            .security(Security::None)
            .connector(caller.connector)
            .build()
            .unwrap();
        timed(client.send(&plain.envelope(), &plain.message(), Bounds::none())).await
    });
    assert_eq!(found, only("g9"));
}

#[test]
fn planted_g10_a_client_that_is_different_each_time() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let case = case("timeout=2s -- v1");
    let once = || {
        mem::run_by(&case, case.double(), |caller| async move {
            let number = CALLS.fetch_add(1, Ordering::Relaxed);
            let client = Case::default()
                .builder(caller.connector)
                .ehlo_name(format!("call{number}.example").parse().unwrap())
                .build()
                .unwrap();
            let (envelope, message) = (Case::default().envelope(), Case::default().message());
            timed(client.send(&envelope, &message, Bounds::none())).await
        })
    };
    let mut report = once();
    report.again = Some(once().trace);
    assert_eq!(guarantees(&report, &case), only("g10"));
}

#[test]
fn planted_protocol_a_client_that_sends_mail_data_before_it_is_asked_to() {
    let case = case("timeout=2s -- v1");
    let found = broken(&case, |caller| async move {
        let address = caller
            .connector
            .resolve("double.example", 25)
            .await
            .unwrap();
        let mut stream = caller.connector.connect(address[0]).await.unwrap();
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting).await.unwrap();
        stream
            .write_all(b"RCPT TO:<x@double.example>\r\n")
            .await
            .unwrap();
        sleep(Duration::from_millis(5)).await;
        drop(stream);
        timed(send(&Case::default(), caller.connector)).await
    });
    assert_eq!(found, only("protocol"));
}

/// What the referee says if the other network's run is not mem's but this one.
fn judged(line: &str, other: impl Fn(&mut Report)) -> Agreement {
    let case = case(line);
    let mem = mem::run(&case);
    let mut report = mem.clone();
    other(&mut report);
    referee::judge(&case, &mem, &report, Duration::from_millis(20))
}

#[test]
fn planted_referee_another_claim_another_mailbox_another_time() {
    let differs = |agreement| matches!(agreement, Agreement::Differs(_));
    for line in [
        "timeout=2s -- v1",
        "timeout=2s -- v1 | mail: stall",
        "timeout=2s -- v1 | data-termination: commit; close",
        "timeout=2s recipients=2 -- v1 | rcpt#1: reply 550 no",
    ] {
        assert_eq!(judged(line, |_| ()), Agreement::Same, "{line}");
        for outcome in [Outcome::Accepted, Outcome::NotAccepted, Outcome::Ambiguous] {
            let same = outcome == mem::run(&case(line)).claim.outcome;
            let agreement = judged(line, |report| report.claim.outcome = outcome);
            assert_eq!(differs(agreement), !same, "{line}: {outcome}");
        }
        let late = judged(line, |report| report.elapsed += Duration::from_secs(1));
        assert!(differs(late), "{line}");
        let copies = judged(line, |report| report.committed += 1);
        assert!(differs(copies), "{line}");
        let kind = judged(line, |report| report.claim.kind = "protocol");
        assert!(differs(kind), "{line}");
        let spoilt = judged(line, |report| report.intact = false);
        assert!(differs(spoilt), "{line}");
    }
}

#[test]
fn planted_referee_a_limit_that_is_not_near_excuses_nothing() {
    let timed_out = |report: &mut Report| {
        let stalled = mem::run(&case("timeout=2s -- v1 | mail: stall"));
        (report.claim, report.elapsed) = (stalled.claim, stalled.elapsed);
        report.committed = stalled.committed;
    };
    // The reply comes 10 ms before the limit, or 500 ms.
    let near = judged("timeout=2s -- v1 | mail: after 1985ms", timed_out);
    assert!(matches!(near, Agreement::Tie(_)), "{near:?}");
    let far = judged("timeout=2s -- v1 | mail: after 1500ms", timed_out);
    assert!(matches!(far, Agreement::Differs(_)), "{far:?}");
}

#[test]
fn planted_every_guarantee_has_a_violation_that_is_caught() {
    let source = include_str!("planted.rs");
    for guarantee in GUARANTEES {
        let test = format!("fn planted_{}_", guarantee.id);
        let also = format!("_and_{}_", guarantee.id);
        assert!(
            source.contains(&test) || source.contains(&also),
            "{guarantee:?}"
        );
    }
}
