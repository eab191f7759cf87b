-- An order that is sent twice is placed once: it carries a token that its sender made up.
-- (A command that is called with an Idempotency-Key has this from Headwater itself; here the token is part of the event.)

CREATE STREAM orders (
  order_id TEXT NOT NULL,
  token    TEXT NOT NULL,
  product  TEXT NOT NULL
) KEY (order_id) TAGS (token);

CREATE MATERIALIZED VIEW tokens STORED AS document AS
SELECT token, count(*) AS orders
FROM orders
GROUP BY token;

CREATE COMMAND place_order (order_id TEXT, token TEXT, product TEXT)
INTO orders
REQUIRE NOT EXISTS (SELECT 1 FROM tokens t WHERE t.token = place_order.token) ELSE 'the order was placed already' CODE 'already_placed'
AS SELECT order_id, token, product;
