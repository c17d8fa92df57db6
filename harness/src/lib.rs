//! The proofs: cases, the networks they run on, the fault matrix and what must hold in each cell.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a proof that can't be set up has to stop, and no input of others gets here"
)]

pub mod arbitrary;
pub mod case;
pub mod counted;
pub mod coverage;
pub mod differential;
pub mod exhaustive;
pub mod guarantee;
pub mod matrix;
pub mod namespace;
pub mod oracle;
pub mod page;
pub mod peers;
pub mod polls;
pub mod property;
pub mod referee;
pub mod replay;
pub mod report;
pub mod results;
pub mod run;
pub mod secret;
pub mod swarm;
pub mod sweep;
pub mod told;

pub use case::{Case, CaseError};
pub use counted::Counted;
pub use matrix::{Cell, Matrix};
pub use property::{keeps, property};
pub use report::{Claim, Memory, Report, Tolerance, Violation};
pub use results::Results;
