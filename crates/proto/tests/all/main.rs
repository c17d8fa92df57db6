//! The protocol without a network. One program, because it is linked anew for each mutant
//! (`ci/mutants`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that can't be set up has to fail, and any instant will do for the first one"
)]

mod ahead;
mod auth;
mod chunking;
mod command;
mod dialogue;
mod extensions;
mod follow;
mod invariant;
mod lmtp;
mod names;
mod observed;
mod parameters;
mod paths;
mod reply;
mod session;
mod starttls;
mod stopped;
mod timeouts;
mod transparency;
