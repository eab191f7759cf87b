//! The encoders of the streams that are written to, each made once for as long as its definition stays.

use std::collections::HashMap;
use std::sync::Arc;

use headwater_catalog::StreamDefinition;
use headwater_schemas::Schemas;
use parking_lot::Mutex;

use super::EventEncoder;
use crate::SqlError;
use crate::limits::ENCODERS_MAX;

/// Encoders by their streams' names.
#[derive(Default)]
pub(crate) struct Encoders(Mutex<HashMap<String, Made>>);

/// An encoder, and the definition that it was made of.
struct Made {
    of: Arc<StreamDefinition>,
    encoder: Arc<EventEncoder>,
}

impl Encoders {
    /// What makes events of a stream as it is defined; an error where it may not be written to.
    pub(crate) fn of(
        &self,
        definition: &Arc<StreamDefinition>,
        schemas: &Schemas,
    ) -> Result<Arc<EventEncoder>, SqlError> {
        let Encoders(known) = self;
        if let Some(made) = known.lock().get(&definition.name)
            && Arc::ptr_eq(&made.of, definition)
        {
            return Ok(Arc::clone(&made.encoder));
        }
        let encoder = Arc::new(EventEncoder::new(definition, schemas)?);
        let mut known = known.lock();
        if known.len() >= ENCODERS_MAX {
            known.clear();
        }
        let made = Made {
            of: Arc::clone(definition),
            encoder: Arc::clone(&encoder),
        };
        known.insert(definition.name.clone(), made);
        Ok(encoder)
    }
}
