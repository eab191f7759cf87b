-- A shop's ratings: only who bought an item may rate it, and once.

CREATE STREAM purchases (
  customer TEXT NOT NULL,
  item     TEXT NOT NULL,
  price    DECIMAL(18,2) NOT NULL
) KEY (customer) WITH (partitions = 4);

CREATE STREAM ratings (
  item     TEXT NOT NULL,
  customer TEXT NOT NULL,
  stars    INTEGER NOT NULL,
  comment  TEXT,
  paid     DECIMAL(18,2)
) KEY (item) WITH (partitions = 4);

-- Who bought what: one row for each customer and item.
CREATE MATERIALIZED VIEW bought STORED AS document AS
SELECT customer, item, count(*) AS times, max(price) AS highest_price
FROM purchases GROUP BY customer, item;

-- Who rated what.
CREATE MATERIALIZED VIEW rated STORED AS document AS
SELECT customer, item, max(stars) AS stars
FROM ratings GROUP BY customer, item;

-- What an item's page shows.
CREATE MATERIALIZED VIEW item_ratings STORED AS document AS
SELECT item, count(*) AS ratings, avg(stars) AS average, min(stars) AS worst
FROM ratings GROUP BY item;

CREATE COMMAND buy_item (customer TEXT NOT NULL, item TEXT NOT NULL, price DECIMAL(18,2) NOT NULL CHECK (price >= 0))
INTO purchases AS SELECT customer, item, price;

-- Two rows are looked at, one of each view; a purchase or a rating of anybody else, or of another item, is in nobody's way.
CREATE COMMAND rate_item (customer TEXT NOT NULL, item TEXT NOT NULL, stars INTEGER NOT NULL CHECK (stars BETWEEN 1 AND 5), comment TEXT DEFAULT NULL)
LET paid = (SELECT highest_price FROM bought b WHERE b.customer = rate_item.customer AND b.item = rate_item.item)
REQUIRE paid IS NOT NULL ELSE '{customer} did not buy {item}' CODE 'not_bought'
REQUIRE NOT EXISTS (SELECT 1 FROM rated r WHERE r.customer = rate_item.customer AND r.item = rate_item.item)
  ELSE '{customer} rated {item} before' CODE 'rated_before'
INTO ratings AS SELECT item, customer, stars, comment, paid;
