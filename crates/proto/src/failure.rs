//! Why a call ended without what it was for: where, what and so-what.

use core::fmt;
use core::time::Duration;

use crate::envelope::Recipient;
use crate::sasl::AuthError;
use crate::transparency::BareLineEnding;
use crate::{Outcome, PathError, Phase, Reply, ReplyError, Timings};

/// Why a session's call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The phase it ended in.
    pub phase: Phase,
    /// What happened.
    pub kind: FailureKind,
    /// What became of the message.
    pub outcome: Outcome,
    /// The reply that decided it, or the last one that came before it.
    pub reply: Option<Reply>,
    /// What the server said about the credentials in a challenge, as XOAUTH2 and OAUTHBEARER have it.
    pub detail: Option<String>,
    /// What was known of each recipient by then. Empty if the call named none.
    pub recipients: Vec<Recipient>,
    /// How long each phase of the call lasted.
    pub timings: Timings,
}

impl Failure {
    /// A failure that knows nothing but these three.
    #[must_use]
    pub fn new(phase: Phase, kind: FailureKind, outcome: Outcome) -> Self {
        Self {
            phase,
            kind,
            outcome,
            reply: None,
            detail: None,
            recipients: Vec::new(),
            timings: Timings::default(),
        }
    }
}

/// What happened, and so whose fault it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// The peer said no, in a complete reply.
    Refused,
    /// The peer broke the protocol.
    Protocol(ProtocolError),
    /// The time was up.
    TimedOut(Limit),
    /// The caller cancelled.
    Cancelled,
    /// TLS could not be had, or broke.
    Tls(TlsProblem),
    /// The peer closed the connection.
    Closed,
    /// The transport failed.
    Broken,
    /// The authentication came to nothing, other than by a refusal.
    Auth(AuthError),
    /// The message needs what the server does not offer. Nothing was sent.
    Unsupported(Unsupported),
    /// The caller's message can't be sent as it is.
    Message(BareLineEnding),
    /// An address of the caller's can't stand in a command. Nothing was sent.
    Path(PathError),
    /// The source of the message failed or did not keep to its declared length.
    Source,
    /// The recipients' domain takes no mail. Nothing was sent.
    Domain(DomainProblem),
    /// The connection is not at rest, or no longer usable. Nothing was sent.
    NotIdle,
    /// Every server failed too often in a row and is tried by one call at a time, which another one
    /// is doing; otherwise it is left alone for this much longer. Nothing was sent.
    CircuitOpen(Duration),
    /// The pool is shut down. Nothing was sent.
    PoolClosed,
}

/// Why a domain takes no mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DomainProblem {
    /// The DNS says that it does not exist.
    NoSuchDomain,
    /// It says itself that it takes none (RFC 7505).
    NullMx,
}

/// Which limit ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// The phase's own.
    Phase(Duration),
    /// The call's overall deadline.
    Deadline,
    /// This endpoint's share of the call's overall deadline, so that others could still be tried.
    Share(Duration),
    /// What was left of the overall deadline no longer covered the call's reserve.
    Reserve(Duration),
}

/// How the peer broke the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A reply outside RFC 5321's grammar or over a cap.
    Reply(ReplyError),
    /// A well-formed reply that this command can't have.
    Unexpected,
    /// A reply to something that has not been sent.
    Early,
    /// Octets behind the reply to STARTTLS and before TLS: whoever put them there wants them to be
    /// taken for the server's word under TLS.
    Injected,
}

/// What is wrong with TLS, and so whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsProblem {
    /// The server's certificate does not show that this is the server.
    Certificate(CertificateProblem),
    /// The peer broke TLS, or the two have no version, suite or application protocol in common, or
    /// octets were changed on their way.
    Protocol,
    /// The server ended it with an alert, such as for want of a client certificate.
    Alert,
    /// The server speaks plaintext where TLS is due.
    Plaintext,
    /// The handshake has more octets than this.
    TooLarge(usize),
}

/// Why a certificate is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It is another server's.
    WrongName,
    /// Nobody that is trusted vouches for it: self-signed, or from an unknown authority.
    UnknownIssuer,
    /// It was revoked.
    Revoked,
    /// It may not be used for this, such as an authority's own.
    WrongPurpose,
    /// It is malformed, badly signed or made with what is not supported.
    Invalid,
}

