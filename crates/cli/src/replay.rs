//! `postbound replay`.

use std::str::FromStr;

use clap::Args;
use harness::differential::{Agreement, compare};
use harness::report::Violation;
use harness::run::{self, mem, sansio};
use harness::{Case, Report, referee};
use simnet::net::Backend;

use crate::exit::{self, Stop};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The case, as a failure prints it: `timeout=2s -- v1 | rcpt: stall`
    case: String,
    /// The network to run it on: mem, turmoil or loopback; or sans-io, the session without any
    #[arg(long, default_value = "mem")]
    backend: Network,
}

/// What a sweep can find a case broken on.
#[derive(Clone, Copy, Debug)]
enum Network {
    On(Backend),
    SansIo,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name == "sans-io" {
            return Ok(Self::SansIo);
        }
        let backend = name.parse().map(Self::On);
        backend.map_err(|error| format!("{error}, and sans-io"))
    }
}

/// Runs the case with all that a sweep looks at: twice, and beside a second opinion where there is one.
fn examine(case: &Case, network: Network) -> Result<(Report, Vec<Violation>), String> {
    let (report, tolerance, second) = match network {
        Network::SansIo => {
            sansio::can(case)?;
            (sansio::run(case), sansio::TOLERANCE, Agreement::Same)
        }
        Network::On(Backend::Mem) => {
            let report = mem::examine(case, None, true);
            let second = match sansio::can(case) {
                Ok(()) => compare(case, &sansio::run(case), &report),
                Err(_) => Agreement::Same,
            };
            (report, mem::TOLERANCE, second)
        }
        Network::On(backend) => {
            backend.can(&case.plan)?;
            let (report, tolerance) = run::on(backend, case);
            let second = match referee::can(backend, case) {
                Ok(()) => referee::judge(case, &mem::run_quick(case), &report, tolerance.late),
                Err(_) => Agreement::Same,
            };
            (report, tolerance, second)
        }
    };
    let mut violations = report.violations(case, tolerance);
    if let Agreement::Differs(how) = second {
        violations.push(Violation::new("referee", how));
    }
    Ok((report, violations))
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Stop> {
    let case: Case = arguments
        .case
        .parse()
        .map_err(|error| Stop::new(exit::USAGE, format!("{error}")))?;
    let (report, violations) =
        examine(&case, arguments.backend).map_err(|why| Stop::new(exit::USAGE, why))?;
    print!("{}", report.events);
    println!("\nthe client says  {}", report.claim);
    println!("the mailbox has  {}", report.committed);
    println!(
        "it took          {:.3} s of at most {:.3} s",
        report.elapsed.as_secs_f64(),
        case.promise().as_secs_f64()
    );
    println!("trace            {:016x}", report.trace);
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
