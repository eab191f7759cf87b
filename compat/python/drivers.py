"""PostgreSQL's other drivers and what reflects a schema, against the PostgreSQL door: `drivers.py HOST:PORT`.

asyncpg (pools, arrays, parameters that are cast, cursors), psycopg2 (named cursors, many rows at once), pg8000, SQLAlchemy (its inspector, tables that
are reflected, streamed results) and Django's inspectdb. Each is a check of its own; the status is 1 where one of them failed.
"""

import asyncio
import datetime
import decimal
import io
import sys
import traceback

import asyncpg
import django
import pg8000.native
import psycopg2
import psycopg2.extras
import sqlalchemy

DECIMAL, DATE = decimal.Decimal, datetime.date
MOMENT = datetime.datetime(2025, 11, 23, 8, 30, tzinfo=datetime.timezone.utc)

DEFINITIONS = """
CREATE STREAM prices (item TEXT NOT NULL, price DECIMAL(12,2), day DATE, at TIMESTAMPTZ, seal BYTEA) KEY (item);
CREATE MATERIALIZED VIEW newest STORED AS document AS SELECT item, max(price) AS price, count(*) AS entries FROM prices GROUP BY item;
CREATE MATERIALIZED VIEW listed STORED AS document AS SELECT item, array_agg(price) AS prices FROM prices GROUP BY item;
CREATE VIEW dear AS SELECT item FROM newest WHERE price > 10;
"""
ROW = ("hat", DECIMAL("12.50"), DATE(2025, 12, 31), MOMENT, b"\x00\xff")
NUMBERS = "SELECT i FROM generate_series(1, 100) AS t(i)"


async def with_asyncpg(host, port):
    async with asyncpg.create_pool(host=host, port=port, user="ann", database="any", min_size=1, max_size=2) as pool:
        # A connection that goes back is reset, and comes out again.
        for number in range(4):
            assert await pool.fetchval("SELECT $1::int", number) == number
        async with pool.acquire() as connection:
            await connection.execute("INSERT INTO prices VALUES ($1, $2, $3, $4, $5)", *ROW)
            await connection.executemany("INSERT INTO prices (item, price) VALUES ($1, $2)", [("cap", DECIMAL(1)), ("cap", DECIMAL(2))])
            got = await connection.fetchrow("SELECT * FROM prices WHERE item = $1", "hat")
            assert tuple(got) == ROW, got
            found = await connection.fetch("SELECT item FROM newest WHERE item = ANY($1) ORDER BY item", ["hat", "cap"])
            assert [row["item"] for row in found] == ["cap", "hat"]
            # It asks the catalog for types of lists that it has not met.
            for kind, values in [("bigint", [1, 2]), ("numeric", [DECIMAL("1.5"), None]), ("timestamptz", [MOMENT])]:
                got = await connection.fetchval(f"SELECT $1::{kind}[]", values)
                assert got == values, (kind, got)
            assert await connection.fetchval("SELECT $1::timestamptz + interval '1 day'", MOMENT) == MOMENT + datetime.timedelta(days=1)
            prepared = await connection.prepare("SELECT item, price FROM newest WHERE item = $1 AND entries > $2")
            assert [kind.name for kind in prepared.get_parameters()] == ["text", "int8"]
            async with connection.transaction():
                assert sum([row["i"] async for row in connection.cursor(NUMBERS, prefetch=7)]) == 5050
            # A statement that it keeps is prepared again where a view got other columns.
            for columns in ["item", "item, price"]:
                await connection.execute(f"CREATE OR REPLACE VIEW dear AS SELECT {columns} FROM newest WHERE price > 10")
                got = await connection.fetch("SELECT * FROM dear WHERE item = $1", "hat")
                assert [len(row) for row in got] == [len(columns.split(", "))], got
            await connection.execute("CREATE OR REPLACE VIEW dear AS SELECT item FROM newest WHERE price > 10")
            try:
                await connection.fetchval("SELECT count(*) FROM generate_series(1, 100000000000) WHERE value % 7 = 8", timeout=0.5)
                raise AssertionError("it was not ended")
            except asyncio.TimeoutError:
                assert await connection.fetchval("SELECT 1") == 1


