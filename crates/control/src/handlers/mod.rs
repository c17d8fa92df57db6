//! What each route does.

mod coverage;
mod mail;
pub(crate) mod page;
mod rules;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};
use simnet::Plan;
use simnet::behaviour::{Behaviour, ServerTls};
use simnet::double::Claim;
use simnet::net::can_serve;

pub use coverage::coverage;
pub(crate) use coverage::{all_covered, covered};
pub use mail::tls;
pub(crate) use mail::{clear_messages, ledger, message, messages, raw, transcript};
pub(crate) use rules::{add_rules, clear_rules, release, remove_rule, rule, rules};

use crate::answer::{Answer, Body, Problem, answer, done, ok};
use crate::spaces::{Control, Wanted};

pub(crate) async fn health(State(control): State<Control>) -> Answer {
    ok(&json!({
        "status": "ready",
        "version": env!("CARGO_PKG_VERSION"),
        "listeners": control.listeners(),
    }))
}

pub(crate) async fn authority(State(control): State<Control>) -> Answer {
    let pem = control.authority().ok_or_else(|| {
        Problem::missing("there is no authority: this server was started without TLS")
    })?;
    let kind = [(header::CONTENT_TYPE, "application/pem-certificate-chain")];
    Ok((kind, pem).into_response())
}

pub(crate) async fn behaviours() -> Answer {
    let all: Vec<Value> = Behaviour::all().iter().map(describe).collect();
    ok(&json!({ "behaviours": all }))
}

fn describe(behaviour: &Behaviour) -> Value {
    let truth = match behaviour.truth {
        Claim::Delivered => "delivered",
        Claim::NotDelivered => "not-delivered",
        Claim::Unknown => "unknown",
    };
    json!({
        "name": behaviour.name,
        "case": behaviour.hostile_case().map(|case| case.title),
        "rfc": behaviour.rfc,
        "wrong": behaviour.wrong,
        "good": behaviour.good,
        "truth": truth,
        "needs": behaviour.needs.to_string(),
        "plan": behaviour.plan().one_line(),
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Explain {
    plan: String,
}

pub(crate) async fn explain(Body(Explain { plan }): Body<Explain>) -> Answer {
    let plan = whole(&plan)?;
    let rules = plan.rules.iter().map(|rule| {
        let told = rule.explain();
        json!({"rule": told.rule, "does": told.does, "good": told.good})
    });
    ok(&json!({"plan": plan.one_line(), "rules": rules.collect::<Vec<_>>()}))
}

/// A plan: as a file has it, on one line, or as rules alone.
fn whole(text: &str) -> Result<Plan, Problem> {
    let begins = |begin| text.trim_start().starts_with(begin);
    let parsed =
        match begins("v1") || begins("postbound-plan") {
            true => text.trim_start().parse::<Plan>(),
            false => format!("postbound-plan v1\n{text}").parse().map_err(
                |mut error: simnet::PlanError| {
                    error.line = error.line.saturating_sub(1);
                    error
                },
            ),
        };
    parsed.map_err(|error| Problem::bad(format!("plan: {error}")))
}

pub(crate) fn behaviour(name: &str) -> Result<Behaviour, Problem> {
    Behaviour::find(name).ok_or_else(|| {
        let like = Behaviour::like(name).join(", ");
        let why = format!("behaviour: there is no {name:?}; GET /v1/behaviours has them all");
        Problem::bad(if like.is_empty() {
            why
        } else {
            format!("{why}; near to it are {like}")
        })
    })
}

pub(crate) async fn list(State(control): State<Control>) -> Answer {
    let all: Vec<Value> = control.all().iter().map(|space| space.describe()).collect();
    ok(&json!({ "namespaces": all }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Make {
    name: Option<String>,
    plan: Option<String>,
    behaviour: Option<String>,
    tls: Option<String>,
    auth: Option<Auth>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Auth {
    mechanisms: Vec<String>,
    user: String,
    password: String,
}

pub(crate) async fn make(State(control): State<Control>, Body(make): Body<Make>) -> Answer {
    let mut plan = match &make.plan {
        Some(text) => whole(text)?,
        None => Plan::healthy(),
    };
    let mut tls = make.tls;
    let mut auth = make.auth.map(
        |Auth {
             mechanisms,
             user,
             password,
         }| { (mechanisms.join(" ").to_ascii_uppercase(), user, password) },
    );
    if let Some(name) = &make.behaviour {
        let behaviour = behaviour(name)?;
        plan.rules.extend(behaviour.plan().rules);
        let needed = match behaviour.needs.tls {
            ServerTls::StartTls => Some("starttls"),
            ServerTls::Implicit | ServerTls::Unexpected => Some("implicit"),
            _ => None,
        };
        tls = tls.or(needed.map(ToOwned::to_owned));
        if let (None, Some(mechanism)) = (&auth, behaviour.needs.auth) {
            let account = ("tester@double.example".to_owned(), "no-secret".to_owned());
            auth = Some((mechanism.to_owned(), account.0, account.1));
        }
    }
    can_serve(&plan).map_err(|why| Problem::bad(format!("plan: {why}")))?;
    let wanted = Wanted {
        name: make.name,
        plan,
        tls,
        auth,
    };
    let space = control.make(wanted).await?;
    answer(StatusCode::CREATED, &space.describe())
}

pub(crate) async fn look(State(control): State<Control>, Path(name): Path<String>) -> Answer {
    ok(&control.space(&name)?.describe())
}

pub(crate) async fn remove(State(control): State<Control>, Path(name): Path<String>) -> Answer {
    control.remove(&name)?;
    done()
}

pub(crate) async fn reset(State(control): State<Control>, Path(name): Path<String>) -> Answer {
    control.space(&name)?.double().reset();
    done()
}
