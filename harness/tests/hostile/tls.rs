//! The hostile cases at the boundary of TLS: what a client must survive, one test each.

use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use postbound::{
    Bounds, CertificateProblem, Connector, Error, FailureKind, Outcome, Phase, ProtocolError,
    ReplyError, Security, Tls, TlsProblem, Unsupported,
};
use postbound_harness::{Case, Report, run};
use simnet::plan::Certificate;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const STARTTLS: Security = Security::StartTls;
const IMPLICIT: Security = Security::Implicit;
const INSECURE: Security = Security::StartTlsIfOfferedInsecure;
/// Everything that an attacker could want the client to have heard under TLS.
const EVIL: &str = "250-evil\r\n250 AUTH PLAIN\r\n";

fn case(security: Security, plan: &str) -> Case {
    format!("timeout=2s tls={security} -- v1{plan}")
        .parse()
        .unwrap_or_else(|error| panic!("{plan}: {error}"))
}

/// Runs the case; every guarantee holds, whatever else is looked at.
fn run_one(security: Security, plan: &str) -> Report {
    let case = case(security, plan);
    let report = run::mem::run(&case);
    let violations = report.violations(&case, run::mem::TOLERANCE);
    assert_eq!(violations, [], "{case}\n{}", report.events);
    report
}

/// The error of the case's call.
fn error(security: Security, plan: &str) -> Error {
    let case = case(security, plan);
    run::mem::result(&case).expect_err(plan)
}

/// Nothing but EHLO, HELO and STARTTLS was said in clear.
fn nothing_said(report: &Report) {
    for word in ["MAIL", "RCPT", "AUTH", "DATA", "["] {
        let said = format!(" -> {word}");
        assert!(!report.events.contains(&said), "{word}:\n{}", report.events);
    }
    assert_eq!(report.committed, 0);
}

fn quoted(octets: &str) -> String {
    octets.escape_default().to_string()
}

#[test]
fn hostile_01_whole_lines_injected_behind_the_reply_to_starttls() {
    for security in [STARTTLS, INSECURE] {
        let plan = format!(" | tls-handshake: inject \"{}\"", quoted(EVIL));
        let report = run_one(security, &plan);
        assert_eq!(
            report.claim.to_string(),
            "not accepted, protocol at starttls"
        );
        nothing_said(&report);
        assert!(
            !report.events.contains("a handshake of"),
            "{}",
            report.events
        );
        let error = error(security, &plan);
        let injected = FailureKind::Protocol(ProtocolError::Injected);
        assert_eq!(*error.kind(), injected);
    }
}

#[test]
fn hostile_02_fragments_injected_and_split_at_every_point() {
    let injected = "250-SMTPUTF8 X\r\n250 AUTH PLAIN ";
    for at in 0..injected.len() {
        let (early, late) = injected.split_at(at);
        let mut plan = String::new();
        if !early.is_empty() {
            plan += &format!(" | tls-handshake: inject \"{}\"", quoted(early));
        }
        for (rest, wait) in [("", ""), (late, "1ms"), (late, "50ms")] {
            let mut plan = plan.clone();
            if !rest.is_empty() {
                let rest = quoted(rest);
                plan += &format!(" | tls-handshake: inject \"{rest}\" after {wait}");
            }
            if plan.is_empty() {
                continue;
            }
            for fragment in ["", " | link: fragment 1", " | link: fragment 7"] {
                let report = run_one(STARTTLS, &format!("{plan}{fragment}"));
                assert_eq!(report.claim.outcome, Outcome::NotAccepted, "{plan}");
                nothing_said(&report);
                let expected: &[&str] = if early.is_empty() {
                    &["tls"]
                } else {
                    &["protocol", "tls"]
                };
                assert!(
                    expected.contains(&report.claim.kind),
                    "{plan}: {}",
                    report.claim
                );
            }
        }
    }
}

