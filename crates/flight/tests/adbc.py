#!/usr/bin/env python3
"""Tries the server with a real client: `pip install adbc-driver-flightsql adbc-driver-manager pyarrow`.

    cargo build --bin trefoil --features cli,flight
    python3 crates/flight/tests/adbc.py target/debug/trefoil
"""
import datetime
import os
import subprocess
import sys

import adbc_driver_flightsql.dbapi as flight
import pyarrow as pa
from adbc_driver_flightsql import DatabaseOptions

HERE = os.path.dirname(os.path.abspath(__file__))
CERT, KEY = (os.path.join(HERE, "data", name) for name in ("cert.pem", "key.pem"))


def serve(binary, *arguments, **environment):
    process = subprocess.Popen([binary, "serve", "--listen", "127.0.0.1:0", *arguments], stdout=subprocess.PIPE,
                               text=True, env={**os.environ, **environment})
    return process, process.stdout.readline().strip().removeprefix("listening at ")


def session(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 7 / 2 AS half, 'x' AS s")
        assert cursor.fetchall() == [(3.5, "x")], "a query"
        cursor.execute("CREATE TABLE t AS SELECT * FROM VALUES (1, 'a'), (2, 'b'), (5, NULL) AS t(n, s)")
        cursor.execute("SELECT s FROM t WHERE n = ?", (2,))
        assert cursor.fetchone() == ("b",), "a parameter"
        cursor.executemany("INSERT INTO t VALUES (?, ?)", [(3, "c"), (4, None)])
        cursor.execute("SELECT count(*), count(s) FROM t")
        assert cursor.fetchone() == (5, 3), "rows of parameters"
        table = pa.table({"k": [1, 2, 3], "v": [0.5, None, 2.5]})
        assert cursor.adbc_ingest("ingested", table, mode="create") == 3
        assert cursor.adbc_ingest("ingested", table, mode="append") == 3
        cursor.execute("SELECT k, sum(v) AS v FROM ingested GROUP BY k ORDER BY k")
        assert cursor.fetch_arrow_table().to_pydict() == {"k": [1, 2, 3], "v": [1.0, None, 5.0]}, "an ingested table"
        cursor.execute("SELECT * FROM VALUES (DATE'2024-02-29', TIMESTAMP'2024-02-29 12:30:00', 1.50, array(1, 2)) AS t(d, t, m, l)")
        row = cursor.fetchone()
        assert (str(row[0]), str(row[2]), row[3]) == ("2024-02-29", "1.50", [1, 2]), row
        cursor.execute("SELECT CAST(? AS DATE) + 1, ? || '!', ? * 2", (datetime.date(2024, 2, 28), "it's", 1.25))
        assert cursor.fetchone() == (datetime.date(2024, 2, 29), "it's!", 2.5), "kinds of parameters"
        cursor.execute("SELECT id FROM range(1000000)")
        assert sum(batch.num_rows for batch in cursor.fetch_record_batch()) == 1_000_000, "many rows"
        try:
            cursor.execute("SELECT nn FROM t")
            raise SystemExit("a wrong column was accepted")
        except flight.Error as error:
            assert "did you mean" in str(error), error
    objects = connection.adbc_get_objects(depth="tables").read_all().to_pylist()
    names = {t["table_name"] for c in objects for s in c["catalog_db_schemas"] for t in s["db_schema_tables"]}
    assert {"t", "ingested"} <= names, names
    assert connection.adbc_get_table_schema("t").names == ["n", "s"]


def main(binary):
    process, address = serve(binary)
    with flight.connect(f"grpc://{address}") as connection:
        session(connection)
    process.terminate()
    print("plain: ok")

    process, address = serve(binary, "--tls-cert", CERT, "--tls-key", KEY, TREFOIL_TOKEN="open sesame")
    port = address.rsplit(":", 1)[1]
    tls = {DatabaseOptions.TLS_ROOT_CERTS.value: open(CERT).read()}
    with flight.connect(f"grpc+tls://localhost:{port}", db_kwargs={
            **tls, DatabaseOptions.AUTHORIZATION_HEADER.value: "Bearer open sesame"}) as connection:
        session(connection)
    print("token and TLS: ok")
    with flight.connect(f"grpc+tls://localhost:{port}", db_kwargs={
            **tls, "username": "ada", "password": "open sesame"}) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    print("user and password: ok")
    try:
        with flight.connect(f"grpc+tls://localhost:{port}", db_kwargs={
                **tls, DatabaseOptions.AUTHORIZATION_HEADER.value: "Bearer wrong"}) as connection, \
                connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        raise SystemExit("a wrong token was accepted")
    except flight.Error as error:
        assert "token" in str(error), error
    process.terminate()
    print("a wrong token: refused")


if __name__ == "__main__":
    main(sys.argv[1])
