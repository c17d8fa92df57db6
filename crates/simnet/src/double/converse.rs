//! A client of a few lines, to see what a rule does.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use super::SmtpDouble;
use crate::net::mem::{Network, Stream};

/// How long a client waits for a reply: what RFC 5321 §4.5.3.2 gives a server for most commands.
const PATIENCE: Duration = Duration::from_secs(300);
/// Octets of one reply. The double makes none that long; a rule's text may.
const MOST: usize = 64 * 1024;

impl SmtpDouble<Network> {
    /// Says these lines on a new connection, each after the reply to the one before, and gives the
    /// replies: the greeting first, without the last line's end. It is no mail client, but enough of
    /// one to see what a rule does.
    ///
    /// Each line gets its CRLF, and may have others in it: mail data is `"Subject: x\r\n\r\nhi\r\n."`.
    /// What is no reply is in parentheses, and the last: `(closed)`, `(reset)`, `(no connection)`, or
    /// `(silence)` for a reply that did not come whole, or a line that was not taken, in 5 minutes,
    /// which take no time where the clock is paused.
    ///
    /// ```
    /// # use postbound_simnet::double::SmtpDouble;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// let double = SmtpDouble::in_memory();
    /// let replies = double.converse(["EHLO me.example", "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA", "hi\r\n.", "QUIT"]).await;
    /// let codes: Vec<_> = replies.iter().filter_map(|reply| reply.get(..3)).collect();
    /// assert_eq!(codes, ["220", "250", "250", "250", "354", "250", "221"]);
    /// assert_eq!(double.received().len(), 1);
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn converse<L: AsRef<str>>(&self, lines: impl IntoIterator<Item = L>) -> Vec<String> {
        let Ok(mut stream) = self.connect().await else {
            return vec!["(no connection)".to_owned()];
        };
        let mut replies = Vec::new();
        let mut lines = lines.into_iter();
        loop {
            let heard = tokio::select! {
                biased;
                heard = reply(&mut stream) => heard,
                () = sleep(PATIENCE) => Err(io::ErrorKind::TimedOut.into()),
            };
            match heard {
                Ok(reply) => replies.push(reply),
                Err(error) => {
                    let how = match error.kind() {
                        io::ErrorKind::TimedOut => "(silence)",
                        io::ErrorKind::UnexpectedEof => "(closed)",
                        _ => "(reset)",
                    };
                    replies.push(how.to_owned());
                    return replies;
                }
            }
            let Some(line) = lines.next() else {
                return replies;
            };
            let line = format!("{}\r\n", line.as_ref());
            tokio::select! {
                biased;
                // What comes of it, the next read tells.
                _ = stream.write_all(line.as_bytes()) => {}
                () = sleep(PATIENCE) => {
                    replies.push("(silence)".to_owned());
                    return replies;
                }
            }
        }
    }
}

/// One reply, all its lines.
async fn reply(stream: &mut Stream) -> io::Result<String> {
    let mut octets = Vec::new();
    loop {
        octets.push(stream.read_u8().await?);
        let last = octets.rsplit(|octet| *octet == b'\n').nth(1);
        let ends = octets.ends_with(b"\n") && last.is_some_and(|line| line.get(3) != Some(&b'-'));
        if ends || octets.len() == MOST {
            return Ok(String::from_utf8_lossy(&octets).trim_end().to_owned());
        }
    }
}
