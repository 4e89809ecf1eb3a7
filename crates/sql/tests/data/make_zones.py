"""Makes spark_zones.jsonl: what Spark prints in sessions of several time zones. Needs pyspark 4; run it here."""
import json
import os
import sys

os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
from pyspark.sql import SparkSession

ZONES = ["Europe/Berlin", "America/New_York", "+05:30"]
QUERIES = """SELECT TIMESTAMP'2024-07-01 12:00:00'
SELECT TIMESTAMP'2024-07-01 12:00:00Z', TIMESTAMP'2024-01-01 12:00:00+05:00'
SELECT unix_seconds(TIMESTAMP'2024-07-01 12:00:00'), unix_micros(TIMESTAMP'2024-01-01 12:00:00.5'), unix_millis(TIMESTAMP'2024-01-01')
SELECT timestamp_seconds(1719828000), timestamp_millis(1719828000123), timestamp_micros(0)
SELECT CAST('2024-03-31 02:30:00' AS TIMESTAMP), CAST('2024-10-27 02:30:00' AS TIMESTAMP)
SELECT unix_seconds(CAST('2024-03-31 02:30:00' AS TIMESTAMP)), unix_seconds(CAST('2024-10-27 02:30:00' AS TIMESTAMP))
SELECT CAST(TIMESTAMP'2024-07-01 23:30:00Z' AS DATE), CAST(DATE'2024-07-01' AS TIMESTAMP), unix_seconds(CAST(DATE'2024-07-01' AS TIMESTAMP))
SELECT CAST(TIMESTAMP'2024-07-01 23:30:00Z' AS STRING), CAST(TIMESTAMP'2024-07-01 12:00:00' AS BIGINT), CAST(1719828000 AS TIMESTAMP)
SELECT hour(timestamp_seconds(1719828000)), minute(timestamp_seconds(1719828000)), second(timestamp_seconds(1719828007)), day(timestamp_seconds(1719871200)), year(timestamp_seconds(1704063600)), month(timestamp_seconds(1704063600))
SELECT extract(HOUR FROM timestamp_seconds(1719828000)), date_part('day', timestamp_seconds(1719871200)), dayofweek(timestamp_seconds(1719871200)), quarter(timestamp_seconds(1704063600)), weekofyear(timestamp_seconds(1704063600))
SELECT hour('2024-07-01 12:00:00'), hour('2024-07-01 12:00:00Z'), date_format('2024-07-01 12:00:00', 'HH:mm')
SELECT date_format(timestamp_seconds(1719828000), 'yyyy-MM-dd HH:mm:ss'), date_format(timestamp_seconds(1719828000), 'VV z XXX x Z'), date_format(timestamp_seconds(1704110400), 'z O OOOO X XX xxx ZZZZ ZZZZZ')
SELECT date_trunc('day', timestamp_seconds(1719871200)), date_trunc('MONTH', timestamp_seconds(1704063600)), date_trunc('hour', timestamp_seconds(1719828007)), unix_seconds(date_trunc('day', timestamp_seconds(1719871200)))
SELECT trunc(timestamp_seconds(1704063600), 'YEAR'), last_day(timestamp_seconds(1704063600)), to_date(timestamp_seconds(1704063600)), date_add(timestamp_seconds(1704063600), 1)
SELECT from_unixtime(0), from_unixtime(1719828000, 'yyyy-MM-dd HH:mm XXX')
SELECT unix_timestamp('2024-07-01 12:00:00'), unix_timestamp('01.07.2024 12', 'dd.MM.yyyy HH'), unix_timestamp(DATE'2024-07-01'), to_unix_timestamp('2024-01-01 00:00:00')
SELECT to_timestamp('2024-07-01 12:00:00'), unix_seconds(to_timestamp('01.07.2024', 'dd.MM.yyyy')), unix_seconds(to_timestamp('2024-07-01 12:00+00:00', 'yyyy-MM-dd HH:mmXXX')), to_timestamp('2024-07-01 12:00+00:00', 'yyyy-MM-dd HH:mmXXX')
SELECT unix_seconds(make_timestamp(2024, 7, 1, 12, 0, 0)), make_timestamp(2024, 7, 1, 12, 0, 0, 'UTC'), make_timestamp_ntz(2024, 7, 1, 12, 0, 0), typeof(make_timestamp_ntz(2024, 7, 1, 12, 0, 0)), typeof(make_timestamp(2024, 7, 1, 12, 0, 0))
SELECT from_utc_timestamp('2024-07-01 12:00:00', 'Asia/Tokyo'), to_utc_timestamp('2024-07-01 12:00:00', 'Asia/Tokyo'), from_utc_timestamp(TIMESTAMP'2024-03-31 00:30:00', 'Europe/Berlin')
SELECT convert_timezone('America/New_York', TIMESTAMP_NTZ'2024-07-01 12:00:00'), convert_timezone('UTC', 'Asia/Tokyo', TIMESTAMP_NTZ'2024-07-01 12:00:00')
SELECT TIMESTAMP'2024-03-30 12:00:00' + INTERVAL 1 DAY, TIMESTAMP'2024-03-30 12:00:00' + INTERVAL 24 HOURS, unix_seconds(TIMESTAMP'2024-03-30 12:00:00' + INTERVAL 1 DAY), TIMESTAMP'2024-03-31 01:30:00' + INTERVAL 1 HOUR
SELECT TIMESTAMP'2024-01-31 12:00:00' + INTERVAL 6 MONTHS, unix_seconds(TIMESTAMP'2024-01-31 12:00:00' + INTERVAL 6 MONTHS), TIMESTAMP'2024-10-28 02:30:00' - INTERVAL 1 DAY, unix_seconds(TIMESTAMP'2024-10-27 00:30:00Z' + INTERVAL 0 DAY)
SELECT TIMESTAMP'2024-04-01 00:00:00' - TIMESTAMP'2024-03-31 00:00:00' = INTERVAL 1 DAY, timestampdiff(HOUR, TIMESTAMP'2024-03-31 00:00:00', TIMESTAMP'2024-04-01 00:00:00'), datediff(TIMESTAMP'2024-04-01 00:00:00', TIMESTAMP'2024-03-31 23:00:00'), months_between(TIMESTAMP'2024-04-01 00:00:00', TIMESTAMP'2024-03-01 00:00:00')
SELECT timestampadd(HOUR, 30, TIMESTAMP'2024-03-30 12:00:00'), timestampadd(MONTH, 1, TIMESTAMP'2024-02-29 02:30:00'), dateadd(DAY, 1, TIMESTAMP'2024-03-30 02:30:00'), unix_seconds(timestampadd(DAY, 1, TIMESTAMP'2024-03-30 02:30:00'))
SELECT TIMESTAMP'2024-07-01 12:00:00' = TIMESTAMP_NTZ'2024-07-01 12:00:00', TIMESTAMP'2024-07-01 00:00:00' = DATE'2024-07-01', TIMESTAMP'2024-07-01 12:00:00' = '2024-07-01 12:00:00', TIMESTAMP'2024-07-01 12:00:00' < '2024-07-01 12:00:00Z'
SELECT CAST(TIMESTAMP'2024-07-01 12:00:00Z' AS TIMESTAMP_NTZ), CAST(TIMESTAMP_NTZ'2024-07-01 12:00:00' AS TIMESTAMP), unix_seconds(CAST(TIMESTAMP_NTZ'2024-07-01 12:00:00' AS TIMESTAMP)), typeof(TIMESTAMP_NTZ'2024-07-01 12:00:00'), typeof(TIMESTAMP'2024-07-01 12:00:00')
SELECT array(timestamp_seconds(0)), map('a', timestamp_seconds(0)), struct(timestamp_seconds(0) AS t), CAST(array(timestamp_seconds(0)) AS STRING), concat('at ', timestamp_seconds(0)), to_char(timestamp_seconds(0), 'HH:mm')
SELECT max(t), min(CAST(t AS DATE)), count_if(t > '2024-07-01 13:00:00') FROM VALUES (timestamp_seconds(1719828000)), (timestamp_seconds(1719871200)) AS v(t)
SELECT coalesce(TIMESTAMP_NTZ'2024-07-01 12:00:00', timestamp_seconds(0)), unix_seconds(coalesce(TIMESTAMP_NTZ'2024-07-01 12:00:00', timestamp_seconds(0)))
SELECT t, count(*) FROM (SELECT date_trunc('day', timestamp_seconds(1719828000 + id * 3600)) AS t FROM range(24)) GROUP BY t ORDER BY t
SELECT CAST('2011-12-30 12:00:00 Pacific/Apia' AS TIMESTAMP), CAST('0001-01-01' AS TIMESTAMP), CAST('1900-01-01 00:00:00' AS TIMESTAMP), unix_seconds(CAST('1890-01-01 00:00:00' AS TIMESTAMP))
SELECT CAST(DATE'2024-07-01' + INTERVAL 5 HOURS AS STRING), '2024-07-01 12:00:00Z' + INTERVAL 1 HOUR, DATE'2024-07-01' + INTERVAL 1 DAY
SELECT current_timezone(), current_date() = CAST(now() AS DATE), localtimestamp() <= CAST(now() AS TIMESTAMP_NTZ)
SELECT timestamp_seconds(1719828000) BETWEEN '2024-07-01 11:00:00' AND '2024-07-01 13:00:00', timestamp_seconds(1719828000) IN (TIMESTAMP'2024-07-01 12:00:00', TIMESTAMP'2024-07-01 06:00:00'), CASE timestamp_seconds(0) WHEN TIMESTAMP'1970-01-01 00:00:00Z' THEN 1 END
SELECT try_to_timestamp('x'), try_to_timestamp('2024-07-01 12', 'yyyy-MM-dd HH'), try_cast('x' AS TIMESTAMP), to_timestamp_ntz('2024-07-01 12:00:00'), make_timestamp(DATE'2024-07-01', TIME'12:00:00')
SELECT next_day(timestamp_seconds(1704063600), 'MON'), add_months(timestamp_seconds(1704063600), 1), date_sub(timestamp_seconds(1704063600), 1), weekday(timestamp_seconds(1704063600)), dayname(timestamp_seconds(1704063600)), monthname(timestamp_seconds(1704063600))
SELECT greatest(timestamp_seconds(0), timestamp_seconds(1)), nvl(NULL, timestamp_seconds(0)), if(true, timestamp_seconds(0), NULL), sort_array(array(timestamp_seconds(1), timestamp_seconds(0)))
SELECT hash(timestamp_seconds(1719828000)), xxhash64(TIMESTAMP'2024-07-01 12:00:00Z'), lpad(timestamp_seconds(0), 30, '*')
SELECT t FROM (SELECT timestamp_seconds(0) AS t UNION ALL SELECT TIMESTAMP'2024-07-01 12:00:00') WHERE t >= '1970-01-01' ORDER BY t
SELECT unix_seconds(t) FROM (SELECT timestamp_seconds(0) AS t UNION ALL SELECT TIMESTAMP_NTZ'2024-07-01 12:00:00') ORDER BY 1
SELECT a.t, b.d FROM VALUES (timestamp_seconds(1719871200)) AS a(t) JOIN VALUES (DATE'2024-07-01'), (DATE'2024-07-02') AS b(d) ON to_date(a.t) = b.d
SELECT sum(v) OVER (ORDER BY t RANGE BETWEEN INTERVAL 1 DAY PRECEDING AND CURRENT ROW) FROM VALUES (1, TIMESTAMP'2024-03-30 12:00:00'), (2, TIMESTAMP'2024-03-31 11:30:00'), (4, TIMESTAMP'2024-04-02 12:00:00') AS x(v, t) ORDER BY 1
SELECT CAST(TIMESTAMP'2024-07-01 12:00:00' AS DOUBLE), CAST(TIMESTAMP'2024-07-01 12:00:00.25' AS DECIMAL(20, 2)), CAST(1.5D AS TIMESTAMP), CAST(2.5BD AS TIMESTAMP)
SELECT date_diff(DAY, TIMESTAMP'2024-03-30 12:00:00', TIMESTAMP'2024-03-31 12:00:00'), timestampdiff(MONTH, TIMESTAMP'2024-01-31 23:30:00Z', TIMESTAMP'2024-03-01 00:30:00'), TIMESTAMP'2024-07-01 12:00:00' - DATE'2024-07-01' = INTERVAL 12 HOURS
SELECT CAST(named_struct('a', '2024-07-01 12:00:00') AS STRUCT<a: TIMESTAMP>), CAST(array('2024-07-01 12:00:00Z') AS ARRAY<TIMESTAMP>), typeof(CAST(array('2024-07-01') AS ARRAY<TIMESTAMP>))
SELECT min_by(v, t), max_by(v, t), count(DISTINCT t) FROM VALUES (1, timestamp_seconds(0)), (2, TIMESTAMP'1970-01-01 00:00:00Z'), (3, timestamp_seconds(5)) AS x(v, t) WHERE v <> 2
SELECT date_part('SECOND', TIMESTAMP'2024-07-01 12:00:07.25'), extract(WEEK FROM timestamp_seconds(1704063600)), extract(DOW FROM timestamp_seconds(1704063600)), extract(MONTH FROM '2024-07-01 12:00:00')
SELECT try_cast('2024-02-30 00:00:00' AS TIMESTAMP), CAST('2024-07-01T12:00:00.123456Z' AS TIMESTAMP), CAST('2024-07-01 12:00:00 UTC' AS TIMESTAMP), CAST('2024-07-01 12:00:00 America/Los_Angeles' AS TIMESTAMP), CAST('2024' AS TIMESTAMP)""".split("\n")


def main():
    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    with open("spark_zones.jsonl", "w") as out:
        for zone in ZONES:
            spark.sql(f"SET TIME ZONE '{zone}'")
            for query in QUERIES:
                frame = spark.sql(query)
                names = [f"c{at}" for at in range(len(frame.columns))]
                texts = frame.toDF(*names).selectExpr(*[f"CAST({name} AS STRING)" for name in names])
                rows = ["|".join("NULL" if v is None else v for v in row) for row in texts.collect()]
                line = {"zone": zone, "query": query, "width": len(names), "rows": sorted(rows)}
                out.write(json.dumps(line) + "\n")


main()
