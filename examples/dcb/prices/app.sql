-- What is bought costs what was shown. Prices change at any time; one that was shown up to ten minutes ago still holds.

CREATE STREAM prices (
  product TEXT NOT NULL,
  price   DECIMAL(18,2) NOT NULL
) KEY (product);

-- An order of several products is one line for each, all or none.
CREATE STREAM orders (
  order_id TEXT NOT NULL,
  product  TEXT NOT NULL,
  price    DECIMAL(18,2) NOT NULL
) KEY (order_id) TAGS (product);

-- A price holds from when it was set until ten minutes after the next one was.
CREATE VIEW valid AS
SELECT product, price
FROM (
  SELECT product, price, lead(_appended_at) OVER (PARTITION BY product ORDER BY _appended_at, _offset) AS changed_at
  FROM prices
) AS history
WHERE changed_at IS NULL OR changed_at >= now() - INTERVAL '10 minutes';

CREATE COMMAND set_price (product TEXT, price DECIMAL(18,2))
INTO prices
REQUIRE price >= 0 ELSE 'a price is not below zero' CODE 'price_below_zero'
AS SELECT product, price;

CREATE COMMAND order_product (order_id TEXT, product TEXT, shown DECIMAL(18,2))
INTO orders
REQUIRE EXISTS (SELECT 1 FROM valid v WHERE v.product = order_product.product AND v.price = order_product.shown) ELSE 'the price holds no longer' CODE 'price_changed'
AS SELECT order_id, product, shown AS price;

CREATE COMMAND order_two (order_id TEXT, product TEXT, shown DECIMAL(18,2), other TEXT, other_shown DECIMAL(18,2))
INTO orders
REQUIRE EXISTS (SELECT 1 FROM valid v WHERE v.product = order_two.product AND v.price = order_two.shown) ELSE 'the price holds no longer' CODE 'price_changed'
REQUIRE EXISTS (SELECT 1 FROM valid v WHERE v.product = order_two.other AND v.price = order_two.other_shown) ELSE 'the price holds no longer' CODE 'price_changed'
AS VALUES (order_id, product, shown), (order_id, other, other_shown);
