//! Where appends to one stream pass, one beside the other, unless somebody holds the stream.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, RwLock};

/// Where appends to one stream pass, one beside the other, unless somebody holds the stream.
pub(crate) type Turnstile = Arc<RwLock<()>>;

/// Passes turnstiles; whoever wants to hold one waits until what comes back is dropped.
pub(crate) async fn pass(turnstiles: Vec<Turnstile>) -> Vec<OwnedRwLockReadGuard<()>> {
    let mut passed: Vec<OwnedRwLockReadGuard<()>> = Vec::with_capacity(turnstiles.len());
    for turnstile in turnstiles {
        passed.push(turnstile.read_owned().await);
    }
    passed
}
