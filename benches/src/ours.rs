//! postbound, in every way in which it sends.

use std::net::Ipv4Addr;
use std::time::Duration;

use postbound::{Bounds, CancellationToken, Chunking, Client, Envelope, Mail, Pool};

use crate::contest::{Round, runtime};
use crate::raw::recipient;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The envelope of every message.
///
/// # Errors
/// If a path is none.
pub fn envelope(recipients: usize) -> Result<Envelope, Failure> {
    let to = (1..=recipients)
        .map(|n| recipient(n).parse())
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Envelope::new("sender@client.example".parse()?, to)?)
}

/// How a call is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the two that are compared")]
pub enum Guarded {
    /// By the phases' limits, which are always there.
    Phases,
    /// By a deadline and a token besides.
    All,
}

fn bounds(guarded: Guarded, token: &CancellationToken) -> Bounds<'_> {
    match guarded {
        Guarded::Phases => Bounds::none(),
        Guarded::All => Bounds::none()
            .within(Duration::from_secs(60))
            .cancelled_by(token),
    }
}

/// One message at a time; `masked` are EHLO keywords not to be used.
///
/// # Errors
/// If there is no connection.
pub fn single(
    port: u16,
    recipients: usize,
    message: &[u8],
    masked: &[&str],
    guarded: Guarded,
) -> Result<Round, Failure> {
    let runtime = runtime()?;
    let mut builder = Client::builder(Ipv4Addr::LOCALHOST.to_string(), port);
    for keyword in masked {
        builder = builder.without_extension(*keyword);
    }
    let chunking = match masked.contains(&"CHUNKING") {
        true => Chunking::Never,
        false => Chunking::AHEAD,
    };
    let client = builder.build()?;
    let envelope = envelope(recipients)?;
    let mut connection = runtime.block_on(client.connect(Bounds::none()))?;
    let message = message.to_vec();
    let token = CancellationToken::new();
    Ok(Box::new(move |messages| {
        runtime.block_on(async {
            for _ in 0..messages {
                let transaction = connection.transaction(&envelope)?.chunking(chunking);
                let _ = transaction.send(&message, bounds(guarded, &token)).await?;
            }
            Ok(())
        })
    }))
}

/// Many messages over one connection.
///
/// # Errors
/// If there is no connection.
pub fn send_all(
    port: u16,
    recipients: usize,
    message: &[u8],
    masked: &[&str],
) -> Result<Round, Failure> {
    let runtime = runtime()?;
    let mut builder = Client::builder(Ipv4Addr::LOCALHOST.to_string(), port);
    for keyword in masked {
        builder = builder.without_extension(*keyword);
    }
    if !masked.contains(&"CHUNKING") {
        builder = builder.chunking(Chunking::AHEAD);
    }
    let pool = Pool::builder(builder.build()?)
        .size(1)
        .messages(u32::MAX)
        .build();
    let envelope = envelope(recipients)?;
    runtime.block_on(pool.warm(1, Bounds::none()))?;
    let message = message.to_vec();
    Ok(Box::new(move |messages| {
        runtime.block_on(async {
            let mails = (0..messages).map(|_| Mail::new(envelope.clone(), &message));
            let mut results = pool.send_all(mails, Bounds::none());
            while let Some(sent) = results.next().await {
                let _ = sent.result?;
            }
            Ok(())
        })
    }))
}
