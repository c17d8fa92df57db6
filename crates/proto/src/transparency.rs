//! Transparency: the mail data as it crosses the wire (RFC 5321 §4.5.2), without a copy of it.

use core::fmt;
use core::ops::Range;
use std::io::IoSlice;

use memchr::memchr2;
use smallvec::SmallVec;

use crate::scan;

/// What to do with a CR without LF, or an LF without CR, in the message's source. Neither ever
/// leaves as it is: a server that takes one for the end of a line can be made to see mail data end
/// where it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineEndings {
    /// Each becomes CRLF. The default: most messages in files end their lines with LF.
    #[default]
    Normalize,
    /// The message is refused. For signed messages, whose octets must not change.
    Refuse,
}

/// A CR without LF or an LF without CR, where the caller asked for a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BareLineEnding {
    /// Its place in the message, counted from 0.
    pub octet: u64,
}

impl fmt::Display for BareLineEnding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "octet {} of the message is a CR without LF or an LF without CR; end every line with CRLF",
            self.octet
        )
    }
}

impl std::error::Error for BareLineEnding {}

/// Where the encoder is in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    LineStart,
    InLine,
    /// Behind a CR that is held back until the next octet says whether it is bare.
    HeldCr,
}

#[derive(Clone, Debug)]
enum Piece {
    Chunk(Range<usize>),
    Static(&'static [u8]),
}

impl Piece {
    fn len(&self) -> usize {
        match self {
            Self::Chunk(range) => range.len(),
            Self::Static(octets) => octets.len(),
        }
    }
}

/// Pieces prepared at once.
const PIECES: usize = 64;
/// Pieces of a message in which nothing has to be changed, with room to spare.
const FEW: usize = 4;

/// How a message goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Behind DATA: lines, with transparency and the end of mail data.
    Transparent,
    /// In chunks (RFC 3030): lines as they are.
    Lines,
    /// In chunks, and not in lines at all: not one octet is changed.
    Binary,
}

/// Turns a message, chunk by chunk, into slices to write: ranges of the chunk itself and the few
/// octets that transparency adds.
#[derive(Clone, Debug)]
pub struct Encoder {
    form: Form,
    line_endings: LineEndings,
    at: At,
    pieces: SmallVec<[Piece; FEW]>,
    pending: usize,
    /// How far the current chunk is prepared.
    position: usize,
    /// Octets of the message before the current chunk.
    before: u64,
    chunk: usize,
    terminated: bool,
    taken: u64,
}

impl Encoder {
    /// An encoder at the start of a message.
    #[must_use]
    pub fn new(line_endings: LineEndings) -> Self {
        Self::of(Form::Transparent, line_endings)
    }

    /// Lines without transparency and without an end of mail data, as BDAT takes them. The last one
    /// ends with CRLF all the same, so that the message is the one that DATA would send.
    pub(crate) fn lines(line_endings: LineEndings) -> Self {
        Self::of(Form::Lines, line_endings)
    }

    /// Every octet as it is (BINARYMIME).
    pub(crate) fn binary() -> Self {
        Self::of(Form::Binary, LineEndings::Normalize)
    }

    fn of(form: Form, line_endings: LineEndings) -> Self {
        Self {
            form,
            line_endings,
            at: At::LineStart,
            pieces: SmallVec::new(),
            pending: 0,
            position: 0,
            before: 0,
            chunk: 0,
            terminated: false,
            taken: 0,
        }
    }

    /// Begins a new chunk, once [`consumed`](Self::consumed) says so.
    pub fn next_chunk(&mut self) {
        self.before += self.chunk as u64;
        self.position = 0;
        self.chunk = 0;
    }

    /// Prepares pieces of `chunk`, as many as are handed out at once. `last` says that no other
    /// chunk follows: the end of mail data is then prepared behind it.
    ///
    /// # Errors
    /// If there is a bare CR or bare LF and [`LineEndings::Refuse`] is in force. Nothing of it was
    /// or will be handed out.
    pub fn prepare(&mut self, chunk: &[u8], last: bool) -> Result<(), BareLineEnding> {
        self.chunk = chunk.len();
        while self.pieces.len() < PIECES && self.position < chunk.len() {
            self.step(chunk)?;
        }
        if last && self.position >= chunk.len() && !self.terminated && self.pieces.len() < PIECES {
            if self.at == At::HeldCr {
                self.bare()?;
            }
            let end: &[u8] = match (self.form, self.at) {
                (Form::Transparent, At::LineStart) => b".\r\n",
                (Form::Transparent, _) => b"\r\n.\r\n",
                (_, At::LineStart) => b"",
                (_, _) => b"\r\n",
            };
            if !end.is_empty() {
                self.push(Piece::Static(end));
            }
            self.terminated = true;
        }
        Ok(())
    }

