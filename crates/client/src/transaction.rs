//! One mail transaction.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use proto::transparency::LineEndings;
use proto::{BodyType, Chunking, Completed, Envelope, Require, TransactionOptions};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::bounds::Bounds;
use crate::clock;
use crate::connection::Connection;
use crate::error::Error;
use crate::exchange::{Behind, Nobody, OnProgress, Payload, Progress};
use crate::guard::Guard;
use crate::message::Message;
use crate::receipt::Receipt;
use crate::traced;

/// One mail transaction on a connection that is at rest.
#[must_use = "nothing is sent before `send`"]
pub struct Transaction<'c, 'e, S> {
    connection: &'c mut Connection<S>,
    envelope: &'e Envelope,
    settings: Settings<'e>,
}

/// How a message is sent, apart from where.
pub(crate) struct Settings<'e> {
    pub(crate) options: TransactionOptions,
    pub(crate) body: Option<BodyType>,
    pub(crate) on_progress: Option<OnProgress<'e>>,
}

impl Settings<'_> {
    pub(crate) fn new(options: TransactionOptions) -> Self {
        Self {
            options,
            body: (options.body != BodyType::SevenBit).then_some(options.body),
            on_progress: None,
        }
    }
}

impl<S> fmt::Debug for Transaction<'_, '_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("envelope", &self.envelope)
            .field("options", &self.settings.options)
            .finish_non_exhaustive()
    }
}

impl<'c, 'e, S: AsyncRead + AsyncWrite + Unpin> Transaction<'c, 'e, S> {
    pub(crate) fn new(
        connection: &'c mut Connection<S>,
        envelope: &'e Envelope,
        options: TransactionOptions,
    ) -> Self {
        Self {
            connection,
            envelope,
            settings: Settings::new(options),
        }
    }

    /// Which recipients must be accepted. Default: as the client has it.
    pub fn require(mut self, require: Require) -> Self {
        self.settings.options.require = require;
        self
    }

    /// What is done with a bare CR or bare LF. Default: as the client has it.
    pub fn line_endings(mut self, line_endings: LineEndings) -> Self {
        self.settings.options.line_endings = line_endings;
        self
    }

    /// What the mail data is made of. Where neither this nor the client says so, octets are looked at, and a reader is announced as
    /// 8-bit where the server allows it and checked to be 7-bit where it does not.
    pub fn body(mut self, body: BodyType) -> Self {
        self.settings.body = Some(body);
        self
    }

    /// Whether mail data goes by DATA or in chunks (BDAT, RFC 3030). Default: as the client has it. A message
    /// goes
    /// [ahead](Chunking::Ahead) of the replies only if it is in memory.
    pub fn chunking(mut self, chunking: Chunking) -> Self {
        self.settings.options.chunking = chunking;
        self
    }

    /// Is called each time the transport took mail data. It must return quickly: it is called from
    /// within the one wait.
    pub fn on_progress(mut self, report: impl FnMut(Progress) + Send + 'e) -> Self {
        self.settings.on_progress = Some(Box::new(report));
        self
    }

