//! Expressions, one row per function: the values over six gems.

use super::helpers::{gems, lines};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use trefoil_frames::frame::*;

/// The values of an expression over the gems in the order of their ids.
#[track_caller]
fn check(expr: Expr, expect: &str) {
    let frame = gems().select([col("id"), expr.alias("x")]).unwrap().sort(["id"]).unwrap();
    let found = lines(&frame).unwrap();
    let values: Vec<&str> = found[1..].iter().map(|line| line.split_once('|').unwrap().1).collect();
    assert_eq!(values.join(" "), expect);
}

#[test]
fn numbers() {
    check(col("carat").ceil(), "1.0 2.0 2.0 - 1.0 2.0");
    check(col("carat").floor(), "0.0 1.0 2.0 - 0.0 1.0");
    check(col("carat").round(0), "0.0 1.0 2.0 - 1.0 2.0");
    check((col("carat") - lit(1.0)).abs().round(2), "0.75 0.1 1.0 - 0.1 0.5");
    check((col("id") * col("id")).sqrt(), "1.0 2.0 3.0 4.0 5.0 6.0");
    check(col("carat").exp().ln().round(6), "0.25 1.1 2.0 - 0.9 1.5");
    check(col("id").pow(lit(2)), "1.0 4.0 9.0 16.0 25.0 36.0");
    check(col("price").clip(lit(100), lit(500)), "326 400 - 500 100 400");
    check(col("price") + col("id"), "327 402 - 1004 60 406");
    check(col("price") - lit(26), "300 374 - 974 29 374");
    check(-col("id"), "-1 -2 -3 -4 -5 -6");
    check(col("id") % lit(4), "1 2 3 0 1 2");
    // a true division, as in pandas; an integer one has its own name
    check(col("id") / lit(4), "0.25 0.5 0.75 1.0 1.25 1.5");
    check(col("id").floor_div(lit(4)), "0 0 0 1 1 1");
    check(-col("id").floor_div(lit(4)), "0 0 0 -1 -1 -1");
    check((-col("id")).floor_div(lit(4)), "-1 -1 -1 -1 -2 -2");
    check(col("id") / lit(0), "inf inf inf inf inf inf");
}

#[test]
fn masks_and_comparisons() {
    check(col("price").gt(lit(400)), "false false - true false false");
    check(col("price").eq(lit(400)), "false true - false false true");
    check(col("price").lt(lit(56.5)), "false false - false true false");
    check(col("id").is_between(lit(2), lit(4)), "false true true true false false");
    check(col("cut").is_in(["Ideal", "Fair"]), "true false - true true false");
    check(col("id").is_in(Vec::<i64>::new()), "false false false false false false");
    check(col("cut").is_null(), "false false true false false false");
    check(!col("Lab Grown"), "false true - false true true");
    check(col("Lab Grown") & col("id").gt(lit(1)), "false false - true false false");
    check(col("Lab Grown") | col("id").gt(lit(3)), "true false - true true true");
    check(col("Lab Grown") ^ col("id").gt(lit(3)), "true false - false true true");
    check((col("id") & lit(1)).eq(lit(1)), "true false true false true false");
    check(col("price").fill_null(lit(0)), "326 400 0 1000 55 400");
    check(col("carat").is_nan(), "false false false - false false");
    check((lit(0.0) / (col("id") - lit(1))).is_nan(), "true false false false false false");
    check((lit(0.0) / (col("id") - lit(1))).fill_nan(lit(9.0)), "9.0 0.0 0.0 0.0 0.0 0.0");
    check(col("id").where_else(col("id").gt(lit(3)), lit(0)), "0 0 0 4 5 6");
    check(col("id").where_else(col("Lab Grown"), lit(0)), "1 0 0 4 0 0");
}

