//! What a server's certificate says of itself, for people who look at it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, X509Certificate};

const DAY: i64 = 24 * 60 * 60;
/// Automatic renewal is due 30 days before the end: what is nearer was forgotten.
const SOON: i64 = 30 * DAY;

/// One certificate of a chain. Whoever made it may not be trusted: it is only told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    octets: usize,
    /// `None` if it can't be read.
    facts: Option<Facts>,
}

#[derive(Debug, PartialEq, Eq)]
struct Facts {
    subject: String,
    /// Domains, IP addresses and the like that it is for.
    names: Vec<String>,
    issuer: String,
    not_before: Date,
    not_after: Date,
}

/// Seconds since 1970, and how they are written.
#[derive(Debug, PartialEq, Eq)]
struct Date {
    at: i64,
    shown: String,
}

impl Date {
    fn new(time: ASN1Time) -> Self {
        let date = time.to_datetime();
        let shown = format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            date.hour(),
            date.minute(),
            date.second(),
        );
        Self {
            at: time.timestamp(),
            shown,
        }
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    #[allow(
        clippy::disallowed_methods,
        reason = "a certificate's dates are the calendar's"
    )]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or_default()
}

impl Certificate {
    /// Reads one in DER.
    pub(crate) fn read(der: &[u8]) -> Self {
        let facts = X509Certificate::from_der(der).ok().map(|(_, found)| {
            let names = found.subject_alternative_name().ok().flatten();
            let names = names.map_or(&[][..], |names| &names.value.general_names);
            Facts {
                subject: plain(&found.subject().to_string()),
                names: names.iter().map(name).collect(),
                issuer: plain(&found.issuer().to_string()),
                not_before: Date::new(found.validity().not_before),
                not_after: Date::new(found.validity().not_after),
            }
        });
        Self {
            octets: der.len(),
            facts,
        }
    }

    /// A few lines, the first of them without an indent.
    pub(crate) fn describe(&self, now: i64) -> String {
        let Some(facts) = &self.facts else {
            return format!("{} octets, which can't be read\n", self.octets);
        };
        let mut text = format!("{}, {} octets\n", facts.subject, self.octets);
        if !facts.names.is_empty() {
            text.push_str(&format!("    is for {}\n", facts.names.join(", ")));
        }
        text + &format!(
            "    is from {}\n    is valid from {} to {}: {}\n",
            facts.issuer,
            facts.not_before.shown,
            facts.not_after.shown,
            facts.standing(now).1
        )
    }

    pub(crate) fn as_json(&self, now: i64) -> Value {
        let Some(facts) = &self.facts else {
            return json!({"octets": self.octets});
        };
        json!({
            "octets": self.octets,
            "subject": facts.subject,
            "names": facts.names,
            "issuer": facts.issuer,
            "not_before": facts.not_before.shown,
            "not_after": facts.not_after.shown,
            "days_left": (facts.not_after.at.saturating_sub(now)).div_euclid(DAY),
            "standing": facts.standing(now).0,
        })
    }
}

impl Facts {
    /// How it stands with its time, for programs and for people.
    fn standing(&self, now: i64) -> (&'static str, String) {
        let left = self.not_after.at.saturating_sub(now);
        if now < self.not_before.at {
            return ("not-yet-valid", "NOT VALID YET".to_owned());
        }
        match left {
            ..0 => ("expired", format!("EXPIRED {} days ago", -left / DAY)),
            0..SOON => ("expires-soon", format!("ONLY {} days left", left / DAY)),
            _ => ("valid", format!("{} days left", left / DAY)),
        }
    }
}

fn name(name: &GeneralName<'_>) -> String {
    let ip = |octets: &[u8]| match (<[u8; 4]>::try_from(octets), <[u8; 16]>::try_from(octets)) {
        (Ok(four), _) => std::net::IpAddr::from(four).to_string(),
        (_, Ok(sixteen)) => std::net::IpAddr::from(sixteen).to_string(),
        _ => "an IP address that is none".to_owned(),
    };
    match name {
        GeneralName::DNSName(name) => plain(name),
        GeneralName::IPAddress(octets) => ip(octets),
        GeneralName::RFC822Name(name) | GeneralName::URI(name) => plain(name),
        other => plain(&other.to_string()),
    }
}

/// Without control characters: the server chose the text, and a terminal would obey it.
fn plain(text: &str) -> String {
    let escaped = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(not_before: i64, not_after: i64) -> Certificate {
        let date = |at| Date::new(ASN1Time::from_timestamp(at).unwrap());
        Certificate {
            octets: 9,
            facts: Some(Facts {
                subject: "CN=mx".to_owned(),
                names: vec!["mx.example".to_owned()],
                issuer: "CN=authority".to_owned(),
                not_before: date(not_before),
                not_after: date(not_after),
            }),
        }
    }

    #[test]
    fn how_a_certificate_stands_changes_with_the_second() {
        let (from, to) = (1_700_000_000, 1_800_000_000);
        let one = certificate(from, to);
        for (now, standing, days) in [
            (from - 1, "not-yet-valid", 1157),
            (from, "valid", 1157),
            (to - SOON, "valid", 30),
            (to - SOON + 1, "expires-soon", 29),
            (to, "expires-soon", 0),
            (to + 1, "expired", -1),
        ] {
            let json = one.as_json(now);
            assert_eq!(
                (&json["standing"], &json["days_left"]),
                (&json!(standing), &json!(days))
            );
        }
        assert_eq!(
            one.describe(to + 3 * DAY),
            "CN=mx, 9 octets\n    is for mx.example\n    is from CN=authority\n    \
             is valid from 2023-11-14T22:13:20Z to 2027-01-15T08:00:00Z: EXPIRED 3 days ago\n"
        );
    }

    #[test]
    fn what_is_no_certificate_is_said_to_be_none() {
        let one = Certificate::read(b"nonsense");
        assert_eq!(one.describe(0), "8 octets, which can't be read\n");
        assert_eq!(one.as_json(0), json!({"octets": 8}));
    }

    #[test]
    fn names_do_not_reach_the_terminal_as_they_are() {
        assert_eq!(plain("a\x1b[2Jb\u{9b}\r\nc"), "a\\u{1b}[2Jb\\u{9b}\\r\\nc");
    }
}
