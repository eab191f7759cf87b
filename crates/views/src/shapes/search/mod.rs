//! The search shape: beside the rows an index over their words, keywords, numbers and dates.
//!
//! ```text
//! flush: changed rows ─ documents ─> index.commit ─> store.commit ─> settle: index and rows of one position, read together from now on
//! ```
//!
//! Invariants
//! - What is searched is the index and the rows as of one commit: what a search finds fits the row that it shows.
//! - An index that is further than the rows (a crash came between the two commits) is not searched before the rows have got there: it holds rows
//!   of a position that they do not stand at.

mod documents;
mod fields;
mod searching;

use std::sync::Arc;

use headwater_catalog::SearchField;
use headwater_records::Position;
use headwater_stores::Reader;
use headwater_stores::search::SearchIndex;
use parking_lot::{Mutex, RwLock};

use crate::rows::image::{Changes, Image, ImageSpec};
use crate::{View, ViewError};

pub(crate) use fields::check;
pub use headwater_stores::search::limits::{SNIPPET_CHARS_DEFAULT, SNIPPET_CHARS_MAX};
pub use headwater_stores::search::{Connective, Field, Hit, Query, QueryError};
pub use searching::{SearchMoment, SnippetsOf, found_schema, is_facet, is_text, scores};

pub use crate::limits::FOUND_ROWS_AT_ONCE;

/// The folder of the index in that of the version.
const FOLDER: &str = "search";

/// The index of a view.
pub struct SearchImage {
    index: SearchIndex,
    /// For each field the column that its values are taken from.
    columns: Vec<usize>,
    /// What the index holds is no older than this: it may be further than the rows after a crash.
    reached: Mutex<Position>,
    /// What is searched; `None` before the first commit.
    settled: RwLock<Option<Arc<SearchMoment>>>,
}

impl SearchImage {
    /// Opens the index of a view, or makes it.
    pub(crate) fn open(spec: &ImageSpec<'_>, declared: &[SearchField]) -> Result<SearchImage, ViewError> {
        let searched = fields::fields(declared, &spec.schema)?;
        let (columns, fields): (Vec<usize>, Vec<Field>) = searched.into_iter().unzip();
        let folder = spec.folder.map(|folder| folder.join(FOLDER));
        let index = SearchIndex::open(folder.as_deref(), &fields)?;
        Ok(SearchImage {
            reached: Mutex::new(index.position().unwrap_or_default()),
            index,
            columns,
            settled: RwLock::default(),
        })
    }

    /// The fields that queries speak of.
    pub fn fields(&self) -> &[Field] {
        self.index.fields()
    }

    /// What is searched now; `None`: there was no commit yet.
    pub fn settled(&self) -> Option<Arc<SearchMoment>> {
        self.settled.read().clone()
    }
}

impl Image for SearchImage {
    fn position(&self) -> Option<Position> {
        self.index.position()
    }

    fn commit(&self, changes: &Changes, position: &Position) -> Result<(), ViewError> {
        let documents = documents::documents(self.fields(), &self.columns, &changes.rows)?;
        let present = changes.keys.iter().zip(&changes.places);
        let present = present.filter_map(|(key, place)| place.map(|place| documents.of(key, place)));
        let mut reached = self.reached.lock();
        // Never less far than what it holds.
        let mut further = reached.clone();
        further.advance_all(position);
        let replaced = changes.keys.iter().map(Vec::as_slice);
        self.index.commit(replaced, present, &further)?;
        *reached = further;
        Ok(())
    }

    fn settle(&self, rows: Box<dyn Reader>, position: &Position) -> Result<(), ViewError> {
        if !position.covers(&self.reached.lock()) {
            return Ok(());
        }
        let moment = SearchMoment::of_store(self.index.snapshot()?, rows, position.clone());
        *self.settled.write() = Some(Arc::new(moment));
        Ok(())
    }

    fn bytes(&self) -> u64 {
        0
    }
}

impl View {
    /// What a search is to look into: the index and the rows as of one commit, which has everything below `after`, as far as it has been folded.
    /// Where the last commit does not, there is one now. Without `after` what is searched is as old as the view's freshness lets it be. Blocks on the disk.
    pub fn searchable(&self, after: Option<&Position>) -> Result<Arc<SearchMoment>, ViewError> {
        let image = self.search_image()?;
        self.check_readable()?;
        let has_all =
            |moment: &Arc<SearchMoment>| after.is_none_or(|after| moment.position().covers(&self.own_part(after)));
        if let Some(moment) = image.settled().filter(has_all) {
            return Ok(moment);
        }
        self.flush()?;
        image.settled().ok_or_else(|| {
            // After a crash the index may be further than the rows, until they have got there.
            let (folded, total) = self.progress();
            let view = self.definition.name.clone();
            ViewError::Building { view, folded, total }
        })
    }

    fn search_image(&self) -> Result<&SearchImage, ViewError> {
        self.image().ok_or_else(|| ViewError::Unfit {
            part: format!("a search of '{}', which has no index,", self.definition.name),
            hint: "it is not STORED AS search".to_owned(),
        })
    }
}
