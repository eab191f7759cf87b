//! DescribeClientQuotas: the quotas whose entities match a filter.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::describe_client_quotas_response::{EntityData, EntryData, ValueData};
use kafka_protocol::messages::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};
use kafka_protocol::protocol::StrBytes;

use crate::caller::Caller;
use crate::quotas::{CLIENT_ID, Entity, IP, Limits, USER};

pub(super) type Request = DescribeClientQuotasRequest;

const EXACT: i8 = 0;
const EVERYONE: i8 = 1;
const ANY: i8 = 2;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> DescribeClientQuotasResponse {
    let refuse = |code: ResponseError, why: String| {
        DescribeClientQuotasResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(StrBytes::from_string(why)))
            .with_entries(None)
    };
    for (index, component) in request.components.iter().enumerate() {
        let kind = component.entity_type.as_str();
        if ![USER, CLIENT_ID, IP].contains(&kind) {
            let why = format!("there are no quotas for a '{kind}', only for {USER}, {CLIENT_ID} and {IP}");
            return refuse(ResponseError::UnsupportedVersion, why);
        }
        let earlier = &request.components[..index];
        if earlier
            .iter()
            .any(|earlier| earlier.entity_type == component.entity_type)
        {
            return refuse(ResponseError::InvalidRequest, format!("the filter names {kind} twice"));
        }
        let named = component._match.is_some();
        let fits = match component.match_type {
            EXACT => named,
            EVERYONE | ANY => !named,
            _ => false,
        };
        if !fits {
            let why = format!("the filter's way to match a {kind} and the name in it do not fit together");
            return refuse(ResponseError::InvalidRequest, why);
        }
    }
    let names = |kind: &str| request.components.iter().any(|of| of.entity_type.as_str() == kind);
    if names(IP) && (names(USER) || names(CLIENT_ID)) {
        let why = format!("no quota is of an {IP} and of a {USER} or {CLIENT_ID} at once: ask for them one by one");
        return refuse(ResponseError::InvalidRequest, why);
    }
    let all = caller.broker.quotas.all();
    let matching = all
        .into_iter()
        .filter(|(entity, _)| matches(entity, &request.components, request.strict));
    let entries = matching.map(|(entity, limits)| entry(entity, limits));
    DescribeClientQuotasResponse::default()
        .with_error_message(None)
        .with_entries(Some(entries.collect()))
}

/// Whether an entity has what each component asks for and, where that is asked for, nothing else.
fn matches(entity: &Entity, components: &[ComponentData], strict: bool) -> bool {
    let meets = |component: &ComponentData| match entity.get(component.entity_type.as_str()) {
        None => false,
        Some(name) => match component.match_type {
            EXACT => name.as_deref() == component._match.as_ref().map(|name| name.as_str()),
            EVERYONE => name.is_none(),
            _ => true,
        },
    };
    components.iter().all(meets) && (!strict || entity.len() == components.len())
}

fn entry(entity: Entity, limits: Limits) -> EntryData {
    let part = |(kind, name): (String, Option<String>)| {
        EntityData::default()
            .with_entity_type(StrBytes::from_string(kind))
            .with_entity_name(name.map(StrBytes::from_string))
    };
    let value = |(name, value): (String, f64)| {
        ValueData::default()
            .with_key(StrBytes::from_string(name))
            .with_value(value)
    };
    EntryData::default()
        .with_entity(entity.into_iter().map(part).collect())
        .with_values(limits.into_iter().map(value).collect())
}
