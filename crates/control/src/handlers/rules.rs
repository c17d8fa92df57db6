//! The rules of a namespace.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use simnet::{RuleFacts, RuleId};

use super::behaviour;
use crate::answer::{Answer, Body, Problem, answer, done, ok};
use crate::spaces::{Control, RULES};

fn describe(facts: &RuleFacts) -> Value {
    json!({
        "id": facts.id.get(),
        "rule": facts.rule,
        "name": facts.name,
        "strikes": facts.strikes,
        "expected": facts.expected,
        "unmet": facts.is_unmet(),
        "nearest": facts.nearest,
    })
}

pub(crate) async fn rules(State(control): State<Control>, Path(name): Path<String>) -> Answer {
    let facts = control.space(&name)?.double().rules().facts();
    ok(&json!({"rules": facts.iter().map(describe).collect::<Vec<_>>()}))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Add {
    rule: Option<String>,
    rules: Vec<String>,
    behaviour: Option<String>,
}

/// Sets them all or none.
pub(crate) async fn add_rules(
    State(control): State<Control>,
    Path(name): Path<String>,
    Body(add): Body<Add>,
) -> Answer {
    let space = control.space(&name)?;
    let mut texts: Vec<String> = add.rule.into_iter().chain(add.rules).collect();
    if let Some(name) = &add.behaviour {
        let rules = behaviour(name)?.plan().rules;
        texts.extend(rules.iter().map(ToString::to_string));
    }
    if texts.is_empty() {
        return Err(Problem::bad("expected rule, rules or behaviour"));
    }
    let rules = space.double().rules();
    if rules.len() + texts.len() > RULES {
        let why = format!("no more than {RULES} rules; DELETE those that are done");
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, why));
    }
    let wrong = |text: &str, error| Problem::bad(format!("rule {text:?}: {error}"));
    let mut ids: Vec<RuleId> = Vec::new();
    // Those set later are looked for earlier: the first of a list comes first.
    for text in texts.iter().rev() {
        match space.double().rule(text) {
            Ok(id) => ids.push(id),
            Err(error) => {
                for id in ids {
                    rules.remove(id);
                }
                return Err(wrong(text, error));
            }
        }
    }
    let facts = rules.facts();
    let set = facts.iter().filter(|facts| ids.contains(&facts.id));
    answer(
        StatusCode::CREATED,
        &json!({"rules": set.map(describe).collect::<Vec<_>>()}),
    )
}

pub(crate) async fn clear_rules(
    State(control): State<Control>,
    Path(name): Path<String>,
) -> Answer {
    control.space(&name)?.double().rules().clear();
    done()
}

pub(crate) async fn remove_rule(
    State(control): State<Control>,
    Path((name, rule)): Path<(String, String)>,
) -> Answer {
    let space = control.space(&name)?;
    let id = rule
        .parse()
        .map_err(|_| Problem::bad(format!("{rule:?} is no rule's id")))?;
    if space.double().rules().remove(RuleId::new(id)) {
        done()
    } else {
        Err(Problem::missing(format!(
            "there is no rule {id} in {name:?}"
        )))
    }
}
