//! The part of a text that shows why it was found, its words marked with `<b>`; everything else is escaped for HTML.

use super::analyze::{Analyzer, Word};
use super::query::Mark;

/// Makes snippets of texts of one field, for one query.
pub struct Snippets {
    analyzer: Analyzer,
    marks: Vec<Mark>,
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// As HTML.
    pub html: String,
    /// How many different words of the query stand in it.
    pub marked: usize,
}

/// A run of words, and how much it shows.
#[derive(Clone, Copy)]
struct Window {
    first: usize,
    last: usize,
    kinds: usize,
    marked: usize,
}

impl Snippets {
    pub(super) fn new(analyzer: Analyzer, marks: Vec<Mark>) -> Snippets {
        Snippets { analyzer, marks }
    }

    /// The part of at most so many characters in which most of the query's words stand; the text's beginning where none does.
    pub fn of(&mut self, text: &str, chars_max: usize) -> Snippet {
        let words = self.analyzer.words(text);
        let kinds: Vec<Option<usize>> = words
            .iter()
            .map(|word| self.marks.iter().position(|mark| mark.holds(word)))
            .collect();
        let window = best(text, &words, &kinds, chars_max);
        let (from, to) = match window {
            Some(window) => around(text, words[window.first].from, words[window.last].to, chars_max),
            None => around(text, 0, 0, chars_max),
        };
        let mut html = String::new();
        if from > 0 {
            html.push('…');
        }
        let mut at = from;
        for (word, kind) in words.iter().zip(&kinds) {
            if kind.is_none() || word.from < at || word.to > to {
                continue;
            }
            escape(&text[at..word.from], &mut html);
            html.push_str("<b>");
            escape(&text[word.from..word.to], &mut html);
            html.push_str("</b>");
            at = word.to;
        }
        escape(&text[at..to], &mut html);
        if to < text.len() {
            html.push('…');
        }
        Snippet {
            html,
            marked: window.map_or(0, |window| window.kinds),
        }
    }
}

/// The window that begins and ends with a marked word and shows the most kinds of them, then the most of them, then the first.
fn best(text: &str, words: &[Word], kinds: &[Option<usize>], chars_max: usize) -> Option<Window> {
    let marked: Vec<usize> = (0..words.len()).filter(|at| kinds[*at].is_some()).collect();
    let mut best: Option<Window> = None;
    let mut counts: std::collections::HashMap<usize, usize> = std::collections::HashMap::new();
    let mut end = 0;
    for (start, first) in marked.iter().enumerate() {
        if end < start {
            end = start;
        }
        while let Some(next) = marked.get(end) {
            let is_first = end == start;
            let fits = text[words[*first].from..words[*next].to].chars().count() <= chars_max;
            if !is_first && !fits {
                break;
            }
            *counts.entry(kinds[*next].unwrap_or_default()).or_default() += 1;
            end += 1;
        }
        let window = Window {
            first: *first,
            last: marked[end - 1],
            kinds: counts.len(),
            marked: end - start,
        };
        if best.is_none_or(|best| (window.kinds, window.marked) > (best.kinds, best.marked)) {
            best = Some(window);
        }
        let kind = kinds[*first].unwrap_or_default();
        if let Some(count) = counts.get_mut(&kind) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&kind);
            }
        }
    }
    best
}

/// Widens a part of a text to so many characters, evenly, and on to the edges of words where that is near.
fn around(text: &str, from: usize, to: usize, chars_max: usize) -> (usize, usize) {
    let spare = chars_max.saturating_sub(text[from..to].chars().count());
    let before: Vec<usize> = text[..from]
        .char_indices()
        .rev()
        .map(|(at, _)| at)
        .take(spare)
        .collect();
    let after: Vec<usize> = text[to..]
        .char_indices()
        .map(|(at, c)| to + at + c.len_utf8())
        .take(spare)
        .collect();
    let back = before.len().min((spare / 2).max(spare.saturating_sub(after.len())));
    let forth = after.len().min(spare - back);
    let mut start = back
        .checked_sub(1)
        .and_then(|at| before.get(at))
        .copied()
        .unwrap_or(from);
    let mut end = forth.checked_sub(1).and_then(|at| after.get(at)).copied().unwrap_or(to);
    // Not in the middle of a word that is not marked.
    if start > 0 && start < from {
        let space = text[start..from].find(char::is_whitespace);
        start = space.map_or(from, |at| start + at);
        start += text[start..from].len() - text[start..from].trim_start().len();
    }
    if end < text.len() && end > to {
        end = text[to..end].rfind(char::is_whitespace).map_or(end, |at| to + at);
    }
    (start, end)
}

fn escape(text: &str, html: &mut String) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(marks: &[&str], text: &str, chars_max: usize, expected: &str) {
        let marks = marks.iter().map(|mark| Mark::Stem((*mark).to_owned())).collect();
        let snippet = Snippets::new(Analyzer::new(None), marks).of(text, chars_max);
        assert_eq!(snippet.html, expected);
    }

    #[test]
    fn a_snippet_shows_the_words_and_escapes_the_rest() {
        check(&["wool"], "", 100, "");
        check(&[], "a <plain> text", 100, "a &lt;plain&gt; text");
        check(
            &["wool"],
            "Red <wool> & \"Wool\"",
            100,
            "Red &lt;<b>wool</b>&gt; &amp; &quot;<b>Wool</b>&quot;",
        );
        check(&["cafe"], "Café", 100, "<b>Café</b>");
        check(&["x"], "one two three four", 9, "one two…");
        check(
            &["wool", "silk"],
            "wool at first, then much of nothing at all, and wool with silk at last",
            24,
            "…and <b>wool</b> with <b>silk</b> at…",
        );
        check(&["äöü"], "nothing", 3, "not…");
        check(&["verylongword"], "a verylongword b", 5, "…<b>verylongword</b>…");
    }
}
