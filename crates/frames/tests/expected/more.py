"""Computes with pandas alone what groups, moments, reshaping, joins and categories must give on a small table.

    python crates/frames/tests/expected/more.py    # from the repository root; writes more.json beside it

The JSON has two tables ("left", "right": columns of values) and the cases: name -> columns and rows, sorted by all
columns, nulls last. Numbers are compared with a relative tolerance of 1e-9, null is null.
"""

import json
import pathlib
import random

import pandas as pd

HERE = pathlib.Path(__file__).resolve().parent
rng = random.Random(20261126)
N = 60


def table(n, seed):
    rng.seed(seed)
    return {
        "id": list(range(n)),
        "k": [rng.choice(["a", "b", "c", "d", None]) for _ in range(n)],
        "c": [rng.choice(["Red", "green", "BLUE", None]) for _ in range(n)],
        "x": [None if rng.random() < 0.15 else round(rng.uniform(-5, 10), 2) for _ in range(n)],
        "y": [rng.randrange(-4, 9) for _ in range(n)],
    }


left, right = table(N, 1), table(25, 2)
d, e = pd.DataFrame(left), pd.DataFrame(right)
cases = {}


def plain(value):
    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


def case(name, frame):
    frame = frame[list(frame.columns)].astype(object)
    rows = [[plain(v) for v in row] for row in frame.itertuples(index=False)]
    key = [[(v is None, str(type(v)) if v is None else "", v if v is not None else 0) for v in row] for row in rows]
    rows = [row for _, row in sorted(zip(key, rows), key=lambda pair: [(c[0], c[2]) if not isinstance(c[2], str) else (c[0], c[2]) for c in pair[0]])]
    cases[name] = {"columns": [str(c) for c in frame.columns], "rows": rows}


g = d.groupby("k", dropna=False, sort=False)
for n in [1, 2, 5, 100]:
    case(f"head {n}", g.head(n))
    case(f"tail {n}", g.tail(n))
    top = g["x"].apply(lambda s, n=n: s.dropna().nlargest(n)).reset_index(level=0).reset_index(drop=True)
    case(f"nlargest {n}", top[["k", "x"]])
    low = g["y"].apply(lambda s, n=n: s.nsmallest(n)).reset_index(level=0).reset_index(drop=True)
    case(f"nsmallest {n}", low[["k", "y"]])
for n in [0, 1, 3, 40]:
    case(f"nth {n}", g.nth(n))
for q in [0.0, 0.25, 0.5, 0.9, 1.0]:
    case(f"quantile {q}", g[["x", "y"]].quantile(q).reset_index())
case("product", g[["y"]].prod().reset_index())
case("filter size", g.filter(lambda f: len(f) > 11))
case("filter mean", g.filter(lambda f: f["y"].mean() > 2))
for f in ["skew", "kurt", "sem"]:
    case(f"{f} of groups", pd.DataFrame({"k": list(g.groups), f: [getattr(d[d.k.isna() if pd.isna(k) else d.k == k]["x"], f)() for k in g.groups]}))
    case(f"{f} of all", pd.DataFrame({f: [getattr(d["x"], f)()]}))
    case(f"{f} of few", pd.DataFrame({f: [getattr(d["x"].head(2), f)()]}))
    case(f"{f} of equal", pd.DataFrame({f: [getattr(pd.Series([2.0] * 9), f)()]}))

cells = d[d.k.notna() & d.c.notna()].drop_duplicates(["k", "c"])
case("unstack", cells.pivot(index="k", columns="c", values="y").reset_index())
case("stack", d[["id", "x", "y"]].melt(id_vars="id").dropna())
case("add_prefix", d.add_prefix("p_"))
case("add_suffix", d.add_suffix("_s"))

lower = d.assign(j=d["c"].str.lower()).merge(e.assign(j=e["c"].str.lower()), on="j", how="inner")
rows = d.assign(j=d["c"].str.lower()).dropna(subset="j")
other = e.assign(j=e["c"].str.lower()).dropna(subset="j")
case("on_exprs inner", rows.merge(other, on="j")[["id_x", "c_x", "id_y", "c_y"]])
for how in ["left", "right", "outer"]:
    a, b = d[["id", "c"]].assign(j=d["c"].str.lower()), e[["id", "c"]].assign(j=e["c"].str.lower())
    # null matches nothing here
    a.loc[a.j.isna(), "j"] = "no left"
    b.loc[b.j.isna(), "j"] = "no right"
    case(f"on_exprs {how}", a.merge(b, on="j", how=how)[["id_x", "c_x", "id_y", "c_y"]])
