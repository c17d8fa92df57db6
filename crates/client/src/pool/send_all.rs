//! Many messages over the connections of a pool.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::iter::Fuse;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::stream::Stream;
use proto::{Bounds as Started, Envelope};

use super::Pool;
use super::item::Item;
use super::lane::{Desk, Lane};
use super::lanes::Lanes;
use crate::bounds::Bounds;
use crate::clock;
use crate::connector::Connector;
use crate::error::Error;
use crate::message::Message;
use crate::receipt::Receipt;

/// A message with its envelope: what RFC 5321 §2.3.1 calls a mail object.
#[derive(Debug)]
pub struct Mail<'m> {
    pub(super) envelope: Envelope,
    pub(super) message: Message<'m>,
}

impl<'m> Mail<'m> {
    /// This message in this envelope.
    pub fn new(envelope: Envelope, message: impl Into<Message<'m>>) -> Self {
        Self {
            envelope,
            message: message.into(),
        }
    }

    /// The envelope.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }
}

/// What became of one of many messages.
#[derive(Debug)]
#[non_exhaustive]
pub struct Sent {
    /// Which it was, counted from zero in the order in which they were taken.
    pub index: usize,
    /// Which of the envelope's recipients this is about: all of them, unless the server takes fewer
    /// at a time (RFC 9422) and the message went in several transactions.
    pub recipients: Range<usize>,
    /// What became of it.
    pub result: Result<Receipt, Error>,
}

/// Many messages on their way, as a stream of results in the order of completion. Made by
/// [`Pool::send_all`].
///
/// Nothing is sent while it is not polled, and no more messages are held than two for each
/// connection, or the window of [`Chunking::Ahead`](crate::Chunking::Ahead), however many there are. Once its bounds are over it takes no further messages: those
/// that it has taken get their results, of the others it knows nothing ([`taken`](Self::taken)).
#[must_use = "nothing is sent before it is polled"]
pub struct SendAll<'m, C: Connector, I> {
    pool: Pool<C>,
    feed: Feed<'m, I>,
    connections: usize,
    lanes: Lanes<'m>,
}

/// The messages that no lane has, as long as the bounds are not over.
struct Feed<'m, I> {
    mails: Fuse<I>,
    taken: usize,
    /// Taken, and given back by a lane: at most one of each.
    again: VecDeque<Item<'m>>,
    bounds: Bounds<'static>,
    started: Option<Started>,
}

impl<C: Connector, I> fmt::Debug for SendAll<'_, C, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendAll")
            .field("pool", &self.pool)
            .field("taken", &self.feed.taken)
            .finish_non_exhaustive()
    }
}

impl<C: Connector> Pool<C> {
    /// Sends many messages over connections of the pool.
    ///
    /// Where the server offers PIPELINING, each message's mail data and the next one's MAIL, RCPT
    /// and DATA leave in one write, so that a message costs a round trip and not three. When a
    /// connection breaks, every message has its own truthful outcome: those that were accepted, the
    /// one that is ambiguous, and those that had not begun, which go over another connection. No
    /// message is begun again once anything of its transaction was answered.
    ///
    /// With [`Chunking::Ahead`](crate::Chunking::Ahead) a window of whole messages is under way over each connection, and a
    /// round trip is for all of them; when it breaks, all that had left whole and were not answered
    /// are ambiguous. A connection that was at rest in the pool is first asked with one message.
    ///
    /// A checkout or a [`send`](Self::send) that waits for one of the connections gets it after ten
    /// messages at most.
    ///
    /// `bounds` count from the first poll and hold for all of them together. Each result comes at
    /// most [`worst_case`](Self::worst_case) after the one before it.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    /// # runtime.block_on(async {
    /// use postbound::{Bounds, Client, Envelope, Mail, Pool};
    /// # use postbound_simnet::{Double, Plan, net::mem::Network};
    /// # let network = Network::new(Double::new(Plan::healthy()));
    /// # let client = Client::builder("mx.example.org", 25).connector(network.connector()).build()?;
    /// let pool = Pool::new(client);
    /// let envelope = Envelope::new("me@example.net".parse()?, ["you@example.org".parse()?])?;
    /// let mails = (1..=1_000).map(|n| {
    ///     Mail::new(envelope.clone(), format!("Subject: {n}\r\n\r\nhello\r\n"))
    /// });
    /// let mut results = pool.send_all(mails, Bounds::none());
    /// let mut accepted = 0;
    /// while let Some(sent) = results.next().await {
    ///     match sent.result {
    ///         Ok(_) => accepted += 1,
    ///         Err(error) => println!("message {}: {error}", sent.index),
    ///     }
    /// }
    /// assert_eq!(accepted, 1_000);
    /// # assert!(network.double().ledger().findings().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
            pool: self.clone(),
            feed: Feed {
                mails: mails.into_iter().fuse(),
                taken: 0,
                again: VecDeque::new(),
                bounds: bounds.into().into_owned(),
                started: None,
            },
            connections: self.size(),
            lanes: Lanes::default(),
        }
    }
}

impl<'m, C, I> SendAll<'m, C, I>
where
    C: Connector + 'm,
    I: Iterator<Item = Mail<'m>>,
{
    /// Over at most this many connections at the same time. Default: the pool's size.
    pub fn connections(mut self, most: usize) -> Self {
        self.connections = most.max(1);
        self
    }

    /// How many messages it has taken so far.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.feed.taken
    }

    /// The next result; `None` once there are no more.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing; dropping the stream closes the connections in use.
    pub async fn next(&mut self) -> Option<Sent>
    where
        I: Unpin,
    {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl<'m, I: Iterator<Item = Mail<'m>>> Feed<'m, I> {
    fn take(&mut self) -> Option<Item<'m>> {
        if let Some(item) = self.again.pop_front() {
            return Some(item);
        }
        let deadline = self.started?.deadline;
        let over = self.bounds.tokens().are_cancelled()
            || deadline.is_some_and(|deadline| deadline <= clock::now());
        let mail = if over { None } else { self.mails.next() }?;
        self.taken += 1;
        Some(Item::new(self.taken - 1, mail))
    }

    /// Gives the lane its next message and what leaves right behind it. Whether it has any.
    fn fill(&mut self, desk: &mut Desk<'m>) -> bool {
        self.again.extend(desk.back.drain(..));
        while desk.next.len() < desk.window
            && let Some(next) = self.take()
        {
            desk.next.push_back(next);
        }
        !desk.next.is_empty()
    }
}

impl<'m, C, I> Stream for SendAll<'m, C, I>
where
    C: Connector + 'm,
    I: Iterator<Item = Mail<'m>> + Unpin,
{
    type Item = Sent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Sent>> {
        let this = self.get_mut();
        let Feed {
            bounds, started, ..
        } = &mut this.feed;
        let started = *started.get_or_insert_with(|| bounds.start().0);
        while this.lanes.len() < this.connections
            && let Some(first) = this.feed.take()
        {
            let lane = Lane::new(this.pool.clone(), this.feed.bounds.clone(), started, first);
            this.feed.fill(&mut lane.desk());
            this.lanes.insert(lane);
        }
        let Some((place, sent)) = ready!(this.lanes.poll_next(cx)) else {
            return Poll::Ready(None);
        };
        // First, for the case that the caller's iterator panics: a lane that has nothing to do ends.
        this.lanes.go_on(place);
        let lane = this.lanes.get(place);
        if !lane.is_some_and(|lane| this.feed.fill(&mut lane.desk())) {
            this.lanes.end(place);
        }
        Poll::Ready(Some(sent))
    }
}
