"""The cases of the suite `frames` by Polars, DuckDB, pandas or Dask, on the tables that the suite made.

    python crates/bench/peers/frames.py --peer polars --data target/frames/1000000 [--case gb_,join_] [--repeat 2]

Called by `trefoil-bench frames --python PYTHON`, which reads the JSON lines. The value is the best round; tables
are in memory before the clock starts, but for the cases that read files. `check` is the number of rows, or the
figure, of the answer.
"""

import argparse
import json
import os
import signal
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--peer", required=True, choices=["polars", "duckdb", "pandas", "dask"])
parser.add_argument("--data", required=True)
parser.add_argument("--case", default="")
parser.add_argument("--repeat", type=int, default=2)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--limit", type=int, default=100, help="seconds a case may take")
args = parser.parse_args()
os.environ["POLARS_MAX_THREADS"] = str(args.threads)

WANTED = [part for part in args.case.split(",") if part]
SIX = ["id1", "id2", "id3", "id4", "id5", "id6"]
G1 = f"{args.data}/g1"
J1 = [f"{args.data}/j1_{name}.parquet" for name in ("left", "small", "medium", "big")]


class TooLong(Exception):
    pass


def alarm(*_):
    raise TooLong(f"longer than {args.limit} s")


signal.signal(signal.SIGALRM, alarm)


def wants(*cases):
    return not WANTED or any(part in case for case in cases for part in WANTED)


def case(name, work, check=None, rounds=None):
    if not wants(name):
        return
    times, value, params = [], None, {}
    try:
        for _ in range(rounds or args.repeat):
            signal.alarm(args.limit)
            begin = time.perf_counter()
            result = work()
            times.append(time.perf_counter() - begin)
            signal.alarm(0)
            if times[-1] > 20:
                break
        value = min(times)
        if check is not None:
            params["check"] = float(check(result))
    except (Exception, TooLong) as error:  # a peer that cannot do a case is a result, too
        signal.alarm(0)
        params["error"] = f"{type(error).__name__}: {str(error)[:160]}"
    params["all_s"] = [round(t, 4) for t in times]
    line = {"peer": args.peer, "case": name, "value": value and float(f"{value:.4g}"), "unit": "s", "params": params}
    print(json.dumps(line), flush=True)


GROUPS = [f"gb_q{i}" for i in range(1, 11)]
JOINS = [f"join_q{i}" for i in range(1, 6)]
FILES = ["read_csv", "read_parquet", "scan_parquet_q1", "scan_parquet_filter", "scan_csv_q1"]
SOME = ["get_dummies_2e6", "pivot_2e6", "melt_2e6"]
OTHER = ["filter_sum", "nunique_id3", "value_counts_id3", "describe", "str_contains", "rolling_mean_100", "cumsum",
         "sort_v3", "sort_id3_v3", "set_index_v3", "shuffle_id6", "drop_duplicates", "write_parquet", *SOME]
OUT = f"{args.data}/written-{args.peer}.parquet"


