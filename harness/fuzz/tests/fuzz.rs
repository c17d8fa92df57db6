//! Each target with its corpus and what can be made of it. In CI so many inputs and always the same
//! ones; for a person `ci/fuzz 600`, for as many seconds a target as one likes, or `ci/fuzz guided`.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a target that finds something has to fail"
)]

use postbound_fuzz::{EHLO, PLAN, REPLY, SASL, STARTTLS, Target, URL, fuzz};

#[test]
fn fuzz_reply_reader_is_bounded_and_blind_to_segments() {
    fuzz(&REPLY);
}

#[test]
fn fuzz_ehlo_takes_no_more_than_its_cap_and_no_keyword_twice() {
    fuzz(&EHLO);
}

#[test]
fn fuzz_plan_that_parses_is_the_same_plan_when_it_is_written_and_read_again() {
    fuzz(&PLAN);
}

#[test]
fn fuzz_url_that_is_refused_tells_no_password() {
    fuzz(&URL);
}

#[test]
fn fuzz_starttls_no_octet_before_tls_survives_it() {
    fuzz(&STARTTLS);
}

#[test]
fn fuzz_sasl_nobody_is_authenticated_who_does_not_know_the_password() {
    fuzz(&SASL);
}

#[test]
#[cfg(not(fuzzing))]
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

/// What chance finds once in 2^48 inputs and a guide in some thousands: `ci/fuzz guided` requires it to
/// be found, so that inputs that are no longer guided are noticed.
#[test]
#[cfg(fuzzing)]
fn fuzz_planted_is_found_by_its_branches() {
    fuzz(&Target::new("planted", |input| {
        let mut wanted = b"\x02\x81\xfe\x13\xc4\x7e".iter();
        let mut octets = input.iter();
        loop {
            match (wanted.next(), octets.next()) {
                (None, _) => return Err("planted".to_owned()),
                (Some(wanted), Some(octet)) if wanted == octet => {}
                _ => return Ok(()),
            }
        }
    }));
}
