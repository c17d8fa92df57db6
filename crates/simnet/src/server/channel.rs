//! The server's stream, in clear or under TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
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
