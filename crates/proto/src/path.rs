//! Who is named on the wire: reverse-path, forward-path and the client's own name.
//!
//! CR, LF, NUL and every other control character are not representable: a value of these types can
//! be put into a command line as it is.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;
use std::sync::Arc;

/// Octets in a local part (RFC 5321 §4.5.3.1.1), a domain (§4.5.3.1.2) and a path without its
/// angle brackets (§4.5.3.1.3).
const LOCAL_PART: usize = 64;
const DOMAIN: usize = 255;
const PATH: usize = 254;

/// Where delivery reports go: a mailbox, or nowhere (`<>`). Cheap to clone.
///
/// ```
/// use postbound_proto::ReversePath;
/// let path: ReversePath = "sender@example.org".parse()?;
/// assert_eq!(path.to_string(), "<sender@example.org>");
/// assert!("<>".parse::<ReversePath>()?.is_null());
/// # Ok::<(), postbound_proto::PathError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReversePath(Arc<str>);

/// A recipient: a mailbox, or `postmaster` without a domain (RFC 5321 §4.5.1). Cheap to clone.
///
/// Angle brackets around it are accepted and not needed. Beside a local part in US-ASCII, a domain
/// outside it takes its US-ASCII form (IDNA), so that only the local part can need SMTPUTF8.
///
/// ```
/// use postbound_proto::ForwardPath;
/// let path: ForwardPath = "kontakt@bücher.example".parse()?;
/// assert_eq!(path.to_string(), "<kontakt@xn--bcher-kva.example>");
/// let path: ForwardPath = "\"John Doe\"@example.org".parse()?;
/// assert_eq!(path.to_string(), "<\"John Doe\"@example.org>");
/// let refused = "you@example.org\r\nDATA".parse::<ForwardPath>().unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "column 16: a control character (U+000D) can't stand here; remove it"
/// );
/// # Ok::<(), postbound_proto::PathError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForwardPath(Arc<str>);

/// How a client names itself: a domain, or an address literal such as `[127.0.0.1]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EhloName(String);

/// Text that is no path or name: what is wrong with it, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathError {
    /// Where, in characters counted from 1.
    pub column: usize,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Control(char),
    Character(char),
    Empty(&'static str),
    NoName,
    TooLong(&'static str, usize),
    NoDomain,
    SourceRoute,
    Quoting,
    Literal,
    Idna,
}

#[cfg(feature = "lettre")]
impl PathError {
    pub(crate) const fn empty(what: &'static str) -> Self {
        Self {
            column: 1,
            what: What::Empty(what),
        }
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: ", self.column)?;
        match &self.what {
            What::Control(c) => write!(
                f,
                "a control character (U+{:04X}) can't stand here; remove it",
                u32::from(*c)
            ),
            What::Character(c) => write!(
                f,
                "{c:?} can't stand here; quote a local part that needs it, write a domain with letters, digits, hyphens and dots"
            ),
            What::Empty(part) => write!(f, "{part} is empty; write local-part@domain"),
            What::NoName => f.write_str(
                "the name is empty; write a domain, or an address literal such as [192.0.2.1]",
            ),
            What::TooLong(part, most) => write!(f, "{part} has more than {most} octets"),
            What::NoDomain => f.write_str("there is no domain; write local-part@domain"),
            What::SourceRoute => {
                f.write_str("source routes are obsolete; leave out everything up to the colon")
            }
            What::Quoting => f.write_str(
                "a quoted local part ends with a quote right before the @, and has a character behind every backslash",
            ),
            What::Literal => f.write_str(
                "an address literal is [192.0.2.1] or [IPv6:2001:db8::1]",
            ),
            What::Idna => f.write_str(
                "the domain is no internationalized domain name; look for a mistyped character",
            ),
        }
    }
}

impl std::error::Error for PathError {}

/// Text and the place at which it is being looked at.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    const fn new(text: &'a str, at: usize) -> Self {
        Self { text, at }
    }

    fn error<T>(&self, what: What) -> Result<T, PathError> {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        Err(PathError {
            column: before.chars().count() + 1,
            what,
        })
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }
}

