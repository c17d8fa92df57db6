//! The namespaces: doubles beside each other that know nothing of each other.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use simnet::coverage::Coverage;
use simnet::double::Caps;
use simnet::net::loopback::Loopback;
use simnet::tls::Tls;
use simnet::{Account, Double, Plan, Script, Triggers};

use crate::answer::Problem;
use crate::guard::Hosts;
use axum::http::StatusCode;

/// Namespaces at once, the main one among them.
pub const NAMESPACES: usize = 64;
/// Rules of a namespace.
pub const RULES: usize = 1_000;

/// What a namespace may hold: a small part of what the main one may.
fn caps() -> Caps {
    let mut caps = Caps::default();
    caps.messages = 200;
    caps.mailbox_octets = 16 * 1024 * 1024;
    caps.transcript_events = 5_000;
    caps.transcript_octets = 2 * 1024 * 1024;
    caps
}

/// The namespace of the server itself.
pub(crate) const MAIN: &str = "main";

/// The control interface. Clones share everything.
#[derive(Clone, Debug)]
pub struct Control {
    spaces: Arc<Mutex<Spaces>>,
    /// Where the main one listens.
    address: IpAddr,
    tls: Option<Tls>,
    authority: Option<Arc<str>>,
    hosts: Hosts,
    more: Arc<Vec<Value>>,
}

#[derive(Debug)]
struct Spaces {
    all: BTreeMap<String, Arc<Space>>,
    made: u64,
    /// What namespaces struck that are gone.
    gone: Coverage,
}

/// A double with its port.
#[derive(Debug)]
pub(crate) struct Space {
    pub(crate) name: String,
    pub(crate) loopback: Loopback,
    tls: &'static str,
}

impl Space {
    pub(crate) fn double(&self) -> &Double {
        self.loopback.double()
    }

    /// What there is to say of it.
    pub(crate) fn describe(&self) -> Value {
        let address = self.loopback.local_addr();
        let ledger = self.double().ledger();
        json!({
            "name": self.name,
            "address": address.map(|address| address.to_string()),
            "host": address.map(|address| address.ip().to_string()),
            "port": address.map(|address| address.port()),
            "tls": self.tls,
            "plan": self.double().plan().one_line(),
            "rules": self.double().rules().len(),
            "messages": ledger.committed(),
            "findings": ledger.findings().len(),
            "connections": ledger.connections(),
            "open": ledger.open_connections(),
        })
    }
}

/// What a new namespace is to be.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) name: Option<String>,
    pub(crate) plan: Plan,
    /// `none`, `starttls` or `implicit`.
    pub(crate) tls: Option<String>,
    /// Mechanisms and an account.
    pub(crate) auth: Option<(String, String, String)>,
}

impl Control {
    /// For this double, as the namespace `main`.
    #[must_use]
    pub fn new(main: Loopback) -> Self {
        let address = main.local_addr().map(|address| address.ip());
        let space = Space {
            name: MAIN.to_owned(),
            loopback: main,
            tls: "none",
        };
        let all = BTreeMap::from([(MAIN.to_owned(), Arc::new(space))]);
        Self {
            spaces: Arc::new(Mutex::new(Spaces {
                all,
                made: 0,
                gone: Coverage::default(),
            })),
            address: address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            tls: None,
            authority: None,
            hosts: Arc::default(),
            more: Arc::default(),
        }
    }

