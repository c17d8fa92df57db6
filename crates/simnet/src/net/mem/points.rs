//! Every place where the network can strike, for whatever client there is.

use super::Network;
use crate::plan::{Direction, LinkFault, Plan, Rule, Strike};

impl Network {
    /// Every single fault of the network: each strike ([`Strike::EVERY`]) at each octet of what was
    /// said over this network so far, in both directions, a plan for each.
    ///
    /// Have a client send over a healthy network, and then anew over one with each of these plans: that
    /// is every way in which one fault can meet it, some two thousand for a short dialogue and, on a paused
    /// clock, a second or two. What it reported and what is in the mailbox are to agree each time.
    ///
    /// The dialogue is to be of one connection, and the same each time: a plan strikes at its octet on
    /// every connection.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// use postbound_simnet::double::SmtpDouble;
    ///
    /// let lines = ["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA", "hi\r\n.", "QUIT"];
    /// let healthy = SmtpDouble::in_memory();
    /// healthy.converse(lines).await;
    ///
    /// let (mut points, mut never_told) = (0, 0);
    /// for plan in healthy.network().fault_points() {
    ///     let double = SmtpDouble::builder().plan(plan).in_memory();
    ///     let replies = double.converse(lines).await;
    ///     let told = replies.get(5).is_some_and(|reply| reply.starts_with("250"));
    ///     points += 1;
    ///     never_told += usize::from(!told && double.received().len() == 1);
    /// }
    /// // The octets of the final reply and those that it waits for: RFC 1047's window.
    /// assert!(points > 1_000 && never_told > 0, "{points} {never_told}");
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn fault_points(&self) -> impl Iterator<Item = Plan> + use<> {
        let (to_client, to_server) = (self.server_octets(), self.client_octets());
        Strike::EVERY
            .into_iter()
            .flat_map(move |(strike, direction)| {
                let octets = match direction {
                    Direction::ToServer => to_server,
                    _ => to_client,
                };
                (1..=octets).map(move |octet| {
                    Plan::of([Rule::Link(LinkFault::At {
                        octet,
                        direction,
                        strike,
                    })])
                })
            })
    }
}
