//! Transparency, against a naive encoder and a strict decoder.

use std::io::IoSlice;

use postbound_proto::transparency::{Encoder, LineEndings, message_octets, wire_octets};
use proptest::prelude::*;

/// Line by line, copying: what anybody would write first.
fn naive(message: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut octets = message.iter().copied().peekable();
    while let Some(octet) = octets.next() {
        match octet {
            b'\r' => {
                octets.next_if_eq(&b'\n');
                text.extend(b"\r\n");
            }
            b'\n' => text.extend(b"\r\n"),
            _ => text.push(octet),
        }
    }
    if !text.is_empty() && !text.ends_with(b"\r\n") {
        text.extend(b"\r\n");
    }
    let mut wire = Vec::new();
    for line in text.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend(line);
    }
    wire.extend(b".\r\n");
    wire
}

/// The encoder, fed in chunks, its octets taken a few at a time.
fn encode(chunks: &[&[u8]], takes: &[usize], line_endings: LineEndings) -> Result<Vec<u8>, u64> {
    let mut encoder = Encoder::new(line_endings);
    let mut wire = Vec::new();
    let mut takes = takes.iter().copied().cycle();
    for (i, chunk) in chunks.iter().enumerate() {
        let last = i + 1 == chunks.len();
        encoder.next_chunk();
        loop {
            encoder.prepare(chunk, last).map_err(|error| error.octet)?;
            let mut slices = [IoSlice::new(&[]); 5];
            let count = encoder.slices(chunk, &mut slices);
            let offered: Vec<u8> = slices[..count]
                .iter()
                .flat_map(|slice| slice.to_vec())
                .collect();
            let take = takes.next().unwrap().min(offered.len());
            wire.extend_from_slice(&offered[..take]);
            encoder.taken(take);
            if encoder.is_finished() || (!last && encoder.consumed(chunk)) {
                break;
            }
        }
        assert_eq!(
            encoder.is_finished(),
            last,
            "finished exactly with the last chunk"
        );
    }
    assert_eq!(encoder.octets_taken(), wire.len() as u64);
    Ok(wire)
}

/// Refuses everything that a strict server would, and gives the message back.
fn strict(wire: &[u8]) -> Vec<u8> {
    let mut lines = wire.split(|octet| *octet == b'\n').collect::<Vec<_>>();
    assert_eq!(lines.pop(), Some(&b""[..]), "it ends with a line ending");
    let mut message = Vec::new();
    let count = lines.len();
    for (i, line) in lines.into_iter().enumerate() {
        let line = line.strip_suffix(b"\r").expect("a bare LF left");
        assert!(!line.contains(&b'\r'), "a bare CR left");
        if line == b"." {
            assert_eq!(i + 1, count, "the end of mail data comes once, at the end");
            return message;
        }
        message.extend(line.strip_prefix(b".").unwrap_or(line));
        message.extend(b"\r\n");
    }
    panic!("no end of mail data");
}

const SHAMS: [&str; 19] = [
    "\n.\n",
    "\n.\r",
    "\r.\n",
    "\r.\r",
    "\n.\r\n",
    "\r.\r\n",
    "\r\n.\n",
    "\r\n.\r",
    "\r\n.\r\r\n",
    "\r\r\n.\r\r\n",
    "\r\n\0.\r\n",
    "\r\n.\0\r\n",
    "\r\n.\r\n",
    ".\r\n",
    "\r\n.",
    ".",
    "",
    "\r",
    "\n",
];

#[test]
fn sequences_that_smuggled_mail_elsewhere_are_tamed() {
    for sham in SHAMS {
        let message = format!("a{sham}MAIL FROM:<evil@example.org>\r\n");
        for text in [message.as_bytes(), sham.as_bytes()] {
            for at in 0..=text.len() {
                let (a, b) = text.split_at(at);
                let wire = encode(&[a, b], &[3, 1], LineEndings::Normalize).unwrap();
                assert_eq!(wire, naive(text), "{sham:?} split at {at}");
                strict(&wire);
            }
        }
    }
}

