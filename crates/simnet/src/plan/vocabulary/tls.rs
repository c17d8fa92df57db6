//! The named faults of a TLS handshake.

use std::time::Duration;

use super::{NamedFault, Plain, SILENCE, at_least, fault};

/// They act where client and server do TLS, from the first octet or by STARTTLS.
pub(super) fn tls(scale: Duration) -> Vec<NamedFault> {
    let (short, half) = (Plain(at_least(scale / 40)), Plain(at_least(scale / 2)));
    let (drip, late) = (Plain(at_least(scale / 100)), Plain(at_least(scale * 2)));
    let tls = |rest: &str| format!("tls-handshake: {rest}");
    let refused = "a certificate that shows nothing: refused before anything is said";
    [
        fault("stall", SILENCE, false, tls("stall")),
        fault(
            "stall-midway",
            "silence in the middle of it",
            false,
            tls("stall at 200"),
        ),
        fault("close", "FIN instead of a handshake", false, tls("close")),
        fault(
            "close-midway",
            "FIN in the middle of it",
            false,
            tls("close at 200"),
        ),
        fault("reset", "RST instead of a handshake", false, tls("reset")),
        fault(
            "reset-midway",
            "RST in the middle of it",
            false,
            tls("reset at 200"),
        ),
        fault(
            "corrupt",
            "an octet is turned over on its way",
            false,
            tls("corrupt at 200"),
        ),
        fault(
            "delay",
            "the handshake takes half the limit",
            true,
            tls(&format!("after {half}")),
        ),
        fault(
            "late",
            "the handshake comes after the limit",
            false,
            tls(&format!("after {late}")),
        ),
        fault(
            "drip",
            "an octet now and then: no octet may move the deadline",
            false,
            tls(&format!("drip {drip}")),
        ),
        fault(
            "tiny-records",
            "records of 32 octets",
            true,
            tls("tiny-records"),
        ),
        fault(
            "endless",
            "a handshake without end; the cap ends it",
            false,
            tls("endless"),
        ),
        fault(
            "plaintext",
            "a reply in plaintext where TLS is due",
            false,
            tls("plaintext"),
        ),
        fault(
            "inject",
            "replies in clear before it, to be taken for the server's word under TLS",
            false,
            tls(r#"inject "250-evil\r\n250 AUTH PLAIN\r\n""#),
        ),
        fault(
            "inject-fragment",
            "the same, half a line",
            false,
            tls(r#"inject "250-SMTPUTF8 X ""#),
        ),
        fault(
            "inject-late",
            "the same, behind the client's first octets",
            false,
            tls(&format!(r#"inject "250 x\r\n" after {short}"#)),
        ),
        fault(
            "drop",
            "the connection is cut behind the greeting",
            false,
            tls("drop after 100"),
        ),
        fault(
            "alert",
            "a fatal alert behind the greeting",
            false,
            tls("alert after 30"),
        ),
        fault(
            "no-close-notify",
            "half a final reply, and an end that anybody could have made",
            false,
            format!(
                "{} | data-termination: commit; half; close",
                tls("no-close-notify")
            ),
        ),
        fault("expired", refused, false, tls("certificate expired")),
        fault(
            "not-yet-valid",
            refused,
            false,
            tls("certificate not-yet-valid"),
        ),
        fault("wrong-name", refused, false, tls("certificate wrong-name")),
        fault(
            "self-signed",
            refused,
            false,
            tls("certificate self-signed"),
        ),
        fault(
            "unknown-authority",
            refused,
            false,
            tls("certificate unknown-authority"),
        ),
        fault(
            "authority-itself",
            refused,
            false,
            tls("certificate authority-itself"),
        ),
        fault(
            "huge-chain",
            "more certificates than TLS allows",
            false,
            tls("certificate huge-chain"),
        ),
    ]
    .into()
}
