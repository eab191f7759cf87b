-- What is measured: an account's events, and decisions on its balance.

CREATE STREAM ledger (
  account TEXT NOT NULL,
  kind    TEXT NOT NULL,
  amount  DECIMAL(18,2) NOT NULL
) KEY (account) WITH (partitions = 4);

CREATE MATERIALIZED VIEW balances STORED AS document AS
SELECT account, sum(CASE kind WHEN 'deposit' THEN amount ELSE -amount END) AS balance
FROM ledger
GROUP BY account;

CREATE COMMAND withdraw (account TEXT, amount DECIMAL(18,2))
INTO ledger
REQUIRE (SELECT balance FROM balances b WHERE b.account = withdraw.account) >= amount ELSE 'insufficient funds'
AS SELECT account, 'withdrawal' AS kind, amount;
