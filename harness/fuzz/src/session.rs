//! What a server says where it matters most: before TLS, and while the client authenticates.

use std::io::IoSlice;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proto::sasl::{Auth, AuthPolicy, Credentials, Mechanism};
use proto::{Bounds, Completed, Config, Limits, Reply, Security, Session};

struct Dialogue {
    session: Session,
    now: Instant,
    said: Vec<u8>,
}

impl Dialogue {
    #[expect(
        clippy::disallowed_methods,
        reason = "any instant will do for the first one"
    )]
    fn new(security: Security, ehlo: &str) -> Self {
        let now = Instant::now();
        let mut config = Config::new("me.example".parse().unwrap());
        config.security = security;
        let session = Session::open(config, Bounds::NONE, now);
        let mut dialogue = Self {
            session,
            now,
            said: Vec::new(),
        };
        dialogue.hear(b"220 mx.example ESMTP\r\n");
        dialogue.hear(ehlo.as_bytes());
        dialogue
    }

    fn hear(&mut self, octets: &[u8]) {
        self.now += Duration::from_millis(1);
        self.session.receive(octets, self.now);
        self.talk();
    }

    fn talk(&mut self) {
        loop {
            while self.session.needs_derivation() {
                self.session.derive(1_000, self.now);
            }
            let mut slices = [IoSlice::new(&[]); 4];
            let count = self.session.transmit(b"", &mut slices, self.now);
            let octets: Vec<u8> = slices[..count].iter().flat_map(|s| s.to_vec()).collect();
            if octets.is_empty() {
                return;
            }
            self.said.extend_from_slice(&octets);
            self.session.transmitted(octets.len(), b"", self.now);
        }
    }
}

const OFFER: &str = "250-mx.example\r\n250-PIPELINING\r\n250 STARTTLS\r\n";

/// Whatever stands where the reply to STARTTLS is due: TLS begins behind one whole 220 reply and
/// nothing else.
pub(crate) fn starttls(input: &[u8]) -> Result<(), String> {
    let one_reply = Reply::parse(input).is_ok_and(|reply| reply.code().get() == 220);
    for size in [input.len().max(1), 1, 5] {
        let mut dialogue = Dialogue::new(Security::StartTls, OFFER);
        let before = dialogue.said.clone();
        for segment in input.chunks(size) {
            dialogue.hear(segment);
        }
        let result = dialogue.session.take_result();
        let due = matches!(result, Some(Ok(Completed::Upgrade(_))));
        if due && !dialogue.session.is_upgrade_due() {
            return Err("TLS is promised, and not due".to_owned());
        }
        if due && !one_reply {
            return Err(format!("in pieces of {size}: TLS would begin"));
        }
        if !due && one_reply {
            return Err(format!("in pieces of {size}: TLS would not begin"));
        }
        if dialogue.said != before {
            return Err("something is said in clear behind STARTTLS".to_owned());
        }
        if due {
            dialogue.session.upgraded(dialogue.now);
            if dialogue.session.extensions().iter().count() > 0 {
                return Err("what was offered in clear is known under TLS".to_owned());
            }
        }
    }
    Ok(())
}

const PASSWORD: &str = "s3cr3tw0rd";
const NONCE: &str = "fyko+d2lbbFgONRv9qkxdawL";

/// A server that speaks the input instead of SCRAM. It has not got the password, so no call may end as
/// authenticated; and it must not learn it.
pub(crate) fn sasl(input: &[u8]) -> Result<(), String> {
    let ehlo = "250-mx.example\r\n250 AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n";
    let mut dialogue = Dialogue::new(Security::None, ehlo);
    if !matches!(
        dialogue.session.take_result(),
        Some(Ok(Completed::Ready(_)))
    ) {
        return Err("the session is not at rest".to_owned());
    }
    let mut auth = Auth::new(Credentials::password("user", PASSWORD), NONCE);
    auth.policy = AuthPolicy::new().only([Mechanism::ScramSha256]);
    let begun = dialogue
        .session
        .authenticate(auth, Bounds::NONE, dialogue.now);
    begun.map_err(|failure| format!("{failure:?}"))?;
    dialogue.talk();
    for segment in input.split_inclusive(|octet| *octet == b'\n') {
        dialogue.hear(segment);
    }
    let deadline = dialogue.session.deadline();
    let over = dialogue.session.is_over() || dialogue.session.is_idle();
    if deadline.is_none() && !over {
        return Err("a wait without a deadline".to_owned());
    }
    if let Some(Ok(completed)) = dialogue.session.take_result() {
        return Err(format!("{completed:?}"));
    }
    if dialogue.session.authenticated().is_some() {
        return Err("authenticated".to_owned());
    }
    let said = String::from_utf8_lossy(&dialogue.said).into_owned();
    let lines = said.lines().count();
    if lines > 4 + Limits::DEFAULT.auth_rounds {
        return Err(format!("{lines} lines"));
    }
    let mut words = said.split_whitespace();
    let in_clear = |word: &str| {
        let octets = STANDARD.decode(word).unwrap_or_default();
        word.contains(PASSWORD) || String::from_utf8_lossy(&octets).contains(PASSWORD)
    };
    match words.any(in_clear) {
        true => Err(format!("the password is told: {said:?}")),
        false => Ok(()),
    }
}
