//! The scripted server once more, in plain code: a second opinion on the double's dialogue.

use std::collections::VecDeque;

use memchr::{memchr, memchr2};
use postbound::Phase;
use simnet::Plan;
use simnet::plan::{IntakeFault, Pace, Rule, Say, ServerFault, Then};

use super::Millis;
use super::link::{End, Link, Room, millis};

/// Something to be done before the next command is read.
#[derive(Clone, Copy, Debug)]
enum Act {
    Sleep(Millis),
    /// These octets of what is to be said.
    Say(usize, usize),
    /// The octets from here on, again and again, this often.
    Endless(usize, usize, Option<Millis>),
    End(Then),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Commands,
    MailData,
    /// The octets of a chunk: so many are still to come, and whether it is the last one.
    Chunk(u64, bool),
    /// Final replies are due; whether a chunk was refused.
    Finals(bool),
    Stalled,
    Ended,
}

/// What the healthy server offers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    pub(super) pipelining: bool,
    pub(super) chunking: bool,
    pub(super) lmtp: bool,
}

pub(super) struct Server<'a> {
    plan: &'a Plan,
    offer: Offer,
    mode: Mode,
    /// Its own side is closed: what it says is not sent.
    mute: bool,
    asleep: Option<Millis>,
    acts: VecDeque<Act>,
    saying: Vec<u8>,
    /// Octets of the client's stream that were used.
    used: usize,
    taken: usize,
    occasions: [u16; Phase::COUNT],
    greeted: bool,
    mail_said: bool,
    rcpt_said: bool,
    envelope: Option<Envelope>,
    data: MailData,
    /// What is still to be answered for.
    finals: VecDeque<Delivery>,
    /// Chunks were sent, and whether one of them was refused.
    chunks: Option<bool>,
    intake: Option<&'a IntakeFault>,
    due: Option<u64>,
    /// What was committed, and under which envelope.
    pub(super) committed: Vec<Delivery>,
    pub(super) findings: Vec<String>,
}

#[derive(Debug, Default)]
struct Envelope {
    reverse_path: String,
    forward_paths: Vec<String>,
    eight_bit: bool,
}

#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) reverse_path: String,
    pub(super) forward_paths: Vec<String>,
    pub(super) octets: Vec<u8>,
}

const EXTENSIONS: &str = "250-SIZE 10485760\r\n250-8BITMIME\r\n";
const REFUSED: &[u8] = b"503 5.5.1 an earlier chunk was refused\r\n";
const NOBODY: &[u8] = b"503 5.5.1 no valid recipients\r\n";

impl<'a> Server<'a> {
    pub(super) fn new(plan: &'a Plan, offer: Offer) -> Self {
        let intake = plan.rules.iter().find_map(|rule| match rule {
            Rule::Intake(fault) => Some(fault),
            _ => None,
        });
        let mut server = Self {
            plan,
            offer,
            mode: Mode::Commands,
            mute: false,
            asleep: None,
            acts: VecDeque::with_capacity(8),
            saying: Vec::with_capacity(256),
            used: 0,
            taken: 0,
            occasions: [0; Phase::COUNT],
            greeted: false,
            mail_said: false,
            rcpt_said: false,
            envelope: None,
            data: MailData::default(),
            finals: VecDeque::new(),
            chunks: None,
            intake,
            due: None,
            committed: Vec::new(),
            findings: Vec::new(),
        };
        let greeting: &[u8] = if offer.lmtp {
            b"220 double.example LMTP\r\n"
        } else {
            b"220 double.example ESMTP\r\n"
        };
        server.answer(Phase::Greeting, greeting);
        server
    }

    /// Whether nothing that comes can reach the mailbox any more.
    pub(super) fn is_done(&self) -> bool {
        let endless = |act: &Act| !self.mute && matches!(act, Act::Endless(..));
        matches!(self.mode, Mode::Ended | Mode::Stalled) || self.acts.iter().any(endless)
    }

    /// When there may be more to do.
    pub(super) fn next_event(&self, link: &Link) -> Option<Millis> {
        match (self.mode, self.asleep) {
            (Mode::Ended | Mode::Stalled, _) => None,
            (_, Some(until)) => Some(until),
            _ => link.to_server.next_arrival(),
        }
    }

    /// Does what can be done now.
    pub(super) fn turn(&mut self, link: &mut Link, now: Millis) {
        if let Some(until) = self.asleep {
            if now < until {
                return;
            }
            self.asleep = None;
        }
        while self.mode != Mode::Ended && self.mode != Mode::Stalled {
            let more = match self.acts.front().copied() {
                Some(act) => self.act(act, link, now),
                None => self.read_on(link, now),
            };
            match more {
                Some(true) => {}
                Some(false) => return,
                None => {
                    self.mode = Mode::Ended;
                    link.drop_end(true, now);
                }
            }
        }
    }

