//! The named faults of a proxy.

use std::time::Duration;

use super::{NamedFault, Plain, at_least, fault};
use crate::plan::ProxyKind;

/// Every named fault of a proxy that speaks this protocol and wants credentials.
#[must_use]
pub fn proxy_faults(kind: ProxyKind, scale: Duration) -> Vec<NamedFault> {
    let half = Plain(at_least(scale / 2));
    // Slower than the limit for an answer of two octets, too.
    let drip = Plain(at_least(scale * 3 / 4));
    let mut faults = Vec::new();
    for step in kind.steps() {
        let at = step.name();
        let mut add = |name, explain, harmless, what: &str| {
            faults.push(fault(
                name,
                explain,
                harmless,
                format!("proxy: {at} {what}"),
            ));
        };
        // A name for each step and kind, so that no two cells have the same.
        let names = match (kind, at) {
            (ProxyKind::Http, _) => &HTTP,
            (ProxyKind::Socks5, "method") => &METHOD,
            (ProxyKind::Socks5, "auth") => &AUTH,
            (ProxyKind::Socks5, _) => &REQUEST,
        };
        let [
            stall,
            half_answer,
            close,
            reset,
            late,
            dripped,
            garbage,
            refused,
            endless,
        ] = *names;
        add(stall, "the proxy never answers", false, "nothing; stall");
        add(
            half_answer,
            "half an answer, then silence",
            false,
            "half; stall",
        );
        add(
            close,
            "the proxy closes instead of answering",
            false,
            "nothing; close",
        );
        add(
            reset,
            "the proxy resets instead of answering",
            false,
            "nothing; reset",
        );
        add(
            late,
            "the answer takes half the limit",
            true,
            &format!("normal; after {half}"),
        );
        add(
            dripped,
            "octet by octet, past the limit",
            false,
            &format!("normal; drip {drip}"),
        );
        add(
            garbage,
            "octets that no proxy says",
            false,
            "garbage; stall",
        );
        let code = match kind {
            ProxyKind::Socks5 => 5,
            ProxyKind::Http => 503,
        };
        add(
            refused,
            "the proxy refuses",
            false,
            &format!("refuse {code}; stall"),
        );
        // The other answers of SOCKS5 have a length that can't be exceeded.
        if at == "request" {
            add(endless, "an answer without end", false, "oversized");
        }
    }
    let (early, two) = match kind {
        ProxyKind::Socks5 => ("socks5-early-octets", "socks5-early-greeting"),
        ProxyKind::Http => ("http-early-octets", "http-early-greeting"),
    };
    faults.push(fault(
        early,
        "octets that are no greeting stand behind the proxy's answer: the client takes them for the server's, and ends",
        false,
        "proxy: request early \"HTTP body\\r\\n\"".to_owned(),
    ));
    faults.push(fault(
        two,
        "the proxy greets in the server's place, and then the server does: a surplus reply",
        false,
        "proxy: request early \"220 proxy.example ESMTP\\r\\n\"".to_owned(),
    ));
    faults
}

type Names = [&'static str; 9];

macro_rules! names {
    ($at:literal) => {
        [
            concat!($at, "-silence"),
            concat!($at, "-half"),
            concat!($at, "-close"),
            concat!($at, "-reset"),
            concat!($at, "-late"),
            concat!($at, "-drip"),
            concat!($at, "-garbage"),
            concat!($at, "-refused"),
            concat!($at, "-endless"),
        ]
    };
}

const METHOD: Names = names!("socks5-method");
const AUTH: Names = names!("socks5-auth");
const REQUEST: Names = names!("socks5-request");
const HTTP: Names = names!("http-request");
