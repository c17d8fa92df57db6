//! What a test with the double looks like for users of lettre, mail-send and async-smtp, and what it
//! shows: facts, as they are with the versions of the lock file.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be set up has to fail"
)]

use std::sync::Arc;
use std::time::Duration;

use simnet::Phase;
use simnet::double::{Claim, Mail, SmtpDouble};
use tokio::time::sleep;

/// What each client is told where it can be told, and how long it is watched.
const TIMEOUT: Duration = Duration::from_secs(1);
const WATCHED: Duration = Duration::from_secs(4);

/// What a call does within the time that it is watched; `None` if it is still waiting then.
async fn watched<T>(call: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        result = call => Some(result),
        () = sleep(WATCHED) => None,
    }
}

/// A double that takes the message and never says so (RFC 1047).
async fn lost_reply() -> SmtpDouble {
    let double = SmtpDouble::start().await.unwrap();
    let last = double.on(Phase::DataTermination);
    last.silent().commit().then_stall().mount();
    double
}

mod with_lettre {
    use lettre::transport::smtp::AsyncSmtpTransport;
    use lettre::{AsyncTransport, Message, Tokio1Executor};

    use super::*;

    async fn send(double: &SmtpDouble) -> Result<(), lettre::transport::smtp::Error> {
        let mailer = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(double.host())
            .port(double.port())
            .timeout(Some(TIMEOUT))
            .build();
        let message = Message::builder()
            .from("me@example.net".parse().unwrap())
            .to("bob@example.org".parse().unwrap())
            .subject("hello")
            .body("world".to_owned())
            .unwrap();
        mailer.send(message).await.map(|_| ())
    }

    #[tokio::test]
    async fn a_refusal_is_reported_and_the_next_message_arrives() {
        let double = SmtpDouble::start().await.unwrap();
        let rule = double.on(Phase::Rcpt).to("bob@example.org").times(1);
        rule.reply(451, "4.7.1 greylisted").mount();
        double.expect(Mail::to("bob@example.org").containing("world"));
        let error = send(&double).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        send(&double).await.unwrap();
        let verified = double.verify();
        assert!(verified.holds(), "{verified}");
    }

    #[tokio::test]
    async fn the_timeout_bounds_no_wait_for_a_greeting() {
        let double = SmtpDouble::start().await.unwrap();
        double.on(Phase::Greeting).silent().mount();
        let result = watched(send(&double)).await;
        assert!(result.is_none(), "it has ended: {result:?}");
    }
}

mod with_mail_send {
    use mail_send::SmtpClientBuilder;
    use mail_send::smtp::message::{Address, Message};

    use super::*;

    async fn send(double: &SmtpDouble) -> mail_send::Result<()> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let tls = Arc::new(tls).into();
        let builder = SmtpClientBuilder::new_with_tls_connector(double.host(), double.port(), tls);
        let builder = builder
            .implicit_tls(false)
            .helo_host("client.example")
            .timeout(TIMEOUT);
        let mut client = builder.connect_plain().await?;
        let address = |email: &'static str| Address {
            email: email.into(),
            ..Address::default()
        };
        let message = Message {
            mail_from: address("me@example.net"),
            rcpt_to: vec![address("bob@example.org")],
            body: b"Subject: hello\r\n\r\nworld\r\n".as_slice().into(),
        };
        client.send(message).await.map(|_| ())
    }

    #[tokio::test]
    async fn a_message_arrives() {
        let double = SmtpDouble::start().await.unwrap();
        send(&double).await.unwrap();
        assert!(double.verify().agrees(Claim::Delivered));
    }

    #[tokio::test]
    async fn an_error_does_not_tell_that_the_message_may_have_been_taken() {
        let double = lost_reply().await;
        let result = watched(send(&double)).await.unwrap();
        assert!(result.is_err(), "{result:?}");
        let verified = double.verify();
        // Whoever takes the error for "not delivered" is wrong, and sends it twice.
        assert!(!verified.agrees(Claim::NotDelivered), "{verified}");
    }
}

mod with_async_smtp {
    use async_smtp::{EmailAddress, Envelope, SendableEmail, SmtpClient, SmtpTransport};
    use tokio::io::BufStream;
    use tokio::net::TcpStream;

    use super::*;

    async fn send(double: &SmtpDouble) -> async_smtp::error::SmtpResult {
        let stream = TcpStream::connect(double.address()).await.unwrap();
        let mut transport = SmtpTransport::new(SmtpClient::new(), BufStream::new(stream)).await?;
        let address = |text: &str| EmailAddress::new(text.to_owned()).unwrap();
        let to = vec![address("bob@example.org")];
        let envelope = Envelope::new(Some(address("me@example.net")), to).unwrap();
        let email = SendableEmail::new(envelope, "Subject: hello\r\n\r\nworld\r\n");
        transport.send(email).await
    }

    #[tokio::test]
    async fn a_message_arrives() {
        let double = SmtpDouble::start().await.unwrap();
        send(&double).await.unwrap();
        assert!(double.verify().agrees(Claim::Delivered));
    }

    #[tokio::test]
    async fn there_is_no_limit_to_the_wait_for_the_final_reply() {
        let double = lost_reply().await;
        let result = watched(send(&double)).await;
        assert!(result.is_none(), "it has ended: {result:?}");
        assert_eq!(double.received().len(), 1);
    }
}
