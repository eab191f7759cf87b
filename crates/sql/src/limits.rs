//! Every bound of a statement, with its reason.

/// The most rows of one INSERT: all of them are in memory at once, since they are appended together or not at all.
pub const INSERT_ROWS_MAX: usize = 1_000_000;

/// The most bytes of events of one INSERT or one command, for the same reason.
pub const INSERT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Events are packed into batches of about this many bytes: well below Kafka's `message.max.bytes`, so that any client can fetch them.
pub const BATCH_BYTES_TARGET: usize = 512 * 1024;

/// What a batch costs besides its events.
pub const BATCH_OVERHEAD_BYTES: usize = 64;

/// What an event costs in a batch besides its key and value, generously: lengths, deltas, attributes.
pub const EVENT_OVERHEAD_BYTES: usize = 40;

/// What a header costs besides its name and value: their lengths.
pub const HEADER_OVERHEAD_BYTES: usize = 10;

/// The most keys that a filter on a view's key columns is turned into (`IN` lists of several columns multiply);
/// with more, the view is read whole and filtered.
pub const KEYS_PUSHED_MAX: usize = 10_000;

/// The most rows of a view that are rewound one by one, each with a read of its own events; with more, the view's query runs over them all.
pub const ROWS_REWOUND_MAX: usize = 100;

/// How many bytes of a stream one step of a scan reads from the log at once.
pub const SCAN_BYTES: usize = 1024 * 1024;

/// How many bytes of each partition at least, where all are read side by side: below that a read costs more than what it brings.
pub const SCAN_BYTES_MIN: usize = 64 * 1024;

/// How many events of that are decoded at once; of compressed batches fewer, as they may be far larger than they look.
pub const SCAN_EVENTS: usize = 65_536;

/// How many events of one key are read at first, where they are found by their index; then twice as many, and so on.
pub const ENTITY_EVENTS_FIRST: usize = 256;

/// How many decoded batches of one scan may wait for their reader.
pub const SCAN_BATCHES_WAITING: usize = 2;

/// How many events a row is followed over before the steps are handed on: each costs the fold of one event, some microseconds.
pub const LINEAGE_EVENTS_AT_ONCE: usize = 256;

/// Through how many pipelines an event is followed back: they make no circle, and what a client writes into a header must not make one.
pub const ORIGINS_DEPTH_MAX: usize = 32;

/// More hits of a search than this count against the memory of questions.
pub const HITS_UNRESERVED_MAX: usize = 10_000;

/// The most rows of SHOW SCHEDULES: millions may wait, and the answer is made at once. HTTP lists all of them in pages.
pub const SCHEDULES_SHOWN_MAX: usize = 10_000;

/// How often a question is asked again that was overtaken by a newer version of a view: one is replaced now and then, and not several times while one
/// question is planned.
pub const OVERTAKEN_MAX: usize = 3;

/// How deep plain views may nest: each is planned inside of the one above it.
pub const VIEW_DEPTH_MAX: usize = 32;

/// The deepest plan, the views in it included: it is walked over, run and dropped by recursion, and a level takes some kilobytes of a stack of 8 MiB.
pub const PLAN_LEVELS_MAX: usize = 500;

/// What a join counts: the engine takes joins apart with several kilobytes for each.
pub const JOIN_LEVELS: usize = 4;

/// How much less deep a view is when it is defined, so that it can be asked for more than all it has.
pub const PLAN_LEVELS_ASKING: usize = 20;

/// The most tables and queries in one query: a few levels each, and what is too deep has been made when it is refused.
pub const QUERY_TABLES_MAX: usize = 1_000;

/// What must be left of the stack to plan one more statement: the deepest takes this in a debug build.
pub const PLANNING_STACK_LEAST_BYTES: usize = 4 * 1024 * 1024;

/// The stack that is added where less is left. Only what is used of it is ever memory.
pub const PLANNING_STACK_BYTES: usize = 32 * 1024 * 1024;

/// The most alternatives that the condition of an INSERT comes to once AND and OR are taken apart: what the log answers at once.
pub const CONDITION_ITEMS_MAX: usize = 100;

/// How many of the events that came in between an error shows, and how much of each: people read it; a program reads the stream.
pub const CAME_LINES_MAX: usize = 20;
/// How many characters of each of them.
pub const CAME_VALUE_CHARS_MAX: usize = 500;

/// The most encoders of streams that are kept ready, a few kilobytes each: more streams than that are seldom written to at one time.
pub const ENCODERS_MAX: usize = 1_000;

/// The most edges that one graph pattern looks at, where nobody says otherwise: at some microseconds each a few minutes of one core, and more than any
/// question needs that begins at a vertex.
pub const GRAPH_EDGES_DEFAULT: u64 = 50_000_000;

/// The most events that a rewind or a lineage reads, where nobody says otherwise: at about a million a second on one core a quarter of an hour, which is longer than
/// anybody waits without having meant it.
pub const REWIND_EVENTS_DEFAULT: u64 = 1_000_000_000;

/// The part of the memory of all questions that one side of a join may take and still be gathered once for all threads, and that the places of its keys may take
/// where they are found by the key itself. Beyond it both sides are sorted into partitions, and keys are hashed: 4 MiB of 256.
pub const JOIN_MEMORY_SHARE: usize = 64;

/// The widest range of keys whose places stand in a table by the key itself: 32 MiB, which are there in milliseconds; a few keys far apart are hashed sooner.
pub const JOIN_KEYS_MAX: usize = 8 << 20;

/// The rows of such a side for two threads, in a build by one of them; more threads share the work of partitions sooner.
pub const JOIN_ROWS_GATHERED: usize = 2_000_000;

/// The most plans of one question that are kept ready while nobody runs them, some tens of kilobytes each: as many callers as that at once are usual.
pub const STANDING_IDLE_MAX: usize = 32;
