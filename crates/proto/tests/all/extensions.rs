//! Service extensions and their parameters: typed, and never asked of a server without them.

use std::time::{Duration, Instant};

use postbound_proto::ext::*;
use postbound_proto::*;
use proptest::prelude::*;

use crate::dialogue::{at_rest, config, says};

/// What the session wants to say.
fn said(session: &mut Session, now: Instant) -> String {
    says(session, b"", now)
}

/// A session with a server that offers these, and nothing said yet.
fn session(offers: &str, now: Instant) -> Session {
    let mut config = config();
    // REQUIRETLS is nothing to ask for in clear.
    config.security = Security::Implicit;
    session_with(config, offers, now)
}

fn session_with(config: Config, offers: &str, now: Instant) -> Session {
    let mut offers: Vec<&str> = offers.split('|').collect();
    offers.push("PIPELINING");
    at_rest(config, &offers, now)
}

fn envelope(to: &[&str]) -> Envelope {
    let to: Vec<ForwardPath> = to.iter().map(|path| path.parse().unwrap()).collect();
    Envelope::new("a@example.org".parse().unwrap(), to).unwrap()
}

fn begin(offers: &str, envelope: &Envelope) -> Result<String, Unsupported> {
    let now = Instant::now();
    let mut session = session(offers, now);
    match session.begin(envelope, TransactionOptions::default(), Bounds::NONE, now) {
        Ok(()) => Ok(said(&mut session, now)),
        Err(failure) => {
            assert!(session.is_idle());
            assert_eq!(said(&mut session, now), "");
            assert_eq!(failure.outcome, Outcome::NotAccepted);
            match failure.kind {
                FailureKind::Unsupported(what) => Err(what),
                kind => panic!("{kind}"),
            }
        }
    }
}

fn mail(change: impl FnOnce(&mut MailParameters)) -> Envelope {
    let mut parameters = MailParameters::default();
    change(&mut parameters);
    envelope(&["b@example.org"]).with_mail_parameters(parameters)
}

#[test]
fn each_parameter_is_sent_where_its_extension_is_offered_and_refused_where_not() {
    let by = DeliverBy::within(Duration::from_millis(119_001), ByMode::Return).unwrap();
    let cases: Vec<(Envelope, &str, &str, Unsupported)> = vec![
        (
            mail(|p| p.smtputf8 = true),
            "SMTPUTF8",
            " SMTPUTF8",
            Unsupported::SmtpUtf8,
        ),
        (
            mail(|p| p.ret = Some(Ret::Full)),
            "DSN",
            " RET=FULL",
            Unsupported::Dsn,
        ),
        (
            mail(|p| p.ret = Some(Ret::Headers)),
            "DSN",
            " RET=HDRS",
            Unsupported::Dsn,
        ),
        (
            mail(|p| p.envelope_id = Some("123456789++==abc@".parse().unwrap())),
            "DSN",
            " ENVID=123456789+2B+2B+3D+3Dabc@",
            Unsupported::Dsn,
        ),
        (
            mail(|p| p.require_tls = true),
            "REQUIRETLS",
            " REQUIRETLS",
            Unsupported::RequireTls,
        ),
        (
            mail(|p| p.deliver_by = Some(by.traced())),
            "DELIVERBY 60",
            " BY=120;RT",
            Unsupported::DeliverBy { minimum: None },
        ),
        (
            mail(|p| p.priority = Some(MtPriority::new(-9).unwrap())),
            "MT-PRIORITY MIXER",
            " MT-PRIORITY=-9",
            Unsupported::MtPriority,
        ),
        (
            mail(|p| {
                p.future_release = Some(FutureRelease::after(Duration::from_secs(60)).unwrap());
            }),
            "FUTURERELEASE 86400 2030-01-01T00:00:00Z",
            " HOLDFOR=60",
            Unsupported::FutureRelease,
        ),
    ];
    for (envelope, offer, parameter, unsupported) in cases {
        let line = format!("MAIL FROM:<a@example.org>{parameter}\r\n");
        assert!(
            begin(offer, &envelope).unwrap().starts_with(&line),
            "{offer}"
        );
        assert_eq!(begin("8BITMIME", &envelope), Err(unsupported), "{offer}");
    }
}

