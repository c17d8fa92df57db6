//! `postbound` alone: a message is delivered, a hostile server is survived, the matrix is run.

use std::time::Duration;

use postbound::{Client, Envelope, Receipt, Timeouts};
use simnet::net::Backend;
use simnet::net::loopback::Loopback;
use simnet::{Double, Plan};

use crate::exit::{self, Stop};
use crate::{matrix, runtime, told};

/// 8-bit text, a line over 900 octets, lines of dots, and no line ending at the end.
const MESSAGE: &[u8] = include_bytes!("../examples/awkward.eml");

fn wrong(error: impl ToString) -> Stop {
    Stop::new(exit::BROKEN, error.to_string())
}

async fn deliver(
    plan: &str,
    deadline: Duration,
) -> Result<(Result<Receipt, postbound::Error>, Double), Stop> {
    let plan: Plan = plan.parse().map_err(wrong)?;
    let loopback = Loopback::bind(Double::new(plan), 0)
        .await
        .map_err(|error| Stop::new(exit::SYSTEM, format!("no loopback port: {error}")))?;
    let port = loopback.local_addr().map_or(0, |address| address.port());
    let client = Client::builder("127.0.0.1", port)
        .timeouts(Timeouts::INTERACTIVE)
        .build()
        .map_err(wrong)?;
    let envelope = Envelope::new(
        "sender@client.example".parse().map_err(wrong)?,
        ["you@double.example".parse().map_err(wrong)?],
    )
    .map_err(wrong)?;
    let result = client.send(&envelope, MESSAGE, deadline).await;
    // The double reads the close.
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok((result, loopback.double().clone()))
}

pub(crate) fn run() -> Result<u8, Stop> {
    let runtime = runtime()?;
    let deadline = Duration::from_secs(5);

    println!("1. A message with 8-bit text, a long line and lines of dots, over real sockets.\n");
    let (result, double) = runtime.block_on(deliver("v1", deadline))?;
    print!("{}", double.trace());
    println!();
    print!("{}", told::describe(&result));
    let mut expected = MESSAGE.to_vec();
    expected.extend_from_slice(b"\r\n");
    let deliveries = double.ledger().deliveries();
    let intact = deliveries.len() == 1 && deliveries.iter().all(|d| d.octets == expected);
    println!(
        "  the mailbox has {} message, {}\n",
        deliveries.len(),
        if intact {
            "octet for octet"
        } else {
            "NOT what was sent"
        }
    );

    println!(
        "2. The same to a server that takes the message and never says so; the call may last 1 s.\n"
    );
    let plan = "v1 | data-termination: commit; stall";
    let (hostile, double) = runtime.block_on(deliver(plan, Duration::from_secs(1)))?;
    print!("{}", told::describe(&hostile));
    println!(
        "  the mailbox has {} message: that is why it is called ambiguous\n",
        double.ledger().committed()
    );
    let honest = hostile.as_ref().is_err_and(postbound::Error::is_ambiguous);

    println!(
        "3. Every fault at every phase, in virtual time: is the promise kept, the phase named, the truth told?\n"
    );
    let shown = matrix::cells::run(&[Backend::Mem], |_, _| ());
    println!("{}", shown.table);
    println!(
        "Each row: the faults at that phase, what became of the message in each, and the longest call. Every call was promised to end within the sum of the limits; what is lost in one phase is one limit."
    );
    for broken in &shown.broken {
        eprintln!("BROKEN {broken}");
    }
    let holds = result.is_ok() && intact && honest && shown.broken.is_empty();
    println!(
        "\n{}",
        if holds {
            format!(
                "All {} cells hold. `postbound --help` says what else there is.",
                shown.held
            )
        } else {
            "NOT everything holds.".to_owned()
        }
    );
    Ok(if holds { exit::OK } else { exit::BROKEN })
}
