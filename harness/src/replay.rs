//! The one line that runs a case again.

use std::fmt::Display;

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
