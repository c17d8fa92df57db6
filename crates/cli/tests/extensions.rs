//! The options for service extensions, as octets.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has to fail"
)]

mod common;

use common::{Server, run, said};

/// Sends with these options: the code, and everything that was said, on the wire, too.
fn send(server: &Server, to: &str, message: &str, more: &[&str]) -> (i32, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), message).unwrap();
    let mut arguments = vec!["send", "--server", &server.address, "--transcript"];
    arguments.extend(["--from", "me@example.net", "--to", to]);
    arguments.extend(["--data", file.path().to_str().unwrap()]);
    arguments.extend(more);
    said(&run(&arguments))
}

const MESSAGE: &str = "Subject: x\r\n\r\n.y\r\n";
const TWO: &str = "a@example.org,b@example.org";

#[test]
fn each_option_is_a_parameter_on_the_wire() {
    let server = Server::start(&[], &["--full"]);
    for (options, said) in [
        (&["--ret", "hdrs"][..], &["> SIZE=18 RET=HDRS"][..]),
        (
            &["--ret", "full", "--envid", "a+b"],
            &["RET=FULL ENVID=a+2Bb"],
        ),
        (
            &["--notify", "success,delay"],
            &[
                "TO:<a@example.org> NOTIFY=SUCCESS,DELAY",
                "TO:<b@example.org> NOTIFY=SUCCESS,DELAY",
            ],
        ),
        (
            &["--orcpt", "list@example.com", "--orcpt", "x400;/G=Bob/"],
            &[
                "TO:<a@example.org> ORCPT=rfc822;list@example.com",
                "TO:<b@example.org> ORCPT=x400;/G+3DBob/",
            ],
        ),
        (
            &[
                "--notify",
                "never",
                "--orcpt",
                "x@example.com",
                "--orcpt",
                "x@example.com",
            ],
            &["TO:<a@example.org> NOTIFY=NEVER ORCPT=rfc822;x@example.com"],
        ),
        (&["--deliver-by", "2h"], &["BY=7200;R"]),
        (&["--deliver-by", "2h", "--late-is-fine"], &["BY=7200;N"]),
        (&["--priority", "-4"], &["MT-PRIORITY=-4"]),
        (&["--hold", "1h"], &["HOLDFOR=3600"]),
        (&["--smtputf8"], &["SMTPUTF8"]),
        (&["--body", "8bitmime"], &["BODY=8BITMIME"]),
        (
            &["--body", "binarymime"],
            &["BODY=BINARYMIME", "BDAT 18 LAST"],
        ),
        (&["--chunking"], &["BDAT 18 LAST"]),
        (&["--chunking=10"], &["BDAT 10", "BDAT 8 LAST"]),
        (
            &["--mask", "size", "--mask", "pipelining"],
            &["FROM:<me@example.net>\n"],
        ),
    ] {
        let (code, text) = send(&server, TWO, MESSAGE, options);
        assert_eq!(code, 0, "{options:?}: {text}");
        for part in said {
            assert!(text.contains(part), "{options:?} without {part}: {text}");
        }
    }
}

#[test]
fn what_is_not_offered_is_refused_before_anything_is_sent() {
    let server = Server::start(&[], &[]);
    for (options, why) in [
        (&["--ret", "full"][..], "DSN"),
        (&["--orcpt", "x@example.com"], "DSN"),
        (&["--deliver-by", "2h"], "DELIVERBY"),
        (&["--priority", "3"], "MT-PRIORITY"),
        (&["--hold", "1h"], "FUTURERELEASE"),
        (&["--require-tls"], "REQUIRETLS"),
        (&["--smtputf8"], "SMTPUTF8"),
        (&["--body", "binarymime"], "BINARYMIME"),
    ] {
        let (code, text) = send(&server, "a@example.org", MESSAGE, options);
        assert_eq!(code, 23, "{options:?}: {text}");
        assert!(
            text.contains(why) && !text.contains("MAIL FROM"),
            "{options:?}: {text}"
        );
    }
}

#[test]
fn a_line_that_is_offered_is_announced_and_clients_are_held_to_it() {
    use std::io::{Read, Write};

    let offers = ["--offer", "limits RCPTMAX=1", "--offer", "SIZE 20"];
    let server = Server::start(&[], &offers);
    let mut stream = std::net::TcpStream::connect(&server.address).unwrap();
    let lines = [
        "EHLO c.example",
        "MAIL FROM:<a@x.example>",
        "RCPT TO:<b@x.example>",
        "RCPT TO:<c@x.example>",
        "RSET",
        "MAIL FROM:<a@x.example> SIZE=21",
        "QUIT",
    ];
    let said = lines.map(|line| format!("{line}\r\n")).concat();
    stream.write_all(said.as_bytes()).unwrap();
    let mut replies = String::new();
    stream.read_to_string(&mut replies).unwrap();
    for line in [
        "LIMITS RCPTMAX=1\r\n",
        "SIZE 20\r\n",
        "452 4.5.3",
        "552 5.3.4",
    ] {
        assert!(replies.contains(line), "{line}: {replies}");
    }
    assert_eq!(replies.matches("SIZE").count(), 1, "{replies}");
    // Our own client keeps to it: it does not even begin with two.
    let (code, text) = send(&server, TWO, MESSAGE, &[]);
    assert_eq!(code, 23, "{text}");
    assert!(text.contains("at most 1 at once"), "{text}");
    let (code, text) = send(&server, "a@example.org", MESSAGE, &[]);
    assert_eq!(code, 0, "{text}");

    for (line, why) in [
        ("X_Y", "expected a keyword"),
        ("LIMITS RCPTMAX=none", "RCPTMAX has a number"),
        ("STARTTLS", "--tls starttls"),
    ] {
        let (code, text) = said_of(&["serve", "--port", "0", "--offer", line]);
        assert_eq!(code, 64, "{line}: {text}");
        assert!(text.contains(why), "{line} without {why}: {text}");
    }
}

fn said_of(arguments: &[&str]) -> (i32, String) {
    said(&run(arguments))
}

#[test]
fn options_that_make_no_sense_are_said_to_make_none() {
    let server = Server::start(&[], &["--full"]);
    for (options, why) in [
        (
            &["--orcpt", "x@example.com"][..],
            "1 times and there are 2 recipients",
        ),
        (&["--orcpt", "no mailbox"], "--orcpt"),
        (&["--orcpt", "x400;"], "original recipient"),
        (&["--notify", "never,success"], "never"),
        (&["--priority", "10"], "-9"),
        (&["--hold", "tomorrow"], "2h"),
        (&["--chunking=0"], "0"),
        (&["--late-is-fine"], "--deliver-by"),
    ] {
        let (code, text) = send(&server, TWO, MESSAGE, options);
        assert_eq!(code, 64, "{options:?}: {text}");
        assert!(text.contains(why), "{options:?} without {why}: {text}");
    }
}

#[test]
fn over_lmtp_each_recipient_has_an_outcome_of_its_own() {
    let server = Server::start(&["data-termination#2: reply 452 4.2.2 full"], &["--lmtp"]);
    let (code, text) = send(&server, TWO, MESSAGE, &["--lmtp"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("LHLO"), "{text}");
    assert!(
        text.contains("refused: <b@example.org> 452 4.2.2 full"),
        "{text}"
    );
}
