//! Who a message is from and whom it goes to, and how a transaction is to be run.

use core::fmt;
use std::sync::Arc;

use crate::parameters::{MailParameters, RcptParameters};
use crate::transparency::LineEndings;
use crate::{ForwardPath, Outcome, Reply, ReversePath};

/// A mail transaction's reverse-path and forward-paths, and the protocol extension material that
/// goes with them (RFC 5321 §2.3.1). Cheap to clone, however many recipients there are.
///
/// ```
/// use postbound_proto::ext::{Notify, OriginalRecipient};
/// use postbound_proto::{Envelope, MailParameters, RcptParameters};
/// let mut mail = MailParameters::default();
/// mail.envelope_id = Some("order 4711".parse()?);
/// let envelope = Envelope::new("a@example.org".parse()?, ["b@example.org".parse()?])?
///     .with_mail_parameters(mail)
///     .with_rcpt_parameters(|path| {
///         let mut parameters = RcptParameters::default();
///         parameters.notify = Some(Notify::SUCCESS | Notify::FAILURE);
///         parameters.original_recipient = Some(OriginalRecipient::mailbox(path));
///         parameters
///     });
/// # let _ = envelope;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    reverse_path: ReversePath,
    forward_paths: Arc<[ForwardPath]>,
    mail_parameters: MailParameters,
    /// Empty, or one for each forward-path.
    rcpt_parameters: Arc<[RcptParameters]>,
}

impl Envelope {
    /// An envelope with at least one forward-path.
    ///
    /// # Errors
    /// If there is no forward-path.
    pub fn new(
        reverse_path: ReversePath,
        forward_paths: impl IntoIterator<Item = ForwardPath>,
    ) -> Result<Self, NoRecipients> {
        let forward_paths: Arc<[_]> = forward_paths.into_iter().collect();
        if forward_paths.is_empty() {
            return Err(NoRecipients);
        }
        Ok(Self {
            reverse_path,
            forward_paths,
            mail_parameters: MailParameters::default(),
            rcpt_parameters: Arc::default(),
        })
    }

    /// With these parameters of MAIL.
    #[must_use]
    pub fn with_mail_parameters(mut self, parameters: MailParameters) -> Self {
        self.mail_parameters = parameters;
        self
    }

    /// With these parameters of RCPT for each forward-path.
    #[must_use]
    pub fn with_rcpt_parameters(
        mut self,
        parameters: impl FnMut(&ForwardPath) -> RcptParameters,
    ) -> Self {
        self.rcpt_parameters = self.forward_paths.iter().map(parameters).collect();
        self
    }

    /// The same envelope for some of its recipients: those at the places, counted from 0, that
    /// `keep` says yes to. Their parameters go with them.
    ///
    /// # Errors
    /// If none is left.
    pub fn subset(&self, mut keep: impl FnMut(usize) -> bool) -> Result<Self, NoRecipients> {
        let places: Vec<bool> = (0..self.forward_paths.len()).map(&mut keep).collect();
        let subset = Self {
            reverse_path: self.reverse_path.clone(),
            forward_paths: kept(&self.forward_paths, &places),
            mail_parameters: self.mail_parameters.clone(),
            rcpt_parameters: kept(&self.rcpt_parameters, &places),
        };
        if subset.forward_paths.is_empty() {
            return Err(NoRecipients);
        }
        Ok(subset)
    }

    /// Where delivery reports go; the null reverse-path where none may be sent.
    #[must_use]
    pub const fn reverse_path(&self) -> &ReversePath {
        &self.reverse_path
    }

    /// The recipients, in the order in which they are named to the server.
    #[must_use]
    pub fn forward_paths(&self) -> &[ForwardPath] {
        &self.forward_paths
    }

    /// The parameters of MAIL.
    #[must_use]
    pub const fn mail_parameters(&self) -> &MailParameters {
        &self.mail_parameters
    }

    /// The parameters of RCPT: none at all, or one for each forward-path.
    #[must_use]
    pub fn rcpt_parameters(&self) -> &[RcptParameters] {
        &self.rcpt_parameters
    }
}

/// What stands at the places that are kept.
fn kept<T: Clone>(all: &[T], places: &[bool]) -> Arc<[T]> {
    let kept = all.iter().zip(places).filter(|(_, keep)| **keep);
    kept.map(|(one, _)| one.clone()).collect()
}

/// An envelope without a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it has nothing to say but its name"
)]
pub struct NoRecipients;

impl fmt::Display for NoRecipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an envelope needs at least one forward-path; add a recipient")
    }
}

impl std::error::Error for NoRecipients {}

/// Which recipients must be accepted for the mail data to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Require {
    /// At least one: a refused RCPT is an answer about that recipient and no more.
    #[default]
    AnyRecipient,
    /// Every one, or nobody gets the message. DATA is then not pipelined behind RCPT, so that a
    /// refusal does not cost the connection; it costs one round trip.
    AllRecipients,
}

