//! From a text to its words: cut, folded, reduced to stems.
//!
//! ```text
//! "Les Cafés de Müller's"
//!   cut       Les      Cafés     de     Müller      s
//!   fold      les      cafes     de     muller      s        each letter as one character where there is one (NFC), without case and accents
//!   stem      le       caf       de     mull        s        of a field with a language
//!   indexed   le ·les  caf ·cafes  …                         `·` stands before a word that is kept as it was written
//! ```
//!
//! Invariants
//! - The same words come from a text in the index and in a query; what differs is which of a word's two forms is looked for: the stem where a
//!   whole word is asked for, the word as written where its beginning or something like it is.
//! - Scripts without spaces (Chinese, Japanese, Thai and their like) are cut at every character, so that any run of characters is found as a phrase.
//!
//! The name of an analyzer is part of an index's schema: change it with the words that come out, and every index is made anew.

use tantivy::tokenizer::{
    AsciiFoldingFilter, RawTokenizer, Stemmer, TextAnalyzer, Token, TokenStream, Tokenizer, TokenizerManager,
};

use unicode_normalization::UnicodeNormalization;

use super::field::language;
use super::limits::WORD_CHARS_MAX;

/// Stands before a word that is kept as it was written, beside its stem.
pub(super) const AS_WRITTEN: char = '\u{1}';

/// Cuts, folds and stems.
#[derive(Clone)]
pub(super) struct Analyzer {
    fold: TextAnalyzer,
    stem: Option<TextAnalyzer>,
}

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// As written, without case and accents.
    pub folded: String,
    /// What is looked for: its stem, where there is a language.
    pub stem: String,
    /// Where it stands in the text, in bytes.
    pub from: usize,
    /// Where it ends.
    pub to: usize,
}

/// The name of the analyzer of a text field.
pub(super) fn name(language: Option<&str>) -> String {
    format!("words 2 {}", language.unwrap_or_default())
}

/// The analyzers of text fields.
pub(super) fn analyzers<'a>(languages: impl Iterator<Item = Option<&'a str>>) -> TokenizerManager {
    let manager = TokenizerManager::default();
    for language in languages {
        manager.register(&name(language), TextAnalyzer::from(Analyzer::new(language)));
    }
    manager
}

impl Analyzer {
    /// For a language, where there is one.
    pub(super) fn new(name: Option<&str>) -> Analyzer {
        let whole = || TextAnalyzer::builder(RawTokenizer::default());
        Analyzer {
            fold: whole().filter(AsciiFoldingFilter).build(),
            stem: name
                .and_then(language)
                .map(|language| whole().filter(Stemmer::new(language)).build()),
        }
    }

    /// Whether words are kept as they were written beside their stems.
    pub(super) fn has_stems(&self) -> bool {
        self.stem.is_some()
    }

    /// The words of a text.
    pub(super) fn words(&mut self, text: &str) -> Vec<Word> {
        let mut words: Vec<Word> = Vec::new();
        for (from, to) in cut(text) {
            let mut folded = lowered(&text[from..to]);
            if !folded.is_ascii() {
                folded = through(&mut self.fold, &folded);
            }
            if folded.is_empty() {
                continue;
            }
            let stem = match &mut self.stem {
                Some(stem) => through(stem, &folded),
                None => folded.clone(),
            };
            words.push(Word { folded, stem, from, to });
        }
        words
    }
}

/// What becomes of one word.
fn through(analyzer: &mut TextAnalyzer, word: &str) -> String {
    let mut stream = analyzer.token_stream(word);
    match stream.advance() {
        true => std::mem::take(&mut stream.token_mut().text),
        false => String::new(),
    }
}

/// Where the words of a text begin and end.
fn cut(text: &str) -> Vec<(usize, usize)> {
    let mut words: Vec<(usize, usize)> = Vec::new();
    let mut begun: Option<usize> = None;
    for (at, c) in text.char_indices() {
        if let Some((_, to)) = words.last_mut().filter(|(_, to)| *to == at && is_voicing(c)) {
            *to += c.len_utf8();
            continue;
        }
        let stands_alone = is_word_by_itself(c);
        let goes_on = !stands_alone && (c.is_alphanumeric() || is_mark(c));
        if goes_on {
            // A mark alone begins nothing.
            if begun.is_none() && c.is_alphanumeric() {
                begun = Some(at);
            }
            continue;
        }
        if let Some(from) = begun.take() {
            words.push((from, at));
        }
        if stands_alone {
            words.push((at, at + c.len_utf8()));
        }
    }
    if let Some(from) = begun {
        words.push((from, text.len()));
    }
    words
}

/// In small letters, without marks, its final forms and accents of Greek and Cyrillic made plain; cut off where it is no word any more.
fn lowered(word: &str) -> String {
    // A mark that belongs to the letter (й, が, a syllable of Hangul) is no accent, however it was written.
    let letters = word.nfc().flat_map(char::to_lowercase);
    letters
        .filter(|c| !is_mark(*c) || is_joining_mark(*c))
        .map(plain)
        .take(WORD_CHARS_MAX)
        .collect()
}

/// Letters whose accents the library's folding, which is about Latin, leaves.
fn plain(c: char) -> char {
    match c {
        'ά' => 'α',
        'έ' => 'ε',
        'ή' => 'η',
        'ί' | 'ϊ' | 'ΐ' => 'ι',
        'ό' => 'ο',
        'ύ' | 'ϋ' | 'ΰ' => 'υ',
        'ώ' => 'ω',
        'ς' => 'σ',
        'ё' => 'е',
        c => c,
    }
}

