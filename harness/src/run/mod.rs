//! Running a case: the same client, the same plan, on one network or another.

pub mod loopback;
pub mod mem;
pub mod sansio;
pub mod several;
pub mod turmoil;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;

use postbound::{
    Bounds, CancellationToken, Client, Connector, CustomCommand, Envelope, Error, FailureKind,
    Outcome, Receipt, Recipient,
};
use simnet::Double;
use simnet::net::Backend;
use simnet::plan::Rule;
use tokio::time::{Instant, sleep};

use crate::case::Case;
use crate::report::{Claim, Report, Tolerance};

/// Runs the case on this backend, which must be able to, and says how late it may be there.
#[must_use]
pub fn on(backend: Backend, case: &Case) -> (Report, Tolerance) {
    match backend {
        Backend::Mem => (mem::run(case), mem::TOLERANCE),
        Backend::Turmoil => (turmoil::run(case), turmoil::TOLERANCE),
        Backend::Loopback => (loopback::run(case), loopback::TOLERANCE),
    }
}

/// Makes the case's call over `connector`. `at_cancel` is called in the instant of cancellation.
pub(crate) async fn call<C: Connector>(
    case: &Case,
    connector: C,
    at_cancel: impl FnOnce() + Send + 'static,
) -> (Result<Receipt, Error>, Duration) {
    match case.proxy() {
        Some(proxy) => call_over(case, proxy.over(connector), at_cancel).await,
        None => call_over(case, connector, at_cancel).await,
    }
}

async fn call_over<C: Connector>(
    case: &Case,
    connector: C,
    at_cancel: impl FnOnce() + Send + 'static,
) -> (Result<Receipt, Error>, Duration) {
    simnet::tls::seed(1);
    let client = case.client(connector);
    let envelope = case.envelope();
    let message = case.message();
    let token = CancellationToken::new();
    let canceller = case.cancel.map(|after| {
        let token = token.clone();
        tokio::spawn(async move {
            sleep(after).await;
            at_cancel();
            token.cancel();
        })
    });
    let begun = Instant::now();
    let bounds = case.bounds(&token);
    let result = if case.again || case.noop {
        twice(&client, case, &envelope, &message, bounds).await
    } else {
        client.send(&envelope, &message, bounds).await
    };
    let elapsed = begun.elapsed();
    if let Some(canceller) = canceller {
        canceller.abort();
    }
    (result, elapsed)
}

/// Sends over one connection, behind NOOP if the case says so, and once more over the same one if it is at rest after a refusal.
async fn twice<C: Connector>(
    client: &Client<C>,
    case: &Case,
    envelope: &Envelope,
    message: &[u8],
    bounds: Bounds<'_>,
) -> Result<Receipt, Error> {
    let mut connection = client.connect(bounds.clone()).await?;
    if case.noop {
        let noop = CustomCommand::noop();
        connection.command(&noop, bounds.clone()).await?;
    }
    let mut result = Err(None);
    for _ in 0..=u8::from(case.again) {
        let transaction = connection
            .transaction(envelope)?
            .require(case.require())
            .chunking(case.chunks());
        match transaction.send(message, bounds.clone()).await {
            Ok(receipt) => {
                result = Ok(receipt);
                break;
            }
            Err(error) if error.is_refused() && connection.is_idle() => result = Err(Some(error)),
            Err(error) => return Err(error),
        }
    }
    if result.is_ok() {
        connection.quit(bounds).await;
    }
    result.map_err(|error| error.expect("a transaction was tried"))
}

/// What the double and the client know, side by side.
pub(crate) fn report(
    case: &Case,
    double: &Double,
    result: &Result<Receipt, Error>,
    elapsed: Duration,
) -> Report {
    let deliveries = double.ledger().deliveries();
    let message = case.message();
    let recipients = match result {
        Ok(receipt) => receipt.recipients(),
        Err(error) => error.recipients(),
    };
    let for_each = for_each(case, recipients, |path| {
        let to = |delivery: &&simnet::Delivery| delivery.forward_paths.iter().any(|to| to == path);
        deliveries.iter().filter(to).count()
    });
    let attributed = attributes(case);
    let intact = deliveries.iter().all(|delivery| {
        delivery.octets == message
            && delivery.reverse_path == "sender@client.example"
            && (!attributed || is_addressed(case, &delivery.forward_paths, recipients))
    });
    let (timings, timed_out) = match result {
        Ok(receipt) => (receipt.timings(), None),
        Err(error) => (
            error.timings(),
            match error.kind() {
                FailureKind::TimedOut(limit) => Some(*limit),
                _ => None,
            },
        ),
    };
    let secret = case.auth.is_some().then(|| crate::secret::printed(result));
    Report {
        secret,
        timings: *timings,
        timed_out,
        dialogue: double.trace().entries(),
        elapsed,
        committed: deliveries.len(),
        for_each,
        intact,
        findings: double
            .ledger()
            .findings()
            .iter()
            .map(ToString::to_string)
            .collect(),
        trace: double.trace().hash(),
        events: double.trace().to_string(),
        ..Report::of(Claim::of(result))
    }
}

/// Whether a message was committed for those that the client says were accepted: for all of them or,
/// over LMTP, for one of them. What went ahead of the replies may also be there for those of whom
/// nothing was said.
pub(crate) fn is_addressed(case: &Case, to: &[String], recipients: &[Recipient]) -> bool {
    let unknown = |recipient: &Recipient| case.ahead && recipient.reply().is_none();
    if let ([one], true) = (to, case.lmtp) {
        return recipients.iter().any(|recipient| {
            recipient.path().as_str() == one && (recipient.is_accepted() || unknown(recipient))
        });
    }
    let mut to = to.iter().peekable();
    recipients.iter().all(|recipient| {
        let is_there = to.next_if(|to| *to == recipient.path().as_str()).is_some();
        is_there == recipient.is_accepted() || unknown(recipient)
    }) && to.next().is_none()
}

/// Over LMTP, what the client says of each recipient and how many copies its mailbox has.
pub(crate) fn for_each(
    case: &Case,
    recipients: &[Recipient],
    copies: impl Fn(&str) -> usize,
) -> Vec<(Outcome, usize)> {
    if !case.lmtp {
        return Vec::new();
    }
    recipients
        .iter()
        .map(|recipient| (recipient.outcome(), copies(recipient.path().as_str())))
        .collect()
}

/// Whether each RCPT's reply is its own: two faults can conspire to attribute one's to another,
/// which no client can see.
pub(crate) fn attributes(case: &Case) -> bool {
    case.plan
        .rules
        .iter()
        .filter(|rule| matches!(rule, Rule::Server { .. }))
        .count()
        < 2
}

/// How long a paused run may take by its own clock; nothing that is waited for lasts a hundredth of it.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// How often what is run may be polled while its clock stands still.
const POLLS: usize = 100_000;

/// Runs a future to its end on a runtime of its own whose clock is paused.
///
/// # Panics
/// If nothing wakes the future any more, or if it goes round for ever: a fault that would hang a test
/// fails it.
pub fn paused<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let run = async {
        let mut year = pin!(sleep(YEAR));
        let (mut polled, mut polls) = (Instant::now(), 0);
        poll_fn(|cx| {
            let now = Instant::now();
            polls = if now == polled { polls + 1 } else { 0 };
            polled = now;
            assert!(polls < POLLS, "it has no end, and its clock stands still");
            let poll = future.as_mut().poll(cx);
            let is_over = poll.is_pending() && year.as_mut().poll(cx).is_ready();
            assert!(!is_over, "nothing has woken it for a year");
            poll
        })
        .await
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(run)
}
