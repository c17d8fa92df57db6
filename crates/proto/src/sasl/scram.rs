//! SCRAM-SHA-1 (RFC 5802), SCRAM-SHA-256 (RFC 7677) and their -PLUS forms.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::exchange::{Exchange, Response, Step, join, text};
use super::hash::{Derivation, Digest, Hash, Keyed};
use super::{Auth, AuthError, Mechanism};
use crate::Limits;

pub(super) struct Scram {
    hash: Hash,
    /// The GS2 header and, for -PLUS, the channel binding: what `c=` repeats.
    binding: Vec<u8>,
    header: String,
    /// The client-first-message without its GS2 header.
    first: String,
    nonce: String,
    password: Zeroizing<Vec<u8>>,
    iterations: (u32, u32),
    state: State,
}

enum State {
    /// The client-first-message is to be said.
    Initial,
    /// The server-first-message is due.
    First,
    /// The key is being derived.
    Deriving {
        derivation: Box<Derivation>,
        /// The AuthMessage of RFC 5802 §3, and the client-final-message without its proof.
        message: String,
        last: String,
    },
    /// The server-final-message is due, with this signature.
    Final(Digest),
    /// The server has proved that it knows the password.
    Verified,
    Failed,
}

impl Scram {
    pub(super) fn new(
        mechanism: Mechanism,
        auth: &Auth,
        offered: &[String],
        limits: &Limits,
    ) -> Result<Self, AuthError> {
        let credentials = &auth.credentials;
        let nonce = auth.nonce.clone();
        if nonce.is_empty() || !nonce.bytes().all(|o| o.is_ascii_graphic() && o != b',') {
            return Err(AuthError::Nonce);
        }
        // RFC 5802 §2.2: both are prepared with SASLprep (RFC 4013).
        let prepare = |text: &str| -> Result<Zeroizing<String>, AuthError> {
            stringprep::saslprep(text)
                .map(|text| Zeroizing::new(text.into_owned()))
                .map_err(|_| AuthError::Unencodable)
        };
        let password =
            core::str::from_utf8(credentials.octets()).map_err(|_| AuthError::Unencodable)?;
        let password = prepare(password)?;
        let user = prepare(&credentials.user)?;
        if user.is_empty() {
            return Err(AuthError::Unencodable);
        }
        let (hash, plus) = match mechanism {
            Mechanism::ScramSha1 => (Hash::Sha1, None),
            Mechanism::ScramSha1Plus => (Hash::Sha1, auth.bindings.first()),
            Mechanism::ScramSha256Plus => (Hash::Sha256, auth.bindings.first()),
            _ => (Hash::Sha256, None),
        };
        let offers_plus = || {
            offered
                .iter()
                .filter_map(|name| name.parse().ok())
                .any(Mechanism::is_bound)
        };
        // RFC 5802 §6: `y` says that the client could have bound, so that a server which did offer
        // it knows that somebody in the middle has taken the offer away.
        let flag = match plus {
            Some(binding) => format!("p={}", binding.kind.name()),
            None if !auth.bindings.is_empty() && !offers_plus() => "y".to_owned(),
            None => "n".to_owned(),
        };
        let authorize_as = match credentials.authorize_as.as_str() {
            "" => String::new(),
            identity => format!("a={}", escape_name(&prepare(identity)?)),
        };
        let header = format!("{flag},{authorize_as},");
        let mut binding = header.clone().into_bytes();
        binding.extend(plus.into_iter().flat_map(|binding| binding.octets.iter()));
        Ok(Self {
            hash,
            binding,
            header,
            first: format!("n={},r={nonce}", escape_name(&user)),
            nonce,
            password: Zeroizing::new(password.as_bytes().to_vec()),
            iterations: (limits.scram_iterations_min, limits.scram_iterations_max),
            state: State::Initial,
        })
    }

