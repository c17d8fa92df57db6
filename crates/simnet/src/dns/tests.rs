use std::time::Duration;

use super::wire::{Asks, Query};
use super::{Answer, Found, Zone};

/// A query for the MX records of `a.example`.
const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x0f\0\x01";

#[test]
fn a_query_is_answered_with_its_id_its_question_and_the_records() {
    let query = Query::parse(QUERY).unwrap();
    assert_eq!((&*query.name, query.asks), ("a.example", Asks::Mx));
    let found = Found::Records(vec![(10, "mx.example".to_owned())]);
    let answer = query.answer(&found, 512);
    let (head, record) = answer.split_at(QUERY.len());
    assert_eq!(&head[..8], b"\x12\x34\x85\x80\0\x01\0\x01");
    assert_eq!(head[12..], QUERY[12..]);
    assert_eq!(
        record,
        b"\xc0\x0c\0\x0f\0\x01\0\0\0\x3c\0\x0e\0\x0a\x02mx\x07example\0"
    );
}

#[test]
fn failures_have_their_codes_and_a_long_answer_is_cut() {
    let query = Query::parse(QUERY).unwrap();
    assert_eq!(query.answer(&Found::NoSuchDomain, 512)[3], 0x83);
    assert_eq!(query.answer(&Found::ServFail, 512)[3], 0x82);
    let many = vec![(1, "mx.example".to_owned()); 100];
    let cut = query.answer(&Found::Records(many.clone()), 512);
    assert_eq!((cut[2], cut.len()), (0x87, QUERY.len()));
    assert!(query.answer(&Found::Records(many), 65_535).len() > 2_000);
}

#[test]
fn octets_that_are_no_query_are_not_answered() {
    for octets in [
        &b""[..],
        b"\x12",
        &QUERY[..20],
        &[0xff; 40],
        &QUERY[..QUERY.len() - 1],
        // A response, of another server or our own; another opcode; another number of questions.
        b"\x12\x34\x81\x80\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x0f\0\x01",
        b"\x12\x34\x28\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x0f\0\x01",
        b"\x12\x34\x01\0\0\x02\0\0\0\0\0\0\x01a\x07example\0\0\x0f\0\x01",
    ] {
        assert!(Query::parse(octets).is_none(), "{octets:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_zone_says_what_it_was_told_to_and_nothing_of_other_domains() {
    let late = Answer::After(Duration::from_secs(2), Box::new(Answer::ServFail));
    let zone = Zone::new([("a.example", Answer::Many(2)), ("b.example", late)]);
    let records = vec![
        (1, "mx1.a.example".to_owned()),
        (0, "mx2.a.example".to_owned()),
    ];
    assert_eq!(zone.look_up("A.example.").await, Found::Records(records));
    assert_eq!(zone.look_up("c.example").await, Found::NoSuchDomain);
    let begun = tokio::time::Instant::now();
    assert_eq!(zone.look_up("b.example").await, Found::ServFail);
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
}

#[tokio::test]
async fn hosts_that_records_name_and_domains_without_a_record_have_addresses() {
    let here: Vec<std::net::IpAddr> = vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
    let zone = Zone::new([
        ("a.example", Answer::mx([(10, "MX.a.example.")])),
        ("b.example", Answer::Many(2)),
        ("c.example", Answer::NoRecords),
        ("d.example", Answer::Alias("c.example".to_owned())),
        ("e.example", Answer::mx([(10, "f.example")])),
        ("f.example", Answer::ServFail),
        ("*", Answer::NoSuchDomain),
    ])
    .at(here.clone());
    for (name, addresses) in [
        ("mx.A.example", Ok(here.clone())),
        // Its exchange is to be used and nothing else.
        ("a.example", Ok(Vec::new())),
        ("mx2.b.example", Ok(here.clone())),
        ("mx3.b.example", Err(Found::NoSuchDomain)),
        ("c.example", Ok(here.clone())),
        ("d.example", Err(Found::Alias("c.example".to_owned()))),
        // What is said of a host itself is what counts.
        ("f.example", Err(Found::ServFail)),
        ("g.example", Err(Found::NoSuchDomain)),
    ] {
        assert_eq!(zone.look_up_addresses(name).await, addresses, "{name}");
    }
    let mut asked = QUERY.to_vec();
    for (kind, record) in [
        (1, &b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x7f\0\0\x01"[..]),
        (
            28,
            b"\xc0\x0c\0\x1c\0\x01\0\0\0\x3c\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01",
        ),
        (16, b""),
    ] {
        let place = asked.len() - 3;
        asked[place] = kind;
        let query = Query::parse(&asked).unwrap();
        let answer = query.answer_addresses(&here, 512);
        assert_eq!(&answer[asked.len()..], record, "{kind}");
    }
}

#[tokio::test]
async fn on_loopback_a_long_answer_is_cut_over_udp_and_whole_over_tcp() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = super::Server::bind(Zone::new([("a.example", Answer::Many(100))]));
    let server = server.await.unwrap();
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(QUERY, server.local_addr()).await.unwrap();
    let mut buffer = [0; 1024];
    let count = socket.recv(&mut buffer).await.unwrap();
    assert_eq!((count, buffer[2]), (QUERY.len(), 0x87));
    let mut stream = tokio::net::TcpStream::connect(server.local_addr())
        .await
        .unwrap();
    let length = u16::try_from(QUERY.len()).unwrap();
    stream.write_u16(length).await.unwrap();
    stream.write_all(QUERY).await.unwrap();
    assert!(stream.read_u16().await.unwrap() > 2_000);
}

#[tokio::test]
async fn what_is_never_answered_takes_no_place_from_what_is() {
    let zone = Zone::new([
        ("a.example", Answer::NoRecords),
        ("v.example", Answer::Hang),
    ]);
    let server = super::Server::bind(zone).await.unwrap();
    let client = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(server.local_addr()).await.unwrap();
    let unanswered = [&QUERY[..13], b"v", &QUERY[14..]].concat();
    for _ in 0..1_100 {
        client.send(&unanswered).await.unwrap();
        // Otherwise the kernel drops some.
        tokio::task::yield_now().await;
    }
    let mut answer = [0; 512];
    let mut asked = 0;
    // A datagram may be lost all the same.
    let count = loop {
        client.send(QUERY).await.unwrap();
        asked += 1;
        tokio::select! {
            biased;
            count = client.recv(&mut answer) => break count.unwrap(),
            () = tokio::time::sleep(Duration::from_millis(200)) => assert!(asked < 50, "no answer"),
        }
    };
    assert_eq!(answer[..4], *b"\x12\x34\x85\x80", "{count}");
}
