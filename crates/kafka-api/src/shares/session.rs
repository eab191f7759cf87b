//! Share sessions: which partitions a member reads, so that it need not name them with every request. Pure.
//!
//! Source: KIP-932, "Share sessions".

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;

use crate::limits::SHARE_SESSIONS_MAX;

/// The epoch of a request that begins a session.
pub(crate) const FIRST: i32 = 0;
/// The epoch of a request that ends one.
pub(crate) const LAST: i32 = -1;

/// A member of a group.
pub(crate) type Owner = (String, String);

/// A partition, by topic id.
pub(crate) type Place = (u128, u32);

#[derive(Debug)]
struct Session {
    /// The connection that it was begun on. It does not outlive that.
    connection: u64,
    /// The epoch of the next request.
    next_epoch: i32,
    places: BTreeSet<Place>,
    /// Where the next fetch begins, so that each partition has its turn.
    turn: usize,
}

/// Every session.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_owner: BTreeMap<Owner, Session>,
}

impl Sessions {
    /// Takes a request to fetch, which may begin a session or change which partitions it reads; the partitions in their turn.
    pub(crate) fn fetch(
        &mut self,
        owner: &Owner,
        connection: u64,
        epoch: i32,
        added: impl IntoIterator<Item = Place>,
        forgotten: &[Place],
    ) -> Result<Vec<Place>, ResponseError> {
        if epoch == FIRST {
            if self.by_owner.len() >= SHARE_SESSIONS_MAX && !self.by_owner.contains_key(owner) {
                return Err(ResponseError::ShareSessionLimitReached);
            }
            let session = Session {
                connection,
                next_epoch: FIRST,
                places: BTreeSet::new(),
                turn: 0,
            };
            self.by_owner.insert(owner.clone(), session);
        }
        let session = self.step(owner, epoch)?;
        session.places.extend(added);
        for place in forgotten {
            session.places.remove(place);
        }
        let mut places: Vec<Place> = session.places.iter().copied().collect();
        let turn = session.turn % places.len().max(1);
        session.turn = turn + 1;
        places.rotate_left(turn);
        Ok(places)
    }

    /// Takes a request that only acknowledges.
    pub(crate) fn acknowledge(&mut self, owner: &Owner, epoch: i32) -> Result<(), ResponseError> {
        match epoch {
            // Nobody was given anything yet in a session that only begins.
            FIRST => Err(ResponseError::InvalidShareSessionEpoch),
            epoch => self.step(owner, epoch).map(|_| ()),
        }
    }

    /// Whether the member has a session.
    pub(crate) fn holds(&self, owner: &Owner) -> bool {
        self.by_owner.contains_key(owner)
    }

    /// The members whose session was begun on a connection.
    pub(crate) fn of_connection(&self, connection: u64) -> Vec<Owner> {
        let of_it = self
            .by_owner
            .iter()
            .filter(|(_, session)| session.connection == connection);
        of_it.map(|(owner, _)| owner.clone()).collect()
    }

    /// Whether a request may end the session.
    pub(crate) fn may_end(&self, owner: &Owner) -> Result<(), ResponseError> {
        match self.holds(owner) {
            true => Ok(()),
            false => Err(ResponseError::ShareSessionNotFound),
        }
    }

    /// The member is done.
    pub(crate) fn end(&mut self, owner: &Owner) {
        self.by_owner.remove(owner);
    }

