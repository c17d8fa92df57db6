//! Inputs: the corpus as it is, and then pieces of it changed, joined and repeated.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::Target;

/// How many inputs are made where no time is asked for.
const INPUTS: u64 = 4_000;

/// No input is longer.
const LONGEST: usize = 4_096;

/// What one octet alone would seldom become.
const PIECES: [&[u8]; 14] = [
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b"\xff",
    b" ",
    b"-",
    b"250 ",
    b"250-",
    b"334 ",
    b"220 go\r\n",
    b"#4294967296",
    b"%0d%0a",
    b": ",
];

/// splitmix64: the same numbers on every machine.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap_or_default()
    }

    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let (a, b) = (self.below(len + 1), self.below(len + 1));
        a.min(b)..a.max(b)
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no file", folder.display());
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], numbers: &mut Numbers) {
    let at = numbers.below(input.len() + 1);
    match numbers.below(7) {
        0 => {
            let octet = numbers.next().to_le_bytes()[0];
            input.insert(at, octet);
        }
        1 if at < input.len() => input[at] ^= 1 << numbers.below(8),
        2 => drop(input.drain(numbers.range(input.len()))),
        3 => {
            let again = input[numbers.range(input.len())].to_vec();
            input.splice(at..at, again);
        }
        4 => {
            let other = &corpus[numbers.below(corpus.len())];
            let piece = other[numbers.range(other.len())].to_vec();
            input.splice(at..at, piece);
        }
        5 => input.truncate(at),
        _ => {
            let piece = PIECES[numbers.below(PIECES.len())];
            input.splice(at..at, piece.iter().copied());
        }
    }
    input.truncate(LONGEST);
}

/// Tries the target on its corpus and on what is made of it: 4,000 inputs, or as many as there are in
/// `FUZZ_SECONDS`, from the seed `POSTBOUND_SEED` or 1.
///
/// # Panics
/// If an input does not satisfy the check, with the line that keeps it in the corpus.
#[expect(
    clippy::disallowed_methods,
    reason = "a person's patience is real time"
)]
pub fn fuzz(target: &Target) {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|value| value.parse::<u64>().ok())
    };
    let corpus = corpus(target.name);
    for input in &corpus {
        target.try_on(input);
    }
    let begun = std::time::Instant::now();
    let most = number("FUZZ_SECONDS").map(Duration::from_secs);
    let mut numbers = Numbers(number("POSTBOUND_SEED").unwrap_or(1));
    let mut made = 0;
    while most.map_or(made < INPUTS, |most| begun.elapsed() < most) {
        let mut input = corpus[numbers.below(corpus.len())].clone();
        for _ in 0..=numbers.below(5) {
            change(&mut input, &corpus, &mut numbers);
        }
        target.try_on(&input);
        made += 1;
    }
}
