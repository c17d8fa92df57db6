//! What is listened on: the main port, those that were named, and the range of ports.

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::str::FromStr;

use simnet::behaviour::{Behaviour, ServerTls};
use simnet::double::Caps;
use simnet::net::loopback::Loopback;
use simnet::tls::{Authority, Tls};
use simnet::{Double, Front, Plan, Triggers, port_faults};

use super::mailbox::Mailbox;
use super::{Arguments, LOOPBACK, Mode, mode, possible, script};
use crate::account::password;
use crate::exit::{self, Stop};

/// A listener that was asked for by name.
#[derive(Clone, Debug)]
pub(super) struct Extra {
    name: String,
    port: u16,
    plan: Plan,
    /// As the behaviour needs it; else as the main port has it.
    implicit_tls: Option<bool>,
}

impl FromStr for Extra {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (place, what) = text
            .split_once('=')
            .ok_or("expected NAME[@PORT]=WHAT; there is no =")?;
        let (name, port) = match place.split_once('@') {
            Some((name, port)) => {
                let port = port.parse().map_err(|_| format!("{port:?} is no port"))?;
                (name, port)
            }
            None => (place, 0),
        };
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
        if name.is_empty() || !name.bytes().all(plain) || ["main", "control", "dns"].contains(&name)
        {
            let why = "a name is of letters, digits and -, and neither main nor control nor dns";
            return Err(format!("{name:?}: {why}"));
        }
        let (plan, implicit_tls) = match Behaviour::find(what.trim()) {
            Some(behaviour) => {
                let implicit_tls = match behaviour.needs.tls {
                    ServerTls::StartTls => Some(false),
                    ServerTls::Implicit | ServerTls::Unexpected => Some(true),
                    _ => None,
                };
                (behaviour.plan(), implicit_tls)
            }
            None => {
                let plan = format!("v1 | {what}").parse();
                let hint = "a behaviour's name, or rules";
                (plan.map_err(|e| format!("{what:?}: {e}; {hint}"))?, None)
            }
        };
        Ok(Self {
            name: name.to_owned(),
            port,
            plan,
            implicit_tls,
        })
    }
}

/// A port that is listened on.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) name: String,
    pub(super) loopback: Loopback,
    /// `none`, `starttls` or `implicit`.
    pub(super) tls: &'static str,
}

impl Listener {
    /// Where it listens.
    pub(super) fn address(&self) -> String {
        let address = self.loopback.local_addr();
        address.map_or_else(String::new, |address: SocketAddr| address.to_string())
    }
}

/// What is open, the main one first, and how TLS is done.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) listeners: Vec<Listener>,
    /// TLS, and its authority's certificate in PEM.
    pub(super) tls: Option<(Tls, String)>,
}

/// TLS with certificates that nobody else has.
fn authority(arguments: &Arguments) -> Result<(Tls, String), Stop> {
    let no = |error| Stop::new(exit::SYSTEM, format!("no certificate: {error}"));
    let authority = Authority::fresh().map_err(no)?;
    if let Some(file) = &arguments.ca {
        fs::write(file, authority.pem()).map_err(|error| {
            let file = file.display();
            Stop::new(exit::OUTPUT, format!("{file} can't be written: {error}"))
        })?;
    }
    Ok((Tls::starttls(&authority).map_err(no)?, authority.pem()))
}

/// Opens all of them, with one mailbox and one transcript.
pub(super) async fn open(arguments: &Arguments, plan: Plan) -> Result<Opened, Stop> {
    let mode = mode(arguments)?;
    let wants_tls = mode.is_some()
        || arguments.ports.is_some()
        // Namespaces may ask for it.
        || arguments.control.is_some()
        || arguments
            .listener
            .iter()
            .any(|one| one.implicit_tls.is_some());
    let secured = match wants_tls {
        true => Some(authority(arguments)?),
        false if arguments.ca.is_some() => {
            let why = "--ca without --tls: there is no certificate to trust";
            return Err(Stop::new(exit::USAGE, why));
        }
        false => None,
    };
    let tls = secured.as_ref().map(|(tls, _)| tls);
    let mut double = Double::new(plan)
        .with_script(script(arguments)?)
        .capped(Caps::default());
    if let Some(folder) = &arguments.mailbox {
        let mailbox = Mailbox::open(folder)?;
        double = double.keeping(move |number, delivery| mailbox.store(number, delivery));
    }
    if arguments.proxy {
        double = double.behind(match &arguments.proxy_user {
            Some(user) => Front::with_credentials(user, password()?),
            None => Front::open(),
        });
    }
    if !arguments.no_triggers {
        double = double.with_triggers(Triggers::default());
    }
    let implicit = mode.map(|mode| mode == Mode::Implicit);
    let ip = arguments.expose_to_network.unwrap_or(LOOPBACK);
    let place = |port| SocketAddr::new(ip, port);
    let mut all = vec![listen("main", &double, None, place(arguments.port), implicit, tls).await?];
    for Extra {
        name,
        port,
        plan,
        implicit_tls,
    } in &arguments.listener
    {
        possible(plan)?;
        if let Some(rule) = plan.rules.iter().find(|rule| rule.holds()) {
            // The control interface has the main listener's rules.
            let why = format!("{name}: `{rule}`: only the main listener's rules can be let go");
            return Err(Stop::new(exit::USAGE, why));
        }
        let implicit = implicit_tls.or(implicit);
        if all.iter().any(|listener| listener.name == *name) {
            let why = format!("two listeners are called {name}");
            return Err(Stop::new(exit::USAGE, why));
        }
        all.push(listen(name, &double, Some(plan), place(*port), implicit, tls).await?);
    }
    for fault in port_faults() {
        let Some(first) = arguments.ports else {
            break;
        };
        let port = match first {
            0 => 0,
            first => first.checked_add(fault.offset).ok_or_else(|| {
                let why = "--ports: the range goes beyond 65535";
                Stop::new(exit::USAGE, why)
            })?,
        };
        let implicit = fault.implicit_tls.then_some(true);
        let listener = listen(
            fault.name,
            &double,
            Some(&fault.plan),
            place(port),
            implicit,
            tls,
        );
        all.push(listener.await?);
    }
    Ok(Opened {
        listeners: all,
        tls: secured,
    })
}

async fn listen(
    name: &str,
    double: &Double,
    plan: Option<&Plan>,
    place: SocketAddr,
    implicit: Option<bool>,
    tls: Option<&Tls>,
) -> Result<Listener, Stop> {
    let mut double = double.clone();
    if let Some(plan) = plan {
        double = double.with_plan(plan.clone());
    }
    let mut how = "none";
    if let (Some(implicit), Some(tls)) = (implicit, tls) {
        double = double.with_tls(tls.clone().with_implicit(implicit));
        how = if implicit { "implicit" } else { "starttls" };
    }
    let loopback = Loopback::expose_at(double, place).await.map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::AddrInUse | ErrorKind::PermissionDenied => "; try --port 0",
            ErrorKind::AddrNotAvailable => "; --expose-to-network takes an address of this machine",
            _ => "",
        };
        Stop::new(exit::SYSTEM, format!("{place} can't be had: {error}{hint}"))
    })?;
    Ok(Listener {
        name: name.to_owned(),
        loopback,
        tls: how,
    })
}
