//! BDAT (RFC 3030): mail data in chunks of announced length.

use std::io;

use proto::Phase;
use tokio::io::{AsyncRead, AsyncWrite};

use super::mail_data::Intake;
use super::{Body, Dialogue, Next};
use crate::server::Abort;
use crate::server::mail_data::Taker;
use crate::trace::Event;

/// The reply to a chunk behind one that was refused.
pub(super) const REFUSED: &[u8] = b"503 5.5.1 an earlier chunk was refused\r\n";

/// The reply to the last chunk where there is nobody to take the message for.
const NOBODY: &[u8] = b"503 5.5.1 no valid recipients\r\n";

/// The chunks of one transaction.
pub(super) struct Chunks {
    intake: Intake,
    /// No more than `most` octets of it.
    message: Vec<u8>,
    most: usize,
    taken: u64,
    /// Octets of the current chunk that are still to come.
    left: u64,
    /// A chunk was refused.
    refused: bool,
}

impl Taker for Chunks {
    fn taken(&self) -> u64 {
        self.taken
    }

    fn take(&mut self, octets: &[u8]) -> (usize, bool) {
        let count = usize::try_from(self.left).map_or(octets.len(), |left| left.min(octets.len()));
        let room = self.most.saturating_sub(self.message.len());
        let kept = octets.get(..count.min(room)).unwrap_or_default();
        self.message.extend_from_slice(kept);
        self.taken += count as u64;
        self.left -= count as u64;
        (count, self.left == 0)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Abort> Dialogue<'_, S> {
    pub(super) async fn bdat(&mut self, rest: &str) -> io::Result<Next> {
        let (octets, last) = match rest.split_once(' ') {
            Some((octets, last)) => (octets, last.eq_ignore_ascii_case("LAST").then_some(true)),
            None => (rest, Some(false)),
        };
        let digits = !octets.is_empty() && octets.bytes().all(|octet| octet.is_ascii_digit());
        let (Some(last), true, Ok(octets)) = (last, digits, octets.parse::<u64>()) else {
            self.find(format!("malformed: BDAT {rest}"));
            return self.plain(501, "5.5.4 BDAT OCTETS [LAST]").await;
        };
        if !self.offers("CHUNKING") {
            self.find("BDAT although CHUNKING is not in force");
        }
        if !self.mail_said {
            self.find("BDAT before MAIL");
        }
        let recipients = self.envelope.as_ref().map(|e| e.forward_paths.len());
        // RFC 3030 §4.2: in one group with MAIL and RCPT, whatever they are answered.
        let grouped = self.offers("PIPELINING") && self.rcpt_said;
        if recipients.is_none_or(|count| count == 0) && !grouped {
            self.find("BDAT before a recipient is accepted");
        }
        let mut chunks = match self.chunks.take() {
            Some(chunks) => chunks,
            None => self.begin_chunks(recipients.is_none_or(|count| count == 0)),
        };
        chunks.left = octets;
        let mut intake = std::mem::take(&mut chunks.intake);
        if octets > 0
            && let Some(next) = self.take_mail_data(&mut intake, &mut chunks).await?
        {
            return Ok(next);
        }
        chunks.intake = intake;
        if last {
            return self.end_of_chunks(chunks).await;
        }
        if !self.wire.buffered().is_empty() && !self.offers("PIPELINING") {
            self.find("octets follow a chunk although PIPELINING is not in force");
        }
        let normal = if chunks.refused {
            REFUSED.to_vec()
        } else {
            b"250 2.0.0 go on\r\n".to_vec()
        };
        let positive = !chunks.refused;
        let (meant, next) = self.answer(Phase::DataBlock, normal).await?;
        // RFC 3030 §2: once a chunk is refused the transaction has failed.
        chunks.refused |= !(positive && meant);
        self.chunks = Some(chunks);
        Ok(next)
    }

    fn begin_chunks(&mut self, refused: bool) -> Chunks {
        // One octet more than is taken tells that it was too much.
        let most = self.double.script.size.saturating_add(1);
        Chunks {
            intake: self.intake(),
            message: Vec::new(),
            most: usize::try_from(most).unwrap_or(usize::MAX),
            taken: 0,
            left: 0,
            refused,
        }
    }

    async fn end_of_chunks(&mut self, chunks: Chunks) -> io::Result<Next> {
        let (connection, taken) = (self.wire.connection, chunks.taken);
        self.double.trace.record(connection, || {
            Event::MailData(usize::try_from(taken).unwrap_or(0))
        });
        if self
            .envelope
            .as_ref()
            .is_none_or(|envelope| envelope.forward_paths.is_empty())
        {
            // As DATA does, and as the strictest of real servers do: the transaction goes on.
            self.chunks = None;
            self.wire.write(NOBODY).await?;
            return Ok(Next::Go);
        }
        let body = self.parameters.body;
        let cut = chunks.message.len() >= chunks.most;
        if body != Body::BinaryMime && !cut && !is_lines(&chunks.message) {
            self.find("mail data with a bare CR or a bare LF");
        }
        if body == Body::SevenBit && !chunks.message.is_ascii() {
            self.find("8-bit mail data without BODY=8BITMIME");
        }
        // As it came, it is the message itself.
        let wire = if self.double.keep_wire {
            chunks.message.clone()
        } else {
            Vec::new()
        };
        self.end_of_mail_data(chunks.message, wire, !chunks.refused)
            .await
    }
}

/// Whether every CR and every LF is part of a CRLF.
fn is_lines(message: &[u8]) -> bool {
    let mut cr = false;
    for octet in message {
        if cr != (*octet == b'\n') {
            return false;
        }
        cr = *octet == b'\r';
    }
    !cr
}