#[test]
fn they_are_tamed_behind_any_length_of_text() {
    // Text is passed over in blocks.
    for before in (0..3).chain(60..68).chain(125..131) {
        for sham in SHAMS {
            let text = [&"x".repeat(before), sham, &"y".repeat(70)].concat();
            let wire = encode(&[text.as_bytes()], &[1_000], LineEndings::Normalize).unwrap();
            assert_eq!(wire, naive(text.as_bytes()), "{sham:?} behind {before}");
        }
    }
}

#[test]
fn a_well_formed_message_is_one_slice_of_itself() {
    let message = b"Subject: x\r\n\r\nhello\r\nworld\r\n";
    let mut encoder = Encoder::new(LineEndings::Refuse);
    encoder.prepare(message, true).unwrap();
    let mut slices = [IoSlice::new(&[]); 4];
    assert_eq!(encoder.slices(message, &mut slices), 2);
    assert_eq!(slices[0].as_ptr(), message.as_ptr());
    assert_eq!((&*slices[0], &*slices[1]), (&message[..], &b".\r\n"[..]));
    // What is taken whole leaves no empty slice behind.
    encoder.taken(message.len());
    assert_eq!(encoder.slices(message, &mut slices), 1);
    encoder.taken(3);
    assert_eq!(encoder.slices(message, &mut slices), 0);
}

#[test]
fn a_bare_line_ending_is_refused_where_it_stands_and_never_leaves() {
    assert_eq!(
        encode(&[b"ab\r\nc\nd"], &[100], LineEndings::Refuse),
        Err(5)
    );
    assert_eq!(
        encode(&[b"ab\r", b"c"], &[100], LineEndings::Refuse),
        Err(2)
    );
    assert_eq!(encode(&[b"ab\r"], &[100], LineEndings::Refuse), Err(2));
    assert!(encode(&[b"ab\r", b"\nc"], &[100], LineEndings::Refuse).is_ok());
    for (chunks, octet) in [(&[&b"a\rb\nc"[..]][..], 1), (&[b"ab", b"c\rd"], 3)] {
        assert_eq!(encode(chunks, &[100], LineEndings::Refuse), Err(octet));
    }
    let refused = Encoder::new(LineEndings::Refuse).prepare(b"ab\n", true);
    let why = refused.unwrap_err().to_string();
    assert!(
        why.starts_with("octet 2 of the message is a CR without LF"),
        "{why}"
    );
}

fn octets() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![3 => Just(b'\r'), 3 => Just(b'\n'), 3 => Just(b'.'), 2 => Just(b'a'), 1 => any::<u8>()];
    prop::collection::vec(octet, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5_000) })]

    #[test]
    fn every_chunking_gives_what_the_naive_encoder_gives(message in octets(), cuts in prop::collection::vec(0usize..12, 0..20), takes in prop::collection::vec(1usize..40, 1..10)) {
        let mut chunks = Vec::new();
        let mut rest = message.as_slice();
        for cut in cuts {
            let (chunk, more) = rest.split_at(cut.min(rest.len()));
            chunks.push(chunk);
            rest = more;
        }
        chunks.push(rest);
        let wire = encode(&chunks, &takes, LineEndings::Normalize).unwrap();
        prop_assert_eq!(&wire, &naive(&message));
        let decoded = strict(&wire);
        prop_assert_eq!(wire_octets(&message), wire.len() as u64);
        prop_assert_eq!(message_octets(&message), decoded.len() as u64);
        if let Ok(refusing) = encode(&chunks, &takes, LineEndings::Refuse) {
            prop_assert_eq!(refusing, wire);
        } else {
            prop_assert_ne!(decoded.strip_suffix(b"\r\n").unwrap_or(&decoded), message.strip_suffix(b"\r\n").unwrap_or(&message));
        }
    }
}
