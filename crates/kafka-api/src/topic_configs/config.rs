//! What a configuration is.

/// How a configuration's value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Text,
    Int,
    Long,
    Double,
    List,
}

/// The number that a client knows a kind by.
pub(crate) const KINDS: [(Kind, i8); 6] = [
    (Kind::Boolean, 1),
    (Kind::Text, 2),
    (Kind::Int, 3),
    (Kind::Long, 5),
    (Kind::Double, 6),
    (Kind::List, 7),
];

/// What a configuration is here.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Means {
    /// The log's own setting of this name; how Kafka's text becomes the log's and back.
    Setting {
        name: &'static str,
        to_log: fn(&str) -> Result<String, &'static str>,
        to_kafka: fn(&str) -> String,
    },
    /// It changes nothing: these texts are taken, kept and shown again.
    Kept(fn(&str) -> Result<(), &'static str>),
}

/// One configuration.
pub(crate) struct TopicConfig {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The value where nobody set one; empty where the log's options say.
    pub(crate) default: &'static str,
    /// The broker's configuration that stands behind the default.
    pub(crate) broker: &'static str,
    pub(crate) means: Means,
    pub(crate) about: &'static str,
}
