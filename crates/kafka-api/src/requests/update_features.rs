//! UpdateFeatures: every feature has the level it has; another cannot be had.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::update_features_response::UpdatableFeatureResult;
use kafka_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};
use kafka_protocol::protocol::StrBytes;

use crate::api::FEATURES;
use crate::connection::Caller;

pub(super) type Request = UpdateFeaturesRequest;

/// From this version on the first refusal speaks for all.
const VERSION_WHOLE: i16 = 2;

pub(super) async fn answer(_caller: &Caller, request: Request, version: i16) -> UpdateFeaturesResponse {
    let response = UpdateFeaturesResponse::default().with_error_message(None);
    let mut results: Vec<UpdatableFeatureResult> = Vec::with_capacity(request.feature_updates.len());
    for update in request.feature_updates {
        let refusal = refusal(&update);
        if let Some(why) = &refusal
            && version >= VERSION_WHOLE
        {
            return response
                .with_error_code(ResponseError::InvalidUpdateVersion.code())
                .with_error_message(Some(StrBytes::from_string(why.clone())));
        }
        let code = refusal
            .as_ref()
            .map_or(0, |_| ResponseError::InvalidUpdateVersion.code());
        results.push(
            UpdatableFeatureResult::default()
                .with_feature(update.feature)
                .with_error_code(code)
                .with_error_message(refusal.map(StrBytes::from_string)),
        );
    }
    match version >= VERSION_WHOLE {
        true => response,
        false => response.with_results(results),
    }
}

/// Why a feature cannot have the level that is asked for.
fn refusal(update: &FeatureUpdateKey) -> Option<String> {
    let name = update.feature.as_str();
    match FEATURES.iter().find(|(known, _)| *known == name) {
        Some((_, level)) if *level == update.max_version_level => None,
        Some((_, level)) => Some(format!(
            "the feature {name} has the level {level} here, which cannot become {}: leave it",
            update.max_version_level
        )),
        None => Some(format!("there is no feature {name} here")),
    }
}
