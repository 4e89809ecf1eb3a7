"""Writes dask.csv: every name of Dask's DataFrame, bag and delayed interfaces with ours and the test that shows it.

    python crates/frames/tests/expected/dask.py NAMES.csv    # NAMES.csv has the columns area,name,tier

The table is checked by tests/it/coverage.rs and printed as docs/coverage-frames.md by the same test.
"""

import csv
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent

W = "frame::windows::as_pandas"
N = "frame::namespaces::as_pandas"
P = "frame::pandas::groups"
V = "frame::verbs"
V2 = "frame::more"
D = "frame::divided"
T2 = "frame::values::names_of_tier_two"
T3 = "frame::names::"
NO = "-"

# name -> (ours, test), for all classes of frames unless a class has its own below
FRAME = {
    "abs": ("`abs()`", "frame::tables::whole_frames"),
    "add": ("`col(\"a\") + col(\"b\")`", "frame::pandas::expressions"),
    "sub": ("`col(\"a\") - col(\"b\")`", "frame::pandas::expressions"),
    "mul": ("`col(\"a\") * col(\"b\")`", "frame::pandas::expressions"),
    "div": ("`col(\"a\") / col(\"b\")`", "frame::pandas::expressions"),
    "truediv": ("`col(\"a\") / col(\"b\")`", "frame::pandas::expressions"),
    "floordiv": ("`floor_div(e)`", "frame::pandas::expressions"),
    "mod": ("`col(\"a\") % col(\"b\")`", "frame::pandas::expressions"),
    "pow": ("`pow(e)`", "frame::pandas::expressions"),
    "radd": ("`lit(1) + col(\"a\")`", "frame::pandas::expressions"),
    "rsub": ("`lit(1) - col(\"a\")`", "frame::pandas::expressions"),
    "eq": ("`eq(e)`", "frame::pandas::expressions"),
    "ne": ("`not_eq(e)`", "frame::pandas::expressions"),
    "gt": ("`gt(e)`", "frame::pandas::rows"),
    "ge": ("`gt_eq(e)`", "frame::namespaces::as_pandas"),
    "lt": ("`lt(e)`", "frame::windows::groups"),
    "le": ("`lt_eq(e)`", "frame::namespaces::figures_of_whole_frames"),
    "all": ("`agg([col(\"m\").all()])`", "frame::namespaces::figures_of_whole_frames"),
    "any": ("`agg([col(\"m\").any()])`", "frame::namespaces::figures_of_whole_frames"),
    "apply": ("expressions; `map_partitions(f)` for Rust code; per group `group_by(k).apply(f)`", "frame::windows::groups"),
    "assign": ("`assign([(\"a\", e)])`, `with_column(\"a\", e)`", "frame::pandas::joins_and_windows"),
    "astype": ("`astype([(\"a\", DataType::Int64)])`, `cast(t)`", "frame::tables::whole_frames"),
    "bfill": ("`bfill()`", W),
    "ffill": ("`ffill()`", W),
    "fillna": ("`fillna(lit(0))`, `fill_null(e)`", N),
    "dropna": ("`dropna()`, `dropna_of([\"a\"])`", "frame::tables::whole_frames"),
    "categorize": ("`categorize().await`", "frame::pandas::shapes"),
    "clip": ("`clip(low, high)`", N),
    "columns": ("`columns()`", "frame::windows::numbered_rows"),
    "compute": ("`collect().await`", "frame::tables::partitions"),
    "copy": ("`clone()` (frames never change)", "frame::tables::partitions"),
    "corr": ("`corr().await`, `agg([col(\"a\").corr(col(\"b\"))])`", "frame::namespaces::figures_of_whole_frames"),
    "cov": ("`cov().await`, `agg([col(\"a\").cov(col(\"b\"))])`", "frame::namespaces::figures_of_whole_frames"),
    "count": ("`count_values()`; rows: `count().await`", "frame::tables::whole_frames"),
    "cumsum": ("`cumsum()`", W), "cumprod": ("`cumprod()`", W), "cummin": ("`cummin()`", W), "cummax": ("`cummax()`", W),
    "dask": ("`graph().await`, `explain().await`", "frame::tables::plans_are_drawn"),
    "explain": ("`explain().await`", "frame::tables::plans_are_drawn"),
    "analyze": ("`explain_analyze().await`", NO),
    "pprint": ("`explain().await`", "frame::tables::plans_are_drawn"),
    "visualize": ("`graph().await?.save(\"plan.svg\")`", "frame::tables::plans_are_drawn"),
    "describe": ("`describe().await`, `describe_with(quantiles).await`", "frame::stats::described_at_other_quantiles"),
    "diff": ("`diff(1)`", W),
    "shift": ("`shift(1)`", W),
    "divisions": ("`divisions(\"a\").await`", "frame::tables::partitions"),
    "known_divisions": ("always known: `divisions(\"a\").await` looks", "frame::tables::partitions"),
    "npartitions": ("`partition_count().await`", "frame::tables::partitions"),
    "partitions": ("`persist().await?.partitions()?`", "frame::tables::partitions"),
    "get_partition": ("`partitions()?[i]`, `session.frame_from_refs([part])`", "frame::tables::partitions"),
    "partition": ("`persist().await?.partitions()?`", "frame::tables::partitions"),
    "repartition": ("`repartition(Partitions::Count(n)).await`", "frame::tables::partitions"),
    "shuffle": ("`repartition(Partitions::Key(columns, n)).await`", "frame::tables::partitions"),
    "set_index": ("`repartition(Partitions::Sorted(columns, n)).await`; lazily `sort(columns)`", "frame::tables::partitions"),
    "sort_values": ("`sort([\"a\"])`, `sort_by([desc(\"a\")])`", "frame::pandas::rows"),
    "reset_index": ("`with_row_index(\"row\").await`", "frame::windows::numbered_rows"),
    "index": ("no index: a column to sort by", "frame::windows::whole_frames"),
    "map_partitions": ("`map_partitions(f).await`, `map_calls(task).await`", "frame::tables::partitions"),
    "map_overlap": ("`map_overlap(before, after, f).await`", "frame::tables::partitions"),
    "persist": ("`persist().await`", "frame::tables::partitions"),
    "drop": ("`drop([\"a\"])`", "frame::windows::refusals"),
    "pop": ("`select([\"a\"])` and `drop([\"a\"])`", "frame::windows::refusals"),
    "drop_duplicates": ("`unique()`, `drop_duplicates_of(keys, order)`", "frame::pandas::rows"),
    "unique": ("`select([\"a\"])?.unique()`", "frame::pandas::rows"),
    "explode": ("`explode(\"a\")`", "frame::namespaces::lists_and_structs"),
    "groupby": ("`group_by([\"k\"])`", P),
    "head": ("`head(n)`", "frame::windows::whole_frames"),
    "tail": ("`tail(n).await`", "frame::properties"),
    "idxmax": ("`row_of_max(\"a\")`", "frame::tables::whole_frames"),
    "idxmin": ("`row_of_min(\"a\")`", "frame::tables::whole_frames"),
    "iloc": ("columns: `select`; rows: `limit(skip, n)`", "frame::windows::whole_frames"),
    "iloc[]": ("columns: `select`; rows: `limit(skip, n)`", "frame::windows::whole_frames"),
    "loc": ("`filter(mask)`, `select(columns)`", "frame::pandas::rows"),
    "loc[]": ("`filter(mask)`, `select(columns)`", "frame::pandas::rows"),
    "info": ("`info().await`", "frame::tables::whole_frames"),
    "isin": ("`is_in([..])`", N),
    "isna": ("`is_null()`", "frame::tables::whole_frames"),
    "isnull": ("`is_null()`", "frame::tables::whole_frames"),
    "notnull": ("`is_not_null()`", "frame::tables::whole_frames"),
    "items": ("`columns()` and `select`", "frame::windows::numbered_rows"),
    "iterrows": ("`stream()`, `to_rows::<T>().await`", "frame::tables::construction"),
    "itertuples": ("`to_rows::<T>().await`", "frame::tables::construction"),
    "join": ("`join(&other, [\"k\"], JoinKind::Left)`", "frame::properties"),
    "merge": ("`join(&other, [\"k\"], JoinKind::Inner)`, `join_with`, `join_where`", "frame::properties"),
    "merge_asof": ("`join_asof(&other, &AsOf::on(\"time\"))`", N),
    "map": ("`map_values([(old, new)])`; Rust code: `map_partitions`", N),
    "mask": ("`mask(m, other)`", N),
    "where": ("`where_else(m, other)`", N),
    "max": ("`max()`", "frame::namespaces::figures_of_whole_frames"),
    "min": ("`min()`", "frame::namespaces::figures_of_whole_frames"),
    "mean": ("`mean()`", "frame::namespaces::figures_of_whole_frames"),
    "sum": ("`sum()`", "frame::namespaces::figures_of_whole_frames"),
    "median": ("`median()`", "frame::tables::whole_frames"),
    "std": ("`std()`", "frame::tables::whole_frames"),
    "var": ("`var()`", "frame::tables::whole_frames"),
    "quantile": ("`quantile(q)`, `quantile_with(q, how)`, `approx_quantile(q)`", "frame::stats::quantiles_between_two_values"),
    "mode": ("`modes().await`, `mode(\"a\")`", "frame::stats::the_most_frequent_of_all_columns"),
    "nunique": ("`n_unique()`", "frame::namespaces::figures_of_whole_frames"),
    "nunique_approx": ("`approx_n_unique()`", "frame::namespaces::figures_of_whole_frames"),
    "prod": ("`product()`", "frame::windows::groups"),
    "product": ("`product()`", "frame::windows::groups"),
    "melt": ("`melt(ids, values)`", "frame::pandas::shapes"),
    "pivot_table": ("`pivot_table(index, column, value, Aggregation::Mean).await`; several values, aggregations, margins: `pivot_table_with(&Pivot::new(index, columns).value(v, hows)..)`", "frame::shapes::pivots_as_pandas"),
    "get_dummies": ("`categorize().await?.get_dummies()`; options: `get_dummies_with(&Dummies::new()..)`", "frame::shapes::dummies_as_pandas"),
    "nlargest": ("`nlargest(n, [\"a\"])`", "frame::pandas::rows"),
    "nsmallest": ("`nsmallest(n, [\"a\"])`", "frame::pandas::rows"),
    "query": ("`query(\"a > 1 AND b = 'x'\")`", "frame::tables::whole_frames"),
    "eval": ("expressions with `with_column`", "frame::pandas::expressions"),
    "rename": ("`rename([(\"a\", \"b\")])`, `alias`", "frame::pandas::joins_and_windows"),
    "name": ("`alias(\"a\")`", "frame::pandas::expressions"),
    "replace": ("`replace_values([(old, new)])`", N),
    "resample": ("`resample(\"time\", \"1h\")`", "frame::windows::resampled"),
    "rolling": ("`rolling(3)`, `rolling_by(\"time\", \"2h\")`", W),
    "round": ("`round(2)`", "frame::tables::whole_frames"),
    "sample": ("`sample(0.1, seed(7))`; with replacement, weights or both: `sample_with(&Draw::share(0.1, seed(7)).with_replacement())`", "frame::shapes::drawn_again"),
    "random_split": ("`train_test_split(0.2, seed(7))`", "frame::properties"),
    "select_dtypes": ("`select_dtypes(|t| t.is_numeric())`", "frame::tables::whole_frames"),
    "shape": ("`shape().await`", "frame::tables::whole_frames"),
    "size": ("`shape().await`", "frame::tables::whole_frames"),
    "ndim": ("always 2", NO),
    "empty": ("`count().await? == 0`", NO),
    "squeeze": ("`select([\"a\"])`: a column is an expression, not another type", "frame::windows::numbered_rows"),
    "to_frame": ("`select([\"a\"])`: there are only frames", "frame::windows::numbered_rows"),
    "to_series": ("`select([\"a\"])`: there are only frames", "frame::windows::numbered_rows"),
    "to_bag": ("`to_bag::<T>().await`", "frame::tables::construction"),
    "to_csv": ("`write_csv(path).await`", "frame::tour"),
    "to_parquet": ("`write_parquet(path).await`", "frame::tables::partitions"),
    "to_json": ("`write_json(path).await`", NO),
    "to_dask_array": ("`to_rows` and `session.array().from_ndarray(..)`", NO),
    "values": ("`collect().await` gives Arrow arrays", "frame::windows::numbered_rows"),
    "to_records": ("`to_rows::<T>().await`", "frame::tables::construction"),
    "to_string": ("`to_text(n).await`", NO),
    "to_delayed": ("`persist().await?.partitions()?`: refs are arguments of calls", "frame::tables::partitions"),
    "from_delayed": ("`session.frame_from_refs(refs).await`", "frame::tables::partitions"),
    "from_map": ("`engine.map(inputs, f)` and `session.frame_from_refs(refs).await`", "frame::tables::partitions"),
    "from_pandas": ("`session.frame_from_batches(batches)`, `frame!(session, {..})`", "frame::tables::construction"),
    "from_dict": ("`frame!(session, {\"a\" => [1, 2]})`", "frame::tables::construction"),
    "from_array": ("`session.frame_from_columns([(\"a\", array)])`", "frame::tables::construction"),
    "concat": ("`concat([&a, &b])`, side by side `a.hstack([&b]).await`", "frame::stats::side_by_side"),
    "read_csv": ("`session.read_csv(path).await`", "frame::tour"),
    "read_parquet": ("`session.read_parquet(path).await`", "frame::tables::partitions"),
    "read_json": ("`session.read_json(path).await`", NO),
    "to_datetime": ("`col(\"a\").str().to_timestamp(formats)`", N),
    "to_timestamp": ("`col(\"a\").str().to_timestamp(formats)`", N),
    "to_numeric": ("`try_cast(DataType::Float64)`", NO),
    "value_counts": ("`value_counts([\"a\"])`", P),
    "between": ("`is_between(low, high)`", N),
    "cat": ("`cat()`", V2 + "::categories_as_pandas"),
    "dt": ("`dt()`", N), "str": ("`str()`", N),
    "dtype": ("`dtypes()`", "frame::tables::whole_frames"),
    "dtypes": ("`dtypes()`", "frame::tables::whole_frames"),
    "memory_usage": ("`memory_usage().await`", "frame::verbs"),
    "agg": ("`agg([..])`", P),
    "aggregate": ("`agg([..])`", P),
    "Aggregation": ("`agg_with(name, value, type, f)`", "frame::windows::groups"),
    "optimize": ("`explain().await` shows it; always done", "frame::tables::plans_are_drawn"),
    "to_backend": ("one backend: Arrow", NO),
    "add_prefix": ("`add_prefix(p)`", V2 + "::names_and_shapes"), "add_suffix": ("`add_suffix(s)`", V2 + "::names_and_shapes"),
    "skew": ("`skew()`", V2 + "::moments_as_pandas"), "kurt": ("`kurt()`", V2 + "::moments_as_pandas"), "kurtosis": ("`kurt()`", V2 + "::moments_as_pandas"),
    "sem": ("`sem()`", V2 + "::moments_as_pandas"), "combine_first": ("join, then `fill_null(e)`", N), "pipe": ("`f(&d)`", NO),
    "enforce_runtime_divisions": ("`repartition(Partitions::Known(columns)).await` looks at all rows", D), "rename_axis": ("no index: `rename`", NO),
    "reduction": ("`agg_with(name, value, type, f)`", "frame::windows::groups"), "memory_usage_per_partition": ("`memory_bytes()` of each of `partitions()?`", "frame::tables::partitions"),
    "to_sql": ("no database sink", NO), "to_orc": ("no ORC", NO), "to_hdf": ("no HDF5", NO), "clear_divisions": ("not needed: a frame without is as good", NO),
    "align": ("`join` of both kinds of rows", "frame::properties"), "autocorr": ("`agg([col(\"a\").corr(col(\"b\"))])` of `shift(1)`", T2),
    "is_monotonic_increasing": ("`repartition(Partitions::Known(columns)).await` says", D), "is_monotonic_decreasing": ("`diff(1)`, then `agg([col(\"a\").lt_eq(lit(0)).all()])`", T2),
    "to_dask_array": ("`to_array([\"a\", \"b\"]).await`, in place `column_view(&batch, \"a\")`", V2 + "::arrays"),
    "values": ("`to_array([\"a\"]).await`, in place `column_view(&batch, \"a\")`", V2 + "::arrays"),
    "map_partitions": ("`map_partitions(f).await`, lazily `map_batches(f)`, `map_calls(task).await`", V2 + "::code_over_batches"),
    "known_divisions": ("`divided().is_some()`", D), "to_html": ("`to_html(n).await`", V2 + "::html"),
    "set_index": ("`repartition(Partitions::Sorted(columns, n)).await`; lazily `sort(columns)`", D),
    "to_parquet": ("`write_parquet(path).await`, with `append`, `partition_by`", V2 + "::appended_and_partitioned"),
    "axes": ("`columns()`", "frame::windows::numbered_rows"),
}
GROUP = {
    "agg": ("`group_by(k).agg([..])`", P), "aggregate": ("`group_by(k).agg([..])`", P),
    "apply": ("`group_by(k).apply(f).await`", "frame::windows::groups"),
    "transform": ("`group_by(k).transform([..])`, `over([k])`", "frame::windows::groups"),
    "count": ("`group_by(k).count(columns)`", P), "sum": ("`group_by(k).sum(columns)`", P),
    "mean": ("`group_by(k).mean(columns)`", P), "min": ("`group_by(k).min(columns)`", P),
    "max": ("`group_by(k).max(columns)`", P), "std": ("`group_by(k).std(columns)`", P),
    "var": ("`group_by(k).var(columns)`", P), "median": ("`group_by(k).median(columns)`", P),
    "first": ("`group_by(k).first(columns)`, `first_by(order)`", W), "last": ("`group_by(k).last(columns)`, `first_by(desc(order))`", W),
    "nunique": ("`group_by(k).n_unique(columns)`", P), "unique": ("`group_by(k).agg([col(\"a\").to_list()])`", "frame::namespaces::lists_and_structs"),
    "size": ("`group_by(k).size()`", P), "head": ("`group_by(k).head(n)`", "frame::windows::groups"),
    "tail": ("`group_by(k).tail(n)`", V2 + "::groups"),
    "cumsum": ("`cumsum().over([k])`", W), "cumprod": ("`cumprod().over([k])`", W), "cumcount": ("`cumcount().over([k])`", W),
    "shift": ("`shift(1).over([k])`", W), "ffill": ("`ffill().over([k])`", W), "bfill": ("`bfill().over([k])`", W),
    "fillna": ("`fill_null(e)`", N), "rolling": ("`rolling(3).mean().over([k])`", W),
    "value_counts": ("`value_counts([k, \"a\"])`", P), "corr": ("`group_by(k).agg([col(\"a\").corr(col(\"b\"))])`", P),
    "cov": ("`group_by(k).agg([col(\"a\").cov(col(\"b\"))])`", P), "prod": ("`group_by(k).agg([col(\"a\").product()])`", "frame::windows::groups"),
    "idxmax": ("`first_by(desc(\"a\"))`", W), "idxmin": ("`first_by(asc(\"a\"))`", W),
    "get_group": ("`filter(col(\"k\").eq(lit(\"a\")))`", "frame::pandas::rows"),
    "compute": ("`collect().await`", "frame::tables::partitions"),
}
OTHER = {
    "dataframe.Resampler": {n: (f"`resample(t, span).{n if n in ('sum', 'mean', 'min', 'max', 'count', 'agg') else 'agg([..])'}(..)`".replace("agg([..])(..)", "agg([..])"), "frame::windows::resampled")
                            for n in ["agg", "count", "first", "last", "max", "mean", "min", "sum", "median", "nunique", "prod", "quantile", "sem", "size", "std", "var"]}
    | {"ohlc": ("`resample(t, span).ohlc(\"a\")`", "frame::windows::bars")},
    "dataframe.Rolling": {n: (f"`rolling(n).{n}()`", W) for n in ["count", "max", "mean", "min", "std", "sum", "var", "median"]}
    | {n: (f"`rolling(n).{o}`", W) for n, o in {"quantile": "quantile(q)", "cov": "cov(e)", "corr": "corr(e)", "skew": "skew()", "kurt": "kurt()", "apply": "apply(name, type, f)"}.items()}
    | {"agg": ("several figures in one `with_columns`", T2)},
    "dataframe.dt": {n: (f"`dt().{o}`", N) for n, o in {
        "date": "date()", "day": "day()", "dayofweek": "weekday()", "weekday": "weekday()", "hour": "hour()", "minute": "minute()", "month": "month()",
        "round": "round(span)", "floor": "floor(span)", "ceil": "ceil(span)", "year": "year()", "second": "second()", "quarter": "quarter()", "dayofyear": "day_of_year()", "day_of_year": "day_of_year()",
        "day_of_week": "weekday()", "days_in_month": "days_in_month()", "daysinmonth": "days_in_month()", "is_leap_year": "is_leap_year()", "is_month_start": "is_month_start()",
        "is_month_end": "is_month_end()", "is_quarter_start": "is_quarter_start()", "is_quarter_end": "is_quarter_end()", "is_year_start": "is_year_start()", "is_year_end": "is_year_end()",
        "day_name": "day_name()", "month_name": "month_name()", "strftime": "strftime(format)", "tz_convert": "tz_convert(zone)", "tz_localize": "tz_drop()`, `cast(..)",
        "normalize": "normalize()", "total_seconds": "total_seconds()", "isocalendar": "week()", "week": "week()"}.items()},
    "dataframe.str": {n: (f"`str().{o}`", N) for n, o in {
        "cat": "cat(e, sep)", "contains": "contains(s)`, `str().matches(regex)", "count": "count(s)", "get": "get(i)", "index": "find(s)", "join": "words().list().join(sep)",
        "len": "len()", "lower": "lower()", "replace": "replace(a, b)`, `str().replace_matches(regex, to)", "split": "split(s)", "startswith": "starts_with(s)", "strip": "strip()", "upper": "upper()",
        "endswith": "ends_with(s)", "capitalize": "capitalize()", "title": "title()", "swapcase": "swapcase()", "casefold": "lower()", "center": "center(n, c)", "extract": "extract(regex, group)",
        "extractall": "extract_all(regex)", "findall": "extract_all(regex)", "find": "find(s)", "rfind": "rfind(s)", "fullmatch": "fullmatch(regex)", "match": "matches(\\\"^..\\\")".replace("\\\"", '"'),
        "isalnum": "is_alnum()", "isalpha": "is_alpha()", "isnumeric": "is_numeric()", "isdigit": "is_numeric()", "isdecimal": "is_numeric()", "islower": "is_lower()", "isupper": "is_upper()", "isspace": "is_space()",
        "ljust": "pad_end(n, c)", "rjust": "pad_start(n, c)", "pad": "pad_start(n, c)", "lstrip": "lstrip()", "rstrip": "rstrip()", "removeprefix": "remove_prefix(s)", "removesuffix": "remove_suffix(s)",
        "rsplit": "rsplitn(s, n)", "partition": "partition(s)", "rpartition": "rpartition(s)", "repeat": "repeat(n)", "slice": "slice(start, stop)", "zfill": "zfill(n)", "rindex": "rfind(s)"}.items()},
    "dataframe.cat": {n: ("`categorize().await`, `categories(\"a\")`", V2 + "::categories_as_pandas") for n in ["as_known", "categories", "known"]}
    | {n: (f"`cat().{o}`", V2 + "::categories_as_pandas") for n, o in {
        "codes": "codes()", "as_unknown": "as_unknown()", "set_categories": "set_categories(names)", "add_categories": "add_categories(names)",
        "remove_categories": "remove_categories(names)", "rename_categories": "rename_categories(pairs)", "reorder_categories": "set_categories(names)"}.items()},
    "dataframe.Index": {"name": ("no index: a column to sort by; `divided()` has its name", T3 + "what_is_asked_of_a_frame")},
    "bag.Bag": {n: (o, t) for n, (o, t) in {
        "accumulate": ("`accumulate(0, f)`", "bag::chains"), "all": ("`all(f)`", "bag::reductions"), "any": ("`any(f)`", "bag::reductions"), "compute": ("`compute().await`", "bag::chains"),
        "count": ("`count()`", "bag::reductions"), "distinct": ("`distinct()`, `distinct_by(key)`", "bag::shuffles"), "filter": ("`filter(f)`", "bag::chains"), "flatten": ("`flatten()`", "bag::chains"),
        "fold": ("`fold(initial, f, combine)`", "bag::reductions"), "foldby": ("`fold_by(key, initial, f, combine)`", "bag::shuffles"), "frequencies": ("`frequencies()`", "bag::shuffles"),
        "groupby": ("`group_by(key)`", "bag::shuffles"), "join": ("`join(&other, key, other_key)`", "bag::shuffles"), "map": ("`map(f)`, `try_map(f)`", "bag::chains"),
        "map_partitions": ("`map_partitions(f)`", "bag::limits"), "max": ("`max()`, `max_by(f)`", "bag::reductions"), "min": ("`min()`, `min_by(f)`", "bag::reductions"), "mean": ("`mean()`", "bag::reductions"),
        "persist": ("`persist().await`", "bag::chains"), "pluck": ("`pluck(key)`", "bag::files"), "product": ("`product(&other)`", "bag::shuffles"), "random_sample": ("`random_sample(p, seed(7))`", "bag::samples"),
        "reduction": ("`reduction(partial, combine)`", "bag::reductions"), "remove": ("`filter(|x| !f(x))`", "bag::chains"), "repartition": ("`repartition(n)`", "bag::shuffles"),
        "starmap": ("`map(|(a, b)| f(a, b))`", "bag::chains"), "std": ("`std(ddof)`", "bag::reductions"), "var": ("`var(ddof)`", "bag::reductions"), "str": ("`map(|s| s.to_uppercase())`", "bag::chains"),
        "sum": ("`sum()`", "bag::reductions"), "take": ("`take(n)`", "bag::reductions"), "to_dataframe": ("`to_frame(&session).await`", "frame::tables::construction"),
        "to_delayed": ("`to_calls()`", "bag::calls_in_and_out"), "to_textfiles": ("`write_text(dir).await`, `write_json(dir).await`", "bag::files"), "topk": ("`top_k(k)`, `top_k_by(k, key)`", "bag::reductions"),
        "unzip": ("`unzip()`", "bag::chains"), "to_avro": ("no Avro", NO), "visualize": ("`graph().save(\"bag.svg\")`", "bag::calls_in_and_out")}.items()},
    "bag.Item": {n: ("a reduction is a `Call`: `compute`, `spawn`, `map`, `graph()`", "bag::what_two_results_share_runs_once") for n in ["compute", "from_delayed", "persist", "to_delayed", "apply", "visualize"]},
    "bag.top": {"concat": ("`concat(&other)`", "bag::chains"), "from_delayed": ("`bag().from_calls(calls)`", "bag::calls_in_and_out"), "from_sequence": ("`bag().of(items, n)`", "bag::chains"),
                "map": ("`map(f)`", "bag::chains"), "map_partitions": ("`map_partitions(f)`", "bag::limits"), "range": ("`bag().range(n, parts)`", "bag::samples"), "read_text": ("`bag().read_text(path)`", "bag::files"),
                "to_textfiles": ("`write_text(dir).await`", "bag::files"), "zip": ("`zip(&other)`", "bag::chains"), "Bag": ("`Bag<T>`", "bag::chains"), "Item": ("`Call<T>`", "bag::reductions"),
                "assert_eq": ("`assert_eq!` on `compute().await`", "bag::chains"), "from_url": ("feature `http`: `session.read_csv(\"https://..\")`, then `to_bag`", NO), "read_avro": ("feature `avro`: `session.read_avro(path)`, then `to_bag`", NO)},
    "delayed.Delayed": {"compute": ("`session.compute(call).await`", "delayed"), "dask": ("`call.graph()`", "delayed"), "key": ("no keys: a call has a name, `call.name(..)`", "delayed::calls_have_names_and_options"), "persist": ("`session.spawn(call)`", "delayed"), "visualize": ("`visualize(call, \"g.svg\")`", "delayed")},
    "dask.top": {"compute": ("`compute_all((a, b)).await`, of frames `frame::compute_all([&a, &b]).await`", "frame::tables::what_frames_share_runs_once"), "persist": ("`persist().await`", "frame::tables::partitions"),
                 "optimize": ("`frame::share_all([&a, &b]).await`", "frame::tables::what_frames_share_runs_once"), "visualize": ("`graph().await`, `delayed::visualize`", "frame::tables::plans_are_drawn"), "delayed": ("`delayed(name, f)`", "delayed"),
                 "annotate": ("options of a call: `call.name(..).retries(..).cpus(..)`", "delayed::calls_have_names_and_options"), "get_annotations": ("options of a call", "delayed::calls_have_names_and_options"), "base.tokenize": ("not needed: `inner().logical_plan()` of frames compare by value", T3 + "what_is_asked_of_a_frame"),
                 "config.get": ("methods of the session: `workers()`, `budget()`", T3 + "settings_are_of_a_session"), "config.set": ("`Session::builder()`", T3 + "settings_are_of_a_session"), "is_dask_collection": ("types say so", "delayed::types_say_what_is_lazy")},
}
# names of tiers 2 and 3 that have no verb of their own: where the equivalent is, or why there is none
ELSEWHERE = {
    "align": "`join` of both kinds of rows", "combine": "join, then an expression of both columns", "dot": "`to_array(columns).await?.dot(..)`",
    "rename_axis": "no index: `rename`", "to_hdf": "no HDF5", "to_orc": "no ORC", "to_sql": "no database sink", 
    "kwargs": "options of the verb",
    "autocorr": "`with_column(\"b\", col(\"a\").shift(1))`, then `corr`", "is_monotonic_decreasing": "`divisions(\"a\").await` of a sorted frame",
    "as_ordered": "the order of `set_categories(names)` is that of `codes()`", "as_unordered": "the order is there or not looked at", "ordered": "always in the order of the list",
    "remove_unused_categories": "`categorize().await` again", "to_period": "`dt().strftime(\"%Y-%m\")`", "to_timestamp": "`cast(DataType::Timestamp(..))`",
    "normalize": "no Unicode normalization", 
    "from_dask_array": "`session.frame_from_columns([(\"a\", array)])`", "from_graph": "`session.frame_from_refs(refs).await`", "read_fwf": "`read_csv` of one column, then `str().slice(..)`",
    "read_hdf": "no HDF5", "read_orc": "no ORC", "read_sql": "no database source", "read_sql_query": "no database source", "read_sql_table": "no database source",
    "read_table": "`read_csv_with(path, CsvOptions::new().delimiter(b'\\t'))`", "to_timedelta": "`cast(DataType::Duration(..))`",
    "compute_current_divisions": "`repartition(Partitions::Known(columns)).await`", "divide": "`a / b`", "expr": "`inner().logical_plan()`", "lower_once": "`explain().await`", "simplify": "`explain().await`",
    "median_approximate": "`approx_quantile(0.5)`", "nbytes": "`memory_usage().await`", "rdiv": "`lit(1) / a`", "rtruediv": "`lit(1) / a`", "rfloordiv": "`lit(1).floor_div(a)`", "rmod": "`lit(1) % a`",
    "rmul": "`lit(1) * a`", "rpow": "`lit(2).pow(a)`", "rsub": "`lit(1) - a`", "case_when": "`when(m, a).when(n, b).otherwise(c)`", "components": "`total_seconds()` and arithmetic",
    "days": "`total_seconds()` and arithmetic", "seconds": "`total_seconds()`", "microseconds": "`total_seconds()` and arithmetic", "nanoseconds": "`total_seconds()` and arithmetic",
    "start_time": "no periods: `dt().floor(span)`", "end_time": "no periods: `dt().ceil(span)`", "freq": "no periods", "qyear": "no periods", "microsecond": "`dt().strftime(\"%6f\")`",
    "nanosecond": "`dt().strftime(\"%9f\")`", "time": "`cast(DataType::Time64(..))`", "timetz": "`cast(DataType::Time64(..))`", "to_pydatetime": "`to_rows::<T>()`", "to_pytimedelta": "`to_rows::<T>()`",
    "tz": "`dtypes()`", "weekofyear": "`dt().week()`", "decode": "`cast(DataType::Utf8)`", "encode": "`cast(DataType::Binary)`", "istitle": "`str().fullmatch(regex)`",
    "slice_replace": "`slice(..)` and `+`", "translate": "`replace` once per character", "wrap": "not for columns", "DataFrame": "`DataFrame`", "Index": "no index", "Scalar": "a frame of one row",
    "Series": "`Expr`", "assert_eq": "`assert_eq!` on `to_rows().await`", "get_collection_type": "one type",
    "kurtosis": "`kurt()`", "sem": "`sem()`", "memory_usage_per_partition": "`memory_bytes()` of each of `partitions()?`", "enforce_runtime_divisions": "`repartition(Partitions::Known(columns)).await`",
    "clear_divisions": "not needed", "reduction": "`agg_with(name, value, type, f)`", "pipe": "`f(&d)`", "add_prefix": "no index", "add_suffix": "no index", "combine_first": "no index", "is_monotonic_increasing": "no index",
}
# name -> the line of Polars, for names of tier 1
POLARS = {
    "abs": "abs()", "add": "a + b", "sub": "a - b", "all": "all()", "any": "any()", "apply": "map_elements(f)", "assign": "with_columns(..)",
    "astype": "cast(..)", "bfill": "backward_fill()", "ffill": "forward_fill()", "categorize": "cast(pl.Categorical)", "cat": "cat",
    "clip": "clip(low, high)", "columns": "columns", "compute": "collect()", "copy": "clone()", "corr": "pl.corr(a, b)", "count": "count()",
    "cov": "pl.cov(a, b)", "cumsum": "cum_sum()", "dask": "explain()", "describe": "describe()", "diff": "diff()", "divisions": "no partitions",
    "drop": "drop(..)", "drop_duplicates": "unique()", "dropna": "drop_nulls()", "explode": "explode(..)", "fillna": "fill_null(..)",
    "get_partition": "no partitions", "groupby": "group_by(..)", "head": "head(n)", "idxmax": "arg_max()", "idxmin": "arg_min()", "iloc": "slice(skip, n)",
    "iloc[]": "slice(skip, n)", "loc": "filter(..)", "loc[]": "filter(..)", "index": "with_row_index()", "info": "schema", "isin": "is_in(..)",
    "isna": "is_null()", "isnull": "is_null()", "items": "iter_columns()", "iterrows": "iter_rows()", "join": "join(..)", "merge": "join(..)",
    "known_divisions": "set_sorted(..)", "map": "replace_strict(..)", "map_overlap": "no partitions", "map_partitions": "map_batches(f)",
    "max": "max()", "mean": "mean()", "median": "median()", "melt": "unpivot(..)", "min": "min()", "nlargest": "top_k(n, by=..)",
    "notnull": "is_not_null()", "npartitions": "no partitions", "nunique": "n_unique()", "partitions": "no partitions", "persist": "collect().lazy()",
    "pivot_table": "pivot(..)", "quantile": "quantile(q)", "query": "sql(..)", "rename": "rename(..)", "repartition": "no partitions",
    "replace": "replace(..)", "resample": "group_by_dynamic(..)", "reset_index": "with_row_index()", "rolling": "rolling_mean(n)", "round": "round(n)",
    "sample": "sample(fraction=..)", "select_dtypes": "select(cs.numeric())", "set_index": "sort(..)", "shape": "shape", "shift": "shift(n)",
    "shuffle": "partition_by(..)", "size": "len()", "sort_values": "sort(..)", "squeeze": "to_series()", "std": "std()", "sum": "sum()",
    "tail": "tail(n)", "to_bag": "to_dicts()", "to_csv": "write_csv(..)", "to_dask_array": "to_numpy()", "to_delayed": "no partitions",
    "to_parquet": "write_parquet(..)", "values": "to_numpy()", "var": "var()", "visualize": "show_graph()", "where": "pl.when(m).then(a)",
    "agg": "agg(..)", "aggregate": "agg(..)", "cumcount": "cum_count()", "first": "first()", "last": "last()", "transform": "over(..)",
    "between": "is_between(low, high)", "dt": "dt", "str": "str", "name": "alias(..)", "to_frame": "to_frame()", "to_series": "to_series()",
    "unique": "unique()", "value_counts": "value_counts()", "dtype": "dtype", "concat": "pl.concat(..)", "from_delayed": "no partitions",
    "from_map": "no partitions", "from_pandas": "pl.from_pandas(..)", "get_dummies": "to_dummies()", "read_csv": "pl.scan_csv(..)",
    "read_parquet": "pl.scan_parquet(..)", "to_datetime": "str.to_datetime(f)",
}
POLARS_IN = {
    "dataframe.cat": {"as_known": "cast(pl.Categorical)", "as_unknown": "cast(pl.String)", "categories": "cat.get_categories()", "codes": "to_physical()", "known": "dtype"},
    "dataframe.dt": {"date": "dt.date()", "day": "dt.day()", "dayofweek": "dt.weekday()", "hour": "dt.hour()", "minute": "dt.minute()", "month": "dt.month()",
                     "round": "dt.round(..)", "weekday": "dt.weekday()", "year": "dt.year()"},
    "dataframe.str": {"cat": "pl.concat_str(..)", "contains": "str.contains(..)", "count": "str.count_matches(..)", "get": "str.slice(i, 1)", "index": "str.find(..)",
                      "join": "list.join(..)", "len": "str.len_chars()", "lower": "str.to_lowercase()", "replace": "str.replace_all(..)", "split": "str.split(..)",
                      "startswith": "str.starts_with(..)", "strip": "str.strip_chars()", "upper": "str.to_uppercase()"},
    "dataframe.Rolling": {n: f"rolling_{n}(n)" for n in ["max", "mean", "min", "std", "sum", "var"]} | {"count": "rolling_sum(n) of is_not_null()"},
    "dataframe.Resampler": {n: f"group_by_dynamic(..).agg({n})" for n in ["agg", "count", "first", "last", "max", "mean", "min", "sum"]},
}
# names without a verb of their own whose equivalent is shown by one test
SHOWN = {
    "as_ordered", "combine", "dot", "empty", "from_dask_array", "is_monotonic_decreasing", "ordered", "pipe", "read_fwf", "read_json", "read_table",
    "remove_unused_categories", "to_json", "to_numeric", "to_string", "to_timedelta", "to_timestamp",
}
# the same, by the function of `frame::names` that shows it
NAMES = {
    "arithmetic_from_the_left": "case_when divide rdiv rfloordiv rmod rmul rpow rsub rtruediv",
    "what_is_asked_of_a_frame": "DataFrame Scalar Series analyze assert_eq clear_divisions compute_current_divisions expr lower_once "
                                "median_approximate nbytes ndim rename_axis simplify tz",
    "parts_of_times": "components days end_time microsecond microseconds nanosecond nanoseconds seconds start_time time timetz to_period "
                      "weekofyear",
    "texts_by_other_means": "decode encode istitle slice_replace translate",
    "frames_of_a_graph": "from_graph",
}
NAMES = {name: T3 + test for test, names in NAMES.items() for name in names.split()}
GROUPS = {"dataframe.GroupBy", "dataframe.SeriesGroupBy"}

