//! Writing a checkpoint.
//!
//! Nothing is flushed to the disk: that would hold up the flushes that writers wait for, and what a power cut leaves of a checkpoint its reader
//! recognizes.

use std::io::Write;
use std::path::Path;

use headwater_records::Position;

use super::{failed, format};
use crate::{Rows, StoreError, files};

/// Rows are packed so many bytes at a time.
const BLOCK_BYTES: usize = 64 * 1024;

/// A file under way.
struct Writer<'a> {
    path: &'a Path,
    file: files::File,
    bytes: u64,
}

/// Writes rows, which come in order, as of a position. It goes under its name when it is whole, and not at all once `goes_on` says no. The bytes it takes.
pub(super) fn write(
    path: &Path,
    layout: u64,
    position: &Position,
    rows: Rows,
    goes_on: &dyn Fn() -> bool,
) -> Result<Option<u64>, StoreError> {
    let making = path.with_extension(super::MAKING);
    let written = write_whole(&making, layout, position, rows, goes_on);
    match written {
        Ok(Some(bytes)) => {
            files::rename(&making, path)?;
            Ok(Some(bytes))
        }
        given_up => {
            // What stays of it all the same is removed when the folder is opened next.
            let _ = files::remove_file(&making);
            given_up
        }
    }
}

fn write_whole(
    path: &Path,
    layout: u64,
    position: &Position,
    rows: Rows,
    goes_on: &dyn Fn() -> bool,
) -> Result<Option<u64>, StoreError> {
    let mut writer = Writer {
        path,
        file: files::create(path)?,
        bytes: 0,
    };
    writer.frame(format::HEAD, &format::head(layout, position))?;
    let (mut block, mut count): (Vec<u8>, u64) = (Vec::with_capacity(2 * BLOCK_BYTES), 0);
    for row in rows {
        let (key, value) = row?;
        if !format::push_row(&mut block, &key, &value) {
            return Err(failed(path, "a row is too long for it"));
        }
        count += 1;
        if block.len() >= BLOCK_BYTES {
            if !goes_on() {
                return Ok(None);
            }
            writer.rows(&mut block)?;
        }
    }
    writer.rows(&mut block)?;
    writer.frame(format::END, &count.to_le_bytes())?;
    Ok(goes_on().then_some(writer.bytes))
}

impl Writer<'_> {
    fn rows(&mut self, block: &mut Vec<u8>) -> Result<(), StoreError> {
        if !block.is_empty() {
            self.frame(format::ROWS, &format::packed(block))?;
            block.clear();
        }
        Ok(())
    }

    fn frame(&mut self, kind: u8, body: &[u8]) -> Result<(), StoreError> {
        let Some(prefix) = format::Prefix::of(kind, body) else {
            return Err(failed(self.path, "a row is too long for it"));
        };
        let written = self.file.write_all(&prefix.bytes());
        let written = written.and_then(|()| self.file.write_all(body));
        written.map_err(|error| failed(self.path, &error.to_string()))?;
        self.bytes += (format::PREFIX_BYTES + body.len()) as u64;
        Ok(())
    }
}
