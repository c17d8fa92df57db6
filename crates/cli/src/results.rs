//! Where the matrix's results go: a page, JSON and JUnit, and several files merged into one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use harness::Results;
use serde::de::DeserializeOwned;

use crate::exit::{self, Stop};

#[derive(Debug, Args)]
pub(crate) struct Files {
    /// Write the results as one self-contained page
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print one JSON object a cell and a summary; with FILE, write all results there instead, to be
    /// merged or read by other programs
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    json: Option<Option<PathBuf>>,
    /// Write the results as JUnit's XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

impl Files {
    /// Whether JSON is printed as the matrix runs.
    pub(crate) fn prints_json(&self) -> bool {
        matches!(self.json, Some(None))
    }

    /// Whether what was asked for can be written, as far as one can tell beforehand: an hour's results
    /// are not to be lost to a folder that is not there.
    pub(crate) fn check(&self) -> Result<(), Stop> {
        let json = self.json.as_ref().and_then(Option::as_deref);
        let files = [json, self.junit.as_deref(), self.report.as_deref()];
        files.into_iter().flatten().try_for_each(check)
    }

    /// Writes what was asked for.
    pub(crate) fn write(&self, results: &Results) -> Result<(), Stop> {
        let json = self.json.as_ref().and_then(Option::as_deref);
        if let Some(path) = json {
            let text = serde_json::to_string(results)
                .map_err(|error| Stop::new(exit::OUTPUT, format!("{}: {error}", path.display())))?;
            write(path, &text)?;
        }
        if let Some(path) = &self.junit {
            write(path, &results.junit())?;
        }
        if let Some(path) = &self.report {
            write(path, &results.page())?;
        }
        let written = [json, self.junit.as_deref(), self.report.as_deref()];
        for path in written.into_iter().flatten() {
            eprintln!("written: {}", path.display());
        }
        Ok(())
    }
}

/// Whether it can be written, as far as one can tell beforehand.
pub(crate) fn check(path: &Path) -> Result<(), Stop> {
    let writable = match path.exists() {
        true => OpenOptions::new().append(true).open(path).map(drop),
        // Nothing is left behind by a run that writes nothing.
        false => File::create_new(path).and_then(|_| fs::remove_file(path)),
    };
    writable.map_err(|error| unwritable(path, &error))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), Stop> {
    fs::write(path, text).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> Stop {
    let path = path.display();
    Stop::new(exit::OUTPUT, format!("{path} can't be written: {error}"))
}

/// Reads what `option` of `postbound matrix` wrote.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path, option: &str) -> Result<T, Stop> {
    let wrong = |why: String| Stop::new(exit::INPUT, format!("{}: {why}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| wrong(format!("unreadable: {error}")))?;
    serde_json::from_str(&text).map_err(|error| {
        wrong(format!(
            "not what `postbound matrix {option}` writes: {error}"
        ))
    })
}

/// All of these files in one.
pub(crate) fn merge(paths: &[PathBuf]) -> Result<Results, Stop> {
    let mut results = Results::new();
    for path in paths {
        let more = read_json(path, "--json FILE")?;
        results
            .merge(more)
            .map_err(|error| Stop::new(exit::INPUT, format!("{}: {error}", path.display())))?;
    }
    Ok(results)
}
