//! Lines that are no rules: each is refused with its line, its column and what was expected there.
use postbound_simnet::Plan;

/// A rule, the column of what is wrong with it, what is expected there, and what is found.
const WRONG: &[(&str, usize, &str, &str)] = &[
    // Places.
    (
        "banner: stall",
        1,
        "a place: link, proxy, resolve,",
        "banner:",
    ),
    (": stall", 1, "a place", ":"),
    ("rcpt", 5, "a colon", ""),
    ("rcpt stall", 5, "a colon", " "),
    ("rcpt#: stall", 6, "a number from 1 to 65535", ":"),
    ("rcpt#0: stall", 6, "a number from 1 to 65535", "0:"),
    ("rcpt#65536: stall", 6, "a number from 1 to 65535", "65536:"),
    ("rcpt#-1: stall", 6, "a number from 1 to 65535", "-1:"),
    ("rcpt#+1: stall", 6, "a number from 1 to 65535", "+1:"),
    ("rcpt#two: stall", 6, "a number from 1 to 65535", "two:"),
    (
        "link#1: latency 5ms",
        1,
        "the place without a number",
        "link#1:",
    ),
    (
        "resolve#2: hang",
        1,
        "the place without a number",
        "resolve#2:",
    ),
    ("checkout: stall", 1, "another phase", "checkout:"),
    // What the server does.
    ("rcpt:", 6, "normal, reply CODE [TEXT]", ""),
    ("rcpt: dance", 7, "normal, reply CODE [TEXT]", "dance"),
    ("rcpt: Stall", 7, "normal, reply CODE [TEXT]", "Stall"),
    ("rcpt: stall;", 13, "normal, reply CODE [TEXT]", ""),
    ("rcpt: after 2s; hold", 17, "one clause each", "hold"),
    ("rcpt: hold 2s", 12, "the end of the line", "2s"),
    ("rcpt: stall now", 13, "the end of the line", "now"),
    ("rcpt: reply", 12, "a reply code from 200 to 559", ""),
    ("rcpt: reply no", 13, "a reply code from 200 to 559", "no"),
    (
        "rcpt: reply 199 x",
        13,
        "a reply code from 200 to 559",
        "199",
    ),
    (
        "rcpt: reply 260 x",
        13,
        "a reply code from 200 to 559",
        "260",
    ),
    (
        "rcpt: reply 0999 x",
        13,
        "a reply code from 200 to 559",
        "0999",
    ),
    (
        "rcpt: reply 99999 x",
        13,
        "a reply code from 200 to 559",
        "99999",
    ),
    (r#"rcpt: reply 550 "abc"#, 21, "a closing quote", ""),
    (r#"rcpt: reply 550 "\q""#, 19, "an escape", "q\""),
    (r#"rcpt: reply 550 "\xff""#, 23, "text in UTF-8", ""),
    ("rcpt: raw abc", 11, "octets in quotes", "abc"),
    (r#"rcpt: raw "\x0""#, 13, "an escape", "x0\""),
    (r#"rcpt: raw "\u{d800}""#, 13, "an escape", "u{d800}\""),
    ("rcpt: after", 12, "a time such as 250ms", ""),
    ("rcpt: after 2", 13, "a time such as 250ms", "2"),
    ("rcpt: after 0s", 13, "a time of at least 1ms", "0s"),
    ("rcpt: after 1.5s", 13, "a time such as 250ms", "1.5s"),
    ("rcpt: after -2s", 13, "a time such as 250ms", "-2s"),
    ("rcpt: drip 25h", 12, "a time of at most 24h", "25h"),
    (
        "rcpt: after 99999999999999999999s",
        13,
        "a time of at most 24h",
        "99999999999999999999s",
    ),
    ("rcpt: after 2s; drip 1s", 17, "one clause each", "drip"),
    ("rcpt: close; reset", 14, "one clause each", "reset"),
    ("rcpt: half; garbage", 13, "one clause each", "garbage"),
    ("rcpt: commit", 7, "only data-termination can", "commit"),
    ("rcpt: echo", 7, "only auth can", "echo"),
    ("auth: iterations 0", 18, "a number of iterations", "0"),
    // Mail data.
    ("data-block: stop", 17, "after", ""),
    (
        "data-block: stop after 0",
        24,
        "a number of octets, at least 1",
        "0",
    ),
    (
        "data-block: stop after 1 heal x",
        31,
        "a time such as 250ms",
        "x",
    ),
    ("data-block: trickle 8 each 1s", 23, "every", "each"),
    (
        "data-block: interrupt after 9",
        30,
        "; and what the server does then",
        "",
    ),
    (
        "data-block#2: stop after 1",
        15,
        "what is said to this chunk",
        "stop",
    ),
    // The network, TLS and a proxy.
    (
        "resolve: slowly",
        10,
        "hang, fail, empty, after TIME",
        "slowly",
    ),
    ("resolve: addresses 0", 20, "a number from 1 to 1000", "0"),
    (
        "resolve: addresses 01001",
        20,
        "a number from 1 to 1000",
        "01001",
    ),
    (
        "resolve: addresses v4 v5",
        23,
        "v4, v6 or the end of the rule",
        "v5",
    ),
    (
        "connect: stall",
        10,
        "refuse, unreachable, blackhole or after TIME",
        "stall",
    ),
    ("link: lag 5ms", 7, "latency TIME, window OCTETS", "lag"),
    ("link: window 0", 14, "a number of octets, at least 1", "0"),
    (
        "link: fragment 4294967296",
        16,
        "a number of octets, at least 1",
        "4294967296",
    ),
    (
        "link: fragment 1 to-nowhere",
        18,
        "to-server, to-client, both",
        "to-nowhere",
    ),
    ("link: split 3", 13, "after", "3"),
    (
        "link: split after to-client",
        19,
        "the numbers of octets, from 1 and ascending",
        "to-client",
    ),
    ("link: split after 3 5 5", 23, "from 1 and ascending", "5"),
    ("link: split after 3, 5", 19, "the numbers of octets", "3,"),
    ("link: blackhole 5s", 17, "after", "5s"),
    (
        "link: at octet 5 both close",
        18,
        "to-server or to-client",
        "both",
    ),
    (
        "link: at octet 5 to-server corrupt",
        28,
        "only to-client is anything corrupted",
        "corrupt",
    ),
    (
        "tls-handshake: stal",
        16,
        "stall, close, reset or corrupt",
        "stal",
    ),
    (
        "tls-handshake: close at 0",
        25,
        "an octet of the server's flight",
        "0",
    ),
    (
        "tls-handshake: drop after +5",
        27,
        "a number of octets",
        "+5",
    ),
    (
        "tls-handshake: certificate bad",
        28,
        "good, expired, not-yet-valid",
        "bad",
    ),
    ("proxy: greet normal", 8, "a step of the proxy", "greet"),
    (
        "proxy: method early \"x\"",
        15,
        "at request, early",
        "early",
    ),
    (
        "proxy: request half; continue",
        22,
        "after TIME or drip TIME",
        "continue",
    ),
    (
        "proxy: request half; hold",
        22,
        "after TIME or drip TIME",
        "hold",
    ),
    // Conditions.
    ("rcpt[]: stall", 6, "a condition: ADDRESS", "]:"),
    (
        "rcpt[first 1, first 2]: stall",
        15,
        "each condition once",
        "first",
    ),
    (
        "rcpt[first 1: stall",
        13,
        "a comma and another condition, or ]",
        ":",
    ),
    ("rcpt[over 3]: stall", 12, "per TIME", "]:"),
    ("connect[first 1]: refuse", 8, "no conditions", "[first"),
];

#[test]
fn every_wrong_line_is_refused_with_its_line_its_column_and_what_was_expected() {
    let mut otherwise = Vec::new();
    for (rule, column, expected, found) in WRONG {
        for (text, line, column) in [
            (format!("postbound-plan v1\n# wrong\n{rule}\n"), 3, *column),
            (format!("v1 | {rule}"), 1, column + 5),
        ] {
            // On one line, another rule may follow.
            let expected = match *expected {
                "the end of the line" if line == 1 => "| and another rule",
                other => other,
            };
            let place = format!("line {line}, column {column}: expected ");
            match text.parse::<Plan>() {
                Err(error)
                    if (error.line, error.column) == (line, column)
                        && error.expected.contains(expected)
                        && error.found == *found
                        && error.to_string().starts_with(&place) => {}
                other => otherwise.push(format!("{text:?}, {place}: {other:?}")),
            }
        }
    }
    assert!(otherwise.is_empty(), "{}", otherwise.join("\n"));
    assert!(WRONG.len() > 60);
}
