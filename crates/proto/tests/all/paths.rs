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

#[test]
fn every_part_may_be_as_long_as_its_limit_and_no_longer() {
    let label = "x".repeat(63);
    let three = format!("{label}.{label}.{label}");
    let taken = |text: &str| text.parse::<ForwardPath>().map(|path| path.to_string());
    for local in ["x".repeat(64), format!("\"{}\"", "x".repeat(62))] {
        assert!(taken(&format!("{local}@b")).is_ok());
        assert!(taken(&format!("<{local}@b>")).is_ok());
    }
    assert!(why(&format!("\"{}\"@b", "x".repeat(63))).contains("the local part has more than 64"));
    assert!(taken(&format!("a@{label}.{label}")).is_ok());
    assert!(why(&format!("a@{label}x.b")).contains("a label of the domain has more than 63"));
    // A label outside US-ASCII is counted in octets.
    assert!(why(&format!("a@{}.b", "ü".repeat(32))).contains("more than 63 octets"));

    let path = |octets: usize| {
        let rest = octets - three.len() - 3;
        format!("a@{three}.{}", "y".repeat(rest))
    };
    assert_eq!(path(254).len(), 254);
    assert!(taken(&path(254)).is_ok());
    assert!(taken(&format!("<{}>", path(254))).is_ok());
    assert!(why(&path(255)).contains("the path has more than 254 octets"));

    let name = |octets: usize| format!("{three}.{}.z", "y".repeat(octets - three.len() - 3));
    assert!(name(255).parse::<EhloName>().is_ok());
    let refused = name(256).parse::<EhloName>().unwrap_err();
    assert_eq!(refused.column, 257);
    assert!(
        refused
            .to_string()
            .contains("the domain has more than 255 octets")
    );

    // It is the US-ASCII form that is sent, and that has to be short enough.
    let long = format!("{}@bücher.{three}", "x".repeat(49));
    assert!(long.chars().count() <= 254);
    assert!(why(&long).contains("the path has more than 254 octets"));
    assert!(taken(&long.replacen('x', "", 1)).is_ok());
}

#[test]
fn the_place_of_an_error_is_counted_in_characters_behind_an_open_bracket_too() {
    for (text, column) in [
        ("<a b@c>", 3),
        ("üü b@c", 3),
        ("\"ü\"x@c", 4),
        ("\"a\\", 4),
        ("\"a\\\"@c", 7),
        ("a@b..c", 5),
        ("a@b-.c", 5),
        ("a@b.", 4),
        ("ab@[x]", 4),
        ("ab@xn--a.ü", 4),
        ("<ab>", 4),
        ("a@b\u{2028}", 4),
        ("<", 1),
        (">", 1),
        ("<a@b", 1),
        ("a@b>", 4),
    ] {
        let error = text.parse::<ForwardPath>().unwrap_err();
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.to_string().starts_with(&format!("column {column}: ")));
    }
    let error = "a\u{fc}".parse::<EhloName>().unwrap_err();
    assert_eq!(error.column, 2);
    let error = "a\tb".parse::<EhloName>().unwrap_err();
    assert!(error.to_string().contains("U+0009"), "{error}");
    let error = "".parse::<EhloName>().unwrap_err();
    assert!(error.to_string().contains("the name is empty"), "{error}");
}

#[test]
fn a_path_knows_its_domain_and_an_ehlo_name_its_address() {
    let path: ForwardPath = "\"a@b\"@example.org".parse().unwrap();
    assert_eq!(
        (path.as_str(), path.domain()),
        ("\"a@b\"@example.org", "example.org")
    );
    assert_eq!("postmaster".parse::<ForwardPath>().unwrap().domain(), "");
    assert_eq!(
        "<POSTMASTER>".parse::<ForwardPath>().unwrap().to_string(),
        "<POSTMASTER>"
    );
    let from = ReversePath::try_from("a@b.example").unwrap();
    assert_eq!(
        (from.as_str(), from.domain(), from.is_null()),
        ("a@b.example", "b.example", false)
    );
    assert!("postmaster".parse::<ReversePath>().is_err());

    let name = |ip: &str| EhloName::from_ip(ip.parse().unwrap()).to_string();
    assert_eq!(name("192.0.2.1"), "[192.0.2.1]");
    assert_eq!(name("::ffff:192.0.2.1"), "[192.0.2.1]");
    assert_eq!(name("2001:db8::1"), "[IPv6:2001:db8::1]");
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
