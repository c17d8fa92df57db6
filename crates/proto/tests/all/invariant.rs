//! The session's one invariant, enumerated: in every state that it can get into there is a deadline,
//! and nothing that a peer or a transport does moves it later, except a complete reply, which ends
//! what it was for, and mail data that has left.
//!
//! Every state that these events lead to is visited, and from each of them every event is tried at a
//! later instant. States are told apart by everything that a session holds.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::IoSlice;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use postbound_proto::{
    Bounds, Config, EhloName, Envelope, Outcome, Phase, Session, Timeouts, TransactionOptions,
};

/// What can happen to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// These octets are read.
    Read(&'static str),
    /// The transport takes half of what there is.
    TakeHalf,
    /// The transport takes everything that there is.
    TakeAll,
    /// FIN.
    Closed,
    /// RST.
    Broken,
    /// The caller's token.
    Cancelled,
}

const EVENTS: [Event; 18] = [
    Event::Read("220 mx.example\r\n"),
    Event::Read("250-mx.example\r\n250 PIPELINING\r\n"),
    Event::Read("250 ok\r\n"),
    Event::Read("354 go\r\n"),
    Event::Read("421 bye\r\n"),
    Event::Read("451 later\r\n"),
    Event::Read("502 what\r\n"),
    Event::Read("554 no\r\n"),
    Event::Read("250 ok\r\n250 ok\r\n"),
    Event::Read("2"),
    Event::Read("50 ok\r\n"),
    Event::Read("250-ok\r\n"),
    Event::Read("?\r\n"),
    Event::TakeHalf,
    Event::TakeAll,
    Event::Closed,
    Event::Broken,
    Event::Cancelled,
];

const LIMIT: Duration = Duration::from_secs(10);
const MESSAGE: &[u8] = b"x\r\n";
/// More states than there are: the enumeration has to come to an end by itself.
const MOST_STATES: usize = 150_000;

static START: LazyLock<Instant> = LazyLock::new(|| {
    #[expect(
        clippy::disallowed_methods,
        reason = "an arbitrary origin: nothing is measured with it"
    )]
    Instant::now()
});

/// The caller: greeting, EHLO, one transaction with two recipients.
struct Caller {
    session: Session,
    bounds: Bounds,
    begun: bool,
    /// The call that is under way is the last one.
    done: bool,
}

impl Caller {
    fn new(bounds: Bounds) -> Self {
        let mut config = Config::new(EhloName::from_ip([127, 0, 0, 1].into()));
        config.timeouts = Timeouts::uniform(LIMIT).unwrap();
        // No reply of more than three lines, so that there is an end to the states.
        config.limits.reply_lines = 3;
        Self {
            session: Session::open(config, bounds, *START),
            bounds,
            begun: false,
            done: false,
        }
    }

    fn apply(&mut self, event: Event, now: Instant) {
        match event {
            Event::Read(octets) => self.session.receive(octets.as_bytes(), now),
            Event::TakeHalf => self.take(2, now),
            Event::TakeAll => self.take(1, now),
            Event::Closed => self.session.closed(now),
            Event::Broken => self.session.broken(now),
            Event::Cancelled => self.session.cancel(now),
        }
        if self.session.is_over() {
            let result = self.session.take_result().unwrap();
            if result.is_ok() && !self.begun {
                self.begun = true;
                let to = [
                    "b@example.org".parse().unwrap(),
                    "c@example.org".parse().unwrap(),
                ];
                let envelope = Envelope::new("a@example.org".parse().unwrap(), to).unwrap();
                let options = TransactionOptions::default();
                let begun = self.session.begin(&envelope, options, self.bounds, now);
                self.done = begun.is_err();
            } else {
                self.done = true;
            }
        }
    }

