-- What the race is about: money that more people want than there is.

CREATE STREAM ledger (
  account TEXT NOT NULL,
  kind    TEXT NOT NULL,
  amount  DECIMAL(18,2) NOT NULL,
  request TEXT NOT NULL
) KEY (account) WITH (partitions = 4);

CREATE MATERIALIZED VIEW balances STORED AS document AS
SELECT account, sum(CASE kind WHEN 'deposit' THEN amount ELSE -amount END) AS balance
FROM ledger
GROUP BY account;

CREATE COMMAND withdraw (account TEXT, amount DECIMAL(18,2), request TEXT)
INTO ledger
REQUIRE (SELECT balance FROM balances b WHERE b.account = withdraw.account) >= amount ELSE 'insufficient funds' CODE 'insufficient_funds'
AS SELECT account, 'withdrawal' AS kind, amount, request;
