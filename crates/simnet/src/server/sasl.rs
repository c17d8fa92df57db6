//! The server's side of the SASL mechanisms, and how it can misbehave in them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use proto::sasl::{Mechanism, Secret};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::plan::SaslFault;

/// Somebody whom the double knows. The secret serves as password and as token.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    user: String,
    secret: Secret,
}

impl Account {
    /// A user with a secret.
    #[must_use]
    pub fn new(user: impl Into<String>, secret: impl Into<Secret>) -> Self {
        Self {
            user: user.into(),
            secret: secret.into(),
        }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({:?})", self.user)
    }
}

/// What follows from a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Challenge(Vec<u8>),
    Accepted,
    Refused,
    /// The response is not the mechanism's: the client's mistake.
    Malformed,
}

/// SCRAM iterations that the double asks for: RFC 7677's minimum.
const ITERATIONS: u32 = 4096;
/// More are not computed: the plan asks for them to see the client refuse.
const MOST_ITERATIONS: u32 = 200_000;
const SALT: &[u8] = b"a salt of sixteen";

pub(super) struct Exchange<'a> {
    mechanism: Mechanism,
    accounts: &'a [Account],
    /// What is new in each exchange, and yet the same in each run.
    nonce: String,
    /// What a -PLUS mechanism is bound to here.
    bindings: Vec<(&'static str, Vec<u8>)>,
    state: State<'a>,
}

enum State<'a> {
    Begin,
    /// LOGIN's user was given.
    User(Vec<u8>),
    /// CRAM-MD5's challenge was said.
    Challenged(Vec<u8>),
    /// An OAuth error was shown.
    Shown,
    /// SCRAM's server-first-message was said.
    First(Box<First<'a>>),
    /// SCRAM's signature was said.
    Signed,
    Over,
}

