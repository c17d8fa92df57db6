//! The client's side of one SMTP connection, as a value.

mod ahead;
mod auth;
mod awaited;
mod chunks;
mod clock;
mod commands;
mod follow;
mod line;
mod mail_data;
mod out;
mod replies;
mod transaction;

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::Instant;

pub use clock::Timings;
pub use line::{Line, Observer};
pub use transaction::Acceptance;

use auth::Authentication;
use awaited::{Awaited, Expected};
use clock::{Armed, Due};
use out::Out;
use transaction::Transaction;

use crate::ext::Extensions;
use crate::failure::{Failure, FailureKind, Limit, ProtocolError};
use crate::reader::ReplyReader;
use crate::sasl::{Mechanism, Secret};
use crate::{
    Bounds, EhloName, Limits, Outcome, Phase, Protocol, Reply, Security, Timeouts, TlsProblem,
};

/// What a session is made with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// How the client names itself (RFC 5321 §4.1.1.1).
    pub ehlo_name: EhloName,
    /// Which protocol is spoken. Default [`Protocol::Smtp`].
    pub protocol: Protocol,
    /// Whether and when the connection is encrypted. Default [`Security::None`]. With
    /// [`Security::Implicit`] the connection that the session is opened over is encrypted already.
    pub security: Security,
    /// How long each phase may last.
    pub timeouts: Timeouts,
    /// What the peer may make the client hold.
    pub limits: Limits,
    /// Who is shown the dialogue. Default: nobody.
    pub observer: Option<Observer>,
    /// EHLO keywords that are taken as not offered: the way around a server that offers what it
    /// can't do.
    pub masked: Vec<String>,
}

impl Config {
    /// A configuration with the default timeouts and limits.
    #[must_use]
    pub fn new(ehlo_name: EhloName) -> Self {
        Self {
            ehlo_name,
            protocol: Protocol::Smtp,
            security: Security::None,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            observer: None,
            masked: Vec::new(),
        }
    }
}

/// The client's side of one SMTP connection: octets and instants in, octets and results out.
///
/// > **The contract.** Hand over every octet you read ([`receive`](Self::receive)), report every
/// > octet that the transport took ([`transmitted`](Self::transmitted)), and do not wait past
/// > [`deadline`](Self::deadline).
///
/// If a call completes with [`Completed::Upgrade`], TLS is negotiated, and
/// [`upgraded`](Self::upgraded) takes the same call further. Octets that are handed over in between
/// end the session.
///
/// A call is begun by [`open`](Self::open), [`authenticate`](Self::authenticate),
/// [`begin`](Self::begin), [`command`](Self::command), [`reset`](Self::reset) or [`quit`](Self::quit) and is over when [`take_result`](Self::take_result) has one. Until then
/// there is a deadline. The crate's documentation has the state graph and a whole dialogue.
#[derive(Debug)]
pub struct Session {
    config: Config,
    bounds: Bounds,
    job: Job,
    reader: ReplyReader,
    extensions: Extensions,
    /// Commands queued, and how many of their octets the transport took.
    out: Out,
    out_taken: usize,
    /// Octets of commands queued and taken since the connection opened.
    queued: u64,
    taken: u64,
    expected: Awaited,
    armed: Option<Armed>,
    timings: Timings,
    lingering: Option<Lingering>,
    reset_due: bool,
    authenticated: Option<Mechanism>,
    /// What was said in secret and must not come back in a reply.
    unsayable: Vec<Secret>,
    /// Mail transactions begun since the connection opened.
    transactions: u32,
    /// STARTTLS was answered with 220: the next octet in either direction belongs to TLS.
    upgrade_due: bool,
    encrypted: bool,
    spent: Option<Box<Failure>>,
    result: Option<Result<Completed, Box<Failure>>>,
    /// The transactions behind the current one, and the results behind the one that is not taken.
    following: VecDeque<Box<Transaction>>,
    later: VecDeque<Result<Completed, Box<Failure>>>,
    /// What was given of a message that goes ahead of the replies, until it is whole.
    gathered: Vec<u8>,
}

/// What the current call is for.
#[derive(Debug)]
enum Job {
    None,
    Hello,
    Auth(Box<Authentication>),
    Transaction(Box<Transaction>),
    Command,
    Reset,
    Quit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Greeting,
    Ehlo,
    Helo,
    Auth,
    StartTls,
    Mail,
    Rcpt(usize),
    Data,
    MailData,
    /// BDAT, up to the last octet of its chunk.
    Chunk {
        last: bool,
    },
    Rset,
    Quit,
    Custom,
}

