//! A handshake with the provider that the features chose; `ci/features` has both.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't be set up has to fail"
)]

use postbound::{Bounds, Client, Envelope, Security, Tls};
use postbound_simnet::net::mem::Network;
use postbound_simnet::{Double, Plan, tls};

#[tokio::test(start_paused = true)]
async fn a_message_goes_out_under_each_mode_of_tls() {
    let authority = tls::Authority::fresh().unwrap();
    for security in [Security::StartTls, Security::Implicit] {
        let server = tls::Tls::starttls(&authority).unwrap();
        let double = Double::new(Plan::healthy())
            .with_tls(server.with_implicit(security == Security::Implicit));
        let network = Network::new(double);
        let client = Client::builder("mx.example", 587)
            .security(security)
            .tls(
                Tls::new()
                    .only_roots_pem(authority.pem().as_bytes())
                    .unwrap()
                    .server_name("double.example"),
            )
            .connector(network.connector())
            .build()
            .unwrap();
        let envelope = Envelope::new(
            "me@example.net".parse().unwrap(),
            ["you@example.org".parse().unwrap()],
        )
        .unwrap();
        let message = "Subject: x\r\n\r\ny\r\n";
        let receipt = client
            .send(&envelope, message, Bounds::none())
            .await
            .unwrap();
        assert_eq!(receipt.refused().count(), 0);
        assert_eq!(network.double().ledger().copies(message.as_bytes()), 1);
    }
}
