//! The OpenAPI document and the routes say the same, and answers are what the document says.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has to fail"
)]

mod common;

use std::collections::BTreeSet;

use common::{Running, send, start};
use postbound_control::{OPENAPI, routes};
use serde_json::{Map, Value, json};

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

#[test]
fn the_document_has_every_route_and_no_other() {
    let document = document();
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            described.insert((method.to_ascii_uppercase(), path.clone()));
            let named: BTreeSet<&str> = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            let there: BTreeSet<&str> = path
                .split('/')
                .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
                .collect();
            assert_eq!(named, there, "{path}");
        }
    }
    let routes: BTreeSet<(String, String)> = routes()
        .into_iter()
        .map(|(method, path)| (method.to_owned(), path.to_owned()))
        .collect();
    assert_eq!(described, routes);
}

/// What keeps a value from being what a schema says: as much of JSON Schema as the document uses.
fn misses(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let schema = document.pointer(name.trim_start_matches('#')).unwrap();
        return misses(document, schema, value, at);
    }
    let mut found = Vec::new();
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        found.push(format!("{at}: {value} is none of {allowed:?}"));
    }
    if !schema["const"].is_null() && schema["const"] != *value {
        found.push(format!("{at}: {value}"));
    }
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => panic!("{kind}"),
    };
    let kinds = match &schema["type"] {
        Value::String(kind) => vec![kind.as_str()],
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect(),
        _ => Vec::new(),
    };
    if !kinds.is_empty() && !kinds.into_iter().any(is) {
        found.push(format!("{at}: {value} is no {}", schema["type"]));
    }
    let empty = Map::new();
    let fields = value.as_object().unwrap_or(&empty);
    for name in schema["required"].as_array().into_iter().flatten() {
        // It is asked of objects only; what may be null need not have it.
        if value.is_object() && !fields.contains_key(name.as_str().unwrap()) {
            found.push(format!("{at}: {name} is missing"));
        }
    }
    for (name, field) in fields {
        match schema["properties"].get(name) {
            Some(schema) => found.extend(misses(document, schema, field, &format!("{at}/{name}"))),
            None if schema["additionalProperties"] == false => {
                found.push(format!("{at}: {name} is not described"));
            }
            None => {}
        }
    }
    for item in value.as_array().into_iter().flatten() {
        found.extend(misses(document, &schema["items"], item, &format!("{at}[]")));
    }
    found
}

#[test]
fn the_page_has_words_for_each_event_that_the_document_knows() {
    let document = document();
    let page = include_str!("../src/page/page.js");
    let words = page.split("const words = {").nth(1).unwrap();
    let words = words.split("};").next().unwrap();
    let known: BTreeSet<&str> = words
        .lines()
        .filter_map(|line| line.trim().split_once(": ("))
        .map(|(event, _)| event.trim_matches('"'))
        .collect();
    let events = document
        .pointer("/components/schemas/Event/properties/event/enum")
        .unwrap()
        .as_array()
        .unwrap();
    let events: BTreeSet<&str> = events.iter().map(|event| event.as_str().unwrap()).collect();
    assert_eq!(known, events);
}

#[tokio::test]
async fn coverage_is_in_xml_where_that_is_asked_for() {
    let server = start().await;
    for (query, accept) in [
        ("?format=junit", "*/*"),
        ("", "application/xml"),
        ("", "text/xml"),
    ] {
        let head = format!("Host: {}\r\nAccept: {accept}\r\n", server.address);
        let path = format!("/v1/coverage{query}");
        let reply = server.request("GET", &path, &head, "").await;
        assert!(
            reply.head.contains("content-type: application/xml"),
            "{}",
            reply.head
        );
        assert!(
            reply
                .body
                .contains("<testsuite name=\"postbound coverage\"")
        );
    }
}

async fn agrees(server: &Running, method: &str, path: &str, real: &str, body: &str) -> u16 {
    let document = document();
    let operation = &document["paths"][path][method.to_ascii_lowercase()];
    let reply = server.ask(method, real, body).await;
    let mut response = &operation["responses"][reply.status.to_string()];
    assert!(
        !response.is_null(),
        "{method} {real}: {} is not described",
        reply.status
    );
    if let Some(name) = response["$ref"].as_str() {
        response = document.pointer(name.trim_start_matches('#')).unwrap();
    }
    let Some((kind, content)) = response["content"]
        .as_object()
        .and_then(|c| c.iter().next())
    else {
        assert_eq!(reply.body, "", "{method} {real}");
        return reply.status;
    };
    assert!(
        reply.head.contains(&format!("content-type: {kind}")),
        "{method} {real}: {}",
        reply.head
    );
    if kind.ends_with("json") {
        let missed = misses(&document, &content["schema"], &reply.json(), "");
        assert_eq!(
            missed,
            Vec::<String>::new(),
            "{method} {real}: {}",
            reply.body
        );
    }
    reply.status
}

#[tokio::test]
async fn every_answer_is_as_the_document_says() {
    let server = start().await;
    send(server.smtp, "b@example.org", "Subject: x\r\n\r\ny").await;
    let rule = json!({"rule": "rcpt[times 1]: hold"}).to_string();
    server.ask("POST", "/v1/namespaces/main/rules", &rule).await;
    let rules = server.get("/v1/namespaces/main/rules").await;
    let id = rules["rules"][0]["id"].to_string();
    let body = |path: &str| match path {
        "/v1/explain" => json!({"plan": "rcpt: stall"}).to_string(),
        "/v1/namespaces" => json!({"name": "one"}).to_string(),
        path if path.ends_with("/rules") => rule.clone(),
        _ => String::new(),
    };
    // What takes away comes last.
    let mut all = routes();
    all.sort_by_key(|(method, path)| match (*method, *path) {
        ("DELETE", path) if path.ends_with("{rule}") => 1,
        ("DELETE", _) => 2,
        (_, path) if path.ends_with("reset") => 2,
        _ => 0,
    });
    for (method, path) in &all {
        let name = if *path == "/v1/namespaces/{namespace}" && *method == "DELETE" {
            "one"
        } else {
            "main"
        };
        let real = path
            .replace("{namespace}", name)
            .replace("{number}", "1")
            .replace("{rule}", &id);
        let body = if *method == "POST" {
            body(path)
        } else {
            String::new()
        };
        let status = agrees(&server, method, path, &real, &body).await;
        assert!((200..300).contains(&status), "{method} {real}: {status}");
    }
    for (method, path) in &all {
        if path.contains("{namespace}") {
            let real = path
                .replace("{namespace}", "no-such")
                .replace("{number}", "1")
                .replace("{rule}", "1");
            let body = if *method == "POST" {
                body(path)
            } else {
                String::new()
            };
            assert_eq!(
                agrees(&server, method, path, &real, &body).await,
                404,
                "{method} {path}"
            );
        }
        if *method == "POST" && !path.ends_with("reset") && !path.ends_with("release") {
            let real = path.replace("{namespace}", "main");
            assert_eq!(
                agrees(&server, method, path, &real, "[").await,
                400,
                "{method} {path}"
            );
        }
    }
}
