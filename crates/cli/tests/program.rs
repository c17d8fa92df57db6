//! The program as its user meets it: what it prints, and with which code it ends.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has to fail"
)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Server, postbound, run, said};
use serde_json::Value;

fn message(folder: &Path) -> String {
    let file = folder.join("message.eml");
    std::fs::write(&file, "Subject: x\r\n\r\n.y\r\n").unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn the_exit_code_tells_phase_and_outcome_apart() {
    let folder = tempfile::tempdir().unwrap();
    let message = message(folder.path());
    for (rules, code, says) in [
        (&[][..], 0, "accepted"),
        (&["rcpt#2: reply 550 5.1.1 who"], 3, "550 5.1.1 who"),
        (&["greeting: reply 554 go away"], 21, "554 go away"),
        (&["greeting: stall"], 21, "greeting: timed out"),
        (&["ehlo: reply 550 no"], 22, "550 no"),
        (&["mail: close"], 23, "closed"),
        (&["rcpt: reply 451 4.7.1 greylisted"], 24, "greylisted"),
        (&["data-initiation: reply 554 no"], 25, "554 no"),
        (
            &["data-termination: reply 552 too much"],
            26,
            "552 too much",
        ),
        (
            &["data-termination: commit; stall"],
            40,
            "may have been accepted",
        ),
        (&["quit: stall"], 0, "accepted"),
    ] {
        let server = Server::start(rules, &[]);
        let output = run(&server.send(&message, &["--timeout", "1500ms"]));
        let (exit, text) = said(&output);
        assert_eq!(exit, code, "{rules:?}: {text}");
        assert!(text.contains(says), "{rules:?}: {text}");
    }
}

#[test]
fn the_exit_code_tells_the_ends_that_come_with_more_than_one_message_or_server() {
    let folder = tempfile::tempdir().unwrap();
    let message = message(folder.path());
    let server = Server::start(&["mail: reply 451 4.3.0 later"], &[]);
    let other = ["--server", &server.address, "--from", "a@example.net"];
    let other = [&other[..], &["--to", "b@example.org"]].concat();
    for (arguments, code, says) in [
        // Of many messages some were not taken.
        (
            [&["send", folder.path().to_str().unwrap()], &other[..]].concat(),
            4,
            "1 not accepted",
        ),
        // TLS is wanted and not there.
        (
            server.send(&message, &["--tls", "starttls"]),
            29,
            "STARTTLS",
        ),
    ] {
        let (exit, text) = said(&run(&arguments));
        assert!(exit == code && text.contains(says), "{exit}: {text}");
    }
}

#[test]
fn nobody_listening_is_a_dial_that_failed() {
    let server = Server::start(&["connect: refuse"], &[]);
    let folder = tempfile::tempdir().unwrap();
    let message = message(folder.path());
    let (code, text) = said(&run(&server.send(&message, &[])));
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("tried 127.0.0.1"), "{text}");
}

#[test]
fn the_result_as_json_has_every_recipient_and_every_wait() {
    let folder = tempfile::tempdir().unwrap();
    let message = message(folder.path());
    let server = Server::start(&["rcpt#2: reply 550 5.1.1 who"], &[]);
    let output = run(&server.send(&message, &["--json"]));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["outcome"], "accepted");
    assert_eq!(result["recipients"][0]["accepted"], true);
    assert_eq!(result["recipients"][1]["reply"], "550 5.1.1 who");
    assert!(result["phases"]["data-termination"].is_number(), "{result}");

    let server = Server::start(&["data-termination: close"], &[]);
    let output = run(&server.send(&message, &["--json"]));
    assert_eq!(output.status.code(), Some(40));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["outcome"], "ambiguous");
    assert_eq!(result["phase"], "data-termination");
}

