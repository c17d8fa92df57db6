//! A rule being made: when it strikes and what the server does then.

mod actions;
mod conditions;

use std::time::Duration;

use proto::Phase;

use crate::plan::{Rule, Say, ServerFault, When};
use crate::rules::{RuleFacts, RuleId, Rules};

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

    /// A name to be told apart by in a report.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::Rcpt).named("greylist").first(1).reply(451, "4.7.1 later").mount();
    /// let report = double.verify().to_string();
    /// assert!(report.contains("name greylist"), "{report}");
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.when.name = Some(name.into());
        self
    }

    /// The rule as it stands. Its text is what a plan file would have.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// let rule = double.on(Phase::Rcpt).to("bob@x").first(2).reply(451, "4.7.1 later").rule();
    /// assert_eq!(rule.to_string(), "rcpt[bob@x, first 2]: reply 451 4.7.1 later");
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
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
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// let id = double.on(Phase::Mail).reply(451, "4.3.0 later").mount();
    /// assert_eq!(double.converse(["EHLO me", "MAIL FROM:<a@x>"]).await[2], "451 4.3.0 later");
    /// assert!(double.unmount(id));
    /// assert!(double.converse(["EHLO me", "MAIL FROM:<a@x>"]).await[2].starts_with("250"));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn mount(self) -> RuleId {
        let ids = self.rules.add([self.rule()]);
        ids.first().copied().unwrap_or(RuleId::new(0))
    }

    /// Sets the rule for as long as the guard lives.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// {
    ///     let guard = double.on(Phase::Mail).reply(451, "4.3.0 later").scoped();
    ///     assert_eq!(double.converse(["EHLO me", "MAIL FROM:<a@x>"]).await[2], "451 4.3.0 later");
    ///     assert_eq!(guard.strikes(), 1);
    /// }
    /// assert!(double.converse(["EHLO me", "MAIL FROM:<a@x>"]).await[2].starts_with("250"));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn scoped(self) -> RuleGuard {
        let rules = self.rules.clone();
        RuleGuard::new(rules, self.mount())
    }
}

/// Keeps a rule in force. Dropping it takes the rule away, and lets go what the rule holds.
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
        self.facts().map_or(0, |facts| facts.strikes)
    }

    fn facts(&self) -> Option<RuleFacts> {
        let mut facts = self.rules.facts().into_iter();
        facts.find(|facts| facts.id == self.id)
    }

    /// The connections whose replies it [holds](On::hold), in the order of their arrival. Whoever has
    /// hung up meanwhile is still there: a server that says nothing does not notice.
    #[must_use]
    pub fn waiting(&self) -> Vec<u32> {
        self.facts().map(|facts| facts.waiting).unwrap_or_default()
    }

    /// The same, once it holds so many replies or `within` has passed.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn waiting_within(&self, replies: usize, within: Duration) -> Vec<u32> {
        self.rules.waiting_within(self.id, replies, within).await
    }

    /// Lets every reply go that it holds, and has it hold none any more. Gives the connections of those
    /// that waited. Dropping the guard does the same.
    pub fn release(&self) -> Vec<u32> {
        self.rules.release(self.id).unwrap_or_default()
    }

    /// Lets the reply go that has waited for longest; others are held as before. Gives its connection.
    pub fn release_one(&self) -> Option<u32> {
        self.rules.release_one(self.id)
    }
}

impl Drop for RuleGuard {
    fn drop(&mut self) {
        self.rules.remove(self.id);
    }
}
