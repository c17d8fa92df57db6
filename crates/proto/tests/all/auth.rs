//! AUTH as dialogues: the vectors of the RFCs, and what hostile servers say instead.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postbound_proto::sasl::{
    Auth, AuthError, AuthPolicy, BindingKind, ChannelBinding, Credentials, Mechanism, Strength,
    nonce,
};
use postbound_proto::*;

use crate::dialogue::{at_rest, config, says};

const NONCE: &str = "fyko+d2lbbFgONRv9qkxdawL";

struct Dialogue {
    session: Session,
    now: Instant,
}

impl Dialogue {
    /// A session at rest with a server that offers these mechanisms.
    fn offering(mechanisms: &str) -> Self {
        Self::with_limits(mechanisms, Limits::DEFAULT)
    }

    fn with_limits(mechanisms: &str, limits: Limits) -> Self {
        let now = Instant::now();
        let mut config = config();
        config.limits = limits;
        let offer = format!("AUTH {mechanisms}");
        Self {
            session: at_rest(config, &[&offer], now),
            now,
        }
    }

    fn begin(&mut self, auth: Auth) {
        self.session
            .authenticate(auth, Bounds::NONE, self.now)
            .unwrap();
    }

    fn refused(&mut self, auth: Auth) -> AuthError {
        let failure = self
            .session
            .authenticate(auth, Bounds::NONE, self.now)
            .unwrap_err();
        assert_eq!(failure.phase, Phase::Auth);
        assert!(self.session.is_idle(), "nothing was sent");
        match failure.kind {
            FailureKind::Auth(error) => error,
            other => panic!("{other}"),
        }
    }

    fn hear(&mut self, reply: &str) {
        self.session.receive(reply.as_bytes(), self.now);
    }

    /// A challenge.
    fn challenge(&mut self, challenge: &str) {
        self.hear(&format!("334 {}\r\n", STANDARD.encode(challenge)));
    }

    fn say(&mut self) -> String {
        while self.session.needs_derivation() {
            self.session.derive(1_000, self.now);
        }
        says(&mut self.session, b"", self.now)
    }

    /// What it says, without base64.
    fn response(&mut self) -> String {
        let line = self.say();
        let line = line.strip_suffix("\r\n").unwrap();
        String::from_utf8(STANDARD.decode(line).unwrap()).unwrap()
    }

    fn result(&mut self) -> Result<Completed, Box<Failure>> {
        self.session.take_result().expect("the call is over")
    }

    fn accepted(&mut self) {
        assert!(matches!(self.result(), Ok(Completed::Authenticated(_))));
        assert!(self.session.is_idle() && self.session.authenticated().is_some());
    }

    /// The call failed so, and whether the connection is at rest.
    fn failed(&mut self) -> (FailureKind, bool) {
        let failure = self.result().unwrap_err();
        assert_eq!(failure.phase, Phase::Auth);
        assert_eq!(failure.outcome, Outcome::NotAccepted);
        assert!(self.session.authenticated().is_none());
        (failure.kind, self.session.is_idle())
    }
}

fn secure(credentials: Credentials) -> Auth {
    let mut auth = Auth::new(credentials, NONCE);
    auth.secure = true;
    auth
}

fn pencil() -> Auth {
    Auth::new(Credentials::password("user", "pencil"), NONCE)
}

#[test]
fn plain_is_rfc_4616s_example_and_needs_one_round_trip() {
    let mut dialogue = Dialogue::offering("LOGIN PLAIN");
    dialogue.begin(secure(Credentials::password("tim", "tanstaaftanstaaf")));
    assert_eq!(dialogue.session.phase(), Some(Phase::Auth));
    assert_eq!(
        dialogue.say(),
        format!(
            "AUTH PLAIN {}\r\n",
            STANDARD.encode("\0tim\0tanstaaftanstaaf")
        )
    );
    dialogue.hear("235 2.7.0 ok\r\n");
    dialogue.accepted();
    assert_eq!(dialogue.refused(pencil()), AuthError::Already);
}

#[test]
fn plain_says_for_whom_it_acts() {
    let mut dialogue = Dialogue::offering("PLAIN");
    let credentials = Credentials::password("Kurt", "xipj3plmq").authorize_as("Ursel");
    dialogue.begin(secure(credentials));
    let line = dialogue.say();
    let encoded = line.strip_prefix("AUTH PLAIN ").unwrap().trim_end();
    assert_eq!(STANDARD.decode(encoded).unwrap(), b"Ursel\0Kurt\0xipj3plmq");
}

