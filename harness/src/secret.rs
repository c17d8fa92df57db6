//! The search for the secret in whatever was printed.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postbound::{Error, Receipt};

use crate::case::SECRET;

/// How many characters in a row are too many: whatever splits a secret up, such a piece is left.
const PIECE: usize = 8;

/// Every piece of the secret in every form in which it could be printed.
#[must_use]
pub fn pieces() -> BTreeSet<String> {
    let secret = SECRET.as_bytes();
    let hex = |upper: bool| -> String {
        let one = |octet: &u8| match upper {
            true => format!("{octet:02X}"),
            false => format!("{octet:02x}"),
        };
        secret.iter().map(one).collect()
    };
    let percent = |everything: bool| -> String {
        let one = |octet: &u8| match octet {
            octet if !everything && octet.is_ascii_alphanumeric() => char::from(*octet).to_string(),
            octet => format!("%{octet:02X}"),
        };
        secret.iter().map(one).collect()
    };
    let mut forms = vec![
        SECRET.to_owned(),
        hex(true),
        hex(false),
        percent(true),
        percent(false),
        SECRET.escape_debug().to_string(),
    ];
    // Base64 of whatever has the secret in it: all three alignments, without the characters at both
    // ends that depend on what stands beside it.
    for before in 0..3 {
        let encoded = STANDARD.encode([&vec![0; before][..], secret].concat());
        let encoded = encoded.trim_end_matches('=');
        let first = (before * 8).div_ceil(6);
        forms.push(encoded[first..encoded.len() - 1].to_owned());
    }
    let mut pieces = BTreeSet::new();
    for form in forms {
        for at in 0..=form.len() - PIECE {
            pieces.insert(form[at..at + PIECE].to_owned());
        }
    }
    // `Debug` of octets.
    for at in 0..=secret.len() - PIECE {
        let list = format!("{:?}", &secret[at..at + PIECE]);
        pieces.insert(list[1..list.len() - 1].to_owned());
    }
    pieces
}

/// Whether nothing of the secret is in a text.
///
/// # Errors
/// The piece, and what stands around it.
pub fn clean(text: &str, pieces: &BTreeSet<String>) -> Result<(), String> {
    // `{:#?}` puts each octet on a line of its own.
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in [text, &joined] {
        if let Some(piece) = pieces.iter().find(|piece| text.contains(*piece)) {
            let at = text.find(piece).unwrap();
            let around: String = text.chars().skip(at.saturating_sub(60)).take(160).collect();
            return Err(format!("{piece:?} in {around:?}"));
        }
    }
    Ok(())
}

static PIECES: LazyLock<BTreeSet<String>> = LazyLock::new(pieces);

/// A piece of the secret in whatever a finished call can print.
#[must_use]
pub fn printed(result: &Result<Receipt, Error>) -> Option<String> {
    let mut out = String::new();
    match result {
        Ok(receipt) => {
            let _ = write!(out, "{receipt:?}");
        }
        Err(error) => {
            let _ = write!(out, "{error}\n{error:?}\n{:?}", error.auth_detail());
            let mut cause = error.source();
            while let Some(error) = cause {
                let _ = write!(out, "\n{error}\n{error:?}");
                cause = error.source();
            }
        }
    }
    clean(&out, &PIECES).err()
}
