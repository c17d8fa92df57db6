//! The mbox format (RFC 4155 and its relatives): many messages in one file.

use std::io::{self, BufRead};

/// What a file begins with if it is an mbox; no message can (RFC 5322 §2.2: a field's name ends in
/// a colon and has no space in it).
pub(crate) const MARK: &[u8] = b"From ";

/// Where one message lies in its file, without the line before it and the empty one behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) at: u64,
    pub(crate) length: u64,
}

/// Shows each message with its place, one at a time. A message begins behind a line with `From ` at
/// its head that is the first of all or has an empty line before it.
pub(crate) fn each(
    mut file: impl BufRead,
    mut show: impl FnMut(Part, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut at = 0;
    let mut line = Vec::new();
    let mut message: Option<(u64, Vec<u8>)> = None;
    // An empty line belongs to the message only if the message goes on behind it.
    let mut empty: Vec<u8> = Vec::new();
    loop {
        line.clear();
        let read = file.read_until(b'\n', &mut line)? as u64;
        let separates = message.is_none() || !empty.is_empty();
        if read == 0 || (separates && line.starts_with(MARK)) {
            if let Some((start, octets)) = message.take() {
                let length = at - start - empty.len() as u64;
                show(Part { at: start, length }, &octets)?;
            }
            if read == 0 {
                return Ok(());
            }
            empty.clear();
            message = Some((at + read, Vec::new()));
        } else if let Some((_, octets)) = &mut message {
            octets.append(&mut empty);
            if matches!(&*line, b"\n" | b"\r\n") {
                empty.clone_from(&line);
            } else {
                octets.extend_from_slice(unquoted(&line));
            }
        }
        at += read;
    }
}

/// The message that lies in these octets.
pub(crate) fn read(raw: &[u8]) -> Vec<u8> {
    let lines = raw.split_inclusive(|octet| *octet == b'\n');
    lines.flat_map(unquoted).copied().collect()
}

/// A line without the `>` that keeps it from being taken for the next message's beginning.
fn unquoted(line: &[u8]) -> &[u8] {
    let quotes = line.iter().take_while(|octet| **octet == b'>').count();
    match line.split_first() {
        Some((_, rest))
            if quotes > 0 && line.get(quotes..).is_some_and(|l| l.starts_with(MARK)) =>
        {
            rest
        }
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(mbox: &str) -> Vec<String> {
        let mut messages = Vec::new();
        each(mbox.as_bytes(), |part, octets| {
            let start = usize::try_from(part.at).unwrap();
            let end = start + usize::try_from(part.length).unwrap();
            assert_eq!(read(&mbox.as_bytes()[start..end]), octets);
            messages.push(String::from_utf8(octets.to_vec()).unwrap());
            Ok(())
        })
        .unwrap();
        messages
    }

    #[test]
    fn each_message_is_found_without_what_separates_it() {
        let mbox = "From a Mon\nSubject: 1\n\none\n\nFrom b Tue\nSubject: 2\n\ntwo\n\n";
        assert_eq!(
            messages(mbox),
            ["Subject: 1\n\none\n", "Subject: 2\n\ntwo\n"]
        );
        let crlf = mbox.replace('\n', "\r\n");
        assert_eq!(
            messages(&crlf),
            ["Subject: 1\r\n\r\none\r\n", "Subject: 2\r\n\r\ntwo\r\n"]
        );
    }

    #[test]
    fn a_line_that_looks_like_the_beginning_of_one_is_no_such_thing_inside_a_paragraph() {
        let mbox = "From a\nSubject: 1\n\nhello\nFrom here on\n\n\n>From me\n>>From you\n> From\n";
        assert_eq!(
            messages(mbox),
            ["Subject: 1\n\nhello\nFrom here on\n\n\nFrom me\n>From you\n> From\n"]
        );
    }

    #[test]
    fn a_file_that_ends_too_early_has_what_it_has() {
        assert_eq!(messages(""), Vec::<String>::new());
        assert_eq!(messages("From a"), [""]);
        assert_eq!(
            messages("From a\nSubject: 1\n\nno end"),
            ["Subject: 1\n\nno end"]
        );
        assert_eq!(messages("From a\n\nFrom b\n\n"), ["", ""]);
    }
}
