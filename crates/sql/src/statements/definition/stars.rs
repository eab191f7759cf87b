//! Who goes on with the columns of before when a stream gets new ones: definitions that say `*`, which means what was there when they were made.

use std::sync::Arc;

use headwater_catalog::Definition;

use super::rewritten::Rewritten;
use crate::inner::Inner;
use crate::question::meaning;

/// The definitions that say `*`, with what that would mean today.
pub(crate) struct Stars(Vec<(Arc<Definition>, Option<String>)>);

impl Stars {
    pub(crate) fn of_today(inner: &Inner) -> Stars {
        let all = inner.catalog.all().into_iter();
        let say_star = all.filter(|definition| definition.statement() != definition.meaning());
        let would_mean = |definition: Arc<Definition>| {
            let meaning = today(inner, &definition);
            (definition, meaning)
        };
        Stars(say_star.map(would_mean).collect())
    }

    /// Which of them would mean something else now; not those that are about to be written anew.
    pub(crate) fn notices(self, inner: &Inner, rewritten: &Rewritten<'_>) -> Vec<String> {
        let Stars(before) = self;
        let stays = before.into_iter().filter(|(definition, meaning)| {
            !rewritten.contains(definition.name()) && today(inner, definition) != *meaning
        });
        let told = stays.map(|(definition, _)| {
            let (noun, name) = (definition.noun(), definition.name());
            format!("the {noun} '{name}' keeps the columns that its `*` meant when it was made: write it anew in other words to take in what is there now")
        });
        told.collect()
    }
}

/// `None` where nothing can be said: it cannot be read as it is written.
fn today(inner: &Inner, definition: &Definition) -> Option<String> {
    meaning(inner, definition.statement(), None).ok().flatten()
}
