//! The views of the oracle: each with the shapes that it may have, and with what its rows are in batch.

use headwater_catalog::{SearchField, SearchKind, Shape};

/// How a view is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Document,
    Memory,
    Columnar,
    /// The edges' source and destination.
    Graph(&'static str, &'static str),
    /// The fields that are searched.
    Search(&'static [(&'static str, Field)]),
}

/// How a field is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Keyword,
    Number,
    Date,
}

/// A view.
pub struct Asked {
    pub kinds: &'static [Kind],
    pub key: &'static [&'static str],
    pub query: &'static str,
    /// What it is in batch, in plain SQL; empty: its own query.
    pub batch: &'static str,
    /// Searches, and the filters that say the same.
    pub finds: &'static [(&'static str, &'static str)],
}

impl Kind {
    pub fn shape(self) -> Shape {
        match self {
            Kind::Document => Shape::Document,
            Kind::Memory => Shape::Memory,
            Kind::Columnar => Shape::Columnar {
                partitioned_by: Vec::new(),
                location: None,
            },
            Kind::Graph(source, destination) => Shape::Graph {
                source: source.to_owned(),
                destination: destination.to_owned(),
            },
            Kind::Search(fields) => Shape::Search(fields.iter().map(searched).collect()),
        }
    }
}

fn searched((name, field): &(&str, Field)) -> SearchField {
    SearchField {
        name: (*name).to_owned(),
        kind: match field {
            Field::Keyword => SearchKind::Keyword,
            Field::Number => SearchKind::Number,
            Field::Date => SearchKind::Date,
        },
    }
}

impl Asked {
    pub fn batch(&self) -> &'static str {
        match self.batch {
            "" => self.query,
            batch => batch,
        }
    }

    /// Whether rows that are stored may not be shown.
    pub fn hides_rows(&self) -> bool {
        self.query.contains("HAVING")
    }
}

/// Kept in every way that asks nothing of the rows.
const ANY: &[Kind] = &[Kind::Document, Kind::Memory, Kind::Columnar];
/// Without a key there is nothing to be merged by.
const ROWS: &[Kind] = &[Kind::Document, Kind::Memory];

const fn groups(query: &'static str) -> Asked {
    Asked {
        kinds: ANY,
        key: &[],
        query,
        batch: "",
        finds: &[],
    }
}

const fn one_row(query: &'static str) -> Asked {
    Asked {
        kinds: ROWS,
        ..groups(query)
    }
}

const fn in_batch(query: &'static str, batch: &'static str) -> Asked {
    Asked { batch, ..groups(query) }
}

const fn newest(key: &'static [&'static str], query: &'static str, batch: &'static str) -> Asked {
    Asked {
        key,
        ..in_batch(query, batch)
    }
}

/// The newest rows of `a`, its tombstones among them.
macro_rules! newest_of_a {
    ($columns:literal, $key:literal, $where:literal) => {
        concat!(
            "SELECT ", $columns, " FROM (SELECT *, row_number() OVER (PARTITION BY ", $key,
            " ORDER BY _appended_at DESC, _partition DESC, _offset DESC) AS place FROM (",
            "SELECT id, name, n, amount, x, ok, day, at, local, false AS gone, _appended_at, _partition, _offset FROM a WHERE ", $where,
            " UNION ALL SELECT id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true, _appended_at, _partition, _offset FROM tombstones_a))",
            " WHERE place = 1 AND NOT gone"
        )
    };
}

/// The newest rows of a stream with the key `who`, its tombstones among them.
macro_rules! newest_of_who {
    ($stream:literal) => {
        concat!(
            "SELECT who, n, at FROM (SELECT *, row_number() OVER (PARTITION BY who ORDER BY _appended_at DESC, _partition DESC, _offset DESC) AS place FROM (",
            "SELECT who, n, at, false AS gone, _appended_at, _partition, _offset FROM ", $stream,
            " UNION ALL SELECT who, NULL, NULL, true, _appended_at, _partition, _offset FROM tombstones_", $stream,
            ")) WHERE place = 1 AND NOT gone"
        )
    };
}

