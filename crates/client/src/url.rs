//! A client from a URL.

use std::fmt;
use std::time::Duration;

use proto::sasl::{AuthPolicy, Credentials, Mechanism, Secret};
use proto::{Phase, Security, Timeouts};

use crate::auth::Auth;
use crate::client::{Client, ClientBuilder};
use crate::tcp::TcpConnector;

/// A URL that is no client: what is wrong, and never the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlError(String);

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UrlError {}

pub(crate) fn wrong<T>(why: impl Into<String>) -> Result<T, UrlError> {
    Err(UrlError(why.into()))
}

impl Client {
    /// A client from a URL, for a configuration file or the environment:
    /// `SCHEME://[USER[:PASSWORD]@]HOST[:PORT][/][?NAME=VALUE&...]`.
    ///
    /// | scheme | | port |
    /// |---|---|---|
    /// | `smtps` | TLS from the first octet | 465 |
    /// | `smtp+starttls` | STARTTLS required | 587 |
    /// | `smtp` | plaintext | 25 |
    ///
    /// User, password and values are percent-encoded (RFC 3986 §2.1). The names are
    /// `timeout` (each phase's limit: `10s`, `500ms`, `2m`), `timeout.PHASE` (one phase's),
    /// `min-rate` (octets a second), `ehlo`, `auth` (only this mechanism; several with commas between
    /// them; with OAUTHBEARER or XOAUTH2 the password is an access token), `auth-without-tls=allow`
    /// (see [`AuthPolicy::allow_clear_text_without_tls`]). Anything else is refused.
    ///
    /// ```
    /// use postbound::Client;
    ///
    /// let client = Client::from_url("smtp+starttls://me:s%3Acret@mail.example?timeout=20s&timeout.greeting=1m")?
    ///     .build()?;
    /// assert_eq!(client.endpoint(), "mail.example:587");
    /// let refused = Client::from_url("smtp://mail.example?tiemout=20s").unwrap_err();
    /// assert!(refused.to_string().contains("\"tiemout\""));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If anything in it is unknown, repeated or malformed.
    pub fn from_url(url: &str) -> Result<ClientBuilder<TcpConnector>, UrlError> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return wrong("a URL begins with smtps://, smtp+starttls:// or smtp://");
        };
        let (security, port) = match scheme.to_ascii_lowercase().as_str() {
            "smtps" => (Security::Implicit, 465),
            "smtp+starttls" => (Security::StartTls, 587),
            "smtp" => (Security::None, 25),
            _ => {
                return wrong(format!(
                    "the scheme {scheme:?} is not known; there are smtps, smtp+starttls and smtp"
                ));
            }
        };
        let (user, host, port, query) = authority(rest, port)?;
        let mut settings = Settings::read(query)?;
        let mut builder = Self::builder(host, port)
            .security(security)
            .timeouts(settings.timeouts()?);
        if let Some(name) = settings.take("ehlo") {
            let name = name.parse();
            builder = builder.ehlo_name(name.or_else(|e| wrong(format!("ehlo: {e}")))?);
        }
        let auth = settings.auth(user)?;
        settings.end()?;
        Ok(match auth {
            Some(auth) => builder.auth(auth),
            None => builder,
        })
    }
}

/// What stands behind `://`: user and password as they are written, host, port and query.
pub(crate) fn authority(
    rest: &str,
    port: u16,
) -> Result<(Option<&str>, String, u16, &str), UrlError> {
    if rest.contains('#') {
        return wrong("there is a # in it; write %23");
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !path.is_empty() {
        return wrong("behind the host there is a path, which means nothing here");
    }
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, authority),
    };
    let (host, port) = place_of(place, port)?;
    Ok((user, host, port, query))
}

fn place_of(place: &str, port: u16) -> Result<(String, u16), UrlError> {
    let (host, written) = match place.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, "")) => (host, None),
            Some((host, rest)) if rest.starts_with(':') => (host, rest.get(1..)),
            _ => return wrong("an IPv6 address is written [ADDRESS], then :PORT"),
        },
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = match written {
        None => port,
        Some(written) => match written.parse() {
            Ok(port) if written.bytes().all(|octet| octet.is_ascii_digit()) => port,
            _ => return wrong("the port is no number from 1 to 65535"),
        },
    };
    Ok((decoded("the host", host)?, port))
}

