//! Our reader of Parquet gives the rows that DataFusion's gives, whatever a file looks like.

use datafusion::arrow::array::{
    ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use datafusion::arrow::datatypes::Int32Type;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, Encoding};
use datafusion::parquet::file::properties::{WriterProperties, WriterVersion};
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;
use proptest::prelude::*;
use std::fs::{self, File};
use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;
use std::task::Poll;
use trefoil_plan::{DataFrame, ErrorKind, Result, Session};

/// What the rows of a query are filtered by.
const FILTERS: [&str; 35] = [
    "true",
    "i > 3",
    "i IS NULL",
    "i IS NOT NULL AND i % 2 = 0",
    "i BETWEEN 2 AND 5 AND word = 'ab'",
    "word IN ('ab', 'a word of more than twelve bytes')",
    "word LIKE '%twelve%'",
    "word NOT LIKE 'a%' OR i = 1",
    "word IS NULL",
    "word IS NULL OR word = ''",
    "coalesce(word, 'ab') = 'ab'",
    "line LIKE '%7%'",
    "line > 'line 5' AND i < 4",
    "price > 3.10",
    "price * 2 > 7 AND i > 1",
    "price < 2.00 OR wide > 100",
    "wide IS NOT NULL AND wide < 0",
    "f > 0.5 AND g < 2.0",
    "mask",
    "NOT mask AND i = 2",
    "mask IS NULL",
    "day < DATE '1970-01-05'",
    "day < DATE '1970-01-03' AND at > TIMESTAMP '1970-01-01 00:00:01'",
    "small8 = 1 OR small16 = 2 OR whole32 = 3",
    "u8 = 1 AND u16 < 4 AND u32 < 4 AND u64 < 4",
    "bytes = X'6162'",
    "i < whole32",
    "i <> 0 AND 12 / i > 3",
    "i > 100",
    "day = DATE '1970-01-02' AND word = 'ab' AND mask AND price > 1",
    "run = 1",
    "run IN (0, 3) AND i > 2",
    "run < 2 OR i = 1",
    "run <> 2 AND run > 0 AND word = 'ab'",
    "run IS NULL",
];

/// How a file is written.
#[derive(Debug, Clone)]
struct Layout {
    dictionary: bool,
    dictionary_bytes: usize,
    page_rows: usize,
    group_rows: usize,
    second_version: bool,
    compression: Compression,
    plain: bool,
}

fn layout() -> impl Strategy<Value = Layout> {
    let compression = prop_oneof![
        3 => Just(Compression::SNAPPY),
        1 => Just(Compression::UNCOMPRESSED),
        1 => Just(Compression::LZ4_RAW),
    ];
    let dictionary_bytes = prop_oneof![Just(40_usize), Just(1 << 20)];
    (any::<bool>(), dictionary_bytes, 3..400_usize, 20..900_usize, any::<bool>(), compression, any::<bool>())
        .prop_map(
            |(dictionary, dictionary_bytes, page_rows, group_rows, second_version, compression, plain)| {
                Layout {
                    dictionary,
                    dictionary_bytes,
                    page_rows,
                    group_rows,
                    second_version,
                    compression,
                    plain,
                }
            },
        )
}

