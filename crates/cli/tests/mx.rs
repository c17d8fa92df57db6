//! `send --mx`, with the double as name server.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has to fail"
)]

mod common;

use std::net::SocketAddr;

use common::{Server, run, said};
use serde_json::Value;
use simnet::dns::{self, Answer, Zone};

/// A name server of its own thread's, which ends with the test program.
fn name_server(zone: Zone) -> SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let server = dns::Server::bind(zone).await.unwrap();
            sender.send(server.local_addr()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    receiver.recv().unwrap()
}

/// Every domain's mail goes to this machine.
fn zone() -> Zone {
    Zone::new([
        ("one.example", Answer::mx([(10, "localhost")])),
        ("two.example", Answer::mx([(10, "localhost")])),
        ("null.example", Answer::mx([(0, ".")])),
        ("broken.example", Answer::ServFail),
    ])
}

fn arguments<'a>(
    server: &'a Server,
    dns: &'a str,
    what: &[&'a str],
    to: &'a str,
    more: &[&'a str],
) -> Vec<&'a str> {
    let port = server.address.rsplit(':').next().unwrap();
    let mut arguments = vec!["send"];
    arguments.extend(what);
    arguments.extend([
        "--mx",
        "--name-server",
        dns,
        "--port",
        port,
        "--from",
        "me@example.net",
    ]);
    arguments.extend(["--to", to, "--timeout", "5s"]);
    arguments.extend(more);
    arguments
}

#[test]
fn each_domain_has_a_result_of_its_own_and_the_code_says_the_worst() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("message.eml");
    std::fs::write(&file, "Subject: x\r\n\r\ny\r\n").unwrap();
    let file = file.to_str().unwrap();
    let dns = name_server(zone()).to_string();
    let server = Server::start(&[], &[]);
    for (to, code, says) in [
        (
            "a@one.example,b@one.example,c@two.example",
            0,
            &[
                "one.example: accepted by localhost",
                "two.example: accepted",
            ][..],
        ),
        (
            "a@one.example,b@null.example",
            3,
            &[
                "one.example: accepted",
                "null.example: not accepted: resolve",
            ],
        ),
        ("a@nowhere.example", 2, &["domain does not exist"]),
        ("a@broken.example", 2, &["not accepted: resolve"]),
    ] {
        let (exit, text) = said(&run(&arguments(&server, &dns, &["--data", file], to, &[])));
        assert_eq!(exit, code, "{to}: {text}");
        for says in says {
            assert!(text.contains(says), "{to}: {text}");
        }
    }
    let to = "a@one.example,b@null.example";
    let output = run(&arguments(
        &server,
        &dns,
        &["--data", file],
        to,
        &["--json"],
    ));
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["one.example"]["outcome"], "accepted");
    assert_eq!(value["null.example"]["phase"], "resolve");
    let (code, text) = said(&run(&arguments(
        &server,
        &dns,
        &["--data", file],
        to,
        &["--plan"],
    )));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("whatever happens"), "{text}");
}

#[test]
fn many_messages_go_to_every_domain_and_a_journal_knows_which_have_them() {
    let folder = tempfile::tempdir().unwrap();
    for number in 1..=30 {
        let file = folder.path().join(format!("{number:02}.eml"));
        std::fs::write(file, format!("Subject: {number}\r\n\r\ny\r\n")).unwrap();
    }
    let mailbox = folder.path().join("taken");
    let journal = folder.path().join("journal");
    let dns = name_server(zone()).to_string();
    let server = Server::start(
        &["mail[first 5]: reply 451 4.3.0 later"],
        &["--mailbox", mailbox.to_str().unwrap(), "--messages", "60"],
    );
    let what = [folder.path().to_str().unwrap()];
    let to = "a@one.example,b@two.example";
    let more = ["--retry", "2", "--journal", journal.to_str().unwrap()];
    let (code, text) = said(&run(&arguments(&server, &dns, &what, to, &more)));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("30 messages: 30 accepted"), "{text}");
    let mut server = server;
    assert!(server.child.wait().unwrap().success());
    let taken = std::fs::read_dir(&mailbox)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let taken = taken.filter(|file| file.extension().is_some_and(|e| e == "eml"));
    assert_eq!(taken.count(), 60, "each message at each domain, once");
    // Nobody is asked again, and nobody would be there.
    let (code, text) = said(&run(&arguments(&server, &dns, &what, to, &more)));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("30 accepted in an earlier run"), "{text}");
}

#[test]
fn mx_and_servers_exclude_each_other() {
    let message = ["send", "--from", "<>", "--to", "a@one.example"];
    for more in [["--mx", "--server", "x"], ["--mx", "--url", "smtp://x"]] {
        let (code, text) = said(&run(&[&message[..], &more].concat()));
        assert_eq!(code, 64, "{text}");
    }
    let (code, text) = said(&run(
        &[&message[..], &["--name-server", "127.0.0.1:53"]].concat()
    ));
    assert_eq!(code, 64, "{text}");
}
