-- Orders of a shop whose schema changed twice. The events of the first day are still there as they were written; this file says how they are read.

-- As it was on the first day: whole cents, and one text for the customer.
CREATE STREAM orders (
  id       TEXT NOT NULL,
  cents    INTEGER NOT NULL,
  customer TEXT NOT NULL
) KEY (id)
WITH (partitions = 4);

-- The first change, version 2: orders come from several countries. Those from before came from one.
ALTER STREAM orders
  ADD COLUMN country TEXT NOT NULL DEFAULT 'at',
  ALTER COLUMN cents TYPE BIGINT;

-- The second change, version 3: money has a currency, and a customer an address. The old orders were in euros, and their customer was written
-- 'Ann <ann@example.org>'. Test orders, of no cents, are left out for good.
ALTER STREAM orders UPCAST FROM VERSION 2
  TO (
    id       TEXT NOT NULL,
    amount   DECIMAL(18,2) NOT NULL,
    currency TEXT NOT NULL DEFAULT 'eur',
    name     TEXT NOT NULL,
    email    TEXT,
    country  TEXT NOT NULL
  )
  AS SELECT id,
            cents / 100.0 AS amount,
            trim(split_part(customer, '<', 1)) AS name,
            nullif(trim(split_part(split_part(customer, '<', 2), '>', 1)), '') AS email,
            country
     WHERE cents > 0;

-- What each country brought, over all orders that there ever were.
CREATE MATERIALIZED VIEW turnover STORED AS document AS
SELECT country, currency, sum(amount) AS amount, count(*) AS orders
FROM orders
GROUP BY country, currency;

-- What a customer has ordered.
CREATE MATERIALIZED VIEW customers STORED AS document AS
SELECT name, max(email) AS email, count(*) AS orders
FROM orders
GROUP BY name;

-- Which orders there are: an order's number is given once.
CREATE MATERIALIZED VIEW placed STORED AS document AS
SELECT id, count(*) AS times
FROM orders
GROUP BY id;

CREATE COMMAND place_order (id TEXT, amount DECIMAL(18,2), currency TEXT, name TEXT, email TEXT, country TEXT)
INTO orders
REQUIRE amount > 0 ELSE 'an order costs something'
REQUIRE (SELECT count(*) FROM placed p WHERE p.id = place_order.id) = 0 ELSE 'there is an order of that number'
AS SELECT id, amount, currency, name, email, country;
