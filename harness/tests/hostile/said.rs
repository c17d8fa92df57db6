//! What a caller may say: nothing but what it is gets onto the wire.

use postbound::ext::EnvelopeId;
use postbound::{
    Bounds, Chunking, Client, EhloName, Envelope, FailureKind, ForwardPath, MailParameters,
    Message, ReversePath, Unsupported,
};
use postbound_harness::run;
use simnet::net::mem::Network;
use simnet::{Double, Plan, Script};

use super::{envelope, send};

#[test]
fn hostile_13_no_control_character_gets_into_a_path() {
    for control in (0u8..0x20).chain([0x7f]) {
        let control = char::from(control);
        for path in [
            format!("a{control}b@example.org"),
            format!("\"a{control}\nDATA\"@example.org"),
            format!("\"a\\{control}b\"@example.org"),
            format!("a@exam{control}ple.org"),
            format!("a@example.org{control}"),
            format!("{control}a@example.org"),
            format!("a@[127.0.0.1{control}]"),
        ] {
            assert!(path.parse::<ForwardPath>().is_err(), "{path:?}");
            assert!(path.parse::<ReversePath>().is_err(), "{path:?}");
        }
    }
}

#[test]
fn hostile_14_no_parameter_begins_another_and_no_name_is_a_line() {
    for path in [
        "a@example.org> SIZE=1 BODY=8BITMIME",
        "a@example.org>\r\nRCPT TO:<c@example.org",
        "a@example.org> <b@example.org",
        "<a@example.org> NOTIFY=NEVER",
    ] {
        assert!(path.parse::<ForwardPath>().is_err(), "{path:?}");
        assert!(path.parse::<ReversePath>().is_err(), "{path:?}");
    }
    for name in [
        "hi\nX-INJECTED",
        "hi\r\nMAIL FROM:<a@b>",
        "hi there",
        "a\0b",
        "",
    ] {
        assert!(name.parse::<EhloName>().is_err(), "{name:?}");
    }
    // What may be in a value and is no character of a parameter crosses the wire encoded.
    let id: EnvelopeId = "x SIZE=1+2".parse().unwrap();
    let mut mail = MailParameters::default();
    mail.envelope_id = Some(id);
    let envelope = envelope().with_mail_parameters(mail);
    let script = Script::full();
    let (network, result) = send(script, &envelope, Message::from("Subject: x\r\n\r\ny\r\n"));
    let _ = result.unwrap();
    assert_eq!(network.double().ledger().findings(), []);
    let parameters = network.double().ledger().deliveries()[0].parameters.clone();
    assert!(
        parameters.ends_with("ENVID=x+20SIZE+3D1+2B2"),
        "{parameters}"
    );
    assert!("x\r\nDATA".parse::<EnvelopeId>().is_err());
}

#[test]
fn hostile_15_characters_whose_low_octet_is_a_line_end_are_not_narrowed() {
    // U+010A, U+010D and U+560A: cast to an octet each is LF or CR.
    for local in ["a\u{10a}DATA", "a\u{10d}b", "\u{560a}"] {
        let path: ForwardPath = format!("{local}@example.org").parse().unwrap();
        let envelope = Envelope::new("a@example.org".parse().unwrap(), [path]).unwrap();
        let message = || Message::from("Subject: x\r\n\r\ny\r\n");
        let (network, result) = send(Script::default(), &envelope, message());
        let unsupported = FailureKind::Unsupported(Unsupported::SmtpUtf8);
        assert_eq!(*result.unwrap_err().kind(), unsupported);
        assert!(!network.double().trace().to_string().contains("MAIL"));

        let (network, result) = send(Script::full(), &envelope, message());
        let _ = result.unwrap();
        assert_eq!(network.double().ledger().findings(), []);
        let deliveries = network.double().ledger().deliveries();
        assert_eq!(
            deliveries[0].forward_paths,
            [format!("{local}@example.org")]
        );
    }
}

#[test]
fn hostile_16_nothing_in_a_message_ends_it_early() {
    let ends: [&[u8]; 16] = [
        b"\n.\n",
        b"\n.\r",
        b"\r.\n",
        b"\r.\r",
        b"\n.\r\n",
        b"\r.\r\n",
        b"\r\n.\n",
        b"\r\n.\r",
        b"\r\n.\r\n",
        b"\r\n.\r\r\n",
        b"\r\r\n.\r\r\n",
        b"\r\n\0.\r\n",
        b"\r\n.\0\r\n",
        b"\n\n.\r\n",
        b"\r\n.",
        b"\r\n.\r",
    ];
    for end in ends {
        let smuggled = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nevil";
        let message = [b"Subject: x\r\n\r\ny".as_slice(), end, smuggled, end].concat();
        for chunks in [Chunking::Never, Chunking::IF_OFFERED, Chunking::UpTo(1)] {
            // Whatever the pieces in which it comes: each boundary is one in some of them.
            for piece in [1, 2, 3, message.len()] {
                let shown = end.escape_ascii();
                run::paused(async {
                    let script = Script::default().with("CHUNKING");
                    let double = Double::new(Plan::healthy())
                        .with_script(script)
                        .keeping_wire_octets();
                    let network = Network::new(double);
                    let client = Client::builder("mx.example", 25)
                        .connector(network.connector())
                        .chunking(chunks)
                        .build()
                        .unwrap();
                    let (mut give, take) = tokio::io::duplex(piece);
                    let octets = message.clone();
                    tokio::spawn(async move {
                        use tokio::io::AsyncWriteExt as _;
                        give.write_all(&octets).await.unwrap();
                    });
                    let message = Message::reader(take);
                    let result = client.send(&envelope(), message, Bounds::none()).await;
                    assert!(
                        result.is_ok(),
                        "{shown} {chunks:?} {piece} {}",
                        network.double().trace()
                    );
                    let ledger = network.double().ledger();
                    // Bare line ends, dots that are not stuffed and a second message are findings.
                    assert_eq!(ledger.findings(), [], "{shown} {chunks:?}");
                    let deliveries = ledger.deliveries();
                    assert_eq!(deliveries.len(), 1, "{shown} {chunks:?}");
                    if chunks == Chunking::Never {
                        let wire = &deliveries[0].wire;
                        let ends = wire.windows(5).filter(|at| at == b"\r\n.\r\n").count();
                        assert_eq!(ends, 1, "{shown}");
                    }
                });
            }
        }
    }
}

#[test]
fn hostile_17_no_host_is_more_than_a_host() {
    for host in [
        "mx.example\r\nX: y",
        "mx.example\nX",
        "mx.example\0",
        "mx example",
        "",
    ] {
        assert!(Client::builder(host, 25).build().is_err(), "{host:?}");
    }
}
