//! Where octets come from: the seam between the client and any network.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};

/// A network: turns a name into addresses and one address into a stream.
///
/// The operating system's TCP, a simulated network, a proxy and a tunnel are all connectors. The
/// loop over addresses, its order and its limits belong to the client and are not repeated here,
/// so that every network is tried under the same rules.
///
/// # What an implementation must do
///
/// - Dropping a returned future or stream frees what it held, at once and without waiting.
/// - Nothing in it needs a limit of its own: the client bounds both futures.
/// - A stream's `poll_shutdown` is never awaited by the client; dropping the stream closes it.
pub trait Connector: Send + Sync {
    /// A connected stream. It is read, written and dropped, nothing else.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + Debug + 'static;

    /// The addresses of `host`, in the order in which they should be tried. The client lets the two
    /// families take turns. It is one list: whoever asks for the families apart may wait for the
    /// late one for RFC 8305 §3's resolution delay of 50 ms before answering with the other alone.
    ///
    /// # Errors
    /// Whatever the look-up reports. An empty list is an error to the client.
    ///
    /// # Cancel safety
    /// Must be safe to drop at any point.
    fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;

    /// A stream to this one address.
    ///
    /// # Errors
    /// Whatever the network reports.
    ///
    /// # Cancel safety
    /// Must be safe to drop at any point; a half-open connection is then closed.
    fn connect(&self, addr: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// The same, with the name and port that `addr` was found for: a proxy that looks names up itself
    /// needs them. This is what the client calls. Default: [`connect`](Self::connect).
    ///
    /// # Errors
    /// Whatever the network reports.
    ///
    /// # Cancel safety
    /// Must be safe to drop at any point; a half-open connection is then closed.
    fn connect_to(
        &self,
        host: &str,
        port: u16,
        addr: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send {
        let _ = (host, port);
        self.connect(addr)
    }

    /// The host and port that is connected to in the place of `host`, where that is then named to it
    /// by an address: a proxy. The client looks it up, too, and lets the addresses of both race.
    /// Default: none.
    fn relay(&self, host: &str) -> Option<(&str, u16)> {
        let _ = host;
        None
    }

    /// The same as [`connect_to`](Self::connect_to) by this address of the [`relay`](Self::relay);
    /// called only if there is one. Default: [`connect_to`](Self::connect_to).
    ///
    /// # Errors
    /// Whatever the network reports.
    ///
    /// # Cancel safety
    /// Must be safe to drop at any point; a half-open connection is then closed.
    fn connect_by(
        &self,
        relay: SocketAddr,
        host: &str,
        port: u16,
        addr: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send {
        let _ = relay;
        self.connect_to(host, port, addr)
    }
}
