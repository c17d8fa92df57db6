//! VRFY, EXPN, NOOP, HELP and other commands that are no part of a mail transaction.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::time::Duration;

use postbound::{
    Bounds, CancellationToken, Client, CommandError, Connection, CustomCommand, Envelope,
    FailureKind, Limit, Phase, ProtocolError, Timeouts,
};
use postbound_harness::run::paused;
use simnet::Double;
use simnet::net::mem::{Network, Stream};

async fn connected(plan: &str) -> (Network, Connection<Stream>) {
    let network = Network::new(Double::new(plan.parse().unwrap()));
    let limit = Duration::from_secs(3);
    let timeouts = Timeouts::INTERACTIVE.with(Phase::Command, limit).unwrap();
    let connection = Client::builder("mx.example", 25)
        .connector(network.connector())
        .timeouts(timeouts)
        .build()
        .unwrap()
        .connect(Bounds::none())
        .await
        .unwrap();
    (network, connection)
}

#[test]
fn every_command_has_its_reply_and_a_refusal_is_one() {
    paused(async {
        let (network, mut connection) = connected("v1 | command#2: reply 550 5.1.1 nobody").await;
        let commands = [
            (CustomCommand::noop(), 250),
            (CustomCommand::verify("Smith").unwrap(), 550),
            (CustomCommand::verify("Smith").unwrap(), 252),
            (CustomCommand::expand("list").unwrap(), 252),
            (CustomCommand::help(), 214),
            (CustomCommand::help_about("VRFY").unwrap(), 214),
        ];
        for (command, code) in &commands {
            let reply = connection.command(command, Bounds::none()).await.unwrap();
            assert_eq!(reply.code().get(), *code, "{command}");
            assert!(connection.is_idle());
        }
        // The connection is as it was.
        let envelope = Envelope::new(
            "a@example.org".parse().unwrap(),
            ["b@example.org".parse().unwrap()],
        )
        .unwrap();
        let transaction = connection.transaction(&envelope).unwrap();
        let receipt = transaction
            .send("Subject: x\r\n\r\ny\r\n", Bounds::none())
            .await;
        assert!(receipt.is_ok());
        assert_eq!(network.double().ledger().findings(), []);
        // One that nobody knows is answered, too.
        let private = CustomCommand::new("xstats", "today").unwrap();
        let reply = connection.command(&private, Bounds::none()).await.unwrap();
        assert_eq!(reply.code().get(), 500);
    });
}

#[test]
fn no_argument_is_more_than_an_argument() {
    for control in (0u8..0x20).chain([0x7f]) {
        let argument = format!("Smith{}QUIT", char::from(control));
        assert_eq!(
            CustomCommand::verify(&argument),
            Err(CommandError::Argument)
        );
        assert_eq!(
            CustomCommand::expand(&argument),
            Err(CommandError::Argument)
        );
        assert_eq!(
            CustomCommand::help_about(&argument),
            Err(CommandError::Argument)
        );
        assert_eq!(
            CustomCommand::new("XSTATS", &argument),
            Err(CommandError::Argument)
        );
        let verb = format!("X{}QUIT", char::from(control));
        assert_eq!(CustomCommand::new(&verb, ""), Err(CommandError::Verb));
    }
    for argument in ["", " ", "Sm\u{ef}th", "\u{10a}"] {
        assert!(CustomCommand::verify(argument).is_err(), "{argument:?}");
    }
    for verb in ["", "X Y", "NOOP QUIT", "X\u{e9}"] {
        assert_eq!(CustomCommand::new(verb, ""), Err(CommandError::Verb));
    }
    for verb in [
        "data", "BDAT", "Mail", "RCPT", "AUTH", "STARTTLS", "QUIT", "EHLO", "RSET", "XCLIENT",
    ] {
        let refused = CustomCommand::new(verb, "").unwrap_err();
        assert!(matches!(refused, CommandError::NotAlone(_)), "{verb}");
    }
    let (fits, longer) = ("a".repeat(505), "a".repeat(506));
    assert!(CustomCommand::verify(&fits).is_ok());
    assert_eq!(
        CustomCommand::verify(&longer),
        Err(CommandError::TooLong(513))
    );
}

#[test]
fn a_command_has_a_limit_of_its_own_and_every_end_that_others_have() {
    let noop = CustomCommand::noop();
    let limit = FailureKind::TimedOut(Limit::Phase(Duration::from_secs(3)));
    for (plan, kind) in [
        ("command: stall", limit.clone()),
        ("command: drip 500ms", limit),
        ("command: close", FailureKind::Closed),
        ("command: reset", FailureKind::Broken),
        (
            "command: reply 354 go on",
            FailureKind::Protocol(ProtocolError::Unexpected),
        ),
        (
            "command: reply 421 4.3.2 closing; close",
            FailureKind::Refused,
        ),
    ] {
        paused(async {
            let (_network, mut connection) = connected(&format!("v1 | {plan}")).await;
            let error = connection.command(&noop, Bounds::none()).await.unwrap_err();
            assert_eq!(
                (error.phase(), error.kind()),
                (Phase::Command, &kind),
                "{plan}: {error:?}"
            );
            assert!(!connection.is_idle(), "{plan}");
            // It is at rest no more, and the next call says so.
            let error = connection.command(&noop, Bounds::none()).await.unwrap_err();
            assert_eq!(error.kind(), &FailureKind::NotIdle, "{plan}");
        });
    }
    paused(async {
        let (network, mut connection) = connected("v1 | command: stall").await;
        let token = CancellationToken::new();
        token.cancel();
        let error = connection.command(&noop, &token).await.unwrap_err();
        assert!(error.is_cancelled());
        assert!(!network.double().trace().to_string().contains("NOOP"));
    });
}
