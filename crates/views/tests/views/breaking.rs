//! Functions that panic over a value, as one of the query engine's will some day: the event is parked, and everything else goes on.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, ColumnarValue, Volatility, create_udaf, create_udf};
use datafusion::prelude::SessionContext;
use headwater_catalog::{ColumnType, PARKED_STREAM};
use headwater_views::decode::StreamDecoder;

use crate::ground::{EAGER, Ground, LAZY, printed};

const COLUMNS: [(&str, ColumnType, bool); 2] = [("k", ColumnType::Text, false), ("n", ColumnType::BigInt, true)];

/// What the functions panic over.
const UNLUCKY: i64 = 13;

/// `breaking(n)` gives n, and `bit_xor(n)`, in the place of the engine's own, the sum of all n: neither of them takes 13.
pub fn register(context: &SessionContext) {
    let same = |arguments: &[ColumnarValue]| {
        if let ColumnarValue::Array(values) = &arguments[0] {
            lucky(values);
        }
        Ok(arguments[0].clone())
    };
    let number = DataType::Int64;
    context.register_udf(create_udf(
        "breaking",
        vec![number.clone()],
        number.clone(),
        Volatility::Immutable,
        Arc::new(same),
    ));
    context.register_udaf(create_udaf(
        "bit_xor",
        vec![number.clone()],
        Arc::new(number.clone()),
        Volatility::Immutable,
        Arc::new(|_| Ok(Box::new(Sum(0)))),
        Arc::new(vec![number]),
    ));
}

fn lucky(values: &ArrayRef) {
    let values = values.as_primitive::<Int64Type>();
    assert!(
        values.iter().flatten().all(|value| value != UNLUCKY),
        "13 is not for this one"
    );
}

#[derive(Debug)]
struct Sum(i64);

impl Accumulator for Sum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in values[0].as_primitive::<Int64Type>().iter().flatten() {
            // What came before it is added already: the state is half changed.
            assert!(value != UNLUCKY, "13 is not for this one");
            self.0 += value;
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0 += states[0].as_primitive::<Int64Type>().iter().flatten().sum::<i64>();
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::from(self.0))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::from(self.0)])
    }

    fn size(&self) -> usize {
        size_of::<Sum>()
    }
}

/// What is parked: where it stands, and why.
fn parked(ground: &Ground) -> Vec<String> {
    let decoder = StreamDecoder::new(&ground.catalog.stream(PARKED_STREAM).expect("ours"));
    let batches = ground.log.read(PARKED_STREAM, 0, 0, usize::MAX).expect("readable");
    printed(&[decoder.decode(0, &batches, 0, u64::MAX, Some(&[0, 1, 2, 5])).rows])
}

/// Folds events of which some are unlucky into a view, stopped and started again: its rows are those of the others, each unlucky one is parked once.
fn check(query: &str, in_batch: &str) {
    let ground = Ground::new(Some(&COLUMNS), 2);
    ground.define("v");
    let mut expected: Vec<String> = Vec::new();
    let mut upto = [0; 2];
    let mut append = |partition: u32, numbers: &[i64]| {
        let events = numbers.iter().map(|n| format!(r#"{{"k":"k{}","n":{n}}}"#, n % 7));
        let events: Vec<String> = events.collect();
        ground.append(partition, &events.iter().map(String::as_str).collect::<Vec<&str>>());
        let first: usize = upto[partition as usize];
        upto[partition as usize] += numbers.len();
        let unlucky = numbers.iter().enumerate().filter(|(_, n)| **n == UNLUCKY);
        expected.extend(unlucky.map(|(place, _)| {
            format!(
                "s | {partition} | {} | the view 'v' cannot take it: the program broke off over it, which is a fault of the program: 13 is not for this one",
                first + place
            )
        }));
    };
    // Many at once, for several threads; then few.
    append(0, &(0..20_000).collect::<Vec<i64>>());
    append(1, &[13, 1, 2, 13, 13]);
    let options = [LAZY, EAGER, LAZY];
    let later: [(u32, &[i64]); 3] = [(0, &[]), (0, &[5, 13, 6]), (1, &[13])];
    for (options, (partition, numbers)) in options.iter().zip(later) {
        if !numbers.is_empty() {
            append(partition, numbers);
        }
        let views = ground.views(options);
        let view = views.start(ground.spec("v", query)).expect("it starts");
        assert_eq!(ground.rows(&view), ground.in_batch(in_batch), "{query}");
        // One that comes while it runs, among others.
        append(1, &[4, 13, 8]);
        assert_eq!(ground.rows(&view), ground.in_batch(in_batch), "{query}");
        assert_eq!(view.status().stopped, None);
    }
    expected.sort();
    assert_eq!(parked(&ground), expected, "{query}");
}

#[test]
fn an_event_over_which_a_function_panics_is_parked() {
    check(
        "SELECT k, sum(breaking(n)) AS total, count(*) AS events FROM s GROUP BY k",
        "SELECT k, sum(n) AS total, count(*) AS events FROM s WHERE n <> 13 GROUP BY k",
    );
}

#[test]
fn an_event_over_which_an_aggregate_panics_is_parked_and_the_others_are_counted() {
    check(
        "SELECT k, bit_xor(n) AS total, count(*) AS events FROM s GROUP BY k",
        "SELECT k, sum(n) AS total, count(*) AS events FROM s WHERE n <> 13 GROUP BY k",
    );
}

#[test]
fn a_row_over_which_a_function_panics_is_told_to_who_asks_and_stops_nobody() {
    let ground = Ground::new(Some(&COLUMNS), 1);
    ground.define("v");
    let views = ground.views(&LAZY);
    let query = "SELECT k, breaking(sum(n)) AS total FROM s GROUP BY k";
    let view = views.start(ground.spec("v", query)).expect("it starts");
    ground.append(0, &[r#"{"k":"a","n":13}"#, r#"{"k":"b","n":2}"#]);
    ground.catch_up(&view);
    let asked = view.read(&headwater_views::Selection::All).map(drop);
    let error = asked.expect_err("a row that cannot be worked out").to_string();
    assert_eq!(
        error,
        "the row (a) of the view 'v' cannot be worked out: the program broke off over it, which is a fault of the program: 13 is not for this one"
    );
    ground.append(0, &[r#"{"k":"a","n":-3}"#]);
    assert_eq!(ground.rows(&view), ["a | 10", "b | 2"]);
}
