//! AUTH (RFC 4954), as strict as the rest, and as faulty as the plan has it.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proto::Phase;
use proto::sasl::Mechanism;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Dialogue, Next, means_success};
use crate::plan::{SaslFault, Say, ServerFault};
use crate::rules::Struck;
use crate::server::Abort;
use crate::server::sasl::{Exchange, Verdict};
use crate::server::wire::reply;
use crate::trace::Event;

/// RFC 4954 §4: a response with its CRLF.
const RESPONSE_LINE: usize = 12_288;

impl<S: AsyncRead + AsyncWrite + Unpin + Abort> Dialogue<'_, S> {
    pub(super) async fn auth(&mut self, rest: &str) -> io::Result<Next> {
        let double = self.double;
        let script = &double.script;
        let (name, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        for (wrong, what) in [
            (!self.greeted, "AUTH before a successful EHLO"),
            (self.mail_said, "AUTH within a mail transaction"),
            (self.authenticated, "AUTH after a successful AUTH"),
        ] {
            if wrong {
                self.find(what);
                return self.plain(503, "5.5.1 not now").await;
            }
        }
        let offered = script.mechanisms();
        let mechanism: Mechanism = match name.parse() {
            Ok(mechanism) if offered.iter().any(|o| o.eq_ignore_ascii_case(name)) => mechanism,
            _ => {
                self.find("AUTH with a mechanism that was not offered");
                return self.plain(504, "5.5.4 no such mechanism").await;
            }
        };
        self.exchanges += 1;
        let nonce = format!("double{}.{}", self.wire.connection, self.exchanges);
        let binds = |name: &&str| name.parse().is_ok_and(Mechanism::is_bound);
        let bindings = match offered.iter().any(binds) {
            true => self.bindings(),
            false => Vec::new(),
        };
        let mut exchange = Exchange::new(mechanism, &script.accounts, nonce, bindings);
        let mut response = match initial {
            "" => None,
            "=" => Some(Vec::new()),
            initial => Some(initial.as_bytes().to_vec()),
        };
        let mut is_encoded = initial != "=";
        loop {
            let fault = self.strike(Phase::Auth, &[]);
            let octets = match &response {
                None => Some(None),
                Some(line) if is_encoded => STANDARD.decode(line).ok().map(Some),
                Some(line) => Some(Some(line.clone())),
            };
            is_encoded = true;
            let verdict = match octets {
                Some(octets) => exchange.step(
                    octets.as_deref(),
                    sasl_fault(fault.as_ref().map(|struck| &struck.fault)),
                ),
                None => Verdict::Malformed,
            };
            if verdict == Verdict::Malformed {
                self.find(format!("a response that is not one of {mechanism}"));
            }
            let normal = match &verdict {
                Verdict::Challenge(challenge) => reply(334, &STANDARD.encode(challenge)),
                Verdict::Accepted => reply(235, "2.7.0 authenticated"),
                Verdict::Refused => reply(535, "5.7.8 no"),
                Verdict::Malformed => reply(501, "5.5.2 not understood"),
            };
            let (said, meant, next) = self.say_auth(fault, &normal, response.as_deref()).await?;
            if meant && verdict == Verdict::Accepted {
                self.authenticated = true;
            }
            if next != Next::Go || said != Some(334) {
                return Ok(next);
            }
            let Some(line) = self.wire.line().await? else {
                return Ok(Next::Go);
            };
            if let Some(next) = self.response(&line).await? {
                return Ok(next);
            }
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            response = Some(line.strip_suffix(b"\r").unwrap_or(line).to_vec());
        }
    }

    /// Looks at a response's line; `Some` if it ends the exchange.
    async fn response(&mut self, line: &[u8]) -> io::Result<Option<Next>> {
        let connection = self.wire.connection;
        let shown = if line == b"*\r\n" {
            b"*".to_vec()
        } else {
            b"[a response]".to_vec()
        };
        self.double
            .trace
            .record(connection, || Event::Command(shown));
        if line.len() > RESPONSE_LINE {
            self.find("a response is longer than 12288 octets");
        }
        if !line.ends_with(b"\r\n") {
            self.find("a response ends with a bare LF");
        }
        if !self.wire.buffered().is_empty() {
            self.find("octets follow a response");
        }
        if line != b"*\r\n" {
            return Ok(None);
        }
        let fault = self.strike(Phase::Auth, &[]);
        let normal = reply(501, "5.7.0 broken off");
        let (_, _, next) = self.say_auth(fault, &normal, None).await?;
        Ok(Some(next))
    }

    /// Says what is due at this place. Says the code that was said, and whether it means what the
    /// script meant.
    async fn say_auth(
        &mut self,
        struck: Option<Struck<ServerFault>>,
        normal: &[u8],
        response: Option<&[u8]>,
    ) -> io::Result<(Option<u16>, bool, Next)> {
        let Some(struck) = struck else {
            self.wire.write(normal).await?;
            return Ok((code(normal), true, Next::Go));
        };
        let fault = &struck.fault;
        let (normal, shown) = match &fault.say {
            // The trace has no secrets in it, also where the server does.
            Say::Sasl(SaslFault::Echo) => {
                let echo = String::from_utf8_lossy(response.unwrap_or_default()).into_owned();
                let said = reply(535, &format!("5.7.8 what is {echo}"));
                (said, Some(reply(535, "5.7.8 what is [a response]")))
            }
            Say::Sasl(SaslFault::Oversize) => (reply(334, &"QUFB".repeat(900)), None),
            _ => (normal.to_vec(), None),
        };
        self.wire.disguise = shown;
        let (meant, next) = self.struck(&struck, &normal).await?;
        self.wire.disguise = None;
        let said = match &fault.say {
            Say::Normal | Say::Twice | Say::Sasl(_) => code(&normal),
            Say::Reply { code, .. } => Some(*code),
            Say::Raw(octets) => code(octets),
            _ => None,
        };
        let meant = meant && means_success(&fault.say, &normal);
        Ok((said, meant, next))
    }
}

impl<S> Dialogue<'_, S> {
    /// What a -PLUS mechanism can be bound to over this connection.
    fn bindings(&self) -> Vec<(&'static str, Vec<u8>)> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.double.tls {
            let exporter = self.wire.stream.exporter();
            let end_point = tls.end_point(self.double.plan.certificate());
            let exporter = exporter.map(|octets| ("tls-exporter", octets));
            let end_point = end_point.map(|octets| ("tls-server-end-point", octets));
            return match self.wire.stream.is_tls() {
                true => exporter.into_iter().chain(end_point).collect(),
                false => Vec::new(),
            };
        }
        Vec::new()
    }
}

fn sasl_fault(fault: Option<&ServerFault>) -> Option<&SaslFault> {
    match fault.map(|fault| &fault.say) {
        Some(Say::Sasl(fault)) => Some(fault),
        _ => None,
    }
}

fn code(reply: &[u8]) -> Option<u16> {
    std::str::from_utf8(reply.get(..3)?).ok()?.parse().ok()
}
