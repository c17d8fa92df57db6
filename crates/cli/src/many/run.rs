//! The messages of one run: which of them go out next, and what became of each.

use std::cell::RefCell;
use std::iter::from_fn;
use std::ops::Range;
use std::path::Path;

use futures_util::StreamExt;
use futures_util::stream::iter;
use indicatif::ProgressBar;
use postbound::{Bounds, Circuit, Dns, Envelope, Error, ForwardPath, Mail, Mx, Pool, Receipt};

use super::fate::{self, Fate};
use super::journal::{Journal, Known};
use super::source::Found;
use crate::exit::Stop;
use crate::network::Network;

/// One message.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) found: Found,
    /// What became of it, for each recipient of the envelope.
    pub(crate) fates: Vec<Fate>,
    /// Accepted in an earlier run, for everybody.
    pub(crate) before: bool,
    /// The server that took it.
    pub(crate) endpoint: Option<String>,
    /// Why it could not be read when it was its turn.
    pub(crate) unreadable: Option<String>,
    /// How often anything of it was begun.
    pub(crate) tries: u32,
    shown: bool,
}

/// Which fates are worth a try.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Those that were not accepted for good, too: only in the first pass.
    pub(crate) permanent: bool,
    /// The ambiguous ones: makes duplicates.
    pub(crate) ambiguous: bool,
}

impl Wanted {
    fn is(self, fate: &Fate) -> bool {
        let safe = match self.permanent {
            true => fate.is_safe(),
            false => fate.passes(),
        };
        safe || (self.ambiguous && fate.is_ambiguous())
    }
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Run {
    envelope: Envelope,
    pub(crate) items: Vec<Item>,
    journal: Option<Journal>,
    /// Why no more is begun.
    pub(crate) stop: Option<Stop>,
    bar: ProgressBar,
}

impl Run {
    /// These messages, with what a journal knows of them.
    pub(crate) fn new(
        envelope: Envelope,
        found: Vec<Found>,
        journal: Option<&Path>,
        bar: ProgressBar,
    ) -> Result<Self, Stop> {
        let (journal, known) = match journal.map(Journal::open).transpose()? {
            Some((journal, known)) => (Some(journal), known),
            None => (None, Known::new()),
        };
        let fates = |found: &Found| -> Vec<Fate> {
            let known = known.get(&found.key());
            let of = |path: &ForwardPath| known?.get(path.as_str()).cloned();
            let paths = envelope.forward_paths().iter();
            paths
                .map(|path| of(path).unwrap_or(Fate::Waiting))
                .collect()
        };
        let items: Vec<Item> = found
            .into_iter()
            .map(|found| {
                let fates = fates(&found);
                let before = fates.iter().all(Fate::is_accepted);
                Item {
                    found,
                    fates,
                    before,
                    endpoint: None,
                    unreadable: None,
                    tries: 0,
                    shown: before,
                }
            })
            .collect();
        let before = items.iter().filter(|item| item.before).count();
        bar.set_length(items.len() as u64);
        bar.set_position(before as u64);
        Ok(Self {
            envelope,
            items,
            journal,
            stop: None,
            bar,
        })
    }

    pub(crate) const fn bar(&self) -> &ProgressBar {
        &self.bar
    }

    /// The messages that are worth a try.
    pub(crate) fn wanted(&self, wanted: Wanted) -> Vec<usize> {
        let worth = |item: &Item| {
            item.unreadable.is_none() && item.fates.iter().any(|fate| wanted.is(fate))
        };
        let items = self.items.iter().enumerate();
        items
            .filter(|(_, item)| worth(item))
            .map(|(at, _)| at)
            .collect()
    }

    /// Begins a message: from here on it counts as possibly sent. Says to which of the recipients;
    /// nothing if it can't be.
    pub(crate) fn begin(
        &mut self,
        at: usize,
        wanted: Wanted,
    ) -> Option<(Vec<usize>, Envelope, Vec<u8>)> {
        let item = self.items.get_mut(at)?;
        let message = match item.found.read(&self.envelope) {
            Ok(message) => message,
            Err(error) => {
                item.unreadable = Some(error.to_string());
                return None;
            }
        };
        let fates = item.fates.iter().enumerate();
        let places: Vec<usize> = fates
            .filter(|(_, fate)| wanted.is(fate))
            .map(|(place, _)| place)
            .collect();
        let envelope = self.envelope.subset(|place| places.contains(&place)).ok()?;
        if let Some(journal) = &mut self.journal {
            let (key, name) = (item.found.key(), item.found.to_string());
            if let Err(stop) = journal.begin(&key, &name, envelope.forward_paths()) {
                self.stop = Some(stop);
                return None;
            }
        }
        item.tries += 1;
        for place in &places {
            if let Some(fate) = item.fates.get_mut(*place).filter(|fate| fate.is_safe()) {
                *fate = Fate::Begun;
            }
        }
        Some((places, envelope, message))
    }

