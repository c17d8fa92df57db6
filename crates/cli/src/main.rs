//! postbound: send mail in bounded time, serve a hostile SMTP server, prove the bounds.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to people; the libraries below it do not"
)]

#[macro_use]
mod output;
mod peers;

mod account;
mod certificates;
mod exit;
mod extensions;
mod interrupt;
mod many;
mod matrix;
mod mx;
mod network;
mod plan;
mod probe;
mod progress;
mod replay;
mod results;
mod send;
mod serve;
mod sweeps;
mod terms;
mod told;
mod tour;
mod words;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::exit::Stop;

/// Sends mail in bounded time and says truthfully what became of it; serves a hostile SMTP server to
/// test clients against; proves its own bounds. Without a command: a tour of all three.
#[derive(Debug, Parser)]
#[command(name = "postbound", version, after_help = exit::HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send a message, or many
    #[command(after_help = exit::HELP)]
    Send(Box<send::Arguments>),
    /// Look at a server: what it offers, and where the time goes
    #[command(after_help = exit::HELP)]
    Probe(probe::Arguments),
    /// Serve the test double on a loopback port
    Serve(serve::Arguments),
    /// Check, explain or show a plan, or list what can go wrong
    Plan(plan::Arguments),
    /// Run one case again, from the line that a failure printed
    Replay(replay::Arguments),
    /// Run the fault matrix and random cases
    Matrix(matrix::Arguments),
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors.
            let code = if error.use_stderr() {
                exit::USAGE
            } else {
                exit::OK
            };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    // What became of a message is not forgotten because nobody could read it.
    let sends = matches!(&arguments.command, Some(Command::Send(send)) if send.sends());
    let result = match arguments.command {
        None => tour::run(),
        Some(Command::Send(arguments)) => send::run(&arguments),
        Some(Command::Probe(arguments)) => probe::run(&arguments),
        Some(Command::Serve(arguments)) => serve::run(&arguments),
        Some(Command::Plan(arguments)) => plan::run(&arguments),
        Some(Command::Replay(arguments)) => replay::run(&arguments),
        Some(Command::Matrix(arguments)) => matrix::run(&arguments),
    };
    let code = result.unwrap_or_else(|Stop { code, why }| {
        eprintln!("postbound: {why}");
        code
    });
    ExitCode::from(output::finish(code, sends))
}

/// A duration on the command line.
fn duration(text: &str) -> Result<Duration, String> {
    simnet::plan::parse_duration(text).map_err(|expected| format!("expected {expected}"))
}

/// A runtime for real sockets.
fn runtime() -> Result<tokio::runtime::Runtime, Stop> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Stop::new(exit::SYSTEM, format!("no runtime: {error}")))
}
