//! How clients are told that there is no such group: in the words that Kafka's own tools look for.

use kafka_protocol::protocol::StrBytes;

/// There is no group of this name.
pub(super) fn not_there(id: &str) -> StrBytes {
    StrBytes::from_string(format!("Group {id} not found."))
}

/// There is none of this name, or it `is_there` and is of another kind than `kind`: a share, a consumer or a classic group.
pub(super) fn none_of_kind(id: &str, kind: &str, is_there: bool) -> StrBytes {
    match is_there {
        true => StrBytes::from_string(format!("Group {id} is not a {kind} group.")),
        false => not_there(id),
    }
}
