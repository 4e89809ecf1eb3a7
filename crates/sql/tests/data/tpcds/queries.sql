-- d01: items of one manager by year and brand: fact, date, item
SELECT d_year, i_brand_id, i_brand, sum(ss_ext_sales_price) AS total
FROM store_sales JOIN date_dim ON d_date_sk = ss_sold_date_sk JOIN item ON i_item_sk = ss_item_sk
WHERE i_manager_id BETWEEN 1 AND 40 AND d_moy = 11
GROUP BY d_year, i_brand_id, i_brand
ORDER BY d_year, total DESC, i_brand_id
LIMIT 100;

-- d02: customers who return more than others of their state (correlated)
WITH returned AS (
  SELECT sr_customer_sk AS customer, sr_store_sk AS store, sum(sr_return_amt) AS amount
  FROM store_returns JOIN date_dim ON sr_returned_date_sk = d_date_sk
  WHERE d_year BETWEEN 1999 AND 2002
  GROUP BY sr_customer_sk, sr_store_sk)
SELECT c_customer_id, r.amount
FROM returned r JOIN store ON s_store_sk = r.store JOIN customer ON c_customer_sk = r.customer
WHERE r.amount > (SELECT avg(amount) * 1.5 FROM returned r2 WHERE r2.store = r.store)
ORDER BY c_customer_id, r.amount
LIMIT 100;

-- d03: three channels stacked, with subtotals
WITH sales AS (
  SELECT 'store' AS channel, ss_item_sk AS item, ss_sold_date_sk AS day, ss_ext_sales_price AS price, ss_net_profit AS profit
  FROM store_sales
  UNION ALL
  SELECT 'catalog', cs_item_sk, cs_sold_date_sk, cs_ext_sales_price, cs_net_profit FROM catalog_sales
  UNION ALL
  SELECT 'web', ws_item_sk, ws_sold_date_sk, ws_ext_sales_price, ws_net_profit FROM web_sales)
SELECT channel, i_category, sum(price) AS price, sum(profit) AS profit, count(*) AS n
FROM sales JOIN item ON item = i_item_sk JOIN date_dim ON day = d_date_sk
WHERE d_year = 2000
GROUP BY ROLLUP (channel, i_category)
ORDER BY channel NULLS FIRST, i_category NULLS FIRST, n;

-- d04: who bought in all three channels in one month (INTERSECT)
SELECT count(*) AS n, min(c_last_name) AS first, max(c_last_name) AS last FROM (
  SELECT DISTINCT c_last_name, c_first_name, d_moy FROM store_sales
    JOIN date_dim ON ss_sold_date_sk = d_date_sk JOIN customer ON ss_customer_sk = c_customer_sk WHERE d_year = 2001
  INTERSECT
  SELECT DISTINCT c_last_name, c_first_name, d_moy FROM catalog_sales
    JOIN date_dim ON cs_sold_date_sk = d_date_sk JOIN customer ON cs_bill_customer_sk = c_customer_sk WHERE d_year = 2001
  INTERSECT
  SELECT DISTINCT c_last_name, c_first_name, d_moy FROM web_sales
    JOIN date_dim ON ws_sold_date_sk = d_date_sk JOIN customer ON ws_bill_customer_sk = c_customer_sk WHERE d_year = 2001) AS t;

-- d05: who bought in the store on a day and nowhere else on it (EXCEPT)
SELECT count(*) AS n, sum(c) AS s FROM (
  SELECT ss_customer_sk AS c, ss_sold_date_sk AS d FROM store_sales WHERE ss_customer_sk IS NOT NULL
  EXCEPT
  SELECT cs_bill_customer_sk, cs_sold_date_sk FROM catalog_sales WHERE cs_bill_customer_sk IS NOT NULL
  EXCEPT
  SELECT ws_bill_customer_sk, ws_sold_date_sk FROM web_sales WHERE ws_bill_customer_sk IS NOT NULL) AS t;

