//! What every verb says to bad input, when it is called.

use super::helpers::*;
use datafusion::arrow::datatypes::DataType;
use datafusion::functions::expr_fn::random;
use trefoil_frames::frame::*;
use trefoil_frames::seed;
use trefoil_plan::{Error, ErrorKind};

#[track_caller]
fn check<T>(result: Result<T, Error>, kind: ErrorKind, parts: &[&str]) {
    let Err(error) = result else { panic!("no error") };
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    for part in parts {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
}

const NONE: [&str; 0] = [];

#[test]
fn unknown_columns() {
    #[track_caller]
    fn unknown<T>(op: &str, result: Result<T, Error>) {
        check(result, ErrorKind::UnknownColumn, &[&format!("{op}: "), "no column `prise`", "`price`"]);
    }
    let f = gems();
    unknown("select", f.select(["prise"]));
    unknown("select", f.select([col("id") + col("prise")]));
    unknown("filter", f.filter(col("prise").gt(lit(1))));
    unknown("with_column", f.with_column("x", col("prise")));
    unknown("with_columns", f.with_columns([col("prise").alias("x")]));
    unknown("assign", f.assign([("x", col("prise"))]));
    unknown("drop", f.drop(["prise"]));
    unknown("rename", f.rename([("prise", "x")]));
    unknown("astype", f.astype([("prise", DataType::Int64)]));
    unknown("fillna_of", f.fillna_of([("prise", lit(1))]));
    unknown("dropna_of", f.dropna_of(["prise"]));
    unknown("sort", f.sort(["prise"]));
    unknown("sort_by", f.sort_by([desc("prise")]));
    unknown("nlargest", f.nlargest(1, ["prise"]));
    unknown("nsmallest", f.nsmallest(1, ["prise"]));
    unknown("drop_duplicates_of", f.drop_duplicates_of(["prise"], []));
    unknown("drop_duplicates_of", f.drop_duplicates_of(["id"], [asc("prise")]));
    unknown("value_counts", f.value_counts(["prise"]));
    unknown("agg", f.group_by(["prise"]).agg([col("id").sum()]));
    unknown("agg", f.group_by(["cut"]).agg([col("prise").sum()]));
    unknown("size", f.group_by(["prise"]).size());
    unknown("mean", f.group_by(["cut"]).mean(["prise"]));
    unknown("agg", f.agg([col("prise").sum()]));
    unknown("join", f.join(&f, ["prise"], JoinKind::Inner));
    unknown("join_with", f.join_with(&f, &Join::on_pairs([("price", "prise")], JoinKind::Inner)));
    unknown("melt", f.melt(["prise"], ["id"]));
    unknown("melt", f.melt(["id"], ["prise"]));
    unknown("pivot_table", run(f.pivot_table(["id"], "prise", "id", Aggregation::Sum)));
    unknown("pivot_table", run(f.pivot_table(["id"], "cut", "prise", Aggregation::Sum)));
    unknown("categorize", run(f.categorize_of(["prise"])));
    unknown("get_dummies_of", f.get_dummies_of(["prise"]));
    unknown("with_column", f.with_column("x", col("price").mean().over(["prise"])));
    // names are exact, and the near one is said
    check(f.select(["Price"]), ErrorKind::UnknownColumn, &["no column `Price`", "`price`"]);
    check(f.select(["lab grown"]), ErrorKind::UnknownColumn, &["no column `lab grown`", "`Lab Grown`"]);
}

#[test]
fn types_that_do_not_fit() {
    #[track_caller]
    fn clash<T>(result: Result<T, Error>, parts: &[&str]) {
        check(result, ErrorKind::TypeMismatch, parts);
    }
    let f = gems();
    clash(f.group_by(["id"]).mean(["cut"]), &["mean: ", "`cut` is Utf8", "numbers"]);
    clash(f.agg([col("cut").sum()]), &["agg: ", "`cut` is Utf8"]);
    clash(f.with_column("m", col("cut").mean().over(["id"])), &["`cut` is Utf8", "numbers"]);
    clash(f.agg([col("cut").std()]), &["`cut` is Utf8"]);
    clash(f.agg([col("cut").median()]), &["`cut` is Utf8"]);
    clash(f.select([col("cut") + col("price")]), &["`cut + price`", "`cut` is Utf8", "`price` is Int64"]);
    clash(f.select([col("price") * lit("2")]), &["`price` is Int64", "Utf8"]);
    clash(f.select([col("price") / col("cut")]), &["`cut` is Utf8"]);
    clash(f.filter(col("price").gt(lit("300"))), &["filter: ", "`price` is Int64"]);
    clash(f.filter(col("cut").eq(lit(1))), &["`cut` is Utf8"]);
    clash(f.filter(col("cut").is_in([1, 2])), &["`cut` is Utf8"]);
    clash(f.filter(col("cut").is_between(lit(1), lit(2))), &["`cut` is Utf8"]);
    clash(f.filter(col("price") + lit(1)), &["filter: ", "not a mask", "Int64"]);
    clash(f.filter(col("price").and(col("Lab Grown"))), &["`price` is Int64"]);
    clash(f.filter(!col("price")), &["`price` is Int64"]);
    clash(f.select([-col("cut")]), &["`cut` is Utf8"]);
    clash(f.select([col("cut").ceil()]), &["`cut` is Utf8", "numbers"]);
    clash(f.select([col("price").str().lower()]), &["`price` is Int64", "text"]);
    clash(f.select([col("price").where_else(col("Lab Grown"), lit("no"))]), &["`price` is Int64"]);
    clash(f.select([col("price").fill_null(lit("no"))]), &["`price` is Int64"]);
    clash(f.select([col("Lab Grown").dt().year()]), &["`Lab Grown` is Boolean"]);
    clash(f.astype([("Lab Grown", DataType::Date32)]), &["astype: ", "`Lab Grown` is Boolean", "Date32"]);
    clash(f.select([col("Lab Grown").cast(DataType::Date32)]), &["`Lab Grown` is Boolean"]);
    clash(f.select(["id"]).unwrap().fillna(lit("x")), &["fillna: "]);
    clash(f.fillna_of([("price", lit("x"))]), &["`price` is Int64"]);
    let text = f.astype([("id", DataType::Utf8)]).unwrap();
    clash(f.join(&text, ["id"], JoinKind::Inner), &["left `id` is Int64", "right `id` is Utf8"]);
    clash(f.concat([&text]), &["concat: ", "`id` is Int64", "Utf8"]);
    clash(f.melt(["id"], ["cut", "price"]), &["melt: ", "`price` is Int64"]);
    clash(run(f.categorize_of(["price"])), &["`price` is Int64", "not text"]);
    clash(f.get_dummies_of(["price"]), &["get_dummies_of: ", "`price` is Int64", "not text", "astype"]);
}

#[test]
fn names_that_meet() {
    let twice = |result, name: &str| {
        check::<trefoil_plan::DataFrame>(result, ErrorKind::AlreadyExists, &[&format!("`{name}`")]);
    };
    let f = gems();
    twice(f.select(["id", "id"]), "id");
    twice(f.select([col("id"), col("price").alias("id")]), "id");
    twice(f.rename([("price", "cut")]), "cut");
    twice(f.rename([("price", "x"), ("cut", "x")]), "x");
    twice(f.with_columns([lit(1).alias("x"), lit(2).alias("x")]), "x");
    twice(f.assign([("x", lit(1)), ("x", lit(2))]), "x");
    twice(f.agg([col("id").sum(), col("id").sum()]), "id_sum");
    twice(f.group_by(["cut"]).max(["cut"]), "cut");
    twice(f.group_by(["cut", "cut"]).size(), "cut");
    twice(f.drop(["id", "id"]), "id");
    let two = f.select([col("id"), col("price"), col("cut").alias("price_x")]).unwrap();
    twice(two.join(&f, ["id"], JoinKind::Inner), "price_x");
    let dummies = run(frame(vec![("a", texts(&[Some("b")])), ("a_b", ints(&[None]))]).categorize()).unwrap();
    twice(dummies.get_dummies(), "a_b");
    twice(f.rename([("id", "count")]).unwrap().value_counts(["count"]), "count");
}

#[test]
fn impossible_arguments() {
    #[track_caller]
    fn bad<T>(result: Result<T, Error>, parts: &[&str]) {
        check(result, ErrorKind::InvalidArgument, parts);
    }
    let f = gems();
    for fraction in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        bad(f.train_test_split(fraction, seed(1)), &["train_test_split: ", "between 0 and 1"]);
        bad(f.sample(fraction, seed(1)), &["sample: ", "between 0 and 1"]);
    }
    let volatile = f.with_column("r", random()).unwrap();
    bad(volatile.train_test_split(0.5, seed(1)), &["random()", "persist"]);
    bad(f.get_dummies(), &["get_dummies: ", "`cut`", "categorize().await"]);
    bad(f.get_dummies_of(["cut"]), &["categorize().await"]);
    let known = run(f.categorize()).unwrap();
    bad(known.with_column("cut", col("cut").str().lower()).unwrap().get_dummies(), &["categorize().await"]);
    bad(f.select(NONE), &["select: ", "empty"]);
    bad(f.with_columns(Vec::<Expr>::new()), &["empty"]);
    bad(f.drop(NONE), &["drop: ", "empty"]);
    bad(f.select(["id"]).unwrap().drop(["id"]), &["no column would be left"]);
    bad(f.sort(NONE), &["sort: ", "empty"]);
    bad(f.sort_by([]), &["sort_by: ", "empty"]);
    bad(f.nlargest(1, NONE), &["empty"]);
    bad(f.value_counts(NONE), &["empty"]);
    bad(f.group_by(NONE).sum(["id"]), &["group keys is empty"]);
    bad(f.group_by(["cut"]).sum(NONE), &["sum: ", "empty"]);
    bad(f.group_by(["cut"]).agg([]), &["agg: ", "empty"]);
    bad(f.group_by(["cut"]).agg([col("id")]), &["not an aggregation"]);
    bad(f.group_by(["cut"]).agg([col("id").sum() + col("price")]), &["`price`", "outside an aggregation"]);
    bad(f.select([col("id"), col("id").sum().alias("s")]), &["do not mix"]);
    bad(f.filter(col("price").gt(col("price").mean())), &["aggregation"]);
    bad(f.with_column("m", col("price").mean()), &["aggregation"]);
    bad(f.sort_by([asc(col("price").mean())]), &["aggregation"]);
    let over = col("price").mean().over(["cut"]);
    bad(f.filter(col("price").gt(over.clone())), &["filter: ", "with_column"]);
    bad(f.sort([over.clone()]), &["sort: ", "with_column"]);
    bad(f.agg([over.clone().max()]), &["agg: ", "with_column"]);
    bad(f.join(&f, NONE, JoinKind::Left), &["join: ", "empty"]);
    bad(f.melt(["id"], NONE), &["melt: ", "empty"]);
    bad(concat([]), &["concat: ", "no frames"]);
    let empty = f.filter(lit(false)).unwrap();
    bad(run(empty.pivot_table(["id"], "cut", "price", Aggregation::Sum)), &["no values"]);
    bad(run(f.select(["cut"]).unwrap().describe()), &["describe: ", "no column is numeric"]);
}

#[test]
fn closures_over_partitions() {
    let broken = run(gems().map_partitions(|_| Err(std::io::Error::other("disk on fire"))));
    let error = broken.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::User, "{error}");
    assert!(error.downcast_ref::<std::io::Error>().is_some() && error.to_string().contains("disk on fire"));
    let panics = run(gems().map_partitions(|part| -> Result<_, Error> {
        assert!(part.num_rows() > 100, "too small");
        Ok(vec![])
    }));
    check(panics, ErrorKind::Panicked, &["too small"]);
    let nothing = run(gems().map_partitions(|_| Ok::<_, Error>(vec![])));
    check(nothing, ErrorKind::InvalidArgument, &["map_partitions: ", "no batch"]);
    let mixed = run(gems().map_partitions(|part| {
        let name = if part.num_rows() > 3 { "a" } else { "b" };
        Ok::<_, Error>(vec![batch(vec![(name, ints(&[None]))])])
    }));
    check(mixed, ErrorKind::TypeMismatch, &["a Int64", "b Int64"]);
    // the session works on
    assert_eq!(run(gems().count()).unwrap(), 6);
}
