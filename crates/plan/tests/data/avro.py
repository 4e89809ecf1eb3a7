#!/usr/bin/env python3
"""Writes the Avro files of the tests, with a writer that is not ours: `pip install fastavro cramjam backports.zstd`.

    python3 avro.py
"""
import datetime
import decimal
import os

import fastavro

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "avro")
DAY = datetime.date(2024, 2, 29)
NOON = datetime.datetime(2024, 2, 29, 12, 30, 15, 250000, tzinfo=datetime.timezone.utc)

ORDERS = {
    "type": "record",
    "name": "order",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "city", "type": ["null", "string"], "default": None},
        {"name": "price", "type": ["null", "double"], "default": None},
        {"name": "paid", "type": "boolean"},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "due", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
        {"name": "kind", "type": {"type": "enum", "name": "kind", "symbols": ["new", "old"]}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "counts", "type": {"type": "map", "values": "long"}},
        {"name": "box", "type": {"type": "record", "name": "box", "fields": [
            {"name": "w", "type": "int"}, {"name": "h", "type": ["null", "int"], "default": None}]}},
    ],
}


def order(i):
    return {
        "id": i,
        "city": None if i % 3 == 2 else f"city {i}",
        "price": None if i % 5 == 4 else i / 2,
        "paid": i % 2 == 0,
        "day": DAY + datetime.timedelta(days=i),
        "at": NOON + datetime.timedelta(hours=i),
        "due": decimal.Decimal(i * 100 + 25) / 100,
        "kind": "new" if i < 10 else "old",
        "tags": [f"t{k}" for k in range(i % 3)],
        "counts": {"a": i, "b": -i} if i % 2 else {},
        "box": {"w": i, "h": None if i % 2 else i * 2},
    }


def write(name, schema, rows, codec):
    path = os.path.join(HERE, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        fastavro.writer(out, schema, rows, codec=codec, sync_marker=b"trefoil trefoil ")


for number, codec in enumerate(["null", "deflate", "snappy", "zstandard", "bzip2", "xz"]):
    write(f"orders/{codec}.avro", ORDERS, [order(i) for i in range(number * 10, number * 10 + 10)], codec)

FIRST = {"type": "record", "name": "r", "fields": [{"name": "n", "type": "int"}]}
LATER = {"type": "record", "name": "r", "fields": [
    {"name": "n", "type": "int"}, {"name": "s", "type": ["null", "string"], "default": None}]}
write("years/year=2023/x.avro", FIRST, [{"n": 1}, {"n": 2}], "null")
write("years/year=2024/x.avro", FIRST, [{"n": 3}], "deflate")
write("grown/1.avro", FIRST, [{"n": 1}, {"n": 2}], "null")
write("grown/2.avro", LATER, [{"n": 3, "s": "x"}], "null")
