//! Numbers of things and durations, as one says them.

use std::time::Duration;

/// `1 pass`, `2 passes`.
pub(crate) fn counted(number: usize, one: &str, more: &str) -> String {
    let word = if number == 1 { one } else { more };
    format!("{number} {word}")
}

/// A duration as people read it.
pub(crate) fn brief(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{:.1} ms", duration.as_secs_f64() * 1_000.0)
    } else if duration >= Duration::from_secs(3_600) {
        let minutes = duration.as_secs().div_ceil(60);
        format!("{} h {} min", minutes / 60, minutes % 60)
    } else {
        format!("{:.3} s", duration.as_secs_f64())
    }
}
