//! A question that is to see what was written sees what pipelines made of it, too.
//!
//! ```text
//! after: ratings/0@18 ── it is flushed ── the pipeline into ratings_enriched has got there ── after: ratings/0@18; ratings_enriched/1@7 ── …
//! ```

use std::collections::BTreeSet;

use headwater_records::Position;

use crate::SqlError;
use crate::inner::Inner;
use crate::question::Deadline;

/// A position, and behind it where the streams end that pipelines made of what is below it, as far as they are read under these names. Waits
/// until it is flushed, which takes a moment where a stream is relaxed, and those pipelines have got there.
pub(crate) async fn through_pipelines(
    inner: &Inner,
    names: Vec<String>,
    after: &Position,
    deadline: &Deadline,
) -> Result<Position, SqlError> {
    let mut after = after.clone();
    let flushed = async {
        inner.log.flushed(&after).await;
        Ok(())
    };
    deadline.of(flushed).await?;
    let mut left = inner.views.pipeline_sources();
    if left.is_empty() || after.is_empty() {
        return Ok(after);
    }
    let below = below(inner, names);
    left.retain(|(pipeline, _)| below.contains(pipeline));
    // One after those that make what it reads.
    let is_made = |left: &[(String, Vec<String>)], source: &String| left.iter().any(|(pipeline, _)| pipeline == source);
    while let Some(at) = (left.iter()).position(|(_, sources)| !sources.iter().any(|source| is_made(&left, source))) {
        let (pipeline, sources) = left.swap_remove(at);
        if !sources.iter().any(|source| after.names(source)) {
            continue;
        }
        let wait_max = deadline.left().unwrap_or(inner.options.wait_max);
        inner.views.pipeline_reaches(&pipeline, &after, wait_max).await?;
        if let Some(end) = inner.log.position(&pipeline) {
            after.advance_all(&end);
        }
    }
    Ok(after)
}

/// Everything that these names read, through views and pipelines.
fn below(inner: &Inner, names: Vec<String>) -> BTreeSet<String> {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut open = names;
    while let Some(name) = open.pop() {
        if seen.insert(name.clone())
            && let Some(definition) = inner.catalog.get(&name)
        {
            open.extend(definition.sources().iter().cloned());
        }
    }
    seen
}