def polars():
    import polars as pl

    c = pl.col
    case("read_csv", lambda: pl.read_csv(G1 + ".csv"), len)
    case("read_parquet", lambda: pl.read_parquet(G1 + ".parquet"), len)
    case("scan_parquet_q1", lambda: pl.scan_parquet(G1 + ".parquet").group_by("id1").agg(c("v1").sum()).collect(engine="streaming"), len)
    case("scan_parquet_filter", lambda: pl.scan_parquet(G1 + ".parquet").filter((c("v1") == 3) & (c("v2") > 7)).select(c("v3").sum()).collect(engine="streaming"), lambda r: r.item())
    case("scan_csv_q1", lambda: pl.scan_csv(G1 + ".csv").group_by("id1").agg(c("v1").sum()).collect(engine="streaming"), len)
    if wants(*GROUPS, *OTHER):
        eager = pl.read_parquet(G1 + ".parquet")
        x = eager.lazy()
        case("gb_q1", lambda: x.group_by("id1").agg(pl.sum("v1")).collect(), len)
        case("gb_q2", lambda: x.group_by("id1", "id2").agg(pl.sum("v1")).collect(), len)
        case("gb_q3", lambda: x.group_by("id3").agg(pl.sum("v1"), pl.mean("v3")).collect(), len)
        case("gb_q4", lambda: x.group_by("id4").agg(pl.mean("v1", "v2", "v3")).collect(), len)
        case("gb_q5", lambda: x.group_by("id6").agg(pl.sum("v1", "v2", "v3")).collect(), len)
        case("gb_q6", lambda: x.group_by("id4", "id5").agg(pl.median("v3").alias("m"), pl.std("v3").alias("s")).collect(), len)
        case("gb_q7", lambda: x.group_by("id3").agg((pl.max("v1") - pl.min("v2")).alias("r")).collect(), len)
        case("gb_q8", lambda: x.drop_nulls("v3").group_by("id6").agg(c("v3").top_k(2)).explode("v3").collect(), len)
        case("gb_q9", lambda: x.group_by("id2", "id4").agg((pl.corr("v1", "v2", method="pearson") ** 2).alias("r2")).collect(), len)
        case("gb_q10", lambda: x.group_by(SIX).agg(pl.sum("v3"), pl.len().alias("count")).collect(), len)
        case("filter_sum", lambda: x.filter((c("v1") == 3) & (c("v2") > 7)).select(c("v3").sum()).collect(), lambda r: r.item())
        case("nunique_id3", lambda: x.select(c("id3").n_unique()).collect(), lambda r: r.item())
        case("value_counts_id3", lambda: eager["id3"].value_counts(sort=True), len)
        case("describe", lambda: eager.select("v1", "v2", "v3").describe())
        case("str_contains", lambda: x.select(c("id3").str.contains("042", literal=True).sum()).collect(), lambda r: r.item())
        case("rolling_mean_100", lambda: x.select(c("v3").rolling_mean(100)).collect(), len)
        case("cumsum", lambda: x.select(c("v3").cum_sum()).collect(), len)
        case("sort_v3", lambda: x.sort("v3").collect(), len)
        case("sort_id3_v3", lambda: x.sort("id3", "v3").collect(), len)
        if wants(*SOME):
            some = eager.head(2_000_000)
            case("get_dummies_2e6", lambda: some.select("id1").to_dummies(), lambda r: r.shape[1])
            case("pivot_2e6", lambda: some.pivot(on="v1", index="id2", values="v3", aggregate_function="mean"), len)
            case("melt_2e6", lambda: some.unpivot(on=["v1", "v2", "v3"], index=["id1"]), len)
        case("drop_duplicates", lambda: x.select("id1", "id2", "id4").unique().collect(), len)
        case("write_parquet", lambda: eager.write_parquet(OUT, compression="snappy"))
        del x, eager
    if wants(*JOINS):
        x, small, medium, big = [pl.read_parquet(file).lazy() for file in J1]
        case("join_q1", lambda: x.join(small, on="id1").collect(), len)
        case("join_q2", lambda: x.join(medium, on="id2").collect(), len)
        case("join_q3", lambda: x.join(medium, how="left", on="id2").collect(), len)
        case("join_q4", lambda: x.join(medium, on="id5").collect(), len)
        case("join_q5", lambda: x.join(big, on="id3").collect(), len)


