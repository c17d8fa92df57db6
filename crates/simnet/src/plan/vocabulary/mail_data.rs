//! The named faults while mail data is on its way.

use std::time::Duration;

use super::{NamedFault, Plain, at_least, fault};

pub(super) fn mail_data(scale: Duration) -> Vec<NamedFault> {
    let short = Plain(at_least(scale / 100));
    let half = Plain(at_least(scale / 2));
    let eighth = Plain(at_least(scale / 8));
    let small = |rest: &str| format!("link: window 64 | data-block: {rest}");
    [
        fault(
            "zero-window",
            "the server stops reading",
            false,
            small("stop after 20"),
        ),
        fault(
            "zero-window-heals",
            "it reads on within the limit",
            true,
            small(&format!("stop after 20 heal {half}")),
        ),
        fault(
            "trickle",
            "it reads little, but often enough",
            true,
            small(&format!("trickle 4096 every {short}")),
        ),
        fault(
            "interrupt-451",
            "a refusal for now in the middle of the mail data",
            false,
            small("interrupt after 20; reply 451 4.3.0 stop; close"),
        ),
        fault(
            "interrupt-552",
            "a refusal in the middle",
            false,
            small("interrupt after 20; reply 552 5.3.4 too much; close"),
        ),
        fault(
            "interrupt-421",
            "a shutdown in the middle",
            false,
            small("interrupt after 20; reply 421 4.3.2 closing; close"),
        ),
        fault(
            "interrupt-250",
            "an acceptance of half a message can't be believed",
            false,
            small("interrupt after 20; reply 250 2.0.0 thanks; stall"),
        ),
        fault(
            "interrupt-delay",
            "a refusal in the middle that takes half the limit",
            false,
            small(&format!(
                "interrupt after 20; reply 451 4.3.0 stop; after {half}"
            )),
        ),
        fault(
            "interrupt-drip",
            "a refusal in the middle, an octet now and then",
            false,
            small(&format!(
                "interrupt after 20; reply 451 4.3.0 stop; drip {eighth}"
            )),
        ),
        fault(
            "interrupt-endless-lines",
            "reply lines without end in the middle",
            false,
            small("interrupt after 20; endless-lines"),
        ),
        fault(
            "interrupt-endless-line",
            "a line without end in the middle",
            false,
            small("interrupt after 20; endless-line"),
        ),
        fault(
            "interrupt-garbage",
            "octets that are no reply in the middle",
            false,
            small("interrupt after 20; garbage"),
        ),
        fault(
            "interrupt-half-then-silence",
            "half a reply in the middle",
            false,
            small("interrupt after 20; half; stall"),
        ),
        fault(
            "interrupt-half-then-close",
            "half a reply in the middle, then FIN",
            false,
            small("interrupt after 20; half; close"),
        ),
        fault(
            "interrupt-half-then-reset",
            "half a reply in the middle, then RST",
            false,
            small("interrupt after 20; half; reset"),
        ),
        fault(
            "close",
            "FIN in the middle",
            false,
            small("interrupt after 20; nothing; close"),
        ),
        fault(
            "half-closed",
            "FIN in the middle, from a server that goes on reading and takes the message if it comes whole",
            false,
            small("interrupt after 20; nothing; half-close"),
        ),
        fault(
            "reset",
            "RST in the middle",
            false,
            small("interrupt after 20; nothing; reset"),
        ),
    ]
    .into()
}
