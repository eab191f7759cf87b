-- An order is a saga: reserve the goods, charge the customer, ship the parcel. Each step is a command that looks at the step before; what has to be undone
-- when a step does not come is scheduled with the step before it, and cancelled by the step itself, in the same step of the log.
--
--   reserve ──────────── charge ──────────── ship
--      │ 15 minutes         │ 2 days
--      └─ released          └─ refunded            give_up does either at once

CREATE STREAM deliveries (
  item     TEXT NOT NULL,
  quantity INTEGER NOT NULL
) KEY (item);

CREATE STREAM orders (
  order_id TEXT NOT NULL,
  kind     TEXT NOT NULL,                -- reserved, charged, shipped, or what undoes it: released, refunded
  item     TEXT NOT NULL,
  quantity INTEGER NOT NULL,
  note     TEXT                          -- the receipt, the parcel's number, or why
) KEY (order_id);

CREATE MATERIALIZED VIEW delivered STORED AS document AS
SELECT item, sum(quantity) AS quantity FROM deliveries GROUP BY item;

-- What orders hold of each item: what was undone is free again.
CREATE MATERIALIZED VIEW held STORED AS document AS
SELECT item,
       sum(CASE kind WHEN 'reserved' THEN quantity WHEN 'released' THEN -quantity WHEN 'refunded' THEN -quantity ELSE 0 END) AS quantity
FROM orders GROUP BY item;

CREATE MATERIALIZED VIEW order_states STORED AS document AS
SELECT order_id, max(item) AS item, max(quantity) AS quantity,
       bool_or(kind = 'charged') AS charged, bool_or(kind = 'shipped') AS shipped, bool_or(kind IN ('released', 'refunded')) AS undone
FROM orders GROUP BY order_id;

CREATE COMMAND reserve (order_id TEXT, item TEXT, quantity INTEGER)
REQUIRE quantity > 0 ELSE 'the quantity must be positive'
REQUIRE NOT EXISTS (SELECT 1 FROM order_states s WHERE s.order_id = reserve.order_id) ELSE 'there is such an order already'
REQUIRE (SELECT d.quantity FROM delivered d WHERE d.item = reserve.item)
      - coalesce((SELECT h.quantity FROM held h WHERE h.item = reserve.item), 0) >= quantity
        ELSE 'not enough in stock'
INTO orders AS SELECT order_id, 'reserved' AS kind, item, quantity, NULL AS note,
INTO orders AFTER '15 minutes' NAMED 'release ' || order_id
            AS SELECT order_id, 'released' AS kind, item, quantity, 'not paid in time' AS note;

CREATE COMMAND charge (order_id TEXT, receipt TEXT)
REQUIRE EXISTS (SELECT 1 FROM order_states s WHERE s.order_id = charge.order_id) ELSE 'there is no such order'
REQUIRE (SELECT NOT s.undone FROM order_states s WHERE s.order_id = charge.order_id) ELSE 'the order was given up'
REQUIRE (SELECT NOT s.charged FROM order_states s WHERE s.order_id = charge.order_id) ELSE 'the order is paid already'
CANCEL 'release ' || order_id,
INTO orders AS SELECT s.order_id, 'charged' AS kind, s.item, s.quantity, receipt AS note FROM order_states s WHERE s.order_id = charge.order_id,
INTO orders AFTER '2 days' NAMED 'refund ' || order_id
            AS SELECT s.order_id, 'refunded' AS kind, s.item, s.quantity, 'not shipped in time' AS note FROM order_states s WHERE s.order_id = charge.order_id;

CREATE COMMAND ship (order_id TEXT, parcel TEXT)
REQUIRE (SELECT s.charged AND NOT s.undone AND NOT s.shipped FROM order_states s WHERE s.order_id = ship.order_id) ELSE 'the order is not to be shipped'
CANCEL 'refund ' || order_id,
INTO orders AS SELECT s.order_id, 'shipped' AS kind, s.item, s.quantity, parcel AS note FROM order_states s WHERE s.order_id = ship.order_id;

-- The compensation by hand: whatever step it has come to.
CREATE COMMAND give_up (order_id TEXT, reason TEXT)
REQUIRE (SELECT NOT s.undone AND NOT s.shipped FROM order_states s WHERE s.order_id = give_up.order_id) ELSE 'there is nothing to give up'
CANCEL 'release ' || order_id,
CANCEL 'refund ' || order_id,
INTO orders AS SELECT s.order_id, CASE WHEN s.charged THEN 'refunded' ELSE 'released' END AS kind, s.item, s.quantity, reason AS note
               FROM order_states s WHERE s.order_id = give_up.order_id;
