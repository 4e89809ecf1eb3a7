//! Rows that do not fit, forms of dates, detected headers, compressed files, trees of partitions.

use super::{data, session, write};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use proptest::prelude::*;
use std::io::Write;
use trefoil_plan::{
    CsvOptions, DataFrame, ErrorKind, JsonOptions, Malformed, Session, WriteMode, WriteOptions,
};

/// Cells separated by bars, `-` for null.
fn rows(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("-");
    let mut out = Vec::new();
    for batch in batches {
        let cells: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            out.push(cells.iter().map(|cell| cell.value(row).to_string()).collect::<Vec<_>>().join("|"));
        }
    }
    out
}

fn collected(session: &Session, frame: &DataFrame) -> Vec<String> {
    rows(&session.block_on(frame.collect()).unwrap())
}

#[test]
fn csv_rows_that_do_not_fit() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let keep = || Malformed::Keep("_corrupt_record".into());
    let int = |name: &str| CsvOptions::new().column_type(name, datafusion::arrow::datatypes::DataType::Int32);
    let check = |text: &str, options: CsvOptions, expect: &[&str]| {
        let path = write(&dir, "t.csv", text);
        let frame = session.block_on(session.read_csv_with(&path, options)).unwrap();
        assert_eq!(collected(&session, &frame), expect, "{text}");
    };
    let text = "a,b\n1,x\ntwo,y\n3\n4,z,more\n,\n";
    check(text, int("a").malformed(Malformed::Drop), &["1|x", "-|-"]);
    check(text, int("a").malformed(keep()), &["1|x|-", "-|y|two,y", "3|-|3", "4|z|4,z,more", "-|-|-"]);
    check("a\n\"x\n,y\"\n\"p\"\"q\"\n", CsvOptions::new().malformed(keep()), &["x\n,y|-", "p\"q|-"]);
    check("a,b\n1,\"x, y\"\nz,\"q\"\n", int("a").malformed(keep()), &["1|x, y|-", "-|q|z,\"q\""]);
    check("a,b\n1,NA\nNA,2\nx,3\n", int("a").nulls(["NA"]).malformed(keep()), &["1|-|-", "-|2|-", "-|3|x,3"]);
    check("a,b\n1\n", CsvOptions::new().pad_short_rows(true).malformed(keep()), &["1|-|-"]);
    check("1,2\nx\n", CsvOptions::new().header(false).malformed(Malformed::Drop), &["1|2"]);
    // Types come from the rows that fit.
    check("a,b\n1,2\n3,4,5\n6,7\n", CsvOptions::new().malformed(Malformed::Drop), &["1|2", "6|7"]);
    let path = write(&dir, "fail.csv", "d\n01/02/2024\nnever\n");
    let options = CsvOptions::new()
        .column_type("d", datafusion::arrow::datatypes::DataType::Date32)
        .date_format("%d/%m/%Y");
    let frame = session.block_on(session.read_csv_with(&path, options)).unwrap();
    let error = session.block_on(frame.collect()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MalformedData, "{error}");
    assert!(error.to_string().contains("never"), "{error}");
}

#[test]
fn dates_and_headers() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let check = |text: &str, options: CsvOptions, columns: &[&str], expect: &[&str]| {
        let path = write(&dir, "t.csv", text);
        let frame = session.block_on(session.read_csv_with(&path, options)).unwrap();
        let found: Vec<String> =
            frame.schema().fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
        assert_eq!(found, columns, "{text}");
        assert_eq!(collected(&session, &frame), expect, "{text}");
    };
    check(
        "day,n\n31/12/2023,1\n01/02/2024,2\n",
        CsvOptions::new().date_format("%d/%m/%Y"),
        &["day Date32", "n Int64"],
        &["2023-12-31|1", "2024-02-01|2"],
    );
    check(
        "at\n2024.01.31 23:59\n",
        CsvOptions::new().timestamp_format("%Y.%m.%d %H:%M"),
        &["at Timestamp(µs)"],
        &["2024-01-31T23:59:00"],
    );
    let auto = || CsvOptions::new().detect_header();
    check("a,b\n1,x\n", auto(), &["a Int64", "b Utf8"], &["1|x"]);
    check("1,x\n2,y\n", auto(), &["column_1 Int64", "column_2 Utf8"], &["1|x", "2|y"]);
    check("x,x\ny,z\n", auto(), &["column_1 Utf8", "column_2 Utf8"], &["x|x", "y|z"]);
    check("a,2024-01-01\n", auto(), &["column_1 Utf8", "column_2 Date32"], &["a|2024-01-01"]);
}

