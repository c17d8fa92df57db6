//! `serve --dns`: the double is a name server, too.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has to fail"
)]

mod common;

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::time::Duration;

use common::{Server, postbound, run, said};
use serde_json::Value;

const A: u16 = 1;
const MX: u16 = 15;
const AAAA: u16 = 28;

/// A query for the records of this kind.
fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.bytes());
    }
    query.push(0);
    query.extend(kind.to_be_bytes());
    query.extend([0, 1]);
    query
}

/// The answer's code and what is in the first record, if anything is; nothing if none comes.
fn ask(dns: &str, name: &str, kind: u16) -> Option<(u8, Vec<u8>)> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let patience = if name.starts_with("never") {
        300
    } else {
        10_000
    };
    socket
        .set_read_timeout(Some(Duration::from_millis(patience)))
        .unwrap();
    let query = query(name, kind);
    socket.send_to(&query, dns).unwrap();
    let mut buffer = [0; 1024];
    let count = socket.recv(&mut buffer).ok()?;
    assert_eq!(buffer[..2], query[..2]);
    // Behind the question: a pointer to the name, kind, class, time to live and length.
    let data = buffer[..count].get(query.len() + 12..).unwrap_or_default();
    Some((buffer[3] & 0xf, data.to_vec()))
}

/// A server with these arguments, and where it says that it listens: for SMTP and for the DNS.
fn start(arguments: &[&str]) -> (Server, String) {
    let all = [&["serve", "--port", "0", "--json"], arguments].concat();
    let mut child = postbound(&all).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let address = ready["address"].as_str().unwrap().to_owned();
    let dns = ready["dns"].as_str().unwrap().to_owned();
    (Server { child, address }, dns)
}

#[test]
fn each_domain_is_answered_for_as_it_was_said_and_its_hosts_are_where_the_double_listens() {
    let (_server, dns) = start(&[
        "--dns",
        "--mx",
        "example.org=10:mx1.example.org",
        "--mx",
        "null.example=null",
        "--mx",
        "plain.example=none",
        "--mx",
        "other.example=alias:example.org",
        "--mx",
        "broken.example=servfail",
        "--mx",
        "never.example=never",
    ]);
    let here = vec![127, 0, 0, 1];
    for (name, kind, code, data) in [
        (
            "example.org",
            MX,
            0,
            b"\0\x0a\x03mx1\x07example\x03org\0".to_vec(),
        ),
        ("mx1.example.org", A, 0, here.clone()),
        ("MX1.Example.org", A, 0, here.clone()),
        ("mx1.example.org", AAAA, 0, Vec::new()),
        // The exchange is to be used, and not the domain's own host.
        ("example.org", A, 0, Vec::new()),
        ("null.example", MX, 0, vec![0, 0, 0]),
        ("plain.example", MX, 0, Vec::new()),
        ("plain.example", A, 0, here),
        ("other.example", MX, 0, b"\x07example\x03org\0".to_vec()),
        ("broken.example", MX, 2, Vec::new()),
        ("unknown.example", MX, 3, Vec::new()),
        ("unknown.example", A, 3, Vec::new()),
    ] {
        assert_eq!(ask(&dns, name, kind), Some((code, data)), "{name} {kind}");
    }
    assert_eq!(ask(&dns, "never.example", MX), None);
}

#[test]
fn without_a_word_about_domains_mail_for_any_of_them_goes_to_the_double() {
    let (_server, dns) = start(&["--dns", "0"]);
    let host = b"\0\x0a\x02mx\x06double\x07example\0".to_vec();
    assert_eq!(ask(&dns, "whatever.example", MX), Some((0, host)));
    let here = Some((0, vec![127, 0, 0, 1]));
    assert_eq!(ask(&dns, "mx.double.example", A), here);
    assert_eq!(ask(&dns, "whatever.example", A), Some((0, Vec::new())));
}

#[test]
fn a_message_finds_its_way_by_the_name_server_of_the_double_it_comes_to() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("message.eml");
    std::fs::write(&file, "Subject: x\r\n\r\nx\r\n").unwrap();
    let (server, dns) = start(&["--dns", "--mx", "example.org=10:localhost"]);
    let port = server.address.rsplit(':').next().unwrap();
    let send = |to| {
        said(&run(&[
            "send",
            "--mx",
            "--name-server",
            &dns,
            "--port",
            port,
            "--from",
            "me@example.net",
            "--to",
            to,
            "--data",
            file.to_str().unwrap(),
        ]))
    };
    let (code, text) = send("bob@example.org");
    assert_eq!(code, 0, "{text}");
    let (code, text) = send("bob@unknown.example");
    assert_ne!(code, 0, "{text}");
}

#[test]
fn what_is_wrong_with_a_zone_is_said_before_anything_listens() {
    for (arguments, why) in [
        (&["--mx", "example.org=null"][..], "--dns"),
        (&["--dns", "--mx", "example.org"], "there is no ="),
        (&["--dns", "--mx", "example.org=mx1"], "PREFERENCE:HOST"),
        (
            &["--dns", "--mx", "a.example=null", "--mx", "A.example=none"],
            "a.example is there twice",
        ),
        (&["--dns", "--listener", "dns=mail: stall"], "neither main"),
    ] {
        let all = [&["serve", "--port", "0"], arguments].concat();
        let (code, text) = said(&run(&all));
        assert_eq!(code, 64, "{arguments:?}: {text}");
        assert!(text.contains(why), "{arguments:?}: {text}");
    }
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, text) = said(&run(&["serve", "--port", "0", "--dns", &port]));
    assert_ne!(code, 0, "{text}");
    assert!(text.contains("can't be had"), "{text}");
}