/// RFC 3986 §2.1, strictly.
pub(crate) fn decoded(what: &str, text: &str) -> Result<String, UrlError> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        match (digit(), digit()) {
            (Some(high), Some(low)) => octets.push(u8::try_from(high * 16 + low).unwrap_or(0)),
            _ => {
                return wrong(format!(
                    "{what} has a % without two hexadecimal digits; write %25"
                ));
            }
        }
    }
    String::from_utf8(octets).or_else(|_| wrong(format!("{what} is not UTF-8")))
}

/// The names and values behind the question mark.
pub(crate) struct Settings {
    pairs: Vec<(String, String)>,
}

impl Settings {
    pub(crate) fn read(query: &str) -> Result<Self, UrlError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let Some((name, value)) = pair.split_once('=') else {
                return wrong("behind ? there is something that is not NAME=VALUE");
            };
            if pairs.iter().any(|(known, _)| known == name) {
                return wrong(format!("{name:?} is given twice"));
            }
            pairs.push((name.to_owned(), decoded(name, value)?));
        }
        Ok(Self { pairs })
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.pairs.iter().position(|(known, _)| known == name)?;
        Some(self.pairs.remove(at).1)
    }

    fn timeouts(&mut self) -> Result<Timeouts, UrlError> {
        let mut timeouts = match self.take("timeout") {
            Some(limit) => Timeouts::uniform(duration("timeout", &limit)?)
                .or_else(|e| wrong(format!("timeout: {e}")))?,
            None => Timeouts::default(),
        };
        for phase in Phase::ALL {
            let name = format!("timeout.{phase}");
            if let Some(limit) = self.take(&name) {
                timeouts = timeouts
                    .with(phase, duration(&name, &limit)?)
                    .or_else(|e| wrong(format!("{name}: {e}")))?;
            }
        }
        if let Some(rate) = self.take("min-rate") {
            let rate = rate
                .parse()
                .or_else(|_| wrong("min-rate is no number of octets"))?;
            timeouts = timeouts
                .with_min_rate(rate)
                .or_else(|e| wrong(format!("min-rate: {e}")))?;
        }
        Ok(timeouts)
    }

    fn auth(&mut self, user: Option<&str>) -> Result<Option<Auth>, UrlError> {
        let mechanisms = match self.take("auth") {
            Some(names) => {
                let names = names.split(',').map(str::parse::<Mechanism>);
                let names: Result<Vec<_>, _> = names.collect();
                Some(names.or_else(|e| wrong(format!("auth: {e}")))?)
            }
            None => None,
        };
        let mut policy = AuthPolicy::new();
        match self.take("auth-without-tls").as_deref() {
            Some("allow") => policy = policy.allow_clear_text_without_tls(),
            Some(_) => return wrong("auth-without-tls has one value, allow"),
            None => {}
        }
        let only = mechanisms.as_deref().unwrap_or_default();
        let Some(user) = user else {
            return match only {
                [Mechanism::External] => Ok(Some(Auth::new(Credentials::external()))),
                [] => Ok(None),
                _ => wrong("auth is given and no user; write USER:PASSWORD@ before the host"),
            };
        };
        let Some((user, password)) = user.split_once(':') else {
            return wrong("there is a user and no password; write USER:PASSWORD@ before the host");
        };
        if user.is_empty() {
            return wrong("there is a password and no user; write USER:PASSWORD@ before the host");
        }
        let user = decoded("the user", user)?;
        let secret = Secret::from(decoded("the password", password)?);
        let tokens = [Mechanism::OAuthBearer, Mechanism::XOAuth2];
        let is_token = !only.is_empty() && only.iter().all(|one| tokens.contains(one));
        if let [first, rest @ ..] = only {
            if rest
                .iter()
                .any(|one| tokens.contains(one) != tokens.contains(first))
            {
                return wrong("auth mixes mechanisms for a password with those for a token");
            }
            policy = policy.only(only.iter().copied());
        }
        let credentials = match is_token {
            true => Credentials::token(user, secret),
            false => Credentials::password(user, secret),
        };
        Ok(Some(Auth::new(credentials).policy(policy)))
    }

    fn end(self) -> Result<(), UrlError> {
        self.nothing_else("timeout, timeout.PHASE, min-rate, ehlo, auth and auth-without-tls")
    }

    /// Everything was taken.
    pub(crate) fn nothing_else(self, known: &str) -> Result<(), UrlError> {
        match self.pairs.first() {
            None => Ok(()),
            Some((name, _)) => wrong(format!("{name:?} is not known; there are {known}")),
        }
    }
}

