//! The dialogue: which command is answered how, and what the client must not do.

mod auth;
mod chunks;
#[cfg(feature = "tls")]
mod secure;

use std::borrow::Cow;
use std::future::pending;
use std::io;

use proto::Phase;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;

use self::chunks::Chunks;
use super::mail_data::{MailData, Taker};
use super::parameters::{self, Body, Mail};
use super::wire::{Wire, reply};
use super::{Abort, Double};
use crate::ledger::Delivery;
use crate::plan::{IntakeFault, Pace, Rule, Say, ServerFault, Then, TlsFault};
use crate::rules::{Asked, Occasion};
use crate::trace::Event;

/// What happens to the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Go,
    Close,
    Reset,
    Stall,
}

/// Forward-paths of one transaction (RFC 5321 §4.5.3.1.8 asks for at least 100).
const FORWARD_PATHS: usize = 1_000;

struct Dialogue<'a, S> {
    double: &'a Double,
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

/// How mail data is taken in.
struct Intake {
    fault: Option<IntakeFault>,
    /// The octets of mail data behind which it strikes.
    due: Option<u64>,
}

/// Serves one connection to its end.
pub(super) async fn run<S>(double: &Double, stream: S, connection: u32)
where
    S: AsyncRead + AsyncWrite + Unpin + Abort,
{
    let mut dialogue = Dialogue {
        double,
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
            let notify = !double
                .plan
                .rules
                .contains(&Rule::Tls(TlsFault::NoCloseNotify));
            dialogue.wire.close(notify).await;
        }
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
            Some(fault) => self.fault(&fault, &normal).await,
        }
    }

    /// The next occasion of `phase` has come: what the rules have for it.
    fn strike(&mut self, phase: Phase, to: &[String]) -> Option<ServerFault> {
        let nth = self.occasion(phase);
        let now = self.now(phase, nth, to);
        self.double
            .rules
            .strike(&now)
            .or_else(|| self.asked.rules.strike(&now))
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
        match self.occasions.get_mut(phase.index()) {
            Some(count) => {
                *count = count.saturating_add(1);
                *count
            }
            None => 0,
        }
    }

    async fn fault(&mut self, fault: &ServerFault, normal: &[u8]) -> io::Result<(bool, Next)> {
        self.wire.say(&fault.say, fault.pace, normal).await?;
        let next = match fault.then {
            Then::Continue => Next::Go,
            Then::Close => Next::Close,
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

    async fn hello(&mut self, name: &str, extended: bool) -> io::Result<Next> {
        if name.is_empty() {
            self.find("EHLO or HELO without a name");
        }
        name.clone_into(&mut self.ehlo);
        self.asked.by_name(name);
        let script = std::sync::Arc::clone(&self.double.script);
        let mut text = script.domain.clone();
        if extended {
            let tls = self.wire.stream.is_tls();
            let offered = |line: &&String| tls || *line != "REQUIRETLS";
            for line in script.extensions.iter().filter(offered) {
                text.push('\n');
                text.push_str(line);
            }
            if self.double.tls_modes().0 && !self.wire.stream.is_tls() {
                text.push_str("\nSTARTTLS");
            }
        }
        let (meant, next) = self.answer(Phase::Ehlo, reply(250, &text)).await?;
        if meant {
            self.forget();
            self.greeted = true;
            self.extended = extended;
        }
        Ok(next)
    }

    async fn mail(&mut self, rest: &str) -> io::Result<Next> {
        if !self.greeted {
            self.find("MAIL before a successful EHLO or HELO");
        }
        if self.mail_said {
            self.find("MAIL within a mail transaction");
        }
        self.mail_said = true;
        let Some((path, parameters)) = path(rest, "FROM:") else {
            self.find(format!("malformed: MAIL {rest}"));
            return self.plain(501, "5.5.4 MAIL FROM:<reverse-path>").await;
        };
        path.clone_into(&mut self.from);
        self.asked.by_sender(path);
        let (mail, wrong) = Mail::read(parameters, |keyword| self.offers(keyword));
        wrong.into_iter().for_each(|what| self.find(what));
        self.check_path(path, mail.smtputf8);
        self.transactions += 1;
        if self.exceeds("MAILMAX", self.transactions as usize) {
            return self.plain(452, "4.5.3 too many messages").await;
        }
        if mail.size > self.double.script.size {
            return self.plain(552, "5.3.4 too large").await;
        }
        let (meant, next) = self
            .answer(Phase::Mail, b"250 2.1.0 ok\r\n".to_vec())
            .await?;
        if meant {
            self.parameters = mail;
            self.envelope = Some(Delivery {
                connection: self.wire.connection,
                server: self.double.script.domain.clone(),
                ehlo: self.ehlo.clone(),
                reverse_path: path.to_owned(),
                forward_paths: Vec::new(),
                rcpt_parameters: Vec::new(),
                parameters: parameters.to_owned(),
                octets: Vec::new(),
                wire: Vec::new(),
            });
        }
        Ok(next)
    }

    fn check_path(&self, path: &str, smtputf8: bool) {
        if !smtputf8 && !path.is_ascii() {
            self.find("a path outside US-ASCII without SMTPUTF8");
        }
    }

    async fn rcpt(&mut self, rest: &str) -> io::Result<Next> {
        if !self.mail_said {
            self.find("RCPT before MAIL");
        }
        self.rcpt_said = true;
        let Some((path, parameters)) = path(rest, "TO:") else {
            self.find(format!("malformed: RCPT {rest}"));
            return self.plain(501, "5.5.4 RCPT TO:<forward-path>").await;
        };
        let wrong = parameters::check_rcpt(parameters, |keyword| self.offers(keyword));
        wrong.into_iter().for_each(|what| self.find(what));
        self.check_path(path, self.parameters.smtputf8 || self.envelope.is_none());
        if self.envelope.is_none() {
            self.occasion(Phase::Rcpt);
            return self.plain(503, "5.5.1 MAIL first").await;
        }
        let taken = |e: &Delivery| e.forward_paths.len();
        if self.envelope.as_ref().map_or(0, taken) >= FORWARD_PATHS {
            self.occasion(Phase::Rcpt);
            return self.plain(452, "4.5.3 too many recipients").await;
        }
        self.recipients += 1;
        if self.exceeds("RCPTMAX", self.recipients) {
            return self.plain(452, "4.5.3 too many recipients").await;
        }
        self.asked.by_recipient(path);
        let (meant, next) = self
            .answer_to(
                Phase::Rcpt,
                &[path.to_owned()],
                b"250 2.1.5 ok\r\n".to_vec(),
            )
            .await?;
        if let Some(envelope) = self.envelope.as_mut().filter(|_| meant) {
            envelope.forward_paths.push(path.to_owned());
            envelope.rcpt_parameters.push(parameters.to_owned());
        }
        Ok(next)
    }

    async fn data(&mut self) -> io::Result<Next> {
        if !self.mail_said {
            self.find("DATA before MAIL");
        }
        if self.parameters.body == Body::BinaryMime {
            self.find("DATA for mail data that is not in lines");
        }
        if self.chunks.is_some() {
            self.find("DATA behind BDAT");
            return self.plain(503, "5.5.1 go on with BDAT").await;
        }
        let refused = self
            .envelope
            .as_ref()
            .is_none_or(|e| e.forward_paths.is_empty());
        let normal: &[u8] = match refused {
            true => b"554 5.5.1 no valid recipients\r\n",
            false => b"354 go ahead\r\n",
        };
        let (meant, next) = self.answer(Phase::DataInitiation, normal.to_vec()).await?;
        if !meant || refused || next != Next::Go {
            return Ok(next);
        }
        // One octet more than is taken tells that it was too much.
        let most = self.double.script.size.saturating_add(1);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let mut data = MailData::new(most, self.double.keep_wire);
        let mut intake = self.intake();
        if let Some(next) = self.take_mail_data(&mut intake, &mut data).await? {
            return Ok(next);
        }
        let connection = self.wire.connection;
        self.double.trace.record(connection, || {
            Event::MailData(usize::try_from(data.taken).unwrap_or(0))
        });
        for (wrong, what) in [
            (data.bare_cr, "mail data with a bare CR"),
            (data.bare_lf, "mail data with a bare LF"),
            (
                data.unstuffed,
                "a line of mail data begins with a single dot",
            ),
            (
                self.parameters.body == Body::SevenBit && !data.message.is_ascii(),
                "8-bit mail data without BODY=8BITMIME",
            ),
        ] {
            if wrong {
                self.find(what);
            }
        }
        let wire = data.wire.unwrap_or_default();
        self.end_of_mail_data(data.message, wire, true).await
    }

    /// How the mail data of this transaction is taken in.
    fn intake(&self) -> Intake {
        let to = self.accepted();
        let now = self.now(Phase::DataBlock, 1, &to);
        let fault = self.double.rules.intake(&now);
        let fault = fault.or_else(|| self.asked.rules.intake(&now));
        let due = match &fault {
            Some(IntakeFault::Stop { after, .. } | IntakeFault::Interrupt { after, .. }) => {
                Some(*after)
            }
            _ => None,
        };
        Intake { fault, due }
    }

    /// Reads mail data to its end, at the plan's pace. `Some` if the connection ends before.
    async fn take_mail_data(
        &mut self,
        intake: &mut Intake,
        data: &mut impl Taker,
    ) -> io::Result<Option<Next>> {
        let Intake { fault, due } = intake;
        let fault = fault.as_ref();
        loop {
            let room = due.map_or(u64::MAX, |after| after.saturating_sub(data.taken()));
            if room == 0 {
                *due = None;
                match fault {
                    Some(IntakeFault::Stop { heal: None, .. }) => return Ok(Some(Next::Stall)),
                    Some(IntakeFault::Stop {
                        heal: Some(heal), ..
                    }) => sleep(*heal).await,
                    Some(IntakeFault::Interrupt { fault, .. }) => {
                        let (_, next) = self.fault(fault, b"250 2.0.0 ok\r\n").await?;
                        if next != Next::Go {
                            return Ok(Some(next));
                        }
                    }
                    _ => {}
                }
                continue;
            }
            let mut most = usize::try_from(room).unwrap_or(usize::MAX);
            if let Some(IntakeFault::Trickle { octets, every }) = fault {
                sleep(*every).await;
                most = usize::try_from(*octets).unwrap_or(usize::MAX);
            }
            if self.wire.buffered().is_empty() && !self.wire.read(most).await? {
                return Ok(Some(Next::Close));
            }
            let buffered = self.wire.buffered();
            let (taken, ended) =
                data.take(buffered.get(..most.min(buffered.len())).unwrap_or_default());
            self.wire.consume(taken);
            if ended {
                return Ok(None);
            }
        }
    }

    /// The end of mail data has arrived: the message is committed before anything is said, unless a
    /// chunk of it was refused.
    async fn end_of_mail_data(
        &mut self,
        message: Vec<u8>,
        wire: Vec<u8>,
        whole: bool,
    ) -> io::Result<Next> {
        if !self.wire.buffered().is_empty() && !self.double.script.offers("PIPELINING") {
            self.find("octets follow the end of mail data although PIPELINING is not in force");
        }
        let Some(delivery) = self.envelope.take() else {
            return Ok(Next::Go);
        };
        for mut delivery in self.finals(delivery) {
            delivery.octets.clone_from(&message);
            delivery.wire.clone_from(&wire);
            let next = self.final_reply(delivery, whole).await?;
            if next != Next::Go {
                return Ok(next);
            }
        }
        self.forget();
        Ok(Next::Go)
    }

    /// What there is to answer for: the message or, over LMTP, the message for each recipient.
    fn finals(&self, delivery: Delivery) -> Vec<Delivery> {
        if !self.double.script.lmtp {
            return vec![delivery];
        }
        let recipients = delivery.forward_paths.iter().zip(&delivery.rcpt_parameters);
        let one = |(path, parameters): (&String, &String)| Delivery {
            forward_paths: vec![path.clone()],
            rcpt_parameters: vec![parameters.clone()],
            ..delivery.clone()
        };
        recipients.map(one).collect()
    }

    async fn final_reply(&mut self, delivery: Delivery, whole: bool) -> io::Result<Next> {
        let Delivery {
            octets: message,
            wire,
            forward_paths,
            ..
        } = &delivery;
        let fault = self.strike(Phase::DataTermination, forward_paths);
        let octets = message.len() + wire.len();
        let normal = if !whole {
            chunks::REFUSED.to_vec()
        } else if message.len() as u64 > self.double.script.size {
            b"552 5.3.4 too large\r\n".to_vec()
        } else if !self.double.ledger.has_room(octets) {
            b"452 4.3.1 the mailbox is full\r\n".to_vec()
        } else {
            b"250 2.0.0 queued\r\n".to_vec()
        };
        let commits = normal.first() == Some(&b'2')
            && fault
                .as_ref()
                .is_none_or(|fault| fault.commit || means_success(&fault.say, &normal));
        if commits {
            if self.double.ledger.commit(delivery).is_err() {
                self.wire
                    .write(b"452 4.3.1 the message can't be stored\r\n")
                    .await?;
                return Ok(Next::Go);
            }
            let connection = self.wire.connection;
            self.double.trace.record(connection, || Event::Committed);
        }
        match fault {
            None => {
                self.wire.write(&normal).await?;
                Ok(Next::Go)
            }
            Some(fault) => Ok(self.fault(&fault, &normal).await?.1),
        }
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

/// The path between angle brackets behind `FROM:` or `TO:`, and the parameters.
fn path<'a>(rest: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let tag = rest.get(..keyword.len())?;
    if !tag.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let rest = rest.get(keyword.len()..)?.strip_prefix('<')?;
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '>' if !quoted => {
                let parameters = rest.get(at + 1..)?;
                let parameters = match parameters.strip_prefix(' ') {
                    Some(parameters) => parameters,
                    None if parameters.is_empty() => parameters,
                    None => return None,
                };
                return Some((rest.get(..at)?, parameters));
            }
            _ => {}
        }
    }
    None
}
