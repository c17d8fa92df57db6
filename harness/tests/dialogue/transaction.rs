//! Mail transactions, their parameters, and commands of one's own.

use postbound::ext::{EnvelopeId, Notify, OriginalRecipient, Ret};
use postbound::{
    BodyType, Bounds, Chunking, Connection, CustomCommand, Envelope, Error, FailureKind,
    MailParameters, Outcome, Phase, RcptParameters, Receipt, Reply, Require, Security, Unsupported,
};
use postbound_harness::run::paused;
use tokio::io::DuplexStream;

use crate::greeted as dialogue;
use crate::peer::Peer;

const MESSAGE: &str = "Subject: x\r\n\r\ny\r\n";

fn envelope() -> Envelope {
    let to = ["b@example.org".parse().unwrap()];
    Envelope::new("a@example.org".parse().unwrap(), to).unwrap()
}

async fn send(
    connection: &mut Connection<DuplexStream>,
    envelope: &Envelope,
) -> Result<Receipt, Error> {
    let transaction = connection.transaction(envelope)?;
    transaction.send(MESSAGE, Bounds::none()).await
}

async fn ask(
    connection: &mut Connection<DuplexStream>,
    command: CustomCommand,
) -> Result<Reply, Error> {
    connection.command(&command, Bounds::none()).await
}

fn text(reply: &Reply) -> String {
    let lines: Vec<_> = reply.lines().map(String::from_utf8_lossy).collect();
    lines.join("\n")
}

/// The mail data of [`MESSAGE`] and its end.
const DATA: &str = "
    C: Subject: x
    C:
    C: y
    C: .
";

#[test]
fn dialogue_starttls_is_required_and_the_server_knows_helo_only() {
    paused(async {
        let peer = Peer::new(
            "S: 220 mx.example ESMTP
             C: EHLO me.example
             S: 504 what",
        );
        // Whoever knows HELO only has no extensions, and so no STARTTLS: it is not even said.
        let client = peer.builder().security(Security::StartTls).build().unwrap();
        let error = client.connect(Bounds::none()).await.unwrap_err();
        let missing = FailureKind::Unsupported(Unsupported::StartTls);
        assert_eq!((error.phase(), error.kind()), (Phase::StartTls, &missing));
        peer.holds();
    });
}

#[test]
fn dialogue_sender_and_recipient_are_refused_and_the_connection_stays() {
    paused(async {
        let peer = dialogue(
            "S: 250 mx.example
             C: MAIL FROM:<a@example.org>
             S: 550 5.7.1 not you
             C: RSET
             S: 250 ok
             C: MAIL FROM:<a@example.org>
             S: 250 ok
             C: RCPT TO:<b@example.org>
             S: 550 5.1.1 nobody",
        );
        let mut connection = peer.connected().await;
        for phase in [Phase::Mail, Phase::Rcpt] {
            let error = send(&mut connection, &envelope()).await.unwrap_err();
            assert_eq!((error.phase(), error.is_permanent()), (phase, true));
            assert_eq!(error.outcome(), Outcome::NotAccepted);
            assert!(connection.is_idle());
        }
        peer.holds();
    });
}

#[test]
fn dialogue_a_refusal_is_told_although_the_server_leaves_behind_it() {
    for (refusal, code) in [("530 5.7.0 who are you", 530), ("550 5.7.1 not you", 550)] {
        paused(async {
            let peer = dialogue(&format!(
                "S: 250 mx.example
                 C: MAIL FROM:<a@example.org>
                 S: {refusal}
                 C: RSET
                 EOF"
            ));
            let mut connection = peer.connected().await;
            let error = send(&mut connection, &envelope()).await.unwrap_err();
            assert_eq!(error.reply().unwrap().code().get(), code);
            // RSET is the next transaction's, and so is the bad news.
            let error = send(&mut connection, &envelope()).await.unwrap_err();
            assert_eq!(
                (error.phase(), error.kind()),
                (Phase::Reset, &FailureKind::Closed)
            );
            assert_eq!(error.outcome(), Outcome::NotAccepted);
            assert!(!connection.is_idle());
            peer.holds();
        });
    }
}

