//! The journal: what was begun and how it ended, so that a run which was interrupted goes on without
//! a duplicate.
//!
//! One JSON object a line. `begin` is on the disk before the first octet of a message is sent, `end`
//! is written once its outcome is known and not before. Whatever was begun and has no end may have
//! been accepted.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use postbound::{Error, ForwardPath, Receipt};
use serde_json::{Value, json};

use super::fate::Fate;
use crate::exit::{self, Stop};

const HEAD: &str = "postbound-journal";
const VERSION: u64 = 1;

/// What a journal knows, by message and recipient.
pub(crate) type Known = HashMap<String, BTreeMap<String, Fate>>;

/// A journal that is written to. Nobody else has it open meanwhile.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    /// Octets of whole lines.
    length: u64,
}

impl Journal {
    /// Opens a journal, or makes one, and reads what it knows.
    ///
    /// A last line that was not written to its end is taken away: nothing was done on its strength.
    pub(crate) fn open(path: &Path) -> Result<(Self, Known), Stop> {
        let shown = path.display();
        let input = |why: String| Stop::new(exit::INPUT, format!("the journal {shown} {why}"));
        let output = |error: io::Error| {
            Stop::new(
                exit::OUTPUT,
                format!("the journal {shown} can't be written: {error}"),
            )
        };
        let is_new = !path.exists();
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(output)?;
        fs4::FileExt::try_lock(&file).map_err(|_| {
            Stop::new(
                exit::SYSTEM,
                format!("the journal {shown} is in use by another run; wait for it to end"),
            )
        })?;
        // A device may have no end, and forgets what is written to it.
        let is_file = file.metadata().is_ok_and(|about| about.is_file());
        if !is_file {
            return Err(input(
                "is no file that can be read again; give the path of one".to_owned(),
            ));
        }
        let mut octets = Vec::new();
        file.read_to_end(&mut octets)
            .map_err(|error| input(format!("can't be read: {error}")))?;
        let whole = octets
            .iter()
            .rposition(|o| *o == b'\n')
            .map_or(0, |at| at + 1);
        let lines = String::from_utf8_lossy(octets.get(..whole).unwrap_or_default());
        let known = read(&lines).map_err(input)?;
        if whole < octets.len() {
            file.set_len(whole as u64).map_err(output)?;
        }
        file.seek(SeekFrom::End(0)).map_err(output)?;
        let mut journal = Self {
            path: path.to_owned(),
            file,
            length: whole as u64,
        };
        if whole == 0 {
            journal.write(&json!({HEAD: VERSION}))?;
        }
        if is_new {
            lasting(path).map_err(output)?;
        }
        Ok((journal, known))
    }

    /// The message is about to be sent to these recipients.
    pub(crate) fn begin(&mut self, key: &str, name: &str, to: &[ForwardPath]) -> Result<(), Stop> {
        self.write(&json!({"begin": key, "message": name, "to": paths(to)}))
    }

    /// The outcome is known.
    pub(crate) fn end(
        &mut self,
        key: &str,
        name: &str,
        to: &[ForwardPath],
        result: &Result<Receipt, Error>,
    ) -> Result<(), Stop> {
        let mut line = json!({"end": key, "message": name, "to": paths(to)});
        let told = match result {
            Ok(receipt) => json!({
                "outcome": "accepted",
                "endpoint": receipt.endpoint(),
                "reply": receipt.reply().to_string(),
                "refused": receipt
                    .refused()
                    .map(|r| json!({
                        "path": r.path().as_str(),
                        "reply": r.reply().map(ToString::to_string),
                    }))
                    .collect::<Vec<_>>(),
            }),
            Err(error) => json!({
                "outcome": error.outcome().to_string(),
                "endpoint": error.endpoint(),
                "phase": error.phase().name(),
                "error": error.to_string(),
            }),
        };
        if let (Value::Object(line), Value::Object(told)) = (&mut line, told) {
            line.extend(told);
        }
        self.write(&line)
    }

    /// One line, on the disk when this is over.
    fn write(&mut self, line: &Value) -> Result<(), Stop> {
        let line = format!("{line}\n");
        let written = self
            .file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data());
        written.map_err(|error| {
            // The next line does not go on in the middle of this one.
            let _ = self.file.set_len(self.length);
            let path = self.path.display();
            Stop::new(
                exit::OUTPUT,
                format!("the journal {path} can't be written: {error}"),
            )
        })?;
        self.length += line.len() as u64;
        Ok(())
    }
}

