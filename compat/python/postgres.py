"""psycopg 3, with its default settings, against the PostgreSQL door: `postgres.py HOST:PORT`.

Definitions, parameters, NULLs, exact decimals, dates and moments, arrays, prepared statements, binary results, a command and its refusal, errors with
their SQLSTATE, transaction blocks, a cursor that reads row by row, COPY both ways, cancel. Without psycopg it says so and ends with status 77.
"""

import datetime
import decimal
import sys
import threading

try:
    import psycopg
except ImportError:
    print("SKIPPED: psycopg is not installed (pip install 'psycopg[binary]')")
    sys.exit(77)

DECIMAL, DATE = decimal.Decimal, datetime.date
MOMENT = datetime.datetime(2025, 11, 23, 8, 30, 0, 123456, tzinfo=datetime.timezone.utc)

DEFINITIONS = """
CREATE STREAM payments (account TEXT NOT NULL, amount DECIMAL(18,2) NOT NULL, booked DATE, at TIMESTAMPTZ, weight DOUBLE PRECISION,
                        count BIGINT, open BOOLEAN, seal BYTEA) KEY (account);
CREATE MATERIALIZED VIEW totals STORED AS document AS
  SELECT account, sum(amount) AS total, count(*) AS entries, max(at) AS last_at FROM payments GROUP BY account;
CREATE MATERIALIZED VIEW lists STORED AS document AS
  SELECT account, array_agg(amount) AS amounts, array_agg(booked) AS days, array_agg(named_struct('amount', amount)) AS rows FROM payments GROUP BY account;
CREATE COMMAND pay_out (account TEXT, amount DECIMAL(18,2)) INTO payments
  REQUIRE (SELECT total FROM totals t WHERE t.account = pay_out.account) >= amount ELSE 'insufficient funds'
  AS SELECT account, -amount AS amount, NULL AS booked, NULL AS at, NULL AS weight, NULL AS count, NULL AS open, NULL AS seal;
"""


def rows(connection, text, values=None, **how):
    return connection.execute(text, values, **how).fetchall()


def fails(connection, state, text, values=None):
    try:
        connection.execute(text, values)
    except psycopg.Error as error:
        assert error.sqlstate == state, f"{text}: {error.sqlstate}, expected {state}: {error}"
        connection.rollback()
        return error
    raise AssertionError(f"{text}: it did not fail")


def values_cross(connection):
    row = ("BradA", DECIMAL("100.05"), DATE(2025, 12, 31), MOMENT, 0.1, 2**62, True, b"\x00\xff")
    insert = "INSERT INTO payments VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
    assert connection.execute(insert, row).rowcount == 1
    connection.execute(insert, ("BradA", DECIMAL("0.95"), None, None, None, None, None, None), prepare=True)
    connection.commit()
    select = "SELECT account, amount, booked, at, weight, count, open, seal FROM payments WHERE account = %s AND amount > %s"
    for binary in (False, True):
        for prepare in (False, True):
            got = connection.execute(select, ("BradA", 50), binary=binary, prepare=prepare).fetchall()
            assert got == [row], f"binary={binary} prepare={prepare}: {got}"
    assert rows(connection, "SELECT booked, at, seal FROM payments WHERE booked IS NULL") == [(None, None, None)]
    assert rows(connection, "SELECT total, entries FROM totals WHERE account = %s", ("BradA",)) == [(DECIMAL("101.00"), 2)]
    assert rows(connection, "SELECT account FROM payments WHERE at = %s", (MOMENT,)) == [("BradA",)]
    assert rows(connection, "SELECT account FROM payments WHERE booked = %s", (DATE(2025, 12, 31),)) == [("BradA",)]
    many = [(f"a{number % 7}", DECIMAL(number) / 4) for number in range(500)]
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO payments (account, amount) VALUES (%s, %s)", many)
    connection.commit()
    assert rows(connection, "SELECT count(*) FROM payments") == [(502,)]
    with connection.cursor() as cursor:
        got = list(cursor.stream("SELECT account, amount FROM payments WHERE account <> 'BradA'"))
    assert sorted(got) == sorted((account, amount.quantize(DECIMAL("0.01"))) for account, amount in many)
    connection.commit()


