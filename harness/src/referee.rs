//! The same plan on two networks: do they tell the same story, and if not, is it known why?

use std::time::Duration;

use postbound::Phase;
use simnet::net::Backend;
use simnet::plan::{
    Direction, IntakeFault, LinkFault, Pace, Rule, ServerFault, Strike, Then, TlsFault,
};

use crate::case::Case;
use crate::differential::Agreement;
use crate::oracle::answers_twice;
use crate::report::{Claim, Report};
use crate::run;

/// Turmoil moves a segment each tick, and real sockets have a machine behind them.
const LONG_MESSAGE: u32 = 50_000;
/// So many writes are more ticks than a hop or two.
const MANY_CHUNKS: u32 = 20;
/// Waits as short as this are longer by a part that counts, where there are many and each is late.
const SHORT_WAIT: Duration = Duration::from_millis(50);

/// When a step happens differs, and nothing else.
const HOP: &str = "a hop sooner or later: a connection is open after another number of hops";
const LONG: &str = "a long message takes longer: turmoil moves one write a tick";
const LONGER: &str = "many short waits last longer: each is late by the timer's resolution";
/// What the call ended on differs, too.
const LONGER_DECIDES: &str = "many short waits last longer, and a limit comes first";
const MEETING: &str = "the caller's own end or a limit meets the dialogue a step earlier or later";
const OPENING: &str =
    "a reset right behind the accepted connection is seen while connecting or behind it";
const UNSENT: &str = "a reset discards what was said and has not left";
const HANGING_UP: &str = "the server hangs up while the client's octets are on their way";
const PATH: &str =
    "the path holds another number of octets of a long message, or of one that is interrupted";
const SURPLUS: &str = "a surplus reply is found by one read or by the next";
/// What the client says is the same.
const BEHIND: &str =
    "the server goes on behind the call's end, where only virtual time waits for it";

/// The least part of the cases, in a hundred, in which two networks have to tell the same story: what
/// the client claims, what is in the mailbox. When a step happens may differ for a reason that is known.
pub const LEAST: u64 = 99;

/// Whether it is only when something happened that differs in this class.
#[must_use]
pub fn is_same_story(class: &str) -> bool {
    [HOP, LONG, LONGER, BEHIND].contains(&class)
}

/// Whether the referee has anything to say about the case on this network. What the network can't do
/// at all is not asked.
///
/// # Errors
/// Why it has not. Such a case is skipped and counted.
pub fn can(backend: Backend, case: &Case) -> Result<(), String> {
    backend.can(&case.plan)?;
    let unlike = case.plan.rules.iter().any(|rule| {
        matches!(
            rule.split().1,
            Rule::Intake(IntakeFault::Stop { .. } | IntakeFault::Trickle { .. })
        )
    });
    if unlike {
        return Err(format!("{backend}'s path holds another number of octets"));
    }
    Ok(())
}

/// Whether any of the plan's rules is so, its conditions aside.
fn any_rule(case: &Case, is_so: impl Fn(&Rule) -> bool) -> bool {
    let mut rules = case.plan.rules.iter();
    rules.any(|rule| is_so(rule.split().1))
}

/// Whether anything that the server says at a phase or in the middle of mail data is so.
fn any_fault(case: &Case, is_so: impl Fn(&ServerFault) -> bool) -> bool {
    any_rule(case, |rule| match rule {
        Rule::Server { fault, .. } | Rule::Intake(IntakeFault::Interrupt { fault, .. }) => {
            is_so(fault)
        }
        _ => false,
    })
}

fn latency(case: &Case) -> Duration {
    let latency = |rule: &Rule| match rule.split().1 {
        Rule::Link(LinkFault::Latency(latency)) => Some(*latency),
        Rule::Link(LinkFault::Coalesce { every, .. }) => Some(*every),
        _ => None,
    };
    case.plan.rules.iter().filter_map(latency).sum()
}

/// Whether the hops take so long that one more or less decides.
fn hops_decide(case: &Case) -> bool {
    latency(case) * 4 >= case.timeout
}

/// Whether there are so many writes that the number of ticks they need shows.
fn is_long(case: &Case) -> bool {
    // Each chunk may be a write of its own, and each fragment is.
    let chunks = case.chunking.map_or(1, |chunk| case.octets / chunk.max(1));
    let fragments = any_rule(case, |rule| {
        matches!(
            rule,
            Rule::Link(LinkFault::Fragment { .. } | LinkFault::Split { .. })
        )
    });
    case.octets >= LONG_MESSAGE || chunks >= MANY_CHUNKS || fragments
}

/// Whether octets come one by one with hardly a wait between them.
fn drips(case: &Case) -> bool {
    let is_short = |every: Duration| every <= SHORT_WAIT;
    let server = |fault: &ServerFault| matches!(fault.pace, Pace::Drip(every) if is_short(every));
    any_fault(case, server)
        || any_rule(case, |rule| match rule {
            Rule::Tls(TlsFault::Drip(every)) => is_short(*every),
            Rule::Link(LinkFault::At { strike, .. }) => {
                matches!(strike, Strike::Drip(every) if is_short(*every))
            }
            _ => false,
        })
}

