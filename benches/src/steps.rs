//! What a guard around one step costs: the client's own, and the usual ways.

use std::future::poll_fn;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use tokio_util::sync::CancellationToken;

use crate::guard::{Guard, Tokens, Wait};

/// How a step is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Technique {
    /// Not at all.
    Bare,
    /// `tokio::time::timeout` made anew for each step.
    Timeout,
    /// `select!` of a token, the step and a timer made anew for each step.
    Select,
    /// The client's guard, kept across steps, each of them a turn of its own.
    Guard,
    /// The client's guard as the client uses it: the steps of one call are one turn.
    GuardCall,
}

impl Technique {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Bare,
        Self::Timeout,
        Self::Select,
        Self::Guard,
        Self::GuardCall,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare await",
            Self::Timeout => "timeout per step",
            Self::Select => "select! per step",
            Self::Guard => "guard, a turn per step",
            Self::GuardCall => "guard, a turn per call",
        }
    }
}

/// Steps of a call: less than the guard takes at a time before it lets others in.
const CALL: u32 = 25;
const LIMIT: Duration = Duration::from_secs(60);

/// Some steps in a row: each is ready at once, or pending once and woken.
struct Steps {
    left: u32,
    pending: bool,
    woken: bool,
    deadline: Instant,
}

impl Steps {
    const fn new(steps: u32, pending: bool, deadline: Instant) -> Self {
        Self {
            left: steps,
            pending,
            woken: false,
            deadline,
        }
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.pending && !std::mem::replace(&mut self.woken, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.woken = false;
        self.left = black_box(self.left.saturating_sub(1));
        Poll::Ready(())
    }
}

impl Wait for Steps {
    type Output = ();

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_step(cx)
    }

    fn poll_write(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.deadline)
    }

    fn is_ambiguous(&self) -> bool {
        false
    }

    fn cancel(&mut self, _now: Instant) {
        self.left = 0;
    }

    fn expire(&mut self, _now: Instant) {
        self.left = 0;
    }

    fn output(&mut self) -> Option<()> {
        (self.left == 0).then_some(())
    }
}

/// Takes so many steps under this guard.
pub async fn take(technique: Technique, steps: u32, pending: bool) {
    let deadline = tokio::time::Instant::now().into_std() + LIMIT;
    let token = CancellationToken::new();
    let mut guard = Guard::new(Tokens {
        first: Some(&token),
        others: &[],
    });
    match technique {
        Technique::GuardCall => {
            for _ in 0..steps / CALL {
                guard.turn(&mut Steps::new(CALL, pending, deadline)).await;
            }
        }
        Technique::Guard => {
            for _ in 0..steps {
                guard.turn(&mut Steps::new(1, pending, deadline)).await;
            }
        }
        _ => {
            let mut all = Steps::new(steps, pending, deadline);
            while all.left > 0 {
                let step = poll_fn(|cx| all.poll_step(cx));
                match technique {
                    Technique::Timeout => {
                        let _ = tokio::time::timeout(LIMIT, step).await;
                    }
                    Technique::Select => {
                        let (step, sleep) = (pin!(step), pin!(tokio::time::sleep(LIMIT)));
                        tokio::select! {
                            biased;
                            () = token.cancelled() => return,
                            () = step => {}
                            () = sleep => return,
                        }
                    }
                    _ => step.await,
                }
            }
        }
    }
}

/// Nanoseconds of one step, the median of rounds that take turns, with so many other timers alive.
///
/// # Errors
/// If there is no runtime to be had.
pub fn nanoseconds(
    pending: bool,
    timers: usize,
    rounds: usize,
) -> std::io::Result<Vec<(Technique, f64)>> {
    const STEPS: u32 = 2_000;
    let runtime = crate::contest::runtime()?;
    let mut times = vec![Vec::new(); Technique::ALL.len()];
    runtime.block_on(async {
        let mut others = tokio::task::JoinSet::new();
        for n in 0..timers {
            others.spawn(tokio::time::sleep(LIMIT + Duration::from_millis(n as u64)));
        }
        tokio::task::yield_now().await;
        for _ in 0..rounds {
            for (technique, times) in Technique::ALL.into_iter().zip(&mut times) {
                let begun = ThreadTime::now();
                take(technique, STEPS, pending).await;
                times.push(begun.elapsed().as_nanos() as f64 / f64::from(STEPS));
            }
        }
    });
    let medians = times.iter_mut().map(|times| crate::contest::median(times));
    Ok(Technique::ALL.into_iter().zip(medians).collect())
}
