#!/usr/bin/env python3
"""Writes the .slt files beside it: queries with the answers of real Spark (ANSI mode, UTC).

    pip install pyspark; python3 make.py [NAME ..]

Every record is a query of one of the lists below. Its expectation is what Spark printed (the text form of
the spark-sql shell, a tab between columns), or, where Spark refused, the name of its error condition. Rows
are compared as a set unless the query says ORDER BY. Nothing here is needed to run the tests.
"""
import itertools
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

SETUP = [
    """CREATE TEMPORARY VIEW people AS SELECT * FROM VALUES
    (1, 'Ada', 'London', 36, 1200.50), (2, 'Bob', 'Paris', NULL, 800.00), (3, 'Cy', 'London', 25, NULL),
    (4, 'Dee', NULL, 52, 3100.75), (5, 'Eve', 'Oslo', 41, 800.00), (6, NULL, 'Paris', 19, 0.00)
    AS t(id, name, city, age, pay)""",
    """CREATE TEMPORARY VIEW orders AS SELECT * FROM VALUES
    (10, 1, DATE'2024-01-15', 3, 'pen'), (11, 1, DATE'2024-02-20', 1, 'ink'), (12, 2, DATE'2024-02-20', 7, 'pen'),
    (13, 3, DATE'2023-12-31', 2, NULL), (14, 9, DATE'2024-03-01', 4, 'cap'), (15, 5, NULL, 5, 'ink')
    AS t(oid, person, day, qty, item)""",
    """CREATE TEMPORARY VIEW nums AS SELECT * FROM VALUES
    (1, 1.5D, 10L), (2, -2.25D, NULL), (3, NULL, 30L), (NULL, 0.0D, -40L), (5, 1e10D, 50L)
    AS t(i, d, l)""",
    """CREATE TEMPORARY VIEW nested AS SELECT * FROM VALUES
    (1, array(1, 2, 3), map('a', 1, 'b', 2), named_struct('x', 1, 'y', 'p')),
    (2, array(), map('c', 3), named_struct('x', 2, 'y', NULL)),
    (3, NULL, NULL, NULL), (4, array(4, NULL, 4), map('a', NULL), named_struct('x', NULL, 'y', 'q'))
    AS t(id, xs, m, s)""",
]


def each(template, *lists):
    """The template with every combination of the lists' items in place of {0}, {1} .."""
    return [template.format(*items) for items in itertools.product(*lists)]


def arithmetic():
    numbers = ["1", "0", "-7", "2147483647", "3L", "9223372036854775807L", "2S", "1Y", "2.5", "0.10", "1.5D", "1e3"]
    out = each("SELECT {0} {1} {2}", numbers, ["+", "-", "*", "/"], ["2", "-3L", "0.5", "2.0D", "1S"])
    out += each("SELECT {0} {1} {2}", ["7", "-7", "7L", "7.5", "7.5D", "2147483647"], ["%", "div"], ["2", "-2", "3L", "0"])
    out += each("SELECT pmod({0}, {1}), mod({0}, {1})", ["7", "-7", "-7.5", "10L"], ["3", "-3"])
    out += each("SELECT {0}", ["-(-2147483647 - 1)", "+5", "- 5", "~5", "5 & 3", "5 | 3", "5 ^ 3", "1 << 4", "-16 >> 2", "-16 >>> 28",
                               "NULL + 1", "1 / NULL", "CAST(NULL AS INT) * 2", "127Y + 1Y", "32767S + 1S", "5 / 0", "5.0 / 0", "5D / 0D", "5 % 0", "5 div 0",
                               "abs(-2147483647 - 1)", "1.1 + 2.2 = 3.3", "0.1D + 0.2D", "1 = 1.0", "1L = 1", "2 * 3.14", "1.10 * 1.10", "10 / 4", "10L / 4L", "1.0 / 3", "100.00 / 7.0"])
    out += each("SELECT typeof({0} {1} {2})", ["1", "1L", "1.5", "1D", "1S", "1Y"], ["+", "/", "*"], ["1", "2L", "0.25", "1D"])
    out += each("SELECT try_{0}({1}, {2})", ["add", "subtract", "multiply", "divide"], ["2147483647", "1.5", "10L"], ["1", "0", "2"])
    out += ["SELECT i + 1, d * 2, l - 1, i / 2, l % 7, -d FROM nums", "SELECT sum(i), sum(d), sum(l), avg(i), avg(l) FROM nums", "SELECT i + l FROM nums",
            "SELECT i + 2147483647 FROM nums"]
    return out


def literals():
    values = ["1", "1L", "1S", "1Y", "1.5", "1.50", "1e3", "1E-2", "1.5D", "1.5F", "1.5BD", "10BD", "'x'", '"x"', "true", "FALSE", "NULL", "DATE'2024-02-29'",
              "TIMESTAMP'2024-02-29 12:34:56.789'", "X'616263'", "INTERVAL '1' DAY", "INTERVAL 2 MONTHS", "INTERVAL '1-2' YEAR TO MONTH", "INTERVAL '1 02:03:04' DAY TO SECOND",
              "array(1, 2)", "array('a', NULL)", "map('k', 1)", "struct(1, 'a')", "named_struct('a', 1, 'b', 2.5)", "array(1, 2L)", "array(1, 2.5)", "array()", "map()",
              "''", "'it''s'", "'a\\nb'", "'\\u0041'", "'\\\\'", "r'\\n'", "current_date() IS NOT NULL", "-0.0D", "0.0", "1000000000000", "99999999999999999999", "1e400", "12345678901234567890.123456789"]
    out = each("SELECT {0}", values) + each("SELECT typeof({0})", values)
    out += ["SELECT 'a' 'b'", "SELECT 1 AS `my col`", "SELECT 1 `x y`, 2 AS z", "SELECT 1 one, 2 AS Two", "SELECT double('1.5'), int('7'), string(12), boolean('true'), date('2024-01-01')",
            "SELECT float('NaN'), double('Infinity'), double('-Infinity')", "SELECT CAST(1e10 AS STRING), CAST(1.0D AS STRING), CAST(1e-5D AS STRING), CAST(100D AS STRING), CAST(1.5F AS STRING)",
            "SELECT 1.0D, 100.0D, 1e7D, 1e-3D, 1e-4D, 123456789.123D, 1.0E16D", "SELECT 1.0F, 3.4028235E38F, 1.17549435E-38F"]
    return out


