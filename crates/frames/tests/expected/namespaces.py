"""Computes with pandas alone what the text, date and numeric expressions must give on small tables.

    python crates/frames/tests/expected/namespaces.py    # from the repository root; writes namespaces.json beside it

The JSON has the inputs and the cases: name -> values, row by row; null is null. Numbers are compared with a relative
tolerance of 1e-9, everything else exactly.
"""

import json
import pathlib

import numpy as np
import pandas as pd

HERE = pathlib.Path(__file__).resolve().parent
texts = [
    "Ideal", "very good", "  padded\t", "", None, "ABC", "abc", "x1-22-333", "-42", "+7", "3.5",
    "Ärger in Köln", "one two  three", "tab\tand\nline", "aXbXc", "mixed CASE", "12345", "prefix-body-suffix", "ααα", "Mr. O'Neil",
]
times = [
    "2024-02-29 23:59:59.5", "2023-12-31 00:00:00", "2024-01-01 00:00:01", None, "1969-07-20 20:17:40",
    "2000-02-28 12:30:00", "1900-03-01 06:00:00", "2024-03-31 01:30:00", "2024-10-27 00:45:00", "2021-06-30 11:59:59.999",
]
numbers = [0.0, -1.5, 2.5, None, 1e6, -0.25, 3.0, 7.75, 100.0, 0.5]
s = pd.Series(texts, dtype="object")
t = pd.to_datetime(pd.Series(times), format="ISO8601")
x = pd.Series(numbers)
cases = {}


def plain(v):
    if isinstance(v, list):
        return v
    if v is None or v is pd.NaT or v is pd.NA or (np.isscalar(v) and pd.isna(v)):
        return None
    if hasattr(v, "item"):
        v = v.item()
    if isinstance(v, pd.Timestamp):
        return str(v)
    return int(v) if isinstance(v, float) and v.is_integer() and abs(v) < 1e15 else v


def case(name, column):
    cases[name] = [plain(v) for v in column]


st = s.str
for f in ["lower", "upper", "title", "capitalize", "swapcase", "len", "strip", "lstrip", "rstrip"]:
    case(f, getattr(st, f)())
for f in ["isalpha", "isnumeric", "isalnum", "islower", "isupper", "isspace"]:
    case(f, getattr(st, f)())
case("contains X", st.contains("X", regex=False))
case("contains .", st.contains(".", regex=False))
case("matches digits", st.contains(r"\d{2}"))
case("match start", st.match(r"[a-z]+"))
case("fullmatch", st.fullmatch(r"[A-Za-z]+"))
case("startswith", st.startswith("a"))
case("endswith", st.endswith("c"))
case("replace", st.replace("a", "_", regex=False))
case("replace regex", st.replace(r"(\w)(\d)", r"\2\1", regex=True))
case("extract", st.extract(r"(\d+)-(\d+)", expand=True)[1])
case("findall", st.findall(r"\d+"))
case("count", st.count("X"))
case("count regex", st.count(r"[aeiou]"))
case("find", st.find("o"))
case("rfind", st.rfind("X"))
case("strip chars", st.strip("-+x "))
case("removeprefix", st.removeprefix("prefix-"))
case("removesuffix", st.removesuffix("-suffix"))
case("rjust", st.rjust(8, "*"))
case("ljust", st.ljust(8, "*"))
for w in [3, 4, 7, 8]:
    case(f"center {w}", st.center(w, "*"))
case("rsplit X 1", st.rsplit("X", n=1))
case("rsplit - 5", st.rsplit("-", n=5))
for f in ["partition", "rpartition"]:
    case(f"{f} -", getattr(st, f)("-", expand=False).map(lambda v: list(v) if isinstance(v, tuple) else v))
case("zfill", st.zfill(6))
case("repeat", st.repeat(2))
case("reverse", st[::-1])
for a, b in [(0, 3), (1, None), (-3, None), (2, -1), (5, 2), (-100, 100)]:
    case(f"slice {a} {b}", st.slice(a, b))
for i in [0, 2, -1, 50]:
    case(f"get {i}", st.get(i))
