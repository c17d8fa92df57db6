//! The parameters of MAIL and RCPT, read strictly: what was not offered, is malformed or comes
//! twice is the client's mistake.

/// What the mail data was said to be made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Body {
    #[default]
    SevenBit,
    EightBitMime,
    BinaryMime,
}

/// The parameters of MAIL that the server acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mail {
    pub(super) size: u64,
    pub(super) body: Body,
    pub(super) smtputf8: bool,
}

impl Mail {
    /// Reads them, and says what is wrong with them.
    pub(super) fn read(parameters: &str, offers: impl Fn(&str) -> bool) -> (Self, Vec<String>) {
        let mut mail = Self::default();
        let wrong = check(parameters, |keyword, value| {
            let upper = value.to_ascii_uppercase();
            let (extension, valid) = match keyword {
                "SIZE" => {
                    mail.size = value.parse().unwrap_or(0);
                    ("SIZE", is_number(value, 20))
                }
                "BODY" => {
                    mail.body = match upper.as_str() {
                        "8BITMIME" => Body::EightBitMime,
                        "BINARYMIME" => Body::BinaryMime,
                        _ => Body::SevenBit,
                    };
                    match mail.body {
                        // RFC 3030 §3: it goes with CHUNKING only.
                        Body::BinaryMime => ("BINARYMIME", offers("CHUNKING")),
                        _ => ("8BITMIME", matches!(upper.as_str(), "7BIT" | "8BITMIME")),
                    }
                }
                "SMTPUTF8" => {
                    mail.smtputf8 = true;
                    ("SMTPUTF8", value.is_empty())
                }
                "RET" => ("DSN", matches!(upper.as_str(), "FULL" | "HDRS")),
                "ENVID" => ("DSN", is_xtext(value, 100)),
                "REQUIRETLS" => ("REQUIRETLS", value.is_empty()),
                "BY" => ("DELIVERBY", is_by(&upper)),
                "MT-PRIORITY" => ("MT-PRIORITY", is_priority(value)),
                "HOLDFOR" => ("FUTURERELEASE", is_number(value, 9)),
                "HOLDUNTIL" => ("FUTURERELEASE", is_date_time(value)),
                "AUTH" => ("AUTH", value == "<>" || is_xtext(value, 500)),
                _ => return None,
            };
            Some(offers(extension) && valid)
        });
        (mail, wrong)
    }
}

/// Says what is wrong with the parameters of RCPT.
pub(super) fn check_rcpt(parameters: &str, offers: impl Fn(&str) -> bool) -> Vec<String> {
    check(parameters, |keyword, value| {
        let valid = match keyword {
            "NOTIFY" => {
                let upper = value.to_ascii_uppercase();
                let event = |event| matches!(event, "SUCCESS" | "FAILURE" | "DELAY");
                upper == "NEVER" || upper.split(',').all(event)
            }
            "ORCPT" => value.split_once(';').is_some_and(|(kind, address)| {
                let atom = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
                let known = !kind.is_empty() && kind.bytes().all(atom);
                value.len() <= 500
                    && known
                    && (kind == "utf-8" || is_xtext(address, 500))
                    && address.bytes().all(|octet| octet.is_ascii_graphic())
            }),
            _ => return None,
        };
        Some(offers("DSN") && valid)
    })
}

