//! Exit codes that tell phase and outcome apart.

use postbound::{Error, Outcome, Phase, Receipt};

/// Everything went well.
pub(crate) const OK: u8 = 0;
/// A guarantee was broken, of `replay`, `matrix` and the tour, or a goal of `serve` was missed.
pub(crate) const BROKEN: u8 = 1;
/// The message was accepted and some recipients were not.
pub(crate) const PARTIAL: u8 = 3;
/// Of many messages, some were not accepted or not begun.
pub(crate) const INCOMPLETE: u8 = 4;
/// The message may have been accepted.
pub(crate) const AMBIGUOUS: u8 = 40;
/// The command line, or a value on it, is wrong (as in sysexits.h).
pub(crate) const USAGE: u8 = 64;
/// An input can't be read.
pub(crate) const INPUT: u8 = 66;
/// The operating system refuses something, such as a port.
pub(crate) const SYSTEM: u8 = 71;
/// An output can't be written.
pub(crate) const OUTPUT: u8 = 74;

/// The table for the help text.
pub(crate) const HELP: &str = "\
Exit codes of `send`:
   0  accepted, for every recipient
   3  accepted, but some recipients were refused
   4  of many messages some were not accepted, or not begun: safe to send again
  40  ambiguous: the message may have been accepted; sending it again may make a duplicate
Not accepted, safe to send again; where it ended:
   2  resolve or connect      21  greeting     22  EHLO or HELO
  23  MAIL                    24  RCPT         25  DATA
  26  mail data, or the final reply            27  any other phase
  28  AUTH                   29  TLS: STARTTLS or the handshake
Others:
   1  a guarantee was broken (replay, matrix, the tour), or a goal was missed (serve --goal)
  64  wrong usage    66  unreadable input    71  refused by the system    74  unwritable output";

/// The code for what became of a message.
pub(crate) fn code(result: &Result<Receipt, Error>) -> u8 {
    let error = match result {
        Ok(receipt) if receipt.refused().next().is_some() => return PARTIAL,
        Ok(_) => return OK,
        Err(error) => error,
    };
    of(error)
}

/// The code for what went wrong.
pub(crate) fn of(error: &Error) -> u8 {
    if error.outcome() == Outcome::Ambiguous {
        return AMBIGUOUS;
    }
    match error.phase() {
        Phase::Resolve | Phase::Connect => 2,
        Phase::Greeting => 21,
        Phase::Ehlo => 22,
        Phase::Mail => 23,
        Phase::Rcpt => 24,
        Phase::DataInitiation => 25,
        Phase::DataBlock | Phase::DataTermination => 26,
        Phase::Auth => 28,
        Phase::TlsHandshake | Phase::StartTls => 29,
        Phase::Checkout | Phase::Command | Phase::Reset | Phase::Quit | Phase::Backoff => 27,
    }
}

/// A command that can't be carried out: what to say and with which code to end.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) code: u8,
    pub(crate) why: String,
}

impl Stop {
    pub(crate) fn new(code: u8, why: impl Into<String>) -> Self {
        Self {
            code,
            why: why.into(),
        }
    }
}

/// The command line asks for what can't be done.
pub(crate) fn usage(why: impl ToString) -> Stop {
    Stop::new(USAGE, why.to_string())
}
