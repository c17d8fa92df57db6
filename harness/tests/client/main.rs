//! The client's wait, its calls, its pool and its retry, mostly in virtual time. One program, because it
//! is linked anew for each mutant (`ci/mutants`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

mod ahead;
mod bounds;
mod circuits;
mod command;
mod endpoints;
mod facts;
mod g2_cancellable;
mod g3_drop_safe;
mod g5_no_duplicates;
mod g6_tight;
mod g8_small;
mod lent;
mod message;
mod polled_late;
mod pool;
mod retry;
mod reuse;
mod send_all;
mod send_all_chunks;
mod shares;
mod tls;
mod transport;
