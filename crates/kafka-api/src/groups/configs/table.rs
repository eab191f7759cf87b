//! What can be set for a group, what its values look like, and what is so where nothing was set.

use super::Set;
use crate::options::KafkaOptions;
use crate::share_begins::ShareBegins;

/// How soon a group of the consumer protocol may be assigned its partitions anew.
pub(crate) const CONSUMER_ASSIGNMENT: &str = "consumer.assignment.interval.ms";
/// A member of the consumer protocol that is silent for so long is gone.
pub(crate) const CONSUMER_SESSION: &str = "consumer.session.timeout.ms";
/// How often members of the consumer protocol are to be heard of.
pub(crate) const CONSUMER_HEARTBEAT: &str = "consumer.heartbeat.interval.ms";
/// A member of a share group that is silent for so long is gone.
pub(crate) const SHARE_SESSION: &str = "share.session.timeout.ms";
/// How often members of a share group are to be heard of.
pub(crate) const SHARE_HEARTBEAT: &str = "share.heartbeat.interval.ms";
/// Where a share group begins that has read nothing yet.
pub(crate) const SHARE_BEGINS: &str = "share.auto.offset.reset";
/// How often an event is delivered to a share group.
pub(crate) const SHARE_DELIVERIES: &str = "share.delivery.count.limit";
/// Whether a share group sees events of transactions that are open or were taken back.
pub(crate) const SHARE_ISOLATION: &str = "share.isolation.level";
/// How long a member of a share group has an event.
pub(crate) const SHARE_LOCK: &str = "share.record.lock.duration.ms";
/// How many events of a partition may wait for a verdict.
pub(crate) const SHARE_WINDOW: &str = "share.partition.max.record.locks";
/// Whether a member of a share group may hold on to an event.
pub(crate) const SHARE_RENEWS: &str = "share.renew.acknowledge.enable";

/// The two levels of isolation; the second is Kafka's default.
pub(crate) const READ_COMMITTED: &str = "read_committed";
const READ_UNCOMMITTED: &str = "read_uncommitted";

/// One thing that can be set, and what is so where it was not.
pub(crate) struct Config {
    pub(crate) name: &'static str,
    /// The setting of Kafka's broker that stands behind it.
    pub(crate) broker: Option<&'static str>,
    pub(crate) default: fn(&KafkaOptions) -> String,
    pub(crate) kind: Kind,
}

/// What values look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Begins,
    Isolation,
    Switch,
    /// A whole number from the first to the second.
    Number(u64, u64),
}

/// Sessions and the times between heartbeats: shorter ones than these no client keeps, longer ones leave a dead member's partitions unread.
const SESSION_MS: Kind = Kind::Number(1_000, 3_600_000);
const HEARTBEAT_MS: Kind = Kind::Number(100, 3_600_000);

/// Everything that can be set for a group, by name. The bounds without a word are Kafka's.
pub(crate) const CONFIGS: &[Config] = &[
    Config {
        name: CONSUMER_ASSIGNMENT,
        broker: Some("group.consumer.assignment.interval.ms"),
        default: |options| options.group_consumer_assignment_interval.as_millis().to_string(),
        kind: Kind::Number(0, 15_000),
    },
    Config {
        name: CONSUMER_HEARTBEAT,
        broker: Some("group.consumer.heartbeat.interval.ms"),
        default: |options| options.group_consumer_heartbeat.as_millis().to_string(),
        kind: HEARTBEAT_MS,
    },
    Config {
        name: CONSUMER_SESSION,
        broker: Some("group.consumer.session.timeout.ms"),
        default: |options| options.group_consumer_session.as_millis().to_string(),
        kind: SESSION_MS,
    },
    Config {
        name: SHARE_BEGINS,
        // Ours has a setting, Kafka's broker has none.
        broker: None,
        default: |options| options.share_begins.to_string(),
        kind: Kind::Begins,
    },
    Config {
        name: SHARE_DELIVERIES,
        broker: Some("group.share.delivery.count.limit"),
        default: |options| options.share_deliveries_max.to_string(),
        kind: Kind::Number(2, 100),
    },
    Config {
        name: SHARE_HEARTBEAT,
        broker: Some("group.share.heartbeat.interval.ms"),
        default: |options| options.group_share_heartbeat.as_millis().to_string(),
        kind: HEARTBEAT_MS,
    },
    Config {
        name: SHARE_ISOLATION,
        broker: None,
        default: |_| READ_UNCOMMITTED.to_owned(),
        kind: Kind::Isolation,
    },
    Config {
        name: SHARE_WINDOW,
        broker: Some("group.share.partition.max.record.locks"),
        default: |options| options.share_window.to_string(),
        kind: Kind::Number(100, 10_000),
    },
    Config {
        name: SHARE_LOCK,
        broker: Some("group.share.record.lock.duration.ms"),
        default: |options| options.share_lock.as_millis().to_string(),
        kind: Kind::Number(1_000, 3_600_000),
    },
    Config {
        name: SHARE_RENEWS,
        broker: None,
        default: |_| true.to_string(),
        kind: Kind::Switch,
    },
    Config {
        name: SHARE_SESSION,
        broker: Some("group.share.session.timeout.ms"),
        default: |options| options.group_share_session.as_millis().to_string(),
        kind: SESSION_MS,
    },
];