#[test]
fn json_lines_that_do_not_fit() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let text = "{\"a\": 1, \"b\": \"x\"}\nnot json\n{\"a\": 2}\n{\"a\": \"text\"}\n[1]\n";
    let path = write(&dir, "t.jsonl", text);
    let read = |malformed| {
        let options = JsonOptions::new().infer_rows(2).malformed(malformed);
        let frame = session.block_on(session.read_json_with(&path, options)).unwrap();
        (frame.columns(), collected(&session, &frame))
    };
    let (columns, dropped) = read(Malformed::Drop);
    assert_eq!((columns, dropped), (vec!["a".into(), "b".into()], vec!["1|x".into(), "2|-".into()]));
    let (columns, kept) = read(Malformed::Keep("bad".into()));
    assert_eq!(columns, ["a", "b", "bad"]);
    assert_eq!(kept, ["1|x|-", "-|-|not json", "2|-|-", "-|-|{\"a\": \"text\"}", "-|-|[1]"]);
    let frame = session.block_on(session.read_json(&path));
    assert_eq!(frame.map(|_| ()).unwrap_err().kind(), ErrorKind::MalformedData);
}

#[test]
fn compressed_files() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(dir.path().join("t.csv.gz")).unwrap();
    let mut zip = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    zip.write_all(b"a,b\n1,x\nbad\n").unwrap();
    zip.finish().unwrap();
    let options = CsvOptions::new().malformed(Malformed::Drop);
    let frame = session.block_on(session.read_csv_with(dir.path(), options)).unwrap();
    assert_eq!(collected(&session, &frame), ["1|x"]);
    // Zstandard: written by DataFusion itself.
    let out = dir.path().join("z");
    let text = format!(
        "COPY (SELECT 1 AS a) TO '{}/t.csv.zst' STORED AS CSV OPTIONS ('format.compression' 'zstd')",
        out.display()
    );
    std::fs::create_dir(&out).unwrap();
    let context = session.context().clone();
    let copy = async move { context.sql(&text).await.unwrap().collect().await.unwrap() };
    session.block_on(session.engine().on_cpu(copy)).unwrap();
    let frame = session.block_on(session.read_csv(&out)).unwrap();
    assert_eq!(collected(&session, &frame), ["1"]);
}

