//! What a double knows of the faults that a client was put through, and goals that have to be reached.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has to fail"
)]

mod common;

use std::time::Duration;

use common::{Client, greeted, paused};
use postbound_simnet::coverage::{Coverage, Goal};
use postbound_simnet::double::SmtpDouble;
use postbound_simnet::net::mem::Network;
use postbound_simnet::plan::Place;
use postbound_simnet::plan::vocabulary::faults;
use postbound_simnet::{Double, Phase, Plan, Script, Triggers};

/// Place, kind, strikes, and those with the message committed.
fn cells(coverage: &Coverage) -> Vec<String> {
    let cells = coverage.cells().into_iter();
    let line = |cell: postbound_simnet::coverage::Cell| {
        format!(
            "{} {} {} {}",
            cell.place, cell.kind, cell.strikes, cell.committed
        )
    };
    cells.map(line).collect()
}

fn goals<const N: usize>(goals: [&str; N]) -> [Goal; N] {
    goals.map(|goal| goal.parse().unwrap_or_else(|error| panic!("{error}")))
}

#[test]
fn every_rule_that_struck_is_counted_with_what_became_of_its_message() {
    paused(async {
        let double = SmtpDouble::in_memory();
        double.rule("greeting: after 1s").unwrap();
        double.rule("rcpt[bob@*]: reply 550 5.1.1 no").unwrap();
        double.rule("mail[first 1]: reply 451 4.7.1 later").unwrap();
        double.rule("quit: nothing; close").unwrap();
        // Never: nobody authenticates.
        double.rule("auth: stall").unwrap();

        // Refused at MAIL: nothing of this connection's first transaction was taken.
        let mut client = greeted(&double, "c.example").await;
        assert_eq!(client.say("MAIL FROM:<a@x>").await, "451 4.7.1 later");
        // Its second one was, with one recipient refused.
        let codes = client.send("a@x", &["bob@x", "eve@x"], "t").await;
        assert_eq!(codes, ["250", "550", "250", "354", "250"]);
        client.say("QUIT").await;
        // Nobody is left: not taken.
        let mut client = greeted(&double, "c.example").await;
        assert_eq!(client.send("a@x", &["bob@x"], "t").await, ["250", "550"]);
        client.say("QUIT").await;

        let coverage = double.coverage();
        assert_eq!(
            cells(&coverage),
            [
                "greeting after 2 0",
                "mail reply-4yz 1 0",
                "rcpt reply-5yz 2 1",
                "quit close 2 1",
            ]
        );
        let reached = |phase| coverage.reached(phase);
        let phases = [Phase::Connect, Phase::Mail, Phase::DataBlock, Phase::Auth];
        assert_eq!(phases.map(reached), [2, 3, 1, 0]);
        assert_eq!(coverage.messages(), 1);

        let goals = goals(["rcpt:reply", "mail:reply-5yz", "auth", "greeting:delay"]);
        let missed: Vec<_> = coverage.missed(&goals).map(ToString::to_string).collect();
        assert_eq!(missed, ["mail:reply-5yz", "auth"]);
        assert_eq!(
            goals.each_ref().map(|goal| coverage.strikes(goal)),
            [2, 0, 0, 2]
        );
        // It is about all the tests together.
        double.reset();
        assert_eq!(double.coverage(), coverage);
    });
}

#[test]
fn what_comes_before_the_first_message_is_counted_with_it() {
    paused(async {
        let double = SmtpDouble::in_memory();
        double.rule("ehlo: after 1s").unwrap();
        let mut client = greeted(&double, "c.example").await;
        client.send("a@x", &["b@x"], "t").await;
        client.send("a@x", &["b@x"], "t").await;
        assert_eq!(cells(&double.coverage()), ["ehlo after 1 1"]);
        assert_eq!(double.coverage().messages(), 2);
    });
}

