"""Computes with pandas alone what the frame verbs must give on the diamonds.

    python crates/frames/tests/expected/frames.py    # from the repository root; writes frames.json beside it

The JSON maps the name of a case to its columns and rows, in order; null is null. The test compares numbers with
a relative tolerance of 1e-9 (sums and means may be added up in another order), everything else exactly.
"""

import json
import pathlib

import numpy as np
import pandas as pd

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parents[3] / "examples" / "data"

d = pd.read_csv(DATA / "diamonds.csv")
cases = {}


def case(name, table):
    rows = [
        [None if pd.isna(v) else (v.item() if isinstance(v, np.generic) else v) for v in row]
        for row in table.itertuples(index=False, name=None)
    ]
    cases[name] = {"columns": [str(c) for c in table.columns], "rows": rows}


num = ["carat", "depth", "price"]
g = d.groupby("cut")

case("describe", d.describe().reset_index(names="statistic"))
case("sum", g[num].sum().reset_index())
case("mean", g[num].mean().reset_index())
case("min", g[num + ["color"]].min().reset_index())
case("max", g[num + ["color"]].max().reset_index())
case("count", g[num].count().reset_index())
case("std", g[num].std().reset_index())
case("var", g[num].var().reset_index())
case("median", g[num].median().reset_index())
case("n_unique", g[num + ["clarity"]].nunique().reset_index())
case("size", g.size().rename("size").reset_index())
case("two_keys", d.groupby(["cut", "color"])["price"].mean().reset_index())
case(
    "named_agg",
    g.agg(most=("price", "max"), n=("price", "count"), kinds=("clarity", "nunique")).reset_index(),
)
case("quantile", g["price"].quantile(0.9).reset_index())
case("value_counts", d["clarity"].value_counts().reset_index())
case("value_counts_2", d[["cut", "color"]].value_counts().reset_index().head(12))
case("nlargest", d.nlargest(5, ["price", "carat", "x"])[["carat", "cut", "price", "x"]])
case("nsmallest", d.nsmallest(3, ["price", "depth", "x"])[["carat", "cut", "price", "depth"]])
case("pivot_table", d.pivot_table(index="cut", columns="color", values="price", aggfunc="mean").reset_index())
case("pivot_median", d.pivot_table(index="color", columns="clarity", values="price", aggfunc="median").reset_index())
case("dummies_columns", pd.get_dummies(d).head(0))
case("dummies_of_columns", pd.get_dummies(d, columns=["color"]).head(0))
case("dummies_mean", pd.get_dummies(d[["cut"]]).mean().to_frame().T)
case("corr", pd.DataFrame([[d["price"].corr(d["carat"]), d["price"].cov(d["carat"])]], columns=["corr", "cov"]))
dear = d[(d["price"] > 15000) & d["cut"].isin(["Ideal", "Premium"]) & d["carat"].between(1.5, 2.5)]
case("mask", dear.groupby("cut")["carat"].agg(["count", "sum"]).reset_index())
case("distinct", d[["cut", "color"]].drop_duplicates().sort_values(["cut", "color"]))
case(
    "first_of_cut",
    d.sort_values(["price", "carat", "depth"], ascending=[False, True, True])
    .drop_duplicates("cut")
    .sort_values("cut")[["cut", "price", "carat", "depth"]],
)
best = g["price"].max().reset_index().rename(columns={"price": "top"})
case(
    "merge",
    d.merge(best, on="cut").assign(near=lambda t: t["price"] > 0.99 * t["top"]).groupby("cut")["near"].sum().reset_index(),
)
share = d["price"] / g["price"].transform("sum")
case(
    "transform",
    d.assign(off=(d["price"] - g["price"].transform("mean")).abs(), share=share, top=share.groupby(d["cut"]).transform("max"))
    .groupby("cut")[["off", "share", "top"]]
    .sum()
    .reset_index(),
)
colors = pd.DataFrame({"color": ["D", "E", "Z"], "price": [1, 2, 3]})
case(
    "merge_outer",
    d[["color", "price"]].groupby("color").sum().reset_index().merge(colors, on="color", how="outer").sort_values("color"),
)
case(
    "melt",
    d.melt(id_vars=["cut"], value_vars=["x", "y", "z"]).groupby(["cut", "variable"])["value"].sum().reset_index(),
)
case(
    "expressions",
    pd.DataFrame(
        {
            "ceil": [np.ceil(d["carat"]).sum()],
            "log": [np.log(d["price"]).sum()],
            "root": [np.sqrt(d["carat"]).sum()],
            "power": [(d["carat"] ** 2).sum()],
            "per": [(d["price"] / d["carat"]).mean()],
            "whole": [(d["price"] / 1000).sum()],
            "floor_div": [(d["price"] // 1000).sum()],
            "rest": [(d["price"] % 7).sum()],
            "clip": [d["carat"].clip(0.5, 1.0).sum()],
            "where": [d["price"].where(d["cut"] == "Fair", 0).sum()],
            "length": [d["clarity"].str.len().sum()],
            "lower": [(d["cut"].str.lower() == "very good").sum()],
            "contains": [d["cut"].str.contains("oo").sum()],
            "starts": [d["clarity"].str.startswith("VS").sum()],
            "text": [(d["cut"] + d["color"]).nunique()],
        }
    ),
)

text = json.dumps({"pandas": pd.__version__, "cases": cases}, indent=None, allow_nan=False, separators=(",", ":"))
(HERE / "frames.json").write_text(text.replace('},"', '},\n"') + "\n")