def casts():
    sources = ["'12'", "' 12 '", "'1.5'", "'abc'", "''", "'true'", "'2024-02-29'", "'2024-02-29 10:11:12'", "1", "0", "-1", "300", "1.5", "2.5", "-2.5", "1.5D", "1e10D", "double('NaN')", "true", "NULL",
               "DATE'2024-02-29'", "TIMESTAMP'2024-02-29 10:11:12.5'"]
    targets = ["INT", "BIGINT", "TINYINT", "DOUBLE", "DECIMAL(5,1)", "STRING", "BOOLEAN", "DATE", "TIMESTAMP"]
    out = each("SELECT CAST({0} AS {1})", sources, targets)
    out += each("SELECT try_cast({0} AS {1})", ["'abc'", "'300'", "300", "'2024-13-01'", "'1.5'", "1e10D"], ["INT", "TINYINT", "DATE", "DOUBLE", "BOOLEAN"])
    out += ["SELECT '5'::INT + 1", "SELECT CAST('1' AS INT) = 1", "SELECT CAST(array('1', '2') AS ARRAY<INT>)", "SELECT CAST(map('a', '1') AS MAP<STRING, INT>)",
            "SELECT CAST(named_struct('a', '1') AS STRUCT<b: INT>)", "SELECT CAST('9999-12-31' AS DATE)", "SELECT CAST(12.345 AS DECIMAL(4,2))", "SELECT CAST(12.355 AS DECIMAL(4,2))", "SELECT CAST(99.995 AS DECIMAL(4,2))",
            "SELECT CAST(1234 AS DECIMAL(3,0))", "SELECT CAST(X'616263' AS STRING)", "SELECT CAST('abc' AS BINARY)", "SELECT CAST(1.0D AS DECIMAL(10,3))", "SELECT CAST('1e3' AS DOUBLE), CAST('-inf' AS DOUBLE)"]
    return out


def comparison():
    pairs = [("1", "2"), ("1", "1.0"), ("'a'", "'b'"), ("'10'", "9"), ("NULL", "1"), ("NULL", "NULL"), ("DATE'2024-01-01'", "'2024-01-02'"), ("true", "false"), ("1.5", "1.5D"), ("double('NaN')", "double('NaN')"),
             ("double('NaN')", "1D"), ("'B'", "'a'"), ("array(1, 2)", "array(1, 3)"), ("DATE'2024-01-01'", "TIMESTAMP'2024-01-01 00:00:00'")]
    out = ["SELECT %s %s %s" % (a, op, b) for a, b in pairs for op in ["=", "<>", "<", ">=", "<=>"]]
    out += each("SELECT {0} BETWEEN {1} AND {2}", ["1", "NULL", "5"], ["0", "2"], ["4", "NULL"])
    out += each("SELECT {0} IN {1}", ["1", "NULL", "'1'"], ["(1, 2)", "(2, NULL)", "('1', '2')"])
    out += each("SELECT {0} {1} {2}", ["true", "false", "NULL"], ["AND", "OR"], ["true", "false", "NULL"])
    out += each("SELECT NOT {0}, {0} IS NULL, {0} IS NOT NULL, {0} IS TRUE, {0} IS NOT FALSE, {0} IS UNKNOWN", ["true", "false", "CAST(NULL AS BOOLEAN)"])
    out += each("SELECT 'Spark' {0}", ["LIKE 'S%'", "LIKE '_park'", "NOT LIKE 'x%'", "ILIKE 'sP%'", "RLIKE '^S.*k$'", "REGEXP 'p.r'", "LIKE ANY ('x%', 'S%')", "LIKE ALL ('S%', '%k')", "NOT LIKE ALL ('x', 'y')", "LIKE 'S\\\\%'"])
    out += ["SELECT 'a%c' LIKE 'a/%c' ESCAPE '/'", "SELECT 1 IS DISTINCT FROM NULL, NULL IS DISTINCT FROM NULL, 1 IS NOT DISTINCT FROM 1", "SELECT greatest(1, NULL, 3), least(2, NULL)", "SELECT greatest('a', 'B'), least(1.5, 2)",
            "SELECT 1 == 1, 1 != 2, !true", "SELECT isnull(NULL), isnotnull(1), isnan(double('NaN')), isnan(NULL)", "SELECT equal_null(NULL, NULL), equal_null(1, NULL)", "SELECT (1, 2) = (1, 2), (1, 'a') < (1, 'b')",
            "SELECT id FROM people WHERE age > 30", "SELECT id FROM people WHERE NOT (age > 30)", "SELECT id FROM people WHERE city IN ('London', NULL)", "SELECT id FROM people WHERE city NOT IN ('London', NULL)",
            "SELECT id FROM people WHERE name LIKE '%e'", "SELECT id FROM people WHERE age BETWEEN 20 AND 40", "SELECT id FROM people WHERE city <=> NULL", "SELECT id FROM people WHERE pay = 800"]
    return out