#[test]
fn the_double_keeps_what_it_took_in_files() {
    let folder = tempfile::tempdir().unwrap();
    let message = message(folder.path());
    let mailbox = folder.path().join("taken");
    let mut server = Server::start(
        &[],
        &["--mailbox", mailbox.to_str().unwrap(), "--messages", "1"],
    );
    let output = run(&server.send(&message, &[]));
    assert_eq!(output.status.code(), Some(0));
    assert!(server.child.wait().unwrap().success());
    let taken = std::fs::read(mailbox.join("000001.eml")).unwrap();
    assert_eq!(taken, b"Subject: x\r\n\r\n.y\r\n");
    let envelope: Value =
        serde_json::from_slice(&std::fs::read(mailbox.join("000001.json")).unwrap()).unwrap();
    assert_eq!(envelope["reverse_path"], "me@example.net");
    assert_eq!(envelope["forward_paths"][1], "b@example.org");
}

#[test]
fn a_message_from_standard_input_is_sent() {
    let server = Server::start(&[], &[]);
    let mut child = postbound(&server.send("-", &[]))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"Subject: piped\n\nx\n").unwrap();
    drop(input);
    let (code, text) = said(&child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{text}");
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_it_at_once_and_says_what_became_of_the_message() {
    let folder = tempfile::tempdir().unwrap();
    let message = message(folder.path());
    for (rule, code, says) in [
        ("mail: stall", 23, "not accepted: mail: cancelled"),
        (
            "data-termination: stall",
            40,
            "ambiguous: data-termination: cancelled",
        ),
    ] {
        let mut server = Server::start(&[rule], &[]);
        let child = postbound(&server.send(&message, &[])).spawn().unwrap();
        // The double says when it has stalled; then the client waits.
        let mut log = BufReader::new(server.child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("stall") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "the log ended");
        }
        let interrupted = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap();
        assert!(interrupted.success());
        let (exit, text) = said(&child.wait_with_output().unwrap());
        assert_eq!(exit, code, "{text}");
        assert!(text.contains(says), "{text}");
    }
}

#[test]
fn the_next_server_takes_it_and_the_summary_says_so() {
    let (dead, alive) = (
        Server::start(&["greeting: reply 421 4.3.2 closing; close"], &[]),
        Server::start(&[], &[]),
    );
    let folder = tempfile::tempdir().unwrap();
    let message = message(folder.path());
    let mut arguments = dead.send(&message, &["--server", &alive.address]);
    let (code, text) = said(&run(&arguments));
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains(&format!("accepted by {}", alive.address)),
        "{text}"
    );
    assert!(
        text.contains("before that: greeting: the server refused: 421"),
        "{text}"
    );
    arguments.push("--json");
    let value: Value = serde_json::from_slice(&run(&arguments).stdout).unwrap();
    assert_eq!(value["endpoint"], alive.address);
    assert_eq!(value["earlier"][0]["endpoint"], dead.address);
    assert_eq!(value["earlier"][0]["phase"], "greeting");
    arguments.extend(["--retry", "2", "--timeout", "2s", "--plan"]);
    let (code, text) = said(&run(&arguments));
    assert_eq!(code, 0, "{text}");
    let times = |phase: &str| {
        let row = text.lines().find(|line| line.starts_with(phase));
        row.and_then(|row| row.split_whitespace().nth(1))
            .unwrap_or("none")
    };
    assert_eq!(
        (times("greeting"), times("mail"), times("backoff")),
        ("6", "3", "2")
    );
}

#[test]
fn a_failure_that_passes_is_tried_again_only_if_asked_to() {
    let server = Server::start(&["mail: reply 451 4.3.0 later"], &[]);
    let folder = tempfile::tempdir().unwrap();
    let message = message(folder.path());
    let (code, text) = said(&run(&server.send(&message, &[])));
    assert_eq!(code, 23, "{text}");
    assert!(!text.contains("before that"), "{text}");
    let (code, text) = said(&run(&server.send(&message, &["--retry", "1"])));
    assert_eq!(code, 23, "{text}");
    assert_eq!(text.matches("before that: mail").count(), 1, "{text}");
}

