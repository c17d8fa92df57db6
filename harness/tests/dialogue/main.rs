//! Dialogues with exact octets, both ways: what other clients' tests have recorded, and what this
//! client makes of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

mod peer;
mod transaction;

use std::time::Duration;

use postbound::sasl::{AuthError, AuthPolicy, Credentials, Mechanism};
use postbound::{
    Auth, Bounds, Client, Connection, EhloName, Envelope, Error, FailureKind, Phase, ProtocolError,
};
use postbound_harness::run::paused;
use tokio::io::DuplexStream;

use peer::Peer;

const GREETED: &str = "S: 220 mx.example ESMTP\nC: EHLO me.example\n";

/// A whole dialogue behind the greeting.
fn greeted(rest: &str) -> Peer {
    Peer::new(&format!("{GREETED}{rest}"))
}

fn credentials() -> Credentials {
    Credentials::password("username", "password")
}

/// With these mechanisms in this order, in clear.
fn auth(mechanisms: &[Mechanism]) -> Auth {
    let policy = AuthPolicy::new()
        .only(mechanisms.iter().copied())
        .allow_clear_text_without_tls();
    Auth::new(credentials()).policy(policy)
}

async fn refused_by(connection: &mut Connection<DuplexStream>, auth: &Auth) -> Error {
    let error = connection
        .authenticate(auth, Bounds::none())
        .await
        .unwrap_err();
    assert_eq!(error.phase(), Phase::Auth);
    error
}

#[test]
fn dialogue_a_greeting_of_221_is_no_greeting() {
    paused(async {
        let peer = Peer::new("S: 221 ESMTP server not ready");
        let error = peer.client(None).connect(Bounds::none()).await.unwrap_err();
        assert_eq!(error.phase(), Phase::Greeting);
        assert_eq!(
            *error.kind(),
            FailureKind::Protocol(ProtocolError::Unexpected)
        );
        assert_eq!(error.reply().unwrap().code().get(), 221);
        peer.holds();
    });
}

#[test]
fn dialogue_helo_follows_an_ehlo_that_is_not_known() {
    paused(async {
        let peer = greeted(
            "S: 504 5.5.1 what
             C: HELO me.example
             S: 250 mx.example
             C: QUIT
             S: 221 bye",
        );
        let connection = peer.connected().await;
        assert_eq!(connection.extensions().iter().count(), 0);
        connection.quit(Bounds::none()).await;
        peer.holds();
    });
}

#[test]
fn dialogue_neither_ehlo_nor_helo_is_known() {
    paused(async {
        let peer = greeted(
            "S: 504 5.5.1 what
             C: HELO me.example
             S: 504 5.5.1 what",
        );
        let error = peer.client(None).connect(Bounds::none()).await.unwrap_err();
        assert_eq!((error.phase(), error.is_refused()), (Phase::Ehlo, true));
        assert_eq!(error.reply().unwrap().code().get(), 504);
        tokio::time::sleep(Duration::from_millis(1)).await;
        peer.holds();
    });
}

#[test]
fn dialogue_a_421_in_reply_to_ehlo_is_not_hidden_by_a_helo() {
    paused(async {
        let peer = greeted("S: 421 4.3.2 closing");
        let error = peer.client(None).connect(Bounds::none()).await.unwrap_err();
        assert_eq!(error.phase(), Phase::Ehlo);
        assert_eq!(error.reply().unwrap().code().get(), 421);
        peer.holds();
    });
}

#[test]
fn dialogue_a_client_without_a_name_gives_its_address() {
    paused(async {
        for (address, literal) in [
            ("127.0.0.1", "[127.0.0.1]"),
            ("::1", "[IPv6:::1]"),
            ("::ffff:129.144.52.38", "[129.144.52.38]"),
        ] {
            let peer = Peer::new(&format!(
                "S: 220 mx.example ESMTP\nC: EHLO {literal}\nS: 250 mx.example"
            ));
            let client = Client::builder("mx.example", 25)
                .ehlo_name(EhloName::from_ip(address.parse().unwrap()))
                .connector(peer.clone())
                .build()
                .unwrap();
            client.connect(Bounds::none()).await.unwrap();
            peer.holds();
        }
    });
}

