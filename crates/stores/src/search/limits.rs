//! Every bound of the search index and of its queries, with its reason.

/// Memory that documents of one commit are gathered in, for each index: the least that the library takes. More of it makes larger
/// pieces in a rebuild; views are many, so the least is enough.
pub const WRITER_BYTES: usize = 15_000_000;

/// Threads that index the documents of a commit, and threads that join pieces: one each, since every search view has its own.
pub const WRITER_THREADS: usize = 1;

/// A piece of the index in which more than this share of the documents is replaced or deleted is written anew without them.
pub const DELETED_SHARE_MAX: f32 = 0.3;

/// Blocks of kept keys that a reader remembers in each piece of the index, 16 KiB each.
pub const KEY_BLOCKS_CACHED: usize = 16;

/// The longest key that is looked up as it is; of a longer one its digest is. The library takes 65,530 bytes.
pub const KEY_BYTES_MAX: usize = 1_000;

/// The longest keyword that is kept as it is; a longer one is kept by its beginning and its digest, so that it is still found whole.
pub const KEYWORD_BYTES_MAX: usize = 1_000;

/// Of a longer word only so many characters count, in the index and in a query alike: what is longer is no word.
pub const WORD_CHARS_MAX: usize = 200;

/// The longest text of a query. People write a line, programs some hundred keys.
pub const QUERY_BYTES_MAX: usize = 65_536;

/// The most words, phrases and ranges of one query, and the most words that they come to, as Lucene bounds its clauses: each costs a look into every piece of the index.
pub const QUERY_WORDS_MAX: usize = 1_024;

/// How deep brackets may nest: deeper, and the stack would decide.
pub const QUERY_DEPTH_MAX: usize = 32;

/// How many other words may stand between the words of a phrase.
pub const SLOP_MAX: u32 = 100;

/// How many letters may be wrong in `word~`: what the automaton is built for.
pub const FUZZY_DISTANCE_MAX: u8 = 2;

/// The most that a part of a query may weigh.
pub const WEIGHT_MAX: f32 = 1_000.0;

/// The most different values that a facet is counted over: above that nobody reads them, and they would have to be held at once.
pub const FACET_VALUES_MAX: usize = 10_000;

/// How many characters a snippet has unless its reader says otherwise, and at most.
pub const SNIPPET_CHARS_DEFAULT: usize = 160;
/// The most characters of a snippet.
pub const SNIPPET_CHARS_MAX: usize = 10_000;
