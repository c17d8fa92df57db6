//! The program as somebody who has to say who it is.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has to fail"
)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const USER: &str = "me@client.example";
const PASSWORD: &str = "S3cret/p4ss+with=odd&chars";
/// PLAIN's message with both.
const PLAIN: &str = "AG1lQGNsaWVudC5leGFtcGxlAFMzY3JldC9wNHNzK3dpdGg9b2RkJmNoYXJz";

fn postbound(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postbound"));
    command
        .args(arguments)
        .env("POSTBOUND_PASSWORD", PASSWORD)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs to the end with a message on standard input; the code and all that was printed, in which
/// there is never the password.
fn run(arguments: &[&str]) -> (i32, String) {
    let mut child = postbound(arguments).spawn().unwrap();
    // It may have ended without reading it.
    let _ = child
        .stdin
        .take()
        .unwrap()
        .write_all(b"Subject: x\r\n\r\ny\r\n");
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    let text = String::from_utf8([stdout, stderr].concat()).unwrap();
    for secret in [PASSWORD, PLAIN, "S3cret%2F", "UzNjcmV0"] {
        assert!(!text.contains(secret), "{text}");
    }
    (status.code().unwrap(), text)
}

/// `postbound serve` with accounts, stopped in the end.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(mechanisms: &str, rules: &[&str]) -> Self {
        let mut arguments = vec![
            "serve",
            "--port",
            "0",
            "--auth",
            mechanisms,
            "--auth-user",
            USER,
        ];
        for rule in rules {
            arguments.extend(["--rule", rule]);
        }
        let mut child = postbound(&arguments).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().strip_prefix("ready ").expect("the ready line");
        Self {
            address: address.to_owned(),
            child,
        }
    }

    fn send(&self, more: &[&str]) -> (i32, String) {
        let mut arguments = vec!["send", "--from", USER, "--to", "you@double.example"];
        if !more.contains(&"--url") {
            arguments.extend(["--server", &self.address, "--auth-user", USER]);
        }
        arguments.extend(more);
        run(&arguments)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_message_goes_out_under_a_name_by_options_and_by_url() {
    let server = Server::start("scram-sha-256,plain", &[]);
    let (code, text) = server.send(&["--transcript"]);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("-> AUTH SCRAM-SHA-256 [a response]"),
        "{text}"
    );
    assert!(
        text.contains("auth "),
        "the wait is among the others: {text}"
    );
    let (code, text) = server.send(&["--auth", "plain", "--auth-without-tls", "--json"]);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (code, &json["outcome"]),
        (0, &Value::from("accepted")),
        "{text}"
    );
    let url = format!(
        "smtp://me%40client.example:S3cret%2Fp4ss%2Bwith=odd&chars@{}/?timeout=20s",
        server.address
    );
    let (code, text) = server.send(&["--url", &url]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn a_password_is_not_said_in_clear_and_a_refusal_has_a_code_of_its_own() {
    let server = Server::start("PLAIN,LOGIN", &[]);
    let (code, text) = server.send(&[]);
    assert_eq!(code, 28, "{text}");
    assert!(text.contains("not encrypted"), "{text}");
    let (code, text) = server.send(&["--auth-without-tls", "--auth-password", "wrong"]);
    assert_eq!(code, 28, "{text}");
    assert!(text.contains("535 5.7.8 no"), "{text}");
    assert!(text.contains("can be read by everybody"), "{text}");
    // A server that repeats what it is told is shown without it, in JSON, too.
    let server = Server::start("PLAIN", &["auth: echo"]);
    let (code, text) = server.send(&["--auth-without-tls", "--json", "--transcript"]);
    assert_eq!(code, 28, "{text}");
    assert!(text.contains("what is ***"), "{text}");
}

#[test]
fn what_is_said_about_oneself_has_to_make_sense() {
    for (arguments, why) in [
        (&["--auth", "plain"][..], "--auth-user is missing"),
        (&["--auth", "magic"], "magic"),
        (&["--auth-user", "me", "--auth", "plain,xoauth2"], "mixes"),
        (
            &["--auth-user", "me", "--auth-password-file", "/nowhere"],
            "/nowhere",
        ),
    ] {
        let mut all = vec!["send", "--server", "localhost", "--from", "a@b.example"];
        all.extend(["--to", "a@b.example"]);
        all.extend(arguments);
        let (code, text) = run(&all);
        assert!(matches!(code, 64 | 66), "{text}");
        assert!(text.contains(why), "{text}");
    }
    let url = "smtp://me:S3cret%2Fp4ss@localhost?tiemout=1s";
    let (code, text) = run(&[
        "send",
        "--url",
        url,
        "--from",
        "a@b.example",
        "--to",
        "a@b.example",
    ]);
    assert_eq!(code, 64);
    assert!(text.contains("\"tiemout\" is not known"), "{text}");
}

#[test]
fn a_probe_shows_what_is_offered_and_where_the_time_went() {
    let server = Server::start("SCRAM-SHA-256,PLAIN", &["ehlo: after 50ms"]);
    let (code, text) = run(&["probe", &server.address, "--auth-user", USER]);
    assert_eq!(code, 0, "{text}");
    for part in [
        "is double.example",
        "offers AUTH SCRAM-SHA-256 PLAIN",
        "offers PIPELINING",
        "the connection is in clear",
        "authenticated with SCRAM-SHA-256",
        "10.000 s",
        "\u{2588}",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (code, text) = run(&["probe", &server.address, "--json", "--limit", "ehlo=9s"]);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &json["authenticated"]), (0, &Value::Null));
    assert_eq!(json["phases"]["ehlo"]["limit"], 9.0);
    assert!(json["phases"]["ehlo"]["seconds"].as_f64().unwrap() >= 0.05);
    let (code, text) = run(&[
        "probe",
        &server.address,
        "--json",
        "--auth",
        "plain",
        "--auth-user",
        USER,
    ]);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &json["phase"]), (28, &Value::from("auth")), "{text}");
    let (code, text) = run(&["probe", &server.address, "--limit", "ehlo=5ms"]);
    assert_eq!(code, 22, "{text}");
    assert!(text.contains("timed out"), "{text}");
}
