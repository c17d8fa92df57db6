//! A proxy from a URL.

use super::Proxy;
use crate::url::{Settings, UrlError, authority, decoded, wrong};

impl Proxy {
    /// A proxy from a URL, as curl has them: `SCHEME://[USER:PASSWORD@]HOST[:PORT]`.
    ///
    /// | scheme | | port | the server's name is looked up |
    /// |---|---|---|---|
    /// | `socks5` | SOCKS5 | 1080 | by the client |
    /// | `socks5h` | SOCKS5 | 1080 | by the proxy |
    /// | `http` | HTTP CONNECT | 3128 | by the proxy |
    ///
    /// User and password are percent-encoded, and need `?auth-without-tls=allow` behind the host: on
    /// the way to the proxy everybody can read them
    /// ([`clear_text_credentials`](Self::clear_text_credentials)).
    ///
    /// ```
    /// use postbound::Proxy;
    /// let proxy = Proxy::from_url("socks5h://me:s3cret@proxy.example?auth-without-tls=allow")?;
    /// assert_eq!(proxy.to_string(), "proxy.example:1080");
    /// # Ok::<(), postbound::UrlError>(())
    /// ```
    ///
    /// # Errors
    /// If anything in it is unknown, repeated or malformed.
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return wrong("a proxy's URL begins with socks5://, socks5h:// or http://");
        };
        let scheme = scheme.to_ascii_lowercase();
        let port = match scheme.as_str() {
            "socks5" | "socks5h" => 1080,
            "http" => 3128,
            _ => {
                return wrong(format!(
                    "the proxy's scheme {scheme:?} is not known; there are socks5, socks5h and http"
                ));
            }
        };
        let (user, host, port, query) = authority(rest, port)?;
        let mut settings = Settings::read(query)?;
        let allowed = match settings.take("auth-without-tls").as_deref() {
            None => false,
            Some("allow") => true,
            Some(_) => return wrong("auth-without-tls has one value, allow"),
        };
        settings.nothing_else("auth-without-tls")?;
        let proxy = match scheme.as_str() {
            "http" => Self::http(host, port),
            _ => Self::socks5(host, port),
        };
        let mut proxy = proxy.or_else(|error| wrong(error.to_string()))?;
        if scheme == "socks5" {
            proxy = proxy.resolve_locally();
        }
        let Some(user) = user else {
            return Ok(proxy);
        };
        if !allowed {
            return wrong(
                "on the way to the proxy everybody can read user and password; allow it with ?auth-without-tls=allow, or leave them out",
            );
        }
        let Some((user, password)) = user.split_once(':') else {
            return wrong("there is a user and no password; write USER:PASSWORD@ before the host");
        };
        let user = decoded("the user", user)?;
        let password = decoded("the password", password)?;
        proxy
            .clear_text_credentials(user, password)
            .or_else(|error| wrong(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxys_url_says_where_and_who_looks_names_up() {
        for (url, shown, locally) in [
            ("socks5://proxy.example", "proxy.example:1080", true),
            ("SOCKS5H://proxy.example/", "proxy.example:1080", false),
            ("http://[::1]:8080", "[::1]:8080", false),
        ] {
            let proxy = Proxy::from_url(url).unwrap();
            assert_eq!(proxy.to_string(), shown);
            assert_eq!(proxy.resolve_locally, locally);
        }
    }

    #[test]
    fn g9_discreet_a_proxys_url_is_refused_without_its_password() {
        for (url, part) in [
            ("proxy.example:1080", "begins with"),
            ("socks4://u:s3cret@proxy.example", "\"socks4\""),
            ("socks5://u:s3cret@proxy.example", "auth-without-tls=allow"),
            (
                "http://u:s3cret@proxy.example?auth-without-tls=yes",
                "allow",
            ),
            ("http://u:s3cret@proxy.example?x=y", "\"x\""),
            ("http://u:s3cret@proxy.example/path", "path"),
            (
                "http://u:s3cret@proxy.example:0?auth-without-tls=allow",
                "port",
            ),
            (
                "http://u:s3cret@pro%20xy?auth-without-tls=allow",
                "the host",
            ),
            (
                "http://s3cret@proxy.example?auth-without-tls=allow",
                "no password",
            ),
            (
                "http://u:s3cret%0d%0a@proxy.example?auth-without-tls=allow",
                "control",
            ),
            (
                "http://u%3Ax:s3cret@proxy.example?auth-without-tls=allow",
                "colon",
            ),
        ] {
            let error = Proxy::from_url(url).unwrap_err().to_string();
            assert!(error.contains(part), "{url}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        let url = "http://me:s3cret@proxy.example?auth-without-tls=allow";
        let shown = format!("{:?}", Proxy::from_url(url).unwrap());
        assert!(shown.contains("me") && !shown.contains("s3cret"), "{shown}");
    }
}
