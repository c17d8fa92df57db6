//! What of the faults was struck, and goals that have to be.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};
use simnet::Phase;
use simnet::coverage::{Coverage, Goal};

use crate::answer::{Answer, Problem, ok};
use crate::spaces::Control;

/// What was covered as the control interface and `serve --coverage` tell it: phases that clients came
/// to, cells that were struck, and the goals with those that were missed.
#[must_use]
pub fn coverage(coverage: &Coverage, goals: &[Goal]) -> Value {
    // The client's own waits, and the look-up, are none of the server's.
    let unseen = [Phase::Checkout, Phase::Backoff, Phase::Resolve];
    let phases = Phase::ALL.iter().filter(|phase| !unseen.contains(phase));
    let phases: Vec<Value> = phases
        .map(|phase| json!({"phase": phase.name(), "reached": coverage.reached(*phase)}))
        .collect();
    let cell = |cell: simnet::coverage::Cell| {
        json!({
            "place": cell.place.name(),
            "fault": cell.kind,
            "strikes": cell.strikes,
            "committed": cell.committed,
        })
    };
    let cells: Vec<Value> = coverage.cells().into_iter().map(cell).collect();
    let reached =
        |goal: &Goal| json!({"goal": goal.to_string(), "strikes": coverage.strikes(goal)});
    let missed: Vec<String> = coverage.missed(goals).map(ToString::to_string).collect();
    json!({
        "messages": coverage.messages(),
        "phases": phases,
        "cells": cells,
        "goals": goals.iter().map(reached).collect::<Vec<_>>(),
        "missed": missed,
    })
}

type Asked = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// Goals, of which there may be several, and whether XML is wanted.
fn asked(asked: Asked, headers: &HeaderMap) -> Result<(Vec<Goal>, bool), Problem> {
    let Query(pairs) = asked.map_err(|error| Problem::bad(error.body_text()))?;
    let accept = headers.get(header::ACCEPT);
    let accept = accept
        .and_then(|kinds| kinds.to_str().ok())
        .unwrap_or_default();
    // A browser takes XML, too, but not in the first place.
    let wants =
        accept.contains("/xml") && !["json", "html"].iter().any(|kind| accept.contains(kind));
    let (mut goals, mut xml) = (Vec::new(), wants);
    for (name, value) in pairs {
        match (name.as_str(), value.as_str()) {
            ("goal", goal) => {
                let goal = goal.parse::<Goal>();
                goals.push(goal.map_err(|error| Problem::bad(format!("goal: {error}")))?);
            }
            ("format", "json") => xml = false,
            ("format", "junit") => xml = true,
            ("format", _) => return Err(Problem::bad("format: expected json or junit")),
            (name, _) => {
                let why = format!("{name:?}: expected goal, which may be there again, or format");
                return Err(Problem::bad(why));
            }
        }
    }
    Ok((goals, xml))
}

fn answer(covered: &Coverage, (goals, xml): &(Vec<Goal>, bool)) -> Answer {
    if *xml {
        let kind = [(header::CONTENT_TYPE, "application/xml")];
        return Ok((kind, covered.junit(goals)).into_response());
    }
    ok(&coverage(covered, goals))
}

/// Of one namespace.
pub(crate) async fn covered(
    State(control): State<Control>,
    Path(name): Path<String>,
    headers: HeaderMap,
    query: Asked,
) -> Answer {
    let wanted = asked(query, &headers)?;
    answer(&control.space(&name)?.double().coverage(), &wanted)
}

/// Of all namespaces, those that are gone among them.
pub(crate) async fn all_covered(
    State(control): State<Control>,
    headers: HeaderMap,
    query: Asked,
) -> Answer {
    answer(&control.coverage(), &asked(query, &headers)?)
}
