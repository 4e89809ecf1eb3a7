#!/usr/bin/env python3
"""Writes the Delta Lake tables of the tests, with a writer that is not ours: `pip install deltalake pyarrow pyroaring`.

    python3 delta.py
"""
import base64
import datetime
import json
import os
import shutil
import struct
import uuid

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from pyroaring import BitMap

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "delta")
Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def at(name):
    path = os.path.join(HERE, name)
    shutil.rmtree(path, ignore_errors=True)
    return path


def rows(start, end):
    return pa.table({
        "id": pa.array(range(start, end), pa.int64()),
        "city": pa.array([None if i % 4 == 3 else f"city {i}" for i in range(start, end)], pa.string()),
        "day": pa.array([datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in range(start, end)], pa.date32()),
        "price": pa.array([None if i % 5 == 4 else i / 2 for i in range(start, end)], pa.float64()),
    })


# Five versions: made, grown, deleted from, grown by a column, overwritten in part.
path = at("history")
write_deltalake(path, rows(0, 10))
write_deltalake(path, rows(10, 20), mode="append")
DeltaTable(path).delete("id >= 5 AND id < 8")
more = rows(20, 25).append_column("paid", pa.array([True, False, True, None, False], pa.bool_()))
write_deltalake(path, more, mode="append", schema_mode="merge")
write_deltalake(path, more.slice(0, 1).set_column(0, "id", pa.array([100], pa.int64())), mode="overwrite",
                predicate="id >= 20")

# Directories of keys: text with odd characters, null, dates, numbers; then a checkpoint and one more version.
path = at("keys")
table = pa.table({
    "n": pa.array(range(8), pa.int32()),
    "shop": pa.array(["a b", "a b", "x/y", "x/y", None, None, "100%", "é"], pa.string()),
    "day": pa.array([datetime.date(2024, 2, 28 + i % 2) for i in range(8)], pa.date32()),
})
write_deltalake(path, table, partition_by=["shop", "day"])
DeltaTable(path).create_checkpoint()
write_deltalake(path, pa.table({"n": pa.array([8], pa.int32()), "shop": ["late"], "day": pa.array([datetime.date(2025, 1, 1)])}),
                mode="append")

# A deletion vector, which this writer does not write: added to its log by hand, as the protocol says.
path = at("vector")
write_deltalake(path, rows(0, 10))
log = os.path.join(path, "_delta_log", "00000000000000000000.json")
actions = [json.loads(line) for line in open(log)]
add = next(action["add"] for action in actions if "add" in action)
deleted = BitMap([0, 3, 4, 9])
# magic number of portable arrays of bitmaps, their number, the key of the one, the bitmap
payload = struct.pack("<I", 1681511377) + struct.pack("<Q", 1) + struct.pack("<I", 0) + deleted.serialize()
padded = payload + b"\0" * (-len(payload) % 4)
text = ""
for word in range(0, len(padded), 4):
    value = struct.unpack(">I", padded[word:word + 4])[0]
    text += "".join(Z85[value // 85**power % 85] for power in (4, 3, 2, 1, 0))
vector = {"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": len(payload), "cardinality": 4}
protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"],
            "writerFeatures": ["deletionVectors"]}
remove = {"path": add["path"], "deletionTimestamp": 1, "dataChange": True}
with open(os.path.join(path, "_delta_log", "00000000000000000001.json"), "w") as out:
    for action in [{"protocol": protocol}, {"remove": remove}, {"add": {**add, "deletionVector": vector}}]:
        out.write(json.dumps(action) + "\n")

# Columns by another name than in the files, and a reader feature that nobody knows.
path = at("mapped")
write_deltalake(path, pa.table({"col-1": pa.array([1, 2, 3], pa.int64()), "col-2": ["x", "y", "z"]}))
log = os.path.join(path, "_delta_log", "00000000000000000000.json")
actions = [json.loads(line) for line in open(log)]
for action in actions:
    if "metaData" in action:
        schema = json.loads(action["metaData"]["schemaString"])
        for number, (field, name) in enumerate(zip(schema["fields"], ["number", "the text"]), 1):
            field["metadata"] = {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": field["name"]}
            field["name"] = name
        action["metaData"]["schemaString"] = json.dumps(schema)
        action["metaData"]["configuration"] = {"delta.columnMapping.mode": "name", "delta.columnMapping.maxColumnId": "2"}
    if "protocol" in action:
        action["protocol"] = {"minReaderVersion": 2, "minWriterVersion": 5}
with open(log, "w") as out:
    out.writelines(json.dumps(action) + "\n" for action in actions)
path = at("future")
write_deltalake(path, rows(0, 1))
with open(os.path.join(path, "_delta_log", "00000000000000000001.json"), "w") as out:
    out.write(json.dumps({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["telepathy"],
                                       "writerFeatures": ["telepathy"]}}) + "\n")