pairs = d[["id", "k", "y"]].merge(e[["id", "k", "y"]], how="cross")
for name, mask in {
    "less": pairs.y_x < pairs.y_y,
    "key and less": (pairs.k_x == pairs.k_y) & pairs.k_x.notna() & (pairs.y_x < pairs.y_y),
}.items():
    met = pairs[mask]
    case(f"{name} inner", met[["id_x", "id_y"]])
    alone = d[~d.id.isin(met.id_x)][["id"]].rename(columns={"id": "id_x"}).assign(id_y=None)
    case(f"{name} left", pd.concat([met[["id_x", "id_y"]].astype(object), alone.astype(object)]))
    lonely = e[~e.id.isin(met.id_y)][["id"]].rename(columns={"id": "id_y"}).assign(id_x=None)
    full = pd.concat([met[["id_x", "id_y"]].astype(object), alone.astype(object), lonely[["id_x", "id_y"]].astype(object)])
    case(f"{name} full", full)
    case(f"{name} semi", d[d.id.isin(met.id_x)][["id"]])
    case(f"{name} anti", d[~d.id.isin(met.id_x)][["id"]])

cat = d["c"].astype("category")


def categories(name, s):
    cases[f"cat {name}"] = {
        "columns": ["id", "c", "code"],
        "rows": [[i, plain(v), int(c)] for i, (v, c) in enumerate(zip(s.astype(object), s.cat.codes))],
        "categories": [str(c) for c in s.cat.categories],
    }


categories("as it is", cat)
categories("set", cat.cat.set_categories(["green", "Red", "new"]))
categories("add", cat.cat.add_categories(["new", "newer"]))
categories("remove", cat.cat.remove_categories(["Red"]))
categories("rename", cat.cat.rename_categories({"Red": "rot", "BLUE": "blau"}))


def pivot(name, frame, **how):
    wide = frame.pivot_table(**how)
    # one name where pandas has a level each: aggregation, value, keys
    names = wide.columns.map(lambda c: "_".join(str(part) for part in c if part != "") if isinstance(c, tuple) else str(c))
    wide = wide.set_axis(list(names), axis=1)
    # the row of margins has null in all keys but the first
    case(name, wide.reset_index().replace("", None))


whole = d.dropna()
short = whole[whole.y.isin([0, 1, 2])]
pivot("pivot values", whole, index="k", columns="c", values=["x", "y"], aggfunc="mean")
pivot("pivot aggregations", whole, index="k", columns="c", values="y", aggfunc=["mean", "max"])
pivot("pivot both", whole, index="k", columns="c", values=["x", "y"], aggfunc=["min", "max", "median"])
pivot("pivot fill", whole, index="y", columns="c", values="x", aggfunc="sum", fill_value=-1)
pivot("pivot count", whole, index="y", columns="c", values="id", aggfunc="count")
pivot("pivot two rows", whole, index=["k", "y"], columns="c", values="x", aggfunc="mean")
pivot("pivot two columns", short, index="k", columns=["c", "y"], values="x", aggfunc="max")
pivot("pivot margins", whole, index="k", columns="c", values="x", aggfunc="mean", margins=True, margins_name="All")
pivot("pivot margins of two", whole, index=["k", "y"], columns="c", values="x", aggfunc="max", margins=True)
pivot("pivot margins of both", whole, index="k", columns="c", values=["x", "y"], aggfunc=["sum", "std"], margins=True)

for name, how in {
    "prefix": dict(prefix={"c": "is"}, prefix_sep="-"),
    "drop": dict(drop_first=True),
    "null": dict(dummy_na=True),
    "number": dict(dtype=int, drop_first=True, dummy_na=True),
}.items():
    coded = pd.get_dummies(d[["id", "c"]], columns=["c"], **how)
    case(f"dummies {name}", coded.rename(columns=lambda c: c.replace("_nan", "_null")).map(lambda v: str(v).lower() if isinstance(v, bool) else v))
(HERE / "more.json").write_text(json.dumps({"pandas": pd.__version__, "left": left, "right": right, "cases": cases}) + "\n")
print(len(cases), "cases,", sum(len(c["rows"]) for c in cases.values()), "rows")
