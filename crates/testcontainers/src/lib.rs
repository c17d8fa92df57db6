//! Postbound's test double in a container, for tests that use [`testcontainers`]: a strict SMTP server
//! that goes wrong as told, and knows what it took.
//!
//! The image is not in any registry: `ci/package`, then
//! `docker build -t postbound-double target/package`.
//!
//! ```no_run
//! # async fn test() -> Result<(), Box<dyn std::error::Error>> {
//! use postbound_testcontainers::{CONTROL, Double, SMTP};
//! use testcontainers::runners::AsyncRunner;
//!
//! let double = Double::new()
//!     .with_rule("rcpt[bob@*, first 1]: reply 451 4.7.1 later")
//!     .start()
//!     .await?;
//! let smtp = (double.get_host().await?, double.get_host_port_ipv4(SMTP).await?);
//! let control = double.get_host_port_ipv4(CONTROL).await?;
//! // Point your client at `smtp`. What it was taken at its word for, and what is true, tells
//! // http://localhost:{control}/v1/namespaces/main/ledger; /openapi.json has the rest.
//! # let _ = (smtp, control);
//! # Ok(())
//! # }
//! ```
//!
//! Nothing need be configured: the address says what goes wrong, as in `rcpt550@example.org` or
//! `lost-reply@example.org`.

use std::borrow::Cow;

use testcontainers::Image;
use testcontainers::core::{ContainerPort, WaitFor};

/// The port of SMTP in the container.
pub const SMTP: ContainerPort = ContainerPort::Tcp(2525);
/// The port of the control interface in the container. It may be called `localhost`, and what
/// [`Double::with_control_host`] allows.
pub const CONTROL: ContainerPort = ContainerPort::Tcp(8025);
/// What the line begins with that says that everything is listened on.
pub const READY: &str = "ready ";

/// As the image itself starts.
const COMMAND: [&str; 8] = [
    "serve",
    "--port",
    "2525",
    "--expose-to-network",
    "--control",
    "8025",
    "--expose-control-to-network",
    "--control-host=double",
];

/// How TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tls {
    /// By STARTTLS.
    StartTls,
    /// With the first octet.
    Implicit,
}

/// The double's image, and how the double is to be. Every option of `postbound serve` can be
/// [given](Double::with_argument).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an image does nothing before it is started"]
pub struct Double {
    name: String,
    tag: String,
    command: Vec<String>,
}

impl Default for Double {
    fn default() -> Self {
        Self::new()
    }
}

impl Double {
    /// The image `postbound-double:latest`, healthy, in clear.
    pub fn new() -> Self {
        Self {
            name: "postbound-double".to_owned(),
            tag: "latest".to_owned(),
            command: COMMAND.map(ToOwned::to_owned).into(),
        }
    }

    /// Under another name and tag, such as those of a registry of one's own.
    pub fn with_image(mut self, name: impl Into<String>, tag: impl Into<String>) -> Self {
        self.name = name.into();
        self.tag = tag.into();
        self
    }

    /// What goes wrong: a rule, such as `data-termination: commit; stall`. May be called again; the
    /// first rule that fits strikes.
    pub fn with_rule(self, rule: &str) -> Self {
        self.with_argument(format!("--rule={rule}"))
    }

    /// What goes wrong: several rules, in their order.
    pub fn with_rules<'r>(self, rules: impl IntoIterator<Item = &'r str>) -> Self {
        rules.into_iter().fold(self, Self::with_rule)
    }

    /// What goes wrong: a hostile behaviour by its name, such as `mixed-codes`. May be called again.
    pub fn with_behaviour(self, name: &str) -> Self {
        self.with_argument(format!("--behaviour={name}"))
    }

    /// With TLS. The certificate to trust is at `/v1/authority.pem` of the control interface; it is
    /// another one each time, for `double.example`, `localhost` and 127.0.0.1.
    pub fn with_tls(self, tls: Tls) -> Self {
        self.with_argument(match tls {
            Tls::StartTls => "--tls=starttls",
            Tls::Implicit => "--tls=implicit",
        })
    }

    /// The control interface may be called by this name, too: that of a container's host elsewhere, or
    /// of this container on a network.
    pub fn with_control_host(self, name: &str) -> Self {
        self.with_argument(format!("--control-host={name}"))
    }

    /// With a further argument of `postbound serve`, such as `--full` or `--lmtp`.
    pub fn with_argument(mut self, argument: impl Into<String>) -> Self {
        self.command.push(argument.into());
        self
    }
}

impl Image for Double {
    fn name(&self) -> &str {
        &self.name
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    fn ready_conditions(&self) -> Vec<WaitFor> {
        vec![WaitFor::message_on_stdout(READY)]
    }

    fn cmd(&self) -> impl IntoIterator<Item = impl Into<Cow<'_, str>>> {
        &self.command
    }

    fn expose_ports(&self) -> &[ContainerPort] {
        &[SMTP, CONTROL]
    }
}
