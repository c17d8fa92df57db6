//! The server's end of a connection: lines in, sayings out at any pace.

use std::borrow::Cow;
use std::io;

use bytes::BufMut;
use memchr::memchr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;

use super::channel::Channel;
use crate::plan::{Pace, Say};
use crate::trace::{Event, Trace};

/// The longest command line that is held; a client that sends more is cut off.
const LINE: usize = 16 * 1024;

/// Octets read at once.
const READ: usize = 4096;

pub(super) struct Wire<S> {
    pub(super) stream: Channel<S>,
    pub(super) trace: Trace,
    pub(super) connection: u32,
    /// What the trace shows instead of what is said.
    pub(super) disguise: Option<Vec<u8>>,
    /// The server's own side is closed: what it says is not sent.
    mute: bool,
    /// Octets that are said under TLS before a fatal alert takes the place of the next one.
    #[cfg(feature = "tls")]
    pub(super) alert_after: Option<usize>,
    /// That alert was said.
    pub(super) alerted: bool,
    buffer: Vec<u8>,
    start: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S, connection: u32, trace: Trace) -> Self {
        Self {
            stream: Channel::Plain(stream),
            trace,
            connection,
            disguise: None,
            mute: false,
            #[cfg(feature = "tls")]
            alert_after: None,
            alerted: false,
            buffer: Vec::new(),
            start: 0,
        }
    }

    /// Octets that were read and not yet used.
    pub(super) fn buffered(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    pub(super) fn consume(&mut self, octets: usize) {
        self.start += octets;
        if self.start >= self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
    }

    /// Reads at most `most` more octets; `false` at the end.
    pub(super) async fn read(&mut self, most: usize) -> io::Result<bool> {
        let most = most.clamp(1, READ);
        self.buffer.reserve(most);
        let count = self
            .stream
            .read_buf(&mut (&mut self.buffer).limit(most))
            .await?;
        Ok(count > 0)
    }

    /// The next command line with its line ending; `None` at the end.
    pub(super) async fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = memchr(b'\n', self.buffered()) {
                let line = self.buffered().get(..=end).unwrap_or_default().to_vec();
                self.consume(line.len());
                return Ok(Some(line));
            }
            if self.buffered().len() > LINE {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "endless command line",
                ));
            }
            if !self.read(READ).await? {
                return Ok(None);
            }
        }
    }

    /// Says something in place of `normal`.
    pub(super) async fn say(&mut self, say: &Say, pace: Pace, normal: &[u8]) -> io::Result<()> {
        let octets: Cow<'_, [u8]> = match say {
            Say::Normal | Say::Sasl(_) => normal.into(),
            Say::Reply { code, text } => reply(*code, text).into(),
            Say::Raw(octets) => octets.into(),
            Say::Half => normal.get(..normal.len() / 2).unwrap_or_default().into(),
            Say::Nothing => Cow::default(),
            Say::Garbage => b"\x16\x03\x01\xff\xfenonsense\x1b[2J\r\n".into(),
            Say::Twice => [normal, normal].concat().into(),
            Say::EndlessLines => return self.say_endless(normal, pace, true).await,
            Say::EndlessLine => return self.say_endless(normal, pace, false).await,
        };
        match pace {
            // What is held has been let go by now.
            Pace::AtOnce | Pace::Hold => self.write(&octets).await,
            Pace::After(delay) => {
                sleep(delay).await;
                self.write(&octets).await
            }
            Pace::Drip(every) => {
                for octet in octets.chunks(1) {
                    sleep(every).await;
                    self.write(octet).await?;
                }
                Ok(())
            }
        }
    }

    /// The code of the normal reply and then no end.
    async fn say_endless(&mut self, normal: &[u8], pace: Pace, lines: bool) -> io::Result<()> {
        let mut line = normal.get(..3).unwrap_or(b"250").to_vec();
        line.extend_from_slice(b"-and so on");
        if lines {
            line.extend_from_slice(b"\r\n");
        }
        if let Pace::After(delay) = pace {
            sleep(delay).await;
        }
        if self.mute {
            return Ok(());
        }
        let block = if lines {
            line.repeat(64)
        } else {
            b"a".repeat(1024)
        };
        self.write(&line).await?;
        loop {
            match pace {
                Pace::Drip(every) => {
                    sleep(every).await;
                    self.write(block.get(..line.len()).unwrap_or(b"a")).await?;
                }
                _ => self.write(&block).await?,
            }
        }
    }

    /// Writes octets that are too many for the trace.
    pub(super) async fn write_unseen(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets).await?;
        self.stream.flush().await
    }

    /// Ends the connection: under TLS with close_notify, unless it is to be left out.
    pub(super) async fn close(&mut self, notify: bool) {
        if notify && self.stream.is_tls() {
            // Whoever has gone already need not be told.
            let _ = self.stream.shutdown().await;
        }
    }

    /// Ends what is said, under TLS with close_notify unless it is to be left out, and goes on reading.
    pub(super) async fn half_close(&mut self, notify: bool) -> io::Result<()> {
        if std::mem::replace(&mut self.mute, true) {
            return Ok(());
        }
        self.trace.record(self.connection, || Event::HalfClosed);
        match notify {
            true => self.stream.shutdown().await,
            false => self.stream.shutdown_transport().await,
        }
    }

    pub(super) async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        if octets.is_empty() || self.mute {
            return Ok(());
        }
        #[cfg(feature = "tls")]
        if let Some(left) = self.alert_after {
            let Some(left) = left.checked_sub(octets.len()) else {
                let before = octets.get(..left).unwrap_or_default();
                return self.say_alert(before).await;
            };
            self.alert_after = Some(left);
        }
        self.write_unseen(octets).await?;
        let shown = self.disguise.as_deref().unwrap_or(octets);
        self.trace
            .record(self.connection, || Event::Said(shown.to_vec()));
        Ok(())
    }
}

#[cfg(feature = "tls")]
impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// A fatal alert behind these octets, which ends the connection.
    async fn say_alert(&mut self, before: &[u8]) -> io::Result<()> {
        self.write_unseen(before).await?;
        let record = |event| self.trace.record(self.connection, || event);
        if !before.is_empty() {
            let shown = self.disguise.as_deref().unwrap_or(before);
            record(Event::Said(shown.to_vec()));
        }
        record(Event::Tls("a fatal alert".to_owned()));
        self.stream.say_alert().await?;
        self.alerted = true;
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

/// A reply of one line or several, by the text's line breaks.
pub(super) fn reply(code: u16, text: &str) -> Vec<u8> {
    let code = code.to_string();
    let mut lines = text.split('\n').peekable();
    let mut reply = Vec::with_capacity(text.len() + 64);
    while let Some(line) = lines.next() {
        let separator: &[u8] = if lines.peek().is_some() { b"-" } else { b" " };
        for part in [code.as_bytes(), separator, line.as_bytes(), b"\r\n"] {
            reply.extend_from_slice(part);
        }
    }
    reply
}
