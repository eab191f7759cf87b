"""Random questions to the program and to PostgreSQL, which must answer alike: `compared.py HOST:PORT POSTGRES-HOST:PORT [SECONDS [SEED]]`.

Both hold the same few rows, with NULLs, duplicates and empty groups. Each question is made from a seed, which is printed with it where the answers differ; the status is 1 then.
What both refuse is passed over, as are the types of numbers: values are compared, and rows without their order.
"""

import random
import sys
import time

import psycopg

TABLES = {"t": "id a b x flag day".split(), "u": "k c y".split(), "w": "k m z".split()}
NUMBERS = {"t": ["id", "a", "b"], "u": ["k", "c"], "w": ["k", "m"]}
TEXTS = {"t": ["x"], "u": ["y"], "w": ["z"]}
COLUMNS = {
    "t": "id INTEGER NOT NULL, a INTEGER, b BIGINT, x TEXT, flag BOOLEAN, day DATE",
    "u": "k INTEGER NOT NULL, c INTEGER, y TEXT",
    "w": "k INTEGER, m INTEGER, z TEXT",
}
ROWS = [
    "INSERT INTO t VALUES (1, 1, 10, 'one', true, DATE '2024-01-31'), (2, 2, NULL, 'two', false, DATE '2024-02-29'), (3, NULL, 30, NULL, NULL, NULL), "
    "(4, 1, 40, 'Four', true, DATE '1999-12-31'), (5, 3, 50, '', false, DATE '9999-12-31'), (6, 2, 20, '12', true, DATE '2024-03-15')",
    "INSERT INTO u VALUES (1, 1, 'one'), (2, NULL, 'zwei'), (3, 2, 'two'), (4, 1, NULL), (5, 9, 'x')",
    "INSERT INTO w VALUES (1, 1, 'p'), (2, NULL, 'q'), (NULL, 3, 'r'), (3, 1, NULL), (1, 2, 'p')",
]


