//! Durations as plans write them: `250ms`, `2s`, `5m`, `1h`.

use std::fmt;
use std::time::Duration;

/// The longest duration that can be written: 24 hours.
const MAX_MILLIS: u64 = 24 * 60 * 60 * 1_000;

/// A duration such as `250ms`, `2s`, `5m` or `1h`, up to 24 hours.
///
/// # Errors
/// A sentence about what was expected.
pub fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    let found = units
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)));
    match found {
        Some((digits, factor))
            if !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit()) =>
        {
            let millis = digits.parse::<u64>().unwrap_or(u64::MAX);
            match millis.saturating_mul(factor) {
                millis @ 0..=MAX_MILLIS => Ok(Duration::from_millis(millis)),
                _ => Err("a time of at most 24h"),
            }
        }
        _ => Err("a time such as 250ms, 2s, 5m or 1h"),
    }
}

/// A duration in the largest unit that is exact, as [`parse_duration`] reads it. Parts of a
/// millisecond are dropped.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a wrapper for Display")]
pub struct Plain(pub Duration);

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        match millis {
            0 => f.write_str("0ms"),
            _ if millis.is_multiple_of(3_600_000) => write!(f, "{}h", millis / 3_600_000),
            _ if millis.is_multiple_of(60_000) => write!(f, "{}m", millis / 60_000),
            _ if millis.is_multiple_of(1_000) => write!(f, "{}s", millis / 1_000),
            _ => write!(f, "{millis}ms"),
        }
    }
}
