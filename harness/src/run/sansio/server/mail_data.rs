//! Mail data, by DATA and in chunks, and what is said of it.

use memchr::{memchr, memchr2};
use postbound::Phase;
use simnet::plan::IntakeFault;

use super::super::Millis;
use super::super::link::{Link, millis};
use super::faults::means_success;
use super::{Act, Delivery, Envelope, Mode, Server};

const REFUSED: &[u8] = b"503 5.5.1 an earlier chunk was refused\r\n";
const NOBODY: &[u8] = b"503 5.5.1 no valid recipients\r\n";

impl Server<'_> {
    pub(super) fn begin_mail_data(&mut self) {
        self.data = MailData::default();
        self.due = match self.intake {
            Some(IntakeFault::Stop { after, .. } | IntakeFault::Interrupt { after, .. }) => {
                Some(*after)
            }
            _ => None,
        };
    }

    /// A chunk (RFC 3030) is announced.
    pub(super) fn bdat(&mut self, rest: &str) {
        let (octets, last) = match rest.strip_suffix(" LAST") {
            Some(octets) => (octets, true),
            None => (rest, false),
        };
        let recipients = self.envelope.as_ref().map_or(0, |e| e.forward_paths.len());
        let Ok(octets) = octets.parse::<u64>() else {
            self.find("a malformed BDAT");
            return;
        };
        let grouped = self.offer.pipelining && self.rcpt_said;
        if !self.offer.chunking || (recipients == 0 && !grouped) {
            self.find("BDAT that was not offered, or for nobody");
        }
        if self.chunks.is_none() {
            self.chunks = Some(recipients == 0);
            self.begin_mail_data();
        }
        self.mode = Mode::Chunk(octets, last);
        if octets > 0
            && let Some(IntakeFault::Trickle { every, .. }) = self.intake
        {
            self.acts.push_back(Act::Sleep(millis(*every)));
        }
    }

    /// A whole chunk has arrived.
    pub(super) fn end_of_chunk(&mut self, last: bool) {
        let refused = self.chunks.unwrap_or_default();
        if last {
            let nobody = |envelope: &Envelope| envelope.forward_paths.is_empty();
            if self.envelope.as_ref().is_none_or(nobody) {
                self.chunks = None;
                self.mode = Mode::Commands;
                self.say_now(NOBODY);
                return;
            }
            let more = self.taken > self.used;
            self.end_of_mail_data(more, refused);
            return;
        }
        self.mode = Mode::Commands;
        if self.taken > self.used && !self.offer.pipelining {
            self.find("octets behind a chunk although PIPELINING is not in force");
        }
        let normal: &[u8] = if refused {
            REFUSED
        } else {
            b"250 2.0.0 go on\r\n"
        };
        let meant = self.answer(Phase::DataBlock, normal);
        self.chunks = Some(refused || !meant);
    }

    /// Takes in mail data at the plan's pace.
    pub(super) fn mail_data(&mut self, link: &mut Link, now: Millis) -> Option<bool> {
        let room = self
            .due
            .map_or(u64::MAX, |after| after.saturating_sub(self.data.taken));
        if room == 0 {
            self.due = None;
            match self.intake {
                Some(IntakeFault::Stop { heal: None, .. }) => self.mode = Mode::Stalled,
                Some(IntakeFault::Stop {
                    heal: Some(heal), ..
                }) => self.acts.push_back(Act::Sleep(millis(*heal))),
                Some(IntakeFault::Interrupt { fault, .. }) => {
                    self.fault(fault, b"250 2.0.0 ok\r\n");
                }
                _ => {}
            }
            return Some(true);
        }
        let mut most = usize::try_from(room).unwrap_or(usize::MAX);
        let trickle = match self.intake {
            Some(IntakeFault::Trickle { octets, every }) => {
                most = usize::try_from(*octets).unwrap_or(usize::MAX);
                Some(millis(*every))
            }
            _ => None,
        };
        if self.taken == self.used && !self.read(most, link, now)? {
            return Some(false);
        }
        let buffered = link.to_server.taken_from(self.used);
        let buffered = &buffered[..most.min(buffered.len())];
        let (count, ended) = match &mut self.mode {
            Mode::Chunk(left, _) => {
                let count =
                    usize::try_from(*left).map_or(buffered.len(), |l| l.min(buffered.len()));
                *left -= count as u64;
                self.data.taken += count as u64;
                self.data.message.extend_from_slice(&buffered[..count]);
                (count, *left == 0)
            }
            _ => self.data.take(buffered),
        };
        self.used += count;
        if ended {
            if self.mode == Mode::MailData {
                let more = self.taken > self.used;
                self.end_of_mail_data(more, false);
            }
        } else if let Some(every) = trickle {
            self.acts.push_back(Act::Sleep(every));
        }
        Some(true)
    }

    pub(super) fn end_of_mail_data(&mut self, more: bool, refused: bool) {
        if more && !self.offer.pipelining {
            self.find("octets behind the end of mail data although PIPELINING is not in force");
        }
        let data = std::mem::take(&mut self.data);
        let envelope = self.envelope.take().unwrap_or_default();
        let bare = self.chunks.is_some() && !is_lines(&data.message);
        if data.wrong || bare || (!envelope.eight_bit && !data.message.is_ascii()) {
            self.find("mail data that is not as it must be");
        }
        let all = Delivery {
            reverse_path: envelope.reverse_path,
            forward_paths: envelope.forward_paths,
            octets: data.message,
        };
        self.finals = match self.offer.lmtp {
            false => [all].into(),
            true => all
                .forward_paths
                .iter()
                .map(|path| Delivery {
                    forward_paths: vec![path.clone()],
                    reverse_path: all.reverse_path.clone(),
                    octets: all.octets.clone(),
                })
                .collect(),
        };
        self.forget();
        self.mode = Mode::Finals(refused);
    }

    /// Answers for the message or, over LMTP, for the message for one recipient.
    pub(super) fn final_reply(&mut self, refused: bool) {
        let Some(delivery) = self.finals.pop_front() else {
            self.mode = Mode::Commands;
            return;
        };
        let occasion = self.occasion(Phase::DataTermination);
        let normal: &[u8] = if refused {
            REFUSED
        } else {
            b"250 2.0.0 queued\r\n"
        };
        let fault = self.fault_at(Phase::DataTermination, occasion);
        let commits = fault.is_none_or(|fault| fault.commit || means_success(&fault.say, normal));
        if commits && !refused {
            self.committed.push(delivery);
        }
        match fault {
            None => self.say_now(normal),
            Some(fault) => self.fault(fault, normal),
        }
    }
}

