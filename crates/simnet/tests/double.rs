//! The double as other projects' tests use it: rules, truth, caps, and the networks it runs on.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has to fail"
)]

mod common;

use std::time::Duration;

use common::{Client, greeted, paused, real};
use postbound_simnet::double::{Caps, Claim, Mail, SmtpDouble};
use postbound_simnet::{Phase, Plan, Script, Triggers};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep};

#[test]
fn a_rule_strikes_by_connection_recipient_command_and_name() {
    paused(async {
        let double = SmtpDouble::in_memory();
        double
            .on(Phase::Rcpt)
            .connection(2)
            .reply(450, "second")
            .mount();
        double
            .on(Phase::Rcpt)
            .to("bob@*")
            .from("a@*")
            .reply(451, "bob")
            .mount();
        double
            .on(Phase::Mail)
            .command(5)
            .reply(452, "fifth")
            .mount();
        double
            .on(Phase::Mail)
            .ehlo("*.hostile.example")
            .reply(554, "you")
            .mount();

        let mut first = greeted(&double, "client.example").await;
        assert_eq!(
            first.send("a@x", &["bob@x", "eve@x"], "t").await,
            ["250", "451", "250", "354", "250"]
        );
        // EHLO, MAIL, RCPT, RCPT, DATA: the next MAIL is the sixth.
        assert_eq!(
            first.send("b@x", &["bob@x"], "t").await[..2],
            ["250", "250"]
        );
        let mut second = greeted(&double, "client.example").await;
        assert_eq!(second.send("b@x", &["eve@x"], "t").await, ["250", "450"]);
        second.say("RSET").await;
        assert_eq!(second.say("MAIL FROM:<c@x>").await, "452 fifth");
        let mut third = greeted(&double, "very.hostile.example").await;
        assert_eq!(third.say("MAIL FROM:<c@x>").await, "554 you");
        assert_eq!(double.received().len(), 2);
    });
}

#[test]
fn the_first_two_fail_and_then_it_succeeds() {
    paused(async {
        let double = SmtpDouble::in_memory();
        double.on(Phase::Rcpt).first(2).reply(451, "later").mount();
        for code in ["451", "451", "250"] {
            let mut client = greeted(&double, "c.example").await;
            assert_eq!(client.send("a@x", &["b@x"], "t").await[1], code);
        }
        assert!(double.verify().holds());
    });
}

#[test]
fn a_rule_that_struck_less_often_than_it_has_to_is_told_with_its_nearest_miss() {
    paused(async {
        let double = SmtpDouble::in_memory();
        double
            .on(Phase::Rcpt)
            .to("bob@x")
            .connection(2)
            .times(1)
            .named("bob-twice")
            .reply(451, "later")
            .mount();
        double.expect(Mail::to("eve@x").containing("hello"));
        let mut client = greeted(&double, "c.example").await;
        client
            .send("a@x", &["bob@x"], "Subject: t\r\n\r\nhallo")
            .await;

        let verified = double.verify();
        assert!(!verified.holds());
        let text = verified.to_string();
        for part in [
            "MISSED `rcpt[name bob-twice, connection 2, bob@x, times 1]: reply 451 later` struck 0 times, expected 1",
            "nearest: connection 1, command 3, rcpt#1: connection was 1, not 2",
            "MISSED a message to eve@x, containing \"hello\": 0 came, expected 1",
            "nearest: message 1: to was <bob@x>, not eve@x; its octets do not contain \"hello\"",
            " -> RCPT TO:<bob@x>",
        ] {
            assert!(text.contains(part), "{part}\nin\n{text}");
        }

        // The second connection meets the rule; the expected message then comes, too.
        let mut client = greeted(&double, "c.example").await;
        client.send("a@x", &["bob@x", "eve@x"], "hello").await;
        assert!(double.verify().holds(), "{}", double.verify());
        // And once more is once too often for the message, and not for the rule, which has stepped aside.
        client.send("a@x", &["eve@x"], "hello").await;
        assert!(!double.verify().holds());
    });
}

