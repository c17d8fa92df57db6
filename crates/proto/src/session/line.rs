//! The dialogue as it may be shown: without secrets, because they are never put into it.

use core::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::Session;
use crate::Reply;

/// One line of a dialogue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Line {
    /// A command, without CRLF, when it is queued. Of AUTH only the mechanism; of a response only
    /// that there is one.
    Said(String),
    /// A reply. Of a challenge only that there is one.
    Heard(Reply),
    /// Mail data and its end: so many octets as they crossed the wire.
    MailData(u64),
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(line) => write!(f, " -> {line}"),
            Self::Heard(reply) => write!(f, "<-  {reply}"),
            Self::MailData(octets) => write!(f, " -> [{octets} octets of mail data]"),
        }
    }
}

type Show = dyn Fn(&Line, Instant) + Send + Sync;

/// Is shown every line of a session as it comes.
#[derive(Clone)]
pub struct Observer(Arc<Show>);

impl Observer {
    /// `show` must return quickly: it is called in the middle of things.
    pub fn new(show: impl Fn(&Line, Instant) + Send + Sync + 'static) -> Self {
        Self(Arc::new(show))
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

impl Session {
    pub(super) fn show(&self, line: impl FnOnce() -> Line, now: Instant) {
        if let Some(Observer(show)) = &self.config.observer {
            show(&line(), now);
        }
    }

    pub(super) fn show_reply(&self, reply: &Reply, now: Instant) {
        self.show(
            || {
                let reply = reply.clone();
                Line::Heard(match reply.code().get() {
                    334 => reply.with_text(|_| b"[a challenge]".to_vec()),
                    _ => reply,
                })
            },
            now,
        );
    }
}
