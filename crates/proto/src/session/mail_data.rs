//! Mail data on its way out, behind DATA or in chunks.

use std::io::IoSlice;

use super::chunks::Chunks;
use crate::transparency::{BareLineEnding, Encoder};

/// Mail data on its way out.
#[derive(Debug)]
pub(super) enum MailData {
    /// Behind DATA, with transparency and the end of mail data.
    Data(Encoder),
    /// By BDAT.
    Chunks(Chunks),
}

/// The same of whichever it is.
macro_rules! either {
    ($self:expr, $it:ident => $result:expr) => {
        match $self {
            Self::Data($it) => $result,
            Self::Chunks($it) => $result,
        }
    };
}

impl MailData {
    /// Begins the next piece of the source.
    pub(super) fn next_source(&mut self) {
        match self {
            Self::Data(encoder) => encoder.next_chunk(),
            Self::Chunks(chunks) => chunks.next_source(),
        }
    }

    /// Prepares octets of `source`, up to as many as are handed out at once. If none is pending
    /// behind it, there is nothing left of `source`.
    pub(super) fn prepare(&mut self, source: &[u8], last: bool) -> Result<(), BareLineEnding> {
        either!(self, it => it.prepare(source, last))
    }

    /// Fills `slices` with what may leave, in order, and says how many it set.
    pub(super) fn slices<'a>(&'a self, source: &'a [u8], slices: &mut [IoSlice<'a>]) -> usize {
        either!(self, it => it.slices(source, slices))
    }

    /// Whether the first so many slices go to the last octet.
    pub(super) fn ends_with(&self, slices: usize) -> bool {
        either!(self, it => it.ends_with(slices))
    }

    /// Octets that are prepared and not taken.
    pub(super) fn pending(&self) -> usize {
        either!(self, it => it.pending())
    }

    /// The transport took the first `count` of the prepared octets.
    pub(super) fn taken(&mut self, count: usize) {
        either!(self, it => it.taken(count));
    }

    /// Whether the last octet was taken.
    pub(super) fn is_finished(&self) -> bool {
        either!(self, it => it.is_finished())
    }

    /// Octets taken so far, without the commands of chunks.
    pub(super) fn octets_taken(&self) -> u64 {
        either!(self, it => it.octets_taken())
    }
}