#[test]
fn dialogue_plain_in_one_round_trip_then_a_message() {
    paused(async {
        let peer = greeted(
            "S: 250-mx.example
             S: 250 AUTH LOGIN PLAIN
             C: AUTH PLAIN AHVzZXJuYW1lAHBhc3N3b3Jk
             S: 235 2.7.0 authenticated
             C: MAIL FROM:<a@example.org>
             S: 250 2.1.0 ok
             C: RCPT TO:<b@example.org>
             S: 250 2.1.5 ok
             C: DATA
             S: 354 go
             C: Subject: x
             C:
             C: y
             C: .
             S: 250 2.0.0 queued
             C: QUIT
             S: 221 bye",
        );
        let client = peer.client(Some(auth(&[Mechanism::Plain])));
        let envelope = Envelope::new(
            "a@example.org".parse().unwrap(),
            ["b@example.org".parse().unwrap()],
        )
        .unwrap();
        let receipt = client
            .send(&envelope, "Subject: x\r\n\r\ny\r\n", Bounds::none())
            .await
            .unwrap();
        assert!(receipt.timings().of(Phase::Auth).is_some());
        peer.holds();
    });
}

#[test]
fn dialogue_both_mechanisms_are_refused_and_the_connection_stays() {
    paused(async {
        let peer = greeted(
            "S: 250-mx.example
             S: 250 AUTH PLAIN LOGIN
             C: AUTH PLAIN AHVzZXJuYW1lAHBhc3N3b3Jk
             S: 535 authentication failed
             C: AUTH LOGIN
             S: 334 VXNlcm5hbWU6
             C: dXNlcm5hbWU=
             S: 334 UGFzc3dvcmQ6
             C: cGFzc3dvcmQ=
             S: 535 authentication failed
             C: RSET
             S: 250 ok",
        );
        let mut connection = peer.connected().await;
        let policy = AuthPolicy::new()
            .allow_clear_text_without_tls()
            .try_next_after_refusal();
        let auth = Auth::new(credentials()).policy(policy);
        let error = refused_by(&mut connection, &auth).await;
        assert_eq!(
            error.reply().unwrap().to_string(),
            "535 authentication failed"
        );
        assert!(error.is_refused() && connection.is_idle());
        connection.reset(Bounds::none()).await.unwrap();
        peer.holds();
    });
}

#[test]
fn dialogue_a_mechanism_that_is_too_weak_is_followed_by_the_next() {
    paused(async {
        // The prompts are the wrong way round, as some servers have them.
        let peer = greeted(
            "S: 250-mx.example
             S: 250 AUTH PLAIN LOGIN
             C: AUTH PLAIN AHVzZXJuYW1lAHBhc3N3b3Jk
             S: 534 5.7.9 mechanism is too weak
             C: AUTH LOGIN
             S: 334 UGFzc3dvcmQ6
             C: dXNlcm5hbWU=
             S: 334 VXNlcm5hbWU6
             C: cGFzc3dvcmQ=
             S: 235 2.7.0 authenticated",
        );
        let mut connection = peer.connected().await;
        let auth = auth(&[Mechanism::Plain, Mechanism::Login]);
        connection
            .authenticate(&auth, Bounds::none())
            .await
            .unwrap();
        peer.holds();
    });
}

#[test]
fn dialogue_the_one_mechanism_that_was_wanted_is_too_weak() {
    paused(async {
        let peer = greeted(
            "S: 250-mx.example
             S: 250 AUTH PLAIN LOGIN
             C: AUTH LOGIN
             S: 534 5.7.9 mechanism is too weak
             C: RSET
             S: 250 ok",
        );
        let mut connection = peer.connected().await;
        let error = refused_by(&mut connection, &auth(&[Mechanism::Login])).await;
        assert_eq!(error.reply().unwrap().code().get(), 534);
        connection.reset(Bounds::none()).await.unwrap();
        peer.holds();
    });
}