#[test]
fn a_minimum_and_a_maximum_of_the_server_are_kept() {
    let by = |seconds, mode| {
        mail(|p| {
            p.deliver_by = Some(DeliverBy::within(Duration::from_secs(seconds), mode).unwrap());
        })
    };
    let minimum = Some(60);
    assert_eq!(
        begin("DELIVERBY 60", &by(59, ByMode::Return)),
        Err(Unsupported::DeliverBy { minimum })
    );
    assert!(begin("DELIVERBY 60", &by(60, ByMode::Return)).is_ok());
    assert!(begin("DELIVERBY 60", &by(59, ByMode::Notify)).is_ok());

    let hold = |seconds| {
        mail(|p| {
            p.future_release = Some(FutureRelease::after(Duration::from_secs(seconds)).unwrap());
        })
    };
    let until = |text: &str| mail(|p| p.future_release = Some(text.parse().unwrap()));
    let offer = "FUTURERELEASE 100 2030-01-01T00:00:00Z";
    assert!(begin(offer, &hold(100)).is_ok());
    assert_eq!(begin(offer, &hold(101)), Err(Unsupported::FutureRelease));
    assert!(begin(offer, &until("2030-01-01T01:00:00+01:00")).is_ok());
    assert_eq!(
        begin(offer, &until("2030-01-01T00:00:01Z")),
        Err(Unsupported::FutureRelease)
    );
}

#[test]
fn parameters_of_each_recipient_go_with_its_rcpt() {
    let envelope = envelope(&["b@example.org", "c+d=e@example.org", "ü@example.org"])
        .with_rcpt_parameters(|path| {
            let mut parameters = RcptParameters::default();
            parameters.original_recipient = Some(OriginalRecipient::mailbox(path));
            parameters.notify = match path.as_str() {
                "b@example.org" => Some(Notify::NEVER),
                "c+d=e@example.org" => Some(Notify::SUCCESS | Notify::FAILURE | Notify::DELAY),
                _ => None,
            };
            parameters
        });
    assert_eq!(begin("SMTPUTF8", &envelope), Err(Unsupported::Dsn));
    assert_eq!(begin("DSN", &envelope), Err(Unsupported::SmtpUtf8));
    assert_eq!(
        begin("DSN|SMTPUTF8", &envelope).unwrap(),
        "MAIL FROM:<a@example.org> SMTPUTF8\r\n\
         RCPT TO:<b@example.org> NOTIFY=NEVER ORCPT=rfc822;b@example.org\r\n\
         RCPT TO:<c+d=e@example.org> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;c+2Bd+3De@example.org\r\n\
         RCPT TO:<ü@example.org> ORCPT=utf-8;\\x{FC}@example.org\r\n\
         DATA\r\n"
    );
    let second = envelope.subset(|place| place == 1).unwrap();
    assert_eq!(
        begin("DSN", &second).unwrap(),
        "MAIL FROM:<a@example.org>\r\n\
         RCPT TO:<c+d=e@example.org> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;c+2Bd+3De@example.org\r\n\
         DATA\r\n"
    );
    let none = envelope.subset(|_| false).unwrap_err();
    assert!(none.to_string().contains("needs at least one forward-path"));

    // Either of the two is a reason to need the extension, and none of them is none.
    for (notify, original) in [(true, false), (false, true), (false, false)] {
        let envelope = self::envelope(&["b@example.org"]).with_rcpt_parameters(|path| {
            let mut parameters = RcptParameters::default();
            parameters.notify = notify.then_some(Notify::NEVER);
            parameters.original_recipient = original.then(|| OriginalRecipient::mailbox(path));
            parameters
        });
        let refused = begin("SIZE", &envelope).err();
        assert_eq!(refused, (notify || original).then_some(Unsupported::Dsn));
    }
}

