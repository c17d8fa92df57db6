//! What a server says, how fast, and what comes then, from text.

use proto::Phase;

use super::{Cursor, PlanError};
use crate::plan::{Pace, SaslFault, Say, ServerFault, Then};

const CLAUSES: &str = "normal, reply CODE [TEXT], raw \"OCTETS\", half, nothing, garbage, endless-lines, endless-line, twice, after TIME, drip TIME, hold, continue, close, half-close, reset, stall or commit; at auth wrong-nonce, wrong-binding, bad-signature, iterations NUMBER, oversize or echo";

impl Cursor<'_> {
    pub(super) fn server(&mut self, phase: Option<Phase>) -> Result<ServerFault, PlanError> {
        let (mut say, mut pace, mut then, mut commit) = (None, None, None, false);
        loop {
            self.blanks();
            let start = self.at;
            let word = self.word();
            let repeated = match word {
                "normal" => say.replace(Say::Normal).is_some(),
                "half" => say.replace(Say::Half).is_some(),
                "nothing" => say.replace(Say::Nothing).is_some(),
                "garbage" => say.replace(Say::Garbage).is_some(),
                "endless-lines" => say.replace(Say::EndlessLines).is_some(),
                "endless-line" => say.replace(Say::EndlessLine).is_some(),
                "twice" => say.replace(Say::Twice).is_some(),
                _ if SaslFault::NAMES.contains(&word) => {
                    if phase != Some(Phase::Auth) {
                        return self.back(word, format!("no {word}: only auth can"));
                    }
                    say.replace(Say::Sasl(self.sasl(word)?)).is_some()
                }
                "reply" => say.replace(self.reply()?).is_some(),
                "raw" => {
                    self.blanks();
                    let octets = self.quoted()?;
                    say.replace(Say::Raw(octets)).is_some()
                }
                "after" => pace.replace(Pace::After(self.duration()?)).is_some(),
                "drip" => pace.replace(Pace::Drip(self.duration()?)).is_some(),
                "hold" => pace.replace(Pace::Hold).is_some(),
                "continue" => then.replace(Then::Continue).is_some(),
                "close" => then.replace(Then::Close).is_some(),
                "half-close" => then.replace(Then::HalfClose).is_some(),
                "reset" => then.replace(Then::Reset).is_some(),
                "stall" => then.replace(Then::Stall).is_some(),
                "commit" if phase != Some(Phase::DataTermination) => {
                    return self.back(word, "no commit: only data-termination can");
                }
                "commit" => std::mem::replace(&mut commit, true),
                _ => return self.back(word, CLAUSES),
            };
            if repeated {
                self.at = start;
                return self.fail("one clause each of what is said, how fast, and what comes then");
            }
            self.blanks();
            if !self.rest().starts_with(';') {
                break;
            }
            self.at += 1;
        }
        let silent = then.is_some_and(|then| then != Then::Continue) && pace.is_none();
        Ok(ServerFault {
            say: say.unwrap_or(if silent { Say::Nothing } else { Say::Normal }),
            pace: pace.unwrap_or(Pace::AtOnce),
            then: then.unwrap_or(Then::Continue),
            commit,
        })
    }

    pub(super) fn sasl(&mut self, word: &str) -> Result<SaslFault, PlanError> {
        Ok(match word {
            "wrong-nonce" => SaslFault::WrongNonce,
            "wrong-binding" => SaslFault::WrongBinding,
            "bad-signature" => SaslFault::BadSignature,
            "iterations" => SaslFault::Iterations(self.number("a number of iterations")?),
            "oversize" => SaslFault::Oversize,
            _ => SaslFault::Echo,
        })
    }

    pub(super) fn reply(&mut self) -> Result<Say, PlanError> {
        self.blanks();
        let start = self.at;
        let code = self.number::<u16>("a reply code from 200 to 559")?;
        if proto::ReplyCode::new(code).is_none() {
            self.at = start;
            return self.fail("a reply code from 200 to 559");
        }
        self.blanks();
        if self.rest().starts_with('"') {
            let octets = self.quoted()?;
            return match String::from_utf8(octets) {
                Ok(text) => Ok(Say::Reply { code, text }),
                Err(_) => self.fail("text in UTF-8; write other octets with raw"),
            };
        }
        let rest = self.rest();
        let end = rest.find([';', '|']).unwrap_or(rest.len());
        self.at += end;
        let text = rest.get(..end).unwrap_or_default().trim_end();
        Ok(Say::Reply {
            code,
            text: text.to_owned(),
        })
    }
}
