//! A line of the reply to EHLO that is asked for by `--offer`.

/// Octets of a line of a reply without its code and CRLF (RFC 5321 §4.5.3.1.5).
const OCTETS: usize = 506;

/// The limits of RFC 9422 that the double holds its client to.
const LIMITS: [&str; 2] = ["RCPTMAX", "MAILMAX"];

/// A keyword and its parameters, with the keyword in upper case.
pub(super) fn line(text: &str) -> Result<String, String> {
    let (keyword, parameters) = text.split_once(' ').unwrap_or((text, ""));
    let keyword = keyword.to_ascii_uppercase();
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
    if keyword.is_empty() || keyword.starts_with('-') || !keyword.bytes().all(plain) {
        return Err(
            "expected a keyword of letters, digits and hyphens and its parameters, such as \
             'LIMITS RCPTMAX=2'; what is none, a rule says: 'ehlo: reply 250 ...'"
                .to_owned(),
        );
    }
    let parameter = |word: &str| !word.is_empty() && word.bytes().all(|o| o.is_ascii_graphic());
    if text.contains(' ') && !parameters.split(' ').all(parameter) {
        return Err("expected parameters in US-ASCII with one blank before each".to_owned());
    }
    if text.len() > OCTETS {
        return Err(format!("a line of a reply has at most {OCTETS} octets"));
    }
    let wrong = match keyword.as_str() {
        "STARTTLS" => Some("give --tls starttls"),
        "AUTH" => Some("give --auth"),
        "SIZE" if !parameters.bytes().all(|octet| octet.is_ascii_digit()) => {
            Some("SIZE has a number of octets")
        }
        _ => None,
    };
    if let Some(wrong) = wrong {
        return Err(wrong.to_owned());
    }
    if keyword == "LIMITS" {
        return limits(&parameters.to_ascii_uppercase());
    }
    Ok([&keyword, text.get(keyword.len()..).unwrap_or_default()].concat())
}

/// A limit that is announced is one that can be kept to.
fn limits(parameters: &str) -> Result<String, String> {
    for parameter in parameters.split(' ') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if LIMITS.contains(&name) && !value.parse().is_ok_and(|most: u32| most > 0) {
            return Err(format!("{name} has a number, at least 1"));
        }
    }
    Ok(format!("LIMITS {parameters}"))
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_line_is_a_keyword_and_its_parameters_and_nothing_else() {
        for (text, expected) in [
            ("dsn", "DSN"),
            ("X-Mine a=B c", "X-MINE a=B c"),
            ("limits rcptmax=2 mailmax=10", "LIMITS RCPTMAX=2 MAILMAX=10"),
            ("SIZE", "SIZE"),
            ("SIZE 100", "SIZE 100"),
        ] {
            assert_eq!(line(text).as_deref(), Ok(expected));
        }
        let long = format!("X {}", "y".repeat(505));
        for text in [
            "",
            " DSN",
            "-X",
            "X_Y",
            "DSN ",
            "X a  b",
            "X \u{e4}",
            "X\r\nY",
            "X a\tb",
            "STARTTLS",
            "auth PLAIN",
            "SIZE x",
            "LIMITS RCPTMAX=0",
            "LIMITS MAILMAX",
            &long,
        ] {
            assert!(line(text).is_err(), "{text:?}");
        }
    }
}