#[test]
fn text() {
    check(col("cut").str().lower(), "ideal good - ideal fair good");
    check(col("cut").str().upper(), "IDEAL GOOD - IDEAL FAIR GOOD");
    check(col("cut").str().len(), "5 4 - 5 4 4");
    check(col("cut").str().contains("oo"), "false true - false false true");
    check(col("cut").str().contains("o."), "false false - false false false");
    check(col("cut").str().starts_with("I"), "true false - true false false");
    check(col("cut").str().ends_with("d"), "false true - false false true");
    check(col("cut").str().replace("o", "0"), "Ideal G00d - Ideal Fair G00d");
    check((lit(" ") + col("cut") + lit("  ")).str().strip(), "Ideal Good - Ideal Fair Good");
    check(col("cut") + lit("!"), "Ideal! Good! - Ideal! Fair! Good!");
}

#[test]
fn dates() {
    check(col("sold").dt().year(), "2023 2020 - 1970 2000 1970");
    check(col("sold").dt().month(), "11 9 - 1 2 1");
    check(col("sold").dt().day(), "14 13 - 1 29 1");
    check(col("sold").dt().hour(), "22 12 - 0 0 23");
    check(col("sold").dt().minute(), "13 26 - 0 0 59");
    // Tuesday, Sunday, Thursday, Tuesday, Thursday
    check(col("sold").dt().weekday(), "1 6 - 3 1 3");
}

#[test]
fn casts() {
    check(col("carat").cast(DataType::Int64), "0 1 2 - 0 1");
    check(col("id").cast(DataType::Utf8) + lit("."), "1. 2. 3. 4. 5. 6.");
    check(col("cut").try_cast(DataType::Int64), "- - - - - -");
    check(lit(ScalarValue::Null), "- - - - - -");
}

/// One value over all gems.
#[track_caller]
fn check_all(expr: Expr, expect: &str) {
    let found = lines(&gems().agg([expr.alias("x")]).unwrap()).unwrap();
    assert_eq!(found[1..], [expect]);
}

#[test]
fn aggregations() {
    check_all(col("price").sum(), "2181");
    check_all(col("price").mean(), "436.2");
    check_all(col("price").min(), "55");
    check_all(col("price").max(), "1000");
    check_all(col("cut").max(), "Ideal");
    check_all(col("price").count(), "5");
    check_all(col("price").n_unique(), "4");
    check_all(col("cut").n_unique(), "3");
    check_all(col("price").std().round(6), "345.669206");
    check_all(col("price").var().round(3), "119487.2");
    check_all(col("price").median(), "400.0");
    check_all(col("id").median(), "3.5");
    check_all(col("id").quantile(0.25), "2.25");
    check_all(col("carat").first_by(desc("id")), "1.5");
    check_all(col("price").first_by(asc("carat")), "326");
    check_all(col("Lab Grown").sum(), "2");
    check_all(col("Lab Grown").mean(), "0.4");
    check_all(col("price").sum() / col("price").count(), "436.2");
    check_all((col("price").max() - col("price").min()) * lit(2), "1890");
    check_all(col("id").corr(col("id") * lit(2)).round(9), "1.0");
    check_all(col("id").cov(col("id")).round(9), "3.5");
    check_all((col("price") / col("id")).sum().round(3), "853.667");
}

#[test]
fn names_are_kept_exactly_and_made_sensibly() {
    #[track_caller]
    fn check(exprs: Vec<Expr>, expect: &str) {
        assert_eq!(lines(&gems().select(exprs).unwrap().head(0).unwrap()).unwrap(), [expect]);
    }
    check(vec![col("Lab Grown"), col("cut")], "Lab Grown|cut");
    check(vec![col("carat").ceil(), lit(1)], "carat|literal");
    check(vec![lit(2) * col("price"), col("id").alias("Id.x")], "price|Id.x");
    let frame = gems().agg([col("price").mean(), col("price").max(), col("cut").n_unique()]).unwrap();
    assert_eq!(
        frame.schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(),
        ["price_mean", "price_max", "cut_n_unique"]
    );
}
