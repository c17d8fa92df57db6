//! Why a call failed: where, what, and what became of the message.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use proto::{
    Failure, FailureKind, Limit, Outcome, Phase, Recipient, Reply, ReplyCode, Timings, Unsupported,
};

use crate::proxy::ProxyError;

/// A failed call.
///
/// It says the phase, what happened, and what became of the message, which decides whether it may
/// be sent again. One word wide. `Display` prints this level only; [`source`](std::error::Error::source)
/// has the operating system's error where there is one. The wording is no part of the interface.
///
/// ```
/// # async fn f(client: postbound::Client, envelope: postbound::Envelope) {
/// use postbound::Outcome;
/// use std::time::Duration;
///
/// match client.send(&envelope, "Subject: x\r\n\r\ny\r\n", Duration::from_secs(30)).await {
///     Ok(receipt) => println!("{}", receipt.reply()),
///     Err(error) if error.outcome() == Outcome::NotAccepted => println!("safe to resend: {error}"),
///     Err(error) => println!("may have been delivered: {error}"),
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    failure: Box<Failure>,
    endpoint: String,
    address: Option<SocketAddr>,
    attempts: Vec<Attempt>,
    elapsed: Duration,
    timings: Timings,
    cause: Option<io::Error>,
    earlier: Vec<Error>,
}

/// An address that was tried in vain.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// The address.
    pub address: SocketAddr,
    /// How long it was tried.
    pub elapsed: Duration,
    /// What it answered; `None` if it did not answer in its time.
    pub error: Option<io::Error>,
}

/// What a call knows of itself when it fails.
#[derive(Debug, Default)]
pub(crate) struct Context {
    pub(crate) endpoint: String,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) elapsed: Duration,
    pub(crate) timings: Timings,
    pub(crate) cause: Option<io::Error>,
}

impl Error {
    pub(crate) fn new(failure: Box<Failure>, context: Context) -> Self {
        Self(Box::new(Inner {
            failure,
            endpoint: context.endpoint,
            address: context.address,
            attempts: context.attempts,
            elapsed: context.elapsed,
            timings: context.timings,
            cause: context.cause,
            earlier: Vec::new(),
        }))
    }

