//! What ends `send` from outside: an interrupt, another one, and a deadline before there is a message.
#![cfg(unix)]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be set up has to fail"
)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};

use common::{Server, interrupt, postbound};
use serde_json::Value;

#[expect(clippy::disallowed_methods, reason = "programs run in real time")]
fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(300));
}

/// A `send` whose final reply never comes and who would wait ten minutes for it, behind the end of its
/// mail data.
fn lingering(server: &Server, file: &str, more: &[&str]) -> (Child, BufReader<impl Read>) {
    let mut arguments = server.send(
        file,
        &["--transcript", "--linger", "10m", "--timeout", "20m"],
    );
    arguments.extend(more);
    let mut child = postbound(&arguments).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("mail data") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it ended too soon");
    }
    (child, said)
}

#[test]
fn a_second_interrupt_ends_the_wait_for_the_final_reply_and_the_outcome_is_told() {
    let server = Server::start(&["data-termination: commit; stall"], &[]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "Subject: x\r\n\r\ny\r\n").unwrap();
    let file = file.path().to_str().unwrap();
    for json in [false, true] {
        let more: &[&str] = if json { &["--json"] } else { &[] };
        let (mut child, mut said) = lingering(&server, file, more);
        // One after the other: two at once are one.
        interrupt(&child);
        pause();
        assert!(child.try_wait().unwrap().is_none(), "it lingers");
        interrupt(&child);
        let status = child.wait().unwrap();
        let mut text = String::new();
        said.read_to_string(&mut text).unwrap();
        let mut out = String::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut out)
            .unwrap();
        assert_eq!(status.code(), Some(40), "{text}{out}");
        if json {
            let json: Value = serde_json::from_str(&out).unwrap();
            assert_eq!(json["outcome"], "ambiguous");
        } else {
            assert!(text.contains("ambiguous: interrupted again"), "{text}");
        }
    }
}

#[test]
fn the_deadline_holds_for_a_message_that_does_not_come() {
    let arguments = [
        "send",
        "--server",
        "127.0.0.1:1",
        "--from",
        "<>",
        "--to",
        "a@example.org",
    ];
    let mut child = postbound(&[&arguments[..], &["--deadline", "300ms"]].concat())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"Subject: half\r\n").unwrap();
    // Open, and silent, for as long as it lives.
    let status = child.wait().unwrap();
    drop(stdin);
    let mut text = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(status.code(), Some(66), "{text}");
    assert!(
        text.contains("standard input") && text.contains("nothing was sent"),
        "{text}"
    );
}