#[test]
fn dialogue_rset_is_refused_and_the_connection_is_not_used_again() {
    paused(async {
        let peer = dialogue(
            "S: 250 mx.example
             C: MAIL FROM:<a@example.org>
             S: 530 5.7.0 who are you
             C: RSET
             S: 503 no",
        );
        let mut connection = peer.connected().await;
        let error = send(&mut connection, &envelope()).await.unwrap_err();
        assert_eq!(error.reply().unwrap().code().get(), 530);
        let error = send(&mut connection, &envelope()).await.unwrap_err();
        assert_eq!((error.phase(), error.is_refused()), (Phase::Reset, true));
        assert!(!connection.is_idle());
        peer.holds();
    });
}

#[test]
fn dialogue_commands_leave_in_one_group_and_nobody_is_accepted() {
    paused(async {
        let peer = dialogue(
            "S: 250-mx.example
             S: 250-8BITMIME
             S: 250 PIPELINING
             C: MAIL FROM:<a@example.org>
             C+ RCPT TO:<b@example.org>
             C+ DATA
             S: 250 ok
             S: 550 5.1.1 nobody
             S: 554 5.5.1 no valid recipients
             C: RSET
             C+ MAIL FROM:<a@example.org>
             C+ RCPT TO:<b@example.org>
             C+ DATA
             S: 250 ok
             S: 250 ok
             S: 550 5.1.1 nobody
             S: 554 5.5.1 no valid recipients",
        );
        let mut connection = peer.connected().await;
        for _ in 0..2 {
            let error = send(&mut connection, &envelope()).await.unwrap_err();
            assert_eq!(
                (error.phase(), error.outcome()),
                (Phase::Rcpt, Outcome::NotAccepted)
            );
            assert_eq!(error.reply().unwrap().code().get(), 550);
            assert_eq!(error.recipients().len(), 1);
            assert!(connection.is_idle());
        }
        peer.holds();
    });
}

#[test]
fn dialogue_eight_bits_are_declared_in_a_pipelined_group() {
    paused(async {
        let peer = dialogue(
            "S: 250-mx.example
             S: 250-8BITMIME
             S: 250 PIPELINING
             C: MAIL FROM:<a@example.org> BODY=8BITMIME
             C+ RCPT TO:<b@example.org>
             C+ DATA
             S: 250 ok
             S: 250 ok
             S: 354 go
             C: Subject: x
             C:
             C: \u{fc}
             C: .
             S: 250 2.0.0 queued",
        );
        let mut connection = peer.connected().await;
        let envelope = envelope();
        let transaction = connection.transaction(&envelope).unwrap();
        let message = "Subject: x\r\n\r\n\u{fc}\r\n";
        let receipt = transaction.send(message, Bounds::none()).await.unwrap();
        assert_eq!(receipt.refused().count(), 0);
        peer.holds();
    });
}

#[test]
fn dialogue_a_transaction_begins_as_its_client_was_built_and_may_say_otherwise() {
    for (of_its_own, refused) in [(None, true), (Some(Require::AnyRecipient), false)] {
        paused(async {
            let mut script = "S: 250 mx.example
             C: MAIL FROM:<a@example.org>
             S: 250 ok
             C: RCPT TO:<b@example.org>
             S: 250 ok
             C: RCPT TO:<c@example.org>
             S: 550 5.1.1 no"
                .to_owned();
            if !refused {
                script.push_str("\nC: DATA\nS: 354 go");
                script.push_str(DATA);
                script.push_str("\nS: 250 2.0.0 queued");
            }
            let peer = dialogue(&script);
            let client = peer
                .builder()
                .require(Require::AllRecipients)
                .build()
                .unwrap();
            let mut connection = client.connect(Bounds::none()).await.unwrap();
            let to = ["b@example.org", "c@example.org"].map(|to| to.parse().unwrap());
            let envelope = Envelope::new("a@example.org".parse().unwrap(), to).unwrap();
            let mut transaction = connection.transaction(&envelope).unwrap();
            if let Some(require) = of_its_own {
                transaction = transaction.require(require);
            }
            let result = transaction.send(MESSAGE, Bounds::none()).await;
            assert_eq!(result.is_err(), refused, "{result:?}");
            peer.holds();
        });
    }
}

