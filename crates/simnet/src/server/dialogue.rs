//! The dialogue: which command is answered how, and what the client must not do.

mod auth;
mod chunks;
mod envelope;
mod mail_data;
#[cfg(feature = "tls")]
mod secure;

use std::borrow::Cow;
use std::future::pending;
use std::io;

use proto::Phase;
use tokio::io::{AsyncRead, AsyncWrite};

use self::chunks::Chunks;
use super::parameters::{self, Body, Mail};
use super::wire::{Wire, reply};
use super::{Abort, Double};
use crate::coverage::Fate;
use crate::ledger::Delivery;
use crate::plan::{Pace, Say, ServerFault, Then};
use crate::rules::{Asked, Gate, Occasion, Struck};
use crate::trace::Event;

/// What happens to the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Go,
    Close,
    Reset,
    Stall,
}

struct Dialogue<'a, S> {
    double: &'a Double,
    fate: Fate,
    wire: Wire<S>,
    occasions: [u16; Phase::COUNT],
    /// Commands so far.
    commands: u32,
    /// The name that the client gave.
    ehlo: String,
    /// The reverse-path that was asked for, whatever the answer.
    from: String,
    /// What addresses and the EHLO name asked for.
    asked: Asked,
    greeted: bool,
    /// The greeting was EHLO: service extensions are in force.
    extended: bool,
    /// Mail transactions of the connection.
    transactions: u32,
    /// MAIL was said, whatever the answer; and what was accepted of the transaction.
    mail_said: bool,
    rcpt_said: bool,
    /// AUTH was accepted, and how often it was said.
    authenticated: bool,
    exchanges: u16,
    envelope: Option<Delivery>,
    parameters: Mail,
    /// RCPT commands of the transaction.
    recipients: usize,
    /// Mail data by BDAT.
    chunks: Option<Chunks>,
}

