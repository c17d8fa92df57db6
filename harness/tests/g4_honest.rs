//! G4: every result states the outcome, and the server's mailbox agrees.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use postbound::{Bounds, Outcome, Phase};
use postbound_harness::{Case, arbitrary, keeps, property, run};
use simnet::Double;
use simnet::net::mem::Network;

#[test]
fn g4_honest_whatever_goes_wrong() {
    property(8_000, arbitrary::case(), |case| keeps("g4", case));
}

#[test]
fn the_client_keeps_the_protocol_whatever_goes_wrong() {
    property(4_000, arbitrary::case(), |case| keeps("protocol", case));
}

fn claims(plan: &str) -> (Outcome, usize, String) {
    let case: Case = format!("timeout=1s recipients=2 -- {plan}")
        .parse()
        .unwrap();
    let report = run::mem::run(&case);
    assert_eq!(
        report.violations(&case, run::mem::TOLERANCE),
        [],
        "{}",
        report.events
    );
    (
        report.claim.outcome,
        report.committed,
        report.claim.to_string(),
    )
}

#[test]
fn g4_honest_about_a_final_reply_that_was_lost() {
    for plan in [
        "commit; stall",
        "commit; close",
        "commit; reset",
        "commit; half; close",
    ] {
        let (outcome, committed, _) = claims(&format!("v1 | data-termination: {plan}"));
        assert_eq!((outcome, committed), (Outcome::Ambiguous, 1), "{plan}");
    }
    let (outcome, committed, _) = claims("v1 | data-termination: close");
    assert_eq!((outcome, committed), (Outcome::Ambiguous, 0));
}

#[test]
fn g4_honest_about_a_server_that_closes_its_side_and_goes_on_taking_messages() {
    for (rules, claim, committed) in [
        ("mail: half-close", "not accepted, closed at mail", 0),
        (
            "rcpt#2: normal; half-close",
            "not accepted, closed at data-initiation",
            0,
        ),
        (
            "link: window 64 | data-block: interrupt after 20; half-close",
            "not accepted, closed at data-block",
            0,
        ),
        (
            "data-termination: commit; half-close",
            "ambiguous, closed at data-termination",
            1,
        ),
        ("data-termination: normal; half-close", "accepted (250)", 1),
        ("quit: half-close", "accepted (250)", 1),
    ] {
        let told = claims(&format!("v1 | {rules}"));
        assert_eq!((told.2.as_str(), told.1), (claim, committed), "{rules}");
    }
    // What has left ahead of the replies is taken, whatever became of them.
    let case: Case = "timeout=1s chunking=ahead -- v1 | mail: half; half-close"
        .parse()
        .unwrap();
    let report = run::mem::run(&case);
    assert_eq!(report.violations(&case, run::mem::TOLERANCE), []);
    assert_eq!(
        (report.claim.outcome, report.committed),
        (Outcome::Ambiguous, 1),
        "{}",
        report.events
    );
}

#[test]
fn g4_honest_until_the_last_octet_has_left() {
    // The window closes on all but the last octets of the end of mail data.
    let case: Case = "timeout=1s octets=0 -- v1 | link: window 20 | data-block: stop after 1"
        .parse()
        .unwrap();
    let report = run::mem::run(&case);
    assert_eq!(
        report.claim.outcome,
        Outcome::NotAccepted,
        "{}",
        report.events
    );
    assert_eq!(
        report.claim.to_string(),
        "not accepted, timed-out at data-block"
    );
}

#[test]
fn g4_honest_about_refusals_in_the_middle_of_the_mail_data() {
    for code in [421, 451, 552] {
        let (outcome, committed, claim) = claims(&format!(
            "v1 | link: window 64 | data-block: interrupt after 20; reply {code} no; stall"
        ));
        assert_eq!((outcome, committed), (Outcome::NotAccepted, 0));
        assert_eq!(
            claim,
            format!("not accepted, refused at data-block ({code})")
        );
    }
}

