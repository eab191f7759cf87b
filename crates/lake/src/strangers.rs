//! Commits that others made to a view's table. Files that are joined change nothing; rows that come or go do, and then the table is not what the view wrote.

use std::fmt;

use deltalake_core::DeltaTable;
use deltalake_core::kernel::{Action, CommitInfo};
use deltalake_core::logstore::get_actions;
use headwater_views::ViewError;

use crate::mark::Mark;

/// A commit by which somebody else changed the rows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    version: u64,
    operation: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = self.operation.as_deref().unwrap_or("a commit");
        write!(
            f,
            "was changed by somebody else ({operation}, version {})",
            self.version
        )
    }
}

/// The first such commit behind a version, up to the one that is known.
pub(crate) async fn between(view: &str, delta: &DeltaTable, since: Option<u64>) -> Result<Option<Change>, ViewError> {
    let first = since.map_or(0, |since| since + 1);
    let last = delta.version().map_or(0, |version| version + 1);
    for version in first..last {
        if let Some(change) = of(view, &actions(delta, version).await?, version) {
            return Ok(Some(change));
        }
    }
    Ok(None)
}

/// The newest such commit behind the last one by which the view changed its table.
pub(crate) async fn since_own(view: &str, delta: &DeltaTable) -> Result<Option<Change>, ViewError> {
    let last = delta.version().map_or(0, |version| version + 1);
    for version in (0..last).rev() {
        let actions = actions(delta, version).await?;
        if let Some(change) = of(view, &actions, version) {
            return Ok(Some(change));
        }
        let is_last = |action: &Action| matches!(action, Action::Txn(transaction) if transaction.app_id == view);
        // Of older commits none is left where they went: then nobody can tell.
        if actions.is_empty() || actions.iter().any(is_last) {
            break;
        }
    }
    Ok(None)
}

async fn actions(delta: &DeltaTable, version: u64) -> Result<Vec<Action>, ViewError> {
    let failed = |error: deltalake_core::DeltaTableError| ViewError::Failed(error.to_string());
    let commit = delta.log_store().read_commit_entry(version).await;
    match commit.map_err(failed)? {
        Some(commit) => get_actions(version, &commit).map_err(failed),
        None => Ok(Vec::new()),
    }
}

/// What a commit is, where it changes rows and says nothing of the view: whose those are that do, [`crate::own`] tells.
fn of(view: &str, actions: &[Action], version: u64) -> Option<Change> {
    let changes = |action: &Action| match action {
        Action::Add(file) => file.data_change,
        Action::Remove(file) => file.data_change,
        _ => false,
    };
    let info = actions.iter().find_map(|action| match action {
        Action::CommitInfo(info) => Some(info),
        _ => None,
    });
    let is_of_view = |info: &CommitInfo| Mark::of(view, info).is_some();
    if !actions.iter().any(changes) || info.is_some_and(is_of_view) {
        return None;
    }
    Some(Change {
        version,
        operation: info.and_then(|info| info.operation.clone()),
    })
}