impl Kind {
    fn check(self, value: &str) -> Result<(), String> {
        match self {
            Kind::Begins => value.parse::<ShareBegins>().map(|_| ()).map_err(str::to_owned),
            Kind::Isolation if value == READ_COMMITTED || value == READ_UNCOMMITTED => Ok(()),
            Kind::Isolation => Err("it is read_committed or read_uncommitted".to_owned()),
            Kind::Switch => value
                .parse::<bool>()
                .map(|_| ())
                .map_err(|_| "it is true or false".to_owned()),
            Kind::Number(least, most) => match value.parse() {
                Ok(number) if (least..=most).contains(&number) => Ok(()),
                _ => Err(format!("it is a whole number from {least} to {most}")),
            },
        }
    }
}

/// Whether a group may have this set; if not, why.
pub(super) fn check(set: &Set, options: &KafkaOptions) -> Result<(), String> {
    for (name, value) in set {
        let Some(config) = CONFIGS.iter().find(|config| config.name == name) else {
            let names: Vec<&str> = CONFIGS.iter().map(|config| config.name).collect();
            let names = names.join(", ");
            return Err(format!("a group has no configuration '{name}' here; it has {names}"));
        };
        (config.kind.check(value)).map_err(|why| format!("{name} cannot be '{value}': {why}"))?;
    }
    for (session, heartbeat) in [(CONSUMER_SESSION, CONSUMER_HEARTBEAT), (SHARE_SESSION, SHARE_HEARTBEAT)] {
        let is_set = set.contains_key(session) || set.contains_key(heartbeat);
        let (session_ms, heartbeat_ms) = (number(set, session, options), number(set, heartbeat, options));
        if is_set && session_ms <= heartbeat_ms {
            return Err(format!(
                "{session} would be {session_ms} and {heartbeat} {heartbeat_ms}: a member has to be heard of within its session, so make the first the greater one"
            ));
        }
    }
    Ok(())
}

/// What is so of something that has a number.
fn number(set: &Set, name: &str, options: &KafkaOptions) -> u64 {
    let default = || {
        let config = CONFIGS.iter().find(|config| config.name == name);
        config.map_or_else(String::new, |config| (config.default)(options))
    };
    let value = set.get(name).cloned().unwrap_or_else(default);
    value.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(all: &[(&str, &str)]) -> Result<(), String> {
        let set = all
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        check(&set.collect(), &KafkaOptions::default())
    }

    #[test]
    fn only_what_is_known_can_be_set() {
        let refused = |name: &str, value: &str, part: &str| {
            let why = taken(&[(name, value)]).unwrap_err();
            assert!(why.contains(part), "{why}");
        };
        for (name, value) in [
            (SHARE_BEGINS, "earliest"),
            (SHARE_BEGINS, "by_duration:PT1H"),
            (SHARE_ISOLATION, READ_COMMITTED),
            (SHARE_RENEWS, "false"),
        ] {
            assert_eq!(taken(&[(name, value)]), Ok(()), "{name}");
        }
        refused(SHARE_BEGINS, "by_duration:P1Y", "earliest, latest, or by_duration");
        refused(SHARE_ISOLATION, "serializable", "read_committed or");
        refused(SHARE_RENEWS, "no", "true or false");
        refused(
            "streams.session.timeout.ms",
            "45000",
            "it has consumer.assignment.interval.ms, ",
        );
    }

    #[test]
    fn numbers_on_both_sides_of_their_bounds() {
        for (name, least, most) in [
            (CONSUMER_ASSIGNMENT, 0_i64, 15_000),
            (CONSUMER_HEARTBEAT, 100, 44_999),
            (CONSUMER_SESSION, 5_001, 3_600_000),
            (SHARE_HEARTBEAT, 100, 44_999),
            (SHARE_SESSION, 5_001, 3_600_000),
            (SHARE_DELIVERIES, 2, 100),
            (SHARE_LOCK, 1_000, 3_600_000),
            (SHARE_WINDOW, 100, 10_000),
        ] {
            for (value, fits) in [(least - 1, false), (least, true), (most, true), (most + 1, false)] {
                let told = taken(&[(name, &value.to_string())]);
                assert_eq!(told.is_ok(), fits, "{name} {value}: {told:?}");
            }
        }
    }

    #[test]
    fn a_session_is_longer_than_the_time_between_two_heartbeats() {
        for (session, heartbeat, fits) in [("1000", "999", true), ("1000", "1000", false), ("999", "100", false)] {
            for names in [(CONSUMER_SESSION, CONSUMER_HEARTBEAT), (SHARE_SESSION, SHARE_HEARTBEAT)] {
                let told = taken(&[(names.0, session), (names.1, heartbeat)]);
                assert_eq!(told.is_ok(), fits, "{names:?} {session} {heartbeat}: {told:?}");
            }
        }
    }
}
