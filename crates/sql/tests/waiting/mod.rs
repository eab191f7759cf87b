//! Waiting for what comes by itself.

use std::time::Duration;

/// Waits until something holds. The deadline is for a test that would never end.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), waiting)
        .await
        .expect(what);
}
