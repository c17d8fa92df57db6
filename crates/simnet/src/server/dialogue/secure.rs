//! From clear to TLS.

use std::io;
use std::sync::Arc;

use proto::Phase;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use super::{Dialogue, Next};
use crate::plan::{Break, Certificate, Rule, Say, TlsFault};
use crate::server::Abort;
use crate::server::channel::Channel;
use crate::server::flight::Flight;
use crate::server::wire::reply;
use crate::trace::Event;

impl<S: AsyncRead + AsyncWrite + Unpin + Abort> Dialogue<'_, S> {
    /// STARTTLS (RFC 3207).
    pub(super) async fn starttls(&mut self, rest: &str) -> io::Result<Next> {
        if !rest.is_empty() {
            self.find("STARTTLS takes no parameters");
        }
        if !self.greeted {
            self.find("STARTTLS before a successful EHLO");
        }
        if self.wire.stream.is_tls() {
            self.find("STARTTLS under TLS");
            return self.plain(503, "5.5.1 TLS is in force").await;
        }
        let plan = Arc::clone(&self.double.plan);
        let mut normal = b"220 2.0.0 go ahead\r\n".to_vec();
        for fault in plan.tls_faults() {
            if let TlsFault::Inject {
                octets,
                after: None,
            } = fault
            {
                normal.extend_from_slice(octets);
            }
        }
        let (meant, next) = match self.strike(Phase::StartTls, &[]) {
            None => {
                self.wire.write(&normal).await?;
                (true, Next::Go)
            }
            Some(struck) => {
                let (meant, next) = self.struck(&struck, &normal).await?;
                // Octets of one's own may be a 220 with something behind it.
                let raw =
                    matches!(&struck.fault.say, Say::Raw(octets) if octets.starts_with(b"220"));
                (meant || raw, next)
            }
        };
        if !meant || next != Next::Go {
            return Ok(next);
        }
        self.secure().await
    }

    /// The server's side of the handshake.
    pub(super) async fn secure(&mut self) -> io::Result<Next> {
        let Some(tls) = self.double.tls.clone() else {
            return Ok(Next::Go);
        };
        let plan = Arc::clone(&self.double.plan);
        self.double.recorder.reach(Phase::TlsHandshake);
        for rule in plan
            .rules
            .iter()
            .filter(|rule| matches!(rule, Rule::Tls(_)))
        {
            self.fate.strike(rule.label());
        }
        let (mut certificate, mut tiny) = (None, false);
        for fault in plan.tls_faults() {
            match fault {
                TlsFault::Inject { octets, after } if tls.is_implicit() || after.is_some() => {
                    sleep(after.unwrap_or_default()).await;
                    self.wire.write(octets).await?;
                }
                TlsFault::After(delay) => sleep(*delay).await,
                TlsFault::Plaintext => {
                    // A server that knows nothing of TLS greets at once; this one has been told.
                    if !tls.is_implicit() {
                        self.hear().await?;
                    }
                    let greeting = format!("{} ESMTP", self.double.script.domain);
                    self.wire.write(&reply(220, &greeting)).await?;
                    return self.drain().await;
                }
                TlsFault::Endless => {
                    self.hear().await?;
                    self.say_endless_handshake().await?;
                    return self.drain().await;
                }
                TlsFault::Certificate(other) => {
                    certificate.get_or_insert(*other);
                }
                TlsFault::TinyRecords => tiny = true,
                _ => {}
            }
        }
        // What was said in clear behind STARTTLS was found already; it is no part of TLS.
        self.wire.consume(self.wire.buffered().len());
        let config = tls.config(certificate.unwrap_or(Certificate::Good), tiny);
        let (Some(config), Some(stream)) = (config, self.wire.stream.take_plain()) else {
            return Ok(Next::Stall);
        };
        let flight = Flight::new(stream, &plan);
        let accepted = TlsAcceptor::from(config)
            .accept(flight)
            .into_fallible()
            .await;
        let connection = self.wire.connection;
        let trace = &self.double.trace;
        let record = |what| trace.record(connection, || Event::Tls(what));
        match accepted {
            Ok(mut stream) => {
                let octets = stream.get_mut().0.end_handshake();
                record(format!("a handshake of {octets} octets from the server"));
                self.wire.stream = Channel::Tls(Box::new(stream));
                self.wire.alert_after = plan.tls_faults().find_map(|fault| match fault {
                    TlsFault::Alert(octets) => usize::try_from(*octets).ok(),
                    _ => None,
                });
                // RFC 3207 §4.2: the server, too, forgets what it was told.
                self.greeted = false;
                self.extended = false;
                self.forget();
                Ok(Next::Go)
            }
            Err((error, flight)) => {
                record(format!("no handshake: {error}"));
                let struck = flight.struck;
                self.wire.stream = Channel::Plain(flight.stream);
                Ok(match struck {
                    Some(Break::Reset) => Next::Reset,
                    Some(Break::Stall) => Next::Stall,
                    _ => Next::Close,
                })
            }
        }
    }

    /// Reads and forgets the client's first octets.
    async fn hear(&mut self) -> io::Result<()> {
        self.wire.read(usize::MAX).await?;
        self.wire.consume(self.wire.buffered().len());
        Ok(())
    }

    /// Reads and forgets until the client gives up.
    async fn drain(&mut self) -> io::Result<Next> {
        while self.wire.read(usize::MAX).await? {
            self.wire.consume(self.wire.buffered().len());
        }
        Ok(Next::Go)
    }

    /// One message of 65,535 octets, the most that TLS allows, in records of one octet.
    async fn say_endless_handshake(&mut self) -> io::Result<()> {
        let record = |octet| [0x16, 3, 3, 0, 1, octet];
        let mut octets = [2, 0, 0xff, 0xff].map(record).concat();
        for _ in 0..0xffff {
            octets.extend_from_slice(&record(0));
            if octets.len() >= 4_096 {
                self.wire.write_unseen(&octets).await?;
                octets.clear();
            }
        }
        self.wire.write_unseen(&octets).await
    }
}
