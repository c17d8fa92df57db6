//! Which messages there are: files, directories of them, Maildirs and mbox files.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use postbound::{Envelope, wire_octets};
use sha2::{Digest, Sha256};

use super::mbox::{self, Part};
use crate::exit::{self, Stop};

/// A message that was found, and how it is known again in another run.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    file: PathBuf,
    /// Its place in an mbox, and the how manieth it is there.
    part: Option<(usize, Part)>,
    /// Of envelope and message, not of names and places: a message that was moved is the same.
    digest: String,
    /// Equal ones are told apart by their number.
    copy: usize,
    /// Octets of mail data on the wire.
    pub(crate) octets: u64,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match self.part {
            Some((number, _)) => write!(f, ", message {number}"),
            None => Ok(()),
        }
    }
}

impl Found {
    /// What it is called in a journal.
    pub(crate) fn key(&self) -> String {
        match self.copy {
            1 => self.digest.clone(),
            copy => format!("{}#{copy}", self.digest),
        }
    }

    /// The message itself.
    ///
    /// # Errors
    /// If it can't be read, or is not the one any more that was found.
    pub(crate) fn read(&self, envelope: &Envelope) -> io::Result<Vec<u8>> {
        let message = match self.part {
            None => fs::read(&self.file)?,
            Some((_, Part { at, length })) => {
                let mut file = File::open(&self.file)?;
                file.seek(SeekFrom::Start(at))?;
                let mut raw = Vec::new();
                file.take(length).read_to_end(&mut raw)?;
                mbox::read(&raw)
            }
        };
        if digest(envelope, &message) != self.digest {
            return Err(io::Error::other("it has changed since it was found"));
        }
        Ok(message)
    }
}

/// SHA-256 over the paths of the envelope and the message.
fn digest(envelope: &Envelope, message: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(envelope.reverse_path().as_str());
    for path in envelope.forward_paths() {
        hash.update("\n");
        hash.update(path.as_str());
    }
    hash.update("\n\n");
    hash.update(message);
    let mut text = String::new();
    for octet in hash.finalize() {
        let _ = write!(text, "{octet:02x}");
    }
    text
}

/// Every message of these files and directories, in their order; within a directory by name.
pub(crate) fn find(places: &[PathBuf], envelope: &Envelope) -> Result<Vec<Found>, Stop> {
    let mut found = Vec::new();
    let mut copies: HashMap<String, usize> = HashMap::new();
    for place in places {
        let failed = |file: &Path, error: io::Error| {
            let file = file.display();
            Stop::new(exit::INPUT, format!("{file} can't be read: {error}"))
        };
        let files = if place.is_dir() {
            list(place).map_err(|error| failed(place, error))?
        } else {
            vec![place.clone()]
        };
        if files.is_empty() {
            let place = place.display();
            return Err(Stop::new(
                exit::INPUT,
                format!(
                    "{place} has no messages: of a directory its *.eml files are sent, of a Maildir what is in new and cur"
                ),
            ));
        }
        for file in files {
            look(&file, |part, message| {
                let digest = digest(envelope, message);
                let copy = copies.entry(digest.clone()).or_default();
                *copy += 1;
                found.push(Found {
                    file: file.clone(),
                    part,
                    digest,
                    copy: *copy,
                    octets: wire_octets(message),
                });
            })
            .map_err(|error| failed(&file, error))?;
        }
    }
    Ok(found)
}

/// The files of a directory that are messages.
fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let maildir = ["new", "cur"].map(|name| directory.join(name));
    let mut files = Vec::new();
    if maildir.iter().all(|part| part.is_dir()) {
        for part in &maildir {
            for entry in fs::read_dir(part)? {
                files.push(entry?.path());
            }
        }
        files.retain(|file| file.is_file() && !is_hidden(file));
    } else {
        for entry in fs::read_dir(directory)? {
            files.push(entry?.path());
        }
        let is_message = |file: &Path| {
            let extension = file.extension();
            extension.is_some_and(|extension| extension.eq_ignore_ascii_case("eml"))
        };
        files.retain(|file| is_message(file) && file.is_file() && !is_hidden(file));
    }
    files.sort();
    Ok(files)
}

fn is_hidden(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
}

/// Shows the messages of one file.
fn look(file: &Path, mut show: impl FnMut(Option<(usize, Part)>, &[u8])) -> io::Result<()> {
    let mut reader = BufReader::new(File::open(file)?);
    let mut head = [0; mbox::MARK.len()];
    let count = read_up_to(&mut reader, &mut head)?;
    reader.rewind()?;
    if count == head.len() && head == mbox::MARK {
        let mut number = 0;
        return mbox::each(reader, |part, message| {
            number += 1;
            show(Some((number, part)), message);
            Ok(())
        });
    }
    let mut message = Vec::new();
    reader.read_to_end(&mut message)?;
    show(None, &message);
    Ok(())
}

fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut reader = reader.take(buffer.len() as u64);
    let mut octets = Vec::new();
    reader.read_to_end(&mut octets)?;
    for (to, from) in buffer.iter_mut().zip(&octets) {
        *to = *from;
    }
    Ok(octets.len())
}
