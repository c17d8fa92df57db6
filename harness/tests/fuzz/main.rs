//! What reads octets of others, fed with a corpus and what can be made of it. In CI so many inputs and
//! always the same ones; for a person `ci/fuzz 600`, for as many seconds a target as one likes.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a target that finds something has to fail"
)]

mod engine;
mod parsers;
mod session;

use engine::{Target, fuzz};

#[test]
fn fuzz_reply_reader_is_bounded_and_blind_to_segments() {
    fuzz(&Target::new("reply", parsers::reply));
}

#[test]
fn fuzz_ehlo_takes_no_more_than_its_cap_and_no_keyword_twice() {
    fuzz(&Target::new("ehlo", parsers::ehlo));
}

#[test]
fn fuzz_plan_that_parses_is_the_same_plan_when_it_is_written_and_read_again() {
    fuzz(&Target::new("plan", parsers::plan));
}

#[test]
fn fuzz_url_that_is_refused_tells_no_password() {
    fuzz(&Target::new("url", parsers::url));
}

#[test]
fn fuzz_starttls_no_octet_before_tls_survives_it() {
    fuzz(&Target::new("starttls", session::starttls));
}

#[test]
fn fuzz_sasl_nobody_is_authenticated_who_does_not_know_the_password() {
    fuzz(&Target::new("sasl", session::sasl));
}

#[test]
fn fuzz_finds_a_planted_bug() {
    // A reader that can't stand a second line of which only the code is there.
    let target = Target::new("reply", |input| {
        let mut lines = input.split(|octet| *octet == b'\n');
        match lines.nth(1) {
            Some(line) if line.len() == 4 && line.starts_with(b"2") => Err("planted".to_owned()),
            _ => Ok(()),
        }
    });
    let found = std::panic::catch_unwind(|| fuzz(&target)).unwrap_err();
    let said = found.downcast_ref::<String>().unwrap();
    assert!(said.starts_with("reply: planted\n"), "{said}");
}