-- d06: share of an item in its class (window over an aggregate)
SELECT i_class, i_item_id, sum(ss_ext_sales_price) AS revenue,
  sum(ss_ext_sales_price) * 100.0 / sum(sum(ss_ext_sales_price)) OVER (PARTITION BY i_class) AS share
FROM store_sales JOIN item ON ss_item_sk = i_item_sk JOIN date_dim ON ss_sold_date_sk = d_date_sk
WHERE i_category IN ('Sports', 'Books', 'Home') AND d_date BETWEEN DATE '1999-02-22' AND DATE '1999-06-24'
GROUP BY i_class, i_item_id
ORDER BY i_class NULLS FIRST, i_item_id, share
LIMIT 200;

-- d07: months that differ from their year's mean (window over an aggregate, filtered outside)
WITH monthly AS (
  SELECT i_category, s_store_name, d_year, d_moy, sum(ss_sales_price) AS sales,
    avg(sum(ss_sales_price)) OVER (PARTITION BY i_category, s_store_name, d_year) AS mean,
    rank() OVER (PARTITION BY i_category, s_store_name ORDER BY d_year, d_moy) AS rk
  FROM item JOIN store_sales ON ss_item_sk = i_item_sk JOIN date_dim ON ss_sold_date_sk = d_date_sk
    JOIN store ON ss_store_sk = s_store_sk
  WHERE d_year IN (1999, 2000, 2001)
  GROUP BY i_category, s_store_name, d_year, d_moy)
SELECT a.i_category, a.s_store_name, a.d_year, a.d_moy, a.sales, earlier.sales AS earlier_sales, later.sales AS later_sales
FROM monthly a
  JOIN monthly earlier ON a.i_category = earlier.i_category AND a.s_store_name = earlier.s_store_name AND a.rk = earlier.rk + 1
  JOIN monthly later ON a.i_category = later.i_category AND a.s_store_name = later.s_store_name AND a.rk = later.rk - 1
WHERE a.d_year = 2000 AND a.mean > 0 AND abs(a.sales - a.mean) / a.mean > 0.1
ORDER BY a.i_category, a.s_store_name, a.d_year, a.d_moy
LIMIT 100;

-- d08: sales and returns of the same ticket (two facts)
SELECT i_item_id, s_store_id, count(*) AS n, sum(ss_quantity) AS sold, sum(sr_return_quantity) AS returned,
  sum(ss_net_profit) AS profit, sum(sr_net_loss) AS loss
FROM store_sales JOIN store_returns ON ss_customer_sk = sr_customer_sk AND ss_item_sk = sr_item_sk AND ss_ticket_number = sr_ticket_number
  JOIN item ON i_item_sk = ss_item_sk JOIN store ON s_store_sk = ss_store_sk
GROUP BY i_item_id, s_store_id
ORDER BY i_item_id, s_store_id
LIMIT 100;

-- d09: counts by bands, from one scan each (scalar sub-queries in CASE)
SELECT CASE WHEN (SELECT count(*) FROM store_sales WHERE ss_quantity BETWEEN 1 AND 20) > 500
    THEN (SELECT avg(ss_ext_discount_amt) FROM store_sales WHERE ss_quantity BETWEEN 1 AND 20)
    ELSE (SELECT avg(ss_net_paid) FROM store_sales WHERE ss_quantity BETWEEN 1 AND 20) END AS one,
  CASE WHEN (SELECT count(*) FROM store_sales WHERE ss_quantity BETWEEN 21 AND 40) > 10000000
    THEN (SELECT avg(ss_ext_discount_amt) FROM store_sales WHERE ss_quantity BETWEEN 21 AND 40)
    ELSE (SELECT avg(ss_net_paid) FROM store_sales WHERE ss_quantity BETWEEN 21 AND 40) END AS two
FROM reason WHERE r_reason_sk = 1;