/// Whether lines end with CRLF and neither CR nor LF is anywhere else.
fn is_lines(message: &[u8]) -> bool {
    let bare = |line: &[u8]| memchr2(b'\r', b'\n', line).is_some();
    let mut rest = message;
    while let Some(end) = memchr(b'\n', rest) {
        let Some(line) = rest[..=end].strip_suffix(b"\r\n") else {
            return false;
        };
        if bare(line) {
            return false;
        }
        rest = &rest[end + 1..];
    }
    !bare(rest)
}

/// Mail data, taken apart by looking for lines.
#[derive(Debug, Default)]
pub(super) struct MailData {
    message: Vec<u8>,
    /// The line that has not ended, as it came.
    line: Vec<u8>,
    pub(super) taken: u64,
    wrong: bool,
}

impl MailData {
    /// Takes octets up to the end of mail data. Says how many, and whether that was it.
    fn take(&mut self, octets: &[u8]) -> (usize, bool) {
        let mut at = 0;
        self.message.reserve(octets.len());
        while let Some(length) = memchr(b'\n', &octets[at..]) {
            let more = &octets[at..=at + length];
            at += length + 1;
            let ended = if self.line.is_empty() && more.ends_with(b"\r\n") {
                self.line_of(more)
            } else {
                self.line.extend_from_slice(more);
                if !self.line.ends_with(b"\r\n") {
                    continue;
                }
                let line = std::mem::take(&mut self.line);
                self.line_of(&line)
            };
            if ended {
                self.taken += at as u64;
                return (at, true);
            }
        }
        self.line.extend_from_slice(&octets[at..]);
        self.taken += octets.len() as u64;
        (octets.len(), false)
    }

    /// Takes a line with its CRLF. Says whether it was the end of mail data.
    fn line_of(&mut self, whole: &[u8]) -> bool {
        let line = &whole[..whole.len() - 2];
        if line == b"." {
            return true;
        }
        self.wrong |= memchr2(b'\r', b'\n', line).is_some();
        // Transparency: every line that begins with a dot has one more.
        let stuffed = line.first() == Some(&b'.');
        self.wrong |= stuffed && line.get(1) != Some(&b'.');
        self.message
            .extend_from_slice(&whole[usize::from(stuffed)..]);
        false
    }
}
