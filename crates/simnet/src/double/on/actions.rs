//! What the server does when a rule strikes.

use std::time::Duration;

use super::On;
use crate::plan::{Pace, Say, ServerFault, Then};

/// What the server does: what it says, at which pace, and how it goes on.
impl On<'_> {
    /// The server does this.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// use postbound_simnet::plan::{Pace, Say, ServerFault, Then};
    ///
    /// let half_a_reply = ServerFault::say(Say::Half).pace(Pace::After(Duration::from_secs(1))).then(Then::Close);
    /// double.on(Phase::Mail).act(half_a_reply).mount();
    /// assert_eq!(double.converse(["EHLO me", "MAIL FROM:<a@x>"]).await[2], "(closed)");
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn act(mut self, fault: ServerFault) -> Self {
        self.fault = fault;
        self
    }

    /// The server says this reply. Several lines of text are joined by `\n`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::Rcpt).reply(550, "5.1.1 no such user\nask somebody else").mount();
    /// let replies = double.converse(["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<b@x>"]).await;
    /// assert_eq!(replies[3], "550-5.1.1 no such user\r\n550 ask somebody else");
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn reply(mut self, code: u16, text: impl Into<String>) -> Self {
        self.fault.say = Say::Reply {
            code,
            text: text.into(),
        };
        self
    }

    /// The server says these octets.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::Mail).raw(*b"+OK this is no SMTP\r\n").mount();
    /// assert_eq!(double.converse(["EHLO me", "MAIL FROM:<a@x>"]).await[2], "+OK this is no SMTP");
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn raw(mut self, octets: impl Into<Vec<u8>>) -> Self {
        self.fault.say = Say::Raw(octets.into());
        self
    }

    /// The server says nothing.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::Mail).silent().mount();
    /// assert_eq!(double.converse(["EHLO me", "MAIL FROM:<a@x>"]).await[2], "(silence)");
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn silent(mut self) -> Self {
        self.fault.say = Say::Nothing;
        self
    }

    /// All of it comes this much later.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::Mail).after(Duration::from_secs(20)).mount();
    /// let begun = tokio::time::Instant::now();
    /// assert!(double.converse(["EHLO me", "MAIL FROM:<a@x>"]).await[2].starts_with("250"));
    /// assert_eq!(begun.elapsed().as_secs(), 20);
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn after(mut self, delay: Duration) -> Self {
        self.fault.pace = Pace::After(delay);
        self
    }

    /// An octet comes each time this much has passed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::Mail).reply(250, "ok").drip(Duration::from_secs(1)).mount();
    /// let begun = tokio::time::Instant::now();
    /// assert_eq!(double.converse(["EHLO me", "MAIL FROM:<a@x>"]).await[2], "250 ok");
    /// assert_eq!(begun.elapsed().as_secs(), 8); // as many octets, with CR and LF
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn drip(mut self, every: Duration) -> Self {
        self.fault.pace = Pace::Drip(every);
        self
    }

    /// The reply is held until the test lets it go, or takes the rule away: whatever the test waits
    /// for happens meanwhile, and no clock has to agree with it. What the server does before it
    /// speaks is done, so that a message that it means to accept is in the mailbox. With
    /// [`On::scoped`] the guard says who [waits](super::RuleGuard::waiting_within) and lets them
    /// [go](super::RuleGuard::release).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// let held = double.on(Phase::DataTermination).hold().scoped();
    /// let client = double.converse(["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA", "hi\r\n."]);
    /// let test = async {
    ///     let waiting = held.waiting_within(1, Duration::from_secs(5)).await;
    ///     assert_eq!(waiting, [1]); // the connection's number
    ///     assert_eq!(double.received().len(), 1); // taken, and the client doesn't know it yet
    ///     // Here the client is cancelled, the server crashes, another client comes...
    ///     held.release();
    /// };
    /// let (replies, ()) = tokio::join!(client, test);
    /// assert!(replies[5].starts_with("250"));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn hold(mut self) -> Self {
        self.fault.pace = Pace::Hold;
        self
    }

    /// Then the server closes the connection.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::Mail).reply(421, "4.3.2 going").then_close().mount();
    /// let replies = double.converse(["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<b@x>"]).await;
    /// assert_eq!(replies[2..], ["421 4.3.2 going", "(closed)"]);
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn then_close(mut self) -> Self {
        self.fault.then = Then::Close;
        self
    }

    /// Then the server closes its own side of the connection, and goes on reading and committing.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::DataInitiation).then_half_close().mount();
    /// let replies = double
    ///     .converse(["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA", "hi\r\n."])
    ///     .await;
    /// assert_eq!(replies[4..], ["354 go ahead", "(closed)"]);
    /// // It was already written, and the server reads on.
    /// assert_eq!(double.received_within(1, Duration::from_secs(1)).await.len(), 1);
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn then_half_close(mut self) -> Self {
        self.fault.then = Then::HalfClose;
        self
    }

    /// Then the server resets the connection.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::Mail).silent().then_reset().mount();
    /// assert_eq!(double.converse(["EHLO me", "MAIL FROM:<a@x>"]).await[2], "(reset)");
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn then_reset(mut self) -> Self {
        self.fault.then = Then::Reset;
        self
    }

    /// Then the server neither reads nor writes, and keeps the connection open.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::Mail).then_stall().mount();
    /// let replies = double.converse(["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<b@x>"]).await;
    /// assert!(replies[2].starts_with("250"));
    /// assert_eq!(replies[3], "(silence)");
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn then_stall(mut self) -> Self {
        self.fault.then = Then::Stall;
        self
    }

    /// The message is committed before anything is said, whatever is said. Only at
    /// [`Phase::DataTermination`](proto::Phase::DataTermination).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// # let double = SmtpDouble::in_memory();
    /// double.on(Phase::DataTermination).commit().silent().then_close().mount();
    /// let replies = double
    ///     .converse(["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA", "hi\r\n."])
    ///     .await;
    /// assert_eq!(replies[5], "(closed)"); // the client can't know
    /// assert_eq!(double.received().len(), 1); // that it was taken: RFC 1047
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn commit(mut self) -> Self {
        self.fault.commit = true;
        self
    }
}
