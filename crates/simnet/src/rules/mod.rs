//! The rules of a running double: those of its plan and those set later, looked up one way.
//!
//! A plan says what a rule is; this says how often it has struck. Rules set later are looked for
//! earlier, so that a test can put an exception over what holds in general; rules that were set
//! together, as those of a plan are, keep their order.

mod due;
mod facts;
mod fits;
mod gate;
mod ports;
mod table;
mod triggers;

pub use facts::{RuleFacts, RuleId};
pub(crate) use fits::Occasion;
pub(crate) use gate::Gate;
pub use ports::{PortFault, port_faults};
pub use table::Rules;
pub(crate) use table::Struck;
pub(crate) use triggers::Asked;
pub use triggers::Triggers;
