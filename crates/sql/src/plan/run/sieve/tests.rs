//! Answers with sieves against those without, over keys in order and mixed, some of them NULL; what sieves let through.

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::catalog::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::collect;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::*;

const BATCH_ROWS: usize = 16;
const ROWS: i64 = 4_000;

/// A session with sieves, or without.
fn session(has_sieves: bool) -> SessionContext {
    let running = FilterPushdown::new_post_optimization();
    let mut rules = PhysicalOptimizer::new().rules;
    for rule in rules.iter_mut().filter(|rule| rule.name() == running.name()) {
        if has_sieves {
            *rule = Arc::new(Sieves(Arc::clone(rule)));
        }
    }
    let config = SessionConfig::new()
        .with_batch_size(BATCH_ROWS)
        .with_target_partitions(2);
    let state = SessionStateBuilder::new()
        .with_default_features()
        .with_config(config)
        .with_physical_optimizer_rules(rules)
        .build();
    SessionContext::new_with_state(state)
}

/// `sales (item, shop, price)` in two parts, the items ascending in one and mixed in the other, some NULL; `items (name, kind)`; `shops (shop_name, town)`.
fn fill(context: &SessionContext) {
    let batches = |columns: Vec<(&str, ArrayRef)>| {
        let whole =
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, values)| (name, values, true)));
        let whole = whole.expect("columns");
        let parts = (0..whole.num_rows()).step_by(BATCH_ROWS);
        let part = |from: usize| whole.slice(from, BATCH_ROWS.min(whole.num_rows() - from));
        parts.map(part).collect::<Vec<RecordBatch>>()
    };
    let sales = |item: &dyn Fn(i64) -> Option<i64>| {
        batches(vec![
            ("item", Arc::new(Int64Array::from_iter((0..ROWS).map(item)))),
            (
                "shop",
                Arc::new(Int64Array::from_iter_values((0..ROWS).map(|row| row * 31 % 17))),
            ),
            (
                "price",
                Arc::new(Int64Array::from_iter_values((0..ROWS).map(|row| row * 7 % 101))),
            ),
        ])
    };
    let ascending = sales(&|row| Some(row / 20));
    let mixed = sales(&|row| (row % 13 != 0).then_some(row * 7_919 % 211));
    let name = Int64Array::from_iter((0..210).map(|item| (item % 50 != 49).then_some(item)));
    let kind = StringArray::from_iter_values((0..210).map(|item| format!("kind {}", item % 40)));
    let items = batches(vec![("name", Arc::new(name)), ("kind", Arc::new(kind))]);
    let shop = Int64Array::from_iter_values(0..17);
    let town = StringArray::from_iter_values((0..17).map(|shop| format!("town {}", shop % 5)));
    let shops = batches(vec![("shop_name", Arc::new(shop)), ("town", Arc::new(town))]);
    for (name, parts) in [
        ("sales", vec![ascending, mixed]),
        ("items", vec![items]),
        ("shops", vec![shops]),
    ] {
        let table = MemTable::try_new(parts[0][0].schema(), parts).expect("a table");
        context.register_table(name, Arc::new(table)).expect("a new name");
    }
}

/// The rows of the answer as text, and how many rows went into sieves and came out.
async fn ask(context: &SessionContext, query: &str) -> (String, usize) {
    let plan = context
        .sql(query)
        .await
        .expect(query)
        .create_physical_plan()
        .await
        .expect(query);
    let rows = collect(Arc::clone(&plan), context.task_ctx()).await.expect(query);
    (
        pretty_format_batches(&rows).expect("a table").to_string(),
        passed(&plan),
    )
}

fn passed(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let own = plan
        .downcast_ref::<Sieve>()
        .and_then(|sieve| sieve.metrics()?.output_rows());
    own.unwrap_or_default() + plan.children().into_iter().map(passed).sum::<usize>()
}

