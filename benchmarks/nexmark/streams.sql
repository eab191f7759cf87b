-- The three streams of Nexmark, and the views that other queries look persons and auctions up in.
CREATE STREAM person (id BIGINT NOT NULL, name TEXT NOT NULL, email_address TEXT NOT NULL, credit_card TEXT NOT NULL, city TEXT NOT NULL,
  state TEXT NOT NULL, date_time TIMESTAMPTZ NOT NULL, extra TEXT NOT NULL) KEY (id) WITH (partitions = 1);
CREATE STREAM auction (id BIGINT NOT NULL, item_name TEXT NOT NULL, description TEXT NOT NULL, initial_bid BIGINT NOT NULL, reserve BIGINT NOT NULL,
  date_time TIMESTAMPTZ NOT NULL, expires TIMESTAMPTZ NOT NULL, seller BIGINT NOT NULL, category BIGINT NOT NULL, extra TEXT NOT NULL)
  KEY (id) WITH (partitions = 1);
CREATE STREAM bid (auction BIGINT NOT NULL, bidder BIGINT NOT NULL, price BIGINT NOT NULL, channel TEXT NOT NULL, url TEXT NOT NULL,
  date_time TIMESTAMPTZ NOT NULL, extra TEXT NOT NULL) KEY (auction) WITH (partitions = 1);
CREATE MATERIALIZED VIEW people STORED AS document KEY (id) AS SELECT id, name, city, state, date_time FROM person;
CREATE MATERIALIZED VIEW auctions STORED AS document KEY (id) AS SELECT id, seller, category, date_time, expires FROM auction;
