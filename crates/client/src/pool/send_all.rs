//! Many messages over the connections of a pool.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::iter::Fuse;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_util::stream::{FuturesUnordered, Stream, StreamExt};
use proto::ext::TransactionLimits;
use proto::{Bounds as Started, Envelope, Require};
use tokio_util::sync::CancellationToken;

use super::{Pool, Pooled};
use crate::bounds::Bounds;
use crate::clock;
use crate::connector::Connector;
use crate::error::Error;
use crate::exchange::Behind;
use crate::guard::{Guard, Tokens};
use crate::message::Message;
use crate::receipt::Receipt;
use crate::transaction::Settings;

/// A message with its envelope: what RFC 5321 §2.3.1 calls a mail object.
#[derive(Debug)]
pub struct Mail<'m> {
    envelope: Envelope,
    message: Message<'m>,
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

/// How many messages go over a connection before it is given to who waits for one: few enough that
/// nobody waits long, enough that what pipelining saves is kept.
const TURN: u32 = 10;

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
    mails: Fuse<I>,
    taken: usize,
    /// Taken, and given back by a lane: at most one of each.
    again: VecDeque<Item<'m>>,
    connections: usize,
    bounds: Bounds,
    started: Option<(Started, Tokens)>,
    lanes: FuturesUnordered<Step<'m, C>>,
}

type Step<'m, C> = Pin<Box<dyn Future<Output = (Lane<'m, C>, Sent)> + Send + 'm>>;

impl<C: Connector, I> fmt::Debug for SendAll<'_, C, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendAll")
            .field("pool", &self.pool)
            .field("taken", &self.taken)
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
    pub fn send_all<'m, M>(
        &self,
        mails: M,
        bounds: impl Into<Bounds>,
    ) -> SendAll<'m, C, M::IntoIter>
    where
        M: IntoIterator<Item = Mail<'m>>,
        C: 'm,
    {
        SendAll {
            pool: self.clone(),
            mails: mails.into_iter().fuse(),
            taken: 0,
            again: VecDeque::new(),
            connections: self.size(),
            bounds: bounds.into(),
            started: None,
            lanes: FuturesUnordered::new(),
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
        self.taken
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

    fn take(&mut self) -> Option<Item<'m>> {
        if let Some(item) = self.again.pop_front() {
            return Some(item);
        }
        let (bounds, tokens) = self.started.as_ref()?;
        let over = tokens.iter().any(CancellationToken::is_cancelled)
            || bounds
                .deadline
                .is_some_and(|deadline| deadline <= clock::now());
        let mail = if over { None } else { self.mails.next() }?;
        let index = self.taken;
        self.taken += 1;
        Some(Item {
            index,
            recipients: 0..mail.envelope.forward_paths().len(),
            mail,
            moved: false,
            begun: None,
        })
    }

    /// Lets the lane send its next message, if there is one.
    fn go_on(&mut self, mut lane: Lane<'m, C>) -> bool {
        self.again.extend(lane.back.drain(..));
        let Some(item) = lane.next.pop_front().or_else(|| self.take()) else {
            return false;
        };
        // What leaves right behind it.
        while lane.next.len() + 1 < lane.window()
            && let Some(next) = self.take()
        {
            lane.next.push_back(next);
        }
        self.lanes.push(Box::pin(lane.step(item)));
        true
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
        if this.started.is_none() {
            this.started = Some(std::mem::take(&mut this.bounds).start());
        }
        while this.lanes.len() < this.connections
            && let Some((bounds, tokens)) = &this.started
        {
            let lane = Lane::new(this.pool.clone(), *bounds, tokens.clone());
            if !this.go_on(lane) {
                break;
            }
        }
        let Some((lane, sent)) = ready!(this.lanes.poll_next_unpin(cx)) else {
            return Poll::Ready(None);
        };
        this.go_on(lane);
        Poll::Ready(Some(sent))
    }
}

struct Item<'m> {
    index: usize,
    recipients: Range<usize>,
    mail: Mail<'m>,
    /// It has gone to another connection once.
    moved: bool,
    /// When its transaction was queued behind another's, if it is.
    begun: Option<Instant>,
}

impl Behind for VecDeque<Item<'_>> {
    fn octets(&mut self, place: usize) -> Option<&[u8]> {
        self.get(place.checked_sub(1)?)?.mail.message.octets()
    }
}

impl<'m> Item<'m> {
    /// Keeps as many recipients as the server takes at a time; the rest is another transaction.
    fn split<C: Connector>(&mut self, lease: &Pooled<C>) -> Option<Self> {
        let envelope = &self.mail.envelope;
        let most = match lease.options().require {
            Require::AllRecipients => return None,
            _ => most_recipients(lease.extensions().limits(), envelope),
        };
        if most >= envelope.forward_paths().len() {
            return None;
        }
        let message = self.mail.message.again()?;
        let rest = envelope.subset(|place| place >= most).ok()?;
        let kept = envelope.subset(|place| place < most).ok()?;
        let middle = self.recipients.start + most;
        let rest = Self {
            index: self.index,
            recipients: middle..self.recipients.end,
            mail: Mail {
                envelope: rest,
                message,
            },
            moved: false,
            begun: None,
        };
        self.recipients.end = middle;
        self.mail.envelope = kept;
        Some(rest)
    }
}

