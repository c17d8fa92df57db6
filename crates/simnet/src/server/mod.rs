//! The one scripted server, strict with its client, that runs on every network.

mod channel;
mod dialogue;
#[cfg(feature = "tls")]
mod flight;
mod mail_data;
mod parameters;
mod proxy;
mod sasl;
mod wire;

use std::future::pending;
use std::io;
use std::sync::{Arc, LazyLock};

use proto::Phase;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

pub use proxy::Front;
pub use sasl::Account;

use crate::coverage::{Coverage, Fate, Recorder};
use crate::double::Caps;
use crate::ledger::{Delivery, Ledger};
use proxy::Opening;

use crate::plan::{Plan, PlanError, Rule, Then, TlsFault};
use crate::rules::{RuleId, Rules, Triggers};
use crate::trace::{Event, Trace};

/// A stream that can be reset instead of closed.
pub trait Abort {
    /// Resets the connection: the peer's next read or write fails.
    fn abort(self);
}

/// What the healthy server offers and calls itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Script {
    /// How it names itself.
    pub domain: String,
    /// What it offers in its reply to EHLO, one keyword with its parameters each.
    pub extensions: Vec<String>,
    /// The largest message it takes, in octets.
    pub size: u64,
    /// Whether it speaks LMTP (RFC 2033) and not SMTP.
    pub lmtp: bool,
    /// Who may authenticate. The mechanisms are those of the AUTH line among the extensions.
    pub accounts: Vec<Account>,
}

impl Default for Script {
    /// PIPELINING, SIZE with 10 MiB, 8BITMIME and ENHANCEDSTATUSCODES.
    fn default() -> Self {
        let size = 10 * 1024 * 1024;
        Self {
            domain: "double.example".to_owned(),
            extensions: vec![
                "PIPELINING".to_owned(),
                format!("SIZE {size}"),
                "8BITMIME".to_owned(),
                "ENHANCEDSTATUSCODES".to_owned(),
            ],
            size,
            lmtp: false,
            accounts: Vec::new(),
        }
    }
}

impl Script {
    /// Without the extension of this keyword.
    #[must_use]
    pub fn without(mut self, keyword: &str) -> Self {
        self.extensions
            .retain(|line| line.split(' ').next() != Some(keyword));
        self
    }

    /// Every service extension that the double knows of and that needs nothing else, such as an
    /// account. REQUIRETLS is offered under TLS only (RFC 8689 §2).
    #[must_use]
    pub fn full() -> Self {
        [
            "SMTPUTF8",
            "CHUNKING",
            "BINARYMIME",
            "DSN",
            "REQUIRETLS",
            "DELIVERBY",
            "MT-PRIORITY",
            "FUTURERELEASE 604800",
        ]
        .into_iter()
        .fold(Self::default(), Self::with)
    }

    /// With this line in its reply to EHLO, in place of the one with the same keyword if there is
    /// one: `LIMITS RCPTMAX=10`. What the double knows of, it holds its client to; `SIZE` with a
    /// number but 0, which says nothing (RFC 1870 §3), is [`Script::size`], too.
    #[must_use]
    pub fn with(self, line: impl Into<String>) -> Self {
        let line = line.into();
        let mut script = self.without(line.split(' ').next().unwrap_or_default());
        let size = line.strip_prefix("SIZE ").map(str::parse);
        if let Some(Ok(size @ 1..)) = size {
            script.size = size;
        }
        script.extensions.push(line);
        script
    }

    /// That speaks LMTP: behind the end of mail data it answers for each accepted recipient, which is
    /// an occasion of `data-termination` each, and each has a mailbox.
    #[must_use]
    pub fn with_lmtp(mut self) -> Self {
        self.lmtp = true;
        self
    }

    /// A limit of RFC 9422 that it announces.
    fn limit(&self, name: &str) -> Option<usize> {
        let limits = self
            .extensions
            .iter()
            .find_map(|line| line.strip_prefix("LIMITS "))?;
        limits
            .split(' ')
            .find_map(|limit| limit.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
    }

    /// With AUTH, these mechanisms and this account.
    #[must_use]
    pub fn with_auth(mut self, mechanisms: &str, account: Account) -> Self {
        self.accounts.push(account);
        self.with(format!("AUTH {mechanisms}"))
    }

    /// The mechanisms that are offered.
    fn mechanisms(&self) -> Vec<&str> {
        let mut lines = self.extensions.iter();
        lines
            .find_map(|line| line.strip_prefix("AUTH "))
            .map(|mechanisms| mechanisms.split(' ').collect())
            .unwrap_or_default()
    }

    fn offers(&self, keyword: &str) -> bool {
        self.extensions.iter().any(|line| {
            let behind = line.strip_prefix(keyword);
            behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(' '))
        })
    }
}

