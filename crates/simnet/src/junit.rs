//! JUnit's XML: what every CI system can show.

use std::fmt::{self, Write as _};

/// What is said of something that must happen sometimes and never did.
pub const NEVER: &str = "it must happen sometimes and never did";

/// A test suite, to be written as XML by its `Display`.
///
/// ```
/// use postbound_simnet::junit::{Suite, Verdict};
///
/// let mut suite = Suite::new("mail");
/// suite.case("mail.rcpt", "stall", 0.25, Verdict::Passed);
/// suite.case("mail.rcpt", "a < b", 0.0, Verdict::Failed { what: "no", more: "line\n2" });
/// let xml = suite.to_string();
/// assert!(xml.contains(r#"<testsuite name="mail" tests="2" failures="1" skipped="0">"#));
/// assert!(xml.contains(r#"name="a &lt; b" time="0.000"><failure message="no">line"#));
/// ```
#[derive(Clone, Debug)]
pub struct Suite {
    name: String,
    cases: String,
    tests: usize,
    failures: usize,
    skipped: usize,
}

/// What became of a test case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict<'a> {
    /// It holds.
    Passed,
    /// It does not.
    Failed {
        /// What is wrong, in a line.
        what: &'a str,
        /// What helps to see why.
        more: &'a str,
    },
    /// It was not looked at, and why.
    Skipped(&'a str),
}

impl Suite {
    /// A suite without any case.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            cases: String::new(),
            tests: 0,
            failures: 0,
            skipped: 0,
        }
    }

    /// Adds a case that took so many seconds.
    pub fn case(&mut self, class: &str, name: &str, seconds: f64, verdict: Verdict<'_>) {
        self.tests += 1;
        let (class, name) = (xml(class), xml(name));
        let out = &mut self.cases;
        let _ = write!(
            out,
            "  <testcase classname=\"{class}\" name=\"{name}\" time=\"{seconds:.3}\""
        );
        let _ = match verdict {
            Verdict::Passed => writeln!(out, "/>"),
            Verdict::Failed { what, more } => {
                self.failures += 1;
                let (what, more) = (xml(what), xml(more));
                writeln!(
                    out,
                    "><failure message=\"{what}\">{more}</failure></testcase>"
                )
            }
            Verdict::Skipped(why) => {
                self.skipped += 1;
                writeln!(out, "><skipped message=\"{}\"/></testcase>", xml(why))
            }
        };
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cases,
            tests,
            failures,
            skipped,
            ..
        } = self;
        writeln!(f, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
        let name = xml(&self.name);
        writeln!(
            f,
            "<testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" skipped=\"{skipped}\">"
        )?;
        writeln!(f, "{cases}</testsuite>")
    }
}

/// Text as XML may have it: markup escaped, and no character that XML forbids.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(character),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                let _ = write!(out, "{}", c.escape_unicode());
            }
            c => out.push(c),
        }
    }
    out
}
