"""Computes with pandas alone what ordered expressions must give on a small table with nulls.

    python crates/frames/tests/expected/windows.py    # from the repository root; writes windows.json beside it

The JSON has the table ("input": columns of values) and the cases: name -> the column that must come out, in the order
of `id`. Numbers are compared with a relative tolerance of 1e-9, null is null.
"""

import json
import pathlib
import random

import pandas as pd

HERE = pathlib.Path(__file__).resolve().parent
rng = random.Random(20261123)
N = 40
start = 1_700_000_000
seconds = sorted(rng.sample(range(0, 3600 * 30), N))
table = {
    "id": list(range(N)),
    "g": [rng.choice("abc") for _ in range(N)],
    "x": [None if rng.random() < 0.15 else round(rng.uniform(-5, 10), 2) for _ in range(N)],
    "n": [None if rng.random() < 0.15 else rng.randrange(-6, 7) for _ in range(N)],
    "y": [rng.randrange(1, 6) for _ in range(N)],
    "t": [start + s for s in seconds],
}
d = pd.DataFrame(table)
d["n"] = d["n"].astype("float64")
d["t"] = pd.to_datetime(d["t"], unit="s")
g = d.groupby("g")
cases = {}


def case(name, column):
    assert len(column) == N, name
    cases[name] = [None if pd.isna(v) else (v.item() if hasattr(v, "item") else v) for v in column]


for c in ["x", "n"]:
    s, by = d[c], g[c]
    for k in [0, 1, -2, 5, 100]:
        case(f"{c} shift {k}", s.shift(k))
        case(f"{c} shift {k} g", by.shift(k))
    for k in [1, -1, 3]:
        case(f"{c} diff {k}", s.diff(k))
        case(f"{c} diff {k} g", by.diff(k))
        case(f"{c} cumcount g" if c == "x" else f"{c} cumcount g", by.cumcount())
    for f in ["cumsum", "cumprod", "cummin", "cummax"]:
        case(f"{c} {f}", getattr(s, f)())
        case(f"{c} {f} g", getattr(by, f)())
    for m in ["average", "min", "max", "dense", "first"]:
        case(f"{c} rank {m}", s.rank(method=m))
        case(f"{c} rank {m} desc", s.rank(method=m, ascending=False))
        case(f"{c} rank {m} g", by.rank(method=m))
    case(f"{c} ffill", s.ffill())
    case(f"{c} bfill", s.bfill())
    case(f"{c} ffill g", by.ffill())
    case(f"{c} bfill g", by.bfill())
    for k in [1, 2]:
        case(f"{c} ffill limit {k}", s.ffill(limit=k))
        case(f"{c} bfill limit {k} g", by.bfill(limit=k))
    case(f"{c} interpolate", s.interpolate())
    # needs SciPy; ties go to the value before
    case(f"{c} interpolate nearest", s.interpolate("nearest"))
    case(f"{c} interpolate by t", s.set_axis(pd.DatetimeIndex(d["t"])).interpolate("time"))
    case(f"{c} interpolate by y2", s.set_axis(pd.Index(d["y"].cumsum() * 0.5)).interpolate("index"))
    case(f"{c} interpolate g", by.transform(lambda v: v.interpolate()))
    for f in ["sum", "mean", "min", "max", "std", "var", "median", "count"]:
        for w in [1, 2, 3, 7, 50]:
            case(f"{c} rolling {w} {f}", getattr(s.rolling(w, min_periods=0 if f == "count" else None), f)())
            case(f"{c} rolling {w} 1 {f}", getattr(s.rolling(w, min_periods=0 if f == "count" else 1), f)())
        case(f"{c} rolling 3 g {f}", by.transform(lambda v: getattr(v.rolling(3, min_periods=0 if f == "count" else None), f)()))
        for w in [3, 4]:
            case(
                f"{c} rolling {w} center {f}",
                getattr(s.rolling(w, center=True, min_periods=0 if f == "count" else 1), f)(),
            )
        case(f"{c} expanding {f}", getattr(s.expanding(min_periods=0 if f == "count" else 1), f)())
        for span in ["1h", "90min", "5h"]:
            r = d.rolling(span, on="t", min_periods=0 if f == "count" else 1)[c]
            case(f"{c} rolling {span} {f}", getattr(r, f)())
    for f in ["mean", "var", "std"]:
        for adjust in [True, False]:
            for ignore in [True, False]:
                e = s.ewm(alpha=0.3, adjust=adjust, ignore_na=ignore)
                case(f"{c} ewm 0.3 {adjust} {ignore} {f}", getattr(e, f)())
        case(f"{c} ewm span {f}", getattr(s.ewm(span=5), f)())
        case(f"{c} ewm com {f}", getattr(s.ewm(com=2), f)())
        case(f"{c} ewm halflife {f}", getattr(s.ewm(halflife=3, min_periods=4), f)())
        if f == "mean":
            for half in ["1h", "20min", "2d"]:
                case(f"{c} ewm by {half} {f}", s.ewm(halflife=half, times=d["t"]).mean())
        case(f"{c} ewm g {f}", by.transform(lambda v: getattr(v.ewm(span=3), f)()))
    for f in ["sum", "mean", "min", "max", "std", "var", "median", "count", "first", "last", "nunique"]:
        opts = {"min_count": 1} if f == "sum" else {}
        case(f"{c} transform {f}", by.transform(f, **opts))
