//! The reply reader: strict, bounded while it reads, and blind to fragmentation.

use postbound_proto::{
    EnhancedStatusCode, Limits, Reply, ReplyClass, ReplyCode, ReplyError, ReplyReader,
};
use proptest::prelude::*;

/// What a reader makes of octets that come in these pieces: replies, the error, octets consumed.
fn read(pieces: &[&[u8]], limits: &Limits) -> (Vec<Reply>, Option<ReplyError>, usize) {
    let mut reader = ReplyReader::new(limits);
    let (mut replies, mut consumed) = (Vec::new(), 0);
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            match reader.receive(rest) {
                Ok((count, reply)) => {
                    assert!(count > 0);
                    consumed += count;
                    rest = &rest[count..];
                    replies.extend(reply);
                }
                Err(error) => {
                    assert_eq!(
                        reader.receive(b"250 ok\r\n"),
                        Err(error.clone()),
                        "an error stays"
                    );
                    return (replies, Some(error), consumed);
                }
            }
        }
        assert!(reader.held() <= limits.reply_octets);
    }
    (replies, None, consumed)
}

fn refused(octets: &[u8]) -> ReplyError {
    Reply::parse(octets).unwrap_err()
}

#[test]
fn a_reply_is_kept_as_it_came_and_shown_on_one_line() {
    let reply = Reply::parse(b"250-mx.example\r\n250-SIZE 100\r\n250 \r\n").unwrap();
    assert_eq!(reply.code(), ReplyCode::OK);
    assert_eq!(
        reply.lines().collect::<Vec<_>>(),
        [&b"mx.example"[..], b"SIZE 100", b""]
    );
    assert_eq!(reply.raw(), b"250-mx.example\r\n250-SIZE 100\r\n250 \r\n");
    assert_eq!(reply.to_string(), "250 mx.example / SIZE 100 / ");
    assert_eq!(Reply::parse(b"250\r\n").unwrap().to_string(), "250");
}

#[test]
fn what_could_act_on_a_terminal_or_a_log_is_escaped() {
    let shown = Reply::parse(b"550 \x1b[2Jgone\x7f\xff \xe2\x80\xaeevil \\ \t\r\n")
        .unwrap()
        .to_string();
    assert_eq!(shown, r"550 \x1b[2Jgone\x7f\xff \u{202e}evil \x5c \x09");
}

#[test]
fn codes_outside_the_grammar_are_refused_at_their_first_wrong_octet() {
    for (wrong, error) in [
        ("1", ReplyError::Code),
        ("6", ReplyError::Code),
        ("26", ReplyError::Code),
        ("25x", ReplyError::Code),
        ("250_", ReplyError::Separator),
        ("250-a\r\n3", ReplyError::MixedCodes),
    ] {
        let read = read(&[wrong.as_bytes()], &Limits::DEFAULT);
        assert_eq!(read.1, Some(error), "{wrong:?}");
    }
    for wrong in [
        "25",
        "2500 ok",
        "250_ok",
        "99",
        "999 x",
        "600 x",
        "000 x",
        "850 NONSENSE",
        "1yz",
        "\r\n",
        " 250 x",
        "-250",
        "250\tx",
        "260 x",
        "hello\r\n",
    ] {
        let (replies, error, _) = read(&[wrong.as_bytes(), b"\r\n"], &Limits::DEFAULT);
        assert_eq!(replies, [], "{wrong:?}");
        assert!(
            matches!(
                error,
                Some(ReplyError::Code | ReplyError::Separator | ReplyError::BareLineEnding)
            ),
            "{wrong:?}: {error:?}"
        );
    }
}

#[test]
fn mixed_codes_nul_and_bare_line_endings_are_refused() {
    assert_eq!(refused(b"250-a\r\n550 b\r\n"), ReplyError::MixedCodes);
    assert_eq!(refused(b"250 a\0b\r\n"), ReplyError::Nul);
    assert_eq!(refused(b"250 a\n"), ReplyError::BareLineEnding);
    assert_eq!(refused(b"250 a\rb\r\n"), ReplyError::BareLineEnding);
    assert_eq!(refused(b"250 a\r\n250 b\r\n"), ReplyError::NotOne);
}

#[test]
fn caps_strike_while_the_octets_come() {
    let mut limits = Limits::DEFAULT;
    (limits.reply_line, limits.reply_lines, limits.reply_octets) = (20, 3, 50);
    let endless = [b"250 ".as_slice(), &[b'a'; 1000]].concat();
    let (_, error, consumed) = read(&endless.chunks(1).collect::<Vec<_>>(), &limits);
    assert_eq!((error, consumed), (Some(ReplyError::LineTooLong(20)), 20));
    let lines = b"250-x\r\n".repeat(10);
    let (_, error, consumed) = read(&lines.chunks(1).collect::<Vec<_>>(), &limits);
    assert_eq!((error, consumed), (Some(ReplyError::TooManyLines(3)), 21));
    let wide = b"250-0123456789abcd\r\n".repeat(3);
    let (_, error, consumed) = read(&wide.chunks(1).collect::<Vec<_>>(), &limits);
    assert_eq!((error, consumed), (Some(ReplyError::TooManyOctets(50)), 50));
}

