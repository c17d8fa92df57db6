//! What the README has for a shell, as it stands there.
#![cfg(unix)]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be set up has to fail"
)]

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

const README: &str = include_str!("../../../README.md");

#[test]
fn the_double_with_starttls_and_scram_is_probed_and_sent_to_by_options_and_by_url() {
    let block = README
        .split("```sh\n")
        .filter_map(|rest| rest.split("```").next())
        .find(|block| block.contains("--auth SCRAM-SHA-256"))
        .expect("the block");
    // Another port: somebody else may have this one.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mail.eml"), "Subject: x\r\n\r\ny\r\n").unwrap();
    let script = format!(
        "set -euo pipefail\ntrap 'kill $(jobs -p)' EXIT\n{}",
        block.replace("2525", &port.to_string())
    );
    let program = Path::new(env!("CARGO_BIN_EXE_postbound")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .env("PATH", path)
        .output()
        .unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{text}");
    for (part, times) in [
        ("committed to the mailbox", 2),
        ("\naccepted by", 2),
        ("authenticated with SCRAM-SHA-256", 1),
        ("VRFY you: 252", 1),
        ("is for double.example, localhost", 1),
        ("AUTH SCRAM-SHA-256", 3),
    ] {
        assert!(text.matches(part).count() >= times, "{part}: {text}");
    }
    assert!(
        !text.contains("s3cret") && !text.contains("warning"),
        "{text}"
    );
}
