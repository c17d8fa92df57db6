//! What hostile servers do to a client that authenticates, and what it must make of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postbound::sasl::{AuthError, AuthPolicy, Credentials, Mechanism, Strength};
use postbound::{
    Auth, Bounds, CancellationToken, Client, ClientBuilder, Connection, Error, FailureKind, Limits,
    Line, Phase,
};
use postbound_harness::case::{SECRET, USER};
use postbound_harness::run::paused;
use postbound_harness::{Case, run};
use simnet::net::mem::{Network, Stream};
use simnet::{Account, Double, Plan, Script};
use tokio::sync::Notify;

const UNBOUND: [Mechanism; 8] = [
    Mechanism::ScramSha256,
    Mechanism::ScramSha1,
    Mechanism::CramMd5,
    Mechanism::Plain,
    Mechanism::Login,
    Mechanism::OAuthBearer,
    Mechanism::XOAuth2,
    Mechanism::External,
];

fn case(mechanism: Mechanism, plan: &str) -> Case {
    let mut case = Case::new(plan.parse().unwrap());
    case.auth = Some(mechanism);
    case
}

/// A double that offers these mechanisms to this plan, and its network.
fn offering(mechanisms: &str, plan: &str) -> Network {
    let plan: Plan = plan.parse().unwrap();
    let script = Script::default().with_auth(mechanisms, Account::new(USER, SECRET));
    Network::new(Double::new(plan).with_script(script))
}

fn password() -> Auth {
    Auth::new(Credentials::password(USER, SECRET)).nonces(|| Ok([7; 18]))
}

async fn connect(network: &Network) -> Connection<Stream> {
    let client = Client::builder("double.example", 25)
        .connector(network.connector())
        .build()
        .unwrap();
    client.connect(Bounds::none()).await.unwrap()
}

/// The connection's authentication fails in this way, and nothing that the client did was wrong.
async fn fails(network: &Network, connection: &mut Connection<Stream>, auth: &Auth) -> Error {
    let error = connection
        .authenticate(auth, Bounds::none())
        .await
        .unwrap_err();
    assert_eq!(error.phase(), Phase::Auth);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(network.double().ledger().findings(), []);
    error
}

#[test]
fn hostile_34_challenges_without_end_and_a_success_before_the_end() {
    for mechanism in UNBOUND {
        for plan in [
            "v1 | auth: reply 334 YWdhaW4=",
            "v1 | auth#2: reply 334 YWdhaW4= | auth#3: reply 334 YWdhaW4= | auth#4: reply 334 YWdhaW4=",
            "v1 | auth#1: reply 334",
        ] {
            let case = case(mechanism, plan);
            let report = run::mem::run(&case);
            assert_eq!(report.violations(&case, run::mem::TOLERANCE), [], "{case}");
            assert!(
                report.elapsed < Duration::from_millis(100),
                "{case}: {:?}",
                report.elapsed
            );
        }
        let case = case(mechanism, "v1 | auth: reply 334 YWdhaW4=");
        let report = run::mem::run(&case);
        assert_eq!(
            (report.claim.phase, report.committed),
            (Some(Phase::Auth), 0),
            "{case}"
        );
    }
    // Where the server has something to prove, or has not been told enough yet.
    for (mechanism, at) in [
        (Mechanism::ScramSha256, 1),
        (Mechanism::ScramSha256, 2),
        (Mechanism::ScramSha1, 1),
        (Mechanism::ScramSha1, 2),
        (Mechanism::CramMd5, 1),
        (Mechanism::Login, 1),
        (Mechanism::Login, 2),
    ] {
        let plan = format!("v1 | auth#{at}: reply 235 2.7.0 welcome");
        let report = run::mem::run(&case(mechanism, &plan));
        assert_eq!(
            report.claim.kind, "auth",
            "{mechanism} {plan}: {}",
            report.events
        );
        assert_eq!((report.claim.code, report.committed), (Some(235), 0));
    }
}

