//! A Kafka client's topic and an SQL statement's stream are the same thing, whoever made it: names, limits, partitions, events, and what is wrong in them.

mod program;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use headwater_records::{Batch, Compression, Event};
use program::{PATIENCE, Program, until};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord};

struct Ground {
    _folder: tempfile::TempDir,
    program: Program,
    admin: AdminClient<DefaultClientContext>,
    producer: FutureProducer,
}

impl Ground {
    fn new(sql: &str) -> Ground {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let application = program::application(folder.path(), sql);
        let program = Program::start(&application, &folder.path().join("data"));
        let admin = program.client().create().expect("librdkafka starts");
        let producer = program
            .client()
            .set("topic.metadata.refresh.interval.ms", "200")
            .create()
            .expect("librdkafka starts");
        Ground {
            _folder: folder,
            program,
            admin,
            producer,
        }
    }

    async fn create_topic(&self, name: &str, partitions: i32) -> Result<(), RDKafkaErrorCode> {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let created = self.admin.create_topics(&[topic], &AdminOptions::new()).await;
        let created = created.expect("the broker answers").remove(0);
        created.map(drop).map_err(|(_, code)| code)
    }

    async fn delete_topic(&self, name: &str) -> Result<(), RDKafkaErrorCode> {
        let deleted = self.admin.delete_topics(&[name], &AdminOptions::new()).await;
        let deleted = deleted.expect("the broker answers").remove(0);
        deleted.map(drop).map_err(|(_, code)| code)
    }

    async fn try_to_send(&self, topic: &str, partition: i32, value: &str) -> Result<i64, KafkaError> {
        let record = FutureRecord::<str, str>::to(topic).partition(partition).payload(value);
        let sent = self.producer.send(record, PATIENCE).await;
        sent.map(|delivery| delivery.offset).map_err(|(error, _)| error)
    }

    async fn send(&self, topic: &str, partition: i32, value: &str) -> i64 {
        let sent = self.try_to_send(topic, partition, value).await;
        sent.expect("it is acknowledged")
    }

