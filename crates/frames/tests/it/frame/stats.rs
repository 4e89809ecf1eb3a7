//! Figures of columns, and frames side by side; what is expected was recorded from pandas 3 and numpy 2.

use super::helpers::*;
use datafusion::arrow::datatypes::DataType;
use trefoil_frames::frame::*;

fn numbers() -> trefoil_plan::DataFrame {
    let one = batch(vec![
        ("a", ints(&[Some(1), Some(1), Some(2)])),
        ("b", texts(&[Some("x"), Some("x"), Some("y")])),
        ("c", floats(&[Some(1.0), Some(8.0), None])),
    ]);
    let two = batch(vec![
        ("a", ints(&[Some(2), Some(3)])),
        ("b", texts(&[None, None])),
        ("c", floats(&[Some(2.0), Some(4.0)])),
    ]);
    partitioned(vec![vec![one], vec![two]])
}

#[test]
fn described_at_other_quantiles() {
    check(
        run(numbers().describe_with([0.9, 0.1])),
        "statistic|a|c
         count|5.0|4.0
         mean|1.8|3.75
         std|0.8366600265340756|3.095695936834452
         min|1.0|1.0
         10%|1.0|1.3
         90%|2.6|6.800000000000001
         max|3.0|8.0",
    );
    let none = run(numbers().select(["a"]).unwrap().describe_with([]));
    check(none, "statistic|a \n count|5.0 \n mean|1.8 \n std|0.8366600265340756 \n min|1.0 \n max|3.0");
    let error = run(numbers().describe_with([1.5])).unwrap_err();
    assert!(error.to_string().contains("a quantile is 1.5, it must be between 0 and 1"), "{error}");
}

#[test]
fn quantiles_between_two_values() {
    use Interpolation::{Higher, Linear, Lower, Midpoint, Nearest};
    let f = numbers();
    let at = |q: f64| {
        let all = [Linear, Lower, Higher, Nearest, Midpoint];
        f.agg(all.map(|how| col("c").quantile_with(q, how).alias(how.name())))
    };
    let head = "linear|lower|higher|nearest|midpoint";
    check(at(0.5), &format!("{head}\n 3.0|2.0|4.0|4.0|3.0"));
    check(at(0.25), &format!("{head}\n 1.75|1.0|2.0|2.0|1.5"));
    check(at(1.0), &format!("{head}\n 8.0|8.0|8.0|8.0|8.0"));
    // in groups, and in windows
    let groups = f.group_by(["b"]).agg([col("c").quantile_with(0.5, Higher).alias("q")]);
    check_rows(groups, "b|q \n x|8.0 \n y|- \n -|4.0");
    let rolled = col("c").rolling(2).min_periods(1).quantile_with(0.5, Lower).alias("q");
    check(
        f.filter(col("c").is_not_null()).unwrap().sort(["c"]).unwrap().select([rolled]),
        "q \n 1.0 \n 1.0 \n 2.0 \n 4.0",
    );
}

#[test]
fn the_most_frequent_of_all_columns() {
    check(run(numbers().modes()), "a|b|c \n 1|x|1.0 \n 2|-|2.0 \n -|-|4.0 \n -|-|8.0");
}

#[test]
fn side_by_side() {
    let f = numbers().select(["a", "b"]).unwrap();
    let other = partitioned(vec![
        vec![batch(vec![("x", ints(&[Some(10)]))])],
        vec![],
        vec![batch(vec![("x", ints(&[]))]), batch(vec![("x", ints(&[Some(20), None, Some(40)]))])],
    ]);
    let both = run(f.hstack([&other])).unwrap();
    check(Ok(both), "a|b|x \n 1|x|10 \n 1|x|20 \n 2|y|- \n 2|-|40 \n 3|-|-");
    let reversed = run(other.hstack([&f])).unwrap();
    check(Ok(reversed), "x|a|b \n 10|1|x \n 20|1|x \n -|2|y \n 40|2|- \n -|3|-");
    check(run(f.hstack([])), "a|b \n 1|x \n 1|x \n 2|y \n 2|- \n 3|-");
    let error = run(f.hstack([&f])).unwrap_err();
    assert!(error.to_string().starts_with("hstack: "), "{error}");
    // many rows, batches that end in different places
    let long = session().frame_from_range("n", 0..100_000).unwrap();
    let parts = (0..40).map(|i| vec![batch(vec![("m", ints(&vec![Some(i); 2500]))])]).collect();
    let both = run(long.hstack([&partitioned(parts)])).unwrap();
    let wrong = both.filter((col("n") / lit(2500)).cast(DataType::Int64).not_eq(col("m"))).unwrap();
    assert_eq!((run(both.count()).unwrap(), run(wrong.count()).unwrap()), (100_000, 0));
}