rows = []
for row in csv.DictReader(open(sys.argv[1])):
    area, name, tier = row["area"], row["name"], row["tier"]
    if area.split(".")[0] not in {"dataframe", "bag", "delayed", "dask"}:
        continue
    table = OTHER.get(area, {})
    found = table.get(name)
    if found is None and area in GROUPS:
        found = GROUP.get(name)
    if found is None and area in {"dataframe.DataFrame", "dataframe.Series", "dataframe.Index", "dataframe.top", "dataframe.indexing"}:
        found = FRAME.get(name)
    ours, test = found or (ELSEWHERE.get(name, ""), NO)
    if test == NO and area.startswith("dataframe."):
        test = T2 if name in SHOWN else NAMES.get(name, NO)
    polars = ""
    if tier == "1" and area.startswith("dataframe."):
        polars = POLARS_IN.get(area, POLARS)[name]
    rows.append([area, name, tier, ours, test, polars])
with open(HERE / "dask.csv", "w", newline="") as out:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["area", "name", "tier", "ours", "test", "polars"])
    writer.writerows(rows)
for tier in "123":
    some = [r for r in rows if r[2] == tier]
    print(f"tier {tier}: {sum(bool(r[3]) for r in some)} of {len(some)} named, {sum(r[4] != NO for r in some)} with a test")
print([r[:2] for r in rows if r[2] == "1" and not r[3]])
