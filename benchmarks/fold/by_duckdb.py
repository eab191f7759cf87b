"""The bank's view by DuckDB over the events as lines of JSON: `by_duckdb.py FILE`. Once with one thread, once with two."""

import sys
import time

import duckdb

QUERY = """SELECT account, sum(CASE kind WHEN 'deposit' THEN amount ELSE -amount END) AS balance, count(*) AS entries
FROM read_json(?, format = 'newline_delimited',
  columns = {account: 'VARCHAR', kind: 'VARCHAR', amount: 'DECIMAL(18,2)', teller: 'VARCHAR'})
GROUP BY account"""

for threads in (1, 2):
    connection = duckdb.connect(config={"threads": threads})
    wall, processor, events = float("inf"), float("inf"), 0
    for _ in range(3):
        began, before = time.perf_counter(), time.process_time()
        connection.execute(f"CREATE OR REPLACE TABLE balances AS {QUERY}", [sys.argv[1]])
        wall = min(wall, time.perf_counter() - began)
        processor = min(processor, time.process_time() - before)
        (events,) = connection.execute("SELECT sum(entries) FROM balances").fetchone()
    print(f"DuckDB         {threads} thread(s): {int(events) / wall / 1e6:.2f} M events/s, {int(events) / processor / 1e6:.2f} M a processor second")
