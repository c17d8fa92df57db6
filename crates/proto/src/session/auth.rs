//! AUTH (RFC 4954): one mechanism after the other, until one is accepted or none is left.

use core::fmt;
use std::collections::VecDeque;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Bounds, Command, Completed, Expected, Job, Line, Session};
use crate::failure::{Failure, FailureKind};
use crate::sasl::{
    Auth, AuthError, Exchange, Mechanism, Response, Secret, Step, candidates, start,
};
use crate::{Outcome, Phase, Reply};

/// RFC 5321 §4.5.3.1.4, which holds for AUTH with an initial response, too (RFC 4954 §4).
const COMMAND_LINE: usize = 512;
/// RFC 4954 §4: a response, which has 12,288 octets with its CRLF.
const RESPONSE: usize = 12_288 - 2;
/// Fewer octets than this are no secret, and would be found in any text.
const UNSAYABLE: usize = 4;

pub(super) struct Authentication {
    auth: Auth,
    candidates: VecDeque<Mechanism>,
    current: Option<(Mechanism, Box<dyn Exchange>)>,
    stage: Stage,
    rounds: usize,
    /// What the server said about the credentials in a challenge.
    pub(super) detail: Option<String>,
}

enum Stage {
    /// The initial response was too long for the command's line; an empty challenge asks for it.
    Initial(Zeroizing<String>),
    /// A challenge or the end is due.
    Challenge,
    /// A key is being derived.
    Deriving,
    /// `*` was said, because of this.
    Cancelled(AuthError),
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentication")
            .field("current", &self.current)
            .field("rounds", &self.rounds)
            .finish_non_exhaustive()
    }
}

/// A response in base64, which must not be held up anywhere else.
fn encode(response: &Response) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(response.as_slice()))
}

impl Session {
    /// Authenticates with the first mechanism that the policy allows and the server accepts.
    ///
    /// While [`needs_derivation`](Self::needs_derivation), [`derive`](Self::derive) has to be
    /// called. After a refusal, and after an exchange that was broken off, the connection is at
    /// rest.
    ///
    /// # Errors
    /// If the connection is not at rest, or there is no mechanism to begin with. Nothing was sent
    /// then.
    pub fn authenticate(
        &mut self,
        auth: Auth,
        bounds: Bounds,
        now: Instant,
    ) -> Result<(), Box<Failure>> {
        self.check_idle(Phase::Auth)?;
        let begun = self.mechanisms(&auth).and_then(|candidates| {
            let secret = auth.credentials.secret();
            self.unsayable
                .extend(secret.filter(|secret| secret.expose().len() >= UNSAYABLE));
            self.bounds = bounds;
            self.job = Job::Auth(Box::new(Authentication {
                auth,
                candidates: candidates.into(),
                current: None,
                stage: Stage::Challenge,
                rounds: 0,
                detail: None,
            }));
            self.next_mechanism(now)
        });
        begun.map_err(|error| {
            self.rest(now);
            Box::new(Failure::new(
                Phase::Auth,
                FailureKind::Auth(error),
                Outcome::NotAccepted,
            ))
        })
    }

    /// The mechanisms that [`authenticate`](Self::authenticate) would try, in their order.
    ///
    /// # Errors
    /// If there is none to begin with.
    pub fn mechanisms(&self, auth: &Auth) -> Result<Vec<Mechanism>, AuthError> {
        match self.authenticated {
            Some(_) => Err(AuthError::Already),
            None => candidates(auth, self.extensions.auth()),
        }
    }

    /// The mechanism that the server has accepted.
    #[must_use]
    pub const fn authenticated(&self) -> Option<Mechanism> {
        self.authenticated
    }

    /// Whether a key has to be derived, by [`derive`](Self::derive), before anything else happens.
    /// The deadline of the step goes on running.
    #[must_use]
    pub fn needs_derivation(&self) -> bool {
        let deriving =
            |job: &Job| matches!(job, Job::Auth(job) if matches!(job.stage, Stage::Deriving));
        self.result.is_none() && deriving(&self.job)
    }

    /// Goes on deriving the key, for at most so many iterations of the hash function (of which a
    /// thousand take about a millisecond). It is the only long computation that there is, so the
    /// driver decides how long it may keep others waiting.
    pub fn derive(&mut self, iterations: u32, now: Instant) {
        let Job::Auth(job) = &mut self.job else {
            return;
        };
        if !matches!(job.stage, Stage::Deriving) {
            return;
        }
        let Some((_, exchange)) = &mut job.current else {
            return;
        };
        if let Some(response) = exchange.derive(iterations.max(1)) {
            job.stage = Stage::Challenge;
            self.respond(&response, now);
        }
    }

