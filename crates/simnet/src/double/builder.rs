//! How a double is to be.

use std::io;

#[cfg(feature = "turmoil")]
use super::Simulated;
use super::{Caps, SmtpDouble};
use crate::net::loopback::Loopback;
use crate::net::mem::Network;
use crate::plan::Plan;
#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::{Double, Script, Triggers};

/// How a double is to be, before it starts.
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing before it is started"]
pub struct Builder {
    plan: Plan,
    script: Script,
    caps: Caps,
    triggers: Option<Triggers>,
    port: u16,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Builder {
    /// What goes wrong from the start. Faults of the network can only be set here.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// let plan = "v1 | connect: refuse".parse().unwrap();
    /// let double = SmtpDouble::builder().plan(plan).in_memory();
    /// assert_eq!(double.converse(["EHLO me"]).await, ["(no connection)"]);
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn plan(mut self, plan: Plan) -> Self {
        self.plan = plan;
        self
    }

    /// What the healthy server offers. Default [`Script::default`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// let mut script = postbound_simnet::Script::default();
    /// script.size = 2; // octets
    /// let double = SmtpDouble::builder().script(script).in_memory();
    /// let replies = double
    ///     .converse(["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA", "too long\r\n."])
    ///     .await;
    /// assert!(replies[5].starts_with("552"));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn script(mut self, script: Script) -> Self {
        self.script = script;
        self
    }

    /// What it holds at most. Default [`Caps::default`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// let mut caps = postbound_simnet::double::Caps::default();
    /// caps.messages = 0;
    /// let double = SmtpDouble::builder().caps(caps).in_memory();
    /// let replies = double.converse(["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA", "hi\r\n."]).await;
    /// assert!(replies[5].starts_with("452"));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn caps(mut self, caps: Caps) -> Self {
        self.caps = caps;
        self
    }

    /// Clients may ask for faults by addresses (`rcpt451@…`) and by their EHLO name. Default: not.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use postbound_simnet::{Phase, double::SmtpDouble};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// let double = SmtpDouble::builder().triggers(postbound_simnet::Triggers::default()).in_memory();
    /// let replies = double.converse(["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<rcpt451@x>"]).await;
    /// assert!(replies[3].starts_with("451"));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn triggers(mut self, triggers: Triggers) -> Self {
        self.triggers = Some(triggers);
        self
    }

    /// TLS, by STARTTLS or from the first octet, with certificates of an authority that the client is
    /// made to trust ([`Authority::pem`](crate::tls::Authority::pem)). Default none. What was agreed on
    /// is in [`Delivery::tls`](crate::Delivery::tls).
    ///
    /// ```
    /// # use postbound_simnet::double::SmtpDouble;
    /// use postbound_simnet::tls::{Authority, Tls};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
    /// let authority = Authority::fresh()?; // valid for "double.example", "localhost" and 127.0.0.1
    /// let double = SmtpDouble::builder().tls(Tls::starttls(&authority)?).in_memory();
    /// let replies = double.converse(["EHLO me", "STARTTLS"]).await;
    /// assert!(replies[1].contains("STARTTLS") && replies[2].starts_with("220"));
    /// # Ok::<(), std::io::Error>(())
    /// # })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The loopback port. Default 0, any free one.
    pub const fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    pub(super) fn double(self) -> Double {
        let double = Double::new(self.plan)
            .with_script(self.script)
            .capped(self.caps)
            .keeping_wire_octets();
        #[cfg(feature = "tls")]
        let double = match self.tls {
            Some(tls) => double.with_tls(tls),
            None => double,
        };
        match self.triggers {
            Some(triggers) => double.with_triggers(triggers),
            None => double,
        }
    }

    /// Starts it on a loopback port.
    ///
    /// # Errors
    /// If no port can be had, or [`io::ErrorKind::Unsupported`] if the plan has a fault of the
    /// network that real sockets can't do or a rule that would never strike.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was open.
    pub async fn start(self) -> io::Result<SmtpDouble> {
        let port = self.port;
        let double = self.double();
        crate::net::Backend::Loopback
            .can(double.plan())
            .and_then(|()| double.strikes())
            .map_err(unsupported)?;
        let network = Loopback::bind(double.clone(), port).await?;
        Ok(SmtpDouble::on_network(double, network))
    }

    /// Starts it in memory, on the current runtime's clock.
    #[must_use]
    pub fn in_memory(self) -> SmtpDouble<Network> {
        let double = self.double();
        let network = Network::new(double.clone());
        SmtpDouble::on_network(double, network)
    }

    /// A host of this name for a turmoil simulation. Names, connections and links are the
    /// simulation's own, and it can't reset a connection at will: a plan with rules about them is
    /// refused.
    ///
    /// ```
    /// # use postbound_simnet::double::SmtpDouble;
    /// let plan = "v1 | rcpt#1: stall | link: fragment 1".parse().unwrap();
    /// let double = SmtpDouble::builder().plan(plan).turmoil("mx1")?;
    /// assert_eq!(double.network().name(), "mx1");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] if the plan has a rule that such a host can't do or that would
    /// never strike.
    #[cfg(feature = "turmoil")]
    pub fn turmoil(self, name: impl Into<String>) -> io::Result<SmtpDouble<Simulated>> {
        let double = self.double();
        crate::net::can_be_host(double.plan())
            .and_then(|()| double.strikes())
            .map_err(unsupported)?;
        let network = Simulated::new(double.clone(), name.into());
        Ok(SmtpDouble::on_network(double, network))
    }
}

fn unsupported(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, why)
}