#[test]
fn a_dry_run_shows_the_promise_and_sends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let message = message(folder.path());
    let arguments = [
        "send",
        "--server",
        "mx.invalid",
        "--from",
        "<>",
        "--to",
        "a@example.org",
        "--data",
        &message,
        "--timeout",
        "2s",
        "--plan",
    ];
    let (code, text) = said(&run(&arguments));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("phase") && text.contains("data-termination"));
    assert!(text.contains("whatever happens"), "{text}");
}

#[test]
fn a_comma_in_a_quoted_local_part_divides_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let message = message(folder.path());
    let mut server = Server::start(
        &[],
        &[
            "--messages",
            "1",
            "--mailbox",
            folder.path().to_str().unwrap(),
        ],
    );
    let mut arguments = server.send(&message, &[]);
    let to = r#""a\",b"@example.org,c@example.org"#;
    for argument in &mut arguments {
        if argument.contains(',') {
            *argument = to;
        }
    }
    let (code, text) = said(&run(&arguments));
    assert_eq!(code, 0, "{text}");
    server.child.wait().unwrap();
    let envelope = std::fs::read(folder.path().join("000001.json")).unwrap();
    let envelope: Value = serde_json::from_slice(&envelope).unwrap();
    assert_eq!(envelope["forward_paths"][0], r#""a\",b"@example.org"#);
    assert_eq!(envelope["forward_paths"][1], "c@example.org");
}

#[test]
fn wrong_usage_is_answered_with_the_thing_the_place_and_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let message = message(folder.path());
    let plan = folder.path().join("bad.plan");
    std::fs::write(&plan, "postbound-plan v1\nrcpt: reply 999 no\n").unwrap();
    let plan = plan.to_str().unwrap();
    let send = |more: &[&str]| -> Vec<String> {
        let mut arguments = vec![
            "send",
            "--server",
            "mx.example",
            "--from",
            "me@example.net",
            "--to",
            "a@example.org",
            "--data",
            &message,
        ];
        arguments.extend(more);
        arguments.iter().map(ToString::to_string).collect()
    };
    let plain =
        |arguments: &[&str]| -> Vec<String> { arguments.iter().map(ToString::to_string).collect() };
    let replace = |what: &str, with: &str| -> Vec<String> {
        send(&[])
            .into_iter()
            .map(|argument| {
                if argument == what {
                    with.to_owned()
                } else {
                    argument
                }
            })
            .collect()
    };
    for (arguments, code, says) in [
        (
            replace("a@example.org", "a@b\r\nDATA"),
            64,
            "control character (U+000D)",
        ),
        (replace("me@example.net", "me"), 64, "column"),
        (replace("mx.example", "mx_\u{e4}.example"), 64, "U+00E4"),
        (replace("mx.example", "mx.example:0"), 64, "the port is 0"),
        (replace("mx.example", "mx.example:smtp"), 64, "is no port"),
        (
            replace("mx.example", "[::1]2525"),
            64,
            "comes a colon and the port",
        ),
        (
            replace("a@example.org", "a@b.example,"),
            64,
            "the local part is empty",
        ),
        (
            send(&["--timeout", "2s", "--timeouts", "rfc5321"]),
            64,
            "cannot be used with",
        ),
        (send(&["--deadline", "never"]), 64, "a time such as 250ms"),
        (
            send(&["--timeout", "0ms"]),
            64,
            "there is no value for \"no limit\"",
        ),
        (send(&["--limit", "banner=2s"]), 64, "the phases are "),
        (send(&["--limit", "mail"]), 64, "PHASE=TIME"),
        (send(&["--ehlo", "a b"]), 64, "column"),
        (
            replace(&message, "/nowhere/at/all.eml"),
            66,
            "/nowhere/at/all.eml",
        ),
        (plain(&["serve", "--rule", "rcpt: dance"]), 64, "expected"),
        (plain(&["serve", "--rule", ""]), 64, "expected a rule"),
        (
            plain(&["serve", "--rule", "tls-handshake: stall"]),
            64,
            "would never strike: the double does no TLS",
        ),
        (
            plain(&["serve", "--rule", "proxy: request half"]),
            64,
            "would never strike: there is no proxy",
        ),
        (
            plain(&["serve", "--rule", "rcpt[first 1]: hold"]),
            64,
            "nobody could let it go; give --control",
        ),
        (
            plain(&[
                "serve",
                "--port",
                "0",
                "--auth",
                "PLAIN,MAGIC",
                "--auth-user",
                "me",
            ]),
            64,
            "\"MAGIC\" is no mechanism",
        ),
        (send(&["--reserve", "5s"]), 64, "--deadline"),
        (
            send(&["--ehlo", ""]),
            64,
            "the name is empty; write a domain",
        ),
        (plain(&["plan", "explain", ""]), 66, "no file \"\""),
        (
            plain(&["plan", "list", "checkout"]),
            0,
            "the client waits for itself",
        ),
        (
            plain(&["replay", "--backend", "ether", "timeout=2s -- v1"]),
            64,
            "mem, turmoil and loopback, and sans-io",
        ),
        (
            plain(&["replay", "--backend", "sans-io", "tls=implicit -- v1"]),
            64,
            "sans-io does not know every setting",
        ),
        (plain(&["serve", "--plan", plan]), 64, "line 2, column 13"),
        (plain(&["plan", "check", plan]), 64, "line 2, column 13"),
        (plain(&["plan", "list", "banner"]), 64, "is not a phase"),
        (
            plain(&["replay", "v1 | rcpt: stall"]),
            64,
            "there is no ` -- `",
        ),
        (plain(&["replay", "octets=x -- v1"]), 64, "octets=x"),
        (plain(&["matrix", "--shard", "3/2"]), 64, "I/N"),
        (
            plain(&["matrix", "--backend", "carrier-pigeon"]),
            64,
            "is no backend",
        ),
        (plain(&["deliver"]), 64, "unrecognized subcommand"),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (exit, text) = said(&run(&arguments));
        assert_eq!(exit, code, "{arguments:?}: {text}");
        assert!(text.contains(says), "{arguments:?}: {text}");
        assert!(!text.contains("panicked"), "{text}");
    }
}

