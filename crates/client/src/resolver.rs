//! The operating system's resolver, kept away from the runtime.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

type Lookup = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;
type Key = (String, u16);
type Answer = Result<Vec<SocketAddr>, Arc<io::Error>>;

/// `getaddrinfo` on detached threads.
///
/// The operating system's resolver blocks, for ten seconds and more if its servers are dead, and
/// can't be called off. On tokio's blocking pool it would hold up the end of the runtime for that
/// long; on a thread of its own it holds up nobody. At most [`THREADS`](Self::THREADS) look-ups run
/// at once, whatever hangs: others wait for their turn, each within its own call's limit. Equal
/// look-ups share one thread. A clone shares everything with its origin, and all that are made by
/// [`Default`] share one set of threads for the process.
#[derive(Clone)]
pub struct SystemResolver {
    shared: Arc<Shared>,
}

struct Shared {
    lookup: Box<Lookup>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    threads: usize,
    /// Look-ups that wait for a thread.
    queue: VecDeque<Key>,
    /// Who waits for which answer, whether it is being looked up or queued.
    waiting: BTreeMap<Key, Vec<oneshot::Sender<Answer>>>,
}

impl SystemResolver {
    /// Look-ups under way at once, at most. Four hide the latency of names that are looked up side
    /// by side; more would only be more threads to hang when the resolver does.
    pub const THREADS: usize = 4;

    /// A resolver with another blocking look-up and threads of its own.
    pub fn with_lookup(
        lookup: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                lookup: Box::new(lookup),
                state: Mutex::default(),
            }),
        }
    }

    /// The addresses of `host`, in the operating system's order.
    ///
    /// # Errors
    /// What the look-up reports, or that no thread can be had.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the answer. A look-up that is already under way goes on by
    /// itself; one that has not begun never does, unless another call waits for it.
    pub async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let answer = self.shared.ask((host.to_owned(), port))?;
        match answer.await {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(io::Error::new(error.kind(), error)),
            Err(_) => Err(io::Error::other("the look-up ended without an answer")),
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(self: &Arc<Self>, key: Key) -> io::Result<oneshot::Receiver<Answer>> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state();
        if let Some(waiting) = state.waiting.get_mut(&key) {
            // Those who gave up do not pile up behind a look-up that hangs.
            waiting.retain(|sender| !sender.is_closed());
            waiting.push(sender);
            return Ok(receiver);
        }
        let State { waiting, queue, .. } = &mut *state;
        queue.retain(|key| {
            let alive = waiting
                .get(key)
                .is_some_and(|senders| senders.iter().any(|sender| !sender.is_closed()));
            if !alive {
                waiting.remove(key);
            }
            alive
        });
        state.waiting.insert(key.clone(), vec![sender]);
        state.queue.push_back(key.clone());
        if state.threads < SystemResolver::THREADS {
            let shared = Arc::clone(self);
            let spawned = std::thread::Builder::new()
                .name("postbound-resolve".to_owned())
                .spawn(move || shared.work());
            match spawned {
                Ok(_detached) => state.threads += 1,
                Err(error) if state.threads == 0 => {
                    state.queue.retain(|queued| *queued != key);
                    state.waiting.remove(&key);
                    return Err(error);
                }
                // A thread that is busy now will come to it.
                Err(_) => {}
            }
        }
        Ok(receiver)
    }

    /// One thread: looks up what is queued, and ends when nothing is.
    fn work(&self) {
        loop {
            let key = {
                let mut state = self.state();
                match state.queue.pop_front() {
                    Some(key) => key,
                    None => {
                        state.threads -= 1;
                        return;
                    }
                }
            };
            let wanted = self
                .state()
                .waiting
                .get(&key)
                .is_some_and(|senders| senders.iter().any(|sender| !sender.is_closed()));
            let answer = if wanted {
                catch_unwind(AssertUnwindSafe(|| (self.lookup)(&key.0, key.1)))
                    .unwrap_or_else(|_| Err(io::Error::other("the look-up panicked")))
                    .map_err(Arc::new)
            } else {
                Err(Arc::new(io::Error::other("nobody waits for this look-up")))
            };
            let waiting = self.state().waiting.remove(&key).unwrap_or_default();
            for sender in waiting {
                // Whoever gave up meanwhile does not mind.
                let _ = sender.send(answer.clone());
            }
        }
    }
}

impl Default for SystemResolver {
    fn default() -> Self {
        static PROCESS: LazyLock<SystemResolver> = LazyLock::new(|| {
            SystemResolver::with_lookup(|host, port| {
                (host, port).to_socket_addrs().map(Iterator::collect)
            })
        });
        PROCESS.clone()
    }
}

impl fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state();
        f.debug_struct("SystemResolver")
            .field("threads", &state.threads)
            .field("queued", &state.queue.len())
            .finish()
    }
}
