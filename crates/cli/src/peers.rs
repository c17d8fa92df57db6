//! The peers' column of `postbound matrix --peers`.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets::NOTHING};
use harness::Results;
use harness::peers::{End, Peer, Summary};
use postbound::Phase;

/// Prints what other clients did, if they were asked.
pub(crate) fn show(results: &Results) {
    let all = Summary::of(&results.cells);
    if all.is_empty() {
        return;
    }
    println!(
        "\nother clients on mem, the same faults; calls without an end, of those that were made"
    );
    println!("{}", places(&all));
    println!("{}", ends(&all));
    for peer in Peer::ALL {
        println!("{peer}: {}", peer.told());
    }
    for (client, summary) in &all {
        for (why, count) in &summary.not_tried {
            println!("{count} not tried with {client}: {why}");
        }
    }
    println!();
}

fn table<'a>(first: &str, clients: impl Iterator<Item = &'a String>) -> Table {
    let header = std::iter::once(first.to_owned()).chain(clients.cloned());
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A row for each place at which a fault strikes.
fn places(all: &BTreeMap<String, Summary>) -> Table {
    let mut table = table("fault at", all.keys());
    for place in Phase::ALL.into_iter().map(Phase::name).chain(["link"]) {
        let of = |summary: &Summary| match summary.places.get(place) {
            Some((tried, open)) => format!("{open} of {tried}"),
            None => "-".to_owned(),
        };
        if all
            .values()
            .any(|summary| summary.places.contains_key(place))
        {
            let row = std::iter::once(place.to_owned()).chain(all.values().map(of));
            table.add_row(row);
        }
    }
    table
}

/// How the calls ended, and what the mailbox says of it.
fn ends(all: &BTreeMap<String, Summary>) -> Table {
    let mut table = table("calls", all.keys());
    let mut row = |what: &str, count: &dyn Fn(&Summary) -> usize| {
        let counts = all.values().map(|summary| count(summary).to_string());
        table.add_row(std::iter::once(what.to_owned()).chain(counts));
    };
    row("made", &Summary::tried);
    for end in [End::Sent, End::Failed, End::Open, End::Reading] {
        row(end.name(), &|summary| summary.ended(end));
    }
    row("error, but delivered", &|summary| {
        summary.failed_but_delivered
    });
    row("sent, but not delivered", &|summary| {
        summary.sent_but_not_delivered
    });
    table
}
