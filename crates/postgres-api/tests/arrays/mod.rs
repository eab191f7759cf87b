//! Lists as a driver sees them: arrays of its own types, in rows and as parameters.

use tokio_postgres::types::Type;

use crate::door::Door;
use crate::{BANK, Raw, check};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_scalars_are_arrays() {
    let door = Door::open(|_| {}).await;
    let (client, _) = door.client().await;
    let definitions = "CREATE STREAM ratings (item TEXT NOT NULL, who TEXT, stars BIGINT, price DECIMAL(9,2), day DATE) KEY (item);
        CREATE MATERIALIZED VIEW rated STORED AS document AS
        SELECT item, array_agg(who) AS names, array_agg(stars) AS stars, array_agg(price) AS prices, array_agg(day) AS days,
               array_agg(named_struct('who', who, 'stars', stars)) AS entries FROM ratings GROUP BY item";
    check(&client, definitions, &["(0)", "(0)"]).await;
    let insert = "INSERT INTO ratings VALUES ('a', 'ann b', 5, 1.50, DATE '2025-11-01'), ('a', 'a\"b\\c', NULL, NULL, NULL), ('a', NULL, 3, 2.00, DATE '2025-11-03')";
    check(&client, insert, &["(3)"]).await;
    check(
        &client,
        "SELECT names, stars, prices, days, entries FROM rated",
        &[
            r#"{"ann b","a\"b\\c",NULL}|{5,NULL,3}|{1.50,NULL,2.00}|{2025-11-01,NULL,2025-11-03}|[{"who":"ann b","stars":5},{"who":"a\"b\\c","stars":null},{"who":null,"stars":3}]"#,
            "(1)",
        ],
    )
    .await;
    check(
        &client,
        "SELECT stars[1:2], names[9:9] FROM rated",
        &["{5,NULL}|{}", "(1)"],
    )
    .await;

    let statement = client
        .prepare("SELECT names, stars, prices FROM rated")
        .await
        .expect("it is prepared");
    let types: Vec<&str> = statement.columns().iter().map(|column| column.type_().name()).collect();
    assert_eq!(types, ["_text", "_int8", "_numeric"]);
    let row = client.query_one(&statement, &[]).await.expect("one row");
    let names = [Some("ann b"), Some("a\"b\\c"), None];
    assert_eq!(row.get::<_, Vec<Option<&str>>>("names"), names);
    assert_eq!(row.get::<_, Vec<Option<i64>>>("stars"), [Some(5), None, Some(3)]);
    let prices = row.get::<_, Vec<Option<Raw>>>("prices");
    assert!(
        prices[0].is_some() && prices[1].is_none() && prices[2].is_some(),
        "{prices:?}"
    );

    let described = "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'rated'::regclass AND attnum > 1 ORDER BY attnum";
    check(
        &client,
        described,
        &[
            "names|text[]",
            "stars|bigint[]",
            "prices|numeric(9,2)[]",
            "days|date[]",
            "entries|json",
            "(5)",
        ],
    )
    .await;
    check(
        &client,
        "SELECT t.typname, e.typname FROM pg_type t JOIN pg_type e ON e.oid = t.typelem WHERE t.oid = 1016 AND e.typarray = t.oid",
        &["_int8|int8", "(1)"],
    )
    .await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arrays_are_parameters() {
    let door = Door::open(|_| {}).await;
    let (client, _) = door.client().await;
    check(&client, BANK, &["(0)", "(0)", "(0)"]).await;
    let insert = "INSERT INTO transactions VALUES ('ann', 'deposit', 5, NULL, NULL), ('bob', 'deposit', 7, NULL, NULL), ('eve', 'deposit', 9, NULL, NULL)";
    check(&client, insert, &["(3)"]).await;
    let asked = "SELECT account FROM transactions WHERE account = ANY($1) ORDER BY account";
    let statement = client
        .prepare_typed(asked, &[Type::TEXT_ARRAY])
        .await
        .expect("it is prepared");
    for (accounts, expected) in [
        (vec![Some("bob"), None, Some("ann")], vec!["ann", "bob"]),
        (vec![Some("nobody")], Vec::new()),
        (Vec::new(), Vec::new()),
    ] {
        let rows = client.query(&statement, &[&accounts]).await.expect("it is answered");
        let found: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(found, expected, "{accounts:?}");
    }
    door.close().await;
}
