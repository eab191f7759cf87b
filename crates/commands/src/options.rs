//! Bounds of deciding.

use std::time::Duration;

use crate::limits::{DECIDE_MAX, IDEMPOTENCY_KEYS_MAX, IDEMPOTENCY_TTL, WAITING_CALLS_MAX};

/// Bounds of deciding.
#[derive(Debug, Clone)]
pub struct CommandsOptions {
    /// How long one decision may take, waiting for views and retries included.
    pub decide_max: Duration,
    /// How long an idempotency key is remembered.
    pub idempotency_ttl: Duration,
    /// The most keys that are remembered at once; beyond it calls with a new key are refused until the oldest have had their time.
    pub idempotency_keys_max: usize,
    /// The most calls that wait to be decided together; beyond it calls are refused at once.
    pub waiting_calls_max: usize,
}

impl Default for CommandsOptions {
    fn default() -> CommandsOptions {
        CommandsOptions {
            decide_max: DECIDE_MAX,
            idempotency_ttl: IDEMPOTENCY_TTL,
            idempotency_keys_max: IDEMPOTENCY_KEYS_MAX,
            waiting_calls_max: WAITING_CALLS_MAX,
        }
    }
}
