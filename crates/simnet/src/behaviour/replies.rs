//! Replies that are none, or too much of one.

use super::Behaviour;

const GRAMMAR: &str = "RFC 5321 §4.2";
const LONG: &str = "RFC 5321 §4.5.3.1.5";
const STATUS: &str = "RFC 2034 §4, RFC 3463 §2";
const NO_REPLY: &str =
    "takes it for a protocol error, sends nothing more, and reports a message that was not taken";
const NO_FINAL_REPLY: &str = "takes it for no answer at all: the message may have been taken";
const TOO_LONG: &str =
    "ends at a cap that strikes while the line is read, and holds no more than that";
const CODE: &str = "what stands in the place of the reply code is none";
const BASIC: &str = "goes by the reply code and not by the enhanced one";

const fn new(case: u8, name: &'static str, rfc: &'static str, rules: &'static str) -> Behaviour {
    Behaviour::new(case, name, rfc, rules)
}

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    new(18, "endless-line-greeting", LONG, "greeting: endless-line")
        .wrong("a greeting that is one line without end")
        .refuse(TOO_LONG),
    new(18, "endless-line-ehlo", LONG, "ehlo: endless-line")
        .wrong("a reply to EHLO that is one line without end")
        .refuse(TOO_LONG),
    new(
        18,
        "endless-line-final-reply",
        LONG,
        "data-termination: endless-line",
    )
    .wrong("a final reply that is one line without end")
    .unknown("ends at the cap; the message may have been taken"),
    new(19, "endless-lines-ehlo", LONG, "ehlo: endless-lines")
        .wrong("lines of one reply without end, as fast as they can be written")
        .refuse("ends at a cap of lines and octets"),
    new(
        19,
        "endless-lines-slow",
        "RFC 5321 §4.5.3.2",
        "ehlo: endless-lines; drip 1s",
    )
    .wrong("a line of the same reply every second, so that a timer for each read never expires")
    .refuse("gives up at a limit that holds for the whole reply"),
    new(
        19,
        "endless-lines-final-reply",
        LONG,
        "data-termination: endless-lines",
    )
    .wrong("lines of the final reply without end")
    .unknown("ends at the cap; the message may have been taken"),
    new(20, "code-two-digits", GRAMMAR, r#"mail: raw "25\r\n""#)
        .wrong(CODE)
        .refuse(NO_REPLY),
    new(
        20,
        "code-four-digits",
        GRAMMAR,
        r#"mail: raw "2500 ok\r\n""#,
    )
    .wrong(CODE)
    .refuse(NO_REPLY),
    new(20, "code-underscore", GRAMMAR, r#"mail: raw "250_ok\r\n""#)
        .wrong(CODE)
        .refuse(NO_REPLY),
    new(20, "code-tab", GRAMMAR, r#"mail: raw "250\tok\r\n""#)
        .wrong(CODE)
        .refuse(NO_REPLY),
    new(20, "code-letters", GRAMMAR, r#"mail: raw "2yz ok\r\n""#)
        .wrong(CODE)
        .refuse(NO_REPLY),
    new(20, "code-000", GRAMMAR, r#"mail: raw "000 ok\r\n""#)
        .wrong(CODE)
        .refuse(NO_REPLY),
    new(20, "code-600", GRAMMAR, r#"mail: raw "600 ok\r\n""#)
        .wrong(CODE)
        .refuse(NO_REPLY),
    new(20, "code-999", GRAMMAR, r#"mail: raw "999 ok\r\n""#)
        .wrong(CODE)
        .refuse(NO_REPLY),
    new(20, "code-negative", GRAMMAR, r#"mail: raw "-250 ok\r\n""#)
        .wrong(CODE)
        .refuse(NO_REPLY),
    new(
        20,
        "code-leading-blank",
        GRAMMAR,
        r#"mail: raw " 250 ok\r\n""#,
    )
    .wrong(CODE)
    .refuse(NO_REPLY),
    new(20, "code-missing", GRAMMAR, r#"mail: raw "\r\n""#)
        .wrong(CODE)
        .refuse(NO_REPLY),
    new(
        20,
        "code-without-text",
        "RFC 5321 §4.2.1",
        "mail: reply 250",
    )
    .wrong("a reply code with nothing behind it: unusual, and allowed")
    .deliver("delivers"),
    new(
        20,
        "final-code-four-digits",
        GRAMMAR,
        r#"data-termination: commit; raw "2500 ok\r\n""#,
    )
    .wrong("the message is taken, and the final reply is none")
    .unknown(NO_FINAL_REPLY),
    new(
        20,
        "final-code-850",
        GRAMMAR,
        r#"data-termination: raw "850 nonsense\r\n""#,
    )
    .wrong("the message is not taken, and the final reply is none")
    .unknown(NO_FINAL_REPLY),
    new(
        21,
        "mixed-codes",
        "RFC 5321 §4.2.1",
        r#"mail: raw "250-fine\r\n550 not so\r\n""#,
    )
    .wrong("the lines of one reply have different codes: the first says yes, the last no")
    .refuse("picks neither of them: a protocol error"),
    new(
        21,
        "mixed-codes-final-reply",
        "RFC 5321 §4.2.1",
        r#"data-termination: commit; raw "550-no\r\n250 yes\r\n""#,
    )
    .wrong("the lines of the final reply contradict each other")
    .unknown("believes neither of them: the message may have been taken"),
    new(
        22,
        "blank-line-before-greeting",
        GRAMMAR,
        r#"greeting: raw "\r\n220 double.example ESMTP\r\n""#,
    )
    .wrong("an empty line before the greeting")
    .refuse("is strict: a protocol error"),
    new(
        22,
        "chatter-before-reply",
        GRAMMAR,
        r#"mail: raw "hello\r\n250 2.1.0 ok\r\n""#,
    )
    .wrong("a line of chatter before the reply")
    .refuse(NO_REPLY),
    new(23, "nul-in-reply", GRAMMAR, r#"mail: raw "250 o\x00k\r\n""#)
        .wrong("a NUL in the text of a reply")
        .refuse(NO_REPLY),
    new(
        23,
        "escape-sequence-in-reply",
        GRAMMAR,
        r#"mail: raw "550 5.7.1 \x1b[2J\x1b[31mno\r\n""#,
    )
    .wrong("a refusal with control sequences for the terminal or the log of whoever reads it")
    .refuse("reports the refusal with the sequences made harmless"),
    new(
        23,
        "eight-bit-reply",
        GRAMMAR,
        r#"mail: raw "550 5.7.1 \xff\xfe\xe4\r\n""#,
    )
    .wrong("a refusal in octets that are neither ASCII nor UTF-8")
    .refuse("reports the refusal, and does not stumble over its text"),
    new(
        23,
        "lf-only-reply",
        GRAMMAR,
        r#"mail: raw "250 2.1.0 ok\n""#,
    )
    .wrong("a reply that ends with LF alone")
    .refuse("does what its documentation says; it never waits beyond the limit for the CR"),
    new(
        23,
        "bare-cr-in-reply",
        GRAMMAR,
        r#"mail: raw "250 o\rk\r\n""#,
    )
    .wrong("a CR in the middle of a reply line")
    .refuse(NO_REPLY),
    new(
        24,
        "status-5yz-behind-250",
        STATUS,
        "rcpt: reply 250 5.1.1 no such user",
    )
    .wrong("a positive reply with the enhanced status code of a failure")
    .deliver(BASIC),
    new(
        24,
        "status-2yz-behind-550",
        STATUS,
        "rcpt: reply 550 2.0.0 fine",
    )
    .wrong("a refusal with the enhanced status code of success")
    .refuse(BASIC),
    new(
        24,
        "status-out-of-range",
        STATUS,
        "rcpt: reply 250 9.9.9 fine",
    )
    .wrong("an enhanced status code that does not exist")
    .deliver(BASIC),
    new(24, "status-cut-off", STATUS, "rcpt: reply 250 4.")
        .wrong("an enhanced status code that breaks off")
        .deliver(BASIC),
    new(
        25,
        "replies-in-pieces",
        "RFC 5321 §4.2",
        "link: fragment 1 to-client",
    )
    .wrong("every octet of every reply comes by itself")
    .deliver("reads the same as from one segment"),
    new(
        25,
        "commands-in-pieces",
        "RFC 2920 §3.2",
        "link: fragment 1",
    )
    .wrong("the network takes and gives one octet at a time")
    .deliver("delivers, octet for octet"),
    new(
        25,
        "replies-all-at-once",
        "RFC 2920 §3.2",
        "link: coalesce 200ms to-client",
    )
    .wrong("replies are held back and come several in one segment")
    .deliver("takes each for its own command"),
];
