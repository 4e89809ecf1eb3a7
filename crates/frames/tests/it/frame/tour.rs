//! The frame steps of the tour on the real diamonds, against figures computed with pandas
//! (`tests/expected/tour.py`, recorded in `tests/expected/tour.json`).

use super::helpers::{lines, run, session};
use serde_json::Value;
use trefoil_frames::frame::*;
use trefoil_frames::seed;
use trefoil_plan::DataFrame;

fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn expected() -> Value {
    let text = std::fs::read_to_string(root().join("tests/expected/tour.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["diamonds"].clone()
}

pub fn diamonds() -> DataFrame {
    run(session().read_csv(root().join("examples/data/diamonds.csv"))).unwrap()
}

fn close(found: &str, expected: &Value) -> bool {
    let (found, expected) = (found.parse::<f64>().unwrap(), expected.as_f64().unwrap());
    (found - expected).abs() <= 1e-9 * expected.abs().max(1.0)
}

#[test]
fn mean_price_by_rounded_carat() {
    let diamonds = diamonds();
    let by_carat = diamonds
        .group_by([col("carat").ceil().alias("carats")])
        .mean(["price"])
        .unwrap()
        .sort(["carats"])
        .unwrap();
    let found = lines(&by_carat).unwrap();
    let expected = expected();
    let rows = expected["price_by_carats"].as_array().unwrap();
    assert_eq!(found.len(), rows.len() + 1);
    for (line, row) in found[1..].iter().zip(rows) {
        let (carats, price) = line.split_once('|').unwrap();
        assert!(close(carats, &row["carats"]) && close(price, &row["price"]), "{line} {row}");
    }
}

#[test]
fn one_hot_encoding_and_split() {
    let narrow = diamonds().drop(["x", "y", "z"]).unwrap().rename([("price", "label")]).unwrap();
    let features = run(narrow.categorize()).unwrap().get_dummies().unwrap();
    let expected = expected();
    let mut names: Vec<String> = features.dtypes().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names[..4], ["carat", "depth", "table", "label"]);
    let sums: Vec<Expr> = names[4..].iter().map(|name| col(name).sum().alias(name)).collect();
    let sums = lines(&features.agg(sums).unwrap()).unwrap();
    for (name, sum) in sums[0].split('|').zip(sums[1].split('|')) {
        let rows = expected["dummy_sums"].as_array().unwrap();
        let row = rows.iter().find(|row| row["name"] == *name).unwrap();
        assert!(close(sum, &row["sum"]), "{name} {sum}");
    }
    names.sort();
    let columns: Vec<&str> =
        expected["dummy_columns"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    assert_eq!(names, columns);

    let (train, valid) = features.train_test_split(0.2, seed(7)).unwrap();
    let count = |f: &DataFrame| {
        lines(&f.agg([col("label").count(), col("label").sum()]).unwrap()).unwrap()[1].clone()
    };
    let parts: Vec<Vec<i64>> =
        [&train, &valid].map(|f| count(f).split('|').map(|v| v.parse().unwrap()).collect()).into();
    assert_eq!(parts[0][0], 43_152);
    assert_eq!(parts[1][0], 10_788);
    assert_eq!(parts[0][1] + parts[1][1], expected["label_sum"].as_i64().unwrap());
}