#[test]
fn hostile_35_challenges_that_are_too_long_or_no_base64_are_cancelled_and_the_session_is_in_step() {
    for (plan, expected) in [
        ("v1 | auth#1: reply 334 ***", AuthError::Base64),
        ("v1 | auth#1: reply 334 YQ", AuthError::Base64),
        ("v1 | auth#1: oversize", AuthError::ChallengeTooLong),
        ("v1 | auth#1: raw \"334\\r\\n\"", AuthError::Challenge),
        // NUL and CRLF behind base64.
        ("v1 | auth#1: reply 334 AA0K", AuthError::Challenge),
        (
            "v1 | auth#1: raw \"334-YQ==\\r\\n334 YQ==\\r\\n\"",
            AuthError::Challenge,
        ),
    ] {
        paused(async {
            let network = offering("SCRAM-SHA-256", plan);
            let mut connection = connect(&network).await;
            let error = fails(&network, &mut connection, &password()).await;
            assert_eq!(*error.kind(), FailureKind::Auth(expected), "{plan}");
            assert_eq!(error.reply().unwrap().code().get(), 501);
            // In step: the same connection authenticates after all.
            assert!(connection.is_idle());
            connection
                .authenticate(&password(), Bounds::none())
                .await
                .unwrap();
        });
    }
    // A line of a megabyte is cut off by the reader, long before it could be decoded.
    let case = case(Mechanism::ScramSha256, "v1 | auth#1: endless-line");
    let report = run::mem::run(&case);
    assert_eq!(
        (report.claim.phase, report.claim.kind),
        (Some(Phase::Auth), "protocol")
    );
}

#[test]
fn hostile_36_iterations_are_neither_too_few_nor_too_many() {
    for (count, accepted) in [
        (1, false),
        (4_095, false),
        (4_096, true),
        (100_000, true),
        (100_001, false),
        (2_147_483_647, false),
        (4_294_967_295_u32, false),
    ] {
        let case = case(
            Mechanism::ScramSha256,
            &format!("v1 | auth: iterations {count}"),
        );
        let report = run::mem::run(&case);
        assert_eq!(
            report.claim.phase.is_none(),
            accepted,
            "{count}: {}",
            report.claim
        );
        assert_eq!(report.violations(&case, run::mem::TOLERANCE), [], "{case}");
    }
}

/// A client that would let a server ask for hours of work.
fn patient(network: &Network) -> ClientBuilder<simnet::net::mem::Connector> {
    let mut limits = Limits::DEFAULT;
    limits.scram_iterations_max = u32::MAX;
    Client::builder("double.example", 25)
        .connector(network.connector())
        .limits(limits)
        .timeouts(postbound::Timeouts::uniform(Duration::from_millis(300)).unwrap())
        .auth(password())
}

#[test]
fn hostile_36_a_derivation_of_hours_lets_others_run_and_ends_with_its_token() {
    paused(async {
        let network = offering("SCRAM-SHA-256", "v1 | auth: iterations 2147483647");
        let challenged = Arc::new(Notify::new());
        let client = {
            let challenged = Arc::clone(&challenged);
            patient(&network)
                .transcript(move |entry| match &entry.line {
                    Line::Heard(reply) if reply.code().get() == 334 => challenged.notify_one(),
                    _ => {}
                })
                .build()
                .unwrap()
        };
        let token = CancellationToken::new();
        let canceller = tokio::spawn({
            let token = token.clone();
            async move {
                challenged.notified().await;
                // The client has nothing to do but to compute, and computes for twenty turns.
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                token.cancel();
            }
        });
        let error = client.connect(&token).await.unwrap_err();
        canceller.await.unwrap();
        assert_eq!((error.phase(), error.is_cancelled()), (Phase::Auth, true));
        assert_eq!(network.client_streams(), 0);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let trace = network.double().trace().to_string();
        assert!(!trace.contains("-> [a response]"), "{trace}");
    });
}

