//! Who may ask: nobody from elsewhere, and no page of another origin.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::answer::Problem;

/// Names and addresses by which it may be called, besides those of the loopback.
pub(crate) type Hosts = Arc<BTreeSet<String>>;

/// Looks at a request before anything else does, and makes every answer one that a browser does
/// nothing with but show it.
pub(crate) async fn guard(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let mut response = match refused(&hosts, &request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

fn refused(hosts: &BTreeSet<String>, request: &Request) -> Option<Problem> {
    let text = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let host = text(header::HOST).unwrap_or_default();
    if !is_ours(hosts, host) {
        let why = "the Host of the request is neither a loopback address nor localhost, nor allowed with --control-host";
        return Some(Problem::new(StatusCode::MISDIRECTED_REQUEST, why));
    }
    let foreign = text(header::ORIGIN).is_some_and(|origin| origin != format!("http://{host}"));
    let site = text(HeaderName::from_static("sec-fetch-site"));
    // A person may follow a link to the page; nothing else comes from another site.
    let visit = request.uri().path() == "/" && request.method().is_safe();
    if foreign || (site.is_some_and(|site| !["same-origin", "none"].contains(&site)) && !visit) {
        let why = "a page of another origin has no business here";
        return Some(Problem::new(StatusCode::FORBIDDEN, why));
    }
    None
}

/// Whether it is called by a name that is its own, whatever the port.
fn is_ours(hosts: &BTreeSet<String>, host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.to_ascii_lowercase();
    name == "localhost"
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
        || hosts.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn only_the_loopback_and_what_was_allowed_is_ours() {
        let hosts = ["double.test".to_owned()].into();
        for (host, ours) in [
            ("127.0.0.1:8025", true),
            ("127.0.0.1", true),
            ("[::1]:8025", true),
            ("localhost:8025", true),
            ("LOCALHOST", true),
            ("double.test:80", true),
            ("", false),
            ("evil.example:8025", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example", false),
            ("192.0.2.1:8025", false),
            ("[2001:db8::1]", false),
        ] {
            assert_eq!(is_ours(&hosts, host), ours, "{host}");
        }
    }
}