#[test]
fn a_line_of_exactly_the_cap_passes() {
    let mut limits = Limits::DEFAULT;
    limits.reply_line = 20;
    let line = b"250 0123456789abcd\r\n";
    assert_eq!(line.len(), 20);
    for pieces in [vec![&line[..]], line.chunks(1).collect()] {
        let (replies, error, _) = read(&pieces, &limits);
        assert_eq!((replies.len(), error), (1, None));
    }
}

#[test]
fn the_basic_code_wins_over_an_enhanced_one() {
    let enhanced = |text: &str| {
        Reply::parse(format!("{text}\r\n").as_bytes())
            .unwrap()
            .enhanced()
    };
    let code = enhanced("550 5.1.1 nobody").unwrap();
    assert_eq!((code.class, code.subject, code.detail), (5, 1, 1));
    assert_eq!(code.to_string(), "5.1.1");
    for lie in [
        "250 5.1.1 x",
        "550 2.0.0 x",
        "250 9.9.9",
        "250 4.",
        "250 2.0",
        "250 2..0",
        "250 2.0.0.0",
        "250 2.0.0x",
        "250 02.0.0",
        "250 2.1000.0",
    ] {
        assert_eq!(enhanced(lie), None::<EnhancedStatusCode>, "{lie}");
    }
}

#[test]
fn nothing_is_held_between_replies() {
    let mut reader = ReplyReader::new(&Limits::DEFAULT);
    reader.receive(b"250-a\r\n2").unwrap();
    assert!(reader.is_midway() && reader.held() == 8);
    reader.receive(b"50 b\r\n").unwrap();
    assert!(!reader.is_midway() && reader.held() == 0);
}

#[test]
fn every_split_in_two_gives_the_same() {
    for text in [
        "220 a\r\n250-b\r\n250 c\r\n421 d\r\n",
        "250-a\r\n251 b\r\n",
        "250 a\r\n\r\n",
        "250 a\n250 b\r\n",
    ] {
        let (replies, error, _) = read(&[text.as_bytes()], &Limits::DEFAULT);
        for at in 0..=text.len() {
            let (a, b) = text.as_bytes().split_at(at);
            let split = read(&[a, b], &Limits::DEFAULT);
            assert_eq!(
                (&split.0, &split.1),
                (&replies, &error),
                "{text:?} split at {at}"
            );
        }
    }
}

#[test]
fn a_code_is_one_from_200_to_559_whose_second_digit_is_at_most_5() {
    for number in 0..=u16::MAX {
        let is_one = number / 100 >= 2 && number / 100 <= 5 && number / 10 % 10 <= 5;
        let code = ReplyCode::new(number);
        assert_eq!(code.map(ReplyCode::get), is_one.then_some(number));
        if let Some(code) = code {
            let class = match number / 100 {
                2 => ReplyClass::Completion,
                3 => ReplyClass::Intermediate,
                4 => ReplyClass::TransientFailure,
                _ => ReplyClass::PermanentFailure,
            };
            assert_eq!(code.class(), class);
            assert_eq!(code.is_completion(), number < 300);
            assert_eq!(code.is_negative(), number >= 400);
            let reply = Reply::parse(format!("{number} x\r\n").as_bytes()).unwrap();
            assert_eq!(reply.code(), code);
            assert_eq!(reply.is_transient_failure(), number / 100 == 4);
            assert_eq!(reply.is_permanent_failure(), number / 100 == 5);
        }
    }
}

#[test]
fn an_enhanced_code_has_three_numbers_of_up_to_three_digits() {
    let enhanced = |text: &str| {
        let reply = Reply::parse(format!("{text}\r\n").as_bytes()).unwrap();
        reply.enhanced().map(|code| code.to_string())
    };
    assert_eq!(enhanced("250 2.0.0").as_deref(), Some("2.0.0"));
    assert_eq!(enhanced("451 4.789.123 x").as_deref(), Some("4.789.123"));
    assert_eq!(
        enhanced("550-5.7.1 a\r\n550 5.1.1 b").as_deref(),
        Some("5.7.1")
    );
    for none in [
        "354 3.0.0 x",
        "250 2.0.a x",
        "250  2.0.0",
        "250",
        "250 222.0.0",
    ] {
        assert_eq!(enhanced(none), None, "{none}");
    }
}

