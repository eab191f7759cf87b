//! What the requests about configurations share: which resources there are, and how a topic's are changed.

use headwater_eventlog::{SettingError, StreamError, StreamSettings};
use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

use crate::caller::Caller;
use crate::groups::{check_group_id, configs as group_table};
use crate::own_streams::is_internal;
use crate::topic_configs;

pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;
pub(super) const GROUP: i8 = 32;

/// The source of a value that was set of this topic.
pub(super) const DYNAMIC_TOPIC: i8 = 1;
/// The source of what the broker was started with.
pub(super) const STATIC_BROKER: i8 = 4;
/// The source of a value that was set for a group.
pub(super) const DYNAMIC_GROUP: i8 = 8;
/// The source of a value that nobody set.
pub(super) const DEFAULT: i8 = 5;

/// What a change of one resource is answered with; no error where the code is 0.
pub(super) struct Refusal {
    pub(super) code: i16,
    pub(super) message: Option<StrBytes>,
}

impl Refusal {
    fn none() -> Refusal {
        Refusal { code: 0, message: None }
    }

    fn new(code: ResponseError, message: String) -> Refusal {
        Refusal {
            code: code.code(),
            message: Some(StrBytes::from_string(message)),
        }
    }

    pub(super) fn config(message: String) -> Refusal {
        Refusal::new(ResponseError::InvalidConfig, message)
    }

    pub(super) fn request(message: String) -> Refusal {
        Refusal::new(ResponseError::InvalidRequest, message)
    }
}

/// Sets and takes back what can be set for a group, or looks whether it could be.
pub(super) async fn alter_group(
    caller: &Caller,
    group_id: &StrBytes,
    changes: Vec<group_table::Change>,
    validate_only: bool,
) -> Refusal {
    if let Err(code) = check_group_id(group_id) {
        return Refusal::new(code, "the group has no name, or a longer one than is taken".to_owned());
    }
    if let Err(why) = caller
        .broker
        .groups
        .check_configs(group_id, &changes, &caller.broker.options)
    {
        return Refusal::new(ResponseError::InvalidConfig, why);
    }
    if validate_only {
        return Refusal::none();
    }
    match caller.broker.groups.configure(group_id, changes).await {
        Ok(()) => Refusal::none(),
        Err(code) => Refusal::new(code, "the change could not be written".to_owned()),
    }
}

/// What a topic's configurations go back to: what the broker was started with, and what follows from its stream's definition.
pub(super) fn defaults(caller: &Caller, name: &str) -> StreamSettings {
    let defaults = caller.broker.options.topic_defaults.clone();
    let definition = caller.broker.catalog.stream(name);
    StreamSettings {
        entities: definition.and_then(|definition| definition.entities_default()),
        ..defaults
    }
}

/// Changes a topic's configurations, or looks whether they could be changed.
pub(super) async fn alter(
    caller: &Caller,
    resource_type: i8,
    name: &str,
    validate_only: bool,
    change: impl Fn(&mut StreamSettings) -> Result<(), String> + Send + 'static,
) -> Refusal {
    match resource_type {
        TOPIC => {}
        BROKER => {
            let why =
                "the broker's configurations are read when it starts: change them there, and start it again".to_owned();
            return Refusal::new(ResponseError::InvalidConfig, why);
        }
        _ => {
            return Refusal::request(
                "only topics and groups have configurations that can be changed in this way".to_owned(),
            );
        }
    }
    let log = &caller.broker.log;
    let Some(info) = log.stream(name) else {
        return Refusal::new(
            ResponseError::UnknownTopicOrPartition,
            "there is no such topic".to_owned(),
        );
    };
    if is_internal(name) {
        let why = format!("'{name}' is kept by the program itself: it can be read, not changed");
        return Refusal::new(ResponseError::TopicAuthorizationFailed, why);
    }
    // Looked at before it is done, so that what is refused is Kafka's own words.
    let mut settings = StreamSettings::clone(&info.settings);
    if let Err(why) = change(&mut settings) {
        return Refusal::new(ResponseError::InvalidConfig, why);
    }
    if validate_only {
        return match caller.broker.log.check_settings(&settings) {
            Ok(()) => Refusal::none(),
            Err(error) => Refusal::new(
                ResponseError::InvalidConfig,
                topic_configs::in_kafkas_words(&error.to_string()),
            ),
        };
    }
    let (log, stream) = (log.clone(), name.to_owned());
    let altering = tokio::task::spawn_blocking(move || {
        log.alter_stream(&stream, |settings| change(settings).map_err(SettingError::Whole))
    });
    match altering.await {
        Ok(Ok(_)) => {
            tracing::info!(topic = name, principal = %caller.principal, "topic configurations changed");
            Refusal::none()
        }
        Ok(Err(error)) => {
            let code = match &error {
                StreamError::Unknown(_) => ResponseError::UnknownTopicOrPartition,
                StreamError::Setting { .. } => ResponseError::InvalidConfig,
                _ => ResponseError::KafkaStorageError,
            };
            Refusal::new(code, topic_configs::in_kafkas_words(&error.to_string()))
        }
        Err(_) => Refusal::new(ResponseError::UnknownServerError, "the program is stopping".to_owned()),
    }
}
