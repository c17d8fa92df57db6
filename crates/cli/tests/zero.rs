//! `serve` without any configuration: what clients ask for by addresses, by name and by port.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has to fail"
)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};

use common::{Server, postbound, run, said};
use serde_json::Value;
use simnet::port_faults;

fn message(folder: &tempfile::TempDir) -> String {
    let file = folder.path().join("message.eml");
    std::fs::write(&file, "Subject: x\r\n\r\nx\r\n").unwrap();
    file.to_str().unwrap().to_owned()
}

fn send(address: &str, message: &str, more: &[&str]) -> (i32, String) {
    let mut arguments = vec!["send", "--server", address, "--data", message];
    arguments.extend(["--from", "me@example.net"]);
    if !more.contains(&"--deadline") {
        arguments.extend(["--deadline", "5s"]);
    }
    arguments.extend(more);
    said(&run(&arguments))
}

#[test]
fn an_address_or_a_name_asks_for_what_goes_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let message = message(&folder);
    let server = Server::start(&[], &[]);
    let address = &server.address;
    for (more, code, says) in [
        (&["--to", "bob@example.org"][..], 0, "accepted"),
        (
            &["--to", "rcpt550_5.1.1+1@example.org"],
            24,
            "550 5.1.1 as asked for",
        ),
        (
            &["--to", "rcpt451@example.org,bob@example.org"],
            3,
            "451 4.0.0 as asked for",
        ),
        (
            &["--to", "dot552@example.org"],
            26,
            "552 5.0.0 as asked for",
        ),
        (
            &[
                "--to",
                "mixed-codes@example.org",
                "--ehlo",
                "mail421.example",
            ],
            23,
            "421 4.0.0 as asked for",
        ),
        (
            &["--to", "half-then-close-data@example.org"],
            25,
            "data-initiation: ",
        ),
    ] {
        let (ended, text) = send(address, &message, more);
        assert!(text.contains(says), "{more:?}: {text}");
        assert_eq!(ended, code, "{more:?}: {text}");
    }
    let (_, text) = send(
        address,
        &message,
        &["--to", "lost-reply@example.org", "--deadline", "500ms"],
    );
    assert!(text.contains("ambiguous"), "{text}");

    let plain = Server::start(&[], &["--no-triggers"]);
    let (code, text) = send(&plain.address, &message, &["--to", "rcpt451@example.org"]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn a_port_asks_for_what_comes_before_any_command() {
    let folder = tempfile::tempdir().unwrap();
    let message = message(&folder);
    let ca = folder.path().join("ca.pem");
    let ca = ca.to_str().unwrap();
    let mut child = postbound(&["serve", "--port", "0", "--ports", "0", "--json", "--ca", ca])
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let listeners = ready["listeners"].as_array().unwrap();
    assert_eq!(listeners.len(), port_faults().len() + 1);
    let of = |name: &str| {
        let found = listeners.iter().find(|one| one["name"] == name);
        found.unwrap_or_else(|| panic!("no {name}: {line}"))["address"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(of("main"), ready["address"].as_str().unwrap());
    for (name, more, says) in [
        ("healthy", &[][..], "accepted"),
        ("connection-refused", &[], "connect: "),
        ("greeting-554", &[], "554 no SMTP service here"),
        ("greeting-after-1s", &[], "accepted"),
        (
            "greeting-never",
            &["--deadline", "300ms"],
            "greeting: timed out",
        ),
        ("close-at-once", &[], "greeting: "),
        (
            "implicit-tls",
            &["--tls", "implicit", "--ca", ca],
            "accepted",
        ),
        (
            "certificate-expired",
            &["--tls", "implicit", "--ca", ca],
            "tls-handshake: ",
        ),
        (
            "tls-plaintext-server",
            &["--tls", "implicit", "--ca", ca],
            "tls-handshake: ",
        ),
    ] {
        let mut arguments = vec!["--to", "bob@example.org"];
        arguments.extend(more);
        // The certificates are for these names, and this machine resolves one of them.
        let address = of(name).replace("127.0.0.1", "localhost");
        let (_, text) = send(&address, &message, &arguments);
        assert!(text.contains(says), "{name}: {text}");
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[test]
fn several_listeners_are_named_in_the_ready_line_and_share_the_mailbox() {
    let folder = tempfile::tempdir().unwrap();
    let message = message(&folder);
    let taken = folder.path().join("taken");
    let mut server = Server::start(
        &[],
        &[
            "--listener",
            "lost=lost-reply",
            "--listener",
            "busy@0=greeting: reply 421 4.3.2 busy; close | quit: nothing",
            "--mailbox",
            taken.to_str().unwrap(),
            "--messages",
            "2",
        ],
    );
    let [main, lost, busy] = server.address.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{}", server.address);
    };
    let to = ["--to", "bob@example.org", "--deadline", "700ms"];
    let (code, text) = send(main, &message, &to);
    assert_eq!(code, 0, "{text}");
    let (_, text) = send(busy.strip_prefix("busy=").unwrap(), &message, &to);
    assert!(text.contains("421 4.3.2 busy"), "{text}");
    let (_, text) = send(lost.strip_prefix("lost=").unwrap(), &message, &to);
    assert!(text.contains("ambiguous"), "{text}");
    // It ends by itself behind the second message, and has written it by then.
    assert!(server.child.wait().unwrap().success());
    for file in ["000001.eml", "000002.eml", "000002.json"] {
        assert!(taken.join(file).exists(), "{file}");
    }
}

#[test]
fn it_listens_beyond_the_loopback_only_where_it_is_told_so_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let message = message(&folder);
    let to = ["--to", "b@example.org"];
    let told = Server::start(
        &[],
        &[
            "--expose-to-network",
            "127.0.0.2",
            "--control",
            "0",
            "--control-host",
            "double.test",
            "--expose-control-to-network",
            "127.0.0.3",
        ],
    );
    let (main, control) = told.address.split_once(" control=http://").unwrap();
    assert!(main.starts_with("127.0.0.2:"), "{main}");
    assert!(control.starts_with("127.0.0.3:"), "{control}");
    assert_eq!(send(main, &message, &to).0, 0);
    let port = main.rsplit(':').next().unwrap();
    assert_eq!(send(&format!("127.0.0.1:{port}"), &message, &to).0, 2);

    let untold = Server::start(&[], &[]);
    let port = untold.address.strip_prefix("127.0.0.1:").unwrap();
    assert_eq!(send(&format!("127.0.0.2:{port}"), &message, &to).0, 2);

    for (arguments, code, why) in [
        (
            &["--expose-to-network", "everywhere"][..],
            64,
            "invalid value 'everywhere'",
        ),
        (
            // An address for documentation, which no machine has.
            &["--expose-to-network", "192.0.2.1"],
            71,
            "takes an address of this machine",
        ),
        (
            &["--expose-control-to-network", "127.0.0.3"],
            64,
            "--control-host",
        ),
    ] {
        let output = run(&[&["serve", "--port", "0"], arguments].concat());
        let (found, text) = said(&output);
        assert!(found == code && text.contains(why), "{found} {text}");
    }
}

#[test]
fn a_listener_that_can_not_be_is_refused_with_the_reason() {
    for (listener, expected) in [
        ("slow", "there is no ="),
        ("a b=lost-reply", "letters, digits"),
        ("main=lost-reply", "neither main"),
        ("a@99999=lost-reply", "no port"),
        ("a=lost-replay", "a behaviour's name, or rules"),
        ("a=connect: after 1s", "the kernel answers"),
        ("a=resolve: hang", "its own name"),
        ("a=rcpt: hold", "only the main listener's"),
    ] {
        let (code, text) = said(&run(&["serve", "--port", "0", "--listener", listener]));
        assert_ne!(code, 0, "{listener}");
        assert!(text.contains(expected), "{listener}: {text}");
    }
}

#[test]
fn the_program_says_how_a_client_asks() {
    let (code, text) = said(&run(&["plan", "list", "zero"]));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("rcpt550_5.1.1"), "{text}");
    for fault in port_faults() {
        assert!(text.contains(fault.name), "{}", fault.name);
    }
}

#[test]
fn the_control_interface_is_named_in_the_ready_line_and_keeps_what_came() {
    let folder = tempfile::tempdir().unwrap();
    let message = message(&folder);
    let taken = folder.path().join("taken");
    let server = Server::start(
        &["quit: nothing"],
        &["--control", "--mailbox", taken.to_str().unwrap()],
    );
    let (smtp, control) = server.address.split_once(" control=http://").unwrap();
    let (code, text) = send(smtp, &message, &["--to", "bob@example.org"]);
    assert_eq!(code, 0, "{text}");
    let get = |path: &str| {
        let mut stream = std::net::TcpStream::connect(control).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {control}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let messages = get("/v1/namespaces/main/messages?wait=10s");
    assert!(messages.contains("bob@example.org"), "{messages}");
    let health = get("/v1/health");
    assert!(health.contains(smtp), "{health}");
    assert!(get("/").contains("<h1>The double</h1>"));
}
