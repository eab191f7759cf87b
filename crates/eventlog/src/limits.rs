//! Every limit of the log that is not an option, with its reason.

use std::time::Duration;

/// A frame begins at a multiple of this, so that a flush never rewrites a page that holds acknowledged events.
pub(crate) const FRAME_ALIGN: u64 = 4096;

/// How many bytes of appends go into one frame: past this a larger write is no faster, and the first writer in it waits longer.
/// One append larger than this gets a frame of its own.
pub(crate) const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// So many groups in a row were one append each, and nobody came behind them, before the next append that is alone writes its group itself: where many
/// append at once, whoever is first would keep its runtime's thread from the others.
pub(crate) const ALONE_BEFORE_LEADING: u32 = 4;

/// Where a flush took longer than this, microseconds, the next appends that are alone leave theirs to the writer thread: being woken by it costs little beside that,
/// and a runtime's thread would stand still for too long.
pub(crate) const LED_FLUSH_US_MAX: u64 = 500;

/// And so do those that are larger than this, in bytes: writing them takes long, too.
pub(crate) const LED_BYTES_MAX: usize = 64 * 1024;

/// Those who were answered together are looked out for as long as their flush took, and for no longer than this: on a slow disk too they are back by then.
pub(crate) const COMPANY_MAX: Duration = Duration::from_millis(1);

/// Groups of more bytes than this wait for nobody: what counts there is that the disk never rests.
pub(crate) const COMPANY_BYTES_MAX: usize = 64 * 1024;

/// The first journal file of a new log: small, because it is filled with zeros before the first append is taken.
pub(crate) const FIRST_JOURNAL_BYTES: u64 = 4 * 1024 * 1024;

/// How many journal files go round: one is written, one is waiting for its checkpoint, one is ready.
pub(crate) const JOURNAL_FILES_MAX: u16 = 3;

/// How many bytes of durable batches wait before they are written into segments together: the more there are, the longer are the runs of each partition.
pub(crate) const BEHIND_BYTES: usize = 8 * 1024 * 1024;

/// A run of batches of one partition goes to its segment past the page cache from this size on. Below it the copy costs less than
/// waiting for the disk.
pub(crate) const DIRECT_BYTES_MIN: usize = 64 * 1024;

/// How many bytes of a run are gathered for one write: past this a larger write is no faster.
pub(crate) const RUN_BYTES: usize = 1024 * 1024;

/// How many bytes of durable batches may be on their way into segments: past this the writer waits, so that memory stays bounded.
pub(crate) const BEHIND_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How long durable batches wait for others before they are written into segments.
pub(crate) const BEHIND_WAIT: Duration = Duration::from_millis(500);

/// How many bytes of the newest batches stay in memory after they are in segments: readers at the end and conditions never touch the disk.
pub(crate) const RECENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What one batch in memory costs beside its bytes, roughly.
pub(crate) const RECENT_BATCH_OVERHEAD: usize = 160;

/// Of the files that the process may have open, this part stays open for reading, for writing, and for writing past the page cache each:
/// connections need the rest.
pub(crate) const OPEN_FILES_PART: usize = 8;

/// So few files stay open where the process may have hardly any.
pub(crate) const OPEN_FILES_LEAST: usize = 100;

/// And no more than this, two for each of two thousand partitions: what is open costs the kernel memory.
pub(crate) const OPEN_FILES_MOST: usize = 4_000;

/// Where one file more would be too many, one of so many is closed.
pub(crate) const OPEN_FILES_CLOSED_PART: usize = 16;

/// How many batches of one idempotent producer and partition are remembered: Kafka's limit on requests in flight.
pub(crate) const PRODUCER_BATCHES_MAX: usize = 5;

/// How many pairs of idempotent producer and partition are remembered; the longest silent are forgotten first.
pub(crate) const PRODUCERS_MAX: usize = 100_000;