#[test]
fn hostile_36_a_derivation_of_hours_ends_with_the_phases_limit() {
    // In real time, because computing takes no other.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let network = offering("SCRAM-SHA-256", "v1 | auth: iterations 2147483647");
        let error = patient(&network)
            .build()
            .unwrap()
            .connect(Bounds::none())
            .await
            .unwrap_err();
        assert_eq!((error.phase(), error.is_timeout()), (Phase::Auth, true));
        // The whole key would take a quarter of an hour and more.
        assert!(error.elapsed() >= Duration::from_millis(300));
        assert!(
            error.elapsed() < Duration::from_secs(30),
            "{:?}",
            error.elapsed()
        );
    });
}

#[test]
fn hostile_37_a_server_that_does_not_know_the_password_is_not_believed() {
    for (plan, expected) in [
        ("v1 | auth: wrong-nonce", AuthError::ServerNonce),
        ("v1 | auth: bad-signature", AuthError::Signature),
        // `hello` where the signature is due, and nothing at all.
        ("v1 | auth#2: reply 334 aGVsbG8=", AuthError::Challenge),
        ("v1 | auth#2: reply 334", AuthError::Challenge),
        (
            "v1 | auth#1: reply 334 ZT11bmtub3duLXVzZXI=",
            AuthError::Server("unknown-user".to_owned()),
        ),
    ] {
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-1"] {
            paused(async {
                let network = offering(mechanism, plan);
                let mut connection = connect(&network).await;
                let error = fails(&network, &mut connection, &password()).await;
                assert_eq!(*error.kind(), FailureKind::Auth(expected.clone()), "{plan}");
                assert!(connection.is_idle(), "in step behind `*`: {plan}");
            });
        }
    }
}

#[test]
fn hostile_37_the_error_of_a_token_is_answered_and_shown() {
    for (mechanism, name) in [
        (Mechanism::XOAuth2, "XOAUTH2"),
        (Mechanism::OAuthBearer, "OAUTHBEARER"),
    ] {
        paused(async {
            let network = offering(name, "v1");
            let policy = AuthPolicy::new().allow_clear_text_without_tls();
            let auth = Auth::new(Credentials::token(USER, "expired")).policy(policy);
            let mut connection = connect(&network).await;
            let error = fails(&network, &mut connection, &auth).await;
            assert!(error.is_refused(), "{mechanism}");
            assert_eq!(error.reply().unwrap().code().get(), 535);
            let detail = error.auth_detail().unwrap();
            assert!(detail.contains("\"status\":\"401\""), "{detail}");
            assert!(connection.is_idle());
        });
    }
}

#[test]
fn hostile_38_a_list_that_somebody_has_stripped_does_not_lower_the_floor() {
    let names = [
        "",
        "PLAIN",
        "LOGIN",
        "PLAIN LOGIN",
        "plain",
        "XPLAIN",
        "PLAIN-CLIENTTOKEN",
        "NTLM",
        "GSSAPI",
        "ANONYMOUS",
        "=PLAIN",
        "PLAIN,LOGIN",
        "\u{b}PLAIN",
        "SCRAM",
        "SCRAM-SHA-256X",
        "SCRAM-SHA-",
        "SCRAM-SHA-512",
        "OAUTHBEARER",
        "XOAUTH2",
        "EXTERNAL",
        "CRAM-MD5",
        "DIGEST-MD5",
        "KERBEROS_V4",
        "SCRAM-SHA-256-PLUS",
        "SCRAM-SHA-1-PLUS",
    ];
    for offered in names {
        paused(async {
            let network = offering(offered, "v1");
            let mut connection = connect(&network).await;
            let before = network.client_octets();
            // A floor: nothing weaker, whatever is left of the list.
            let auth = password().policy(AuthPolicy::new().floor(Strength::Scram));
            let error = connection
                .authenticate(&auth, Bounds::none())
                .await
                .unwrap_err();
            assert!(
                matches!(error.kind(), FailureKind::Auth(_)),
                "{offered:?}: {error}"
            );
            assert_eq!(
                network.client_octets(),
                before,
                "{offered:?}: something was said"
            );
            // Without one, and without TLS: never in clear.
            if let Err(error) = connection.authenticate(&password(), Bounds::none()).await {
                assert!(
                    matches!(error.kind(), FailureKind::Auth(_)),
                    "{offered:?}: {error}"
                );
                assert_eq!(
                    network.client_octets(),
                    before,
                    "{offered:?}: something was said"
                );
            } else {
                assert_eq!(offered, "CRAM-MD5");
            }
            let token = Auth::new(Credentials::token(USER, SECRET));
            connection
                .authenticate(&token, Bounds::none())
                .await
                .unwrap_err();
        });
    }
}