#[test]
fn hostile_03_octets_injected_in_a_later_segment() {
    for wait in ["1ms", "2ms", "3ms", "50ms"] {
        let plan = format!(" | tls-handshake: inject \"250 x\\r\\n\" after {wait}");
        let plaintext = error(STARTTLS, &plan);
        assert_eq!(*plaintext.kind(), FailureKind::Tls(TlsProblem::Plaintext));
        assert_eq!(plaintext.phase(), Phase::TlsHandshake);
        assert!(plaintext.to_string().contains("plaintext where TLS is due"));

        // An alert, a record of nonsense, half a record: nobody calls it a bad certificate.
        for octets in [
            r"\x15\x03\x03\x00\x02\x02\x28",
            r"\x16\x03\x03\x00\x02\x01\x02",
            r"\x17\x03",
        ] {
            let plan = format!(" | tls-handshake: inject \"{octets}\" after {wait}");
            let tls = error(STARTTLS, &plan);
            let known = [TlsProblem::Alert, TlsProblem::Protocol].map(FailureKind::Tls);
            assert!(known.contains(tls.kind()), "{octets}: {tls}");
        }
    }
}

#[test]
fn hostile_03_octets_that_arrived_and_were_not_read_yet() {
    // The reply fills what the client reads at once; what follows it is still in the socket when the
    // handshake begins.
    let filler = "x".repeat(4096 - "220 \r\n".len());
    let raw = quoted(&format!("220 {filler}\r\n{EVIL}"));
    let report = run_one(STARTTLS, &format!(" | starttls: raw \"{raw}\""));
    assert_eq!(
        report.claim.to_string(),
        "not accepted, protocol at starttls"
    );
    nothing_said(&report);
}

#[test]
fn hostile_04_replies_that_come_before_their_commands_under_tls() {
    for security in [STARTTLS, IMPLICIT] {
        let ehlo = if security == STARTTLS {
            "ehlo#2"
        } else {
            "ehlo#1"
        };
        let early = format!(" | {ehlo}: raw \"250 double.example\\r\\n250 2.1.0 ok\\r\\n\"");
        let report = run_one(security, &early);
        assert_eq!(report.claim.outcome, Outcome::NotAccepted);
        assert_eq!(report.claim.kind, "protocol", "{}", report.events);
        assert_eq!(report.committed, 0);
    }
}

#[test]
fn hostile_05_stripping_under_required_ends_before_anything_is_said() {
    let stripped = error(STARTTLS, " | ehlo#1: reply 250 double.example");
    let missing = FailureKind::Unsupported(Unsupported::StartTls);
    assert_eq!(*stripped.kind(), missing);
    assert_eq!(stripped.phase(), Phase::StartTls);
    assert!(!stripped.is_permanent());
    for plan in [
        " | ehlo#1: reply 250 double.example",
        " | ehlo#1: reply 502 5.5.1 what",
        " | ehlo#1: reply 500 5.5.1 what | ehlo#2: reply 250 double.example",
        " | starttls: reply 454 4.7.0 not now",
        " | starttls: reply 502 5.5.1 what",
        " | starttls: reply 501 5.5.4 no",
        " | starttls: reply 354 go on",
        " | starttls: reply 250 fine",
        " | starttls: reply 235 you are in",
        " | starttls: reply 421 4.3.2 bye; close",
        " | starttls: nothing",
        " | starttls: raw \"235 2.7.0 ok\\r\\n250 ok\\r\\n\"",
    ] {
        let report = run_one(STARTTLS, plan);
        assert_eq!(report.claim.outcome, Outcome::NotAccepted, "{plan}");
        assert_eq!(report.claim.phase, Some(Phase::StartTls), "{plan}");
        nothing_said(&report);
    }
}

