//! The page, and the document of the interface.

use axum::http::header;
use axum::response::IntoResponse;

use crate::answer::Answer;
use crate::routes::OPENAPI;

fn text(kind: &'static str, text: &'static str) -> Answer {
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

pub(crate) async fn page() -> Answer {
    text(
        "text/html; charset=utf-8",
        include_str!("../page/page.html"),
    )
}

pub(crate) async fn style() -> Answer {
    text("text/css; charset=utf-8", include_str!("../page/page.css"))
}

pub(crate) async fn script() -> Answer {
    text(
        "text/javascript; charset=utf-8",
        include_str!("../page/page.js"),
    )
}

pub(crate) async fn openapi() -> Answer {
    text("application/json", OPENAPI)
}