#[test]
fn hostile_38_a_refusal_of_the_strong_mechanisms_does_not_lead_to_the_clear_ones() {
    paused(async {
        let network = offering(
            "SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 PLAIN LOGIN",
            "v1 | auth: reply 504 5.5.4 no such mechanism",
        );
        let mut connection = connect(&network).await;
        let error = fails(&network, &mut connection, &password()).await;
        assert_eq!(error.reply().unwrap().code().get(), 504);
        let trace = network.double().trace().to_string();
        for said in ["AUTH SCRAM-SHA-256", "AUTH SCRAM-SHA-1", "AUTH CRAM-MD5"] {
            assert!(trace.contains(said), "{trace}");
        }
        assert!(
            !trace.contains("AUTH PLAIN") && !trace.contains("AUTH LOGIN"),
            "{trace}"
        );
    });
}

#[test]
fn a_tokens_provider_is_asked_only_where_its_token_could_be_used_and_never_waited_for_longer() {
    let asked = Arc::new(AtomicBool::new(false));
    let hanging = || {
        let asked = Arc::clone(&asked);
        Auth::token_provider(USER, move || {
            asked.store(true, Ordering::Relaxed);
            std::future::pending::<Result<postbound::sasl::Secret, std::io::Error>>()
        })
        .policy(AuthPolicy::new().allow_clear_text_without_tls())
    };
    paused(async {
        let network = offering("PLAIN", "v1");
        let mut connection = connect(&network).await;
        let error = fails(&network, &mut connection, &hanging()).await;
        assert_eq!(*error.kind(), FailureKind::Auth(AuthError::NoMechanism));
        assert!(!asked.load(Ordering::Relaxed));

        let network = offering("XOAUTH2", "v1");
        let mut connection = connect(&network).await;
        let limit = postbound::Timeouts::default().of(Phase::Auth);
        let error = fails(&network, &mut connection, &hanging()).await;
        assert_eq!((error.limit(), error.elapsed()), (Some(limit), limit));
        assert_eq!(error.timings().of(Phase::Auth), Some(limit));
        assert!(asked.load(Ordering::Relaxed));

        let token = CancellationToken::new();
        token.cancel();
        let error = connection
            .authenticate(&hanging(), &token)
            .await
            .unwrap_err();
        assert!(error.is_cancelled() && error.elapsed().is_zero());

        let broken = Auth::token_provider(USER, || async {
            Err::<postbound::sasl::Secret, _>("the refresh token has expired")
        })
        .policy(AuthPolicy::new().allow_clear_text_without_tls());
        let error = connection
            .authenticate(&broken, Bounds::none())
            .await
            .unwrap_err();
        assert_eq!(*error.kind(), FailureKind::Auth(AuthError::Provider));
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("the refresh token has expired"), "{cause}");

        let fresh = Auth::token_provider(USER, || async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<_, std::io::Error>(postbound::sasl::Secret::from(SECRET))
        })
        .policy(AuthPolicy::new().allow_clear_text_without_tls());
        connection
            .authenticate(&fresh, Bounds::none())
            .await
            .unwrap();
        let spent = connection.timings().of(Phase::Auth).unwrap();
        assert!(spent >= Duration::from_secs(1), "{spent:?}");
    });
}