#[test]
fn a_message_that_is_not_octet_for_octet_the_expected_one_is_told_from_where_they_part() {
    paused(async {
        let double = SmtpDouble::in_memory();
        double.expect(Mail::any().exactly("hello\r\n"));
        let mut client = greeted(&double, "c.example").await;
        client.send("a@x", &["b@x"], "hallo").await;
        let verified = double.verify();
        assert!(!verified.holds(), "{verified}");
        let told = r#"MISSED a message exactly "hello\r\n": 0 came, expected 1; nearest: message 1: octet 1 on was "allo\r\n", not "ello\r\n" (7 octets came, 7 expected)"#;
        assert!(verified.to_string().contains(told), "{verified}");
        client.send("a@x", &["b@x"], "hello").await;
        assert!(double.verify().holds(), "{}", double.verify());
    });
}

#[test]
fn a_client_that_exceeds_a_limit_that_was_announced_is_refused_and_found_out() {
    paused(async {
        let limited = |limit| {
            let script = Script::default().with(limit);
            SmtpDouble::builder().script(script).in_memory()
        };
        let double = limited("LIMITS RCPTMAX=1");
        let mut client = greeted(&double, "c.example").await;
        assert_eq!(
            client.send("a@x", &["b@x", "c@x"], "t").await,
            ["250", "250", "452", "354", "250"]
        );
        assert_eq!(double.received()[0].forward_paths, ["b@x"]);
        let findings = double.verify().findings;
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].what, "RCPTMAX is exceeded");
        // The limit is one for each transaction.
        client.send("a@x", &["b@x"], "t").await;
        assert_eq!(double.verify().findings.len(), 1);

        let double = limited("LIMITS MAILMAX=1");
        let mut client = greeted(&double, "c.example").await;
        let sent = client.send("a@x", &["b@x"], "t").await;
        assert_eq!(sent, ["250", "250", "354", "250"]);
        assert!(double.verify().is_clean());
        let again = client.say("MAIL FROM:<a@x>").await;
        assert!(again.starts_with("452 4.5.3"), "{again}");
        let findings = double.verify().findings;
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].what, "MAILMAX is exceeded");
        // And one for each connection.
        let mut client = greeted(&double, "c.example").await;
        assert_eq!(client.send("a@x", &["b@x"], "t").await[0], "250");
    });
}

#[test]
fn a_greylisted_pair_is_taken_when_its_time_has_passed_and_not_before() {
    paused(async {
        let double = SmtpDouble::in_memory();
        double
            .on(Phase::Rcpt)
            .greylist(Duration::from_secs(300))
            .mount();
        let mut client = greeted(&double, "c.example").await;
        client.say("MAIL FROM:<a@x>").await;
        let begun = Instant::now();
        assert_eq!(client.say("RCPT TO:<b@x>").await, "451 4.7.1 greylisted");
        tokio::time::sleep_until(begun + Duration::from_millis(299_990)).await;
        assert!(
            client.say("RCPT TO:<B@X>").await.starts_with("451"),
            "too early"
        );
        tokio::time::sleep_until(begun + Duration::from_millis(300_001)).await;
        assert!(
            client.say("RCPT TO:<c@x>").await.starts_with("451"),
            "another pair"
        );
        assert!(client.say("RCPT TO:<b@x>").await.starts_with("250"));
    });
}

#[test]
fn a_rate_limit_strikes_the_fourth_in_a_minute() {
    paused(async {
        let double = SmtpDouble::in_memory();
        double
            .on(Phase::Mail)
            .over(3, Duration::from_secs(60))
            .mount();
        let mut client = greeted(&double, "c.example").await;
        let mut codes = Vec::new();
        for _ in 0..5 {
            codes.push(client.say("MAIL FROM:<a@x>").await[..3].to_owned());
            client.say("RSET").await;
            sleep(Duration::from_secs(10)).await;
        }
        assert_eq!(codes, ["250", "250", "250", "450", "450"]);
        sleep(Duration::from_secs(60)).await;
        assert!(client.say("MAIL FROM:<a@x>").await.starts_with("250"));
    });
}

