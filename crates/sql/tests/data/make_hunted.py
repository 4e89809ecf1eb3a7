"""Makes spark_hunted.jsonl: what Spark prints for statements that once went wrong here. Needs pyspark 4; run it here.

The causes were found by replaying Spark's own tests; the statements and their data are ours.
"""
import json
import os
import sys

os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
from pyspark.sql import SparkSession

SALES = "(SELECT * FROM VALUES ('n', DATE'2024-01-05', 1), ('s', DATE'2024-01-09', 2), ('n', DATE'2024-02-01', 3), ('s', DATE'2024-02-03', 10) AS t(shop, day, x))"
NONE = "(SELECT * FROM VALUES (1, 2) AS t(a, b) WHERE a > 5)"
SHOPS = "(SELECT * FROM VALUES ('n', 'north', 3), ('s', 'south', NULL), ('w', NULL, 7) AS u(shop, name, area))"
NUMS = "(SELECT * FROM VALUES (1, 10), (2, 20), (3, NULL), (NULL, 40) AS v(k, w))"
A = "(SELECT * FROM VALUES (1, 10), (2, 20), (NULL, 30) AS a(x, k))"
B = "(SELECT * FROM VALUES (20, 'b'), (5, 'c'), (NULL, 'd') AS b(k, y))"
C = "(SELECT * FROM VALUES (5, 'p'), (20, 'q'), (7, 'r') AS c(k, z))"
ONE = "(SELECT * FROM VALUES (1, 2, 3, 10) AS t(a, b, c, v))"
MAPS = "(SELECT * FROM VALUES (map('a', 1, 'b', 2), 1), (map('b', 2, 'a', 1), 1), (map('b', 2), 3), (NULL, 3) AS t(m, n))"
QUERIES = [
    # GROUP BY ALL
    f"SELECT month(day) AS m, sum(sum(x)) OVER (ORDER BY month(day)) AS s FROM {SALES} GROUP BY ALL",
    f"SELECT month(day) AS m, shop, sum(sum(x)) OVER (PARTITION BY shop ORDER BY month(day)) AS s FROM {SALES} GROUP BY ALL",
    f"SELECT 1, month(day) AS m, count(*) FROM {SALES} GROUP BY ALL",
    f"SELECT 2 AS two, shop, count(*) FROM {SALES} WHERE x > 100 GROUP BY ALL",
    f"SELECT month(day) AS day, sum(x) FROM {SALES} GROUP BY ALL",
    f"SELECT shop, rank() OVER (ORDER BY sum(x)) AS r FROM {SALES} GROUP BY ALL",
    f"SELECT (SELECT max(area) FROM {SHOPS}) AS m, shop, sum(x) FROM {SALES} GROUP BY ALL",
    f"SELECT upper(SHOP) AS u, count(*) FILTER (WHERE x > 1) AS n FROM {SALES} GROUP BY ALL HAVING count(*) > 1",
    f"SELECT shop, shop || sum(x) AS t FROM {SALES} GROUP BY ALL",
    f"SELECT * FROM {SALES} GROUP BY ALL",
    f"SELECT count(*) FROM {SALES} GROUP BY ALL",
    # VALUES
    "SELECT col1, col2 + 1 FROM VALUES (1, 2), (3, 4)",
    "SELECT col2 FROM VALUES (1, 'a'), (2, 'b') AS t WHERE t.col1 > 1",
    "SELECT sum(col1) FROM (VALUES (1), (2))",
    "SELECT * FROM (VALUES (1, 2), (3, 4) AS t(a, b)) WHERE a > 1",
    "VALUES (1, 'x'), (2, 'y') AS t(a, b) UNION ALL VALUES (3, 'z')",
    "WITH v AS (VALUES (5, 6)) SELECT col1 + col2 FROM v",
    "SELECT typeof(b), b FROM VALUES ('one', 2.0), ('two', 3.5D) AS t(a, b)",
    # CTEs in CTEs
    "WITH t AS (SELECT 1) SELECT (WITH t AS (SELECT 2) SELECT (WITH t AS (SELECT 3) SELECT * FROM t))",
    "WITH t AS (SELECT 1 AS a), u AS (WITH t AS (SELECT 2 AS a), u AS (WITH t AS (SELECT 3 AS a) SELECT * FROM t) SELECT * FROM u) SELECT * FROM u",
    # named windows
    f"SELECT x, sum(x) OVER (w) AS s FROM {SALES} WINDOW w AS (PARTITION BY shop ORDER BY day)",
    # joins
    f"SELECT s.x, u.area FROM {SALES} s LEFT JOIN {SHOPS} u",
    f"SELECT s.x, u.area FROM {SALES} s FULL OUTER JOIN {NONE} u2 RIGHT JOIN {SHOPS} u",
    f"SELECT upper(shop), shop || '!' AS b, sum(x) FROM {SALES} s JOIN {SHOPS} u USING (shop) GROUP BY shop",
    f"SELECT shop = 'n', concat(shop, name) FROM {SALES} s NATURAL JOIN {SHOPS} u",
    # grouping sets
    f"SELECT shop, month(day) AS m, sum(x) FROM {SALES} GROUP BY CUBE (1, 2)",
    f"SELECT shop, month(day) AS m, sum(x) FROM {SALES} GROUP BY GROUPING SETS ((1), (2), (1, 2))",
    f"SELECT shop, day, sum(x) FROM {SALES} GROUP BY shop, day GROUPING SETS ((shop), (day), ())",
    f"SELECT a, b, count(*), sum(b) FROM {NONE} GROUP BY GROUPING SETS ((a, b), ())",
    f"SELECT a, count(*) FROM {NONE} GROUP BY ROLLUP (a)",
    f"SELECT a, count(*) FROM {NONE} GROUP BY CUBE (a)",
    # types
    "SELECT CASE WHEN true THEN 1.5D ELSE 2BD END, CASE WHEN true THEN 1 ELSE 2.5 END, CASE WHEN false THEN 1F ELSE 2.25 END",
    "SELECT typeof(CASE WHEN true THEN 1 ELSE '2' END), CASE WHEN true THEN 1 ELSE '2' END, CASE '1' WHEN 1 THEN 'a' ELSE 'b' END",
    "SELECT typeof(CASE WHEN true THEN DATE'2024-01-01' ELSE TIMESTAMP'2024-01-01 01:00:00' END), CASE WHEN true THEN NULL ELSE 1 END",
    "SELECT typeof(a), a + a FROM (SELECT 1 AS a UNION ALL SELECT 2.5)",
    "SELECT typeof(a), a FROM (SELECT 1.5D AS a UNION SELECT 2BD)",
    "SELECT typeof(a), a / 2 FROM (SELECT NULL AS a UNION ALL SELECT 5)",
    "SELECT typeof(a), a FROM (SELECT 1 AS a UNION ALL SELECT '7')",
    "SELECT typeof(a), a FROM (SELECT 1 AS a UNION ALL SELECT 2L UNION ALL SELECT 0.5)",
    "SELECT typeof(a), a FROM (SELECT DATE'2024-01-01' AS a UNION ALL SELECT TIMESTAMP'2024-01-01 01:00:00')",
    "SELECT CAST(123.456 AS DECIMAL(38,18)) * 10, 10.300000000000000000 * 3.000000000000000000, typeof(CAST(1 AS DECIMAL(38,18)) * 10)",
    "SELECT 12345678912345678912345678912.1234567 + 9999999999999999999999999999999.12345, typeof(CAST(1 AS DECIMAL(38,10)) - CAST(1 AS DECIMAL(38,10)))",
    "SELECT round(CAST(1.23456789 AS DECIMAL(38,9)), 10), typeof(round(CAST(1 AS DECIMAL(38,9)), 10)), typeof(round(12.345, 1))",
    # numbers
    "SELECT 1 & 2 >> 1, 1 | 1 << 3, 6 ^ 1 << 1, 1 + 1 << 2",
    "SELECT power(1, double('NaN')), power(-1, double('Infinity')), power(2, 3)",
    "SELECT width_bucket(double('Infinity'), 1, 10, 10), width_bucket(double('-Infinity'), 1, 10, 10), width_bucket(5.35, 0.024, 10.06, 9223372036854775807L)",
    # times
    "SELECT now() = current_timestamp(), current_timestamp = current_timestamp, localtimestamp() = localtimestamp(), current_date() = to_date(now())",
    "SELECT INTERVAL '13.123456789' SECOND = INTERVAL '13.123456' SECOND, INTERVAL '1 02:03:04.99999999' DAY TO SECOND = INTERVAL '1 02:03:04.999999' DAY TO SECOND",
    "SELECT INTERVAL '106751991 04:00:54.775806' DAY TO SECOND / 5 = INTERVAL '21350398 05:36:10.955161' DAY TO SECOND, INTERVAL '7' MONTH / 2 = INTERVAL '4' MONTH, INTERVAL '10' MONTH * 1.15 = INTERVAL '12' MONTH",
    "SELECT timestamp_seconds(0.1234567D), timestamp_seconds(1.25), timestamp_seconds(2)",
    # text
    "SELECT regexp_extract_all('1a 2b', '(\\\\d+)?', 1), regexp_extract_all('aXbX', 'X', 0), regexp_count('banana', 'a*')",
    "SELECT split('hello', '', 3), split('hello', '', 5), split('hello', '', 9), split('hello', '')",
    "SELECT + '1.50', typeof(+ '1'), -'2'",
    # aggregates
    "SELECT percentile_disc(0.25) WITHIN GROUP (ORDER BY v DESC), percentile_disc(0.25) WITHIN GROUP (ORDER BY v), percentile_disc(0.75) WITHIN GROUP (ORDER BY v DESC) FROM VALUES (10), (20), (25), (30) AS t(v)",
    "SELECT mode() WITHIN GROUP (ORDER BY v), mode() WITHIN GROUP (ORDER BY v DESC) FROM VALUES (3), (1), (3), (1), (2) AS t(v)",
    # stars of structs
    "SELECT s.* EXCEPT (b) FROM (SELECT named_struct('a', 1, 'b', 2, 'c', 3) AS s)",
    # sets
    f"SELECT * FROM {SHOPS} EXCEPT ALL SELECT * FROM {SHOPS} WHERE area > 5",
    f"SELECT * FROM {SALES} INTERSECT ALL (SELECT * FROM {SALES} UNION ALL SELECT * FROM {SALES})",
    # sub-queries in expressions
    f"SELECT shop, EXISTS (SELECT 1 FROM {SALES} s WHERE s.shop = u.shop AND s.x > 2) AS e, NOT EXISTS (SELECT 1 FROM {NONE}) AS n FROM {SHOPS} u",
    f"SELECT k, k IN (SELECT w / 10 FROM {NUMS}) AS a, k IN (SELECT k FROM {NUMS} WHERE k IS NOT NULL) AS b, k NOT IN (SELECT k FROM {NUMS}) AS c, k IN (SELECT a FROM {NONE}) AS d FROM {NUMS}",
    f"SELECT k, k IN (SELECT i.k FROM {NUMS} i WHERE i.w > o.w) AS a, w NOT IN (SELECT i.w FROM {NUMS} i WHERE i.k <= o.k) AS b FROM {NUMS} o",
    f"SELECT k IN (SELECT 1) AS g, count(*) AS n, sum(w) FROM {NUMS} GROUP BY k IN (SELECT 1)",
    f"SELECT count(*) FILTER (WHERE EXISTS (SELECT 1 FROM {SALES} s WHERE s.shop = u.shop)) AS n FROM {SHOPS} u",
    f"SELECT shop, (SELECT count(*) FROM {SALES} s WHERE s.x < u.area) AS n FROM {SHOPS} u",
    f"SELECT shop, (SELECT x FROM {SALES} s WHERE s.shop = u.shop ORDER BY x DESC LIMIT 1) AS m FROM {SHOPS} u",
    f"SELECT s.x, u.name FROM {SALES} s JOIN {SHOPS} u ON s.shop = u.shop AND EXISTS (SELECT 1 FROM {NUMS} v WHERE v.k = s.x)",
    f"SELECT k FROM {NUMS} o WHERE EXISTS (SELECT count(*) FROM {NUMS} i WHERE i.k = o.w)",
    f"SELECT k FROM {NUMS} o WHERE w > (SELECT sum(i.w) FROM {NUMS} i WHERE i.k < o.k) OR k IS NULL",
    # keys of joins
    f"SELECT a.*, b.* FROM {A} a NATURAL JOIN {B} b",
    f"SELECT b.*, 0 AS sep, a.* FROM {A} a NATURAL FULL JOIN {B} b",
    f"SELECT a.*, b.* FROM {A} a LEFT JOIN {B} b USING (k)",
    f"SELECT * FROM {A} a NATURAL RIGHT JOIN {B} b",
    f"WITH a AS {A}, b AS {B} SELECT *, k * 2 FROM a NATURAL FULL JOIN b WHERE k > 1",
    f"SELECT * FROM {B} b LEFT JOIN {A} a USING (k)",
    f"SELECT k, a.k, b.k, c.k FROM {A} a LEFT JOIN {B} b USING (k) FULL JOIN {C} c USING (k)",
    f"SELECT * FROM {A} a FULL JOIN {B} b USING (k) FULL JOIN {C} c USING (k)",
    f"SELECT * FROM {A} a NATURAL FULL JOIN {B} b NATURAL LEFT JOIN {C} c",
    f"SELECT * FROM {A} a RIGHT JOIN {B} b USING (k) JOIN {C} c USING (k)",
    f"SELECT * FROM {A} a RIGHT JOIN {B} b USING (k) LEFT JOIN (SELECT y, k AS j FROM {B}) d USING (y)",
    f"SELECT k, count(*), max(z) FROM {A} a FULL JOIN {B} b USING (k) FULL JOIN {C} c USING (k) GROUP BY k HAVING k > 1",
    f"SELECT * EXCEPT (y) FROM {A} a FULL JOIN {B} b USING (k), (SELECT 9 AS w) d",
    f"SELECT * FROM {A} a LEFT SEMI JOIN {B} b USING (k)",
    f"SELECT k FROM {A} a FULL JOIN {B} b USING (k) WHERE EXISTS (SELECT 1 FROM {C} c WHERE k = 5)",
    # formats of numbers
    "SELECT to_char(12, '999PR'), to_char(-12, '999PR'), to_char(12, '999MI'), to_char(-12, '999MI'), to_char(12, 'S999'), to_char(-12, 'S999'), to_char(12, '999S'), to_char(-12, 'MI999'), to_char(12, 'MI999')",
    "SELECT to_char(-0.5, 'S$99.9'), to_char(78.125, '99.99'), to_char(1234567, '$9,999,999.00'), to_char(-7, '$099.99PR'), to_char(0, '999.'), to_char(0, '9'), to_char(12, '99D'), to_char(-12.5, '99.99MI'), to_char(0, '$.99'), to_char(5, 'S0,000')",
    "SELECT to_char(1, 'S9PR'), to_char(-1, 'S9PR'), to_char(-1.5D, '99.99'), to_char('12', '999'), to_char(12, '99999MI'), to_char(-12, '99999S'), to_char(12, 'S99999'), to_char(-12, '99999PR'), to_char(-12, 'S9,999')",
    "SELECT to_number('<123>', '999PR'), to_number('123', '999PR'), to_number('-12', 'S999'), to_number('12-', '999MI'), to_number('+12', 'S999'), to_number('$1,2', '$9,999'), to_number('12-', '99S'), to_number(' 12', '999'), to_number('.5', '9.9'), to_number('5', '9.9')",
    "SELECT typeof(to_number('$5', '$9,999.99MI')), try_to_number('<5', '9PR'), try_to_number('12', '000'), try_to_number('1-2', '99'), try_to_number('5>', '9PR')",
    # maps as keys
    f"SELECT m, count(*), sum(n) FROM {MAPS} GROUP BY m",
    f"SELECT array(m), count(*), count(DISTINCT m) FROM {MAPS} GROUP BY array(m)",
    f"SELECT count(DISTINCT m), count(DISTINCT struct(m, n)), count(DISTINCT m, n) FROM {MAPS}",
    f"SELECT m, n, count(*) FROM {MAPS} GROUP BY GROUPING SETS ((m), (n), (m, n))",
    # sets within sets
    f"SELECT a, b, c, sum(v), grouping_id() FROM {ONE} GROUP BY GROUPING SETS (ROLLUP(a, b), c)",
    f"SELECT a, b, c, sum(v), grouping_id() FROM {ONE} GROUP BY GROUPING SETS (CUBE(a, b), GROUPING SETS ((c), (a, c), ()), b)",
    f"SELECT a, b, c, sum(v), grouping_id() FROM {ONE} GROUP BY a, CUBE(a, b), GROUPING SETS ((c), ())",
    f"SELECT a, b, sum(v) FROM {ONE} GROUP BY GROUPING SETS (ROLLUP((a, b), c))",
    # recursion
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 100) SELECT max(n), count(*) FROM t",
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT n FROM t LIMIT 3",
    # IN that is neither true nor false
    f"SELECT k, w FROM {NUMS} v WHERE k = 2 OR w NOT IN (SELECT w FROM {NUMS})",
    f"SELECT k, w FROM {NUMS} v WHERE k = 2 OR w NOT IN (SELECT w FROM {NUMS} u WHERE w > 15)",
    f"SELECT k, w FROM {NUMS} v WHERE k = 2 OR w NOT IN (SELECT u.w FROM {NUMS} u WHERE u.w > 15 AND u.k >= v.k)",
    f"SELECT k, w FROM {NUMS} v WHERE NOT (k > 1 AND w IN (SELECT u.w FROM {NUMS} u WHERE u.w > 15))",
    f"SELECT k, w FROM {NUMS} v WHERE NOT (k IN (SELECT 3) OR w IN (SELECT 20) AND k = 2) AND w IS NOT NULL",
    f"SELECT k, w FROM {NUMS} v WHERE NOT NOT w IN (SELECT 20) OR NOT w IN (SELECT 10)",
    f"SELECT k FROM {NUMS} v WHERE k IN (SELECT count(*) + 1 FROM {NUMS} u WHERE u.k = v.w)",
    f"SELECT k FROM {NUMS} v WHERE k NOT IN (SELECT count(*) FROM {NUMS} u WHERE u.k >= v.k) OR k IS NULL",
    f"SELECT k FROM {NUMS} v GROUP BY k HAVING k = 2 OR k NOT IN (SELECT max(w) / 10 FROM {NUMS})",
    # pipes
    "FROM range(5) |> WHERE id > 2 |> SELECT id + 1 AS a",
    f"FROM {SALES} s |> SELECT s.shop, x, sum(x) OVER (PARTITION BY shop ORDER BY day) AS t",
    f"FROM {SALES} s |> WHERE x > 1 |> EXTEND rank() OVER (ORDER BY x) AS r |> WHERE r < 3",
]


def main():
    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    spark = builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
    with open("spark_hunted.jsonl", "w") as out:
        for query in QUERIES:
            frame = spark.sql(query)
            names = [f"c{at}" for at in range(len(frame.columns))]
            texts = frame.toDF(*names).selectExpr(*[f"CAST({name} AS STRING)" for name in names])
            rows = ["|".join("NULL" if v is None else v for v in row) for row in texts.collect()]
            out.write(json.dumps({"zone": "UTC", "query": query, "width": len(names), "rows": sorted(rows)}) + "\n")


main()
