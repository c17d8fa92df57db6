//! The named faults of the network itself.

use std::time::Duration;

use super::{NamedFault, Plain, at_least, fault};

/// Every named fault of the network itself.
#[must_use]
pub fn link_faults(scale: Duration) -> Vec<NamedFault> {
    let (short, half) = (Plain(at_least(scale / 40)), Plain(at_least(scale / 2)));
    let drip = Plain(at_least(scale / 8));
    [
        fault(
            "latency",
            "a slow link; nothing but time is lost",
            true,
            format!("link: latency {short}"),
        ),
        fault(
            "fragment",
            "one octet at a time, both ways",
            true,
            "link: fragment 1".to_owned(),
        ),
        fault(
            "fragment-replies",
            "replies come in pieces",
            true,
            "link: fragment 3 to-client".to_owned(),
        ),
        fault(
            "split-greeting",
            "the greeting comes in pieces that end within its reply code and within its CRLF",
            true,
            "link: split after 2 25 to-client".to_owned(),
        ),
        fault(
            "coalesce",
            "octets are held back and come together",
            true,
            format!("link: coalesce {short}"),
        ),
        fault(
            "small-window",
            "the path takes few octets at once",
            true,
            "link: window 16".to_owned(),
        ),
        fault(
            "blackhole",
            "everything vanishes from the first octet on; the greeting never comes",
            false,
            "link: blackhole after 1ms | greeting: after 5ms".to_owned(),
        ),
        fault(
            "blackhole-one-way",
            "what the client says never arrives",
            false,
            "link: blackhole after 1ms to-server | greeting: after 5ms".to_owned(),
        ),
        fault(
            "blackhole-heals",
            "an outage that ends within the limit",
            true,
            format!("link: blackhole after 3ms heal {half}"),
        ),
        fault(
            "stall-at-octet",
            "from an octet of the greeting on nothing comes",
            false,
            "link: at octet 12 to-client stall".to_owned(),
        ),
        fault(
            "close-at-octet",
            "FIN in the place of an octet of the greeting",
            false,
            "link: at octet 12 to-client close".to_owned(),
        ),
        fault(
            "reset-at-octet",
            "RST in the place of an octet of the greeting",
            false,
            "link: at octet 12 to-client reset".to_owned(),
        ),
        fault(
            "flip-at-octet",
            "a bit of the greeting's reply code is flipped",
            false,
            "link: at octet 1 to-client corrupt".to_owned(),
        ),
        fault(
            "drip-at-octet",
            "from an octet of the greeting on one comes now and then: no octet may move the deadline",
            false,
            format!("link: at octet 12 to-client drip {drip}"),
        ),
        fault(
            "stall-at-octet-to-server",
            "from an octet of EHLO on nothing arrives",
            false,
            "link: at octet 8 to-server stall".to_owned(),
        ),
        fault(
            "shut-at-octet-to-server",
            "from an octet of EHLO on nothing is taken",
            false,
            "link: at octet 8 to-server shut".to_owned(),
        ),
        fault(
            "close-at-octet-to-server",
            "the server sees FIN in the place of an octet of EHLO, and hangs up",
            false,
            "link: at octet 8 to-server close".to_owned(),
        ),
        fault(
            "reset-at-octet-to-server",
            "RST at both ends, in the place of an octet of EHLO",
            false,
            "link: at octet 8 to-server reset".to_owned(),
        ),
    ]
    .into()
}