other = {"x": "n", "n": "y"}
for c in ["x", "n"]:
    for w in [2, 5, 9]:
        for q in [0.25, 0.5, 0.75]:
            case(f"{c} rolling {w} quantile {q}", d[c].rolling(w, min_periods=1).quantile(q))
        both = d[other[c]]
        case(f"{c} rolling {w} cov", d[c].rolling(w, min_periods=2).cov(both))
        # where all values of a window are equal pandas divides by what rounding left
        case(f"{c} rolling {w + 3} corr", d[c].rolling(w + 3, min_periods=4).corr(both))
    for w in [4, 6, 20]:
        case(f"{c} rolling {w} skew", d[c].rolling(w, min_periods=4).skew())
        case(f"{c} rolling {w} kurt", d[c].rolling(w, min_periods=4).kurt())
        case(f"{c} rolling {w} apply", d[c].rolling(w, min_periods=1).apply(lambda v: v[~pd.isna(v)].max() - v[~pd.isna(v)].min(), raw=True))
    case(f"{c} rolling 5h apply", d.rolling("5h", on="t", min_periods=1)[c].apply(lambda v: v[~pd.isna(v)].max() - v[~pd.isna(v)].min(), raw=True))
for k in [1, 2, -1]:
    case(f"y pct_change {k}", d["y"].pct_change(k))
    case(f"y pct_change {k} g", g["y"].pct_change(k))
case("diff of cumsum", d["y"].cumsum().diff().fillna(0))
case("zscore", (d["y"] - g["y"].transform("mean")) / g["y"].transform("std"))

resampled = {}
for span in ["30min", "1h", "3h", "1D"]:
    r = d.resample(span.replace("D", "d") if False else span, on="t")
    for f in ["sum", "mean", "min", "max", "count"]:
        opts = {"min_count": 1} if f == "sum" else {}
        out = getattr(r["x"], f)(**opts)
        resampled[f"{span} {f}"] = [
            [int(t.timestamp()), None if pd.isna(v) else float(v)] for t, v in out.items()
        ]

bars = {}
for span in ["1h", "3h"]:
    out = d.resample(span, on="t")["x"].ohlc()
    bars[span] = [[int(t.timestamp())] + [None if pd.isna(v) else float(v) for v in row] for t, row in zip(out.index, out.itertuples(index=False))]

(HERE / "windows.json").write_text(
    json.dumps({"pandas": pd.__version__, "input": table, "cases": cases, "resample": resampled, "ohlc": bars}, indent=None)
    + "\n"
)
print(len(cases), "cases,", len(resampled), "resamplings")
