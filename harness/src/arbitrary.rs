//! Cases drawn at random, so that deleting faults is how they shrink.

use std::time::Duration;

use postbound::sasl::Mechanism;
use postbound::{Phase, Security};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;
use simnet::Plan;
use simnet::plan::{
    Break, Certificate, ConnectFault, Direction, Family, IntakeFault, LinkFault, Pace, ProxyFault,
    ProxyKind, ProxySay, ProxyStep, ResolveFault, Rule, SaslFault, Say, ServerFault, Strike, Then,
    TlsFault,
};

use crate::case::Case;

fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

/// Phases at which this release's server can be made to fail.
pub(crate) const SERVER: [Phase; 10] = [
    Phase::Greeting,
    Phase::Ehlo,
    Phase::StartTls,
    Phase::Mail,
    Phase::Rcpt,
    Phase::DataInitiation,
    Phase::DataBlock,
    Phase::DataTermination,
    Phase::Reset,
    Phase::Quit,
];

fn say() -> impl Strategy<Value = Say> {
    prop_oneof![
        4 => Just(Say::Normal),
        2 => (select(vec![200u16, 220, 250, 251, 354, 421, 450, 500, 502, 504, 550, 554]), "[ -~]{0,20}")
            .prop_map(|(code, text)| Say::Reply { code, text }),
        1 => Just(Say::Half),
        1 => Just(Say::Nothing),
        1 => Just(Say::Garbage),
        1 => Just(Say::Twice),
        1 => Just(Say::EndlessLines),
        1 => Just(Say::EndlessLine),
        1 => vec(any::<u8>(), 0..40).prop_map(Say::Raw),
    ]
}

/// What a server can do wrong inside a mechanism.
fn sasl_fault() -> impl Strategy<Value = SaslFault> {
    prop_oneof![
        Just(SaslFault::WrongNonce),
        Just(SaslFault::WrongBinding),
        Just(SaslFault::BadSignature),
        select(vec![1, 4_095, 4_096, 10_000, 100_001, u32::MAX]).prop_map(SaslFault::Iterations),
        Just(SaslFault::Oversize),
        Just(SaslFault::Echo),
    ]
}

/// A fault in an exchange: like any other, or the mechanism's own.
pub(crate) fn auth_rule() -> impl Strategy<Value = Rule> {
    let reply = |code, text: &str| Say::Reply {
        code,
        text: text.to_owned(),
    };
    let said = prop_oneof![
        3 => sasl_fault().prop_map(Say::Sasl),
        1 => select(vec!["", "YWdhaW4=", "***", "YQ"]).prop_map(move |text| reply(334, text)),
        1 => Just(reply(235, "2.7.0 welcome")),
        1 => select(vec![501, 504, 534, 535]).prop_map(move |code| reply(code, "no")),
    ];
    let fault = (server_fault(), proptest::option::of(said)).prop_map(|(mut fault, said)| {
        fault.say = said.unwrap_or(fault.say);
        fault
    });
    (proptest::option::of(1u16..5), fault).prop_map(|(nth, fault)| Rule::Server {
        phase: Phase::Auth,
        nth,
        fault,
    })
}

fn pace() -> impl Strategy<Value = Pace> {
    prop_oneof![
        3 => Just(Pace::AtOnce),
        1 => millis(1..4_000).prop_map(Pace::After),
        1 => millis(1..1_500).prop_map(Pace::Drip),
    ]
}

fn server_fault() -> impl Strategy<Value = ServerFault> {
    let then = prop_oneof![
        3 => Just(Then::Continue),
        1 => Just(Then::Close),
        1 => Just(Then::HalfClose),
        1 => Just(Then::Reset),
        1 => Just(Then::Stall),
    ];
    (say(), pace(), then).prop_map(|(say, pace, then)| ServerFault::say(say).pace(pace).then(then))
}