case("split X", st.split("X", regex=False))
case("split - 1", st.split("-", n=1, regex=False))
case("split", st.split())
case("split 2nd", st.split("-", regex=False).str.get(1))
case("join", st.split().str.join("+"))
case("split len", st.split().str.len())
case("cat", st.cat(st.upper(), sep="/"))
case("map", s.map({"Ideal": "best", "abc": "worst"}))
case("replace values", s.replace({"Ideal": "best", "abc": "worst"}))
case("isin", [None if v is None else v in ["Ideal", "abc"] for v in texts])

d = t.dt
for f in ["year", "quarter", "month", "day", "day_of_year", "hour", "minute", "second", "day_of_week", "days_in_month",
          "is_leap_year", "is_month_start", "is_month_end", "is_quarter_start", "is_quarter_end", "is_year_start", "is_year_end"]:
    case(f, [None if pd.isna(a) else b for a, b in zip(t, getattr(d, f))])
case("week", d.isocalendar().week.astype("Float64"))
case("day_name", d.day_name())
case("month_name", d.month_name())
case("strftime", d.strftime("%Y/%m/%d %H:%M"))
for f in ["floor", "ceil", "round"]:
    for unit in ["D", "h", "15min", "s"]:
        case(f"{f} {unit}", getattr(d, f)(unit).dt.strftime("%Y-%m-%dT%H:%M:%S"))
case("normalize", d.normalize().dt.strftime("%Y-%m-%dT%H:%M:%S"))
paris = d.tz_localize("UTC").dt.tz_convert("Europe/Paris")
case("paris hour", paris.dt.hour)
case("paris floor", paris.dt.tz_localize(None).dt.floor("D").dt.strftime("%Y-%m-%d"))
case("paris naive", paris.dt.tz_localize(None).dt.strftime("%Y-%m-%dT%H:%M:%S"))
case("total_seconds", (t - t.iloc[1]).dt.total_seconds())

case("abs", x.abs())
case("clip", x.clip(-1, 3))
case("sqrt", np.sqrt(x.abs()))
case("exp", np.exp(x.clip(-5, 5)))
case("log10", np.log10(x.abs() + 1))
case("log2", np.log2(x.abs() + 1))
case("sign", np.sign(x))
case("sin", np.sin(x))
case("cos", np.cos(x))
case("floor", np.floor(x))
case("ceil", np.ceil(x))
case("where", x.where(x > 0, -9))
case("mask", x.mask(x > 0, -9))
case("between", [None if v is None else -1 <= v <= 3 for v in numbers])
case("pow", x.clip(0, 10) ** 2)
case("mod", x % 2)
case("fillna", x.fillna(5))
edges = [-2, 0, 2.5, 10]
case("cut", pd.cut(x, edges, labels=["low", "mid", "high"]).astype("object"))
case("cut left", pd.cut(x, edges, labels=["low", "mid", "high"], right=False).astype("object"))
case("cut lowest", pd.cut(x, [-1.5, 0, 10], labels=["low", "high"], include_lowest=True).astype("object"))
case("qcut", pd.qcut(x, 3, labels=False))

left = pd.DataFrame({"k": ["a", "b", "a", "b", "a"], "t": [1, 5, 5, 7, 10], "v": [1, 2, 3, 4, 5]})
right = pd.DataFrame({"k": ["a", "a", "b", "b", "a"], "t": [0, 5, 6, 7, 8], "w": [10, 20, 30, 40, 50]})
for direction in ["backward", "forward", "nearest"]:
    for exact in [True, False]:
        for tolerance in [None, 2]:
            m = pd.merge_asof(left, right, on="t", by="k", direction=direction, allow_exact_matches=exact, tolerance=tolerance)
            case(f"asof {direction} {exact} {tolerance}", m["w"])
    case(f"asof {direction} plain", pd.merge_asof(left, right.drop(columns="k"), on="t", direction=direction)["w"])

(HERE / "namespaces.json").write_text(
    json.dumps(
        {"pandas": pd.__version__, "texts": texts, "times": times, "numbers": numbers,
         "left": left.to_dict("list"), "right": right.to_dict("list"), "cases": cases},
        ensure_ascii=False,
    ) + "\n"
)
print(len(cases), "cases")
