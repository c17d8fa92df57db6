//! JUnit's XML: what every CI system can show.

use std::fmt::Write as _;

use super::Results;

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

fn case(out: &mut String, class: &str, name: &str, seconds: f64, inside: &str) {
    let (class, name) = (xml(class), xml(name));
    let _ = write!(
        out,
        "  <testcase classname=\"{class}\" name=\"{name}\" time=\"{seconds:.3}\""
    );
    let _ = match inside {
        "" => writeln!(out, "/>"),
        inside => writeln!(out, ">{inside}</testcase>"),
    };
}

fn failure(what: &str, replay: &str) -> String {
    format!(
        "<failure message=\"{}\">{}</failure>",
        xml(what),
        xml(replay)
    )
}

/// The results as one test suite: every cell, every sweep, and every goal that was missed.
pub(super) fn write(results: &Results) -> String {
    let mut cases = String::new();
    let (mut failures, mut skipped, mut tests) = (0, 0, 0);
    for cell in &results.cells {
        tests += 1;
        let class = format!("matrix.{}.{}", cell.backend, cell.place);
        let name = match &cell.setting {
            Some(setting) => format!("{} ({setting})", cell.fault),
            None => cell.fault.clone(),
        };
        let seconds = cell.ran.as_ref().map_or(0, |ran| ran.elapsed) as f64 / 1e6;
        let inside = if !cell.violations.is_empty() {
            failures += 1;
            let replay = crate::replay::line_on(&cell.backend, &cell.case);
            failure(&cell.violations.join("; "), &replay)
        } else if let Some(why) = &cell.skipped {
            skipped += 1;
            format!("<skipped message=\"{}\"/>", xml(why))
        } else {
            String::new()
        };
        case(&mut cases, &class, &name, seconds, &inside);
    }
    for sweep in &results.sweeps {
        tests += 1;
        let inside = if sweep.broken.is_empty() {
            String::new()
        } else {
            failures += 1;
            let replay: Vec<_> = results
                .broken
                .iter()
                .filter(|broken| broken.backend == sweep.backend)
                .map(|broken| format!("{}: {}", broken.violations.join("; "), broken.case))
                .collect();
            failure(
                &format!("{} violations", sweep.violations()),
                &replay.join("\n"),
            )
        };
        let name = format!("{} ({} cases)", sweep.name, sweep.cases);
        let class = format!("sweep.{}", sweep.backend);
        case(&mut cases, &class, &name, sweep.core_seconds, &inside);
    }
    for goal in results.missed() {
        tests += 1;
        failures += 1;
        let inside = failure("it must happen sometimes and never did", goal);
        case(&mut cases, "coverage", goal, 0.0, &inside);
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"postbound\" tests=\"{tests}\" failures=\"{failures}\" skipped=\"{skipped}\">\n{cases}</testsuite>\n"
    )
}