#[test]
fn dialogue_noop_is_answered_and_then_refused_and_the_connection_stays() {
    paused(async {
        let peer = dialogue(
            "S: 250 mx.example\nC: NOOP\nS: 250 ok\nC: NOOP\nS: 503 no\nC: NOOP\nS: 250 ok",
        );
        let mut connection = peer.connected().await;
        for code in [250, 503, 250] {
            let reply = ask(&mut connection, CustomCommand::noop()).await.unwrap();
            assert_eq!(reply.code().get(), code);
            assert!(connection.is_idle());
        }
        peer.holds();
    });
}

#[test]
fn dialogue_vrfy_and_expn_as_rfc_821_has_them() {
    paused(async {
        let peer = dialogue(
            "S: 250 mx.example
             C: VRFY Smith
             S: 250 Fred Smith <Smith@USC-ISIF.ARPA>
             C: EXPN Example-People
             S: 250-Jon Postel <Postel@USC-ISIF.ARPA>
             S: 250-Fred Fonebone <Fonebone@USC-ISIQ.ARPA>
             S: 250-Sam Q. Smith <SQSmith@USC-ISIQ.ARPA>
             S: 250-Quincy Smith <@USC-ISIF.ARPA:Q-Smith@ISI-VAXA.ARPA>
             S: 250-<joe@foo-unix.ARPA>
             S: 250 <xyz@bar-unix.ARPA>
             C: EXPN Executive-Washroom-List
             S: 550 Access Denied to You.",
        );
        let mut connection = peer.connected().await;
        let smith = CustomCommand::verify("Smith").unwrap();
        let reply = ask(&mut connection, smith).await.unwrap();
        assert_eq!(text(&reply), "Fred Smith <Smith@USC-ISIF.ARPA>");
        let people = CustomCommand::expand("Example-People").unwrap();
        let reply = ask(&mut connection, people).await.unwrap();
        assert_eq!(reply.lines().count(), 6);
        assert!(
            text(&reply).contains("Postel@USC-ISIF.ARPA>\nFred Fonebone"),
            "{reply}"
        );
        let secret = CustomCommand::expand("Executive-Washroom-List").unwrap();
        let reply = ask(&mut connection, secret).await.unwrap();
        assert!(reply.is_permanent_failure() && connection.is_idle());
        peer.holds();
    });
}

#[test]
fn dialogue_four_messages_over_one_connection() {
    paused(async {
        let one = |number: u32| {
            format!(
                "C: MAIL FROM:<a@example.org>
                 S: 250 2.1.0 ok
                 C: RCPT TO:<b@example.org>
                 S: 250 2.1.5 ok
                 C: DATA
                 S: 354 go
                 {DATA}
                 S: 250 2.0.0 1Yat{number} mail accepted for delivery\n"
            )
        };
        let all: String = (0..4).map(one).collect();
        let peer = dialogue(&format!("S: 250 mx.example\n{all}C: QUIT\nS: 221 bye"));
        let mut connection = peer.connected().await;
        for number in 0..4 {
            let receipt = send(&mut connection, &envelope()).await.unwrap();
            let said = format!("250 2.0.0 1Yat{number} mail accepted for delivery");
            assert_eq!(receipt.reply().to_string(), said);
        }
        connection.quit(Bounds::none()).await;
        peer.holds();
    });
}

