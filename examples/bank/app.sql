-- A bank: what was paid in and out is the truth, a balance is what follows from it.

-- Every transaction, never changed. Events of one account keep their order; booked_on is when the bank says it happened.
CREATE STREAM transactions (
  account   TEXT NOT NULL,
  kind      TEXT NOT NULL,
  amount    DECIMAL(18,2) NOT NULL,
  teller    TEXT,
  booked_on DATE NOT NULL
) KEY (account) TIME (booked_on)
WITH (partitions = 4, format = 'json', retention = 'forever');

-- The balance of each account, kept up to date with every event.
CREATE MATERIALIZED VIEW balances STORED AS document AS
SELECT account,
       sum(CASE kind WHEN 'deposit' THEN amount ELSE -amount END) AS balance,
       count(*) AS entries,
       max(booked_on) AS last_booked_on
FROM transactions
GROUP BY account;

-- What may be asked of the bank. A check sees every event that is in the log, and nothing comes between the check and the event.
CREATE COMMAND deposit (account TEXT, amount DECIMAL(18,2), teller TEXT)
INTO transactions
REQUIRE amount > 0 ELSE 'the amount must be positive'
AS SELECT account, 'deposit' AS kind, amount, teller, current_date AS booked_on;

CREATE COMMAND withdraw (account TEXT, amount DECIMAL(18,2), teller TEXT)
INTO transactions
REQUIRE amount > 0 ELSE 'the amount must be positive'
REQUIRE (SELECT balance FROM balances b WHERE b.account = withdraw.account) >= amount ELSE 'insufficient funds' CODE 'insufficient_funds'
AS SELECT account, 'withdrawal' AS kind, amount, teller, current_date AS booked_on;

-- One account is checked, two events are appended: both or none.
CREATE COMMAND transfer (giver TEXT NOT NULL, taker TEXT NOT NULL, amount DECIMAL(18,2) NOT NULL CHECK (amount > 0), teller TEXT DEFAULT NULL)
LET balance = (SELECT balance FROM balances b WHERE b.account = transfer.giver)
REQUIRE giver <> taker ELSE 'giver and taker are one account' CODE 'same_account'
REQUIRE balance >= amount ELSE '{giver} has {balance}, and {amount} is more' CODE 'insufficient_funds'
INTO transactions AS VALUES (giver, 'withdrawal', amount, teller, current_date), (taker, 'deposit', amount, teller, current_date);