    /// Asks until the first value of the first row is this one.
    async fn wait_for(&self, question: &str, expected: &str) {
        let began = Instant::now();
        loop {
            let rows = self.program.sql(question).await.expect("the question is answered");
            let found = rows.first().and_then(|row| row[0].clone());
            if found.as_deref() == Some(expected) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{question}: {found:?}, expected {expected}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn refusal(&self, statement: &str) -> String {
        let error = self.program.sql(statement).await.expect_err(statement);
        error
            .as_db_error()
            .expect("an answer of the program")
            .message()
            .to_owned()
    }

    fn partitions(&self, topic: &str) -> Option<usize> {
        let consumer: BaseConsumer = self.program.client().create().expect("librdkafka starts");
        let metadata = consumer.fetch_metadata(None, PATIENCE).expect("the broker answers");
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        found.map(|topic| topic.partitions().len())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_and_their_limits_are_the_same_at_both_doors() {
    let ground = Ground::new("CREATE STREAM by_sql (a TEXT) WITH (partitions = 2);");
    let longest = "n".repeat(249);
    for topic in ["Orders.New-2", "orders.new-2", "_x", longest.as_str()] {
        ground.create_topic(topic, 3).await.expect(topic);
        assert_eq!(ground.send(topic, 2, "{\"a\":1}").await, 0, "{topic}");
        let question = format!("SELECT count(*) FROM \"{topic}\"");
        assert_eq!(ground.program.number(&question).await, 1, "{topic}");
        let again = ground.refusal(&format!("CREATE VIEW \"{topic}\" AS SELECT 1")).await;
        assert!(again.contains("exists already"), "{again}");
    }
    // Without quotes a name is lower case.
    let unknown = ground.refusal("SELECT count(*) FROM Orders").await;
    assert!(unknown.contains("orders"), "{unknown}");
    // What SQL made is a topic, in the writing that the quotes say.
    assert_eq!(ground.partitions("by_sql"), Some(2));
    ground
        .program
        .sql("CREATE STREAM \"By.Sql-2\" WITH (partitions = 5)")
        .await
        .expect("a stream");
    assert_eq!(ground.partitions("By.Sql-2"), Some(5));
    assert_eq!(
        ground.create_topic("by_sql", 1).await,
        Err(RDKafkaErrorCode::TopicAlreadyExists)
    );
    // One byte too long, other characters, the program's own, and what looks the same in Kafka's metrics.
    let too_long = "n".repeat(250);
    for name in [
        too_long.as_str(),
        "a b",
        "größe",
        "_headwater.mine",
        "Orders_New-2",
        "by.sql",
    ] {
        assert_eq!(
            ground.create_topic(name, 1).await,
            Err(RDKafkaErrorCode::InvalidTopic),
            "{name}"
        );
        ground.refusal(&format!("CREATE STREAM \"{name}\"")).await;
    }
    // What a view needs cannot be deleted through either door; without it, both see it go.
    // Nobody wrote to this one: a producer that did asks for it again, and so creates it anew.
    ground.create_topic("Orders.Old-1", 1).await.expect("a topic");
    let view = "CREATE VIEW counted AS SELECT count(*) AS n FROM \"Orders.Old-1\"";
    ground.program.sql(view).await.expect("a view");
    assert_eq!(
        ground.delete_topic("Orders.Old-1").await,
        Err(RDKafkaErrorCode::PolicyViolation)
    );
    ground.program.sql("DROP VIEW counted").await.expect("no view");
    assert_eq!(ground.delete_topic("Orders.Old-1").await, Ok(()));
    ground.refusal("SELECT count(*) FROM \"Orders.Old-1\"").await;
    ground.program.sql("DROP STREAM by_sql").await.expect("no stream");
    assert_eq!(ground.partitions("by_sql"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_added_by_a_kafka_client_are_folded_and_asked() {
    let ground = Ground::new(
        "CREATE STREAM s (a BIGINT);\n\
         CREATE MATERIALIZED VIEW total STORED AS document AS SELECT sum(a) AS total FROM s;",
    );
    let before = ground.partitions("s").expect("the topic");
    ground.send("s", 0, "{\"a\":1}").await;
    ground.wait_for("SELECT total FROM total", "1").await;
    let more = NewPartitions::new("s", before + 2);
    let added = ground.admin.create_partitions([&more], &AdminOptions::new()).await;
    assert_eq!(added.expect("the broker answers"), [Ok("s".to_owned())]);
    assert_eq!(ground.partitions("s"), Some(before + 2));
    until("the producer hears of the new partitions", async || {
        match ground.try_to_send("s", before as i32 + 1, "{\"a\":10}").await {
            Ok(_) => true,
            Err(KafkaError::MessageProduction(RDKafkaErrorCode::UnknownPartition)) => false,
            Err(error) => panic!("{error}"),
        }
    })
    .await;
    ground.wait_for("SELECT total FROM total", "11").await;
    assert_eq!(ground.program.number("SELECT sum(a) FROM s").await, 11);
    // SQL writes into all of them.
    for value in 0..40 {
        let insert = format!("INSERT INTO s (a) VALUES ({})", 100 * value);
        ground.program.sql(&insert).await.expect("it is appended");
    }
    let used = format!("SELECT count(DISTINCT _partition) FROM s WHERE _partition >= {before}");
    assert_eq!(ground.program.number(&used).await, 2);
    let (status, streams) = ground.program.request("GET", "/streams", &[], b"");
    let partitions = format!("\"partitions\":{}", before + 2);
    assert!(status == 200 && streams.contains(&partitions), "{status} {streams}");
    // Fewer, or as many, are refused.
    let added = ground.admin.create_partitions([&more], &AdminOptions::new()).await;
    let refused = Err(("s".to_owned(), RDKafkaErrorCode::InvalidPartitions));
    assert_eq!(added.expect("the broker answers"), [refused]);
}

/// Sends records as they are, in a Produce request of version 3; the error code.
fn produce(program: &Program, topic: &str, records: &[u8]) -> i16 {
    let mut body: Vec<u8> = vec![0, 0, 0, 3, 0, 0, 0, 1, 0, 1, b'c'];
    body.extend((-1_i16).to_be_bytes());
    body.extend((-1_i16).to_be_bytes());
    body.extend(1_000_i32.to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    body.extend((topic.len() as i16).to_be_bytes());
    body.extend(topic.as_bytes());
    body.extend(1_i32.to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    body.extend((records.len() as i32).to_be_bytes());
    body.extend(records);
    let mut socket = TcpStream::connect(program.kafka).expect("the Kafka door is open");
    socket
        .write_all(&(body.len() as i32).to_be_bytes())
        .expect("it is sent");
    socket.write_all(&body).expect("it is sent");
    let mut length = [0; 4];
    socket.read_exact(&mut length).expect("an answer");
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    socket.read_exact(&mut answer).expect("a whole answer");
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    i16::from_be_bytes([answer[at], answer[at + 1]])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_cannot_be_opened_stops_nobody() {
    let ground = Ground::new(
        "CREATE STREAM s (a BIGINT) WITH (partitions = 1);\n\
         CREATE MATERIALIZED VIEW total STORED AS document AS SELECT sum(a) AS total, count(*) AS n FROM s;",
    );
    let event = Event {
        value: Some(b"{\"a\":1}".as_slice().into()),
        timestamp_ms: 1_000,
        ..Event::default()
    };
    let good = Batch::encode(&vec![event; 3], Compression::None, None).bytes().to_vec();
    // Its CRC and counts are right; it says that it is compressed, and is not.
    let mut bad = good.clone();
    bad[22] = 4;
    let crc = crc32c::crc32c(&bad[21..]);
    bad[17..21].copy_from_slice(&crc.to_be_bytes());
    for records in [&good, &bad, &good] {
        assert_eq!(produce(&ground.program, "s", records), 0);
    }
    ground.wait_for("SELECT total FROM total", "6").await;
    ground.wait_for("SELECT count(*) FROM _headwater.parked", "1").await;
    let parked = ground
        .program
        .sql("SELECT \"offset\", reason FROM _headwater.parked")
        .await;
    let parked = parked.expect("it is answered").remove(0);
    assert_eq!(parked[0].as_deref(), Some("3"));
    assert!(
        parked[1]
            .as_deref()
            .is_some_and(|why| why.contains("offsets 3 to 5 cannot be read")),
        "{parked:?}"
    );
    assert_eq!(ground.program.number("SELECT sum(a) FROM s").await, 6);
    // HTTP gives what stands before it, names it, and goes on behind it.
    let (status, page) = ground.program.request("GET", "/streams/s/events?from=s/0@0", &[], b"");
    assert_eq!((status, page.matches("\"offset\"").count()), (200, 3), "{page}");
    let (status, problem) = ground.program.request("GET", "/streams/s/events?from=s/0@3", &[], b"");
    assert!(
        status == 500 && problem.contains("Read on from offset 6"),
        "{status} {problem}"
    );
    let (status, page) = ground.program.request("GET", "/streams/s/events?from=s/0@6", &[], b"");
    assert_eq!((status, page.matches("\"offset\"").count()), (200, 3), "{page}");
    // A Kafka client gets it as it was sent, by time as well.
    let consumer: BaseConsumer = ground.program.client().create().expect("librdkafka starts");
    let ends = consumer.fetch_watermarks("s", 0, PATIENCE).expect("the broker answers");
    assert_eq!(ends, (0, 9));
}
