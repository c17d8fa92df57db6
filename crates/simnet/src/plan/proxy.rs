//! What can go wrong at a proxy in front of the double.

use std::fmt;

use super::{Pace, Plain, Then};

/// A protocol that proxies speak.
#[expect(clippy::exhaustive_enums, reason = "these are the two that there are")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// SOCKS5 (RFC 1928).
    Socks5,
    /// HTTP CONNECT (RFC 9110 §9.3.6).
    Http,
}

impl ProxyKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Socks5, Self::Http];

    /// Its name, as a URL's scheme has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Socks5 => "socks5",
            Self::Http => "http",
        }
    }

    /// The steps at which it answers, in their order.
    #[must_use]
    pub const fn steps(self) -> &'static [ProxyStep] {
        match self {
            Self::Socks5 => &ProxyStep::ALL,
            Self::Http => &[ProxyStep::Request],
        }
    }
}

impl fmt::Display for ProxyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A step of opening a tunnel.
#[expect(
    clippy::exhaustive_enums,
    reason = "these are the three that there are"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyStep {
    /// How to authenticate is agreed on. SOCKS5 only.
    Method,
    /// Credentials are looked at. SOCKS5 only, if there are any.
    Auth,
    /// The tunnel is asked for.
    Request,
}

impl ProxyStep {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Method, Self::Auth, Self::Request];

    /// Its name in a plan.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Auth => "auth",
            Self::Request => "request",
        }
    }
}

/// A fault of the proxy. It acts only where the double is behind one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyFault {
    /// The step whose answer it is.
    pub step: ProxyStep,
    /// What it says.
    pub say: ProxySay,
    /// How fast it says it.
    pub pace: Pace,
    /// What it does next: [`Then::Continue`] goes on if what it said lets the client do so.
    pub then: Then,
}

impl ProxyFault {
    /// The proxy says this at this step, at once, and goes on if it can.
    #[must_use]
    pub const fn new(step: ProxyStep, say: ProxySay) -> Self {
        Self {
            step,
            say,
            pace: Pace::AtOnce,
            then: Then::Continue,
        }
    }

    /// At another pace.
    #[must_use]
    pub const fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// With another end.
    #[must_use]
    pub const fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }
}

/// What a proxy says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxySay {
    /// What it should.
    Normal,
    /// Nothing.
    Nothing,
    /// The first half of what it should.
    Half,
    /// A refusal: an HTTP status code, a SOCKS5 reply code, or the status of RFC 1929.
    Refuse(u16),
    /// Octets that are no answer at all.
    Garbage,
    /// An answer without end.
    Oversized,
    /// What it should, with these octets behind it in the same write: the client may take them for
    /// the server's.
    Early(Vec<u8>),
}

impl fmt::Display for ProxyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy: {}", self.step.name())?;
        match &self.say {
            ProxySay::Normal => f.write_str(" normal")?,
            ProxySay::Nothing => f.write_str(" nothing")?,
            ProxySay::Half => f.write_str(" half")?,
            ProxySay::Refuse(code) => write!(f, " refuse {code}")?,
            ProxySay::Garbage => f.write_str(" garbage")?,
            ProxySay::Oversized => f.write_str(" oversized")?,
            ProxySay::Early(octets) => write!(f, " early \"{}\"", octets.escape_ascii())?,
        }
        match self.pace {
            Pace::AtOnce => {}
            Pace::After(delay) => write!(f, "; after {}", Plain(delay))?,
            Pace::Drip(every) => write!(f, "; drip {}", Plain(every))?,
            Pace::Hold => f.write_str("; hold")?,
        }
        match self.then {
            Then::Continue => Ok(()),
            Then::Close => f.write_str("; close"),
            Then::HalfClose => f.write_str("; half-close"),
            Then::Reset => f.write_str("; reset"),
            Then::Stall => f.write_str("; stall"),
        }
    }
}
