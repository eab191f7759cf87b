-- Names that differ in signs and capitals alone, columns of every type, and a command with all that a parameter may have.
CREATE STREAM transactions (
  account TEXT NOT NULL,
  kind    TEXT NOT NULL,
  amount  DECIMAL(18,2) NOT NULL,
  teller  TEXT
) KEY (account) KIND (kind) TAGS (teller) WITH (partitions = 2);
CREATE STREAM notes;
CREATE STREAM "Order.events" (id BIGINT NOT NULL, note JSON, seal BYTEA, at TIMESTAMPTZ, open BOOLEAN, weight DOUBLE PRECISION, day DATE) KEY (id);
CREATE STREAM "order-events" (id BIGINT NOT NULL) KEY (id);
CREATE STREAM order_events (id BIGINT NOT NULL) KEY (id);
CREATE STREAM entity_of_notes;

CREATE MATERIALIZED VIEW balances STORED AS document AS
SELECT account, sum(CASE kind WHEN 'deposit' THEN amount ELSE -amount END) AS balance, count(*) AS entries, max(_timestamp) AS at
FROM transactions GROUP BY account;
CREATE MATERIALIZED VIEW "by.kind" STORED AS document AS
SELECT account, kind, count(*) AS entries FROM transactions GROUP BY account, kind;
CREATE MATERIALIZED VIEW by_kind STORED AS document AS SELECT kind, count(*) AS entries FROM transactions GROUP BY kind;

CREATE COMMAND withdraw (account TEXT NOT NULL, amount DECIMAL(18,2) NOT NULL CHECK (amount > 0), teller TEXT DEFAULT 'ann', at DATE DEFAULT current_date)
LET balance = (SELECT b.balance FROM balances b WHERE b.account = withdraw.account)
REQUIRE balance >= amount ELSE 'insufficient funds: {balance}' CODE 'insufficient_funds'
INTO transactions AS SELECT account, 'withdrawal' AS kind, amount, teller;
CREATE COMMAND remind (account TEXT NOT NULL, note JSON)
INTO transactions AFTER INTERVAL '1 day' NAMED 'remind ' || account AS SELECT account, 'reminder' AS kind, json_array_length(note) AS amount;
