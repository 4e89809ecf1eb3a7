//! Delta Lake tables, written by another library (`tests/data/delta.py`): versions, keys, deleted rows, names of columns.

use super::session;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{Date32Type, Int32Type, Int64Type};
use datafusion::logical_expr::{col, lit};
use trefoil_plan::{DataFrame, ErrorKind, Session};

fn table(name: &str) -> String {
    format!("{}/tests/data/delta/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn read(session: &Session, name: &str) -> DataFrame {
    session.block_on(session.read_delta(table(name))).unwrap()
}

fn ids(session: &Session, frame: &DataFrame) -> Vec<i64> {
    let batches = session.block_on(frame.collect()).unwrap();
    let mut all: Vec<i64> = batches
        .iter()
        .flat_map(|batch| batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().values().to_vec())
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn versions() {
    let session = session();
    let check = |name: &str, columns: &[&str], expect: &[(i64, i64)]| {
        let frame = read(&session, name);
        let expect: Vec<i64> = expect.iter().flat_map(|(from, to)| *from..*to).collect();
        assert_eq!(frame.columns(), columns, "{name}");
        assert_eq!(ids(&session, &frame), expect, "{name}");
        assert_eq!(session.block_on(frame.count()).unwrap(), expect.len(), "{name}");
    };
    let (four, five) = (["id", "city", "day", "price"], ["id", "city", "day", "price", "paid"]);
    check("history@v0", &four, &[(0, 10)]);
    check("history@v1", &four, &[(0, 20)]);
    check("history@v2", &four, &[(0, 5), (8, 20)]);
    check("history@v3", &five, &[(0, 5), (8, 25)]);
    check("history@v4", &five, &[(0, 5), (8, 20), (100, 101)]);
    check("history", &five, &[(0, 5), (8, 20), (100, 101)]);
}

#[test]
fn versions_of_a_moment() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("history");
    std::fs::create_dir_all(copy.join("_delta_log")).unwrap();
    // Without a commit time of their own, the times of the files count.
    for version in 0..5_u64 {
        let name = format!("_delta_log/{version:020}.json");
        std::fs::copy(format!("{}/{name}", table("history")), copy.join(&name)).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(86_400 * (version + 1));
        std::fs::File::options().write(true).open(copy.join(&name)).unwrap().set_modified(time).unwrap();
    }
    let at = |behind: &str| format!("{}@{behind}", copy.display());
    let columns = |behind: &str| {
        let frame = session.block_on(session.read_delta(at(behind)));
        frame.map(|frame| frame.columns().len())
    };
    // The fifth column came with version 3, on the fourth day.
    let check = |behind: &str, expect: usize| assert_eq!(columns(behind).unwrap(), expect, "{behind}");
    check("19700102000000000", 4);
    check("19700104235959999", 4);
    check("19700105000000000", 5);
    check("19700106000000000", 5);
    let refused = |behind: &str, part: &str| {
        let error = columns(behind).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{behind}: {error}");
        assert!(error.to_string().contains(part), "{behind}: {error}");
    };
    refused("19700101000000000", "out of range");
    refused("19700106000000001", "the newest is of 1970-01-06T00:00:00");
}

#[test]
fn columns_and_filters() {
    let session = session();
    let frame = read(&session, "history");
    let types: Vec<String> =
        frame.schema().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(types, ["Int64", "Utf8", "Date32", "Float64", "Boolean"]);
    let check = |filter: datafusion::logical_expr::Expr, expect: &[i64]| {
        let some = frame.inner().clone().filter(filter.clone()).unwrap();
        let some = some.select_columns(&["price", "id"]).unwrap();
        assert_eq!(ids(&session, &DataFrame::new(session.clone(), some)), expect, "{filter}");
    };
    check(col("id").lt(lit(3_i64)), &[0, 1, 2]);
    check(col("id").gt(lit(18_i64)), &[19, 100]);
    check(col("city").is_null().and(col("id").lt(lit(12_i64))), &[3, 11]);
    check(col("city").eq(lit("city 9")), &[9]);
    check(col("price").gt(lit(8.5)), &[18, 100]);
    // A column that came later is null in the older files.
    check(col("paid").is_not_null(), &[100]);
}

#[test]
fn keys_with_odd_characters() {
    let session = session();
    let frame = read(&session, "keys");
    assert_eq!(frame.columns(), ["n", "shop", "day"]);
    let rows = |frame: datafusion::dataframe::DataFrame| {
        let batches = session.block_on(DataFrame::new(session.clone(), frame).collect()).unwrap();
        let mut all = Vec::new();
        for batch in &batches {
            let numbers = batch.column(0).as_primitive::<Int32Type>();
            let (shops, days) =
                (batch.column(1).as_string::<i32>(), batch.column(2).as_primitive::<Date32Type>());
            for row in 0..batch.num_rows() {
                let shop = shops.is_valid(row).then(|| shops.value(row).to_owned());
                all.push((numbers.value(row), shop, days.value_as_date(row).unwrap().to_string()));
            }
        }
        all.sort();
        all
    };
    let expect = |n: i32, shop: Option<&str>, day: &str| (n, shop.map(str::to_owned), day.to_owned());
    let (first, second) = ("2024-02-28", "2024-02-29");
    assert_eq!(
        rows(frame.inner().clone()),
        [
            expect(0, Some("a b"), first),
            expect(1, Some("a b"), second),
            expect(2, Some("x/y"), first),
            expect(3, Some("x/y"), second),
            expect(4, None, first),
            expect(5, None, second),
            expect(6, Some("100%"), first),
            expect(7, Some("é"), second),
            expect(8, Some("late"), "2025-01-01"),
        ]
    );
    let some = frame.inner().clone().filter(col("shop").eq(lit("x/y"))).unwrap();
    assert_eq!(rows(some), [expect(2, Some("x/y"), first), expect(3, Some("x/y"), second)]);
    // Nothing of the files themselves.
    let shops = frame.inner().clone().select_columns(&["shop"]).unwrap();
    let batches = session.block_on(DataFrame::new(session.clone(), shops).collect()).unwrap();
    let nulls: usize = batches.iter().map(|batch| batch.column(0).null_count()).sum();
    assert_eq!((batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), nulls), (9, 2));
    assert_eq!(session.block_on(frame.count()).unwrap(), 9);
}