-- d10: customers with a purchase in one channel and in one of two others (EXISTS, OR)
SELECT cd_gender, cd_marital_status, cd_education_status, count(*) AS n
FROM customer c JOIN customer_address ca ON c.c_current_addr_sk = ca.ca_address_sk
  JOIN customer_demographics ON cd_demo_sk = c.c_current_cdemo_sk
WHERE EXISTS (SELECT 1 FROM store_sales JOIN date_dim ON ss_sold_date_sk = d_date_sk
              WHERE c.c_customer_sk = ss_customer_sk AND d_year = 2002)
  AND (EXISTS (SELECT 1 FROM web_sales JOIN date_dim ON ws_sold_date_sk = d_date_sk
               WHERE c.c_customer_sk = ws_bill_customer_sk AND d_year = 2002)
    OR EXISTS (SELECT 1 FROM catalog_sales JOIN date_dim ON cs_sold_date_sk = d_date_sk
               WHERE c.c_customer_sk = cs_ship_customer_sk AND d_year = 2002))
GROUP BY cd_gender, cd_marital_status, cd_education_status
ORDER BY cd_gender, cd_marital_status, cd_education_status
LIMIT 100;

-- d11: customers whose web sales grew faster than their store sales (a CTE used four times)
WITH total AS (
  SELECT c_customer_id AS id, d_year AS year, sum(ss_ext_list_price - ss_ext_discount_amt) AS amount, 's' AS channel
  FROM customer JOIN store_sales ON c_customer_sk = ss_customer_sk JOIN date_dim ON ss_sold_date_sk = d_date_sk
  GROUP BY c_customer_id, d_year
  UNION ALL
  SELECT c_customer_id, d_year, sum(ws_ext_list_price - ws_ext_discount_amt), 'w'
  FROM customer JOIN web_sales ON c_customer_sk = ws_bill_customer_sk JOIN date_dim ON ws_sold_date_sk = d_date_sk
  GROUP BY c_customer_id, d_year)
SELECT s1.id, s1.amount AS s_first, s2.amount AS s_second, w1.amount AS w_first, w2.amount AS w_second
FROM total s1 JOIN total s2 ON s1.id = s2.id JOIN total w1 ON s1.id = w1.id JOIN total w2 ON s1.id = w2.id
WHERE s1.channel = 's' AND s2.channel = 's' AND w1.channel = 'w' AND w2.channel = 'w'
  AND s1.year = 2000 AND s2.year = 2001 AND w1.year = 2000 AND w2.year = 2001
  AND s1.amount > 0 AND w1.amount > 0
  AND w2.amount / w1.amount > s2.amount / s1.amount
ORDER BY s1.id
LIMIT 100;

-- d12: cubes of two columns with grouping()
SELECT i_category, d_year, grouping(i_category) AS gc, grouping(d_year) AS gy, sum(cs_net_profit) AS profit
FROM catalog_sales JOIN item ON cs_item_sk = i_item_sk JOIN date_dim ON cs_sold_date_sk = d_date_sk
WHERE d_year BETWEEN 2000 AND 2002
GROUP BY CUBE (i_category, d_year)
ORDER BY gc, gy, i_category NULLS FIRST, d_year NULLS FIRST;

-- d13: demographic bands joined by OR conditions
SELECT avg(ss_quantity) AS q, avg(ss_ext_sales_price) AS p, avg(ss_ext_wholesale_cost) AS c, sum(ss_ext_wholesale_cost) AS s
FROM store_sales JOIN store ON s_store_sk = ss_store_sk JOIN customer_demographics ON cd_demo_sk = ss_cdemo_sk
  JOIN household_demographics ON hd_demo_sk = ss_hdemo_sk JOIN date_dim ON ss_sold_date_sk = d_date_sk