/// A number for each row and column, from which the columns are made; nulls where it can be divided by `nulls`.
fn batch(seeds: &[u32], nulls: u32) -> RecordBatch {
    let of = |column: u32| {
        seeds.iter().map(move |seed| {
            let value = seed.rotate_left(column * 5).wrapping_mul(2_654_435_761) >> 8;
            (nulls == 0 || value % nulls != 0).then_some(i64::from(value / 7 % 8))
        })
    };
    let narrow = |value: i64| i32::try_from(value).unwrap();
    let words = [
        "",
        "ab",
        "abc",
        "a word of more than twelve bytes",
        "ünï",
        "b",
        "another long word, with twelve",
        "z",
    ];
    let column = |column: u32| of(column).collect::<Vec<Option<i64>>>();
    let price: Decimal128Array = column(3).iter().map(|v| v.map(|v| i128::from(v) * 77 - 5)).collect();
    let wide: Decimal128Array =
        column(4).iter().map(|v| v.map(|v| (i128::from(v) - 3) * 123_456_789_012_345_678)).collect();
    // In order, as many files have a column: pages and steps of one value.
    let run: Int32Array = (0..seeds.len()).map(|row| Some(narrow(row as i64 / 60))).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("run", Arc::new(run)),
        ("i", Arc::new(Int64Array::from(column(0)))),
        (
            "word",
            Arc::new(
                column(1)
                    .iter()
                    .map(|v| v.map(|v| words[usize::try_from(v).unwrap()]))
                    .collect::<StringArray>(),
            ),
        ),
        (
            "line",
            Arc::new(
                seeds
                    .iter()
                    .map(|seed| (nulls == 0 || seed % nulls != 1).then(|| format!("line {seed}")))
                    .collect::<StringArray>(),
            ),
        ),
        ("price", Arc::new(price.with_precision_and_scale(15, 2).unwrap())),
        ("wide", Arc::new(wide.with_precision_and_scale(25, 3).unwrap())),
        ("f", Arc::new(of(5).map(|v| v.map(|v| v as f64 / 3.0)).collect::<Float64Array>())),
        ("g", Arc::new(of(6).map(|v| v.map(|v| v as f32 / 2.0)).collect::<Float32Array>())),
        ("mask", Arc::new(of(7).map(|v| v.map(|v| v > 2)).collect::<BooleanArray>())),
        ("day", Arc::new(of(8).map(|v| v.map(narrow)).collect::<Date32Array>())),
        ("at", Arc::new(of(9).map(|v| v.map(|v| v * 700_000)).collect::<TimestampMicrosecondArray>())),
        ("small8", Arc::new(of(10).map(|v| v.map(|v| i8::try_from(v - 4).unwrap())).collect::<Int8Array>())),
        (
            "small16",
            Arc::new(of(11).map(|v| v.map(|v| i16::try_from(v - 4).unwrap())).collect::<Int16Array>()),
        ),
        ("whole32", Arc::new(of(12).map(|v| v.map(|v| narrow(v - 4))).collect::<Int32Array>())),
        ("u8", Arc::new(of(13).map(|v| v.map(|v| u8::try_from(v).unwrap())).collect::<UInt8Array>())),
        ("u16", Arc::new(of(14).map(|v| v.map(|v| u16::try_from(v).unwrap())).collect::<UInt16Array>())),
        ("u32", Arc::new(of(15).map(|v| v.map(|v| u32::try_from(v).unwrap())).collect::<UInt32Array>())),
        (
            "u64",
            Arc::new(
                of(16).map(|v| v.map(|v| u64::MAX - u64::try_from(v).unwrap())).collect::<UInt64Array>(),
            ),
        ),
        (
            "bytes",
            Arc::new(
                column(17)
                    .iter()
                    .map(|v| v.map(|v| words[usize::try_from(v).unwrap()].as_bytes()))
                    .collect::<BinaryArray>(),
            ),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, nulls > 0)),
    )
    .unwrap()
}

fn write(path: &Path, batch: &RecordBatch, layout: &Layout) {
    let mut properties = WriterProperties::builder()
        .set_dictionary_enabled(layout.dictionary)
        .set_dictionary_page_size_limit(layout.dictionary_bytes)
        .set_data_page_row_count_limit(layout.page_rows)
        .set_write_batch_size(layout.page_rows.min(7))
        .set_max_row_group_row_count(Some(layout.group_rows))
        .set_writer_version(if layout.second_version {
            WriterVersion::PARQUET_2_0
        } else {
            WriterVersion::PARQUET_1_0
        })
        .set_compression(layout.compression);
    if layout.plain {
        properties = properties.set_encoding(Encoding::PLAIN);
    }
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties.build())).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

fn open(path: &Path, workers: usize, settings: &[(&str, &str)]) -> Session {
    let session = Session::builder().workers(workers).memory("64MiB").build().unwrap();
    for (key, value) in settings {
        session.context().state_ref().write().config_mut().options_mut().set(key, value).unwrap();
    }
    let frame = session.block_on(session.read_parquet(path)).unwrap();
    session.register("t", &frame).unwrap();
    session
}