    /// Prepares the next piece or two.
    fn step(&mut self, chunk: &[u8]) -> Result<(), BareLineEnding> {
        let rest = chunk.get(self.position..).unwrap_or_default();
        let transparent = self.form == Form::Transparent;
        match self.at {
            _ if self.form == Form::Binary => {
                self.push(Piece::Chunk(self.position..chunk.len()));
                self.position = chunk.len();
            }
            At::HeldCr => {
                if rest.first() == Some(&b'\n') {
                    self.position += 1;
                } else {
                    self.bare()?;
                }
                self.push(Piece::Static(b"\r\n"));
                self.at = At::LineStart;
            }
            At::LineStart if transparent && rest.first() == Some(&b'.') => {
                self.push(Piece::Static(b"."));
                self.at = At::InLine;
            }
            At::LineStart | At::InLine => {
                let clean = clean_run(rest, self.at == At::LineStart, transparent);
                if clean.octets > 0 {
                    self.push(Piece::Chunk(self.position..self.position + clean.octets));
                    self.position += clean.octets;
                    self.at = clean.at;
                }
                match rest.get(clean.octets) {
                    // Bare, or the chunk's last octet.
                    Some(b'\r') => {
                        self.position += 1;
                        self.at = At::HeldCr;
                    }
                    Some(b'\n') => {
                        self.position += 1;
                        self.bare()?;
                        self.push(Piece::Static(b"\r\n"));
                        self.at = At::LineStart;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// `position` is behind a bare CR or LF, which may lie in the chunk before.
    fn bare(&self) -> Result<(), BareLineEnding> {
        match self.line_endings {
            LineEndings::Normalize => Ok(()),
            LineEndings::Refuse => Err(BareLineEnding {
                octet: (self.before + self.position as u64).saturating_sub(1),
            }),
        }
    }

    fn push(&mut self, piece: Piece) {
        self.pending += piece.len();
        self.pieces.push(piece);
    }

    /// Fills `slices` with what is prepared, in order, and says how many it set.
    pub fn slices<'a>(&self, chunk: &'a [u8], slices: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(match piece {
                Piece::Chunk(range) => chunk.get(range.clone()).unwrap_or_default(),
                Piece::Static(octets) => octets,
            });
            count += 1;
        }
        count
    }

    /// The transport took the first `count` of the prepared octets.
    pub fn taken(&mut self, count: usize) {
        let mut left = count.min(self.pending);
        self.pending -= left;
        self.taken += left as u64;
        let mut whole = 0;
        for piece in &mut self.pieces {
            if left < piece.len() {
                match piece {
                    Piece::Chunk(range) => range.start += left,
                    Piece::Static(octets) => *octets = octets.get(left..).unwrap_or_default(),
                }
                break;
            }
            left -= piece.len();
            whole += 1;
        }
        self.pieces.drain(..whole);
    }

    /// Octets that are prepared and not taken.
    #[must_use]
    pub const fn pending(&self) -> usize {
        self.pending
    }

    /// Whether the first so many prepared pieces are all there will be: the end of mail data is the
    /// last of them.
    #[must_use]
    pub fn ends_with(&self, pieces: usize) -> bool {
        self.terminated && pieces == self.pieces.len()
    }

    /// Whether nothing of `chunk` is left to be prepared or taken. A CR at its end may be held
    /// back; the next chunk decides about it.
    #[must_use]
    pub const fn consumed(&self, chunk: &[u8]) -> bool {
        self.pending == 0 && self.position >= chunk.len()
    }

    /// Whether everything that was prepared is taken, and [`prepare`](Self::prepare) has more: of
    /// this chunk or, behind the last one, the end of mail data.
    #[must_use]
    pub const fn needs_prepare(&self, chunk: &[u8], last: bool) -> bool {
        self.pending == 0 && (self.position < chunk.len() || (last && !self.terminated))
    }

    /// Whether the last octet of the end of mail data was taken.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.terminated && self.pending == 0
    }

    /// Octets taken so far, with transparency and the end of mail data.
    #[must_use]
    pub const fn octets_taken(&self) -> u64 {
        self.taken
    }
}

/// Octets that may be handed out as they are.
struct CleanRun {
    octets: usize,
    at: At,
}

/// The longest prefix without a bare CR, a bare LF or, with transparency, a dot that has to be
/// stuffed.
fn clean_run(octets: &[u8], at_line_start: bool, transparent: bool) -> CleanRun {
    let mut run = CleanRun {
        octets: 0,
        at: if at_line_start {
            At::LineStart
        } else {
            At::InLine
        },
    };
    while let Some(rest) = octets.get(run.octets..)
        && !rest.is_empty()
    {
        if transparent && run.at == At::LineStart && rest.first() == Some(&b'.') {
            return run;
        }
        let clean = scan::clean_prefix(rest);
        if clean > 0 {
            run.octets += clean;
            // It may end a line; then something follows, and no dot.
            run.at = At::InLine;
            continue;
        }
        match memchr2(b'\r', b'\n', rest) {
            None => {
                run.octets = octets.len();
                run.at = At::InLine;
            }
            Some(end) if rest.get(end..end + 2) == Some(b"\r\n") => {
                run.octets += end + 2;
                run.at = At::LineStart;
            }
            Some(0) => return run,
            Some(end) => {
                run.octets += end;
                run.at = At::InLine;
                return run;
            }
        }
    }
    run
}

/// How many octets a message has on the wire, with transparency and the end of mail data.
#[must_use]
pub fn wire_octets(message: &[u8]) -> u64 {
    let mut encoder = Encoder::new(LineEndings::Normalize);
    while !encoder.is_finished() {
        // Normalising refuses nothing.
        if encoder.prepare(message, true).is_err() {
            break;
        }
        encoder.taken(encoder.pending());
    }
    encoder.octets_taken()
}

/// A message's size as RFC 1870 counts it: every line with CRLF, the last one too, without
/// transparency and the end of mail data.
#[must_use]
pub fn message_octets(message: &[u8]) -> u64 {
    let ended = matches!(message.last(), None | Some(b'\r' | b'\n'));
    message.len() as u64 + scan::bare_line_endings(message) + if ended { 0 } else { 2 }
}
