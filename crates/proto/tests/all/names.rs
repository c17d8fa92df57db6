//! What has a name is found by it, and what goes wrong says so in words of its own.

use std::collections::HashSet;
use std::fmt::Display;
use std::time::Duration;

use postbound_proto::sasl::{AuthError, Credentials, Mechanism, Secret, Strength};
use postbound_proto::*;

/// Every text says something, and none the same as another.
fn all_different(texts: &[&dyn Display]) {
    let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
    let different: HashSet<&String> = texts.iter().collect();
    assert_eq!(different.len(), texts.len(), "{texts:#?}");
    assert!(texts.iter().all(|text| text.len() >= 4), "{texts:#?}");
}

#[test]
fn mechanisms_are_found_by_name_and_the_unknown_is_answered_with_the_known() {
    for mechanism in Mechanism::ALL {
        assert_eq!(mechanism.name().to_lowercase().parse(), Ok(mechanism));
        assert_eq!(format!("{mechanism:>20}").trim_start(), mechanism.name());
        assert_eq!(format!("{mechanism:>20}").len(), 20);
    }
    let unknown = "GSSAPI".parse::<Mechanism>().unwrap_err().to_string();
    assert!(
        unknown.starts_with(
            "\"GSSAPI\" is no mechanism; there are SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS,"
        ),
        "{unknown}"
    );
    assert!(unknown.ends_with(", XOAUTH2, EXTERNAL"), "{unknown}");
}

#[test]
fn what_a_mechanism_shows_and_needs() {
    let strengths: Vec<Option<Strength>> = Mechanism::ALL.map(Mechanism::strength).into();
    use Strength::{ClearText, Digest, Scram, ScramPlus};
    assert_eq!(
        strengths,
        [
            Some(ScramPlus),
            Some(ScramPlus),
            Some(Scram),
            Some(Scram),
            Some(Digest),
            Some(ClearText),
            Some(ClearText),
            None,
            None,
            None
        ]
    );
    let those = |what: fn(Mechanism) -> bool| -> Vec<&str> {
        let those = Mechanism::ALL.into_iter().filter(|it| what(*it));
        those.map(Mechanism::name).collect()
    };
    assert_eq!(
        those(Mechanism::shows_secret),
        ["PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"]
    );
    assert_eq!(
        those(Mechanism::is_bound),
        ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"]
    );
    for (credentials, fitting) in [
        (Credentials::password("me", "x"), 7),
        (Credentials::token("me", "x"), 2),
        (Credentials::external(), 1),
    ] {
        let fit = Mechanism::ALL.into_iter().filter(|it| credentials.fit(*it));
        assert_eq!(fit.count(), fitting, "{credentials:?}");
    }
    assert_eq!(Credentials::token("me", "x").user(), "me");
}

#[test]
fn secrets_are_equal_when_every_octet_is_and_say_nothing() {
    let secret = Secret::new("pencil");
    assert_eq!(secret, Secret::from("pencil".to_owned()));
    for other in ["pencik", "Pencil", "epncil", "penci", "pencils", ""] {
        assert_ne!(secret, Secret::from(other), "{other}");
        assert_ne!(Secret::from(other), secret, "{other}");
    }
    assert_eq!(secret.expose(), b"pencil");
    assert_eq!(format!("{secret:?}"), "Secret(..)");
}

#[test]
fn modes_of_security_say_what_they_are_worth() {
    let those = |what: fn(Security) -> bool| Security::ALL.map(what);
    assert_eq!(those(Security::is_required), [true, true, false, false]);
    assert_eq!(those(Security::is_starttls), [false, true, true, false]);
    let unknown = "tls".parse::<Security>().unwrap_err().to_string();
    assert_eq!(
        unknown,
        "\"tls\" is none of implicit, starttls, starttls-if-offered-insecure and none"
    );
    for security in Security::ALL {
        assert_eq!(security.to_string().parse(), Ok(security));
    }
}

#[test]
fn phases_are_listed_to_whoever_names_none() {
    let unknown = "banner".parse::<Phase>().unwrap_err().to_string();
    assert!(
        unknown.starts_with("\"banner\" is not a phase; the phases are checkout, resolve,")
            && unknown.ends_with(", quit, backoff"),
        "{unknown}"
    );
    assert_eq!(format!("{:>9}|", Phase::Mail), "     mail|");
    assert!(Phase::Resolve < Phase::Connect && Phase::Mail < Phase::Rcpt);
}

