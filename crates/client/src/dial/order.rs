//! The order in which a name's addresses are tried.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

/// An address to try, and by which address of what stands before it, if something does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) address: SocketAddr,
    pub(super) relay: Option<SocketAddr>,
}

/// No more than `most` ways to these addresses by these relays, in whose order neither list waits for
/// the end of the other.
pub(super) fn ways(addresses: &[SocketAddr], relays: &[SocketAddr], most: usize) -> Vec<Way> {
    let sums = 0..addresses.len() + relays.len();
    sums.flat_map(|sum| {
        let ways = addresses.iter().take(sum + 1).enumerate();
        ways.filter_map(move |(at, address)| {
            let relay = relays.get(sum - at)?;
            Some(Way {
                address: *address,
                relay: Some(*relay),
            })
        })
    })
    .take(most)
    .collect()
}

/// Families in turn, beginning with the first one's (RFC 8305 §4, with a first address family
/// count of 1); within a family the resolver's order stays. Repeated addresses are left out, and no
/// more than `most` are kept: counted last, so that a long list of one family hides no other.
pub(super) fn interleave(addresses: Vec<SocketAddr>, most: usize) -> Vec<SocketAddr> {
    let mut seen = BTreeSet::new();
    let leading = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut now, mut next): (VecDeque<_>, VecDeque<_>) = addresses
        .into_iter()
        .filter(|address| seen.insert(*address))
        .partition(|address| address.is_ipv6() == leading);
    let mut order = Vec::new();
    while order.len() < most {
        let Some(address) = now.pop_front().or_else(|| next.pop_front()) else {
            break;
        };
        order.push(address);
        std::mem::swap(&mut now, &mut next);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::{interleave, ways};

    fn order(addresses: &[&str], most: usize) -> String {
        let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
        let order = interleave(addresses, most);
        let names: Vec<_> = order.iter().map(|a| a.ip().to_string()).collect();
        names.join(" ")
    }

    const MANY: [&str; 5] = [
        "[::1]:25",
        "[::2]:25",
        "[::3]:25",
        "10.0.0.1:25",
        "10.0.0.2:25",
    ];

    #[test]
    fn families_take_turns_and_the_first_one_leads() {
        assert_eq!(order(&MANY, 9), "::1 10.0.0.1 ::2 10.0.0.2 ::3");
        let four = ["10.0.0.1:25", "10.0.0.2:25", "[::1]:25"];
        assert_eq!(order(&four, 9), "10.0.0.1 ::1 10.0.0.2");
    }

    #[test]
    fn the_cap_leaves_room_for_the_other_family() {
        assert_eq!(order(&MANY, 2), "::1 10.0.0.1");
    }

    #[test]
    fn ways_by_relays_get_to_each_of_both_soon_and_to_no_pair_twice() {
        let address = |text: &&str| text.parse().unwrap();
        let addresses: Vec<_> = ["[::1]:25", "10.0.0.1:25"].iter().map(address).collect();
        let relays = ["[::7]:80", "10.0.0.7:80", "10.0.0.8:80"];
        let relays: Vec<_> = relays.iter().map(address).collect();
        let shown = |most| {
            let ways = ways(&addresses, &relays, most).into_iter();
            let shown = ways.map(|way| format!("{}>{}", way.relay.unwrap().ip(), way.address.ip()));
            shown.collect::<Vec<_>>().join(" ")
        };
        let all =
            "::7>::1 10.0.0.7>::1 ::7>10.0.0.1 10.0.0.8>::1 10.0.0.7>10.0.0.1 10.0.0.8>10.0.0.1";
        assert_eq!(shown(9), all);
        assert_eq!(shown(2), "::7>::1 10.0.0.7>::1");
        assert_eq!(ways(&addresses, &[], 9), []);
    }

    #[test]
    fn an_address_that_is_listed_twice_is_tried_once() {
        let twice = ["10.0.0.1:25", "10.0.0.1:25", "10.0.0.2:25"];
        assert_eq!(order(&twice, 9), "10.0.0.1 10.0.0.2");
        assert_eq!(order(&[], 9), "");
    }
}
