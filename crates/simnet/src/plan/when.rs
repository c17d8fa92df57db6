//! Conditions: when a rule strikes, beyond its phase.

use std::fmt;
use std::time::Duration;

use super::Plain;

/// When a rule strikes, beyond its phase. All that is given has to hold; nothing given always does.
///
/// As text it stands in brackets behind the place: `rcpt[*@example.org, connection 2, first 1]: …`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct When {
    /// A name to be told apart by in a report.
    pub name: Option<String>,
    /// The connection with this number, counted from 1 over the double's life.
    pub connection: Option<u32>,
    /// The command with this number on its connection, counted from 1.
    pub command: Option<u32>,
    /// The forward-path: at RCPT the one that is asked for, later any that was accepted.
    pub to: Option<Pattern>,
    /// The reverse-path.
    pub from: Option<Pattern>,
    /// The name that the client gave with EHLO or HELO.
    pub ehlo: Option<Pattern>,
    /// Greylisting: strikes for each pair of reverse-path and forward-path until this long after the
    /// pair was first seen.
    pub greylist: Option<Duration>,
    /// A rate limit: strikes once more than this many occasions fell into this long.
    pub over: Option<(u32, Duration)>,
    /// Strikes this many times, over all connections, and then steps aside.
    pub first: Option<u32>,
    /// As `first`, and a rule that struck less often is missed by `verify`.
    pub times: Option<u32>,
}

impl When {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_always(&self) -> bool {
        *self == Self::default()
    }
}

/// A text with `*` for anything, compared without regard to case: `*@example.org`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// The pattern of this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether it fits all of `text`, in time of at most the product of both lengths.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        // Where the last `*` was, and how much of the text it stands for so far.
        let (mut at, mut seen, mut star) = (0, 0, None);
        while let Some(octet) = text.get(seen) {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at, seen));
                    at += 1;
                }
                Some(expected) if expected.eq_ignore_ascii_case(octet) => {
                    at += 1;
                    seen += 1;
                }
                _ => match star {
                    Some((star_at, from)) => {
                        star = Some((star_at, from + 1));
                        at = star_at + 1;
                        seen = from + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern.iter().skip(at).all(|octet| *octet == b'*')
    }

    /// Whether its text can stand in a plan without quotes.
    fn is_plain(&self) -> bool {
        let mut octets = self.0.bytes();
        !self.0.is_empty() && octets.all(|o| o.is_ascii_graphic() && !b"[],;:|#\"\\".contains(&o))
    }
}

impl<T: Into<String>> From<T> for Pattern {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_plain() {
            f.write_str(&self.0)
        } else {
            write!(f, "\"{}\"", self.0.escape_default())
        }
    }
}

impl fmt::Display for When {
    /// The conditions in their one order, without the brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            connection,
            command,
            to,
            from,
            ehlo,
            greylist,
            over,
            first,
            times,
        } = self;
        let conditions = [
            name.as_ref().map(|v| format!("name {}", Pattern::new(v))),
            connection.map(|v| format!("connection {v}")),
            command.map(|v| format!("command {v}")),
            // A bare address reads best.
            to.as_ref().map(|v| match v.0.contains('@') {
                true => v.to_string(),
                false => format!("to {v}"),
            }),
            from.as_ref().map(|v| format!("from {v}")),
            ehlo.as_ref().map(|v| format!("ehlo {v}")),
            greylist.map(|v| format!("greylist {}", Plain(v))),
            over.map(|(n, per)| format!("over {n} per {}", Plain(per))),
            first.map(|v| format!("first {v}")),
            times.map(|v| format!("times {v}")),
        ];
        let conditions: Vec<_> = conditions.into_iter().flatten().collect();
        f.write_str(&conditions.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_star_stands_for_anything_and_case_for_nothing() {
        for (pattern, text, fits) in [
            ("bob@x.example", "BOB@X.example", true),
            ("bob@x.example", "bob@x.example.org", false),
            ("*@x.example", "bob@x.example", true),
            ("*@x.example", "bob@y.example", false),
            ("bob*", "bob", true),
            ("b*b@*.example", "bab-b@x.y.example", true),
            ("b*b@*.example", "bab@x.example.", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(
                Pattern::new(pattern).matches(text),
                fits,
                "{pattern} {text}"
            );
        }
    }
}