/// Compares a run on another network, which may be `late` by so much, with the one on mem.
#[must_use]
pub fn judge(case: &Case, mem: &Report, other: &Report, late: Duration) -> Agreement {
    let apart = mem.elapsed.abs_diff(other.elapsed);
    // Of the hops before the first command, some networks have one more or two.
    let in_step = apart <= latency(case) * 3 + late;
    let long = is_long(case);
    let said = mem.claim == other.claim;
    let same = said && mem.committed == other.committed && mem.intact == other.intact;
    let class = if same {
        match () {
            () if apart <= late => return Agreement::Same,
            () if in_step => Some(HOP),
            () if long => Some(LONG),
            () if drips(case) => Some(LONGER),
            () if is_near(case, other, late) => Some(MEETING),
            () => None,
        }
    } else if said {
        // What the mailbox has can differ only where somebody was not waited for.
        (other.intact && mem.committed > other.committed && answers_late(case)).then_some(BEHIND)
    } else {
        told_apart(case, [mem, other], in_step || long)
            .or_else(|| is_near(case, other, late).then_some(MEETING))
    };
    let tell = |report: &Report| {
        format!(
            "{} after {:?} with {} in the mailbox",
            report.claim, report.elapsed, report.committed
        )
    };
    class.map_or_else(
        || Agreement::Differs(format!("{}, or {}", tell(mem), tell(other))),
        Agreement::Tie,
    )
}

/// Whether the server takes its time over a reply, or the link over what the server is to hear: it may
/// still take the message when the client has gone.
fn answers_late(case: &Case) -> bool {
    any_fault(case, |fault| fault.pace != Pace::AtOnce)
        || any_rule(case, |rule| match rule {
            Rule::Link(LinkFault::At {
                strike: Strike::Drip(_),
                direction,
                ..
            }) => direction.covers(Direction::ToServer),
            Rule::Link(LinkFault::Coalesce { direction, .. }) => {
                direction.covers(Direction::ToServer)
            }
            _ => false,
        })
}

/// How far a limit may be from what it meets for a machine's lateness to decide.
const NEAR: [u64; 5] = [3, 10, 30, 60, 100];

/// Whether mem tells the other network's story as soon as every limit is a little shorter or longer:
/// there is an instant so near to a limit that a hop or a late timer decides which comes first.
fn is_near(case: &Case, other: &Report, late: Duration) -> bool {
    let hops = latency(case) * 3;
    NEAR.into_iter().any(|near| {
        let near = Duration::from_millis(near) + hops;
        let shorter = |limit: Duration| limit.saturating_sub(near).max(Duration::from_millis(1));
        let longer = |limit: Duration| limit + near;
        [moved(case, shorter), moved(case, longer)]
            .iter()
            .any(|case| {
                let mem = run::mem::run_quick(case);
                mem.claim == other.claim
                    && mem.committed == other.committed
                    && mem.intact == other.intact
                    && mem.elapsed.abs_diff(other.elapsed) <= late + near * 2
            })
    })
}

/// The case with other limits, and the link's own time.
fn moved(case: &Case, limit: impl Fn(Duration) -> Duration) -> Case {
    let mut moved = case.clone();
    moved.timeout = limit(case.timeout);
    for (_, timeout) in &mut moved.timeouts {
        *timeout = limit(*timeout);
    }
    moved.deadline = case.deadline.map(&limit);
    moved.cancel = case.cancel.map(&limit);
    for rule in &mut moved.plan.rules {
        if let Rule::Link(LinkFault::Blackhole { after, .. }) = rule {
            *after = limit(*after);
        }
    }
    moved
}

/// Why the same plan has two endings.
fn told_apart(case: &Case, runs: [&Report; 2], in_step: bool) -> Option<&'static str> {
    let all = |test: fn(&Claim) -> bool| runs.iter().all(|run| test(&run.claim));
    let any = |test: fn(&Claim) -> bool| runs.iter().any(|run| test(&run.claim));
    let is_end = |claim: &Claim| matches!(claim.kind, "cancelled" | "timed-out");
    let is_gone = |claim: &Claim| matches!(claim.kind, "closed" | "broken");
    let in_the_data: fn(&Claim) -> bool = |claim| {
        matches!(
            claim.phase,
            Some(Phase::DataInitiation | Phase::DataBlock | Phase::DataTermination)
        )
    };
    let [one, two] = runs.map(|run| (run.claim.phase, run.claim.outcome));
    let interrupts = any_rule(case, |rule| {
        matches!(rule, Rule::Intake(IntakeFault::Interrupt { .. }))
    });
    let window = any_rule(case, |rule| {
        matches!(rule, Rule::Link(LinkFault::Window(_)))
    });
    let stops = any_fault(case, |fault| fault.then == Then::Stall);
    let in_parts = interrupts || stops || window || case.octets >= LONG_MESSAGE;
    // Of a flood, too, and of what goes ahead.
    let narrow = window && one.0 == two.0 && (case.ahead || any(is_end));
    let by_caller = case.cancel.is_some() || case.deadline.is_some();
    let decided = by_caller || case.octets >= LONG_MESSAGE || hops_decide(case);
    if narrow || (one != two && in_parts && all(in_the_data)) {
        Some(PATH)
    } else if any(is_end) && decided && (in_step || hops_decide(case)) {
        Some(MEETING)
    } else if any(is_end) && drips(case) {
        Some(LONGER_DECIDES)
    } else if all(is_gone) && (one == two || (one.0 != two.0 && all(in_the_data))) {
        Some(HANGING_UP)
    } else if all(is_gone) && any(|claim| claim.phase == Some(Phase::Connect)) && one.1 == two.1 {
        Some(OPENING)
    } else if all(is_gone)
        && any_fault(case, |fault| fault.then == Then::Reset)
        && one.1 == two.1
        && two.0 < one.0
    {
        Some(UNSENT)
    } else if all(|claim| claim.kind == "protocol") && answers_twice(case) {
        Some(SURPLUS)
    } else {
        None
    }
}
