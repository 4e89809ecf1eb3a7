"""Makes spark_everyday.jsonl: what Spark prints for everyday statements. Needs pyspark 4; run it here."""
import json
import os
import sys

os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
from pyspark.sql import SparkSession

EMPLOYEES = "(SELECT * FROM VALUES (1,'Ann','eng',100.0,DATE'2020-01-15'),(2,'Bob','eng',80.5,DATE'2021-03-01'),(3,'Cid','ops',70.0,NULL),(4,NULL,'ops',NULL,DATE'2019-07-31'),(5,'Eve','hr',90.0,DATE'2022-12-31') AS e(id,name,dept,pay,since))"
ORDERS = "(SELECT * FROM VALUES (1,1,10.5D,TIMESTAMP'2024-01-01 10:00:00'),(2,1,20.0D,TIMESTAMP'2024-01-02 11:30:00'),(3,2,5.25D,TIMESTAMP'2024-01-02 12:00:00'),(4,9,1.0D,NULL) AS o(oid,id,amt,at))"
QUERIES = [
    f"SELECT dept, count(*) AS n, round(avg(pay), 2) AS a, collect_list(name) AS ns FROM {EMPLOYEES} e GROUP BY dept HAVING count(*) > 1",
    f"SELECT e.name, sum(o.amt) AS total FROM {EMPLOYEES} e LEFT JOIN {ORDERS} o ON e.id = o.id GROUP BY e.name ORDER BY total DESC NULLS LAST",
    f"SELECT * FROM {EMPLOYEES} e WHERE NOT EXISTS (SELECT 1 FROM {ORDERS} o WHERE o.id = e.id)",
    f"SELECT name, (SELECT max(amt) FROM {ORDERS} o WHERE o.id = e.id) AS m FROM {EMPLOYEES} e",
    f"SELECT dept, name, pay, rank() OVER (PARTITION BY dept ORDER BY pay DESC) AS r, lag(name, 1, 'none') OVER (PARTITION BY dept ORDER BY id) AS p FROM {EMPLOYEES} e",
    f"SELECT name, ntile(2) OVER (ORDER BY id), percent_rank() OVER (ORDER BY id), cume_dist() OVER (ORDER BY id) FROM {EMPLOYEES} e",
    f"SELECT id, sum(pay) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS s, first_value(name) IGNORE NULLS OVER (ORDER BY id DESC) AS f FROM {EMPLOYEES} e",
    f"SELECT dept, grouping(dept) AS g, sum(pay) FROM {EMPLOYEES} e GROUP BY ROLLUP (dept)",
    f"SELECT dept, year(since) AS y, count(*) FROM {EMPLOYEES} e GROUP BY CUBE (dept, year(since))",
    f"SELECT any_value(dept), bool_and(pay > 60), every(pay > 60), some(pay > 95), bit_or(id), bit_xor(id) FROM {EMPLOYEES} e",
    f"SELECT stddev(pay), var_pop(pay), skewness(pay), kurtosis(pay), corr(pay, id), covar_samp(pay, id) FROM {EMPLOYEES} e",
    f"SELECT regr_slope(pay, id), regr_intercept(pay, id), regr_count(pay, id) FROM {EMPLOYEES} e",
    f"SELECT approx_count_distinct(dept), count(DISTINCT dept, name), mode(dept) FROM {EMPLOYEES} e",
    f"SELECT percentile(pay, array(0.25, 0.75)), percentile_approx(pay, 0.5, 100), percentile_disc(0.5) WITHIN GROUP (ORDER BY pay) FROM {EMPLOYEES} e",
    f"SELECT CASE dept WHEN 'eng' THEN 1 WHEN 'ops' THEN 2 ELSE 0 END AS c, iff FROM (SELECT dept, if(pay IS NULL, 'x', 'y') AS iff FROM {EMPLOYEES} e) ORDER BY c, iff",
    f"SELECT upper(name), initcap('hello wORLD'), concat_ws('-', name, dept), substring_index('a.b.c', '.', 2), instr('hello', 'l'), locate('l', 'hello', 4), repeat('ab', 2), reverse('abc') FROM {EMPLOYEES} e WHERE id = 1",
    "SELECT lpad('7', 3, '0'), rpad('x', 3, '-'), ltrim('  a'), trim(BOTH 'x' FROM 'xaxx'), translate('abc', 'ab', 'xy'), overlay('Spark SQL' PLACING '_' FROM 6), left('abc', 2), right('abc', 2), ascii('A'), chr(66)",
    "SELECT regexp_replace('a1b22', '[0-9]+', '#'), regexp_extract('100-200', '(\\\\d+)-(\\\\d+)', 2), regexp_extract_all('a1b2', '[0-9]', 0), regexp_count('aaa', 'a'), regexp_instr('abc', 'b'), 'abc' RLIKE '^a', split('a,b,,c', ',')",
    "SELECT format_number(1234567.891, 2), format_string('%05d|%s|%.2f', 42, 'x', 3.14159D), to_char(1234.5, '9,999.99'), to_number('1,234.5', '9,999.9'), hex(255), unhex('4D'), conv('ff', 16, 10), bin(5)",
    "SELECT md5('a'), sha1('a'), sha2('a', 256), crc32('a'), base64('abc'), unbase64('YWJj'), encode('abc', 'UTF-8'), decode(X'616263', 'UTF-8')",
    "SELECT round(2.5), round(-2.5), bround(2.5), ceil(1.2), floor(-1.2), ceil(1.234, 2), sign(-3), abs(-4), pmod(-7, 3), -7 % 3, greatest(1, NULL, 3), least(2, 1), power(2, 10), factorial(5), cbrt(27), hypot(3, 4)",
    "SELECT try_divide(1, 0), nullif(1, 1), coalesce(NULL, 2), nvl2(NULL, 1, 2), isnull(NULL), isnotnull(1), 1 <=> NULL, NULL <=> NULL, nanvl(double('NaN'), 1.0D)",
    "SELECT date_add(DATE'2024-02-28', 2), datediff('2024-03-01', '2024-02-01'), add_months('2024-01-31', 1), months_between('2024-03-31', '2024-02-29'), next_day('2024-01-01', 'FRI'), last_day('2024-02-01'), trunc('2024-05-17', 'Q'), date_trunc('WEEK', TIMESTAMP'2024-05-17 10:11:12')",
    "SELECT date_format('2024-05-17', 'EEEE, d MMMM yyyy'), to_date('17/05/2024', 'dd/MM/yyyy'), unix_timestamp('2024-05-17 00:00:00'), from_unixtime(0), make_date(2024, 2, 29), make_timestamp(2024, 2, 29, 12, 30, 15.5), extract(DOY FROM DATE'2024-12-31'), weekofyear('2024-12-30')",
    "SELECT DATE'2024-05-17' - DATE'2024-01-01' = INTERVAL 137 DAYS, DATE'2024-05-17' + 7, TIMESTAMP'2024-05-17 10:00:00' + INTERVAL '1 02:03:04' DAY TO SECOND, DATE'2024-01-31' + INTERVAL '1-2' YEAR TO MONTH * 2, make_interval(1, 2, 3, 4, 5, 6, 7.5)",
    "SELECT array(1, 2, 3)[1], element_at(array(1, 2), -1), size(array(1, 2)), array_contains(array(1, 2), 2), array_position(array(5, 6), 6), slice(array(1, 2, 3, 4), 2, 2), sort_array(array(3, 1, 2), false), array_distinct(array(1, 1, 2)), flatten(array(array(1), array(2, 3)))",
    "SELECT array_union(array(1, 2), array(2, 3)), array_intersect(array(1, 2), array(2)), array_except(array(1, 2), array(2)), arrays_zip(array(1, 2), array('a', 'b')), array_join(array('a', NULL, 'b'), ',', '?'), array_max(array(1, 3)), array_repeat('x', 2), sequence(1, 10, 3), shuffle(array(1)), array_insert(array(1, 3), 2, 2), array_append(array(1), 2), array_compact(array(1, NULL))",
    "SELECT map('a', 1)['a'], map_keys(map('a', 1, 'b', 2)), map_values(map('a', 1)), map_from_arrays(array('x'), array(9)), map_concat(map('a', 1), map('b', 2)), map_entries(map('a', 1)), str_to_map('a:1,b:2'), map_contains_key(map(1, 2), 1), map_filter(map('a', 1, 'b', 2), (k, v) -> v > 1), element_at(map('a', 1), 'z')",
    "SELECT named_struct('a', 1, 'b', 'x').b, struct(1, 2).col1, to_json(named_struct('a', 1, 'b', array(1, 2))), from_json('{\"a\":1,\"b\":[1,2]}', 'a INT, b ARRAY<INT>'), get_json_object('{\"a\":{\"b\":5}}', '$.a.b'), json_array_length('[1,2]'), schema_of_json('{\"a\":1}'), json_object_keys('{\"a\":1,\"b\":2}')",
    "SELECT transform(array(1, 2), x -> x + 1), filter(array(1, 2, 3), x -> x % 2 = 1), aggregate(array(1, 2, 3), 0, (a, x) -> a + x), exists(array(1, 2), x -> x > 1), forall(array(1, 2), x -> x > 0), zip_with(array(1, 2), array(3, 4), (x, y) -> x * y), reduce(array(1, 2), 0, (a, x) -> a + x, a -> a * 10)",
    f"SELECT * FROM (SELECT dept, pay FROM {EMPLOYEES} e) PIVOT (sum(pay) FOR dept IN ('eng' AS eng, 'ops' AS ops))",
    f"SELECT id, k, v FROM (SELECT id, CAST(pay AS STRING) AS pay, name FROM {EMPLOYEES} e) UNPIVOT (v FOR k IN (pay, name)) ORDER BY id, k",
    f"SELECT id, w FROM {EMPLOYEES} e LATERAL VIEW explode(split('p q', ' ')) t AS w WHERE id < 3",
    f"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) FROM r",
    f"WITH a AS (SELECT id, dept FROM {EMPLOYEES} e), b AS (SELECT dept, count(*) AS n FROM a GROUP BY dept) SELECT a.id, b.n FROM a JOIN b USING (dept) ORDER BY a.id",
    f"SELECT id FROM {EMPLOYEES} e INTERSECT SELECT id FROM {ORDERS} o",
    f"SELECT id FROM {EMPLOYEES} e EXCEPT ALL SELECT id FROM {ORDERS} o",
    f"SELECT id, name FROM {EMPLOYEES} e UNION SELECT id, CAST(amt AS STRING) FROM {ORDERS} o",
    f"SELECT * FROM {EMPLOYEES} e LEFT ANTI JOIN {ORDERS} o ON e.id = o.id",
    f"SELECT e.id, o.oid FROM {EMPLOYEES} e FULL OUTER JOIN {ORDERS} o ON e.id = o.id",
    f"SELECT e.id, x.oid FROM {EMPLOYEES} e, LATERAL (SELECT oid FROM {ORDERS} o WHERE o.id = e.id ORDER BY amt DESC LIMIT 1) x",
    f"SELECT * EXCEPT (pay, since) FROM {EMPLOYEES} e ORDER BY ALL",
    f"SELECT dept, sum(pay) AS s FROM {EMPLOYEES} e GROUP BY ALL ORDER BY s DESC LIMIT 2 OFFSET 1",
    f"SELECT name FROM {EMPLOYEES} e WHERE name LIKE '_n%' OR name ILIKE 'E%' OR dept IN ('hr', 'x') AND pay BETWEEN 80 AND 95",
    f"SELECT id, pay FROM {EMPLOYEES} e QUALIFY row_number() OVER (PARTITION BY dept ORDER BY pay DESC) = 1",
    f"SELECT count(*) FILTER (WHERE pay > 75), sum(pay) FILTER (WHERE dept = 'eng'), count_if(pay IS NULL), max_by(name, pay), min_by(name, pay) FROM {EMPLOYEES} e",
    f"SELECT first(name), last(name), first(name, true), sort_array(collect_set(dept)), string_agg(name, ', ') FROM (SELECT * FROM {EMPLOYEES} e ORDER BY id)",
    f"FROM {EMPLOYEES} e |> WHERE pay > 70 |> EXTEND pay * 2 AS p2 |> AGGREGATE sum(p2) AS s GROUP BY dept |> ORDER BY dept",
    "SELECT typeof(1), typeof(1L), typeof(1.0), typeof(1e0), typeof('a'), typeof(array(1)), typeof(map('a', 1)), typeof(INTERVAL '1 02:03:04' DAY TO SECOND), typeof(DATE'2024-01-01'), typeof(NULL), typeof(X'00'), typeof(1.5 + 2), typeof(1 / 2), typeof(2 * 1.5)",
    "SELECT CAST('  12 ' AS INT), CAST(12.9 AS INT), CAST('true' AS BOOLEAN), CAST(1 AS BOOLEAN), CAST('2024-01-01 10:00:00' AS DATE), CAST(1.0E10 AS STRING), CAST(0.1 AS FLOAT), CAST(123.456 AS DECIMAL(5,1)), CAST(X'41' AS STRING), CAST('a' AS BINARY), '5' + 3, '10' > 9, 2 || 'x'",
    "SELECT inline FROM (SELECT 1 AS inline)",
    "SELECT stack(2, 'a', 1, 'b', 2) AS (k, v)",
    "SELECT posexplode_outer(array('x', 'y'))",
    "SELECT explode(map('k1', 'v1', 'k2', 'v2'))",
    "SELECT * FROM range(0, 10, 3) r(n) WHERE n % 2 = 0",
    "SELECT nth_value(v, 2) OVER (ORDER BY v), dense_rank() OVER (ORDER BY v) FROM VALUES (10), (20), (20), (30) AS t(v)",
    "SELECT luhn_check('4111111111111111'), soundex('Miller'), levenshtein('kitten', 'sitting'), width_bucket(5.3, 0.2, 10.6, 5), elt(2, 'a', 'b'), find_in_set('b', 'a,b'), space(2) || 'x', octet_length('é'), bit_length('a'), char_length('é'), uuid() IS NOT NULL, monotonically_increasing_id() >= 0",
    "SELECT bit_count(7), bit_get(5, 2), shiftleft(1, 3), shiftright(8, 1), 5 & 3, 5 | 3, 5 ^ 3, ~5, getbit(5, 0), e(), pi(), degrees(pi()), radians(180), log(2, 8), log10(100), log1p(0), ln(e()), expm1(0), rint(2.5), sec(0), atan2(1, 1)",
    "SELECT url_encode('a b&c'), url_decode('a+b%26c'), parse_url('http://h.x/p?q=1#f', 'QUERY', 'q'), mask('Ab1-x'), sentences('Hi there. Bye.'), to_csv(named_struct('a', 1, 'b', 'x')), from_csv('1,x', 'a INT, b STRING'), split_part('a.b.c', '.', -1), startswith('abc', 'ab'), contains('abc', 'd'), endswith('abc', 'bc'), btrim('  x '), ucase('a'), char(65), printf('%d%%', 5)",
    "SELECT TIMESTAMP'2024-01-01 00:00:00' + make_dt_interval(1, 2, 3, 4.5), DATE'2024-01-31' + make_ym_interval(1, 1), date_from_unix_date(1), unix_date(DATE'1970-01-02'), timestamp_seconds(1.5), to_timestamp('2024-01-01', 'yyyy-MM-dd'), try_to_timestamp('x'), dayname(DATE'2024-01-01'), date_part('YEAR', DATE'2024-01-01'), date_diff(DATE'2024-01-02', DATE'2024-01-01'), curdate() = current_date(), timestampdiff(DAY, TIMESTAMP'2024-01-01 00:00:00', TIMESTAMP'2024-01-05 12:00:00')",
]


def main():
    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    spark = builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
    with open("spark_everyday.jsonl", "w") as out:
        for query in QUERIES:
            frame = spark.sql(query)
            names = [f"c{at}" for at in range(len(frame.columns))]
            texts = frame.toDF(*names).selectExpr(*[f"CAST({name} AS STRING)" for name in names])
            rows = ["|".join("NULL" if v is None else v for v in row) for row in texts.collect()]
            out.write(json.dumps({"zone": "UTC", "query": query, "width": len(names), "rows": sorted(rows)}) + "\n")


main()
