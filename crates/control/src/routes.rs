//! Every route in one table, and the document that describes them.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, post};

use crate::answer::Problem;
use crate::guard::guard;
use crate::handlers::{self as h, page};
use crate::spaces::Control;

/// The OpenAPI document, as it is served.
pub const OPENAPI: &str = include_str!("openapi.json");

/// Octets of a request's body.
const BODY: usize = 64 * 1024;

type Route = (&'static str, &'static str, MethodRouter<Control>);

fn table() -> Vec<Route> {
    vec![
        ("GET", "/", get(page::page)),
        ("GET", "/page.css", get(page::style)),
        ("GET", "/page.js", get(page::script)),
        ("GET", "/openapi.json", get(page::openapi)),
        ("GET", "/v1/health", get(h::health)),
        ("GET", "/v1/authority.pem", get(h::authority)),
        ("GET", "/v1/behaviours", get(h::behaviours)),
        ("POST", "/v1/explain", post(h::explain)),
        ("GET", "/v1/coverage", get(h::all_covered)),
        ("GET", "/v1/namespaces", get(h::list)),
        ("POST", "/v1/namespaces", post(h::make)),
        ("GET", "/v1/namespaces/{namespace}", get(h::look)),
        ("DELETE", "/v1/namespaces/{namespace}", delete(h::remove)),
        ("POST", "/v1/namespaces/{namespace}/reset", post(h::reset)),
        ("GET", "/v1/namespaces/{namespace}/rules", get(h::rules)),
        (
            "POST",
            "/v1/namespaces/{namespace}/rules",
            post(h::add_rules),
        ),
        (
            "DELETE",
            "/v1/namespaces/{namespace}/rules",
            delete(h::clear_rules),
        ),
        (
            "GET",
            "/v1/namespaces/{namespace}/rules/{rule}",
            get(h::rule),
        ),
        (
            "DELETE",
            "/v1/namespaces/{namespace}/rules/{rule}",
            delete(h::remove_rule),
        ),
        (
            "POST",
            "/v1/namespaces/{namespace}/rules/{rule}/release",
            post(h::release),
        ),
        (
            "GET",
            "/v1/namespaces/{namespace}/messages",
            get(h::messages),
        ),
        (
            "DELETE",
            "/v1/namespaces/{namespace}/messages",
            delete(h::clear_messages),
        ),
        (
            "GET",
            "/v1/namespaces/{namespace}/messages/{number}",
            get(h::message),
        ),
        (
            "GET",
            "/v1/namespaces/{namespace}/messages/{number}/raw",
            get(h::raw),
        ),
        ("GET", "/v1/namespaces/{namespace}/ledger", get(h::ledger)),
        (
            "GET",
            "/v1/namespaces/{namespace}/coverage",
            get(h::covered),
        ),
        (
            "GET",
            "/v1/namespaces/{namespace}/transcript",
            get(h::transcript),
        ),
    ]
}

/// Method and path of every route.
#[must_use]
pub fn routes() -> Vec<(&'static str, &'static str)> {
    table()
        .iter()
        .map(|(method, path, _)| (*method, *path))
        .collect()
}

pub(crate) fn router(control: Control) -> Router {
    let hosts = control.hosts();
    table()
        .into_iter()
        .fold(Router::new(), |router, (_, path, route)| {
            router.route(path, route)
        })
        .fallback(|uri: Uri| async move {
            let why = format!(
                "there is no {}; GET /openapi.json says what there is",
                uri.path()
            );
            Problem::missing(why)
        })
        .method_not_allowed_fallback(|| async {
            let why = "not with this method; GET /openapi.json says with which";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, why)
        })
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn_with_state(hosts, guard))
        .with_state(control)
}
