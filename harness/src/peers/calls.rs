//! How each client sends one message over a stream that it gets: the steps that its own transport
//! takes behind the connect.

use std::error::Error;

use lettre::transport::smtp::authentication as lettre_auth;
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;
use mail_send::smtp::AssertReply as _;
use mail_send::smtp::message::{Address, Message};
use postbound::Security;
use tokio::io::BufStream;

use super::stream::Watch;
use crate::case::{self, Case};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const CLIENT: &str = "client.example";
const SENDER: &str = "sender@client.example";

fn recipients(case: &Case) -> impl Iterator<Item = String> {
    let envelope = case.envelope();
    let paths = envelope.forward_paths().iter();
    let to: Vec<String> = paths.map(|path| path.as_str().to_owned()).collect();
    to.into_iter()
}

/// As `AsyncSmtpTransport::send` without a pool.
pub(super) async fn lettre(case: &Case, stream: Watch) -> Result<()> {
    let hello = ClientId::Domain(CLIENT.to_owned());
    let mut connection =
        AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello).await?;
    if case.tls == Security::StartTls {
        let root = Certificate::from_der(case::authority().certificate().to_vec())?;
        let tls = TlsParameters::builder("double.example".to_owned())
            .certificate_store(CertificateStore::None)
            .add_root_certificate(root)
            .build_rustls()?;
        connection.starttls(tls, &hello).await?;
    }
    if case.auth.is_some() {
        let credentials =
            lettre_auth::Credentials::new(case::USER.to_owned(), case::SECRET.to_owned());
        let mechanisms = [lettre_auth::Mechanism::Plain];
        connection.auth(&mechanisms, &credentials).await?;
    }
    let to = recipients(case).map(|to| to.parse());
    let to = to.collect::<std::result::Result<Vec<lettre::Address>, _>>()?;
    let envelope = lettre::address::Envelope::new(Some(SENDER.parse()?), to)?;
    connection.send(&envelope, &case.message()).await?;
    connection.abort().await;
    Ok(())
}

/// As `SmtpClientBuilder::connect_plain` and `SmtpClient::send`.
pub(super) async fn mail_send(case: &Case, stream: Watch) -> Result<()> {
    let mut client = mail_send::SmtpClient {
        stream,
        timeout: case.timeout,
    };
    client.read().await?.assert_positive_completion()?;
    let capabilities = client.capabilities(CLIENT, false).await?;
    if case.auth.is_some() {
        let credentials = mail_send::Credentials::Plain {
            username: case::USER,
            secret: case::SECRET,
        };
        client.authenticate(&credentials, &capabilities).await?;
    }
    let address = |email: String| Address {
        email: email.into(),
        ..Address::default()
    };
    let message = Message {
        mail_from: address(SENDER.to_owned()),
        rcpt_to: recipients(case).map(address).collect(),
        body: case.message().into(),
    };
    client.send(message).await?;
    Ok(())
}

/// As the crate's own example.
pub(super) async fn async_smtp(case: &Case, stream: Watch) -> Result<()> {
    use async_smtp::authentication::{Credentials, Mechanism};
    use async_smtp::{EmailAddress, Envelope, SendableEmail, SmtpClient, SmtpTransport};
    let client = SmtpClient::new();
    let mut transport = SmtpTransport::new(client, BufStream::new(stream)).await?;
    if case.auth.is_some() {
        let credentials = Credentials::new(case::USER.to_owned(), case::SECRET.to_owned());
        transport
            .try_login(&credentials, &[Mechanism::Plain])
            .await?;
    }
    let to = recipients(case).map(EmailAddress::new);
    let to = to
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    let from = EmailAddress::new(SENDER.to_owned()).map_err(|error| error.to_string())?;
    let envelope = Envelope::new(Some(from), to).map_err(|error| error.to_string())?;
    let email = SendableEmail::new(envelope, case.message());
    transport.send(email).await?;
    Ok(())
}