#[test]
fn smtputf8_is_said_for_paths_that_need_it_and_for_no_other() {
    let plain = envelope(&["b@bücher.example"]);
    assert_eq!(
        begin("SMTPUTF8", &plain).unwrap(),
        "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@xn--bcher-kva.example>\r\nDATA\r\n"
    );
    let to = ["b@example.org".parse().unwrap()];
    let from = Envelope::new("úßerñame@example.org".parse().unwrap(), to).unwrap();
    assert_eq!(begin("8BITMIME", &from), Err(Unsupported::SmtpUtf8));
    assert!(
        begin("SMTPUTF8", &from)
            .unwrap()
            .starts_with("MAIL FROM:<úßerñame@example.org> SMTPUTF8\r\n")
    );
}

#[test]
fn the_servers_limits_are_kept_before_anything_is_sent() {
    let three = envelope(&["a@x.example", "b@X.example", "c@y.example"]);
    assert_eq!(
        begin("LIMITS RCPTMAX=2", &three),
        Err(Unsupported::Recipients {
            recipients: 3,
            maximum: 2
        })
    );
    assert!(begin("LIMITS RCPTMAX=3 RCPTDOMAINMAX=2", &three).is_ok());
    assert_eq!(
        begin("LIMITS RCPTDOMAINMAX=1", &three),
        Err(Unsupported::RecipientDomains {
            domains: 2,
            maximum: 1
        })
    );
    for nonsense in [
        "RCPTMAX=0",
        "RCPTMAX=-1",
        "RCPTMAX=02",
        "RCPTMAX=1000000",
        "RCPTMAX",
        "=1",
        "RCPTMAX=1x",
    ] {
        assert!(
            begin(&format!("LIMITS {nonsense}"), &three).is_ok(),
            "{nonsense}"
        );
    }
}

#[test]
fn no_more_transactions_are_begun_than_the_server_takes() {
    let now = Instant::now();
    let mut session = session("LIMITS MAILMAX=1", now);
    assert_eq!(session.transactions_left(), Some(1));
    let envelope = envelope(&["b@example.org"]);
    let options = TransactionOptions::default();
    session
        .begin(&envelope, options, Bounds::NONE, now)
        .unwrap();
    said(&mut session, now);
    session.receive(b"451 later\r\n503 mail first\r\n503 mail first\r\n", now);
    assert!(session.take_result().unwrap().is_err());
    assert!(session.is_idle());
    assert_eq!(session.transactions_left(), Some(0));
    let refused = session.begin(&envelope, options, Bounds::NONE, now);
    assert_eq!(
        refused.unwrap_err().kind,
        FailureKind::Unsupported(Unsupported::Transactions { maximum: 1 })
    );
    session.quit(Bounds::NONE, now).unwrap();
}

#[test]
fn a_masked_extension_is_as_good_as_not_offered() {
    let now = Instant::now();
    let mut config = Config::new("me.example".parse().unwrap());
    config.masked = vec!["pipelining".to_owned(), "SIZE".to_owned()];
    let mut session = session_with(config, "SIZE 10|DSN", now);
    assert!(session.extensions().dsn() && !session.extensions().pipelining());
    let mut options = TransactionOptions::default();
    options.size = Some(11);
    session
        .begin(&envelope(&["b@example.org"]), options, Bounds::NONE, now)
        .unwrap();
    assert_eq!(said(&mut session, now), "MAIL FROM:<a@example.org>\r\n");
}

#[test]
fn mechanisms_of_two_lines_belong_together_and_of_other_extensions_the_first_one_holds() {
    let now = Instant::now();
    let session = session("AUTH LOGIN|SIZE 10|AUTH=PLAIN LOGIN|SIZE 20", now);
    let extensions = session.extensions();
    assert_eq!(extensions.auth(), ["LOGIN", "PLAIN"]);
    assert_eq!(extensions.size().unwrap().maximum(), Some(10));
}

