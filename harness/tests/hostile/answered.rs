//! What a server may answer.

use std::time::Duration;

use postbound::{Bounds, Client, Outcome, Phase, Retry};
use postbound_harness::{Case, run};
use simnet::net::mem::Network;
use simnet::{Double, Plan};

use super::{BEFORE, case, claim, client, envelope, error, quoted, run_one};

#[test]
fn hostile_18_a_line_without_end_meets_the_cap_while_it_is_read() {
    for phase in BEFORE {
        let report = run_one(&format!("{phase}: endless-line"));
        assert_eq!(
            report.claim.to_string(),
            format!("not accepted, protocol at {phase}")
        );
        // Not by the clock: a few thousand octets are enough.
        assert!(
            report.elapsed < Duration::from_millis(500),
            "{:?}",
            report.elapsed
        );
    }
    assert_eq!(
        claim("data-termination: endless-line"),
        "ambiguous, protocol at data-termination"
    );
}

#[test]
fn hostile_19_lines_without_end_meet_a_cap_or_the_limit_of_the_phase() {
    for phase in BEFORE {
        assert_eq!(
            claim(&format!("{phase}: endless-lines")),
            format!("not accepted, protocol at {phase}")
        );
        // One line just before each expiry of a timer that octets could move.
        let report = run_one(&format!("{phase}: endless-lines; drip 1900ms"));
        assert_eq!(
            report.claim.to_string(),
            format!("not accepted, timed-out at {phase}")
        );
        assert!(report.elapsed < Duration::from_millis(2_100));
    }
}

#[test]
fn hostile_20_a_code_is_three_digits_and_nothing_else() {
    let wrong: [&[u8]; 17] = [
        b"25\r\n",
        b"2500 ok\r\n",
        b"250_ok\r\n",
        b"99\r\n",
        b"999 ok\r\n",
        b"600 ok\r\n",
        b"000 ok\r\n",
        b"850 NONSENSE\r\n",
        b"150 ok\r\n",
        b"\r\n",
        b" 250 x\r\n",
        b"-250 x\r\n",
        b"250\tx\r\n",
        b"25O ok\r\n",
        b"\xef\xbc\x92\xef\xbc\x95\xef\xbc\x90 ok\r\n",
        b"250.ok\r\n",
        b"2 50 ok\r\n",
    ];
    for octets in wrong {
        for phase in BEFORE {
            assert_eq!(
                claim(&format!("{phase}: {}", quoted(octets))),
                format!("not accepted, protocol at {phase}"),
                "{}",
                octets.escape_ascii()
            );
        }
        for commit in ["", "commit; "] {
            let plan = format!("data-termination: {commit}{}", quoted(octets));
            assert_eq!(claim(&plan), "ambiguous, protocol at data-termination");
        }
    }
    // A code alone is a reply.
    assert_eq!(
        claim("mail: reply 250 | data-termination: reply 250"),
        "accepted (250)"
    );
}

#[test]
fn hostile_21_lines_of_one_reply_with_different_codes_are_none() {
    for octets in [
        "250-a\r\n550 b\r\n",
        "550-a\r\n250 b\r\n",
        "250-a\r\n251 b\r\n",
        "250-a\r\nb\r\n250 c\r\n",
    ] {
        for phase in [Phase::Ehlo, Phase::Mail, Phase::Rcpt] {
            assert_eq!(
                claim(&format!("{phase}: {}", quoted(octets.as_bytes()))),
                format!("not accepted, protocol at {phase}")
            );
        }
        let plan = format!("data-termination: commit; {}", quoted(octets.as_bytes()));
        assert_eq!(claim(&plan), "ambiguous, protocol at data-termination");
    }
}

#[test]
fn hostile_22_a_stray_line_is_never_skipped() {
    for (phase, octets) in [
        (Phase::Greeting, "\r\n220 mx ESMTP\r\n"),
        (Phase::Greeting, "Welcome!\r\n220 mx ESMTP\r\n"),
        (Phase::Ehlo, "hello\r\n250 mx\r\n"),
        (Phase::Ehlo, "250-mx\r\n\r\n250 SIZE\r\n"),
        (Phase::Mail, "\r\n250 ok\r\n"),
        (Phase::Rcpt, "debug: ok\r\n250 ok\r\n"),
        (Phase::DataInitiation, "\r\n354 go\r\n"),
    ] {
        assert_eq!(
            claim(&format!("{phase}: {}", quoted(octets.as_bytes()))),
            format!("not accepted, protocol at {phase}"),
            "{octets:?}"
        );
    }
}