#[test]
fn dialogue_delivery_status_notifications_are_asked_for_in_xtext() {
    paused(async {
        let peer = dialogue(&format!(
            "S: 250-mx.example
             S: 250 DSN
             C: MAIL FROM:<a@example.org> RET=HDRS ENVID=123456789+2B+3Dabc@
             S: 250 ok
             C: RCPT TO:<b@example.org> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;b+2Bx@example.org
             S: 250 ok
             C: DATA
             S: 354 go
             {DATA}
             S: 250 ok
             C: MAIL FROM:<a@example.org> RET=FULL
             S: 250 ok
             C: RCPT TO:<b@example.org> NOTIFY=NEVER
             S: 250 ok
             C: DATA
             S: 354 go
             {DATA}
             S: 250 ok"
        ));
        let mut connection = peer.connected().await;
        let asking = |ret, id: Option<EnvelopeId>, notify, original: Option<OriginalRecipient>| {
            let mut mail = MailParameters::default();
            (mail.ret, mail.envelope_id) = (Some(ret), id);
            let envelope = envelope().with_mail_parameters(mail);
            envelope.with_rcpt_parameters(|_| {
                let mut rcpt = RcptParameters::default();
                (rcpt.notify, rcpt.original_recipient) = (Some(notify), original.clone());
                rcpt
            })
        };
        let id = "123456789+=abc@".parse().unwrap();
        let original = OriginalRecipient::mailbox(&"b+x@example.org".parse().unwrap());
        let all = Notify::SUCCESS | Notify::FAILURE | Notify::DELAY;
        for envelope in [
            asking(Ret::Headers, Some(id), all, Some(original)),
            asking(Ret::Full, None, Notify::NEVER, None),
        ] {
            let receipt = send(&mut connection, &envelope).await.unwrap();
            assert_eq!(receipt.refused().count(), 0);
        }
        peer.holds();
    });
}

#[test]
fn dialogue_smtputf8_is_asked_for_by_the_message_that_needs_it_and_not_by_the_next() {
    paused(async {
        let peer = dialogue(&format!(
            "S: 250-mx.example
             S: 250-8BITMIME
             S: 250 SMTPUTF8
             C: MAIL FROM:<\u{fa}\u{df}er\u{f1}ame@example.com> SMTPUTF8
             S: 250 ok
             C: RCPT TO:<b@example.org>
             S: 250 ok
             C: DATA
             S: 354 go
             {DATA}
             S: 250 ok
             C: MAIL FROM:<a@example.org>
             S: 250 ok
             C: RCPT TO:<b@example.org>
             S: 250 ok
             C: DATA
             S: 354 go
             {DATA}
             S: 250 ok"
        ));
        let mut connection = peer.connected().await;
        let international = Envelope::new(
            "\u{fa}\u{df}er\u{f1}ame@example.com".parse().unwrap(),
            ["b@example.org".parse().unwrap()],
        );
        for envelope in [international.unwrap(), envelope()] {
            let receipt = send(&mut connection, &envelope).await.unwrap();
            assert_eq!(receipt.refused().count(), 0);
        }
        peer.holds();
    });
}

#[test]
fn dialogue_binary_mail_data_goes_as_the_last_chunk() {
    paused(async {
        let peer = dialogue(
            "S: 250-mx.example
             S: 250-BINARYMIME
             S: 250 CHUNKING
             C: MAIL FROM:<a@example.org> BODY=BINARYMIME
             S: 250 ok
             C: RCPT TO:<b@example.org>
             S: 250 ok
             C: BDAT 17 LAST
             C: Subject: x
             C:
             C: .
             S: 250 17 octets received",
        );
        let mut connection = peer.connected().await;
        let envelope = envelope();
        let transaction = connection.transaction(&envelope).unwrap();
        let transaction = transaction
            .body(BodyType::BinaryMime)
            .chunking(Chunking::IF_OFFERED);
        // No transparency, and a line of one dot that ends nothing.
        let receipt = transaction.send("Subject: x\r\n\r\n.\r\n", Bounds::none());
        assert_eq!(receipt.await.unwrap().reply().code().get(), 250);
        peer.holds();
    });
}
