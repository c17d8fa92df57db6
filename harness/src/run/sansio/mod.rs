//! A case without sockets, tasks or a runtime: the session itself, driven by a list of events.
//!
//! The link and the server are written once more, in plain code, and share nothing with the double
//! but the plan. So this is a second opinion on everything: on the client's one wait, which is
//! driven by tokio elsewhere, on the in-memory network and on the double. It is also by far the
//! quickest way to run a case.

mod dial;
mod link;
mod server;

use std::io::IoSlice;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use postbound::{BodyType, Envelope, FailureKind, Outcome};
use proto::{Bounds, Completed, Config, EhloName, Failure, Session, TransactionOptions};

use self::link::{End, Link, Room, millis};
use self::server::{Delivery, Offer, Server};
use crate::case::Case;
use crate::report::{Claim, Report, Tolerance};

/// Times are whole milliseconds since the call began, as the timers' resolution is.
type Millis = u64;

/// Nothing is rounded here.
pub const TOLERANCE: Tolerance = Tolerance::late(Duration::from_millis(1));

/// How long the server is watched once the call is over.
const AFTERWARDS: Millis = 60 * 60 * 1_000;

/// Turns without waiting before the other end is let in, as in the client's wait.
const ROUNDS: usize = 32;

/// Where the clock begins. What it says does not matter, only what is added to it.
static START: LazyLock<Instant> = LazyLock::new(|| {
    #[expect(
        clippy::disallowed_methods,
        reason = "an arbitrary origin: nothing is measured with it"
    )]
    Instant::now()
});

fn instant(at: Millis) -> Instant {
    *START + Duration::from_millis(at)
}

/// Whether this run knows everything that the case asks for.
///
/// # Errors
/// What it does not know. Such a case is skipped and counted.
pub fn can(case: &Case) -> Result<(), String> {
    let known = Case {
        timeout: case.timeout,
        timeouts: case.timeouts.clone(),
        recipients: case.recipients,
        octets: case.octets,
        all: case.all,
        again: case.again,
        deadline: case.deadline,
        reserve: case.reserve,
        linger: case.linger,
        cancel: case.cancel,
        pipelining: case.pipelining,
        eight_bit: case.eight_bit,
        chunking: case.chunking,
        lmtp: case.lmtp,
        plan: case.plan.clone(),
        ..Case::default()
    };
    if known != *case {
        return Err("sans-io does not know every setting of this case".to_owned());
    }
    dial::can(&case.plan)
        .map_err(|why| format!("sans-io can't do `{}`: {why}", case.plan.one_line()))
}

/// What stays the same from case to case.
struct Kept {
    config: Config,
    message_of: Option<(u32, bool)>,
    message: Vec<u8>,
    size: u64,
    recipients: u16,
    envelope: Envelope,
    buffers: (Vec<u8>, Vec<u8>),
}

/// Runs cases one after the other and keeps what they have in common.
pub struct Runner {
    kept: Kept,
}

impl Default for Runner {
    fn default() -> Self {
        let case = Case::default();
        let name = EhloName::from_ip(std::net::Ipv4Addr::LOCALHOST.into());
        Self {
            kept: Kept {
                config: Config::new(name),
                message_of: None,
                message: Vec::new(),
                size: 0,
                recipients: case.recipients,
                envelope: case.envelope(),
                buffers: (Vec::new(), Vec::new()),
            },
        }
    }
}

/// Runs one case.
#[must_use]
pub fn run(case: &Case) -> Report {
    Runner::default().run(case)
}

impl Runner {
    /// Runs the next case, which this run must be able to.
    #[must_use]
    pub fn run(&mut self, case: &Case) -> Report {
        let kept = &mut self.kept;
        if kept.message_of != Some((case.octets, case.eight_bit)) {
            kept.message_of = Some((case.octets, case.eight_bit));
            kept.message = case.message();
            kept.size = proto::transparency::message_octets(&kept.message);
        }
        if kept.recipients != case.recipients {
            kept.recipients = case.recipients;
            kept.envelope = case.envelope();
        }
        kept.config.timeouts = case.limits();
        kept.config.protocol = case.protocol();
        let buffers = std::mem::take(&mut kept.buffers);
        let mut run = Run {
            case,
            kept,
            now: 0,
            cancelled: false,
            yielded: false,
            octets_at_cancel: None,
            deadline: (None, None),
            world: None,
            written: Vec::with_capacity(1024),
            hash: 0xcbf2_9ce4_8422_2325,
        };
        let result = run.call(buffers);
        let elapsed = run.now;
        let after = run.octets_after_cancel();
        run.hang_up();
        run.afterwards();
        let hash = run.hash;
        let world = run.world.take();
        let recipients = match &result {
            Ok((_, recipients)) => recipients,
            Err(failure) => &failure.recipients,
        };
        let (timings, timed_out) = match &result {
            Ok(_) => Default::default(),
            Err(failure) => (
                failure.timings,
                match failure.kind {
                    FailureKind::TimedOut(limit) => Some(limit),
                    _ => None,
                },
            ),
        };
        let claim = match &result {
            Ok((code, _)) => Claim {
                outcome: Outcome::Accepted,
                phase: None,
                kind: "accepted",
                code: Some(*code),
                accepted: recipients.iter().filter(|to| to.is_accepted()).count(),
            },
            Err(failure) => Claim::of_failure(failure),
        };
        let (mut committed, mut findings) = (Vec::new(), Vec::new());
        if let Some(World { link, server }) = world {
            committed = server.committed;
            findings = server.findings;
            kept.buffers = link.into_buffers();
        }
        let for_each = super::for_each(case, recipients, |path| {
            let to = |delivery: &&Delivery| delivery.forward_paths.iter().any(|to| to == path);
            committed.iter().filter(to).count()
        });
        let intact = committed
            .iter()
            .all(|delivery| is_intact(delivery, case, &kept.message, recipients));
        Report {
            elapsed: Duration::from_millis(elapsed),
            committed: committed.len(),
            for_each,
            intact,
            findings,
            octets_after_cancel: after,
            trace: hash,
            timings,
            timed_out,
            ..Report::of(claim)
        }
    }
}

