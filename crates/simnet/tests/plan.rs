//! Plans as text: they round-trip, and what is wrong with one is said with its place.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has to fail"
)]

use std::time::Duration;

use postbound_simnet::Plan;
use postbound_simnet::plan::{
    ConnectFault, Direction, Family, IntakeFault, LinkFault, Pace, ResolveFault, Rule, Say,
    ServerFault, Then, vocabulary,
};
use proptest::prelude::*;
use proto::Phase;

fn error(text: &str) -> String {
    text.parse::<Plan>().unwrap_err().to_string()
}

#[test]
fn a_file_is_read_and_shown_in_its_canonical_form() {
    let text = "# greylisting\npostbound-plan v1\n\n  rcpt#2: reply 451 4.7.1 greylisted; after 2000ms\ndata-termination: stall\nlink: fragment 1 both\n";
    let plan: Plan = text.parse().unwrap();
    assert_eq!(
        plan.to_string(),
        "postbound-plan v1\nrcpt#2: reply 451 4.7.1 greylisted; after 2s\ndata-termination: stall\nlink: fragment 1\n"
    );
    assert_eq!(
        plan.one_line(),
        "v1 | rcpt#2: reply 451 4.7.1 greylisted; after 2s | data-termination: stall | link: fragment 1"
    );
}

