//! What goes wrong with an answer.

use postbound::Phase;
use simnet::plan::{Pace, Rule, Say, ServerFault, Then};

use super::super::link::millis;
use super::{Act, Server};

impl<'a> Server<'a> {
    pub(super) fn occasion(&mut self, phase: Phase) -> u16 {
        let count = &mut self.occasions[phase.index()];
        *count = count.saturating_add(1);
        *count
    }

    pub(super) fn fault_at(&self, phase: Phase, occasion: u16) -> Option<&'a ServerFault> {
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
    pub(super) fn answer(&mut self, phase: Phase, normal: &[u8]) -> bool {
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

    pub(super) fn say_now(&mut self, octets: &[u8]) {
        let begin = self.saying.len();
        self.saying.extend_from_slice(octets);
        self.acts.push_back(Act::Say(begin, self.saying.len()));
    }

    pub(super) fn fault(&mut self, fault: &ServerFault, normal: &[u8]) {
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

    pub(super) fn endless(&mut self, lines: bool, pace: Pace, normal: &[u8]) {
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
pub(in crate::run::sansio) fn knows(fault: &ServerFault) -> bool {
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
pub(super) fn means_success(say: &Say, normal: &[u8]) -> bool {
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