/// What a server may say in the middle of mail data without lying about a message that it then
/// commits, or never got: against a lie no client can be honest.
fn interruption() -> impl Strategy<Value = ServerFault> {
    let say = prop_oneof![
        select(vec![421u16, 451, 552, 554]).prop_map(|code| Say::Reply {
            code,
            text: "stop".to_owned()
        }),
        Just(Say::Nothing),
        Just(Say::Garbage),
        Just(Say::Half),
    ];
    let then = select(vec![Then::Close, Then::HalfClose, Then::Reset, Then::Stall]);
    (say, pace(), then).prop_map(|(say, pace, then)| {
        let then = match say {
            // It goes on, and would commit what it has refused.
            Say::Reply { .. } if then == Then::HalfClose => Then::Close,
            _ => then,
        };
        ServerFault::say(say).pace(pace).then(then)
    })
}

fn direction() -> impl Strategy<Value = Direction> {
    select(vec![
        Direction::Both,
        Direction::ToServer,
        Direction::ToClient,
    ])
}

fn one_way() -> impl Strategy<Value = Direction> {
    select(vec![Direction::ToServer, Direction::ToClient])
}

fn strike() -> impl Strategy<Value = Strike> {
    prop_oneof![
        4 => select(vec![Strike::Stall, Strike::Shut, Strike::Close, Strike::Reset, Strike::Corrupt]),
        1 => millis(1..300).prop_map(Strike::Drip),
    ]
}

pub(crate) fn link_fault() -> impl Strategy<Value = LinkFault> {
    prop_oneof![
        millis(1..400).prop_map(LinkFault::Latency),
        (direction(), 1u32..20)
            .prop_map(|(direction, octets)| LinkFault::Fragment { direction, octets }),
        (direction(), btree_set(1u64..600, 1..6)).prop_map(|(direction, after)| {
            LinkFault::Split {
                direction,
                after: after.into_iter().collect(),
            }
        }),
        (direction(), millis(1..100))
            .prop_map(|(direction, every)| LinkFault::Coalesce { direction, every }),
        (
            direction(),
            millis(1..5_000),
            proptest::option::of(millis(1..3_000))
        )
            .prop_map(|(direction, after, heal)| LinkFault::Blackhole {
                direction,
                after,
                heal
            }),
        (8u32..500).prop_map(LinkFault::Window),
        (1u64..600, one_way(), strike()).prop_map(|(octet, direction, strike)| LinkFault::At {
            octet,
            direction: if strike == Strike::Corrupt {
                Direction::ToClient
            } else {
                direction
            },
            strike,
        }),
    ]
}

pub(crate) fn resolve_rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        Just(ResolveFault::Hang),
        Just(ResolveFault::Fail),
        Just(ResolveFault::Empty),
        millis(1..4_000).prop_map(ResolveFault::After),
        (1u16..5).prop_map(ResolveFault::Addresses),
        vec(select(vec![Family::V4, Family::V6]), 1..5).prop_map(ResolveFault::Families),
    ]
    .prop_map(Rule::Resolve)
}

pub(crate) fn connect_rule() -> impl Strategy<Value = Rule> {
    let fault = prop_oneof![
        Just(ConnectFault::Refuse),
        Just(ConnectFault::Unreachable),
        Just(ConnectFault::Blackhole),
        millis(1..4_000).prop_map(ConnectFault::After),
    ];
    (proptest::option::of(1u16..4), fault)
        .prop_map(|(address, fault)| Rule::Connect { address, fault })
}

/// A fault of the server's at one of these phases.
pub(crate) fn server_rule(phase: impl Strategy<Value = Phase>) -> impl Strategy<Value = Rule> {
    let nth = proptest::option::of(1u16..3);
    (phase, nth, server_fault(), any::<bool>()).prop_map(|(phase, nth, mut fault, commit)| {
        // A message that is committed and then refused is a lie, too.
        let lies = matches!(&fault.say, Say::Reply { code, .. } if *code >= 400);
        fault.commit = commit && phase == Phase::DataTermination && !lies;
        Rule::Server { phase, nth, fault }
    })
}