    fn step(&mut self, owner: &Owner, epoch: i32) -> Result<&mut Session, ResponseError> {
        let session = self
            .by_owner
            .get_mut(owner)
            .ok_or(ResponseError::ShareSessionNotFound)?;
        if session.next_epoch != epoch {
            return Err(ResponseError::InvalidShareSessionEpoch);
        }
        session.next_epoch = epoch.checked_add(1).unwrap_or(1);
        Ok(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_goes_epoch_by_epoch() {
        let mut sessions = Sessions::default();
        let owner = ("g".to_owned(), "m".to_owned());
        let fetch = |sessions: &mut Sessions, epoch, added: &[Place], forgotten: &[Place]| {
            sessions.fetch(&owner, 1, epoch, added.iter().copied(), forgotten)
        };
        assert_eq!(
            fetch(&mut sessions, 1, &[], &[]),
            Err(ResponseError::ShareSessionNotFound)
        );
        assert_eq!(
            fetch(&mut sessions, 0, &[(1, 0), (1, 1)], &[]),
            Ok(vec![(1, 0), (1, 1)])
        );
        assert_eq!(fetch(&mut sessions, 1, &[], &[]), Ok(vec![(1, 1), (1, 0)]));
        assert_eq!(
            fetch(&mut sessions, 1, &[], &[]),
            Err(ResponseError::InvalidShareSessionEpoch)
        );
        assert_eq!(fetch(&mut sessions, 2, &[(2, 0)], &[(1, 0)]), Ok(vec![(1, 1), (2, 0)]));
        assert_eq!(
            sessions.acknowledge(&owner, 0),
            Err(ResponseError::InvalidShareSessionEpoch)
        );
        assert_eq!(sessions.acknowledge(&owner, 3), Ok(()));
        assert_eq!(
            sessions.acknowledge(&owner, 3),
            Err(ResponseError::InvalidShareSessionEpoch)
        );
        assert_eq!(sessions.may_end(&owner), Ok(()));
        sessions.end(&owner);
        assert_eq!(sessions.may_end(&owner), Err(ResponseError::ShareSessionNotFound));
        assert_eq!(
            sessions.acknowledge(&owner, 4),
            Err(ResponseError::ShareSessionNotFound)
        );
        // A new one may begin at any time, also over an old one.
        assert_eq!(fetch(&mut sessions, 0, &[], &[]), Ok(vec![]));
        assert_eq!(fetch(&mut sessions, 0, &[(1, 0)], &[]), Ok(vec![(1, 0)]));
    }

    #[test]
    fn epochs_go_round_past_the_first() {
        let mut sessions = Sessions::default();
        let owner = ("g".to_owned(), "m".to_owned());
        sessions.fetch(&owner, 1, FIRST, [], &[]).unwrap();
        sessions.by_owner.get_mut(&owner).unwrap().next_epoch = i32::MAX;
        assert_eq!(sessions.acknowledge(&owner, i32::MAX), Ok(()));
        assert_eq!(sessions.acknowledge(&owner, 1), Ok(()));
    }

    #[test]
    fn a_session_is_of_the_connection_that_it_was_begun_on_last() {
        let mut sessions = Sessions::default();
        let owner = ("g".to_owned(), "m".to_owned());
        sessions.fetch(&owner, 1, FIRST, [], &[]).unwrap();
        assert_eq!(sessions.of_connection(1), std::slice::from_ref(&owner));
        sessions.fetch(&owner, 2, FIRST, [], &[]).unwrap();
        sessions.fetch(&owner, 1, 1, [], &[]).unwrap();
        assert_eq!(sessions.of_connection(1), []);
        assert_eq!(sessions.of_connection(2), [owner]);
    }

    #[test]
    fn sessions_on_both_sides_of_the_limit() {
        let mut sessions = Sessions::default();
        let open = |sessions: &mut Sessions, number: usize| {
            let owner = ("g".to_owned(), number.to_string());
            sessions.fetch(&owner, 1, FIRST, [], &[]).map(|_| ())
        };
        for number in 0..SHARE_SESSIONS_MAX {
            assert_eq!(open(&mut sessions, number), Ok(()));
        }
        assert_eq!(
            open(&mut sessions, SHARE_SESSIONS_MAX),
            Err(ResponseError::ShareSessionLimitReached)
        );
        assert_eq!(open(&mut sessions, 0), Ok(()));
    }
}
