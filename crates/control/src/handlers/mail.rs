//! What came: messages, findings and the transcript.

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use simnet::{Delivery, Entry, TlsFacts};
use tokio::time::{Instant, sleep};

use crate::answer::{Answer, Problem, done, ok};
use crate::spaces::{Control, Space};

/// The longest that a request may wait for something to come.
const WAIT: Duration = Duration::from_secs(60);
/// Messages and events in one answer.
const MOST: usize = 1_000;
/// Octets of a message's text in an answer; the whole is there in raw form.
const TEXT: usize = 64 * 1024;

/// From where on, and for how long to wait if there is nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Since {
    since: u64,
    count: Option<u64>,
    wait: Option<String>,
}

type Asked = Result<Query<Since>, QueryRejection>;

fn asked(asked: Asked) -> Result<(Since, Duration), Problem> {
    let Query(since) = asked.map_err(|error| Problem::bad(error.body_text()))?;
    let wait = waits(since.wait.as_deref())?;
    Ok((since, wait))
}

/// For how long a request says that it waits.
pub(super) fn waits(wait: Option<&str>) -> Result<Duration, Problem> {
    let wait = match wait {
        None => Duration::ZERO,
        Some(text) => simnet::plan::parse_duration(text)
            .map_err(|expected| Problem::bad(format!("wait: expected {expected}")))?,
    };
    Ok(wait.min(WAIT))
}

fn describe(number: u64, delivery: &Delivery) -> Value {
    json!({
        "number": number,
        "connection": delivery.connection,
        "server": delivery.server,
        "ehlo": delivery.ehlo,
        "reverse_path": delivery.reverse_path,
        "forward_paths": delivery.forward_paths,
        "parameters": delivery.parameters,
        "rcpt_parameters": delivery.rcpt_parameters,
        "octets": delivery.octets.len(),
        "tls": tls(delivery.tls.as_ref()),
    })
}

/// What was agreed on under TLS, as the control interface and the mailbox's files tell it.
#[must_use]
pub fn tls(facts: Option<&TlsFacts>) -> Value {
    facts.map_or(Value::Null, |facts| {
        let certificate = facts.client_certificate.as_ref();
        json!({
            "version": facts.version,
            "cipher_suite": facts.cipher_suite,
            "server_name": facts.server_name,
            "client_certificate": certificate.map(|der| STANDARD.encode(der)),
        })
    })
}

/// Those behind the one with the number `since`; they are counted from 1.
pub(crate) async fn messages(
    State(control): State<Control>,
    Path(name): Path<String>,
    query: Asked,
) -> Answer {
    let (since, wait) = asked(query)?;
    // Whoever waits does not keep a namespace that is deleted meanwhile.
    let double = control.space(&name)?.double().clone();
    let ledger = double.ledger();
    let enough = since.since.saturating_add(since.count.unwrap_or(1));
    let deadline = Instant::now() + wait;
    ledger
        .wait(deadline, |ledger| ledger.ever() >= enough)
        .await;
    let (first, messages) = ledger.since(since.since);
    let messages = (first + 1..).zip(&messages).take(MOST);
    let messages: Vec<Value> = messages
        .map(|(number, one)| describe(number, one))
        .collect();
    ok(&json!({ "messages": messages }))
}

pub(crate) async fn clear_messages(
    State(control): State<Control>,
    Path(name): Path<String>,
) -> Answer {
    let _ = control.space(&name)?.double().ledger().drain();
    done()
}

fn find(space: &Space, number: &str) -> Result<(u64, Delivery), Problem> {
    let missing = || {
        Problem::missing(format!(
            "there is no message {number:?} in {:?}",
            space.name
        ))
    };
    let number: u64 = number.parse().map_err(|_| missing())?;
    let index = number.checked_sub(1).ok_or_else(missing)?;
    let message = space.double().ledger().get(index);
    message.map(|message| (number, message)).ok_or_else(missing)
}

pub(crate) async fn message(
    State(control): State<Control>,
    Path((name, number)): Path<(String, String)>,
) -> Answer {
    let (number, message) = find(&*control.space(&name)?, &number)?;
    let text = message.octets.get(..TEXT).unwrap_or(&message.octets);
    let mut described = describe(number, &message);
    if let Some(fields) = described.as_object_mut() {
        fields.insert("text".to_owned(), String::from_utf8_lossy(text).into());
        fields.insert(
            "is_whole".to_owned(),
            (text.len() == message.octets.len()).into(),
        );
    }
    ok(&described)
}

/// The octets, for a program; a browser saves them and shows nothing.
pub(crate) async fn raw(
    State(control): State<Control>,
    Path((name, number)): Path<(String, String)>,
) -> Answer {
    let (_, message) = find(&*control.space(&name)?, &number)?;
    let kind = [
        (header::CONTENT_TYPE, "message/rfc822"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"message.eml\"",
        ),
    ];
    Ok((kind, message.octets).into_response())
}

pub(crate) async fn ledger(State(control): State<Control>, Path(name): Path<String>) -> Answer {
    let space = control.space(&name)?;
    let double = space.double();
    let ledger = double.ledger();
    let findings = ledger.findings();
    let findings = findings
        .iter()
        .map(|finding| json!({"connection": finding.connection, "what": finding.what}));
    let facts = double.rules().facts();
    let unmet = facts
        .iter()
        .filter(|facts| facts.is_unmet())
        .map(ToString::to_string);
    ok(&json!({
        "messages": ledger.committed(),
        "connections": ledger.connections(),
        "open": ledger.open_connections(),
        "findings": findings.collect::<Vec<_>>(),
        "unmet": unmet.collect::<Vec<_>>(),
    }))
}

fn event(number: u64, entry: &Entry) -> Value {
    json!({
        "number": number,
        "at": entry.at.as_secs_f64(),
        "connection": entry.connection,
        "event": entry.event.kind(),
        "detail": entry.event.detail(),
    })
}

/// The events from the number `since` on; they are counted from 0.
pub(crate) async fn transcript(
    State(control): State<Control>,
    Path(name): Path<String>,
    query: Asked,
) -> Answer {
    let (since, wait) = asked(query)?;
    let space = control.space(&name)?;
    let deadline = Instant::now() + wait;
    let (first, entries) = loop {
        let (first, entries) = space.double().trace().since(since.since);
        if !entries.is_empty() || Instant::now() >= deadline {
            break (first, entries);
        }
        sleep(Duration::from_millis(20)).await;
    };
    let events: Vec<Value> = (first..)
        .zip(&entries)
        .take(MOST)
        .map(|(number, entry)| event(number, entry))
        .collect();
    let next = first + events.len() as u64;
    ok(&json!({ "next": next, "events": events }))
}
