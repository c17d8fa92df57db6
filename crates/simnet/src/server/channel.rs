//! The server's stream, in clear or under TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
#[cfg(feature = "tls")]
use tokio_rustls::server::TlsStream;

use super::Abort;
#[cfg(feature = "tls")]
use super::flight::Flight;
use crate::TlsFacts;

/// The server's stream.
pub(super) enum Channel<S> {
    Plain(S),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<Flight<S>>>),
    /// Between the two.
    #[cfg(feature = "tls")]
    Gone,
}

impl<S> Channel<S> {
    pub(super) const fn is_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return matches!(self, Self::Tls(_));
        #[cfg(not(feature = "tls"))]
        false
    }

    /// What was agreed on under TLS.
    pub(super) fn tls_facts(&self) -> Option<TlsFacts> {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Some(TlsFacts::of(stream.get_ref().1)),
            _ => None,
        }
    }
}

#[cfg(feature = "tls")]
impl<S> Channel<S> {
    /// RFC 9266's `tls-exporter`, which TLS 1.3 alone has without reserve.
    pub(super) fn exporter(&self) -> Option<Vec<u8>> {
        let Self::Tls(stream) = self else {
            return None;
        };
        let connection = stream.get_ref().1;
        if connection.protocol_version() != Some(rustls::ProtocolVersion::TLSv1_3) {
            return None;
        }
        connection
            .export_keying_material(vec![0; 32], b"EXPORTER-Channel-Binding", Some(&[]))
            .ok()
    }

    /// Has TLS say a fatal alert, encrypted like every record: it says bad_record_mac of its own accord
    /// about a record that the client never sent.
    pub(super) async fn say_alert(&mut self) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        const FORGED: [u8; 37] = {
            let mut record = [0; 37];
            [record[0], record[1], record[2], record[4]] = [23, 3, 3, 32];
            record
        };
        let Self::Tls(stream) = self else {
            return Ok(());
        };
        let (transport, connection) = stream.get_mut();
        // The client's record may have come in part: as many as make up for the longest one.
        for _ in 0..512 {
            connection.read_tls(&mut FORGED.as_slice())?;
            if connection.process_new_packets().is_err() {
                break;
            }
        }
        let mut octets = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut octets)?;
        }
        transport.write_all(&octets).await?;
        transport.flush().await
    }

    /// Takes the stream out of the clear.
    pub(super) fn take_plain(&mut self) -> Option<S> {
        match std::mem::replace(self, Self::Gone) {
            Self::Plain(stream) => Some(stream),
            other => {
                *self = other;
                None
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> Channel<S> {
    /// FIN, and under TLS no close_notify before it.
    pub(super) async fn shutdown_transport(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.shutdown().await,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.get_mut().0.stream.shutdown().await,
            #[cfg(feature = "tls")]
            Self::Gone => Ok(()),
        }
    }
}

impl<S: Abort> Abort for Channel<S> {
    fn abort(self) {
        match self {
            Self::Plain(stream) => stream.abort(),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.into_inner().0.stream.abort(),
            #[cfg(feature = "tls")]
            Self::Gone => {}
        }
    }
}

/// The same for whichever stream there is.
macro_rules! either {
    ($channel:expr, $stream:ident => $result:expr) => {
        match $channel.get_mut() {
            Self::Plain($stream) => $result,
            #[cfg(feature = "tls")]
            Self::Tls($stream) => $result,
            #[cfg(feature = "tls")]
            Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    };
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Channel<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Channel<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