/// How many of the recipients, from the first on, one transaction may have (RFC 9422).
fn most_recipients(limits: TransactionLimits, envelope: &Envelope) -> usize {
    let most = |limit: Option<u32>| limit.map_or(usize::MAX, |limit| limit as usize);
    let mut domains = BTreeSet::new();
    envelope
        .forward_paths()
        .iter()
        .take(most(limits.recipients))
        .take_while(|path| {
            domains.insert(path.domain().to_ascii_lowercase());
            domains.len() <= most(limits.recipient_domains)
        })
        .count()
}

/// Whether one more message may go over it.
fn may_go_on<C: Connector>(lease: &Pooled<C>, turn: u32) -> bool {
    lease.may_go_on() && (turn < TURN || !lease.is_waited_for())
}

/// One connection at a time, and the messages that go over it.
struct Lane<'m, C: Connector> {
    pool: Pool<C>,
    guard: Guard,
    bounds: Started,
    lease: Option<Pooled<C>>,
    /// How many messages have gone over it since it was lent.
    turn: u32,
    /// The messages behind the one at hand; the first of them are begun.
    next: VecDeque<Item<'m>>,
    /// Were to be next, and have made room for the rest of a message that was split.
    back: Vec<Item<'m>>,
}

impl<'m, C: Connector> Lane<'m, C> {
    fn new(pool: Pool<C>, bounds: Started, tokens: Tokens) -> Self {
        Self {
            pool,
            guard: Guard::new(tokens),
            bounds,
            lease: None,
            turn: 0,
            next: VecDeque::new(),
            back: Vec::new(),
        }
    }

    /// How many messages it may have at once.
    fn window(&self) -> usize {
        self.lease.as_ref().map_or(2, Pooled::window)
    }

    fn is_under_way(&self) -> bool {
        self.next.front().is_some_and(|next| next.begun.is_some())
    }

    /// Sends one message to its end.
    async fn step(mut self, mut item: Item<'m>) -> (Self, Sent) {
        let started = item.begun.unwrap_or_else(clock::now);
        let mut result = self.send(&mut item, started).await;
        if !item.moved && result.as_ref().is_err_and(|error| self.is_stale(error)) {
            item.moved = true;
            item.begun = None;
            self.lease = None;
            result = self.send(&mut item, started).await;
        }
        // What is neither at rest nor under way is closed here and now.
        if let Some(lease) = &mut self.lease {
            lease.use_up();
        }
        let under_way = self.is_under_way();
        self.lease = self
            .lease
            .take()
            .filter(|lease| under_way || lease.is_idle());
        let sent = Sent {
            index: item.index,
            recipients: item.recipients,
            result,
        };
        (self, sent)
    }

    fn is_stale(&self, error: &Error) -> bool {
        let lease = self.lease.as_ref();
        !self.is_under_way() && lease.is_some_and(|lease| lease.is_stale(error))
    }

    async fn send(&mut self, item: &mut Item<'m>, started: Instant) -> Result<Receipt, Error> {
        let begun = item.begun.take().is_some();
        let lease = match self.lease.take() {
            Some(lease) if begun || may_go_on(&lease, self.turn) => self.lease.insert(lease),
            rest => {
                // Before another is waited for, or the pool could wait for itself.
                drop(rest);
                // On the heap: what is moved for each message has no room for dialling.
                let lease = Box::pin(self.pool.lease(&mut self.guard, self.bounds, true)).await?;
                self.turn = 0;
                self.lease.insert(lease)
            }
        };
        self.turn += 1;
        let now = clock::now();
        if !begun {
            if let Some(rest) = item.split(lease) {
                self.back.extend(self.next.pop_back());
                self.next.push_front(rest);
            }
            let Mail { envelope, message } = &item.mail;
            let settings = Settings::new(lease.first_options());
            if let Err(error) = lease.begin(envelope, message, &settings, self.bounds, now) {
                return lease.tell(Err(error), started);
            }
        }
        let options = lease.options();
        let begun = self.next.partition_point(|next| next.begun.is_some());
        let turns = (self.turn..).skip(begun);
        for (next, turn) in self.next.range_mut(begun..).zip(turns) {
            let Mail { envelope, message } = &next.mail;
            let settings = Settings::new(options);
            if !may_go_on(lease, turn) || !lease.follow(envelope, message, &settings) {
                break;
            }
            next.begun = Some(now);
        }
        let message = &mut item.mail.message;
        let settings = Settings::new(options);
        let result = lease
            .end(&mut self.guard, message, settings, &mut self.next, now)
            .await;
        if !lease.is_under_way() {
            self.next.iter_mut().for_each(|next| next.begun = None);
        }
        lease.tell(result, started)
    }
}