/// What the mail data is made of (RFC 6152).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyType {
    /// US-ASCII only; nothing is declared.
    #[default]
    SevenBit,
    /// Octets over 127 occur: `BODY=8BITMIME` is declared, and a server without that extension
    /// gets nothing.
    EightBitMime,
    /// Any octets, not in lines (RFC 3030 §3): `BODY=BINARYMIME` is declared, not one octet is
    /// changed, and they go by BDAT whatever [`Chunking`] says. A server without BINARYMIME and
    /// CHUNKING gets nothing.
    BinaryMime,
}

/// Whether mail data goes by DATA or in chunks of announced length (BDAT, RFC 3030).
///
/// In chunks nothing is stuffed and no DATA has to be answered, and a server that does not want the
/// message says so after one chunk. Line endings are treated as they are for DATA. Where the server
/// offers PIPELINING, chunks are sent without waiting for the replies to those before, up to
/// [`Limits::pipeline_window`](crate::Limits::pipeline_window), but for the last one: it waits for
/// them all, so that whatever comes of another chunk the message is definitely not accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Chunking {
    /// By DATA: what every server knows best.
    #[default]
    Never,
    /// By BDAT where the server offers CHUNKING, in chunks of at most this many octets of the
    /// message before its line endings are looked at, at least 1.
    UpTo(u32),
    /// By BDAT where the server offers CHUNKING and PIPELINING, and ahead of the replies: MAIL, RCPT and
    /// the whole message as its last chunk leave in one group (RFC 3030 §4.2), and at most this many
    /// messages are under way at once, at least 1.
    ///
    /// What it costs: a message can't be taken back once a reply to its MAIL or RCPT turns out badly,
    /// and if the connection breaks, not one message but up to so many are
    /// [`Ambiguous`](Outcome::Ambiguous). A group behind unanswered ones begins with RSET, so that a
    /// transaction that a server keeps open behind a refused chunk is not gone on with.
    ///
    /// A message is sent as [`IF_OFFERED`](Self::IF_OFFERED) does where its size is not known or over
    /// [`Limits::ahead_octets`](crate::Limits::ahead_octets), and with [`Require::AllRecipients`], which
    /// can't be had ahead of the replies.
    Ahead(u32),
}

impl Chunking {
    /// By BDAT where the server offers it, each part of the source in one chunk: a message in memory
    /// is a single one.
    pub const IF_OFFERED: Self = Self::UpTo(u32::MAX);
    /// Ahead of the replies with 32 messages under way: a round trip is then a thirtieth of each, and
    /// twice as many would save no more than another sixtieth.
    pub const AHEAD: Self = Self::Ahead(32);
}

/// How one mail transaction is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionOptions {
    /// Which recipients must be accepted.
    pub require: Require,
    /// What the mail data is made of.
    pub body: BodyType,
    /// Whether it goes in chunks.
    pub chunking: Chunking,
    /// The message's size as RFC 1870 counts it, if known: declared to a server that offers SIZE,
    /// and refused here, before anything is sent, if it exceeds the server's maximum.
    pub size: Option<u64>,
    /// What is done with a CR without LF or an LF without CR
    pub line_endings: LineEndings,
}

/// One recipient and what the server said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    pub(crate) path: ForwardPath,
    pub(crate) status: RecipientStatus,
    pub(crate) final_reply: Option<Reply>,
    pub(crate) outcome: Outcome,
}

/// What the server said about a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecipientStatus {
    /// Nothing yet.
    Pending,
    /// It is accepted; whether the message is, the final reply says.
    Accepted(Reply),
    /// It is refused.
    Refused(Reply),
}

impl Recipient {
    /// The recipient.
    #[must_use]
    pub const fn path(&self) -> &ForwardPath {
        &self.path
    }

    /// What the server said about it.
    #[must_use]
    pub const fn status(&self) -> &RecipientStatus {
        &self.status
    }

    /// What became of the message for this recipient. Over LMTP each has an outcome of its own; over
    /// SMTP those that the server accepted share the message's.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The final reply for this recipient alone, as LMTP has it; `None` over SMTP, where one reply is
    /// for all.
    #[must_use]
    pub const fn final_reply(&self) -> Option<&Reply> {
        self.final_reply.as_ref()
    }

    /// Whether the server accepted this recipient. Over LMTP a final reply decides about each.
    #[must_use]
    pub const fn is_accepted(&self) -> bool {
        matches!(self.status, RecipientStatus::Accepted(_))
    }

    /// The server's reply, if it came.
    #[must_use]
    pub const fn reply(&self) -> Option<&Reply> {
        match &self.status {
            RecipientStatus::Pending => None,
            RecipientStatus::Accepted(reply) | RecipientStatus::Refused(reply) => Some(reply),
        }
    }
}