WHERE d_year BETWEEN 1998 AND 2003
  AND ((cd_marital_status = 'M' AND cd_education_status = 'Advanced Degree' AND ss_sales_price BETWEEN 20.00 AND 150.00 AND hd_dep_count = 3)
    OR (cd_marital_status = 'S' AND cd_education_status = 'College' AND ss_sales_price BETWEEN 10.00 AND 100.00 AND hd_dep_count = 1)
    OR (cd_marital_status = 'W' AND cd_education_status = '2 yr Degree' AND ss_sales_price BETWEEN 50.00 AND 200.00 AND hd_dep_count = 1));

-- d14: brands sold in all channels, and their sales above the mean (INTERSECT in a CTE, HAVING with a sub-query)
WITH everywhere AS (
  SELECT i_brand_id, i_class_id, i_category_id FROM store_sales JOIN item ON ss_item_sk = i_item_sk
  INTERSECT
  SELECT i_brand_id, i_class_id, i_category_id FROM catalog_sales JOIN item ON cs_item_sk = i_item_sk
  INTERSECT
  SELECT i_brand_id, i_class_id, i_category_id FROM web_sales JOIN item ON ws_item_sk = i_item_sk),
mean AS (
  SELECT avg(q * p) AS value FROM (
    SELECT ss_quantity AS q, ss_list_price AS p FROM store_sales UNION ALL
    SELECT cs_quantity, cs_list_price FROM catalog_sales UNION ALL
    SELECT ws_quantity, ws_list_price FROM web_sales) AS x)
SELECT i_brand_id, i_class_id, i_category_id, sum(ss_quantity * ss_list_price) AS sales, count(*) AS n
FROM store_sales JOIN item ON ss_item_sk = i_item_sk
WHERE (i_brand_id, i_class_id, i_category_id) IN (SELECT i_brand_id, i_class_id, i_category_id FROM everywhere)
GROUP BY i_brand_id, i_class_id, i_category_id
HAVING sum(ss_quantity * ss_list_price) > (SELECT value FROM mean)
ORDER BY i_brand_id, i_class_id, i_category_id
LIMIT 100;

-- d15: orders with two items in the same quantity (EXISTS with <>, NOT EXISTS, DISTINCT)
SELECT count(DISTINCT cs_order_number) AS orders, sum(cs_ext_ship_cost) AS shipping, sum(cs_net_profit) AS profit
FROM catalog_sales cs1 JOIN date_dim ON cs1.cs_ship_date_sk = d_date_sk
WHERE d_year BETWEEN 2000 AND 2002
  AND EXISTS (SELECT 1 FROM catalog_sales cs2 WHERE cs1.cs_order_number = cs2.cs_order_number AND cs1.cs_item_sk <> cs2.cs_item_sk AND cs1.cs_quantity = cs2.cs_quantity)
  AND NOT EXISTS (SELECT 1 FROM catalog_returns cr1 WHERE cs1.cs_order_number = cr1.cr_order_number AND cs1.cs_item_sk = cr1.cr_item_sk);

-- d16: spread of quantities, three facts in a chain
SELECT i_item_id, s_state, count(ss_quantity) AS n, avg(ss_quantity) AS mean, stddev_samp(ss_quantity) AS dev,
  count(sr_return_quantity) AS rn, count(cs_quantity) AS cn
FROM store_sales
  JOIN store_returns ON ss_customer_sk = sr_customer_sk AND ss_item_sk = sr_item_sk AND ss_ticket_number = sr_ticket_number
  LEFT JOIN catalog_sales ON sr_customer_sk = cs_bill_customer_sk AND sr_item_sk = cs_item_sk
  JOIN item ON i_item_sk = ss_item_sk JOIN store ON s_store_sk = ss_store_sk
GROUP BY i_item_id, s_state
ORDER BY i_item_id, s_state
LIMIT 100;

