//! Several lanes, of which those are polled that were woken.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::stream::Stream;

use super::Sent;
use super::lane::Lane;

/// All of them, each in a place of its own. futures-util's `FuturesUnordered` wakes itself whenever
/// each of its futures was polled, and of a single lane each wait is that: another poll for nothing,
/// and another look of the runtime at its sockets.
#[derive(Default)]
pub(super) struct Lanes<'m> {
    places: Vec<Option<Place<'m>>>,
    taken: usize,
    calls: Arc<Calls>,
}

struct Place<'m> {
    lane: Lane<'m>,
    waker: Waker,
}

/// Which of them are to be polled, in the order in which they were woken.
#[derive(Default)]
struct Calls(Mutex<Due>);

#[derive(Default)]
struct Due {
    places: VecDeque<usize>,
    /// Who polls them all, while it waits.
    task: Option<Waker>,
}

impl Due {
    fn call(&mut self, place: usize) {
        // There are as many places as there are connections: few.
        if !self.places.contains(&place) {
            self.places.push_back(place);
        }
    }
}

impl Calls {
    fn due(&self) -> MutexGuard<'_, Due> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes one of them.
struct Call {
    calls: Arc<Calls>,
    place: usize,
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut due = self.calls.due();
        due.call(self.place);
        let task = due.task.take();
        drop(due);
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl<'m> Lanes<'m> {
    pub(super) const fn len(&self) -> usize {
        self.taken
    }

    /// Takes one in; it is polled next.
    pub(super) fn insert(&mut self, lane: Lane<'m>) {
        let free = self.places.iter().position(Option::is_none);
        let place = free.unwrap_or(self.places.len());
        let waker = Waker::from(Arc::new(Call {
            calls: Arc::clone(&self.calls),
            place,
        }));
        self.put(place, Place { lane, waker });
        self.go_on(place);
    }

    pub(super) fn get(&self, place: usize) -> Option<&Lane<'m>> {
        let taken = self.places.get(place)?.as_ref()?;
        Some(&taken.lane)
    }

    /// This one is polled again.
    pub(super) fn go_on(&self, place: usize) {
        self.calls.due().call(place);
    }

    /// Drops this one.
    pub(super) fn end(&mut self, place: usize) {
        drop(self.remove(place));
    }

    fn remove(&mut self, place: usize) -> Option<Place<'m>> {
        let taken = self.places.get_mut(place)?.take()?;
        self.taken -= 1;
        Some(taken)
    }

    fn put(&mut self, place: usize, lane: Place<'m>) {
        match self.places.get_mut(place) {
            Some(free) => *free = Some(lane),
            None => self.places.push(Some(lane)),
        }
        self.taken += 1;
    }

    /// The next result of any of them, with its place; `None` once there are no more of them. Each that
    /// was woken is polled once, so that who wakes itself for ever keeps nobody else from it.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<(usize, Sent)>> {
        let mut due = self.calls.due();
        let before = due.task.replace(cx.waker().clone());
        let count = due.places.len();
        drop(due);
        // Whatever that runs does not run under the lock.
        drop(before);
        for _ in 0..count {
            let Some(place) = self.calls.due().places.pop_front() else {
                break;
            };
            // Out of its place while it is polled: one that panics is gone, with its connection.
            let Some(mut taken) = self.remove(place) else {
                continue;
            };
            let mut cx = Context::from_waker(&taken.waker);
            let polled = Pin::new(&mut taken.lane).poll_next(&mut cx);
            if !matches!(polled, Poll::Ready(None)) {
                self.put(place, taken);
            }
            if let Poll::Ready(Some(sent)) = polled {
                return Poll::Ready(Some((place, sent)));
            }
        }
        if self.taken == 0 {
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}