    fn take(&mut self, part: usize, now: Instant) {
        if self.session.needs_chunk() {
            self.session.provide(MESSAGE, true, now);
        }
        let mut slices = [IoSlice::new(&[]); 16];
        let count = self.session.transmit(MESSAGE, &mut slices, now);
        let there: usize = slices[..count].iter().map(|slice| slice.len()).sum();
        if there > 0 {
            self.session.transmitted(there.div_ceil(part), MESSAGE, now);
        }
    }

    /// Everything that tells this state from another.
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        format!("{:?}", self.session).hash(&mut hasher);
        (self.begun, self.done).hash(&mut hasher);
        hasher.finish()
    }
}

fn replay(bounds: Bounds, path: &[Event]) -> Caller {
    let mut caller = Caller::new(bounds);
    for event in path {
        caller.apply(*event, *START);
    }
    caller
}

/// The check of one step: `before` is the state's, the event comes `after` it was entered.
fn step(bounds: Bounds, path: &[Event], event: Event, after: Duration) {
    let mut caller = replay(bounds, path);
    let (phase, deadline) = (caller.session.phase(), caller.session.deadline());
    let now = *START + after;
    caller.apply(event, now);
    if caller.done {
        return;
    }
    let tell = || {
        format!(
            "{path:?}, then {event:?} after {after:?}: {:?}",
            caller.session
        )
    };
    let Some(later) = caller.session.deadline() else {
        panic!("no deadline: {}", tell());
    };
    // The longest limit, and what the few octets of mail data may add to it.
    let most = LIMIT + Duration::from_secs(1);
    assert!(
        later <= now + most,
        "a limit is longer than any: {}",
        tell()
    );
    if let Some(overall) = bounds.deadline {
        assert!(
            later <= overall + bounds.linger,
            "behind the deadline: {}",
            tell()
        );
    }
    let completes = matches!(event, Event::Read(octets) if octets.ends_with("\r\n"));
    let same = caller.session.phase() == phase;
    let credited = phase == Some(Phase::DataBlock) && event != Event::Cancelled;
    if same && !completes && !credited {
        assert!(later <= deadline.unwrap(), "it moved: {}", tell());
    }
}

/// Visits every state, and says how many there are and which phases and outcomes were met.
fn enumerate(bounds: Bounds) -> (usize, HashSet<Option<Phase>>, HashSet<Outcome>) {
    let mut seen = HashSet::new();
    let (mut phases, mut outcomes) = (HashSet::new(), HashSet::new());
    let mut queue = VecDeque::from([Vec::new()]);
    while let Some(path) = queue.pop_front() {
        for event in EVENTS {
            step(bounds, &path, event, Duration::from_secs(3));
            let mut next = path.clone();
            next.push(event);
            let caller = replay(bounds, &next);
            if !caller.done && seen.insert(caller.fingerprint()) {
                phases.insert(caller.session.phase());
                outcomes.insert(caller.session.outcome());
                queue.push_back(next);
            }
        }
        assert!(seen.len() < MOST_STATES, "the states do not come to an end");
    }
    (seen.len(), phases, outcomes)
}

fn holds(bounds: Bounds) {
    let (states, phases, outcomes) = enumerate(bounds);
    assert!(states > 300, "only {states} states");
    for phase in [
        Phase::Greeting,
        Phase::Ehlo,
        Phase::Mail,
        Phase::Rcpt,
        Phase::DataInitiation,
        Phase::DataBlock,
        Phase::DataTermination,
    ] {
        assert!(phases.contains(&Some(phase)), "{phase} was not met");
    }
    assert!(outcomes.contains(&Outcome::Ambiguous));
}

#[test]
fn in_every_state_there_is_a_deadline_and_no_input_moves_it_later() {
    holds(Bounds::NONE);
}

#[test]
fn in_every_state_under_an_overall_deadline_with_a_linger() {
    let mut bounds = Bounds::NONE;
    bounds.deadline = Some(*START + Duration::from_secs(7));
    bounds.linger = Duration::from_secs(2);
    holds(bounds);
}