/// The call's end is decided; the final reply is still listened for.
#[derive(Clone, Debug)]
struct Lingering {
    until: Instant,
    kind: FailureKind,
}

/// What a call achieved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Completed {
    /// The server greeted and answered EHLO or HELO: mail transactions may begin.
    Ready(Box<Timings>),
    /// The server accepted who the client is.
    Authenticated(Box<Timings>),
    /// The server is ready for TLS; the call goes on behind the handshake.
    Upgrade(Box<Timings>),
    /// The server accepted the message.
    Accepted(Box<Acceptance>),
    /// The server answered a command that is no part of a transaction, with whatever reply.
    Answered(Box<Reply>, Box<Timings>),
    /// The server forgot the transaction.
    Reset(Box<Timings>),
    /// The server answered QUIT.
    Closed(Box<Timings>),
}

impl Session {
    /// A session over a connection that has just opened: waits for the greeting, then says EHLO.
    #[must_use]
    pub fn open(config: Config, bounds: Bounds, now: Instant) -> Self {
        let reader = ReplyReader::new(&config.limits);
        let encrypted = config.security == Security::Implicit;
        let mut session = Self {
            config,
            bounds,
            job: Job::Hello,
            reader,
            extensions: Extensions::none(),
            out: Out::default(),
            out_taken: 0,
            queued: 0,
            taken: 0,
            expected: Awaited::default(),
            armed: None,
            timings: Timings::default(),
            lingering: None,
            reset_due: false,
            authenticated: None,
            unsayable: Vec::new(),
            transactions: 0,
            upgrade_due: false,
            encrypted,
            spent: None,
            result: None,
            following: VecDeque::new(),
            later: VecDeque::new(),
            gathered: Vec::new(),
        };
        session.expect(Command::Greeting, 0, now);
        session
    }

    /// What the server offered in its reply to EHLO.
    #[must_use]
    pub const fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// How many more mail transactions the server takes over this connection, if it says so
    /// (MAILMAX of RFC 9422).
    #[must_use]
    pub fn transactions_left(&self) -> Option<u32> {
        let maximum = self.extensions.limits().mail?;
        Some(maximum.saturating_sub(self.transactions))
    }

    /// Whether the handshake is due: a call has completed with [`Completed::Upgrade`].
    #[must_use]
    pub const fn is_upgrade_due(&self) -> bool {
        self.upgrade_due && self.spent.is_none()
    }

    /// Whether what is said now is encrypted.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// How long each phase may last.
    #[must_use]
    pub const fn timeouts(&self) -> &Timeouts {
        &self.config.timeouts
    }

