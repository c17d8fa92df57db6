//! Where a message comes from.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};

/// Octets read from a source at once.
const BLOCK: usize = 32 * 1024;
/// Octets of a source that go in one chunk (RFC 3030): each may cost a round trip.
pub(crate) const GATHERED: usize = 256 * 1024;

/// A message to send: header section and body, as RFC 5322 has it.
///
/// Octets are sent as they are, without a copy; transparency is taken care of. By default a bare
/// LF or bare CR becomes CRLF (see [`LineEndings`](crate::LineEndings)).
///
/// ```
/// use postbound::Message;
/// let message = Message::from("Subject: hello\n\nworld\n");
/// assert_eq!(message.size(), Some(25)); // as RFC 1870 counts: with CRLF
/// ```
pub struct Message<'a> {
    source: Source<'a>,
}

enum Source<'a> {
    Octets(&'a [u8]),
    Shared(Bytes),
    Reader {
        reader: Pin<Box<dyn AsyncRead + Send + 'a>>,
        remaining: Option<u64>,
        buffer: Vec<u8>,
        begun: bool,
        /// How many octets are handed on at once, whether that is waited for, and how many there are
        /// while it is.
        block: usize,
        gathered: Option<usize>,
        filling: bool,
    },
}

impl<'a> Message<'a> {
    /// A message that is read while it is sent, of unknown length.
    ///
    /// No SIZE is declared, so a server that has a limit says so only after the mail data. A
    /// reader that stalls counts against [`Phase::DataBlock`](crate::Phase::DataBlock)'s limit.
    pub fn reader(reader: impl AsyncRead + Send + 'a) -> Self {
        Self::from_reader(reader, None)
    }

    /// A message of `length` octets that is read while it is sent. What the reader has beyond
    /// them is left unread; if it ends before, the call fails and the message is not accepted.
    pub fn reader_with_length(reader: impl AsyncRead + Send + 'a, length: u64) -> Self {
        Self::from_reader(reader, Some(length))
    }

    fn from_reader(reader: impl AsyncRead + Send + 'a, remaining: Option<u64>) -> Self {
        Self {
            source: Source::Reader {
                reader: Box::pin(reader),
                remaining,
                buffer: Vec::new(),
                begun: false,
                block: BLOCK,
                gathered: None,
                filling: false,
            },
        }
    }

    /// The size to declare (RFC 1870), if it is known: exact for octets, the given length for a
    /// reader.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match self.octets() {
            Some(octets) => Some(proto::transparency::message_octets(octets)),
            None => match &self.source {
                Source::Reader { remaining, .. } => *remaining,
                _ => None,
            },
        }
    }

    /// Its octets, if they are known, where none is changed.
    pub(crate) fn octets_as_they_are(&self) -> Option<u64> {
        match self.octets() {
            Some(octets) => Some(octets.len() as u64),
            None => self.size(),
        }
    }

    /// Octets of a reader are held back until there are enough for a chunk.
    pub(crate) fn gather(&mut self) {
        if let Source::Reader {
            block, gathered, ..
        } = &mut self.source
        {
            *block = GATHERED;
            gathered.get_or_insert(0);
        }
    }

    /// Whether all of it can be sent, once more if need be.
    pub(crate) fn is_whole(&self) -> bool {
        !matches!(self.source, Source::Reader { begun: true, .. })
    }

    /// The same message once more, where that costs nothing: not from a reader.
    pub(crate) fn again(&self) -> Option<Self> {
        let source = match &self.source {
            Source::Octets(octets) => Source::Octets(octets),
            Source::Shared(octets) => Source::Shared(octets.clone()),
            Source::Reader { .. } => return None,
        };
        Some(Self { source })
    }

    pub(crate) fn octets(&self) -> Option<&[u8]> {
        match &self.source {
            Source::Octets(octets) => Some(octets),
            Source::Shared(octets) => Some(octets),
            Source::Reader { .. } => None,
        }
    }

    /// The current chunk.
    pub(crate) fn chunk(&self) -> &[u8] {
        match &self.source {
            Source::Reader { filling: true, .. } => &[],
            Source::Reader { buffer, .. } => buffer,
            _ => self.octets().unwrap_or_default(),
        }
    }

    /// Makes the next chunk the current one, and says whether it is the last. Octets that have
    /// arrived are handed on rather than held back until a block is full.
    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Source::Reader {
            reader,
            remaining,
            buffer,
            begun,
            block,
            gathered,
            filling,
        } = &mut self.source
        else {
            return Poll::Ready(Ok(true));
        };
        let want = remaining.map_or(*block, |left| {
            usize::try_from(left).map_or(*block, |left| left.min(*block))
        });
        if want == 0 {
            buffer.clear();
            return Poll::Ready(Ok(true));
        }
        *begun = true;
        *filling = true;
        buffer.resize(want, 0);
        let (count, ended) = loop {
            let before = gathered.unwrap_or(0);
            let mut read = ReadBuf::new(buffer.get_mut(before..).unwrap_or_default());
            let result = ready!(reader.as_mut().poll_read(cx, &mut read));
            let read = read.filled().len();
            result?;
            let count = before + read;
            match gathered {
                Some(gathered) if read > 0 && count < want => *gathered = count,
                _ => break (count, read == 0),
            }
        };
        if let Some(gathered) = gathered {
            *gathered = 0;
        }
        *filling = false;
        buffer.truncate(count);
        match remaining {
            Some(left) if count == 0 => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the message's source ended {left} octets before its declared length"),
            ))),
            Some(left) => {
                *left = left.saturating_sub(count as u64);
                Poll::Ready(Ok(*left == 0))
            }
            None => Poll::Ready(Ok(ended)),
        }
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Mail is private: its octets are no part of any output.
        let kind = match &self.source {
            Source::Octets(_) => "octets",
            Source::Shared(_) => "shared octets",
            Source::Reader { .. } => "a reader",
        };
        f.debug_struct("Message").field("source", &kind).finish()
    }
}

impl<'a> From<&'a [u8]> for Message<'a> {
    fn from(octets: &'a [u8]) -> Self {
        Self {
            source: Source::Octets(octets),
        }
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Message<'a> {
    fn from(octets: &'a [u8; N]) -> Self {
        octets.as_slice().into()
    }
}

impl<'a> From<&'a str> for Message<'a> {
    fn from(text: &'a str) -> Self {
        text.as_bytes().into()
    }
}

impl<'a> From<&'a Vec<u8>> for Message<'a> {
    fn from(octets: &'a Vec<u8>) -> Self {
        octets.as_slice().into()
    }
}

impl From<Vec<u8>> for Message<'_> {
    fn from(octets: Vec<u8>) -> Self {
        Bytes::from(octets).into()
    }
}

impl From<String> for Message<'_> {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl From<Bytes> for Message<'_> {
    fn from(octets: Bytes) -> Self {
        Self {
            source: Source::Shared(octets),
        }
    }
}
