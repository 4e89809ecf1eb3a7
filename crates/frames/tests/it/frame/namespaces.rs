//! Text, date and numeric expressions against pandas (`tests/expected/namespaces.py`, recorded in
//! `namespaces.json`), and those pandas has not.

use super::helpers::*;
use datafusion::arrow::array::{ArrayRef, StringArray, StringViewArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::arrow::json::LineDelimitedWriter;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use trefoil_core::ErrorKind;
use trefoil_frames::frame::*;
use trefoil_plan::{DataFrame, Result};

fn recorded() -> &'static Value {
    static CASES: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_str(include_str!("../../expected/namespaces.json")).unwrap());
    &CASES
}

fn list<'v, T>(value: &'v Value, of: impl Fn(&'v Value) -> Option<T>) -> Vec<Option<T>> {
    value.as_array().unwrap().iter().map(of).collect()
}

/// A column of a frame as JSON values.
fn json(frame: &DataFrame, name: &str) -> Vec<Value> {
    let mut out = LineDelimitedWriter::new(Vec::new());
    for batch in run(frame.select([name]).unwrap().collect()).unwrap() {
        out.write(&batch).unwrap();
    }
    out.finish().unwrap();
    let text = String::from_utf8(out.into_inner()).unwrap();
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()[name].clone()).collect()
}

fn same(found: &Value, expected: &Value) -> bool {
    match (found.as_f64(), expected.as_f64()) {
        (Some(f), Some(e)) => (f - e).abs() <= 1e-9 * e.abs().max(1.0),
        _ => found == expected,
    }
}

