//! SCRAM with a channel binding, end to end: what is at the other end of TLS is who knows the password.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::sync::{Arc, LazyLock};

use postbound::rustls::version::{TLS12, TLS13};
use postbound::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, crypto::ring};
use postbound::sasl::{AuthError, BindingKind, Credentials, Mechanism};
use postbound::{Auth, Bounds, Client, Connection, Error, FailureKind, Security, Tls};
use postbound_harness::case::{SECRET, USER};
use postbound_harness::run::paused;
use simnet::net::mem::{Network, Stream};
use simnet::tls::{self, Authority};
use simnet::{Account, Double, Plan, Script};

const BOTH: &str = "SCRAM-SHA-256 SCRAM-SHA-256-PLUS SCRAM-SHA-1 SCRAM-SHA-1-PLUS PLAIN";

/// Signs with ECDSA and SHA-256, so that its certificates can be bound to.
static AUTHORITY: LazyLock<(Authority, tls::Tls)> = LazyLock::new(|| {
    let authority = Authority::fresh().unwrap();
    let server = tls::Tls::implicit(&authority).unwrap();
    (authority, server)
});

fn config(version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(AUTHORITY.0.certificate()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

fn network(mechanisms: &str, plan: &str) -> Network {
    let plan: Plan = plan.parse().unwrap();
    let script = Script::default().with_auth(mechanisms, Account::new(USER, SECRET));
    let double = Double::new(plan).with_script(script);
    Network::new(double.with_tls(AUTHORITY.1.clone()))
}

fn password() -> Auth {
    Auth::new(Credentials::password(USER, SECRET))
}

async fn connect(
    network: &Network,
    version: &'static SupportedProtocolVersion,
    auth: Auth,
) -> Result<Connection<Stream>, Error> {
    let client = Client::builder("double.example", 465)
        .security(Security::Implicit)
        .tls(Tls::from_config(config(version)))
        .auth(auth)
        .connector(network.connector());
    client.build().unwrap().connect(Bounds::none()).await
}

fn refused(error: &Error) -> u16 {
    assert!(error.is_refused(), "{error}");
    error.reply().unwrap().code().get()
}

#[test]
fn a_password_is_proved_with_a_binding_under_each_version_of_tls_and_by_each_kind() {
    let end_point = || password().channel_binding(BindingKind::TlsServerEndPoint);
    let exporter = || password().channel_binding(BindingKind::TlsExporter);
    for (version, auth) in [
        (&TLS13, password()),
        (&TLS13, exporter()),
        (&TLS13, end_point()),
        (&TLS12, password()),
        (&TLS12, end_point()),
    ] {
        for (offered, mechanism) in [
            (BOTH, Mechanism::ScramSha256Plus),
            ("SCRAM-SHA-1-PLUS", Mechanism::ScramSha1Plus),
        ] {
            paused(async {
                let network = network(offered, "v1");
                let connection = connect(&network, version, auth.clone()).await.unwrap();
                assert_eq!(connection.authenticated(), Some(mechanism));
                assert_eq!(network.double().ledger().findings(), []);
            });
        }
    }
}

#[test]
fn what_can_not_be_bound_to_is_not_used() {
    paused(async {
        // TLS 1.2 has no exporter that is bound to everything that it should be.
        let only = password().channel_binding(BindingKind::TlsExporter);
        let network = network("SCRAM-SHA-256-PLUS", "v1");
        let error = connect(&network, &TLS12, only.clone()).await.unwrap_err();
        assert_eq!(*error.kind(), FailureKind::Auth(AuthError::NoMechanism));
        // The other form is there for it.
        let network = self::network(BOTH, "v1");
        let connection = connect(&network, &TLS12, only).await.unwrap();
        assert_eq!(connection.authenticated(), Some(Mechanism::ScramSha256));
    });
}

#[test]
fn hostile_38_somebody_between_the_two_ends_is_refused_by_the_binding() {
    for (version, kind) in [
        (&TLS13, BindingKind::TlsExporter),
        (&TLS13, BindingKind::TlsServerEndPoint),
        (&TLS12, BindingKind::TlsServerEndPoint),
    ] {
        paused(async {
            let network = network(BOTH, "v1 | auth: wrong-binding");
            let auth = password().channel_binding(kind);
            let error = connect(&network, version, auth).await.unwrap_err();
            assert_eq!(refused(&error), 535);
            assert_eq!(network.client_streams(), 0);
        });
    }
}

#[test]
fn hostile_38_a_list_without_the_bound_mechanisms_is_told_to_the_server() {
    // The server offers them; somebody has taken them out of the list. The client says that it
    // could have bound (`y`), and the server knows that its offer was taken away.
    let taken = r#"v1 | ehlo: reply 250 "double.example\nAUTH SCRAM-SHA-256""#;
    for version in [&TLS13, &TLS12] {
        paused(async {
            let network = network(BOTH, taken);
            let error = connect(&network, version, password()).await.unwrap_err();
            assert_eq!(refused(&error), 535);
        });
        // A server that really offers none believes it.
        paused(async {
            let network = network("SCRAM-SHA-256", "v1");
            let connection = connect(&network, version, password()).await.unwrap();
            assert_eq!(connection.authenticated(), Some(Mechanism::ScramSha256));
        });
    }
}
