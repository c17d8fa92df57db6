//! An output that nobody reads, or that can't be written.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot be set up has to fail"
)]

mod common;

use std::io::pipe;
use std::process::{Output, Stdio};

use common::{Server, postbound};

/// A pipe whose reader has gone.
fn closed() -> Stdio {
    let (_, writer) = pipe().unwrap();
    writer.into()
}

fn unread(arguments: &[&str]) -> Output {
    postbound(arguments).stdout(closed()).output().unwrap()
}

fn complaint(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn message(folder: &tempfile::TempDir) -> String {
    let file = folder.path().join("message.eml");
    std::fs::write(&file, "Subject: x\r\n\r\n.y\r\n").unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    for arguments in [
        &["plan", "list"][..],
        &["replay", "timeout=2s -- v1 | rcpt: stall"],
    ] {
        let output = unread(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", complaint(&output));
        assert_eq!(complaint(&output), "");
    }
}

#[test]
fn g4_honest_the_exit_code_says_what_became_of_the_message_though_nobody_can_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let message = message(&folder);
    for (rule, code) in [
        ("data-termination: normal", 0),
        ("data-termination: commit; close", 40),
    ] {
        let server = Server::start(&[rule], &[]);
        let output = postbound(&server.send(&message, &[]))
            .stdout(closed())
            .stderr(closed())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code));
    }
}

#[test]
fn a_double_whose_log_nobody_reads_goes_on_serving() {
    let folder = tempfile::tempdir().unwrap();
    let message = message(&folder);
    let mut server = Server::start(&[], &[]);
    drop(server.child.stdout.take());
    for _ in 0..3 {
        let output = postbound(&server.send(&message, &[])).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", complaint(&output));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_and_is_no_failed_delivery() {
    let folder = tempfile::tempdir().unwrap();
    let message = message(&folder);
    let full = || -> Stdio { std::fs::File::create("/dev/full").unwrap().into() };
    let output = postbound(&["plan", "list"])
        .stdout(full())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(74));
    assert!(complaint(&output).contains("standard output can't be written"));

    let server = Server::start(&[], &[]);
    let output = postbound(&server.send(&message, &[]))
        .stdout(full())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(complaint(&output).contains("standard output can't be written"));
}
