//! lettre's messages go in as they are, and a client is a transport of lettre's.

use std::fmt;
use std::pin::Pin;

use lettre::AsyncTransport;
use proto::{Envelope, Failure, FailureKind, Outcome, Phase};

use crate::bounds::Bounds;
use crate::client::Client;
use crate::connector::Connector;
use crate::error::{self, Error};
use crate::message::Message;
use crate::receipt::Receipt;
use crate::tcp::TcpConnector;

/// A message of lettre's as it formats it: without Bcc unless it was told to keep it.
/// [`Envelope::try_from`] takes its envelope.
///
/// ```
/// use postbound::{Envelope, Message};
/// let theirs = lettre::Message::builder()
///     .from("Me <me@example.net>".parse()?)
///     .to("you@example.org".parse()?)
///     .bcc("them@example.org".parse()?)
///     .subject("hello")
///     .body("world\n".to_owned())?;
/// let envelope = Envelope::try_from(theirs.envelope())?;
/// assert_eq!(envelope.forward_paths().len(), 2);
/// let message = Message::from(&theirs);
/// # assert!(message.size() > Some(100));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl From<&lettre::Message> for Message<'_> {
    fn from(message: &lettre::Message) -> Self {
        message.formatted().into()
    }
}

/// A [`Client`] in the place of lettre's `AsyncSmtpTransport`, with bounds for each message, which
/// lettre's trait has no argument for.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
/// use lettre::{AsyncTransport, Message};
/// use std::time::Duration;
/// # use postbound_simnet::{Double, Plan, net::mem::Network};
/// # let network = Network::new(Double::new(Plan::healthy()));
///
/// // before: let mailer = AsyncSmtpTransport::<Tokio1Executor>::relay("smtp.example.org")?.build();
/// let mailer = postbound::Client::submission("smtp.example.org")
/// #     .security(postbound::Security::None).connector(network.connector())
///     .build()?.mailer(Duration::from_secs(30));
///
/// let email = Message::builder()
///     .from("Me <me@example.net>".parse()?)
///     .to("you@example.org".parse()?)
///     .subject("hello")
///     .body("world\n".to_owned())?;
/// let receipt = mailer.send(email).await?;
/// println!("{}", receipt.reply());
/// # assert_eq!(network.double().ledger().committed(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// lettre's own transport sends to nobody if one recipient is refused. The same is had with
/// [`Require::AllRecipients`](crate::Require::AllRecipients); by default the receipt lists who was.
pub struct Mailer<C = TcpConnector> {
    client: Client<C>,
    bounds: Bounds<'static>,
}

impl<C> Mailer<C> {
    /// What it sends with.
    #[must_use]
    pub const fn client(&self) -> &Client<C> {
        &self.client
    }
}

impl<C> Clone for Mailer<C> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            bounds: self.bounds.clone(),
        }
    }
}

impl<C> fmt::Debug for Mailer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer")
            .field("client", &self.client)
            .field("bounds", &self.bounds)
            .finish()
    }
}

/// What `async_trait` makes of the future of lettre's `async fn`.
type Sending<'a> = Pin<Box<dyn Future<Output = Result<Receipt, Error>> + Send + 'a>>;

impl<C: Connector> AsyncTransport for Mailer<C> {
    type Ok = Receipt;
    type Error = Error;

    fn send_raw<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        envelope: &'life1 lettre::address::Envelope,
        email: &'life2 [u8],
    ) -> Sending<'async_trait>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(
            self.client
                .send_lettre(envelope, email, (&self.bounds).into()),
        )
    }
}

/// For what takes any transport: each message is bounded by [`Client::worst_case`]. A client has a
/// [`send`](Client::send) of its own, so `client.send(email)` is no call of lettre's trait;
/// [`Client::mailer`] has one.
impl<C: Connector> AsyncTransport for Client<C> {
    type Ok = Receipt;
    type Error = Error;

    fn send_raw<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        envelope: &'life1 lettre::address::Envelope,
        email: &'life2 [u8],
    ) -> Sending<'async_trait>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(self.send_lettre(envelope, email, Bounds::none()))
    }
}

impl<C> Client<C> {
    /// A transport of lettre's, each of whose sends has these bounds: a deadline is counted from
    /// the send, and a cancelled token ends them all.
    pub fn mailer<'t>(self, bounds: impl Into<Bounds<'t>>) -> Mailer<C> {
        Mailer {
            client: self,
            bounds: bounds.into().into_owned(),
        }
    }
}

impl<C: Connector> Client<C> {
    async fn send_lettre(
        &self,
        envelope: &lettre::address::Envelope,
        email: &[u8],
        bounds: Bounds<'_>,
    ) -> Result<Receipt, Error> {
        let path = match Envelope::try_from(envelope) {
            Ok(envelope) => return self.send(&envelope, email, bounds).await,
            Err(path) => path,
        };
        let failure = Failure::new(Phase::Mail, FailureKind::Path(path), Outcome::NotAccepted);
        let context = error::Context {
            endpoint: self.endpoint(),
            ..error::Context::default()
        };
        Err(Error::new(Box::new(failure), context))
    }
}
