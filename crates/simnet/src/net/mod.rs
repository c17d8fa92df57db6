//! The networks that the double runs on.

pub mod mem;