/// No control character anywhere, whatever the grammar of the part: the one rule that nothing is
/// to get around.
fn refuse_controls(text: &str) -> Result<(), PathError> {
    match text
        .char_indices()
        .find(|(_, c)| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
    {
        Some((at, c)) => Cursor::new(text, at).error(What::Control(c)),
        None => Ok(()),
    }
}

/// The text between angle brackets, if it has any, and where it begins.
fn unbracket(text: &str) -> (usize, usize) {
    if text.starts_with('<') && text.ends_with('>') && text.len() >= 2 {
        (1, text.len() - 1)
    } else {
        (0, text.len())
    }
}

/// `atext` (RFC 5322 §3.2.3) and, for SMTPUTF8, every character outside US-ASCII (RFC 6531 §3.3).
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii()
}

fn local_part(cursor: &mut Cursor<'_>) -> Result<(), PathError> {
    let start = cursor.at;
    match cursor.peek() {
        Some('"') => {
            cursor.next();
            loop {
                match cursor.next() {
                    Some('"') => break,
                    Some('\\') => {
                        cursor.next();
                    }
                    Some(_) => {}
                    None => return cursor.error(What::Quoting),
                }
            }
            if !matches!(cursor.peek(), Some('@') | None) {
                return cursor.error(What::Quoting);
            }
        }
        Some('@') if cursor.rest().contains(':') => return cursor.error(What::SourceRoute),
        Some('@') | None => return cursor.error(What::Empty("the local part")),
        Some(_) => {
            let mut after_dot = true;
            while let Some(c) = cursor.peek().filter(|c| *c != '@') {
                if !(is_atext(c) || c == '.' && !after_dot) {
                    return cursor.error(What::Character(c));
                }
                after_dot = c == '.';
                cursor.next();
            }
            if after_dot {
                cursor.at -= 1;
                return cursor.error(What::Character('.'));
            }
        }
    }
    if cursor.at - start > LOCAL_PART {
        return cursor.error(What::TooLong("the local part", LOCAL_PART));
    }
    Ok(())
}

/// A domain up to the end of the text. Underscores are met in practice and harm nobody.
fn domain(cursor: &mut Cursor<'_>) -> Result<(), PathError> {
    if cursor.peek() == Some('[') {
        return literal(cursor);
    }
    let start = cursor.at;
    if cursor.peek().is_none() {
        return cursor.error(What::Empty("the domain"));
    }
    let mut label = 0;
    let mut last = '.';
    while let Some(c) = cursor.peek() {
        let allowed = match c {
            '.' | '-' => last != '.' && !(c == '.' && last == '-'),
            _ => c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii(),
        };
        if !allowed {
            return cursor.error(What::Character(c));
        }
        label = if c == '.' { 0 } else { label + c.len_utf8() };
        if label > 63 {
            return cursor.error(What::TooLong("a label of the domain", 63));
        }
        last = c;
        cursor.next();
    }
    if matches!(last, '.' | '-') {
        cursor.at -= 1;
        return cursor.error(What::Character(last));
    }
    if cursor.at - start > DOMAIN {
        return cursor.error(What::TooLong("the domain", DOMAIN));
    }
    Ok(())
}

fn literal(cursor: &mut Cursor<'_>) -> Result<(), PathError> {
    let inner = cursor
        .rest()
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let valid = inner.is_some_and(|inner| match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => inner
            .get(5..)
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        _ => inner.parse::<Ipv4Addr>().is_ok(),
    });
    if !valid {
        return cursor.error(What::Literal);
    }
    cursor.at = cursor.text.len();
    Ok(())
}

