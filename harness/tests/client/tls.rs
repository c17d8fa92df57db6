//! TLS as its user meets it: trust, client certificates, facts, over real sockets and with the
//! process's own randomness.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::time::Duration;

use postbound::{
    CertificateProblem, Client, ClientBuilder, Envelope, FailureKind, Outcome, Phase, Security,
    TcpConnector, Tls, TlsProblem,
};
use postbound_harness::case;
use simnet::double::SmtpDouble;
use simnet::net::loopback::Loopback;
use simnet::plan::Certificate;
use simnet::tls::{self, Authority, Identity};
use simnet::{Double, Plan};

const SECONDS: Duration = Duration::from_secs(20);

/// Runs `test` with a double on real sockets.
fn with_double<F: Future<Output = ()>>(
    tls: tls::Tls,
    test: impl FnOnce(ClientBuilder<TcpConnector>, Double) -> F,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let double = Double::new(Plan::healthy()).with_tls(tls);
        let loopback = Loopback::bind(double, 0).await.unwrap();
        let port = loopback.local_addr().unwrap().port();
        let double = loopback.double().clone();
        test(Client::builder("127.0.0.1", port), double).await;
    });
    runtime.shutdown_background();
}

fn envelope() -> Envelope {
    let to = ["you@double.example".parse().unwrap()];
    Envelope::new("me@client.example".parse().unwrap(), to).unwrap()
}

const MESSAGE: &str = "Subject: hello\r\n\r\nworld\r\n";

#[test]
fn a_message_goes_out_under_tls_with_an_authority_of_ones_own_and_the_facts_are_told() {
    let authority = Authority::fresh().unwrap();
    let server = tls::Tls::starttls(&authority).unwrap();
    for security in [Security::StartTls, Security::Implicit] {
        let server = server.clone().with_implicit(security == Security::Implicit);
        with_double(server, async |client, double| {
            let tls = Tls::new()
                .only_roots_pem(authority.pem().as_bytes())
                .unwrap();
            let client = client.security(security).tls(tls).build().unwrap();
            let mut connection = client.connect(SECONDS).await.unwrap();
            let facts = connection.tls().unwrap();
            assert_eq!(facts.version(), "TLS 1.3");
            assert!(facts.suite().starts_with("TLS13_"), "{}", facts.suite());
            assert_eq!(facts.chain().len(), 2);
            assert_eq!(facts.chain()[1], authority.certificate());
            assert!(facts.is_verified() && facts.alpn().is_none());
            let envelope = envelope();
            let transaction = connection.transaction(&envelope).unwrap();
            assert!(transaction.send(MESSAGE, SECONDS).await.is_ok());
            connection.quit(SECONDS).await;
            assert_eq!(double.ledger().committed(), 1);
            assert_eq!(double.ledger().findings(), []);
        });
    }
}

#[test]
fn the_trust_of_the_system_does_not_cover_the_double_and_neither_does_another_authority() {
    let authority = Authority::fresh().unwrap();
    let other = Authority::fresh().unwrap();
    let server = tls::Tls::implicit(&authority).unwrap();
    with_double(server, async |client, double| {
        let tls = Tls::new().only_roots([other.certificate()]);
        let client = client
            .security(Security::Implicit)
            .tls(tls)
            .build()
            .unwrap();
        let error = client.connect(SECONDS).await.unwrap_err();
        let unknown = TlsProblem::Certificate(CertificateProblem::UnknownIssuer);
        // Both authorities have one name, so that it may look like a bad signature.
        let invalid = TlsProblem::Certificate(CertificateProblem::Invalid);
        assert!(
            [unknown, invalid]
                .map(FailureKind::Tls)
                .contains(error.kind()),
            "{error}"
        );
        assert_eq!(error.outcome(), Outcome::NotAccepted);
        assert_eq!(double.ledger().committed(), 0);
    });
}

#[test]
fn a_certificate_that_shows_nothing_is_taken_only_where_the_name_says_insecure() {
    let authority = Authority::fresh().unwrap();
    let server = tls::Tls::starttls(&authority).unwrap();
    with_double(server, async |client, _double| {
        let client = client
            .security(Security::StartTlsIfOfferedInsecure)
            .build()
            .unwrap();
        let connection = client.connect(SECONDS).await.unwrap();
        assert!(!connection.tls().unwrap().is_verified());
    });
}

