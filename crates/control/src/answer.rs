//! What is answered: JSON, or a problem (RFC 9457) that says what was wrong and what to do.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// What a request is refused with.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
        }
    }

    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn missing(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Problem"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        (self.status, kind, format!("{body}\n")).into_response()
    }
}

/// An answer, or a problem.
pub(crate) type Answer = Result<Response, Problem>;

/// An answer in JSON.
pub(crate) fn ok(body: &Value) -> Answer {
    answer(StatusCode::OK, body)
}

/// The same with another status.
pub(crate) fn answer(status: StatusCode, body: &Value) -> Answer {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Ok((status, kind, format!("{body}\n")).into_response())
}

/// Done, and nothing more to say.
pub(crate) fn done() -> Answer {
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A request's body in JSON. It has to be called that: a page of another origin can't say so without
/// asking first, and is never answered.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body has to be JSON, and be called so: Content-Type: application/json",
            ));
        }
        let octets = Bytes::from_request(request, state)
            .await
            .map_err(|error: BytesRejection| Problem::new(error.status(), error.body_text()))?;
        serde_json::from_slice(&octets)
            .map(Self)
            .map_err(|error| Problem::bad(format!("the body: {error}")))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim() == "application/json"
}