#[test]
fn hostile_05_stripping_where_tls_is_only_wished_for() {
    for plan in [
        " | ehlo#1: reply 250 double.example",
        " | ehlo#1: reply 502 5.5.1 what",
        " | starttls: reply 454 4.7.0 not now",
        " | starttls: reply 502 5.5.1 what",
    ] {
        let report = run_one(INSECURE, plan);
        assert_eq!(
            report.claim.outcome,
            Outcome::Accepted,
            "{plan}: {}",
            report.claim
        );
    }
    for plan in [
        " | starttls: reply 354 go on",
        " | starttls: reply 250 fine",
    ] {
        assert_eq!(run_one(INSECURE, plan).claim.kind, "protocol", "{plan}");
    }
}

#[test]
fn hostile_06_what_was_offered_in_clear_is_forgotten_under_tls() {
    // A size that would refuse the message, and extensions that TLS does not confirm.
    let plan = " | ehlo#1: reply 250 \"evil\\nSTARTTLS\\nSIZE 1\\nPIPELINING\\nAUTH PLAIN\"";
    assert_eq!(run_one(STARTTLS, plan).claim.outcome, Outcome::Accepted);

    let plan = format!("{plan} | ehlo#2: reply 250 double.example");
    let report = run_one(STARTTLS, &plan);
    assert_eq!(report.claim.outcome, Outcome::Accepted, "{}", report.claim);
    let mail = report.events.split("-> MAIL").nth(1).unwrap();
    let next = mail.lines().nth(1).unwrap();
    assert!(
        next.contains("250 2.1.0"),
        "MAIL is not waited for:\n{}",
        report.events
    );
    assert!(!mail.lines().next().unwrap().contains("SIZE"));

    let report = run_one(STARTTLS, " | ehlo#2: stall");
    assert_eq!(report.claim.to_string(), "not accepted, timed-out at ehlo");
    nothing_said(&report);
}

#[test]
fn hostile_07_what_only_the_clear_offers_is_not_there_under_tls() {
    run::paused(async {
        let case = case(
            STARTTLS,
            " | ehlo#1: reply 250 \"evil\\nSTARTTLS\\nAUTH PLAIN LOGIN\"",
        );
        let network = simnet::net::mem::Network::new(case.double());
        let client = case.client(network.connector());
        let connection = client.connect(Bounds::none()).await.unwrap();
        assert!(connection.tls().unwrap().is_verified());
        let keywords: Vec<_> = connection
            .extensions()
            .iter()
            .map(|e| e.keyword())
            .collect();
        assert!(keywords.contains(&"PIPELINING"));
        assert!(!keywords.contains(&"AUTH"), "{keywords:?}");
    });
}

#[test]
fn hostile_08_replies_that_nobody_asked_for() {
    for security in [Security::None, STARTTLS, IMPLICIT] {
        for plan in [
            r#" | greeting: raw "220 x\r\n235 ok\r\n250 ok\r\n""#,
            r#" | greeting: raw "220 x\r\n250 ok\r\n""#,
            r#" | greeting: raw "220 x\r\n354 ok\r\n""#,
            r#" | ehlo: raw "250 x\r\n235 ok\r\n250 ok\r\n""#,
        ] {
            let report = run_one(security, plan);
            assert_eq!(report.claim.outcome, Outcome::NotAccepted, "{plan}");
            assert!(
                matches!(report.claim.kind, "protocol" | "unsupported"),
                "{security}{plan}: {}",
                report.claim
            );
            nothing_said(&report);
        }
    }
}

