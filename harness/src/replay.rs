//! The one line that runs a case again.

use std::ffi::OsStr;
use std::fmt::Display;
use std::path::Path;

/// What to type to run this case again on the in-memory network. A quote inside the case is written so
/// that a shell hands it on.
#[must_use]
pub fn line(case: impl Display) -> String {
    format!("postbound replay {}", quoted(&case.to_string()))
}

/// The same for another network.
#[must_use]
pub fn line_on(backend: impl Display, case: impl Display) -> String {
    let case = quoted(&case.to_string());
    format!("postbound replay --backend {backend} {case}")
}

/// What to type to run the test again that asks, with this seed: `cargo test` names its threads.
#[must_use]
pub fn this_test(seed: u64) -> String {
    let thread = std::thread::current();
    let program = std::env::args().next().unwrap_or_default();
    let file = Path::new(&program)
        .file_stem()
        .and_then(OsStr::to_str)
        .and_then(|name| name.rsplit_once('-'))
        .map_or("TEST", |(name, _hash)| name);
    format!(
        "POSTBOUND_SEED={seed} cargo test -p postbound-harness --test {file} {} -- --exact",
        thread.name().unwrap_or_default()
    )
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use simnet::Plan;
    use simnet::net::Backend;
    use simnet::plan::{Rule, Say, ServerFault};

    use super::*;
    use crate::Case;

    /// What a shell makes of the line's last word.
    #[cfg(unix)]
    fn handed_on(line: &str) -> String {
        let script = format!("postbound() {{ eval printf %s \\\"\\${{$#}}\\\"; }}; {line}");
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_test_can_say_how_it_is_run_again() {
        let line = this_test(7);
        assert!(
            line.starts_with("POSTBOUND_SEED=7 cargo test -p postbound-harness "),
            "{line}"
        );
        let name = "replay::tests::a_test_can_say_how_it_is_run_again";
        assert!(line.ends_with(&format!(" {name} -- --exact")), "{line}");
        assert!(line.contains(" --test postbound_harness "), "{line}");
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_hands_on_whatever_is_in_a_case() {
        for text in [
            "it's",
            "$HOME `id`",
            "a \\ b",
            "\"quoted\"",
            "'; exit 1; '",
            "!!",
        ] {
            for say in [
                Say::Reply {
                    code: 550,
                    text: text.to_owned(),
                },
                Say::Raw(text.as_bytes().to_vec()),
            ] {
                let case = Case::new(Plan::of([Rule::Server {
                    phase: postbound::Phase::Mail,
                    nth: None,
                    fault: ServerFault::say(say),
                }]));
                for line in [line(&case), line_on(Backend::Mem, &case)] {
                    assert_eq!(
                        handed_on(&line).parse::<Case>().as_ref(),
                        Ok(&case),
                        "{line}"
                    );
                }
            }
        }
    }
}
