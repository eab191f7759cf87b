//! Which words of a text a query is about: what a snippet highlights.

use super::Query;
use super::syntax::{Leaf, Node, Occurs};
use crate::search::analyze::{Analyzer, Word};

/// A kind of word that is highlighted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::search) enum Mark {
    /// Words with this stem.
    Stem(String),
    /// Words that begin so.
    Prefix(String),
    /// Words of which so many letters are others.
    Fuzzy(String, usize),
}

/// What a query highlights in a text field, whose words the analyzer tells.
pub(in crate::search) fn marks(query: &Query, field: usize, analyzer: &mut Analyzer) -> Vec<Mark> {
    let mut found: Vec<Mark> = Vec::new();
    gather(&query.root, field, analyzer, &mut found);
    found
}

fn gather(node: &Node, field: usize, analyzer: &mut Analyzer, found: &mut Vec<Mark>) {
    match node {
        Node::All | Node::Present(_) => {}
        Node::Weighted(node, _) => gather(node, field, analyzer, found),
        Node::Group(parts) => {
            for (_, node) in parts.iter().filter(|(occurs, _)| *occurs != Occurs::Not) {
                gather(node, field, analyzer, found);
            }
        }
        Node::Leaf(place, leaf) if place.is_none_or(|place| place == field) => {
            let (text, last): (&str, fn(Word, u8) -> Mark) = match leaf {
                Leaf::Word(text) | Leaf::Phrase(text, _) => (text, |word, _| Mark::Stem(word.stem)),
                Leaf::Prefix(text) => (text, |word, _| Mark::Prefix(word.folded)),
                Leaf::Fuzzy(text, _) => (text, |word, distance| Mark::Fuzzy(word.folded, usize::from(distance))),
                Leaf::Keywords(..) | Leaf::Whole(_) | Leaf::Floats(..) => return,
            };
            let distance = match leaf {
                Leaf::Fuzzy(_, distance) => *distance,
                _ => 0,
            };
            let mut words = analyzer.words(text);
            let ending = words.pop().map(|word| last(word, distance));
            found.extend(words.into_iter().map(|word| Mark::Stem(word.stem)));
            found.extend(ending);
        }
        Node::Leaf(..) => {}
    }
}

impl Mark {
    /// Whether a word is meant.
    pub(in crate::search) fn holds(&self, word: &Word) -> bool {
        match self {
            Mark::Stem(stem) => word.stem == *stem,
            Mark::Prefix(prefix) => word.folded.starts_with(prefix.as_str()),
            Mark::Fuzzy(other, distance) => is_within(&word.folded, other, *distance),
        }
    }
}

/// Whether one word becomes the other by at most so many letters added, taken out, replaced or swapped with their neighbours
/// (the optimal string alignment distance, as the index counts).
fn is_within(one: &str, other: &str, distance: usize) -> bool {
    let one: Vec<char> = one.chars().collect();
    let other: Vec<char> = other.chars().collect();
    if one.len().abs_diff(other.len()) > distance {
        return false;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.iter().enumerate() {
        let mut row = vec![at + 1];
        for (to, opposite) in other.iter().enumerate() {
            let replaced = last[to] + usize::from(letter != opposite);
            let mut cost = replaced.min(last[to + 1] + 1).min(row[to] + 1);
            let is_swapped = at > 0 && to > 0 && one[at - 1] == *opposite && other[to - 1] == *letter;
            if is_swapped {
                cost = cost.min(before[to - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().is_some_and(|cost| *cost <= distance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::field::{Field, FieldKind};
    use crate::search::query::Connective;

    #[test]
    fn words_that_are_looked_for_are_marked() {
        let fields = ["title", "other"].map(|name| Field {
            name: name.to_owned(),
            kind: FieldKind::Text(Some("english".to_owned())),
        });
        let text = "Running -wet title:\"red shoes\" other:nowhere wal* scraf~2";
        let query = Query::parse(text, &fields, Connective::And).expect("a query");
        let found = marks(&query, 0, &mut Analyzer::new(Some("english")));
        let stem = |text: &str| Mark::Stem(text.to_owned());
        let expected = [
            stem("run"),
            stem("red"),
            stem("shoe"),
            Mark::Prefix("wal".to_owned()),
            Mark::Fuzzy("scraf".to_owned(), 2),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn letters_may_be_others() {
        let check = |one: &str, other: &str, distance: usize| {
            assert!(is_within(one, other, distance), "{one} {other}");
            assert!(distance == 0 || !is_within(one, other, distance - 1), "{one} {other}");
        };
        check("scarf", "scarf", 0);
        check("scarf", "scraf", 1);
        check("scarf", "scar", 1);
        check("scarf", "scarfs", 1);
        check("scarf", "skarf", 1);
        check("scarf", "skraf", 2);
        check("", "ab", 2);
    }
}
