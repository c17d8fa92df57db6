//! Who the client is, and where it gets the proof from.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use proto::sasl::{self, AuthError, AuthPolicy, BindingKind, ChannelBinding, Credentials, Secret};
use proto::{Completed, Failure, FailureKind, Limits, Outcome, Phase, Timings};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::bounds::Bounds;
use crate::clock;
use crate::connection::Connection;
use crate::error::Error;
use crate::exchange::Payload;
use crate::guard::Guard;
use crate::handshake::TlsFacts;
use crate::step::{Due, step};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Token = Pin<Box<dyn Future<Output = Result<Secret, BoxError>> + Send>>;
type Provider = dyn Fn() -> Token + Send + Sync;
type Nonces = dyn Fn() -> io::Result<[u8; NONCE]> + Send + Sync;

/// Octets of a SCRAM nonce: as many as make it unguessable, and 24 characters.
const NONCE: usize = 18;

/// How a client authenticates: with which [`Credentials`], and under which [`AuthPolicy`].
///
/// ```
/// use postbound::Auth;
/// use postbound::sasl::{AuthPolicy, Credentials, Strength};
///
/// let auth = Auth::new(Credentials::password("me", "secret"))
///     .policy(AuthPolicy::new().floor(Strength::Scram));
/// assert!(!format!("{auth:?}").contains("secret"));
/// ```
#[derive(Clone)]
pub struct Auth {
    source: Source,
    policy: AuthPolicy,
    binding: Option<BindingKind>,
    nonces: Arc<Nonces>,
}

#[derive(Clone)]
enum Source {
    Fixed(Credentials),
    Provided {
        user: String,
        provider: Arc<Provider>,
    },
}