-- d17: averages of catalog sales by place (rollup of four)
SELECT i_item_id, ca_country, ca_state, ca_county, avg(cs_quantity) AS q, avg(cs_list_price) AS p, avg(c_birth_year) AS y
FROM catalog_sales JOIN customer_demographics ON cs_bill_cdemo_sk = cd_demo_sk
  JOIN customer ON cs_bill_customer_sk = c_customer_sk JOIN customer_address ON c_current_addr_sk = ca_address_sk
  JOIN item ON cs_item_sk = i_item_sk JOIN date_dim ON cs_sold_date_sk = d_date_sk
WHERE cd_gender = 'F' AND cd_education_status = 'Unknown' AND d_year BETWEEN 1998 AND 2003
GROUP BY ROLLUP (i_item_id, ca_country, ca_state, ca_county)
ORDER BY ca_country NULLS FIRST, ca_state NULLS FIRST, ca_county NULLS FIRST, i_item_id NULLS FIRST, q, p, y NULLS FIRST
LIMIT 100;

-- d18: inventory around a day, before and after (conditional sums, ratio in HAVING)
SELECT w_warehouse_name, i_item_id,
  sum(CASE WHEN d_date < DATE '2000-03-11' THEN inv_quantity_on_hand ELSE 0 END) AS before,
  sum(CASE WHEN d_date >= DATE '2000-03-11' THEN inv_quantity_on_hand ELSE 0 END) AS after
FROM inventory JOIN warehouse ON inv_warehouse_sk = w_warehouse_sk JOIN item ON i_item_sk = inv_item_sk
  JOIN date_dim ON inv_date_sk = d_date_sk
WHERE d_date BETWEEN DATE '2000-02-10' AND DATE '2000-04-10' AND i_current_price BETWEEN 0.99 AND 50
GROUP BY w_warehouse_name, i_item_id
HAVING sum(CASE WHEN d_date < DATE '2000-03-11' THEN inv_quantity_on_hand ELSE 0 END) > 0
ORDER BY w_warehouse_name NULLS FIRST, i_item_id
LIMIT 100;

-- d19: mean inventory, rolled up (four levels)
SELECT i_product_name, i_brand, i_class, i_category, avg(inv_quantity_on_hand) AS qoh
FROM inventory JOIN date_dim ON inv_date_sk = d_date_sk JOIN item ON inv_item_sk = i_item_sk
WHERE d_month_seq BETWEEN 1200 AND 1211
GROUP BY ROLLUP (i_product_name, i_brand, i_class, i_category)
ORDER BY qoh, i_product_name NULLS FIRST, i_brand NULLS FIRST, i_class NULLS FIRST, i_category NULLS FIRST
LIMIT 100;

-- d20: best customers by the frequent items (nested CTEs, IN, scalar maximum)
WITH frequent AS (
  SELECT i_item_sk AS item, count(*) AS n FROM store_sales JOIN item ON ss_item_sk = i_item_sk
  GROUP BY i_item_sk HAVING count(*) > 10),
spent AS (
  SELECT c_customer_sk AS customer, sum(ss_quantity * ss_sales_price) AS amount
  FROM store_sales JOIN customer ON ss_customer_sk = c_customer_sk GROUP BY c_customer_sk),
best AS (
  SELECT customer FROM spent WHERE amount > 0.4 * (SELECT max(amount) FROM spent))
SELECT c_last_name, c_first_name, sum(sales) AS sales FROM (
  SELECT c_last_name, c_first_name, cs_quantity * cs_list_price AS sales
  FROM catalog_sales JOIN customer ON cs_bill_customer_sk = c_customer_sk
  WHERE cs_item_sk IN (SELECT item FROM frequent) AND cs_bill_customer_sk IN (SELECT customer FROM best)
  UNION ALL
  SELECT c_last_name, c_first_name, ws_quantity * ws_list_price
  FROM web_sales JOIN customer ON ws_bill_customer_sk = c_customer_sk
  WHERE ws_item_sk IN (SELECT item FROM frequent) AND ws_bill_customer_sk IN (SELECT customer FROM best)) AS t
GROUP BY c_last_name, c_first_name
ORDER BY c_last_name NULLS FIRST, c_first_name NULLS FIRST, sales
LIMIT 100;

