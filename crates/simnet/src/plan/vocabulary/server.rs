//! The named faults of a reply, which every phase with a reply can have.

use std::time::Duration;

use proto::Phase;

use super::{NamedFault, Plain, SILENCE, at_least, fault};

pub(super) fn server(phase: Phase, scale: Duration) -> Vec<NamedFault> {
    let half = Plain(at_least(scale / 2));
    let drip = Plain(at_least(scale / 8));
    // A client says RSET only behind a transaction that was refused.
    let before = if phase == Phase::Reset {
        "mail#1: reply 451 4.7.1 not yet | "
    } else {
        ""
    };
    let at = |clauses: &str| format!("{before}{phase}: {clauses}");
    // Nothing that happens to QUIT, or behind its command, touches a message that was accepted.
    let quit = phase == Phase::Quit;
    // A refusal is an answer to a command that is no part of a transaction.
    let answer = phase == Phase::Command;
    let mut faults = vec![
        fault("silence", SILENCE, quit, at("nothing")),
        fault("stall", "the server stops altogether", quit, at("stall")),
        fault(
            "delay",
            "the reply takes half the limit",
            true,
            at(&format!("after {half}")),
        ),
        fault(
            "drip",
            "an octet now and then: no octet may move the deadline",
            quit,
            at(&format!("drip {drip}")),
        ),
        fault(
            "endless-lines",
            "reply lines without end; the cap ends it",
            quit,
            at("endless-lines"),
        ),
        fault(
            "endless-line",
            "a line without end; the cap strikes while it is read",
            quit,
            at("endless-line"),
        ),
        fault("garbage", "octets that are no reply", quit, at("garbage")),
        fault("half-then-silence", "half a reply", quit, at("half; stall")),
        fault(
            "half-then-close",
            "half a reply, then FIN: never taken for a whole one",
            quit,
            at("half; close"),
        ),
        fault(
            "half-then-reset",
            "half a reply, then RST",
            quit,
            at("half; reset"),
        ),
        fault("close", "FIN instead of a reply", quit, at("close")),
        fault("reset", "RST instead of a reply", quit, at("reset")),
        fault(
            "half-closed",
            "FIN instead of a reply, from a server that goes on reading",
            quit,
            at("half-close"),
        ),
        fault(
            "reply-421",
            "the server shuts down (RFC 5321 §3.8)",
            quit,
            at("reply 421 4.3.2 closing; close"),
        ),
        fault(
            "reply-5yz",
            "a refusal",
            quit || answer,
            at("reply 554 5.7.1 no"),
        ),
        fault(
            "reply-4yz",
            "a refusal for now",
            quit || answer,
            at("reply 451 4.7.1 greylisted"),
        ),
        fault(
            "reply-3yz",
            "a reply that this command can't have",
            quit || phase == Phase::DataInitiation,
            at("reply 354 what"),
        ),
        fault(
            "reply-2yz",
            "another code of success than usual",
            !matches!(
                phase,
                Phase::Greeting
                    | Phase::Ehlo
                    | Phase::StartTls
                    | Phase::Auth
                    | Phase::DataInitiation
            ),
            at("reply 252 fine"),
        ),
        fault(
            "twice",
            "the reply comes twice: a surplus that must not be taken for the next one",
            matches!(phase, Phase::DataTermination | Phase::Quit),
            at("twice"),
        ),
    ];
    if phase == Phase::DataTermination {
        faults.extend([
            fault(
                "lost-reply",
                "the message is committed and the reply never comes (RFC 1047)",
                false,
                at("commit; stall"),
            ),
            fault(
                "committed-then-close",
                "committed, then FIN",
                false,
                at("commit; close"),
            ),
            fault(
                "committed-then-half-closed",
                "committed, then FIN from a server that goes on reading",
                false,
                at("commit; half-close"),
            ),
            fault(
                "committed-then-reset",
                "committed, then RST",
                false,
                at("commit; reset"),
            ),
        ]);
    }
    faults
}
