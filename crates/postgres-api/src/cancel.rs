//! Cancelling: another connection names a session by its process and secret, and its statement ends.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

/// What a session is known by.
pub(crate) type Key = (u32, u32);

/// Every open session and the switch that ends its statement.
#[derive(Clone, Default)]
pub(crate) struct Sessions {
    switches: Arc<Mutex<HashMap<Key, watch::Sender<bool>>>>,
}

/// A session's own switch. Taken out of the list when dropped.
pub(crate) struct Switch {
    sessions: Sessions,
    key: Key,
    canceled: watch::Receiver<bool>,
}

impl Sessions {
    /// Lists a session under a key that nobody has and nobody can guess; `None` where the machine gives no randomness.
    pub(crate) fn enter(&self) -> Option<Switch> {
        let mut switches = self.switches.lock();
        loop {
            let bits = getrandom::u64().ok()?;
            let key = ((bits >> 32) as u32 >> 1, bits as u32);
            if switches.contains_key(&key) {
                continue;
            }
            let (switch, canceled) = watch::channel(false);
            switches.insert(key, switch);
            return Some(Switch {
                sessions: self.clone(),
                key,
                canceled,
            });
        }
    }

    /// Ends what the session does, where there is one of that key.
    pub(crate) fn cancel(&self, key: Key) {
        if let Some(switch) = self.switches.lock().get(&key) {
            switch.send_replace(true);
        }
    }
}

impl Switch {
    /// What the session is known by.
    pub(crate) fn key(&self) -> Key {
        self.key
    }

    /// Forgets a cancel that came while nothing ran.
    pub(crate) fn reset(&self) {
        if let Some(switch) = self.sessions.switches.lock().get(&self.key) {
            switch.send_replace(false);
        }
    }

    /// Resolves when the statement shall end.
    pub(crate) fn canceled(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut canceled = self.canceled.clone();
        async move {
            // The sender lives as long as the switch: an error cannot come before it is gone.
            let _ = canceled.wait_for(|canceled| *canceled).await;
        }
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.sessions.switches.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn only_the_session_named_is_canceled() {
        let sessions = Sessions::default();
        let (one, other) = (sessions.enter().unwrap(), sessions.enter().unwrap());
        sessions.cancel(one.key());
        sessions.cancel((0, 0));
        assert!(timeout(Duration::from_secs(120), one.canceled()).await.is_ok());
        assert!(timeout(Duration::from_millis(10), other.canceled()).await.is_err());
        one.reset();
        assert!(timeout(Duration::from_millis(10), one.canceled()).await.is_err());
        let key = one.key();
        drop(one);
        sessions.cancel(key);
        assert_eq!(sessions.switches.lock().len(), 1);
    }
}
