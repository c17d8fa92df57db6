//! EHLO, MAIL and RCPT: who speaks, and the envelope.

use std::io;

use proto::Phase;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Dialogue, Next};
use crate::ledger::Delivery;
use crate::server::Abort;
use crate::server::parameters::{self, Mail};
use crate::server::wire::reply;

/// Forward-paths of one transaction (RFC 5321 §4.5.3.1.8 asks for at least 100).
const FORWARD_PATHS: usize = 1_000;

impl<S: AsyncRead + AsyncWrite + Unpin + Abort> Dialogue<'_, S> {
    pub(super) async fn hello(&mut self, name: &str, extended: bool) -> io::Result<Next> {
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

    pub(super) async fn mail(&mut self, rest: &str) -> io::Result<Next> {
        if !self.greeted {
            self.find("MAIL before a successful EHLO or HELO");
        }
        if self.mail_said {
            self.find("MAIL within a mail transaction");
        }
        self.mail_said = true;
        self.fate.begin();
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
                tls: self.wire.stream.tls_facts(),
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

    pub(super) async fn rcpt(&mut self, rest: &str) -> io::Result<Next> {
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
