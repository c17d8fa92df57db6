//! Messages as files: written before they are answered for, and whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;
use simnet::Delivery;

use crate::exit::{self, Stop};

/// A folder, and how many messages were in it before.
#[derive(Debug)]
pub(super) struct Mailbox {
    folder: PathBuf,
    before: u64,
}

impl Mailbox {
    /// Makes the folder if it is not there. The numbers of what is in it already are not used again.
    pub(super) fn open(folder: &Path) -> Result<Self, Stop> {
        let no = |what: &str, error: io::Error| {
            let folder = folder.display();
            Stop::new(
                exit::OUTPUT,
                format!("the folder {folder} can't be {what}: {error}"),
            )
        };
        fs::create_dir_all(folder).map_err(|error| no("made", error))?;
        let mut before = 0;
        for entry in fs::read_dir(folder).map_err(|error| no("read", error))? {
            let path = entry.map_err(|error| no("read", error))?.path();
            let number = path
                .file_stem()
                .and_then(|name| name.to_str()?.parse().ok());
            before = before.max(number.unwrap_or_default());
        }
        Ok(Self {
            folder: folder.to_owned(),
            before,
        })
    }

    /// Writes a message, and before it its envelope, so that whoever sees the one has the other.
    pub(super) fn store(&self, number: u64, delivery: &Delivery) -> io::Result<()> {
        let number = self.before.saturating_add(number).saturating_add(1);
        let envelope = json!({
            "connection": delivery.connection,
            "reverse_path": delivery.reverse_path,
            "forward_paths": delivery.forward_paths,
            "parameters": delivery.parameters,
            "tls": control::tls(delivery.tls.as_ref()),
        });
        self.write(
            &format!("{number:06}.json"),
            format!("{envelope}\n").as_bytes(),
        )?;
        self.write(&format!("{number:06}.eml"), &delivery.octets)
    }

    fn write(&self, name: &str, octets: &[u8]) -> io::Result<()> {
        let half = self.folder.join(format!(".{name}.part"));
        let written =
            fs::write(&half, octets).and_then(|()| fs::rename(&half, self.folder.join(name)));
        if let Err(error) = written {
            // Whatever came to be of it is of no use.
            let _ = fs::remove_file(&half);
            eprintln!(
                "postbound: {} can't be written, and the message is not taken: {error}",
                self.folder.join(name).display()
            );
            return Err(error);
        }
        Ok(())
    }
}