#[test]
fn a_scoped_rule_ends_with_its_guard_and_later_rules_go_first() {
    paused(async {
        let plan: Plan = "v1 | mail: reply 450 plan".parse().unwrap();
        let double = SmtpDouble::builder().plan(plan).in_memory();
        let mut client = greeted(&double, "c.example").await;
        assert_eq!(client.say("MAIL FROM:<a@x>").await, "450 plan");
        let guard = double.on(Phase::Mail).reply(451, "guard").scoped();
        client.say("RSET").await;
        assert_eq!(client.say("MAIL FROM:<a@x>").await, "451 guard");
        {
            let _inner = double.scoped_rule("mail: reply 452 inner").unwrap();
            client.say("RSET").await;
            assert_eq!(client.say("MAIL FROM:<a@x>").await, "452 inner");
        }
        assert_eq!(guard.strikes(), 1);
        drop(guard);
        client.say("RSET").await;
        assert_eq!(client.say("MAIL FROM:<a@x>").await, "450 plan");
        // A reset leaves what the plan says.
        let id = double.rule("mail[first 1]: reply 453 once").unwrap();
        double.reset();
        assert!(!double.unmount(id));
        assert_eq!(double.double().rules().facts().len(), 1);
        assert!(double.double().trace().entries().is_empty());
    });
}

#[test]
fn conditions_in_a_plan_and_on_mail_data_hold_as_well() {
    paused(async {
        let plan: Plan = "v1 | data-block[connection 2]: interrupt after 4; reply 552 5.3.4 no; stall | data-termination[b@x, first 1]: commit; close".parse().unwrap();
        let double = SmtpDouble::builder().plan(plan).in_memory();
        let mut client = greeted(&double, "c.example").await;
        assert_eq!(client.send("a@x", &["b@x"], "hello").await[3], "<en");
        let mut client = greeted(&double, "c.example").await;
        assert_eq!(client.send("a@x", &["b@x"], "hello").await[3], "552");
        let mut client = greeted(&double, "c.example").await;
        assert_eq!(client.send("a@x", &["b@x"], "hello").await[3], "250");
        // The first was committed although nothing was said: that is what RFC 1047 is about.
        assert_eq!(double.received().len(), 2);
        assert!(!double.verify().agrees(Claim::NotDelivered));
    });
}

#[test]
fn only_rules_of_the_server_can_be_set_while_it_runs() {
    paused(async {
        let double = SmtpDouble::in_memory();
        for (rule, expected) in [
            ("connect: refuse", "fixed when the double starts"),
            ("link: latency 5ms", "fixed when the double starts"),
            ("rcpt: stall | mail: stall", "one rule"),
            ("rcpt: stall\nmail: stall", "one rule"),
            (
                "rcpt[first 0]: stall",
                "column 12: expected a number, at least 1",
            ),
        ] {
            let error = double.rule(rule).unwrap_err().to_string();
            assert!(error.contains(expected), "{rule}: {error}");
        }
        assert!(double.double().rules().is_empty());
    });
}

#[test]
fn the_truth_is_compared_with_what_the_client_claims() {
    paused(async {
        let double = SmtpDouble::in_memory();
        double.rule("data-termination: commit; stall").unwrap();
        let mut client = greeted(&double, "c.example").await;
        for line in ["MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA"] {
            client.say(line).await;
        }
        client.0.write_all(b"..stuffed\r\n.\r\n").await.unwrap();
        let received = double.received_within(1, Duration::from_secs(5)).await;
        assert_eq!(received[0].octets, b".stuffed\r\n");
        assert_eq!(received[0].wire, b"..stuffed\r\n.\r\n");
        assert_eq!(
            (received[0].ehlo.as_str(), received[0].reverse_path.as_str()),
            ("c.example", "a@x")
        );
        let verified = double.verify();
        assert!(
            verified.is_clean()
                && verified.agrees(Claim::Delivered)
                && verified.agrees(Claim::Unknown)
        );
        assert!(!verified.agrees(Claim::NotDelivered));
        // The client holds its connection: waiting for the end is bounded.
        let begun = Instant::now();
        assert!(!double.idle_within(Duration::from_secs(3)).await);
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
    });
}

