//! Which rows of a view an append changes: the same from the rows that are appended as from the events that they become.

use headwater_sql::encode::pack;
use headwater_sql::parse::parse;
use headwater_sql::syntax::Statement;

use crate::scratch::{Scratch, session};

const SHOP: &str = "
CREATE STREAM orders (
  customer TEXT, shop TEXT DEFAULT 'main', amount DECIMAL(9,2), number BIGINT, rate DOUBLE PRECISION, paid BOOLEAN, day DATE, at TIMESTAMPTZ
) KEY (customer) WITH (partitions = 2);
CREATE MATERIALIZED VIEW by_customer STORED AS document AS SELECT customer, count(*) AS n FROM orders GROUP BY customer;
CREATE MATERIALIZED VIEW by_shop STORED AS document AS SELECT shop, sum(amount) AS n FROM orders GROUP BY shop;
CREATE MATERIALIZED VIEW by_amount STORED AS document AS SELECT amount, count(*) AS n FROM orders GROUP BY amount;
CREATE MATERIALIZED VIEW by_rate STORED AS document AS SELECT rate, count(*) AS n FROM orders GROUP BY rate;
CREATE MATERIALIZED VIEW by_day STORED AS document AS SELECT day, paid, count(*) AS n FROM orders GROUP BY day, paid;
CREATE MATERIALIZED VIEW by_moment STORED AS document AS SELECT at, upper(shop) AS shop, count(*) AS n FROM orders GROUP BY at, upper(shop);
CREATE MATERIALIZED VIEW large STORED AS document AS SELECT shop, count(*) AS n FROM orders WHERE amount > 1 GROUP BY shop;
CREATE MATERIALIZED VIEW by_ratio STORED AS document AS SELECT 10 / number AS ratio, count(*) AS n FROM orders GROUP BY 10 / number;
CREATE MATERIALIZED VIEW whole STORED AS document AS SELECT count(*) AS n FROM orders;
CREATE MATERIALIZED VIEW newest STORED AS document KEY (customer) AS SELECT customer, amount FROM orders;
CREATE MATERIALIZED VIEW by_key STORED AS document AS SELECT _key, count(*) AS n FROM orders GROUP BY _key;
";

const ROWS: &str = "VALUES
('ann', 'main', 1.10, 7, 0.1, true, DATE '2025-11-23', TIMESTAMP '2025-11-23 10:00:00.123456'),
('b\"b\n', NULL, -0.05, 0, -0.0, false, DATE '1969-12-31', TIMESTAMP '1960-01-01 00:00:00'),
(NULL, '', NULL, NULL, NULL, NULL, NULL, NULL),
('é', 'x', 9999999.99, 9223372036854775807, 12345.678, NULL, DATE '2025-11-23', TIMESTAMP '2025-11-23 10:00:00')";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_and_their_events_change_the_same_rows_of_views() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = Scratch::open(folder.path());
    scratch.define(SHOP).await;
    let parsed = parse(ROWS, "").expect("the rows parse");
    let Some(Statement::Query(question)) = parsed.first().map(|parsed| &parsed.statement) else {
        panic!("VALUES are a question");
    };
    let asked = scratch.engine.ask(&session(), question, &[]).await;
    let (_, batches, _) = asked.expect("the rows come");
    let all = batches.first().expect("a batch");
    let definition = scratch.engine.catalog().stream("orders").expect("the stream is there");
    let encoder = scratch.engine.encoder(&definition).expect("it may be written to");
    let (mut told, mut untold) = (0, Vec::new());
    // One by one, and together.
    let spans = (0..all.num_rows()).map(|row| (row, 1)).chain([(0, all.num_rows())]);
    for (first, count) in spans {
        let arrays: Vec<_> = all.slice(first, count).columns().iter().cloned().map(Some).collect();
        let rows = encoder.assign(count, &arrays).expect("the rows fit");
        let events = encoder.encode(&rows, 0).expect("they can be written");
        let packed = pack("orders", 1, events, 0);
        let part = packed.parts.first().expect("a part");
        for view in scratch.engine.views().all() {
            let name = &view.definition().name;
            let of_events = view.touched("orders", part.partition, &part.batch);
            match view.touched_by_rows("orders", &rows) {
                Some(of_rows) => {
                    assert_eq!(of_rows, of_events.expect("the events are looked at"), "{name} {first}");
                    told += 1;
                }
                None => untold.push(name.clone()),
            }
        }
    }
    untold.sort();
    untold.dedup();
    // Where the log's own columns are read (a KEY's rows have their place in the order of events), and where the query fails, the events say it.
    assert_eq!(untold, ["by_key", "by_ratio", "newest"]);
    assert!(told >= 8 * 5, "{told}");
    scratch.close();
}
