//! Until when a test waits.

use std::time::Duration;

use tokio::time::Instant;

/// So much later than now; what the clock can't count to is thirty years.
pub(crate) fn until(within: Duration) -> Instant {
    let now = Instant::now();
    let far = Duration::from_secs(30 * 365 * 86_400);
    now.checked_add(within).unwrap_or_else(|| now + far)
}
