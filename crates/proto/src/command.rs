//! Commands that are no part of a mail transaction (RFC 5321 §3.5 and §4.1.1.6 to §4.1.1.9).

use core::fmt;

/// Octets that a command line has at most, with its CRLF (RFC 5321 §4.5.3.1.4).
const LINE: usize = 512;

/// Verbs that begin something which one reply does not end, or that change what the session knows of
/// the connection. They have calls of their own, or none.
const NOT_ALONE: [&str; 13] = [
    "EHLO", "HELO", "LHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "QUIT",
    "TURN", "XCLIENT",
];

/// A command that asks for one reply and changes nothing: VRFY, EXPN, NOOP, HELP or one that this
/// library does not know.
///
/// Whatever its argument is, it is one line and one command.
///
/// ```
/// use postbound_proto::CustomCommand;
/// assert_eq!(CustomCommand::verify("Smith")?.as_str(), "VRFY Smith");
/// assert_eq!(CustomCommand::new("XSTATS", "today")?.as_str(), "XSTATS today");
/// assert!(CustomCommand::verify("Smith\r\nQUIT").is_err());
/// assert!(CustomCommand::new("DATA", "").is_err());
/// # Ok::<(), postbound_proto::CommandError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomCommand(String);

impl CustomCommand {
    /// NOOP: a sign of life.
    #[must_use]
    pub fn noop() -> Self {
        Self("NOOP".to_owned())
    }

    /// HELP about everything.
    #[must_use]
    pub fn help() -> Self {
        Self("HELP".to_owned())
    }

    /// HELP about one thing.
    ///
    /// # Errors
    /// If `about` can't be an argument.
    pub fn help_about(about: &str) -> Result<Self, CommandError> {
        Self::with_argument("HELP", about)
    }

    /// VRFY: is there such a mailbox? Most servers say 252, which is neither yes nor no.
    ///
    /// # Errors
    /// If `name` can't be an argument.
    pub fn verify(name: &str) -> Result<Self, CommandError> {
        Self::with_argument("VRFY", name)
    }

    /// EXPN: who is on this list?
    ///
    /// # Errors
    /// If `list` can't be an argument.
    pub fn expand(list: &str) -> Result<Self, CommandError> {
        Self::with_argument("EXPN", list)
    }

    /// Any other command that one reply ends. An empty `argument` is none.
    ///
    /// # Errors
    /// If `verb` is none, or one that has a call of its own, or `argument` can't be one.
    pub fn new(verb: &str, argument: &str) -> Result<Self, CommandError> {
        let verb = verb.to_ascii_uppercase();
        let letters = verb
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
        if verb.is_empty() || !letters {
            return Err(CommandError::Verb);
        }
        if let Some(known) = NOT_ALONE.into_iter().find(|known| *known == verb) {
            return Err(CommandError::NotAlone(known));
        }
        if argument.is_empty() {
            return Self::line(verb);
        }
        Self::with_argument(&verb, argument)
    }

    fn with_argument(verb: &str, argument: &str) -> Result<Self, CommandError> {
        let printable = argument.bytes().all(|octet| matches!(octet, b' '..=b'~'));
        if !printable || argument.trim().is_empty() {
            return Err(CommandError::Argument);
        }
        Self::line(format!("{verb} {argument}"))
    }

    fn line(line: String) -> Result<Self, CommandError> {
        if line.len() + 2 > LINE {
            return Err(CommandError::TooLong(line.len() + 2));
        }
        Ok(Self(line))
    }

    /// The command line, without CRLF.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CustomCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why something can't be a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// The verb has other characters than letters, digits and hyphens, or none.
    Verb,
    /// This verb begins more than one reply ends.
    NotAlone(&'static str),
    /// The argument has a character that is not printable US-ASCII, or nothing but blanks.
    Argument,
    /// The line would have so many octets with its CRLF.
    TooLong(usize),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verb => f.write_str("a command's verb has letters, digits and hyphens only"),
            Self::NotAlone(verb) => write!(
                f,
                "{verb} is no command by itself; use the call that is made for it"
            ),
            Self::Argument => f.write_str(
                "a command's argument is printable US-ASCII and not only blanks; leave control characters out",
            ),
            Self::TooLong(octets) => write!(
                f,
                "the command line has {octets} octets with its CRLF; {LINE} are allowed"
            ),
        }
    }
}

impl std::error::Error for CommandError {}