#[test]
fn clauses_have_the_meaning_that_they_read_as() {
    let fault = |clauses: &str| -> ServerFault {
        match &format!("v1 | rcpt: {clauses}")
            .parse::<Plan>()
            .unwrap()
            .rules[..]
        {
            [Rule::Server { fault, .. }] => fault.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        fault("stall"),
        ServerFault::say(Say::Nothing).then(Then::Stall)
    );
    assert_eq!(
        fault("close"),
        ServerFault::say(Say::Nothing).then(Then::Close)
    );
    assert_eq!(
        fault("normal; close"),
        ServerFault::say(Say::Normal).then(Then::Close)
    );
    assert_eq!(
        fault("drip 1s"),
        ServerFault::say(Say::Normal).pace(Pace::Drip(Duration::from_secs(1)))
    );
    assert_eq!(
        fault(r#"reply 250 "a; b\nc""#),
        ServerFault::reply(250, "a; b\nc")
    );
    assert_eq!(
        fault(r#"raw "\x00\r\n\"""#),
        ServerFault::say(Say::Raw(b"\0\r\n\"".to_vec()))
    );
}

#[test]
fn what_is_wrong_is_said_with_line_and_column() {
    assert_eq!(
        error(""),
        "line 1, column 1: expected the version line, postbound-plan v1, found the end of the line"
    );
    assert_eq!(
        error("rcpt: stall"),
        "line 1, column 1: expected the version line, postbound-plan v1, found \"rcpt:\""
    );
    assert_eq!(
        error("postbound-plan v2\nrcpt: stall"),
        "line 1, column 16: expected v1, the only version of plans that there is, found \"v2\""
    );
    assert!(
        error("postbound-plan v1\nrcpt: replay 451")
            .starts_with("line 2, column 7: expected normal, reply CODE [TEXT],")
    );
    assert!(
        error("postbound-plan v1\nbanner: stall")
            .starts_with("line 2, column 1: expected a place: link, proxy, resolve,")
    );
    assert_eq!(
        error("v1 | rcpt: reply 999 x"),
        "line 1, column 18: expected a reply code from 200 to 559, found \"999\""
    );
    assert_eq!(
        error("v1 | rcpt: after 2"),
        "line 1, column 18: expected a time such as 250ms, 2s, 5m or 1h, found \"2\""
    );
    assert!(error("v1 | rcpt: close; reset").contains("expected one clause each"));
    assert!(error("v1 | rcpt: commit").contains("only data-termination can"));
    assert!(error("v1 | rcpt#0: stall").contains("a number from 1 to 65535"));
    for own in ["checkout", "backoff"] {
        assert!(error(&format!("v1 | {own}: stall")).contains("the client waits for itself"));
    }
    assert!(error("v1 | tls-handshake: stal").contains("stall, close, reset or corrupt"));
    assert!(error("v1 | tls-handshake#2: stall").contains("the place without a number"));
    assert!(error("v1 | tls-handshake: certificate bad").contains("not-yet-valid, wrong-name"));
    assert!(error("v1 | connect: stall").contains("refuse, unreachable, blackhole or after TIME"));
    assert!(
        error("postbound-plan v1\nrcpt: stall now")
            .starts_with("line 2, column 13: expected the end of the line")
    );
    assert!(error("v1 | link: latency 25h").contains("at most 24h"));
    assert!(error(r#"v1 | mail: raw "abc"#).contains("a closing quote"));
}

#[test]
fn every_named_fault_is_a_plan_and_no_phase_of_this_release_is_without() {
    for phase in Phase::ALL {
        let faults = vocabulary::faults(phase, Duration::from_secs(10));
        let reached = !matches!(phase, Phase::Checkout | Phase::Backoff);
        assert_eq!(!faults.is_empty(), reached, "{phase}");
        for fault in faults {
            assert!(!fault.plan.rules.is_empty(), "{phase}/{}", fault.name);
            assert_eq!(
                fault.plan.to_string().parse::<Plan>().as_ref(),
                Ok(&fault.plan)
            );
        }
    }
    assert!(
        vocabulary::link_faults(Duration::from_secs(10))
            .iter()
            .all(|f| !f.plan.rules.is_empty())
    );
}

#[test]
fn wherever_the_server_can_speak_every_way_of_going_wrong_has_a_name() {
    for phase in Phase::ALL {
        // Replies in the middle of mail data, where none is due, are interruptions.
        let (prefix, ways): (_, &[&str]) = match phase {
            Phase::Checkout
            | Phase::Backoff
            | Phase::Resolve
            | Phase::Connect
            | Phase::TlsHandshake => continue,
            Phase::DataBlock => ("interrupt-", &["421", "451", "552", "250"]),
            _ => (
                "",
                &["silence", "stall", "reply-421", "reply-4yz", "reply-5yz"],
            ),
        };
        let mut names: Vec<String> = [
            "delay",
            "drip",
            "endless-lines",
            "endless-line",
            "garbage",
            "half-then-silence",
            "half-then-close",
            "half-then-reset",
        ]
        .iter()
        .chain(ways)
        .map(|way| format!("{prefix}{way}"))
        .collect();
        names.extend(["close", "half-closed", "reset"].map(str::to_owned));
        let faults = vocabulary::faults(phase, Duration::from_secs(10));
        for name in names {
            assert!(faults.iter().any(|f| f.name == name), "{phase}: {name}");
        }
    }
}

fn time() -> impl Strategy<Value = Duration> {
    (1u64..100_000_000).prop_map(|millis| Duration::from_millis(millis.min(86_400_000)))
}

fn server_fault() -> impl Strategy<Value = ServerFault> {
    let say = prop_oneof![
        Just(Say::Normal),
        Just(Say::Half),
        Just(Say::Nothing),
        Just(Say::Garbage),
        Just(Say::Twice),
        Just(Say::EndlessLines),
        Just(Say::EndlessLine),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Say::Raw),
        (2u16..6, 0u16..6, 0u16..10, any::<String>()).prop_map(|(a, b, c, text)| Say::Reply {
            code: a * 100 + b * 10 + c,
            text
        }),
    ];
    let pace = prop_oneof![
        Just(Pace::AtOnce),
        time().prop_map(Pace::After),
        time().prop_map(Pace::Drip),
        Just(Pace::Hold)
    ];
    let then = prop::sample::select(vec![
        Then::Continue,
        Then::Close,
        Then::HalfClose,
        Then::Reset,
        Then::Stall,
    ]);
    (say, pace, then).prop_map(|(say, pace, then)| ServerFault::say(say).pace(pace).then(then))
}

fn rule() -> impl Strategy<Value = Rule> {
    let direction = prop::sample::select(vec![
        Direction::Both,
        Direction::ToServer,
        Direction::ToClient,
    ]);
    let phases: Vec<Phase> = Phase::ALL
        .into_iter()
        .filter(|p| {
            !matches!(
                p,
                Phase::Checkout
                    | Phase::Backoff
                    | Phase::Resolve
                    | Phase::Connect
                    | Phase::TlsHandshake
                    | Phase::DataBlock
            )
        })
        .collect();
    prop_oneof![
        prop_oneof![
            Just(ResolveFault::Hang),
            Just(ResolveFault::Fail),
            Just(ResolveFault::Empty),
            time().prop_map(ResolveFault::After),
            (1u16..1_001).prop_map(ResolveFault::Addresses),
            prop::collection::vec(prop::sample::select(vec![Family::V4, Family::V6]), 1..250)
                .prop_map(ResolveFault::Families)
        ]
        .prop_map(Rule::Resolve),
        (
            prop::option::of(1u16..),
            prop_oneof![
                Just(ConnectFault::Refuse),
                Just(ConnectFault::Unreachable),
                Just(ConnectFault::Blackhole),
                time().prop_map(ConnectFault::After)
            ]
        )
            .prop_map(|(address, fault)| Rule::Connect { address, fault }),
        (
            prop::sample::select(phases),
            prop::option::of(1u16..),
            server_fault(),
            any::<bool>()
        )
            .prop_map(|(phase, nth, mut fault, commit)| {
                fault.commit = commit && phase == Phase::DataTermination;
                Rule::Server { phase, nth, fault }
            }),
        (1u64.., prop::option::of(time()))
            .prop_map(|(after, heal)| Rule::Intake(IntakeFault::Stop { after, heal })),
        (1u32.., time())
            .prop_map(|(octets, every)| Rule::Intake(IntakeFault::Trickle { octets, every })),
        (1u64.., server_fault())
            .prop_map(|(after, fault)| Rule::Intake(IntakeFault::Interrupt { after, fault })),
        time().prop_map(|d| Rule::Link(LinkFault::Latency(d))),
        (1u32..).prop_map(|n| Rule::Link(LinkFault::Window(n))),
        (direction.clone(), 1u32..)
            .prop_map(|(direction, octets)| Rule::Link(LinkFault::Fragment { direction, octets })),
        (direction.clone(), prop::collection::btree_set(1u64.., 1..6)).prop_map(
            |(direction, after)| {
                let after = after.into_iter().collect();
                Rule::Link(LinkFault::Split { direction, after })
            }
        ),
        (direction.clone(), time())
            .prop_map(|(direction, every)| Rule::Link(LinkFault::Coalesce { direction, every })),
        (direction, time(), prop::option::of(time())).prop_map(|(direction, after, heal)| {
            Rule::Link(LinkFault::Blackhole {
                direction,
                after,
                heal,
            })
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3_000) })]

    #[test]
    fn every_plan_is_the_text_that_it_prints(rules in prop::collection::vec(rule(), 0..5)) {
        let plan = Plan::of(rules);
        prop_assert_eq!(plan.to_string().parse::<Plan>(), Ok(plan.clone()));
        prop_assert_eq!(plan.one_line().parse::<Plan>(), Ok(plan));
    }

    #[test]
    fn no_text_makes_the_parser_panic_and_every_error_has_its_place(text in prop_oneof![any::<String>(), "(v1|postbound-plan v1\n)( ?[|]? ?(rcpt|link|data-block|connect|mail)(#[0-9]{1,6})?: ?[a-z0-9 ;\"\\\\#:|]{0,30}\n?){0,3}"]) {
        if let Err(error) = text.parse::<Plan>() {
            prop_assert!(error.line >= 1 && error.line <= text.lines().count().max(1));
            let line = text.lines().nth(error.line - 1).unwrap_or_default();
            let whole = if text.starts_with("v1") { text.as_str() } else { line };
            prop_assert!(error.column >= 1 && error.column <= whole.chars().count() + 1);
            prop_assert!(error.to_string().chars().all(|c| !c.is_control()));
        }
    }
}