/// Made once: a run of many cases has a double for each.
static DEFAULT: LazyLock<Arc<Script>> = LazyLock::new(Arc::default);

/// A double: a plan, and what is known of the clients that met it. Clones share all of it.
#[derive(Clone, Debug)]
pub struct Double {
    plan: Arc<Plan>,
    rules: Rules,
    script: Arc<Script>,
    ledger: Ledger,
    trace: Trace,
    recorder: Recorder,
    keep_wire: bool,
    triggers: Option<Triggers>,
    front: Option<Arc<Front>>,
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::Tls>,
}

impl Double {
    /// A double that runs this plan over the default script, with a trace.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self {
            rules: Rules::new(&plan),
            plan: Arc::new(plan),
            script: Arc::clone(&DEFAULT),
            ledger: Ledger::default(),
            trace: Trace::new(),
            recorder: Recorder::default(),
            keep_wire: false,
            triggers: None,
            front: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// That does TLS.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, tls: crate::tls::Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Whether STARTTLS is offered in clear, and whether TLS is due from the first octet.
    fn tls_modes(&self) -> (bool, bool) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return (!tls.is_implicit(), tls.is_implicit());
        }
        (false, false)
    }

    /// Whether TLS ends with close_notify.
    fn notifies(&self) -> bool {
        let rules = &self.plan.rules;
        !rules.contains(&Rule::Tls(TlsFault::NoCloseNotify))
    }

    /// Refuses a rule of the plan that would never strike, because what it is about is not there.
    pub(crate) fn strikes(&self) -> Result<(), String> {
        let tls = self.tls_modes() != (false, false);
        for rule in &self.plan.rules {
            let missing = match rule {
                Rule::Tls(_) if !tls => "the double does no TLS",
                Rule::Proxy(_) if self.front.is_none() => "there is no proxy",
                _ => continue,
            };
            return Err(format!("`{rule}` would never strike: {missing}"));
        }
        Ok(())
    }

    /// With another script.
    #[must_use]
    pub fn with_script(mut self, script: Script) -> Self {
        self.script = Arc::new(script);
        self
    }

    /// Without a trace, for speed.
    #[must_use]
    pub fn without_trace(mut self) -> Self {
        self.trace = Trace::off();
        self
    }

    /// With another plan, and the same script, mailbox and trace.
    #[must_use]
    pub fn with_plan(mut self, plan: Plan) -> Self {
        self.rules = Rules::new(&plan);
        self.plan = Arc::new(plan);
        self
    }

    /// That holds no more than this. Without it a double keeps everything, for runs that are bounded
    /// by themselves.
    #[must_use]
    pub fn capped(mut self, caps: Caps) -> Self {
        self.ledger = Ledger::capped(caps);
        self.trace = Trace::capped(caps.transcript_events, caps.transcript_octets);
        self
    }

    /// That hands each message, with its number counted from 0, to `keep` before it is answered for:
    /// what is said to be taken is there. If it can't be kept the answer is 452 4.3.1, whatever the
    /// plan says, and the message is not taken. The connections wait for it, and it must not look at
    /// the ledger. Behind [`capped`](Self::capped), which begins a new one.
    #[must_use]
    pub fn keeping(
        self,
        keep: impl Fn(u64, &Delivery) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.ledger.keep(keep);
        self
    }

    /// That keeps the mail data of each message as it came over the wire.
    #[must_use]
    pub const fn keeping_wire_octets(mut self) -> Self {
        self.keep_wire = true;
        self
    }

    /// That does what addresses and EHLO names ask for, where no rule fits.
    #[must_use]
    pub const fn with_triggers(mut self, triggers: Triggers) -> Self {
        self.triggers = Some(triggers);
        self
    }

    /// Behind a proxy, which clients have to ask for it: SOCKS5 or HTTP CONNECT, for whatever name
    /// they say. The proxy's faults are the plan's `proxy` rules.
    #[must_use]
    pub fn behind(mut self, front: Front) -> Self {
        self.front = Some(Arc::new(front));
        self
    }

    /// What goes wrong, as it was said at the start: the faults of the network are fixed by it.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What the server does wrong by now: the plan's rules and those set since.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Mailbox and findings.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What happened.
    #[must_use]
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// What of the faults was struck so far, by every connection to it, its clones and those that
    /// share its mailbox. A [reset](Self::reset) leaves it: it is about all the tests together.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        self.recorder.so_far()
    }

    /// Sets a rule of the server from its text, before all that are there:
    /// `rcpt[bob@example.org, first 2]: reply 451 4.7.1 greylisted`.
    ///
    /// # Errors
    /// If the text is no rule, or one of the network, which is fixed when the double starts.
    pub fn rule(&self, text: &str) -> Result<RuleId, PlanError> {
        let rule = crate::double::server_rule(text)?;
        let ids = self.rules.add([rule]);
        Ok(ids.first().copied().unwrap_or(RuleId::new(0)))
    }

    /// As it was before anyone came: no rules but the plan's, an empty mailbox and transcript.
    /// Connections that are open stay open, and numbers go on.
    pub fn reset(&self) {
        self.rules.clear();
        let plan = self.plan.rules.iter();
        self.rules
            .add(plan.filter(|rule| rule.takes_conditions()).cloned());
        let _ = self.ledger.drain();
        let _ = self.ledger.drain_findings();
        let _ = self.trace.drain();
    }

    /// Serves one connection to its end.
    ///
    /// # Cancel safety
    /// Dropping the future drops the stream; what was committed stays in the ledger.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin + Abort>(&self, mut stream: S) {
        let open = self.ledger.open();
        let record = |event: &dyn Fn() -> Event| self.trace.record(open.connection, event);
        record(&|| Event::Opened);
        self.recorder.reach(Phase::Connect);
        let mut fate = Fate::new(self.recorder.clone());
        let links = self.plan.rules.iter();
        for rule in links.filter(|rule| matches!(rule, Rule::Link(_))) {
            fate.strike(rule.label());
        }
        if let Some(front) = &self.front {
            match proxy::run(front, &self.plan, &mut fate, &mut stream).await {
                Ok(Opening::Tunnel(tunnel)) => record(&|| Event::Tunnel(tunnel.to_string())),
                Ok(Opening::Ended(Then::Reset)) => {
                    record(&|| Event::Ended("reset"));
                    return stream.abort();
                }
                Ok(Opening::Ended(Then::Stall)) => {
                    record(&|| Event::Ended("stall"));
                    return pending().await;
                }
                Ok(Opening::Ended(Then::HalfClose)) => {
                    record(&|| Event::HalfClosed);
                    let _ = stream.shutdown().await;
                    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                    return record(&|| Event::Gone);
                }
                Ok(Opening::Ended(_)) => {
                    record(&|| Event::Ended("close"));
                    // Unread octets would make a reset of it.
                    let _ = stream.shutdown().await;
                    return;
                }
                Err(_) => return record(&|| Event::Gone),
            }
        }
        dialogue::run(self, stream, open.connection, fate).await;
    }
}

/// Doubles of these names with one ledger and one trace, the first one's. Each calls itself by its
/// name, without the port that may stand behind it.
pub(crate) fn share<N: Into<String>>(
    doubles: impl IntoIterator<Item = (N, Double)>,
) -> (Vec<(String, Double)>, Ledger, Trace) {
    let mut doubles: Vec<(String, Double)> = doubles
        .into_iter()
        .map(|(name, double)| (name.into(), double))
        .collect();
    let first = doubles.first();
    let recorder = first.map(|(_, first)| first.recorder.clone());
    let recorder = recorder.unwrap_or_default();
    let (ledger, trace) = match doubles.first() {
        Some((_, first)) => (first.ledger.clone(), first.trace.clone()),
        None => (Ledger::default(), Trace::off()),
    };
    for (name, double) in &mut doubles {
        double.ledger = ledger.clone();
        double.trace = trace.clone();
        double.recorder = recorder.clone();
        let mut script = (*double.script).clone();
        script.domain = name.split(':').next().unwrap_or_default().to_owned();
        double.script = Arc::new(script);
    }
    (doubles, ledger, trace)
}