def duckdb():
    import duckdb

    con = duckdb.connect()
    con.execute(f"PRAGMA threads={args.threads}")
    con.execute("SET preserve_insertion_order=false")

    def ask(name, sql, figure=False):
        def work():
            con.execute("CREATE OR REPLACE TEMP TABLE answer AS " + sql)

        pick = "SELECT * FROM answer" if figure else "SELECT count(*) FROM answer"
        case(name, work, lambda _: con.execute(pick).fetchone()[0])

    ask("read_csv", f"SELECT * FROM read_csv('{G1}.csv')")
    ask("read_parquet", f"SELECT * FROM '{G1}.parquet'")
    ask("scan_parquet_q1", f"SELECT id1, sum(v1) FROM '{G1}.parquet' GROUP BY id1")
    ask("scan_parquet_filter", f"SELECT sum(v3) FROM '{G1}.parquet' WHERE v1=3 AND v2>7", True)
    ask("scan_csv_q1", f"SELECT id1, sum(v1) FROM '{G1}.csv' GROUP BY id1")
    if wants(*GROUPS, *OTHER):
        con.execute(f"CREATE TABLE x AS SELECT * FROM '{G1}.parquet'")
        ask("gb_q1", "SELECT id1, sum(v1) FROM x GROUP BY id1")
        ask("gb_q2", "SELECT id1, id2, sum(v1) FROM x GROUP BY id1, id2")
        ask("gb_q3", "SELECT id3, sum(v1), avg(v3) FROM x GROUP BY id3")
        ask("gb_q4", "SELECT id4, avg(v1), avg(v2), avg(v3) FROM x GROUP BY id4")
        ask("gb_q5", "SELECT id6, sum(v1), sum(v2), sum(v3) FROM x GROUP BY id6")
        ask("gb_q6", "SELECT id4, id5, quantile_cont(v3, 0.5), stddev(v3) FROM x GROUP BY id4, id5")
        ask("gb_q7", "SELECT id3, max(v1)-min(v2) AS r FROM x GROUP BY id3")
        ask("gb_q8", "SELECT id6, unnest(max(v3, 2)) v FROM x WHERE v3 IS NOT NULL GROUP BY id6")
        ask("gb_q9", "SELECT id2, id4, pow(corr(v1, v2), 2) AS r2 FROM x GROUP BY id2, id4")
        ask("gb_q10", "SELECT id1,id2,id3,id4,id5,id6, sum(v3), count(*) FROM x GROUP BY ALL")
        ask("filter_sum", "SELECT sum(v3) FROM x WHERE v1=3 AND v2>7", True)
        ask("nunique_id3", "SELECT count(DISTINCT id3) FROM x", True)
        ask("value_counts_id3", "SELECT id3, count(*) c FROM x GROUP BY id3 ORDER BY c DESC")
        ask("str_contains", "SELECT count(*) FROM x WHERE contains(id3, '042')", True)
        ask("rolling_mean_100", "SELECT avg(v3) OVER (ORDER BY rowid ROWS BETWEEN 99 PRECEDING AND CURRENT ROW) FROM x")
        ask("cumsum", "SELECT sum(v3) OVER (ORDER BY rowid) FROM x")
        con.execute("SET preserve_insertion_order=true")
        ask("sort_v3", "SELECT * FROM x ORDER BY v3")
        ask("sort_id3_v3", "SELECT * FROM x ORDER BY id3, v3")
        con.execute("SET preserve_insertion_order=false")
        ask("drop_duplicates", "SELECT DISTINCT id1, id2, id4 FROM x")
        if wants("pivot_2e6"):
            con.execute("CREATE TABLE part_of_x AS SELECT * FROM x LIMIT 2000000")
            ask("pivot_2e6", "SELECT * FROM (PIVOT (SELECT id2, v1, v3 FROM part_of_x) ON v1 USING avg(v3) GROUP BY id2)")
        case("write_parquet", lambda: con.execute(f"COPY x TO '{OUT}' (FORMAT parquet, COMPRESSION snappy)"))
        con.execute("DROP TABLE x")
    if wants(*JOINS):
        for name, file in zip(("x", "small", "medium", "big"), J1):
            con.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM '{file}'")
        ask("join_q1", "SELECT x.*, small.id4 AS sid4, v2 FROM x JOIN small USING (id1)")
        ask("join_q2", "SELECT x.*, medium.id1 AS m1, medium.id4 AS m4, medium.id5 AS m5, v2 FROM x JOIN medium USING (id2)")
        ask("join_q3", "SELECT x.*, medium.id1 AS m1, medium.id4 AS m4, medium.id5 AS m5, v2 FROM x LEFT JOIN medium USING (id2)")
        ask("join_q4", "SELECT x.*, medium.id1 AS m1, medium.id2 AS m2, medium.id4 AS m4, v2 FROM x JOIN medium USING (id5)")
        ask("join_q5", "SELECT x.*, big.id1 AS b1, big.id2 AS b2, big.id4 AS b4, big.id5 AS b5, big.id6 AS b6, v2 FROM x JOIN big USING (id3)")


