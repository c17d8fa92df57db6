//! The other clients, each over one reused connection as its documentation sets it up.

use std::net::Ipv4Addr;

use tokio::net::TcpStream;

use crate::contest::{Round, runtime};
use crate::raw::recipient;

const FROM: &str = "sender@client.example";
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn lettre_envelope(recipients: usize) -> Result<lettre::address::Envelope, Failure> {
    let to = (1..=recipients)
        .map(|n| recipient(n).parse())
        .collect::<Result<Vec<_>, _>>()?;
    Ok(lettre::address::Envelope::new(Some(FROM.parse()?), to)?)
}

/// lettre on tokio.
///
/// # Errors
/// If it does not come to its first message.
pub fn lettre(port: u16, recipients: usize, message: &[u8]) -> Result<Round, Failure> {
    use lettre::transport::smtp::client::AsyncSmtpConnection;
    let runtime = runtime()?;
    let envelope = lettre_envelope(recipients)?;
    let hello = lettre::transport::smtp::extension::ClientId::Domain("client.example".to_owned());
    let mut connection = runtime.block_on(AsyncSmtpConnection::connect_tokio1(
        (Ipv4Addr::LOCALHOST, port),
        None,
        &hello,
        None,
        None,
    ))?;
    let message = message.to_vec();
    Ok(Box::new(move |messages| {
        runtime.block_on(async {
            for _ in 0..messages {
                connection.send(&envelope, &message).await?;
            }
            Ok(())
        })
    }))
}

/// lettre on a blocking socket.
///
/// # Errors
/// If it does not come to its first message.
pub fn lettre_blocking(port: u16, recipients: usize, message: &[u8]) -> Result<Round, Failure> {
    use lettre::transport::smtp::client::SmtpConnection;
    let envelope = lettre_envelope(recipients)?;
    let hello = lettre::transport::smtp::extension::ClientId::Domain("client.example".to_owned());
    let mut connection =
        SmtpConnection::connect((Ipv4Addr::LOCALHOST, port), None, &hello, None, None)?;
    let message = message.to_vec();
    Ok(Box::new(move |messages| {
        for _ in 0..messages {
            connection.send(&envelope, &message)?;
        }
        Ok(())
    }))
}

/// mail-send.
///
/// # Errors
/// If it does not come to its first message.
pub fn mail_send(port: u16, recipients: usize, message: &[u8]) -> Result<Round, Failure> {
    use mail_send::smtp::message::{Address, Message};
    let runtime = runtime()?;
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let builder = mail_send::SmtpClientBuilder::new_with_tls_connector(
        "127.0.0.1",
        port,
        std::sync::Arc::new(tls).into(),
    )
    .implicit_tls(false)
    .helo_host("client.example");
    let mut client = runtime.block_on(builder.connect_plain())?;
    let address = |email: String| Address {
        email: email.into(),
        ..Address::default()
    };
    let message = Message {
        mail_from: address(FROM.to_owned()),
        rcpt_to: (1..=recipients).map(|n| address(recipient(n))).collect(),
        body: message.to_vec().into(),
    };
    Ok(Box::new(move |messages| {
        runtime.block_on(async {
            for _ in 0..messages {
                let borrowed = Message {
                    body: message.body.as_ref().into(),
                    mail_from: message.mail_from.clone(),
                    rcpt_to: message.rcpt_to.clone(),
                };
                client.send(borrowed).await?;
            }
            Ok(())
        })
    }))
}

/// async-smtp, which writes through a buffer of the caller's.
///
/// # Errors
/// If it does not come to its first message.
pub fn async_smtp(port: u16, recipients: usize, message: &[u8]) -> Result<Round, Failure> {
    use async_smtp::{EmailAddress, Envelope, SendableEmail, SmtpClient, SmtpTransport};
    let runtime = runtime()?;
    let mut transport = runtime.block_on(async {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        let client = SmtpClient::new().pipelining(true);
        let stream = tokio::io::BufStream::new(stream);
        let transport = SmtpTransport::new(client, stream).await?;
        Ok::<_, Failure>(transport)
    })?;
    let to = (1..=recipients)
        .map(|n| EmailAddress::new(recipient(n)))
        .collect::<Result<Vec<_>, _>>()?;
    let envelope = Envelope::new(Some(EmailAddress::new(FROM.to_owned())?), to)?;
    let message = message.to_vec();
    Ok(Box::new(move |messages| {
        runtime.block_on(async {
            for _ in 0..messages {
                let email = SendableEmail::new(envelope.clone(), message.clone());
                transport.send(email).await?;
            }
            Ok(())
        })
    }))
}

/// Postfix's own load generator: messages over one connection, with its start and its dial.
///
/// # Errors
/// If it is not installed.
pub fn smtp_source(
    port: u16,
    recipients: usize,
    octets: usize,
    messages: usize,
) -> std::io::Result<std::process::ExitStatus> {
    std::process::Command::new("smtp-source")
        .args(["-d", "-s", "1", "-f", FROM])
        .args(["-t", &recipient(1), "-r", &recipients.to_string()])
        .args(["-l", &octets.to_string(), "-m", &messages.to_string()])
        .arg(format!("127.0.0.1:{port}"))
        .status()
}