def strings():
    out = each("SELECT {0}", ["upper('aBc')", "lower('AbC')", "ucase('x')", "lcase('X')", "initcap('hello wORLD')", "length('größe')", "char_length('abc ')", "octet_length('ß')", "bit_length('a')",
        "trim('  a ')", "ltrim('  a ')", "rtrim('  a ')", "trim(BOTH 'x' FROM 'xxaxx')", "trim(LEADING 'x' FROM 'xxaxx')", "trim(TRAILING 'x' FROM 'xxaxx')", "btrim('xyaxy', 'xy')", "substring('Spark SQL', 5)", "substring('Spark SQL', -3)",
        "substring('Spark SQL', 5, 1)", "substr('Spark', 0, 2)", "substring('Spark' FROM 2 FOR 3)", "left('Spark', 3)", "right('Spark', 2)", "left('Spark', 0)", "concat('a', 'b', NULL)", "concat('a', 1, 2.5)", "concat_ws('-', 'a', NULL, 'b')",
        "concat_ws(',', array('a', NULL, 'b'), 'c')", "'a' || 'b' || 1", "'a' || NULL", "repeat('ab', 3)", "repeat('ab', -1)", "reverse('abc')", "reverse(array(1, 2))", "replace('abcabc', 'b', 'X')", "replace('abc', 'b')", "translate('AaBbCc', 'abc', '123')",
        "instr('SparkSQL', 'SQL')", "locate('a', 'banana', 3)", "position('a' IN 'banana')", "position('z', 'banana')", "lpad('7', 3, '0')", "rpad('7', 3, '0')", "lpad('hello', 2)", "lpad('a', 4)", "ascii('A')", "chr(65)", "char(97)", "space(3) || '|'",
        "split('a,b,,c', ',')", "split('a1b2c', '[0-9]')", "split('a,b,c', ',', 2)", "split_part('a.b.c', '.', 2)", "split_part('a.b.c', '.', -1)", "split_part('a.b', '.', 0)", "substring_index('www.apache.org', '.', 2)", "substring_index('www.apache.org', '.', -1)",
        "regexp_replace('100-200', '(\\\\d+)', 'num')", "regexp_extract('100-200', '(\\\\d+)-(\\\\d+)', 1)", "regexp_extract('foo', '(x)', 1)", "regexp_extract_all('1-2, 3-4', '(\\\\d+)-(\\\\d+)', 2)", "regexp_like('Spark', '^S')", "regexp_count('Steven Steven', 'Ste')", "regexp_substr('Steven', 'e.')", "regexp_instr('abc', 'b')",
        "startswith('Spark', 'Sp')", "endswith('Spark', 'rk')", "contains('Spark', 'ar')", "contains(NULL, 'a')", "soundex('Miller')", "levenshtein('kitten', 'sitting')", "levenshtein('kitten', 'sitting', 2)", "format_string('%d %s %.2f', 1, 'a', 2.5D)", "printf('%05d', 42)",
        "format_number(12332.123456, 4)", "format_number(12332.123456, '##################.###')", "base64('Spark')", "unbase64('U3Bhcms=')", "hex('Spark')", "hex(255)", "unhex('53')", "md5('Spark')", "sha1('Spark')", "sha2('Spark', 256)", "crc32('Spark')", "hex(encode('a', 'UTF-16BE'))",
        "decode(X'61', 'UTF-8')", "find_in_set('b', 'a,b,c')", "elt(2, 'a', 'b')", "overlay('Spark SQL' PLACING '_' FROM 6)", "overlay('Spark SQL', 'ANSI ', 7, 0)", "sentences('Hi there. Bye.')", "to_number('1,234.5', '9,999.9')", "to_char(1234.5, '9,999.99')", "mask('AbCD123-@$#')", "luhn_check('79927398713')",
        "str_to_map('a:1,b:2')", "str_to_map('a')", "parse_url('http://spark.apache.org/path?query=1', 'HOST')", "parse_url('http://a.b/p?q=1&r=2', 'QUERY', 'r')", "url_encode('a b&c')", "url_decode('a+b%26c')", "bin(13)", "conv('100', 2, 10)", "conv(-10, 16, -10)", "is_valid_utf8('a')", "collate('a', 'UTF8_LCASE') = 'A'"])
    out += ["SELECT name, upper(name), length(name), substr(name, 2) FROM people", "SELECT concat(name, '@', city) FROM people", "SELECT string_agg(name, ',') WITHIN GROUP (ORDER BY name) FROM people", "SELECT listagg(name, '-') WITHIN GROUP (ORDER BY id DESC) FROM people"]
    return out


def math():
    out = each("SELECT {0}", ["abs(-5)", "abs(-1.5)", "sign(-2.5)", "signum(0)", "ceil(1.2)", "ceil(-1.2)", "ceiling(5)", "floor(-1.2)", "floor(1.9D)", "round(2.5)", "round(-2.5)", "round(2.45, 1)", "round(1234, -2)", "round(2.5D)", "bround(2.5)", "bround(3.5)", "bround(25, -1)", "ceil(3.1411, 3)", "floor(3.1411, 3)",
        "sqrt(16)", "sqrt(-1)", "cbrt(27)", "pow(2, 10)", "power(2, 0.5)", "exp(0)", "exp(1)", "ln(1)", "ln(0)", "log(10, 100)", "log10(1000)", "log2(8)", "log1p(0)", "expm1(0)", "sin(0)", "cos(0)", "tan(0)", "asin(1)", "acos(2)", "atan2(0, 1)", "sinh(0)", "cosh(0)", "tanh(0)", "cot(1)", "sec(0)", "csc(1)", "degrees(pi())", "radians(180)", "pi()", "e()",
        "factorial(5)", "factorial(21)", "hypot(3, 4)", "rint(12.3456)", "shiftleft(2, 1)", "shiftright(4, 1)", "shiftrightunsigned(-4, 28)", "bit_count(7)", "bit_get(11, 0)", "getbit(11, 2)", "width_bucket(5.3, 0.2, 10.6, 5)", "positive(1)", "negative(1)", "nanvl(double('NaN'), 5)", "hash('Spark')", "xxhash64('Spark')", "hash(1, 2L, 'a', NULL)", "uniform(1, 1, 0) IS NOT NULL", "try_mod(5, 0)", "mod(5, 3)", "isnan(1D)", "unhex('zz')", "nullifzero(0)", "zeroifnull(NULL)"])
    out += ["SELECT round(d, 1), floor(d), ceil(d), abs(d), sign(d) FROM nums"]
    return out