/// Characters of scripts that put no spaces between words.
fn is_word_by_itself(c: char) -> bool {
    c.is_alphanumeric()
        && matches!(u32::from(c),
            // Thai and Lao, Myanmar, Khmer
            0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF
            // kana, ideographs and their extensions
            | 0x3040..=0x30FF | 0x31F0..=0x31FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}

/// The marks of kana that make another syllable of the one before them, written apart.
fn is_voicing(c: char) -> bool {
    matches!(c, '\u{3099}' | '\u{309A}')
}

/// Marks that stand inside of words: accents written apart, vowel signs of Hebrew and Arabic, joiners.
fn is_mark(c: char) -> bool {
    is_joining_mark(c)
        || matches!(u32::from(c),
            0x0300..=0x036F | 0x0483..=0x0487 | 0x0591..=0x05C7 | 0x0610..=0x061A | 0x0640 | 0x064B..=0x065F | 0x0670
            | 0x06D6..=0x06DC | 0x06DF..=0x06E8 | 0x06EA..=0x06ED | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x200C | 0x200D
            | 0x20D0..=0x20FF | 0xFE20..=0xFE2F)
}

/// Marks that say how the letters around them are read: without them it would be another word.
fn is_joining_mark(c: char) -> bool {
    matches!(
        u32::from(c),
        0x094D | 0x09CD | 0x0A4D | 0x0ACD | 0x0B4D | 0x0BCD | 0x0C4D | 0x0CCD | 0x0D4D | 0x0DCA
    )
}

/// The words of a text as the index takes them.
pub(super) struct Words {
    tokens: std::vec::IntoIter<Token>,
    token: Token,
}

impl Tokenizer for Analyzer {
    type TokenStream<'a> = Words;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Words {
        let has_stems = self.has_stems();
        let mut tokens: Vec<Token> = Vec::new();
        for (position, word) in self.words(text).into_iter().enumerate() {
            let token = |text: String| Token {
                offset_from: word.from,
                offset_to: word.to,
                position,
                text,
                position_length: 1,
            };
            let as_written = has_stems.then(|| token(format!("{AS_WRITTEN}{}", word.folded)));
            tokens.push(token(word.stem.clone()));
            tokens.extend(as_written);
        }
        Words {
            tokens: tokens.into_iter(),
            token: Token::default(),
        }
    }
}

impl TokenStream for Words {
    fn advance(&mut self) -> bool {
        match self.tokens.next() {
            Some(token) => {
                self.token = token;
                true
            }
            None => false,
        }
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(language: Option<&str>, text: &str, expected: &str) {
        let words = Analyzer::new(language).words(text);
        let stems: Vec<&str> = words.iter().map(|word| word.stem.as_str()).collect();
        assert_eq!(stems.join(" "), expected, "{text}");
        for word in &words {
            assert!(text.is_char_boundary(word.from) && text.is_char_boundary(word.to) && word.from < word.to);
        }
    }

    #[test]
    fn texts_are_cut_folded_and_stemmed() {
        check(None, "", "");
        check(None, "… — !", "");
        check(None, "Red WOOL scarf", "red wool scarf");
        check(None, "T-shirt, size 42.5", "t shirt size 42 5");
        check(None, "Café Müller, Ærø, straße", "cafe muller aero strasse");
        // Accents written apart, and a capital whose small form has one.
        check(
            None,
            "re\u{301}sume\u{301} I\u{307}stanbul İstanbul",
            "resume istanbul istanbul",
        );
        check(None, "ΟΔΥΣΣΕΥΣ Οδυσσεύς Ёлка", "οδυσσευσ οδυσσευσ елка");
        // A letter and its mark, in one character and in two.
        check(None, "йогурт и\u{306}огурт И\u{306}", "йогурт йогурт й");
        check(
            None,
            "안녕 \u{110b}\u{1161}\u{11ab}\u{1102}\u{1167}\u{11bc}",
            "안녕 안녕",
        );
        check(None, "がか\u{3099} ハ\u{309a}", "が が パ");
        check(None, "\u{3099}a", "a");
        check(Some("russian"), "йогурты и\u{306}огурты", "йогурт йогурт");
        check(None, "東京タワー 2nd", "東 京 タ ワ ー 2nd");
        check(None, "שָׁלוֹם مُحَمَّد", "שלום محمد");
        check(None, &"x".repeat(300), &"x".repeat(WORD_CHARS_MAX));
        check(Some("english"), "Running shoes ran", "run shoe ran");
        check(Some("german"), "Häuser Haus", "haus haus");
        check(Some("french"), "cafés cafes", "caf caf");
    }

    #[test]
    fn a_word_is_kept_as_written_beside_its_stem() {
        let mut analyzer = Analyzer::new(Some("english"));
        let mut tokens = analyzer.token_stream("running shoes");
        let mut found: Vec<(String, usize)> = Vec::new();
        while tokens.advance() {
            found.push((tokens.token().text.clone(), tokens.token().position));
        }
        let expected = [("run", 0), ("\u{1}running", 0), ("shoe", 1), ("\u{1}shoes", 1)];
        assert_eq!(found, expected.map(|(text, position)| (text.to_owned(), position)));
    }
}