impl Auth {
    /// With these credentials and the default policy.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self::from_source(Source::Fixed(credentials))
    }

    /// With an access token that `provider` is asked for each time, such as one that refreshes it. It
    /// is asked only where the server offers a mechanism for it, it may take the limit of
    /// [`Phase::Auth`] and no longer, and it is dropped if the call ends meanwhile.
    ///
    /// ```
    /// use postbound::Auth;
    /// use postbound::sasl::Secret;
    ///
    /// let auth = Auth::token_provider("me@example.org", || async {
    ///     Ok::<_, std::io::Error>(Secret::from("ya29.token"))
    /// });
    /// # let _ = auth;
    /// ```
    pub fn token_provider<F, T, E>(user: impl Into<String>, provider: F) -> Self
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output = Result<Secret, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let provider = move || -> Token {
            let token = provider();
            Box::pin(async move { token.await.map_err(Into::into) })
        };
        Self::from_source(Source::Provided {
            user: user.into(),
            provider: Arc::new(provider),
        })
    }

    fn from_source(source: Source) -> Self {
        Self {
            source,
            policy: AuthPolicy::default(),
            binding: None,
            nonces: Arc::new(|| {
                let mut nonce = [0; NONCE];
                getrandom::fill(&mut nonce)
                    .map(|()| nonce)
                    .map_err(io::Error::other)
            }),
        }
    }

    /// Which mechanisms may be used. Default: [`AuthPolicy::new`].
    #[must_use]
    pub fn policy(mut self, policy: AuthPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Binds the -PLUS mechanisms to the connection's TLS in this way and no other. Default: by
    /// `tls-exporter` under TLS 1.3 (RFC 9266), by `tls-server-end-point` under TLS 1.2 (RFC 5929),
    /// whose certificate has to be signed with a hash of its own, which Ed25519's are not. SMTP has no
    /// way to ask a server which of them it knows.
    ///
    /// ```
    /// use postbound::Auth;
    /// use postbound::sasl::{BindingKind, Credentials};
    ///
    /// let auth = Auth::new(Credentials::password("me", "secret"))
    ///     .channel_binding(BindingKind::TlsServerEndPoint);
    /// # let _ = auth;
    /// ```
    #[must_use]
    pub fn channel_binding(mut self, kind: BindingKind) -> Self {
        self.binding = Some(kind);
        self
    }

    /// Another source of nonces than the operating system's, for a simulation. Whoever can guess a
    /// nonce can use a server's answer again.
    #[must_use]
    pub fn nonces(
        mut self,
        nonces: impl Fn() -> io::Result<[u8; NONCE]> + Send + Sync + 'static,
    ) -> Self {
        self.nonces = Arc::new(nonces);
        self
    }

    /// How often the limit of [`Phase::Auth`] can run out: for each reply, and for a token's provider.
    pub(crate) fn rounds(&self, limits: &Limits) -> u64 {
        let replies = u64::try_from(limits.auth_rounds.max(1)).unwrap_or(u64::MAX);
        let asked = u64::from(matches!(self.source, Source::Provided { .. }));
        replies.saturating_add(asked)
    }

    fn request(&self, credentials: Credentials, nonce: [u8; NONCE]) -> sasl::Auth {
        let mut request = sasl::Auth::new(credentials, sasl::nonce(&nonce));
        request.policy = self.policy.clone();
        request
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Auth");
        match &self.source {
            Source::Fixed(credentials) => debug.field("credentials", credentials),
            Source::Provided { user, .. } => debug.field("user", user),
        };
        debug.field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Authenticates (RFC 4954). [`ClientBuilder::auth`](crate::ClientBuilder::auth) does it for
    /// every connection of a client.
    ///
    /// Ends within the limit of [`Phase::Auth`] times
    /// [`Limits::auth_rounds`](crate::Limits::auth_rounds), once more if a token's provider is asked,
    /// and within `bounds`.
    ///
    /// # Errors
    /// If the server does not accept who the client is, or the policy does not let it say so. After
    /// a refusal the connection can be used again.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection, unless nothing has been sent.
    pub async fn authenticate<'t>(
        &mut self,
        auth: &Auth,
        bounds: impl Into<Bounds<'t>>,
    ) -> Result<(), Error> {
        let asked = bounds.into();
        let (bounds, mut guard) = asked.start();
        self.authenticate_with(&mut guard, auth, bounds).await
    }

    pub(crate) async fn authenticate_with(
        &mut self,
        guard: &mut Guard<'_>,
        auth: &Auth,
        bounds: proto::Bounds,
    ) -> Result<(), Error> {
        let started = clock::now();
        let failed = |kind| Box::new(Failure::new(Phase::Auth, kind, Outcome::NotAccepted));
        let nonce = (auth.nonces)().map_err(|error| {
            let kind = FailureKind::Auth(AuthError::Nonce);
            self.error(failed(kind), Some(error), started)
        })?;
        let (secure, bindings) = self.channel(auth.binding);
        let on_channel = |credentials| {
            let mut request = auth.request(credentials, nonce);
            request.secure = secure;
            request.bindings.clone_from(&bindings);
            request
        };
        match &auth.source {
            Source::Fixed(credentials) => {
                let request = on_channel(credentials.clone());
                self.prove(guard, request, bounds).await
            }
            Source::Provided { user, provider } => {
                // Nobody is asked for a token that could not be used.
                self.session_mut()
                    .mechanisms(&on_channel(Credentials::token(user, "")))
                    .map_err(|error| self.error(failed(FailureKind::Auth(error)), None, started))?;
                let limit = self.session_mut().timeouts().of(Phase::Auth);
                let due = Due::of(limit, bounds, started);
                let token = step(guard, provider(), due).await;
                let mut timings = Timings::default();
                timings.add(Phase::Auth, clock::now().saturating_duration_since(started));
                let (kind, cause) = match token {
                    Ok(Ok(token)) => {
                        self.add_dialled(&timings);
                        return self
                            .prove(guard, on_channel(Credentials::token(user, token)), bounds)
                            .await;
                    }
                    Ok(Err(error)) => (
                        FailureKind::Auth(AuthError::Provider),
                        Some(io::Error::other(error)),
                    ),
                    Err(kind) => (kind, None),
                };
                let mut failure = failed(kind);
                failure.timings = timings;
                Err(self.error(failure, cause, started))
            }
        }
    }

    async fn prove(
        &mut self,
        guard: &mut Guard<'_>,
        request: sasl::Auth,
        bounds: proto::Bounds,
    ) -> Result<(), Error> {
        let started = clock::now();
        if let Err(failure) = self.session_mut().authenticate(request, bounds, started) {
            return Err(self.error(failure, None, started));
        }
        match self.run(guard, &mut Payload::none()).await? {
            Completed::Authenticated(timings) => {
                self.add_dialled(&timings);
                Ok(())
            }
            _ => Err(self.no_answer(started)),
        }
    }

    /// Whether the connection is encrypted and its peer verified, and what can be bound to.
    fn channel(&self, only: Option<BindingKind>) -> (bool, Vec<ChannelBinding>) {
        // Whoever is at the other end of an unverified connection is a listener, too.
        let secure = self.tls().is_some_and(|tls| tls.is_verified());
        let bindings = self.tls().into_iter().flat_map(TlsFacts::bindings);
        let wanted = |binding: &ChannelBinding| only.is_none_or(|kind| binding.kind() == kind);
        (secure, bindings.filter(wanted).collect())
    }
}