pub(crate) fn intake_rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        (1u64..600, proptest::option::of(millis(1..4_000)))
            .prop_map(|(after, heal)| IntakeFault::Stop { after, heal }),
        (1u32..100, millis(1..300))
            .prop_map(|(octets, every)| IntakeFault::Trickle { octets, every }),
        (1u64..600, interruption())
            .prop_map(|(after, fault)| IntakeFault::Interrupt { after, fault }),
    ]
    .prop_map(Rule::Intake)
}

/// One fault out of the whole vocabulary.
pub fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        1 => resolve_rule(),
        1 => connect_rule(),
        6 => server_rule(select(SERVER.to_vec())),
        1 => intake_rule(),
        1 => auth_rule(),
        2 => link_fault().prop_map(Rule::Link),
        1 => tls_fault().prop_map(Rule::Tls),
    ]
}

/// A fault of TLS: it acts only where the case has TLS.
pub(crate) fn tls_fault() -> impl Strategy<Value = TlsFault> {
    prop_oneof![
        3 => (1u32..1_100, select(Break::ALL.to_vec())).prop_map(|(octet, then)| TlsFault::At { octet, then }),
        1 => millis(1..4_000).prop_map(TlsFault::After),
        1 => millis(1..20).prop_map(TlsFault::Drip),
        1 => Just(TlsFault::TinyRecords),
        1 => Just(TlsFault::Endless),
        1 => Just(TlsFault::Plaintext),
        1 => (vec(any::<u8>(), 1..40), proptest::option::of(millis(1..100)))
            .prop_map(|(octets, after)| TlsFault::Inject { octets, after }),
        2 => (0u32..700).prop_map(TlsFault::Drop),
        1 => (0u32..500).prop_map(TlsFault::Alert),
        1 => Just(TlsFault::NoCloseNotify),
        1 => select(Certificate::ALL.to_vec()).prop_map(TlsFault::Certificate),
    ]
}

/// Any number of faults.
pub fn plan() -> impl Strategy<Value = Plan> {
    vec(rule(), 0..4).prop_map(Plan::of)
}

/// Whether a reply may come in place of one that is due later. Behind DATA only a 354 is one, but the
/// reply to a chunk is like any other, and so are LMTP's final ones: nobody can tell, so that a reply
/// too many or, among the final ones, too few is a lie about the message. Where the message has left
/// `ahead` of the replies, that is so from MAIL on.
pub(crate) fn passes_for_another(rule: &Rule, ahead: bool) -> bool {
    let Rule::Server { phase, fault, .. } = rule else {
        return false;
    };
    match fault.say {
        Say::Twice => !matches!(phase, Phase::Reset | Phase::Quit),
        Say::Nothing | Say::Raw(_) => {
            let early = ahead && matches!(phase, Phase::Mail | Phase::Rcpt | Phase::Reset);
            (early || *phase == Phase::DataTermination) && fault.then == Then::Continue
        }
        _ => false,
    }
}

/// A mechanism that needs no TLS to bind to.
fn mechanism() -> impl Strategy<Value = Mechanism> {
    let unbound = Mechanism::ALL
        .into_iter()
        .filter(|mechanism| !mechanism.is_bound());
    select(unbound.collect::<Vec<_>>())
}

/// Any client that authenticates, against any server that errs at it.
pub fn auth_case() -> impl Strategy<Value = Case> {
    (mechanism(), vec(auth_rule(), 0..3), case()).prop_map(|(mechanism, rules, mut case)| {
        case.auth = Some(mechanism);
        case.octets = case.octets.min(500);
        case.plan.rules.splice(0..0, rules);
        case
    })
}