def datetime():
    dates = ["DATE'2024-02-29'", "DATE'1999-12-31'", "CAST(NULL AS DATE)"]
    out = each("SELECT {0}({1})", ["year", "month", "day", "dayofmonth", "dayofweek", "weekday", "dayofyear", "weekofyear", "quarter", "last_day", "dayname", "monthname", "unix_date"], dates)
    stamps = ["TIMESTAMP'2024-02-29 12:34:56.789'", "TIMESTAMP'1969-12-31 23:59:59'"]
    out += each("SELECT {0}({1})", ["hour", "minute", "second", "date", "unix_timestamp", "unix_millis", "unix_micros", "to_date"], stamps)
    out += each("SELECT date_trunc('{0}', TIMESTAMP'2024-02-29 12:34:56.789')", ["YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND", "FOO"])
    out += each("SELECT trunc(DATE'2024-02-29', '{0}')", ["YEAR", "MM", "WEEK", "QUARTER", "nope"])
    out += each("SELECT extract({0} FROM TIMESTAMP'2024-02-29 12:34:56.789')", ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "WEEK", "DOW", "DOY", "QUARTER", "YEAROFWEEK"])
    out += each("SELECT date_part('{0}', DATE'2024-02-29')", ["YEAR", "month", "d"])
    out += each("SELECT date_format(TIMESTAMP'2024-02-29 12:34:56.789', '{0}')", ["yyyy-MM-dd", "dd/MM/yy", "HH:mm:ss.SSS", "EEEE", "MMM d, y", "D", "hh:mm a", "QQQ"])
    out += each("SELECT DATE'2024-01-31' + {0}", ["1", "INTERVAL 1 DAY", "INTERVAL 1 MONTH", "INTERVAL '1-1' YEAR TO MONTH", "INTERVAL '2' HOUR"])
    out += each("SELECT {0}", ["date_add(DATE'2024-02-28', 2)", "date_sub(DATE'2024-03-01', 1)", "dateadd(DAY, 3, DATE'2024-01-01')", "datediff(DATE'2024-03-01', DATE'2024-02-01')", "date_diff(DATE'2024-03-01', DATE'2024-02-01')", "datediff(MONTH, DATE'2024-01-15', DATE'2024-03-14')", "timestampadd(HOUR, 2, TIMESTAMP'2024-01-01 00:00:00')", "timestampdiff(MINUTE, TIMESTAMP'2024-01-01 00:00:00', TIMESTAMP'2024-01-01 01:30:30')",
        "DATE'2024-03-01' - DATE'2024-02-01'", "TIMESTAMP'2024-01-02 00:00:00' - TIMESTAMP'2024-01-01 12:00:00'", "add_months(DATE'2024-01-31', 1)", "months_between(DATE'1997-02-28', DATE'1996-10-30')", "months_between(TIMESTAMP'1997-02-28 10:30:00', DATE'1996-10-30')", "next_day(DATE'2015-01-14', 'TU')", "make_date(2024, 2, 29)", "make_date(2023, 2, 29)", "make_timestamp(2024, 2, 29, 1, 2, 3.5)", "make_interval(1, 2)", "make_dt_interval(1, 2, 3, 4.5)", "make_ym_interval(1, 2)",
        "to_date('2024-02-29')", "to_date('29/02/2024', 'dd/MM/yyyy')", "to_date('nope')", "try_to_date('nope')", "to_timestamp('2024-02-29 01:02:03')", "to_timestamp('2024-02-29', 'yyyy-MM-dd')", "try_to_timestamp('nope')", "unix_timestamp('2024-02-29 00:00:00')", "unix_timestamp('2024-02-29', 'yyyy-MM-dd')", "from_unixtime(0)", "from_unixtime(0, 'yyyy')", "timestamp_seconds(1230219000)", "timestamp_millis(1230219000123)", "timestamp_micros(1)", "date_from_unix_date(1)",
        "from_utc_timestamp('2016-08-31', 'Asia/Seoul')", "to_utc_timestamp('2016-08-31', 'Asia/Seoul')", "convert_timezone('Europe/Brussels', 'America/Los_Angeles', TIMESTAMP_NTZ'2021-12-06 00:00:00')", "to_timestamp_ntz('2024-01-01 00:00:00')", "to_unix_timestamp('2016-04-08', 'yyyy-MM-dd')", "INTERVAL '1' DAY + INTERVAL '2' HOUR", "INTERVAL 3 MONTHS * 2", "INTERVAL '10' DAY / 4", "- INTERVAL '1' MONTH", "extract(DAY FROM INTERVAL '5 10:00:00' DAY TO SECOND)", "sequence(DATE'2024-01-01', DATE'2024-01-04')", "sequence(DATE'2024-01-01', DATE'2024-04-01', INTERVAL 1 MONTH)", "DATE'2024-01-01' < TIMESTAMP'2024-01-01 00:00:01'", "current_date() = current_date()", "now() IS NOT NULL", "current_timezone()", "typeof(current_timestamp())", "typeof(DATE'2024-01-01' - DATE'2023-01-01')"])
    out += ["SELECT day, year(day), month(day), date_add(day, qty) FROM orders", "SELECT date_trunc('month', day) AS m, sum(qty) FROM orders GROUP BY 1 ORDER BY 1", "SELECT max(day), min(day), max(day) - min(day) FROM orders", "SELECT oid FROM orders WHERE day >= '2024-02-01'", "SELECT oid FROM orders WHERE day BETWEEN DATE'2024-01-01' AND DATE'2024-02-28'"]
    return out


def conditional():
    out = each("SELECT {0}", ["if(true, 1, 2)", "if(NULL, 1, 2)", "iff(false, 'a', 'b')", "CASE WHEN 1 > 2 THEN 'a' WHEN 2 > 1 THEN 'b' END", "CASE 3 WHEN 1 THEN 'x' ELSE 'y' END", "CASE WHEN false THEN 1 END", "coalesce(NULL, NULL, 3)", "coalesce(NULL)", "nullif(1, 1)", "nullif(1, 2)", "nvl(NULL, 5)", "nvl2(NULL, 1, 2)", "nvl2(3, 1, 2)", "ifnull(NULL, 'x')",
        "decode(2, 1, 'a', 2, 'b', 'c')", "CASE WHEN NULL THEN 1 ELSE 2 END", "coalesce(1, 2.5)", "if(true, 1, 2.5)", "coalesce(1, 1/0)", "if(true, 1, 1/0)", "CASE WHEN true THEN 'x' ELSE raise_error('no') END", "assert_true(1 = 1)", "assert_true(1 = 2)", "raise_error('boom')", "typeof(if(true, 1, 2L))", "typeof(coalesce(1, 'a'))", "nanvl(1D, 2D)", "bool_and(x) FROM VALUES (true), (NULL) AS t(x)"])
    out += ["SELECT id, CASE WHEN age >= 40 THEN 'old' WHEN age >= 20 THEN 'mid' ELSE 'young' END FROM people", "SELECT id, coalesce(city, 'nowhere') FROM people", "SELECT id, nvl(pay, 0) + 1 FROM people", "SELECT id, if(pay > 1000, 'rich', 'poor') FROM people", "SELECT count(CASE WHEN pay > 900 THEN 1 END) FROM people"]
    return out


