//! Many messages: several servers, one of which dies, a journal, interrupts and crashes.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has to fail"
)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use common::{Server, postbound, said};
use serde_json::Value;
use tempfile::TempDir;

/// Messages in a folder, servers with mailboxes and a journal.
struct Place {
    folder: TempDir,
}

impl Place {
    fn with(messages: usize) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(place.path("messages")).unwrap();
        for number in 1..=messages {
            let file = format!("messages/{number:04}.eml");
            let text = format!("Subject: {number}\r\n\r\nhello {number}\r\n");
            fs::write(place.path(&file), text).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// A server that keeps what it takes in a folder of this name.
    fn server(&self, mailbox: &str, rules: &[&str]) -> Server {
        let mut server = Server::start(rules, &["--mailbox", &self.text(mailbox)]);
        // A log that nobody reads would fill its pipe and hold the server up.
        let mut log = server.child.stdout.take().unwrap();
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        server
    }

    fn send(&self, what: &str, servers: &[&Server], more: &[&str]) -> Command {
        let what = self.text(what);
        let mut arguments = vec!["send", &what, "--from", "me@example.net"];
        for server in servers {
            arguments.extend(["--server", &server.address]);
        }
        if !more.contains(&"--to") {
            arguments.extend(["--to", "a@example.org"]);
        }
        arguments.extend(more);
        postbound(&arguments)
    }

    /// How often each subject is in these mailboxes, once the servers have written all of them.
    fn mailboxes(&self, names: &[&str], servers: Vec<Server>) -> BTreeMap<String, usize> {
        for mut server in servers {
            interrupt(&server.child);
            server.child.wait().unwrap();
        }
        let mut copies = BTreeMap::new();
        for name in names {
            for entry in fs::read_dir(self.path(name)).unwrap() {
                let file = entry.unwrap().path();
                if file.extension().is_some_and(|extension| extension == "eml") {
                    let text = fs::read_to_string(file).unwrap();
                    let subject = text.lines().next().unwrap().to_owned();
                    *copies.entry(subject).or_default() += 1;
                }
            }
        }
        copies
    }

    /// The lines of the journal.
    fn journal(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("journal")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn interrupt(child: &Child) {
    let id = child.id().to_string();
    let status = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(status.success());
}

fn files(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

fn lines(file: &Path) -> usize {
    fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

/// Waits until it holds, or the child has ended.
fn until(child: &mut Child, mut holds: impl FnMut() -> bool) {
    #[expect(clippy::disallowed_methods, reason = "programs run in real time")]
    while !holds() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn one_of_two_servers_dies_in_a_run_of_1000_and_each_message_is_in_one_mailbox_once() {
    let place = Place::with(1_000);
    // Behind 300 messages it closes every connection and takes no other.
    let dying = place.server(
        "a",
        &[
            "mail[over 300 per 1h]: reply 421 4.3.2 dying; close",
            "greeting[over 4 per 1h]: reply 421 4.3.2 dead; close",
        ],
    );
    let alive = place.server("b", &[]);
    let journal = place.text("journal");
    let more = ["--retry", "2", "--deadline", "120s", "--journal", &journal];
    let output = place
        .send("messages", &[&dying, &alive], &more)
        .output()
        .unwrap();
    let (code, text) = said(&output);
    assert_eq!(code, 0, "{text}");
    for says in [
        "1000 messages: 1000 accepted, 0 not accepted, 0 ambiguous, 0 not begun".to_owned(),
        format!("300 taken by {}", dying.address),
        format!("700 taken by {}", alive.address),
        "ends within 120.000 s, whatever happens".to_owned(),
    ] {
        assert!(text.contains(&says), "{says}: {text}");
    }
    let copies = place.mailboxes(&["a", "b"], vec![dying, alive]);
    assert_eq!(copies.len(), 1_000);
    assert!(copies.values().all(|copies| *copies == 1));
}

#[test]
fn a_server_that_is_killed_leaves_at_most_one_ambiguous_message_for_each_connection() {
    let place = Place::with(400);
    let (mut killed, alive) = (place.server("a", &[]), place.server("b", &[]));
    let journal = place.text("journal");
    let more = ["--retry", "2", "--pool", "3", "--journal", &journal];
    let mut child = place
        .send("messages", &[&killed, &alive], &more)
        .spawn()
        .unwrap();
    until(&mut child, || files(&place.path("a")) >= 100);
    interrupt(&killed.child);
    killed.child.wait().unwrap();
    let (code, text) = said(&child.wait_with_output().unwrap());
    let journal_of = |place: &Place| {
        let mut of: BTreeMap<String, String> = BTreeMap::new();
        for line in place.journal() {
            if let Some(outcome) = line["outcome"].as_str() {
                of.insert(line["message"].to_string(), outcome.to_owned());
            }
        }
        of
    };
    let outcomes = journal_of(&place);
    assert_eq!(outcomes.len(), 400, "{text}");
    let ambiguous = outcomes.values().filter(|o| *o == "ambiguous").count();
    let accepted = outcomes.values().filter(|o| *o == "accepted").count();
    assert!(ambiguous <= 3 && ambiguous + accepted == 400, "{text}");
    assert_eq!(code, if ambiguous > 0 { 40 } else { 0 }, "{text}");
    // The journal keeps the ambiguous ones from being sent again.
    let (again, text) = said(&place.send("messages", &[&alive], &more).output().unwrap());
    assert_eq!(again, code, "{text}");
    // Asked to, it sends them again, and nothing else.
    let mut more = more.to_vec();
    more.push("--resend-ambiguous");
    let (code, text) = said(&place.send("messages", &[&alive], &more).output().unwrap());
    assert_eq!(code, 0, "{text}");
    let copies = place.mailboxes(&["a", "b"], vec![alive]);
    assert_eq!(copies.len(), 400);
    let twice = copies.values().filter(|copies| **copies == 2).count();
    assert!(twice <= ambiguous && copies.values().all(|copies| *copies <= 2));
}

#[test]
fn a_run_that_was_killed_goes_on_without_a_duplicate() {
    let place = Place::with(200);
    let server = place.server("a", &[]);
    let journal = place.text("journal");
    let more = ["--journal", &journal];
    for kill_at in [50, 140, 260] {
        let mut child = place.send("messages", &[&server], &more).spawn().unwrap();
        until(&mut child, || lines(&place.path("journal")) >= kill_at);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let (code, text) = said(&place.send("messages", &[&server], &more).output().unwrap());
    let copies = place.mailboxes(&["a"], vec![server]);
    assert!(copies.values().all(|copies| *copies == 1), "{copies:?}");
    // What the kill hit may have been sent: at most two for each connection and kill.
    let unknown = 200 - copies.len();
    assert!(unknown <= 24, "{text}");
    let says = "the program ended before the message's outcome was known";
    assert_eq!(code == 40, text.contains(says), "{text}");
    assert!(code == 0 || code == 40, "{text}");
}

#[test]
fn what_was_begun_and_not_ended_is_ambiguous_to_the_next_run() {
    let place = Place::with(1);
    let server = place.server("a", &["data-termination: commit; stall"]);
    let alive = place.server("b", &[]);
    let journal = place.text("journal");
    let more = ["--journal", &*journal];
    let mut child = place.send("messages", &[&server], &more).spawn().unwrap();
    until(&mut child, || files(&place.path("a")) >= 2);
    child.kill().unwrap();
    child.wait().unwrap();
    let lines = place.journal();
    assert_eq!(lines.len(), 2, "nothing is said of an end: {lines:?}");
    let (code, text) = said(&place.send("messages", &[&alive], &more).output().unwrap());
    assert_eq!(code, 40, "{text}");
    assert!(
        text.contains("0001.eml: the program ended before"),
        "{text}"
    );
    assert_eq!(place.mailboxes(&["b"], vec![alive]).len(), 0);
}

#[test]
fn the_end_of_a_message_is_written_when_its_outcome_is_known_and_not_before() {
    let place = Place::with(1);
    let mut server = Server::start(&["data-termination: after 1s"], &[]);
    let journal = place.text("journal");
    let mut child = place
        .send("messages", &[&server], &["--journal", &journal])
        .spawn()
        .unwrap();
    // The message is begun in the journal before the server hears of it.
    let mut log = BufReader::new(server.child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("MAIL FROM") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "the log ended");
    }
    let (begun, begun_lines) = (place.journal(), lines(&place.path("journal")));
    assert!(begun[1]["begin"].is_string(), "{begun:?}");
    assert_eq!(begun_lines, 2);
    assert!(child.wait().unwrap().success());
    let ended = place.journal();
    assert_eq!(ended[2]["outcome"], "accepted");
    assert_eq!(ended[2]["end"], ended[1]["begin"]);
    assert_eq!(ended[2]["to"][0], "a@example.org");
}

#[test]
fn an_interrupt_says_what_became_of_each_and_the_next_run_sends_the_rest() {
    let place = Place::with(40);
    let slow = place.server("a", &["data-termination: after 60ms"]);
    let journal = place.text("journal");
    let more = ["--pool", "2", "--journal", &journal];
    let mut child = place.send("messages", &[&slow], &more).spawn().unwrap();
    until(&mut child, || files(&place.path("a")) >= 10);
    interrupt(&child);
    let (code, text) = said(&child.wait_with_output().unwrap());
    assert!(code == 40 || code == 4, "{text}");
    assert!(text.contains("ended by an interrupt"), "{text}");
    assert!(text.contains("not begun:"), "{text}");
    let begun = place
        .journal()
        .iter()
        .filter(|l| l["begin"].is_string())
        .count();
    let ended = place
        .journal()
        .iter()
        .filter(|l| l["end"].is_string())
        .count();
    assert_eq!(begun, ended, "each has its outcome");
    let ambiguous = text.matches("cancelled").count();
    assert!(ambiguous <= 4, "{text}");
    let (code, text) = said(&place.send("messages", &[&slow], &more).output().unwrap());
    assert!(code == 0 || code == 40, "{text}");
    assert!(
        text.contains("accepted in an earlier run, not sent again"),
        "{text}"
    );
    let copies = place.mailboxes(&["a"], vec![slow]);
    assert!(copies.values().all(|copies| *copies == 1), "{copies:?}");
    assert!(copies.len() >= 36, "{}: {text}", copies.len());
}

#[test]
fn recipients_and_messages_that_were_put_off_are_tried_again_and_those_accepted_are_not() {
    let place = Place::with(6);
    let server = place.server(
        "a",
        &[
            "rcpt[*b@example.org*, first 3]: reply 451 4.3.0 later",
            "mail[first 2]: reply 451 4.3.0 later",
        ],
    );
    let to = "a@example.org,b@example.org";
    let more = ["--to", to, "--retry", "2", "--pool", "1"];
    let (code, text) = said(&place.send("messages", &[&server], &more).output().unwrap());
    assert_eq!(code, 0, "{text}");
    // Two at MAIL, and three for one of their recipients.
    assert!(text.contains("5 tried again"), "{text}");
    let folder = place.path("a");
    place.mailboxes(&["a"], vec![server]);
    let mut recipients: BTreeMap<(String, String), usize> = BTreeMap::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let file = entry.unwrap().path();
        if file
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let envelope: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            let subject = fs::read_to_string(file.with_extension("eml")).unwrap();
            for path in envelope["forward_paths"].as_array().unwrap() {
                let key = (subject.lines().next().unwrap().to_owned(), path.to_string());
                *recipients.entry(key).or_default() += 1;
            }
        }
    }
    assert_eq!(recipients.len(), 12, "each message for each recipient");
    assert!(
        recipients.values().all(|count| *count == 1),
        "{recipients:?}"
    );
}

#[test]
fn a_message_that_is_refused_for_good_is_tried_once_and_named() {
    let place = Place::with(5);
    let server = place.server("a", &["mail#3: reply 550 5.7.1 no"]);
    let more = ["--pool", "1", "--retry", "3"];
    let (code, text) = said(&place.send("messages", &[&server], &more).output().unwrap());
    assert_eq!(code, 4, "{text}");
    assert!(
        text.contains("4 accepted, 1 not accepted, 0 ambiguous"),
        "{text}"
    );
    assert!(
        text.contains("0003.eml: mail: the server refused: 550"),
        "{text}"
    );
    assert!(!text.contains("tried again"), "{text}");
    assert_eq!(place.mailboxes(&["a"], vec![server]).len(), 4);
}

#[test]
fn where_no_server_can_be_had_most_messages_are_not_even_begun() {
    let place = Place::with(100);
    let dead = place.server("a", &["connect: refuse"]);
    let more = ["--json"];
    let output = place.send("messages", &[&dead], &more).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let count = |name: &str| summary[name].as_array().unwrap().len();
    assert_eq!(summary["accepted"], 0);
    assert!(count("not_begun") >= 80, "{summary}");
    assert_eq!(count("not_begun") + count("not_accepted"), 100);
}

#[test]
fn mbox_files_and_maildirs_are_sent_message_by_message() {
    let place = Place::with(2);
    let mbox = "From a Mon\nSubject: one\n\nhello\n>From me\n\nFrom b Tue\nSubject: two\n\nbye\n";
    fs::write(place.path("mbox"), mbox).unwrap();
    for part in ["new", "cur", "tmp"] {
        fs::create_dir_all(place.path("maildir").join(part)).unwrap();
        let text = format!("Subject: {part}\n\nhello\n");
        fs::write(place.path("maildir").join(part).join("1.host"), text).unwrap();
    }
    let server = place.server("a", &[]);
    let maildir = place.text("maildir");
    let messages = place.text("messages");
    let more = [&*maildir, &messages];
    let (code, text) = said(&place.send("mbox", &[&server], &more).output().unwrap());
    assert_eq!(code, 0, "{text}");
    let copies = place.mailboxes(&["a"], vec![server]);
    let subjects: Vec<_> = copies
        .keys()
        .map(|s| s.strip_prefix("Subject: ").unwrap())
        .collect();
    assert_eq!(subjects, ["1", "2", "cur", "new", "one", "two"]);
    let taken = (1..=6).map(|n| fs::read_to_string(place.path("a").join(format!("{n:06}.eml"))));
    assert!(
        taken
            .flatten()
            .any(|text| text == "Subject: one\r\n\r\nhello\r\nFrom me\r\n")
    );
}

#[test]
fn the_promise_of_every_server_pass_and_message_is_shown_before_anything_is_sent() {
    let place = Place::with(10);
    let (a, b) = (
        place.server("a", &["connect: refuse"]),
        place.server("b", &["connect: refuse"]),
    );
    let more = ["--retry", "1", "--timeout", "1s", "--pool", "2", "--plan"];
    let (code, text) = said(&place.send("messages", &[&a, &b], &more).output().unwrap());
    assert_eq!(code, 0, "{text}");
    let row = text
        .lines()
        .find(|line| line.starts_with("greeting"))
        .unwrap();
    assert_eq!(row.split_whitespace().nth(1), Some("2"), "{text}");
    assert!(
        text.contains("10 messages over 2 connections in 2 passes at most"),
        "{text}"
    );
    // Without --plan the line comes first.
    let (_, text) = said(
        &place
            .send("messages", &[&a, &b], &more[..6])
            .output()
            .unwrap(),
    );
    assert!(text.contains("whatever happens"), "{text}");
}

#[test]
fn equal_messages_are_all_sent_and_a_message_that_was_moved_is_known_again() {
    let place = Place::with(0);
    for name in ["1.eml", "2.eml", "3.eml"] {
        fs::write(place.path("messages").join(name), "Subject: same\n\nx\n").unwrap();
    }
    let server = place.server("a", &[]);
    let journal = place.text("journal");
    let more = ["--journal", &*journal];
    let (code, text) = said(&place.send("messages", &[&server], &more).output().unwrap());
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("3 messages: 3 accepted"), "{text}");
    fs::rename(place.path("messages"), place.path("elsewhere")).unwrap();
    let (code, text) = said(&place.send("elsewhere", &[&server], &more).output().unwrap());
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("3 accepted in an earlier run"), "{text}");
    // For somebody else it is another message.
    let more = ["--journal", &*journal, "--to", "other@example.org"];
    let (code, text) = said(&place.send("elsewhere", &[&server], &more).output().unwrap());
    assert_eq!(code, 0, "{text}");
    assert_eq!(place.mailboxes(&["a"], vec![server])["Subject: same"], 6);
}

#[test]
fn what_can_not_be_is_said_with_the_remedy() {
    let place = Place::with(1);
    fs::create_dir(place.path("empty")).unwrap();
    fs::write(place.path("journal"), "hello\n").unwrap();
    let server = place.server("a", &[]);
    let journal = place.text("journal");
    for (what, more, code, says) in [
        ("empty", vec![], 66, "its *.eml files are sent"),
        ("missing", vec![], 66, "missing can't be read"),
        ("messages", vec!["--data", "x"], 64, "cannot be used with"),
        ("messages", vec!["--resend-ambiguous"], 64, "--journal"),
        ("messages", vec!["--pool", "0"], 64, "--pool"),
        (
            "messages",
            vec!["--journal", &*journal],
            66,
            "begin another",
        ),
        (
            "messages",
            vec!["--journal", "/nowhere/journal"],
            74,
            "can't be written",
        ),
    ] {
        let (exit, text) = said(&place.send(what, &[&server], &more).output().unwrap());
        assert_eq!(exit, code, "{what} {more:?}: {text}");
        assert!(text.contains(says), "{what} {more:?}: {text}");
    }
    assert_eq!(place.mailboxes(&["a"], vec![server]).len(), 0);
}
