//! Groups, moments, shapes, joins and categories against pandas (`tests/expected/more.py`, recorded in
//! `more.json`), on 1, 2 and 7 partitions; code over batches, arrays, files.

use super::helpers::*;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use trefoil_core::{Error, ErrorKind};
use trefoil_frames::frame::*;
use trefoil_frames::seed;
use trefoil_plan::{DataFrame, Result, WriteOptions};

pub const PARTITIONS: [usize; 3] = [1, 2, 7];

fn recorded() -> &'static Value {
    static CASES: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_str(include_str!("../../expected/more.json")).unwrap());
    &CASES
}

/// One of the two tables, its rows dealt to partitions, some of them empty.
pub fn table(name: &str, partitions: usize) -> DataFrame {
    let input = &recorded()[name];
    let all = |column: &str| input[column].as_array().unwrap();
    let whole = |column| ints(&all(column).iter().map(Value::as_i64).collect::<Vec<_>>());
    let text = |column| texts(&all(column).iter().map(Value::as_str).collect::<Vec<_>>());
    let number = floats(&all("x").iter().map(Value::as_f64).collect::<Vec<_>>());
    let whole = batch(vec![
        ("id", whole("id")),
        ("k", text("k")),
        ("c", text("c")),
        ("x", number),
        ("y", whole("y")),
    ]);
    let share = whole.num_rows().div_ceil(partitions);
    let mut parts: Vec<_> = (0..partitions)
        .map(|p| {
            let start = (p * share).min(whole.num_rows());
            vec![whole.slice(start, share.min(whole.num_rows() - start))]
        })
        .collect();
    parts.push(vec![whole.slice(0, 0)]);
    partitioned(parts)
}

fn same(found: &str, wanted: &Value, digits: f64) -> bool {
    match wanted {
        Value::Null => found == "-",
        Value::Number(number) => {
            let (found, wanted) = (found.parse::<f64>().unwrap_or(f64::NAN), number.as_f64().unwrap());
            (found - wanted).abs() <= digits * wanted.abs().max(1.0)
        }
        Value::String(text) => found == text,
        other => panic!("not expected: {other}"),
    }
}

