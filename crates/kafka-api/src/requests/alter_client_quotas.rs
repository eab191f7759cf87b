//! AlterClientQuotas: sets quotas and takes them away, entity by entity.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_client_quotas_request::{EntryData, OpData};
use kafka_protocol::messages::alter_client_quotas_response::{EntityData, EntryData as EntryResult};
use kafka_protocol::messages::{AlterClientQuotasRequest, AlterClientQuotasResponse};
use kafka_protocol::protocol::StrBytes;

use crate::caller::Caller;
use crate::limits::QUOTA_ENTITIES_MAX;
use crate::quotas::{CLIENT_ID, CONSUMER_BYTE_RATE, Entity, IP, PRODUCER_BYTE_RATE, USER};

pub(super) type Request = AlterClientQuotasRequest;

/// The quotas of users and client ids.
const KEPT: [&str; 2] = [PRODUCER_BYTE_RATE, CONSUMER_BYTE_RATE];

/// Kafka's other quotas, of clients and of addresses. Setting one is refused, so that nobody relies on what is not kept to.
const NOT_KEPT: [&str; 3] = [
    "request_percentage",
    "controller_mutation_rate",
    "connection_creation_rate",
];

type Refusal = (ResponseError, String);

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> AlterClientQuotasResponse {
    let mut results: Vec<EntryResult> = Vec::with_capacity(request.entries.len());
    for entry in request.entries {
        let altered = alter(caller, &entry, request.validate_only).await;
        let part = |part: kafka_protocol::messages::alter_client_quotas_request::EntityData| {
            EntityData::default()
                .with_entity_type(part.entity_type)
                .with_entity_name(part.entity_name)
        };
        let result = EntryResult::default()
            .with_error_message(None)
            .with_entity(entry.entity.into_iter().map(part).collect());
        results.push(match altered {
            Ok(()) => result,
            Err((code, why)) => result
                .with_error_code(code.code())
                .with_error_message(Some(StrBytes::from_string(why))),
        });
    }
    AlterClientQuotasResponse::default().with_entries(results)
}

async fn alter(caller: &Caller, entry: &EntryData, validate_only: bool) -> Result<(), Refusal> {
    let entity = entity(entry)?;
    let mut changes: Vec<(String, Option<f64>)> = Vec::with_capacity(entry.ops.len());
    for op in &entry.ops {
        changes.push((op.key.to_string(), change(op)?));
    }
    let quotas = &caller.broker.quotas;
    if !quotas.has_room_for(&entity) {
        let why = format!("there are quotas for {QUOTA_ENTITIES_MAX} already: take some away first");
        return Err((ResponseError::PolicyViolation, why));
    }
    if validate_only {
        return Ok(());
    }
    let altered = quotas.alter(entity, &changes, &caller.principal).await;
    altered.map_err(|why| (ResponseError::KafkaStorageError, why))
}

/// Whom an entry speaks of: a user, a client id, both, or an address.
fn entity(entry: &EntryData) -> Result<Entity, Refusal> {
    let refuse = |why: String| Err((ResponseError::InvalidRequest, why));
    let mut entity = Entity::new();
    for part in &entry.entity {
        let kind = part.entity_type.as_str();
        if ![USER, CLIENT_ID, IP].contains(&kind) {
            return refuse(format!(
                "there are no quotas for a '{kind}', only for {USER}, {CLIENT_ID} and {IP}"
            ));
        }
        let name = part.entity_name.as_ref().map(|name| name.to_string());
        if name.as_deref() == Some("") {
            return refuse(format!("the name of a {kind} is empty: leave it out to mean everyone"));
        }
        if entity.insert(kind.to_owned(), name).is_some() {
            return refuse(format!("{kind} is named twice"));
        }
    }
    if entity.is_empty() {
        return refuse("nobody is named: name a user, a client-id, both, or an ip".to_owned());
    }
    if entity.len() > 1 && entity.contains_key(IP) {
        return refuse("an ip has its quotas alone: name no user and no client-id beside it".to_owned());
    }
    Ok(entity)
}

/// What one operation makes of a quota.
fn change(op: &OpData) -> Result<Option<f64>, Refusal> {
    let refuse = |why: String| Err((ResponseError::InvalidRequest, why));
    let name = op.key.as_str();
    let is_kept = KEPT.contains(&name);
    if !is_kept && !NOT_KEPT.contains(&name) {
        return refuse(format!("there is no quota '{name}', only {}", KEPT.join(", ")));
    }
    if op.remove {
        return Ok(None);
    }
    if !is_kept {
        let why = format!(
            "the quota {name} is not kept to here, only {} are: it cannot be set",
            KEPT.join(", ")
        );
        return refuse(why);
    }
    if !op.value.is_finite() || op.value <= 0.0 {
        return refuse(format!("the quota {name} is above 0, not {}", op.value));
    }
    if op.value.fract() != 0.0 {
        return refuse(format!("the quota {name} is a whole number, not {}", op.value));
    }
    Ok(Some(op.value))
}