def lists_are_arrays(connection):
    expected = ([DECIMAL("100.05"), DECIMAL("0.95")], [DATE(2025, 12, 31), None], [{"amount": 100.05}, {"amount": 0.95}])
    for binary in (False, True):
        got = rows(connection, "SELECT amounts, days, rows FROM lists WHERE account = 'BradA'", binary=binary)
        assert got == [expected], f"binary={binary}: {got}"
    names = ["a1", "it's", 'say "hi"', "", None]
    counted = rows(connection, "SELECT count(DISTINCT account) FROM payments WHERE account = ANY(%s)", (names + ["a2"],))
    assert counted == [(2,)], counted
    connection.commit()


def commands_decide(connection):
    called = rows(connection, "CALL pay_out(%s, %s)", ("BradA", DECIMAL("1.00")))
    assert len(called) == 1 and called[0][0] == "payments", called
    connection.commit()
    assert rows(connection, "SELECT total FROM totals WHERE account = 'BradA'") == [(DECIMAL("100.00"),)]
    error = fails(connection, "23514", "CALL pay_out('BradA', 100.01)")
    assert "insufficient funds" in str(error)


def errors_say_what(connection):
    error = fails(connection, "42703", "SELECT amout\nFROM payments")
    assert error.diag.statement_position == "8", error.diag.statement_position
    fails(connection, "42601", "SELEC 1")
    fails(connection, "42P01", "SELECT * FROM nowhere")
    fails(connection, "0A000", "UPDATE payments SET amount = 1")
    fails(connection, "23502", "INSERT INTO payments (account) VALUES ('x')")
    fails(connection, "22P02", "INSERT INTO payments (account, amount) VALUES ('x', %s)", ("lots",))
    fails(connection, "42P01", "SELECT relname FROM pg_catalog.pg_nothing")


def blocks_are_honest(connection):
    heard = []
    connection.add_notice_handler(lambda notice: heard.append((notice.severity, notice.sqlstate)))
    before = rows(connection, "SELECT count(*) FROM payments")[0][0]
    connection.execute("INSERT INTO payments (account, amount) VALUES ('late', 1)")
    connection.rollback()
    assert rows(connection, "SELECT count(*) FROM payments") == [(before + 1,)]
    assert heard == [("WARNING", "01000")], heard
    connection.commit()
    try:
        with connection.transaction():
            connection.execute("SELECT 1")
            raise RuntimeError
    except RuntimeError:
        pass
    assert rows(connection, "SELECT 1") == [(1,)]
    connection.commit()


def rows_are_copied(connection):
    row = ("copied", DECIMAL("7.50"), None, MOMENT, True)
    columns = "(account, amount, booked, at, open)"
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY payments {columns} FROM STDIN") as copy:
            copy.write_row(row)
            copy.write_row(("copied", "0.5", DATE(2025, 12, 31), None, False))
        assert cursor.rowcount == 2, cursor.rowcount
        connection.commit()
        with cursor.copy("COPY (SELECT account, amount, booked, at, open FROM payments WHERE account = 'copied' ORDER BY amount DESC) TO STDOUT") as copy:
            copy.set_types(["text", "numeric", "date", "timestamptz", "bool"])
            got = list(copy.rows())
        assert got == [row, ("copied", DECIMAL("0.50"), DATE(2025, 12, 31), None, False)], got
    try:
        with connection.cursor() as cursor, cursor.copy("COPY payments (account, amount) FROM STDIN (FORMAT csv)") as copy:
            copy.write("copied,1\ncopied,lots\n")
    except psycopg.Error as error:
        assert error.sqlstate == "22P02", error
    connection.rollback()
    assert rows(connection, "SELECT count(*) FROM payments WHERE account = 'copied'") == [(2,)]
    returned = rows(connection, "INSERT INTO payments (account, amount) VALUES ('copied', 1.005) RETURNING amount, _position")
    assert returned[0][0] == DECIMAL("1.01") and returned[0][1].startswith("payments/"), returned
    connection.commit()


def cancel_ends_a_statement(connection):
    timer = threading.Timer(0.5, connection.cancel)
    timer.start()
    fails(connection, "57014", "SELECT count(*) FROM generate_series(1, 100000000000) WHERE value % 7 = 8")
    timer.join()
    assert rows(connection, "SELECT 1") == [(1,)]
    connection.commit()


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    with psycopg.connect(host=host, port=port, user="ann", dbname="any", connect_timeout=10) as connection:
        with psycopg.connect(host=host, port=port, user="ann", dbname="any", autocommit=True) as defining:
            defining.execute(DEFINITIONS)
        for step in (values_cross, lists_are_arrays, commands_decide, errors_say_what, blocks_are_honest, rows_are_copied, cancel_ends_a_statement):
            step(connection)
            print(f"ok      {step.__name__}")


main()
