//! What `serve` tells at its end of the faults that clients were put through.
#![cfg(unix)]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has to fail"
)]

mod common;

use std::fs;
use std::io::Read;

use common::{Server, interrupt, run, said};
use serde_json::{Value, json};

/// A server that is interrupted behind two messages, after one that was refused and with one whose reply
/// was late: its exit code and everything that it said.
fn served(more: &[&str]) -> (i32, String) {
    let message = tempfile::NamedTempFile::new().unwrap();
    fs::write(message.path(), "Subject: x\r\n\r\nx\r\n").unwrap();
    let message = message.path().to_str().unwrap();
    let rules = ["mail[first 1]: reply 451 4.7.1 later"];
    let mut server = Server::start(&rules, more);
    let address = server.address.split(' ').next().unwrap().to_owned();
    for (to, code) in [
        ("a@x.example", 23),
        ("a@x.example", 0),
        ("delay1ms-dot@x.example", 0),
    ] {
        let arguments = [
            "send",
            "--server",
            &address,
            "--from",
            "me@x.example",
            "--to",
            to,
            "--data",
            message,
        ];
        let (ended, text) = said(&run(&arguments));
        assert_eq!(ended, code, "{text}");
    }
    interrupt(&server.child);
    let code = server.child.wait().unwrap().code().unwrap();
    let mut text = String::new();
    for pipe in [
        &mut server.child.stdout.take().unwrap() as &mut dyn Read,
        &mut server.child.stderr.take().unwrap(),
    ] {
        pipe.read_to_string(&mut text).unwrap();
    }
    (code, text)
}

#[test]
fn what_was_struck_is_written_at_the_end_and_a_goal_that_was_missed_is_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let goals = [
        "--goal",
        "mail:reply-4yz",
        "--goal",
        "data-termination:delay",
    ];

    let path = file("covered.json");
    let (code, text) = served(&[&goals[..], &["--coverage", &path, "--control"]].concat());
    assert_eq!(code, 0, "{text}");
    let told: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let cell = |place: &str, fault: &str, committed: u64| json!({"place": place, "fault": fault, "strikes": 1, "committed": committed});
    assert_eq!(
        told["cells"],
        json!([
            cell("mail", "reply-4yz", 0),
            cell("data-termination", "after", 1)
        ])
    );
    assert_eq!(
        (&told["messages"], &told["missed"]),
        (&json!(2), &json!([]))
    );
    // A table, too.
    let row =
        |text: &str| text.split_whitespace().collect::<Vec<_>>() == ["mail", "reply-4yz", "1", "0"];
    assert!(text.lines().any(row), "{text}");

    let path = file("covered.xml");
    let more = ["--coverage", &path, "--goal", "rcpt:stall"];
    let (code, text) = served(&[&goals[..], &more].concat());
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("BROKEN never struck: rcpt:stall"), "{text}");
    assert!(!text.contains("never struck: mail"), "{text}");
    let xml = fs::read_to_string(&path).unwrap();
    assert!(xml.contains("tests=\"5\" failures=\"1\""), "{xml}");

    let (code, text) = served(&[]);
    assert_eq!(
        (code, text.contains("strikes")),
        (0, false),
        "nobody asked: {text}"
    );
}

#[test]
fn a_goal_that_is_none_or_a_file_that_can_not_be_written_is_refused_before_anyone_comes() {
    let (code, text) = said(&run(&["serve", "--port", "0", "--goal", "rcpt:dance"]));
    assert_eq!(code, 64, "{text}");
    assert!(text.contains("half-then-close"), "{text}");
    let nowhere = [
        "serve",
        "--port",
        "0",
        "--coverage",
        "/no/such/folder/x.json",
    ];
    let (code, text) = said(&run(&nowhere));
    assert_eq!(code, 74, "{text}");
    assert!(text.contains("can't be written"), "{text}");
}