#[test]
fn nothing_grows_beyond_its_cap() {
    paused(async {
        let mut caps = Caps::default();
        caps.messages = 2;
        caps.findings = 3;
        caps.transcript_events = 50;
        caps.transcript_octets = 4_000;
        let mut script = Script::default();
        script.size = 10;
        let double = SmtpDouble::builder().caps(caps).script(script).in_memory();
        let mut client = greeted(&double, "c.example").await;
        assert_eq!(
            client.send("a@x", &["b@x"], &"x".repeat(100_000)).await[3],
            "552"
        );
        for code in ["250", "250", "452"] {
            assert_eq!(client.send("a@x", &["b@x"], "t").await[3], code);
        }
        for _ in 0..100 {
            assert!(client.say("NONSENSE").await.starts_with("500"));
        }
        assert_eq!(double.received().len(), 2);
        assert_eq!(double.verify().findings.len(), 3);
        assert_eq!(double.double().trace().entries().len(), 50);
        let (first, entries) = double.double().trace().since(0);
        assert!(first > 100 && entries.len() == 50, "the oldest go first");
        assert_eq!(double.double().trace().since(first + 40).1.len(), 10);

        client.say("MAIL FROM:<a@x>").await;
        for number in 0..1_000 {
            assert!(
                client
                    .say(&format!("RCPT TO:<{number}@x>"))
                    .await
                    .starts_with("250")
            );
        }
        assert!(
            client
                .say("RCPT TO:<one-more@x>")
                .await
                .starts_with("452 4.5.3")
        );
    });
}

#[test]
fn addresses_and_names_ask_for_faults_where_that_is_allowed() {
    paused(async {
        let double = SmtpDouble::builder()
            .triggers(Triggers::default())
            .in_memory();
        let mut client = greeted(&double, "c.example").await;
        let to = ["rcpt451@x", "rcpt550_5.1.1+7@x", "bob@x", "dot552@x"];
        assert_eq!(
            client.send("a@x", &to, "t").await,
            ["250", "451", "550", "250", "250", "354", "552"]
        );
        // What a transaction asked for ends with it.
        assert_eq!(
            client.send("a@x", &["bob@x"], "t").await,
            ["250", "250", "354", "250"]
        );
        assert_eq!(client.send("mail450@x", &["bob@x"], "t").await[0], "450");
        client.say("RSET").await;
        let begun = Instant::now();
        assert_eq!(
            client.send("delay5s-rcpt@x", &["bob@x"], "t").await[1],
            "250"
        );
        assert!(begun.elapsed() >= Duration::from_secs(5));

        let mut client = greeted(&double, "reset-mail.c.example").await;
        assert_eq!(client.say("MAIL FROM:<a@x>").await, "<ConnectionReset>");
        // A double that was not told so takes them for names like any other.
        let strict = SmtpDouble::in_memory();
        let mut client = greeted(&strict, "reset-mail.c.example").await;
        assert_eq!(
            client.send("a@x", &["rcpt451@x"], "t").await,
            ["250", "250", "354", "250"]
        );
    });
}