    /// What became of it for these recipients.
    pub(crate) fn end(&mut self, at: usize, places: &[usize], result: &Result<Receipt, Error>) {
        let Some(item) = self.items.get_mut(at) else {
            return;
        };
        if let Some(journal) = &mut self.journal {
            let paths = self.envelope.forward_paths();
            let to: Vec<ForwardPath> = places
                .iter()
                .filter_map(|place| paths.get(*place).cloned())
                .collect();
            let (key, name) = (item.found.key(), item.found.to_string());
            if let Err(stop) = journal.end(&key, &name, &to, result) {
                self.stop = Some(stop);
            }
        }
        if let Ok(receipt) = result {
            item.endpoint = Some(receipt.endpoint().to_owned());
        }
        for (place, heard) in places.iter().zip(fate::each(result, places.len())) {
            if let Some(fate) = item.fates.get_mut(*place) {
                fate.then(heard);
            }
        }
        if !item.shown && !item.fates.iter().any(Fate::passes) {
            item.shown = true;
            self.bar.inc(1);
        }
    }
}

/// Sends these messages over the connections of a pool, as far as a server can be had.
pub(crate) async fn over_pool(
    run: &RefCell<Run>,
    pool: &Pool<Network>,
    todo: Vec<usize>,
    wanted: Wanted,
    bounds: Bounds<'_>,
) {
    let taken: RefCell<Vec<(usize, Vec<usize>)>> = RefCell::default();
    let mut todo = todo.into_iter();
    let mails = from_fn(|| {
        loop {
            let in_vain = matches!(pool.circuit(), Circuit::Open { .. });
            if in_vain || run.borrow().stop.is_some() {
                return None;
            }
            let at = todo.next()?;
            let begun = run.borrow_mut().begin(at, wanted);
            if let Some((places, envelope, message)) = begun {
                taken.borrow_mut().push((at, places));
                return Some(Mail::new(envelope, message));
            }
        }
    });
    let mut results = pool.send_all(mails, bounds);
    while let Some(sent) = results.next().await {
        let taken = taken.borrow();
        if let Some((at, places)) = taken.get(sent.index) {
            let Range { start, end } = sent.recipients;
            let places = places.get(start..end).unwrap_or_default();
            run.borrow_mut().end(*at, places, &sent.result);
        }
    }
}

/// Sends these messages to the servers of their recipients' domains, so many of them at a time.
pub(crate) async fn over_mx(
    run: &RefCell<Run>,
    mx: &Mx<Dns, Network>,
    at_a_time: usize,
    todo: Vec<usize>,
    wanted: Wanted,
    over: impl Fn() -> bool,
    bounds: Bounds<'_>,
) {
    let mut todo = todo.into_iter();
    let deliveries = from_fn(|| {
        loop {
            if over() || run.borrow().stop.is_some() {
                return None;
            }
            let at = todo.next()?;
            let begun = run.borrow_mut().begin(at, wanted);
            if let Some((places, envelope, message)) = begun {
                let bounds = bounds.clone();
                return Some(async move {
                    let delivered = mx.send(&envelope, &message, bounds).await;
                    (at, places, envelope, delivered)
                });
            }
        }
    });
    let mut results = iter(deliveries).buffer_unordered(at_a_time);
    while let Some((at, mut places, envelope, delivered)) = results.next().await {
        let mut paths = envelope.forward_paths().to_vec();
        for one in delivered {
            let mut theirs = Vec::new();
            for path in &one.recipients {
                if let Some(found) = paths.iter().position(|known| known == path) {
                    paths.remove(found);
                    theirs.push(places.remove(found));
                }
            }
            run.borrow_mut().end(at, &theirs, &one.result);
        }
    }
}
