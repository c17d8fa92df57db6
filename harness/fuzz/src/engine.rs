//! A target: a check and the inputs that are made for it.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What every input must satisfy; if it does not, why.
pub type Check = fn(&[u8]) -> Result<(), String>;

/// A check, and by its name the corpus that it begins with.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub(crate) name: &'static str,
    check: Check,
}

impl Target {
    /// A target whose corpus is the folder `corpus/NAME`.
    pub const fn new(name: &'static str, check: Check) -> Self {
        Self { name, check }
    }

    pub(crate) fn try_on(&self, input: &[u8]) {
        let result = catch_unwind(AssertUnwindSafe(|| (self.check)(input)));
        let why = match result {
            Ok(Ok(())) => return,
            Ok(Err(why)) => why,
            Err(_) => "it panicked".to_owned(),
        };
        let (name, shown) = (self.name, input.escape_ascii());
        panic!("{name}: {why}\n  printf '{shown}' > harness/fuzz/corpus/{name}/NAME keeps it");
    }
}

/// Tries the target on what libFuzzer makes, which is told by `BOLERO_LIBFUZZER_ARGS` where its corpus
/// is and how long it has, and ends the process. Only the target that `FUZZ_TARGET` names is tried: there
/// is one libFuzzer in a process, and the processes that it starts itself run every test.
#[cfg(fuzzing)]
pub fn fuzz(target: &Target) {
    if std::env::var("FUZZ_TARGET").as_deref() == Ok(target.name) {
        let target = *target;
        bolero::check!().for_each(move |input: &[u8]| target.try_on(input));
    }
}
