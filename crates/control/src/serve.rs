//! The connections: so many at once, each for so long.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::routes::router;
use crate::spaces::Control;

/// Connections at once; others wait in the backlog.
const CONNECTIONS: usize = 64;
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection may last, whatever it does.
const LIFE: Duration = Duration::from_secs(600);
/// Octets of the head of a request.
const HEAD_OCTETS: usize = 16 * 1024;

impl Control {
    /// Serves until it is dropped.
    ///
    /// # Errors
    /// None that one connection meets; the listener's own.
    ///
    /// # Cancel safety
    /// Dropping the future closes every connection, and the namespaces with the last clone.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let router = router(self);
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let permit = Arc::clone(&permits).acquire_owned().await;
            let permit = permit.map_err(io::Error::other)?;
            let Ok((stream, _)) = listener.accept().await else {
                // A connection that was reset in the backlog, or no descriptor to be had just now.
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            let router = router.clone();
            connections.spawn(async move {
                tokio::select! {
                    biased;
                    () = converse(stream, router) => {}
                    () = tokio::time::sleep(LIFE) => {}
                }
                drop(permit);
            });
        }
    }
}

async fn converse(stream: TcpStream, router: axum::Router) {
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router);
    // What goes wrong with one connection is that client's business.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_OCTETS)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