#[test]
fn hostile_23_octets_that_act_on_a_terminal_are_kept_and_shown_escaped() {
    let text = b"554 5.7.1 \x1b[2J\x07\xff\xc3\x28\xe2\x80\xae no\r\n";
    let error = error(&format!("mail: {}", quoted(text)));
    assert!(error.is_refused());
    assert_eq!(error.reply().unwrap().raw(), text);
    for shown in [
        error.to_string(),
        format!("{error:?}"),
        error.reply().unwrap().to_string(),
    ] {
        assert!(
            shown.chars().all(|c| !c.is_control() && c != '\u{202e}'),
            "{shown:?}"
        );
    }
    // A line ends with CRLF, and has neither of them, nor NUL, anywhere else.
    for octets in [
        b"554 no\n".as_slice(),
        b"554 n\ro\r\n",
        b"554 n\0o\r\n",
        b"554-a\n554 b\r\n",
    ] {
        let claim = claim(&format!("mail: {}", quoted(octets)));
        assert!(
            claim == "not accepted, protocol at mail" || claim == "not accepted, timed-out at mail",
            "{}: {claim}",
            octets.escape_ascii()
        );
    }
}

#[test]
fn hostile_24_the_code_counts_and_an_enhanced_code_that_contradicts_it_is_not_shown() {
    for (text, shown) in [
        ("250 5.1.1 fine", None),
        ("250 2.1.5 fine", Some("2.1.5")),
        ("250 9.9.9 fine", None),
        ("250 2. fine", None),
        ("250 2.1 fine", None),
        ("250 2.1.5.6 fine", None),
        ("250 2.99999.1 fine", None),
        ("250 2..1 fine", None),
    ] {
        let case = case(&format!("data-termination: reply {text}"));
        let receipt = run::mem::result(&case).unwrap();
        let enhanced = receipt.reply().enhanced().map(|code| code.to_string());
        assert_eq!(enhanced.as_deref(), shown, "{text}");
    }
    let error = error("rcpt: reply 550 2.0.0 all is well");
    assert!(error.is_refused() && error.is_permanent());
    assert_eq!(error.reply().unwrap().enhanced(), None);
}

#[test]
fn hostile_25_replies_in_any_segments_have_the_same_result() {
    for plan in ["rcpt: reply 451 4.7.1 later", "mail: reply 250 2.1.0 ok"] {
        let whole = claim(plan);
        for octets in 1..60 {
            let split = format!("{plan} | link: fragment {octets} to-client");
            assert_eq!(claim(&split), whole, "{octets}");
        }
        // Within a code, a CRLF, a text: at each octet of the dialogue.
        for (octets, way) in [(260, "to-client"), (700, "to-server")] {
            for octet in 1..octets {
                let split = format!("{plan} | link: split after {octet} {way}");
                assert_eq!(claim(&split), whole, "{octet} {way}");
            }
        }
        // And several in one.
        for every in [5, 50, 500] {
            let together = format!("{plan} | link: coalesce {every}ms to-client");
            assert_eq!(claim(&together), whole, "{every}");
        }
    }
}

#[test]
fn hostile_26_replies_to_what_was_not_said_are_not_believed() {
    let all = "250-mx\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n354 go\r\n250 2.0.0 accepted\r\n";
    let report = run_one(&format!("ehlo: {}", quoted(all.as_bytes())));
    assert_eq!(report.claim.outcome, Outcome::NotAccepted);
    assert_eq!(report.claim.kind, "protocol");
    assert_eq!(report.committed, 0);
    for phase in [Phase::Greeting, Phase::Ehlo, Phase::Mail, Phase::Rcpt] {
        let early = format!("{phase}: twice");
        let case = case(&early);
        let report = run::mem::run(&case);
        assert_eq!(report.claim.outcome, Outcome::NotAccepted, "{early}");
        assert_eq!(report.claim.kind, "protocol", "{early}");
        assert_eq!(report.committed, 0, "{early}");
    }
}