    /// Whether the connection is provably at rest: nothing is due, nothing is held, nothing failed.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.job, Job::None)
            && self.result.is_none()
            && self.spent.is_none()
            && !self.reader.is_midway()
    }

    /// The result of the current call, once.
    #[must_use]
    pub fn take_result(&mut self) -> Option<Result<Completed, Box<Failure>>> {
        // Asked for at every turn, and large.
        self.result.as_ref()?;
        let result = self.result.take();
        self.result = self.later.pop_front();
        result
    }

    /// Whether the current call has its result.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.result.is_some()
    }

    /// The phase that is being waited for.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        Some(self.armed.as_ref()?.phase)
    }

    /// What would have become of the message if the call ended now.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match &self.job {
            Job::Transaction(transaction) => transaction.outcome(),
            _ => Outcome::NotAccepted,
        }
    }

    /// Whether anything may still be said or heard: it is at rest, or a call is under way, or TLS is
    /// due.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.spent.is_none() && (self.is_idle() || self.is_under_way() || self.is_upgrade_due())
    }

    /// Until when the current call may wait. `None` only when there is nothing to wait for.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if self.result.is_some() {
            return None;
        }
        if let Some(lingering) = &self.lingering {
            return Some(lingering.until);
        }
        let phase = self.armed.as_ref()?.at();
        Some(self.overall().map_or(phase, |call| phase.min(call.at)))
    }

    fn due(&self) -> Option<Due> {
        let armed = self.armed.as_ref()?;
        let phase = Due {
            at: armed.at(),
            limit: Limit::Phase(armed.limit),
        };
        Some(self.overall().map_or(phase, |call| phase.earlier(call)))
    }

    /// What the call's own bounds allow now.
    #[inline]
    fn overall(&self) -> Option<Due> {
        let deadline = self.bounds.deadline?;
        let has_reserve = !self.bounds.reserve.is_zero()
            && matches!(self.job, Job::Hello | Job::Auth(_) | Job::Transaction(_))
            && self.outcome() == Outcome::NotAccepted;
        Some(match has_reserve {
            true => Due {
                at: self.bounds.before_commit().unwrap_or(deadline),
                limit: Limit::Reserve(self.bounds.reserve),
            },
            false => Due {
                at: deadline,
                limit: Limit::Deadline,
            },
        })
    }

    /// Takes in octets that were read, all of them.
    pub fn receive(&mut self, mut octets: &[u8], now: Instant) {
        while !octets.is_empty() && self.spent.is_none() {
            if self.upgrade_due {
                self.refuse_injection(now);
                return;
            }
            match self.reader.receive(octets) {
                Ok((consumed, reply)) => {
                    octets = octets.get(consumed..).unwrap_or_default();
                    match reply {
                        Some(reply) => self.settle(reply, now),
                        None => return,
                    }
                }
                Err(error) => {
                    let kind = FailureKind::Protocol(ProtocolError::Reply(error));
                    self.fail(kind, None, now);
                }
            }
        }
    }

    /// The peer closed its side: nothing more can be read.
    pub fn closed(&mut self, now: Instant) {
        self.fail(FailureKind::Closed, None, now);
    }

    /// The transport failed.
    pub fn broken(&mut self, now: Instant) {
        self.fail(FailureKind::Broken, None, now);
    }

    /// TLS broke, or never came about.
    pub fn tls_failed(&mut self, problem: TlsProblem, now: Instant) {
        self.fail(FailureKind::Tls(problem), None, now);
    }

    /// The message can't be sent to its end: its source failed, or it is not what it was said to be.
    pub fn refuse_message(&mut self, why: FailureKind, now: Instant) {
        self.give_up(why, now);
    }

    /// The caller cancelled. Not one further octet is handed out. Behind the end of mail data, what
    /// has already arrived must have been handed over before, because it may be the final reply.
    pub fn cancel(&mut self, now: Instant) {
        self.stop(FailureKind::Cancelled, now);
    }

    /// Ends the call if its deadline has passed. Call it after reading and writing what is
    /// possible, so that a reply which has already arrived beats the deadline.
    pub fn expire(&mut self, now: Instant) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        if let Some(due) = self.due() {
            self.stop(FailureKind::TimedOut(due.limit), now);
        }
    }

    fn stop(&mut self, kind: FailureKind, now: Instant) {
        if matches!(self.job, Job::None) || self.result.is_some() {
            return;
        }
        match self.lingering.take() {
            // The first reason stands, however often the call is stopped meanwhile.
            Some(lingering) if now < lingering.until => self.lingering = Some(lingering),
            Some(lingering) => self.fail(lingering.kind, None, now),
            None if self.may_be_accepted() && !self.bounds.linger.is_zero() => {
                let until = now.checked_add(self.bounds.linger).unwrap_or(now);
                self.lingering = Some(Lingering { until, kind });
            }
            None => self.fail(kind, None, now),
        }
    }

    /// Whether there are octets to be written: where not, [`transmit`](Self::transmit) need not be
    /// asked, and the clock for it neither.
    #[must_use]
    pub fn wants_write(&self) -> bool {
        let mail_data = match &self.job {
            Job::Transaction(transaction) => transaction.mail_data(),
            _ => None,
        };
        self.out_taken < self.out.len() || mail_data.is_some_and(|data| data.pending() > 0)
    }

    /// Fills `slices` with octets that may be written now, in order, and says how many it set.
    /// `chunk` is the current chunk of the message, the same until
    /// [`needs_chunk`](Self::needs_chunk) says otherwise.
    pub fn transmit<'a>(
        &'a mut self,
        chunk: &'a [u8],
        slices: &mut [IoSlice<'a>],
        now: Instant,
    ) -> usize {
        if self.result.is_some() || self.lingering.is_some() {
            return 0;
        }
        // Nothing of the end of mail data may leave once the reserve is broken.
        let broken = self.bounds.before_commit().is_some_and(|until| now > until);
        let mut count = 0;
        if let Job::Transaction(transaction) = &self.job
            && let Some(mail_data) = transaction.mail_data()
        {
            if broken {
                return 0;
            }
            count = mail_data.slices(chunk, slices);
            if !mail_data.ends_with(count) {
                return count;
            }
        }
        if broken && self.is_committing() {
            return count;
        }
        let octets = self.out.get(self.out_taken..).unwrap_or_default();
        if let Some(slice) = slices.get_mut(count).filter(|_| !octets.is_empty()) {
            *slice = IoSlice::new(octets);
            count += 1;
        }
        count
    }

    /// The transport took the first `count` of the octets that [`transmit`](Self::transmit) offered.
    pub fn transmitted(&mut self, count: usize, chunk: &[u8], now: Instant) {
        let mut commands = count;
        if let Job::Transaction(transaction) = &self.job
            && let Some(mail_data) = transaction.mail_data()
        {
            let mail_data = count.min(mail_data.pending());
            commands -= mail_data;
            self.mail_data_transmitted(mail_data, chunk, now);
        }
        let taken = commands.min(self.out.len() - self.out_taken);
        self.out_taken += taken;
        self.taken += taken as u64;
        if self.out_taken == self.out.len() {
            self.out.clear();
            self.out_taken = 0;
        }
        self.ahead_transmitted(now);
    }

    /// Whether the next chunk of a message is wanted, by [`provide`](Self::provide).
    #[must_use]
    pub fn needs_chunk(&self) -> bool {
        self.needs_chunk_of().is_some()
    }

    /// Which message the next chunk is wanted of: the current transaction's is 0, the one behind it
    /// 1. It is another one than the current one's only with [`Chunking::Ahead`](crate::Chunking::Ahead).
    #[must_use]
    pub fn needs_chunk_of(&self) -> Option<usize> {
        let (place, transaction) = self.saying()?;
        let wanted = transaction.needs_chunk && transaction.refusal.is_none();
        (wanted && self.lingering.is_none()).then_some(place)
    }

    /// Ends the session without a result, after a call's future was dropped.
    pub fn abandon(&mut self) {
        let phase = self.phase().unwrap_or(Phase::Quit);
        self.spend(phase, FailureKind::NotIdle, None);
    }

    /// Clears what only a call in progress needs.
    fn rest(&mut self, now: Instant) -> Timings {
        self.disarm(now);
        self.job = Job::None;
        // The call's end is decided: what else may be accepted is listened for, and what may be half
        // said is not gone on with.
        let next = self.following.front();
        if next.is_none_or(|next| next.outcome() != Outcome::Ambiguous)
            && self.lingering.take().is_some()
            && next.is_some()
        {
            self.spend(Phase::Mail, FailureKind::NotIdle, None);
        }
        if self.following.is_empty() {
            self.out = Out::default();
            self.expected = Awaited::default();
            self.gathered = Vec::new();
        }
        core::mem::take(&mut self.timings)
    }

    fn disarm(&mut self, now: Instant) {
        if let Some(armed) = self.armed.take() {
            self.timings.add(armed.phase, armed.elapsed(now));
        }
    }

    fn complete(&mut self, completed: impl FnOnce(Box<Timings>) -> Completed, now: Instant) {
        let timings = self.rest(now);
        self.finish(Ok(completed(Box::new(timings))));
        self.go_on(now);
    }

    fn finish(&mut self, result: Result<Completed, Box<Failure>>) {
        match self.result {
            // What comes behind the 220 to STARTTLS takes its result back.
            None | Some(Ok(Completed::Upgrade(_))) => self.result = Some(result),
            Some(_) => self.later.push_back(result),
        }
    }

    /// The connection can't be used again; the next call is told why.
    fn spend(&mut self, phase: Phase, kind: FailureKind, reply: Option<Reply>) {
        self.out = Out::default();
        self.out_taken = 0;
        self.expected = Awaited::default();
        self.following = VecDeque::new();
        self.gathered = Vec::new();
        self.spent.get_or_insert_with(|| {
            Box::new(Failure {
                reply,
                ..Failure::new(phase, kind, Outcome::NotAccepted)
            })
        });
    }
}
