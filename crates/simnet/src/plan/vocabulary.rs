//! The named faults: everything that can go wrong at each phase.

mod auth;
mod dialling;
mod link;
mod mail_data;
mod proxy;
mod server;
mod tls;

use std::time::Duration;

use proto::Phase;

use super::{Plain, Plan};

use auth::auth;
use dialling::{connect, resolve};
pub use link::link_faults;
use mail_data::mail_data;
pub use proxy::proxy_faults;
use server::server;
use tls::tls;

/// A fault with a name, as a plan.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NamedFault {
    /// Its name within the phase.
    pub name: &'static str,
    /// What it does, and what a good client makes of it.
    pub explain: &'static str,
    /// Whether a good client, with `scale` as the limit of each phase, still delivers.
    pub harmless: bool,
    /// The plan.
    pub plan: Plan,
}

const SILENCE: &str =
    "the server reads and never answers; the client gives up at the phase's limit";

/// Every named fault of `phase`. `scale` is about the client's limit for it: harmless delays are
/// shorter, drips and silences last longer. Phases that this release's client does not reach
/// have none.
#[must_use]
pub fn faults(phase: Phase, scale: Duration) -> Vec<NamedFault> {
    match phase {
        // The client's own waits: no peer can be at fault.
        Phase::Checkout | Phase::Backoff => Vec::new(),
        Phase::TlsHandshake => tls(scale),
        Phase::Resolve => resolve(scale),
        Phase::Connect => connect(scale),
        Phase::DataBlock => mail_data(scale),
        Phase::Auth => {
            let mut faults = server(phase, scale);
            faults.extend(auth());
            faults
        }
        _ => server(phase, scale),
    }
}

/// Every named fault in the replies to chunks of mail data before the last one (RFC 3030). They act
/// where there are several.
///
/// A reply that comes twice is none of them: nothing tells the surplus from the reply to the next
/// chunk, so that no client can know.
#[must_use]
pub fn chunk_faults(scale: Duration) -> Vec<NamedFault> {
    let mut faults = server(Phase::DataBlock, scale);
    faults.retain(|fault| fault.name != "twice");
    faults
}

fn at_least(duration: Duration) -> Duration {
    // Whole milliseconds, so that the plan's text says exactly what is done.
    Duration::from_millis(
        u64::try_from(duration.as_millis())
            .unwrap_or(u64::MAX)
            .max(1),
    )
}

fn fault(name: &'static str, explain: &'static str, harmless: bool, rules: String) -> NamedFault {
    let text = format!("v1 | {rules}");
    let parsed = text.parse();
    debug_assert!(parsed.is_ok(), "{text}: {parsed:?}");
    NamedFault {
        name,
        explain,
        harmless,
        plan: parsed.unwrap_or_default(),
    }
}
