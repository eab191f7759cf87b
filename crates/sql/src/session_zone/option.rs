//! The session's zone among the options of a plan.

use std::any::Any;

use datafusion::common::Result;
use datafusion::common::config::{ConfigEntry, ConfigExtension, ExtensionOptions};

use super::SessionZone;

/// The zone; without one it is UTC.
#[derive(Debug, Clone, Default)]
pub(crate) struct ZoneOption(pub(crate) Option<SessionZone>);

impl ConfigExtension for ZoneOption {
    const PREFIX: &'static str = "headwater_zone";
}

// It is set by sessions alone, and never by its name.
impl ExtensionOptions for ZoneOption {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, _key: &str, _value: &str) -> Result<()> {
        Ok(())
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}
