//! UpdateFeatures: every feature has the level it has; another cannot be had.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::update_features_response::UpdatableFeatureResult;
use kafka_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};
use kafka_protocol::protocol::StrBytes;

use crate::api::FEATURES;
use crate::caller::Caller;

pub(super) type Request = UpdateFeaturesRequest;

/// From this version on the answer no longer names the features one by one.
const VERSION_WHOLE: i16 = 2;

pub(super) async fn answer(_caller: &Caller, request: Request, version: i16) -> UpdateFeaturesResponse {
    let response = UpdateFeaturesResponse::default().with_error_message(None);
    // The first refusal speaks for all, as nothing is updated then.
    if let Some(why) = request.feature_updates.iter().find_map(refusal) {
        return response
            .with_error_code(ResponseError::InvalidUpdateVersion.code())
            .with_error_message(Some(StrBytes::from_string(why)));
    }
    if version >= VERSION_WHOLE {
        return response;
    }
    let named = |update: FeatureUpdateKey| {
        UpdatableFeatureResult::default()
            .with_feature(update.feature)
            .with_error_message(None)
    };
    response.with_results(request.feature_updates.into_iter().map(named).collect())
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