#[test]
fn g4_honest_about_a_421_wherever_it_comes() {
    for phase in [
        "greeting",
        "ehlo",
        "mail",
        "rcpt",
        "data-initiation",
        "data-termination",
    ] {
        let (outcome, _, claim) = claims(&format!("v1 | {phase}: reply 421 4.3.2 closing; close"));
        assert_eq!(outcome, Outcome::NotAccepted);
        assert_eq!(claim, format!("not accepted, refused at {phase} (421)"));
    }
}

#[test]
fn g4_honest_helo_is_tried_only_where_ehlo_is_not_known() {
    for code in [500, 502, 504] {
        let (outcome, _, claim) = claims(&format!("v1 | ehlo#1: reply {code} what"));
        assert_eq!(outcome, Outcome::Accepted, "{claim}");
    }
    for code in [421, 450, 501, 503, 530, 550, 554] {
        let (_, _, claim) = claims(&format!("v1 | ehlo#1: reply {code} no"));
        assert_eq!(claim, format!("not accepted, refused at ehlo ({code})"));
    }
}

#[test]
fn g4_honest_a_refusal_is_not_hidden_by_what_follows_it() {
    // A reset may overtake the refusal.
    for then in ["stall", "close"] {
        let (_, _, claim) = claims(&format!("v1 | mail: reply 550 5.7.1 no; {then}"));
        assert_eq!(claim, "not accepted, refused at mail (550)", "{then}");
    }
    let (_, _, claim) = claims("v1 | rcpt: reply 550 5.1.1 nobody | data-initiation: stall");
    assert_eq!(claim, "not accepted, refused at rcpt (550)");
}

#[test]
fn g4_honest_partial_acceptance_is_an_answer_unless_all_are_required() {
    let plan = "v1 | rcpt#2: reply 550 5.1.1 nobody";
    let case: Case = format!("timeout=1s recipients=3 -- {plan}")
        .parse()
        .unwrap();
    let report = run::mem::run(&case);
    assert_eq!(
        (report.claim.outcome, report.claim.accepted),
        (Outcome::Accepted, 2)
    );
    let case: Case = format!("timeout=1s recipients=3 require=all -- {plan}")
        .parse()
        .unwrap();
    let report = run::mem::run(&case);
    assert_eq!(
        report.claim.to_string(),
        "not accepted, refused at rcpt (550)"
    );
    assert_eq!(report.committed, 0);
}

#[test]
fn g4_honest_the_reserve_makes_an_expiring_deadline_definite() {
    let slow = "v1 | data-initiation: after 800ms | data-termination: commit; stall";
    let ambiguous: Case = format!("timeout=2s deadline=1s -- {slow}").parse().unwrap();
    assert_eq!(run::mem::run(&ambiguous).claim.outcome, Outcome::Ambiguous);
    let definite: Case = format!("timeout=2s deadline=1s reserve=500ms -- {slow}")
        .parse()
        .unwrap();
    let report = run::mem::run(&definite);
    assert_eq!(
        (report.claim.outcome, report.committed),
        (Outcome::NotAccepted, 0)
    );
    assert_eq!(report.elapsed, std::time::Duration::from_millis(500));
}

#[test]
fn g4_honest_an_unwanted_354_closes_the_connection() {
    let plan = "v1 | rcpt: reply 550 5.1.1 nobody | data-initiation: reply 354 go on";
    let (outcome, committed, claim) = claims(plan);
    assert_eq!((outcome, committed), (Outcome::NotAccepted, 0));
    assert_eq!(claim, "not accepted, refused at rcpt (550)");
    // Whatever was said next would be mail data to this server.
    run::paused(async {
        let network = Network::new(Double::new(plan.parse().unwrap()));
        let case = Case::default();
        let client = case.client(network.connector());
        let (envelope, message) = (case.envelope(), case.message());
        let mut connection = client.connect(Bounds::none()).await.unwrap();
        let transaction = connection.transaction(&envelope).unwrap();
        let refused = transaction.send(&message, Bounds::none()).await;
        assert_eq!(refused.unwrap_err().phase(), Phase::Rcpt);
        assert!(!connection.is_idle());
        assert_eq!(network.client_streams(), 0);
    });
}

