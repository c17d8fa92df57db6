//! Looking at a server: its certificate, and its answers to commands of one's own.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has to fail"
)]

mod common;

use common::{Server, run, said};
use serde_json::Value;

#[test]
fn a_certificates_names_and_dates_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let file = file.to_str().unwrap();
    let server = Server::start(&[], &["--tls", "starttls", "--ca", file]);
    let probe = ["probe", &server.address, "--tls", "starttls", "--ca", file];
    let (code, text) = said(&run(&probe));
    assert_eq!(code, 0, "{text}");
    for part in [
        "the certificate is verified",
        "certificate 1: CN=postbound double, ",
        "is for double.example, localhost, 127.0.0.1, ::1",
        "is from CN=",
        "is valid from ",
        " days left",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (code, text) = said(&run(&[&probe[..], &["--json"]].concat()));
    let json: Value = serde_json::from_str(&text).unwrap();
    let one = &json["tls"]["certificates"][0];
    assert_eq!(
        (code, &one["standing"]),
        (0, &Value::from("valid")),
        "{text}"
    );
    assert_eq!(one["names"][2], "127.0.0.1");
    assert!(
        one["not_before"].as_str() < one["not_after"].as_str(),
        "{text}"
    );
    assert!(one["days_left"].as_i64() > Some(30), "{text}");
}

#[test]
fn a_certificate_that_nobody_should_trust_is_told_where_it_was_not_verified() {
    for (certificate, says) in [
        ("expired", "EXPIRED"),
        ("not-yet-valid", "NOT VALID YET"),
        ("wrong-name", "is for elsewhere.example"),
    ] {
        let tls = ["--tls", "starttls", "--certificate", certificate];
        let server = Server::start(&[], &tls);
        let mode = "starttls-if-offered-insecure";
        let (code, text) = said(&run(&["probe", &server.address, "--tls", mode]));
        assert_eq!(code, 0, "{text}");
        assert!(
            text.contains("NOT verified") && text.contains(says),
            "{text}"
        );
    }
}

#[test]
fn commands_of_ones_own_are_answered() {
    let server = Server::start(&["command#4: reply 550 5.7.1 no lists"], &[]);
    let commands = ["NOOP", "HELP", "vrfy Smith", "EXPN staff", "XSTATS today"];
    let mut arguments = vec!["probe", &server.address];
    arguments.extend(commands.iter().flat_map(|command| ["--command", command]));
    let (code, text) = said(&run(&arguments));
    assert_eq!(code, 0, "{text}");
    for part in [
        "  NOOP: 250",
        "  HELP: 214",
        "  VRFY Smith: 252",
        "  EXPN staff: ",
        "  XSTATS today: 500",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    arguments.push("--json");
    let (_, text) = said(&run(&arguments));
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["commands"][2]["command"], "VRFY Smith");
    assert_eq!(json["commands"][2]["code"], 252);
    assert!(json["phases"]["command"]["seconds"].is_number(), "{text}");
}

#[test]
fn a_command_that_is_none_is_refused_and_one_that_is_not_answered_is_bounded() {
    for (command, why) in [
        ("DATA", "DATA is no command by itself"),
        ("VRFY a\r\nQUIT", "printable"),
        ("", "letters"),
        ("quit", "QUIT"),
    ] {
        let (code, text) = said(&run(&["probe", "127.0.0.1:1", "--command", command]));
        assert_eq!(code, 64, "{text}");
        assert!(text.contains(why), "{why}: {text}");
    }
    let server = Server::start(&["command: stall"], &[]);
    let more = ["--command", "NOOP", "--limit", "command=300ms"];
    let (code, text) = said(&run(&[&["probe", &server.address][..], &more].concat()));
    assert_eq!(code, 27, "{text}");
    assert!(text.contains("command: timed out"), "{text}");
}