    /// Whether there is more to do now; `None` is the connection's end.
    fn act(&mut self, act: Act, link: &mut Link, now: Millis) -> Option<bool> {
        match act {
            Act::Sleep(time) => {
                self.acts.pop_front();
                self.asleep = Some(now + time);
                return Some(false);
            }
            Act::Say(..) | Act::Endless(..) if self.mute => {
                self.acts.pop_front();
            }
            Act::Say(begin, end) => match self.write(begin, end, link, now)? {
                0 => return Some(false),
                count if begin + count < end => {
                    self.acts[0] = Act::Say(begin + count, end);
                }
                _ => {
                    self.acts.pop_front();
                }
            },
            Act::Endless(begin, end, every) => {
                if let Some(every) = every {
                    self.acts.push_front(Act::Say(begin, end));
                    self.acts.push_front(Act::Sleep(every));
                } else {
                    self.acts.push_front(Act::Say(begin, end));
                }
            }
            Act::End(then) => {
                match then {
                    Then::Continue => {}
                    Then::Close => return None,
                    Then::HalfClose => {
                        if !std::mem::replace(&mut self.mute, true) {
                            link.to_client.send_fin(now);
                        }
                    }
                    Then::Reset => {
                        link.to_client.send_rst(now);
                        return None;
                    }
                    _ => self.mode = Mode::Stalled,
                }
                self.acts.pop_front();
            }
        }
        Some(true)
    }

    /// Writes what there is room for; 0 is none.
    fn write(&self, begin: usize, end: usize, link: &mut Link, now: Millis) -> Option<usize> {
        match link.room(true, now) {
            Room::Reset => None,
            Room::Blocked => Some(0),
            Room::Octets(room) => {
                let count = room.min(end - begin);
                link.send(true, &self.saying[begin..begin + count], now);
                Some(count)
            }
        }
    }

    /// Reads at most `most` octets: whether any came; `None` at the end.
    fn read(&mut self, most: usize, link: &mut Link, now: Millis) -> Option<bool> {
        let pipe = &mut link.to_server;
        pipe.arrive(now);
        if pipe.has_arrived() {
            self.taken += pipe.take(most.clamp(1, 4096)).len();
            return Some(true);
        }
        (pipe.end == End::Open).then_some(false)
    }

    fn read_on(&mut self, link: &mut Link, now: Millis) -> Option<bool> {
        self.saying.clear();
        match self.mode {
            Mode::Chunk(0, last) => {
                self.end_of_chunk(last);
                return Some(true);
            }
            Mode::Finals(refused) => {
                self.final_reply(refused);
                return Some(true);
            }
            Mode::MailData | Mode::Chunk(..) => return self.mail_data(link, now),
            _ => {}
        }
        let buffered = link.to_server.taken_from(self.used);
        let Some(end) = memchr(b'\n', buffered) else {
            if buffered.len() > 16 * 1024 {
                return None;
            }
            return self.read(4096, link, now);
        };
        self.used += end + 1;
        let line = &buffered[..=end];
        let more = buffered.len() > end + 1;
        let Some(text) = line.strip_suffix(b"\r\n") else {
            self.find("a command line ends with a bare LF");
            return Some(true);
        };
        if line.len() > 512 || text.iter().any(u8::is_ascii_control) {
            self.find("a command line that is too long or has a control character");
        }
        let text = String::from_utf8_lossy(text);
        self.command(&text, more);
        Some(true)
    }

    fn find(&mut self, what: &str) {
        self.findings.push(what.to_owned());
    }