/// A whole number with its unit.
fn duration(name: &str, text: &str) -> Result<Duration, UrlError> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis: Option<u64> = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(millis?))
        .map(Duration::from_millis)
        .ok_or_else(|| UrlError(format!("{name} is no time such as 500ms, 20s, 2m or 1h")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_and_how() {
        for (url, endpoint, security) in [
            (
                "smtps://mail.example",
                "mail.example:465",
                Security::Implicit,
            ),
            (
                "SMTP+STARTTLS://mail.example/",
                "mail.example:587",
                Security::StartTls,
            ),
            (
                "smtp://mail.example:2525",
                "mail.example:2525",
                Security::None,
            ),
            ("smtps://[::1]:4465", "[::1]:4465", Security::Implicit),
            ("smtp://127.0.0.1", "127.0.0.1:25", Security::None),
        ] {
            let client = Client::from_url(url).unwrap().build().unwrap();
            assert_eq!(client.endpoint(), endpoint);
            assert_eq!(client.security(), security);
        }
        let url = "smtp://u%40x:p%3Aw%2F@mail.example?timeout=20s&timeout.rcpt=1m&min-rate=99&auth=plain,login";
        let client = Client::from_url(url).unwrap().build().unwrap();
        assert_eq!(client.timeouts().of(Phase::Mail), Duration::from_secs(20));
        assert_eq!(client.timeouts().of(Phase::Rcpt), Duration::from_secs(60));
        let more = client.timeouts().of(Phase::Auth) * 8;
        let without = client.timeouts().worst_case(1, 1).total();
        assert_eq!(client.worst_case(1, 1).total(), without + more);
    }

    #[test]
    fn what_is_not_known_is_refused_and_the_password_is_not_repeated() {
        for (url, part) in [
            ("mail.example", "begins with"),
            ("http://mail.example", "\"http\""),
            ("smtp://u:s3cret@mail.example/inbox", "path"),
            ("smtp://u:s3cret@mail.example#x", "%23"),
            ("smtp://u:s3cret@mail.example:0x19", "port"),
            ("smtp://u:s3cret@mail.example:99999", "port"),
            ("smtp://u:s3cret%@mail.example", "the password"),
            ("smtp://u:s3cret%ff@mail.example", "UTF-8"),
            ("smtp://u@mail.example", "no password"),
            ("smtp://:s3cret@mail.example", "no user"),
            ("smtp://u:s3cret@[::1", "IPv6"),
            ("smtp://u:s3cret@mail.example?nonsense", "NAME=VALUE"),
            ("smtp://u:s3cret@mail.example?tls=yes", "\"tls\""),
            (
                "smtp://u:s3cret@mail.example?timeout=1s&timeout=2s",
                "twice",
            ),
            ("smtp://u:s3cret@mail.example?timeout=0s", "timeout"),
            ("smtp://u:s3cret@mail.example?timeout=fast", "timeout"),
            (
                "smtp://u:s3cret@mail.example?timeout.dinner=1h",
                "\"timeout.dinner\"",
            ),
            ("smtp://u:s3cret@mail.example?auth=magic", "magic"),
            ("smtp://u:s3cret@mail.example?auth=plain,xoauth2", "mixes"),
            ("smtp://mail.example?auth=plain", "no user"),
            ("smtp://u:s3cret@mail.example?auth-without-tls=yes", "allow"),
            ("smtp://u:s3cret@mail.example?ehlo=a%20b", "ehlo"),
        ] {
            let error = Client::from_url(url).map(|_| url).unwrap_err().to_string();
            assert!(error.contains(part), "{url}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
