-- A small shop: 40 items, 60 customers, 1,500 ratings, from a seed, the same every time.

INSERT INTO catalogue (item, title, category)
SELECT 'i' || n,
  CASE n % 5 WHEN 0 THEN 'Red' WHEN 1 THEN 'Blue' WHEN 2 THEN 'Grey' WHEN 3 THEN 'Striped' ELSE 'Old' END || ' ' ||
  CASE n % 4 WHEN 0 THEN 'wool scarf' WHEN 1 THEN 'felt hat' WHEN 2 THEN 'café mug' ELSE 'leather gloves' END,
  CASE n % 4 WHEN 2 THEN 'kitchen' ELSE 'clothing' END
FROM generate_series(1, 40) AS numbers(n) ORDER BY n;

INSERT INTO ratings (item, customer, stars, comment, paid)
SELECT 'i' || (1 + n % 40), 'c' || (1 + dice / 7 % 60),
  CAST(1 + (dice + n % 40) % 9 AS DECIMAL(2,1)) / 2 + 0.5,
  CASE dice % 3 WHEN 0 THEN 'as shown' WHEN 1 THEN 'came late' ELSE NULL END,
  CAST(5 + dice % 95 AS DECIMAL(18,2))
FROM (
  -- A linear congruential generator's step (Numerical Recipes), its high bits; 42 is the seed.
  SELECT n, ((n + 42) * 1664525 * 1013904223 + 1013904223) % 4294967296 / 65536 AS dice
  FROM generate_series(1, 1500) AS numbers(n)
) AS rolled ORDER BY n;
