//! Wide tables, dummies and random rows: against pandas (`tests/expected/more.py`) and against counting.

use super::helpers::*;
use super::more::{PARTITIONS, check_case, table};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use std::collections::BTreeMap;
use trefoil_core::ErrorKind;
use trefoil_frames::frame::*;
use trefoil_frames::seed;
use trefoil_plan::{DataFrame, Result};

#[test]
fn pivots_as_pandas() {
    use Aggregation::{Count, Max, Mean, Median, Min, Std, Sum};
    let by_c = |index: &[&str]| Pivot::new(index.iter().copied(), ["c"]);
    let all = [
        ("values", by_c(&["k"]).value("x", [Mean]).value("y", [Mean])),
        ("aggregations", by_c(&["k"]).value("y", [Mean, Max])),
        ("both", by_c(&["k"]).value("x", [Min, Max, Median]).value("y", [Min, Max, Median])),
        ("fill", by_c(&["y"]).value("x", [Sum]).fill(lit(-1))),
        ("count", by_c(&["y"]).value("id", [Count])),
        ("two rows", by_c(&["k", "y"]).value("x", [Mean])),
        ("two columns", Pivot::new(["k"], ["c", "y"]).value("x", [Max])),
        ("margins", by_c(&["k"]).value("x", [Mean]).margins("All")),
        ("margins of two", by_c(&["k", "y"]).value("x", [Max]).margins("All")),
        ("margins of both", by_c(&["k"]).value("x", [Sum, Std]).value("y", [Sum, Std]).margins("All")),
    ];
    for partitions in PARTITIONS {
        let whole = table("left", partitions).dropna().unwrap();
        for (name, pivot) in &all {
            let f = match *name {
                "two columns" => whole.filter(col("y").is_in([0_i64, 1, 2])).unwrap(),
                _ => whole.clone(),
            };
            check_case(&format!("pivot {name}"), run(f.pivot_table_with(pivot)));
        }
    }
}