#[test]
fn hostile_27_each_reply_of_a_group_is_its_own_and_no_mail_data_follows_anything_but_a_354() {
    let case: Case = "timeout=2s recipients=4 -- v1 | rcpt#2: reply 550 5.1.1 no | rcpt#3: reply 451 4.2.1 later"
        .parse()
        .unwrap();
    let receipt = run::mem::result(&case).unwrap();
    let codes: Vec<_> = receipt
        .recipients()
        .iter()
        .map(|recipient| recipient.reply().unwrap().code().get())
        .collect();
    assert_eq!(codes, [250, 550, 451, 250]);
    // All refused, and the server wants the message all the same.
    let report = run_one("rcpt: reply 550 5.1.1 no | data-initiation: reply 354 go ahead");
    assert_eq!(
        report.claim.to_string(),
        "not accepted, refused at rcpt (550)"
    );
    assert!(
        !report.events.contains("octets of mail data"),
        "{}",
        report.events
    );
    for (reply, shown) in [
        ("250 ok", "protocol at data-initiation"),
        ("503 5.5.1 no", "refused at data-initiation (503)"),
        ("451 4.3.0 no", "refused at data-initiation (451)"),
    ] {
        let report = run_one(&format!("data-initiation: reply {reply}"));
        let claim = report.claim.to_string();
        assert!(
            claim.starts_with(&format!("not accepted, {shown}")),
            "{claim}"
        );
        assert_eq!(report.committed, 0);
    }
    // One reply too few: the one to DATA is taken for it, and refuses either way.
    assert_eq!(
        claim("rcpt: nothing"),
        "not accepted, refused at rcpt (554)"
    );
}

#[test]
fn hostile_28_a_thousand_recipients_through_a_small_window_are_no_deadlock() {
    for window in [16, 64, 4_096] {
        let case: Case = format!("timeout=10s recipients=1000 -- v1 | link: window {window}")
            .parse()
            .unwrap();
        let report = run::mem::run(&case);
        assert_eq!(report.violations(&case, run::mem::TOLERANCE), []);
        assert_eq!(report.claim.outcome, Outcome::Accepted, "{window}");
    }
    // The server stops reading in the middle of the group.
    let case: Case = "timeout=2s recipients=1000 -- v1 | link: window 64 | rcpt#20: stall"
        .parse()
        .unwrap();
    let report = run::mem::run(&case);
    assert_eq!(
        report.claim.to_string(),
        "not accepted, timed-out at rcpt",
        "{}",
        report.claim
    );
}

#[test]
fn hostile_29_a_421_is_a_421_wherever_it_comes() {
    for phase in BEFORE {
        for then in ["close", "reset", "stall"] {
            let plan = format!("{phase}: reply 421 4.3.2 closing; {then}");
            let claim = claim(&plan);
            // A reset may overtake it.
            assert!(
                claim == format!("not accepted, refused at {phase} (421)") || then == "reset",
                "{plan}: {claim}"
            );
        }
    }
    assert_eq!(
        claim("link: window 64 | data-block: interrupt after 20; reply 421 4.3.2 closing; stall"),
        "not accepted, refused at data-block (421)"
    );
    assert_eq!(
        claim("data-termination: reply 421 4.3.2 closing; close"),
        "not accepted, refused at data-termination (421)"
    );
    assert!(error("mail: reply 421 4.3.2 closing; close").is_transient());
    // At rest, before the next transaction.
    run::paused(async {
        let plan = "v1 | ehlo: raw \"250 mx\\r\\n421 4.3.2 idle for too long\\r\\n\"; close";
        let network = Network::new(Double::new(plan.parse().unwrap()));
        let client = client(&network);
        let connection = client.connect(Bounds::none()).await;
        let error = match connection {
            Err(error) => error,
            Ok(mut connection) => {
                let envelope = envelope();
                match connection.transaction(&envelope) {
                    Err(error) => error,
                    Ok(transaction) => transaction
                        .send("Subject: x\r\n\r\ny\r\n", Bounds::none())
                        .await
                        .unwrap_err(),
                }
            }
        };
        assert_eq!(error.outcome(), Outcome::NotAccepted);
        assert_eq!(
            error.reply().map(|reply| reply.code().get()),
            Some(421),
            "{error}"
        );
    });
}