#[test]
fn a_message_that_was_taken_and_never_acknowledged_is_counted_as_taken() {
    paused(async {
        let double = SmtpDouble::in_memory();
        let rules = [
            "data-termination[connection 1]: commit; stall",
            "data-termination[connection 2]: stall",
            "data-block[connection 3]: interrupt after 3; reply 552 5.3.4 no; close",
        ];
        for rule in rules {
            double.rule(rule).unwrap();
        }
        let dialogue = [
            "EHLO me",
            "MAIL FROM:<a@x>",
            "RCPT TO:<b@x>",
            "DATA",
            "text\r\n.",
        ];
        for _ in rules {
            double.converse(dialogue).await;
        }
        assert_eq!(
            cells(&double.coverage()),
            [
                "data-block interrupt, reply-5yz, close 1 0",
                "data-termination commit, stall 1 1",
                "data-termination stall 1 0",
            ]
        );
        let goals = goals([
            "data-termination:lost-reply",
            "data-termination:stall",
            "data-termination:commit,stall",
            "data-block:interrupt",
            "data-block:interrupt-552",
            "data-termination:close",
        ]);
        let coverage = double.coverage();
        let strikes = goals.each_ref().map(|goal| coverage.strikes(goal));
        assert_eq!(strikes, [1, 2, 1, 1, 1, 0]);
    });
}

#[test]
fn mail_data_that_ends_before_the_octet_of_a_fault_was_not_struck() {
    paused(async {
        let double = SmtpDouble::in_memory();
        double
            .rule("data-block: interrupt after 100; reply 552 5.3.4 no")
            .unwrap();
        let short = [
            "EHLO me",
            "MAIL FROM:<a@x>",
            "RCPT TO:<b@x>",
            "DATA",
            "hi\r\n.",
        ];
        double.converse(short).await;
        let goals = goals(["data-block:interrupt"]);
        assert_eq!(double.coverage().missed(&goals).count(), 1);
        let long = format!("{}\r\n.", "hello ".repeat(30));
        let long = [
            "EHLO me",
            "MAIL FROM:<a@x>",
            "RCPT TO:<b@x>",
            "DATA",
            long.as_str(),
        ];
        double.converse(long).await;
        assert_eq!(double.coverage().missed(&goals).count(), 0);
    });
}

#[test]
fn over_lmtp_each_recipient_has_a_fate_of_its_own() {
    paused(async {
        let double = SmtpDouble::builder()
            .script(Script::default().with_lmtp())
            .in_memory();
        double
            .rule("data-termination#2: reply 452 4.2.2 full")
            .unwrap();
        double.rule("data-termination#1: after 1s").unwrap();
        double.rule("rcpt#1: after 1s").unwrap();
        let mut client = Client(double.connect().await.unwrap());
        client.reply().await;
        client.say("LHLO me").await;
        let to = ["b@x", "c@x", "d@x"];
        assert_eq!(client.send("a@x", &to, "t").await.last().unwrap(), "250");
        assert_eq!(
            [client.reply().await, client.reply().await],
            ["452 4.2.2 full", "250 2.0.0 queued"]
        );
        assert_eq!(
            cells(&double.coverage()),
            [
                "rcpt after 1 1",
                "data-termination after 1 1",
                "data-termination reply-4yz 1 0",
            ]
        );
    });
}

#[test]
fn what_an_address_asked_for_is_counted_like_a_rule() {
    paused(async {
        let double = SmtpDouble::builder()
            .triggers(Triggers::default())
            .in_memory();
        let mut client = greeted(&double, "delay5s-mail.example").await;
        client.send("a@x", &["rcpt451@x", "b@x"], "t").await;
        assert_eq!(
            cells(&double.coverage()),
            ["mail after 1 1", "rcpt reply-4yz 1 1"]
        );
    });
}

#[test]
fn the_network_and_the_proxy_are_counted_where_they_were_in_force() {
    paused(async {
        let plan: Plan =
            "v1 | link: latency 5ms | link: at octet 3 to-client drip 1ms | resolve: after 1s"
                .parse()
                .unwrap();
        let double = SmtpDouble::builder().plan(plan).in_memory();
        double.converse(["EHLO me", "QUIT"]).await;
        double.converse(["EHLO me", "QUIT"]).await;
        assert_eq!(
            cells(&double.coverage()),
            ["link drip to-client 2 0", "link latency 2 0"]
        );
        let goals = goals([
            "link",
            "link:drip",
            "link:drip to-client",
            "link:latency",
            "link:fragment",
        ]);
        let missed: Vec<_> = double.coverage().missed(&goals).cloned().collect();
        assert_eq!(missed, goals[4..]);
    });
}

