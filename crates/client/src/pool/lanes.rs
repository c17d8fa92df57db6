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
        let taken = Some(Place { lane, waker });
        match self.places.get_mut(place) {
            Some(free) => *free = taken,
            None => self.places.push(taken),
        }
        self.taken += 1;
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

    pub(super) fn remove(&mut self, place: usize) {
        let taken = self.places.get_mut(place).and_then(Option::take);
        self.taken -= usize::from(taken.is_some());
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
            let Some(taken) = self.places.get_mut(place).and_then(Option::as_mut) else {
                continue;
            };
            let mut cx = Context::from_waker(&taken.waker);
            match Pin::new(&mut taken.lane).poll_next(&mut cx) {
                Poll::Ready(Some(sent)) => return Poll::Ready(Some((place, sent))),
                Poll::Ready(None) => self.remove(place),
                Poll::Pending => {}
            }
        }
        if self.taken == 0 {
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}