/// Every parameter once, with one blank before it. `valid` knows the keyword or not, and whether it
/// was offered and is well formed.
fn check(parameters: &str, mut valid: impl FnMut(&str, &str) -> Option<bool>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    if parameters.is_empty() {
        return wrong;
    }
    for parameter in parameters.split(' ') {
        let (keyword, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let keyword = keyword.to_ascii_uppercase();
        let twice = seen.contains(&keyword);
        if twice {
            wrong.push(format!("a parameter comes twice: {parameter}"));
        }
        if valid(&keyword, value) != Some(true) {
            wrong.push(format!(
                "a parameter that was not offered or is malformed: {parameter:?}"
            ));
        }
        seen.push(keyword);
    }
    wrong
}

/// Octets that a command line may have: RFC 5321's 512, and what each extension adds.
pub(super) fn line_octets(verb: &str, offers: impl Fn(&str) -> bool) -> usize {
    let more: &[(&str, usize)] = match verb {
        "MAIL" => &[
            ("SIZE", 26),
            ("8BITMIME", 17),
            ("SMTPUTF8", 10),
            ("DSN", 100),
            ("REQUIRETLS", 11),
            ("DELIVERBY", 17),
            ("MT-PRIORITY", 15),
            ("FUTURERELEASE", 34),
            ("AUTH", 500),
        ],
        "RCPT" => &[("DSN", 500), ("SMTPUTF8", 10)],
        _ => &[],
    };
    let more = more.iter().filter(|(extension, _)| offers(extension));
    512 + more.map(|(_, octets)| octets).sum::<usize>()
}

fn is_number(value: &str, digits: usize) -> bool {
    (1..=digits).contains(&value.len()) && value.bytes().all(|octet| octet.is_ascii_digit())
}

/// xtext (RFC 3461 §4) that stands for at most this many printable US-ASCII characters.
fn is_xtext(value: &str, most: usize) -> bool {
    let mut octets = value.bytes();
    let mut count = 0;
    while let Some(octet) = octets.next() {
        count += 1;
        let decoded = match octet {
            b'+' => {
                let digits = [octets.next(), octets.next()];
                let [Some(high), Some(low)] = digits.map(|digit| match digit? {
                    digit @ b'0'..=b'9' => Some(digit - b'0'),
                    digit @ b'A'..=b'F' => Some(digit - b'A' + 10),
                    _ => None,
                }) else {
                    return false;
                };
                high * 16 + low
            }
            b'=' => return false,
            b'!'..=b'~' => octet,
            _ => return false,
        };
        if !matches!(decoded, b' '..=b'~') {
            return false;
        }
    }
    (1..=most).contains(&count)
}

/// RFC 2852 §4.
fn is_by(value: &str) -> bool {
    value.split_once(';').is_some_and(|(seconds, mode)| {
        let digits = seconds.strip_prefix('-').unwrap_or(seconds);
        is_number(digits, 9)
            && matches!(mode, "R" | "N" | "RT" | "NT")
            && !(mode.starts_with('R') && seconds.parse::<i64>().is_ok_and(|s| s <= 0))
    })
}

/// RFC 6710 §4.
fn is_priority(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    is_number(digits, 1) && value != "-0"
}

/// The shape of RFC 3339's date and time.
fn is_date_time(value: &str) -> bool {
    let shape: String = value
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    matches!(
        shape.as_str(),
        "0000-00-00T00:00:00Z" | "0000-00-00T00:00:00+00:00" | "0000-00-00T00:00:00-00:00"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_well_formed_and_offered_is_taken() {
        let (mail, wrong) = Mail::read(
            "SIZE=5 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb BY=-1;N MT-PRIORITY=-9 HOLDFOR=1",
            |_| true,
        );
        assert_eq!(wrong, [""; 0]);
        assert_eq!(
            (mail.size, mail.body, mail.smtputf8),
            (5, Body::EightBitMime, true)
        );
        let rcpt = "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@example.org";
        assert_eq!(check_rcpt(rcpt, |_| true), [""; 0]);
    }

    #[test]
    fn what_is_not_is_found() {
        for mail in [
            "SIZE",
            "SIZE=x",
            "BODY=QUOTED",
            "SMTPUTF8=1",
            "ENVID=",
            "ENVID=a=b",
            "ENVID=a+0Db",
            "ENVID=+2b",
            "BY=0;R",
            "BY=1",
            "MT-PRIORITY=10",
            "HOLDUNTIL=now",
            "X=1",
            "SIZE=1  SMTPUTF8",
            "SIZE=1 SIZE=1",
            "RET=FULL ",
        ] {
            assert!(!Mail::read(mail, |_| true).1.is_empty(), "{mail}");
        }
        assert_eq!(Mail::read("SIZE=1", |_| false).1.len(), 1);
        for rcpt in [
            "NOTIFY=",
            "NOTIFY=NEVER,DELAY",
            "ORCPT=a@b",
            "ORCPT=;a",
            "ORCPT=rfc822;a b",
            "SIZE=1",
        ] {
            assert!(!check_rcpt(rcpt, |_| true).is_empty(), "{rcpt}");
        }
    }
}