fn rows(session: &Session, query: &str) -> Result<Vec<RecordBatch>> {
    let context = session.context().clone();
    session.block_on(async {
        let inner = context.sql(query).await.map_err(|error| trefoil_plan::plan_error(error, "test"))?;
        DataFrame::new(session.clone(), inner).collect().await
    })
}

fn answer(session: &Session, query: &str) -> std::result::Result<Vec<String>, ErrorKind> {
    let mut lines = Vec::new();
    for batch in rows(session, query).map_err(|error| error.kind())? {
        let options = FormatOptions::default().with_null("null");
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let values: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            lines.push(values.join(","));
        }
    }
    lines.sort();
    Ok(lines)
}

const THEIRS: (&str, &str) = ("trefoil.filtered_scans", "false");

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn rows_are_those_of_the_other_reader(
        seeds in prop::collection::vec(any::<u32>(), 0..900),
        nulls in prop_oneof![Just(0_u32), 2..9_u32],
        layout in layout(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.parquet");
        write(&path, &batch(&seeds, nulls), &layout);
        let theirs = open(&path, 1, &[THEIRS]);
        let ours = [
            open(&path, 1, &[("datafusion.execution.batch_size", "7")]),
            open(&path, 2, &[("datafusion.execution.batch_size", "100"), ("datafusion.optimizer.repartition_file_min_size", "0")]),
            open(&path, 3, &[("trefoil.piece_rows", "11"), ("datafusion.optimizer.repartition_file_min_size", "0")]),
            open(&path, 1, &[]),
        ];
        for filter in FILTERS {
            let query = format!("SELECT * FROM t WHERE {filter}");
            // Theirs may divide by zero in rows that another part of the filter has ruled out.
            let expect = answer(&theirs, &query);
            for (number, session) in ours.iter().enumerate().filter(|_| expect.is_ok()) {
                prop_assert_eq!(answer(session, &query), expect.clone(), "{} in session {} of {:?}", query, number, layout);
            }
            for columns in ["count(*)", "line, i, price"] {
                let query = format!("SELECT {columns} FROM t WHERE {filter}");
                let expect = answer(&theirs, &query);
                for session in [&ours[0], &ours[2]].into_iter().filter(|_| expect.is_ok()) {
                    prop_assert_eq!(answer(session, &query), expect.clone(), "{} of {:?}", query, layout);
                }
            }
        }
        // Filters that a join and a sort of few rows hand down while they run.
        for query in [
            "SELECT t.line, t.word FROM t, (SELECT DISTINCT word AS w FROM t WHERE i = 3) s WHERE t.word = s.w",
            "SELECT a.line, b.price FROM t a, t b WHERE a.i = b.whole32 AND b.day = DATE '1970-01-02' AND b.u8 = 1 AND a.f > 1",
            "SELECT i, price FROM t WHERE word = 'ab' ORDER BY price DESC NULLS LAST, i, f LIMIT 5",
            "SELECT i FROM t ORDER BY i NULLS FIRST LIMIT 9",
            "SELECT word, count(*) AS n, sum(i) AS s FROM t WHERE i > 1 GROUP BY word",
            "SELECT count(*), sum(a.wide), min(b.line) FROM t a, t b WHERE a.i = b.whole32 AND a.day = b.day AND b.u8 = 1 AND a.f > 1",
            "SELECT count(*), sum(a.run) FROM t a WHERE EXISTS (SELECT 1 FROM t b WHERE a.run = b.run AND a.i = b.i AND b.word = 'ab')",
            "SELECT b.run, count(a.i) FROM t a RIGHT JOIN t b ON a.run = b.run + 1 AND a.small16 = b.u8 WHERE b.i = 2 GROUP BY b.run",
        ] {
            let expect = answer(&theirs, query);
            for session in &ours {
                prop_assert_eq!(answer(session, query), expect.clone(), "{} of {:?}", query, layout);
            }
        }
        for session in ours {
            prop_assert_eq!(session.budget().reserved(), 0);
        }
    }

    #[test]
    fn damaged_files_are_errors(
        seeds in prop::collection::vec(any::<u32>(), 50..600),
        nulls in prop_oneof![Just(0_u32), 2..9_u32],
        layout in layout(),
        damage in prop::collection::vec((0.0..0.9_f64, any::<u8>()), 1..8),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.parquet");
        write(&path, &batch(&seeds, nulls), &layout);
        let mut bytes = fs::read(&path).unwrap();
        // The footer stays as it is; it is DataFusion's to read.
        let footer = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap());
        let pages = bytes.len() - 8 - usize::try_from(footer).unwrap();
        for (place, value) in damage {
            let at = 4 + ((pages - 4) as f64 * place) as usize;
            bytes[at] = value;
        }
        fs::write(&path, bytes).unwrap();
        let session = Session::builder().workers(1).memory("64MiB").build().unwrap();
        let frame = match session.block_on(session.read_parquet(&path)) {
            Ok(frame) => frame,
            // The indexes of pages are damaged, and DataFusion has read them.
            Err(error) => {
                prop_assert_eq!(error.kind(), ErrorKind::MalformedData, "{}", error);
                return Ok(());
            }
        };
        session.register("t", &frame).unwrap();
        for filter in FILTERS {
            if let Err(error) = rows(&session, &format!("SELECT * FROM t WHERE {filter}")) {
                prop_assert_ne!(error.kind(), ErrorKind::Internal, "{}", error);
            }
        }
        prop_assert_eq!(session.budget().reserved(), 0);
    }
}

