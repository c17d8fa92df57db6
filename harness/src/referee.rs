//! The same plan on two networks: do they tell the same story, and if not, is it known why?

use std::time::Duration;

use postbound::Phase;
use simnet::net::Backend;
use simnet::plan::{ConnectFault, IntakeFault, LinkFault, Rule, Then};

use crate::case::Case;
use crate::differential::Agreement;
use crate::oracle::answers_twice;
use crate::report::{Claim, Report};

/// Turmoil moves a segment each tick, and real sockets have a machine behind them.
const LONG_MESSAGE: u32 = 50_000;
/// So many writes are more ticks than a hop or two.
const MANY_CHUNKS: u32 = 20;

/// When a step happens differs, and nothing else.
const HOP: &str = "a hop sooner or later: a connection is open after another number of hops";
const LONG: &str = "a long message takes longer: turmoil moves one write a tick";
/// What the call ended on differs, too.
const MEETING: &str = "the caller's own end or a limit meets the dialogue a step earlier or later";
const OVERTAKEN: &str = "a reset overtakes what was said before it";
const HANGING_UP: &str = "the server hangs up while the mail data leaves";
const SURPLUS: &str = "a surplus reply is found by one read or by the next";

/// The least part of the cases, in a hundred, in which two networks have to tell the same story: what
/// the client claims, what is in the mailbox. When a step happens may differ for a reason that is known.
pub const LEAST: u64 = 99;

/// Whether it is only when something happened that differs in this class.
#[must_use]
pub fn is_same_story(class: &str) -> bool {
    [HOP, LONG].contains(&class)
}

/// Whether this class is no disagreement but how TCP is: what has arrived and was not read is lost to a
/// reset, and how much that is depends on the machine. It counts neither for nor against.
#[must_use]
pub fn is_the_machine(class: &str) -> bool {
    class == OVERTAKEN
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

fn latency(case: &Case) -> Duration {
    let latency = |rule: &Rule| match rule.split().1 {
        Rule::Link(LinkFault::Latency(latency)) => Some(*latency),
        Rule::Link(LinkFault::Coalesce { every, .. }) => Some(*every),
        _ => None,
    };
    case.plan.rules.iter().filter_map(latency).sum()
}

fn resets(case: &Case) -> bool {
    case.plan.rules.iter().any(|rule| match rule.split().1 {
        Rule::Server { fault, .. } | Rule::Intake(IntakeFault::Interrupt { fault, .. }) => {
            fault.then == Then::Reset
        }
        Rule::Connect { fault, .. } => *fault == ConnectFault::Refuse,
        _ => false,
    })
}

/// Whether the hops take so long that one more or less decides.
fn hops_decide(case: &Case) -> bool {
    latency(case) * 4 >= case.timeout
}

/// Compares a run on another network, which may be `late` by so much, with the one on mem.
#[must_use]
pub fn judge(case: &Case, mem: &Report, other: &Report, late: Duration) -> Agreement {
    let apart = mem.elapsed.abs_diff(other.elapsed);
    // Of the hops before the first command, some networks have one more or two.
    let in_step = apart <= latency(case) * 3 + late;
    // Each chunk may be a write of its own.
    let chunks = case.chunking.map_or(1, |chunk| case.octets / chunk.max(1));
    let long = case.octets >= LONG_MESSAGE || chunks >= MANY_CHUNKS;
    let same =
        mem.claim == other.claim && mem.committed == other.committed && mem.intact == other.intact;
    let class = if same {
        match () {
            () if apart <= late => return Agreement::Same,
            () if in_step => Some(HOP),
            () if long => Some(LONG),
            () => None,
        }
    } else {
        told_apart(case, [mem, other], in_step || long)
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

/// Why the same plan has two endings.
fn told_apart(case: &Case, runs: [&Report; 2], in_step: bool) -> Option<&'static str> {
    let all = |test: fn(&Claim) -> bool| runs.iter().all(|run| test(&run.claim));
    let any = |test: fn(&Claim) -> bool| runs.iter().any(|run| test(&run.claim));
    let is_end = |claim: &Claim| matches!(claim.kind, "cancelled" | "timed-out");
    let hangs_up = |claim: &Claim| {
        matches!(claim.kind, "closed" | "broken")
            && matches!(
                claim.phase,
                Some(Phase::DataInitiation | Phase::DataBlock | Phase::DataTermination)
            )
    };
    let by_caller = case.cancel.is_some() || case.deadline.is_some();
    let decided = by_caller || case.octets >= LONG_MESSAGE || hops_decide(case);
    if any(is_end) && decided && (in_step || hops_decide(case)) {
        Some(MEETING)
    } else if all(hangs_up) {
        Some(HANGING_UP)
    } else if resets(case) && in_step {
        Some(OVERTAKEN)
    } else if all(|claim| claim.kind == "protocol") && answers_twice(case) {
        Some(SURPLUS)
    } else {
        None
    }
}
