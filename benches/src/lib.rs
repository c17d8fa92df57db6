//! What a message, a guard and a simulated case cost, beside the peers and the practical limit.
//!
//! `cargo run --release -p postbound-benches` prints the table; `cargo bench -p postbound-benches`
//! has the parts. docs/PERFORMANCE.md says how it is measured and what came of it.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a measurement that panics has failed, as it should"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "what is measured here is real time"
)]

pub mod canned;
pub mod contest;
pub mod count;
pub mod gate;
pub mod idle;
pub mod ours;
pub mod page;
pub mod peers;
mod rates;
pub mod raw;
pub mod raw_tokio;
pub mod rows;
pub mod scale;
pub mod sink;
pub mod speed;
pub mod steps;
pub mod table;
mod why;

// The client's own guard, from its own source: it is no part of the public interface.
#[path = "../../crates/client/src/clock.rs"]
mod clock;
#[path = "../../crates/client/src/guard.rs"]
mod guard;