#[test]
fn what_a_server_says_of_its_extensions_is_typed() {
    let now = Instant::now();
    let offers = "AUTH PLAIN login PLAIN X!Y|STARTTLS|LIMITS MAILMAX=5 X=1 rcptmax=7|DELIVERBY|FUTURERELEASE 100 2030-01-01T00:00:00Z|MT-PRIORITY|CHUNKING|BINARYMIME|SMTPUTF8|REQUIRETLS|DSN";
    let session = session(offers, now);
    let offered = session.extensions();
    assert_eq!(offered.auth(), ["PLAIN", "LOGIN"]);
    assert!(offered.starttls() && offered.mt_priority() && offered.chunking());
    assert!(offered.binary_mime() && offered.smtputf8() && offered.require_tls() && offered.dsn());
    assert_eq!(offered.deliver_by(), Some(0));
    let limits = offered.limits();
    assert_eq!(
        (limits.mail, limits.recipients, limits.recipient_domains),
        (Some(5), Some(7), None)
    );
    let hold = offered.future_release().unwrap();
    assert_eq!(
        (hold.interval(), hold.until()),
        (Some(100), Some("2030-01-01T00:00:00Z"))
    );
    let shown: Vec<String> = offered.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown.join("|"),
        "AUTH PLAIN LOGIN|STARTTLS|LIMITS MAILMAX=5 RCPTMAX=7|DELIVERBY|FUTURERELEASE 100 2030-01-01T00:00:00Z|MT-PRIORITY|CHUNKING|BINARYMIME|SMTPUTF8|REQUIRETLS|DSN|PIPELINING"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5_000) })]

    #[test]
    fn no_parameter_can_end_a_line_or_begin_another(
        text in prop_oneof![any::<String>(), "[a-z+=;,<> \\r\\n\\t\\\\\u{10a}\u{0}\u{7f}]{0,20}", "[ -~]{0,120}"],
        kind in "[a-z; \\r]{0,8}",
    ) {
        let mut shown = Vec::new();
        shown.extend(text.parse::<EnvelopeId>().map(|p| p.to_string()));
        shown.extend(text.parse::<Notify>().map(|p| p.to_string()));
        shown.extend(text.parse::<FutureRelease>().map(|p| p.to_string()));
        shown.extend(OriginalRecipient::other(&kind, &text).map(|p| p.to_string()));
        shown.extend(text.parse::<ForwardPath>().map(|p| OriginalRecipient::mailbox(&p).to_string()));
        for parameter in shown {
            prop_assert!(!parameter.is_empty());
            prop_assert!(parameter.bytes().all(|octet| octet.is_ascii_graphic()), "{parameter:?}");
        }
    }
}

#[test]
fn tls_all_the_way_is_not_asked_for_in_clear_whatever_is_offered() {
    let now = Instant::now();
    let config = Config::new("me.example".parse().unwrap());
    let mut session = session_with(config, "REQUIRETLS", now);
    let mut mail = MailParameters::default();
    mail.require_tls = true;
    let envelope = envelope(&["b@example.org"]).with_mail_parameters(mail);
    let refused = session
        .begin(&envelope, TransactionOptions::default(), Bounds::NONE, now)
        .unwrap_err();
    assert_eq!(
        refused.kind,
        FailureKind::Unsupported(Unsupported::RequireTls)
    );
    assert_eq!(said(&mut session, now), "");
    assert!(session.is_idle());
}

#[test]
fn every_extension_is_written_as_it_was_read() {
    let limits = Limits::DEFAULT;
    for line in [
        "PIPELINING",
        "SIZE",
        "SIZE 100",
        "8BITMIME",
        "ENHANCEDSTATUSCODES",
        "SMTPUTF8",
        "CHUNKING",
        "BINARYMIME",
        "DSN",
        "REQUIRETLS",
        "LIMITS",
        "LIMITS MAILMAX=1",
        "LIMITS MAILMAX=1 RCPTMAX=999999 RCPTDOMAINMAX=3",
        "DELIVERBY",
        "DELIVERBY 60",
        "MT-PRIORITY",
        "MT-PRIORITY STANAG4406",
        "FUTURERELEASE",
        "FUTURERELEASE 100",
        "FUTURERELEASE 100 2030-01-01T00:00:00Z",
        "AUTH PLAIN LOGIN",
        "STARTTLS",
        "X-OTHER",
        "8X a b",
    ] {
        let reply = Reply::parse(format!("250-mx\r\n250 {line}\r\n").as_bytes()).unwrap();
        let offered = Extensions::from_ehlo(&reply, &limits);
        let shown: Vec<String> = offered.iter().map(ToString::to_string).collect();
        assert_eq!(shown, [line]);
        let word = line.split(' ').next();
        let keyword = offered.iter().next().map(|it| it.keyword());
        assert_eq!(keyword, word);
        let masked = offered.without(&[line.split(' ').next().unwrap().to_lowercase()]);
        assert_eq!(masked.iter().count(), 0);
    }
}

