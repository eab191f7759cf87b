//! What views made of events is written before the events go.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use headwater_eventlog::Folded;

use super::Inner;
use crate::{View, ViewError};

impl Folded for Inner {
    fn write(&self, stream: &str, partition: u32, below: u64) -> Result<(), String> {
        for view in self.versions() {
            if view.streams().contains(&stream) {
                let written = write(&view, stream, partition, below);
                written.map_err(|why| format!("view '{}': {why}", view.definition.name))?;
            }
        }
        Ok(())
    }
}

/// Has a view write what it folded of a partition's events below an offset. What it has not folded yet does not hold the events up.
fn write(view: &Arc<View>, stream: &str, partition: u32, below: u64) -> Result<(), String> {
    if view.check_runs().is_err() || view.stands_still() {
        return Ok(());
    }
    let upto = view.position().get(stream, partition).min(below);
    if upto == 0 {
        return Ok(());
    }
    if let Some(lake) = &view.lake
        && view.is_built.load(Ordering::Acquire)
    {
        let standing = lake.table.standing();
        if standing.is_none_or(|standing| standing.position.get(stream, partition) < upto) {
            lake.commit()?;
        }
    }
    let is_written = |position: &headwater_records::Position| position.get(stream, partition) >= upto;
    if view.is_in_memory() || view.folder.store.position().as_ref().is_some_and(is_written) {
        return Ok(());
    }
    match view.flush() {
        // It stopped just now, or another took its place.
        Err(ViewError::Stopped { .. } | ViewError::Replaced { .. }) => Ok(()),
        flushed => flushed.map_err(|error| error.to_string()),
    }
}
