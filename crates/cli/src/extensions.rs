//! What a message asks of the server by service extensions: options of `send`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use postbound::ext::{
    ByMode, DeliverBy, EnvelopeId, FutureRelease, MtPriority, Notify, OriginalRecipient, Ret,
};
use postbound::{
    BodyType, Chunking, ClientBuilder, Envelope, ForwardPath, MailParameters, Protocol,
    RcptParameters,
};

use crate::duration;

#[derive(Debug, Args)]
#[command(next_help_heading = "Service extensions")]
pub(crate) struct Extensions {
    /// Speak LMTP (RFC 2033): each recipient has a final reply of its own. Never on port 25
    #[arg(long)]
    lmtp: bool,
    /// Send the message by BDAT where the server offers CHUNKING, in chunks of at most OCTETS if that
    /// is given, else in one
    #[arg(long, value_name = "OCTETS", num_args = 0..=1, require_equals = true, value_parser = clap::value_parser!(u32).range(1..))]
    chunking: Option<Option<u32>>,
    /// By BDAT, and without waiting for the replies to MAIL and RCPT: so many messages are under way
    /// at once over each connection, and all of them are ambiguous if it breaks
    #[arg(long, value_name = "MESSAGES", conflicts_with = "chunking", value_parser = clap::value_parser!(u32).range(1..))]
    chunking_window: Option<u32>,
    /// What the message is made of [default: found out]
    #[arg(long, value_enum, value_name = "TYPE")]
    body: Option<Body>,
    /// The header section has characters outside US-ASCII (SMTPUTF8)
    #[arg(long)]
    smtputf8: bool,
    /// How much of the message comes back with a report of failure (DSN)
    #[arg(long, value_enum, value_name = "PART")]
    ret: Option<Part>,
    /// What comes back in every report about the message (DSN)
    #[arg(long, value_name = "ID")]
    envid: Option<EnvelopeId>,
    /// What is reported about each recipient: never, or success, failure and delay with commas
    /// between them (DSN)
    #[arg(long, value_name = "EVENTS")]
    notify: Option<Notify>,
    /// Whom the message was first meant for: a mailbox, or an address of another type, as in
    /// x400;ADDRESS. With several recipients it is given once for each, in their order (DSN)
    #[arg(long, value_parser = original_recipient, value_name = "[TYPE;]ADDRESS")]
    orcpt: Vec<OriginalRecipient>,
    /// Every server on the way hands the message on over TLS or returns it (REQUIRETLS); needs TLS
    /// here, too
    #[arg(long)]
    require_tls: bool,
    /// Deliver it within this time, such as 2h, or return it (DELIVERBY)
    #[arg(long, value_parser = duration, value_name = "TIME")]
    deliver_by: Option<Duration>,
    /// With --deliver-by: deliver it later all the same, and report that it is late
    #[arg(long, requires = "deliver_by")]
    late_is_fine: bool,
    /// How urgent it is, from -9 to 9 (MT-PRIORITY)
    #[arg(long, value_parser = priority, allow_negative_numbers = true, value_name = "NUMBER")]
    priority: Option<MtPriority>,
    /// Let it go after this time, such as 2h, or at this date and time, such as 2030-01-31T08:00:00Z
    /// (FUTURERELEASE)
    #[arg(long, value_parser = hold, value_name = "TIME")]
    hold: Option<FutureRelease>,
    /// Take the service extension with this EHLO keyword as not offered; may be given again
    #[arg(long, value_name = "KEYWORD")]
    mask: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Body {
    /// Lines with octets over 127
    #[value(name = "8bitmime")]
    EightBitMime,
    /// Any octets, sent as they are by BDAT
    #[value(name = "binarymime")]
    BinaryMime,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Part {
    /// All of it
    Full,
    /// Its header section
    #[value(name = "hdrs", alias = "headers")]
    Headers,
}

fn priority(text: &str) -> Result<MtPriority, String> {
    let number = text.parse().map_err(|_| "a whole number from -9 to 9")?;
    MtPriority::new(number).map_err(|error| error.to_string())
}

fn original_recipient(text: &str) -> Result<OriginalRecipient, String> {
    let typed = text.split_once(';').filter(|(kind, _)| {
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
        !kind.is_empty() && kind.bytes().all(plain)
    });
    match typed {
        Some((kind, address)) => {
            OriginalRecipient::other(kind, address).map_err(|error| error.to_string())
        }
        None => text
            .parse::<ForwardPath>()
            .map(|path| OriginalRecipient::mailbox(&path))
            .map_err(|error| error.to_string()),
    }
}

fn hold(text: &str) -> Result<FutureRelease, String> {
    match duration(text) {
        Ok(time) => FutureRelease::after(time).map_err(|error| error.to_string()),
        Err(_) => text
            .parse()
            .map_err(|error| format!("{error}; or write a time such as 2h")),
    }
}

impl Extensions {
    /// The client that sends so.
    pub(crate) fn client<C>(&self, builder: ClientBuilder<C>) -> ClientBuilder<C> {
        let mut builder = match (self.chunking, self.chunking_window) {
            (_, Some(messages)) => builder.chunking(Chunking::Ahead(messages)),
            (None, None) => builder,
            (Some(None), _) => builder.chunking(Chunking::IF_OFFERED),
            (Some(Some(octets)), _) => builder.chunking(Chunking::UpTo(octets)),
        };
        if self.lmtp {
            builder = builder.protocol(Protocol::Lmtp);
        }
        builder = match self.body {
            None => builder,
            Some(Body::EightBitMime) => builder.body(BodyType::EightBitMime),
            Some(Body::BinaryMime) => builder.body(BodyType::BinaryMime),
        };
        self.mask.iter().fold(builder, |builder, keyword| {
            builder.without_extension(keyword)
        })
    }

    /// The envelope that asks for it.
    pub(crate) fn envelope(&self, envelope: Envelope) -> Result<Envelope, String> {
        let mut mail = MailParameters::default();
        mail.smtputf8 = self.smtputf8;
        mail.ret = self.ret.map(|part| match part {
            Part::Full => Ret::Full,
            Part::Headers => Ret::Headers,
        });
        mail.envelope_id.clone_from(&self.envid);
        mail.require_tls = self.require_tls;
        mail.deliver_by = match self.deliver_by {
            None => None,
            Some(time) => {
                let mode = if self.late_is_fine {
                    ByMode::Notify
                } else {
                    ByMode::Return
                };
                Some(DeliverBy::within(time, mode).map_err(|error| error.to_string())?)
            }
        };
        mail.priority = self.priority;
        mail.future_release.clone_from(&self.hold);
        let envelope = envelope.with_mail_parameters(mail);
        let recipients = envelope.forward_paths().len();
        if !self.orcpt.is_empty() && self.orcpt.len() != recipients {
            return Err(format!(
                "--orcpt is given {} times and there are {recipients} recipients; give it once for each, in their order",
                self.orcpt.len()
            ));
        }
        if self.notify.is_none() && self.orcpt.is_empty() {
            return Ok(envelope);
        }
        let mut originals = self.orcpt.iter().cloned();
        Ok(envelope.with_rcpt_parameters(|_| {
            let mut parameters = RcptParameters::default();
            parameters.notify = self.notify;
            parameters.original_recipient = originals.next();
            parameters
        }))
    }
}
