//! Streams that are being defined otherwise just now.
//!
//! From which of its events on a stream has another schema is fixed a moment before everybody knows that schema. Whoever reads it then reads events of the
//! new schema by the old one, and no decision may rest on that.

use tokio::sync::watch;

/// Their names.
pub(crate) struct Altering {
    streams: watch::Sender<Vec<String>>,
}

impl Default for Altering {
    fn default() -> Altering {
        Altering {
            streams: watch::Sender::new(Vec::new()),
        }
    }
}

/// While it lives, a stream is being defined otherwise.
pub(crate) struct Begun<'a> {
    altering: &'a Altering,
    stream: String,
}

impl Altering {
    /// A stream is about to be defined otherwise, until what comes back goes.
    pub(crate) fn begin(&self, stream: &str) -> Begun<'_> {
        let stream = stream.to_owned();
        self.streams.send_modify(|streams| streams.push(stream.clone()));
        Begun { altering: self, stream }
    }

    /// Whether a stream is being defined otherwise.
    pub(crate) fn holds(&self, stream: &str) -> bool {
        self.streams.borrow().iter().any(|held| held == stream)
    }

    /// Waits until it is defined so.
    pub(crate) async fn over(&self, stream: &str) {
        let mut streams = self.streams.subscribe();
        let is_over = |streams: &Vec<String>| streams.iter().all(|held| held != stream);
        // The sender is a part of this: it is there as long as this waits.
        let _ = streams.wait_for(is_over).await;
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.altering.streams.send_modify(|streams| {
            if let Some(place) = streams.iter().position(|held| *held == self.stream) {
                streams.swap_remove(place);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn whoever_decides_on_a_stream_waits_until_it_is_defined() {
        let altering = Altering::default();
        assert!(altering.over("a").now_or_never().is_some(), "nobody alters it");
        let (first, second) = (altering.begin("a"), altering.begin("a"));
        assert!(altering.holds("a") && !altering.holds("b"));
        assert!(altering.over("b").now_or_never().is_some(), "another stream");
        drop(first);
        let mut waits = Box::pin(altering.over("a"));
        assert!(waits.as_mut().now_or_never().is_none(), "the second goes on");
        drop(second);
        assert!(waits.now_or_never().is_some() && !altering.holds("a"));
    }
}
