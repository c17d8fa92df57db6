//! The same calls for programs without `async`: they return when they have ended.
//!
//! Types, bounds, cancellation and errors are those of the rest of the crate. A [`Client`] has a
//! thread of its own that drives its sockets and timers; the call itself runs on the caller's
//! thread. Nothing depends on a runtime of the caller's, so that it can also be used within one,
//! where it blocks the thread that it is called on, as blocking calls do.
//!
//! A call is cancelled by its [`CancellationToken`](crate::CancellationToken) from another thread.
//!
//! ```no_run
//! use postbound::{Envelope, blocking};
//! use std::time::Duration;
//!
//! let client = blocking::Client::new(postbound::Client::new("mx.example.org", 25)?)?;
//! let envelope = Envelope::new("me@example.net".parse()?, ["you@example.org".parse()?])?;
//! let receipt = client.send(&envelope, "Subject: hello\r\n\r\nworld\r\n", Duration::from_secs(30))?;
//! println!("{}", receipt.reply());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::connector::Connector;
use crate::tcp::TcpConnector;
use crate::{Bounds, Envelope, Error, Mail, Message, Receipt, Sent};

/// The thread that drives sockets and timers, as long as somebody uses it.
#[derive(Debug)]
struct Driver {
    handle: Handle,
    /// Dropped with it, which ends the thread.
    _stop: oneshot::Sender<()>,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Driver {
    fn start() -> io::Result<Arc<Self>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        thread::Builder::new()
            .name("postbound".to_owned())
            .spawn(move || {
                let _ = runtime.block_on(stopped);
                runtime.shutdown_background();
            })?;
        Ok(Arc::new(Self {
            handle,
            _stop: stop,
        }))
    }

    /// Runs the future on this thread. The one wait is inside it, so that it ends.
    fn run<F: Future>(&self, future: F) -> F::Output {
        let _context = self.handle.enter();
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut cx = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return output;
            }
            thread::park();
        }
    }
}

/// A [`Client`](crate::Client) whose calls block. Clones share its thread.
pub struct Client<C = TcpConnector> {
    client: crate::Client<C>,
    driver: Arc<Driver>,
}

impl<C> Clone for Client<C> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            driver: Arc::clone(&self.driver),
        }
    }
}

impl<C> fmt::Debug for Client<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.client.fmt(f)
    }
}

impl<C: Connector> Client<C> {
    /// This client, with a thread of its own.
    ///
    /// # Errors
    /// If the operating system has no thread or no event queue to give.
    pub fn new(client: crate::Client<C>) -> io::Result<Self> {
        Ok(Self {
            client,
            driver: Driver::start()?,
        })
    }

    /// Opens a connection: [`Client::connect`](crate::Client::connect).
    ///
    /// # Errors
    /// If there is no connection at rest in the end.
    pub fn connect<'t>(
        &self,
        bounds: impl Into<Bounds<'t>>,
    ) -> Result<Connection<C::Stream>, Error> {
        let connection = self.run(self.client.connect(bounds))?;
        Ok(Connection {
            connection,
            driver: Arc::clone(&self.driver),
        })
    }

    /// Sends one message over a connection of its own: [`Client::send`](crate::Client::send).
    ///
    /// # Errors
    /// If the message was not accepted, or is not known to be: see [`Error::outcome`].
    pub fn send<'m, 't>(
        &self,
        envelope: &Envelope,
        message: impl Into<Message<'m>>,
        bounds: impl Into<Bounds<'t>>,
    ) -> Result<Receipt, Error> {
        self.run(self.client.send(envelope, message, bounds))
    }

    /// Runs any other call of this crate to its end on this thread.
    pub fn run<F: Future>(&self, call: F) -> F::Output {
        self.driver.run(call)
    }
}

/// A [`Connection`](crate::Connection) whose calls block.
#[derive(Debug)]
pub struct Connection<S> {
    connection: crate::Connection<S>,
    driver: Arc<Driver>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// The connection itself, for what it says and for calls by [`Client::run`].
    pub fn get_mut(&mut self) -> &mut crate::Connection<S> {
        &mut self.connection
    }

