//! Which mechanism is chosen.

use super::{Auth, AuthError, Credentials, Mechanism, Strength};

/// What may be used to prove who the client is.
///
/// By default: the strongest mechanism that the server offers and the credentials fit, none that
/// would show the password or token to listeners unless the connection is encrypted, and no second
/// guess after the server has refused the credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthPolicy {
    only: Option<Vec<Mechanism>>,
    floor: Option<Strength>,
    clear_text_without_tls: bool,
    next_after_refusal: bool,
}

impl AuthPolicy {
    /// The default policy.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only these mechanisms, in this order.
    #[must_use]
    pub fn only(mut self, mechanisms: impl IntoIterator<Item = Mechanism>) -> Self {
        self.only = Some(mechanisms.into_iter().collect());
        self
    }

    /// No mechanism that shows more of a password than this. Default: any. It has no say over tokens,
    /// which are always shown.
    #[must_use]
    pub const fn floor(mut self, floor: Strength) -> Self {
        self.floor = Some(floor);
        self
    }

    /// Lets PLAIN, LOGIN, OAUTHBEARER and XOAUTH2 show the password or token to everybody who
    /// listens on the way, for a server that can't encrypt on a network that one trusts.
    #[must_use]
    pub const fn allow_clear_text_without_tls(mut self) -> Self {
        self.clear_text_without_tls = true;
        self
    }

    /// Tries the next mechanism after the credentials were refused (535), too. Some servers keep
    /// another password for each; others count each try and lock the account.
    #[must_use]
    pub const fn try_next_after_refusal(mut self) -> Self {
        self.next_after_refusal = true;
        self
    }

    /// Whether the server's refusal lets another mechanism be tried. RFC 4954 §6: 504 says that the
    /// mechanism is not known, 534 that it is too weak for this user.
    pub(crate) const fn goes_on_after(&self, code: u16) -> bool {
        matches!(code, 504 | 534) || (code == 535 && self.next_after_refusal)
    }

    /// Whether a password may be proved so, over such a connection.
    fn allows(&self, mechanism: Mechanism) -> bool {
        let strong = match (self.floor, mechanism.strength()) {
            (Some(floor), Some(strength)) => strength >= floor,
            _ => true,
        };
        strong
            && self
                .only
                .as_ref()
                .is_none_or(|only| only.contains(&mechanism))
    }

    fn order(&self) -> &[Mechanism] {
        self.only.as_deref().unwrap_or(&Mechanism::ALL)
    }
}

/// The mechanisms to try, in their order.
pub(crate) fn candidates(auth: &Auth, offered: &[String]) -> Result<Vec<Mechanism>, AuthError> {
    let Auth {
        credentials,
        policy,
        secure,
        bindings,
        ..
    } = auth;
    let fitting = |credentials: &Credentials| -> Vec<Mechanism> {
        let mut fitting: Vec<Mechanism> = Vec::new();
        for &mechanism in policy.order().iter().chain(&Mechanism::ALL) {
            let is_offered = offered
                .iter()
                .any(|name| name.eq_ignore_ascii_case(mechanism.name()));
            let is_bindable = !mechanism.is_bound() || !bindings.is_empty();
            if is_offered
                && is_bindable
                && credentials.fit(mechanism)
                && !fitting.contains(&mechanism)
            {
                fitting.push(mechanism);
            }
        }
        fitting
    };
    let fitting = fitting(credentials);
    if fitting.is_empty() {
        return Err(if offered.is_empty() {
            AuthError::NotOffered
        } else {
            AuthError::NoMechanism
        });
    }
    let allowed: Vec<Mechanism> = fitting
        .into_iter()
        .filter(|mechanism| policy.allows(*mechanism))
        .collect();
    if allowed.is_empty() {
        return Err(AuthError::Policy);
    }
    let may_show = *secure || policy.clear_text_without_tls;
    let discreet: Vec<Mechanism> = allowed
        .into_iter()
        .filter(|mechanism| may_show || !mechanism.shows_secret())
        .collect();
    if discreet.is_empty() {
        return Err(AuthError::ClearText);
    }
    Ok(discreet)
}
