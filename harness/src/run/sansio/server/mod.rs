//! The scripted server once more, in plain code: a second opinion on the double's dialogue.

mod commands;
mod faults;
mod mail_data;

use std::collections::VecDeque;

use memchr::memchr;
use postbound::Phase;
use simnet::Plan;
use simnet::plan::{IntakeFault, Rule, Then};

use self::mail_data::MailData;
use super::Millis;
use super::link::{End, Link, Room};

pub(super) use self::faults::knows;

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
}