def pandas():
    import pandas as pd

    case("read_csv", lambda: pd.read_csv(G1 + ".csv", engine="pyarrow"), len)
    case("read_parquet", lambda: pd.read_parquet(G1 + ".parquet"), len)
    if wants(*GROUPS, *OTHER):
        x = pd.read_parquet(G1 + ".parquet")

        def by(keys, of=None):
            of = x if of is None else of
            return of.groupby(keys, as_index=False, sort=False, observed=True, dropna=False)

        case("gb_q1", lambda: by("id1").agg({"v1": "sum"}), len)
        case("gb_q2", lambda: by(["id1", "id2"]).agg({"v1": "sum"}), len)
        case("gb_q3", lambda: by("id3").agg({"v1": "sum", "v3": "mean"}), len)
        case("gb_q4", lambda: by("id4").agg({"v1": "mean", "v2": "mean", "v3": "mean"}), len)
        case("gb_q5", lambda: by("id6").agg({"v1": "sum", "v2": "sum", "v3": "sum"}), len)
        case("gb_q6", lambda: by(["id4", "id5"]).agg({"v3": ["median", "std"]}), len)
        case("gb_q7", lambda: by("id3").agg({"v1": "max", "v2": "min"}).assign(r=lambda d: d["v1"] - d["v2"])[["id3", "r"]], len)
        case("gb_q8", lambda: by("id6", x[~x["v3"].isna()][["id6", "v3"]].sort_values("v3", ascending=False)).head(2), len)
        case("gb_q9", lambda: by(["id2", "id4"], x[["id2", "id4", "v1", "v2"]]).apply(lambda d: d["v1"].corr(d["v2"]) ** 2), len)
        case("gb_q10", lambda: by(SIX).agg({"v3": "sum", "v1": "size"}), len)
        case("filter_sum", lambda: x[(x.v1 == 3) & (x.v2 > 7)].v3.sum(), float)
        case("nunique_id3", lambda: x.id3.nunique(), int)
        case("value_counts_id3", lambda: x.id3.value_counts(), len)
        case("describe", lambda: x[["v1", "v2", "v3"]].describe())
        case("str_contains", lambda: x.id3.str.contains("042", regex=False).sum(), int)
        case("rolling_mean_100", lambda: x.v3.rolling(100).mean(), len)
        case("cumsum", lambda: x.v3.cumsum(), len)
        case("sort_v3", lambda: x.sort_values("v3"), len)
        case("sort_id3_v3", lambda: x.sort_values(["id3", "v3"]), len)
        case("set_index_v3", lambda: x.set_index("v3").sort_index(), len)
        if wants(*SOME):
            some = x.head(2_000_000)
            case("get_dummies_2e6", lambda: pd.get_dummies(some["id1"]), lambda r: r.shape[1])
            case("pivot_2e6", lambda: some.pivot_table(index="id2", columns="v1", values="v3", aggfunc="mean"), len)
            case("melt_2e6", lambda: some.melt(id_vars=["id1"], value_vars=["v1", "v2", "v3"]), len)
        case("drop_duplicates", lambda: x[["id1", "id2", "id4"]].drop_duplicates(), len)
        case("write_parquet", lambda: x.to_parquet(OUT, compression="snappy"))
        del x
    if wants(*JOINS):
        x, small, medium, big = [pd.read_parquet(file) for file in J1]
        case("join_q1", lambda: x.merge(small, on="id1"), len)
        case("join_q2", lambda: x.merge(medium, on="id2"), len)
        case("join_q3", lambda: x.merge(medium, how="left", on="id2"), len)
        case("join_q4", lambda: x.merge(medium, on="id5"), len)
        case("join_q5", lambda: x.merge(big, on="id3"), len)


