//! A client that is not ours against every single fault at each octet of its dialogue, in virtual time:
//! a fact, as it is with the version of the lock file.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has to fail"
)]

use std::time::Duration;

use async_smtp::{EmailAddress, Envelope, SendableEmail, SmtpClient, SmtpTransport};
use simnet::double::SmtpDouble;
use simnet::net::mem::Network;
use tokio::io::BufStream;
use tokio::time::sleep;

/// Longer than any server is given by RFC 5321 §4.5.3.2.
const WATCHED: Duration = Duration::from_secs(3_600);

/// One message over one connection. Whether it was reported as delivered; `None` if nothing was
/// reported in an hour.
async fn send(double: &SmtpDouble<Network>) -> Option<bool> {
    let call = async {
        let stream = double.connect().await.ok()?;
        let client = SmtpClient::new();
        let mut transport = SmtpTransport::new(client, BufStream::new(stream))
            .await
            .ok()?;
        let address = |text: &str| EmailAddress::new(text.to_owned()).unwrap();
        let to = vec![address("bob@example.org")];
        let envelope = Envelope::new(Some(address("me@example.net")), to).unwrap();
        let email = SendableEmail::new(envelope, "Subject: hello\r\n\r\nworld\r\n");
        transport.send(email).await.ok()
    };
    tokio::select! {
        biased;
        sent = call => Some(sent.is_some()),
        () = sleep(WATCHED) => None,
    }
}

#[tokio::test(start_paused = true)]
async fn what_async_smtp_reports_is_held_against_the_mailbox_at_every_octet() {
    let healthy = SmtpDouble::in_memory();
    assert_eq!(send(&healthy).await, Some(true));

    let (mut points, mut false_claims, mut never_ended, mut came_after_all) = (0, 0, 0, 0);
    for plan in healthy.network().fault_points() {
        let double = SmtpDouble::builder().plan(plan).in_memory();
        let reported = send(&double).await;
        let taken = double.received().len();
        points += 1;
        false_claims += usize::from(reported == Some(true) && taken == 0);
        never_ended += usize::from(reported.is_none());
        came_after_all += usize::from(reported == Some(false) && taken == 1);
    }
    let facts = format!("{points} points: {false_claims} {never_ended} {came_after_all}");
    assert!(points > 1_000, "{facts}");
    // It never says that a message is there that is not.
    assert_eq!(false_claims, 0, "{facts}");
    // It has no limits of its own, so silence at any octet of a reply has no end.
    assert!(never_ended > 0, "{facts}");
    // An error behind the end of mail data does not say that the message was not taken.
    assert!(came_after_all > 0, "{facts}");
}
