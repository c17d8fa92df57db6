//! What became of a message, for people and as JSON.

use postbound::{Error, Receipt, Recipient, Timings};
use serde_json::{Value, json};

use crate::words::brief;

/// What became of the message, in a few lines.
pub(crate) fn describe(result: &Result<Receipt, Error>) -> String {
    let mut lines = Vec::new();
    match result {
        Ok(receipt) => {
            lines.push(format!(
                "accepted by {}: {}",
                receipt.endpoint(),
                receipt.reply()
            ));
            lines.extend(
                receipt.refused().map(|recipient| {
                    format!("  refused: {} {}", recipient.path(), said(recipient))
                }),
            );
            lines.push(format!(
                "  {} octets in {}",
                receipt.octets(),
                brief(receipt.elapsed())
            ));
            lines.push(format!("  waits: {}", waits(receipt.timings())));
            lines.extend(receipt.earlier().iter().map(before));
        }
        Err(error) => {
            lines.push(format!("{}: {error}", error.outcome()));
            let mut cause = std::error::Error::source(error);
            while let Some(error) = cause {
                let why = error.to_string();
                // Some causes are all that there is to say, and said already.
                if !lines.first().is_some_and(|said| said.contains(&why)) {
                    lines.push(format!("  because: {why}"));
                }
                cause = error.source();
            }
            if let Some(detail) = error.auth_detail() {
                lines.push(format!("  the server said of the credentials: {detail}"));
            }
            for attempt in error.attempts() {
                let why = attempt
                    .error
                    .as_ref()
                    .map_or("no answer".to_owned(), ToString::to_string);
                lines.push(format!("  tried {}: {why}", attempt.address));
            }
            for recipient in error.recipients().iter().filter(|r| r.reply().is_some()) {
                lines.push(format!("  {} {}", recipient.path(), said(recipient)));
            }
            lines.push(format!("  waits: {}", waits(error.timings())));
            lines.extend(error.earlier().iter().map(before));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

/// A failure that came before, on one line.
fn before(error: &Error) -> String {
    format!("  before that: {error}")
}

/// The final reply for this recipient, or what was said to its RCPT.
fn said(recipient: &Recipient) -> String {
    recipient
        .final_reply()
        .or(recipient.reply())
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn waits(timings: &Timings) -> String {
    timings
        .iter()
        .map(|(phase, spent)| format!("{phase} {}", brief(spent)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What became of the message, as one object.
pub(crate) fn as_json(result: &Result<Receipt, Error>) -> Value {
    let recipients = |recipients: &[Recipient]| -> Vec<Value> {
        recipients
            .iter()
            .map(|r| json!({"path": r.path().as_str(), "accepted": r.is_accepted(), "reply": r.reply().map(ToString::to_string), "final_reply": r.final_reply().map(ToString::to_string), "outcome": r.outcome().to_string()}))
            .collect()
    };
    let timings = |timings: &Timings| -> Value {
        timings
            .iter()
            .map(|(phase, spent)| (phase.name().to_owned(), json!(spent.as_secs_f64())))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let earlier = |errors: &[Error]| -> Vec<Value> {
        errors
            .iter()
            .map(|e| json!({"endpoint": e.endpoint(), "phase": e.phase().name(), "error": e.kind().to_string(), "outcome": e.outcome().to_string(), "elapsed": e.elapsed().as_secs_f64()}))
            .collect()
    };
    match result {
        Ok(receipt) => json!({
            "outcome": "accepted",
            "endpoint": receipt.endpoint(),
            "address": receipt.address().to_string(),
            "reply": receipt.reply().to_string(),
            "recipients": recipients(receipt.recipients()),
            "earlier": earlier(receipt.earlier()),
            "octets": receipt.octets(),
            "elapsed": receipt.elapsed().as_secs_f64(),
            "phases": timings(receipt.timings()),
        }),
        Err(error) => json!({
            "outcome": error.outcome().to_string(),
            "endpoint": error.endpoint(),
            "address": error.address().map(|a| a.to_string()),
            "phase": error.phase().name(),
            "error": error.kind().to_string(),
            "cause": std::error::Error::source(error).map(ToString::to_string),
            "reply": error.reply().map(ToString::to_string),
            "recipients": recipients(error.recipients()),
            "earlier": earlier(error.earlier()),
            "elapsed": error.elapsed().as_secs_f64(),
            "phases": timings(error.timings()),
        }),
    }
}
