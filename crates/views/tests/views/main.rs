//! Views on a real log in a temporary folder: against the same query run in batch, over restarts, and when things go wrong.

mod breaking;
mod evolving;
mod full_disk;
mod gone;
mod graph;
mod ground;
mod life;
mod memory;
mod oracle;
mod pipelines;
mod reads;
mod rebuild;
mod refusals;
mod restored;
mod retired;
mod search;
mod subscribed;
mod wide;