#[test]
fn g4_honest_until_the_last_record_has_left() {
    // TLS has all of the message, and the window closes on the record with its end.
    let case: Case =
        "timeout=1s octets=30000 tls=implicit -- v1 | link: window 20 | data-block: stop after 1"
            .parse()
            .unwrap();
    let report = run::mem::run(&case);
    assert_eq!(
        report.claim.to_string(),
        "not accepted, timed-out at data-block",
        "{}",
        report.events
    );
    assert_eq!(report.committed, 0);
}

#[test]
fn g4_honest_about_chunks_a_refused_one_is_definite_and_only_the_last_one_is_ambiguous() {
    let claims = |settings: &str, plan: &str| {
        let case: Case = format!("timeout=1s chunking=150 {settings} -- v1 | {plan}")
            .parse()
            .unwrap();
        let report = run::mem::run(&case);
        let violations = report.violations(&case, run::mem::TOLERANCE);
        assert_eq!(violations, [], "{case}\n{}", report.events);
        (report.claim.to_string(), report.committed)
    };
    for settings in ["pipelining=yes", "pipelining=no"] {
        for chunk in ["data-block", "data-block#1", "data-block#2"] {
            assert_eq!(
                claims(settings, &format!("{chunk}: reply 552 5.3.4 too much")),
                ("not accepted, refused at data-block (552)".to_owned(), 0)
            );
            // A server that has refused one chunk and takes the last one has not taken the message.
            let (claim, committed) = claims(
                settings,
                &format!("{chunk}: reply 451 4.3.0 no | data-termination: reply 250 2.0.0 queued"),
            );
            assert_eq!(
                (claim.as_str(), committed),
                ("not accepted, refused at data-block (451)", 0)
            );
            assert_eq!(
                claims(settings, &format!("{chunk}: close")),
                ("not accepted, closed at data-block".to_owned(), 0)
            );
        }
        assert_eq!(
            claims(settings, "data-termination: commit; stall"),
            ("ambiguous, timed-out at data-termination".to_owned(), 1)
        );
        assert_eq!(
            claims(settings, "data-termination: reply 554 5.6.0 no"),
            (
                "not accepted, refused at data-termination (554)".to_owned(),
                0
            )
        );
    }
}

#[test]
fn g4_honest_over_lmtp_about_each_recipient() {
    use Outcome::{Accepted, Ambiguous, NotAccepted};
    for (plan, claim, each) in [
        (
            "data-termination#2: reply 452 4.2.2 full",
            "accepted (250)",
            [(Accepted, 1), (NotAccepted, 0), (Accepted, 1)],
        ),
        (
            "data-termination#1: reply 550 5.7.1 no",
            "accepted (250)",
            [(NotAccepted, 0), (Accepted, 1), (Accepted, 1)],
        ),
        (
            "rcpt#1: reply 550 5.1.1 nobody | data-termination#1: reply 452 4.2.2 full",
            "accepted (250)",
            [(NotAccepted, 0), (NotAccepted, 0), (Accepted, 1)],
        ),
        (
            "data-termination: reply 554 5.6.0 no",
            "not accepted, refused at data-termination (554)",
            [(NotAccepted, 0), (NotAccepted, 0), (NotAccepted, 0)],
        ),
        (
            "data-termination#2: commit; stall",
            "ambiguous, timed-out at data-termination",
            [(Accepted, 1), (Ambiguous, 1), (Ambiguous, 0)],
        ),
        (
            "data-termination#2: reply 421 4.3.2 closing; close",
            "ambiguous, refused at data-termination (421)",
            [(Accepted, 1), (NotAccepted, 0), (Ambiguous, 0)],
        ),
    ] {
        for chunking in ["no", "150"] {
            let settings = format!("timeout=1s recipients=3 protocol=lmtp chunking={chunking}");
            let case: Case = format!("{settings} -- v1 | {plan}").parse().unwrap();
            let report = run::mem::run(&case);
            let violations = report.violations(&case, run::mem::TOLERANCE);
            assert_eq!(violations, [], "{case}\n{}", report.events);
            assert_eq!(report.claim.to_string(), claim, "{case}");
            assert_eq!(report.for_each, each, "{case}");
        }
    }
}
