//! The named faults of the network itself.

use std::time::Duration;

use super::{NamedFault, Plain, at_least, fault};

/// Every named fault of the network itself.
#[must_use]
pub fn link_faults(scale: Duration) -> Vec<NamedFault> {
    let (short, half) = (Plain(at_least(scale / 40)), Plain(at_least(scale / 2)));
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
    ]
    .into()
}