#[test]
fn filters_are_in_the_scan() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.parquet");
    let seeds: Vec<u32> = (0..2000).collect();
    let layout = Layout {
        dictionary: true,
        dictionary_bytes: 1 << 20,
        page_rows: 300,
        group_rows: 900,
        second_version: false,
        compression: Compression::SNAPPY,
        plain: false,
    };
    write(&path, &batch(&seeds, 5), &layout);
    let session = open(&path, 1, &[]);
    let plan = |query: &str| {
        let rows = rows(&session, &format!("EXPLAIN ANALYZE {query}")).unwrap();
        let options = FormatOptions::default();
        let column = ArrayFormatter::try_new(rows[0].column(1), &options).unwrap();
        column.value(0).to_string()
    };
    for (query, expect) in [
        ("SELECT line FROM t WHERE word = 'ab' AND i > 2", "where="),
        ("SELECT count(*) FROM t WHERE price > 1 AND 12 / (i + 1) > 2", "where="),
    ] {
        let plan = plan(query);
        assert!(plan.contains(expect) && !plan.contains("FilterExec"), "{query}\n{plan}");
    }
    // What may give another answer each time stays where it is.
    assert!(plan("SELECT i FROM t WHERE random() < 2").contains("FilterExec"));
}

#[test]
fn files_of_other_layouts_are_left_to_datafusion() {
    let dir = tempfile::tempdir().unwrap();
    let layout = |dictionary, plain| Layout {
        dictionary,
        dictionary_bytes: 1 << 20,
        page_rows: 300,
        group_rows: 900,
        second_version: true,
        compression: Compression::SNAPPY,
        plain,
    };
    let whole: Vec<u32> = (0..1000).collect();
    // One file of three has its numbers as differences, which our reader does not know.
    write(&dir.path().join("a.parquet"), &batch(&whole, 3), &layout(true, false));
    write(&dir.path().join("b.parquet"), &batch(&whole, 3), &layout(false, false));
    write(&dir.path().join("c.parquet"), &batch(&whole, 3), &layout(false, true));
    let (ours, theirs) = (open(dir.path(), 2, &[]), open(dir.path(), 1, &[THEIRS]));
    for query in
        ["SELECT * FROM t WHERE i > 2 AND word = 'ab'", "SELECT line FROM t WHERE day = DATE '1970-01-02'"]
    {
        assert_eq!(answer(&ours, query), answer(&theirs, query), "{query}");
    }
}