    /// The phase in which the call ended.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.failure.phase
    }

    /// What happened, and so whose fault it is.
    #[must_use]
    pub fn kind(&self) -> &FailureKind {
        &self.0.failure.kind
    }

    /// What became of the message. Never [`Outcome::Accepted`].
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.0.failure.outcome
    }

    /// What the server said about the credentials in a challenge, before it refused them: the JSON of
    /// XOAUTH2 and OAUTHBEARER.
    #[must_use]
    pub fn auth_detail(&self) -> Option<&str> {
        self.0.failure.detail.as_deref()
    }

    /// The server's reply that decided it, if one did.
    #[must_use]
    pub fn reply(&self) -> Option<&Reply> {
        self.0.failure.reply.as_ref()
    }

    /// What was known of each recipient by then.
    #[must_use]
    pub fn recipients(&self) -> &[Recipient] {
        &self.0.failure.recipients
    }

    /// The server, as `host:port`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// The address that was connected, if one was.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.address
    }

    /// The addresses that were tried in vain.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.attempts
    }

    /// The failures of the same call that came before this one: of endpoints that were passed over
    /// and of attempts that were made again. Each says its endpoint, its phase and how long it
    /// lasted.
    #[must_use]
    pub fn earlier(&self) -> &[Self] {
        &self.0.earlier
    }

    /// How long the call lasted.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed
    }

    /// How long each phase lasted, without the [earlier](Self::earlier) failures' phases.
    #[must_use]
    pub fn timings(&self) -> &Timings {
        &self.0.timings
    }

    /// The phase's limit, if that is what ran out.
    #[must_use]
    pub fn limit(&self) -> Option<Duration> {
        match self.kind() {
            FailureKind::TimedOut(Limit::Phase(limit)) => Some(*limit),
            _ => None,
        }
    }

    /// Whether time ran out: a phase's limit, the call's deadline or its reserve.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    /// # runtime.block_on(async {
    /// use postbound_simnet::{Double, Plan, net::mem::Network};
    /// let network = Network::new(Double::new("v1 | greeting: stall".parse::<Plan>()?));
    /// let client = postbound::Client::builder("mx.example", 25).connector(network.connector()).build()?;
    /// let error = client.connect(std::time::Duration::from_secs(3)).await.unwrap_err();
    /// assert!(error.is_timeout());
    /// assert_eq!(error.phase(), postbound::Phase::Greeting);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.kind(), FailureKind::TimedOut(_))
    }

    /// Whether a token of the call was cancelled.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    /// # runtime.block_on(async {
    /// use postbound_simnet::{Double, Plan, net::mem::Network};
    /// let network = Network::new(Double::new(Plan::healthy()));
    /// let client = postbound::Client::builder("mx.example", 25).connector(network.connector()).build()?;
    /// let token = postbound::CancellationToken::new();
    /// token.cancel();
    /// let error = client.connect(&token).await.unwrap_err();
    /// assert!(error.is_cancelled());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.kind() == FailureKind::Cancelled
    }

    /// Whether the server said no, in a complete reply that [`reply`](Self::reply) has.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    /// # runtime.block_on(async {
    /// use postbound_simnet::{Double, Plan, net::mem::Network};
    /// let network = Network::new(Double::new("v1 | greeting: reply 554 5.7.1 go away".parse::<Plan>()?));
    /// let client = postbound::Client::builder("mx.example", 25).connector(network.connector()).build()?;
    /// let error = client.connect(std::time::Duration::from_secs(3)).await.unwrap_err();
    /// assert!(error.is_refused() && error.is_permanent());
    /// assert_eq!(error.reply().map(|reply| reply.code().get()), Some(554));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_refused(&self) -> bool {
        *self.kind() == FailureKind::Refused
    }

    /// Whether the same call would fail again however often it is made: a 5yz reply, a proxy that
    /// refuses for good ([`ProxyError::is_permanent`]), or a message that the server can't take or
    /// that can't be sent as it is. See
    /// [`is_refused`](Self::is_refused) for an example.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self.kind() {
            FailureKind::Refused => self.reply().is_some_and(Reply::is_permanent_failure),
            // A server that does not offer STARTTLS may do so when it is asked again.
            FailureKind::Unsupported(what) => *what != Unsupported::StartTls,
            FailureKind::Message(_) | FailureKind::Path(_) | FailureKind::Domain(_) => true,
            FailureKind::Auth(error) => error.is_callers(),
            FailureKind::Broken => self.proxy().is_some_and(|proxy| proxy.is_permanent()),
            _ => false,
        }
    }

    /// Whether the same call may do better a little later, or on another server: nothing was
    /// accepted, and it is a 4yz reply, a server that can't be reached or does not keep to the
    /// protocol, or a limit that ran out while the call's own deadline had not.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    /// # runtime.block_on(async {
    /// use postbound_simnet::{Double, Plan, net::mem::Network};
    /// let network = Network::new(Double::new("v1 | greeting: reply 450 4.3.2 later".parse::<Plan>()?));
    /// let client = postbound::Client::builder("mx.example", 25).connector(network.connector()).build()?;
    /// let error = client.connect(std::time::Duration::from_secs(3)).await.unwrap_err();
    /// assert!(error.is_transient() && !error.is_permanent());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_transient(&self) -> bool {
        let may_help = match self.kind() {
            FailureKind::Refused => !self.is_permanent(),
            FailureKind::TimedOut(limit) => matches!(limit, Limit::Phase(_) | Limit::Share(_)),
            FailureKind::Protocol(_) | FailureKind::Closed | FailureKind::CircuitOpen(_) => true,
            FailureKind::Broken => !self.is_permanent(),
            _ => false,
        };
        may_help && self.outcome() == Outcome::NotAccepted
    }

    /// Whether the message may have been taken although the call failed (RFC 1047): only if the
    /// last octet of the end of mail data had left and no final reply came.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    /// # runtime.block_on(async {
    /// use postbound_simnet::{Double, Plan, net::mem::Network};
    /// let network = Network::new(Double::new("v1 | data-termination: commit; nothing; stall".parse::<Plan>()?));
    /// let client = postbound::Client::builder("mx.example", 25).connector(network.connector()).build()?;
    /// let envelope = postbound::Envelope::new("a@example.org".parse()?, ["b@example.org".parse()?])?;
    /// let error = client.send(&envelope, "Subject: x\r\n\r\ny\r\n", std::time::Duration::from_secs(3)).await.unwrap_err();
    /// assert!(error.is_ambiguous());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        self.outcome() == Outcome::Ambiguous
    }

    /// Whether the connection came to its end before anything of the transaction was answered.
    pub(crate) fn is_unanswered(&self) -> bool {
        let ended = match self.kind() {
            FailureKind::Closed | FailureKind::Broken => true,
            FailureKind::Refused => self.is_closing(),
            _ => false,
        };
        ended
            && matches!(self.phase(), Phase::Reset | Phase::Mail)
            && self.outcome() == Outcome::NotAccepted
    }

    /// Whether the server asks for the same again later because it does not know the client yet.
    pub(crate) fn is_greylisting(&self) -> bool {
        self.is_refused()
            && self.reply().is_some_and(|reply| {
                matches!(reply.code().get(), 450 | 451)
                    && reply
                        .enhanced()
                        .is_some_and(|status| status.to_string() == "4.7.1")
            })
    }

    /// Why a proxy opened no tunnel, if that is what happened.
    fn proxy(&self) -> Option<ProxyError> {
        ProxyError::within(self.0.cause.as_ref()?)
    }

    /// Whether a proxy forbids this server and may allow another one.
    pub(crate) fn is_forbidden_by_proxy(&self) -> bool {
        self.proxy().is_some_and(|proxy| proxy.forbids_server())
    }

    /// Whether there is no TLS where there has to be.
    pub(crate) fn is_tls(&self) -> bool {
        matches!(
            self.kind(),
            FailureKind::Tls(_) | FailureKind::Unsupported(Unsupported::StartTls)
        )
    }

    /// Whether it says something about the server, and not about the caller, its hurry or its message.
    pub(crate) fn is_of_server(&self) -> bool {
        match self.kind() {
            FailureKind::TimedOut(limit) => matches!(limit, Limit::Phase(_) | Limit::Share(_)),
            FailureKind::Refused
            | FailureKind::Protocol(_)
            | FailureKind::Closed
            | FailureKind::Broken => true,
            _ => false,
        }
    }

    /// Whether the other servers come first after a transaction that ended like this. One that
    /// answers, even if it says no, is as good as the others, unless it says that it goes.
    pub(crate) fn breaks_off(&self) -> bool {
        self.is_of_server() && (!self.is_refused() || self.is_closing())
    }

    /// Whether the server said that it closes the connection.
    pub(crate) fn is_closing(&self) -> bool {
        self.reply()
            .is_some_and(|reply| reply.code() == ReplyCode::SERVICE_UNAVAILABLE)
    }

    pub(crate) fn merge_dial(&mut self, timings: &Timings, elapsed: Duration) {
        self.0.timings.merge(timings);
        self.lasted(elapsed);
    }

    pub(crate) fn add_time(&mut self, phase: Phase, spent: Duration) {
        self.0.timings.add(phase, spent);
    }

    pub(crate) fn lasted(&mut self, elapsed: Duration) {
        self.0.elapsed = elapsed;
    }

    /// The deadline that passed was not the call's own but this limit.
    pub(crate) fn name_limit(&mut self, limit: Limit) {
        self.0.failure.kind = FailureKind::TimedOut(limit);
    }

    pub(crate) fn take_earlier(&mut self) -> Vec<Self> {
        std::mem::take(&mut self.0.earlier)
    }

    /// The end of a call that had these failures before. What one attempt left ambiguous stays so.
    pub(crate) fn behind(mut self, mut earlier: Vec<Self>) -> Self {
        for before in &earlier {
            if before.is_ambiguous() {
                self.0.failure.outcome = Outcome::Ambiguous;
            }
        }
        earlier.append(&mut self.0.earlier);
        self.0.earlier = earlier;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.phase(), self.kind())?;
        if let (FailureKind::Refused | FailureKind::Protocol(_), Some(reply)) =
            (self.kind(), self.reply())
        {
            write!(f, ": {reply}")?;
        }
        let outcome = match self.outcome() {
            Outcome::Ambiguous => "the message may have been accepted",
            _ => "the message was not accepted",
        };
        write!(
            f,
            " ({}, after {:.3} s; {outcome})",
            self.endpoint(),
            self.elapsed().as_secs_f64()
        )?;
        match self.earlier().len() {
            0 => Ok(()),
            1 => f.write_str(", behind 1 earlier failure"),
            more => write!(f, ", behind {more} earlier failures"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match (&self.0.cause, &self.0.failure.kind) {
            // An error of TLS or of a proxy comes wrapped; the wrapping says nothing of its own, and
            // would leave what is in it out.
            (Some(cause), _) => match cause.get_ref() {
                Some(inner) if inner.is::<rustls::Error>() || inner.is::<ProxyError>() => {
                    Some(inner)
                }
                _ => Some(cause),
            },
            (None, FailureKind::Protocol(proto::ProtocolError::Reply(error))) => Some(error),
            (None, FailureKind::Message(error)) => Some(error),
            (None, FailureKind::Auth(error)) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proto::{Failure, FailureKind, Limit, Outcome, Phase};

    use super::{Context, Error};

    #[test]
    fn a_caller_in_a_hurry_does_not_blame_the_server() {
        let is_of_server = |kind| {
            let failure = Failure::new(Phase::Greeting, kind, Outcome::NotAccepted);
            Error::new(Box::new(failure), Context::default()).is_of_server()
        };
        let limit = Duration::from_secs(1);
        assert!(is_of_server(FailureKind::TimedOut(Limit::Phase(limit))));
        assert!(is_of_server(FailureKind::Refused));
        assert!(!is_of_server(FailureKind::TimedOut(Limit::Deadline)));
        let reserve = Limit::Reserve(limit);
        assert!(!is_of_server(FailureKind::TimedOut(reserve)));
        assert!(!is_of_server(FailureKind::Cancelled));
    }

    #[test]
    fn an_error_is_one_word_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn an_error_crosses_threads() {
        fn crosses<T: Send + Sync + 'static>() {}
        crosses::<Error>();
    }
}
