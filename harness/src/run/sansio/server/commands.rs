//! What each command does.

use postbound::Phase;
use simnet::plan::{IntakeFault, Then};

use super::super::link::millis;
use super::{Act, Envelope, Mode, Server};

const EXTENSIONS: &str = "250-SIZE 10485760\r\n250-8BITMIME\r\n";

impl Server<'_> {
    pub(super) fn command(&mut self, text: &str, more: bool) {
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

    pub(super) fn forget(&mut self) {
        self.mail_said = false;
        self.rcpt_said = false;
        self.envelope = None;
        self.chunks = None;
    }

    pub(super) fn mail(&mut self, rest: &str) {
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

    pub(super) fn data(&mut self) {
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
}