    /// Begins the next mechanism that the credentials can be put into.
    fn next_mechanism(&mut self, now: Instant) -> Result<(), AuthError> {
        let mut why = AuthError::NoMechanism;
        loop {
            let Job::Auth(job) = &mut self.job else {
                return Err(why);
            };
            let Some(mechanism) = job.candidates.pop_front() else {
                return Err(why);
            };
            let offered = self.extensions.auth();
            let mut exchange = match start(mechanism, &job.auth, offered, &self.config.limits) {
                Ok(exchange) => exchange,
                Err(error) => {
                    why = error;
                    continue;
                }
            };
            let initial = exchange.initial().map(|response| encode(&response));
            if initial.as_ref().is_some_and(|line| line.len() > RESPONSE) {
                why = AuthError::TooLong;
                continue;
            }
            job.current = Some((mechanism, exchange));
            job.stage = Stage::Challenge;
            let name = mechanism.name();
            let fits = |line: &str| "AUTH  \r\n".len() + name.len() + line.len() <= COMMAND_LINE;
            match initial {
                // RFC 4954 §4: an empty initial response is an equals sign.
                Some(line) if line.is_empty() => self.say_auth(&["AUTH ", name, " =\r\n"], now),
                Some(line) if fits(&line) => {
                    self.say_auth(&["AUTH ", name, " ", &line, "\r\n"], now);
                    self.remember(&line);
                }
                Some(line) => {
                    job.stage = Stage::Initial(line);
                    self.say_auth(&["AUTH ", name, "\r\n"], now);
                }
                None => self.say_auth(&["AUTH ", name, "\r\n"], now),
            }
            return Ok(());
        }
    }

    /// Queues a line and the reply that it must have. A step's limit that is running goes on: what
    /// came before the line, such as a key's derivation, belongs to the same step.
    fn say_auth(&mut self, parts: &[&str], now: Instant) {
        let shown = || match parts {
            ["AUTH ", name, _, _, ..] => format!("AUTH {name} [a response]"),
            ["AUTH ", name, ..] => format!("AUTH {name}"),
            ["*\r\n"] => "*".to_owned(),
            _ => "[a response]".to_owned(),
        };
        self.show(|| Line::Said(shown()), now);
        let octets = parts.iter().map(|part| part.len()).sum();
        // The line must not be moved while it grows, because that would leave copies behind.
        self.out.reserve(octets);
        self.out.keep_secret();
        for part in parts {
            self.out.extend_from_slice(part.as_bytes());
        }
        self.queued += octets as u64;
        self.expected.push_back(Expected {
            command: Command::Auth,
            phase: Phase::Auth,
            octets,
            end: self.queued,
        });
        if self.armed.is_none() {
            self.arm(Phase::Auth, now);
        }
    }

    /// A response has crossed the wire: no reply can repeat it to a log.
    fn remember(&mut self, line: &str) {
        if line.len() >= UNSAYABLE {
            self.unsayable.push(Secret::new(line));
        }
    }

    fn respond(&mut self, response: &Response, now: Instant) {
        self.respond_encoded(encode(response), now);
    }

    fn respond_encoded(&mut self, line: Zeroizing<String>, now: Instant) {
        if line.len() > RESPONSE {
            self.break_off(AuthError::TooLong, now);
            return;
        }
        self.say_auth(&[&line, "\r\n"], now);
        self.remember(&line);
    }

    /// Ends the exchange with `*` and keeps the session in step (RFC 4954 §4).
    fn break_off(&mut self, why: AuthError, now: Instant) {
        let most = self.config.limits.auth_rounds.max(1);
        let Job::Auth(job) = &mut self.job else {
            return;
        };
        if job.rounds >= most {
            self.fail_at(Phase::Auth, FailureKind::Auth(why), None, now);
            return;
        }
        job.stage = Stage::Cancelled(why);
        self.say_auth(&["*\r\n"], now);
    }

