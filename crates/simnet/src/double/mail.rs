//! A message that is expected.

use std::fmt;

use crate::Delivery;
use crate::plan::Pattern;

/// A message that is expected in the mailbox, by its envelope and its octets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a message that is not handed to `expect` is not expected"]
pub struct Mail {
    to: Vec<Pattern>,
    from: Option<Pattern>,
    containing: Vec<Vec<u8>>,
    exactly: Option<Vec<u8>>,
    pub(super) times: usize,
}

impl Mail {
    /// Any message.
    pub const fn any() -> Self {
        Self {
            to: Vec::new(),
            from: None,
            containing: Vec::new(),
            exactly: None,
            times: 1,
        }
    }

    /// A message to this forward-path, perhaps among others; `*` stands for anything.
    pub fn to(pattern: impl Into<Pattern>) -> Self {
        Self::any().and_to(pattern)
    }

    /// And to this one.
    pub fn and_to(mut self, pattern: impl Into<Pattern>) -> Self {
        self.to.push(pattern.into());
        self
    }

    /// From this reverse-path.
    pub fn from(mut self, pattern: impl Into<Pattern>) -> Self {
        self.from = Some(pattern.into());
        self
    }

    /// With these octets in it.
    pub fn containing(mut self, octets: impl AsRef<[u8]>) -> Self {
        self.containing.push(octets.as_ref().to_vec());
        self
    }

    /// Octet for octet this message. What came instead is told from the first octet on that differs,
    /// counted from 0.
    ///
    /// ```
    /// # use postbound_simnet::double::{Mail, SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// let double = SmtpDouble::in_memory();
    /// double.expect(Mail::any().exactly("hello\r\n"));
    /// double.converse(["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA", "hello\r\n."]).await;
    /// assert!(double.verify().holds());
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn exactly(mut self, octets: impl AsRef<[u8]>) -> Self {
        self.exactly = Some(octets.as_ref().to_vec());
        self
    }

    /// So many of them. Default 1; 0 is none.
    pub const fn times(mut self, n: usize) -> Self {
        self.times = n;
        self
    }

    /// By what a message misses it. Nothing: it is one of them.
    pub(super) fn misses(&self, delivery: &Delivery) -> Vec<String> {
        let mut misses = Vec::new();
        for to in &self.to {
            if !delivery.forward_paths.iter().any(|path| to.matches(path)) {
                let paths = delivery.forward_paths.join(">, <");
                misses.push(format!("to was <{paths}>, not {to}"));
            }
        }
        if let Some(from) = self
            .from
            .as_ref()
            .filter(|from| !from.matches(&delivery.reverse_path))
        {
            misses.push(format!("from was <{}>, not {from}", delivery.reverse_path));
        }
        for octets in &self.containing {
            if !contains(&delivery.octets, octets) {
                misses.push(format!("its octets do not contain \"{}\"", short(octets)));
            }
        }
        if let Some(exactly) = &self.exactly {
            misses.extend(difference(exactly, &delivery.octets));
        }
        misses
    }
}

fn contains(octets: &[u8], part: &[u8]) -> bool {
    part.is_empty() || octets.windows(part.len()).any(|window| window == part)
}

/// Where two messages part.
fn difference(expected: &[u8], found: &[u8]) -> Option<String> {
    if expected == found {
        return None;
    }
    let at = expected
        .iter()
        .zip(found)
        .take_while(|(a, b)| a == b)
        .count();
    let from = |octets: &[u8]| short(octets.get(at..).unwrap_or_default());
    Some(format!(
        "octet {at} on was \"{}\", not \"{}\" ({} octets came, {} expected)",
        from(found),
        from(expected),
        found.len(),
        expected.len()
    ))
}

/// The beginning of it, in one line.
fn short(octets: &[u8]) -> String {
    const MOST: usize = 40;
    let begin = octets.get(..MOST).unwrap_or(octets).escape_ascii();
    let more = if octets.len() > MOST { "…" } else { "" };
    format!("{begin}{more}")
}

impl fmt::Display for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<_> = self.to.iter().map(|to| format!("to {to}")).collect();
        parts.extend(self.from.iter().map(|from| format!("from {from}")));
        parts.extend(
            self.containing
                .iter()
                .map(|octets| format!("containing \"{}\"", short(octets))),
        );
        parts.extend(
            self.exactly
                .iter()
                .map(|octets| format!("exactly \"{}\"", short(octets))),
        );
        match parts.is_empty() {
            true => f.write_str("any message"),
            false => write!(f, "a message {}", parts.join(", ")),
        }
    }
}
