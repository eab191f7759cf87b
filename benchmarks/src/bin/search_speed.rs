//! How long a search takes: p50 and p99 of queries over the 44,446 products, through SQL and beneath it, and what indexing them took.
//!
//! ```text
//! cargo run --release -p headwater-benchmarks --bin search_speed [products/fashion.csv.gz] [ROUNDS]
//! ```

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use headwater_benchmarks::Failure;
use headwater_records::Position;
use headwater_sql::parse::parse;
use headwater_sql::{Engine, EngineOptions, Outcome, Session};
use headwater_views::ViewOptions;
use headwater_views::search::{Connective, Query, SearchImage};

const APPLICATION: &str = "\
    CREATE STREAM products (item TEXT NOT NULL, gender TEXT, category TEXT, article TEXT, colour TEXT, year BIGINT, title TEXT) KEY (item);
    CREATE MATERIALIZED VIEW found STORED AS search (title TEXT 'english', gender KEYWORD, category KEYWORD, article KEYWORD, colour KEYWORD, year NUMBER) AS
    SELECT item, max(title) AS title, max(gender) AS gender, max(category) AS category, max(article) AS article, max(colour) AS colour, max(year) AS year
    FROM products GROUP BY item";

const QUERIES: [&str; 12] = [
    "shirt",
    "navy blue shirt",
    "\"running shoes\"",
    "women watch",
    "colour:Black AND (shoes OR sandals)",
    "wal*",
    "adidsa~1 shoes",
    "gender:Men year:[2011 TO 2012] casual",
    "red -dress",
    "nike",
    "handbag colour:\"Navy Blue\"",
    "sports shoe year:>=2015",
];

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments
        .next()
        .unwrap_or("../shared/data/products/fashion.csv.gz".to_owned());
    let rounds: usize = arguments.next().map_or(Ok(100), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(measure(Path::new(&file), rounds))
}

async fn measure(file: &Path, rounds: usize) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    let dir = tempfile::tempdir()?;
    let options = ViewOptions {
        flush_bytes: 64 << 20,
        snapshot_events: 1_000,
        ..ViewOptions::default()
    };
    let asked = EngineOptions {
        memory_bytes_max: 256 << 20,
        partitions_default: 1,
        graph_edges_max: 1_000_000,
        wait_max: Duration::from_secs(600),
        ..EngineOptions::default()
    };
    let engine = headwater_benchmarks::open(dir.path(), options, asked)?;
    let views = engine.views().clone();
    let mut session = Session {
        principal: "bench".to_owned(),
        after: None,
        timeout: Some(Duration::from_secs(600)),
        ..Session::default()
    };
    for statement in parse(APPLICATION, "")? {
        engine.execute(&session, &statement, &[]).await?;
    }
    let inserts = inserts(file)?;
    let began = Instant::now();
    let mut written = Position::new();
    for insert in &inserts {
        for statement in parse(insert, "")? {
            if let Outcome::Done {
                position: Some(position),
                ..
            } = engine.execute(&session, &statement, &[]).await?
            {
                written.advance_all(&position);
            }
        }
    }
    let appended = began.elapsed();
    session.after = Some(written);
    let asked = |query: &str| {
        format!(
            "SELECT item, score FROM search('found', '{}') LIMIT 10",
            query.replace('\'', "''")
        )
    };
    rows(&engine, &session, &asked("*")).await?;
    writeln!(
        out,
        "appended in {appended:.2?}, searchable {:.2?} after the last append",
        began.elapsed() - appended
    )?;

    session.after = None;
    let mut through_sql: Vec<Duration> = Vec::new();
    let mut found = 0;
    for _ in 0..rounds {
        for query in QUERIES {
            let began = Instant::now();
            found += rows(&engine, &session, &asked(query)).await?;
            through_sql.push(began.elapsed());
        }
    }
    writeln!(
        out,
        "through SQL  {}, {found} rows in {} queries",
        percentiles(through_sql),
        rounds * QUERIES.len()
    )?;

    let view = views.get("found").ok_or("the view runs")?;
    let fields = view.image::<SearchImage>().ok_or("it has an index")?.fields();
    let mut beneath: Vec<Duration> = Vec::new();
    for _ in 0..rounds {
        for query in QUERIES {
            let began = Instant::now();
            let query = Query::parse(query, fields, Connective::And)?;
            let moment = view.searchable(None)?;
            moment.rows(&view, &moment.find(&query, Some(10))?)?;
            beneath.push(began.elapsed());
        }
    }
    writeln!(out, "beneath it   {}", percentiles(beneath))?;
    views.close();
    Ok(())
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    format!("p50 {:.2?}, p99 {:.2?}", at(0.5), at(0.99))
}

async fn rows(engine: &Engine, session: &Session, statement: &str) -> Result<usize, Failure> {
    let question = parse(statement, "")?.pop().ok_or("a statement")?;
    headwater_benchmarks::rows(engine, session, &question, &[]).await
}

/// The products as statements, a thousand each.
fn inserts(file: &Path) -> Result<Vec<String>, Failure> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(file)?).read_to_string(&mut text)?;
    let lines: Vec<&str> = text.lines().skip(1).collect();
    let mut inserts: Vec<String> = Vec::new();
    for part in lines.chunks(1_000) {
        let mut values: Vec<String> = Vec::new();
        for line in part {
            let fields: Vec<String> = line
                .splitn(10, ',')
                .map(|field| field.trim_matches('"').replace('\'', "''"))
                .collect();
            let [item, gender, category, _, article, colour, _, year, _, title] = fields.as_slice() else {
                return Err(format!("ten fields in {line}").into());
            };
            let year = year.parse::<i64>().map_or("NULL".to_owned(), |year| year.to_string());
            values.push(format!(
                "('{item}','{gender}','{category}','{article}','{colour}',{year},'{title}')"
            ));
        }
        inserts.push(format!("INSERT INTO products VALUES {}", values.join(",")));
    }
    Ok(inserts)
}