#[test]
fn hostile_09_a_connection_that_is_cut_at_every_octet() {
    for security in [STARTTLS, IMPLICIT] {
        let (mut cut, mut ambiguous, mut accepted) = (0, 0, 0);
        for octets in 0.. {
            let report = run_one(security, &format!(" | tls-handshake: drop after {octets}"));
            match report.claim.outcome {
                Outcome::NotAccepted => cut += 1,
                Outcome::Ambiguous => {
                    ambiguous += 1;
                    assert_eq!(report.claim.phase, Some(Phase::DataTermination));
                    assert_eq!(report.committed, 1);
                }
                Outcome::Accepted => accepted += 1,
            }
            if report.claim.outcome != Outcome::Accepted {
                assert_eq!(report.claim.kind, "closed", "{octets}: {}", report.events);
                assert_eq!(accepted, 0, "{octets}");
            }
            // The reply to QUIT is cut at every octet, too.
            if accepted == 60 {
                break;
            }
        }
        // The final reply's record has 40 octets: with any of them missing there is no reply.
        assert_eq!(ambiguous, 40, "{security}: {cut} {ambiguous}");
        assert!(cut > 150, "{security}: {cut}");
    }
}

#[test]
fn hostile_09_a_fatal_alert_behind_the_handshake_is_a_failure_of_tls_at_every_octet() {
    for security in [STARTTLS, IMPLICIT] {
        let (mut before, mut ambiguous) = (0, 0);
        for octets in 0.. {
            let plan = format!(" | tls-handshake: alert after {octets}");
            let report = run_one(security, &plan);
            if report.claim.outcome == Outcome::Accepted {
                break;
            }
            assert_eq!(report.claim.kind, "tls", "{octets}: {}", report.events);
            if report.claim.outcome == Outcome::Ambiguous {
                ambiguous += 1;
                assert_eq!(report.claim.phase, Some(Phase::DataTermination));
                assert_eq!(report.committed, 1);
            } else {
                before += 1;
                assert_eq!((ambiguous, report.committed), (0, 0));
            }
        }
        // The final reply has 18 octets.
        assert_eq!(ambiguous, 18, "{security}: {before}");
        assert!(before > 100, "{security}: {before}");
    }
    let error = error(IMPLICIT, " | tls-handshake: alert after 30");
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.contains("BadRecordMac"), "{why}");
}

#[test]
fn hostile_09_an_end_without_close_notify_is_told_apart_and_never_a_reply() {
    let why = |error: &Error| std::error::Error::source(error).map(ToString::to_string);
    for (security, end) in [
        (STARTTLS, "close"),
        (IMPLICIT, "close"),
        (IMPLICIT, "half-close"),
    ] {
        let plan = &format!(" | data-termination: commit; half; {end}");
        let clean = error(security, plan);
        assert_eq!(why(&clean), None);
        let cut = error(
            security,
            &format!(" | tls-handshake: no-close-notify{plan}"),
        );
        assert!(why(&cut).unwrap().contains("close_notify"), "{cut}");
        for error in [clean, cut] {
            assert_eq!(*error.kind(), FailureKind::Closed);
            assert_eq!(error.outcome(), Outcome::Ambiguous);
        }
        let cut = &format!(" | tls-handshake: no-close-notify | mail: raw \"250\"; {end}");
        assert_eq!(run_one(security, cut).claim.outcome, Outcome::NotAccepted);
    }
}

#[test]
fn hostile_10_handshakes_that_do_not_end() {
    for security in [STARTTLS, IMPLICIT] {
        for plan in [
            " | tls-handshake: stall at 130",
            " | tls-handshake: drip 1s",
            " | tls-handshake: after 5s",
        ] {
            let report = run_one(security, plan);
            assert_eq!(
                report.claim.to_string(),
                "not accepted, timed-out at tls-handshake"
            );
            let most = Duration::from_millis(2_012);
            assert!(report.elapsed >= Duration::from_secs(2) && report.elapsed < most);
        }
        // What rustls holds of one message is capped before the whole handshake is.
        let endless = error(security, " | tls-handshake: endless");
        assert_eq!(*endless.kind(), FailureKind::Tls(TlsProblem::Protocol));
        assert!(endless.elapsed() < Duration::from_millis(100));
        let tiny = run_one(security, " | tls-handshake: tiny-records");
        assert_eq!(tiny.claim.outcome, Outcome::Accepted);
        let huge = error(security, " | tls-handshake: certificate huge-chain");
        assert_eq!(*huge.kind(), FailureKind::Tls(TlsProblem::Protocol));
    }
}

