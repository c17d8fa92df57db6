//! What the program prints. An output that can't be written ends nothing: what became of a message
//! is told by the exit code even then, and a double goes on serving.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, PoisonError};

use crate::exit;

/// Why standard output could not be written, the first time.
static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

/// `print!` without its panic.
macro_rules! print {
    ($($arg:tt)*) => { $crate::output::out(format_args!($($arg)*)) };
}

/// `println!` without its panic.
macro_rules! println {
    () => { $crate::output::out(format_args!("\n")) };
    ($($arg:tt)*) => { $crate::output::out(format_args!("{}\n", format_args!($($arg)*))) };
}

/// `eprint!` without its panic.
macro_rules! eprint {
    ($($arg:tt)*) => { $crate::output::err(format_args!($($arg)*)) };
}

/// `eprintln!` without its panic.
macro_rules! eprintln {
    ($($arg:tt)*) => { $crate::output::err(format_args!("{}\n", format_args!($($arg)*))) };
}

fn remember(written: io::Result<()>) {
    if let Err(error) = written {
        LOST.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
    }
}

pub(crate) fn out(text: Arguments<'_>) {
    remember(io::stdout().lock().write_fmt(text));
}

pub(crate) fn err(text: Arguments<'_>) {
    // There is nowhere left to say so.
    let _ = io::stderr().lock().write_fmt(text);
}

/// The exit code, once everything is written. A reader that has seen enough (`| head`) is no
/// failure, and `final_word` says that the code has to stay what it is: it tells what became of
/// a message.
pub(crate) fn finish(code: u8, final_word: bool) -> u8 {
    remember(io::stdout().lock().flush());
    let lost = LOST.lock().unwrap_or_else(PoisonError::into_inner).take();
    match lost {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("postbound: standard output can't be written: {error}");
            match final_word || code != exit::OK {
                true => code,
                false => exit::OUTPUT,
            }
        }
        _ => code,
    }
}