def aggregates():
    calls = ["count(*)", "count(1)", "count(age)", "count(DISTINCT city)", "sum(age)", "sum(pay)", "avg(age)", "avg(pay)", "min(name)", "max(name)", "min(pay)", "stddev(age)", "stddev_pop(age)", "variance(age)", "var_pop(age)", "sum(DISTINCT pay)", "max_by(name, age)", "min_by(name, age)", "bool_or(age > 50)", "every(age > 10)", "any(age > 50)", "some(age > 50)", "count_if(age > 30)", "median(age)", "percentile(age, 0.5)", "percentile(age, array(0.25, 0.75))", "percentile_approx(age, 0.5)",
             "approx_count_distinct(city)", "mode(pay)", "any_value(id) IS NOT NULL", "first(id) IS NOT NULL", "sort_array(collect_list(age))", "sort_array(collect_set(city))", "array_sort(array_agg(age))", "skewness(age)", "kurtosis(age)", "corr(id, age)", "covar_pop(id, age)", "covar_samp(id, age)", "regr_slope(age, id)", "regr_r2(age, id)", "bit_and(id)", "bit_or(id)", "bit_xor(id)", "product(id) IS NULL", "sum(age) FILTER (WHERE id > 2)", "count(*) FILTER (WHERE city = 'London')", "try_sum(age)", "try_avg(age)", "count(DISTINCT city, pay)", "grouping(city)", "histogram_numeric(age, 2) IS NOT NULL",
             "percentile_cont(0.5) WITHIN GROUP (ORDER BY age)", "percentile_disc(0.5) WITHIN GROUP (ORDER BY age)", "mode() WITHIN GROUP (ORDER BY pay)", "std(age)", "mean(age)"]
    out = each("SELECT {0} FROM people", calls) + each("SELECT city, {0} FROM people GROUP BY city ORDER BY city", calls) + each("SELECT {0} FROM people WHERE false", calls)
    out += ["SELECT city, count(*) FROM people GROUP BY city HAVING count(*) > 1 ORDER BY city", "SELECT city FROM people GROUP BY city ORDER BY count(*) DESC, city", "SELECT age > 30 AS old, count(*) FROM people GROUP BY age > 30 ORDER BY 1", "SELECT city, pay, count(*) FROM people GROUP BY city, pay ORDER BY 1, 2", "SELECT city, count(*) FROM people GROUP BY ALL ORDER BY ALL",
            "SELECT city, name FROM people GROUP BY city", "SELECT sum(name) FROM people", "SELECT sum(x) FROM VALUES (9223372036854775807L), (1L) AS t(x)", "SELECT avg(x) FROM VALUES (1.10), (2.20) AS t(x)", "SELECT typeof(sum(age)), typeof(avg(age)), typeof(sum(pay)), typeof(avg(pay)), typeof(count(*)) FROM people", "SELECT DISTINCT city FROM people ORDER BY city", "SELECT count(*) AS n FROM people WHERE age IS NULL", "SELECT city AS c, count(*) AS n FROM people GROUP BY c ORDER BY n DESC, c", "SELECT count(DISTINCT city) + count(*) FROM people", "SELECT sum(qty) / count(*) FROM orders", "SELECT min(day), max(item) FROM orders"]
    return out


def grouping():
    sets = ["GROUPING SETS ((city), (pay), ())", "ROLLUP(city, pay)", "CUBE(city, pay)", "city, pay WITH ROLLUP", "city, pay WITH CUBE", "GROUPING SETS ((city, pay), (city))", "city, ROLLUP(pay)"]
    out = each("SELECT city, pay, count(*) AS n, sum(age) AS s FROM people GROUP BY {0} ORDER BY ALL", sets)
    out += each("SELECT city, grouping(city) AS g, grouping_id() AS gid, count(*) AS n FROM people GROUP BY {0} ORDER BY ALL", ["ROLLUP(city)", "CUBE(city)", "GROUPING SETS ((city), ())"])
    out += ["SELECT coalesce(city, 'all') AS c, sum(pay) AS s FROM people GROUP BY ROLLUP(city) ORDER BY ALL", "SELECT item, month(day) AS m, sum(qty) AS s FROM orders GROUP BY CUBE(item, month(day)) ORDER BY ALL"]
    return out


def windows():
    calls = ["row_number()", "rank()", "dense_rank()", "percent_rank()", "cume_dist()", "ntile(2)", "lag(age)", "lag(age, 2, -1)", "lead(age)", "lead(name, 1, 'none')", "first_value(age)", "last_value(age)", "nth_value(age, 2)", "sum(age)", "count(age)", "avg(age)", "max(name)", "first_value(age) IGNORE NULLS", "lag(age) IGNORE NULLS"]
    out = each("SELECT id, {0} OVER (ORDER BY id) AS w FROM people ORDER BY id", calls) + each("SELECT id, {0} OVER (PARTITION BY city ORDER BY id DESC) AS w FROM people ORDER BY id", calls)
    frames = ["ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING", "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", "ROWS 2 PRECEDING", "RANGE BETWEEN 1 PRECEDING AND CURRENT ROW", "ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING", "RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING", "ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING"]
    out += each("SELECT id, sum(pay) OVER (ORDER BY id {0}) AS w FROM people ORDER BY id", frames)
    out += ["SELECT id, rank() OVER w AS r, sum(age) OVER w AS s FROM people WINDOW w AS (ORDER BY pay) ORDER BY id", "SELECT id FROM people QUALIFY row_number() OVER (PARTITION BY city ORDER BY id) = 1 ORDER BY id", "SELECT id, row_number() OVER (PARTITION BY city ORDER BY id) AS r FROM people QUALIFY r = 1 ORDER BY id",
            "SELECT city, sum(age) AS s, rank() OVER (ORDER BY sum(age) DESC) AS r FROM people GROUP BY city ORDER BY city", "SELECT oid, sum(qty) OVER (ORDER BY day RANGE BETWEEN INTERVAL 40 DAYS PRECEDING AND CURRENT ROW) AS s FROM orders WHERE day IS NOT NULL ORDER BY oid", "SELECT id, sum(age) OVER () FROM people ORDER BY id", "SELECT id, age, rank() OVER (ORDER BY age NULLS LAST) FROM people ORDER BY id", "SELECT id, rank() OVER (ORDER BY age DESC) FROM people ORDER BY id", "SELECT id, collect_list(id) OVER (ORDER BY id) FROM people ORDER BY id"]
    return out