    fn command(&mut self, text: &str, more: bool) {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        if more && verb != "BDAT" {
            if !self.greeted || !self.offer.pipelining {
                self.find("more than one command although PIPELINING is not in force");
            } else if !matches!(verb, "MAIL" | "RCPT" | "RSET") {
                self.find("octets behind a command that must be the last of its group");
            }
        }
        match verb {
            "EHLO" | "HELO" | "LHLO" if self.offer.lmtp == (verb == "LHLO") => {
                if rest.is_empty() {
                    self.find("EHLO or HELO without a name");
                }
                let mut normal = String::with_capacity(128);
                if verb == "HELO" {
                    normal.push_str("250 double.example\r\n");
                } else {
                    normal.push_str("250-double.example\r\n");
                    if self.offer.pipelining {
                        normal.push_str("250-PIPELINING\r\n");
                    }
                    normal.push_str(EXTENSIONS);
                    normal.push_str(if self.offer.chunking {
                        "250-ENHANCEDSTATUSCODES\r\n250 CHUNKING\r\n"
                    } else {
                        "250 ENHANCEDSTATUSCODES\r\n"
                    });
                }
                if self.answer(Phase::Ehlo, normal.as_bytes()) {
                    self.forget();
                    self.greeted = true;
                }
            }
            "MAIL" => self.mail(rest),
            "RCPT" => {
                if !self.mail_said {
                    self.find("RCPT before MAIL");
                }
                self.rcpt_said = true;
                let Some(path) = rest.strip_prefix("TO:<").and_then(|r| r.strip_suffix('>')) else {
                    self.find("a malformed RCPT");
                    return;
                };
                if self.envelope.is_none() {
                    self.occasion(Phase::Rcpt);
                    self.say_now(b"503 5.5.1 MAIL first\r\n");
                } else if self.answer(Phase::Rcpt, b"250 2.1.5 ok\r\n")
                    && let Some(envelope) = &mut self.envelope
                {
                    envelope.forward_paths.push(path.to_owned());
                }
            }
            "DATA" => self.data(),
            "BDAT" => self.bdat(rest),
            "RSET" => {
                self.mail_said = false;
                self.rcpt_said = false;
                if self.answer(Phase::Reset, b"250 2.0.0 ok\r\n") {
                    self.forget();
                }
            }
            "QUIT" => {
                self.answer(Phase::Quit, b"221 2.0.0 double.example closing\r\n");
                self.acts.push_back(Act::End(Then::Close));
            }
            _ => self.find("a command that is none"),
        }
    }

    fn forget(&mut self) {
        self.mail_said = false;
        self.rcpt_said = false;
        self.envelope = None;
        self.chunks = None;
    }

    fn mail(&mut self, rest: &str) {
        if !self.greeted || self.mail_said {
            self.find("MAIL out of order");
        }
        self.mail_said = true;
        let Some((path, parameters)) = rest
            .strip_prefix("FROM:<")
            .and_then(|rest| rest.split_once('>'))
        else {
            self.find("a malformed MAIL");
            return;
        };
        let mut envelope = Envelope {
            reverse_path: path.to_owned(),
            ..Envelope::default()
        };
        for parameter in parameters.split_whitespace() {
            match parameter.split_once('=') {
                Some(("SIZE", size)) if size.parse::<u64>().is_ok_and(|size| size < 10_485_760) => {
                }
                Some(("BODY", "8BITMIME")) => envelope.eight_bit = true,
                _ => self.find("a parameter that was not offered"),
            }
        }
        if self.answer(Phase::Mail, b"250 2.1.0 ok\r\n") {
            self.envelope = Some(envelope);
        }
    }

    fn data(&mut self) {
        if !self.mail_said {
            self.find("DATA before MAIL");
        }
        let refused = self
            .envelope
            .as_ref()
            .is_none_or(|envelope| envelope.forward_paths.is_empty());
        let normal: &[u8] = match refused {
            true => b"554 5.5.1 no valid recipients\r\n",
            false => b"354 go ahead\r\n",
        };
        let meant = self.answer(Phase::DataInitiation, normal);
        let goes_on = match self.acts.back() {
            Some(Act::End(then)) => *then == Then::HalfClose,
            _ => true,
        };
        if meant && !refused && goes_on {
            self.mode = Mode::MailData;
            self.begin_mail_data();
            if let Some(IntakeFault::Trickle { every, .. }) = self.intake {
                self.acts.push_back(Act::Sleep(millis(*every)));
            }
        }
    }

    fn begin_mail_data(&mut self) {
        self.data = MailData::default();
        self.due = match self.intake {
            Some(IntakeFault::Stop { after, .. } | IntakeFault::Interrupt { after, .. }) => {
                Some(*after)
            }
            _ => None,
        };
    }

