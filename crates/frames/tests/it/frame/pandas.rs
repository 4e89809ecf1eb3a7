//! Verbs on the diamonds against what pandas gives (`tests/expected/frames.py`, recorded in `frames.json`).

use super::helpers::*;
use super::tour::diamonds;
use serde_json::Value;
use std::sync::LazyLock;
use trefoil_frames::frame::*;
use trefoil_plan::{DataFrame, Result};

fn cases() -> &'static Value {
    static CASES: LazyLock<Value> = LazyLock::new(|| {
        let text = include_str!("../../expected/frames.json");
        serde_json::from_str::<Value>(text).unwrap()["cases"].clone()
    });
    &CASES
}

fn same(found: &str, expected: &Value) -> bool {
    match expected {
        Value::Null => found == "-",
        Value::Number(number) => {
            let (found, expected) = (found.parse::<f64>().unwrap_or(f64::NAN), number.as_f64().unwrap());
            (found - expected).abs() <= 1e-9 * expected.abs().max(1.0)
        }
        Value::String(text) => found == text,
        other => panic!("not expected: {other}"),
    }
}

/// Compares names, order and values.
#[track_caller]
fn check(case: &str, frame: Result<DataFrame>) {
    let expected = &cases()[case];
    let found = lines(&frame.unwrap()).unwrap();
    let names: Vec<&str> =
        expected["columns"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    assert_eq!(found[0].split('|').collect::<Vec<_>>(), names, "{case}");
    let rows = expected["rows"].as_array().unwrap();
    assert_eq!(found.len() - 1, rows.len(), "{case}");
    for (line, row) in found[1..].iter().zip(rows) {
        let row = row.as_array().unwrap();
        let equal = line.split('|').count() == row.len() && line.split('|').zip(row).all(|(f, e)| same(f, e));
        assert!(equal, "{case}: found {line}, pandas {row:?}");
    }
}

const NUM: [&str; 3] = ["carat", "depth", "price"];

#[test]
fn groups() {
    let d = diamonds();
    let cut = || d.group_by(["cut"]);
    let by_cut = |frame: Result<DataFrame>| frame.unwrap().sort(["cut"]);
    check("sum", by_cut(cut().sum(NUM)));
    check("mean", by_cut(cut().mean(NUM)));
    check("min", by_cut(cut().min(["carat", "depth", "price", "color"])));
    check("max", by_cut(cut().max(["carat", "depth", "price", "color"])));
    check("count", by_cut(cut().count(NUM)));
    check("std", by_cut(cut().std(NUM)));
    check("var", by_cut(cut().var(NUM)));
    check("median", by_cut(cut().median(NUM)));
    check("n_unique", by_cut(cut().n_unique(["carat", "depth", "price", "clarity"])));
    check("size", by_cut(cut().size()));
    check("two_keys", d.group_by(["cut", "color"]).mean(["price"]).unwrap().sort(["cut", "color"]));
    check(
        "named_agg",
        by_cut(cut().agg([
            col("price").max().alias("most"),
            col("price").count().alias("n"),
            col("clarity").n_unique().alias("kinds"),
        ])),
    );
    check("quantile", by_cut(cut().agg([col("price").quantile(0.9).alias("price")])));
    check("value_counts", d.value_counts(["clarity"]));
    check("value_counts_2", d.value_counts(["cut", "color"]).unwrap().head(12));
    check(
        "corr",
        d.agg([col("price").corr(col("carat")).alias("corr"), col("price").cov(col("carat")).alias("cov")]),
    );
    check("describe", run(d.describe()));
}

#[test]
fn rows() {
    let d = diamonds();
    check("nlargest", d.nlargest(5, ["price", "carat", "x"]).unwrap().select(["carat", "cut", "price", "x"]));
    check(
        "nsmallest",
        d.nsmallest(3, ["price", "depth", "x"]).unwrap().select(["carat", "cut", "price", "depth"]),
    );
    let dear = d.filter(
        col("price").gt(lit(15_000))
            & col("cut").is_in(["Ideal", "Premium"])
            & col("carat").is_between(lit(1.5), lit(2.5)),
    );
    let sums = [col("carat").count().alias("count"), col("carat").sum().alias("sum")];
    check("mask", dear.unwrap().group_by(["cut"]).agg(sums).unwrap().sort(["cut"]));
    check("distinct", d.select(["cut", "color"]).unwrap().unique().unwrap().sort(["cut", "color"]));
    check(
        "first_of_cut",
        d.drop_duplicates_of(["cut"], [desc("price"), asc("carat"), asc("depth")])
            .unwrap()
            .sort(["cut"])
            .unwrap()
            .select(["cut", "price", "carat", "depth"]),
    );
}

#[test]
fn shapes() {
    let d = diamonds();
    check(
        "pivot_table",
        run(d.pivot_table(["cut"], "color", "price", Aggregation::Mean)).unwrap().sort(["cut"]),
    );
    check(
        "pivot_median",
        run(d.pivot_table(["color"], "clarity", "price", Aggregation::Median)).unwrap().sort(["color"]),
    );
    let known = run(d.categorize()).unwrap();
    check("dummies_columns", known.get_dummies().unwrap().head(0));
    check("dummies_of_columns", known.get_dummies_of(["color"]).unwrap().head(0));
    let coded = known.select(["cut"]).unwrap().get_dummies().unwrap();
    let names = coded.columns();
    check("dummies_mean", coded.agg(names.into_iter().map(|n| col(&n).mean().alias(n))));
    check(
        "melt",
        d.melt(["cut"], ["x", "y", "z"])
            .unwrap()
            .group_by(["cut", "variable"])
            .sum(["value"])
            .unwrap()
            .sort(["cut", "variable"]),
    );
}

#[test]
fn joins_and_windows() {
    let d = diamonds();
    let best = d.group_by(["cut"]).max(["price"]).unwrap().rename([("price", "top")]).unwrap();
    check(
        "merge",
        d.join(&best, ["cut"], JoinKind::Inner)
            .unwrap()
            .with_column("near", col("price").gt(lit(0.99) * col("top")))
            .unwrap()
            .group_by(["cut"])
            .sum(["near"])
            .unwrap()
            .sort(["cut"]),
    );
    let share = col("price") / col("price").sum().over(["cut"]);
    check(
        "transform",
        d.with_column("share", share)
            .unwrap()
            .with_columns([
                (col("price") - col("price").mean()).over(["cut"]).abs().alias("off"),
                col("share").max().over(["cut"]).alias("top"),
            ])
            .unwrap()
            .group_by(["cut"])
            .sum(["off", "share", "top"])
            .unwrap()
            .sort(["cut"]),
    );
    let colors = frame(vec![
        ("color", texts(&[Some("D"), Some("E"), Some("Z")])),
        ("price", ints(&[Some(1), Some(2), Some(3)])),
    ]);
    let sums = d.group_by(["color"]).sum(["price"]).unwrap();
    check("merge_outer", sums.join(&colors, ["color"], JoinKind::Full).unwrap().sort(["color"]));
}

#[test]
fn expressions() {
    let sum = |expr: Expr, name: &str| expr.sum().alias(name);
    let count = |mask: Expr, name: &str| mask.sum().alias(name);
    let all = [
        sum(col("carat").ceil(), "ceil"),
        sum(col("price").ln(), "log"),
        sum(col("carat").sqrt(), "root"),
        sum(col("carat").pow(lit(2)), "power"),
        (col("price") / col("carat")).mean().alias("per"),
        sum(col("price") / lit(1000), "whole"),
        sum(col("price").floor_div(lit(1000)), "floor_div"),
        sum(col("price") % lit(7), "rest"),
        sum(col("carat").clip(lit(0.5), lit(1.0)), "clip"),
        sum(col("price").where_else(col("cut").eq(lit("Fair")), lit(0)), "where"),
        sum(col("clarity").str().len(), "length"),
        count(col("cut").str().lower().eq(lit("very good")), "lower"),
        count(col("cut").str().contains("oo"), "contains"),
        count(col("clarity").str().starts_with("VS"), "starts"),
        (col("cut") + col("color")).n_unique().alias("text"),
    ];
    check("expressions", diamonds().agg(all));
}
