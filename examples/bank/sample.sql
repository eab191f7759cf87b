-- Ten months of the bank's transactions: 3,000 events over 8 accounts, from a seed, the same every time.
-- The first eight open the accounts with 1,000.00 each; of the others three in five are deposits.

INSERT INTO transactions (account, kind, amount, teller, booked_on)
SELECT
  CASE pick % 8
    WHEN 0 THEN 'BradA' WHEN 1 THEN 'CleoB' WHEN 2 THEN 'DanaC' WHEN 3 THEN 'EmilD'
    WHEN 4 THEN 'FaroE' WHEN 5 THEN 'GinaF' WHEN 6 THEN 'HugoG' ELSE 'InesH'
  END AS account,
  CASE WHEN n <= 8 OR dice % 5 < 3 THEN 'deposit' ELSE 'withdrawal' END AS kind,
  CAST(CASE WHEN n <= 8 THEN 100000 ELSE 100 + dice % 20000 END AS DECIMAL(18,2)) / 100 AS amount,
  CASE WHEN dice % 2 = 0 THEN 'ann' ELSE 'bob' END AS teller,
  -- From 2026-01-01 to 2026-10-31, a little more than two hours apart.
  CAST(to_timestamp_seconds(1767225600 + (n - 1) * 8755) AS DATE) AS booked_on
FROM (
  SELECT n, dice, CASE WHEN n <= 8 THEN n - 1 ELSE dice / 7 END AS pick
  -- A linear congruential generator's step (Numerical Recipes), its high bits; 42 is the seed.
  FROM (
    SELECT n, ((n + 42) * 1664525 * 1013904223 + 1013904223) % 4294967296 / 65536 AS dice
    FROM generate_series(1, 3000) AS numbers(n)
  ) AS rolled
) AS picked
ORDER BY n;