-- d21: the best and the worst items side by side (two ranks joined)
WITH means AS (
  SELECT ss_item_sk AS item, avg(ss_net_profit) AS mean FROM store_sales WHERE ss_store_sk IS NOT NULL GROUP BY ss_item_sk),
up AS (SELECT item, row_number() OVER (ORDER BY mean, item) AS rk FROM means),
down AS (SELECT item, row_number() OVER (ORDER BY mean DESC, item) AS rk FROM means)
SELECT up.rk, worst.i_product_name AS worst, best.i_product_name AS best
FROM up JOIN down ON up.rk = down.rk JOIN item worst ON worst.i_item_sk = up.item JOIN item best ON best.i_item_sk = down.item
WHERE up.rk <= 10
ORDER BY up.rk;

-- d22: web sales by zip or by item (IN or IN)
SELECT ca_zip, ca_city, sum(ws_sales_price) AS total
FROM web_sales JOIN customer ON ws_bill_customer_sk = c_customer_sk JOIN customer_address ON c_current_addr_sk = ca_address_sk
  JOIN item ON ws_item_sk = i_item_sk JOIN date_dim ON ws_sold_date_sk = d_date_sk
WHERE (substr(ca_zip, 1, 2) IN ('85', '86', '88', '35', '60') OR i_item_id IN (SELECT i_item_id FROM item WHERE i_item_sk IN (2, 3, 5, 7, 11, 13, 17, 19, 23, 29)))
  AND d_qoy = 2 AND d_year BETWEEN 1999 AND 2001
GROUP BY ca_zip, ca_city
ORDER BY ca_zip NULLS FIRST, ca_city NULLS FIRST
LIMIT 100;

-- d23: tickets bought in one city by customers of another (derived table, self join of addresses)
SELECT c_last_name, c_first_name, ca_city, bought_city, ss_ticket_number, amt, profit
FROM (SELECT ss_ticket_number, ss_customer_sk, ca_city AS bought_city, sum(ss_coupon_amt) AS amt, sum(ss_net_profit) AS profit
      FROM store_sales JOIN date_dim ON ss_sold_date_sk = d_date_sk JOIN store ON ss_store_sk = s_store_sk
        JOIN household_demographics ON ss_hdemo_sk = hd_demo_sk JOIN customer_address ON ss_addr_sk = ca_address_sk
      WHERE (hd_dep_count = 4 OR hd_vehicle_count = 3) AND d_dow IN (6, 0) AND d_year IN (1999, 2000, 2001)
      GROUP BY ss_ticket_number, ss_customer_sk, ss_addr_sk, ca_city) AS dn
  JOIN customer ON ss_customer_sk = c_customer_sk JOIN customer_address current ON c_current_addr_sk = current.ca_address_sk
WHERE current.ca_city <> bought_city
ORDER BY c_last_name NULLS FIRST, c_first_name NULLS FIRST, ca_city, bought_city, ss_ticket_number
LIMIT 100;