class Question:
    """One question; `scope` is what may be named: pairs of an alias and its table."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.names = 0

    def one_of(self, *ways):
        return self.dice.choice(ways)()

    def column(self, scope, of=NUMBERS):
        alias, table = self.dice.choice(scope)
        return f"{alias}.{self.dice.choice(of[table])}"

    def number(self, scope, depth):
        plain = [lambda: self.column(scope), lambda: str(self.dice.randint(0, 4)), lambda: self.column(scope)]
        if depth <= 0:
            return self.one_of(*plain)
        less = depth - 1
        return self.one_of(
            *plain,
            lambda: f"({self.number(scope, less)} {self.dice.choice('+-*')} {self.number(scope, less)})",
            lambda: f"({self.number(scope, 0)} + '{self.dice.randint(0, 3)}')",
            lambda: f"coalesce({self.number(scope, less)}, '0')",
            lambda: f"CASE WHEN {self.truth(scope, less)} THEN {self.number(scope, less)} ELSE {self.number(scope, less)} END",
            lambda: f"({self.single(scope, less)})",
        )

    def single(self, scope, depth):
        """A query of one number."""
        inner, tables = self.tables(scope, depth)
        total = self.dice.choice(["count(*)", "max({})", "min({})", "sum({})", "count(DISTINCT {})"]).format(self.number(inner, 0))
        where = f" WHERE {self.truth(inner + scope, depth)}" if self.dice.random() < 0.8 else ""
        return self.one_of(
            lambda: f"SELECT {total} FROM {tables}{where}",
            lambda: f"SELECT {total} FROM {tables}{where} HAVING count(*) > {self.dice.randint(0, 1)}",
            lambda: f"SELECT {self.number(inner + scope, 0)} AS v FROM {tables}{where} ORDER BY v LIMIT 1",
        )

    def tables(self, scope, depth):
        self.names += 1
        alias, table = f"q{self.names}", self.dice.choice(list(TABLES))
        inner = [(alias, table)]
        if depth <= 0 or self.dice.random() < 0.7:
            return inner, f"{table} {alias}"
        other, of = f"r{self.names}", self.dice.choice(list(TABLES))
        kind = self.dice.choice(["JOIN", "LEFT JOIN"])
        both = inner + [(other, of)]
        return both, f"{table} {alias} {kind} {of} {other} ON {self.column(inner)} = {self.column([(other, of)])}"

    def list_of(self, scope, depth):
        """A query of one column of numbers."""
        inner, tables = self.tables(scope, depth)
        where = f" WHERE {self.truth(inner + scope, depth)}" if self.dice.random() < 0.8 else ""
        return f"SELECT {self.column(inner)} FROM {tables}{where}"

    def truth(self, scope, depth):
        compared = lambda: f"{self.number(scope, depth - 1)} {self.dice.choice(['=', '<', '<>', '>='])} {self.number(scope, depth - 1)}"
        plain = [compared, compared, lambda: f"{self.column(scope)} IS NULL", lambda: f"{self.column(scope)} = '{self.dice.randint(0, 3)}'"]
        plain.append(lambda: f"{self.column(scope, TEXTS)} LIKE '%o%'")
        if depth <= 0:
            return self.one_of(*plain)
        less = depth - 1
        return self.one_of(
            *plain,
            lambda: f"({self.truth(scope, less)} {self.dice.choice(['AND', 'OR'])} {self.truth(scope, less)})",
            lambda: f"NOT ({self.truth(scope, less)})",
            lambda: f"({self.truth(scope, less)}) IS {self.dice.choice(['UNKNOWN', 'NOT TRUE', 'FALSE'])}",
            lambda: f"{self.number(scope, less)} {self.dice.choice(['IN', 'NOT IN'])} ({self.list_of(scope, less)})",
            lambda: f"{self.number(scope, 0)} {self.dice.choice(['=', '<', '<>', '>='])} {self.dice.choice(['ANY', 'ALL'])} ({self.list_of(scope, less)})",
            lambda: f"EXISTS ({self.list_of(scope, less)})",
            lambda: f"NOT EXISTS ({self.single(scope, less)})",
        )

    def text(self):
        outer, tables = self.tables([], 1)
        where = f" WHERE {self.truth(outer, 2)}"
        return self.one_of(
            lambda: f"SELECT {self.number(outer, 2)}, {self.truth(outer, 2)} FROM {tables}{where}",
            lambda: f"SELECT {self.column(outer)} FROM {tables}{where} ORDER BY {self.number(outer, 1)}, {self.truth(outer, 1)}",
            lambda: f"SELECT count(*) FILTER (WHERE {self.truth(outer, 2)}), sum({self.number(outer, 2)}) FROM {tables}",
            lambda: f"SELECT {self.column(outer)} AS g, count(*), max({self.number(outer, 2)}) FROM {tables} GROUP BY 1 HAVING {self.truth_of_group()}",
            lambda: f"SELECT {self.column(outer)}, l.v FROM {tables}, LATERAL ({self.single(outer, 1)}) AS l(v){where}",
        )

    def truth_of_group(self):
        return f"count(*) >= {self.dice.randint(0, 2)} AND count(*) NOT IN ({self.list_of([], 1)})"


def rows_of(connection, text):
    try:
        rows = connection.execute(text).fetchall()
    except psycopg.Error as error:
        return None, error.sqlstate or "the connection"
    plain = lambda value: value if value is None or isinstance(value, (str, bool)) else float(value)
    return sorted([tuple(map(plain, row)) for row in rows], key=repr), None


def connected(address):
    host, port = address.rsplit(":", 1)
    return psycopg.connect(host=host, port=port, user="postgres", dbname="postgres", autocommit=True)


def main():
    ours, theirs = connected(sys.argv[1]), connected(sys.argv[2])
    seconds, seed = float((sys.argv[3:] or ["20"])[0]), int((sys.argv[4:] or [str(random.randrange(10**9))])[0])
    for name, columns in COLUMNS.items():
        ours.execute(f"CREATE STREAM IF NOT EXISTS {name} ({columns})")
        theirs.execute(f"CREATE TEMPORARY TABLE {name} ({columns})")
    for insert in ROWS:
        ours.execute(insert)
        theirs.execute(insert)
    asked = differences = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end and differences < 10:
        text = Question(seed).text()
        wanted, refused = rows_of(theirs, text)
        came, error = rows_of(ours, text)
        if refused is None and (error or came != wanted):
            differences += 1
            print(f"seed {seed}: {text}\n  PostgreSQL {wanted}\n  came       {error or came}")
        asked, seed = asked + (refused is None), seed + 1
    print(f"{'FAILED ' if differences else 'ok     '} {asked} random questions beside PostgreSQL, to seed {seed}")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
