//! Values of parameters: what each of them takes, up to its last one, and how it is written.

use std::time::Duration;

use postbound_proto::ext::{
    ByMode, DeliverBy, EnvelopeId, FutureRelease, MtPriority, Notify, OriginalRecipient, Ret,
};

const LONGEST: Duration = Duration::from_secs(999_999_999);

#[test]
fn a_time_to_deliver_by_is_whole_seconds_rounded_up_within_its_range() {
    let by = |time| DeliverBy::within(time, ByMode::Return);
    assert_eq!(by(Duration::from_secs(7)).unwrap().seconds(), 7);
    assert_eq!(by(Duration::from_nanos(1)).unwrap().seconds(), 1);
    assert_eq!(by(Duration::from_millis(7_001)).unwrap().seconds(), 8);
    assert_eq!(by(LONGEST).unwrap().seconds(), 999_999_999);
    for refused in [
        Duration::ZERO,
        LONGEST + Duration::from_nanos(1),
        Duration::MAX,
    ] {
        let refused = by(refused).unwrap_err().to_string();
        assert_eq!(
            refused,
            "BY: a time to deliver by is between 1 s and 999999999 s"
        );
    }
    let by = by(Duration::from_secs(120)).unwrap();
    assert_eq!(
        (by.to_string().as_str(), by.mode()),
        ("120;R", ByMode::Return)
    );
    assert_eq!(by.traced().to_string(), "120;RT");
    let told = DeliverBy::within(Duration::from_secs(1), ByMode::Notify).unwrap();
    assert_eq!(
        (told.to_string().as_str(), told.mode()),
        ("1;N", ByMode::Notify)
    );
}

#[test]
fn a_priority_is_between_minus_nine_and_nine() {
    for priority in -9..=9 {
        let taken = MtPriority::new(priority).unwrap();
        assert_eq!(taken.get(), priority);
        assert_eq!(taken.to_string(), priority.to_string());
    }
    for priority in [-10, 10, i8::MIN, i8::MAX] {
        assert!(MtPriority::new(priority).is_err(), "{priority}");
    }
    assert!(MtPriority::new(-1).unwrap() < MtPriority::new(0).unwrap());
}

#[test]
fn a_message_is_held_for_whole_seconds_rounded_up_within_the_range() {
    let held = |time| FutureRelease::after(time).map(|hold| hold.to_string());
    assert_eq!(held(Duration::from_millis(1)).unwrap(), "HOLDFOR=1");
    assert_eq!(held(LONGEST).unwrap(), "HOLDFOR=999999999");
    assert!(held(Duration::ZERO).is_err());
    assert!(held(LONGEST + Duration::from_nanos(1)).is_err());
}

#[test]
fn a_message_is_held_until_any_instant_that_there_is_and_no_other() {
    for text in [
        "2030-01-31T08:00:00Z",
        "2030-12-31T23:59:60Z",
        "2030-04-30T00:00:00+23:59",
        "2028-02-29T00:00:00-00:00",
        "2000-02-29T00:00:00Z",
        "0000-01-01T00:00:00Z",
    ] {
        let hold: FutureRelease = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(hold.to_string(), format!("HOLDUNTIL={text}"));
    }
    for text in [
        "2030-00-31T08:00:00Z",
        "2030-01-00T08:00:00Z",
        "2030-01-32T08:00:00Z",
        "2030-04-31T08:00:00Z",
        "2030-06-31T08:00:00Z",
        "2030-09-31T08:00:00Z",
        "2030-11-31T08:00:00Z",
        "2028-02-30T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2030-01-31T08:60:00Z",
        "2030-01-31T08:00:61Z",
        "2030-01-31T08:00:00+24:00",
        "2030-01-31T08:00:00+00:60",
        "2030-01-31T08:00:00x01:00",
        "2030-01-31T08:00:00+01:00:00",
        "2030-01-31T08:00:00.5Z",
        "2030-1-031T08:00:00Z",
        "2030-01-31t08:00:00Z",
    ] {
        let refused = text.parse::<FutureRelease>().unwrap_err().to_string();
        assert!(refused.starts_with("HOLDUNTIL: write a date"), "{text:?}");
    }
}

#[test]
fn an_envelope_identifier_has_1_to_100_printable_characters() {
    for text in ["a", " ", "~", &"x".repeat(100)] {
        assert_eq!(text.parse::<EnvelopeId>().unwrap().as_str(), text);
    }
    for text in ["", "\t", "\u{7f}", "é", &"x".repeat(101)] {
        assert!(text.parse::<EnvelopeId>().is_err(), "{text:?}");
    }
}

#[test]
fn events_are_asked_for_by_name_and_read_back() {
    let all = Notify::SUCCESS | Notify::FAILURE | Notify::DELAY;
    for (notify, text) in [
        (Notify::NEVER, "NEVER"),
        (Notify::SUCCESS, "SUCCESS"),
        (Notify::FAILURE, "FAILURE"),
        (Notify::DELAY, "DELAY"),
        (Notify::FAILURE | Notify::DELAY, "FAILURE,DELAY"),
        (all, "SUCCESS,FAILURE,DELAY"),
        (all | all, "SUCCESS,FAILURE,DELAY"),
    ] {
        assert_eq!(notify.to_string(), text);
        assert_eq!(text.to_lowercase().parse(), Ok(notify));
    }
    assert_eq!(
        "delay, success".parse(),
        Ok(Notify::SUCCESS | Notify::DELAY)
    );
    for text in ["", "never,success", "success,", "always"] {
        assert!(text.parse::<Notify>().is_err(), "{text:?}");
    }
}

#[test]
fn an_original_recipient_of_another_kind_is_an_atom_and_text_within_500_octets() {
    let other = |kind: &str, address: &str| {
        OriginalRecipient::other(kind, address).map(|other| other.to_string())
    };
    assert_eq!(other("x400", "/S=a b/").unwrap(), "x400;/S+3Da+20b/");
    assert_eq!(other("x-1", "~").unwrap(), "x-1;~");
    assert_eq!(other("x", &"a".repeat(498)).unwrap().len(), 500);
    for (kind, address) in [
        ("", "a"),
        ("x y", "a"),
        ("x;", "a"),
        ("x", ""),
        ("x", "é"),
        ("x", "\t"),
        ("x", &"a".repeat(499)),
    ] {
        let refused = other(kind, address).unwrap_err().to_string();
        assert!(refused.starts_with("ORCPT: "), "{kind:?} {address:?}");
    }
}

#[test]
fn what_comes_back_is_all_or_the_header_section() {
    assert_eq!(
        (Ret::Full.to_string(), Ret::Headers.to_string()),
        ("FULL".into(), "HDRS".into())
    );
}
