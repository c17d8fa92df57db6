//! The named faults of an AUTH exchange.

use super::{NamedFault, fault};

/// What can go wrong in an exchange. The client of these cases speaks SCRAM, where most can.
pub(super) fn auth() -> Vec<NamedFault> {
    let faults: [(_, _, bool, &str); 14] = [
        (
            "reply-504",
            "the mechanism is not known after all, and there is no other",
            false,
            "auth: reply 504 5.5.4 no such mechanism",
        ),
        (
            "refused-late",
            "the credentials are refused at the proof",
            false,
            "auth#2: reply 535 5.7.8 no",
        ),
        (
            "no-base64",
            "a challenge that is no base64; the client breaks off and stays in step",
            false,
            "auth#1: reply 334 ***",
        ),
        (
            "empty-challenge",
            "a challenge with nothing in it",
            false,
            "auth#1: reply 334",
        ),
        (
            "endless-challenges",
            "one challenge after the other, also behind `*`",
            false,
            "auth: reply 334 YWdhaW4=",
        ),
        (
            "oversize-challenge",
            "a challenge that is too long to be looked at",
            false,
            "auth#1: oversize",
        ),
        (
            "wrong-nonce",
            "a nonce that does not begin with the client's",
            false,
            "auth: wrong-nonce",
        ),
        (
            "few-iterations",
            "a proof that would be easy to guess from",
            false,
            "auth: iterations 1",
        ),
        (
            "most-iterations",
            "as many iterations as a careful server wants",
            true,
            "auth: iterations 20000",
        ),
        (
            "too-many-iterations",
            "two thousand million iterations: hours of work",
            false,
            "auth: iterations 2147483647",
        ),
        (
            "bad-signature",
            "a server that does not know the password",
            false,
            "auth: bad-signature",
        ),
        (
            "success-at-once",
            "accepted before anything was proved",
            false,
            "auth#1: reply 235 2.7.0 welcome",
        ),
        (
            "success-unsigned",
            "accepted without the server's own proof",
            false,
            "auth#2: reply 235 2.7.0 welcome",
        ),
        (
            "echo",
            "the refusal repeats what the client said: it must not get into an error",
            false,
            "auth: echo",
        ),
    ];
    faults
        .into_iter()
        .map(|(name, explain, harmless, rules)| fault(name, explain, harmless, rules.to_owned()))
        .collect()
}