/// Serves one connection to its end.
pub(super) async fn run<S>(double: &Double, stream: S, connection: u32, fate: Fate)
where
    S: AsyncRead + AsyncWrite + Unpin + Abort,
{
    let mut dialogue = Dialogue {
        double,
        fate,
        wire: Wire::new(stream, connection, double.trace.clone()),
        occasions: [0; Phase::COUNT],
        commands: 0,
        ehlo: String::new(),
        from: String::new(),
        asked: Asked::new(double.triggers),
        greeted: false,
        extended: false,
        transactions: 0,
        mail_said: false,
        rcpt_said: false,
        authenticated: false,
        exchanges: 0,
        envelope: None,
        parameters: Mail::default(),
        recipients: 0,
        chunks: None,
    };
    let next = dialogue.converse().await;
    let record = |how| double.trace.record(connection, || Event::Ended(how));
    match next {
        Ok(Next::Reset) => {
            record("reset");
            dialogue.wire.stream.abort();
        }
        Ok(Next::Stall) => {
            record("stall");
            pending::<()>().await;
        }
        Ok(Next::Close) => {
            record("close");
            dialogue.wire.close(double.notifies()).await;
        }
        Err(_) if dialogue.wire.alerted => record("close"),
        Ok(Next::Go) | Err(_) => double.trace.record(connection, || Event::Gone),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Abort> Dialogue<'_, S> {
    async fn converse(&mut self) -> io::Result<Next> {
        #[cfg(feature = "tls")]
        if self.double.tls_modes().1 {
            let next = self.secure().await?;
            if next != Next::Go {
                return Ok(next);
            }
        }
        let protocol = if self.double.script.lmtp {
            "LMTP"
        } else {
            "ESMTP"
        };
        let domain = self.double.script.domain.as_str();
        let greeting = ["220 ", domain, " ", protocol, "\r\n"].concat();
        let mut next = self.answer(Phase::Greeting, greeting.into_bytes()).await?.1;
        while next == Next::Go {
            let Some(line) = self.wire.line().await? else {
                return Ok(Next::Go);
            };
            next = self.command(&line).await?;
        }
        Ok(next)
    }

    /// Whether this service extension is in force.
    fn offers(&self, keyword: &str) -> bool {
        let possible = keyword != "REQUIRETLS" || self.wire.stream.is_tls();
        self.extended && possible && self.double.script.offers(keyword)
    }

    /// A limit that the server announced (RFC 9422), if it is exceeded.
    fn exceeds(&self, name: &str, count: usize) -> bool {
        let exceeded = self.extended
            && self
                .double
                .script
                .limit(name)
                .is_some_and(|most| count > most);
        if exceeded {
            self.find(format!("{name} is exceeded"));
        }
        exceeded
    }

    fn find(&self, what: impl Into<String>) {
        let (connection, what) = (self.wire.connection, what.into());
        self.double
            .trace
            .record(connection, || Event::Finding(what.clone()));
        self.double.ledger.find(connection, what);
    }

    /// Answers at `phase`, as the plan has it. Says whether the answer means what the script meant.
    async fn answer(&mut self, phase: Phase, normal: Vec<u8>) -> io::Result<(bool, Next)> {
        let to = self.accepted();
        self.answer_to(phase, &to, normal).await
    }

    /// The same, where the forward-path that is asked for is not accepted yet.
    async fn answer_to(
        &mut self,
        phase: Phase,
        to: &[String],
        normal: Vec<u8>,
    ) -> io::Result<(bool, Next)> {
        match self.strike(phase, to) {
            None => {
                self.wire.say(&Say::Normal, Pace::AtOnce, &normal).await?;
                Ok((true, Next::Go))
            }
            Some(struck) => self.struck(&struck, &normal).await,
        }
    }

    /// The next occasion of `phase` has come: what the rules have for it.
    fn strike(&mut self, phase: Phase, to: &[String]) -> Option<Struck<ServerFault>> {
        let nth = self.occasion(phase);
        let now = self.now(phase, nth, to);
        let struck = self.double.rules.strike(&now);
        let struck = struck.or_else(|| self.asked.rules.strike(&now))?;
        self.fate.strike(struck.label.clone());
        Some(struck)
    }

    fn now<'o>(&'o self, phase: Phase, nth: u16, to: &'o [String]) -> Occasion<'o> {
        Occasion {
            phase,
            nth,
            connection: self.wire.connection,
            command: self.commands,
            ehlo: &self.ehlo,
            from: &self.from,
            to,
        }
    }

    /// The forward-paths that were accepted.
    fn accepted(&self) -> Vec<String> {
        let envelope = self.envelope.as_ref();
        envelope
            .map(|e| e.forward_paths.clone())
            .unwrap_or_default()
    }

    fn occasion(&mut self, phase: Phase) -> u16 {
        self.double.recorder.reach(phase);
        match self.occasions.get_mut(phase.index()) {
            Some(count) => {
                *count = count.saturating_add(1);
                *count
            }
            None => 0,
        }
    }

    /// Does what a rule has for this occasion.
    async fn struck(
        &mut self,
        struck: &Struck<ServerFault>,
        normal: &[u8],
    ) -> io::Result<(bool, Next)> {
        self.fault(&struck.fault, struck.gate.as_ref(), normal)
            .await
    }

    async fn fault(
        &mut self,
        fault: &ServerFault,
        gate: Option<&Gate>,
        normal: &[u8],
    ) -> io::Result<(bool, Next)> {
        if let Some(gate) = gate {
            let connection = self.wire.connection;
            let held = || self.double.trace.record(connection, || Event::Held);
            gate.pass(connection, held).await;
        }
        self.wire.say(&fault.say, fault.pace, normal).await?;
        let next = match fault.then {
            Then::Continue => Next::Go,
            Then::Close => Next::Close,
            Then::HalfClose => {
                self.wire.half_close(self.double.notifies()).await?;
                Next::Go
            }
            Then::Reset => Next::Reset,
            Then::Stall => Next::Stall,
        };
        Ok((means_success(&fault.say, normal), next))
    }

    async fn command(&mut self, line: &[u8]) -> io::Result<Next> {
        let connection = self.wire.connection;
        self.commands = self.commands.saturating_add(1);
        let text = line.strip_suffix(b"\r\n").unwrap_or_else(|| {
            self.find("a command line ends with a bare LF");
            line.strip_suffix(b"\n").unwrap_or(line)
        });
        let octets = text;
        let secrets = self.exchanges > 0;
        self.double
            .trace
            .record(connection, || Event::Command(discreet(octets, secrets).0));
        if text.iter().any(u8::is_ascii_control) {
            self.find("a command line has a control character in it");
        }
        let text = match std::str::from_utf8(text) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => {
                self.find("a command line is not UTF-8");
                String::from_utf8_lossy(text)
            }
        };
        let (verb, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let verb = verb.to_ascii_uppercase();
        let most = parameters::line_octets(&verb, |keyword| self.offers(keyword));
        if line.len() > most {
            self.find(format!(
                "a command line has {} octets; {most} are allowed",
                line.len()
            ));
        }
        let last_of_group = !matches!(verb.as_str(), "MAIL" | "RCPT" | "RSET");
        // The octets behind BDAT are its chunk.
        if !self.wire.buffered().is_empty() && verb != "BDAT" {
            if !self.greeted || !self.offers("PIPELINING") {
                self.find(format!(
                    "{verb} was not the last command although PIPELINING is not in force"
                ));
            } else if last_of_group {
                self.find(format!(
                    "octets follow {verb}, which must be the last of its group"
                ));
            }
        }
        match verb.as_str() {
            "LHLO" if self.double.script.lmtp => self.hello(rest, true).await,
            "EHLO" | "HELO" if self.double.script.lmtp => {
                self.find(format!("{verb} where LMTP is spoken"));
                self.plain(500, "5.5.1 LHLO").await
            }
            "EHLO" => self.hello(rest, true).await,
            "HELO" => self.hello(rest, false).await,
            "MAIL" => self.mail(rest).await,
            "RCPT" => self.rcpt(rest).await,
            "DATA" => self.data().await,
            "BDAT" => self.bdat(rest).await,
            "RSET" => {
                // The client has asked for a new transaction, whatever it is told.
                self.mail_said = false;
                self.rcpt_said = false;
                let (meant, next) = self
                    .answer(Phase::Reset, b"250 2.0.0 ok\r\n".to_vec())
                    .await?;
                if meant {
                    self.forget();
                }
                Ok(next)
            }
            "QUIT" => {
                let closing = format!("221 2.0.0 {} closing\r\n", self.double.script.domain);
                let next = self.answer(Phase::Quit, closing.into_bytes()).await?.1;
                Ok(if next == Next::Go { Next::Close } else { next })
            }
            "AUTH" => self.auth(rest).await,
            #[cfg(feature = "tls")]
            "STARTTLS" if self.double.tls_modes().0 => self.starttls(rest).await,
            "NOOP" => self.other(b"250 2.0.0 ok\r\n").await,
            "HELP" => self.other(b"214 2.0.0 this is a test double\r\n").await,
            "VRFY" | "EXPN" => self.other(b"252 2.1.5 send and see\r\n").await,
            _ => {
                self.find(if discreet(octets, secrets).1 {
                    "a response outside an exchange, or no command".to_owned()
                } else {
                    format!("{verb:?} is no command")
                });
                self.plain(500, "5.5.2 what").await
            }
        }
    }

    fn forget(&mut self) {
        self.mail_said = false;
        self.rcpt_said = false;
        self.asked.forget();
        self.envelope = None;
        self.parameters = Mail::default();
        self.recipients = 0;
        self.chunks = None;
    }

    /// Answers a command that is no part of a transaction.
    async fn other(&mut self, normal: &[u8]) -> io::Result<Next> {
        Ok(self.answer(Phase::Command, normal.to_vec()).await?.1)
    }

    async fn plain(&mut self, code: u16, text: &str) -> io::Result<Next> {
        self.wire.write(&reply(code, text)).await?;
        Ok(Next::Go)
    }
}

/// Whether a saying means that the server goes on as if it had said `normal`.
fn means_success(say: &Say, normal: &[u8]) -> bool {
    match say {
        Say::Normal
        | Say::Twice
        | Say::Half
        | Say::EndlessLine
        | Say::EndlessLines
        | Say::Sasl(_) => normal
            .first()
            .is_some_and(|digit| matches!(digit, b'2' | b'3')),
        Say::Reply { code, .. } => match normal.first() {
            Some(b'3') => (300..400).contains(code),
            _ => (200..300).contains(code),
        },
        Say::Raw(_) | Say::Nothing | Say::Garbage => false,
    }
}

/// A command line as it may be shown, and whether something is hidden: nothing behind AUTH and its
/// mechanism, and once AUTH was said nothing that could be a response.
fn discreet(line: &[u8], secrets: bool) -> (Vec<u8>, bool) {
    let mut words = line.splitn(3, |octet| *octet == b' ');
    let verb = words.next().unwrap_or_default().to_ascii_uppercase();
    match verb.as_slice() {
        b"AUTH" => {
            let mechanism = words.next().unwrap_or_default();
            let rest: &[u8] = match words.next() {
                Some(_) => b" [a response]",
                None => b"",
            };
            ([b"AUTH ", mechanism, rest].concat(), true)
        }
        b"EHLO" | b"HELO" | b"LHLO" | b"MAIL" | b"RCPT" | b"DATA" | b"BDAT" | b"RSET" | b"QUIT"
        | b"NOOP" | b"HELP" | b"VRFY" | b"EXPN" => (line.to_vec(), false),
        _ if secrets => (b"[a response]".to_vec(), true),
        _ => (line.to_vec(), false),
    }
}
