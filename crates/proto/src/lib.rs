//! SMTP's client side as a value: octets and instants in, octets and results out.
//!
//! No runtime, no socket, no clock and no randomness: whoever drives a [`Session`] brings them. That
//! is what lets a simulation replay it exactly, a proof enumerate it and any runtime use it.
//!
//! > **The contract.** Hand over every octet you read, report every octet that the transport took,
//! > and do not wait past [`Session::deadline`].
//!
//! A whole dialogue, with every octet:
//!
//! ```
//! use postbound_proto::*;
//! use std::io::IoSlice;
//! use std::time::{Duration, Instant};
//!
//! /// Takes what the session wants to say, as a transport would.
//! fn say(session: &mut Session, chunk: &[u8], now: Instant) -> String {
//!     let mut slices = [IoSlice::new(&[]); 8];
//!     let count = session.transmit(chunk, &mut slices, now);
//!     let octets: Vec<u8> = slices[..count].iter().flat_map(|s| s.to_vec()).collect();
//!     session.transmitted(octets.len(), chunk, now);
//!     String::from_utf8(octets).unwrap()
//! }
//!
//! let now = Instant::now();
//! let mut session = Session::open(Config::new("me.example".parse()?), Bounds::NONE, now);
//! assert_eq!(session.phase(), Some(Phase::Greeting));
//! assert_eq!(session.deadline(), Some(now + Timeouts::default().of(Phase::Greeting)));
//!
//! session.receive(b"220 mx.example ESMTP\r\n", now);
//! assert_eq!(say(&mut session, b"", now), "EHLO me.example\r\n");
//! session.receive(b"250-mx.example\r\n250-PIPELINING\r\n250 SIZE 1000\r\n", now);
//! assert!(matches!(session.take_result(), Some(Ok(Completed::Ready(_)))));
//! assert!(session.is_idle() && session.extensions().pipelining());
//!
//! let envelope = Envelope::new("a@example.org".parse()?, ["b@example.org".parse()?, "c@example.org".parse()?])?;
//! session.begin(&envelope, TransactionOptions::default(), Bounds::NONE, now).map_err(|f| f.kind.to_string())?;
//! // One group in one write (RFC 2920), replies in any fragmentation.
//! assert_eq!(
//!     say(&mut session, b"", now),
//!     "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\nDATA\r\n"
//! );
//! session.receive(b"250 ok\r\n250 ok\r\n550 5.1.1 no such us", now);
//! session.receive(b"er\r\n354 go ahead\r\n", now);
//!
//! // The source's octets are handed out in place; transparency is taken care of.
//! let message = b"Subject: x\r\n\r\n.hidden\r\n";
//! assert!(session.needs_chunk());
//! session.provide(message, true, now);
//! assert_eq!(session.outcome(), Outcome::NotAccepted);
//! assert_eq!(say(&mut session, message, now), "Subject: x\r\n\r\n..hidden\r\n.\r\n");
//! // From the last octet on, the server may have the message.
//! assert_eq!(session.outcome(), Outcome::Ambiguous);
//! assert_eq!(session.phase(), Some(Phase::DataTermination));
//!
//! session.receive(b"250 2.0.0 queued\r\n", now + Duration::from_secs(1));
//! let Some(Ok(Completed::Accepted(acceptance))) = session.take_result() else { panic!() };
//! assert_eq!(acceptance.reply.to_string(), "250 2.0.0 queued");
//! assert!(acceptance.recipients[0].is_accepted() && !acceptance.recipients[1].is_accepted());
//! assert_eq!(acceptance.timings.of(Phase::DataTermination), Some(Duration::from_secs(1)));
//! assert!(session.is_idle() && session.deadline().is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The state graph
//!
//! ```text
//!                 open                begin                      quit
//!                  │         ┌──────────┼──────────┐               │
//!                  ▼         │          ▼          │               ▼
//!   ┌──────────────────────┐ │   (Reset, if due)   │         ┌───────────┐
//!   │ Greeting ── 220 ──┐  │ │          │          │         │   Quit    │
//!   │                   ▼  │ │          ▼          │         └─────┬─────┘
//!   │  Ehlo ──500,502,504  │ │  Mail, Rcpt…, Data- │               │ any reply
//!   │   │        │ (HELO)  │ │  Initiation         │               ▼
//!   │   └──250───┴──250──┐ │ │    │ 354     │ no   │             spent
//!   └────────────────────┼─┘ │    ▼         │      │
//!                        │   │ DataBlock    │      │   4yz, 5yz, 421 or anything else meanwhile:
//!                        ▼   │    │ last   │      │   spent, NotAccepted
//!                      idle ◀┘    │ octet  │      │
//!                        ▲        ▼        │      │
//!                        │   DataTermination      │   nothing, or no valid reply: spent, Ambiguous
//!                        │    │ 2yz      │ no     │
//!                        └────┴──────────┴────────┘
//!                        Accepted   NotAccepted
//! ```
//!
//! A 421, an expiry, a cancellation, a close or an octet too many at any place leads to *spent*: the
//! session refuses every further call.
//!
//! # What it does not do
//!
//! It does not look names up, connect or encrypt, and it knows no queue: one session
//! is one connection.

mod bounds;
mod command;
mod envelope;
pub mod ext;
mod failure;
#[cfg(feature = "lettre")]
mod lettre;
mod limits;
mod outcome;
mod parameters;
mod path;
mod phase;
mod protocol;
mod reader;
mod reply;
pub mod sasl;
mod scan;
mod security;
mod session;
mod timeouts;
pub mod transparency;
mod worst_case;

pub use bounds::Bounds;
pub use command::{CommandError, CustomCommand};
pub use envelope::{
    BodyType, Chunking, Envelope, NoRecipients, Recipient, RecipientStatus, Require,
    TransactionOptions,
};
pub use failure::{
    CertificateProblem, DomainProblem, Failure, FailureKind, Limit, ProtocolError, TlsProblem,
    Unsupported,
};
pub use limits::Limits;
pub use outcome::Outcome;
pub use parameters::{MailParameters, RcptParameters};
pub use path::{EhloName, ForwardPath, PathError, ReversePath};
pub use phase::{Phase, UnknownPhase};
pub use protocol::Protocol;
pub use reader::{ReplyError, ReplyReader};
pub use reply::{EnhancedStatusCode, Reply, ReplyClass, ReplyCode};
pub use security::{Security, UnknownSecurity};
pub use session::{Acceptance, Completed, Config, Line, Observer, Session, Timings};
pub use timeouts::{Timeouts, TimeoutsError};
pub use worst_case::{WorstCase, WorstCaseItem};