    /// A chunk (RFC 3030) is announced.
    fn bdat(&mut self, rest: &str) {
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
    fn end_of_chunk(&mut self, last: bool) {
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
    fn mail_data(&mut self, link: &mut Link, now: Millis) -> Option<bool> {
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

    fn end_of_mail_data(&mut self, more: bool, refused: bool) {
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
    fn final_reply(&mut self, refused: bool) {
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

    fn occasion(&mut self, phase: Phase) -> u16 {
        let count = &mut self.occasions[phase.index()];
        *count = count.saturating_add(1);
        *count
    }

    fn fault_at(&self, phase: Phase, occasion: u16) -> Option<&'a ServerFault> {
        self.plan.rules.iter().find_map(|rule| match rule {
            Rule::Server {
                phase: at,
                nth,
                fault,
            } if *at == phase && nth.is_none_or(|nth| nth == occasion) => Some(fault),
            _ => None,
        })
    }

    /// Answers as the plan has it. Says whether the answer means what the script meant.
    fn answer(&mut self, phase: Phase, normal: &[u8]) -> bool {
        let occasion = self.occasion(phase);
        match self.fault_at(phase, occasion) {
            None => {
                self.say_now(normal);
                true
            }
            Some(fault) => {
                self.fault(fault, normal);
                means_success(&fault.say, normal)
            }
        }
    }

    fn say_now(&mut self, octets: &[u8]) {
        let begin = self.saying.len();
        self.saying.extend_from_slice(octets);
        self.acts.push_back(Act::Say(begin, self.saying.len()));
    }

    fn fault(&mut self, fault: &ServerFault, normal: &[u8]) {
        let begin = self.saying.len();
        let mut endless = None;
        match &fault.say {
            Say::Normal => self.saying.extend_from_slice(normal),
            Say::Reply { code, text } => {
                let mut lines = text.split('\n').peekable();
                while let Some(line) = lines.next() {
                    let separator = if lines.peek().is_some() { '-' } else { ' ' };
                    let line = format!("{code}{separator}{line}\r\n");
                    self.saying.extend_from_slice(line.as_bytes());
                }
            }
            Say::Raw(octets) => self.saying.extend_from_slice(octets),
            Say::Half => self.saying.extend_from_slice(&normal[..normal.len() / 2]),
            Say::Garbage => {
                self.saying
                    .extend_from_slice(b"\x16\x03\x01\xff\xfenonsense\x1b[2J\r\n");
            }
            Say::Twice => self.saying.extend_from_slice(&[normal, normal].concat()),
            Say::EndlessLines => endless = Some(true),
            Say::EndlessLine => endless = Some(false),
            _ => {}
        }
        if let Some(lines) = endless {
            self.endless(lines, fault.pace, normal);
            return;
        }
        let end = self.saying.len();
        match fault.pace {
            Pace::After(delay) => {
                self.acts.push_back(Act::Sleep(millis(delay)));
                self.acts.push_back(Act::Say(begin, end));
            }
            Pace::Drip(every) => {
                for at in begin..end {
                    self.acts.push_back(Act::Sleep(millis(every)));
                    self.acts.push_back(Act::Say(at, at + 1));
                }
            }
            _ => self.acts.push_back(Act::Say(begin, end)),
        }
        if begin == end {
            self.acts
                .retain(|act| !matches!(act, Act::Say(a, b) if a == b));
        }
        if fault.then != Then::Continue {
            self.acts.push_back(Act::End(fault.then));
        }
    }

    fn endless(&mut self, lines: bool, pace: Pace, normal: &[u8]) {
        let begin = self.saying.len();
        self.saying.extend_from_slice(&normal[..3]);
        self.saying.extend_from_slice(b"-and so on");
        if lines {
            self.saying.extend_from_slice(b"\r\n");
        }
        let (first, length) = (self.saying.len(), self.saying.len() - begin);
        if lines {
            let line = self.saying[begin..].to_vec();
            (0..64).for_each(|_| self.saying.extend_from_slice(&line));
        } else {
            self.saying.resize(first + 1024, b'a');
        }
        if let Pace::After(delay) = pace {
            self.acts.push_back(Act::Sleep(millis(delay)));
        }
        self.acts.push_back(Act::Say(begin, first));
        self.acts.push_back(match pace {
            Pace::Drip(every) => Act::Endless(first, first + length, Some(millis(every))),
            _ => Act::Endless(first, self.saying.len(), None),
        });
    }
}

/// Whether this server can do that.
pub(super) fn knows(fault: &ServerFault) -> bool {
    let ServerFault {
        say,
        pace,
        then,
        commit: _,
        ..
    } = fault;
    matches!(
        say,
        Say::Normal
            | Say::Reply { .. }
            | Say::Raw(_)
            | Say::Half
            | Say::Nothing
            | Say::Garbage
            | Say::EndlessLines
            | Say::EndlessLine
            | Say::Twice
    ) && matches!(pace, Pace::AtOnce | Pace::After(_) | Pace::Drip(_))
        && matches!(
            then,
            Then::Continue | Then::Close | Then::HalfClose | Then::Reset | Then::Stall
        )
}

/// Whether a saying means that the server goes on as if it had said `normal`.
fn means_success(say: &Say, normal: &[u8]) -> bool {
    let kind = u16::from(normal[0] - b'0');
    match say {
        Say::Normal | Say::Twice | Say::Half | Say::EndlessLine | Say::EndlessLines => {
            matches!(kind, 2 | 3)
        }
        Say::Reply { code, .. } => {
            let wanted = if kind == 3 { 3 } else { 2 };
            code / 100 == wanted
        }
        _ => false,
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
struct MailData {
    message: Vec<u8>,
    /// The line that has not ended, as it came.
    line: Vec<u8>,
    taken: u64,
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
