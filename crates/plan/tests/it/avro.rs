//! Avro files, written by another library (`tests/data/avro.py`): types, codecs, directories, and what is wrong with them.

use super::session;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{Int32Type, Int64Type};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::logical_expr::{col, lit};
use trefoil_plan::{DataFrame, ErrorKind, Session};

fn file(name: &str) -> String {
    format!("{}/tests/data/avro/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn ids(session: &Session, frame: &DataFrame, column: &str) -> Vec<i64> {
    let batches = session.block_on(frame.collect()).unwrap();
    let mut all: Vec<i64> = batches
        .iter()
        .flat_map(|batch| {
            let column = batch.column_by_name(column).unwrap();
            let column =
                datafusion::arrow::compute::cast(column, &datafusion::arrow::datatypes::DataType::Int64);
            column.unwrap().as_primitive::<Int64Type>().values().to_vec()
        })
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn types() {
    let session = session();
    let frame = session.block_on(session.read_avro(file("orders/null.avro"))).unwrap();
    let columns: Vec<String> =
        frame.schema().fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
    assert_eq!(
        columns[..8],
        [
            "id Int64",
            "city Utf8",
            "price Float64",
            "paid Boolean",
            "day Date32",
            "at Timestamp(ms, \"+00:00\")",
            "due Decimal128(10, 2)",
            "kind Dictionary(Int32, Utf8)",
        ]
    );
    let first = frame.inner().clone().filter(col("id").lt_eq(lit(2))).unwrap();
    let first = DataFrame::new(session.clone(), first);
    let batches = session.block_on(first.collect()).unwrap();
    let text = pretty_format_batches(&batches).unwrap().to_string();
    let cells: Vec<Vec<String>> = text
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(1)
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect();
    let expect = [
        ["0", "city 0", "0.0", "true", "2024-02-29", "2024-02-29T12:30:15.250Z", "0.25", "new", "[]", "{}"],
        [
            "1",
            "city 1",
            "0.5",
            "false",
            "2024-03-01",
            "2024-02-29T13:30:15.250Z",
            "1.25",
            "new",
            "[t0]",
            "{a: 1, b: -1}",
        ],
        ["2", "", "1.0", "true", "2024-03-02", "2024-02-29T14:30:15.250Z", "2.25", "new", "[t0, t1]", "{}"],
    ];
    for (row, expect) in cells.iter().zip(expect) {
        assert_eq!(row[..10], expect);
    }
    assert_eq!(cells.len(), 3, "{text}");
    let boxes = batches[0].column_by_name("box").unwrap().as_struct();
    assert_eq!(boxes.column(0).as_primitive::<Int32Type>().values().to_vec(), [0, 1, 2]);
    assert_eq!(boxes.column(1).null_count(), 1);
}

#[test]
fn codecs_directories_and_patterns() {
    let session = session();
    let check = |path: &str, expect: std::ops::Range<i64>| {
        let frame = session.block_on(session.read_avro(file(path))).unwrap();
        assert_eq!(session.block_on(frame.count()).unwrap() as i64, expect.end - expect.start, "{path}");
        assert_eq!(ids(&session, &frame, "id"), expect.collect::<Vec<_>>(), "{path}");
    };
    for (number, codec) in (0..).zip(["null", "deflate", "snappy", "zstandard", "bzip2", "xz"]) {
        check(&format!("orders/{codec}.avro"), number * 10..number * 10 + 10);
    }
    check("orders", 0..60);
    check("orders/*.avro", 0..60);
    check("orders/[dn]*.avro", 0..20);
}

#[test]
fn keys_and_columns_that_came_later() {
    let session = session();
    let frame = session.block_on(session.read_avro(file("years"))).unwrap();
    assert_eq!(frame.columns(), ["n", "year"]);
    let of_2024 = frame.inner().clone().filter(col("year").eq(lit("2024"))).unwrap();
    assert_eq!(ids(&session, &DataFrame::new(session.clone(), of_2024), "n"), [3]);
    let frame = session.block_on(session.read_avro(file("grown"))).unwrap();
    assert_eq!(frame.columns(), ["n", "s"]);
    assert_eq!(ids(&session, &frame, "n"), [1, 2, 3]);
    let known = frame.inner().clone().filter(col("s").is_not_null()).unwrap();
    assert_eq!(ids(&session, &DataFrame::new(session.clone(), known), "n"), [3]);
}

#[test]
fn files_that_are_wrong() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let whole = std::fs::read(file("orders/deflate.avro")).unwrap();
    let at = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let mut broken = whole.clone();
    let middle = broken.len() - 60;
    broken[middle..middle + 20].fill(0xff);
    let check = |path: String, kind: ErrorKind, parts: &[&str]| {
        let found = session.block_on(async { session.read_avro(&path).await?.collect().await });
        let error = found.unwrap_err();
        assert_eq!(error.kind(), kind, "{path}: {error}");
        for part in parts {
            assert!(error.to_string().contains(part), "{path}: lacks {part:?}: {error}");
        }
    };
    check(
        at("text.avro", b"hello, this is no Avro"),
        ErrorKind::MalformedData,
        &["text.avro", "not a sound Avro file"],
    );
    check(at("head.avro", &whole[..100]), ErrorKind::MalformedData, &["head.avro", "not a sound Avro file"]);
    check(at("broken.avro", &broken), ErrorKind::MalformedData, &["broken.avro", "not a sound Avro file"]);
    check(at("empty.avro", b""), ErrorKind::MalformedData, &["empty.avro` is empty"]);
    check(file("order"), ErrorKind::NotFound, &["did you mean", "orders`?"]);
}