/// A mailbox within `text`, without its angle brackets.
fn mailbox(text: &str) -> Result<String, PathError> {
    refuse_controls(text)?;
    let (start, end) = unbracket(text);
    let inner = text.get(..end).unwrap_or(text);
    let mut cursor = Cursor::new(inner, start);
    local_part(&mut cursor)?;
    if cursor.next().is_none() {
        return cursor.error(What::NoDomain);
    }
    let at = cursor.at;
    domain(&mut cursor)?;
    if end - start > PATH {
        return cursor.error(What::TooLong("the path", PATH));
    }
    let path = inner.get(start..).unwrap_or_default();
    let name = inner.get(at..).unwrap_or_default();
    if name.is_ascii() {
        return Ok(path.to_owned());
    }
    let local = path.strip_suffix(name).unwrap_or_default();
    to_ascii(&cursor, at, name, local)
}

/// A path whose domain is outside US-ASCII. Beside a local part in US-ASCII the domain takes its
/// US-ASCII form (IDNA), which every server knows; beside another one, which needs SMTPUTF8
/// anyway, it stays as it is.
fn to_ascii(cursor: &Cursor<'_>, at: usize, name: &str, local: &str) -> Result<String, PathError> {
    let cursor = Cursor::new(cursor.text, at);
    let Ok(ascii) = idna::domain_to_ascii_strict(name) else {
        return cursor.error(What::Idna);
    };
    // What the mapping makes of it has to be a domain, too.
    domain(&mut Cursor::new(&ascii, 0)).or_else(|_| cursor.error(What::Idna))?;
    if !local.is_ascii() {
        return Ok(format!("{local}{name}"));
    }
    if local.len() + ascii.len() > PATH {
        return cursor.error(What::TooLong("the path", PATH));
    }
    Ok(format!("{local}{ascii}"))
}

impl ReversePath {
    /// The null reverse-path, `<>`: delivery reports about the message are not wanted.
    #[must_use]
    pub fn null() -> Self {
        Self(Arc::default())
    }

    /// Whether this is the null reverse-path.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for ReversePath {
    type Err = PathError;

    /// An empty text and `<>` are the null reverse-path.
    fn from_str(text: &str) -> Result<Self, PathError> {
        if text.is_empty() || text == "<>" {
            return Ok(Self::null());
        }
        mailbox(text).map(|path| Self(path.into()))
    }
}

impl FromStr for ForwardPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let (start, end) = unbracket(text);
        match text.get(start..end) {
            Some(name) if name.eq_ignore_ascii_case("postmaster") => Ok(Self(name.into())),
            _ => mailbox(text).map(|path| Self(path.into())),
        }
    }
}

impl EhloName {
    /// The address literal of `ip`; of an IPv4 address in an IPv6 one, the IPv4 address's.
    #[must_use]
    pub fn from_ip(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V4(ip) => format!("[{ip}]"),
            IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
        })
    }

    /// The name as it is said.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EhloName {
    type Err = PathError;

    /// US-ASCII only: EHLO comes before any extension could be in force.
    fn from_str(text: &str) -> Result<Self, PathError> {
        if text.is_empty() {
            return Cursor::new(text, 0).error(What::NoName);
        }
        refuse_controls(text)?;
        if let Some((at, c)) = text.char_indices().find(|(_, c)| !c.is_ascii()) {
            return Cursor::new(text, at).error(What::Character(c));
        }
        domain(&mut Cursor::new(text, 0))?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for EhloName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! path {
    ($name:ident) => {
        impl $name {
            /// The path without its angle brackets.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// What stands behind the last `@`; empty if there is none.
            #[must_use]
            pub fn domain(&self) -> &str {
                self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
            }

            /// Whether it can be used only where SMTPUTF8 (RFC 6531) is in force.
            #[must_use]
            pub fn needs_smtputf8(&self) -> bool {
                !self.0.is_ascii()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "<{}>", self.0)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = PathError;

            fn try_from(text: &str) -> Result<Self, PathError> {
                text.parse()
            }
        }
    };
}

path!(ReversePath);
path!(ForwardPath);
