//! The network, and time.

use super::Behaviour;

const LIMITS: &str = "RFC 5321 §4.5.3.2";
const BLOCK: &str = "RFC 5321 §4.5.3.2.5";
const DRIP: &str = "one octet a second: a timer for each read never expires";
const WHOLE: &str = "gives up at a limit that holds for the whole phase and that no octet moves";

const fn new(case: u8, name: &'static str, rfc: &'static str, rules: &'static str) -> Behaviour {
    Behaviour::new(case, name, rfc, rules)
}

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    new(39, "drip-greeting", LIMITS, "greeting: drip 1s").wrong(DRIP).refuse(WHOLE),
    new(39, "drip-ehlo", LIMITS, "ehlo: drip 1s").wrong(DRIP).refuse(WHOLE),
    new(39, "drip-mail", LIMITS, "mail: drip 1s").wrong(DRIP).refuse(WHOLE),
    new(39, "drip-rcpt", LIMITS, "rcpt: drip 1s").wrong(DRIP).refuse(WHOLE),
    new(39, "drip-data-initiation", LIMITS, "data-initiation: drip 1s").wrong(DRIP).refuse(WHOLE),
    new(39, "drip-final-reply", LIMITS, "data-termination: drip 1s")
        .wrong("the final reply at one octet a second")
        .unknown("gives up at the limit for the whole of it: the message may have been taken"),
    new(39, "slow-everywhere", LIMITS, "greeting: after 1s | ehlo: after 1s | mail: after 1s | rcpt: after 1s | data-initiation: after 1s | data-termination: after 1s | quit: after 1s")
        .wrong("every reply takes a second")
        .deliver("delivers, and can say where the time went"),
    new(40, "zero-window", BLOCK, "link: window 64 | data-block: stop after 20")
        .wrong("the server stops reading in the middle of the mail data")
        .refuse("gives up when nothing can be written for the limit of a block"),
    new(40, "zero-window-heals", BLOCK, "link: window 64 | data-block: stop after 20 heal 1s")
        .wrong("the server stops reading for a second")
        .deliver("delivers"),
    new(40, "slow-drain", BLOCK, "link: window 64 | data-block: trickle 1 every 1s")
        .wrong("the server reads one octet of mail data a second: something always moves")
        .refuse("asks for a least rate, and gives up below it"),
    new(41, "dns-hang", "RFC 5321 §5.1", "resolve: hang")
        .wrong("the look-up of the server's name is never answered")
        .refuse("counts the look-up into its limits"),
    new(41, "dns-no-such-name", "RFC 5321 §5.1", "resolve: fail")
        .wrong("the server's name does not exist")
        .refuse("reports the look-up, not a connection"),
    new(41, "dns-no-address", "RFC 5321 §5.1", "resolve: empty")
        .wrong("the server's name has no address")
        .refuse("reports the look-up, not a connection"),
    new(41, "dns-many-dead-addresses", "RFC 8305 §5", "resolve: addresses 250 | connect: blackhole")
        .wrong("250 addresses, all of them dead")
        .refuse("tries so many and no more, and all of them within one limit"),
    new(41, "dns-dead-family", "RFC 8305 §5", "resolve: addresses v6 v6 v4 | connect#1: blackhole | connect#2: blackhole")
        .wrong("the addresses of one family are dead, and come first")
        .deliver("begins with the other family beside them"),
    new(41, "connection-refused", "RFC 5321 §5.1", "connect: refuse")
        .wrong("nobody listens")
        .refuse("reports it at once, at the connect phase"),
    new(41, "connection-blackholed", "RFC 5321 §5.1", "connect: blackhole")
        .wrong("the SYN vanishes")
        .refuse("gives up at the limit for connecting"),
];
