//! What reads octets of others, and what must hold whatever these octets are.
//!
//! Each [`Target`] is a check with a corpus of its own (`corpus/NAME`). [`fuzz`] tries it on the corpus
//! and on what can be made of it: so many inputs and always the same ones, or for as many seconds as one
//! likes. Built with `--cfg fuzzing`, libFuzzer makes the inputs instead and is guided by which branches
//! they reach; `ci/fuzz` is both.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a target that finds something has to fail"
)]

mod engine;
#[cfg(not(fuzzing))]
mod made;
mod parsers;
mod session;

#[cfg(fuzzing)]
pub use engine::fuzz;
pub use engine::{Check, Target};
#[cfg(not(fuzzing))]
pub use made::fuzz;

/// Replies: bounded by the caps, and the same in whatever segments they come.
pub const REPLY: Target = Target::new("reply", parsers::reply);
/// A reply to EHLO: no more keywords than the cap, and none twice.
pub const EHLO: Target = Target::new("ehlo", parsers::ehlo);
/// Plans: what parses is the same plan when it is written and read again.
pub const PLAN: Target = Target::new("plan", parsers::plan);
/// URLs: what is refused tells no password.
pub const URL: Target = Target::new("url", parsers::url);
/// What stands between STARTTLS and TLS: TLS begins behind one 220 reply and nothing else.
pub const STARTTLS: Target = Target::new("starttls", session::starttls);
/// SCRAM with a server that does not know the password: nobody is authenticated, and nothing is told.
pub const SASL: Target = Target::new("sasl", session::sasl);
