//! The library of hostile behaviours on the command line.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be set up has to fail"
)]

mod common;

use common::{Server, run, said};
use simnet::behaviour::{Behaviour, CASES};

#[test]
fn plan_list_has_every_behaviour_and_every_case() {
    let (code, text) = said(&run(&["plan", "list"]));
    assert_eq!(code, 0, "{text}");
    for behaviour in Behaviour::all() {
        assert!(text.contains(behaviour.name), "{}", behaviour.name);
        assert!(text.contains(behaviour.wrong), "{}", behaviour.name);
    }
    for case in CASES {
        let heading = format!("## {} {}", case.number, case.title);
        assert!(text.contains(&heading), "{heading}");
    }
    assert!(text.contains("## data-termination"), "the faults by phase");
}

#[test]
fn what_plan_show_prints_is_a_plan_file() {
    let folder = tempfile::tempdir().unwrap();
    for behaviour in Behaviour::all() {
        // Each in its own process would take long; one from each table is enough for the program.
        if ![
            "starttls-454",
            "mixed-codes",
            "lost-reply",
            "auth-echo",
            "drip-rcpt",
        ]
        .contains(&behaviour.name)
        {
            continue;
        }
        let (code, text) = said(&run(&["plan", "show", behaviour.name]));
        assert_eq!(code, 0, "{text}");
        for part in [behaviour.rfc, behaviour.wrong, behaviour.good] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let file = folder.path().join("plan");
        std::fs::write(&file, &text).unwrap();
        let (code, text) = said(&run(&["plan", "check", file.to_str().unwrap()]));
        assert_eq!(code, 0, "{text}");
        assert!(text.contains(&behaviour.plan().one_line()), "{text}");
    }
}

#[test]
fn plan_explain_takes_a_file_a_line_or_a_rule() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan");
    std::fs::write(&file, "postbound-plan v1\nrcpt: stall\n").unwrap();
    for plan in [file.to_str().unwrap(), "v1 | rcpt: stall", "rcpt: stall"] {
        let (code, text) = said(&run(&["plan", "explain", plan]));
        assert_eq!(code, 0, "{text}");
        assert!(
            text.contains("then neither reads nor writes again"),
            "{text}"
        );
        assert!(text.contains("names rcpt as the phase"), "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_what_there_is() {
    for (arguments, expected) in [
        (["plan", "show", "lost-replay"], "there are lost-reply"),
        (["plan", "show", "zz"], "plan list behaviours"),
        (
            ["plan", "explain", "rcpt: stal"],
            "line 1, column 7: expected",
        ),
        (
            ["plan", "explain", "no-such-file"],
            "no file \"no-such-file\"",
        ),
        (
            ["serve", "--behaviour", "lost-replay"],
            "there are lost-reply",
        ),
        (
            ["serve", "--behaviour", "dns-hang"],
            "the look-up of its own name",
        ),
        (
            ["serve", "--behaviour", "dns-dead-family"],
            "loopback can't do",
        ),
    ] {
        let (code, text) = said(&run(&arguments));
        assert_ne!(code, 0, "{arguments:?}");
        assert!(text.contains(expected), "{arguments:?}: {text}");
    }
}

#[test]
fn serve_plays_a_behaviour_with_what_it_needs() {
    let message = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(message.path(), "Subject: x\r\n\r\nx\r\n").unwrap();
    let message = message.path().to_str().unwrap();

    let server = Server::start(&[], &["--behaviour", "lost-reply"]);
    let (_, text) = said(&run(&server.send(message, &["--deadline", "500ms"])));
    assert!(text.contains("ambiguous: data-termination"), "{text}");

    // TLS is there without having been asked for.
    let server = Server::start(&[], &["--behaviour", "certificate-expired"]);
    let (_, text) = said(&run(
        &server.send(message, &["--tls", "starttls", "--deadline", "5s"])
    ));
    assert!(text.contains("tls-handshake"), "{text}");
    assert!(text.contains("not accepted"), "{text}");

    // And AUTH.
    let server = Server::start(&[], &["--behaviour", "scram-bad-signature"]);
    let account = [
        "--auth-user",
        "tester@double.example",
        "--auth-password",
        "no-secret",
        "--deadline",
        "5s",
    ];
    let (_, text) = said(&run(&server.send(message, &account)));
    assert!(text.contains("auth"), "{text}");
    assert!(!text.contains("no-secret"), "{text}");
}
