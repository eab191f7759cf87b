//! Changes of a stream's schema: decided by [`crate::evolve`], written here.

use std::sync::Arc;

use headwater_eventlog::StreamSettings;

use super::{Catalog, Defined, Inner, finish, not_written, tell_facets};
use crate::alteration::Alteration;
use crate::events::{self, Change};
use crate::evolve::{Standing, altered};
use crate::replace::{Decision, decide};
use crate::{CatalogError, ColumnFacets, CreateMode, Definition, SchemaChange, StreamDefinition, rules};

/// A change of a stream's schema, as it is asked for.
struct SchemaAlteration {
    changes: Vec<SchemaChange>,
    statement: String,
    is_parked: bool,
}

impl Catalog {
    /// Changes the schema of a stream, whose events stay as they are: durable and in force when this returns. All of the changes or none.
    /// `statement` is what says them, its words alone. `is_parked`: whether any of the stream's events is known that does not fit.
    pub async fn alter_schema(
        &self,
        name: &str,
        changes: Vec<SchemaChange>,
        statement: &str,
        is_parked: bool,
        principal: &str,
    ) -> Result<Defined, CatalogError> {
        let inner = Arc::clone(&self.inner);
        let (name, statement, principal) = (name.to_owned(), statement.to_owned(), principal.to_owned());
        finish(async move {
            let change = SchemaAlteration {
                changes,
                statement,
                is_parked,
            };
            inner.alter_schema(&name, &change, &principal).await
        })
        .await
    }

    /// Lets the events of a stream be read once more by whoever folded them: some of them may come to be rows that were none.
    pub async fn reread(&self, name: &str, principal: &str) -> Result<Defined, CatalogError> {
        let inner = Arc::clone(&self.inner);
        let (name, principal) = (name.to_owned(), principal.to_owned());
        finish(async move { inner.reread(&name, &principal).await }).await
    }

    /// The definition that a stream would have after changes of its schema; `None` where they change nothing.
    pub fn schema_after(
        &self,
        name: &str,
        changes: &[SchemaChange],
        statement: &str,
        is_parked: bool,
    ) -> Result<Option<StreamDefinition>, CatalogError> {
        let Some(old) = self.inner.image.read().streams.get(name).cloned() else {
            return Ok(None);
        };
        let standing = Standing::of(&self.inner.log, &old, is_parked);
        altered(&old, changes, statement, &standing)
    }

    /// The definition that a stream would have were it defined so; `None` where it would stay what it is.
    pub fn stream_after(
        &self,
        definition: &StreamDefinition,
        mode: CreateMode,
        is_parked: bool,
    ) -> Result<Option<StreamDefinition>, CatalogError> {
        let inner = &self.inner;
        let existing = inner.image.read().definitions.get(&definition.name).cloned();
        let standing = inner.standing(existing.as_deref(), is_parked);
        let in_log = inner.log.stream(&definition.name);
        let definition = Definition::Stream(definition.clone());
        match decide(definition, mode, existing.as_deref(), in_log.as_ref(), &standing)? {
            Decision::Create(Definition::Stream(stream)) | Decision::Replace(Definition::Stream(stream)) => {
                Ok(Some(stream))
            }
            _ => Ok(None),
        }
    }
}

impl Inner {
    async fn alter_schema(
        &self,
        name: &str,
        alteration: &SchemaAlteration,
        principal: &str,
    ) -> Result<Defined, CatalogError> {
        let _changing = self.changing.lock().await;
        let old = self.image.read().streams.get(name).cloned();
        let old = old.ok_or_else(|| CatalogError::Unknown {
            noun: "stream",
            name: name.to_owned(),
        })?;
        let SchemaAlteration {
            changes,
            statement,
            is_parked,
        } = alteration;
        let standing = Standing::of(&self.log, &old, *is_parked);
        let Some(new) = altered(&old, changes, statement, &standing)? else {
            return Ok(Defined::Unchanged);
        };
        rules::check_stream(&new)?;
        self.write_altered(&old, &new, principal).await?;
        tell_facets(&self.log, &self.schemas, ColumnFacets::of(&old, &self.schemas), &new)?;
        self.fold(name.to_owned(), Some(Definition::Stream(new)));
        Ok(Defined::Replaced)
    }

    async fn reread(&self, name: &str, principal: &str) -> Result<Defined, CatalogError> {
        let _changing = self.changing.lock().await;
        let old = self.image.read().streams.get(name).cloned();
        let old = old.ok_or_else(|| CatalogError::Unknown {
            noun: "stream",
            name: name.to_owned(),
        })?;
        let new = StreamDefinition {
            reading: old.reading + 1,
            ..old.as_ref().clone()
        };
        self.write_altered(&old, &new, principal).await?;
        self.fold(name.to_owned(), Some(Definition::Stream(new)));
        Ok(Defined::Replaced)
    }

    /// Writes what makes the one definition of a stream of the other.
    pub(super) async fn write_altered(
        &self,
        old: &StreamDefinition,
        new: &StreamDefinition,
        principal: &str,
    ) -> Result<(), CatalogError> {
        let change = Change::Altered(Alteration::between(old, new));
        let append = events::append(&new.name, &change, &StreamSettings::default(), principal)?;
        self.log.append(append).await.map_err(not_written)?;
        Ok(())
    }

    pub(super) fn standing(&self, existing: Option<&Definition>, is_parked: bool) -> Standing {
        match existing {
            Some(Definition::Stream(stream)) => Standing::of(&self.log, stream, is_parked),
            _ => Standing::default(),
        }
    }
}