#[test]
fn invisible_characters_are_shown_and_visible_ones_left() {
    let shown = |text: &str| {
        let reply = Reply::parse(format!("250 {text}\r\n").as_bytes()).unwrap();
        reply.to_string()
    };
    assert_eq!(shown("grüße 日本 ~ !"), "250 grüße 日本 ~ !");
    for c in [
        '\u{61c}', '\u{180e}', '\u{200b}', '\u{200f}', '\u{2028}', '\u{202e}', '\u{2060}',
        '\u{206f}', '\u{feff}', '\u{fff9}', '\u{fffb}', '\u{85}',
    ] {
        assert_eq!(
            shown(&c.to_string()),
            format!("250 \\u{{{:x}}}", u32::from(c))
        );
    }
    assert_eq!(
        format!("{:?}", Reply::parse(b"250-a\r\n250 b\r\n").unwrap()),
        "Reply(250 a / b)"
    );
}

#[test]
fn tls_where_a_reply_is_due_is_known_by_its_first_octet_only() {
    assert_eq!(refused(b"\x15\x03\x03"), ReplyError::Tls);
    assert_eq!(refused(b"\x16\x03\x01"), ReplyError::Tls);
    assert_eq!(refused(b"\x17\x03\x03"), ReplyError::Code);
    assert_eq!(refused(b"\x14\x03\x03"), ReplyError::Code);
    assert!(Reply::parse(b"250 \x16\r\n").is_ok());
    assert_eq!(refused(b""), ReplyError::NotOne);
    assert_eq!(refused(b"250 a\r\n2"), ReplyError::NotOne);
}

#[test]
fn every_cap_may_be_reached_and_not_passed_in_one_piece_or_in_many() {
    let mut limits = Limits::DEFAULT;
    (limits.reply_line, limits.reply_lines, limits.reply_octets) = (10, 3, 27);
    let whole = |text: &[u8]| read(&[text], &limits);
    let single = |text: &[u8]| read(&text.chunks(1).collect::<Vec<_>>(), &limits);
    for read in [&whole as &dyn Fn(&[u8]) -> _, &single] {
        let (replies, error, _) = read(b"250-ab\r\n250-567\r\n250 5678\r\n");
        assert_eq!((replies.len(), error), (1, None));
        for (text, why) in [
            (&b"250 56789\r\n"[..], ReplyError::LineTooLong(10)),
            (
                b"250-\r\n250-\r\n250-\r\n250 \r\n",
                ReplyError::TooManyLines(3),
            ),
            (
                b"250-5678\r\n250-567\r\n250 567\r\n",
                ReplyError::TooManyOctets(27),
            ),
        ] {
            let (replies, error, _) = read(text);
            assert_eq!((replies.len(), error), (0, Some(why)));
        }
    }
    // Also where one line may have more than a whole reply.
    (limits.reply_line, limits.reply_octets) = (40, 10);
    for (text, error) in [
        (&b"250 5678\r\n"[..], None),
        (b"250 56789\r\n", Some(ReplyError::TooManyOctets(10))),
    ] {
        assert_eq!(read(&[text], &limits).1, error);
    }
    // A reply has room for its shortest form, whatever the limits say.
    (limits.reply_line, limits.reply_lines, limits.reply_octets) = (0, 0, 0);
    let (replies, error, _) = read(&[b"250 \r\n"], &limits);
    assert_eq!((replies.len(), error), (1, None));
}

/// Octets that are nearly replies.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec!["250 ok\r\n", "250-ok\r\n", "550 5.1.1 no\r\n", "\r\n", "\r", "\n", "25", "2", "421 ", "-", "\0", "354\r\n", "aaaaaaaaaaaaaaaa"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3_000) })]

    #[test]
    fn fragmentation_makes_no_difference(octets in nearly(), cuts in prop::collection::vec(1usize..9, 1..40), caps in (6usize..40, 1usize..5, 6usize..80)) {
        let mut limits = Limits::DEFAULT;
        (limits.reply_line, limits.reply_lines, limits.reply_octets) = caps;
        let mut pieces = Vec::new();
        let mut rest = octets.as_slice();
        for cut in cuts {
            let (piece, more) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        pieces.push(rest);
        let singles: Vec<_> = octets.chunks(1).collect();
        let reference = read(&singles, &limits);
        let (replies, error, _) = read(&pieces, &limits);
        prop_assert_eq!((&replies, &error), (&reference.0, &reference.1));
        for reply in replies {
            prop_assert!(reply.to_string().chars().all(|c| !c.is_control()));
            prop_assert!(reply.raw().len() <= limits.reply_octets.max(6));
        }
    }
}

#[test]
fn two_replies_in_one_read_are_two_whatever_their_lengths() {
    for first in 0..24 {
        for second in 0..24 {
            let text = |octets| format!("250 {}\r\n", "x".repeat(octets));
            let both = text(first) + &text(second);
            let (replies, error, consumed) = read(&[both.as_bytes()], &Limits::DEFAULT);
            assert_eq!((error, consumed), (None, both.len()));
            let replies: Vec<_> = replies.iter().map(Reply::raw).collect();
            assert_eq!(replies, [text(first).as_bytes(), text(second).as_bytes()]);
        }
    }
}
