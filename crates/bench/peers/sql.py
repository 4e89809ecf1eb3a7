"""Runs SQL for the suite `sql`: sql.py PEER THREADS NAME=FILE..., then one JSON text a line on standard input.

Answers each with one line: {"time": seconds, "rows": n, "sums": [sum of each numeric column]} or {"error": text}.
The time is from the text to all rows in Python, as a user of the peer has them. PEER is polars or duckdb.
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
    peer, threads, *tables = sys.argv[1:]
    tables = [table.split("=", 1) for table in tables]
    run = {"polars": polars, "duckdb": duckdb}[peer](threads, tables)
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