#[test]
fn trees_and_modes() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    session.block_on(async {
        let diamonds = session.read_csv(data("diamonds.csv")).await.unwrap();
        let by_cut = WriteOptions::new().partition_by(["cut", "color"]);
        assert_eq!(diamonds.write_parquet_with(at("tree"), by_cut.clone()).await.unwrap(), 53_940);
        let back = session.read_parquet(at("tree")).await.unwrap();
        assert_eq!(back.count().await.unwrap(), 53_940);
        assert_eq!(back.columns()[8..], ["cut", "color"]);
        assert!(at("tree").join("cut=Very Good/color=E").is_dir());

        // Appended files stand beside the others; a mode that finds the table leaves it alone.
        let append = by_cut.clone().mode(WriteMode::Append);
        diamonds.write_parquet_with(at("tree"), append.clone()).await.unwrap();
        assert_eq!(session.read_parquet(at("tree")).await.unwrap().count().await.unwrap(), 107_880);
        let ignore = by_cut.clone().mode(WriteMode::Ignore);
        assert_eq!(diamonds.write_parquet_with(at("tree"), ignore).await.unwrap(), 0);

        // Only the partitions of the rows are replaced.
        let ideal = diamonds
            .inner()
            .clone()
            .filter(datafusion::logical_expr::col("cut").eq(datafusion::logical_expr::lit("Ideal")));
        let ideal = DataFrame::new(session.clone(), ideal.unwrap());
        let replace = by_cut.clone().mode(WriteMode::OverwritePartitions);
        let ideals = ideal.write_parquet_with(at("tree"), replace.clone()).await.unwrap();
        let now = session.read_parquet(at("tree")).await.unwrap().count().await.unwrap();
        assert_eq!(now, 107_880 - ideals);

        // A query that fails leaves all of it, in every mode.
        let bad = session
            .read_csv_with(
                super::write(&dir, "bad.csv", "a,k\n1,x\n2,y\nz,z\n"),
                CsvOptions::new().infer_rows(2),
            )
            .await
            .unwrap();
        for mode in [WriteMode::Overwrite, WriteMode::Append, WriteMode::OverwritePartitions] {
            let options = WriteOptions::new().partition_by(["k"]).mode(mode);
            assert!(bad.write_csv_with(at("tree"), options).await.is_err());
            assert_eq!(session.read_parquet(at("tree")).await.unwrap().count().await.unwrap(), now);
        }
        let hidden = std::fs::read_dir(dir.path()).unwrap().flatten();
        let hidden: Vec<_> =
            hidden.map(|e| e.file_name()).filter(|name| name.to_string_lossy().starts_with('.')).collect();
        assert!(hidden.is_empty(), "left behind: {hidden:?}");

        // What cannot be.
        let fails = |path: &str, options: WriteOptions| {
            let (frame, path) = (diamonds.clone(), at(path));
            async move { frame.write_parquet_with(path, options).await.unwrap_err().kind() }
        };
        assert_eq!(fails("tree", by_cut.clone()).await, ErrorKind::AlreadyExists);
        assert_eq!(fails("x", WriteOptions::new().partition_by(["cost"])).await, ErrorKind::UnknownColumn);
        assert_eq!(fails("x.parquet", by_cut.clone()).await, ErrorKind::InvalidArgument);
        let alone = WriteOptions::new().mode(WriteMode::OverwritePartitions);
        assert_eq!(fails("x", alone).await, ErrorKind::InvalidArgument);

        // Arrow files keep what they are given.
        diamonds.write_arrow(at("t.arrow")).await.unwrap();
        assert_eq!(session.read_arrow(at("t.arrow")).await.unwrap().count().await.unwrap(), 53_940);
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the keys hold, a tree gives back the rows that were written, null and empty keys as null.
    #[test]
    fn any_key_comes_back(keys in prop::collection::vec(prop::option::of("[ -~äß\n]{0,5}"), 1..20)) {
        use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};
        let session = session();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tree");
        let numbers = Int64Array::from_iter_values(0..keys.len() as i64);
        let columns: [(&str, ArrayRef); 2] = [
            ("n", std::sync::Arc::new(numbers)),
            ("k", std::sync::Arc::new(StringArray::from(keys.clone()))),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
        let frame = session.frame_from_batches(vec![batch]).unwrap();
        let options = WriteOptions::new().partition_by(["k"]);
        session.block_on(frame.write_parquet_with(&path, options)).unwrap();
        let back = session.block_on(session.read_parquet(&path)).unwrap();
        let text = back.inner().clone().select(vec![
            datafusion::logical_expr::col("n"),
            datafusion::logical_expr::cast(
                datafusion::logical_expr::col("k"),
                datafusion::arrow::datatypes::DataType::Utf8,
            )
            .alias("k"),
        ]);
        let mut found = collected(&session, &DataFrame::new(session.clone(), text.unwrap()));
        found.sort();
        let mut expect: Vec<String> = keys
            .iter()
            .enumerate()
            .map(|(n, key)| format!("{n}|{}", key.as_deref().filter(|k| !k.is_empty()).unwrap_or("-")))
            .collect();
        expect.sort();
        prop_assert_eq!(found, expect);
    }
}
