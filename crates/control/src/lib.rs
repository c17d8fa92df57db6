//! The double's control interface over HTTP: rules, mailboxes, findings and transcripts for tests in
//! any language, and a page that shows the dialogues as they happen.
//!
//! Tests that run side by side each take a *namespace*: a double of its own, on a port of its own,
//! with its own rules, mailbox and transcript. The namespace `main` is the server itself.
//!
//! It is meant for the machine that it runs on. Requests are refused whose `Host` is no loopback
//! address, `localhost` or a name that was allowed (a page elsewhere could have a name resolve to
//! 127.0.0.1), and those that a page of another origin makes. Mail is never relayed: there is nothing
//! here that opens a connection. Everything has a cap: namespaces, rules, bodies, answers,
//! connections, and how long each may last.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use postbound_control::Control;
//! use simnet::double::Caps;
//! use simnet::net::loopback::Loopback;
//! use simnet::{Double, Plan};
//!
//! let main = Loopback::bind(Double::new(Plan::healthy()).capped(Caps::default()), 0).await?;
//! let control = Control::new(main);
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! println!("http://{}/", listener.local_addr()?);
//! let serving = tokio::spawn(control.serve(listener));
//! # serving.abort();
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod answer;
mod guard;
mod handlers;
mod routes;
mod serve;
mod spaces;

pub use handlers::{coverage, tls};
pub use routes::{OPENAPI, routes};
pub use spaces::{Control, NAMESPACES, RULES};