/// Compares every pair of a case and an expression; all cases of pandas must be named once in `done`.
fn check_all(frame: &DataFrame, pairs: &[(&str, Expr)], done: &mut BTreeSet<String>) {
    let mut wrong = Vec::new();
    let named = pairs.iter().map(|(name, e)| e.clone().alias(*name));
    let found = frame.with_columns(named).unwrap();
    for (name, _) in pairs {
        let expected = recorded()["cases"][*name].as_array().unwrap();
        let found = json(&found, name);
        if found.len() != expected.len() || !found.iter().zip(expected).all(|(f, e)| same(f, e)) {
            wrong.push(format!(
                "{name}\n  found  {}\n  pandas {}",
                Value::from(found),
                Value::from(expected.clone())
            ));
        }
        done.insert((*name).to_owned());
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

fn texts_table(kind: usize) -> DataFrame {
    let texts = list(&recorded()["texts"], Value::as_str);
    let column: ArrayRef = match kind {
        0 => Arc::new(StringArray::from(texts)),
        1 => Arc::new(StringViewArray::from(texts)),
        _ => {
            let plain: ArrayRef = Arc::new(StringArray::from(texts));
            cast(&plain, &DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into())).unwrap()
        }
    };
    frame(vec![("s", column)])
}

fn text_pairs() -> Vec<(&'static str, Expr)> {
    let s = || col("s").str();
    let pairs = [("Ideal", "best"), ("abc", "worst")];
    vec![
        ("lower", s().lower()),
        ("upper", s().upper()),
        ("title", s().title()),
        ("capitalize", s().capitalize()),
        ("swapcase", s().swapcase()),
        ("len", s().len()),
        ("strip", s().strip()),
        ("lstrip", s().lstrip()),
        ("rstrip", s().rstrip()),
        ("isalpha", s().is_alpha()),
        ("isnumeric", s().is_numeric()),
        ("isalnum", s().is_alnum()),
        ("islower", s().is_lower()),
        ("isupper", s().is_upper()),
        ("isspace", s().is_space()),
        ("contains X", s().contains("X")),
        ("contains .", s().contains(".")),
        ("matches digits", s().matches(r"\d{2}")),
        ("match start", s().matches(r"^[a-z]+")),
        ("fullmatch", s().fullmatch("[A-Za-z]+")),
        ("startswith", s().starts_with("a")),
        ("endswith", s().ends_with("c")),
        ("replace", s().replace("a", "_")),
        ("replace regex", s().replace_matches(r"(\w)(\d)", "$2$1")),
        ("extract", s().extract(r"(\d+)-(\d+)", 2)),
        ("findall", s().extract_all(r"\d+")),
        ("count", s().count("X")),
        ("count regex", s().count_matches("[aeiou]")),
        ("find", s().find("o")),
        ("rfind", s().rfind("X")),
        ("strip chars", s().strip_chars("-+x ")),
        ("removeprefix", s().remove_prefix("prefix-")),
        ("removesuffix", s().remove_suffix("-suffix")),
        ("rjust", s().pad_start(8, '*')),
        ("ljust", s().pad_end(8, '*')),
        ("center 3", s().center(3, '*')),
        ("center 4", s().center(4, '*')),
        ("center 7", s().center(7, '*')),
        ("center 8", s().center(8, '*')),
        ("rsplit X 1", s().rsplitn("X", 1)),
        ("rsplit - 5", s().rsplitn("-", 5)),
        ("partition -", s().partition("-")),
        ("rpartition -", s().rpartition("-")),
        ("zfill", s().zfill(6)),
        ("repeat", s().repeat(2)),
        ("reverse", s().reverse()),
        ("slice 0 3", s().slice(0, Some(3))),
        ("slice 1 None", s().slice(1, None)),
        ("slice -3 None", s().slice(-3, None)),
        ("slice 2 -1", s().slice(2, Some(-1))),
        ("slice 5 2", s().slice(5, Some(2))),
        ("slice -100 100", s().slice(-100, Some(100))),
        ("get 0", s().get(0)),
        ("get 2", s().get(2)),
        ("get -1", s().get(-1)),
        ("get 50", s().get(50)),
        ("split X", s().split("X")),
        ("split - 1", s().splitn("-", 1)),
        ("split", s().words()),
        ("split 2nd", s().split("-").list().get(1)),
        ("join", s().words().list().join("+")),
        ("split len", s().words().list().len()),
        ("cat", s().cat(col("s").str().upper(), "/")),
        ("map", col("s").map_values(pairs)),
        ("replace values", col("s").replace_values(pairs)),
        ("isin", col("s").is_in(["Ideal", "abc"])),
    ]
}

fn times_table() -> DataFrame {
    let times: ArrayRef = Arc::new(StringArray::from(list(&recorded()["times"], Value::as_str)));
    frame(vec![("s", times)]).with_column("t", col("s").str().to_timestamp::<String>([])).unwrap()
}

fn time_pairs() -> Vec<(&'static str, Expr)> {
    let t = || col("t").dt();
    let iso = |e: Expr| e.dt().strftime("%Y-%m-%dT%H:%M:%S");
    let utc = || col("t").cast(DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())));
    let paris = || utc().dt().tz_convert("Europe/Paris");
    let since =
        lit(datafusion::common::ScalarValue::TimestampNanosecond(Some(1_703_980_800_000_000_000), None));
    vec![
        ("year", t().year()),
        ("quarter", t().quarter()),
        ("month", t().month()),
        ("day", t().day()),
        ("day_of_year", t().day_of_year()),
        ("hour", t().hour()),
        ("minute", t().minute()),
        ("second", t().second()),
        ("day_of_week", t().weekday()),
        ("days_in_month", t().days_in_month()),
        ("is_leap_year", t().is_leap_year()),
        ("is_month_start", t().is_month_start()),
        ("is_month_end", t().is_month_end()),
        ("is_quarter_start", t().is_quarter_start()),
        ("is_quarter_end", t().is_quarter_end()),
        ("is_year_start", t().is_year_start()),
        ("is_year_end", t().is_year_end()),
        ("week", t().week()),
        ("day_name", t().day_name()),
        ("month_name", t().month_name()),
        ("strftime", t().strftime("%Y/%m/%d %H:%M")),
        ("floor D", iso(t().floor("1d"))),
        ("floor h", iso(t().floor("h"))),
        ("floor 15min", iso(t().floor("15min"))),
        ("floor s", iso(t().floor("1s"))),
        ("ceil D", iso(t().ceil("1d"))),
        ("ceil h", iso(t().ceil("1h"))),
        ("ceil 15min", iso(t().ceil("15min"))),
        ("ceil s", iso(t().ceil("1s"))),
        ("round D", iso(t().round("1d"))),
        ("round h", iso(t().round("1h"))),
        ("round 15min", iso(t().round("15min"))),
        ("round s", iso(t().round("1s"))),
        ("normalize", iso(t().normalize())),
        ("paris hour", paris().dt().hour()),
        ("paris floor", paris().dt().floor("1d").dt().strftime("%Y-%m-%d")),
        ("paris naive", iso(paris().dt().tz_drop())),
        ("total_seconds", (col("t") - since).dt().total_seconds()),
    ]
}

