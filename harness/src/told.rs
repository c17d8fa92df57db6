//! Everything that the client tells `tracing`, as text.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// A subscriber that writes down every span and every event up to its level. Clones share the text.
#[derive(Clone, Debug)]
pub struct Told {
    text: Arc<Mutex<State>>,
    level: Level,
}

#[derive(Debug, Default)]
struct State {
    text: String,
    spans: u64,
    /// The spans that are entered, from the outside in.
    inside: Vec<u64>,
    names: Vec<&'static str>,
}

impl Told {
    /// One that hears everything up to this level.
    #[must_use]
    pub fn up_to(level: Level) -> Self {
        Self {
            text: Arc::default(),
            level,
        }
    }

    /// What it was told: a line for each span and each event, with the names of the spans around it.
    #[must_use]
    pub fn text(&self) -> String {
        self.state(|state| state.text.clone())
    }

    fn state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.text.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String can't fail.
        let _ = write!(self.0, " {}={value:?}", field.name());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, " {}={value}", field.name());
    }
}

impl State {
    fn names_around(&self) -> String {
        let name = |id: &u64| {
            let at = usize::try_from(*id).unwrap_or(usize::MAX).checked_sub(1);
            at.and_then(|at| self.names.get(at)).copied().unwrap_or("?")
        };
        let names: Vec<_> = self.inside.iter().map(name).collect();
        names.join(":")
    }
}

impl Subscriber for Told {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level && metadata.target().starts_with("postbound")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.state(|state| {
            state.spans += 1;
            let name = span.metadata().name();
            state.names.push(name);
            let around = state.names_around();
            let _ = write!(state.text, "{around} span {name}");
            span.record(&mut Fields(&mut state.text));
            state.text.push('\n');
            Id::from_u64(state.spans)
        })
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        self.state(|state| values.record(&mut Fields(&mut state.text)));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.state(|state| {
            let around = state.names_around();
            let _ = write!(state.text, "{around} {}", event.metadata().level());
            event.record(&mut Fields(&mut state.text));
            state.text.push('\n');
        });
    }

    fn enter(&self, span: &Id) {
        self.state(|state| state.inside.push(span.into_u64()));
    }

    fn exit(&self, span: &Id) {
        self.state(|state| {
            let at = state.inside.iter().rposition(|id| *id == span.into_u64());
            if let Some(at) = at {
                state.inside.remove(at);
            }
        });
    }
}