/// How long a producer may be silent before it is forgotten unless configured otherwise: Kafka's `producer.id.expiration.ms` is a day, a week is for
/// jobs that run on weekdays.
pub(crate) const PRODUCER_SILENT_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// How often the silent are looked for: all of them are looked at, between two appends.
pub(crate) const PRODUCERS_LOOK_US: i64 = 600 * 1_000_000;

/// How many transactions may be open, each counted once for every partition it has written to: they are held in memory and in each
/// checkpoint until they end. Half of the producers remembered, so that the others are not crowded out.
pub(crate) const TRANSACTIONS_OPEN_MAX: usize = PRODUCERS_MAX / 2;

/// How many producer ids one journal entry reserves.
pub(crate) const PRODUCER_ID_BLOCK: i64 = 1_000;

/// How many index entries one read of an index takes.
pub(crate) const INDEX_READ_ENTRIES: u64 = 1_024;

/// How many index entries are read first, where few may be enough; each further read takes four times as many.
pub(crate) const INDEX_READ_ENTRIES_FIRST: u64 = 16;

/// How many bytes of a stretch are read, checked and given at a time: little enough to be in the processor's cache still when they are sent.
/// A larger batch is given whole.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;

/// How many buffers of chunks are kept for the next ones. Fresh memory costs the kernel more than filling it does.
pub(crate) const CHUNK_BUFFERS_MAX: usize = 8;

/// Of a chunk of fewer bytes a copy is made, which goes with others in one write: passing on each by itself costs more.
pub(crate) const PASS_BYTES_MIN: usize = 64 * 1024;

/// How far apart the pages are that are looked for in memory before a chunk is passed on: the kernel reads, and forgets, many at a time.
pub(crate) const PASS_LOOK_BYTES: usize = 32 * 1024;

/// How many stretches of segments are remembered that were checked, each of some 60 bytes; where there would be more, all are checked again.
pub(crate) const CHECKED_MAX: usize = 10_000;

/// How far ahead the disk is asked to read in one stretch, once a chunk had to be waited for.
pub(crate) const READ_AHEAD_BYTES: u64 = 1024 * 1024;

/// How many files stretches keep open, so that what is deleted or rewritten meanwhile is still given whole. One more opens its file as it reads.
pub(crate) const STRETCH_FILES_MAX: usize = 200;

/// How many batches that could not be read when their turn came are remembered. More of them end more connections, and nothing else.
pub(crate) const SUSPECTS_MAX: usize = 10_000;

/// From how many files and folders on one flush of the whole file system is cheaper than a flush of each.
pub(crate) const SYNC_EACH_MAX: usize = 32;

/// The smallest segment that can be asked for: a few batches, so that a stream is not cut into a file an event.
pub(crate) const SEGMENT_BYTES_MIN: u64 = 1_024;

/// The largest segment that can be asked for: Kafka's clients know the setting as an INT, and a larger one could not be shown to them.
pub(crate) const SEGMENT_BYTES_MAX: u64 = i32::MAX as u64;

/// The longest that a relaxed stream's events may wait for their flush: what waits longer was better not acknowledged.
pub(crate) const FLUSH_MS_MAX: u64 = 60_000;

/// How many labels a door may keep beside a stream.
pub(crate) const LABELS_MAX: usize = 64;

/// How many bytes of labels a door may keep beside a stream: settings are in memory, in every checkpoint, and in one journal entry.
pub(crate) const LABELS_BYTES_MAX: usize = 16 * 1024;

/// The most partitions of all streams together: each takes a few hundred bytes of memory for as long as the log is open, and any client may create some.
pub(crate) const PARTITIONS_ALL_MAX: usize = 200_000;

/// How long a write that did not fit on the disk waits before it is tried again: soon enough that nobody sees the difference, seldom enough to cost nothing.
pub(crate) const FULL_RETRY: Duration = Duration::from_millis(200);

/// Into how many segments what is kept is cut: events are deleted a segment at a time, so up to a fourth more is kept than was asked for.
pub(crate) const RETENTION_PARTS: u64 = 4;