#[test]
fn hostile_10_a_handshake_over_the_cap_ends_while_it_is_read() {
    for (cap, plan) in [(500, ""), (10_000, " | tls-handshake: endless")] {
        run::paused(async {
            let case = case(IMPLICIT, plan);
            let network = simnet::net::mem::Network::new(case.double());
            let mut limits = postbound::Limits::DEFAULT;
            limits.tls_handshake_octets = cap;
            let builder = case.builder(network.connector());
            let client = builder.limits(limits).build().unwrap();
            let error = client.connect(Bounds::none()).await.unwrap_err();
            assert_eq!(*error.kind(), FailureKind::Tls(TlsProblem::TooLarge(cap)));
            assert_eq!(error.phase(), Phase::TlsHandshake);
            assert_eq!(network.client_streams(), 0);
        });
    }
}

#[test]
fn hostile_10_plaintext_where_tls_is_due_and_tls_where_plaintext_is_due() {
    for plan in ["", " | greeting: after 100ms", " | link: latency 50ms"] {
        // A server that knows nothing of TLS, on the port of implicit TLS.
        let mut case = case(IMPLICIT, plan);
        case.server_tls = Some(Security::None);
        let error = run::mem::result(&case).unwrap_err();
        assert_eq!(
            *error.kind(),
            FailureKind::Tls(TlsProblem::Plaintext),
            "{plan}"
        );
        assert_eq!(error.phase(), Phase::TlsHandshake);
    }
    for security in [STARTTLS, IMPLICIT] {
        let error = error(security, " | tls-handshake: plaintext");
        assert_eq!(*error.kind(), FailureKind::Tls(TlsProblem::Plaintext));
    }
    // A server that waits for a handshake, and one that answers EHLO or nothing with an alert.
    for security in [Security::None, STARTTLS] {
        let mut silent = case(security, "");
        silent.server_tls = Some(IMPLICIT);
        let claim = run::mem::run(&silent).claim;
        assert_eq!(claim.to_string(), "not accepted, timed-out at greeting");
        let alert = error(
            security,
            r#" | greeting: raw "\x15\x03\x01\x00\x02\x02\x0a"; close"#,
        );
        let tls = FailureKind::Protocol(ProtocolError::Reply(ReplyError::Tls));
        assert_eq!(*alert.kind(), tls);
        assert!(
            alert
                .to_string()
                .contains("expects TLS from the first octet"),
            "{alert}"
        );
    }
}

#[test]
fn hostile_11_certificates_that_show_nothing() {
    let wrong = [
        (Certificate::Expired, CertificateProblem::Expired),
        (Certificate::NotYetValid, CertificateProblem::NotYetValid),
        (Certificate::WrongName, CertificateProblem::WrongName),
        (Certificate::SelfSigned, CertificateProblem::UnknownIssuer),
        (
            Certificate::UnknownAuthority,
            CertificateProblem::UnknownIssuer,
        ),
        (
            Certificate::AuthorityItself,
            CertificateProblem::WrongPurpose,
        ),
    ];
    for security in [STARTTLS, IMPLICIT] {
        for (certificate, problem) in wrong {
            let plan = format!(" | tls-handshake: certificate {certificate}");
            let report = run_one(security, &plan);
            nothing_said(&report);
            let error = error(security, &plan);
            let expected = FailureKind::Tls(TlsProblem::Certificate(problem));
            assert_eq!(*error.kind(), expected, "{certificate}: {error}");
            assert_eq!(error.phase(), Phase::TlsHandshake);
            let source = std::error::Error::source(&error).unwrap();
            assert!(source.is::<postbound::rustls::Error>(), "{source}");
        }
    }
    for (certificate, _) in wrong {
        let plan = format!(" | tls-handshake: certificate {certificate}");
        let report = run_one(INSECURE, &plan);
        assert_eq!(
            report.claim.outcome,
            Outcome::Accepted,
            "{certificate}: {}",
            report.claim
        );
    }
}

