//! Zero configuration for what comes before any command: behaviour by port.
//!
//! No address and no EHLO name can ask for a fault of the greeting, of the connection or of TLS from
//! the first octet. A range of ports can: what a port does is its distance from the first one.

use crate::Plan;
use crate::behaviour::Behaviour;

/// What the port at some distance from the first one does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortFault {
    /// The distance from the first port.
    pub offset: u16,
    /// Its name.
    pub name: &'static str,
    /// What goes wrong there.
    pub plan: Plan,
    /// Whether it does TLS from the first octet.
    pub implicit_tls: bool,
}

/// Behaviours of the library, by the distance of their port.
const BEHAVIOURS: &[(u16, &str)] = &[
    (1, "connection-refused"),
    (2, "connection-blackholed"),
    (3, "greeting-never"),
    (4, "drip-greeting"),
    (5, "endless-line-greeting"),
    (6, "blank-line-before-greeting"),
    (7, "unsolicited-replies"),
    (8, "greeting-without-esmtp"),
    (9, "greeting-pix"),
    (20, "greeting-421"),
    (21, "greeting-450"),
    (22, "greeting-521"),
    (23, "greeting-554"),
    (24, "greeting-multi-line"),
    (41, "certificate-expired"),
    (42, "certificate-not-yet-valid"),
    (43, "certificate-wrong-name"),
    (44, "certificate-self-signed"),
    (45, "certificate-unknown-authority"),
    (46, "certificate-of-the-authority"),
    (47, "tls-stall"),
    (48, "tls-drip"),
    (49, "tls-plaintext-server"),
];

/// Others.
const RULES: &[(u16, &str, &str)] = &[
    (0, "healthy", ""),
    (10, "greeting-after-1s", "greeting: after 1s"),
    (11, "greeting-after-2s", "greeting: after 2s"),
    (12, "greeting-after-5s", "greeting: after 5s"),
    (13, "greeting-after-10s", "greeting: after 10s"),
    (14, "greeting-after-30s", "greeting: after 30s"),
    (15, "greeting-after-1m", "greeting: after 1m"),
    (16, "greeting-after-2m", "greeting: after 2m"),
    (17, "greeting-after-5m", "greeting: after 5m"),
    (18, "greeting-after-10m", "greeting: after 10m"),
    (30, "close-at-once", "greeting: close"),
    (31, "reset-at-once", "greeting: reset"),
    (32, "close-in-greeting", "greeting: half; close"),
    (33, "reset-in-greeting", "greeting: half; reset"),
    (34, "stall-in-greeting", "greeting: half; stall"),
    (35, "garbage-greeting", "greeting: garbage"),
    (36, "endless-greeting", "greeting: endless-lines"),
    (37, "close-after-5s", "greeting: nothing; after 5s; close"),
    (40, "implicit-tls", ""),
];

/// From here on TLS is due from the first octet.
const TLS_FROM: u16 = 40;

/// What each port does, by its distance from the first one. Distances that are not listed are free.
#[must_use]
pub fn port_faults() -> Vec<PortFault> {
    let known = BEHAVIOURS.iter().filter_map(|(offset, name)| {
        let plan = Behaviour::find(name)?.plan();
        Some((*offset, *name, plan))
    });
    let others = RULES.iter().map(|(offset, name, rules)| {
        let plan = match *rules {
            "" => Plan::healthy(),
            rules => format!("v1 | {rules}").parse().unwrap_or_default(),
        };
        (*offset, *name, plan)
    });
    let mut faults: Vec<PortFault> = known
        .chain(others)
        .map(|(offset, name, plan)| PortFault {
            offset,
            name,
            plan,
            implicit_tls: offset >= TLS_FROM,
        })
        .collect();
    faults.sort_by_key(|fault| fault.offset);
    faults
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{BEHAVIOURS, RULES, port_faults};
    use crate::net::Backend;

    #[test]
    fn every_port_has_a_plan_that_real_sockets_can_do_and_a_place_of_its_own() {
        let faults = port_faults();
        assert_eq!(faults.len(), BEHAVIOURS.len() + RULES.len());
        let offsets: BTreeSet<u16> = faults.iter().map(|fault| fault.offset).collect();
        assert_eq!(offsets.len(), faults.len());
        for fault in &faults {
            let healthy = ["healthy", "implicit-tls"].contains(&fault.name);
            assert_eq!(fault.plan.rules.is_empty(), healthy, "{}", fault.name);
            assert_eq!(Backend::Loopback.can(&fault.plan), Ok(()), "{}", fault.name);
        }
    }
}