#[test]
fn on_real_sockets_doubles_are_apart_and_end_when_they_are_dropped() {
    real(async {
        let (one, two) = (
            SmtpDouble::start().await.unwrap(),
            SmtpDouble::start().await.unwrap(),
        );
        assert_ne!(one.port(), two.port());
        one.rule("greeting: reply 554 no").unwrap();
        let open =
            |address| async move { tokio::net::TcpStream::connect(address).await.map(Client) };
        let mut refused = open(one.address()).await.unwrap();
        assert_eq!(refused.reply().await, "554 no");
        let mut taken = open(two.address()).await.unwrap();
        assert!(taken.reply().await.starts_with("220"));
        taken.say("EHLO c.example").await;
        assert_eq!(
            taken.send("a@x", &["b@x"], "t").await,
            ["250", "250", "354", "250"]
        );
        assert_eq!((one.received().len(), two.received().len()), (0, 1));

        let address = two.address();
        drop(two);
        let ended = taken.say("NOOP").await;
        assert!(ended.contains('<'), "{ended}");
        assert!(open(address).await.is_err(), "nobody listens any more");
    });
}

#[cfg(feature = "turmoil")]
#[test]
fn in_a_simulation_the_same_rules_hold() {
    let mut sim = turmoil::Builder::new().build();
    let double = SmtpDouble::turmoil("mx1");
    double.network().host(&mut sim);
    double.on(Phase::Rcpt).first(1).reply(451, "later").mount();
    sim.client("client", async {
        for code in ["451", "250"] {
            let stream = turmoil::net::TcpStream::connect("mx1:25").await?;
            let mut client = Client(stream);
            client.reply().await;
            client.say("EHLO c.example").await;
            assert_eq!(client.send("a@x", &["b@x"], "t").await[1], code);
        }
        Ok(())
    });
    sim.run().unwrap();
    assert_eq!(double.received().len(), 1);
    assert!(double.verify().agrees(Claim::Delivered));
}

#[test]
fn a_rule_that_would_be_weaker_than_it_says_is_refused_when_the_double_starts() {
    let builder = |rule: &str| {
        let plan = format!("v1 | {rule}").parse::<Plan>().unwrap();
        SmtpDouble::builder().plan(plan)
    };
    let refused = |rule: &str, error: std::io::Error| {
        assert_eq!(error.kind(), std::io::ErrorKind::Unsupported, "{rule}");
        error.to_string()
    };
    for (rule, why) in [
        ("link: latency 5ms", "the latency they have"),
        (
            "link: at octet 57 to-server shut",
            "the kernel takes what it has room for",
        ),
        ("resolve: addresses 251", "250 addresses at most"),
        (
            "tls-handshake: stall",
            "would never strike: the double does no TLS",
        ),
        (
            "proxy: request half",
            "would never strike: there is no proxy",
        ),
    ] {
        let error = real(builder(rule).start()).err().unwrap();
        let text = refused(rule, error);
        assert!(text.contains(why), "{rule}: {text}");
    }
    for rule in [
        "link: at octet 57 to-server reset",
        "link: split after 3",
        "link: coalesce 5ms",
    ] {
        assert!(real(builder(rule).start()).is_ok(), "{rule}");
    }
    #[cfg(feature = "turmoil")]
    {
        for (rule, why) in [
            (
                "link: at octet 57 to-client reset",
                "can't reset a connection at will",
            ),
            (
                "link: at octet 57 to-server shut",
                "its window counts writes",
            ),
            ("mail: reset", "can't reset a connection at will"),
            ("link: window 64", "its window counts writes"),
            ("resolve: fail", "the simulation's own"),
            ("connect: refuse", "the simulation's own"),
            ("link: latency 5ms", "the simulation's own"),
            ("link: blackhole after 5ms", "the simulation's own"),
            ("tls-handshake: stall", "the double does no TLS"),
            ("proxy: request half", "there is no proxy"),
        ] {
            let text = refused(rule, builder(rule).turmoil("mx1").err().unwrap());
            assert!(text.contains(why), "{rule}: {text}");
        }
        for rule in [
            "mail: close",
            "data-block: trickle 64 every 100ms",
            "link: fragment 1",
            "link: split after 3 5",
            "link: coalesce 5ms",
            "link: at octet 57 to-client close",
        ] {
            assert!(builder(rule).turmoil("mx1").is_ok(), "{rule}");
        }
    }
}