def joins():
    kinds = ["JOIN", "INNER JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "FULL OUTER JOIN"]
    out = each("SELECT p.id, p.name, o.oid, o.qty FROM people p {0} orders o ON p.id = o.person ORDER BY p.id, o.oid", kinds)
    out += each("SELECT p.id FROM people p {0} JOIN orders o ON p.id = o.person ORDER BY p.id", ["LEFT SEMI", "LEFT ANTI", "SEMI", "ANTI"])
    out += each("SELECT * FROM (SELECT id AS k, name FROM people) a {0} (SELECT person AS k, qty FROM orders) b USING (k) ORDER BY ALL", kinds)
    out += each("SELECT * FROM (SELECT id AS k, name FROM people) a NATURAL {0} (SELECT person AS k, qty FROM orders) b ORDER BY ALL", ["JOIN", "LEFT JOIN", "FULL JOIN"])
    out += each("SELECT p.id, o.oid FROM people p {0} orders o ON p.id = o.person AND o.qty > 2 ORDER BY ALL", kinds) + each("SELECT p.id, o.oid FROM people p {0} orders o ON p.id < o.person AND p.age > o.qty * 10 ORDER BY ALL", kinds)
    out += ["SELECT count(*) FROM people CROSS JOIN orders", "SELECT p.id, o.oid FROM people p, orders o WHERE p.id = o.person ORDER BY 1, 2", "SELECT a.id, b.id FROM people a JOIN people b ON a.city = b.city AND a.id < b.id ORDER BY ALL", "SELECT a.id FROM people a JOIN people b ON a.city <=> b.city GROUP BY a.id HAVING count(*) > 1 ORDER BY 1", "SELECT id FROM people JOIN orders ON id = person ORDER BY id", "SELECT p.id, t.x FROM people p, LATERAL (SELECT p.age + 1 AS x) t ORDER BY ALL",
            "SELECT p.id, t.n FROM people p LEFT JOIN LATERAL (SELECT count(*) AS n FROM orders o WHERE o.person = p.id) t ON true ORDER BY ALL", "SELECT id FROM people, orders WHERE id = nosuch", "SELECT nosuch.id FROM people", "SELECT person FROM nosuch", "SELECT k FROM (SELECT id AS k FROM people) a JOIN (SELECT person AS k FROM orders) b ON a.k = b.k"]
    return out


def sets():
    operators = ["UNION", "UNION ALL", "UNION DISTINCT", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL", "MINUS"]
    out = each("SELECT city FROM people {0} SELECT item FROM orders ORDER BY 1", operators) + each("SELECT * FROM VALUES (1), (1), (2), (NULL) AS a(x) {0} SELECT * FROM VALUES (1), (3), (NULL) AS b(y) ORDER BY 1", operators)
    out += ["SELECT 1 UNION ALL SELECT 2.5 ORDER BY 1", "SELECT 1 AS a UNION ALL SELECT 'x' ORDER BY 1", "SELECT 1, 2 UNION SELECT 1", "(SELECT 1 AS a UNION ALL SELECT 2) INTERSECT SELECT 2", "SELECT 1 AS a UNION SELECT 2 EXCEPT SELECT 1", "SELECT a FROM (SELECT 1 AS a UNION ALL SELECT NULL) ORDER BY a", "VALUES (1, 'a'), (2, 'b') ORDER BY 1", "SELECT * FROM VALUES (1, 2), (3, 4) AS t(a, b) ORDER BY a", "TABLE people ORDER BY id LIMIT 2", "SELECT typeof(a) FROM (SELECT 1 AS a UNION ALL SELECT 2L) LIMIT 1"]
    return out


def subqueries():
    return ["SELECT id FROM people WHERE age > (SELECT avg(age) FROM people) ORDER BY id", "SELECT id FROM people WHERE id IN (SELECT person FROM orders) ORDER BY id", "SELECT id FROM people WHERE id NOT IN (SELECT person FROM orders WHERE person IS NOT NULL) ORDER BY id", "SELECT id FROM people p WHERE EXISTS (SELECT 1 FROM orders o WHERE o.person = p.id AND o.qty > 2) ORDER BY id", "SELECT id FROM people p WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.person = p.id) ORDER BY id",
        "SELECT id, (SELECT max(qty) FROM orders o WHERE o.person = p.id) AS m FROM people p ORDER BY id", "SELECT id, (SELECT count(*) FROM orders o WHERE o.person = p.id) AS n FROM people p ORDER BY id", "SELECT (SELECT 1)", "SELECT (SELECT id FROM people)", "SELECT * FROM (SELECT id, age FROM people) WHERE age > 30 ORDER BY id", "SELECT id FROM people WHERE (city, pay) IN (SELECT city, pay FROM people WHERE id = 5) ORDER BY id", "SELECT id FROM people WHERE pay = (SELECT max(pay) FROM people)", "SELECT id FROM people p WHERE pay >= (SELECT avg(pay) FROM people q WHERE q.city = p.city) ORDER BY id",
        "WITH a AS (SELECT id, age FROM people WHERE age > 20) SELECT count(*) FROM a", "WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT * FROM a, b", "WITH t(a, b) AS (SELECT id, age FROM people) SELECT sum(a), sum(b) FROM t", "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) FROM r", "WITH RECURSIVE f(a, b) AS (SELECT 0, 1 UNION ALL SELECT b, a + b FROM f WHERE b < 50) SELECT a FROM f ORDER BY a", "WITH a AS (SELECT 1 AS x) SELECT * FROM (WITH a AS (SELECT 2 AS x) SELECT * FROM a)",
        "SELECT id FROM people WHERE id = ANY (SELECT person FROM orders) ORDER BY id", "SELECT x FROM (SELECT explode(array(1, 2, 3)) AS x) WHERE x > 1 ORDER BY x", "SELECT id + 1 AS a, a * 2 AS b FROM people ORDER BY id", "SELECT id AS a, a + 1 AS b, b + 1 AS c FROM people WHERE id < 3 ORDER BY a", "SELECT * EXCEPT (pay, age) FROM people ORDER BY id LIMIT 1", "SELECT p.* FROM people p WHERE p.id = 1", "SELECT count(*) FROM (SELECT DISTINCT city FROM people)"]


def ordering():
    keys = ["age", "age DESC", "age NULLS LAST", "age DESC NULLS FIRST", "city, age DESC", "pay DESC, id", "length(name), id", "2, 1", "age + id", "upper(city) DESC, 1"]
    out = each("SELECT id, age FROM people ORDER BY {0}", keys) + each("SELECT id FROM people ORDER BY {0} LIMIT 3", keys[:7]) + each("SELECT id FROM people ORDER BY id LIMIT {0} OFFSET {1}", ["0", "2", "100"], ["0", "1", "5", "10"])
    out += ["SELECT id, city FROM people ORDER BY ALL", "SELECT city, id FROM people ORDER BY ALL DESC", "SELECT id FROM people ORDER BY nosuch", "SELECT id FROM people ORDER BY 9", "SELECT id FROM people LIMIT -1", "SELECT ID, Name FROM PEOPLE ORDER BY iD", "SELECT `Id` FROM people ORDER BY `ID`", "SELECT People.ID FROM people ORDER BY 1", "SELECT id FROM people SORT BY id", "SELECT id FROM people ORDER BY id LIMIT ALL", "SELECT name FROM people ORDER BY name DESC"]
    return out


def collections():
    out = each("SELECT {0}", ["array(1, 2, 3)[0]", "array(1, 2, 3)[5]", "get(array(1, 2), 5)", "element_at(array(1, 2, 3), 1)", "element_at(array(1, 2, 3), -1)", "element_at(array(1, 2), 5)", "try_element_at(array(1, 2), 5)", "map('a', 1)['a']", "map('a', 1)['b']", "element_at(map('a', 1), 'b')", "size(array(1, 2))", "size(map('a', 1))", "size(NULL)", "cardinality(array())", "array_size(array(1))", "array_contains(array(1, 2), 2)", "array_contains(array(1, NULL), 2)", "array_position(array(3, 2, 1), 1)", "array_remove(array(1, 2, 1), 1)", "array_distinct(array(1, 2, 1, NULL, NULL))", "array_union(array(1, 2), array(2, 3))", "array_intersect(array(1, 2), array(2, 3))", "array_except(array(1, 2), array(2, 3))",
        "arrays_overlap(array(1, 2), array(2))", "arrays_overlap(array(1, NULL), array(2))", "arrays_zip(array(1, 2), array('a', 'b'))", "array_join(array('a', NULL, 'b'), ',')", "array_join(array('a', NULL), ',', '?')", "array_max(array(1, 20, NULL))", "array_min(array(1, 20, NULL))", "array_repeat('x', 2)", "array_append(array(1), 2)", "array_prepend(array(1), 0)", "array_insert(array(1, 3), 2, 2)", "array_compact(array(1, NULL, 2))", "sort_array(array(3, NULL, 1))", "sort_array(array(3, NULL, 1), false)", "array_sort(array(3, NULL, 1))", "array_sort(array(3, 1, 2), (l, r) -> r - l)", "slice(array(1, 2, 3, 4), 2, 2)", "slice(array(1, 2, 3), -2, 2)", "flatten(array(array(1), array(2, 3)))", "reverse(array(1, 2, 3))", "concat(array(1), array(2, 3))", "sequence(1, 5)", "sequence(5, 1, -2)", "sequence(1, 5, -1)", "shuffle(array(1)) = array(1)",
        "transform(array(1, 2), x -> x * 2)", "transform(array(1, 2), (x, i) -> x + i)", "filter(array(1, 2, 3), x -> x > 1)", "filter(array(1, 2, 3), (x, i) -> i > 0)", "aggregate(array(1, 2, 3), 0, (a, x) -> a + x)", "aggregate(array(1, 2, 3), 0, (a, x) -> a + x, a -> a * 10)", "reduce(array(1, 2), 0, (a, x) -> a + x)", "exists(array(1, 2), x -> x > 1)", "exists(array(1, NULL), x -> x > 1)", "forall(array(1, 2), x -> x > 0)", "any_match(array(1), x -> x = 1)", "zip_with(array(1, 2), array(3, 4), (x, y) -> x + y)", "zip_with(array(1), array(3, 4), (x, y) -> coalesce(x, 0) + y)", "map_keys(map('a', 1, 'b', 2))", "map_values(map('a', 1, 'b', 2))", "map_entries(map('a', 1))", "map_from_entries(array(struct('a', 1)))", "map_from_arrays(array('a', 'b'), array(1, 2))", "map_concat(map('a', 1), map('b', 2))", "map_contains_key(map('a', 1), 'a')", "map_filter(map('a', 1, 'b', 2), (k, v) -> v > 1)", "transform_values(map('a', 1), (k, v) -> v + 1)", "transform_keys(map('a', 1), (k, v) -> upper(k))", "map_zip_with(map('a', 1), map('a', 2), (k, x, y) -> x + y)",
        "map('a', 1, 'a', 2)", "named_struct('a', 1).a", "struct(1, 2).col2", "array(1, 'a')", "array(named_struct('a', 1))[0].a", "map(1, array(2))[1][0]", "to_json(named_struct('a', 1, 'b', 'x'))", "to_json(array(1, 2))", "to_json(map('a', 1))", "from_json('{\"a\":1}', 'a INT')", "from_json('[1, 2]', 'ARRAY<INT>')", "get_json_object('{\"a\":{\"b\":5}}', '$.a.b')", "get_json_object('[1, 2]', '$[1]')", "json_array_length('[1, 2]')", "json_object_keys('{\"a\":1, \"b\":2}')", "schema_of_json('{\"a\":1}')", "from_csv('1, 0.8', 'a INT, b DOUBLE')", "to_csv(named_struct('a', 1, 'b', 2))", "schema_of_csv('1,abc')", "typeof(map('a', array(1)))", "typeof(named_struct('a', 1, 'b', 'x'))", "array(1) = array(1)", "array(1, 2) < array(1, 3)", "array_contains(xs, 4) FROM nested ORDER BY 1"])
    out += ["SELECT id, xs[0], size(xs), m['a'], s.x, s.y FROM nested ORDER BY id", "SELECT id, transform(xs, x -> x + id) FROM nested ORDER BY id", "SELECT id, map_keys(m) FROM nested ORDER BY id", "SELECT id, s.* FROM nested ORDER BY id", "SELECT id, filter(xs, x -> x IS NOT NULL) FROM nested ORDER BY id", "SELECT id, aggregate(xs, 0, (a, x) -> a + coalesce(x, 0)) FROM nested ORDER BY id", "SELECT s.nosuch FROM nested", "SELECT id FROM nested WHERE array_contains(xs, 2) ORDER BY id", "SELECT id, exists(xs, x -> x = 4) FROM nested ORDER BY id"]
    return out


def lateral():
    
    out = each("SELECT id, t.* FROM nested LATERAL VIEW {1} {0} ORDER BY ALL", ["explode(xs) t AS x", "posexplode(xs) t AS p, x", "explode(m) t AS k, v", "inline(array(s)) t AS a, b", "stack(2, id, 10, id, 20) t AS a, b"], ["", "OUTER"])
    out += each("SELECT id, {0} FROM nested ORDER BY ALL", ["explode(xs)", "explode(xs) AS x", "explode_outer(xs) AS x", "posexplode(xs)", "posexplode_outer(xs)", "explode(m)", "inline(array(s))", "inline_outer(array(s))", "explode(m) AS (k, v)", "stack(2, 1, 2, 3)"])
    out += ["SELECT explode(array(1, 2))", "SELECT posexplode(array('a', 'b'))", "SELECT stack(2, 1, 'a', 2, 'b')", "SELECT inline(array(struct(1, 'a'), struct(2, 'b')))", "SELECT * FROM explode(array(1, 2))", "SELECT * FROM range(3)", "SELECT * FROM range(1, 10, 4)", "SELECT id, x, y FROM nested LATERAL VIEW explode(xs) a AS x LATERAL VIEW explode(map_keys(m)) b AS y ORDER BY ALL", "SELECT x, count(*) FROM nested LATERAL VIEW explode(xs) a AS x GROUP BY x ORDER BY ALL", "SELECT json_tuple('{\"a\":1, \"b\":2}', 'a', 'b')", "SELECT * FROM nested, LATERAL explode(xs) AS t(x) ORDER BY ALL", "SELECT explode(array(1)), explode(array(2))"]
    return out


def pivot():
    out = each("SELECT * FROM (SELECT city, age, pay FROM people) PIVOT ({0} FOR city IN ({1})) ORDER BY ALL", ["sum(age)", "sum(age) AS s", "sum(age) AS s, max(pay) AS m", "count(*)"], ["'London', 'Paris'", "'London' AS l, 'Oslo' AS o"])
    out += ["SELECT * FROM (SELECT item, month(day) AS m, qty FROM orders) PIVOT (sum(qty) FOR m IN (1, 2, 3)) ORDER BY ALL", "SELECT * FROM (SELECT id, age, CAST(pay AS INT) AS pay FROM people) UNPIVOT (v FOR n IN (age, pay)) ORDER BY ALL", "SELECT * FROM (SELECT id, age, CAST(pay AS INT) AS pay FROM people) UNPIVOT INCLUDE NULLS (v FOR n IN (age, pay)) ORDER BY ALL", "SELECT * FROM (SELECT id, age, CAST(pay AS INT) AS pay FROM people) UNPIVOT (v FOR n IN (age AS years, pay AS money)) ORDER BY ALL"]
    return out


def pipes():
    return ["FROM people |> WHERE age > 30 |> SELECT id, name |> ORDER BY id", "FROM people |> AGGREGATE count(*) AS n GROUP BY city |> ORDER BY n DESC, city", "FROM people |> EXTEND age + 1 AS next |> SELECT id, next |> ORDER BY id", "FROM people |> SET pay = pay * 2 |> SELECT id, pay |> ORDER BY id", "FROM people |> DROP pay, age |> ORDER BY id", "FROM people |> AS p |> JOIN orders o ON p.id = o.person |> SELECT p.id, o.oid |> ORDER BY oid", "FROM people |> ORDER BY id |> LIMIT 2", "FROM people |> SELECT city |> UNION ALL (SELECT item FROM orders) |> ORDER BY city", "SELECT id FROM people |> WHERE id > 4 |> ORDER BY id",
            "SELECT /*+ BROADCAST(o) */ p.id FROM people p JOIN orders o ON p.id = o.person ORDER BY 1", "SELECT count(*) FROM people TABLESAMPLE (100 PERCENT)", "SELECT count(*) FROM people TABLESAMPLE (3 ROWS)", "SELECT IDENTIFIER('id') FROM IDENTIFIER('people') ORDER BY 1"]


FILES = {f.__name__: f for f in [arithmetic, literals, casts, comparison, strings, math, datetime, conditional, aggregates, grouping, windows, joins, sets, subqueries, ordering, collections, lateral, pivot, pipes]}


def condition(error):
    text = str(error)
    found = re.search(r"\[([A-Z_]+(?:\.[A-Z_]+)*)\]", text)
    return found.group(1) if found else "UNKNOWN"


def main():
    from pyspark.sql import SparkSession
    spark = (SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").config("spark.sql.session.timeZone", "UTC")
             .config("spark.sql.ansi.enabled", "true").config("spark.sql.shuffle.partitions", "1").config("spark.driver.memory", "1g").getOrCreate())
    spark.sparkContext.setLogLevel("OFF")
    hive = spark._jvm.org.apache.spark.sql.execution.HiveResult
    for text in SETUP:
        spark.sql(text)
    total = 0
    for name in sys.argv[1:] or FILES:
        records = list(dict.fromkeys(FILES[name]()))
        lines = ["# Made by make.py with Spark %s, ANSI mode, UTC. Do not edit." % spark.version, ""]
        for text in SETUP:
            lines += ["statement ok", text, ""]
        for text in records:
            try:
                rows = list(hive.hiveResultString(spark.sql(text)._jdf.queryExecution().executedPlan()).mkString("\x01").split("\x01")) if True else []
                rows = [] if rows == [""] and spark.sql(text).count() == 0 else rows
                order = "nosort" if re.search(r"\bORDER BY\b", text) else "rowsort"
                cells = [["(empty)" if c == "" else c.replace("\n", "\\n") for c in row.split("\t")] for row in rows]
                if order == "rowsort":
                    cells.sort()
                lines += ["query T %s" % order, text, "----"] + ["\t".join(row) for row in cells] + [""]
            except Exception as error:  # noqa: BLE001
                lines += ["statement error %s" % re.escape(condition(error)).replace("\\_", "_"), text, ""]
        with open(os.path.join(HERE, name + ".slt"), "w") as out:
            out.write("\n".join(lines))
        total += len(records)
        print(name, len(records), flush=True)
    print("records:", total)
    spark.stop()


if __name__ == "__main__":
    main()
