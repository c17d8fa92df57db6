//! Other clients in the matrix: what hangs and what does not. These are facts about the versions in
//! the lock file; when one of them changes, the fact is looked at again.
#![allow(clippy::panic, reason = "a test that can't be set up has to fail")]

use postbound_harness::matrix::Cell;
use postbound_harness::peers::{End, Peer, PeerRecord, Seen, Summary, WATCHED};
use postbound_harness::{Matrix, Results};
use simnet::net::Backend;

fn cell(place: &str, fault: &str) -> Cell {
    let matrix = Matrix::new(&[Backend::Mem]);
    let mut cells = matrix.cells().iter();
    let cell = cells.find(|cell| cell.place() == place && cell.fault == fault);
    cell.unwrap_or_else(|| panic!("there is no {place}/{fault}"))
        .clone()
}

fn seen(peer: Peer, place: &str, fault: &str) -> Seen {
    let cell = cell(place, fault);
    peer.run(&cell)
        .unwrap_or_else(|why| panic!("{cell}: {why}"))
}

#[test]
fn peers_each_delivers_over_a_harmless_fault() {
    for peer in Peer::ALL {
        let seen = seen(peer, "mail", "delay");
        assert_eq!((seen.end, seen.mailbox), (End::Sent, 1), "{peer}: {seen:?}");
    }
}

#[test]
fn peers_a_silent_server_holds_lettres_connection_for_as_long_as_it_likes() {
    for place in ["greeting", "mail", "rcpt", "data-termination"] {
        let seen = seen(Peer::Lettre, place, "silence");
        assert_eq!(
            (seen.end, seen.elapsed),
            (End::Open, WATCHED),
            "{place}: {seen:?}"
        );
    }
}

#[test]
fn peers_mail_send_ends_a_silent_command_at_its_timeout_and_waits_for_a_greeting_without_one() {
    let cell = cell("mail", "silence");
    let ended = Peer::MailSend
        .run(&cell)
        .unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(ended.end, End::Failed, "{ended:?}");
    let limit = cell.case.timeout;
    // What was said before the silence takes its own time.
    assert!((limit..limit * 2).contains(&ended.elapsed), "{ended:?}");
    let waits = seen(Peer::MailSend, "greeting", "silence");
    assert_eq!(waits.end, End::Open, "{waits:?}");
}

#[test]
fn peers_an_endless_line_is_read_on() {
    for peer in [Peer::Lettre, Peer::AsyncSmtp] {
        let seen = seen(peer, "greeting", "endless-line");
        assert_eq!(seen.end, End::Reading, "{peer}: {seen:?}");
    }
}

#[test]
fn peers_an_error_hides_that_the_message_was_delivered() {
    for peer in Peer::ALL {
        let seen = seen(peer, "data-termination", "committed-then-close");
        assert!(seen.failed_but_delivered(), "{peer}: {seen:?}");
    }
}

#[test]
fn peers_a_reply_that_asks_for_more_is_taken_for_a_delivery() {
    let found = Peer::ALL.map(|peer| {
        let seen = seen(peer, "data-termination", "reply-3yz");
        seen.sent_but_not_delivered()
    });
    assert_eq!(found, [true, false, true]);
}

#[test]
fn peers_a_column_says_of_every_cell_what_happened_or_why_it_was_not_tried() {
    let matrix = Matrix::new(&[Backend::Mem]);
    let mut results = Results::new();
    let places = ["connect", "greeting", "reset", "tls-handshake"];
    let cells = matrix.cells().iter();
    for cell in cells.filter(|c| places.contains(&c.place()) && !c.fault.starts_with("endless")) {
        results.add(cell, &cell.run());
        results.add_peers(PeerRecord::all(cell));
    }
    let all = Summary::of(&results.cells);
    assert_eq!(all.len(), Peer::ALL.len());
    for (client, summary) in &all {
        let not_tried: usize = summary.not_tried.values().sum();
        assert_eq!(summary.tried() + not_tried, results.cells.len(), "{client}");
        assert!(
            summary.not_tried.keys().all(|why| !why.is_empty()),
            "{client}"
        );
        let open = summary.ended(End::Open) + summary.ended(End::Reading);
        assert_eq!(summary.without_end(), open, "{client}");
    }
    // By STARTTLS, and not from the first octet.
    let lettre = &all[&Peer::Lettre.to_string()];
    assert!(lettre.places["tls-handshake"].0 > 0, "{lettre:?}");
    assert!(results.hold(), "what others do breaks nothing of ours");
}

#[test]
fn peers_a_version_is_the_lock_files() {
    for peer in Peer::ALL {
        let parts = peer
            .version()
            .split('.')
            .filter(|part| part.parse::<u32>().is_ok());
        assert_eq!(parts.count(), 3, "{peer}");
    }
}
