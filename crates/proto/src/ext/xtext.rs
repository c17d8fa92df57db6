//! xtext: how parameters carry what a command line can't (RFC 3461 §4).

use core::fmt::Write as _;

/// The text as xtext. Whatever is in it, no blank, no control character and nothing outside
/// US-ASCII comes out.
pub(super) fn xtext(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'!'..=b'~' if !matches!(octet, b'+' | b'=') => out.push(char::from(octet)),
            // Writing to a String can't fail.
            _ => drop(write!(out, "+{octet:02X}")),
        }
    }
    out
}

/// The text as utf-8-addr-xtext (RFC 6533 §3), which needs no SMTPUTF8.
pub(super) fn utf8_xtext(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '!'..='~' if !matches!(c, '+' | '=' | '\\') => out.push(c),
            _ => drop(write!(out, "\\x{{{:X}}}", u32::from(c))),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_could_end_a_parameter_is_encoded() {
        assert_eq!(xtext("a+b=c d\r\n"), "a+2Bb+3Dc+20d+0D+0A");
        assert_eq!(xtext("\u{7f}é"), "+7F+C3+A9");
        assert_eq!(
            utf8_xtext("jö+x\\@é.example"),
            "j\\x{F6}\\x{2B}x\\x{5C}@\\x{E9}.example"
        );
    }
}
