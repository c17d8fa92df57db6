//! The program through a proxy.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be set up has to fail"
)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

const USER: &str = "me";
const PASSWORD: &str = "S3cret%2Fp4ss";

fn postbound(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postbound"));
    command
        .args(arguments)
        .env("POSTBOUND_PASSWORD", "S3cret/p4ss")
        .env_remove("POSTBOUND_PROXY")
        .env_remove("POSTBOUND_URL")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A double behind a proxy, stopped in the end.
struct Server(Child, String);

impl Server {
    fn start(rules: &[&str]) -> Self {
        let mut arguments = vec!["serve", "--port", "0", "--proxy", "--proxy-user", USER];
        arguments.extend(rules.iter().flat_map(|rule| ["--rule", rule]));
        let mut child = postbound(&arguments).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().strip_prefix("ready ").expect("the ready line");
        let address = address.to_owned();
        Self(child, address)
    }

    fn url(&self, scheme: &str) -> String {
        format!(
            "{scheme}://{USER}:{PASSWORD}@{}?auth-without-tls=allow",
            self.1
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const SEND: [&str; 11] = [
    "send",
    "--server",
    "mx.example:25",
    "--from",
    "<>",
    "--to",
    "you@example.org",
    "--data",
    "-",
    "--timeout",
    "2s",
];

fn run(mut command: Command) -> (i32, String) {
    let mut child = command.spawn().unwrap();
    // It may have ended without reading it.
    let _ = child
        .stdin
        .take()
        .unwrap()
        .write_all(b"Subject: x\r\n\r\ny\r\n");
    let done = child.wait_with_output().unwrap();
    let text = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
    assert!(!text.contains("S3cret"), "{text}");
    (done.status.code().unwrap(), text)
}

#[test]
fn a_message_goes_through_each_kind_of_proxy_and_the_proxy_looks_the_name_up() {
    let server = Server::start(&[]);
    for scheme in ["socks5h", "http"] {
        let mut command = postbound(&SEND);
        command.env("POSTBOUND_PROXY", server.url(scheme));
        let (code, text) = run(command);
        assert_eq!(code, 0, "{text}");
        assert!(text.contains("accepted by mx.example:25"), "{text}");
        assert!(!text.contains("warning"), "{text}");
    }
}

#[test]
fn the_servers_url_in_the_environment_is_used_where_no_server_is_named() {
    let server = Server::start(&[]);
    let mut command = postbound(&["send", "--from", "<>", "--to", "you@example.org"]);
    command
        .env("POSTBOUND_URL", "smtp://mx.example:25?timeout=2s")
        .env("POSTBOUND_PROXY", server.url("http"));
    let (code, text) = run(command);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("accepted by mx.example:25"), "{text}");
}

#[test]
fn g9_discreet_a_password_in_a_url_on_the_command_line_is_warned_of() {
    let server = Server::start(&[]);
    let url = server.url("http");
    let (code, text) = run(postbound(&[&SEND[..], &["--proxy", &url]].concat()));
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("warning") && text.contains("POSTBOUND_PROXY"),
        "{text}"
    );
    let url = format!("smtp://u:{PASSWORD}@127.0.0.1:1?timeout=1s");
    let (code, text) = run(postbound(&["probe", &url]));
    assert_ne!(code, 0);
    assert!(
        text.contains("warning") && text.contains("POSTBOUND_URL"),
        "{text}"
    );
}

#[test]
fn g9_discreet_a_proxy_that_refuses_is_named_and_not_repeated() {
    let server = Server::start(&["proxy: request refuse 403; close"]);
    let mut command = postbound(&SEND);
    command.env("POSTBOUND_PROXY", server.url("http"));
    let (code, text) = run(command);
    assert_ne!(code, 0);
    assert!(
        text.contains("connect") && text.contains("the proxy") && text.contains("403"),
        "{text}"
    );
}

#[test]
fn the_faults_of_proxies_are_listed_and_told() {
    let (code, text) = run(postbound(&["plan", "list", "proxy"]));
    assert_eq!(code, 0);
    assert!(
        text.contains("socks5-auth-silence") && text.contains("http-request-endless"),
        "{text}"
    );
    let (code, text) = run(postbound(&[
        "plan",
        "explain",
        "proxy: request half; stall",
    ]));
    assert_eq!(code, 0);
    assert!(text.contains("names connect as the phase"), "{text}");
}
