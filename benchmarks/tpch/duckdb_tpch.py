"""TPC-H over Parquet files by DuckDB: `duckdb_tpch.py FOLDER [ROUNDS]`. The same queries and the same lines as benchmarks/src/bin/tpch.rs."""

import decimal
import pathlib
import sys
import time

import duckdb

folder = pathlib.Path(sys.argv[1])
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
connection = duckdb.connect()
for file in sorted(folder.glob("*.parquet")):
    connection.execute(f"CREATE VIEW {file.stem} AS SELECT * FROM read_parquet('{file}')")
queries = [query for query in (pathlib.Path(__file__).parent / "queries.sql").read_text().split(";") if "SELECT" in query]
total = 0.0
for number, query in enumerate(queries, 1):
    best, rows = float("inf"), []
    for _ in range(rounds):
        began = time.perf_counter()
        rows = connection.execute(query).fetchall()
        best = min(best, time.perf_counter() - began)
    total += best
    numbers = (value for row in rows for value in row if isinstance(value, (int, float, decimal.Decimal)) and not isinstance(value, bool))
    print(f"{number} {best * 1e3:.1f} {len(rows)} {float(sum(decimal.Decimal(str(value)) for value in numbers)):.2f}")
print(f"all {total * 1e3:.1f}")
