//! Reading a checkpoint back.
//!
//! Invariant: every byte was checked before a row is given: a file that is torn, cut or damaged is no checkpoint. Once it is open, it may be removed.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_records::Position;
use parking_lot::Mutex;

use super::{failed, format};
use crate::{Row, StoreError, files};

/// The rows of a view as of a position, in the order of their keys.
#[derive(Debug)]
pub struct Checkpoint {
    position: Position,
    rows: u64,
    frames: Frames,
    /// Where the first frame of rows begins.
    first: u64,
}

/// The frames of a file.
#[derive(Debug)]
struct Frames {
    path: PathBuf,
    file: Mutex<files::File>,
    bytes: u64,
}

/// A frame, and where the next one begins.
struct Frame {
    kind: u8,
    body: Vec<u8>,
    next: u64,
}

/// The rows of a checkpoint, being read.
pub struct CheckpointRows {
    checkpoint: Arc<Checkpoint>,
    /// Where the next frame begins; `None` behind the last.
    next: Option<u64>,
    block: Vec<u8>,
    taken: usize,
}

impl Checkpoint {
    /// Opens a file whole: every frame of it is looked at.
    pub(super) fn open(path: &Path, layout: u64) -> Result<Checkpoint, StoreError> {
        let frames = Frames::open(path)?;
        let (position, first) = frames.head(layout)?;
        let (mut at, mut rows): (u64, u64) = (first, 0);
        loop {
            let Frame { kind, body, next } = frames.read(at)?;
            at = next;
            match kind {
                format::ROWS => rows += frames.count(&body)?,
                format::END if body == rows.to_le_bytes() && at == frames.bytes => break,
                _ => return Err(frames.damaged()),
            }
        }
        Ok(Checkpoint {
            position,
            rows,
            frames,
            first,
        })
    }

    /// The position that a file says it stands at; the rest of it is not looked at.
    pub(super) fn position_in(path: &Path, layout: u64) -> Result<(Position, u64), StoreError> {
        let frames = Frames::open(path)?;
        let (position, _) = frames.head(layout)?;
        Ok((position, frames.bytes))
    }

    /// Where its rows stand.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// How many rows it has.
    pub fn row_count(&self) -> u64 {
        self.rows
    }

    /// All rows, in the order of their keys.
    pub fn rows(self: &Arc<Checkpoint>) -> CheckpointRows {
        CheckpointRows {
            checkpoint: Arc::clone(self),
            next: Some(self.first),
            block: Vec::new(),
            taken: 0,
        }
    }
}

impl Frames {
    fn open(path: &Path) -> Result<Frames, StoreError> {
        let file = files::open(path)?;
        let bytes = file.metadata().map_err(|error| failed(path, &error.to_string()))?.len();
        Ok(Frames {
            path: path.to_owned(),
            file: Mutex::new(file),
            bytes,
        })
    }

    /// What the first frame says of the position, and where the next one begins.
    fn head(&self, layout: u64) -> Result<(Position, u64), StoreError> {
        let Frame { kind, body, next } = self.read(0)?;
        match format::read_head(&body) {
            Some((found, position)) if kind == format::HEAD && found == layout => Ok((position, next)),
            _ => Err(self.damaged()),
        }
    }

    fn read(&self, at: u64) -> Result<Frame, StoreError> {
        let failed = |error: std::io::Error| failed(&self.path, &error.to_string());
        let body_at = at.saturating_add(format::PREFIX_BYTES as u64);
        if body_at > self.bytes {
            return Err(self.damaged());
        }
        let mut file = self.file.lock();
        file.seek(SeekFrom::Start(at)).map_err(failed)?;
        let mut prefix = [0; format::PREFIX_BYTES];
        file.read_exact(&mut prefix).map_err(failed)?;
        let prefix = format::Prefix::read(prefix);
        let next = body_at + u64::from(prefix.length);
        // No more is taken of memory than the file has.
        if next > self.bytes {
            return Err(self.damaged());
        }
        let mut body = vec![0; prefix.length as usize];
        file.read_exact(&mut body).map_err(failed)?;
        match prefix.is_of(&body) {
            true => Ok(Frame {
                kind: prefix.kind,
                body,
                next,
            }),
            false => Err(self.damaged()),
        }
    }

    /// How many rows a frame of them has.
    fn count(&self, body: &[u8]) -> Result<u64, StoreError> {
        let rows = format::unpacked(body).ok_or_else(|| self.damaged())?;
        let (mut taken, mut count) = (0, 0);
        while taken < rows.len() {
            let (_, length) = format::first_row(&rows[taken..]).ok_or_else(|| self.damaged())?;
            taken += length;
            count += 1;
        }
        Ok(count)
    }

    fn damaged(&self) -> StoreError {
        failed(&self.path, "it is not whole")
    }
}

impl CheckpointRows {
    fn read(&mut self) -> Result<Option<Row>, StoreError> {
        let frames = &self.checkpoint.frames;
        while self.taken == self.block.len() {
            let Some(at) = self.next else { return Ok(None) };
            let Frame { kind, body, next } = frames.read(at)?;
            if kind != format::ROWS {
                self.next = None;
                return Ok(None);
            }
            self.block = format::unpacked(&body).ok_or_else(|| frames.damaged())?;
            self.taken = 0;
            self.next = Some(next);
        }
        let (row, length) = format::first_row(&self.block[self.taken..]).ok_or_else(|| frames.damaged())?;
        self.taken += length;
        Ok(Some(row))
    }
}

impl Iterator for CheckpointRows {
    type Item = Result<Row, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        if read.is_err() {
            // Nothing comes behind an error.
            (self.next, self.block, self.taken) = (None, Vec::new(), 0);
        }
        read.transpose()
    }
}