#[test]
fn hostile_11_the_name_that_counts_is_the_one_that_was_asked_for() {
    for (certificate, name, good) in [
        (Certificate::Good, "double.example", true),
        (Certificate::Good, "elsewhere.example", false),
        (Certificate::WrongName, "double.example", false),
        (Certificate::WrongName, "elsewhere.example", true),
    ] {
        run::paused(async {
            let case = case(
                IMPLICIT,
                &format!(" | tls-handshake: certificate {certificate}"),
            );
            let network = simnet::net::mem::Network::new(case.double());
            let tls = Tls::from_config(postbound_harness::case::client_config()).server_name(name);
            let client = case.builder(network.connector()).tls(tls).build().unwrap();
            let connected = client.connect(Bounds::none()).await;
            assert_eq!(connected.is_ok(), good, "{certificate} for {name}");
        });
    }
}

/// A stream of the caller's own, to a server that is a function.
#[derive(Debug)]
struct Own(Mutex<Option<DuplexStream>>);

impl Connector for Own {
    type Stream = DuplexStream;

    async fn resolve(&self, _host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(vec![SocketAddr::from(([10, 0, 0, 1], port))])
    }

    async fn connect(&self, _address: SocketAddr) -> io::Result<DuplexStream> {
        let stream = self.0.lock().unwrap().take();
        stream.ok_or_else(|| io::ErrorKind::ConnectionRefused.into())
    }
}

#[test]
fn hostile_12_a_stream_of_the_callers_own_is_under_tls_or_refused() {
    run::paused(async {
        let (near, mut far) = tokio::io::duplex(65_536);
        let case = case(IMPLICIT, "");
        let client = case.client(Own(Mutex::new(Some(near))));
        let heard = tokio::spawn(async move {
            let mut heard = vec![0; 5];
            far.read_exact(&mut heard).await.unwrap();
            far.write_all(b"\x15\x03\x03\x00\x02\x02\x28")
                .await
                .unwrap();
            far.read_to_end(&mut heard).await.unwrap();
            heard
        });
        let error = client.connect(Bounds::none()).await.unwrap_err();
        assert_eq!(*error.kind(), FailureKind::Tls(TlsProblem::Alert));
        let heard = heard.await.unwrap();
        assert_eq!(heard[..2], [0x16, 3], "the first octets are a handshake's");
        let text = String::from_utf8_lossy(&heard);
        assert!(!text.contains("EHLO"), "{text}");
    });
}

#[test]
fn hostile_10_new_keys_without_end() {
    run::paused(async {
        let (near, far) = tokio::io::duplex(65_536);
        let case = case(IMPLICIT, "");
        let client = case.client(Own(Mutex::new(Some(near))));
        let server = tokio::spawn(async move {
            let authority = postbound_harness::case::authority();
            let config = simnet::tls::server_config(authority, Certificate::Good).unwrap();
            let acceptor = tokio_rustls::TlsAcceptor::from(config);
            let mut stream = acceptor.accept(far).await.unwrap();
            for _ in 0..20_000 {
                if stream.get_mut().1.refresh_traffic_keys().is_err()
                    || stream.flush().await.is_err()
                {
                    break;
                }
            }
            let mut heard = Vec::new();
            let _ = stream.read_to_end(&mut heard).await;
        });
        let begun = tokio::time::Instant::now();
        let error = client.connect(Bounds::none()).await.unwrap_err();
        assert!(begun.elapsed() <= Duration::from_millis(2_001), "{error}");
        assert_eq!(error.phase(), Phase::Greeting);
        drop(error);
        server.abort();
    });
}