#[test]
fn deleted_rows_and_other_names() {
    let session = session();
    let vector = read(&session, "vector");
    assert_eq!(ids(&session, &vector), [1, 2, 5, 6, 7, 8]);
    assert_eq!(session.block_on(vector.count()).unwrap(), 6);
    assert_eq!(ids(&session, &read(&session, "vector@v0")), (0..10).collect::<Vec<_>>());
    let mapped = read(&session, "mapped");
    assert_eq!(mapped.columns(), ["number", "the text"]);
    let one = mapped.inner().clone().filter(col("number").eq(lit(2_i64))).unwrap();
    let batches = session.block_on(DataFrame::new(session.clone(), one).collect()).unwrap();
    assert_eq!(batches[0].column_by_name("the text").unwrap().as_string::<i32>().value(0), "y");
}

#[test]
fn what_is_no_table() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("broken/_delta_log")).unwrap();
    std::fs::write(dir.path().join("broken/_delta_log/00000000000000000000.json"), "hello").unwrap();
    std::fs::create_dir_all(dir.path().join("bare")).unwrap();
    std::fs::write(dir.path().join("file"), "x").unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let check = |path: String, kind: ErrorKind, parts: &[&str]| {
        let error = session.block_on(session.read_delta(&path)).unwrap_err();
        assert_eq!(error.kind(), kind, "{path}: {error}");
        for part in parts {
            assert!(error.to_string().contains(part), "{path}: lacks {part:?}: {error}");
        }
    };
    check(at("bare"), ErrorKind::NotFound, &["is no Delta table", "`_delta_log`"]);
    check(at("file"), ErrorKind::InvalidArgument, &["is a file, not a directory"]);
    check(table("histroy"), ErrorKind::NotFound, &["did you mean", "history`?"]);
    check(table("history@v9"), ErrorKind::NotFound, &["version 9"]);
    check(table("future"), ErrorKind::Unsupported, &["telepathy"]);
    check(at("broken"), ErrorKind::MalformedData, &["broken"]);
    assert_eq!(read(&session, "future@v0").columns().len(), 4);
    // The kernel blocks the thread that asks: many at once must not wait for one another.
    session.block_on(async {
        let many = (0..16).map(|_| session.read_delta(table("keys")));
        for frame in futures::future::join_all(many).await {
            assert_eq!(frame.unwrap().count().await.unwrap(), 9);
        }
    });
}