#[test]
fn a_server_that_wants_a_client_certificate_gets_one_or_says_why_not() {
    let authority = Authority::fresh().unwrap();
    let server = tls::Tls::implicit(&authority).unwrap();
    let server = server.require_client_certificate(&authority).unwrap();
    let tls = || Tls::new().only_roots([authority.certificate()]);
    with_double(server.clone(), async |client, _double| {
        let Identity { chain, key, .. } = authority.issue_client().unwrap();
        let tls = tls().client_certificate(chain, key);
        let client = client
            .security(Security::Implicit)
            .tls(tls)
            .build()
            .unwrap();
        assert!(client.send(&envelope(), MESSAGE, SECONDS).await.is_ok());
    });
    with_double(server, async |client, _double| {
        let client = client
            .security(Security::Implicit)
            .tls(tls())
            .build()
            .unwrap();
        let error = client
            .send(&envelope(), MESSAGE, SECONDS)
            .await
            .unwrap_err();
        // In TLS 1.3 the client is through with the handshake before it is told.
        assert_eq!(
            *error.kind(),
            FailureKind::Tls(TlsProblem::Alert),
            "{error}"
        );
        assert!([Phase::TlsHandshake, Phase::Greeting].contains(&error.phase()));
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("CertificateRequired"), "{source}");
    });
}

#[test]
fn the_double_tells_with_each_message_what_was_agreed_on_under_tls() {
    let authority = Authority::fresh().unwrap();
    let server = tls::Tls::starttls(&authority).unwrap();
    let server = server.require_client_certificate(&authority).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let double = SmtpDouble::builder().tls(server).start().await.unwrap();
        let Identity { chain, key, .. } = authority.issue_client().unwrap();
        let shown = chain[0].to_vec();
        let tls = Tls::new()
            .only_roots([authority.certificate()])
            .server_name("double.example")
            .client_certificate(chain, key);
        let client = || Client::builder("127.0.0.1", double.port());
        let under_tls = client().security(Security::StartTls).tls(tls);
        let under_tls = under_tls.build().unwrap();
        let sent = under_tls.send(&envelope(), MESSAGE, SECONDS).await;
        assert!(sent.is_ok(), "{sent:?}");
        let in_clear = client().security(Security::None).build().unwrap();
        let sent = in_clear.send(&envelope(), MESSAGE, SECONDS).await;
        assert!(sent.is_ok(), "{sent:?}");

        let [under_tls, in_clear] = &double.received()[..] else {
            panic!("{:?}", double.received());
        };
        let facts = under_tls.tls.as_ref().unwrap();
        assert_eq!(facts.version, "TLSv1.3");
        assert!(facts.cipher_suite.starts_with("TLS_"), "{facts:?}");
        assert_eq!(facts.server_name.as_deref(), Some("double.example"));
        assert_eq!(facts.client_certificate, Some(shown));
        assert_eq!(in_clear.tls, None);
    });
    runtime.shutdown_background();
}

#[test]
fn settings_that_contradict_each_other_are_refused_before_anything_is_sent() {
    let own = || Tls::from_config(case::client_config());
    let build = |tls| {
        let client = Client::submission("smtp.example.org").tls(tls).build();
        client.map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(build(own()), Ok(()));
    assert_eq!(
        build(
            own()
                .server_name("elsewhere.example")
                .alpn([b"smtp".to_vec()])
        ),
        Ok(())
    );
    let refused = build(own().only_roots([case::authority().certificate()])).unwrap_err();
    assert!(refused.contains("put them into it"), "{refused}");
    assert!(
        build(own().server_name("no name"))
            .unwrap_err()
            .contains("no name of a server")
    );
    assert!(
        Tls::new()
            .only_roots_pem(b"nothing")
            .unwrap_err()
            .to_string()
            .contains("no certificate")
    );
    let authority = case::authority().issue(Certificate::Good).unwrap();
    let shown = format!(
        "{:?}",
        Tls::new().client_certificate(authority.chain, authority.key)
    );
    assert!(shown.contains("elided"), "a key in Debug: {shown}");
}

#[test]
fn the_promise_counts_what_tls_adds() {
    let promise = |security| {
        let client = Client::builder("mx.example.org", 25).security(security);
        let tls = Tls::from_config(case::client_config());
        client.tls(tls).build().unwrap().worst_case(1, 0)
    };
    let times = |security, phase| {
        let promise = promise(security);
        let mut items = promise.items().iter();
        items
            .find(|item| item.phase == phase)
            .map_or(0, |item| item.times)
    };
    for (security, handshake, starttls, ehlo) in [
        (Security::None, 0, 0, 2),
        (Security::Implicit, 1, 0, 2),
        (Security::StartTls, 1, 1, 3),
        (Security::StartTlsIfOfferedInsecure, 1, 1, 3),
    ] {
        assert_eq!(
            times(security, Phase::TlsHandshake),
            handshake,
            "{security}"
        );
        assert_eq!(times(security, Phase::StartTls), starttls, "{security}");
        assert_eq!(times(security, Phase::Ehlo), ehlo, "{security}");
    }
}
