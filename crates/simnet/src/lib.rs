//! A fault-injecting SMTP server and the networks it runs on: a test double for mail clients.

pub mod behaviour;
pub mod coverage;
pub mod dns;
pub mod double;
pub mod junit;
mod ledger;
pub mod net;
pub mod plan;
mod rules;
mod server;
#[cfg(feature = "tls")]
pub mod tls;
mod tls_facts;
mod trace;
mod wait;

pub use ledger::{Delivery, Finding, Ledger};
pub use plan::{Plan, PlanError};
pub use proto::Phase;
pub use rules::{PortFault, RuleFacts, RuleId, Rules, Triggers, port_faults};
pub use server::{Abort, Account, Double, Front, Script};
pub use tls_facts::TlsFacts;
pub use trace::{Entry, Event, Trace};
