//! Bounds of the engine, and what they are where nobody says.

use std::time::Duration;

use crate::limits::{GRAPH_EDGES_DEFAULT, REWIND_EVENTS_DEFAULT};

/// The memory of all questions together: a question that needs more is refused, and the program goes on.
const MEMORY_BYTES_MAX: usize = 512 * 1024 * 1024;

/// The partitions of a stream that does not say: enough for a few consumers of a group, few enough for a small stream.
const PARTITIONS_DEFAULT: u32 = 4;

/// How long a read waits for a view to get where it was told to.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Bounds of the engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The most memory of all questions together, in bytes.
    pub memory_bytes_max: usize,
    /// The partitions of a new stream that does not say.
    pub partitions_default: u32,
    /// The most edges that one graph pattern looks at.
    pub graph_edges_max: u64,
    /// The most events that one view is rewound by, or one row followed over.
    pub rewind_events_max: u64,
    /// How long a read waits for a view (`after`) unless the session says otherwise.
    pub wait_max: Duration,
}

impl Default for EngineOptions {
    fn default() -> EngineOptions {
        EngineOptions {
            memory_bytes_max: MEMORY_BYTES_MAX,
            partitions_default: PARTITIONS_DEFAULT,
            graph_edges_max: GRAPH_EDGES_DEFAULT,
            rewind_events_max: REWIND_EVENTS_DEFAULT,
            wait_max: WAIT_MAX,
        }
    }
}