#[test]
fn an_initial_response_that_is_too_long_for_the_command_line_waits_for_an_empty_challenge() {
    let mut dialogue = Dialogue::offering("PLAIN");
    let password = "p".repeat(400);
    dialogue.begin(secure(Credentials::password("tim", password.as_str())));
    assert_eq!(dialogue.say(), "AUTH PLAIN\r\n");
    dialogue.hear("334 \r\n");
    assert_eq!(dialogue.response(), format!("\0tim\0{password}"));
    dialogue.hear("235 ok\r\n");
    dialogue.accepted();

    // 512 octets with CRLF are a command line, 513 are none.
    for (length, inline) in [(367, true), (368, false)] {
        let mut dialogue = Dialogue::offering("PLAIN");
        let password = "p".repeat(length);
        dialogue.begin(secure(Credentials::password("tim", password.as_str())));
        let line = dialogue.say();
        assert_eq!(line.len() > 12, inline, "{length}: {}", line.len());
        assert!(line.len() <= 512);
    }
}

#[test]
fn a_response_has_12288_octets_with_its_end_and_no_more() {
    // Three octets are four of base64.
    for (octets, fits) in [(9_213, true), (9_214, false)] {
        let mut dialogue = Dialogue::offering("PLAIN");
        let password = "p".repeat(octets - "\0tim\0".len());
        let auth = secure(Credentials::password("tim", password.as_str()));
        if fits {
            dialogue.begin(auth);
            assert_eq!(dialogue.say(), "AUTH PLAIN\r\n");
            dialogue.hear("334 \r\n");
            assert_eq!(dialogue.response(), format!("\0tim\0{password}"));
        } else {
            assert_eq!(dialogue.refused(auth), AuthError::TooLong);
        }

        let mut dialogue = Dialogue::offering("LOGIN");
        let password = "p".repeat(octets);
        dialogue.begin(secure(Credentials::password("tim", password.as_str())));
        dialogue.say();
        dialogue.challenge("Username:");
        dialogue.say();
        dialogue.challenge("Password:");
        if fits {
            assert_eq!(dialogue.response(), password);
        } else {
            assert_eq!(dialogue.say(), "*\r\n");
            dialogue.hear("501 broken off\r\n");
            assert_eq!(
                dialogue.failed(),
                (FailureKind::Auth(AuthError::TooLong), true)
            );
        }
    }
}

#[test]
fn login_answers_two_prompts_whatever_they_say() {
    let mut dialogue = Dialogue::offering("LOGIN");
    dialogue.begin(secure(Credentials::password("tim", "tanstaaf")));
    assert_eq!(dialogue.say(), "AUTH LOGIN\r\n");
    // Some servers ask the wrong way round and mean the right one.
    dialogue.challenge("Password:");
    assert_eq!(dialogue.response(), "tim");
    dialogue.challenge("Username:");
    assert_eq!(dialogue.response(), "tanstaaf");
    dialogue.hear("235 ok\r\n");
    dialogue.accepted();
}

#[test]
fn cram_md5_is_rfc_2195s_example() {
    let mut dialogue = Dialogue::offering("CRAM-MD5 PLAIN");
    dialogue.begin(secure(Credentials::password("tim", "tanstaaftanstaaf")));
    assert_eq!(dialogue.say(), "AUTH CRAM-MD5\r\n");
    dialogue.hear("334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n");
    assert_eq!(
        dialogue.say(),
        "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\r\n"
    );
    dialogue.hear("235 ok\r\n");
    dialogue.accepted();
}

#[test]
fn scram_sha_1_is_rfc_5802s_example() {
    let mut dialogue = Dialogue::offering("PLAIN SCRAM-SHA-1");
    dialogue.begin(pencil());
    assert_eq!(
        dialogue.say(),
        format!(
            "AUTH SCRAM-SHA-1 {}\r\n",
            STANDARD.encode(format!("n,,n=user,r={NONCE}"))
        )
    );
    dialogue.challenge("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096");
    assert_eq!(
        dialogue.response(),
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
    );
    dialogue.challenge("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=");
    assert_eq!(dialogue.say(), "\r\n");
    dialogue.hear("235 ok\r\n");
    dialogue.accepted();
    assert_eq!(dialogue.session.authenticated(), Some(Mechanism::ScramSha1));
}

