//! The double's mailbox as files: there as soon as the message is said to be taken.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be set up has to fail"
)]

mod common;

use std::fs;
use std::path::Path;

use common::{Server, run, said};

const MESSAGE: &str = "Subject: x\r\n\r\n.y\r\n";

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut names: Vec<_> = entries.map(|entry| name(entry.unwrap())).collect();
    names.sort();
    names
}

#[test]
fn what_is_said_to_be_taken_is_a_file_already_and_numbers_are_not_used_again() {
    let place = tempfile::tempdir().unwrap();
    let message = place.path().join("message");
    fs::write(&message, MESSAGE).unwrap();
    let folder = place.path().join("taken");
    let mut expected = Vec::new();
    for number in 1..=3 {
        // Another one each time, with the same folder.
        let server = Server::start(&[], &["--mailbox", folder.to_str().unwrap()]);
        let (code, text) = said(&run(&server.send(message.to_str().unwrap(), &[])));
        assert_eq!(code, 0, "{text}");
        expected.extend([format!("00000{number}.eml"), format!("00000{number}.json")]);
        assert_eq!(names(&folder), expected);
        let stored = fs::read_to_string(folder.join(format!("00000{number}.eml"))).unwrap();
        assert_eq!(stored, MESSAGE);
    }
}

#[test]
fn a_message_that_can_not_be_written_is_not_taken_whatever_the_plan_says() {
    let place = tempfile::tempdir().unwrap();
    let message = place.path().join("message");
    fs::write(&message, MESSAGE).unwrap();
    let folder = place.path().join("taken");
    for rules in [&[][..], &["data-termination: commit; stall"]] {
        let server = Server::start(rules, &["--mailbox", folder.to_str().unwrap()]);
        fs::remove_dir_all(&folder).unwrap();
        let send = server.send(message.to_str().unwrap(), &["--timeout", "5s"]);
        let (code, text) = said(&run(&send));
        assert_eq!(code, 26, "{text}");
        assert!(text.contains("452 4.3.1"), "{text}");
    }
    // Where something else stands in the way it is said at once.
    fs::write(&folder, "a file").unwrap();
    let (code, text) = said(&run(&[
        "serve",
        "--port",
        "0",
        "--mailbox",
        folder.to_str().unwrap(),
    ]));
    assert_eq!(code, 74, "{text}");
}