#[test]
fn every_error_of_authentication_says_something_of_its_own() {
    use AuthError::*;
    all_different(&[
        &NotOffered,
        &NoMechanism,
        &Policy,
        &ClearText,
        &Already,
        &Unencodable,
        &TooLong,
        &Nonce,
        &Provider,
        &Rounds,
        &Base64,
        &ChallengeTooLong,
        &Challenge,
        &ServerNonce,
        &Iterations(7),
        &Signature,
        &Early,
        &Server("other".to_owned()),
    ]);
    assert!(Iterations(4_095).to_string().contains("4095"));
    assert!(
        Server("no-such-user".to_owned())
            .to_string()
            .contains("no-such-user")
    );
    let callers = [
        Policy,
        ClearText,
        Already,
        Unencodable,
        TooLong,
        Nonce,
        Provider,
    ];
    assert!(callers.iter().all(AuthError::is_callers));
    let others = [NotOffered, NoMechanism, Rounds, Challenge, Signature, Early];
    assert!(!others.iter().any(AuthError::is_callers));
}

#[test]
fn every_kind_of_failure_says_something_of_its_own() {
    let second = Duration::from_secs(1);
    all_different(&[
        &FailureKind::Refused,
        &FailureKind::Protocol(ProtocolError::Early),
        &FailureKind::Protocol(ProtocolError::Unexpected),
        &FailureKind::Cancelled,
        &FailureKind::Closed,
        &FailureKind::Broken,
        &FailureKind::Source,
        &FailureKind::NotIdle,
        &FailureKind::PoolClosed,
        &FailureKind::CircuitOpen(second),
        &FailureKind::TimedOut(Limit::Phase(second)),
        &FailureKind::TimedOut(Limit::Deadline),
        &FailureKind::TimedOut(Limit::Share(second)),
        &FailureKind::TimedOut(Limit::Reserve(second)),
        &FailureKind::Tls(TlsProblem::Protocol),
        &FailureKind::Tls(TlsProblem::Alert),
        &FailureKind::Tls(TlsProblem::Plaintext),
        &FailureKind::Tls(TlsProblem::TooLarge(9)),
        &FailureKind::Auth(AuthError::Early),
    ]);
    all_different(&[
        &CertificateProblem::Expired,
        &CertificateProblem::NotYetValid,
        &CertificateProblem::WrongName,
        &CertificateProblem::UnknownIssuer,
        &CertificateProblem::Revoked,
        &CertificateProblem::WrongPurpose,
        &CertificateProblem::Invalid,
    ]);
    let expired = TlsProblem::Certificate(CertificateProblem::Expired);
    assert_eq!(expired.to_string(), "the server's certificate has expired");
    all_different(&[
        &Unsupported::Size {
            size: 2,
            maximum: 1,
        },
        &Unsupported::EightBitMime,
        &Unsupported::BinaryMime,
        &Unsupported::SmtpUtf8,
        &Unsupported::Dsn,
        &Unsupported::RequireTls,
        &Unsupported::MtPriority,
        &Unsupported::DeliverBy { minimum: None },
        &Unsupported::DeliverBy { minimum: Some(60) },
        &Unsupported::FutureRelease,
        &Unsupported::Recipients {
            recipients: 2,
            maximum: 1,
        },
        &Unsupported::RecipientDomains {
            domains: 2,
            maximum: 1,
        },
        &Unsupported::Transactions { maximum: 1 },
        &Unsupported::StartTls,
    ]);
}

#[test]
fn every_error_of_a_reply_says_something_of_its_own() {
    use ReplyError::*;
    all_different(&[
        &Code,
        &Separator,
        &MixedCodes,
        &Tls,
        &Nul,
        &BareLineEnding,
        &LineTooLong(9),
        &TooManyLines(9),
        &TooManyOctets(9),
        &NotOne,
    ]);
    assert!(LineTooLong(77).to_string().contains("77 octets"));
}

#[test]
fn outcomes_are_told_in_words() {
    let told = [Outcome::NotAccepted, Outcome::Accepted, Outcome::Ambiguous];
    assert_eq!(
        told.map(|outcome| format!("{outcome:>12}")),
        ["not accepted", "    accepted", "   ambiguous"]
    );
}