    pub(super) fn settle_auth(&mut self, reply: Reply, now: Instant) {
        let most = self.config.limits.auth_rounds.max(1);
        let Job::Auth(job) = &mut self.job else {
            return;
        };
        job.rounds += 1;
        let rounds = job.rounds;
        let code = reply.code().get();
        if let Stage::Cancelled(why) = &job.stage {
            let why = why.clone();
            if reply.code().is_negative() {
                self.end_auth(FailureKind::Auth(why), reply, now);
            } else {
                // Whatever it means by it, it is not in step.
                self.fail_at(Phase::Auth, FailureKind::Auth(why), Some(reply), now);
            }
            return;
        }
        let complete = matches!(job.stage, Stage::Challenge)
            && job.current.as_ref().is_some_and(|(_, e)| e.is_complete());
        match code {
            235 if complete => {
                self.authenticated = job.current.as_ref().map(|(mechanism, _)| *mechanism);
                self.complete(Completed::Authenticated, now);
            }
            235 => self.fail_at(
                Phase::Auth,
                FailureKind::Auth(AuthError::Early),
                Some(reply),
                now,
            ),
            334 if rounds >= most => {
                self.fail_at(
                    Phase::Auth,
                    FailureKind::Auth(AuthError::Rounds),
                    Some(reply),
                    now,
                );
            }
            334 => {
                self.arm(Phase::Auth, now);
                self.settle_challenge(&reply, now);
            }
            _ => {
                let goes_on = job.auth.policy.goes_on_after(code) && rounds < most;
                if !goes_on || self.next_mechanism(now).is_err() {
                    self.end_auth(FailureKind::Refused, reply, now);
                }
            }
        }
    }

    fn settle_challenge(&mut self, reply: &Reply, now: Instant) {
        let most = self.config.limits.auth_challenge.max(1);
        let mut lines = reply.lines();
        let (line, more) = (lines.next().unwrap_or_default(), lines.next());
        let Job::Auth(job) = &mut self.job else {
            return;
        };
        if let Stage::Initial(initial) = &mut job.stage {
            let initial = core::mem::take(initial);
            job.stage = Stage::Challenge;
            self.respond_encoded(initial, now);
            return;
        }
        let Some((_, exchange)) = &mut job.current else {
            return;
        };
        let step = if line.len() > most {
            Err(AuthError::ChallengeTooLong)
        } else if more.is_some() {
            Err(AuthError::Challenge)
        } else {
            STANDARD
                .decode(line)
                .map_err(|_| AuthError::Base64)
                .and_then(|challenge| exchange.challenge(&challenge))
        };
        let about = |text: &str| {
            let text = scrub(text.as_bytes(), &self.unsayable);
            String::from_utf8_lossy(&text).into_owned()
        };
        if let Some(detail) = exchange.detail() {
            job.detail = Some(about(detail));
        }
        match step {
            Ok(Step::Respond(response)) => self.respond(&response, now),
            Ok(Step::Derive) => job.stage = Stage::Deriving,
            Err(AuthError::Server(error)) => {
                let error = AuthError::Server(about(&error));
                self.break_off(error, now);
            }
            Err(error) => self.break_off(error, now),
        }
    }

    /// The authentication came to nothing and the connection is at rest.
    fn end_auth(&mut self, kind: FailureKind, reply: Reply, now: Instant) {
        let detail = match &mut self.job {
            Job::Auth(job) => job.detail.take(),
            _ => None,
        };
        let timings = self.rest(now);
        self.result = Some(Err(Box::new(Failure {
            reply: Some(reply),
            detail,
            timings,
            ..Failure::new(Phase::Auth, kind, Outcome::NotAccepted)
        })));
    }

    /// The reply without what was said in secret, which servers do repeat (`500 what is AUTH PLAIN
    /// AGFsaWNl...`), so that it can't get into an error or a log.
    pub(super) fn discreet(&self, reply: Reply) -> Reply {
        if self.unsayable.is_empty() {
            return reply;
        }
        reply.with_text(|text| scrub(text, &self.unsayable))
    }
}

/// The octets with every needle taken out.
fn scrub(octets: &[u8], needles: &[Secret]) -> Vec<u8> {
    let mut scrubbed = octets.to_vec();
    for needle in needles.iter().map(Secret::expose) {
        let mut from = 0;
        while let Some(at) = scrubbed
            .get(from..)
            .and_then(|rest| memchr::memmem::find(rest, needle))
        {
            let at = from + at;
            scrubbed.splice(at..at + needle.len(), *b"***");
            from = at + 3;
        }
    }
    scrubbed
}
