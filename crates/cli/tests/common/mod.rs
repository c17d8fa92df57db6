//! Running the program, and a server of it.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

pub(crate) fn postbound(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postbound"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    postbound(arguments).output().unwrap()
}

/// Exit code and everything that was said.
pub(crate) fn said(output: &Output) -> (i32, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (
        output.status.code().expect("an exit code"),
        String::from_utf8(text).unwrap(),
    )
}

/// What Ctrl-C does.
pub(crate) fn interrupt(child: &Child) {
    let id = child.id().to_string();
    let status = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(status.success());
}

/// A running `postbound serve` that is stopped at the end of the test, however it ends.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start(rules: &[&str], more: &[&str]) -> Self {
        let mut arguments = vec!["serve", "--port", "0"];
        for rule in rules {
            arguments.extend(["--rule", rule]);
        }
        arguments.extend(more);
        let mut child = postbound(&arguments).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim()
            .strip_prefix("ready ")
            .expect("the ready line")
            .to_owned();
        Self { child, address }
    }

    /// The arguments of a `send` to it.
    pub(crate) fn send<'a>(&'a self, message: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = vec![
            "send",
            "--server",
            &self.address,
            "--from",
            "me@example.net",
            "--to",
            "a@example.org,b@example.org",
            "--data",
            message,
        ];
        arguments.extend(more);
        arguments
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
