//! How far a question is with the events that it reads, told now and then to a client that wants to know (`SET headwater.progress = on`).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use headwater_sql::Progress;
use tokio::io::AsyncWrite;

use crate::report::warning;
use crate::wire::Output;
use crate::wire::output::Report;

/// How often it is told: often enough to be seen to move, and seldom enough to be nothing beside the reading.
const TOLD_EVERY: Duration = Duration::from_millis(500);

/// The state of a notice that says it: of no other.
const PROGRESS: &str = "HW001";

/// Comes when it is time to tell; never where nobody wants to know.
pub(super) async fn due(progress: Option<&Arc<Progress>>) {
    match progress {
        Some(_) => tokio::time::sleep(TOLD_EVERY).await,
        None => std::future::pending().await,
    }
}

/// Tells it.
pub(super) async fn tell<W: AsyncWrite + Unpin>(
    progress: Option<&Arc<Progress>>,
    output: &mut Output<W>,
) -> io::Result<()> {
    if let Some(notice) = progress.and_then(|progress| notice(progress.events())) {
        output.notice(&notice);
        output.flush().await?;
    }
    Ok(())
}

/// Events read and to be read, both numbers once more in the detail; `None` where there are none, or all are read.
fn notice((read, total): (u64, u64)) -> Option<Report> {
    (read < total).then(|| Report {
        severity: "NOTICE",
        detail: Some(format!("{read}/{total}")),
        ..warning(PROGRESS, &format!("{read} of {total} events are read"), None)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_for_as_long_as_events_are_read() {
        for (events, expected) in [
            ((0, 0), None),
            ((0, 12), Some("0/12")),
            ((3, 12), Some("3/12")),
            ((12, 12), None),
        ] {
            let notice = notice(events);
            let detail = notice.as_ref().and_then(|notice| notice.detail.as_deref());
            assert_eq!(detail, expected, "{events:?}");
        }
    }
}
