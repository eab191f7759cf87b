//! A transactional producer: what it committed is there whole and once, what it aborted is never seen.

use std::collections::{BTreeMap, HashMap};
use std::thread;
use std::time::Duration;

use rdkafka::Message;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::util::Timeout;

use super::{PATIENCE, Place, Row, Stage, from_the_start, next};

/// A producer with a thread that hears what was delivered: a commit waits for that.
pub type Transactional = ThreadedProducer<DefaultProducerContext>;

/// How a transaction ended, as far as its producer knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Committed,
    Aborted,
    /// It was told of an error after which it cannot know: all of it or nothing.
    Unknown,
}

/// One transaction: what it wrote.
#[derive(Debug)]
pub struct Transaction {
    pub values: Vec<String>,
    pub outcome: Outcome,
}

/// Runs transactions of one to eight events over all partitions; every fourth or so is aborted.
pub fn write(stage: &Stage, topic: &str, name: &str, partitions: i32, mut seed: u64) -> Vec<Transaction> {
    let mut transactions: Vec<Transaction> = Vec::new();
    while !stage.stopped() {
        let producer = start(stage, name);
        while !stage.stopped() {
            let number = transactions.len();
            let mut values: Vec<String> = Vec::new();
            for index in 0..=next(&mut seed) % 8 {
                values.push(format!("{name}/{number}/{index}"));
            }
            let abort = next(&mut seed).is_multiple_of(4);
            let outcome = run(stage, &producer, &values, topic, partitions, abort);
            transactions.push(Transaction { values, outcome });
            if outcome == Outcome::Unknown {
                break;
            }
        }
    }
    transactions
}

/// A producer whose earlier transactions are decided.
pub fn start(stage: &Stage, name: &str) -> Transactional {
    loop {
        stage.expect_in_time(name);
        let producer: Transactional = stage
            .producer(&[
                ("transactional.id", name),
                ("linger.ms", "1"),
                ("message.timeout.ms", "60000"),
                ("transaction.timeout.ms", "60000"),
            ])
            .create()
            .expect("librdkafka starts");
        match producer.init_transactions(Timeout::After(PATIENCE)) {
            Ok(()) => return producer,
            Err(error) => println!("{name}: started again: {error}"),
        }
    }
}

fn run(
    stage: &Stage,
    producer: &Transactional,
    values: &[String],
    topic: &str,
    partitions: i32,
    abort: bool,
) -> Outcome {
    if let Err(error) = producer.begin_transaction() {
        println!("a transaction did not begin: {error}");
        return Outcome::Unknown;
    }
    for (index, value) in values.iter().enumerate() {
        let record = BaseRecord::<(), String>::to(topic)
            .payload(value)
            .partition(index as i32 % partitions);
        if producer.send(record).is_err() {
            return end(stage, producer, true);
        }
        // Some of a transaction is on its way before the rest is there.
        thread::sleep(Duration::from_millis(1));
    }
    end(stage, producer, abort)
}

/// Commits or aborts, again and again where the error says that this helps.
pub fn end(stage: &Stage, producer: &Transactional, abort: bool) -> Outcome {
    let mut abort = abort;
    loop {
        stage.expect_in_time("the end of a transaction");
        let ended = match abort {
            true => producer.abort_transaction(Timeout::After(PATIENCE)),
            false => producer.commit_transaction(Timeout::After(PATIENCE)),
        };
        match ended {
            Ok(()) if abort => return Outcome::Aborted,
            Ok(()) => return Outcome::Committed,
            Err(KafkaError::Transaction(error)) if error.is_retriable() => {}
            Err(KafkaError::Transaction(error)) if error.txn_requires_abort() && !abort => {
                println!("a transaction must be aborted: {error}");
                abort = true;
            }
            Err(error) => {
                println!("a transaction's end is not known: {error}");
                return Outcome::Unknown;
            }
        }
    }
}

/// Reads what is committed while it is written; everything that was ever seen.
pub fn witness(stage: &Stage, topic: &str) -> BTreeMap<Place, Row> {
    let mut seen: BTreeMap<Place, Row> = BTreeMap::new();
    let reader: BaseConsumer = stage.consumer("nobody", "read_committed");
    from_the_start(&reader, topic);
    while !stage.stopped() {
        if let Some(Ok(message)) = reader.poll(Duration::from_millis(100)) {
            let place = (message.partition(), message.offset());
            let row = Row::of(&message);
            let before = seen.insert(place, row.clone());
            assert!(before.is_none(), "{topic} {place:?} came twice: {before:?}, {row:?}");
        }
    }
    seen
}

/// Committed: all there, once. Aborted: not there. Unknown: all or nothing. What a reader saw is there still, with the same value.
pub fn check(topic: &str, transactions: &[Transaction], seen: &BTreeMap<Place, Row>, rows: &BTreeMap<Place, Row>) {
    let mut times: HashMap<&str, usize> = HashMap::new();
    for row in rows.values() {
        *times.entry(row.value.as_deref().expect("a value")).or_default() += 1;
    }
    for transaction in transactions {
        let found: Vec<usize> = transaction
            .values
            .iter()
            .map(|value| times.remove(value.as_str()).unwrap_or(0))
            .collect();
        let whole = found.iter().all(|times| *times == 1);
        let nothing = found.iter().all(|times| *times == 0);
        let right = match transaction.outcome {
            Outcome::Committed => whole,
            Outcome::Aborted => nothing,
            Outcome::Unknown => whole || nothing,
        };
        assert!(right, "{topic}: {transaction:?} is there {found:?} times");
    }
    assert!(times.is_empty(), "{topic}: nobody wrote {times:?}");
    for (place, row) in seen {
        assert_eq!(rows.get(place), Some(row), "{topic}: what was seen at {place:?}");
    }
}
