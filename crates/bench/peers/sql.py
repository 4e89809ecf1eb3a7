"""Runs SQL for the suite `sql`: sql.py PEER THREADS NAME=FILE..., then one JSON text a line on standard input.

Answers each with one line: {"time": seconds, "rows": n, "sums": [sum of each numeric column]} or {"error": text}.
The time is from the text to all rows in Python, as a user of the peer has them. PEER is polars, duckdb or spark. Without
other arguments it prints the peers that this Python has.
"""
import json
import os
import sys
import time


def polars(threads, tables):
    os.environ["POLARS_MAX_THREADS"] = threads
    import polars as pl

    context = pl.SQLContext()
    for name, path in tables:
        context.register(name, pl.scan_parquet(path))
    return lambda text: context.execute(text, eager=False).collect().rows()


def duckdb(threads, tables):
    import duckdb

    connection = duckdb.connect(config={"threads": int(threads)})
    for name, path in tables:
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{path}')")
    return lambda text: connection.execute(text).fetchall()


def spark(threads, tables):
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    from pyspark.sql import SparkSession

    # One exchange has as many parts as there are threads: 200, the default, is for clusters.
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": "8g",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": threads,
    }
    session = SparkSession.builder.master(f"local[{threads}]").config(map=settings).getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    for name, path in tables:
        session.read.parquet(path).createOrReplaceTempView(name)
    return lambda text: session.sql(text).collect()


PEERS = {"polars": (polars, "polars"), "duckdb": (duckdb, "duckdb"), "spark": (spark, "pyspark")}


def sums(rows):
    import decimal

    numbers = (int, float, decimal.Decimal)
    width = len(rows[0]) if rows else 0
    columns = ([row[at] for row in rows] for at in range(width))
    return [
        float(sum(v for v in column if v is not None))
        if all(v is None or (isinstance(v, numbers) and not isinstance(v, bool)) for v in column)
        else None
        for column in columns
    ]


def main():
    if len(sys.argv) == 1:
        from importlib.util import find_spec

        print(json.dumps([peer for peer, (_, module) in PEERS.items() if find_spec(module)]))
        return
    peer, threads, *tables = sys.argv[1:]
    tables = [table.split("=", 1) for table in tables]
    run = PEERS[peer][0](threads, tables)
    for line in sys.stdin:
        text = json.loads(line)
        try:
            begin = time.perf_counter()
            rows = run(text)
            took = time.perf_counter() - begin
            answer = {"time": took, "rows": len(rows), "sums": sums(rows)}
        except Exception as error:  # whatever the peer says is the answer
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