#[test]
fn doubles_that_share_a_mailbox_or_are_added_up_are_covered_together() {
    paused(async {
        let double = Double::new("v1 | mail: reply 451 no".parse().unwrap());
        let other = double
            .clone()
            .with_plan("v1 | rcpt: reply 550 no".parse().unwrap());
        for double in [&double, &other] {
            let network = Network::new(double.clone());
            let connector = network.connector();
            let address = connector.resolve("x", 25).await.unwrap()[0];
            let mut client = Client(connector.connect(address).await.unwrap());
            client.reply().await;
            client.say("EHLO me").await;
            client.send("a@x", &["b@x"], "t").await;
        }
        let both = double.coverage();
        assert_eq!(cells(&both), ["mail reply-4yz 1 0", "rcpt reply-5yz 1 0"]);
        let mut twice = both.clone();
        twice.merge(&other.coverage());
        assert_eq!(cells(&twice), ["mail reply-4yz 2 0", "rcpt reply-5yz 2 0"]);
        assert_eq!(twice.reached(Phase::Greeting), 4);
    });
}

#[test]
fn every_named_fault_that_a_server_can_strike_is_a_goal_that_its_own_rule_meets() {
    let scale = Duration::from_secs(10);
    let unseen = [Phase::Resolve, Phase::Connect];
    let mut tried = 0;
    for phase in Phase::ALL
        .into_iter()
        .filter(|phase| !unseen.contains(phase))
    {
        for fault in faults(phase, scale) {
            let [goal] = goals([format!("{phase}:{}", fault.name).as_str()]);
            let rules = fault.plan.rules.iter();
            let mut kinds = rules
                .filter(|rule| rule.place() == Place::Phase(phase))
                .map(|rule| rule.kind());
            let met = kinds.any(|kind| goal.stands_for(Place::Phase(phase), &kind));
            assert!(met, "{goal}: {}", fault.plan.one_line());
            assert!(!goal.stands_for(Place::Link, "stall to-client"));
            tried += 1;
        }
    }
    assert!(tried > 200, "{tried}");
}

#[test]
fn what_is_no_goal_is_refused_with_what_is_expected() {
    for (text, why) in [
        ("", "not a phase"),
        ("banner:stall", "not a phase"),
        ("rcpt:", "reply, stall or after"),
        ("rcpt:dance", "lost-reply"),
        ("rcpt:commit", "silence"),
        ("rcpt:reply-6yz", "reply-4yz"),
        ("rcpt:continue", "silence"),
        ("rcpt:stall,dance", "half-then-close"),
        ("link:at", "stall"),
        ("resolve:hang", "does not see"),
        ("connect", "does not see"),
        ("backoff:stall", "does not see"),
        ("tls-handshake:certificate-blue", "expired"),
    ] {
        let error = text.parse::<Goal>().unwrap_err().to_string();
        let expected = match why {
            "lost-reply" => !error.contains(why),
            _ => error.contains(why),
        };
        assert!(expected, "{text}: {error}");
    }
    for text in [
        "rcpt",
        "rcpt:hold",
        "mail:raw",
        "quit: reply-421",
        "auth:wrong-nonce",
        "tls-handshake:certificate-expired",
        "tls-handshake:certificate",
        "proxy:auth-half",
        "proxy:request",
        "link:reset to-server",
        "data-block:stop",
        "data-block:reply-4yz",
        "data-block:zero-window",
    ] {
        assert_eq!(
            text.parse::<Goal>()
                .map(|goal| goal.to_string().replace(' ', "")),
            Ok(text.replace(' ', ""))
        );
    }
}

#[test]
fn a_goal_that_was_missed_is_a_failure_in_junit() {
    paused(async {
        let double = SmtpDouble::in_memory();
        double.rule("mail: reply 451 no").unwrap();
        double.converse(["EHLO me", "MAIL FROM:<a@x>"]).await;
        let goals = goals(["mail:reply-4yz", "rcpt:stall"]);
        let xml = double.coverage().junit(&goals);
        for part in [
            "<testsuite name=\"postbound coverage\" tests=\"3\" failures=\"1\" skipped=\"0\">",
            "<testcase classname=\"coverage.mail\" name=\"reply-4yz\" time=\"0.000\"/>",
            "<testcase classname=\"coverage.goals\" name=\"mail:reply-4yz\" time=\"0.000\"/>",
            "name=\"rcpt:stall\" time=\"0.000\"><failure message=\"it must happen sometimes and never did\">",
        ] {
            assert!(xml.contains(part), "{part}\n{xml}");
        }
        let table = double.coverage().to_string();
        assert!(
            table.contains("mail             reply-4yz                              1          0"),
            "{table}"
        );
    });
}