fn is_intact(
    delivery: &Delivery,
    case: &Case,
    message: &[u8],
    recipients: &[proto::Recipient],
) -> bool {
    delivery.octets == message
        && delivery.reverse_path == "sender@client.example"
        && (!super::attributes(case)
            || super::is_addressed(case, &delivery.forward_paths, recipients))
}

struct World<'a> {
    link: Link,
    server: Server<'a>,
}

struct Run<'a> {
    case: &'a Case,
    kept: &'a Kept,
    now: Millis,
    cancelled: bool,
    /// The client has let others in before it was done.
    yielded: bool,
    octets_at_cancel: Option<u64>,
    /// The session's deadline, and the same in milliseconds.
    deadline: (Option<Instant>, Option<Millis>),
    world: Option<World<'a>>,
    /// What one write takes.
    written: Vec<u8>,
    /// A hash of what was done when.
    hash: u64,
}

type Ended = Result<(u16, Vec<proto::Recipient>), Box<Failure>>;

impl Run<'_> {
    fn bounds(&self) -> Bounds {
        let mut bounds = Bounds::NONE;
        bounds.deadline = self
            .case
            .deadline
            .map(|deadline| instant(self.now + millis(deadline)));
        bounds.reserve = self.case.reserve;
        bounds.linger = self.case.linger;
        bounds
    }

    fn octets_after_cancel(&self) -> u64 {
        match (&self.world, self.octets_at_cancel) {
            (Some(world), Some(before)) => world.link.to_server.sent_octets() - before,
            _ => 0,
        }
    }

    /// The whole call, as the client makes it.
    fn call(&mut self, buffers: (Vec<u8>, Vec<u8>)) -> Ended {
        let bounds = self.bounds();
        self.dial(bounds)?;
        self.world = Some(World {
            link: Link::new(buffers, &self.case.plan, self.now),
            server: Server::new(
                &self.case.plan,
                Offer {
                    pipelining: self.case.pipelining,
                    chunking: self.case.chunking.is_some(),
                    lmtp: self.case.lmtp,
                },
            ),
        });
        let mut session = Session::open(self.kept.config.clone(), bounds, instant(self.now));
        self.drive(&mut session, None)?;
        let mut result = self.transaction(&mut session, bounds);
        // After a refusal that leaves the connection at rest, once more if the case says so.
        if self.case.again
            && let Err(failure) = &result
            && failure.kind == FailureKind::Refused
            && session.is_idle()
        {
            let bounds = self.bounds();
            result = self.transaction(&mut session, bounds);
        }
        let result = result?;
        let bounds = if self.case.again {
            self.bounds()
        } else {
            bounds
        };
        if session.quit(bounds, instant(self.now)).is_ok() {
            let _ = self.drive(&mut session, None);
        }
        Ok(result)
    }

    fn transaction(&mut self, session: &mut Session, bounds: Bounds) -> Ended {
        let mut options = TransactionOptions::default();
        options.require = self.case.require();
        options.size = Some(self.kept.size);
        options.chunking = self.case.chunks();
        if self.case.eight_bit {
            options.body = BodyType::EightBitMime;
        }
        let kept = self.kept;
        session.begin(&kept.envelope, options, bounds, instant(self.now))?;
        match self.drive(session, Some(&kept.message))? {
            Completed::Accepted(acceptance) => {
                Ok((acceptance.reply.code().get(), acceptance.recipients))
            }
            other => panic!("a transaction ended as {other:?}"),
        }
    }

    /// Drives the session's current call to its end, event by event.
    fn drive(
        &mut self,
        session: &mut Session,
        message: Option<&[u8]>,
    ) -> Result<Completed, Box<Failure>> {
        loop {
            // At one instant the client comes first, then the cancellation, then the server.
            if let Some(result) = self.client(session, message) {
                return result;
            }
            if self.cancel_is_due() {
                continue;
            }
            let Some(world) = &mut self.world else {
                panic!("there is a connection")
            };
            world.link.to_server.opened_up = false;
            world.server.turn(&mut world.link, self.now);
            // Room for a writer that is blocked: perhaps more to do in this instant.
            let opened_up = std::mem::take(&mut world.link.to_server.opened_up);
            if opened_up
                && !self.yielded
                && let Some(result) = self.client(session, message)
            {
                return result;
            }
            if !self.yielded {
                self.advance(session.deadline());
            }
        }
    }

    fn cancel_is_due(&mut self) -> bool {
        let due = !self.cancelled && self.case.cancel.is_some_and(|at| millis(at) <= self.now);
        if due {
            self.cancelled = true;
            let sent = |world: &World<'_>| world.link.to_server.sent_octets();
            self.octets_at_cancel = Some(self.world.as_ref().map_or(0, sent));
        }
        due
    }

    /// To the next event.
    fn advance(&mut self, deadline: Option<Instant>) {
        // Asked for at every event, and most often the same.
        if deadline != self.deadline.0 {
            let at = deadline.map(|at| millis(at.saturating_duration_since(*START)));
            self.deadline = (deadline, at);
        }
        let deadline = self.deadline.1;
        let cancel = self.case.cancel.map(millis).filter(|_| !self.cancelled);
        let (mut arrival, mut server) = (None, None);
        if let Some(World { link, server: s }) = &self.world {
            arrival = link.to_client.next_arrival();
            server = s.next_event(link);
        }
        let next = [deadline, cancel, arrival, server]
            .into_iter()
            .flatten()
            .min();
        let Some(next) = next else {
            panic!("nothing is waited for: {}", self.case)
        };
        assert!(next > self.now, "time stands still: {}", self.case);
        self.advance_to(next);
    }

    fn advance_to(&mut self, at: Millis) {
        self.now = at;
        self.mix(at);
    }

    fn mix(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x0100_0000_01b3);
    }

    /// One wake-up of the client's wait: cancellation, read, write, expiry.
    fn client(
        &mut self,
        session: &mut Session,
        message: Option<&[u8]>,
    ) -> Option<Result<Completed, Box<Failure>>> {
        if self.cancelled {
            let mut rounds = 0..ROUNDS;
            while session.may_be_accepted() && rounds.next().is_some() && self.read(session) {}
            session.cancel(instant(self.now));
        }
        self.yielded = false;
        for _ in 0..ROUNDS {
            if session.is_over() {
                return session.take_result();
            }
            let read = self.read(session);
            if session.is_over() {
                return session.take_result();
            }
            let written = self.write(session, message);
            if !read && !written && !session.is_over() {
                let now = instant(self.now);
                if session.deadline().is_some_and(|deadline| now < deadline) {
                    return None;
                }
                session.expire(now);
            }
        }
        self.yielded = true;
        None
    }

    /// Takes in what has arrived, once.
    fn read(&mut self, session: &mut Session) -> bool {
        let now = self.now;
        let Some(World { link, .. }) = &mut self.world else {
            return false;
        };
        let pipe = &mut link.to_client;
        pipe.arrive(now);
        if pipe.has_arrived() {
            let octets = pipe.take(4096);
            let count = octets.len() as u64;
            session.receive(octets, instant(now));
            self.mix(count);
            return true;
        }
        match pipe.end {
            End::Rst => session.broken(instant(now)),
            End::Fin => session.closed(instant(now)),
            End::Open => return false,
        }
        true
    }

    /// Hands out what may be sent, once.
    fn write(&mut self, session: &mut Session, message: Option<&[u8]>) -> bool {
        let now = instant(self.now);
        let chunk = message.unwrap_or_default();
        if session.needs_chunk() {
            session.provide(chunk, true, now);
            if session.is_over() {
                return true;
            }
        }
        let Some(World { link, .. }) = &mut self.world else {
            return false;
        };
        let mut slices = [IoSlice::new(&[]); 16];
        let count = session.transmit(chunk, &mut slices, now);
        if count == 0 {
            return false;
        }
        let room = match link.room(false, self.now) {
            Room::Octets(room) => room,
            Room::Blocked => return false,
            Room::Reset => {
                // The server may have said why before it went away.
                while !session.is_over() && self.read(session) {}
                return true;
            }
        };
        // One write, whatever it is made of.
        self.written.clear();
        for slice in &slices[..count] {
            let part = slice.len().min(room - self.written.len());
            self.written.extend_from_slice(&slice[..part]);
        }
        let taken = self.written.len();
        link.send(false, &self.written, self.now);
        session.transmitted(taken, chunk, now);
        self.mix(taken as u64);
        true
    }

    /// The call is over: the client's end is dropped.
    fn hang_up(&mut self) {
        if let Some(world) = &mut self.world {
            world.link.drop_end(false, self.now);
        }
    }

    /// What is under way reaches the server, so that its mailbox has the last word.
    fn afterwards(&mut self) {
        let Some(World { link, server }) = &mut self.world else {
            return;
        };
        let until = self.now + AFTERWARDS;
        loop {
            server.turn(link, self.now);
            if server.is_done() {
                return;
            }
            match server.next_event(link) {
                Some(next) if next <= until => self.now = next,
                _ => return,
            }
        }
    }
}
