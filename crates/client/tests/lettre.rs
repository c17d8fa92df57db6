//! lettre's messages through its own trait, against the double.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has to fail"
)]

use std::time::Duration;

use lettre::address::Address;
use lettre::message::{Attachment, MultiPart, SinglePart, header::ContentType};
use lettre::{AsyncTransport, Message};
use postbound::{CancellationToken, Client, FailureKind, Mailer, Outcome, Phase};
use postbound_simnet::net::mem::{Connector, Network};
use postbound_simnet::{Double, Plan};

fn paused<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}

fn server(plan: &str) -> (Network, Client<Connector>) {
    let plan: Plan = plan.parse().unwrap();
    let network = Network::new(Double::new(plan));
    let client = Client::builder("mx.example", 25).connector(network.connector());
    let client = client.build().unwrap();
    (network, client)
}

fn mailer(plan: &str) -> (Network, Mailer<Connector>) {
    let (network, client) = server(plan);
    (network, client.mailer(Duration::from_secs(30)))
}

fn email() -> Message {
    Message::builder()
        .from("Jürgen <me@example.net>".parse().unwrap())
        .to("you@bücher.example".parse().unwrap())
        .bcc("them@example.org".parse().unwrap())
        .subject("Grüße")
        .multipart(
            MultiPart::mixed()
                .singlepart(SinglePart::plain(".\r\n..\r\nworld\r\n".to_owned()))
                .singlepart(
                    Attachment::new("octets".to_owned())
                        .body((0..=255).collect::<Vec<u8>>(), ContentType::TEXT_PLAIN),
                ),
        )
        .unwrap()
}

#[test]
fn a_message_of_lettres_arrives_octet_for_octet_for_everybody_in_its_envelope() {
    paused(async {
        let (network, mailer) = mailer("v1");
        let email = email();
        let octets = email.formatted();
        let receipt = mailer.send(email).await.unwrap();
        assert_eq!(receipt.reply().code().get(), 250);
        let deliveries = network.double().ledger().deliveries();
        assert_eq!(deliveries.len(), 1);
        assert_eq!(deliveries[0].octets, octets);
        assert!(!String::from_utf8_lossy(&octets).contains("them@example.org"));
        assert_eq!(deliveries[0].reverse_path, "me@example.net");
        assert_eq!(
            deliveries[0].forward_paths,
            ["you@xn--bcher-kva.example", "them@example.org"]
        );
    });
}

#[test]
fn g1_bounded_each_send_of_lettres_trait_has_the_deadline_anew() {
    paused(async {
        let (network, mailer) = mailer("v1 | data-termination: commit; stall");
        for sent in 1..=2 {
            let error = mailer.send(email()).await.unwrap_err();
            assert_eq!(error.elapsed(), Duration::from_secs(30));
            assert_eq!(error.phase(), Phase::DataTermination);
            assert_eq!(error.outcome(), Outcome::Ambiguous);
            assert_eq!(network.double().ledger().committed(), sent);
        }
    });
}

#[test]
fn g1_bounded_a_client_as_a_transport_has_the_phases_limits() {
    paused(async {
        let (_network, client) = server("v1 | greeting: stall");
        let error = AsyncTransport::send(&client, email()).await.unwrap_err();
        assert_eq!(error.phase(), Phase::Greeting);
        let (limit, round_trip) = (error.limit().unwrap(), Duration::from_millis(2));
        assert_eq!(error.elapsed(), limit + round_trip);
    });
}

#[test]
fn g2_cancellable_the_token_of_a_mailer_ends_its_sends() {
    paused(async {
        let (network, client) = server("v1");
        let token = CancellationToken::new();
        let mailer = client.mailer(&token);
        let receipt = mailer.send(email()).await.unwrap();
        assert!(receipt.earlier().is_empty());
        token.cancel();
        assert!(mailer.send(email()).await.unwrap_err().is_cancelled());
        assert_eq!(network.double().ledger().committed(), 1);
    });
}

#[test]
fn an_address_that_lettre_did_not_check_is_refused_before_anything_is_sent() {
    paused(async {
        let (network, mailer) = mailer("v1");
        let bad = Address::new_dangerous("you", "example.org>\r\nRCPT TO:<them@example.org");
        let envelope = lettre::address::Envelope::new(None, vec![bad]).unwrap();
        let error = mailer.send_raw(&envelope, b"x\r\n").await.unwrap_err();
        assert!(matches!(error.kind(), FailureKind::Path(_)), "{error}");
        assert_eq!(error.outcome(), Outcome::NotAccepted);
        assert!(error.is_permanent() && !error.is_transient());
        assert!(network.double().trace().entries().is_empty());
    });
}