def dask():
    import dask
    import dask.dataframe as dd
    import pandas as pd

    dask.config.set(scheduler="threads", num_workers=args.threads)

    def read(file):
        return dd.read_parquet(file, split_row_groups=True)

    case("read_csv", lambda: dd.read_csv(G1 + ".csv").persist(), len)
    case("read_parquet", lambda: read(G1 + ".parquet").persist(), len)
    case("scan_parquet_q1", lambda: read(G1 + ".parquet").groupby("id1").v1.sum().compute(), len)
    case("scan_csv_q1", lambda: dd.read_csv(G1 + ".csv").groupby("id1").v1.sum().compute(), len)
    if wants(*GROUPS, *OTHER):
        x = read(G1 + ".parquet").persist()

        def by(keys, of=None):
            return (x if of is None else of).groupby(keys, dropna=False, observed=True)

        case("gb_q1", lambda: by("id1").agg({"v1": "sum"}).compute(), len)
        case("gb_q2", lambda: by(["id1", "id2"]).agg({"v1": "sum"}).compute(), len)
        case("gb_q3", lambda: by("id3").agg({"v1": "sum", "v3": "mean"}).compute(), len)
        case("gb_q4", lambda: by("id4").agg({"v1": "mean", "v2": "mean", "v3": "mean"}).compute(), len)
        case("gb_q5", lambda: by("id6").agg({"v1": "sum", "v2": "sum", "v3": "sum"}).compute(), len)
        case("gb_q6", lambda: by(["id4", "id5"]).agg({"v3": ["median", "std"]}, shuffle_method="tasks").compute(), len)
        case("gb_q7", lambda: by("id3").agg({"v1": "max", "v2": "min"}).assign(r=lambda d: d["v1"] - d["v2"])[["r"]].compute(), len)
        case("gb_q8", lambda: by("id6", x[~x["v3"].isna()][["id6", "v3"]]).apply(lambda d: d.nlargest(2, columns="v3"), meta={"v3": "float64"})[["v3"]].compute(), len, 1)
        case("gb_q9", lambda: by(["id2", "id4"], x[["id2", "id4", "v1", "v2"]]).apply(lambda d: pd.Series({"r2": d.corr()["v1"]["v2"] ** 2}), meta={"r2": "float64"}).compute(), len, 1)
        case("gb_q10", lambda: by(SIX).agg({"v3": "sum", "v1": "size"}, split_out=x.npartitions).compute(), len, 1)
        case("filter_sum", lambda: x[(x.v1 == 3) & (x.v2 > 7)].v3.sum().compute(), float)
        case("nunique_id3", lambda: x.id3.nunique().compute(), int)
        case("value_counts_id3", lambda: x.id3.value_counts().compute(), len)
        case("describe", lambda: x[["v1", "v2", "v3"]].describe().compute())
        case("str_contains", lambda: x.id3.str.contains("042", regex=False).sum().compute(), int)
        case("rolling_mean_100", lambda: x.v3.rolling(100).mean().persist(), len)
        case("cumsum", lambda: x.v3.cumsum().persist(), len)
        case("sort_v3", lambda: x.sort_values("v3").persist(), len, 1)
        case("set_index_v3", lambda: x.set_index("v3").persist(), len, 1)
        case("shuffle_id6", lambda: x.shuffle("id6").persist(), len, 1)
        case("drop_duplicates", lambda: x[["id1", "id2", "id4"]].drop_duplicates().compute(), len)
        del x
    if wants(*JOINS):
        x, small, medium, big = [read(file).persist() for file in J1]
        case("join_q1", lambda: x.merge(small, on="id1").compute(), len)
        case("join_q2", lambda: x.merge(medium, on="id2").compute(), len)
        case("join_q3", lambda: x.merge(medium, how="left", on="id2").compute(), len)
        case("join_q4", lambda: x.merge(medium, on="id5").compute(), len)
        case("join_q5", lambda: x.merge(big, on="id3").compute(), len, 1)


{"polars": polars, "duckdb": duckdb, "pandas": pandas, "dask": dask}[args.peer]()
sys.stdout.flush()
if os.path.isfile(OUT):
    os.remove(OUT)