#[test]
fn each_extension_is_offered_by_its_own_line_and_by_no_other() {
    type Offers = fn(&Extensions) -> bool;
    let all: [(&str, Offers); 15] = [
        ("PIPELINING", Extensions::pipelining),
        ("SIZE 9", |offered| offered.size().is_some()),
        ("8BITMIME", Extensions::eight_bit_mime),
        ("ENHANCEDSTATUSCODES", Extensions::enhanced_status_codes),
        ("SMTPUTF8", Extensions::smtputf8),
        ("CHUNKING", Extensions::chunking),
        ("DSN", Extensions::dsn),
        ("REQUIRETLS", Extensions::require_tls),
        ("LIMITS RCPTMAX=1", |offered| {
            offered.limits() != Default::default()
        }),
        ("DELIVERBY 7", |offered| offered.deliver_by() == Some(7)),
        ("MT-PRIORITY", Extensions::mt_priority),
        ("FUTURERELEASE", |offered| {
            offered.future_release().is_some()
        }),
        ("AUTH PLAIN", |offered| !offered.auth().is_empty()),
        ("STARTTLS", Extensions::starttls),
        ("BINARYMIME", |offered| offered.binary_mime()),
    ];
    for (line, _) in all {
        let reply = Reply::parse(format!("250-mx\r\n250 {line}\r\n").as_bytes()).unwrap();
        let offered = Extensions::from_ehlo(&reply, &Limits::DEFAULT);
        for (other, offers) in all {
            // Without CHUNKING there is nothing to send binary mail data by.
            let expected = line == other && line != "BINARYMIME";
            assert_eq!(offers(&offered), expected, "{other} by {line}");
        }
        assert!(all.iter().all(|(_, offers)| !offers(&Extensions::none())));
    }
    let reply = Reply::parse(b"250-mx\r\n250-CHUNKING\r\n250 BINARYMIME\r\n").unwrap();
    assert!(Extensions::from_ehlo(&reply, &Limits::DEFAULT).binary_mime());
}

#[test]
fn what_is_no_number_of_an_extension_is_none() {
    let offered = |line: &str| {
        let reply = Reply::parse(format!("250-mx\r\n250 {line}\r\n").as_bytes()).unwrap();
        Extensions::from_ehlo(&reply, &Limits::DEFAULT)
    };
    assert_eq!(offered("DELIVERBY 0").deliver_by(), Some(0));
    let none = Extension::DeliverBy(None);
    assert_eq!(offered("DELIVERBY 0").iter().next(), Some(&none));
    assert_eq!(offered("DELIVERBY x").deliver_by(), Some(0));
    assert_eq!(offered("DELIVERBY 1").deliver_by(), Some(1));
    assert_eq!(offered("LIMITS RCPTMAX=1").limits().recipients, Some(1));
    assert_eq!(
        offered("LIMITS RCPTMAX=100000").limits().recipients,
        Some(100_000)
    );
    assert_eq!(
        offered("FUTURERELEASE x y")
            .future_release()
            .unwrap()
            .interval(),
        None
    );
    // Before RFC 2554 there was an equals sign.
    assert_eq!(offered("AUTH=LOGIN plain").auth(), ["LOGIN", "PLAIN"]);
    let longest = "A-_4567890123456789B";
    assert_eq!(
        offered(&format!("AUTH {longest} {longest}x")).auth(),
        [longest]
    );
    for no_keyword in ["-X", "X_Y", "X=", "é", " SIZE"] {
        assert_eq!(offered(no_keyword).iter().count(), 0, "{no_keyword:?}");
    }
    assert_eq!(
        offered("X-Y a\x01\u{e9}")
            .iter()
            .next()
            .unwrap()
            .to_string(),
        "X-Y a???"
    );
}
