//! Numbers of things, as one says them.

/// `1 pass`, `2 passes`.
pub(crate) fn counted(number: usize, one: &str, more: &str) -> String {
    let word = if number == 1 { one } else { more };
    format!("{number} {word}")
}
