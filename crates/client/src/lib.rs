//! An SMTP client whose every call ends in time and tells the truth about the message.

mod bounds;
mod client;
mod clock;
mod connection;
mod connector;
mod dial;
mod error;
mod exchange;
mod guard;
mod message;
mod receipt;
mod resolver;
mod tcp;
mod transaction;

pub use bounds::Bounds;
pub use client::{Client, ClientBuilder, ClientError};
pub use connection::Connection;
pub use connector::Connector;
pub use error::{Attempt, Error};
pub use exchange::Progress;
pub use message::Message;
pub use proto::transparency::{LineEndings, wire_octets};
pub use proto::{
    BodyType, EhloName, EnhancedStatusCode, Envelope, FailureKind, ForwardPath, Limit, Limits,
    NoRecipients, Outcome, PathError, Phase, ProtocolError, Recipient, RecipientStatus, Reply,
    ReplyCode, ReplyError, Require, ReversePath, Timeouts, TimeoutsError, Timings, UnknownPhase,
    Unsupported, WorstCase, WorstCaseItem, ext,
};
pub use receipt::Receipt;
pub use resolver::SystemResolver;
pub use tcp::TcpConnector;
pub use tokio_util::sync::CancellationToken;
pub use transaction::Transaction;