#[test]
fn scram_sha_256_is_rfc_7677s_example() {
    let mut dialogue = rfc_7677();
    dialogue.challenge("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    assert_eq!(dialogue.say(), "\r\n");
    dialogue.hear("235 ok\r\n");
    dialogue.accepted();
}

#[test]
fn of_a_server_s_signature_every_octet_counts() {
    let signature = STANDARD
        .decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
        .unwrap();
    let flipped = |octets: &[usize]| {
        let mut forged = signature.clone();
        for at in octets {
            forged[*at] ^= 1;
        }
        forged
    };
    for forged in [
        flipped(&[0]),
        flipped(&[31]),
        flipped(&[3, 4]),
        signature[..31].to_vec(),
        [&signature[..], b"x"].concat(),
    ] {
        let mut dialogue = rfc_7677();
        dialogue.challenge(&format!("v={}", STANDARD.encode(forged)));
        assert_eq!(dialogue.say(), "*\r\n");
        dialogue.hear("501 broken off\r\n");
        assert_eq!(
            dialogue.failed(),
            (FailureKind::Auth(AuthError::Signature), true)
        );
    }
}

/// RFC 7677 §3 up to the server's signature.
fn rfc_7677() -> Dialogue {
    let mut dialogue = Dialogue::offering("SCRAM-SHA-1 SCRAM-SHA-256");
    dialogue.begin(Auth::new(
        Credentials::password("user", "pencil"),
        "rOprNGfwEbeRWgbNEkqO",
    ));
    dialogue.say();
    dialogue.challenge(
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    );
    assert_eq!(
        dialogue.response(),
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    dialogue
}

/// The first message of SCRAM and what `c=` repeats later.
fn scram_header(mechanisms: &str, bindings: &[ChannelBinding]) -> (String, String, Vec<u8>) {
    let mut dialogue = Dialogue::offering(mechanisms);
    let mut auth = pencil();
    auth.bindings = bindings.to_vec();
    auth.secure = true;
    dialogue.begin(auth);
    let line = dialogue.say();
    let mut words = line.trim_end().split(' ').skip(1);
    let name = words.next().unwrap().to_owned();
    let first = STANDARD.decode(words.next().unwrap()).unwrap();
    dialogue.challenge(&format!("r={NONCE}server,s=QSXCR+Q6sek8bf92,i=4096"));
    let last = dialogue.response();
    let binding = last.strip_prefix("c=").unwrap().split(',').next().unwrap();
    let binding = STANDARD.decode(binding).unwrap();
    (name, String::from_utf8(first).unwrap(), binding)
}

#[test]
fn scram_plus_binds_to_the_channel_and_its_absence_is_told_where_it_could_be_a_downgrade() {
    let exporter = ChannelBinding::new(BindingKind::TlsExporter, *b"exported");
    let end_point = ChannelBinding::new(BindingKind::TlsServerEndPoint, *b"\xffhash");
    let both = "SCRAM-SHA-256 SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS";

    let (name, first, binding) = scram_header(both, &[exporter.clone(), end_point.clone()]);
    assert_eq!(name, "SCRAM-SHA-256-PLUS");
    assert!(first.starts_with("p=tls-exporter,,n=user,"));
    assert_eq!(binding, b"p=tls-exporter,,exported");

    let (name, _, binding) = scram_header("SCRAM-SHA-1-PLUS", &[end_point]);
    assert_eq!(name, "SCRAM-SHA-1-PLUS");
    assert_eq!(binding, b"p=tls-server-end-point,,\xffhash");

    // The server says it can't bind: it learns that the client could have (RFC 5802 §6).
    let (name, first, binding) = scram_header("SCRAM-SHA-256", &[exporter]);
    assert_eq!(name, "SCRAM-SHA-256");
    assert!(first.starts_with("y,,"));
    assert_eq!(binding, b"y,,");

    // Nothing to bind to.
    let (name, first, _) = scram_header(both, &[]);
    assert_eq!(name, "SCRAM-SHA-256");
    assert!(first.starts_with("n,,"));
}

#[test]
fn scram_prepares_and_escapes_names() {
    let mut dialogue = Dialogue::offering("SCRAM-SHA-256");
    let credentials = Credentials::password("a,b=c\u{2168}", "x").authorize_as("d,");
    dialogue.begin(Auth::new(credentials, NONCE));
    let line = dialogue.say();
    let first = STANDARD.decode(line.trim_end().split(' ').nth(2).unwrap());
    assert_eq!(
        String::from_utf8(first.unwrap()).unwrap(),
        format!("n,a=d=2C,n=a=2Cb=3DcIX,r={NONCE}")
    );
    let mut dialogue = Dialogue::offering("SCRAM-SHA-256");
    let error = dialogue.refused(Auth::new(Credentials::password("user", "\u{7}"), NONCE));
    assert_eq!(error, AuthError::Unencodable);
    for (user, token) in [
        ("us\u{1}er", "token"),
        ("user", "to ken"),
        ("user", "to\u{1}ken"),
    ] {
        let mut dialogue = Dialogue::offering("XOAUTH2 OAUTHBEARER");
        let error = dialogue.refused(secure(Credentials::token(user, token)));
        assert_eq!(error, AuthError::Unencodable, "{user:?} {token:?}");
    }
    assert_eq!(nonce(&[0, 1, 2]), "AAEC");
    for nonce in ["", "with,comma", "with space"] {
        let error = dialogue.refused(Auth::new(Credentials::password("user", "x"), nonce));
        assert_eq!(error, AuthError::Nonce);
    }
}

#[test]
fn xoauth2_sends_its_token_at_once_and_shows_what_the_server_says_of_it() {
    let mut dialogue = Dialogue::offering("XOAUTH2");
    let token = Credentials::token(
        "someuser@example.com",
        "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg",
    );
    dialogue.begin(secure(token));
    assert_eq!(
        dialogue.say(),
        "AUTH XOAUTH2 dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ==\r\n"
    );
    dialogue.challenge(r#"{"status":"401","schemes":"bearer","scope":"https://mail.google.com/"}"#);
    assert_eq!(dialogue.say(), "\r\n");
    dialogue.hear("535 5.7.8 no\r\n");
    let failure = dialogue.result().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert_eq!(
        failure.detail.as_deref(),
        Some(r#"{"status":"401","schemes":"bearer","scope":"https://mail.google.com/"}"#)
    );
    assert!(dialogue.session.is_idle());
}

#[test]
fn oauthbearer_is_rfc_7628s_form_and_answers_an_error_with_an_octet_1() {
    let mut dialogue = Dialogue::offering("XOAUTH2 OAUTHBEARER");
    dialogue.begin(secure(Credentials::token("user@example.com", "vF9dft4qmT")));
    let line = dialogue.say();
    let message = STANDARD.decode(line.trim_end().split(' ').nth(2).unwrap());
    assert_eq!(
        message.unwrap(),
        b"n,a=user@example.com,\x01auth=Bearer vF9dft4qmT\x01\x01"
    );
    dialogue.challenge(r#"{"status":"invalid_token"}"#);
    assert_eq!(dialogue.say(), "AQ==\r\n");
    // After an error nothing can be accepted.
    dialogue.hear("235 ok\r\n");
    assert_eq!(
        dialogue.failed(),
        (FailureKind::Auth(AuthError::Early), false)
    );
}

#[test]
fn external_says_nothing_or_for_whom() {
    let mut dialogue = Dialogue::offering("EXTERNAL PLAIN");
    dialogue.begin(secure(Credentials::external()));
    assert_eq!(dialogue.say(), "AUTH EXTERNAL =\r\n");
    dialogue.hear("235 ok\r\n");
    dialogue.accepted();
    let mut dialogue = Dialogue::offering("EXTERNAL");
    dialogue.begin(secure(Credentials::external().authorize_as("fred")));
    assert_eq!(dialogue.say(), "AUTH EXTERNAL ZnJlZA==\r\n");
}

#[test]
fn the_strongest_mechanism_is_chosen_and_no_secret_is_shown_without_tls() {
    let all = "LOGIN PLAIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256 GSSAPI X-UNKNOWN";
    let chosen = |mechanisms: &str, auth: Auth| -> Result<String, AuthError> {
        let mut dialogue = Dialogue::offering(mechanisms);
        match dialogue
            .session
            .authenticate(auth, Bounds::NONE, dialogue.now)
        {
            Ok(()) => Ok(dialogue
                .say()
                .trim_end()
                .split(' ')
                .nth(1)
                .unwrap()
                .to_owned()),
            Err(failure) => match failure.kind {
                FailureKind::Auth(error) => Err(error),
                other => panic!("{other}"),
            },
        }
    };
    let password = || Credentials::password("user", "pencil");
    let with = |secure: bool, policy: AuthPolicy| {
        let mut auth = Auth::new(password(), NONCE);
        auth.secure = secure;
        auth.policy = policy;
        auth
    };
    let policy = AuthPolicy::new;
    assert_eq!(chosen(all, with(true, policy())).unwrap(), "SCRAM-SHA-256");
    assert_eq!(
        chosen("plain login", with(true, policy())).unwrap(),
        "PLAIN"
    );
    assert_eq!(
        chosen("LOGIN PLAIN", with(false, policy())),
        Err(AuthError::ClearText)
    );
    assert_eq!(
        chosen("LOGIN CRAM-MD5", with(false, policy())).unwrap(),
        "CRAM-MD5"
    );
    let by_name = policy().allow_clear_text_without_tls();
    assert_eq!(
        chosen("LOGIN PLAIN", with(false, by_name)).unwrap(),
        "PLAIN"
    );
    let only = policy().only([Mechanism::Login, Mechanism::Plain]);
    assert_eq!(chosen(all, with(true, only)).unwrap(), "LOGIN");
    // A floor holds against a list that somebody has stripped.
    let floor = policy().floor(Strength::Scram);
    assert_eq!(
        chosen("PLAIN CRAM-MD5", with(true, floor.clone())),
        Err(AuthError::Policy)
    );
    assert_eq!(chosen(all, with(true, floor)).unwrap(), "SCRAM-SHA-256");
    assert_eq!(
        chosen("GSSAPI", with(true, policy())),
        Err(AuthError::NoMechanism)
    );
    assert_eq!(chosen("", with(true, policy())), Err(AuthError::NotOffered));
    let token = Auth::new(Credentials::token("user", "t0ken"), NONCE);
    assert_eq!(
        chosen("XOAUTH2 OAUTHBEARER", token),
        Err(AuthError::ClearText)
    );
}

#[test]
fn the_next_mechanism_follows_504_and_534_and_not_535_unless_asked() {
    for code in [504, 534] {
        let mut dialogue = Dialogue::offering("PLAIN CRAM-MD5");
        dialogue.begin(secure(Credentials::password("tim", "tanstaaf")));
        assert_eq!(dialogue.say(), "AUTH CRAM-MD5\r\n");
        dialogue.hear(&format!("{code} no\r\n"));
        assert!(dialogue.say().starts_with("AUTH PLAIN "));
        dialogue.hear("235 ok\r\n");
        dialogue.accepted();
    }
    let mut dialogue = Dialogue::offering("PLAIN LOGIN");
    dialogue.begin(secure(Credentials::password("tim", "tanstaaf")));
    dialogue.say();
    dialogue.hear("535 5.7.8 no\r\n");
    assert_eq!(dialogue.failed(), (FailureKind::Refused, true));

    let mut dialogue = Dialogue::offering("PLAIN LOGIN");
    let mut auth = secure(Credentials::password("tim", "tanstaaf"));
    auth.policy = AuthPolicy::new().try_next_after_refusal();
    dialogue.begin(auth);
    dialogue.say();
    dialogue.hear("535 5.7.8 no\r\n");
    assert_eq!(dialogue.say(), "AUTH LOGIN\r\n");
    dialogue.hear("535 5.7.8 no\r\n");
    assert_eq!(dialogue.failed(), (FailureKind::Refused, true));
}

#[test]
fn an_exchange_that_goes_wrong_is_broken_off_and_the_session_stays_in_step() {
    let first = |rest: &str| format!("r={NONCE}{rest}");
    for (challenge, error) in [
        ("334 ***\r\n".to_owned(), AuthError::Base64),
        ("334 YQ\r\n".to_owned(), AuthError::Base64),
        ("334\r\n".to_owned(), AuthError::Challenge),
        ("334-YQ==\r\n334 YQ==\r\n".to_owned(), AuthError::Challenge),
        (
            format!("334 {}\r\n", "A".repeat(2_052)),
            AuthError::ChallengeTooLong,
        ),
        (encoded("r=another,s=QSXC,i=4096"), AuthError::ServerNonce),
        (encoded(&first(",s=QSXC,i=4096")), AuthError::ServerNonce),
        (
            encoded(&first("x,s=QSXC,i=4095")),
            AuthError::Iterations(4_095),
        ),
        (encoded(&first("x,s=QSXC,i=1")), AuthError::Iterations(1)),
        (
            encoded(&first("x,s=QSXC,i=100001")),
            AuthError::Iterations(100_001),
        ),
        (
            encoded(&first("x,s=QSXC,i=2147483647")),
            AuthError::Iterations(i32::MAX as u32),
        ),
        (
            encoded(&first("x,s=QSXC,i=99999999999999")),
            AuthError::Iterations(u32::MAX),
        ),
        (encoded(&first("x,s=QSXC,i=-4096")), AuthError::Challenge),
        (encoded(&first("x,s=QSXC,i=")), AuthError::Challenge),
        (encoded(&first("x,s=,i=4096")), AuthError::Challenge),
        (encoded(&first("x,i=4096,s=QSXC")), AuthError::Challenge),
        (
            encoded(&format!("m=x,{}", first("x,s=QSXC,i=4096"))),
            AuthError::Challenge,
        ),
        (
            encoded("e=unknown-user"),
            AuthError::Server("unknown-user".to_owned()),
        ),
        (encoded("\0\r\n"), AuthError::Challenge),
    ] {
        let mut dialogue = Dialogue::offering("SCRAM-SHA-256");
        dialogue.begin(pencil());
        dialogue.say();
        dialogue.hear(&challenge);
        assert_eq!(dialogue.say(), "*\r\n", "{challenge:?}");
        dialogue.hear("501 5.7.0 broken off\r\n");
        assert_eq!(dialogue.failed(), (FailureKind::Auth(error), true));
    }
}

#[test]
fn a_challenge_has_as_many_octets_as_the_limit_says_and_no_more() {
    for (octets, answer) in [(2_048, "dGlt\r\n"), (2_052, "*\r\n")] {
        let mut dialogue = Dialogue::offering("LOGIN");
        dialogue.begin(secure(Credentials::password("tim", "tanstaaf")));
        dialogue.say();
        dialogue.hear(&format!("334 {}\r\n", "A".repeat(octets)));
        assert_eq!(dialogue.say(), answer);
    }
}

fn encoded(challenge: &str) -> String {
    format!("334 {}\r\n", STANDARD.encode(challenge))
}

/// Up to the server-final-message.
fn scram_proved() -> Dialogue {
    let mut dialogue = Dialogue::offering("SCRAM-SHA-256");
    dialogue.begin(pencil());
    dialogue.say();
    dialogue.challenge(&format!("r={NONCE}x,s=QSXCR+Q6sek8bf92,i=4096"));
    assert!(dialogue.response().starts_with("c=biws,"));
    dialogue
}

#[test]
fn a_server_that_does_not_know_the_password_is_not_believed() {
    for last in [
        "v=AAAA",
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        "v=",
    ] {
        let mut dialogue = scram_proved();
        dialogue.challenge(last);
        assert_eq!(dialogue.say(), "*\r\n");
        dialogue.hear("501 broken off\r\n");
        assert_eq!(
            dialogue.failed(),
            (FailureKind::Auth(AuthError::Signature), true)
        );
    }
    let mut dialogue = scram_proved();
    dialogue.challenge("hello");
    assert_eq!(dialogue.say(), "*\r\n");
    // A yes to `*` is a server out of step.
    dialogue.hear("235 welcome\r\n");
    assert_eq!(
        dialogue.failed(),
        (FailureKind::Auth(AuthError::Challenge), false)
    );
}

#[test]
fn a_235_before_the_end_of_the_exchange_is_no_success() {
    let early = (FailureKind::Auth(AuthError::Early), false);
    let mut dialogue = scram_proved();
    dialogue.hear("235 2.7.0 fine without a signature\r\n");
    assert_eq!(dialogue.failed(), early);
    for mechanism in ["SCRAM-SHA-256", "CRAM-MD5", "LOGIN"] {
        let mut dialogue = Dialogue::offering(mechanism);
        dialogue.begin(secure(Credentials::password("user", "pencil")));
        dialogue.say();
        dialogue.hear("235 2.7.0 welcome\r\n");
        assert_eq!(dialogue.failed(), early, "{mechanism}");
    }
    // Another code of success is none at all.
    let mut dialogue = Dialogue::offering("PLAIN");
    dialogue.begin(secure(Credentials::password("user", "pencil")));
    dialogue.say();
    dialogue.hear("250 ok\r\n");
    let unexpected = FailureKind::Protocol(ProtocolError::Unexpected);
    assert_eq!(dialogue.failed(), (unexpected, false));
}

#[test]
fn a_server_that_never_comes_to_an_end_is_left() {
    // A challenge too many, then one instead of the end.
    for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"] {
        let mut dialogue = Dialogue::offering(mechanism);
        dialogue.begin(secure(Credentials::password("user", "pencil")));
        let mut lines = 0;
        while !dialogue.session.is_over() {
            assert!(!dialogue.say().is_empty(), "{mechanism}");
            dialogue.hear("334 YWdhaW4=\r\n");
            lines += 1;
            assert!(lines <= 8, "{mechanism}");
        }
        assert!(!dialogue.failed().1, "{mechanism}: not in step any more");
    }
    // The last reply that there may be is a challenge: the password is not said any more.
    let mut limits = Limits::DEFAULT;
    limits.auth_rounds = 2;
    let mut dialogue = Dialogue::with_limits("LOGIN", limits);
    dialogue.begin(secure(Credentials::password("user", "pencil")));
    dialogue.say();
    dialogue.challenge("Username:");
    assert_eq!(dialogue.response(), "user");
    dialogue.challenge("Password:");
    assert_eq!(dialogue.say(), "");
    assert_eq!(
        dialogue.failed(),
        (FailureKind::Auth(AuthError::Rounds), false)
    );
    // Every mechanism is refused, over and over.
    let mut dialogue = Dialogue::with_limits("SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 PLAIN", limits);
    dialogue.begin(secure(Credentials::password("user", "pencil")));
    dialogue.say();
    dialogue.hear("504 no\r\n");
    dialogue.say();
    dialogue.hear("504 no\r\n");
    assert_eq!(dialogue.failed(), (FailureKind::Refused, true));
}

#[test]
fn a_key_is_derived_in_slices_under_the_limit_of_the_step() {
    let mut dialogue = Dialogue::offering("SCRAM-SHA-256");
    dialogue.begin(pencil());
    dialogue.say();
    dialogue.now += Duration::from_secs(3);
    dialogue.challenge(&format!("r={NONCE}x,s=QSXCR+Q6sek8bf92,i=100000"));
    let limit = Timeouts::default().of(Phase::Auth);
    let deadline = dialogue.now + limit;
    assert_eq!(dialogue.session.deadline(), Some(deadline));
    let mut slices = 0;
    while dialogue.session.needs_derivation() {
        dialogue.now += Duration::from_millis(1);
        dialogue.session.derive(1_000, dialogue.now);
        slices += 1;
    }
    assert_eq!(slices, 100);
    // What the derivation took is not given back.
    assert_eq!(dialogue.session.deadline(), Some(deadline));
    dialogue.say();
    dialogue.session.expire(deadline);
    let failure = dialogue.result().unwrap_err();
    assert_eq!(failure.kind, FailureKind::TimedOut(Limit::Phase(limit)));
    assert_eq!(failure.phase, Phase::Auth);

    // A reply to what is still being computed is early.
    let mut dialogue = Dialogue::offering("SCRAM-SHA-256");
    dialogue.begin(pencil());
    dialogue.say();
    dialogue.challenge(&format!("r={NONCE}x,s=QSXCR+Q6sek8bf92,i=4096"));
    dialogue.hear("235 ok\r\n");
    let early = FailureKind::Protocol(ProtocolError::Early);
    assert_eq!(dialogue.failed(), (early, false));
}

#[test]
fn a_reply_that_repeats_a_secret_is_shown_without_it() {
    let mut dialogue = Dialogue::offering("PLAIN");
    dialogue.begin(secure(Credentials::password("user", "pencil")));
    let line = dialogue.say();
    let line = line.trim_end();
    dialogue.hear(&format!(
        "500-what is {line}\r\n500 pencil and pencil pencil\r\n"
    ));
    let failure = dialogue.result().unwrap_err();
    let reply = failure.reply.unwrap().to_string();
    assert_eq!(reply, "500 what is AUTH PLAIN *** / *** and *** ***");
    // Neither does it come back later.
    dialogue.hear("500 still pencil\r\n");
    let spent = dialogue
        .session
        .reset(Bounds::NONE, dialogue.now)
        .unwrap_err();
    assert!(!format!("{spent:?}{:?}", dialogue.session).contains("pencil"));
}

#[test]
fn nothing_that_is_printed_has_a_secret_in_it() {
    let mut dialogue = Dialogue::offering("PLAIN");
    let auth = secure(Credentials::password("user", "pencil"));
    let octets = format!("{:?}", STANDARD.encode("\0user\0pencil").as_bytes());
    let octets = octets.trim_matches(['[', ']']);
    let clean = |text: String| {
        let secret = [
            "pencil".to_owned(),
            STANDARD.encode("\0user\0pencil"),
            format!("{:?}", b"pencil")
                .trim_matches(['[', ']'])
                .to_owned(),
            octets.to_owned(),
        ];
        for secret in secret {
            assert!(!text.contains(&secret), "{text}");
        }
    };
    clean(format!("{auth:?}"));
    dialogue.begin(auth);
    clean(format!("{:?} {:#?}", dialogue.session, dialogue.session));
    dialogue.say();
    clean(format!("{:?}", dialogue.session));
    dialogue.hear("535 no\r\n");
    clean(format!("{:?}", dialogue.session));
}

#[test]
fn a_session_in_debug_names_the_mechanism_and_nothing_of_it() {
    let password = || Credentials::password("user", "pencil");
    let token = || Credentials::token("user", "pencil");
    for (mechanism, credentials, name) in [
        ("PLAIN", password(), "Plain"),
        ("LOGIN", password(), "Login"),
        ("CRAM-MD5", password(), "CramMd5"),
        ("SCRAM-SHA-1", password(), "Scram(Sha1)"),
        ("SCRAM-SHA-256", password(), "Scram(Sha256)"),
        ("OAUTHBEARER", token(), "OAuthBearer"),
        ("XOAUTH2", token(), "XOAuth2"),
        ("EXTERNAL", Credentials::external(), "External"),
    ] {
        let mut dialogue = Dialogue::offering(mechanism);
        dialogue.begin(secure(credentials));
        let shown = format!("{:?}", dialogue.session);
        // Once as the mechanism's name, and once as the exchange.
        let exchange = format!(", {name}");
        assert!(shown.contains(&exchange), "{mechanism}: {shown}");
    }
    let binding = ChannelBinding::new(BindingKind::TlsExporter, *b"octets");
    assert_eq!(format!("{binding:?}"), "ChannelBinding(tls-exporter)");
    assert_eq!(binding.kind(), BindingKind::TlsExporter);
    let binding = ChannelBinding::new(BindingKind::TlsServerEndPoint, *b"octets");
    assert_eq!(
        format!("{binding:?}"),
        "ChannelBinding(tls-server-end-point)"
    );
    assert_eq!(binding.kind(), BindingKind::TlsServerEndPoint);
}

#[test]
fn after_an_error_about_a_token_nothing_is_accepted_and_no_second_one_is_heard() {
    for mechanism in ["XOAUTH2", "OAUTHBEARER"] {
        let begun = || {
            let mut dialogue = Dialogue::offering(mechanism);
            dialogue.begin(secure(Credentials::token("user@example.com", "vF9dft4qmT")));
            dialogue.say();
            dialogue.challenge("expired");
            dialogue.say();
            dialogue
        };
        let mut dialogue = begun();
        dialogue.hear("235 ok\r\n");
        assert_eq!(
            dialogue.failed(),
            (FailureKind::Auth(AuthError::Early), false)
        );
        let mut dialogue = begun();
        dialogue.challenge("expired again");
        assert_eq!(dialogue.say(), "*\r\n");
        dialogue.hear("535 no\r\n");
        let failure = dialogue.result().unwrap_err();
        assert_eq!(failure.kind, FailureKind::Auth(AuthError::Challenge));
        assert_eq!(failure.detail.as_deref(), Some("expired"), "{mechanism}");
        let mut dialogue = Dialogue::offering(mechanism);
        dialogue.begin(secure(Credentials::token("user", "token")));
        dialogue.say();
        dialogue.hear("235 ok\r\n");
        dialogue.accepted();
        // What was not said in a challenge is no detail.
        let mut dialogue = Dialogue::offering(mechanism);
        dialogue.begin(secure(Credentials::token("user", "token")));
        dialogue.say();
        dialogue.now += Duration::from_secs(2);
        dialogue.hear("535 no\r\n");
        let failure = dialogue.result().unwrap_err();
        assert_eq!(failure.detail, None);
        let mut prompted = Dialogue::offering("LOGIN");
        prompted.begin(secure(Credentials::password("user", "pencil")));
        prompted.say();
        prompted.challenge("Username:");
        prompted.say();
        prompted.hear("535 no\r\n");
        assert_eq!(prompted.result().unwrap_err().detail, None);
        let spent = failure.timings.of(Phase::Auth);
        assert_eq!(spent, Some(Duration::from_secs(2)));
    }
}

#[test]
fn a_derivation_that_nobody_waits_for_says_nothing() {
    let mut dialogue = Dialogue::offering("SCRAM-SHA-256");
    dialogue.session.derive(1_000, dialogue.now);
    dialogue.begin(pencil());
    dialogue.say();
    dialogue.session.derive(1_000, dialogue.now);
    assert_eq!(dialogue.say(), "");
    dialogue.challenge(&format!("r={NONCE}x,s=QSXCR+Q6sek8bf92,i=4096"));
    dialogue.session.cancel(dialogue.now);
    assert!(!dialogue.session.needs_derivation());
    dialogue.session.derive(5_000, dialogue.now);
    assert_eq!(dialogue.say(), "");
    assert_eq!(dialogue.failed(), (FailureKind::Cancelled, false));
}

#[test]
fn a_challenge_in_which_the_password_occurs_by_chance_is_taken_in_as_it_is() {
    let mut dialogue = Dialogue::offering("LOGIN");
    dialogue.begin(secure(Credentials::password("tim", "UGFz")));
    dialogue.say();
    dialogue.challenge("Username:");
    assert_eq!(dialogue.response(), "tim");
    // In base64 it begins with UGFz.
    dialogue.challenge("Password:");
    assert_eq!(dialogue.response(), "UGFz");
    dialogue.hear("235 ok\r\n");
    dialogue.accepted();
}