    /// Sends one message: [`Transaction::send`](crate::Transaction::send).
    ///
    /// # Errors
    /// If the message was not accepted, or is not known to be: see [`Error::outcome`].
    pub fn send<'m, 't>(
        &mut self,
        envelope: &'m Envelope,
        message: impl Into<Message<'m>>,
        bounds: impl Into<Bounds<'t>>,
    ) -> Result<Receipt, Error> {
        let transaction = self.connection.transaction(envelope)?;
        self.driver.run(transaction.send(message, bounds))
    }

    /// Makes the server forget the current transaction: [`Connection::reset`](crate::Connection::reset).
    ///
    /// # Errors
    /// If there is no positive reply in time.
    pub fn reset<'t>(&mut self, bounds: impl Into<Bounds<'t>>) -> Result<(), Error> {
        self.driver.run(self.connection.reset(bounds))
    }

    /// Says goodbye and closes: [`Connection::quit`](crate::Connection::quit).
    pub fn quit<'t>(self, bounds: impl Into<Bounds<'t>>) {
        self.driver.run(self.connection.quit(bounds));
    }
}

/// A [`Pool`](crate::Pool) whose calls block. Clones share its connections and its thread.
#[derive(Debug)]
pub struct Pool<C: Connector = TcpConnector> {
    pool: crate::Pool<C>,
    driver: Arc<Driver>,
}

impl<C: Connector> Clone for Pool<C> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            driver: Arc::clone(&self.driver),
        }
    }
}

impl<C: Connector> Pool<C> {
    /// This pool, with a thread of its own. It must not be used with another runtime beside it:
    /// a connection belongs to the one that it was opened on.
    ///
    /// # Errors
    /// If the operating system has no thread or no event queue to give.
    pub fn new(pool: crate::Pool<C>) -> io::Result<Self> {
        Ok(Self {
            pool,
            driver: Driver::start()?,
        })
    }

    /// The pool itself, for what it says.
    #[must_use]
    pub fn get_ref(&self) -> &crate::Pool<C> {
        &self.pool
    }

    /// Sends one message: [`Pool::send`](crate::Pool::send).
    ///
    /// # Errors
    /// If the message was not accepted, or is not known to be: see [`Error::outcome`].
    pub fn send<'m, 't>(
        &self,
        envelope: &Envelope,
        message: impl Into<Message<'m>>,
        bounds: impl Into<Bounds<'t>>,
    ) -> Result<Receipt, Error> {
        self.driver.run(self.pool.send(envelope, message, bounds))
    }

    /// Sends many messages: [`Pool::send_all`](crate::Pool::send_all), as an iterator.
    pub fn send_all<'m, 't, M>(
        &self,
        mails: M,
        bounds: impl Into<Bounds<'t>>,
    ) -> SendAll<'m, C, M::IntoIter>
    where
        M: IntoIterator<Item = Mail<'m>>,
        C: 'm,
    {
        SendAll {
            all: self.pool.send_all(mails, bounds),
            driver: Arc::clone(&self.driver),
        }
    }

    /// Opens connections: [`Pool::warm`](crate::Pool::warm).
    ///
    /// # Errors
    /// The first failure to dial.
    pub fn warm<'t>(&self, count: usize, bounds: impl Into<Bounds<'t>>) -> Result<usize, Error> {
        self.driver.run(self.pool.warm(count, bounds))
    }

    /// Ends the pool: [`Pool::shutdown`](crate::Pool::shutdown).
    pub fn shutdown<'t>(&self, bounds: impl Into<Bounds<'t>>) -> usize {
        self.driver.run(self.pool.shutdown(bounds))
    }
}

/// Many messages on their way, as an iterator of results: [`SendAll`](crate::SendAll).
#[derive(Debug)]
#[must_use = "nothing is sent before it is asked"]
pub struct SendAll<'m, C: Connector, I> {
    all: crate::SendAll<'m, C, I>,
    driver: Arc<Driver>,
}

impl<'m, C, I> Iterator for SendAll<'m, C, I>
where
    C: Connector + 'm,
    I: Iterator<Item = Mail<'m>> + Unpin,
{
    type Item = Sent;

    fn next(&mut self) -> Option<Sent> {
        self.driver.run(self.all.next())
    }
}