/// What is above takes batch after batch as long as there is one, and a dropped query ends where there is none.
#[test]
fn scans_give_up_the_thread() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.parquet");
    let seeds: Vec<u32> = (0..40_000).collect();
    let layout = Layout {
        dictionary: true,
        dictionary_bytes: 1 << 20,
        page_rows: 5000,
        group_rows: 20_000,
        second_version: false,
        compression: Compression::SNAPPY,
        plain: false,
    };
    write(&path, &batch(&seeds, 5), &layout);
    let session = open(&path, 1, &[("datafusion.execution.batch_size", "1000")]);
    let context = session.context().clone();
    let (batches, most) = session.block_on(async {
        let plan = context.sql("SELECT i, price FROM t").await.unwrap().create_physical_plan().await.unwrap();
        let mut stream = execute_stream(plan, context.task_ctx()).unwrap();
        let (mut batches, mut in_turn, mut most) = (0, 0, 0);
        loop {
            let poll = poll_fn(|context| Poll::Ready(stream.poll_next_unpin(context)));
            match tokio::task::unconstrained(poll).await {
                Poll::Ready(None) => return (batches, most),
                Poll::Ready(Some(batch)) => {
                    batch.unwrap();
                    (batches, in_turn) = (batches + 1, in_turn + 1);
                    most = most.max(in_turn);
                }
                Poll::Pending => {
                    in_turn = 0;
                    tokio::task::yield_now().await;
                }
            }
        }
    });
    assert!(batches >= 40, "{batches}");
    assert!(most <= 2, "{most} of {batches} batches at once");
}

/// A large row group has rows for several workers, who take them piece by piece.
#[test]
fn large_row_groups_are_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.parquet");
    let seeds: Vec<u32> = (0..9000).collect();
    let layout = Layout {
        dictionary: true,
        dictionary_bytes: 1 << 20,
        page_rows: 300,
        group_rows: 9000,
        second_version: false,
        compression: Compression::SNAPPY,
        plain: false,
    };
    write(&path, &batch(&seeds, 5), &layout);
    let all = ("datafusion.optimizer.repartition_file_min_size", "0");
    let whole = open(&path, 2, &[all, ("trefoil.piece_rows", "0")]);
    let cut = open(&path, 2, &[all, ("trefoil.piece_rows", "100")]);
    let pieces = |session: &Session, query: &str| {
        let rows = rows(session, &format!("EXPLAIN {query}")).unwrap();
        let column = ArrayFormatter::try_new(rows[0].column(1), &FormatOptions::default()).unwrap();
        let plan: Vec<String> = (0..rows[0].num_rows()).map(|row| column.value(row).to_string()).collect();
        let scan = plan.concat();
        let groups =
            scan.split("file_groups=").nth(1).unwrap().split("projection").next().unwrap().to_owned();
        groups.matches("t.parquet").count()
    };
    for (query, expect) in [
        ("SELECT count(*), sum(i) FROM t", 8),
        ("SELECT word, max(price) FROM t GROUP BY word", 8),
        // Here one sees the order of the rows.
        ("SELECT i, line FROM t WHERE i > 2", 2),
        ("SELECT word, array_agg(i) FROM t GROUP BY word", 2),
        ("SELECT first_value(i) FROM t", 2),
        // Rows that follow one another have keys that do.
        ("SELECT run, count(*) FROM t GROUP BY run", 2),
    ] {
        assert_eq!(pieces(&whole, query), 2, "{query}");
        assert_eq!(pieces(&cut, query), expect, "{query}");
    }
    let check = |query: &str| assert_eq!(answer(&cut, query), answer(&whole, query), "{query}");
    check("SELECT count(*), sum(i), sum(price), min(line), max(run) FROM t");
    check("SELECT word, count(*), sum(run) FROM t WHERE i > 1 AND run > 20 GROUP BY word");
    check("SELECT * FROM t WHERE run BETWEEN 70 AND 90");
    let in_order = |session: &Session| {
        let batches = rows(session, "SELECT run FROM t").unwrap();
        let runs = batches.iter().flat_map(|b| b.column(0).as_primitive::<Int32Type>().values().to_vec());
        runs.collect::<Vec<_>>().is_sorted()
    };
    // Which worker comes first is chance.
    for _ in 0..50 {
        assert!(in_order(&cut) && in_order(&whole));
    }
}
