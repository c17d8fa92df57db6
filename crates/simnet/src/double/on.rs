//! A rule being made: when it strikes and what the server does then.

use std::time::Duration;

use proto::Phase;

use crate::plan::{Pace, Pattern, Rule, Say, ServerFault, Then, When};
use crate::rules::{RuleId, Rules};

/// A rule being made. Conditions first, all of which have to hold; then what the server does; then
/// [`On::mount`] or [`On::scoped`].
#[derive(Clone, Debug)]
#[must_use = "a rule that is not mounted does nothing"]
pub struct On<'a> {
    rules: &'a Rules,
    phase: Phase,
    nth: Option<u16>,
    when: When,
    fault: ServerFault,
}

impl<'a> On<'a> {
    pub(super) fn new(rules: &'a Rules, phase: Phase) -> Self {
        Self {
            rules,
            phase,
            nth: None,
            when: When::default(),
            fault: ServerFault::say(Say::Normal),
        }
    }

    /// Only on the `nth` occasion of the phase on a connection, counted from 1.
    pub const fn nth(mut self, nth: u16) -> Self {
        self.nth = Some(nth);
        self
    }

    /// Only on the connection with this number, counted from 1 over the double's life.
    pub const fn connection(mut self, number: u32) -> Self {
        self.when.connection = Some(number);
        self
    }

    /// Only on the command with this number, counted from 1 on each connection.
    pub const fn command(mut self, number: u32) -> Self {
        self.when.command = Some(number);
        self
    }

    /// Only for this forward-path; `*` stands for anything. At RCPT it is the one that is asked for,
    /// later any that was accepted.
    pub fn to(mut self, pattern: impl Into<Pattern>) -> Self {
        self.when.to = Some(pattern.into());
        self
    }

    /// Only for this reverse-path.
    pub fn from(mut self, pattern: impl Into<Pattern>) -> Self {
        self.when.from = Some(pattern.into());
        self
    }

    /// Only for a client that calls itself so.
    pub fn ehlo(mut self, pattern: impl Into<Pattern>) -> Self {
        self.when.ehlo = Some(pattern.into());
        self
    }

    /// Strikes `n` times, over all connections, and then steps aside.
    pub const fn first(mut self, n: u32) -> Self {
        self.when.first = Some(n);
        self
    }

    /// As [`On::first`], and a rule that struck less often makes `verify` fail.
    pub const fn times(mut self, n: u32) -> Self {
        self.when.times = Some(n);
        self
    }

    /// Greylisting: strikes for each pair of reverse-path and forward-path until `delay` after it was
    /// first seen. Without [`On::reply`] the reply is 451 4.7.1.
    pub fn greylist(mut self, delay: Duration) -> Self {
        self.when.greylist = Some(delay);
        self.refusing(451, "4.7.1 greylisted")
    }

    /// A rate limit: strikes once more than `n` occasions that fit fell into `per`. Without
    /// [`On::reply`] the reply is 450 4.7.1.
    pub fn over(mut self, n: u32, per: Duration) -> Self {
        self.when.over = Some((n, per));
        self.refusing(450, "4.7.1 too many, too fast")
    }

    fn refusing(self, code: u16, text: &str) -> Self {
        if self.fault.say == Say::Normal {
            self.reply(code, text)
        } else {
            self
        }
    }

    /// A name to be told apart by in a report.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.when.name = Some(name.into());
        self
    }

    /// The server does this.
    pub fn act(mut self, fault: ServerFault) -> Self {
        self.fault = fault;
        self
    }

    /// The server says this reply. Several lines of text are joined by `\n`.
    pub fn reply(mut self, code: u16, text: impl Into<String>) -> Self {
        self.fault.say = Say::Reply {
            code,
            text: text.into(),
        };
        self
    }

    /// The server says these octets.
    pub fn raw(mut self, octets: impl Into<Vec<u8>>) -> Self {
        self.fault.say = Say::Raw(octets.into());
        self
    }

    /// The server says nothing.
    pub fn silent(mut self) -> Self {
        self.fault.say = Say::Nothing;
        self
    }

    /// All of it comes this much later.
    pub const fn after(mut self, delay: Duration) -> Self {
        self.fault.pace = Pace::After(delay);
        self
    }

    /// An octet comes each time this much has passed.
    pub const fn drip(mut self, every: Duration) -> Self {
        self.fault.pace = Pace::Drip(every);
        self
    }

    /// Then the server closes the connection.
    pub const fn then_close(mut self) -> Self {
        self.fault.then = Then::Close;
        self
    }

    /// Then the server resets the connection.
    pub const fn then_reset(mut self) -> Self {
        self.fault.then = Then::Reset;
        self
    }

    /// Then the server neither reads nor writes, and keeps the connection open.
    pub const fn then_stall(mut self) -> Self {
        self.fault.then = Then::Stall;
        self
    }

    /// The message is committed before anything is said, whatever is said. Only at
    /// [`Phase::DataTermination`].
    pub const fn commit(mut self) -> Self {
        self.fault.commit = true;
        self
    }

    /// The rule as it stands. Its text is what a plan file would have.
    #[must_use]
    pub fn rule(&self) -> Rule {
        let mut fault = self.fault.clone();
        fault.commit &= self.phase == Phase::DataTermination;
        Rule::Server {
            phase: self.phase,
            nth: self.nth,
            fault,
        }
        .when(self.when.clone())
    }

    /// Sets the rule, for as long as the double lives.
    pub fn mount(self) -> RuleId {
        let ids = self.rules.add([self.rule()]);
        ids.first().copied().unwrap_or(RuleId::new(0))
    }

    /// Sets the rule for as long as the guard lives.
    pub fn scoped(self) -> RuleGuard {
        let rules = self.rules.clone();
        RuleGuard::new(rules, self.mount())
    }
}

/// Holds a rule in force. Dropping it takes the rule away.
#[derive(Debug)]
#[must_use = "dropping the guard takes the rule away at once"]
pub struct RuleGuard {
    rules: Rules,
    id: RuleId,
}

impl RuleGuard {
    pub(super) const fn new(rules: Rules, id: RuleId) -> Self {
        Self { rules, id }
    }

    /// Which rule it is.
    #[must_use]
    pub const fn id(&self) -> RuleId {
        self.id
    }

    /// How often it has struck.
    #[must_use]
    pub fn strikes(&self) -> u32 {
        let facts = self.rules.facts().into_iter();
        let mut mine = facts.filter(|facts| facts.id == self.id);
        mine.next().map_or(0, |facts| facts.strikes)
    }
}

impl Drop for RuleGuard {
    fn drop(&mut self) {
        self.rules.remove(self.id);
    }
}