#[test]
fn pivots_beyond_pandas() {
    let f = frame(vec![
        ("k", texts(&[Some("a"), Some("a"), None, Some("b"), Some("b")])),
        ("c", texts(&[Some("x"), Some("y"), Some("x"), None, None])),
        ("n", ints(&[Some(1), Some(2), Some(3), Some(4), None])),
    ]);
    let wide = |pivot: Pivot| run(f.pivot_table_with(&pivot));
    let by = || Pivot::new(["k"], ["c"]);
    // null is a row like any other, and no column; a row without a column is left out
    check_rows(wide(by().value("n", [Aggregation::Sum])), "k|x|y\na|1|2\n-|3|-");
    // the row of margins is not that of null
    let margins = by().value("n", [Aggregation::Sum]).margins("all");
    check_rows(wide(margins.clone()), "k|x|y|all\na|1|2|3\n-|3|-|3\nall|4|2|6");
    check_rows(wide(margins.fill(lit(0))), "k|x|y|all\na|1|2|3\n-|3|0|3\nall|4|2|6");
    // rows that are named by numbers have no name for all
    let numbered = Pivot::new(["n"], ["c"]).value("k", [Aggregation::First]).margins("all");
    check_rows(wide(numbered), "n|x|y|all\n1|a|-|a\n2|-|a|a\n3|-|-|-\n-|a|a|a");
    // an aggregation for each value, lists, and values that are no numbers
    let mixed = by().value("n", [Aggregation::Max]).value("c", [Aggregation::List, Aggregation::NUnique]);
    check_rows(
        wide(mixed),
        "k|max_n_x|max_n_y|list_c_x|list_c_y|n_unique_c_x|n_unique_c_y\na|1|2|[x]|[y]|1|1\n-|3|-|[x]|-|1|-",
    );
    let product = by().value("n", [Aggregation::Product]).value("n", [Aggregation::Last]);
    check_rows(wide(product), "k|product_x|product_y|last_x|last_y\na|1|2|1|2\n-|3|-|3|-");
    let error = |pivot: Pivot, kind: ErrorKind, words: &str| {
        let error = wide(pivot).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    let sum = [Aggregation::Sum];
    error(by(), ErrorKind::InvalidArgument, "nothing to put");
    error(by().value("z", sum), ErrorKind::UnknownColumn, "`z`");
    error(Pivot::new(["k"], ["k"]).value("n", sum), ErrorKind::InvalidArgument, "rows and the columns");
    error(Pivot::new(["k"], Vec::<String>::new()).value("n", sum), ErrorKind::InvalidArgument, "empty");
    error(by().value("c", sum), ErrorKind::TypeMismatch, "numbers");
    error(by().value("n", sum).fill(lit("none")), ErrorKind::TypeMismatch, "none");
    error(by().value("n", sum).margins("x"), ErrorKind::AlreadyExists, "`x`");
    error(by().value("n", sum).value("n", sum), ErrorKind::AlreadyExists, "`x`");
}

#[test]
fn dummies_as_pandas() {
    let all = [
        ("prefix", Dummies::new().prefixes([("c", "is")]).separator("-")),
        ("drop", Dummies::new().drop_first()),
        ("null", Dummies::new().nulls()),
        ("number", Dummies::new().columns(["c"]).data_type(DataType::Int64).drop_first().nulls()),
    ];
    for partitions in PARTITIONS {
        let f = run(table("left", partitions).select(["id", "c"]).unwrap().categorize()).unwrap();
        for (name, how) in &all {
            check_case(&format!("dummies {name}"), f.get_dummies_with(how));
        }
    }
    let f = run(table("left", 1).select(["id", "k", "c"]).unwrap().categorize_of(["c"])).unwrap();
    let error = |how: Dummies, kind: ErrorKind| {
        assert_eq!(f.get_dummies_with(&how).unwrap_err().kind(), kind, "{how:?}");
    };
    error(Dummies::new(), ErrorKind::InvalidArgument);
    error(Dummies::new().columns(["id"]), ErrorKind::TypeMismatch);
    error(Dummies::new().columns(["c"]).prefixes([("k", "p")]), ErrorKind::InvalidArgument);
    error(Dummies::new().columns(["c"]).prefixes([("z", "p")]), ErrorKind::UnknownColumn);
    error(Dummies::new().columns(["c"]).data_type(DataType::Utf8), ErrorKind::TypeMismatch);
}

/// How often each value of a column of numbers occurs.
fn counts(frame: &DataFrame, name: &str) -> BTreeMap<Option<i64>, usize> {
    let mut counts = BTreeMap::new();
    for batch in run(frame.select([name]).unwrap().collect()).unwrap() {
        for value in batch.column(0).as_primitive::<Int64Type>() {
            *counts.entry(value).or_insert(0) += 1;
        }
    }
    counts
}

fn numbers(n: i64, partitions: usize) -> DataFrame {
    let all: Vec<Option<i64>> = (0..n).map(Some).collect();
    let groups: Vec<Option<i64>> = (0..n).map(|i| (i % 4 > 0).then_some(i % 4)).collect();
    let whole = batch(vec![("n", ints(&all)), ("g", ints(&groups))]);
    let share = whole.num_rows().div_ceil(partitions);
    let parts = (0..partitions)
        .map(|p| (p * share).min(whole.num_rows()))
        .map(|start| vec![whole.slice(start, share.min(whole.num_rows() - start))]);
    partitioned(parts.collect())
}

fn sorted(frame: Result<DataFrame>) -> Vec<String> {
    let mut lines = lines(&frame.unwrap()).unwrap();
    lines[1..].sort();
    lines
}

#[test]
fn copies_of_a_row_are_drawn_apart() {
    let f = numbers(4_000, 2).select(["g"]).unwrap();
    let half = counts(&f.sample(0.5, seed(7)).unwrap(), "g");
    assert_eq!(half.values().sum::<usize>(), 2_000);
    // four values with 1,000 copies each: 500 of each are expected, with a deviation of 16
    assert!(half.len() == 4 && half.values().all(|n| (400..600).contains(n)), "{half:?}");
    let (train, test) = f.train_test_split(0.25, seed(7)).unwrap();
    let (train, test) = (counts(&train, "g"), counts(&test, "g"));
    for (value, n) in &test {
        assert!((180..320).contains(n), "{test:?}");
        assert_eq!(n + train[value], 1_000);
    }
}

#[test]
fn drawn_again() {
    let share = |fraction| Draw::share(fraction, seed(7)).with_replacement();
    for partitions in PARTITIONS {
        let f = numbers(2_000, partitions);
        for (fraction, wanted) in [(0.0, 0), (0.1, 200), (1.0, 2_000), (2.5, 5_000)] {
            let drawn = counts(&f.sample_with(&share(fraction)).unwrap(), "n");
            assert_eq!(drawn.values().sum::<usize>(), wanted, "{fraction}");
        }
        let once = counts(&f.sample_with(&share(1.0)).unwrap(), "n");
        // of as many draws as rows about 1 - 1/e of the rows are drawn, and few of them often
        assert!((1_180..1_350).contains(&once.len()), "{}", once.len());
        assert!(once.values().all(|n| *n < 12));
        let same = |how: &Draw| sorted(numbers(2_000, 8 - partitions).sample_with(how));
        assert_eq!(sorted(f.sample_with(&share(0.2))), same(&share(0.2)));
        assert_ne!(same(&share(0.2)), same(&Draw::share(0.2, seed(8)).with_replacement()));
        let five = Draw::rows(5, seed(1)).with_replacement();
        assert_eq!(counts(&f.sample_with(&five).unwrap(), "n").values().sum::<usize>(), 5);
        // of each group
        let of_each = f.group_by(["g"]).sample(&Draw::rows(30, seed(3)).with_replacement()).unwrap();
        let all: BTreeMap<_, _> = [None, Some(1), Some(2), Some(3)].map(|g| (g, 30)).into();
        assert_eq!(counts(&of_each, "g"), all);
        let none = f.filter(lit(false)).unwrap();
        assert_eq!(counts(&none.sample_with(&five).unwrap(), "n").len(), 0);
        assert_eq!(counts(&none.group_by(["g"]).sample(&five).unwrap(), "n").len(), 0);
    }
}

#[test]
fn drawn_of_each_group() {
    for partitions in PARTITIONS {
        let f = numbers(1_000, partitions);
        let keys = || f.group_by([col("g") * lit(2)]);
        for (how, wanted) in [
            (Draw::rows(7, seed(7)), 7),
            (Draw::rows(1_000, seed(7)), 250),
            (Draw::share(0.1, seed(7)), 25),
            (Draw::share(1.0, seed(7)), 250),
            (Draw::rows(0, seed(7)), 0),
        ] {
            let drawn = keys().sample(&how).unwrap();
            assert_eq!(drawn.columns(), ["n", "g"]);
            assert!(counts(&drawn, "n").values().all(|n| *n == 1));
            let groups = counts(&drawn, "g");
            assert_eq!(groups.len(), if wanted == 0 { 0 } else { 4 }, "{how:?}");
            assert!(groups.values().all(|n| *n == wanted), "{how:?} {groups:?}");
            let again = numbers(1_000, 8 - partitions).group_by([col("g") * lit(2)]).sample(&how);
            assert_eq!(sorted(Ok(drawn)), sorted(again));
        }
    }
}

#[test]
fn drawn_again_by_weight() {
    for partitions in PARTITIONS {
        // weights 0, 1, 2, 3; null for the group that is null
        let f = numbers(4_000, partitions);
        let weight = (col("n") % lit(4)).cast(DataType::Float64);
        let how = |n| Draw::rows(n, seed(7)).weighted_by(weight.clone()).with_replacement();
        let drawn = f.sample_with(&how(6_000)).unwrap();
        assert_eq!(drawn.columns(), ["n", "g"]);
        let some = counts(&drawn, "g");
        assert_eq!(some.values().sum::<usize>(), 6_000);
        assert!(!some.contains_key(&None), "{some:?}");
        // one, two and three sixths of 6,000, with deviations of 29 to 39
        let near = |g: i64, n: usize| (n - 160..n + 160).contains(&some[&Some(g)]);
        assert!(near(1, 1_000) && near(2, 2_000) && near(3, 3_000), "{some:?}");
        // each row of the heaviest group thrice, on average: a Poisson number, 0 for one row in twenty
        let heavy = counts(&drawn.filter(col("g").eq(lit(3))).unwrap(), "n");
        assert!((900..=990).contains(&heavy.len()) && heavy.values().all(|n| *n < 15), "{}", heavy.len());
        let again = numbers(4_000, 8 - partitions).sample_with(&how(6_000));
        assert_eq!(sorted(Ok(drawn)), sorted(again));
        // of each group that has a weight
        let each = f.group_by(["g"]).sample(&how(30)).unwrap();
        assert_eq!(counts(&each, "g"), [1, 2, 3].map(|g| (Some(g), 30)).into());
        let share = Draw::share(0.5, seed(7)).weighted_by("g").with_replacement();
        assert_eq!(counts(&f.sample_with(&share).unwrap(), "n").values().sum::<usize>(), 2_000);
        // nothing weighs anything; there is nothing
        let none = Draw::rows(5, seed(7)).weighted_by(lit(0.0)).with_replacement();
        assert_eq!(counts(&f.sample_with(&none).unwrap(), "n").len(), 0);
        assert_eq!(counts(&f.filter(lit(false)).unwrap().sample_with(&how(5)).unwrap(), "n").len(), 0);
        // one row has all the weight
        let one = choose_one(&f, 17);
        assert_eq!(counts(&one, "n"), [(Some(17), 50)].into());
    }
}

fn choose_one(f: &DataFrame, n: i64) -> DataFrame {
    let weight = when(col("n").eq(lit(n)), lit(2.5)).otherwise(lit(f64::INFINITY));
    f.sample_with(&Draw::rows(50, seed(3)).weighted_by(weight).with_replacement()).unwrap()
}

#[test]
fn drawn_by_weight() {
    for partitions in PARTITIONS {
        // weights 0, 1, 2, 3; null for the group that is null
        let f = numbers(4_000, partitions);
        let weight = (col("n") % lit(4)).cast(DataType::Float64);
        let some =
            counts(&f.sample_with(&Draw::rows(120, seed(7)).weighted_by(weight.clone())).unwrap(), "g");
        assert_eq!(some.values().sum::<usize>(), 120);
        assert!(!some.contains_key(&None));
        // one, two and three sixths of 120 are 20, 40 and 60, with deviations of 4 to 5.5
        let near = |g: i64, n: usize| (n - 18..n + 18).contains(&some[&Some(g)]);
        assert!(near(1, 20) && near(2, 40) && near(3, 60), "{some:?}");
        // never what weighs nothing, however many are asked for
        let all = counts(&f.sample_with(&Draw::share(1.0, seed(7)).weighted_by("g")).unwrap(), "g");
        assert_eq!(all, [1, 2, 3].map(|g| (Some(g), 1_000)).into());
        let each = f.group_by(["g"]).sample(&Draw::share(0.01, seed(7)).weighted_by(weight)).unwrap();
        assert_eq!(counts(&each, "g"), [1, 2, 3].map(|g| (Some(g), 10)).into());
    }
    let f = numbers(10, 1).with_column("s", lit("x")).unwrap();
    let error = |how: &Draw| f.sample_with(how).unwrap_err().kind();
    let (rows, share) = (|| Draw::rows(1, seed(1)), |fraction| Draw::share(fraction, seed(1)));
    assert_eq!(error(&rows().weighted_by("z")), ErrorKind::UnknownColumn);
    assert_eq!(error(&rows().weighted_by("s")), ErrorKind::TypeMismatch);
    assert_eq!(error(&rows().weighted_by("s").with_replacement()), ErrorKind::TypeMismatch);
    for fraction in [-0.1, f64::NAN, f64::INFINITY] {
        assert_eq!(error(&share(fraction)), ErrorKind::InvalidArgument);
        assert_eq!(error(&share(fraction).with_replacement()), ErrorKind::InvalidArgument);
    }
    assert_eq!(error(&share(1.1)), ErrorKind::InvalidArgument);
}
