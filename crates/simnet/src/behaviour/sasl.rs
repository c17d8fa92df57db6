//! In the middle of an AUTH exchange.

use super::Behaviour;

const EXCHANGE: &str = "RFC 4954 §4";
const SCRAM: &str = "RFC 5802 §5";
const ITERATIONS: &str = "RFC 5802 §5.1, RFC 7677 §4";
const BREAKS_OFF: &str = "breaks the exchange off, and reports AUTH";

const fn new(case: u8, name: &'static str, rfc: &'static str, rules: &'static str) -> Behaviour {
    Behaviour::new(case, name, rfc, rules).auth("SCRAM-SHA-256")
}

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    new(34, "auth-endless-challenges", EXCHANGE, "auth: reply 334 YWdhaW4=")
        .wrong("one challenge after the other, also behind the `*` that breaks off")
        .refuse("ends after a few rounds"),
    new(34, "auth-challenge-behind-proof", EXCHANGE, "auth#3: reply 334 YWdhaW4=")
        .wrong("another challenge where the exchange is over")
        .refuse(BREAKS_OFF),
    new(34, "auth-success-at-once", SCRAM, "auth#1: reply 235 2.7.0 welcome")
        .wrong("success before anything was proved: a server that does not know the password")
        .refuse("does not believe a success without the server's own proof"),
    new(35, "auth-no-base64", EXCHANGE, "auth#1: reply 334 ***")
        .wrong("a challenge that is no base64")
        .refuse("breaks off with `*` and stays in step"),
    new(35, "auth-334-without-blank", EXCHANGE, r#"auth#1: raw "334\r\n""#)
        .wrong("a challenge of nothing, without the blank")
        .refuse(BREAKS_OFF),
    new(35, "auth-oversize-challenge", EXCHANGE, "auth#1: oversize")
        .wrong("a challenge longer than any mechanism has")
        .refuse("ends at a cap, before it decodes"),
    new(35, "auth-control-octets", EXCHANGE, "auth#1: reply 334 AA0KAA==")
        .wrong("a challenge that decodes to NUL and line endings")
        .refuse(BREAKS_OFF),
    new(36, "scram-one-iteration", ITERATIONS, "auth: iterations 1")
        .wrong("one iteration: a proof from which the password is easy to guess")
        .refuse("asks for 4096 at least, and proves nothing to this server"),
    new(36, "scram-two-billion-iterations", ITERATIONS, "auth: iterations 2147483647")
        .wrong("two thousand million iterations: hours of work for the client")
        .refuse("has a most, and refuses before it begins to compute"),
    new(37, "scram-wrong-nonce", SCRAM, "auth: wrong-nonce")
        .wrong("a nonce that does not begin with the client's: a replay")
        .refuse(BREAKS_OFF),
    new(37, "scram-bad-signature", SCRAM, "auth: bad-signature")
        .wrong("the signature of somebody who does not know the password")
        .refuse("reports that the server is not the one"),
    new(37, "scram-unsigned-success", SCRAM, "auth#2: reply 235 2.7.0 welcome")
        .wrong("success without the server's signature")
        .refuse("does not believe it"),
    new(37, "xoauth2-error-challenge", "RFC 7628 §3.2.3", "auth#1: reply 334 eyJzdGF0dXMiOiI0MDEifQ==")
        .wrong("the refusal of a token comes as a challenge with JSON in it")
        .refuse("answers with nothing, as the mechanism wants, and reports the refusal")
        .auth("XOAUTH2"),
    new(38, "auth-downgrade-to-plain", "RFC 4954 §9", r#"ehlo: reply 250 "double.example\nAUTH PLAIN LOGIN""#)
        .wrong("somebody on the way has left only the mechanisms that say the password")
        .refuse("says no password where a proof was asked for"),
    new(38, "auth-garbled-list", "RFC 4954 §3", r#"ehlo: reply 250 "double.example\nAUTH SCRAM-SHA-256x XSCRAM-SHA-256 SCRAM_SHA_256 NTLM GSSAPI KERBEROS_V4 SKEY OTP SECURID SRP PASSDSS-3DES-1 9798-U-RSA-SHA1-ENC \x00 =""#)
        .wrong("a list of mechanisms with names that are nearly right, unknown, or no names")
        .refuse("uses none of them"),
    new(43, "auth-echo", EXCHANGE, "auth: echo")
        .wrong("the refusal repeats what the client said")
        .refuse("keeps what it said out of its errors and logs, also where the server says it"),
];
