"""Views of every shape over real data, against the same sums computed from the files by DuckDB and Polars.

    views.py PROGRAM DATA PROJECT WORK

Events go in through librdkafka, questions are asked through psycopg; the program is killed (kill -9) while the ratings come in. Prints `ok WHAT` or `FAILED WHAT: why` for each check.
"""

import decimal
import glob
import json
import pathlib
import signal
import subprocess
import sys
import time

import confluent_kafka
import deltalake
import duckdb
import polars
import psycopg

PROGRAM, DATA, PROJECT, WORK = sys.argv[1], *map(pathlib.Path, sys.argv[2:5])
SECONDS_MAX = 240
failed = []


class Program:
    """The program over an application, until the `with` ends."""

    def __init__(self, name, application):
        self.application, self.data, self.log = application, WORK / name, open(WORK / f"{name}.log", "w+")
        self.start("127.0.0.1:0", "127.0.0.1:0")

    def start(self, kafka, postgres):
        self.process = subprocess.Popen(
            [PROGRAM, "run", self.application, "--data", self.data, "--kafka", kafka, "--postgres", postgres, "--http", "none"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, text=True,
        )
        addresses = {}
        for line in self.process.stdout:
            word, _, rest = line.strip().partition(" ")
            addresses[word] = rest
            if word == "ready":
                break
        if "kafka" not in addresses or "postgres" not in addresses:
            self.log.seek(0)
            raise RuntimeError("the program did not start: " + self.log.read()[-2000:])
        self.kafka, self.postgres = addresses["kafka"], addresses["postgres"]

    def kill(self):
        """kill -9, and a start at the same addresses."""
        self.process.kill()
        self.process.wait(60)
        self.start(self.kafka, self.postgres)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def produce(self, topic, records):
        """Appends (key, value, timestamp in milliseconds or None) and waits until all are durable."""
        lost = []
        producer = confluent_kafka.Producer({
            "bootstrap.servers": self.kafka, "enable.idempotence": True, "linger.ms": 20,
            "on_delivery": lambda error, _: error and lost.append(str(error)),
        })
        for key, value, moment in records:
            stamp = {} if moment is None else {"timestamp": moment}
            while True:
                try:
                    producer.produce(topic, json.dumps(value), key, **stamp)
                    break
                except BufferError:
                    producer.poll(0.1)
        producer.flush(SECONDS_MAX)
        if lost:
            raise RuntimeError(f"{len(lost)} records were not appended: {lost[0]}")

    def ask(self, question):
        host, port = self.postgres.rsplit(":", 1)
        with psycopg.connect(host=host, port=port, user="ann", dbname="any", autocommit=True) as connection:
            return connection.execute(question).fetchall()

    def when_all_is_folded(self, question, expected):
        """Asks until the answer is this: the views are some moments behind a Kafka client."""
        until = time.monotonic() + SECONDS_MAX
        while (found := self.ask(question)) != expected:
            if time.monotonic() > until:
                raise RuntimeError(f"{question}: {found}, expected {expected}; {self.ask('SHOW VIEWS')}")
            time.sleep(0.2)


def check(what):
    """The decorated function is a check, made at once."""
    def run(function):
        try:
            function()
            print(f"ok      {what}", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            failed.append(what)
            print(f"FAILED  {what}: {type(error).__name__}: {error}"[:2000], flush=True)
    return run


def same(found, expected):
    found, expected = list(found), list(expected)
    if found != expected:
        differ = [(f, e) for f, e in zip(found, expected) if f != e][:3]
        raise AssertionError(f"{len(found)} rows, expected {len(expected)}; the first that differ: {differ or (found[-1:], expected[-1:])}")


def table_of(program, view):
    """The folder of a columnar view's Delta table."""
    logs = glob.glob(f"{program.data}/views/{view}/*/**/_delta_log", recursive=True)
    if len(logs) != 1:
        raise AssertionError(f"the view '{view}' has {len(logs)} tables")
    return str(pathlib.Path(logs[0]).parent)


def ratings():
    ratings_file = polars.read_csv(DATA / "ratings/ratings.csv.gz", schema_overrides={"rating": polars.Decimal(3, 1)})
    movies = polars.read_csv(DATA / "ratings/movies.csv")
    with Program("ratings", PROJECT / "examples/ratings") as program:
        program.produce("catalogue", (
            (str(item), {"item": str(item), "title": title, "category": genres.split("|")[0]}, None)
            for item, title, genres in movies.iter_rows()))

        def rated():
            for number, (user, item, stars, moment) in enumerate(ratings_file.iter_rows()):
                if number in (20_000, 45_000, 80_000):
                    program.kill()
                yield str(item), {"item": str(item), "customer": str(user), "stars": str(stars)}, moment * 1000

        program.produce("ratings", rated())
        total = len(ratings_file)
        program.when_all_is_folded("SELECT sum(ratings) FROM item_ratings", [(total,)])
        program.when_all_is_folded("SELECT sum(ratings) FROM standings", [(total,)])
        program.when_all_is_folded("SELECT count(*) FROM history", [(total,)])
        program.when_all_is_folded("SELECT count(*) FROM rated", [(len(ratings_file.unique(["userId", "movieId"])),)])
        program.when_all_is_folded("SELECT count(*) FROM search('titles', '*')", [(len(movies),)])

        by_item = ratings_file.group_by("movieId").agg(polars.len().alias("n"), polars.col("rating").sum().alias("sum"))
        def average(stars, n):
            # Sixteen digits behind the point, the last one rounded.
            return (decimal.Decimal(stars) / n).quantize(decimal.Decimal("1e-16"), decimal.ROUND_HALF_UP)

        expected = sorted((str(item), n, average(stars, n)) for item, n, stars in by_item.iter_rows())

        @check("MovieLens: every item's count and average, as documents, equal Polars'")
        def _():
            same(program.ask("SELECT item, ratings, average FROM item_ratings ORDER BY item"), expected)

        @check("MovieLens: every item's count and average, in memory, equal Polars'")
        def _():
            same(program.ask("SELECT item, ratings, average FROM standings ORDER BY item"), expected)

        @check("MovieLens: who liked Toy Story also liked, two hops, equals Polars' join")
        def _():
            liked = ratings_file.filter(polars.col("rating") >= 4).select("userId", "movieId")
            others = liked.filter(polars.col("movieId") == 1).select("userId").join(liked, on="userId").filter(polars.col("movieId") != 1)
            wanted = others.group_by("movieId").len().iter_rows()
            found = program.ask("""
                SELECT also, count(*) FROM GRAPH_TABLE (shop
                  MATCH (a IS item WHERE a.item = '1')<-[x IS rated]-(c)-[y IS rated]->(b IS item)
                  WHERE x.stars >= 4 AND y.stars >= 4 AND b.item <> a.item COLUMNS (b.item AS also))
                GROUP BY also""")
            same(sorted(found), sorted((str(item), n) for item, n in wanted))

        @check("MovieLens: titles that are searched by a word equal Polars' filter")
        def _():
            for word in ["story", "amélie", "love"]:
                pattern = {"amélie": "am[eé]lie"}.get(word, word)
                wanted = movies.filter(polars.col("title").str.contains(rf"(?i)\b{pattern}\b"))["movieId"]
                found = program.ask(f"SELECT item FROM search('titles', 'title:\"{word}\"') WHERE title ~* '\\y{pattern}\\y'")
                same(sorted(item for item, in found), sorted(map(str, wanted)))

        @check("MovieLens: ratings by month, columnar, equal Polars', asked through us and read by deltalake and DuckDB")
        def _():
            months = ratings_file.with_columns(polars.from_epoch("timestamp").dt.strftime("%Y-%m").alias("month"))
            wanted = sorted((month, n) for month, n in months.group_by("month").len().iter_rows())
            found = program.ask("SELECT to_char(month, 'YYYY-MM'), count(*) FROM history GROUP BY month ORDER BY month")
            same(found, wanted)
            deadline = time.monotonic() + SECONDS_MAX
            while len(read := polars.read_delta(table_of(program, "history"))) != total:
                if time.monotonic() > deadline:
                    raise AssertionError("the table does not get all rows")
                time.sleep(1)
            files = [path.removeprefix("file://") for path in deltalake.DeltaTable(table_of(program, "history")).file_uris()]
            sums = duckdb.execute("SELECT strftime(rated_at, '%Y-%m') AS m, count(*) FROM read_parquet(?) GROUP BY m ORDER BY m", [files]).fetchall()
            same(sums, wanted)
            same(sorted(read.group_by("item").len().iter_rows()), sorted((i, n) for i, n, _ in expected))


SHOP = """
CREATE STREAM invoices (
  invoice TEXT NOT NULL, product TEXT NOT NULL, description TEXT, quantity BIGINT NOT NULL, invoiced_at TIMESTAMP NOT NULL,
  price DECIMAL(18,3) NOT NULL, customer TEXT, country TEXT
) KEY (product) TIME (invoiced_at) WITH (partitions = 4);

CREATE MATERIALIZED VIEW by_customer STORED AS document AS
SELECT customer, sum(quantity * price) AS amount, count(*) AS lines FROM invoices GROUP BY customer;

CREATE MATERIALIZED VIEW by_month STORED AS memory AS
SELECT date_trunc('month', invoiced_at) AS month, sum(quantity * price) AS amount, count(*) AS lines FROM invoices GROUP BY 1;

CREATE MATERIALIZED VIEW by_product STORED AS search (description TEXT 'english', product KEYWORD) AS
SELECT product, max(description) AS description, sum(quantity * price) AS amount, count(*) AS lines FROM invoices GROUP BY product;

CREATE MATERIALIZED VIEW bought STORED AS graph (SOURCE customer, DESTINATION product) AS
SELECT customer, product, sum(quantity * price) AS amount, count(*) AS lines FROM invoices WHERE customer IS NOT NULL GROUP BY customer, product;

CREATE MATERIALIZED VIEW lines STORED AS columnar PARTITIONED BY (month) WITH (every = '2 seconds') AS
SELECT *, date_trunc('month', invoiced_at) AS month FROM invoices;
"""


def shop():
    file = str(DATA / "shop/online_retail.csv.gz")
    duckdb.execute("""
        CREATE TABLE invoices AS SELECT InvoiceNo AS invoice, StockCode AS product, Description AS description, Quantity AS quantity,
          InvoiceDate AS invoiced_at, UnitPrice AS price, CustomerID AS customer, Country AS country, Quantity * UnitPrice AS amount
        FROM read_csv(?, types = {'InvoiceNo': 'VARCHAR', 'StockCode': 'VARCHAR', 'Description': 'VARCHAR', 'Quantity': 'BIGINT',
          'InvoiceDate': 'TIMESTAMP', 'UnitPrice': 'DECIMAL(18,3)', 'CustomerID': 'VARCHAR', 'Country': 'VARCHAR'})""", [file])
    (WORK / "shop.sql").write_text(SHOP)
    cursor = duckdb.execute("SELECT invoice, product, description, quantity, invoiced_at, price, customer, country FROM invoices")
    names = ["invoice", "product", "description", "quantity", "invoiced_at", "price", "customer", "country"]

    def events():
        while rows := cursor.fetchmany(10_000):
            for row in rows:
                value = dict(zip(names, row), invoiced_at=row[4].isoformat(), price=str(row[5]))
                yield row[1], value, None

    with Program("shop", WORK / "shop.sql") as program:
        program.produce("invoices", events())
        total, = duckdb.execute("SELECT count(*) FROM invoices").fetchone()
        named, = duckdb.execute("SELECT count(*) FROM invoices WHERE customer IS NOT NULL").fetchone()
        for view, lines in [("by_customer", total), ("by_month", total), ("by_product", total), ("bought", named)]:
            program.when_all_is_folded(f"SELECT sum(lines) FROM {view}", [(lines,)])
        program.when_all_is_folded("SELECT count(*) FROM lines", [(total,)])
        program.when_all_is_folded("SELECT sum(lines) FROM search('by_product', '*')", [(total,)])

        def compare(what, ours, theirs):
            @check(f"invoices: {what} equal DuckDB's to the cent")
            def _():
                same(sorted(program.ask(ours), key=str), sorted(duckdb.execute(theirs).fetchall(), key=str))

        by = "SELECT {0}, sum(amount), count(*) FROM invoices GROUP BY {0}".format
        compare("sums by customer, as documents,", "SELECT customer, amount, lines FROM by_customer", by("customer"))
        compare("sums by month, in memory,", "SELECT month, amount, lines FROM by_month", by("date_trunc('month', invoiced_at)::TIMESTAMP"))
        compare("sums by product, searched,", "SELECT product, amount, lines FROM search('by_product', '*') LIMIT 100000", by("product"))
        compare("sums by customer and product, as edges,", "SELECT customer, product, amount, lines FROM bought",
                "SELECT customer, product, sum(amount), count(*) FROM invoices WHERE customer IS NOT NULL GROUP BY ALL")
        compare("sums by country and month, columnar,", "SELECT country, month, sum(quantity * price), count(*) FROM lines GROUP BY country, month",
                "SELECT country, date_trunc('month', invoiced_at)::TIMESTAMP, sum(amount), count(*) FROM invoices GROUP BY ALL")


def products():
    file = str(DATA / "products/fashion.csv.gz")
    rows = duckdb.execute("""SELECT id, productDisplayName, articleType, baseColour, year
                             FROM read_csv(?, all_varchar = true, ignore_errors = true, null_padding = true, strict_mode = false)""", [file]).fetchall()
    rows = {row[0]: row for row in rows if row[1]}
    (WORK / "products.sql").write_text("""
        CREATE STREAM products (id TEXT NOT NULL, name TEXT NOT NULL, kind TEXT, colour TEXT, year INTEGER) KEY (id) WITH (partitions = 2);
        CREATE MATERIALIZED VIEW found STORED AS search (name TEXT, kind KEYWORD, colour KEYWORD, year NUMBER) KEY (id) AS
        SELECT id, name, kind, colour, year FROM products;""")
    with Program("products", WORK / "products.sql") as program:
        program.produce("products", (
            (id, {"id": id, "name": name, "kind": kind, "colour": colour, "year": int(year) if year else None}, None)
            for id, name, kind, colour, year in rows.values()))
        program.when_all_is_folded("SELECT count(*) FROM search('found', '*')", [(len(rows),)])

        def compare(query, wanted):
            @check(f"products: '{query}' finds what a filter over the file finds")
            def _():
                found = program.ask(f"SELECT id FROM search('found', '{query}') LIMIT 100000")
                same(sorted(id for id, in found), sorted(id for id, *rest in rows.values() if wanted(*rest)))

        words = lambda name: "".join(c if c.isalnum() else " " for c in name.lower()).split()
        compare("watch", lambda name, *_: "watch" in words(name))
        compare("red AND shirt", lambda name, *_: {"red", "shirt"} <= set(words(name)))
        compare("kind:Watches colour:Silver", lambda _, kind, colour, __: (kind, colour) == ("Watches", "Silver"))
        compare("year:[2016 TO 2018] -colour:Black", lambda _, __, colour, year: year and 2016 <= int(year) <= 2018 and colour != "Black")


for part in (ratings, shop, products):
    began = time.monotonic()
    try:
        part()
    except Exception as error:  # pylint: disable=broad-except
        failed.append(part.__name__)
        print(f"FAILED  {part.__name__}: {type(error).__name__}: {error}"[:2000], flush=True)
    print(f"-- {part.__name__}: {time.monotonic() - began:.0f} s", flush=True)
sys.exit(1 if failed else 0)
