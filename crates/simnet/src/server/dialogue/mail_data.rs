//! DATA, the mail data and its end.

use std::io;

use proto::Phase;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;

use super::{Dialogue, Next, chunks, means_success};
use crate::ledger::Delivery;
use crate::plan::IntakeFault;
use crate::rules::Struck;
use crate::server::Abort;
use crate::server::mail_data::{MailData, Taker};
use crate::server::parameters::Body;
use crate::trace::Event;

/// How mail data is taken in.
#[derive(Default)]
pub(super) struct Intake {
    struck: Option<Struck<IntakeFault>>,
    /// The octets of mail data behind which it strikes.
    due: Option<u64>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Abort> Dialogue<'_, S> {
    pub(super) async fn data(&mut self) -> io::Result<Next> {
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
        self.double.recorder.reach(Phase::DataBlock);
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
    pub(super) fn intake(&mut self) -> Intake {
        let to = self.accepted();
        let now = self.now(Phase::DataBlock, 1, &to);
        let found = self.double.rules.intake(&now);
        let found = found.or_else(|| self.asked.rules.intake(&now));
        let Some(struck) = found else {
            return Intake::default();
        };
        let due = match &struck.fault {
            IntakeFault::Stop { after, .. } | IntakeFault::Interrupt { after, .. } => Some(*after),
            _ => {
                self.fate.strike(struck.label.clone());
                None
            }
        };
        Intake {
            due,
            struck: Some(struck),
        }
    }

    /// Reads mail data to its end, at the plan's pace. `Some` if the connection ends before.
    pub(super) async fn take_mail_data(
        &mut self,
        intake: &mut Intake,
        data: &mut impl Taker,
    ) -> io::Result<Option<Next>> {
        let Intake { struck, due } = intake;
        let gate = struck.as_ref().and_then(|struck| struck.gate.as_ref());
        let fault = struck.as_ref().map(|struck| &struck.fault);
        loop {
            let room = due.map_or(u64::MAX, |after| after.saturating_sub(data.taken()));
            if room == 0 {
                *due = None;
                if let Some(struck) = &*struck {
                    self.fate.strike(struck.label.clone());
                }
                match fault {
                    Some(IntakeFault::Stop { heal: None, .. }) => return Ok(Some(Next::Stall)),
                    Some(IntakeFault::Stop {
                        heal: Some(heal), ..
                    }) => sleep(*heal).await,
                    Some(IntakeFault::Interrupt { fault, .. }) => {
                        let (_, next) = self.fault(fault, gate, b"250 2.0.0 ok\r\n").await?;
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
    pub(super) async fn end_of_mail_data(
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
        self.fate.answer();
        let struck = self.strike(Phase::DataTermination, forward_paths);
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
            && struck.as_ref().is_none_or(|struck| {
                struck.fault.commit || means_success(&struck.fault.say, &normal)
            });
        if commits {
            if self.double.ledger.commit(delivery).is_err() {
                self.wire
                    .write(b"452 4.3.1 the message can't be stored\r\n")
                    .await?;
                return Ok(Next::Go);
            }
            self.fate.commit();
            let connection = self.wire.connection;
            self.double.trace.record(connection, || Event::Committed);
        }
        match struck {
            None => {
                self.wire.write(&normal).await?;
                Ok(Next::Go)
            }
            Some(struck) => Ok(self.struck(&struck, &normal).await?.1),
        }
    }
}
