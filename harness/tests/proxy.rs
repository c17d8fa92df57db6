//! Proxies: reaching one and all that is said to it is connecting, under the same guarantees.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::error::Error as _;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postbound::{
    Bounds, CancellationToken, Client, Connector, Endpoint, Envelope, Error, FailureKind, Outcome,
    Phase, Proxy, ProxyError, Retry, Security, Tls,
};
use postbound_harness::case::{SECRET, USER, client_config};
use postbound_harness::{Case, arbitrary, keeps, property, run};
use simnet::net::mem::Network;
use simnet::plan::ProxyKind;
use simnet::plan::vocabulary::proxy_faults;
use simnet::{Double, Event, Front, Plan};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

fn case(text: &str) -> Case {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn connect_error(text: &str) -> Error {
    let error = run::mem::result(&case(text)).unwrap_err();
    assert_eq!(error.phase(), Phase::Connect, "{error}");
    assert_eq!(error.outcome(), Outcome::NotAccepted);
    error
}

fn proxy_error(error: &Error) -> Option<ProxyError> {
    let attempt = error.attempts().last()?.error.as_ref()?;
    let tried = attempt.get_ref()?.downcast_ref().copied();
    // It is the call's cause, too, and not hidden by what it comes in.
    assert_eq!(error.source()?.downcast_ref().copied(), tried);
    tried
}

/// Where the proxy was asked to go.
fn tunnels(network: &Network) -> Vec<String> {
    let entries = network.double().trace().entries();
    let tunnel = |event: &Event| match event {
        Event::Tunnel(what) => Some(what.clone()),
        _ => None,
    };
    entries
        .iter()
        .filter_map(|entry| tunnel(&entry.event))
        .collect()
}

#[test]
fn a_message_goes_through_each_proxy_under_each_mode_of_tls() {
    for kind in ProxyKind::ALL {
        for tls in ["none", "starttls", "implicit"] {
            let case = case(&format!("proxy={kind} tls={tls} auth=scram-sha-256 -- v1"));
            let report = run::mem::run(&case);
            assert_eq!(report.claim.outcome, Outcome::Accepted, "{}", report.events);
            assert!(report.intact && report.findings.is_empty());
        }
    }
}

#[test]
fn the_name_is_looked_up_by_the_proxy_unless_it_is_told_not_to() {
    let socks = || Proxy::socks5("proxy.example", 1080).unwrap();
    let http = || Proxy::http("proxy.example", 3128).unwrap();
    for (proxy, host, asked) in [
        (socks(), "mx.example", "socks5 to mx.example:25"),
        (
            socks().resolve_locally(),
            "mx.example",
            "socks5 to 10.0.0.1:25",
        ),
        (socks(), "192.0.2.7", "socks5 to 192.0.2.7:25"),
        (socks(), "2001:db8::7", "socks5 to [2001:db8::7]:25"),
        (http(), "mx.example", "http to mx.example:25"),
        (
            http().resolve_locally(),
            "mx.example",
            "http to 10.0.0.1:25",
        ),
        (http(), "2001:db8::7", "http to [2001:db8::7]:25"),
    ] {
        run::paused(async {
            let network = Network::new(Double::new(Plan::healthy()).behind(Front::open()));
            let client = Client::builder(host, 25)
                .connector(network.connector())
                .proxy(proxy);
            let connection = client
                .build()
                .unwrap()
                .connect(Bounds::none())
                .await
                .unwrap();
            connection.quit(Bounds::none()).await;
            assert_eq!(tunnels(&network), [asked]);
        });
    }
}

#[test]
fn a_proxy_behind_a_proxy_that_is_reached_by_name() {
    run::paused(async {
        let network = Network::new(Double::new(Plan::healthy()).behind(Front::open()));
        let outer = Proxy::socks5("outer.example", 1080).unwrap();
        let inner = Proxy::http("inner.example", 3128).unwrap();
        let client = Client::builder("mx.example", 25)
            .connector(network.connector())
            .proxy(outer)
            .proxy(inner);
        // The double plays one proxy; the second request is no command of SMTP.
        let error = client
            .build()
            .unwrap()
            .connect(Bounds::none())
            .await
            .unwrap_err();
        assert_eq!(tunnels(&network), ["socks5 to inner.example:3128"]);
        assert_eq!(error.phase(), Phase::Connect);
        assert_eq!(proxy_error(&error), Some(ProxyError::Protocol));
    });
}

#[test]
fn a_proxy_that_refuses_says_so_in_the_error() {
    for (kind, rule, expected) in [
        ("socks5", "method refuse 255; close", ProxyError::Method),
        ("socks5", "auth refuse 1; close", ProxyError::Credentials),
        ("socks5", "request refuse 5; close", ProxyError::Reply(5)),
        ("socks5", "request refuse 4; stall", ProxyError::Reply(4)),
        ("socks5", "request refuse 2; close", ProxyError::Reply(2)),
        ("http", "request refuse 407; stall", ProxyError::Status(407)),
        ("http", "request refuse 503; close", ProxyError::Status(503)),
        ("http", "request refuse 302; close", ProxyError::Status(302)),
        ("http", "request nothing; close", ProxyError::Closed),
        ("socks5", "auth nothing; close", ProxyError::Closed),
        ("socks5", "method garbage; stall", ProxyError::Protocol),
        ("http", "request garbage; stall", ProxyError::Protocol),
    ] {
        let error = connect_error(&format!("timeout=1s proxy={kind} -- v1 | proxy: {rule}"));
        assert_eq!(*error.kind(), FailureKind::Broken, "{rule}");
        assert_eq!(proxy_error(&error), Some(expected), "{rule}");
        // It does not wait for more than that.
        assert!(error.elapsed() < Duration::from_millis(20), "{rule}");
    }
}

#[test]
fn credentials_that_the_proxy_does_not_know_and_none_where_it_wants_some() {
    for (proxy, expected) in [
        (Proxy::socks5("p.example", 1080), ProxyError::Method),
        (Proxy::http("p.example", 3128), ProxyError::Status(407)),
        (
            Proxy::socks5("p.example", 1080).and_then(|p| p.clear_text_credentials(USER, "no")),
            ProxyError::Credentials,
        ),
        (
            Proxy::http("p.example", 3128).and_then(|p| p.clear_text_credentials("no", SECRET)),
            ProxyError::Status(407),
        ),
    ] {
        run::paused(async {
            let front = Front::with_credentials(USER, SECRET);
            let network = Network::new(Double::new(Plan::healthy()).behind(front));
            let client = Client::builder("mx.example", 25)
                .connector(network.connector())
                .proxy(proxy.unwrap());
            let error = client
                .build()
                .unwrap()
                .connect(Bounds::none())
                .await
                .unwrap_err();
            assert_eq!(proxy_error(&error), Some(expected));
        });
    }
}

/// Says these octets after each request of the client's, and is silent then.
#[derive(Clone, Debug)]
struct Says(Vec<Vec<u8>>);

impl Connector for Says {
    type Stream = DuplexStream;

    async fn resolve(&self, _host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(vec![([192, 0, 2, 1], port).into()])
    }

    async fn connect(&self, _addr: SocketAddr) -> io::Result<DuplexStream> {
        let (near, mut far) = duplex(1024);
        let Self(answers) = self.clone();
        tokio::spawn(async move {
            for answer in answers {
                assert!(far.read(&mut [0; 1024]).await.unwrap() > 0);
                far.write_all(&answer).await.unwrap();
            }
            // Until the client leaves.
            while far.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
        });
        Ok(near)
    }
}

fn through(answers: &[&[u8]]) -> Error {
    run::paused(async {
        let says = Says(answers.iter().map(|answer| answer.to_vec()).collect());
        let proxy = Proxy::socks5("p.example", 1080).unwrap();
        let client = Client::builder("mx.example", 25)
            .connector(says)
            .proxy(proxy.clear_text_credentials(USER, SECRET).unwrap())
            .build()
            .unwrap();
        client.connect(Duration::from_secs(1)).await.unwrap_err()
    })
}

#[test]
fn a_socks_proxy_that_says_no_in_two_octets_is_heard_at_once() {
    let error = through(&[&[5, 0], &[5, 2]]);
    assert_eq!(proxy_error(&error), Some(ProxyError::Reply(2)));
    assert_eq!(error.elapsed(), Duration::ZERO);
}

#[test]
fn the_answer_to_credentials_may_have_the_version_of_socks() {
    for version in [1, 5] {
        let error = through(&[&[5, 2], &[version, 0], &[5, 2]]);
        assert_eq!(proxy_error(&error), Some(ProxyError::Reply(2)));
        let error = through(&[&[5, 2], &[version, 1]]);
        assert_eq!(proxy_error(&error), Some(ProxyError::Credentials));
    }
    let error = through(&[&[5, 2], &[4, 0]]);
    assert_eq!(proxy_error(&error), Some(ProxyError::Protocol));
}

/// A double behind a proxy that answers so, with an attempt more and another server, both through it.
fn again_and_elsewhere(kind: &str, rule: &str) -> (Error, u32) {
    run::paused(async {
        let plan: Plan = format!("v1 | proxy: request {rule}").parse().unwrap();
        let network = Network::new(Double::new(plan).behind(Front::open()));
        let proxy = match kind {
            "http" => Proxy::http("p.example", 3128),
            _ => Proxy::socks5("p.example", 1080),
        };
        let client = Client::builder("mx.example", 25)
            .endpoint(Endpoint::new("mx2.example", 465).unwrap().priority(1))
            .retry(Retry::attempts(2))
            .connector(network.connector())
            .proxy(proxy.unwrap())
            .build()
            .unwrap();
        let envelope = Envelope::new(
            "a@example.org".parse().unwrap(),
            ["b@example.org".parse().unwrap()],
        );
        let message = "Subject: x\r\n\r\ny\r\n";
        let error = client
            .send(&envelope.unwrap(), message, Bounds::none())
            .await
            .unwrap_err();
        (error, network.double().ledger().connections())
    })
}

#[test]
fn a_proxys_word_for_good_is_not_asked_for_again_and_its_rules_only_for_another_server() {
    for (kind, rule, permanent, connections) in [
        // Twice each of the two servers.
        ("socks5", "refuse 4; close", false, 4),
        ("socks5", "refuse 1; close", false, 4),
        ("http", "refuse 503; close", false, 4),
        ("http", "refuse 429; close", false, 4),
        ("http", "refuse 408; close", false, 4),
        // Each once.
        ("socks5", "refuse 2; close", true, 2),
        ("http", "refuse 403; close", true, 2),
        ("http", "refuse 404; close", true, 2),
        // One.
        ("socks5", "refuse 7; close", true, 1),
        ("http", "refuse 407; close", true, 1),
    ] {
        let (error, count) = again_and_elsewhere(kind, rule);
        assert_eq!(error.is_permanent(), permanent, "{rule}: {error}");
        assert_eq!(error.is_transient(), !permanent, "{rule}: {error}");
        assert_eq!(count, connections, "{rule}: {error}");
    }
}

#[test]
fn a_proxys_addresses_race_whoever_looks_the_server_up() {
    let socks = || Proxy::socks5("proxy.example", 1080).unwrap();
    for (proxy, host) in [
        (socks(), "mx.example"),
        (socks().resolve_locally(), "mx.example"),
        (socks(), "192.0.2.7"),
    ] {
        run::paused(async {
            let plan: Plan = "v1 | resolve: addresses 2 | connect#1: blackhole"
                .parse()
                .unwrap();
            let network = Network::new(Double::new(plan).behind(Front::open()));
            let client = Client::builder(host, 25)
                .connector(network.connector())
                .proxy(proxy);
            let connection = client.build().unwrap().connect(Bounds::none()).await;
            let timings = *connection.unwrap().timings();
            let spent = timings.of(Phase::Connect).unwrap();
            let delay = Duration::from_millis(250);
            assert!(spent >= delay && spent < 2 * delay, "{host}: {spent:?}");
        });
    }
}

#[test]
fn an_interim_answer_of_an_http_proxy_is_no_answer() {
    let text = "proxy=http timeout=1s -- v1 | proxy: request refuse 103; stall";
    let error = connect_error(text);
    assert_eq!(error.limit(), Some(Duration::from_secs(1)));
}

#[test]
fn g1_bounded_through_any_proxy_whatever_goes_wrong() {
    property(2_000, arbitrary::proxy_case(), |case| keeps("g1", case));
}

#[test]
fn g2_cancellable_at_every_millisecond_of_opening_a_tunnel() {
    for kind in ProxyKind::ALL {
        for at in 0..40 {
            let mut case = case(&format!(
                "proxy={kind} timeout=1s -- v1 | link: fragment 1 | proxy: request normal; drip 3ms"
            ));
            case.cancel = Some(Duration::from_millis(at));
            let report = run::mem::run(&case);
            assert!(report.violations(&case, run::mem::TOLERANCE).is_empty());
            assert_eq!(report.claim.kind, "cancelled", "at {at} ms");
            assert_eq!(report.octets_after_cancel, 0, "at {at} ms");
        }
    }
    property(1_000, arbitrary::proxy_case(), |case| keeps("g2", case));
}

/// Polls `future` up to `polls` times, a millisecond apart, and drops it.
async fn poll_and_drop(future: impl Future, polls: usize) -> bool {
    let mut future = pin!(future);
    for _ in 0..polls {
        let poll = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if poll.is_ready() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    false
}

#[test]
fn g3_drop_safe_at_every_poll_of_opening_a_tunnel() {
    for kind in ProxyKind::ALL {
        let case = case(&format!("proxy={kind} timeout=1s -- v1 | link: window 8"));
        for polls in 1.. {
            let ended = run::paused(async {
                let network = Network::new(case.double());
                let proxy = case.proxy().unwrap();
                let client = case.client(proxy.over(network.connector()));
                let ended = poll_and_drop(client.connect(Bounds::none()), polls).await;
                assert_eq!(network.client_streams(), 0, "at poll {polls}");
                tokio::time::sleep(Duration::from_secs(1)).await;
                let metrics = tokio::runtime::Handle::current().metrics();
                assert_eq!(metrics.num_alive_tasks(), 0, "at poll {polls}");
                ended
            });
            if ended {
                assert!(polls > 10, "only {polls} polls");
                break;
            }
        }
    }
    property(1_000, arbitrary::proxy_case(), |case| keeps("g3", case));
}

#[test]
fn g4_honest_through_any_proxy_whatever_goes_wrong() {
    property(2_000, arbitrary::proxy_case(), |case| keeps("g4", case));
}

#[test]
fn g6_tight_each_step_of_a_proxy_uses_up_the_limit_of_connecting() {
    for kind in ProxyKind::ALL {
        for step in kind.steps() {
            let text = format!(
                "timeout=1s timeout.connect=700ms proxy={kind} -- v1 | proxy: {} nothing; stall",
                step.name()
            );
            let error = connect_error(&text);
            assert_eq!(error.limit(), Some(Duration::from_millis(700)));
            assert_eq!(
                error.timings().of(Phase::Connect),
                Some(Duration::from_millis(700))
            );
        }
    }
}

#[test]
fn g7_live_a_greeting_in_one_segment_with_the_proxys_answer_is_the_servers() {
    // Servers speak first: what stands behind the answer must reach the session, whole.
    for kind in ProxyKind::ALL {
        for tls in ["none", "starttls"] {
            let case = case(&format!(
                "timeout=1s proxy={kind} tls={tls} -- v1 | link: coalesce 20ms to-client \
                 | greeting: nothing | proxy: request early \"220 double.example ESMTP\\r\\n\""
            ));
            let report = run::mem::run(&case);
            assert_eq!(report.claim.outcome, Outcome::Accepted, "{}", report.events);
        }
    }
}

#[test]
fn g8_small_an_answer_without_end_is_ended_by_its_cap() {
    let error = connect_error("timeout=1h proxy=http -- v1 | proxy: request oversized");
    assert_eq!(proxy_error(&error), Some(ProxyError::TooLarge(8 * 1024)));
    assert!(error.elapsed() < Duration::from_secs(1));
    // SOCKS5 has a length in an octet, so that nothing is without end but time.
    let error = connect_error("timeout=1s proxy=socks5 -- v1 | proxy: request oversized");
    assert_eq!(error.limit(), Some(Duration::from_secs(1)));
}

#[test]
fn g9_discreet_a_proxy_that_repeats_the_credentials_is_not_repeated() {
    // The double's refusal has the Basic credentials in its reason phrase.
    let error = connect_error("timeout=1s proxy=http -- v1 | proxy: request refuse 407; close");
    let said = STANDARD.encode(format!("{USER}:{SECRET}"));
    let shown = format!("{error} {error:?} {error:#?} {:?}", error.source());
    assert!(shown.contains("407"), "{shown}");
    assert!(!shown.contains(&said) && !shown.contains(SECRET), "{shown}");
}

#[test]
fn g9_discreet_no_octet_for_the_server_leaves_before_the_tunnel_is_open() {
    for kind in ProxyKind::ALL {
        for fault in proxy_faults(kind, Duration::from_secs(1)) {
            if fault.name.contains("-early-") {
                continue;
            }
            let mut case = Case::new(fault.plan.clone());
            (case.proxy, case.timeout) = (Some(kind), Duration::from_secs(1));
            let report = run::mem::run(&case);
            let said = report.events.contains("EHLO");
            assert_eq!(said, fault.harmless, "{}: {}", fault.name, report.events);
        }
    }
}

#[test]
fn hostile_42_a_proxy_that_is_silent_or_endless_is_bounded_as_connecting() {
    let mut cases = 0;
    for kind in ProxyKind::ALL {
        for fault in proxy_faults(kind, Duration::from_secs(1)) {
            let mut case = Case::new(fault.plan.clone());
            (case.proxy, case.timeout) = (Some(kind), Duration::from_secs(1));
            let report = run::mem::run(&case);
            let violations = report.violations(&case, run::mem::TOLERANCE);
            assert!(violations.is_empty(), "{case}: {violations:?}");
            let delivered = report.claim.outcome == Outcome::Accepted;
            assert_eq!(delivered, fault.harmless, "{case}: {}", report.events);
            let early = fault.name.contains("-early-");
            if !delivered && !early {
                assert_eq!(report.claim.phase, Some(Phase::Connect), "{case}");
                assert!(report.elapsed <= Duration::from_secs(1) + Duration::from_millis(3));
            }
            cases += 1;
        }
    }
    assert!(cases > 30, "{cases}");
}

#[test]
fn hostile_42_octets_behind_the_answer_never_survive_into_tls() {
    for kind in ProxyKind::ALL {
        let case = case(&format!(
            "timeout=1s proxy={kind} tls=implicit -- v1 | proxy: request early \"220 proxy.example\\r\\n\""
        ));
        let report = run::mem::run(&case);
        assert_eq!(
            report.claim.phase,
            Some(Phase::TlsHandshake),
            "{}",
            report.events
        );
        assert_eq!(report.claim.kind, "tls");
        assert_eq!(report.claim.outcome, Outcome::NotAccepted);
    }
}

#[test]
fn a_cancelled_call_leaves_nothing_open_at_the_proxy() {
    run::paused(async {
        let plan: Plan = "v1 | proxy: request nothing; stall".parse().unwrap();
        let double = Double::new(plan).behind(Front::open());
        let network = Network::new(double.clone());
        let client = Client::builder("mx.example", 465)
            .security(Security::Implicit)
            .tls(Tls::from_config(client_config()))
            .connector(network.connector())
            .proxy(Proxy::http("proxy.example", 3128).unwrap())
            .build()
            .unwrap();
        let token = CancellationToken::new();
        let cancel = token.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(30)).await;
            cancel.cancel();
        });
        let error = client.connect(&token).await.unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(network.client_streams(), 0);
    });
}
