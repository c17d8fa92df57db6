//! A call that is cancelled or dropped at one of its polls, whichever.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use postbound::{CancellationToken, Outcome};
use simnet::net::mem::Network;
use simnet::plan::{Direction, LinkFault, Rule};
use tokio::runtime::Handle;

use crate::case::Case;
use crate::report::Claim;
use crate::run;

/// What happens to the call at its poll.
#[expect(
    clippy::exhaustive_enums,
    reason = "there is no third way to end a call"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Its token is cancelled right before it.
    Cancel,
    /// It is dropped in its place.
    Drop,
}

/// A link on which a healthy dialogue has many polls: its octets come and go in small parts.
#[must_use]
pub fn in_parts(octets: u32) -> Vec<Rule> {
    let direction = Direction::ToClient;
    vec![
        Rule::Link(LinkFault::Window(octets * 4)),
        Rule::Link(LinkFault::Fragment { direction, octets }),
    ]
}

/// Goes through every poll of the case's call on mem, a millisecond apart, and does this at each. Says
/// how many polls there were.
///
/// # Errors
/// What did not hold, and at which poll.
pub fn every(case: &Case, what: At) -> Result<u64, String> {
    let mut poll = 0;
    loop {
        poll += 1;
        match run::paused(one(case, poll, what)) {
            Ok(true) => return Ok(poll),
            Ok(false) => {}
            Err(how) => return Err(format!("{how} at poll {poll} ({what:?}): {case}")),
        }
    }
}

/// One run. Says whether the call ended before its poll.
async fn one(case: &Case, poll: u64, what: At) -> Result<bool, String> {
    simnet::tls::seed(1);
    let network = Network::new(case.double().without_trace());
    let client = case.client(network.connector());
    let (envelope, message) = (case.envelope(), case.message());
    let token = CancellationToken::new();
    let mut claim = None;
    let mut ended = false;
    {
        let mut call = pin!(client.send(&envelope, &message, case.bounds(&token)));
        for _ in 1..poll {
            if let Poll::Ready(result) = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await {
                claim = Some(Claim::of(&result));
                ended = true;
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if !ended && what == At::Cancel {
            token.cancel();
            let octets = network.client_octets();
            match poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await {
                Poll::Pending => return Err("the cancelled call did not end".to_owned()),
                Poll::Ready(result) => {
                    let told = Claim::of(&result);
                    // QUIT is cut short, and the delivered message stays delivered.
                    if told.outcome != Outcome::Accepted && told.kind != "cancelled" {
                        return Err(format!("the cancelled call says \"{told}\""));
                    }
                    claim = Some(told);
                }
            }
            if network.client_octets() != octets {
                return Err("octets left behind the cancellation".to_owned());
            }
        }
    }
    if network.client_streams() != 0 {
        return Err("a stream is open".to_owned());
    }
    // The double notices, and what is on its way reaches the mailbox.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let tasks = Handle::current().metrics().num_alive_tasks();
    if tasks != 0 {
        return Err(format!("{tasks} tasks are left"));
    }
    let committed = network.double().ledger().committed();
    let most = if case.lmtp {
        usize::from(case.recipients)
    } else {
        1
    };
    let honest = match claim.map(|claim| claim.outcome) {
        Some(Outcome::Accepted) => committed == most,
        Some(Outcome::NotAccepted) => committed == 0,
        _ => committed <= most,
    };
    match honest {
        true => Ok(ended),
        false => Err(format!("{committed} in the mailbox")),
    }
}