struct First<'a> {
    account: &'a Account,
    header: Vec<u8>,
    nonce: String,
    iterations: u32,
    /// `client-first-message-bare,server-first-message`.
    messages: String,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(
        mechanism: Mechanism,
        accounts: &'a [Account],
        nonce: String,
        bindings: Vec<(&'static str, Vec<u8>)>,
    ) -> Self {
        Self {
            mechanism,
            accounts,
            nonce,
            bindings,
            state: State::Begin,
        }
    }

    /// Takes in a response; `None` is an AUTH command without one.
    pub(super) fn step(&mut self, response: Option<&[u8]>, fault: Option<&SaslFault>) -> Verdict {
        let state = std::mem::replace(&mut self.state, State::Over);
        let Some(response) = response else {
            return self.prompt();
        };
        let verdict = match (self.mechanism, state) {
            (Mechanism::Plain, State::Begin) => self.plain(response),
            (Mechanism::Login, State::Begin) => {
                self.state = State::User(response.to_vec());
                Some(Verdict::Challenge(b"Password:".to_vec()))
            }
            (Mechanism::Login, State::User(user)) => Some(self.check(&user, response)),
            (Mechanism::CramMd5, State::Challenged(challenge)) => {
                self.cram_md5(&challenge, response)
            }
            (Mechanism::External, State::Begin) => Some(Verdict::Accepted),
            (Mechanism::XOAuth2, State::Begin) => self.token(response, b"user=", b"\x01"),
            (Mechanism::OAuthBearer, State::Begin) => self.token(response, b"n,a=", b",\x01"),
            (Mechanism::XOAuth2, State::Shown) => response.is_empty().then_some(Verdict::Refused),
            (Mechanism::OAuthBearer, State::Shown) => {
                (response == b"\x01").then_some(Verdict::Refused)
            }
            (_, State::Begin) => self.scram_first(response, fault),
            (_, State::First(first)) => self.scram_final(&first, response, fault),
            (_, State::Signed) => response.is_empty().then_some(Verdict::Accepted),
            _ => Some(Verdict::Refused),
        };
        verdict.unwrap_or(Verdict::Malformed)
    }

    /// What is said to a client that has said nothing yet.
    fn prompt(&mut self) -> Verdict {
        let challenge = match self.mechanism {
            Mechanism::Login => b"Username:".to_vec(),
            Mechanism::CramMd5 => format!("<{}@double.example>", self.nonce).into_bytes(),
            _ => Vec::new(),
        };
        self.state = match self.mechanism {
            Mechanism::CramMd5 => State::Challenged(challenge.clone()),
            _ => State::Begin,
        };
        Verdict::Challenge(challenge)
    }

    fn account(&self, user: &[u8]) -> Option<&'a Account> {
        self.accounts
            .iter()
            .find(|account| account.user.as_bytes() == user)
    }

    fn check(&self, user: &[u8], secret: &[u8]) -> Verdict {
        match self.account(user) {
            Some(account) if account.secret.expose() == secret => Verdict::Accepted,
            _ => Verdict::Refused,
        }
    }

    fn plain(&self, response: &[u8]) -> Option<Verdict> {
        let mut parts = response.split(|octet| *octet == 0);
        let (_, user, password) = (parts.next()?, parts.next()?, parts.next()?);
        parts.next().is_none().then(|| self.check(user, password))
    }

    fn cram_md5(&self, challenge: &[u8], response: &[u8]) -> Option<Verdict> {
        let at = response.iter().rposition(|octet| *octet == b' ')?;
        let (user, digest) = (response.get(..at)?, response.get(at + 1..)?);
        let Some(account) = self.account(user) else {
            return Some(Verdict::Refused);
        };
        let expected: String = mac::<Hmac<Md5>>(account.secret.expose(), &[challenge])?
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        Some(if digest == expected.as_bytes() {
            Verdict::Accepted
        } else {
            Verdict::Refused
        })
    }

    fn token(&mut self, response: &[u8], before: &[u8], between: &[u8]) -> Option<Verdict> {
        let rest = response.strip_prefix(before)?;
        let middle = [between, b"auth=Bearer "].concat();
        let at = rest.windows(middle.len()).position(|at| at == middle)?;
        let user = rest.get(..at)?;
        let token = rest.get(at + middle.len()..)?.strip_suffix(b"\x01\x01")?;
        if self.check(user, token) == Verdict::Accepted {
            return Some(Verdict::Accepted);
        }
        self.state = State::Shown;
        let error = br#"{"status":"401","schemes":"bearer","scope":"mail"}"#;
        Some(Verdict::Challenge(error.to_vec()))
    }

    fn scram_first(&mut self, response: &[u8], fault: Option<&SaslFault>) -> Option<Verdict> {
        let text = std::str::from_utf8(response).ok()?;
        let mut parts = text.splitn(3, ',');
        let (flag, identity, bare) = (parts.next()?, parts.next()?, parts.next()?);
        let mut attributes = bare.split(',');
        let user = attributes.next()?.strip_prefix("n=")?;
        let user = user.replace("=2C", ",").replace("=3D", "=");
        let theirs = attributes.next()?.strip_prefix("r=")?;
        let mut header = format!("{flag},{identity},").into_bytes();
        match (flag.strip_prefix("p="), self.mechanism.is_bound()) {
            (Some(kind), true) => {
                let Some((_, octets)) = self.bindings.iter().find(|(name, _)| *name == kind) else {
                    return Some(Verdict::Refused);
                };
                header.extend_from_slice(octets);
                if fault == Some(&SaslFault::WrongBinding) {
                    header.push(0);
                }
            }
            // RFC 5802 §6: the client could bind, and is told that the server can't: a downgrade.
            (None, false) if flag == "y" && !self.bindings.is_empty() => {
                return Some(Verdict::Refused);
            }
            (None, false) if matches!(flag, "n" | "y") => {}
            _ => return None,
        }
        let Some(account) = self.account(user.as_bytes()) else {
            return Some(Verdict::Refused);
        };
        let (nonce, iterations) = match fault {
            Some(SaslFault::WrongNonce) => (format!("wrong{}", self.nonce), ITERATIONS),
            Some(SaslFault::Iterations(count)) => (format!("{theirs}{}", self.nonce), *count),
            _ => (format!("{theirs}{}", self.nonce), ITERATIONS),
        };
        let said = format!("r={nonce},s={},i={iterations}", STANDARD.encode(SALT));
        self.state = State::First(Box::new(First {
            account,
            header,
            nonce,
            iterations,
            messages: format!("{bare},{said}"),
        }));
        Some(Verdict::Challenge(said.into_bytes()))
    }

    fn scram_final(
        &mut self,
        first: &First<'_>,
        response: &[u8],
        fault: Option<&SaslFault>,
    ) -> Option<Verdict> {
        let text = std::str::from_utf8(response).ok()?;
        let (without_proof, proof) = text.rsplit_once(",p=")?;
        let mut attributes = without_proof.split(',');
        let binding = STANDARD
            .decode(attributes.next()?.strip_prefix("c=")?)
            .ok()?;
        let nonce = attributes.next()?.strip_prefix("r=")?;
        let proof = STANDARD.decode(proof).ok()?;
        if binding != first.header || nonce != first.nonce || first.iterations > MOST_ITERATIONS {
            return Some(Verdict::Refused);
        }
        let message = format!("{},{without_proof}", first.messages);
        let secret = first.account.secret.expose();
        let (proves, signature) = match self.mechanism {
            Mechanism::ScramSha1 | Mechanism::ScramSha1Plus => {
                let mut salted = [0; 20];
                pbkdf2::pbkdf2_hmac::<Sha1>(secret, SALT, first.iterations, &mut salted);
                prove::<Hmac<Sha1>>(&salted, &message, &proof, |key| Sha1::digest(key).to_vec())?
            }
            _ => {
                let mut salted = [0; 32];
                pbkdf2::pbkdf2_hmac::<Sha256>(secret, SALT, first.iterations, &mut salted);
                prove::<Hmac<Sha256>>(&salted, &message, &proof, |key| {
                    Sha256::digest(key).to_vec()
                })?
            }
        };
        if !proves {
            return Some(Verdict::Refused);
        }
        self.state = State::Signed;
        let signature = match fault {
            Some(SaslFault::BadSignature) => vec![0; signature.len()],
            _ => signature,
        };
        let last = format!("v={}", STANDARD.encode(signature));
        Some(Verdict::Challenge(last.into_bytes()))
    }
}

fn mac<M: KeyInit + Mac>(key: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac.finalize().into_bytes().to_vec())
}

/// Whether the client's proof is right, and the server's own (RFC 5802 §3).
fn prove<M: KeyInit + Mac>(
    salted: &[u8],
    message: &str,
    proof: &[u8],
    hash: impl Fn(&[u8]) -> Vec<u8>,
) -> Option<(bool, Vec<u8>)> {
    let client = mac::<M>(salted, &[b"Client Key"])?;
    let signature = mac::<M>(&hash(&client), &[message.as_bytes()])?;
    let expected: Vec<u8> = client.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
    let server = mac::<M>(salted, &[b"Server Key"])?;
    Some((expected == proof, mac::<M>(&server, &[message.as_bytes()])?))
}
