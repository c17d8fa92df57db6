//! The one clock: tokio's, so that a simulation can steer it.

use std::time::Instant;

pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