fn proxy_fault() -> impl Strategy<Value = ProxyFault> {
    let say = prop_oneof![
        3 => Just(ProxySay::Normal),
        1 => Just(ProxySay::Nothing),
        1 => Just(ProxySay::Half),
        1 => (1u16..600).prop_map(ProxySay::Refuse),
        1 => Just(ProxySay::Garbage),
        1 => Just(ProxySay::Oversized),
        2 => vec(any::<u8>(), 1..40).prop_map(ProxySay::Early),
    ];
    let pace = prop_oneof![
        3 => Just(Pace::AtOnce),
        1 => millis(1..4_000).prop_map(Pace::After),
        1 => millis(1..400).prop_map(Pace::Drip),
    ];
    let then = prop_oneof![
        4 => Just(Then::Continue),
        1 => Just(Then::Close),
        1 => Just(Then::HalfClose),
        1 => Just(Then::Reset),
        1 => Just(Then::Stall),
    ];
    (select(ProxyStep::ALL.to_vec()), say, pace, then).prop_map(|(step, say, pace, then)| {
        // Octets stand behind the last answer only.
        let step = match say {
            ProxySay::Early(_) => ProxyStep::Request,
            _ => step,
        };
        ProxyFault::new(step, say).pace(pace).then(then)
    })
}

/// Any client behind a proxy that may err, against any plan.
pub fn proxy_case() -> impl Strategy<Value = Case> {
    let faults = vec(proxy_fault().prop_map(Rule::Proxy), 0..3);
    (select(ProxyKind::ALL.to_vec()), faults, case()).prop_map(|(kind, rules, mut case)| {
        case.proxy = Some(kind);
        case.octets = case.octets.min(500);
        case.plan.rules.splice(0..0, rules);
        case
    })
}

/// Any client against any plan.
pub fn case() -> impl Strategy<Value = Case> {
    (
        plan(),
        millis(500..3_000),
        1u16..6,
        prop_oneof![4 => 0u32..2_000, 1 => 60_000u32..200_000],
        any::<bool>(),
        proptest::option::weighted(0.3, millis(1..10_000)),
        prop_oneof![2 => Just(Duration::ZERO), 1 => millis(1..2_000)],
        prop_oneof![2 => Just(Duration::ZERO), 1 => millis(1..2_000)],
        proptest::option::weighted(0.3, millis(0..8_000)),
        (
            prop::bool::weighted(0.75),
            prop::bool::weighted(0.25),
            prop_oneof![
                8 => Just(Security::None),
                2 => Just(Security::StartTls),
                1 => Just(Security::StartTlsIfOfferedInsecure),
                2 => Just(Security::Implicit),
            ],
            // In chunks of so many octets, or ahead of the replies.
            proptest::option::weighted(
                0.4,
                prop_oneof![
                    2 => (1u32..600).prop_map(Some),
                    1 => Just(Some(u32::MAX)),
                    2 => Just(None),
                ],
            ),
            prop::bool::weighted(0.2),
        ),
        proptest::option::weighted(0.1, mechanism()),
    )
        .prop_map(
            |(
                plan,
                timeout,
                recipients,
                octets,
                all,
                deadline,
                reserve,
                linger,
                cancel,
                settings,
                auth,
            )| {
                let mut case = Case::new(plan);
                case.timeout = timeout;
                case.recipients = recipients;
                case.octets = octets;
                case.all = all;
                case.deadline = deadline;
                case.reserve = reserve;
                case.linger = linger;
                case.cancel = cancel;
                let chunks;
                (case.pipelining, case.eight_bit, case.tls, chunks, case.lmtp) = settings;
                case.ahead = chunks == Some(None);
                case.chunking = chunks.map(|octets| octets.unwrap_or(u32::MAX));
                if case.chunking.is_some() {
                    // A small chunk is a command each: so many are enough.
                    case.octets = case.octets.min(2_000);
                }
                if case.chunking.is_some() || case.lmtp {
                    let ahead = case.ahead;
                    case.plan
                        .rules
                        .retain(|rule| !passes_for_another(rule, ahead));
                }
                case.auth = auth;
                case
            },
        )
}
