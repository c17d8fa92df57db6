//! What every mechanism has in common.

use core::fmt;

use zeroize::Zeroizing;

use super::cram_md5::CramMd5;
use super::external::External;
use super::login::Login;
use super::oauthbearer::OAuthBearer;
use super::plain::Plain;
use super::scram::Scram;
use super::xoauth2::XOAuth2;
use super::{Auth, AuthError, Mechanism};
use crate::Limits;

/// Octets for the server, before base64.
pub(crate) type Response = Zeroizing<Vec<u8>>;

/// What follows from a challenge.
pub(crate) enum Step {
    Respond(Response),
    /// A key has to be derived first, in slices.
    Derive,
}

/// The client's side of one mechanism. Its `Debug` names it and says nothing else.
pub(crate) trait Exchange: fmt::Debug + Send + Sync {
    /// What a client that speaks first says.
    fn initial(&mut self) -> Option<Response>;

    /// Takes in a challenge.
    fn challenge(&mut self, challenge: &[u8]) -> Result<Step, AuthError>;

    /// Goes on with key derivation for at most so many iterations. `Some` once it is done.
    fn derive(&mut self, _iterations: u32) -> Option<Response> {
        None
    }

    /// Whether the server has all it needs, and has shown all that it must: whether a 235 means
    /// anything.
    fn is_complete(&self) -> bool;

    /// What the server said about the credentials in a challenge.
    fn detail(&self) -> Option<&str> {
        None
    }
}

/// Begins an exchange.
pub(crate) fn start(
    mechanism: Mechanism,
    auth: &Auth,
    offered: &[String],
    limits: &Limits,
) -> Result<Box<dyn Exchange>, AuthError> {
    let credentials = &auth.credentials;
    Ok(match mechanism {
        Mechanism::Plain => Box::new(Plain::new(credentials)?),
        Mechanism::Login => Box::new(Login::new(credentials)),
        Mechanism::CramMd5 => Box::new(CramMd5::new(credentials)),
        Mechanism::OAuthBearer => Box::new(OAuthBearer::new(credentials)?),
        Mechanism::XOAuth2 => Box::new(XOAuth2::new(credentials)?),
        Mechanism::External => Box::new(External::new(credentials)),
        Mechanism::ScramSha1
        | Mechanism::ScramSha256
        | Mechanism::ScramSha1Plus
        | Mechanism::ScramSha256Plus => Box::new(Scram::new(mechanism, auth, offered, limits)?),
    })
}

/// Octets from parts, in a buffer that is never moved while it fills.
pub(super) fn join(parts: &[&[u8]]) -> Response {
    let length = parts.iter().map(|part| part.len()).sum();
    let mut joined = Zeroizing::new(Vec::with_capacity(length));
    for part in parts {
        joined.extend_from_slice(part);
    }
    joined
}

/// What a server says in a challenge, for people: printable, and short.
pub(super) fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets)
        .chars()
        .filter(|c| !c.is_control())
        .take(512)
        .collect()
}