    /// With TLS for namespaces that ask for it, the certificate of the authority behind it, in PEM,
    /// and what the main one does: `none`, `starttls` or `implicit`.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls, authority: &str, main: &'static str) -> Self {
        self.tls = Some(tls);
        self.authority = Some(authority.into());
        if let Some(space) = self.spaces().all.get_mut(MAIN).and_then(Arc::get_mut) {
            space.tls = main;
        }
        self
    }

    /// That may be called by this name, too, besides those of the loopback.
    #[must_use]
    pub fn allowing_host(mut self, name: &str) -> Self {
        let mut hosts = (*self.hosts).clone();
        hosts.insert(name.to_ascii_lowercase());
        self.hosts = Arc::new(hosts);
        self
    }

    /// With these listeners beside the main one's, to be shown: what the ready line says of them.
    #[must_use]
    pub fn with_listeners(mut self, listeners: Vec<Value>) -> Self {
        self.more = Arc::new(listeners);
        self
    }

    pub(crate) fn listeners(&self) -> &[Value] {
        &self.more
    }

    pub(crate) fn hosts(&self) -> Hosts {
        Arc::clone(&self.hosts)
    }

    pub(crate) fn authority(&self) -> Option<String> {
        self.authority.as_ref().map(ToString::to_string)
    }

    fn spaces(&self) -> MutexGuard<'_, Spaces> {
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn space(&self, name: &str) -> Result<Arc<Space>, Problem> {
        let found = self.spaces().all.get(name).cloned();
        found.ok_or_else(|| {
            Problem::missing(format!(
                "there is no namespace {name:?}; POST /v1/namespaces makes one"
            ))
        })
    }

    pub(crate) fn all(&self) -> Vec<Arc<Space>> {
        self.spaces().all.values().cloned().collect()
    }

    /// Takes a namespace away, and closes its port and connections.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Problem> {
        if name == MAIN {
            let why = "the main namespace stays; POST /v1/namespaces/main/reset empties it";
            return Err(Problem::new(StatusCode::CONFLICT, why));
        }
        self.space(name)?;
        let removed = self.spaces().all.remove(name);
        // Its connections end with it, so that nothing is struck any more.
        let double = removed.map(|space| space.double().clone());
        if let Some(double) = double {
            self.spaces().gone.merge(&double.coverage());
        }
        Ok(())
    }

    /// What of the faults was struck in all namespaces together, those among them that are gone: what
    /// the tests of one run covered, each of which may have had its own.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        let spaces = self.spaces();
        let mut coverage = spaces.gone.clone();
        for space in spaces.all.values() {
            coverage.merge(&space.double().coverage());
        }
        coverage
    }

    /// Makes a namespace.
    pub(crate) async fn make(&self, wanted: Wanted) -> Result<Arc<Space>, Problem> {
        let name = match wanted.name {
            Some(name) => valid(name)?,
            None => {
                let spaces = &mut *self.spaces();
                loop {
                    spaces.made += 1;
                    let name = format!("ns-{}", spaces.made);
                    if !spaces.all.contains_key(&name) {
                        break name;
                    }
                }
            }
        };
        self.room(&name)?;
        let mut script = Script::default();
        if let Some((mechanisms, user, password)) = &wanted.auth {
            script = script.with_auth(mechanisms, Account::new(user, password.as_str()));
        }
        let mut double = Double::new(wanted.plan)
            .with_script(script)
            .capped(caps())
            .with_triggers(Triggers::default());
        let mut tls = "none";
        if let Some(mode) = wanted.tls.as_deref().filter(|mode| *mode != "none") {
            let implicit = match mode {
                "starttls" => false,
                "implicit" => true,
                _ => return Err(Problem::bad("tls: expected none, starttls or implicit")),
            };
            let Some(with) = self.tls.clone() else {
                return Err(Problem::bad("tls: this server was started without"));
            };
            double = double.with_tls(with.with_implicit(implicit));
            tls = if implicit { "implicit" } else { "starttls" };
        }
        // Beside the main one: on the loopback, unless that was told otherwise.
        let beside = SocketAddr::new(self.address, 0);
        let loopback = Loopback::expose_at(double, beside).await.map_err(|error| {
            let why = format!("no port can be had: {error}");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
        })?;
        // Somebody else may have made one meanwhile.
        self.room(&name)?;
        let space = Arc::new(Space {
            name: name.clone(),
            loopback,
            tls,
        });
        self.spaces().all.insert(name, Arc::clone(&space));
        Ok(space)
    }

    fn room(&self, name: &str) -> Result<(), Problem> {
        let spaces = self.spaces();
        if spaces.all.contains_key(name) {
            let why = format!("there is a namespace {name:?} already; DELETE it first");
            return Err(Problem::new(StatusCode::CONFLICT, why));
        }
        if spaces.all.len() >= NAMESPACES {
            let why = format!("there are {NAMESPACES} namespaces; DELETE those that are done");
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, why));
        }
        Ok(())
    }
}

fn valid(name: String) -> Result<String, Problem> {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
    if (1..=64).contains(&name.len()) && name.bytes().all(plain) {
        Ok(name)
    } else {
        let why = "name: expected 1 to 64 letters, digits, -, _ or .";
        Err(Problem::bad(why))
    }
}
