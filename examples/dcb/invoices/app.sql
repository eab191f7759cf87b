-- Invoices are numbered from 1 on, without a gap.

CREATE STREAM invoices (
  number   BIGINT NOT NULL,
  customer TEXT NOT NULL,
  amount   DECIMAL(18,2) NOT NULL
) KEY (number);

-- One row: every new invoice changes it, so that invoices are numbered one after another.
CREATE MATERIALIZED VIEW numbers STORED AS document AS
SELECT count(*) AS invoices, max(number) AS last
FROM invoices;

CREATE COMMAND create_invoice (customer TEXT, amount DECIMAL(18,2))
INTO invoices
REQUIRE amount > 0 ELSE 'an invoice is for more than nothing' CODE 'no_amount'
AS SELECT coalesce((SELECT n.last FROM numbers n), 0) + 1 AS number, customer, amount;
