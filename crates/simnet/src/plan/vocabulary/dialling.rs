//! The named faults before the first octet: the look-up of the name, and the connection.

use std::time::Duration;

use super::{NamedFault, Plain, at_least, fault};

pub(super) fn resolve(scale: Duration) -> Vec<NamedFault> {
    let half = Plain(at_least(scale / 2));
    [
        fault(
            "hang",
            "the resolver never answers; the client gives up at the limit",
            false,
            "resolve: hang".to_owned(),
        ),
        fault(
            "fail",
            "there is no such name",
            false,
            "resolve: fail".to_owned(),
        ),
        fault(
            "empty",
            "the name has no address",
            false,
            "resolve: empty".to_owned(),
        ),
        fault(
            "slow",
            "the answer takes half the limit",
            true,
            format!("resolve: after {half}"),
        ),
        fault(
            "first-refused",
            "two addresses, the first refuses",
            true,
            "resolve: addresses 2 | connect#1: refuse".to_owned(),
        ),
        fault(
            "first-blackholed",
            "two addresses, the first is dead; the other is begun beside it",
            true,
            "resolve: addresses 2 | connect#1: blackhole".to_owned(),
        ),
        fault(
            "families",
            "the addresses of one family are dead; the families take turns",
            true,
            "resolve: addresses v6 v6 v4 | connect#1: blackhole | connect#2: blackhole".to_owned(),
        ),
        fault(
            "all-blackholed",
            "three dead addresses; together they use the limit once, not three times",
            false,
            "resolve: addresses 3 | connect: blackhole".to_owned(),
        ),
        fault(
            "mixed",
            "refused, dead, then alive",
            true,
            "resolve: addresses 3 | connect#1: refuse | connect#2: blackhole".to_owned(),
        ),
    ]
    .into()
}

pub(super) fn connect(scale: Duration) -> Vec<NamedFault> {
    let half = Plain(at_least(scale / 2));
    [
        fault(
            "refused",
            "nobody listens",
            false,
            "connect: refuse".to_owned(),
        ),
        fault(
            "unreachable",
            "there is no route",
            false,
            "connect: unreachable".to_owned(),
        ),
        fault(
            "blackhole",
            "the SYN vanishes; the client gives up at the limit",
            false,
            "connect: blackhole".to_owned(),
        ),
        fault(
            "slow",
            "the connection takes half the limit",
            true,
            format!("connect: after {half}"),
        ),
    ]
    .into()
}
