-- What the services beside this file stand on. They decide and act in languages of their own; the log keeps what they may rely on.

-- decide.py and decide.ts: an account is never overdrawn.
CREATE STREAM accounts (
  account TEXT NOT NULL,
  kind    TEXT NOT NULL,                 -- deposit or withdrawal
  amount  DECIMAL(18,2) NOT NULL
) KEY (account);

CREATE MATERIALIZED VIEW balances STORED AS document AS
SELECT account, sum(CASE kind WHEN 'deposit' THEN amount ELSE -amount END) AS balance
FROM accounts GROUP BY account;

-- react.py: every order is charged once, and what became of it is an event again.
CREATE STREAM orders (
  order_id TEXT NOT NULL,
  amount   DECIMAL(18,2) NOT NULL
) KEY (order_id);

CREATE STREAM payments (
  order_id TEXT NOT NULL,
  receipt  TEXT NOT NULL
) KEY (order_id);

CREATE MATERIALIZED VIEW paid STORED AS document AS
SELECT order_id, count(*) AS receipts FROM payments GROUP BY order_id;

CREATE COMMAND record_payment (order_id TEXT, receipt TEXT)
INTO payments AS SELECT order_id, receipt;