/// A new file is there after a loss of power only if its directory is, too.
fn lasting(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

fn paths(to: &[ForwardPath]) -> Vec<&str> {
    to.iter().map(ForwardPath::as_str).collect()
}

/// What the lines of a journal say, the later ones behind the earlier.
fn read(lines: &str) -> Result<Known, String> {
    let mut known = Known::new();
    for (number, line) in (1..).zip(lines.lines()) {
        let wrong = |what: &str| {
            format!(
                "has {what} in line {number}; it is no journal of this program, or was changed: mend it or begin another"
            )
        };
        let value: Value = serde_json::from_str(line).map_err(|_| wrong("no JSON object"))?;
        if number == 1 {
            match value.get(HEAD).and_then(Value::as_u64) {
                Some(VERSION) => continue,
                Some(other) => {
                    return Err(format!(
                        "is of version {other}, and this program knows {VERSION}"
                    ));
                }
                None => return Err(wrong("no head")),
            }
        }
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let (key, begins) = match (text("begin"), text("end")) {
            (Some(key), None) => (key, true),
            (None, Some(key)) => (key, false),
            _ => return Err(wrong("neither a begin nor an end")),
        };
        let to = value.get("to").and_then(Value::as_array);
        let to = to.ok_or_else(|| wrong("no recipients"))?;
        let refused = value.get("refused").and_then(Value::as_array);
        let entry = known.entry(key.to_owned()).or_default();
        for path in to.iter().filter_map(Value::as_str) {
            let fate = entry.entry(path.to_owned()).or_insert(Fate::Waiting);
            if begins {
                // An earlier doubt is not taken away by a later try.
                if fate.is_safe() {
                    *fate = Fate::Begun;
                }
                continue;
            }
            let is_refused = refused.is_some_and(|refused| {
                refused
                    .iter()
                    .any(|one| one.get("path").and_then(Value::as_str) == Some(path))
            });
            let why = text("error").unwrap_or("refused").to_owned();
            let heard = match text("outcome") {
                Some("accepted") if !is_refused => Fate::Accepted,
                Some("accepted" | "not accepted") => Fate::NotAccepted { why, passes: true },
                Some("ambiguous") => Fate::Ambiguous { why },
                _ => return Err(wrong("no outcome")),
            };
            fate.then(heard);
        }
    }
    for fate in known.values_mut().flat_map(BTreeMap::values_mut) {
        if *fate == Fate::Begun {
            *fate = Fate::unknown();
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "{\"postbound-journal\":1}\n";

    fn fates(lines: &[&str]) -> Vec<Fate> {
        let known = read(&format!("{START}{}", lines.join("\n"))).unwrap();
        known["k"].values().cloned().collect()
    }

    #[test]
    fn what_was_begun_and_has_no_end_may_have_been_accepted() {
        let begin = r#"{"begin":"k","to":["a@x","b@x"]}"#;
        assert_eq!(fates(&[begin]), [Fate::unknown(), Fate::unknown()]);
        let accepted = r#"{"end":"k","to":["a@x","b@x"],"outcome":"accepted","refused":[{"path":"b@x","reply":"450 later"}]}"#;
        let [a, b] = &fates(&[begin, accepted])[..] else {
            panic!()
        };
        assert!(a.is_accepted() && b.is_safe());
        let failed =
            r#"{"end":"k","to":["a@x","b@x"],"outcome":"not accepted","error":"mail: closed"}"#;
        assert!(fates(&[begin, failed]).iter().all(Fate::is_safe));
        // The other half was never heard of again.
        let half = r#"{"end":"k","to":["a@x"],"outcome":"accepted"}"#;
        assert_eq!(fates(&[begin, half]), [Fate::Accepted, Fate::unknown()]);
    }

    #[test]
    fn a_doubt_is_not_taken_away_by_another_try_that_fails() {
        let lines = [
            r#"{"begin":"k","to":["a@x"]}"#,
            r#"{"end":"k","to":["a@x"],"outcome":"ambiguous","error":"closed"}"#,
            r#"{"begin":"k","to":["a@x"]}"#,
            r#"{"end":"k","to":["a@x"],"outcome":"not accepted","error":"refused"}"#,
        ];
        for count in 2..=lines.len() {
            assert!(
                fates(&lines[..count]).iter().all(Fate::is_ambiguous),
                "{count}"
            );
        }
    }

    #[test]
    fn what_is_no_journal_is_refused_with_its_line() {
        for (text, says) in [
            ("hello\n", "line 1"),
            ("{}\n", "no head in line 1"),
            ("{\"postbound-journal\":9}\n", "version 9"),
            ("{\"postbound-journal\":1}\n{}\n", "line 2"),
            (
                "{\"postbound-journal\":1}\n{\"end\":\"k\",\"to\":[]}\n{\"begin\":1}\n",
                "line 3",
            ),
            (
                "{\"postbound-journal\":1}\n{\"end\":\"k\",\"to\":[\"a@x\"]}\n",
                "no outcome in line 2",
            ),
        ] {
            let why = read(text).unwrap_err();
            assert!(why.contains(says), "{text:?}: {why}");
        }
    }

    #[test]
    fn a_line_that_was_cut_off_is_taken_away_and_two_runs_do_not_share_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let whole = format!("{START}{}\n", r#"{"begin":"k","to":["a@x"]}"#);
        std::fs::write(&path, format!("{whole}{{\"end\":\"k\",\"to\":[\"a@")).unwrap();
        let (mut journal, known) = Journal::open(&path).unwrap();
        assert_eq!(known["k"]["a@x"], Fate::unknown());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
        assert_eq!(Journal::open(&path).unwrap_err().code, exit::SYSTEM);
        journal
            .begin("l", "m.eml", &["a@x".parse().unwrap()])
            .unwrap();
        drop(journal);
        let (_, known) = Journal::open(&path).unwrap();
        assert_eq!(known.len(), 2);
    }
}