#[test]
fn a_case_is_replayed_from_its_line() {
    let case = "timeout=2s -- v1 | data-termination: commit; stall";
    let (code, text) = said(&run(&["replay", case]));
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("ambiguous, timed-out at data-termination"),
        "{text}"
    );
    assert!(text.contains("every guarantee holds"));
    assert_eq!(said(&run(&["replay", case])).1, text, "not the same twice");
    for backend in ["sans-io", "turmoil", "loopback"] {
        let (code, text) = said(&run(&["replay", "--backend", backend, case]));
        assert_eq!(code, 0, "{backend}: {text}");
        assert!(text.contains("ambiguous, timed-out"), "{backend}: {text}");
    }
}

#[test]
fn results_that_can_t_be_written_are_missed_before_the_hour_and_not_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().to_str().unwrap();
    for option in ["--report", "--junit", "--json"] {
        for path in [here, "/nowhere/at/all"] {
            let (code, text) = said(&run(&["matrix", option, path]));
            assert_eq!(code, 74, "{option} {path}: {text}");
            assert!(text.contains(path) && !text.contains("held"), "{text}");
        }
    }
}

#[test]
fn a_port_that_is_taken_is_said_so() {
    let server = Server::start(&[], &[]);
    let port = server.address.rsplit(':').next().unwrap();
    let (code, text) = said(&run(&["serve", "--port", port]));
    assert_eq!(code, 71, "{text}");
    assert!(text.contains(port) && text.contains("--port 0"), "{text}");
}
