//! `postbound replay`.

use clap::Args;
use harness::{Case, run};
use simnet::net::Backend;

use crate::exit::{self, Stop};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The case, as a failure prints it: `timeout=2s -- v1 | rcpt: stall`
    case: String,
    /// The network to run it on: mem, turmoil or loopback
    #[arg(long, default_value = "mem")]
    backend: Backend,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Stop> {
    let case: Case = arguments
        .case
        .parse()
        .map_err(|error| Stop::new(exit::USAGE, format!("{error}")))?;
    let backend = arguments.backend;
    backend
        .can(&case.plan)
        .map_err(|why| Stop::new(exit::USAGE, why))?;
    let (report, tolerance) = run::on(backend, &case);
    print!("{}", report.events);
    println!("\nthe client says  {}", report.claim);
    println!("the mailbox has  {}", report.committed);
    println!(
        "it took          {:.3} s of at most {:.3} s",
        report.elapsed.as_secs_f64(),
        case.promise().as_secs_f64()
    );
    println!("trace            {:016x}", report.trace);
    let violations = report.violations(&case, tolerance);
    for violation in &violations {
        println!("BROKEN           {violation}");
    }
    if violations.is_empty() {
        println!("every guarantee holds");
        Ok(exit::OK)
    } else {
        Ok(exit::BROKEN)
    }
}
