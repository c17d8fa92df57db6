//! The rules of a namespace.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use simnet::{RuleFacts, RuleId};

use super::behaviour;
use super::mail::waits;
use crate::answer::{Answer, Body, Problem, answer, done, ok};
use crate::spaces::{Control, RULES, Space};

fn describe(facts: &RuleFacts) -> Value {
    json!({
        "id": facts.id.get(),
        "rule": facts.rule,
        "name": facts.name,
        "strikes": facts.strikes,
        "expected": facts.expected,
        "unmet": facts.is_unmet(),
        "holds": facts.holds,
        "waiting": facts.waiting,
        "nearest": facts.nearest,
    })
}

/// The rule with this name or, if none is called so, with this number.
fn find(space: &Space, rule: &str) -> Result<RuleFacts, Problem> {
    let facts = space.double().rules().facts();
    let named = |facts: &&RuleFacts| facts.name.as_deref() == Some(rule);
    let numbered = |facts: &&RuleFacts| facts.id.to_string() == rule;
    let found = facts.iter().find(named);
    let found = found.or_else(|| facts.iter().find(numbered)).cloned();
    found.ok_or_else(|| {
        let name = &space.name;
        Problem::missing(format!("there is no rule {rule:?} in {name:?}"))
    })
}

/// How many replies, and for how long to wait for so many to be held.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Held {
    count: Option<usize>,
    wait: Option<String>,
}

type Asked = Result<Query<Held>, QueryRejection>;

fn asked(asked: Asked) -> Result<Held, Problem> {
    let Query(held) = asked.map_err(|error| Problem::bad(error.body_text()))?;
    Ok(held)
}

/// One rule, once it holds so many replies or the time is over.
pub(crate) async fn rule(
    State(control): State<Control>,
    Path((name, rule)): Path<(String, String)>,
    query: Asked,
) -> Answer {
    let asked = asked(query)?;
    let wait = waits(asked.wait.as_deref())?;
    let id = find(control.space(&name)?.as_ref(), &rule)?.id;
    let replies = asked.count.unwrap_or(1);
    // Whoever waits does not keep a namespace that is deleted meanwhile.
    let rules = control.space(&name)?.double().rules().clone();
    rules.waiting_within(id, replies, wait).await;
    ok(&describe(&find(control.space(&name)?.as_ref(), &rule)?))
}

/// Lets replies go that the rule holds: so many, or all of them and all that come.
pub(crate) async fn release(
    State(control): State<Control>,
    Path((name, rule)): Path<(String, String)>,
    query: Asked,
) -> Answer {
    let asked = asked(query)?;
    if asked.wait.is_some() {
        return Err(Problem::bad("wait: it is for GET, which says who is held"));
    }
    let space = control.space(&name)?;
    let facts = find(&space, &rule)?;
    let rules = space.double().rules();
    let released = match asked.count {
        Some(count) if facts.holds => {
            let one = |_| rules.release_one(facts.id);
            Some((0..count).map_while(one).collect())
        }
        Some(_) => None,
        // Once more does no harm.
        None => rules.release(facts.id),
    };
    let released = released.ok_or_else(|| {
        let why = format!("`{}` holds no reply", facts.rule);
        Problem::new(StatusCode::CONFLICT, why)
    })?;
    let waiting = find(&space, &facts.id.to_string())?.waiting;
    ok(&json!({"released": released, "waiting": waiting}))
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
    space.double().rules().remove(find(&space, &rule)?.id);
    done()
}