/// Compares the rows of a case in any order.
#[track_caller]
pub fn check_case(case: &str, frame: Result<DataFrame>) {
    let wanted = &recorded()["cases"][case];
    const DIGITS: f64 = 1e-9;
    let found = lines(&frame.unwrap_or_else(|e| panic!("{case}: {e}"))).unwrap();
    let names: Vec<&str> =
        wanted["columns"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    assert_eq!(found[0].split('|').collect::<Vec<_>>(), names, "{case}");
    let mut left: Vec<&String> = found[1..].iter().collect();
    let rows = wanted["rows"].as_array().unwrap();
    assert_eq!(left.len(), rows.len(), "{case}");
    for row in rows {
        let row = row.as_array().unwrap();
        let fits = |line: &&String| {
            line.split('|').count() == row.len() && line.split('|').zip(row).all(|(f, w)| same(f, w, DIGITS))
        };
        let Some(at) = left.iter().position(fits) else {
            panic!("{case}: pandas has {row:?}, left {left:?}")
        };
        left.swap_remove(at);
    }
}

/// The cases of a name followed by a number.
fn numbered(name: &str) -> Vec<(String, f64)> {
    let cases = recorded()["cases"].as_object().unwrap();
    let of = |case: &String| Some((case.clone(), case.strip_prefix(name)?.trim().parse().ok()?));
    let found: Vec<_> = cases.keys().filter_map(of).collect();
    assert!(!found.is_empty(), "{name}");
    found
}

#[test]
fn groups() {
    for partitions in PARTITIONS {
        let f = table("left", partitions).sort(["id"]).unwrap();
        let g = f.group_by(["k"]);
        let whole = |n: f64| n as usize;
        for (case, n) in numbered("head ") {
            check_case(&case, g.head(whole(n)));
        }
        for (case, n) in numbered("tail ") {
            check_case(&case, g.tail(whole(n)));
        }
        for (case, n) in numbered("nth ") {
            check_case(&case, g.nth(whole(n)));
        }
        for (case, n) in numbered("nlargest ") {
            check_case(&case, g.nlargest(whole(n), "x"));
        }
        for (case, n) in numbered("nsmallest ") {
            check_case(&case, g.nsmallest(whole(n), "y"));
        }
        for (case, q) in numbered("quantile ") {
            check_case(&case, g.quantile(["x", "y"], q));
        }
        check_case("product", g.product(["y"]));
        check_case("filter size", g.filter(lit(1).count().gt(lit(11))));
        check_case("filter mean", g.filter(col("y").mean().gt(lit(2))));
    }
    let f = table("left", 2);
    assert_eq!(f.group_by(["k"]).tail(1).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(f.group_by(["k"]).nlargest(1, "c").unwrap_err().kind(), ErrorKind::TypeMismatch);
    assert_eq!(f.group_by(["k"]).quantile(["x"], 1.5).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(f.group_by(["k"]).filter(col("y").sum()).unwrap_err().kind(), ErrorKind::TypeMismatch);
    check(f.agg([col("y").top_k(0).list().len().alias("n")]), "n\n0");
    check(f.filter(lit(false)).unwrap().agg([col("y").bottom_k(3).list().len().alias("n")]), "n\n0");
}

#[test]
fn moments_as_pandas() {
    let figure = |name: &str| match name {
        "skew" => col("x").skew().alias("skew"),
        "kurt" => col("x").kurt().alias("kurt"),
        _ => col("x").sem().alias("sem"),
    };
    for partitions in PARTITIONS {
        let f = table("left", partitions);
        for name in ["skew", "kurt", "sem"] {
            check_case(&format!("{name} of groups"), f.group_by(["k"]).agg([figure(name)]));
            check_case(&format!("{name} of all"), f.agg([figure(name)]));
            check_case(
                &format!("{name} of few"),
                f.filter(col("id").lt(lit(2))).unwrap().agg([figure(name)]),
            );
            let equal = frame(vec![("x", floats(&[Some(2.0); 9]))]);
            check_case(&format!("{name} of equal"), equal.agg([figure(name)]));
        }
    }
}

#[test]
fn names_and_shapes() {
    for partitions in PARTITIONS {
        let f = table("left", partitions);
        check_case("add_prefix", f.add_prefix("p_"));
        check_case("add_suffix", f.add_suffix("_s"));
        check_case("stack", f.select(["id", "x", "y"]).unwrap().stack(["id"]));
        let cells = f.dropna_of(["k", "c"]).unwrap().drop_duplicates_of(["k", "c"], [asc("id")]).unwrap();
        check_case("unstack", run(cells.unstack(["k"], "c", "y")));
        let twice = run(f.unstack(["k"], "c", "y")).unwrap_err();
        assert_eq!(twice.kind(), ErrorKind::InvalidArgument);
        for n in [0, 1, 7, 60, 100] {
            let drawn = lines(&f.sample_n(n, seed(3)).unwrap()).unwrap();
            assert_eq!(drawn.len() - 1, n.min(60));
            let mut again = lines(&table("left", 3).sample_n(n, seed(3)).unwrap()).unwrap();
            let mut drawn = drawn;
            again.sort();
            drawn.sort();
            assert_eq!(again, drawn);
        }
    }
}

#[test]
fn joins_on_expressions_and_conditions() {
    for partitions in PARTITIONS {
        let (l, r) = (table("left", partitions), table("right", 8 - partitions));
        let four = ["id_x", "c_x", "id_y", "c_y"];
        for (name, kind) in [
            ("inner", JoinKind::Inner),
            ("left", JoinKind::Left),
            ("right", JoinKind::Right),
            ("outer", JoinKind::Full),
        ] {
            let lower = || col("c").str().lower();
            let how = Join::on_exprs([(lower(), lower())], kind);
            let joined = l.join_with(&r, &how).unwrap();
            assert_eq!(joined.columns().len(), 10);
            check_case(&format!("on_exprs {name}"), joined.select(four));
        }
        for (name, kind) in [
            ("inner", JoinKind::Inner),
            ("left", JoinKind::Left),
            ("full", JoinKind::Full),
            ("semi", JoinKind::Semi),
            ("anti", JoinKind::Anti),
        ] {
            let less = col("y_x").lt(col("y_y"));
            let ids = |f: DataFrame| match kind {
                JoinKind::Semi | JoinKind::Anti => f.select(["id"]),
                _ => f.select(["id_x", "id_y"]),
            };
            let on_condition = l.join_with(&r, &Join::on_condition(less.clone(), kind)).unwrap();
            check_case(&format!("less {name}"), ids(on_condition));
            let both = Join::on(["k"], kind).only_if(less);
            check_case(&format!("key and less {name}"), ids(l.join_with(&r, &both).unwrap()));
        }
    }
    let (l, r) = (table("left", 1), table("right", 1));
    let error = |how: Join| l.join_with(&r, &how).unwrap_err().kind();
    assert_eq!(error(Join::on_condition(col("z").gt(lit(1)), JoinKind::Left)), ErrorKind::UnknownColumn);
    assert_eq!(error(Join::on_condition(col("y_x") + col("y_y"), JoinKind::Left)), ErrorKind::TypeMismatch);
    assert_eq!(error(Join::on_exprs([(col("y"), col("c"))], JoinKind::Left)), ErrorKind::TypeMismatch);
    assert_eq!(error(Join::on::<&str>([], JoinKind::Left)), ErrorKind::InvalidArgument);
}

#[test]
fn categories_as_pandas() {
    for partitions in PARTITIONS {
        let f = run(table("left", partitions).categorize_of(["c"])).unwrap();
        let cat = || col("c").cat();
        let all = [
            ("as it is", cat().add_categories::<&str>([])),
            ("set", cat().set_categories(["green", "Red", "new"])),
            ("add", cat().add_categories(["new", "newer"])),
            ("remove", cat().remove_categories(["Red"])),
            ("rename", cat().rename_categories([("Red", "rot"), ("BLUE", "blau")])),
        ];
        for (name, expr) in all {
            let changed = f.with_column("c", expr).unwrap();
            let wanted = &recorded()["cases"][format!("cat {name}")];
            let known: Vec<&str> =
                wanted["categories"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
            assert_eq!(changed.categories("c").unwrap().unwrap(), known, "{name}");
            let coded = changed.with_column("code", col("c").cat().codes()).unwrap();
            check_case(&format!("cat {name}"), coded.select(["id", "c", "code"]));
            // they travel on
            let kept = run(changed.filter(col("id").gt(lit(5))).unwrap().persist()).unwrap();
            assert_eq!(kept.categories("c").unwrap().unwrap(), known, "{name}");
        }
        let plain = f.with_column("c", cat().as_unknown()).unwrap();
        assert_eq!(plain.categories("c").unwrap(), None);
    }
    let f = table("left", 2);
    let unknown = f.with_column("n", col("c").cat().codes()).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::InvalidArgument);
    assert!(unknown.to_string().contains("categories of `c` are not known"), "{unknown}");
    assert_eq!(f.with_column("n", col("x").cat().codes()).unwrap_err().kind(), ErrorKind::TypeMismatch);
    assert_eq!(f.categories("z").unwrap_err().kind(), ErrorKind::UnknownColumn);
    let said = f.with_column("c", col("c").cat().set_categories(["Red"])).unwrap();
    assert_eq!(run(said.get_dummies_of(["c"]).unwrap().count()).unwrap(), 60);
}

fn doubled(batch: &RecordBatch) -> RecordBatch {
    let x: Int64Array = batch.column_by_name("y").unwrap().as_primitive::<Int64Type>().unary(|y| y * 2);
    RecordBatch::try_from_iter_with_nullable([("double", Arc::new(x) as ArrayRef, true)]).unwrap()
}

#[test]
fn code_over_batches() {
    for partitions in PARTITIONS {
        let f = table("left", partitions);
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let lazy = f
            .map_batches(move |batch| {
                counted.fetch_add(batch.num_rows(), Ordering::SeqCst);
                Ok::<_, Error>(doubled(&batch))
            })
            .unwrap();
        assert_eq!((lazy.columns(), runs.load(Ordering::SeqCst)), (vec!["double".to_owned()], 0));
        let sum = "double_sum\n".to_owned()
            + &{
                let y = recorded()["left"]["y"].as_array().unwrap();
                (2 * y.iter().map(|v| v.as_i64().unwrap()).sum::<i64>()).to_string()
            };
        check(lazy.agg([col("double").sum()]), &sum);
        assert_eq!(runs.load(Ordering::SeqCst), 60);
        // a step like any other: filters above, joins, counts, no columns
        let few = lazy.filter(col("double").gt(lit(10))).unwrap();
        assert_eq!(run(few.count()).unwrap(), run(f.filter(col("y").gt(lit(5))).unwrap().count()).unwrap());
        let declared = Schema::new(vec![Field::new("double", DataType::Int64, true)]);
        let again = f.map_batches_as(declared.clone(), |batch| Ok::<_, Error>(doubled(&batch))).unwrap();
        check(again.agg([col("double").sum()]), &sum);
        let stored = run(f.map_partitions_as(declared.clone(), |part| {
            Ok::<_, Error>(part.batches()?.iter().map(doubled).collect())
        }));
        check(stored.unwrap().agg([col("double").sum()]), &sum);
        let nothing = run(f.map_partitions_as(declared, |_| Ok::<_, Error>(Vec::new()))).unwrap();
        check(Ok(nothing), "double");
    }
    let f = table("left", 2);
    let dry = f.map_batches(|_| Err::<RecordBatch, _>("not today")).unwrap_err();
    assert_eq!(dry.kind(), ErrorKind::User);
    let other = Schema::new(vec![Field::new("double", DataType::Float64, true)]);
    let wrong = f.map_batches_as(other.clone(), |batch| Ok::<_, Error>(doubled(&batch))).unwrap();
    let error = run(wrong.collect()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TypeMismatch, "{error}");
    let wrong =
        run(f.map_partitions_as(other, |part| Ok::<_, Error>(part.batches()?.iter().map(doubled).collect())));
    assert_eq!(wrong.unwrap_err().kind(), ErrorKind::TypeMismatch);
    let failing = f.map_batches_as(Schema::new(vec![Field::new("d", DataType::Int64, true)]), |_| {
        Err::<RecordBatch, _>("not today")
    });
    assert_eq!(run(failing.unwrap().collect()).unwrap_err().kind(), ErrorKind::User);
}

#[test]
fn a_slow_reader_slows_the_source() {
    // batches are pulled, never pushed: of a large source only a few are made for a reader that stops
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let source = session().frame_from_range("n", 0..2_000_000).unwrap();
    let mapped = source
        .map_batches(move |batch| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Error>(batch)
        })
        .unwrap();
    let after_two = run(async {
        use futures::StreamExt;
        let mut stream = mapped.stream();
        for _ in 0..2 {
            stream.next().await.unwrap().unwrap();
        }
        drop(stream);
        made.load(Ordering::SeqCst)
    });
    let all = 2_000_000 / 8192;
    assert!(after_two < all / 2, "{after_two} batches of {all} were made");
}

/// The addresses of the buffers of a column.
fn buffers(batches: &[RecordBatch], column: &str) -> HashSet<usize> {
    let arrays = batches.iter().filter_map(|batch| batch.column_by_name(column));
    arrays.flat_map(|a| a.to_data().buffers().to_vec()).map(|b| b.as_ptr() as usize).collect()
}

#[test]
fn arrays() {
    for partitions in PARTITIONS {
        let f = table("left", partitions);
        let array = run(f.to_array(["y", "x"])).unwrap();
        assert_eq!(array.shape(), [60, 2]);
        let values = run(array.compute()).unwrap();
        let (y, x) = (&recorded()["left"]["y"], &recorded()["left"]["x"]);
        for row in 0..60 {
            assert_eq!(values[[row, 0]], y[row].as_f64().unwrap());
            match x[row].as_f64() {
                Some(x) => assert_eq!(values[[row, 1]], x),
                None => assert!(values[[row, 1]].is_nan()),
            }
        }
    }
    let f = table("left", 2);
    assert_eq!(run(f.to_array(["k"])).unwrap_err().kind(), ErrorKind::TypeMismatch);
    assert_eq!(run(f.to_array(["z"])).unwrap_err().kind(), ErrorKind::UnknownColumn);
    let none = f.filter(lit(false)).unwrap();
    assert_eq!(run(none.to_array(["y"])).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_persisted_frame_is_read_in_place_by_sql_tasks_and_arrays() {
    let f = session().frame_from_range("n", 0..100_000).unwrap();
    let stored = run(f.with_column("h", col("n") * lit(0.5)).unwrap().persist()).unwrap();
    let parts = run(session().gather(stored.partitions().unwrap())).unwrap();
    let held: Vec<_> = parts.iter().map(|part| part.batches().unwrap()).collect();
    let inside: HashSet<usize> = held.iter().flat_map(|batches| buffers(batches, "h")).collect();
    assert!(!inside.is_empty());
    // frames
    assert_eq!(buffers(&run(stored.select(["h"]).unwrap().collect()).unwrap(), "h"), inside);
    // SQL
    session().register("in_place", &stored).unwrap();
    let sql = run(session().context().sql("SELECT h FROM in_place")).unwrap();
    let sql = run(DataFrame::new(session().clone(), sql).collect()).unwrap();
    assert_eq!(buffers(&sql, "h"), inside);
    // tasks, and arrays over the memory of a column inside of them
    let seen = session().try_map(stored.partitions().unwrap(), |part| {
        let batches = part.batches()?;
        let mut starts = Vec::new();
        for batch in batches.iter() {
            let view = column_view::<f64>(batch, "h")?;
            let own = batch.column_by_name("h").unwrap().as_primitive::<Float64Type>().values().as_ptr();
            assert_eq!(view.as_ptr(), own);
            starts.push((buffers(std::slice::from_ref(batch), "h"), view.sum()));
        }
        Ok::<_, Error>(starts)
    });
    let seen: Vec<_> = run(session().gather(seen)).unwrap().into_iter().flatten().collect();
    assert_eq!(seen.iter().flat_map(|(starts, _)| starts.iter().copied()).collect::<HashSet<_>>(), inside);
    assert_eq!(seen.iter().map(|(_, sum)| sum).sum::<f64>(), 99_999.0 * 100_000.0 / 4.0);
    // refusals
    let with_null = batch(vec![("a", floats(&[Some(1.0), None])), ("b", ints(&[Some(1), Some(2)]))]);
    assert_eq!(column_view::<f64>(&with_null, "a").unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(column_view::<f64>(&with_null, "b").unwrap_err().kind(), ErrorKind::TypeMismatch);
    assert_eq!(column_view::<f64>(&with_null, "c").unwrap_err().kind(), ErrorKind::UnknownColumn);
    assert_eq!(column_view::<i64>(&with_null, "b").unwrap().to_vec(), [1, 2]);
    let empty = Float64Array::from(Vec::<f64>::new());
    assert!(column_view::<f64>(&batch(vec![("a", Arc::new(empty))]), "a").unwrap().is_empty());
}

#[test]
fn html() {
    let f = frame(vec![("a<b", texts(&[Some("x & y"), None])), ("n", ints(&[Some(1), Some(2)]))]);
    assert_eq!(
        run(f.to_html(5)).unwrap(),
        "<table><thead><tr><th>a&lt;b<br><small>string</small></th><th>n<br><small>int64</small></th></tr></thead>\
         <tbody><tr><td>x &amp; y</td><td>1</td></tr><tr><td class=\"null\"></td><td>2</td></tr></tbody></table>"
    );
}

#[test]
fn appended_and_partitioned() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let f = table("left", 2);
    let wanted = |frame: &DataFrame| {
        let mut found = lines(&frame.select(["id", "k", "c", "x", "y"]).unwrap()).unwrap();
        found[1..].sort();
        found
    };
    let all = wanted(&f);
    let parts = [
        f.filter(col("id").lt(lit(20))).unwrap(),
        f.filter(col("id").gt_eq(lit(20))).unwrap(),
        f.filter(lit(false)).unwrap(),
    ];
    let append = || WriteOptions::new().append(true);
    for keys in [vec![], vec!["k"], vec!["k", "c"], vec!["y"]] {
        let options = || append().partition_by(keys.clone());
        let name = |format: &str| at(&format!("{format} {}", keys.join("-")));
        for part in &parts {
            run(part.write_parquet_with(name("parquet"), options())).unwrap();
            run(part.write_csv_with(name("csv"), options())).unwrap();
            run(part.write_json_with(name("json"), options())).unwrap();
        }
        let typed = |frame: DataFrame| match keys.contains(&"y") {
            true => frame.astype([("y", DataType::Int64)]).unwrap(),
            false => frame,
        };
        let read = run(session().read_parquet(name("parquet"))).unwrap();
        assert_eq!(wanted(&typed(read.clone())), all, "{keys:?}");
        // a filter on a directory's column opens only its files, and means the same
        if keys.contains(&"k") {
            let some = read.filter(col("k").eq(lit("a"))).unwrap();
            assert_eq!(wanted(&some), wanted(&f.filter(col("k").eq(lit("a"))).unwrap()));
            let none = read.filter(col("k").is_null()).unwrap();
            assert_eq!(wanted(&none), wanted(&f.filter(col("k").is_null()).unwrap()));
        }
        assert_eq!(wanted(&typed(run(session().read_csv(name("csv"))).unwrap())), all, "{keys:?}");
        assert_eq!(wanted(&typed(run(session().read_json(name("json"))).unwrap())), all, "{keys:?}");
    }
    // nothing unfinished is left, and values that make trouble in paths come back
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
    let odd = ["a/b", "50%", "x=y", "two words", "%41", "ü#?", "[1]"];
    let odd = frame(vec![
        ("key", texts(&odd.map(Some))),
        ("n", ints(&(0..odd.len() as i64).map(Some).collect::<Vec<_>>())),
    ]);
    run(odd.write_parquet_with(at("odd"), WriteOptions::new().partition_by(["key"]))).unwrap();
    let back = run(session().read_parquet(at("odd"))).unwrap();
    check(
        back.sort(["n"]).unwrap().select(["key", "n"]),
        "key|n\na/b|0\n50%|1\nx=y|2\ntwo words|3\n%41|4\nü#?|5\n[1]|6",
    );

    let check = |found: Result<usize>, kind: ErrorKind, words: &str| {
        let error = found.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    let by = |keys: &[&str]| append().partition_by(keys.iter().copied());
    let write = |frame: &DataFrame, name: &str, options| run(frame.write_parquet_with(at(name), options));
    check(write(&f, "one.parquet", append()), ErrorKind::InvalidArgument, "is one file");
    check(write(&f, "t", by(&["z"])), ErrorKind::UnknownColumn, "`z`");
    check(write(&f, "t", by(&["k", "k"])), ErrorKind::InvalidArgument, "twice");
    check(write(&f, "t", by(&["id", "k", "c", "x", "y"])), ErrorKind::InvalidArgument, "none is left");
    check(write(&f, "parquet k", append()), ErrorKind::InvalidArgument, "holds `k=...`");
    check(write(&f, "parquet ", by(&["k"])), ErrorKind::InvalidArgument, "holds files");
    check(write(&f, "parquet k", by(&["c"])), ErrorKind::InvalidArgument, "would be `c=...`");
    let narrow = f.drop(["x"]).unwrap();
    check(write(&narrow, "parquet ", append()), ErrorKind::TypeMismatch, "has (id Int64");
    check(write(&f, "parquet ", WriteOptions::new()), ErrorKind::AlreadyExists, "exists already");
    assert_eq!(wanted(&run(session().read_parquet(at("parquet "))).unwrap()), all);
    // overwriting replaces all directories
    let few = f.filter(col("k").eq(lit("a"))).unwrap();
    let replace = WriteOptions::new().overwrite(true).partition_by(["k"]);
    write(&few, "parquet k", replace).unwrap();
    assert_eq!(wanted(&run(session().read_parquet(at("parquet k"))).unwrap()), wanted(&few));
}