    /// Sends the message and waits for what the server says about it.
    ///
    /// # Errors
    /// If the message was not accepted, or is not known to be: see [`Error::outcome`]. After a
    /// refusal the connection can be used again.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection. What became of the message is not known then,
    /// unless it had not begun; cancel with a token to be told.
    pub async fn send<'t>(
        self,
        message: impl Into<Message<'e>>,
        bounds: impl Into<Bounds<'t>>,
    ) -> Result<Receipt, Error> {
        let started = clock::now();
        let asked = bounds.into();
        let (bounds, mut guard) = asked.start_at(started);
        let mut message = message.into();
        self.connection
            .send_with(
                &mut guard,
                self.envelope,
                &mut message,
                self.settings,
                bounds,
                started,
            )
            .await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// One transaction. The message is given back, so that it can be sent elsewhere if nothing of it
    /// was asked for.
    pub(crate) async fn send_with<'m>(
        &mut self,
        guard: &mut Guard<'_>,
        envelope: &Envelope,
        message: &mut Message<'m>,
        settings: Settings<'m>,
        bounds: proto::Bounds,
        started: Instant,
    ) -> Result<Receipt, Error> {
        self.begin(envelope, message, &settings, bounds, started)?;
        self.end(guard, message, settings, &mut Nobody, started)
            .await
    }

    /// The options that suit the message. All of it is looked at for them.
    fn suited(&self, message: &Message<'_>, settings: &Settings<'_>) -> TransactionOptions {
        let mut options = settings.options;
        options.size = match settings.body {
            Some(BodyType::BinaryMime) => message.octets_as_they_are(),
            _ => message.size(),
        };
        options.body = match (settings.body, message.octets()) {
            (Some(body), _) => body,
            (None, Some(octets)) if octets.is_ascii() => BodyType::SevenBit,
            (None, Some(_)) => BodyType::EightBitMime,
            (None, None) if self.must_be_seven_bit(message, settings) => BodyType::SevenBit,
            (None, None) => BodyType::EightBitMime,
        };
        // What a reader has is not known before it is asked, and it may stall.
        if matches!(options.chunking, Chunking::Ahead(_)) && message.octets().is_none() {
            options.chunking = Chunking::IF_OFFERED;
        }
        options
    }

    /// Whether the message's octets have to be checked to be 7-bit while they are read.
    fn must_be_seven_bit(&self, message: &Message<'_>, settings: &Settings<'_>) -> bool {
        let known = settings.body.is_some() || message.octets().is_some();
        !known && !self.extensions().eight_bit_mime()
    }

    /// Begins a transaction; nothing is waited for.
    pub(crate) fn begin(
        &mut self,
        envelope: &Envelope,
        message: &Message<'_>,
        settings: &Settings<'_>,
        bounds: proto::Bounds,
        now: Instant,
    ) -> Result<(), Error> {
        let options = self.suited(message, settings);
        self.session_mut()
            .begin(envelope, options, bounds, now)
            .map_err(|failure| self.error(failure, None, now))
            .inspect_err(traced::failed)?;
        self.count_transaction();
        Ok(())
    }

    /// Queues a transaction behind the one that is under way, and says whether that could be done.
    pub(crate) fn follow(
        &mut self,
        envelope: &Envelope,
        message: &Message<'_>,
        settings: &Settings<'_>,
    ) -> bool {
        let options = self.suited(message, settings);
        let now = clock::now();
        let follows = self.session_mut().follow(envelope, options, now).is_ok();
        if follows {
            self.count_transaction();
        }
        follows
    }

    /// Sends the message of the transaction that is under way, and waits for what the server says.
    pub(crate) async fn end<'m>(
        &mut self,
        guard: &mut Guard<'_>,
        message: &mut Message<'m>,
        settings: Settings<'m>,
        behind: &mut dyn Behind,
        started: Instant,
    ) -> Result<Receipt, Error> {
        let span = traced::transaction_with(self.endpoint());
        let transaction = pin!(self.run_out(guard, message, settings, behind, started));
        traced::transaction(span, transaction).await
    }

    async fn run_out<'m>(
        &mut self,
        guard: &mut Guard<'_>,
        message: &mut Message<'m>,
        settings: Settings<'m>,
        behind: &mut dyn Behind,
        started: Instant,
    ) -> Result<Receipt, Error> {
        let seven_bit = self.must_be_seven_bit(message, &settings);
        if self.extensions().chunking()
            && (settings.options.chunking != Chunking::Never
                || settings.body == Some(BodyType::BinaryMime))
        {
            message.gather();
        }
        let mut payload = Payload {
            size: settings.on_progress.as_ref().and_then(|_| message.size()),
            message: std::mem::replace(message, Message::from(&[])),
            on_progress: settings.on_progress,
            seven_bit,
            octets: 0,
        };
        let result = self.run_with(guard, &mut payload, behind, started).await;
        *message = payload.message;
        match result? {
            Completed::Accepted(acceptance) => Ok(Receipt {
                acceptance,
                endpoint: self.named(),
                address: self.address(),
                elapsed: clock::now().saturating_duration_since(started),
                earlier: Arc::default(),
            }),
            _ => Err(self.no_answer(started)),
        }
    }
}
