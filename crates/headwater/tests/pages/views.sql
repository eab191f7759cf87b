-- What the page about views takes as given: streams that it names, and does not define.

CREATE STREAM deposits (account TEXT NOT NULL, amount DECIMAL(18,2) NOT NULL) KEY (account);
CREATE STREAM transfers (payer TEXT NOT NULL, amount DECIMAL(18,2) NOT NULL) KEY (payer);

CREATE STREAM purchases (customer TEXT NOT NULL, item TEXT NOT NULL) KEY (customer);
CREATE STREAM item_events (id TEXT NOT NULL, title TEXT) KEY (id);
CREATE MATERIALIZED VIEW items STORED AS document KEY (id) AS SELECT id, title FROM item_events;

CREATE STREAM ratings (item TEXT NOT NULL, stars BIGINT) KEY (item);
CREATE STREAM product_events (item TEXT NOT NULL, title TEXT, category TEXT) KEY (item);
CREATE MATERIALIZED VIEW products STORED AS document KEY (item) AS SELECT item, title, category FROM product_events;

CREATE STREAM transactions (account TEXT NOT NULL, amount DECIMAL(18,2) NOT NULL) KEY (account);
CREATE MATERIALIZED VIEW balances STORED AS document AS SELECT account, sum(amount) AS balance FROM transactions GROUP BY account;
