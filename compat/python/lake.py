"""deltalake for Python, Polars and DuckDB read the tables that columnar views write: `lake.py FOLDER`, with HEADWATER naming the program.

Three views, one row for each event, one with GROUP BY and one with KEY, once in folders and once in a bucket of a server that speaks S3 (moto). The program is killed
(kill -9) between the events, and every reader must find each of them once: counts and exact sums equal what the program itself says.
"""

import decimal
import logging
import os
import pathlib
import signal
import subprocess
import sys
import time

import boto3
import deltalake
import duckdb
import polars
import psycopg
from moto.server import ThreadedMotoServer

HEADWATER = os.environ["HEADWATER"]
WAIT_SECONDS = 120
ROUNDS, EVENTS = 3, 40

DEFINITIONS = """
CREATE STREAM purchases (store TEXT NOT NULL, item TEXT, amount DECIMAL(18,2) NOT NULL, at TIMESTAMPTZ NOT NULL) WITH (partitions = 2);
CREATE MATERIALIZED VIEW history STORED AS columnar PARTITIONED BY (day) LOCATION '{place}/history' WITH (every = '200 ms') AS
SELECT *, date_trunc('day', at) AS day FROM purchases;
CREATE MATERIALIZED VIEW sales STORED AS columnar LOCATION '{place}/sales' WITH (every = '200 ms') AS
SELECT store, count(*) AS entries, sum(amount) AS total FROM purchases GROUP BY store;
CREATE MATERIALIZED VIEW latest STORED AS columnar LOCATION '{place}/latest' KEY (store) WITH (every = '200 ms') AS
SELECT store, item, amount FROM purchases;
"""


def started(folder, environment):
    out = open(folder / "out", "w")
    log = open(folder / "log", "a")
    command = [HEADWATER, "run", str(folder / "app.sql"), "--data", str(folder / "data")]
    doors = ["--kafka", "none", "--postgres", "127.0.0.1:0", "--http", "none"]
    program = subprocess.Popen(command + doors, stdout=out, stderr=log, env=environment)
    begun = time.monotonic()
    while time.monotonic() - begun < WAIT_SECONDS:
        lines = (folder / "out").read_text().splitlines()
        if any(line.startswith("ready") for line in lines):
            address = next(line for line in lines if line.startswith("postgres ")).split()[1]
            host, port = address.rsplit(":", 1)
            return program, psycopg.connect(host=host, port=port, user="ann", dbname="any", autocommit=True)
        assert program.poll() is None, (folder / "log").read_text()
        time.sleep(0.05)
    raise AssertionError("the program did not get ready")


def appended(connection, first):
    rows = [(f"store {n % 7}", f"item {n}" if n % 3 else None, decimal.Decimal(n * 7 % 1000) / 100, f"2025-11-{n % 5 + 20} 10:00:00+00") for n in range(first, first + EVENTS)]
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO purchases VALUES (%s, %s, %s, %s)", rows)


def said(connection):
    """What the program says: of the stream's events, and the rows by store."""
    totals = connection.execute("SELECT count(*), sum(amount) FROM purchases").fetchone()
    by_store = connection.execute("SELECT store, count(*), sum(amount) FROM purchases GROUP BY store ORDER BY store").fetchall()
    latest = connection.execute("SELECT store, item, amount FROM latest ORDER BY store").fetchall()
    return totals, by_store, latest


def by_deltalake(place, options):
    history = deltalake.DeltaTable(f"{place}/history", storage_options=options).to_pyarrow_table()
    sales = deltalake.DeltaTable(f"{place}/sales", storage_options=options).to_pyarrow_table().sort_by("store")
    latest = deltalake.DeltaTable(f"{place}/latest", storage_options=options).to_pyarrow_table().sort_by("store")
    totals = (history.num_rows, sum(history["amount"].to_pylist()))
    rows = lambda table, columns: [tuple(row.values()) for row in table.select(columns).to_pylist()]
    return totals, rows(sales, ["store", "entries", "total"]), rows(latest, ["store", "item", "amount"])


def by_polars(place, options):
    history = polars.scan_delta(f"{place}/history", storage_options=options)
    totals = history.select(polars.len(), polars.col("amount").sum()).collect().row(0)
    sales = polars.read_delta(f"{place}/sales", storage_options=options).sort("store")
    latest = polars.read_delta(f"{place}/latest", storage_options=options).sort("store")
    return totals, sales.select("store", "entries", "total").rows(), latest.select("store", "item", "amount").rows()


def by_duckdb(place, options):
    """Its extension for Delta tables is not to be had offline: it reads the files that deltalake lists."""
    if options:
        return None

    def ask(view, question):
        files = deltalake.DeltaTable(f"{place}/{view}").file_uris()
        return duckdb.connect().execute(question, {"files": files}).fetchall()

    totals = ask("history", "SELECT count(*), sum(amount) FROM read_parquet($files)")[0]
    sales = ask("sales", "SELECT store, entries, total FROM read_parquet($files) ORDER BY store")
    return totals, sales, ask("latest", "SELECT store, item, amount FROM read_parquet($files) ORDER BY store")


def check(where, place, folder, environment, options):
    folder.mkdir()
    (folder / "app.sql").write_text(DEFINITIONS.format(place=place))
    for round in range(ROUNDS):
        program, connection = started(folder, environment)
        appended(connection, round * EVENTS)
        time.sleep(0.15 * round)
        program.send_signal(signal.SIGKILL)
        program.wait()
    program, connection = started(folder, environment)
    try:
        expected = said(connection)
        assert expected[0][0] == ROUNDS * EVENTS, expected[0]
        through_us = connection.execute("SELECT count(*), sum(amount) FROM history").fetchone()
        assert through_us == expected[0], f"{through_us}, expected {expected[0]}"
        for name, read in (("deltalake", by_deltalake), ("polars", by_polars), ("duckdb", by_duckdb)):
            begun = time.monotonic()
            while (found := read(place, options)) != expected and found is not None:
                assert time.monotonic() - begun < WAIT_SECONDS, f"{name} in {where}: {found}, expected {expected}\n{(folder / 'log').read_text()[-2000:]}"
                time.sleep(0.2)
            if found is not None:
                print(f"ok      {name}, {where}: {expected[0][0]} rows, {expected[0][1]}", flush=True)
        day = deltalake.DeltaTable(f"{place}/history", storage_options=options).metadata()
        assert day.partition_columns == ["day"], day
    finally:
        program.send_signal(signal.SIGKILL)
        program.wait()


def main():
    work = pathlib.Path(sys.argv[1])
    (work / "lake").mkdir()
    check("a folder", str(work / "lake"), work / "folder", dict(os.environ), None)
    # It would print each request.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    settings = {"AWS_ACCESS_KEY_ID": "ann", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true"}
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="ann", aws_secret_access_key="secret").create_bucket(Bucket="lake")
    try:
        check("a bucket", "s3://lake/tables", work / "bucket", {**os.environ, **settings}, settings)
    finally:
        server.stop()


main()
