//! The parameters of MAIL and RCPT (RFC 5321 §4.1.2), typed: no value of them can end a command
//! line or begin another parameter.

use core::fmt::Write as _;

use crate::ext::{
    ByMode, DeliverBy, EnvelopeId, Extensions, FutureRelease, MtPriority, Notify,
    OriginalRecipient, Ret,
};
use crate::failure::Unsupported;

/// The parameters of MAIL that the caller chooses. Sizes and body types are found out by
/// themselves.
///
/// Each needs a service extension. Where the server does not offer it, the call fails with
/// [`FailureKind::Unsupported`](crate::FailureKind::Unsupported) before anything is sent: none is
/// ever left out in silence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailParameters {
    /// The header section has characters outside US-ASCII: needs SMTPUTF8 (RFC 6531). A path that
    /// has them needs it by itself.
    pub smtputf8: bool,
    /// How much of the message comes back with a report of failure: needs DSN (RFC 3461).
    pub ret: Option<Ret>,
    /// What comes back in every report: needs DSN (RFC 3461).
    pub envelope_id: Option<EnvelopeId>,
    /// Every server on the way hands the message on over TLS or returns it: needs REQUIRETLS
    /// (RFC 8689), which a server offers over TLS only.
    pub require_tls: bool,
    /// When it is to be delivered at the latest: needs DELIVERBY (RFC 2852).
    pub deliver_by: Option<DeliverBy>,
    /// How urgent it is: needs MT-PRIORITY (RFC 6710).
    pub priority: Option<MtPriority>,
    /// When it is let go: needs FUTURERELEASE (RFC 4865).
    pub future_release: Option<FutureRelease>,
}

/// The parameters of RCPT that the caller chooses. Both need DSN (RFC 3461); see
/// [`MailParameters`] for what happens without it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RcptParameters {
    /// What is reported about this recipient.
    pub notify: Option<Notify>,
    /// Whom the message was first meant for.
    pub original_recipient: Option<OriginalRecipient>,
}

impl MailParameters {
    pub(crate) fn check(&self, offered: &Extensions) -> Result<(), Unsupported> {
        if self.smtputf8 && !offered.smtputf8() {
            return Err(Unsupported::SmtpUtf8);
        }
        if (self.ret.is_some() || self.envelope_id.is_some()) && !offered.dsn() {
            return Err(Unsupported::Dsn);
        }
        if self.require_tls && !offered.require_tls() {
            return Err(Unsupported::RequireTls);
        }
        if let Some(by) = &self.deliver_by {
            match offered.deliver_by() {
                None => return Err(Unsupported::DeliverBy { minimum: None }),
                // RFC 2852 §4: the minimum is about messages that are to be returned.
                Some(least) if by.mode() == ByMode::Return && by.seconds() < least => {
                    return Err(Unsupported::DeliverBy {
                        minimum: Some(least),
                    });
                }
                Some(_) => {}
            }
        }
        if self.priority.is_some() && !offered.mt_priority() {
            return Err(Unsupported::MtPriority);
        }
        if let Some(hold) = &self.future_release
            && !offered
                .future_release()
                .is_some_and(|limits| hold.is_within(limits))
        {
            return Err(Unsupported::FutureRelease);
        }
        Ok(())
    }

    /// Appends them to a MAIL command. SMTPUTF8 is up to the caller, who knows the paths.
    pub(crate) fn append(&self, line: &mut String) {
        // Writing to a String can't fail.
        if let Some(ret) = &self.ret {
            let _ = write!(line, " RET={ret}");
        }
        if let Some(id) = &self.envelope_id {
            let _ = write!(line, " ENVID={id}");
        }
        if self.require_tls {
            line.push_str(" REQUIRETLS");
        }
        if let Some(by) = &self.deliver_by {
            let _ = write!(line, " BY={by}");
        }
        if let Some(priority) = &self.priority {
            let _ = write!(line, " MT-PRIORITY={priority}");
        }
        if let Some(hold) = &self.future_release {
            let _ = write!(line, " {hold}");
        }
    }
}

impl RcptParameters {
    pub(crate) const fn is_none(&self) -> bool {
        self.notify.is_none() && self.original_recipient.is_none()
    }

    /// Appends them to a RCPT command.
    pub(crate) fn append(&self, line: &mut String) {
        if let Some(notify) = &self.notify {
            let _ = write!(line, " NOTIFY={notify}");
        }
        if let Some(original) = &self.original_recipient {
            let _ = write!(line, " ORCPT={original}");
        }
    }
}
