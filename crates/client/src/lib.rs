//! An SMTP client whose every call ends in time and tells the truth about the message.
//!
//! ```
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
//! # runtime.block_on(async {
//! use postbound::{Client, Envelope, Outcome};
//! use postbound_simnet::{Double, net::mem::Network};
//! use std::time::Duration;
//!
//! // A server that takes the message and never says so, on a simulated network.
//! let network = Network::new(Double::new("v1 | data-termination: commit; stall".parse()?));
//! let client = Client::builder("mx.example", 25).connector(network.connector()).build()?;
//! let envelope = Envelope::new("me@example.net".parse()?, ["you@example.org".parse()?])?;
//!
//! let error = client
//!     .send(&envelope, "Subject: hello\r\n\r\nworld\r\n", Duration::from_secs(30))
//!     .await
//!     .unwrap_err();
//! assert_eq!(error.elapsed(), Duration::from_secs(30));
//! assert_eq!(error.outcome(), Outcome::Ambiguous); // do not send it again
//! assert_eq!(network.double().ledger().committed(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Overview
//!
//! [`Client`] → [`Connection`] → [`Transaction`] → [`Receipt`]. [`Client::send`] is all of it for one
//! message. Every call takes [`Bounds`]: a duration, an instant, a [`CancellationToken`] or several;
//! the limits of each [`Phase`] ([`Timeouts`]) always hold underneath, and
//! [`Timeouts::worst_case`] says before a call how long it can last. A failed call says the phase,
//! what happened and what became of the message ([`Error`], [`Outcome`]).
//!
//! # What it does
//!
//! SMTP in clear, with STARTTLS or with TLS from the first octet ([`Security`]); PIPELINING, SIZE, 8BITMIME, ENHANCEDSTATUSCODES, SMTPUTF8, DSN, REQUIRETLS,
//! LIMITS, DELIVERBY, MT-PRIORITY and FUTURERELEASE, whose parameters are part of the [`Envelope`];
//! authentication with a password, a token or a certificate ([`Auth`]);
//! partial acceptance of recipients; messages from memory or from a reader, without a copy; any network through
//! [`Connector`].
//!
//! It never sends anything twice unless [`Retry::may_duplicate`] asks for it.
//!
//! The feature `tracing` tells phases, endpoints, durations and outcomes to that crate.
//!
//! [`design`] says why it is built the way it is.

mod attempts;
mod auth;
#[cfg(feature = "blocking")]
pub mod blocking;
mod bounds;
mod certificate;
mod client;
mod clock;
mod connection;
mod connector;
mod dial;
mod endpoint;
mod error;
mod exchange;
mod guard;
mod handshake;
#[cfg(feature = "lettre")]
mod lettre;
mod message;
mod mx;
mod pool;
mod proxy;
mod receipt;
mod resolver;
mod retry;
mod route;
mod seed;
mod step;
mod tcp;
mod tls;
mod traced;
mod transaction;
mod transcript;
mod transport;
mod url;

pub use auth::Auth;
pub use bounds::Bounds;
pub use client::{Client, ClientBuilder, ClientError};
pub use connection::Connection;
pub use connector::Connector;
pub use endpoint::Endpoint;
pub use error::{Attempt, Error};
pub use exchange::Progress;
pub use handshake::TlsFacts;
#[cfg(feature = "lettre")]
pub use lettre::Mailer;
pub use message::Message;
#[cfg(feature = "mx")]
pub use mx::Dns;
pub use mx::{Delivered, Exchange, Exchanges, LookupError, Mx};
pub use pool::{Circuit, Mail, Pool, PoolBuilder, Pooled, SendAll, Sent};
pub use proto::transparency::{LineEndings, wire_octets};
pub use proto::{
    BodyType, CertificateProblem, Chunking, CommandError, CustomCommand, DomainProblem, EhloName,
    EnhancedStatusCode, Envelope, FailureKind, ForwardPath, Limit, Limits, Line, MailParameters,
    NoRecipients, Outcome, PathError, Phase, Protocol, ProtocolError, RcptParameters, Recipient,
    RecipientStatus, Reply, ReplyCode, ReplyError, Require, ReversePath, Security, Timeouts,
    TimeoutsError, Timings, TlsProblem, UnknownPhase, UnknownSecurity, Unsupported, WorstCase,
    WorstCaseItem, ext, sasl,
};
pub use proxy::{Proxied, Proxy, ProxyError};
pub use receipt::Receipt;
pub use resolver::SystemResolver;
pub use retry::{Budget, Retry};
pub use rustls;
pub use tcp::TcpConnector;
pub use tls::Tls;
pub use tokio_util::sync::CancellationToken;
pub use transaction::Transaction;
pub use transcript::TranscriptEntry;
pub use url::UrlError;

#[doc = include_str!("../../../docs/DESIGN.md")]
pub mod design {}

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