#[tokio::test]
async fn answers_are_the_same_with_sieves() {
    let (with, without) = (session(true), session(false));
    fill(&with);
    fill(&without);
    let few = "(SELECT name, kind FROM items WHERE kind = 'kind 7')";
    let sums = "(SELECT item, sum(price) AS total, count(*) AS n FROM sales GROUP BY item)";
    let mut taken = 0;
    for query in [
        format!("SELECT kind, total, n FROM {few} AS f JOIN {sums} AS t ON f.name = t.item ORDER BY 1, 2, 3"),
        format!("SELECT kind, shop, price FROM {few} AS f JOIN sales ON name = item ORDER BY 1, 2, 3"),
        format!("SELECT kind, shop, price FROM {few} AS f LEFT JOIN sales ON name = item ORDER BY 1, 2, 3"),
        format!("SELECT kind, shop, price FROM {few} AS f RIGHT JOIN sales ON name = item ORDER BY 1, 2, 3"),
        format!("SELECT kind, shop, price FROM {few} AS f FULL JOIN sales ON name = item ORDER BY 1, 2, 3"),
        "SELECT item, price FROM sales WHERE item IN (SELECT name FROM items WHERE kind = 'kind 7') ORDER BY 1, 2".to_owned(),
        "SELECT item, price FROM sales WHERE item NOT IN (SELECT name FROM items WHERE name < 100) ORDER BY 1, 2".to_owned(),
        "SELECT name FROM items WHERE NOT EXISTS (SELECT 1 FROM sales WHERE item = name AND price > 97) ORDER BY 1".to_owned(),
        "SELECT town, kind, sum(price) FROM sales, items, shops WHERE item = name AND shop = shop_name AND town = 'town 3' \
         AND kind IN ('kind 1', 'kind 2') GROUP BY town, kind ORDER BY 1, 2"
            .to_owned(),
        "SELECT kind, price FROM items JOIN sales ON name = item AND price > 50 WHERE name < 3 ORDER BY price, kind LIMIT 7".to_owned(),
        format!("SELECT count(*) FROM sales WHERE price < (SELECT avg(price) FROM sales AS s WHERE s.item = sales.item) AND item IN (SELECT name FROM {few})"),
    ] {
        let (expected, _) = ask(&without, &query).await;
        let (came, passed) = ask(&with, &query).await;
        assert_eq!(came, expected, "{query}");
        taken += usize::from(passed > 0);
    }
    assert!(taken > 5, "few questions had a sieve: {taken}");
}

#[tokio::test]
async fn what_no_join_finds_is_not_aggregated() {
    let context = session(true);
    fill(&context);
    let query = "SELECT kind, total FROM (SELECT item, sum(price) AS total FROM sales GROUP BY item) AS t \
        JOIN items ON name = item WHERE kind = 'kind 7'";
    let (_, passed) = ask(&context, query).await;
    let kept = "SELECT 1 FROM sales WHERE item IN (SELECT name FROM items WHERE kind = 'kind 7')";
    let kept = context.sql(kept).await.expect(kept).count().await.expect(kept);
    // Where a whole batch is of one item, the filter is left out of the next.
    let most = kept + 10 * BATCH_ROWS;
    assert!((kept..most).contains(&passed), "{passed} for {kept}");
}

#[tokio::test]
async fn a_filter_that_lets_most_through_is_left_out_for_a_while() {
    let context = session(true);
    fill(&context);
    // The first part ascends: the keys of its beginning are all found, those of its end are not.
    let query = "SELECT count(*) FROM items JOIN sales ON name = item WHERE name < 100";
    let (_, passed) = ask(&context, query).await;
    let all = 2 * ROWS as usize;
    assert!(passed < all * 3 / 4, "{passed} of {all}");
}

#[tokio::test]
async fn a_plan_without_joins_has_no_sieve_and_none_is_left_without_a_filter() {
    let context = session(true);
    fill(&context);
    for query in [
        "SELECT item, sum(price) FROM sales GROUP BY item ORDER BY 2 DESC LIMIT 3",
        "SELECT kind, price FROM items FULL JOIN sales ON name = item",
        "WITH RECURSIVE up AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM up JOIN items ON n = name WHERE n < 5) SELECT * FROM up",
    ] {
        let plan = context
            .sql(query)
            .await
            .expect(query)
            .create_physical_plan()
            .await
            .expect(query);
        let shown = datafusion::physical_plan::displayable(plan.as_ref())
            .indent(false)
            .to_string();
        assert!(!shown.contains("Sieve"), "{shown}");
    }
}
