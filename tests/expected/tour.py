"""Computes, with pandas and NumPy alone, the figures that `cargo run --example tour` must reproduce.

    python tests/expected/tour.py          # from the repository root; writes tests/expected/tour.json

Nothing of trefoil is used here: the figures are an independent witness. The JSON holds only objects, arrays, strings
and numbers; floats are written with all their digits, so a test compares them with a relative tolerance of 1e-9
(sums and means may be added up in another order), and singular values to 1e-9 of the largest one: `x` below has rank
3, so its singular values after the third are rounding noise around zero.
"""

import json
import math
import pathlib

import numpy as np
import pandas as pd

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "examples" / "data"


def flights():
    """The tour's SQL step: average delay per origin with more than 500 flights, worst first."""
    files = sorted((DATA / "flights").glob("*.parquet"))
    table = pd.concat([pd.read_parquet(path) for path in files], ignore_index=True)
    groups = table.groupby("origin")["delay"].agg(["mean", "count"])
    busy = groups[groups["count"] > 500].sort_values("mean", ascending=False)
    rows = [
        {"origin": origin, "delay": float(row["mean"]), "n": int(row["count"])} for origin, row in busy.iterrows()
    ]
    assert len({row["delay"] for row in rows}) == len(rows), "a tie would leave the order open"
    return {
        "files": len(files),
        "rows": len(table),
        "origins": int(table["origin"].nunique()),
        "columns": list(table.columns),
        "delay_sum": int(table["delay"].sum()),
        "distance_sum": int(table["distance"].sum()),
        "first_date": str(table["date"].min()),
        "last_date": str(table["date"].max()),
        "delay_by_origin": rows,
        "top10": rows[:10],
    }


def kind(series):
    if pd.api.types.is_integer_dtype(series):
        return "int"
    return "float" if pd.api.types.is_float_dtype(series) else "string"


def diamonds():
    """The tour's frame step: inferred types, mean price per rounded-up carat, drop, rename, one-hot encoding."""
    table = pd.read_csv(DATA / "diamonds.csv")

    def by_carat(frame, value):
        groups = frame.groupby(np.ceil(frame["carat"]))[value].agg(["mean", "count"]).sort_index()
        return [{"carats": float(c), value: float(r["mean"]), "n": int(r["count"])} for c, r in groups.iterrows()]

    narrow = table.drop(columns=["x", "y", "z"]).rename(columns={"price": "label"})
    coded = pd.get_dummies(narrow, columns=["cut", "color", "clarity"])
    dummies = sorted(name for name in coded.columns if name.split("_")[0] in ("cut", "color", "clarity"))
    return {
        "rows": len(table),
        "types": [{"name": name, "type": kind(table[name])} for name in table.columns],
        "mean_price": float(table["price"].mean()),
        "price_by_carats": by_carat(table, "price"),
        "narrow_columns": list(narrow.columns),
        "label_by_carats": by_carat(narrow, "label"),
        "mean_label": float(narrow["label"].mean()),
        "label_sum": int(narrow["label"].sum()),
        "dummy_columns": sorted(coded.columns),
        "dummy_sums": [{"name": name, "sum": int(coded[name].sum())} for name in dummies],
        "mean_price_by_cut": [
            {"cut": cut, "price": float(mean)} for cut, mean in table.groupby("cut")["price"].mean().sort_index().items()
        ],
    }


def breast_cancer():
    """Class means, and the spectrum of the z-scored features (population standard deviation)."""
    table = pd.read_csv(DATA / "breast_cancer.csv")
    features = table.drop(columns=["target"])
    first = list(features.columns[:3])
    means = table.groupby("target")[first].mean()
    scores = (features - features.mean()) / features.std(ddof=0)
    singular = np.linalg.svd(scores.to_numpy(), compute_uv=False)
    return {
        "rows": len(table),
        "features": list(features.columns),
        "classes": [{"target": int(t), "n": int(n)} for t, n in table["target"].value_counts().sort_index().items()],
        "means": [
            {"target": int(target), "means": [{"name": name, "mean": float(row[name])} for name in first]}
            for target, row in means.iterrows()
        ],
        "singular_values": [float(value) for value in singular],
    }


def array():
    """x[i, j] = sin(0.1 i) + cos(0.2 j) + i j / 40000 on a 200 x 200 grid, and y = x xT; z[i, j] = 1 / (1 + |i - 2j|)."""
    i, j = np.meshgrid(np.arange(200.0), np.arange(200.0), indexing="ij")
    x = np.sin(0.1 * i) + np.cos(0.2 * j) + i * j / 40000.0
    y = x @ x.T
    z = 1.0 / (1.0 + np.abs(i - 2.0 * j))
    return {
        "shape": [200, 200],
        "x_sum": float(x.sum()),
        "y_sum": float(y.sum()),
        "y_trace": float(np.trace(y)),
        "y_singular_values": [float(value) for value in np.linalg.svd(y, compute_uv=False)[:5]],
        "z_sum": float(z.sum()),
        "z_singular_values": [float(value) for value in np.linalg.svd(z, compute_uv=False)[:5]],
    }


def graph_and_actor():
    """The delayed sum and the counter that is told to add 0, 1, ..., 9 in this order."""
    get_data = lambda start: [start, start + 1, start + 2]
    return {
        "delayed_total": sum(get_data(7)) + sum(get_data(100)),
        "task_sum": sum(get_data(7)),
        "actor_sums": [int(value) for value in np.cumsum(np.arange(10))],
    }


def main():
    figures = {
        "made_with": {"pandas": pd.__version__, "numpy": np.__version__},
        "flights": flights(),
        "diamonds": diamonds(),
        "breast_cancer": breast_cancer(),
        "array": array(),
        "graph": graph_and_actor(),
    }
    assert figures["graph"]["delayed_total"] == 327
    assert all(math.isfinite(value) for value in figures["breast_cancer"]["singular_values"])
    text = json.dumps(figures, indent=1, allow_nan=False)
    (ROOT / "tests" / "expected" / "tour.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