def with_psycopg2(host, port):
    with psycopg2.connect(host=host, port=port, user="ann", dbname="any") as connection:
        with connection.cursor() as cursor:
            psycopg2.extras.execute_values(cursor, "INSERT INTO prices (item, price) VALUES %s", [(f"e{n}", n) for n in range(50)])
            cursor.execute("SELECT count(*) FROM prices WHERE item LIKE %s", ("e%",))
            assert cursor.fetchone() == (50,)
        with connection.cursor("named") as cursor:
            cursor.itersize = 7
            cursor.execute(NUMBERS)
            assert sum(row[0] for row in cursor) == 5050


def with_pg8000(host, port):
    connection = pg8000.native.Connection("ann", host=host, port=int(port), database="any")
    connection.run("INSERT INTO prices (item, price, day, at) VALUES (:item, :price, :day, :at)", item="scarf", price=DECIMAL("3.5"), day=DATE(2025, 1, 1), at=MOMENT)
    assert connection.run("SELECT price, day, at FROM prices WHERE item = :item", item="scarf") == [[DECIMAL("3.50"), DATE(2025, 1, 1), MOMENT]]
    assert connection.run("SELECT item FROM newest WHERE item = ANY(:items)", items=["scarf", "none"]) == [["scarf"]]
    connection.close()


def with_sqlalchemy(host, port, driver):
    engine = sqlalchemy.create_engine(f"postgresql+{driver}://ann@{host}:{port}/any")
    inspector = sqlalchemy.inspect(engine)
    assert "public" in inspector.get_schema_names()
    assert inspector.get_table_names() == ["prices"]
    assert inspector.get_view_names() == ["dear"]
    assert inspector.get_materialized_view_names() == ["listed", "newest"]
    columns = [(column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns("prices")]
    assert columns[:3] == [("item", "TEXT", False), ("price", "NUMERIC(12, 2)", True), ("day", "DATE", True)], columns
    assert inspector.get_pk_constraint("prices")["constrained_columns"] == []
    assert inspector.get_foreign_keys("prices") == inspector.get_indexes("prices") == inspector.get_unique_constraints("prices") == []
    reflected = sqlalchemy.MetaData()
    reflected.reflect(engine, views=True)
    assert sorted(reflected.tables) == ["dear", "listed", "newest", "prices"]
    prices = reflected.tables["prices"]
    with engine.begin() as connection:
        connection.execute(prices.insert(), [{"item": f"{driver}1", "price": 4}, {"item": f"{driver}2", "price": 5}])
    with engine.connect() as connection:
        asked = sqlalchemy.select(prices.c.price).where(prices.c.item.in_([f"{driver}1", f"{driver}2"])).order_by(prices.c.price)
        assert [row[0] for row in connection.execute(asked)] == [4, 5]
    with engine.connect().execution_options(stream_results=True, yield_per=10) as connection:
        assert sum(row[0] for row in connection.execute(sqlalchemy.text(NUMBERS))) == 5050
    engine.dispose()


def with_django(host, port):
    from django.conf import settings
    from django.core.management import call_command

    database = {"ENGINE": "django.db.backends.postgresql", "NAME": "any", "USER": "ann", "HOST": host, "PORT": port}
    settings.configure(DATABASES={"default": database}, INSTALLED_APPS=[])
    django.setup()
    written = io.StringIO()
    call_command("inspectdb", "--include-views", stdout=written)
    models = written.getvalue()
    assert "Unable to inspect" not in models, models
    for line in ("class Prices(models.Model)", "class Newest(models.Model)", "price = models.DecimalField(max_digits=12, decimal_places=2", "db_table = 'prices'"):
        assert line in models, models


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    with psycopg2.connect(host=host, port=port, user="ann", dbname="any") as connection:
        connection.cursor().execute(DEFINITIONS)
    checks = [
        ("asyncpg", lambda: asyncio.run(with_asyncpg(host, port))),
        ("psycopg2", lambda: with_psycopg2(host, port)),
        ("pg8000", lambda: with_pg8000(host, port)),
        *[(f"SQLAlchemy over {driver}", lambda driver=driver: with_sqlalchemy(host, port, driver)) for driver in ("psycopg2", "psycopg")],
        ("Django", lambda: with_django(host, port)),
    ]
    failed = 0
    for name, check in checks:
        try:
            check()
            print(f"ok      {name}")
        except Exception:
            failed = 1
            print(f"FAILED  {name}")
            traceback.print_exc()
    return failed


if __name__ == "__main__":
    sys.exit(main())
