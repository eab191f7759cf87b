//! Every limit on a text of statements, with its reason.

/// The longest text, in bytes: an application's file is a few kilobytes, and a text is held in memory several times over while it is parsed.
pub const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// The deepest nesting of brackets: each level is a level of the stack in the parser, and of every walk over what it gives.
pub const BRACKETS_MAX: usize = 32;

/// The deepest nesting of expressions and queries that the parser follows: sqlparser's own default.
pub const NESTING_MAX: usize = 50;

/// The most operators in a row (`a + b + …`, `a OR b OR …`), those in its brackets included: each is a level of the tree that is built,
/// and the tree is walked, copied and dropped by recursion. 200 levels fit in a runtime's stack of 2 MiB, in a debug build too.
pub const DEPTH_MAX: usize = 200;

/// The most `UNION`, `EXCEPT` and `INTERSECT` on one level of brackets: each is a level of the tree, with a whole query in it.
pub const SET_OPERATIONS_MAX: usize = 100;

/// How often two readings of a bracket may multiply: `FROM ((SELECT …` is read as a query and, where that fails, as a join.
pub const READINGS_MAX: usize = 256;

/// Steps of the expression parser for each token of a text, and
pub const STEPS_PER_TOKEN: u64 = 8;

/// those that every text has: where one reading fails, another is tried, and readings in readings multiply; no statement that means something needs as many.
pub const STEPS_MIN: u64 = 20_000;

/// The longest moment behind `AS OF`, in tokens: a literal, a parameter, or a short expression such as `now() - interval '1 day'`.
pub const MOMENT_TOKENS_MAX: usize = 128;

/// The deepest nesting that is read on the caller's own stack: in a debug build a level of subqueries takes 180 KB of it, and a runtime's thread has 2 MiB.
pub const NESTING_INLINE_MAX: usize = 5;

/// The stack of the thread that reads what is nested deeper: [`NESTING_MAX`] levels with much room. Only what is used of it is ever memory.
pub const STACK_BYTES: usize = 32 * 1024 * 1024;

/// The most parameters of a command: each is a member of a request's body, and a field of a form.
pub const PARAMETERS_MAX: usize = 256;

/// The most LETs and REQUIREs of a command: each may be a question, and all of them are asked while others wait for the same rows.
pub const STEPS_OF_COMMAND_MAX: usize = 100;

/// The longest code of a refusal: it is a word that programs compare, and it stands in headers of problems and fields of a wire.
pub const CODE_CHARS_MAX: usize = 64;

/// The least memory of a view stored as memory: with less it would stop at its first rows.
pub const MEMORY_BYTES_MIN: u64 = 64 * 1024;

/// The most vertices of a graph pattern, and edges of one path: each is a step, and every step that is under way has rows and a place on the stack.
pub const PATTERN_ELEMENTS_MAX: usize = 32;

/// The most often that an edge is repeated where a number is said: paths that long are searched for without one.
pub const REPEATS_MAX: u32 = 1_000;
