//! Lets time pass for the groups.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::Groups;
use super::slot::Kind;
use crate::shares::{Owner, Shares};

/// When something is due, and in which group.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    by_time: BTreeSet<(u64, String)>,
    by_group: HashMap<String, u64>,
}

impl Agenda {
    /// Something is due in a group at a moment, or nothing any more.
    pub(super) fn set(&mut self, group_id: &str, due_ms: Option<u64>) {
        if self.by_group.get(group_id).copied() == due_ms {
            return;
        }
        if let Some(before_ms) = self.by_group.remove(group_id) {
            self.by_time.remove(&(before_ms, group_id.to_owned()));
        }
        if let Some(due_ms) = due_ms {
            self.by_group.insert(group_id.to_owned(), due_ms);
            self.by_time.insert((due_ms, group_id.to_owned()));
        }
    }

    /// A group in which something is due by now.
    fn due(&self, now_ms: u64) -> Option<String> {
        let (due_ms, group_id) = self.by_time.first()?;
        (*due_ms <= now_ms).then(|| group_id.clone())
    }

    fn next_ms(&self) -> Option<u64> {
        self.by_time.first().map(|(due_ms, _)| *due_ms)
    }
}

impl Groups {
    /// Lets time pass for the groups, for as long as the door is open.
    pub(crate) async fn run_timers(&self, shares: &Shares) {
        tokio::join!(self.run_sessions(shares), self.run_expiry(shares));
    }

    async fn run_sessions(&self, shares: &Shares) {
        loop {
            let (wait_ms, gone) = self.tick();
            for owner in gone {
                shares.end(&owner);
            }
            match wait_ms {
                Some(wait_ms) => {
                    let due = tokio::time::sleep(Duration::from_millis(wait_ms.max(1)));
                    tokio::select! {
                        () = due => {}
                        () = self.timer.notified() => {}
                    }
                }
                None => self.timer.notified().await,
            }
        }
    }

    async fn run_expiry(&self, shares: &Shares) {
        let mut rounds = tokio::time::interval(Duration::from_millis(self.rules.expiry_interval_ms.max(1)));
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // The first one comes at once; what expired while the program was down can wait for the next.
        rounds.tick().await;
        loop {
            rounds.tick().await;
            self.expire().await;
            shares.forget_gone_streams().await;
        }
    }

    /// Does what is due, and says how long nothing more is, and which members of share groups are gone.
    fn tick(&self) -> (Option<u64>, Vec<Owner>) {
        let mut gone: Vec<Owner> = Vec::new();
        let now_ms = self.now_ms();
        let mut slots = self.slots.lock();
        while let Some(group_id) = slots.agenda.due(now_ms) {
            let Some(slot) = slots.by_id.get_mut(&group_id) else {
                slots.agenda.set(&group_id, None);
                continue;
            };
            let replies = match &mut slot.kind {
                Kind::Classic(group) => group.tick(now_ms),
                Kind::Consumer(group) => {
                    group.tick(now_ms);
                    Vec::new()
                }
                Kind::Share(group) => {
                    let silent = group.tick(now_ms).into_iter();
                    gone.extend(silent.map(|member_id| (group_id.clone(), member_id)));
                    Vec::new()
                }
            };
            let deliveries = slot.address(replies);
            // What never was more than an id given out leaves no trace.
            let never_was = slot.is_idle() && slot.is_unwritten();
            self.settle(&mut slots, &group_id, deliveries);
            if never_was {
                slots.by_id.remove(&group_id);
                slots.agenda.set(&group_id, None);
            }
        }
        let wait_ms = slots.agenda.next_ms().map(|due_ms| due_ms.saturating_sub(now_ms));
        (wait_ms, gone)
    }
}