/// The smallest segment that follows from a retention: below it a file costs more than the bytes in it.
pub(crate) const CUT_BYTES_LEAST: u64 = 64 * 1024;

/// The shortest span of a segment that follows from a retention or a lag.
pub(crate) const CUT_MS_LEAST: u64 = 1_000;

/// How many keys one pass of compaction remembers: 33 bytes each, in a table of 2^20 places. More keys take more passes.
pub(crate) const COMPACTION_KEYS_MAX: usize = 900_000;

/// How many partitions' folders are looked through for files left behind in one round.
pub(crate) const SWEEP_PARTITIONS: usize = 1_000;

/// How long the tender waits between two parts of a sweep: the keeper has other things to do.
pub(crate) const SWEEP_PAUSE: Duration = Duration::from_millis(10);

/// How many principals' names may be missing before one that is there. Numbers are given out one after another: one further ahead is none that
/// this log gave out, and memory is not filled up to it.
pub(crate) const PRINCIPALS_MISSING_MAX: usize = 100_000;

/// How many postings of a term are looked up at once: a page of an entity and what is around it.
pub(crate) const POSTINGS_PAGE: usize = 256;

/// So many events of one entity are looked for side by side: more than a processor waits for at the same time.
pub(crate) const SIDE_BY_SIDE_MAX: usize = 32;

/// So few events of a batch in memory are walked over wherever they are looked for, as long as they are not compressed: it is not kept opened. A batch
/// of more takes up to some tens of milliseconds to walk over, once, where nobody waits behind.
pub(crate) const EVENTS_FEW: u32 = 8;

/// How many of the events that are in the way of an append are named: whoever decides again reads on from there.
pub(crate) const CAME_MAX: usize = 100;

/// How many items a query may have, and terms an item: each is looked up for every append that depends on it.
pub const QUERY_ITEMS_MAX: usize = 100;
pub(crate) const QUERY_TERMS_MAX: usize = 100;

/// How many bytes of events one page holds, but for its first: pages are held in memory.
pub(crate) const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How many events one page holds.
pub(crate) const PAGE_EVENTS_MAX: usize = 10_000;

/// How many runs of about one size an index may have: so many become one. A lookup asks each run, so there must be few; every posting is
/// written again for each size, so the sizes must be few too.
pub(crate) const RUNS_OF_A_SIZE: usize = 4;

/// The size of the smallest runs, postings: those below count as the same.
pub(crate) const RUN_POSTINGS_LEAST: u64 = 4_096;

/// What one posting in memory takes, bytes, roughly: its entry in the table, and the posting.
pub(crate) const POSTING_MEMORY_BYTES: usize = 72;

/// What all entity indexes take of memory: half a million postings before they are written, blocks enough that a lookup among millions of keys
/// reads one block of a run, and as much again of batches that events were found in.
pub(crate) const ENTITY_MEMORY_BYTES: usize = 64 * 1024 * 1024;

/// How many postings of one index stay in memory at most before they are written into a run: after a crash, their events are read again.
pub(crate) const INDEX_POSTINGS_MAX: usize = 256 * 1024;

/// How many events an index may lack for somebody to wait for it: as many as are read again after a crash, a part of a second's reading. Whoever asks before
/// is told how far it is, and not kept waiting for longer than a door waits.
pub(crate) const INDEX_WAIT_EVENTS: u64 = INDEX_POSTINGS_MAX as u64;

/// How many damaged places are kept in mind for whoever asks what is damaged: enough to see that much is.
pub(crate) const DAMAGED_PLACES_MAX: usize = 1_000;

/// How long a damaged place is not said again, though readers meet it again and again.
pub(crate) const DAMAGED_SAID_EVERY_US: u64 = 60_000_000;

/// How many damaged lists of what was taken back are kept in mind at once; more are asked for again.
pub(crate) const ABORTED_LISTS_MAX: usize = 10_000;
