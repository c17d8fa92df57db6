//! Who the client is, and how it can prove it.

use super::{Mechanism, Secret};

/// Who the client is, and with what it proves it.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub(super) user: String,
    pub(super) authorize_as: String,
    pub(super) proof: Proof,
}

#[derive(Clone, Debug)]
pub(super) enum Proof {
    Password(Secret),
    Token(Secret),
    /// What TLS has shown already.
    External,
}

impl Credentials {
    /// A user with a password: SCRAM, CRAM-MD5, PLAIN and LOGIN.
    #[must_use]
    pub fn password(user: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self::new(user.into(), Proof::Password(password.into()))
    }

    /// A user with an OAuth 2.0 access token: OAUTHBEARER and XOAUTH2.
    #[must_use]
    pub fn token(user: impl Into<String>, token: impl Into<Secret>) -> Self {
        Self::new(user.into(), Proof::Token(token.into()))
    }

    /// Whoever the client's certificate says it is: EXTERNAL (RFC 4422 appendix A).
    #[must_use]
    pub fn external() -> Self {
        Self::new(String::new(), Proof::External)
    }

    fn new(user: String, proof: Proof) -> Self {
        Self {
            user,
            authorize_as: String::new(),
            proof,
        }
    }

    /// Acts as somebody else than the one who is authenticated, where the mechanism can say so:
    /// PLAIN, SCRAM, EXTERNAL.
    #[must_use]
    pub fn authorize_as(mut self, identity: impl Into<String>) -> Self {
        self.authorize_as = identity.into();
        self
    }

    /// The user.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Whether the mechanism can prove it with these.
    #[must_use]
    pub const fn fit(&self, mechanism: Mechanism) -> bool {
        match mechanism {
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => matches!(self.proof, Proof::Token(_)),
            Mechanism::External => matches!(self.proof, Proof::External),
            _ => matches!(self.proof, Proof::Password(_)),
        }
    }

    /// The password or token.
    pub(crate) fn secret(&self) -> Option<Secret> {
        match &self.proof {
            Proof::Password(secret) | Proof::Token(secret) => Some(secret.clone()),
            Proof::External => None,
        }
    }

    /// Its octets.
    pub(super) fn octets(&self) -> &[u8] {
        match &self.proof {
            Proof::Password(secret) | Proof::Token(secret) => secret.expose(),
            Proof::External => &[],
        }
    }
}
