-- The queries of Nexmark, each as it is written elsewhere where our language takes it so, else in steps: what follows from one event is a pipeline,
-- what gathers events is a materialized view, and what joins or ranks whole views is a plain view, computed when it is asked.

-- q0 as it passes by
CREATE STREAM q0 AS SELECT auction, bidder, price, date_time, extra FROM bid;

-- q1 in another currency
CREATE STREAM q1 AS SELECT auction, bidder, CAST(price AS DECIMAL(15, 0)) * 0.908 AS price, date_time, extra FROM bid;

-- q2 of some auctions
CREATE STREAM q2 AS SELECT auction, price FROM bid WHERE auction % 123 = 0;

-- q3 sellers in three states
CREATE STREAM q3 AS SELECT p.name, p.city, p.state, a.id FROM auction a JOIN people p ON p.id = a.seller
WHERE a.category = 10 AND p.state IN ('or', 'id', 'ca');

-- q4 average price of a category, as it is written elsewhere
CREATE MATERIALIZED VIEW q4_at_once STORED AS document AS
SELECT category, avg(final) AS average FROM (
  SELECT a.id, a.category, max(b.price) AS final FROM auction a JOIN bid b ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires
  GROUP BY a.id, a.category) AS final GROUP BY category;

-- q4 in steps
CREATE STREAM bids_in_time KEY (auction) AS SELECT b.auction, a.category, a.seller, a.expires, b.price FROM bid b
JOIN auctions a ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires;
CREATE MATERIALIZED VIEW final_prices STORED AS document AS
SELECT auction, category, seller, expires, max(price) AS final FROM bids_in_time GROUP BY auction, category, seller, expires;
CREATE VIEW q4 AS SELECT category, avg(final) AS average FROM final_prices GROUP BY category;

-- q5 auctions with the most bids of ten seconds, as it is written elsewhere
CREATE MATERIALIZED VIEW q5_at_once STORED AS document AS
SELECT auction, num FROM (
  SELECT auction, date_bin(INTERVAL '2 seconds', date_time) AS slice, count(*) AS num,
    rank() OVER (PARTITION BY date_bin(INTERVAL '2 seconds', date_time) ORDER BY count(*) DESC) AS place
  FROM bid GROUP BY auction, date_bin(INTERVAL '2 seconds', date_time)) AS counted WHERE place = 1;

-- q5 in steps
CREATE MATERIALIZED VIEW bids_by_slice STORED AS document AS
SELECT date_bin(INTERVAL '2 seconds', date_time) AS slice, auction, count(*) AS num FROM bid GROUP BY 1, 2;
CREATE VIEW q5 AS SELECT start, auction, num FROM (
  SELECT start, auction, num, rank() OVER (PARTITION BY start ORDER BY num DESC) AS place FROM (
    SELECT s.slice - h.back AS start, s.auction, sum(s.num) AS num
    FROM bids_by_slice s CROSS JOIN (VALUES (INTERVAL '0 seconds'), (INTERVAL '2 seconds'), (INTERVAL '4 seconds'), (INTERVAL '6 seconds'),
      (INTERVAL '8 seconds')) AS h (back) GROUP BY 1, 2) AS windows) AS ranked WHERE place = 1;

-- q6 average price of a seller's last ten auctions, as it is written elsewhere
CREATE MATERIALIZED VIEW q6_at_once STORED AS document AS
SELECT seller, avg(final) OVER (PARTITION BY seller ORDER BY expires ROWS BETWEEN 10 PRECEDING AND CURRENT ROW) AS average
FROM (SELECT auction AS seller, price AS final, date_time AS expires FROM bid) AS sold;

-- q6 over the view of q4
CREATE VIEW q6 AS SELECT seller, avg(final) AS average FROM (
  SELECT seller, final, row_number() OVER (PARTITION BY seller ORDER BY expires DESC) AS place FROM final_prices) AS sold
WHERE place <= 10 GROUP BY seller;

-- q7 highest bid of ten seconds, as it is written elsewhere
CREATE MATERIALIZED VIEW q7_at_once STORED AS document AS
SELECT b.auction, b.price, b.bidder FROM bid b
JOIN (SELECT date_bin(INTERVAL '10 seconds', date_time) AS start, max(price) AS price FROM bid GROUP BY 1) AS highest
ON b.price = highest.price AND date_bin(INTERVAL '10 seconds', b.date_time) = highest.start;

-- q7 in steps
CREATE MATERIALIZED VIEW highest_bids STORED AS document AS
SELECT date_bin(INTERVAL '10 seconds', date_time) AS start, max(price) AS price FROM bid GROUP BY 1;
CREATE VIEW q7 AS SELECT b.auction, b.price, b.bidder FROM bid b
JOIN highest_bids h ON b.price = h.price AND date_bin(INTERVAL '10 seconds', b.date_time) = h.start;

-- q8 new persons who sell
CREATE STREAM q8 AS SELECT p.id, p.name, date_bin(INTERVAL '10 seconds', a.date_time) AS start FROM auction a
JOIN people p ON p.id = a.seller AND date_bin(INTERVAL '10 seconds', p.date_time) = date_bin(INTERVAL '10 seconds', a.date_time);
