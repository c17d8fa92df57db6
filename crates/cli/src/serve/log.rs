//! What `serve` prints and writes.

use serde_json::{Value, json};
use simnet::Entry;
use simnet::dns::Server;
use tokio::net::TcpListener;

use super::Arguments;
use super::listeners::Listener;

/// One line that says that everything listens, and where: the main address first.
pub(super) fn ready(
    arguments: &Arguments,
    listeners: &[Listener],
    control: Option<&(TcpListener, String)>,
    dns: Option<&Server>,
) {
    let Some(main) = listeners.first() else {
        return;
    };
    let dns = dns.map(|server| server.local_addr().to_string());
    if arguments.json {
        let each: Vec<Value> = listeners.iter().map(describe).collect();
        let plan = main.loopback.double().plan().one_line();
        println!(
            "{}",
            json!({"event": "ready", "address": main.address(), "plan": plan, "listeners": each, "control": control.map(|(_, url)| url), "dns": dns})
        );
        return;
    }
    let mut line = format!("ready {}", main.address());
    for listener in listeners.iter().skip(1) {
        line.push_str(&format!(" {}={}", listener.name, listener.address()));
    }
    if let Some((_, url)) = control {
        line.push_str(&format!(" control={url}"));
    }
    if let Some(dns) = dns {
        line.push_str(&format!(" dns={dns}"));
    }
    println!("{line}");
}

pub(super) fn describe(listener: &Listener) -> Value {
    json!({
        "name": listener.name,
        "address": listener.address(),
        "tls": listener.tls,
        "plan": listener.loopback.double().plan().one_line(),
    })
}

pub(super) fn entry(entry: &Entry, as_json: bool) {
    if !as_json {
        println!("{entry}");
        return;
    }
    let at = entry.at.as_secs_f64();
    let (event, detail) = (entry.event.kind(), entry.event.detail());
    println!(
        "{}",
        json!({"at": at, "connection": entry.connection, "event": event, "detail": detail})
    );
}