#[test]
fn hostile_30_a_greeting_that_is_no_220_is_answered_with_nothing() {
    for code in [554, 521, 421, 450, 250, 354] {
        let report = run_one(&format!("greeting: reply {code} no"));
        assert_eq!(report.claim.phase, Some(Phase::Greeting), "{code}");
        assert!(!report.events.contains("EHLO"), "{}", report.events);
    }
    // Several lines, no ESMTP in it, or stars in place of everything: it is a greeting.
    for text in [
        "\"a\\nb\\nc\"",
        "mx.example SMTP",
        "**************2****0",
        "\"\"",
    ] {
        assert_eq!(
            claim(&format!("greeting: reply 220 {text}")),
            "accepted (250)"
        );
    }
    assert_eq!(claim("greeting: nothing"), {
        "not accepted, timed-out at greeting"
    });
}

#[test]
fn hostile_31_an_end_at_each_boundary_is_told_as_it_is() {
    for end in ["close", "reset"] {
        for (plan, outcome, committed) in [
            (
                format!("data-initiation: normal; {end}"),
                Outcome::NotAccepted,
                0,
            ),
            (
                format!("link: window 64 | data-block: interrupt after 20; nothing; {end}"),
                Outcome::NotAccepted,
                0,
            ),
            (format!("data-termination: {end}"), Outcome::Ambiguous, 0),
            (
                format!("data-termination: commit; {end}"),
                Outcome::Ambiguous,
                1,
            ),
            (
                format!("data-termination: commit; half; {end}"),
                Outcome::Ambiguous,
                1,
            ),
            (format!("quit: {end}"), Outcome::Accepted, 1),
        ] {
            let report = run_one(&plan);
            assert_eq!(
                (report.claim.outcome, report.committed),
                (outcome, committed),
                "{plan}"
            );
        }
    }
    assert_eq!(claim("quit: nothing"), "accepted (250)");
    // A reset may take the 250 with it: never a refusal.
    let report = run_one("data-termination: normal; reset");
    assert_eq!(report.committed, 1);
    assert!(matches!(
        report.claim.outcome,
        Outcome::Accepted | Outcome::Ambiguous
    ));
}

#[test]
fn hostile_32_a_message_that_may_have_been_taken_is_not_sent_again() {
    run::paused(async {
        let plan: Plan = "v1 | data-termination[first 1]: commit; stall"
            .parse()
            .unwrap();
        for (retry, copies) in [
            (Retry::attempts(5), 1),
            (Retry::attempts(5).may_duplicate(), 2),
        ] {
            let network = Network::new(Double::new(plan.clone()));
            let client = Client::builder("mx.example", 25)
                .connector(network.connector())
                .retry(retry)
                .build()
                .unwrap();
            let message = b"Subject: x\r\n\r\ny\r\n";
            let result = client.send(&envelope(), message, Bounds::none()).await;
            assert_eq!(network.double().ledger().copies(message), copies);
            if copies == 1 {
                assert!(result.unwrap_err().is_ambiguous());
            }
        }
    });
}

#[test]
fn hostile_33_nonsense_in_the_reply_to_ehlo_is_ignored_and_has_a_cap() {
    for line in [
        "SIZE -1",
        "SIZE 18446744073709551616",
        "SIZE x",
        "SIZE",
        "LIMITS RCPTMAX=0",
        "LIMITS RCPTMAX=-1 MAILMAX=x",
        "LIMITS",
        "AUTH",
        "AUTH=",
        "AUTH = =",
        "-",
        "=",
        "8BITMIME 8BITMIME",
    ] {
        let reply = format!("250-mx\r\n250-{line}\r\n250-{line}\r\n250 PIPELINING\r\n");
        // The double takes the raw reply for none at all, so its findings say nothing here.
        let report = run::mem::run(&case(&format!("ehlo: {}", quoted(reply.as_bytes()))));
        assert_eq!(report.claim.outcome, Outcome::Accepted, "{line}");
    }
    // More keywords than anybody has: the reply is over its cap, and that is all.
    let mut reply = String::from("250-mx\r\n");
    (0..100_000).for_each(|n| reply.push_str(&format!("250-X{n}\r\n")));
    reply.push_str("250 PIPELINING\r\n");
    assert_eq!(
        claim(&format!("ehlo: {}", quoted(reply.as_bytes()))),
        "not accepted, protocol at ehlo"
    );
}
