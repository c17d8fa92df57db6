//! When a rule strikes.

use std::time::Duration;

use super::On;
use crate::plan::{Pattern, Say};

/// Conditions: all that are set have to hold.
impl On<'_> {
    /// Only on the `nth` occasion of the phase on a connection, counted from 1.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::Rcpt).nth(2).reply(452, "4.5.3 one is enough").mount();
    /// let replies = double.converse(["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "RCPT TO:<c@x>"]).await;
    /// assert!(replies[3].starts_with("250"));
    /// assert_eq!(replies[4], "452 4.5.3 one is enough");
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn nth(mut self, nth: u16) -> Self {
        self.nth = Some(nth);
        self
    }

    /// Only on the connection with this number, counted from 1 over the double's life.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::Greeting).connection(2).reply(421, "4.3.2 shutting down").mount();
    /// let none: [&str; 0] = [];
    /// assert!(double.converse(none).await[0].starts_with("220"));
    /// assert_eq!(double.converse(none).await[0], "421 4.3.2 shutting down");
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn connection(mut self, number: u32) -> Self {
        self.when.connection = Some(number);
        self
    }

    /// Only on the command with this number, counted from 1 on each connection.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::Mail).command(3).reply(451, "4.3.0 third").mount();
    /// let replies = double.converse(["EHLO me", "NOOP", "MAIL FROM:<a@x>"]).await;
    /// assert_eq!(replies[3], "451 4.3.0 third");
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn command(mut self, number: u32) -> Self {
        self.when.command = Some(number);
        self
    }

    /// Only for this forward-path; `*` stands for anything. At RCPT it is the one that is asked for,
    /// later any that was accepted.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::Rcpt).to("*@closed.example").reply(550, "5.1.1 nobody here").mount();
    /// let replies = double
    ///     .converse(["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<bob@closed.example>", "RCPT TO:<bob@x>"])
    ///     .await;
    /// assert_eq!(replies[3], "550 5.1.1 nobody here");
    /// assert!(replies[4].starts_with("250"));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn to(mut self, pattern: impl Into<Pattern>) -> Self {
        self.when.to = Some(pattern.into());
        self
    }

    /// Only for this reverse-path.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::Mail).from("spam@*").reply(554, "5.7.1 not from you").mount();
    /// let replies = double.converse(["EHLO me", "MAIL FROM:<spam@x>", "MAIL FROM:<a@x>"]).await;
    /// assert_eq!(replies[2], "554 5.7.1 not from you");
    /// assert!(replies[3].starts_with("250"));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from(mut self, pattern: impl Into<Pattern>) -> Self {
        self.when.from = Some(pattern.into());
        self
    }

    /// Only for a client that calls itself so.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::Mail).ehlo("old.example").reply(550, "5.7.1 upgrade").mount();
    /// assert_eq!(double.converse(["EHLO old.example", "MAIL FROM:<a@x>"]).await[2], "550 5.7.1 upgrade");
    /// assert!(double.converse(["EHLO new.example", "MAIL FROM:<a@x>"]).await[2].starts_with("250"));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn ehlo(mut self, pattern: impl Into<Pattern>) -> Self {
        self.when.ehlo = Some(pattern.into());
        self
    }

    /// Strikes `n` times, over all connections, and then steps aside.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::Mail).first(2).reply(451, "4.3.0 later").mount();
    /// let replies = double.converse(["EHLO me", "MAIL FROM:<a@x>", "MAIL FROM:<a@x>", "MAIL FROM:<a@x>"]).await;
    /// assert_eq!(replies[2..4], ["451 4.3.0 later", "451 4.3.0 later"]);
    /// assert!(replies[4].starts_with("250"));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn first(mut self, n: u32) -> Self {
        self.when.first = Some(n);
        self
    }

    /// As [`On::first`], and a rule that struck less often makes `verify` fail.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::Mail).times(2).named("busy").reply(451, "4.3.0 later").mount();
    /// double.converse(["EHLO me", "MAIL FROM:<a@x>"]).await; // a client that does not try again
    /// let verified = double.verify();
    /// assert!(!verified.holds());
    /// assert!(verified.to_string().contains("struck 1 times, expected 2"), "{verified}");
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn times(mut self, n: u32) -> Self {
        self.when.times = Some(n);
        self
    }

    /// Greylisting: strikes for each pair of reverse-path and forward-path until `delay` after it was
    /// first seen. Without [`On::reply`] the reply is 451 4.7.1.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::Rcpt).greylist(Duration::from_secs(300)).mount();
    /// let lines = ["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<b@x>"];
    /// assert_eq!(double.converse(lines).await[3], "451 4.7.1 greylisted");
    /// tokio::time::sleep(Duration::from_secs(301)).await;
    /// assert!(double.converse(lines).await[3].starts_with("250"));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn greylist(mut self, delay: Duration) -> Self {
        self.when.greylist = Some(delay);
        self.refusing(451, "4.7.1 greylisted")
    }

    /// A rate limit: strikes once more than `n` occasions that fit fell into `per`. Without
    /// [`On::reply`] the reply is 450 4.7.1.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::Mail).over(1, Duration::from_secs(60)).mount();
    /// let lines = ["EHLO me", "MAIL FROM:<a@x>"];
    /// assert!(double.converse(lines).await[2].starts_with("250"));
    /// assert_eq!(double.converse(lines).await[2], "450 4.7.1 too many, too fast");
    /// tokio::time::sleep(Duration::from_secs(60)).await;
    /// assert!(double.converse(lines).await[2].starts_with("250"));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
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
}
