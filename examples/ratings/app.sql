-- A shop's ratings: only who bought an item may rate it, and once. One stream of ratings, and from it every shape that a page of the shop needs.

-- What is sold. A newer event about an item takes the place of the one before it; a tombstone takes the item out of the shop.
CREATE STREAM catalogue (
  item     TEXT NOT NULL,
  title    TEXT NOT NULL,
  category TEXT
) KEY (item) WITH (partitions = 4);

CREATE STREAM purchases (
  customer TEXT NOT NULL,
  item     TEXT NOT NULL,
  price    DECIMAL(18,2) NOT NULL
) KEY (customer) WITH (partitions = 4);

CREATE STREAM ratings (
  item     TEXT NOT NULL,
  customer TEXT NOT NULL,
  stars    DECIMAL(2,1) NOT NULL,
  comment  TEXT,
  paid     DECIMAL(18,2)
) KEY (item) WITH (partitions = 4);

-- The newest of each item.
CREATE MATERIALIZED VIEW items STORED AS document KEY (item) AS
SELECT item, title, category FROM catalogue;

-- Who bought what: one row for each customer and item.
CREATE MATERIALIZED VIEW bought STORED AS document AS
SELECT customer, item, count(*) AS times, max(price) AS highest_price
FROM purchases GROUP BY customer, item;

-- What an item's page shows: the item and its ratings together, the newest first. A page of them is asked for: entries[1:20].
CREATE MATERIALIZED VIEW item_ratings STORED AS document AS
SELECT item, count(*) AS ratings, avg(stars) AS average, min(stars) AS worst, last_value(comment) IGNORE NULLS AS last_comment,
       count(DISTINCT customer) AS customers,
       array_agg(named_struct('customer', customer, 'stars', stars, 'comment', comment, 'at', _timestamp) ORDER BY _appended_at DESC) AS entries
FROM ratings GROUP BY item;

-- Searching titles.
CREATE MATERIALIZED VIEW titles STORED AS search (title TEXT 'english', category KEYWORD) KEY (item) AS
SELECT item, title, category FROM catalogue;

-- Who rated what: edges from customers to items.
CREATE MATERIALIZED VIEW rated STORED AS graph (SOURCE customer, DESTINATION item) AS
SELECT customer, item, max(stars) AS stars
FROM ratings GROUP BY customer, item;

CREATE PROPERTY GRAPH shop
  VERTEX TABLES (items KEY (item) LABEL item)
  EDGE TABLES (rated SOURCE KEY (customer) REFERENCES customers (customer) DESTINATION KEY (item) REFERENCES items (item) LABEL rated);

-- Every rating for those who analyse: a Delta Lake table, one folder a month.
CREATE MATERIALIZED VIEW history STORED AS columnar PARTITIONED BY (month) AS
SELECT item, customer, stars, comment, _timestamp AS rated_at, date_trunc('month', _timestamp) AS month FROM ratings;

-- The standings, in memory, for the front page.
CREATE MATERIALIZED VIEW standings STORED AS memory AS
SELECT item, count(*) AS ratings, avg(stars) AS average FROM ratings GROUP BY item;

CREATE VIEW top_list AS
SELECT s.item, i.title, s.ratings, s.average
FROM standings s LEFT JOIN items i ON i.item = s.item
WHERE s.ratings >= 3
ORDER BY s.average DESC, s.ratings DESC, s.item LIMIT 10;

CREATE COMMAND buy_item (customer TEXT NOT NULL, item TEXT NOT NULL, price DECIMAL(18,2) NOT NULL CHECK (price >= 0))
INTO purchases AS SELECT customer, item, price;

-- Two rows are looked at, one of each view; a purchase or a rating of anybody else, or of another item, is in nobody's way.
CREATE COMMAND rate_item (customer TEXT NOT NULL, item TEXT NOT NULL, stars DECIMAL(2,1) NOT NULL CHECK (stars BETWEEN 0.5 AND 5), comment TEXT DEFAULT NULL)
LET paid = (SELECT highest_price FROM bought b WHERE b.customer = rate_item.customer AND b.item = rate_item.item)
REQUIRE paid IS NOT NULL ELSE '{customer} did not buy {item}' CODE 'not_bought'
REQUIRE NOT EXISTS (SELECT 1 FROM rated r WHERE r.customer = rate_item.customer AND r.item = rate_item.item)
  ELSE '{customer} rated {item} before' CODE 'rated_before'
INTO ratings AS SELECT item, customer, stars, comment, paid;