/// The newest rows of what says nothing of tombstones.
macro_rules! newest_row {
    ($columns:literal, $key:literal, $from:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM (SELECT *, row_number() OVER (PARTITION BY ",
            $key,
            " ORDER BY _appended_at DESC, _partition DESC, _offset DESC) AS place FROM ",
            $from,
            ") WHERE place = 1"
        )
    };
}

const SUMS: &str =
    "SELECT id, max(name) AS name, sum(amount) AS total, count(*) AS entries, max(day) AS day FROM a GROUP BY id";

/// All of them. No sum of floating point, which depends on the order: `printed` forgives it, and cancellation does not.
pub const VIEWS: [Asked; 49] = [
    groups(
        "SELECT id, sum(CASE WHEN ok THEN amount ELSE -amount END) AS balance, count(*) AS entries, max(_timestamp) AS at FROM a GROUP BY id",
    ),
    one_row("SELECT count(*) FROM a"),
    one_row("SELECT count(n), count(*), sum(n % 1000), min(n), max(n), count(amount), avg(amount) FROM a"),
    one_row("SELECT sum(amount) AS total FROM a HAVING count(*) > 3"),
    one_row(
        "SELECT count(*) FILTER (WHERE name IS NULL) AS nobody, max(name), min(day) FROM a WHERE n > 0 OR name LIKE 'a%'",
    ),
    groups("SELECT name, count(*) AS entries, count(n), min(n), max(n) FROM a GROUP BY name"),
    groups("SELECT name, id, sum(amount) AS total FROM a GROUP BY id, name"),
    groups("SELECT ok, avg(amount), min(amount), max(amount) FROM a GROUP BY ok"),
    groups("SELECT id, min(at), max(at), min(day), max(day), min(local), max(local) FROM a GROUP BY id"),
    groups("SELECT day, min(name), max(name) FROM a GROUP BY day"),
    groups("SELECT local, count(*) AS entries FROM a GROUP BY local"),
    groups("SELECT amount, count(*) AS entries FROM a GROUP BY amount"),
    groups("SELECT x, count(*) AS entries, max(_offset) FROM a GROUP BY x"),
    groups(
        "SELECT ok, stddev(id % 10), var_pop(n % 10), bool_or(n > 5), bool_and(n > 0), bit_xor(n) FROM a GROUP BY ok",
    ),
    groups(
        "SELECT id, sum(amount) FILTER (WHERE ok) AS paid_in, count(*) FILTER (WHERE amount > 50) AS big FROM a GROUP BY id",
    ),
    groups("SELECT id, sum(amount) AS total FROM a GROUP BY id HAVING sum(amount) > 100"),
    groups(
        "SELECT date_trunc('day', at) AS d, upper(name) AS k, count(*) AS entries FROM a GROUP BY date_trunc('day', at), upper(name)",
    ),
    groups("SELECT n % 2 AS odd, count(*) AS entries FROM a GROUP BY n % 2"),
    groups("SELECT id FROM a GROUP BY id"),
    groups(
        "SELECT concat(name, '!') AS loud, sum(amount) * 2 AS twice FROM (SELECT name, amount FROM a WHERE amount > 0) AS t GROUP BY name",
    ),
    groups("SELECT _partition, max(_offset) + 1 AS next, min(_appended_at) AS first FROM a GROUP BY _partition"),
    groups("SELECT id, approx_distinct(n) AS about FROM a GROUP BY id"),
    groups("SELECT _key, count(*) AS entries, max(_principal) FROM a GROUP BY _key"),
    // Who divides by zero is parked, the event whole.
    in_batch(
        "SELECT id, count(*) AS entries, max(100 / n) AS most FROM a GROUP BY id",
        "SELECT id, count(*) AS entries, max(100 / n) AS most FROM a WHERE n IS NULL OR n <> 0 GROUP BY id",
    ),
    groups("SELECT who, count(*) AS entries, sum(n) AS total, max(at) AS newest FROM b GROUP BY who"),
    one_row("SELECT count(*), count(who), sum(n), max(at) FROM b"),
    groups("SELECT _key, count(*) AS entries, count(value), max(octet_length(value)) FROM f GROUP BY _key"),
    // Values whose schemas are registered.
    groups(
        "SELECT id, count(*) AS entries, sum(amount) AS total, max(name) AS name, max(at) AS newest FROM g GROUP BY id",
    ),
    groups("SELECT x, count(*) AS entries, min(n) AS least, max(at) AS newest FROM h GROUP BY x"),
    groups(
        "SELECT k, count(*) AS events, count(x) AS known FROM (SELECT name AS k, x FROM g UNION ALL SELECT who, x FROM h) AS every GROUP BY k",
    ),
    // Shapes that ask something of the rows.
    Asked {
        kinds: &[Kind::Search(&[
            ("name", Field::Keyword),
            ("total", Field::Number),
            ("entries", Field::Number),
            ("day", Field::Date),
        ])],
        finds: &[
            ("*", "true"),
            ("total:>0", "total > 0"),
            ("entries:[2 TO 4]", "entries BETWEEN 2 AND 4"),
            (
                "day:[2024-01-01 TO 2025-12-31]",
                "day BETWEEN DATE '2024-01-01' AND DATE '2025-12-31'",
            ),
            ("name:a", "name = 'a'"),
            ("name:日本", "name = '日本'"),
        ],
        ..groups(SUMS)
    },
    Asked {
        kinds: &[Kind::Search(&[("name", Field::Keyword), ("n", Field::Number)])],
        finds: &[("*", "true"), ("n:>3", "n > 3"), ("name:a", "name = 'a'")],
        ..newest(
            &["id"],
            "SELECT id, name, n FROM a",
            newest_of_a!("id, name, n", "id", "true"),
        )
    },
    Asked {
        kinds: &[Kind::Graph("id", "name"), Kind::Graph("name", "id")],
        ..groups("SELECT id, name, count(*) AS times FROM a GROUP BY id, name")
    },
    Asked {
        kinds: &[Kind::Graph("name", "day")],
        ..newest(
            &["ok", "day", "name"],
            "SELECT n, name, day, ok FROM a",
            newest_row!("n, name, day, ok", "ok, day, name", "a"),
        )
    },
    // A row for each event.
    Asked {
        kinds: &[Kind::Columnar],
        ..groups("SELECT id, name, n, at, _partition, _offset FROM a WHERE n IS NOT NULL")
    },
    Asked {
        kinds: &[Kind::Columnar],
        ..groups("SELECT id AS k, n FROM a UNION ALL SELECT n AS k, n FROM b")
    },
    // The newest row of each key.
    newest(
        &["id"],
        "SELECT id, name, n, x, 1.0 / x AS inverse FROM a",
        newest_of_a!("id, name, n, x, 1.0 / x AS inverse", "id", "true"),
    ),
    newest(
        &["id"],
        "SELECT upper(name) AS loud, n % 100 AS low, id, 1.0 / x AS inverse, at, local, day FROM a WHERE n > 3 OR x > 0",
        newest_of_a!(
            "upper(name) AS loud, n % 100 AS low, id, 1.0 / x AS inverse, at, local, day",
            "id",
            "n > 3 OR x > 0"
        ),
    ),
    newest(&["id"], "SELECT id FROM a", newest_of_a!("id", "id", "true")),
    // Tombstones say nothing of names.
    newest(
        &["name"],
        "SELECT name, id FROM a",
        newest_row!("name, id", "name", "a"),
    ),
    newest(&["who"], "SELECT who, n, at FROM b", newest_of_who!("b")),
    newest(&["who"], "SELECT who, n, at FROM h", newest_of_who!("h")),
    newest(
        &["id"],
        "SELECT id, name, amount, x, at FROM g",
        "SELECT id, name, amount, x, at FROM (SELECT *, row_number() OVER (PARTITION BY id ORDER BY _appended_at DESC, _partition DESC, _offset DESC) AS place \
         FROM (SELECT id, name, amount, x, at, false AS gone, _appended_at, _partition, _offset FROM g \
         UNION ALL SELECT id, NULL, NULL, NULL, NULL, true, _appended_at, _partition, _offset FROM tombstones_g)) WHERE place = 1 AND NOT gone",
    ),
    newest(
        &["_key"],
        "SELECT _key, value FROM f",
        "SELECT _key, value FROM (SELECT *, row_number() OVER (PARTITION BY _key ORDER BY _appended_at DESC, _partition DESC, _offset DESC) AS place \
         FROM f) WHERE place = 1 AND value IS NOT NULL",
    ),
    // Several streams.
    newest(
        &["k"],
        "SELECT name AS k, 'a' AS stream, n FROM a UNION ALL SELECT who, 'b', n FROM b WHERE n IS NOT NULL",
        "SELECT k, stream, n FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY _appended_at DESC, stream DESC, _partition DESC, _offset DESC) \
         AS place FROM (SELECT name AS k, 'a' AS stream, n, false AS gone, _appended_at, _partition, _offset FROM a \
         UNION ALL SELECT who, 'b', n, false, _appended_at, _partition, _offset FROM b WHERE n IS NOT NULL \
         UNION ALL SELECT who, 'b', NULL, true, _appended_at, _partition, _offset FROM tombstones_b)) WHERE place = 1 AND NOT gone",
    ),
    groups(
        "SELECT k, sum(n % 1000) AS total, count(*) AS events FROM (SELECT name AS k, n FROM a UNION ALL SELECT who, n FROM b UNION ALL SELECT name, 1 FROM a) \
         AS every GROUP BY k",
    ),
    one_row(
        "SELECT max(n) AS most, count(*) AS events FROM (SELECT n FROM b UNION ALL SELECT octet_length(value) FROM f) AS every HAVING count(*) > 2",
    ),
    // By the order of events.
    in_batch(
        "SELECT id, first_value(n) AS f, last_value(name) AS l, last_value(name) IGNORE NULLS AS known, last_value(n) FILTER (WHERE n > 3) AS big \
         FROM a GROUP BY id",
        "SELECT id, first_value(n ORDER BY _appended_at, _partition, _offset) AS f, last_value(name ORDER BY _appended_at, _partition, _offset) AS l, \
         last_value(name ORDER BY _appended_at, _partition, _offset) FILTER (WHERE name IS NOT NULL) AS known, \
         last_value(n ORDER BY _appended_at, _partition, _offset) FILTER (WHERE n > 3) AS big FROM a GROUP BY id",
    ),
    Asked {
        kinds: ROWS,
        ..in_batch(
            "SELECT last_value(n) AS l, count(*) AS events FROM a",
            "SELECT last_value(n ORDER BY _appended_at, _partition, _offset) AS l, count(*) AS events FROM a",
        )
    },
];
