//! Reading files: what is found, what the columns are, what is wrong.

use super::{batch, data, session, write};
use datafusion::arrow::datatypes::DataType;
use trefoil_plan::{CsvOptions, DataFrame, Error, ErrorKind};

fn columns(frame: &DataFrame) -> Vec<String> {
    frame.schema().fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect()
}

#[test]
fn csv_layouts() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let check = |name: &str, text: &str, options: CsvOptions, expect: &[&str], rows: usize| {
        let path = write(&dir, name, text);
        let frame = session.block_on(session.read_csv_with(&path, options)).unwrap();
        assert_eq!(columns(&frame), expect, "{name}");
        let found = session.block_on(frame.collect()).unwrap();
        assert_eq!(found.iter().map(|b| b.num_rows()).sum::<usize>(), rows, "{name}");
    };
    let new = CsvOptions::new;
    check("plain.csv", "a,b,c\n1,x,2.5\n2,,3\n", new(), &["a Int64", "b Utf8", "c Float64"], 2);
    check("semicolon.csv", "a;b\n1;2\n", new().delimiter(b';'), &["a Int64", "b Int64"], 1);
    check("tabs.tsv", "a\tb\n1\tx,y\n", new(), &["a Int64", "b Utf8"], 1);
    check("bare.csv", "1,x\n2,y\n", new().header(false), &["column_1 Int64", "column_2 Utf8"], 2);
    check("header only.csv", "a,b\n", new(), &["a Utf8", "b Utf8"], 0);
    check("nulls.csv", "a,b\nNA,1\n5,NA\n", new().nulls(["NA", "-"]), &["a Int64", "b Int64"], 2);
    check("typed.csv", "zip\n00123\n", new().column_type("zip", DataType::Utf8), &["zip Utf8"], 1);
    check("quoted.csv", "a,b\n\"x\ny\",1\n\"p,\"\"q\",2\n", new(), &["a Utf8", "b Int64"], 2);
    check("short.csv", "a,b\n1,2\n3\n", new().pad_short_rows(true), &["a Int64", "b Int64"], 2);
    check("comment.csv", "#hello\na,b\n1,2\n", new().comment(b'#'), &["a Int64", "b Int64"], 1);
    check("crlf [1] and %20.csv", "a,b\r\n1,2\r\n", new(), &["a Int64", "b Int64"], 1);
}

#[test]
fn gzip() {
    use std::io::Write;
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(dir.path().join("t.csv.gz")).unwrap();
    let mut zip = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    zip.write_all(b"a,b\n1,x\n2,y\n").unwrap();
    zip.finish().unwrap();
    let frame = session.block_on(session.read_csv(dir.path())).unwrap();
    assert_eq!(session.block_on(frame.count()).unwrap(), 2);
    write(&dir, "u.csv", "a,b\n1,x\n");
    let error = session.block_on(session.read_csv(dir.path())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
}

#[test]
fn directories_patterns_and_keys() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    session.block_on(async {
        for (name, start) in [("a.parquet", 0), ("b.parquet", 10), ("sub/c.parquet", 20)] {
            let frame = session.frame_from_batches(vec![batch(start, 10)]).unwrap();
            frame.write_parquet(root.join(name)).await.unwrap();
        }
        write(&dir, "_SUCCESS", "");
        write(&dir, ".hidden.parquet", "x");
        write(&dir, "notes.txt", "x");
        let count = |path: String| {
            let session = session.clone();
            async move { session.read_parquet(path).await?.count().await }
        };
        let at = |path: &str| format!("{}/{path}", root.display());
        assert_eq!(count(at("")).await.unwrap(), 30);
        assert_eq!(count(at("*.parquet")).await.unwrap(), 20);
        assert_eq!(count(at("sub")).await.unwrap(), 10);
        assert_eq!(count(at("sub/../b.parquet")).await.unwrap(), 10);
        assert_eq!(count(at("[ab].parquet")).await.unwrap(), 20);
        assert_eq!(count(at("z*.parquet")).await.unwrap_err().kind(), ErrorKind::NotFound);

        let keyed = root.join("keyed");
        for (year, start) in [(2023, 0), (2024, 10)] {
            let frame = session.frame_from_batches(vec![batch(start, 10)]).unwrap();
            frame.write_parquet(keyed.join(format!("year={year}/x.parquet"))).await.unwrap();
        }
        let frame = session.read_parquet(&keyed).await.unwrap();
        assert_eq!(frame.columns(), ["n", "s", "f", "year"]);
        let of_2024 = frame
            .inner()
            .clone()
            .filter(datafusion::logical_expr::col("year").eq(datafusion::logical_expr::lit("2024")));
        assert_eq!(DataFrame::new(session.clone(), of_2024.unwrap()).count().await.unwrap(), 10);
    });
}

#[test]
fn json_lines() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, "t.jsonl", "{\"a\": 1, \"b\": \"x\"}\n{\"a\": 2.5}\n");
    let frame = session.block_on(session.read_json(&path)).unwrap();
    assert_eq!(columns(&frame), ["a Float64", "b Utf8"]);
    assert_eq!(session.block_on(frame.count()).unwrap(), 2);
}

#[test]
fn paths_that_do_not_fit() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    write(&dir, "diamonds.csv", "a\n1\n");
    write(&dir, "empty/x.txt", "");
    std::fs::create_dir(dir.path().join("bare")).unwrap();
    let empty = write(&dir, "nothing.csv", "");
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let csv = |path: String| session.block_on(session.read_csv(path)).unwrap_err();
    let parquet = |path: String| session.block_on(session.read_parquet(path)).unwrap_err();
    let check = |error: Error, kind: ErrorKind, parts: &[&str]| {
        assert_eq!(error.kind(), kind, "{error}");
        for part in parts {
            assert!(error.to_string().contains(part), "lacks {part:?}: {error}");
        }
    };
    check(
        csv(at("diamond.csv")),
        ErrorKind::NotFound,
        &["diamond.csv` does not exist", "did you mean", "diamonds.csv`?"],
    );
    check(csv(at("emty/x/y.csv")), ErrorKind::NotFound, &["did you mean", "/empty`?"]);
    check(csv(at("zzzzzz/y.csv")), ErrorKind::NotFound, &["there is no `zzzzzz` in"]);
    check(
        parquet(at("bare")),
        ErrorKind::NotFound,
        &["no Parquet file in", "looked for *.parquet", "the directory is empty"],
    );
    check(parquet(at("empty")), ErrorKind::NotFound, &["such as `x.txt`"]);
    check(parquet(at("")), ErrorKind::NotFound, &["holds CSV files; read them with `read_csv`"]);
    check(csv(empty), ErrorKind::MalformedData, &["nothing.csv` is empty, not even a header line"]);
    check(csv(String::new()), ErrorKind::InvalidArgument, &["the path is empty"]);
    check(csv("hdfs://host/x.csv".into()), ErrorKind::Unsupported, &["no kind of store that is known"]);
    check(
        parquet(data("diamonds.csv")),
        ErrorKind::MalformedData,
        &["diamonds.csv` is not a sound Parquet file"],
    );
    let options = CsvOptions::new().column_type("prise", DataType::Utf8);
    let error = session.block_on(session.read_csv_with(data("diamonds.csv"), options)).unwrap_err();
    check(error, ErrorKind::UnknownColumn, &["did you mean `price`?"]);
}
