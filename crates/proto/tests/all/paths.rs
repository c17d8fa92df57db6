//! Paths and names: what can stand in one can be put into a command as it is.

use postbound_proto::ext::Extensions;
use postbound_proto::{EhloName, ForwardPath, Limits, Reply, ReversePath};
use proptest::prelude::*;

fn why(text: &str) -> String {
    text.parse::<ForwardPath>().unwrap_err().to_string()
}

#[test]
fn ordinary_and_awkward_paths_are_taken() {
    for text in [
        "a@b",
        "first.last@mail.example.org",
        "\"quoted local\"@example.org",
        "\"a\\\"b\"@example.org",
        "!#$%&'*+-/=?^_`{|}~@example.org",
        "a@[192.0.2.1]",
        "a@[IPv6:2001:db8::1]",
        "postmaster",
        "Postmaster@x_y.example",
        "<a@b>",
    ] {
        let path: ForwardPath = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        assert!(!path.needs_smtputf8());
        assert_eq!(
            path.to_string().parse::<ForwardPath>().as_ref(),
            Ok(&path),
            "{text}"
        );
    }
    assert!(
        "ü@example.org"
            .parse::<ForwardPath>()
            .unwrap()
            .needs_smtputf8()
    );
    assert_eq!(
        "ü@exämple.org".parse::<ForwardPath>().unwrap().as_str(),
        "ü@exämple.org"
    );
}

#[test]
fn a_domain_alone_takes_its_ascii_form() {
    for (text, wire) in [
        ("u@exämple.org", "u@xn--exmple-cua.org"),
        ("u@BÜCHER.example", "u@xn--bcher-kva.example"),
        ("u@日本。example", "u@xn--wgv71a.example"),
        // A character whose low octet is a line feed is mapped as a character, not as an octet.
        ("u@\u{10a}.example", "u@xn--8da.example"),
    ] {
        let path: ForwardPath = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(path.as_str(), wire);
        assert!(!path.needs_smtputf8());
    }
    assert!(why("u@a\u{2f}.ü").contains("can't stand here"));
    assert!(why("u@xn--a.ü").contains("no internationalized domain name"));
}

#[test]
fn wrong_paths_are_answered_with_place_and_remedy() {
    assert_eq!(
        why("a@b\r\nDATA"),
        "column 4: a control character (U+000D) can't stand here; remove it"
    );
    assert_eq!(
        why("\"a\nb\"@c"),
        "column 3: a control character (U+000A) can't stand here; remove it"
    );
    assert!(why("a b@c").starts_with("column 2: ' ' can't stand here"));
    assert!(why("@a,@b:c@d").contains("source routes are obsolete"));
    assert!(why("abc").ends_with("there is no domain; write local-part@domain"));
    assert!(why("a@").contains("the domain is empty"));
    assert!(why("@b").contains("the local part is empty"));
    assert!(why("a..b@c").starts_with("column 3: '.'"));
    assert!(why("a.@c").starts_with("column 2: '.'"));
    assert!(why("a@-b").contains("'-' can't stand here"));
    assert!(why("a@b-").contains("'-' can't stand here"));
    assert!(why("a@[300.0.0.1]").contains("an address literal is"));
    assert!(why("a@b> SIZE=1").contains("'>' can't stand here"));
    assert!(why(&format!("{}@b", "x".repeat(65))).contains("more than 64 octets"));
    assert!(why(&format!("a@{}", "x".repeat(64))).contains("more than 63 octets"));
    assert!(why("\"open@b").contains("a quoted local part ends"));
}

#[test]
fn the_null_reverse_path_is_no_recipient() {
    assert!("<>".parse::<ReversePath>().unwrap().is_null());
    assert_eq!("".parse::<ReversePath>().unwrap().to_string(), "<>");
    assert!("<>".parse::<ForwardPath>().is_err());
}

#[test]
fn an_ehlo_name_is_a_domain_or_an_address_literal() {
    for name in ["localhost", "mx.example.org", "[127.0.0.1]", "[IPv6:::1]"] {
        assert_eq!(name.parse::<EhloName>().unwrap().as_str(), name);
    }
    for name in [
        "",
        "a b",
        "a\r\nQUIT",
        "exämple",
        "[::1]",
        "x.",
        "[127.0.0.1",
    ] {
        assert!(name.parse::<EhloName>().is_err(), "{name:?}");
    }
    assert_eq!(
        EhloName::from_ip("::1".parse().unwrap()).as_str(),
        "[IPv6:::1]"
    );
}

#[test]
fn extensions_are_typed_and_nonsense_is_harmless() {
    let ehlo = |lines: &str| {
        Extensions::from_ehlo(&Reply::parse(lines.as_bytes()).unwrap(), &Limits::DEFAULT)
    };
    let all = ehlo(
        "250-mx.example hello\r\n250-pipelining\r\n250-SIZE 100\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 XYZ a b\r\n",
    );
    assert_eq!(all.domain(), "mx.example");
    assert!(all.pipelining() && all.eight_bit_mime() && all.enhanced_status_codes());
    assert_eq!(all.size().unwrap().maximum(), Some(100));
    assert_eq!(all.iter().last().unwrap().to_string(), "XYZ a b");
    for nonsense in [
        "SIZE -1",
        "SIZE 18446744073709551616",
        "SIZE",
        "SIZE 0",
        "SIZE x",
    ] {
        let size = ehlo(&format!("250-mx\r\n250 {nonsense}\r\n"))
            .size()
            .unwrap();
        assert_eq!(size.maximum(), None, "{nonsense}");
    }
    assert_eq!(
        ehlo("250-mx\r\n250-SIZE 5\r\n250 SIZE 7\r\n")
            .size()
            .unwrap()
            .maximum(),
        Some(5)
    );
    assert_eq!(
        ehlo("250-mx\r\n250- PIPELINING\r\n250 PIPE\x7fLINING\r\n")
            .iter()
            .count(),
        0
    );
    let mut few = Limits::DEFAULT;
    few.ehlo_keywords = 2;
    let reply = Reply::parse(b"250-mx\r\n250-A\r\n250-B\r\n250 PIPELINING\r\n").unwrap();
    assert!(!Extensions::from_ehlo(&reply, &few).pipelining());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5_000) })]

    #[test]
    fn whatever_is_taken_is_free_of_controls(text in prop_oneof![any::<String>(), "[a-z\"\\\\@.<>\r\n \u{10a}\u{0}-]{0,20}"]) {
        let shown = [
            text.parse::<ForwardPath>().map(|p| p.to_string()),
            text.parse::<ReversePath>().map(|p| p.to_string()),
            text.parse::<EhloName>().map(|p| p.to_string()),
        ];
        for result in shown {
            match result {
                Ok(path) => prop_assert!(path.chars().all(|c| !c.is_control())),
                Err(error) => {
                    prop_assert!(error.column >= 1 && error.column <= text.chars().count() + 1);
                    prop_assert!(error.to_string().chars().all(|c| !c.is_control()));
                }
            }
        }
    }
}
