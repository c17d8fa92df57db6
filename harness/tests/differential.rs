//! The session on a list of events against the async client on the in-memory network: two clients'
//! drivers, two networks, two servers, one answer.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::collections::BTreeMap;

use postbound_harness::differential::{Agreement, compare};
use postbound_harness::{arbitrary, property, run};

#[test]
fn differential_sans_io_and_async_agree_on_random_cases() {
    let classes = std::cell::RefCell::new(BTreeMap::<&str, u32>::new());
    property(6_000, arbitrary::case(), |case| {
        if run::sansio::can(case).is_err() {
            return Ok(());
        }
        let (left, right) = (run::sansio::run(case), run::mem::run(case));
        match compare(case, &left, &right) {
            Agreement::Same => {
                *classes.borrow_mut().entry("the same").or_default() += 1;
                Ok(())
            }
            Agreement::Tie(class) => {
                *classes.borrow_mut().entry(class).or_default() += 1;
                Ok(())
            }
            Agreement::Differs(how) => Err(format!("{how}\n{}", right.events)),
        }
    });
    let classes = classes.into_inner();
    let all: u32 = classes.values().sum();
    let same = classes["the same"];
    assert!(same * 1_000 >= all * 995, "{classes:?}");
}
