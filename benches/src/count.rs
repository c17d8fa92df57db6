//! What repeats exactly: instructions, system calls, allocations, octets of heap.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::contest::Round;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Instructions in user space: of this program, and of the libraries that it uses.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Instructions {
    /// Of the program itself: the same on every processor that has the same features.
    pub own: f64,
    /// Of the C library, which chooses its routines by the processor, and of the dynamic linker.
    pub libraries: f64,
}

impl Instructions {
    /// All of them.
    #[must_use]
    pub fn all(self) -> f64 {
        self.own + self.libraries
    }
}

/// What one of `arguments`'s rounds costs more when it has `many` messages instead of `few`, for one.
fn each<T>(
    few: usize,
    many: usize,
    mut run: impl FnMut(usize) -> Result<T, Failure>,
    less: impl FnOnce(T, T, f64) -> T,
) -> Result<T, Failure> {
    let (short, long) = (run(few)?, run(many)?);
    Ok(less(long, short, (many - few) as f64))
}

fn program() -> io::Result<std::path::PathBuf> {
    std::env::current_exe()
}

/// Instructions per message of `work ARGUMENTS MESSAGES`, by callgrind.
///
/// # Errors
/// If valgrind is not installed, or the work fails.
pub fn instructions(arguments: &[&str], few: usize, many: usize) -> Result<Instructions, Failure> {
    let file = std::env::temp_dir().join(format!("postbound-callgrind.{}", std::process::id()));
    let run = |messages: usize| {
        let output = Command::new("valgrind")
            .arg("--tool=callgrind")
            .arg(format!("--callgrind-out-file={}", file.display()))
            .arg(program()?)
            .arg("work")
            .args(arguments)
            .arg(messages.to_string())
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("valgrind can't be run ({error}); ci/setup installs it"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        let counted = read_callgrind(&file)?;
        std::fs::remove_file(&file)?;
        Ok(counted)
    };
    each(few, many, run, |long, short, messages| Instructions {
        own: (long.own - short.own) / messages,
        libraries: (long.libraries - short.libraries) / messages,
    })
}

/// Whose instructions no other program has: the allocator's that counts.
const COUNTER: &str = "allocation_counter::";

/// Sums the costs by object file. A line behind `calls=` has the cost of the call, which is counted
/// where it is spent.
fn read_callgrind(file: &Path) -> Result<Instructions, Failure> {
    let own_name = program()?;
    let own_name = own_name.to_string_lossy();
    let (mut own_ids, mut counter_ids) = (Vec::new(), Vec::new());
    let mut counted = Instructions::default();
    let (mut is_own, mut is_counter, mut is_call) = (false, false, false);
    for line in std::fs::read_to_string(file)?.lines() {
        if let Some(object) = line.strip_prefix("ob=").or(line.strip_prefix("cob=")) {
            let (id, name) = object.split_once(' ').unwrap_or((object, ""));
            if name == own_name {
                own_ids.push(id.to_owned());
            }
            if line.starts_with("ob=") {
                is_own = own_ids.iter().any(|own| own == id);
            }
        } else if let Some(function) = line.strip_prefix("fn=").or(line.strip_prefix("cfn=")) {
            let (id, name) = function.split_once(' ').unwrap_or((function, ""));
            if name.contains(COUNTER) {
                counter_ids.push(id.to_owned());
            }
            if line.starts_with("fn=") {
                is_counter = counter_ids.iter().any(|counter| counter == id);
            }
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '*'))
            && !std::mem::take(&mut is_call)
            && !is_counter
            && let Some(cost) = line
                .split(' ')
                .nth(1)
                .and_then(|cost| cost.parse::<f64>().ok())
        {
            if is_own {
                counted.own += cost;
            } else {
                counted.libraries += cost;
            }
        }
    }
    if counted.own == 0.0 {
        return Err("callgrind has counted nothing of this program".into());
    }
    Ok(counted)
}

/// System calls per message of `work ARGUMENTS MESSAGES`, by strace.
///
/// # Errors
/// If strace is not installed, or the work fails.
pub fn system_calls(arguments: &[&str], few: usize, many: usize) -> Result<f64, Failure> {
    let file = std::env::temp_dir().join(format!("postbound-strace.{}", std::process::id()));
    let run = |messages: usize| {
        let output = Command::new("strace")
            .args(["-c", "-f", "-U", "calls,name", "-o"])
            .arg(&file)
            .arg(program()?)
            .arg("work")
            .args(arguments)
            .arg(messages.to_string())
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("strace can't be run ({error}); ci/setup installs it"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        let table = std::fs::read_to_string(&file)?;
        std::fs::remove_file(&file)?;
        let total = table
            .lines()
            .filter_map(|line| line.trim().strip_suffix(" total"))
            .find_map(|calls| calls.trim().parse::<f64>().ok());
        total.ok_or_else(|| Failure::from(format!("strace printed no total: {table}")))
    };
    each(few, many, run, |long, short, messages| {
        (long - short) / messages
    })
}

/// Allocations per message, moved ones included.
///
/// # Errors
/// The round's own.
pub fn allocations(meter: Meter, round: &mut Round, messages: usize) -> Result<f64, Failure> {
    round(messages)?;
    let mut count = |messages| {
        let (result, counted) = measured(meter, || round(messages));
        result.map(|()| counted.allocations as f64)
    };
    let (first, second) = (count(messages)?, count(3 * messages)?);
    // What a round costs, however long it is, falls out.
    Ok((second - first) / (2 * messages) as f64)
}

/// What a call on this thread did to the heap.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "made in one place")]
pub struct Heap {
    /// Allocations, moved ones included.
    pub allocations: u64,
    /// Octets allocated, given back or not.
    pub octets: u64,
    /// Octets that were not given back.
    pub left: i64,
}

/// Counts what a call does to the heap. It comes from the program that has the allocator for it:
/// whatever else is linked to this library is measured with the system's own.
pub type Meter = fn(&mut dyn FnMut()) -> Heap;

/// What a call on this thread comes to, and what it did to the heap.
pub(crate) fn measured<T>(meter: Meter, call: impl FnOnce() -> T) -> (T, Heap) {
    let (mut call, mut result) = (Some(call), None);
    let counted = meter(&mut || result = call.take().map(|call| call()));
    let Some(result) = result else {
        panic!("a meter calls once")
    };
    (result, counted)
}