fn number_pairs() -> Vec<(&'static str, Expr)> {
    let x = || col("x");
    let three = ["low", "mid", "high"];
    vec![
        ("abs", x().abs()),
        ("clip", x().clip(lit(-1), lit(3))),
        ("sqrt", x().abs().sqrt()),
        ("exp", x().clip(lit(-5), lit(5)).exp()),
        ("log10", (x().abs() + lit(1)).log10()),
        ("log2", (x().abs() + lit(1)).log2()),
        ("sign", x().sign()),
        ("sin", x().sin()),
        ("cos", x().cos()),
        ("floor", x().floor()),
        ("ceil", x().ceil()),
        ("where", x().where_else(x().gt(lit(0)), lit(-9))),
        ("mask", x().mask(x().gt(lit(0)), lit(-9))),
        ("between", x().is_between(lit(-1), lit(3))),
        ("pow", x().clip(lit(0), lit(10)).pow(lit(2))),
        ("mod", ((x() % lit(2)) + lit(2)) % lit(2)),
        ("fillna", x().fill_null(lit(5))),
        ("cut", Cut::new(&[-2.0, 0.0, 2.5, 10.0]).labels(three).of(x())),
        ("cut left", Cut::new(&[10.0, 0.0, 2.5, -2.0]).labels(three).left().of(x())),
        ("cut lowest", Cut::new(&[-1.5, 0.0, 10.0]).labels(["low", "high"]).include_lowest().of(x())),
    ]
}

fn side(name: &str) -> DataFrame {
    let side = &recorded()[name];
    let number = |c: &str| ints(&list(&side[c], Value::as_i64));
    let value = if name == "left" { "v" } else { "w" };
    let columns =
        vec![("k", texts(&list(&side["k"], Value::as_str))), ("t", number("t")), (value, number(value))];
    let all = batch(columns);
    partitioned(vec![vec![all.slice(3, 2)], vec![all.slice(0, 0)], vec![all.slice(0, 3)]])
}