/// What the server does not offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsupported {
    /// The message is larger than the server's declared maximum (RFC 1870).
    Size {
        /// The message's size in octets.
        size: u64,
        /// The server's maximum.
        maximum: u64,
    },
    /// The message has octets over 127 and the server does not offer 8BITMIME (RFC 6152).
    EightBitMime,
    /// The message is not in lines and the server does not offer BINARYMIME and CHUNKING (RFC 3030).
    BinaryMime,
    /// A path or the header section has characters outside US-ASCII and the server does not offer
    /// SMTPUTF8 (RFC 6531). A domain alone is no reason: it is sent in its US-ASCII form.
    SmtpUtf8,
    /// RET, ENVID, NOTIFY or ORCPT is asked for and the server does not offer DSN (RFC 3461).
    Dsn,
    /// The server does not offer REQUIRETLS (RFC 8689), or the connection is not encrypted.
    RequireTls,
    /// The server does not offer DELIVERBY (RFC 2852), or returns no message so soon.
    DeliverBy {
        /// The shortest time in seconds that it agrees to, if it offers the extension.
        minimum: Option<u32>,
    },
    /// The server does not offer MT-PRIORITY (RFC 6710).
    MtPriority,
    /// The server does not offer FUTURERELEASE (RFC 4865), or holds no message for so long.
    FutureRelease,
    /// The envelope has more recipients than the server takes at once (RCPTMAX of RFC 9422).
    Recipients {
        /// How many it has.
        recipients: usize,
        /// How many the server takes.
        maximum: u32,
    },
    /// The envelope's recipients have more domains than the server takes at once (RCPTDOMAINMAX).
    RecipientDomains {
        /// How many they have.
        domains: usize,
        /// How many the server takes.
        maximum: u32,
    },
    /// The server takes no further mail transaction over this connection (MAILMAX).
    Transactions {
        /// How many it takes.
        maximum: u32,
    },
    /// TLS is required and the server does not offer STARTTLS (RFC 3207).
    StartTls,
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("the server refused"),
            Self::Protocol(error) => write!(f, "the server broke the protocol: {error}"),
            Self::TimedOut(limit) => write!(f, "timed out: {limit}"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Tls(problem) => problem.fmt(f),
            Self::Closed => f.write_str("the server closed the connection"),
            Self::Broken => f.write_str("the connection failed"),
            Self::Auth(error) => error.fmt(f),
            Self::Unsupported(what) => what.fmt(f),
            Self::Message(error) => error.fmt(f),
            Self::Path(error) => write!(f, "an address can't be used: {error}"),
            Self::Source => f.write_str("the message's source failed"),
            Self::Domain(DomainProblem::NoSuchDomain) => {
                f.write_str("the recipients' domain does not exist")
            }
            Self::Domain(DomainProblem::NullMx) => {
                f.write_str("the recipients' domain takes no mail: it has a null MX")
            }
            Self::NotIdle => f.write_str(
                "the connection is not at rest and can't be used again; open another one",
            ),
            Self::CircuitOpen(left) => write!(
                f,
                "every server failed too often in a row, and another call is trying it; send again in {left:?}, or once that has ended"
            ),
            Self::PoolClosed => f.write_str("the pool is shut down"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Phase(limit) => write!(f, "the phase's limit of {limit:?} ran out"),
            Self::Deadline => f.write_str("the call's deadline passed"),
            Self::Share(share) => write!(
                f,
                "the endpoint's share of the call's deadline, {share:?}, ran out"
            ),
            Self::Reserve(reserve) => write!(
                f,
                "less than the reserve of {reserve:?} is left for the final reply"
            ),
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(error) => error.fmt(f),
            Self::Unexpected => f.write_str("this command can't have this reply"),
            Self::Early => f.write_str("a reply to something that was not sent"),
            Self::Injected => {
                f.write_str("octets between the reply to STARTTLS and TLS; they were not used")
            }
        }
    }
}

impl fmt::Display for TlsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(problem) => write!(f, "the server's certificate {problem}"),
            Self::Protocol => f.write_str("TLS broke"),
            Self::Alert => f.write_str("the server ended TLS with an alert"),
            Self::Plaintext => f.write_str("the server speaks plaintext where TLS is due"),
            Self::TooLarge(cap) => write!(f, "the TLS handshake has more than {cap} octets"),
        }
    }
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "has expired",
            Self::NotYetValid => "is not valid yet",
            Self::WrongName => "is for another name",
            Self::UnknownIssuer => "is from nobody that is trusted",
            Self::Revoked => "was revoked",
            Self::WrongPurpose => "may not be used for a server",
            Self::Invalid => "is malformed or badly signed",
        })
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { size, maximum } => write!(
                f,
                "the message has {size} octets and the server takes at most {maximum}"
            ),
            Self::EightBitMime => f.write_str(
                "the message has octets over 127 and the server does not offer 8BITMIME; encode it as quoted-printable or base64",
            ),
            Self::BinaryMime => f.write_str(
                "the message is not in lines and the server does not offer BINARYMIME and CHUNKING; encode it as base64",
            ),
            Self::SmtpUtf8 => f.write_str(
                "a path or the header section has characters outside US-ASCII and the server does not offer SMTPUTF8; use US-ASCII",
            ),
            Self::Dsn => f.write_str(
                "delivery status notifications are asked for and the server does not offer DSN",
            ),
            Self::RequireTls => f.write_str(
                "TLS is required all the way, and the connection is not encrypted or the server does not offer REQUIRETLS",
            ),
            Self::DeliverBy { minimum: None } => {
                f.write_str("a time to deliver by is set and the server does not offer DELIVERBY")
            }
            Self::DeliverBy { minimum: Some(minimum) } => write!(
                f,
                "the server agrees to no time to deliver by under {minimum} s"
            ),
            Self::MtPriority => {
                f.write_str("the message has a priority and the server does not offer MT-PRIORITY")
            }
            Self::FutureRelease => f.write_str(
                "the message is to be held and the server does not offer FUTURERELEASE, or not for so long",
            ),
            Self::Recipients { recipients, maximum } => write!(
                f,
                "the envelope has {recipients} recipients and the server takes at most {maximum} at once; split it"
            ),
            Self::RecipientDomains { domains, maximum } => write!(
                f,
                "the envelope's recipients have {domains} domains and the server takes at most {maximum} at once; split it"
            ),
            Self::Transactions { maximum } => write!(
                f,
                "the server takes at most {maximum} messages over one connection; open another one"
            ),
            Self::StartTls => f.write_str("TLS is required and the server does not offer STARTTLS"),
        }
    }
}
