//! One connection at a time, and the messages that go over it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::stream::Stream;
use proto::Bounds as Started;

use super::item::Item;
use super::{Mail, Pool, Pooled, Sent};
use crate::bounds::Bounds;
use crate::clock;
use crate::connector::Connector;
use crate::error::Error;
use crate::guard::Guard;
use crate::receipt::Receipt;
use crate::transaction::Settings;

/// How many messages go over a connection before it is given to who waits for one: few enough that
/// nobody waits long, enough that what pipelining saves is kept.
const TURN: u32 = 10;

/// Whether one more message may go over it.
fn may_go_on<C: Connector>(lease: &Pooled<C>, turn: u32) -> bool {
    lease.may_go_on() && (turn < TURN || !lease.is_waited_for())
}

/// What a lane and who gives it its messages hand each other between two of them.
pub(super) struct Desk<'m> {
    /// The messages that the lane has; the first of them are begun.
    pub(super) next: VecDeque<Item<'m>>,
    /// Were to be next, and have made room for the rest of a message that was split.
    pub(super) back: Vec<Item<'m>>,
    /// How many messages it may have at once.
    pub(super) window: usize,
    sent: Option<Sent>,
}

/// The results of the messages that it is given, one after the other. It is one future for all of
/// them, because one for each would be moved for each.
pub(super) struct Lane<'m> {
    run: Pin<Box<dyn Future<Output = ()> + Send + 'm>>,
    desk: Arc<Mutex<Desk<'m>>>,
}

fn open<'a, 'm>(desk: &'a Mutex<Desk<'m>>) -> MutexGuard<'a, Desk<'m>> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'m> Lane<'m> {
    pub(super) fn new<C>(
        pool: Pool<C>,
        bounds: Bounds<'static>,
        started: Started,
        first: Item<'m>,
    ) -> Self
    where
        C: Connector + 'm,
    {
        let desk = Arc::new(Mutex::new(Desk {
            next: VecDeque::from([first]),
            back: Vec::new(),
            window: 2,
            sent: None,
        }));
        Self {
            run: Box::pin(run(pool, bounds, started, Arc::clone(&desk))),
            desk,
        }
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk<'m>> {
        open(&self.desk)
    }
}

impl Stream for Lane<'_> {
    type Item = Sent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Sent>> {
        let ended = self.run.as_mut().poll(cx).is_ready();
        match self.desk().sent.take() {
            Some(sent) => Poll::Ready(Some(sent)),
            None if ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

/// Sends what lies on the desk, until nothing does.
async fn run<C: Connector>(
    pool: Pool<C>,
    bounds: Bounds<'static>,
    started: Started,
    desk: Arc<Mutex<Desk<'_>>>,
) {
    let mut carrier = Carrier {
        pool,
        guard: bounds.guard(),
        bounds: started,
        lease: None,
        turn: 0,
        next: VecDeque::new(),
        back: Vec::new(),
    };
    loop {
        carrier.next = std::mem::take(&mut open(&desk).next);
        let Some(item) = carrier.next.pop_front() else {
            return;
        };
        let sent = carrier.carry(item).await;
        carrier.report(sent, &mut open(&desk));
        // Polled again when it has been taken and the next message is there.
        poll_fn(|_| match open(&desk).sent {
            Some(_) => Poll::Pending,
            None => Poll::Ready(()),
        })
        .await;
    }
}

/// Who has the connection.
struct Carrier<'g, 'm, C: Connector> {
    pool: Pool<C>,
    guard: Guard<'g>,
    bounds: Started,
    lease: Option<Pooled<C>>,
    /// How many messages have gone over it since it was lent.
    turn: u32,
    next: VecDeque<Item<'m>>,
    back: Vec<Item<'m>>,
}

impl<'m, C: Connector> Carrier<'_, 'm, C> {
    fn report(&mut self, sent: Sent, desk: &mut Desk<'m>) {
        desk.sent = Some(sent);
        desk.window = self.lease.as_ref().map_or(2, Pooled::window);
        desk.next = std::mem::take(&mut self.next);
        desk.back.append(&mut self.back);
    }

    fn is_under_way(&self) -> bool {
        self.next.front().is_some_and(|next| next.begun.is_some())
    }

    /// Sends one message to its end.
    async fn carry(&mut self, mut item: Item<'m>) -> Sent {
        let started = item.begun.unwrap_or_else(clock::now);
        let result = loop {
            let result = self.send(&mut item, started).await;
            let stale = result.as_ref().is_err_and(|error| self.is_stale(error));
            if item.moved || !stale {
                break result;
            }
            item.moved = true;
            item.begun = None;
            self.lease = None;
        };
        // What is neither at rest nor under way is closed here and now.
        if let Some(lease) = &mut self.lease {
            lease.use_up();
        }
        let under_way = self.is_under_way();
        self.lease.take_if(|lease| !under_way && !lease.is_idle());
        Sent {
            index: item.index,
            recipients: item.recipients,
            result,
        }
    }

    fn is_stale(&self, error: &Error) -> bool {
        let lease = self.lease.as_ref();
        !self.is_under_way() && lease.is_some_and(|lease| lease.is_stale(error))
    }

    async fn send(&mut self, item: &mut Item<'m>, started: Instant) -> Result<Receipt, Error> {
        let begun = item.begun.take().is_some();
        let lease = match &mut self.lease {
            Some(lease) if begun || may_go_on(lease, self.turn) => lease,
            none => {
                // Before another is waited for, or the pool could wait for itself.
                *none = None;
                // On the heap: a lane that has its connection has no room for dialling.
                let lease = Box::pin(self.pool.lease(&mut self.guard, self.bounds, true)).await?;
                self.turn = 0;
                none.insert(lease)
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