    fn server_first(&mut self, challenge: &[u8]) -> Result<State, AuthError> {
        let challenge = core::str::from_utf8(challenge).map_err(|_| AuthError::Challenge)?;
        let mut attributes = challenge.split(',');
        // A mandatory extension comes first and is not known; an error is one.
        let mut next = |name: &str| match attributes.next() {
            Some(attribute) => match attribute.strip_prefix(name) {
                Some(value) => Ok(value),
                None => Err(attribute
                    .strip_prefix("e=")
                    .map_or(AuthError::Challenge, |e| {
                        AuthError::Server(text(e.as_bytes()))
                    })),
            },
            None => Err(AuthError::Challenge),
        };
        let (nonce, salt, iterations) = (next("r=")?, next("s=")?, next("i=")?);
        if !nonce.starts_with(&self.nonce)
            || nonce.len() == self.nonce.len()
            || !nonce.bytes().all(|octet| octet.is_ascii_graphic())
        {
            return Err(AuthError::ServerNonce);
        }
        let salt = STANDARD.decode(salt).map_err(|_| AuthError::Challenge)?;
        if salt.is_empty() || !iterations.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err(AuthError::Challenge);
        }
        // A number that does not fit is too large, whatever it is.
        let iterations: u32 = match iterations.parse() {
            Ok(count) => count,
            Err(_) if iterations.is_empty() => return Err(AuthError::Challenge),
            Err(_) => return Err(AuthError::Iterations(u32::MAX)),
        };
        // RFC 7677 §4 has the minimum; the maximum keeps a server from making the client compute
        // for hours.
        let (least, most) = self.iterations;
        if !(least..=most).contains(&iterations) {
            return Err(AuthError::Iterations(iterations));
        }
        let last = format!("c={},r={nonce}", STANDARD.encode(&self.binding));
        let message = format!("{},{challenge},{last}", self.first);
        let derivation = Derivation::new(self.hash, &self.password, &salt, iterations);
        Ok(State::Deriving {
            derivation: Box::new(derivation),
            message,
            last,
        })
    }

    fn server_final(&self, expected: &Digest, challenge: &[u8]) -> Result<(), AuthError> {
        let first = challenge.split(|octet| *octet == b',').next();
        let attribute = first.unwrap_or_default();
        if let Some(error) = attribute.strip_prefix(b"e=") {
            return Err(AuthError::Server(text(error)));
        }
        let signature = attribute
            .strip_prefix(b"v=")
            .and_then(|value| STANDARD.decode(value).ok())
            .ok_or(AuthError::Challenge)?;
        if expected.is(&signature) {
            Ok(())
        } else {
            Err(AuthError::Signature)
        }
    }
}

impl Exchange for Scram {
    fn initial(&mut self) -> Option<Response> {
        self.state = State::First;
        Some(join(&[self.header.as_bytes(), self.first.as_bytes()]))
    }

    fn challenge(&mut self, challenge: &[u8]) -> Result<Step, AuthError> {
        match core::mem::replace(&mut self.state, State::Failed) {
            State::First => {
                self.state = self.server_first(challenge)?;
                Ok(Step::Derive)
            }
            State::Final(signature) => {
                self.server_final(&signature, challenge)?;
                self.state = State::Verified;
                Ok(Step::Respond(Response::default()))
            }
            _ => Err(AuthError::Challenge),
        }
    }

    fn derive(&mut self, iterations: u32) -> Option<Response> {
        let State::Deriving {
            derivation,
            message,
            last,
        } = &mut self.state
        else {
            return None;
        };
        let salted = Keyed::new(self.hash, &derivation.go_on(iterations)?);
        // RFC 5802 §3.
        let client = salted.sign(&[b"Client Key"]);
        let stored = self.hash.digest(&client);
        let mut proof = Keyed::new(self.hash, &stored).sign(&[message.as_bytes()]);
        proof.xor(&client);
        let server = salted.sign(&[b"Server Key"]);
        let signature = Keyed::new(self.hash, &server).sign(&[message.as_bytes()]);
        let proof = Zeroizing::new(STANDARD.encode(&*proof));
        let response = join(&[last.as_bytes(), b",p=", proof.as_bytes()]);
        self.state = State::Final(signature);
        Some(response)
    }

    fn is_complete(&self) -> bool {
        matches!(self.state, State::Verified)
    }
}

impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scram({:?})", self.hash)
    }
}

/// RFC 5802 §5.1: a name has neither `,` nor `=` in it.
pub(super) fn escape_name(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}
