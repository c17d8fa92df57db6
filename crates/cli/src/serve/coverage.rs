//! What the clients were put through, at the end.

use std::path::PathBuf;

use clap::Args;
use control::coverage;
use simnet::coverage::{Coverage, Goal};

use crate::exit::{self, Stop};
use crate::results::{check, write};

#[derive(Debug, Args)]
pub(super) struct Wanted {
    /// When it ends, write into this file which faults were struck, where, how often, and with the
    /// message taken or not, in all namespaces together: JSON, or JUnit's XML if its name ends in .xml
    #[arg(long, value_name = "FILE")]
    coverage: Option<PathBuf>,
    /// A fault that must have been struck when it ends, such as rcpt:reply, mail:reply-4yz,
    /// data-termination:lost-reply or auth; if not, the exit code is 1. May be given again
    #[arg(long, value_name = "PLACE[:FAULT]")]
    goal: Vec<Goal>,
}

impl Wanted {
    /// Whether the file can be written, as far as one can tell beforehand.
    pub(super) fn check(&self) -> Result<(), Stop> {
        self.coverage.as_deref().map_or(Ok(()), check)
    }

    /// Writes what was asked for, and says whether every goal was reached.
    pub(super) fn end(&self, covered: &Coverage, json: bool) -> Result<u8, Stop> {
        let Self {
            coverage: file,
            goal: goals,
        } = self;
        if !json && (file.is_some() || !goals.is_empty()) {
            println!("{covered}");
        }
        let missed = covered.missed(goals);
        let missed = missed.inspect(|goal| eprintln!("BROKEN never struck: {goal}"));
        let missed = missed.count();
        if let Some(file) = file {
            let xml = file.extension().is_some_and(|extension| extension == "xml");
            let text = match xml {
                true => covered.junit(goals),
                false => format!("{}\n", coverage(covered, goals)),
            };
            write(file, &text)?;
        }
        Ok(if missed == 0 { exit::OK } else { exit::BROKEN })
    }
}