#[test]
fn as_pandas() {
    let mut done = BTreeSet::new();
    for kind in 0..3 {
        check_all(&texts_table(kind), &text_pairs(), &mut done);
    }
    check_all(&times_table(), &time_pairs(), &mut done);
    let x = frame(vec![("x", floats(&list(&recorded()["numbers"], Value::as_f64)))]);
    check_all(&x, &number_pairs(), &mut done);
    let binned = run(x.qcut("x", 3, "qcut")).unwrap();
    check_all(&binned, &[("qcut", col("qcut"))], &mut done);
    for (name, nearest) in
        [("backward", Nearest::Before), ("forward", Nearest::After), ("nearest", Nearest::Either)]
    {
        let (left, right) = (side("left"), side("right"));
        for exact in [true, false] {
            for tolerance in [None, Some(2.0)] {
                let how = AsOf::on("t").by(["k"]).nearest(nearest).exact(exact);
                let how = if let Some(within) = tolerance { how.within(within) } else { how };
                let joined = left.join_asof(&right, &how).unwrap().sort(["v"]).unwrap();
                let exact = if exact { "True" } else { "False" };
                let tolerance = tolerance.map_or("None", |_| "2");
                let case = format!("asof {name} {exact} {tolerance}");
                check_all(&joined, &[(&case, col("w"))], &mut done);
            }
        }
        let plain = left.join_asof(&right.drop(["k"]).unwrap(), &AsOf::on("t").nearest(nearest));
        let case = format!("asof {name} plain");
        check_all(&plain.unwrap().sort(["v"]).unwrap(), &[(&case, col("w"))], &mut done);
    }
    let all: BTreeSet<String> = recorded()["cases"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(all.difference(&done).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn as_of_names_and_types() {
    let (left, right) = (side("left"), side("right"));
    let joined = left.join_asof(&right, &AsOf::on("t")).unwrap();
    assert_eq!(joined.columns(), ["k_x", "t", "v", "k_y", "w"]);
    let renamed = right.rename([("t", "then")]).unwrap();
    let joined = left.join_asof(&renamed, &AsOf::on_pair("t", "then").by(["k"]).suffixes("", "_r")).unwrap();
    assert_eq!(joined.columns(), ["k", "t", "v", "then", "w"]);
    let error = left.join_asof(&right, &AsOf::on_pair("t", "k")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TypeMismatch, "{error}");
    let error = left.join_asof(&right, &AsOf::on("t").tolerance("soon")).unwrap_err();
    assert!(error.to_string().contains("soon"), "{error}");
    let unknown = left.join_asof(&right, &AsOf::on("time")).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::UnknownColumn);
}

fn check1(frame: Result<DataFrame>, expect: &str) {
    check(frame, expect);
}

#[test]
fn lists_and_structs() {
    let f = frame(vec![
        ("id", ints(&[Some(1), Some(2), Some(3)])),
        ("s", texts(&[Some("b a b"), Some(""), None])),
    ]);
    let words = f.with_column("w", col("s").str().words()).unwrap();
    let w = || col("w").list();
    let cells = [
        w().len().alias("len"),
        w().first().alias("first"),
        w().last().alias("last"),
        w().contains(lit("a")).alias("a"),
        w().sort().list().join("").alias("sorted"),
        w().reverse().list().join("").alias("back"),
        w().unique().list().len().alias("unique"),
        w().min().alias("min"),
        w().max().alias("max"),
    ];
    check1(
        words.select(cells),
        "len|first|last|a|sorted|back|unique|min|max
         3|b|b|true|abb|bab|2|a|b
         0|-|-|false|||0|-|-
         -|-|-|-|-|-|-|-|-",
    );
    check1(
        words.explode("w").unwrap().select(["id", "w"]).unwrap().sort_by([asc("id"), desc("w")]),
        "id|w\n1|b\n1|b\n1|a\n2|-\n3|-",
    );
    let lists = f.agg([col("id").to_list().alias("ids")]).unwrap();
    check1(
        lists.select([col("ids").list().sum().alias("sum"), col("ids").list().mean().alias("mean")]),
        "sum|mean\n6.0|2.0",
    );
    let point =
        datafusion::functions::core::named_struct().call(vec![lit("x"), col("id"), lit("y"), col("s")]);
    let f = f.with_column("point", point).unwrap();
    check1(f.select([col("point").structs().field("x").alias("x")]), "x\n1\n2\n3");
    let error = f.explode("id").unwrap_err();
    assert!(error.to_string().contains("not a list"), "{error}");
}

#[test]
fn figures_of_whole_frames() {
    let g = gems();
    check1(g.mode("cut"), "cut\nGood\nIdeal");
    check1(g.mode("price"), "price\n400");
    check1(g.n_unique(), "id|cut|carat|price|sold|Lab Grown\n6|3|5|4|5|2");
    check1(g.select(["id", "price"]).unwrap().quantile(0.5), "id|price\n3.5|400.0");
    check1(g.select(["id", "price"]).unwrap().sum(), "id|price\n21|2181");
    check1(g.select(["id", "price"]).unwrap().mean(), "id|price\n3.5|436.2");
    check1(g.select(["id", "cut"]).unwrap().min(), "id|cut\n1|Fair");
    check1(g.select(["id", "cut"]).unwrap().max(), "id|cut\n6|Ideal");
    let line = frame(vec![
        ("a", ints(&[Some(1), Some(2), Some(3)])),
        ("b", floats(&[Some(2.0), Some(4.0), Some(6.0)])),
        ("c", ints(&[Some(3), Some(2), Some(1)])),
        ("s", texts(&[None, None, None])),
    ]);
    check1(run(line.cov()), "column|a|b|c\na|1.0|2.0|-1.0\nb|2.0|4.0|-2.0\nc|-1.0|-2.0|1.0");
    check1(
        run(line.corr()).unwrap().select([col("column"), col("b").round(9), col("c").round(9)]),
        "column|b|c\na|1.0|-1.0\nb|1.0|-1.0\nc|-1.0|1.0",
    );
    check1(
        g.agg([
            col("Lab Grown").all().alias("all"),
            col("Lab Grown").any().alias("any"),
            col("price").approx_n_unique().alias("about"),
            col("id").approx_quantile(0.5).alias("middle"),
        ])
        .unwrap()
        .select(["all", "any", "about"]),
        "all|any|about\nfalse|true|4",
    );
    let size = when(col("carat").gt(lit(1.5)), lit("large")).when(col("carat").gt(lit(1.0)), lit("middle"));
    check1(
        g.select([col("id"), size.clone().otherwise(lit("small")).alias("size")]).unwrap().sort(["id"]),
        "id|size\n1|small\n2|middle\n3|large\n4|small\n5|small\n6|middle",
    );
    check1(
        g.select([col("id"), size.end().alias("size")])
            .unwrap()
            .filter(col("size").is_null())
            .unwrap()
            .agg([col("id").count()]),
        "id_count\n3",
    );
    let ranges = frame(vec![("low", ints(&[Some(0), Some(3)])), ("high", ints(&[Some(2), Some(4)]))]);
    let inside = g.join_where(&ranges, col("id").gt(col("low")).and(col("id").lt_eq(col("high"))));
    check1(inside.unwrap().select(["id", "low"]).unwrap().sort(["id"]), "id|low\n1|0\n2|0\n4|3");
}

#[test]
fn refusals() {
    let check = |found: Result<DataFrame>, kind: ErrorKind, words: &str| {
        let error = found.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    let g = gems();
    let with = |e: Expr| g.with_column("new", e);
    check(with(col("cut").str().matches("(")), ErrorKind::InvalidArgument, "no regular expression");
    check(with(col("cut").str().extract("a", 1)), ErrorKind::InvalidArgument, "no group 1");
    check(with(col("price").str().title()), ErrorKind::TypeMismatch, "price");
    check(with(col("cut").dt().floor("1d")), ErrorKind::TypeMismatch, "cut");
    check(with(col("sold").dt().floor("1mo")), ErrorKind::TypeMismatch, "sold");
    check(with(col("sold").dt().tz_convert("Europe/Paris")), ErrorKind::TypeMismatch, "sold");
    check(with(col("cut").cut(&[0.0, 1.0]).alias("x") + lit(1)), ErrorKind::TypeMismatch, "types do not fit");
    check(g.quantile(1.5), ErrorKind::InvalidArgument, "1.5");
    check(run(g.qcut("price", 0, "bin")), ErrorKind::InvalidArgument, "at least one bin");
    check(run(g.qcut("cut", 2, "bin")), ErrorKind::TypeMismatch, "not a number");
    check(run(g.qcut("price", 4, "bin")), ErrorKind::InvalidArgument, "400");
    check(g.select(["cut"]).unwrap().sum(), ErrorKind::InvalidArgument, "no column is numeric");
}