-- d24: running totals of two channels, full outer join of windows
WITH web AS (
  SELECT ws_item_sk AS item, d_date AS day, sum(sum(ws_sales_price)) OVER (PARTITION BY ws_item_sk ORDER BY d_date
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS total
  FROM web_sales JOIN date_dim ON ws_sold_date_sk = d_date_sk WHERE d_month_seq BETWEEN 1200 AND 1203 GROUP BY ws_item_sk, d_date),
store AS (
  SELECT ss_item_sk AS item, d_date AS day, sum(sum(ss_sales_price)) OVER (PARTITION BY ss_item_sk ORDER BY d_date
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS total
  FROM store_sales JOIN date_dim ON ss_sold_date_sk = d_date_sk WHERE d_month_seq BETWEEN 1200 AND 1203 GROUP BY ss_item_sk, d_date)
SELECT * FROM (
  SELECT item, day, web_total, store_total,
    max(web_total) OVER (PARTITION BY item ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS web_most,
    max(store_total) OVER (PARTITION BY item ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS store_most
  FROM (SELECT coalesce(web.item, store.item) AS item, coalesce(web.day, store.day) AS day, web.total AS web_total, store.total AS store_total
        FROM web FULL OUTER JOIN store ON web.item = store.item AND web.day = store.day) AS x) AS y
WHERE web_most > store_most
ORDER BY item, day
LIMIT 100;

-- d25: hour bands counted by eight joins of the same facts (cross join of scalars)
SELECT * FROM
  (SELECT count(*) AS h8 FROM store_sales JOIN time_dim ON ss_sold_time_sk = t_time_sk JOIN household_demographics ON ss_hdemo_sk = hd_demo_sk
   WHERE t_hour = 8 AND t_minute >= 30 AND hd_dep_count IN (3, 0, 1)) AS a,
  (SELECT count(*) AS h9 FROM store_sales JOIN time_dim ON ss_sold_time_sk = t_time_sk JOIN household_demographics ON ss_hdemo_sk = hd_demo_sk
   WHERE t_hour = 9 AND t_minute < 30 AND hd_dep_count IN (3, 0, 1)) AS b,
  (SELECT count(*) AS h10 FROM store_sales JOIN time_dim ON ss_sold_time_sk = t_time_sk JOIN household_demographics ON ss_hdemo_sk = hd_demo_sk
   WHERE t_hour = 10 AND t_minute < 30 AND hd_dep_count IN (3, 0, 1)) AS c,
  (SELECT count(*) AS h11 FROM store_sales JOIN time_dim ON ss_sold_time_sk = t_time_sk JOIN household_demographics ON ss_hdemo_sk = hd_demo_sk
   WHERE t_hour = 11 AND t_minute >= 30 AND hd_dep_count IN (3, 0, 1)) AS d;

-- d26: best hundred of each class by year (dense rank, filtered), with grouping sets
SELECT * FROM (
  SELECT i_category, i_class, d_year, sum(ws_net_paid) AS paid,
    rank() OVER (PARTITION BY grouping(i_category) + grouping(i_class), d_year ORDER BY sum(ws_net_paid) DESC) AS rk
  FROM web_sales JOIN item ON ws_item_sk = i_item_sk JOIN date_dim ON ws_sold_date_sk = d_date_sk
  WHERE d_year IN (2000, 2001)
  GROUP BY GROUPING SETS ((i_category, i_class, d_year), (i_category, d_year), (d_year))) AS t
WHERE rk <= 3
ORDER BY d_year, rk, i_category NULLS FIRST, i_class NULLS FIRST;

-- d27: days of the week, year against year (a CTE joined to itself)
WITH wswscs AS (
  SELECT day, sales FROM (
    SELECT ws_sold_date_sk AS day, ws_ext_sales_price AS sales FROM web_sales UNION ALL
    SELECT cs_sold_date_sk, cs_ext_sales_price FROM catalog_sales) AS x),
weeks AS (
  SELECT d_week_seq AS week,
    sum(CASE WHEN d_day_name = 'Sunday' THEN sales END) AS sun,
    sum(CASE WHEN d_day_name = 'Monday' THEN sales END) AS mon,
    sum(CASE WHEN d_day_name = 'Saturday' THEN sales END) AS sat
  FROM wswscs JOIN date_dim ON d_date_sk = day GROUP BY d_week_seq)
SELECT y.week, round(y.sun / z.sun, 2) AS sun, round(y.mon / z.mon, 2) AS mon, round(y.sat / z.sat, 2) AS sat
FROM weeks y JOIN weeks z ON y.week = z.week - 53
WHERE y.week IN (SELECT d_week_seq FROM date_dim WHERE d_year = 2000)
ORDER BY y.week;

-- d28: returns above the mean of their state, with names (correlated twice over a CTE)
WITH ctr AS (
  SELECT wr_returning_customer_sk AS customer, ca_state AS state, sum(wr_return_amt) AS amount
  FROM web_returns JOIN date_dim ON wr_returned_date_sk = d_date_sk JOIN customer_address ON wr_returning_addr_sk = ca_address_sk
  GROUP BY wr_returning_customer_sk, ca_state)
SELECT c_customer_id, c_salutation, c_first_name, c_last_name, c_birth_country, amount
FROM ctr JOIN customer ON c_customer_sk = ctr.customer
WHERE ctr.amount > (SELECT avg(c2.amount) * 1.2 FROM ctr c2 WHERE c2.state = ctr.state)
ORDER BY c_customer_id, amount
LIMIT 100;

-- d29: what was never returned (LEFT JOIN with IS NULL), by promotion
SELECT p_promo_name, count(*) AS n, sum(ss_net_paid) AS paid
FROM store_sales LEFT JOIN store_returns ON sr_item_sk = ss_item_sk AND sr_ticket_number = ss_ticket_number
  LEFT JOIN promotion ON ss_promo_sk = p_promo_sk
WHERE sr_ticket_number IS NULL
GROUP BY p_promo_name
ORDER BY p_promo_name NULLS FIRST;

-- d30: shipping days in bands (conditional counts over five tables)
SELECT substr(w_warehouse_name, 1, 20) AS warehouse, sm_type, cc_name,
  sum(CASE WHEN cs_ship_date_sk - cs_sold_date_sk <= 30 THEN 1 ELSE 0 END) AS d30,
  sum(CASE WHEN cs_ship_date_sk - cs_sold_date_sk > 30 AND cs_ship_date_sk - cs_sold_date_sk <= 60 THEN 1 ELSE 0 END) AS d60,
  sum(CASE WHEN cs_ship_date_sk - cs_sold_date_sk > 60 THEN 1 ELSE 0 END) AS more
FROM catalog_sales JOIN warehouse ON cs_warehouse_sk = w_warehouse_sk JOIN ship_mode ON cs_ship_mode_sk = sm_ship_mode_sk
  JOIN call_center ON cs_call_center_sk = cc_call_center_sk
GROUP BY substr(w_warehouse_name, 1, 20), sm_type, cc_name
ORDER BY warehouse NULLS FIRST, sm_type, cc_name
LIMIT 100;

-- d31: all of a category against a mean of its own (correlated scalar sub-query in WHERE, many-way join)
SELECT a.ca_state AS state, count(*) AS cnt
FROM customer_address a JOIN customer c ON a.ca_address_sk = c.c_current_addr_sk JOIN store_sales s ON c.c_customer_sk = s.ss_customer_sk
  JOIN date_dim d ON s.ss_sold_date_sk = d.d_date_sk JOIN item i ON s.ss_item_sk = i.i_item_sk
WHERE d.d_month_seq BETWEEN 1188 AND 1223
  AND i.i_current_price > 1.2 * (SELECT avg(j.i_current_price) FROM item j WHERE j.i_category = i.i_category)
GROUP BY a.ca_state
HAVING count(*) >= 10
ORDER BY cnt, state NULLS FIRST
LIMIT 100;

-- d32: quartiles of a store's customers (ntile, lag, first_value over aggregates)
SELECT d_year, d_qoy, profit, lag(profit) OVER (ORDER BY d_year, d_qoy) AS last, first_value(profit) OVER (PARTITION BY d_year ORDER BY d_qoy) AS first,
  ntile(4) OVER (ORDER BY profit, d_year, d_qoy) AS quarter, round(percent_rank() OVER (ORDER BY profit), 4) AS pr
FROM (SELECT d_year, d_qoy, sum(ss_net_profit) AS profit FROM store_sales JOIN date_dim ON ss_sold_date_sk = d_date_sk GROUP BY d_year, d_qoy) AS t
ORDER BY d_year, d_qoy;