#[test]
fn dialogue_a_server_that_can_not_prove_itself_is_told_so_and_the_session_is_in_step() {
    paused(async {
        // RFC 5802's exchange, with another signature than the right one.
        let peer = greeted(
            "S: 250-mx.example
             S: 250 AUTH SCRAM-SHA-1
             C: AUTH SCRAM-SHA-1 biwsbj11c2VyLHI9ZnlrbytkMmxiYkZnT05Sdjlxa3hkYXdM
             S: 334 cj1meWtvK2QybGJiRmdPTlJ2OXFreGRhd0wzcmZjTkhZSlkxWlZ2V1ZzN2oscz1RU1hDUitRNnNlazhiZjkyLGk9NDA5Ng==
             C: Yz1iaXdzLHI9ZnlrbytkMmxiYkZnT05Sdjlxa3hkYXdMM3JmY05IWUpZMVpWdldWczdqLHA9djBYOHYzQnoyVDBDSkdiSlF5RjBYK0hJNFRzPQ==
             S: 334 dj1ybUY5cHFWOFM3c3VBb1pXamE0ZEpSa0ZzS0E9
             C: *
             S: 501 5.7.0 cancelled
             C: RSET
             S: 250 ok",
        );
        let nonce = [
            0x7f, 0x29, 0x28, 0xf9, 0xdd, 0xa5, 0x6d, 0xb1, 0x60, 0x38, 0xd4, 0x6f, 0xf6, 0xa9,
            0x31, 0x75, 0xac, 0x0b,
        ];
        let auth = Auth::new(Credentials::password("user", "pencil")).nonces(move || Ok(nonce));
        let mut connection = peer.connected().await;
        let error = refused_by(&mut connection, &auth).await;
        assert_eq!(*error.kind(), FailureKind::Auth(AuthError::Signature));
        connection.reset(Bounds::none()).await.unwrap();
        peer.holds();
    });
}

#[test]
fn dialogue_an_old_auth_line_is_one_and_a_private_extension_is_none() {
    paused(async {
        let peer = greeted(
            "S: 250-mx.example
             S: 250 AUTH=LOGIN PLAIN
             C: AUTH PLAIN AHVzZXJuYW1lAHBhc3N3b3Jk
             S: 235 2.7.0 authenticated",
        );
        let mut connection = peer.connected().await;
        let plain = auth(&[Mechanism::Plain]);
        connection
            .authenticate(&plain, Bounds::none())
            .await
            .unwrap();
        peer.holds();
        // Said twice, it is refused before the server has to.
        let error = refused_by(&mut connection, &plain).await;
        assert_eq!(*error.kind(), FailureKind::Auth(AuthError::Already));
    });
    paused(async {
        let peer = greeted("S: 250-mx.example\nS: 250 X-EXPS LOGIN PLAIN");
        let mut connection = peer.connected().await;
        let error = refused_by(&mut connection, &auth(&[Mechanism::Plain])).await;
        assert_eq!(*error.kind(), FailureKind::Auth(AuthError::NotOffered));
        peer.holds();
    });
}

#[test]
fn dialogue_mail_that_needs_authentication_is_refused_and_the_connection_stays() {
    paused(async {
        let peer = greeted(
            "S: 250 mx.example
             C: MAIL FROM:<a@example.org>
             S: 530 5.7.0 authentication required
             C: RSET
             S: 250 ok
             C: MAIL FROM:<a@example.org>
             S: 250 ok
             C: RCPT TO:<b@example.org>
             S: 530 5.7.0 authentication required",
        );
        let mut connection = peer.connected().await;
        let envelope = Envelope::new(
            "a@example.org".parse().unwrap(),
            ["b@example.org".parse().unwrap()],
        )
        .unwrap();
        for phase in [Phase::Mail, Phase::Rcpt] {
            let transaction = connection.transaction(&envelope).unwrap();
            let error = transaction.send("x\r\n", Bounds::none()).await.unwrap_err();
            assert_eq!((error.phase(), error.is_refused()), (phase, true));
            assert_eq!(error.reply().unwrap().code().get(), 530);
            assert!(connection.is_idle());
        }
        peer.holds();
    });
}
