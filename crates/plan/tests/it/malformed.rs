//! Rows that break their format far below the rows the types were found in: file and line are named.

use super::{session, write};
use futures::StreamExt;
use std::fmt::Write;
use trefoil_plan::{ErrorKind, Session};

/// 50,000 rows with one row replaced; row 1 is on line 2.
fn rows(bad: usize, text: &str) -> String {
    let mut csv = String::from("id,name,price\n");
    for row in 1..=50_000 {
        if row == bad {
            csv.push_str(text);
        } else {
            writeln!(csv, "{row},thing {row},{}.5", row % 100).unwrap();
        }
    }
    csv
}

fn read(session: &Session, path: &str) -> trefoil_plan::Error {
    session
        .block_on(async { session.read_csv(path).await?.collect().await })
        .expect_err("a broken row must be an error")
}

#[test]
fn csv_rows_far_down() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let check = |name: &str, bad: &str, parts: &[&str]| {
        let path = write(&dir, name, &rows(40_000, bad));
        let error = read(&session, &path);
        assert_eq!(error.kind(), ErrorKind::MalformedData, "{error}");
        assert!(error.to_string().contains(&format!("{name}` line 40001: ")), "{error}");
        for part in parts {
            assert!(error.to_string().contains(part), "lacks {part:?}: {error}");
        }
    };
    check("value.csv", "forty,thing,1.5\n", &["`forty` in column `id` is not of type Int64", "column_type"]);
    check("price.csv", "40000,thing,cheap\n", &["`cheap` in column `price` is not of type Float64"]);
    check("short.csv", "40000,thing\n", &["the row has 2 cells, expected 3", "pad_short_rows"]);
    check("long.csv", "40000,thing,1,2\n", &["the row has 4 cells, expected 3", "must be quoted"]);
    // The engine keeps working.
    let good = write(&dir, "good.csv", &rows(0, ""));
    let count = session.block_on(async { session.read_csv(&good).await?.count().await });
    assert_eq!(count.unwrap(), 50_000);
}

#[test]
fn lines_are_counted_as_an_editor_does() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let text = rows(40_000, "forty,thing,1.5\n").replacen("thing 7,", "\"thing\n\n7\",", 1);
    let error = read(&session, &write(&dir, "lines.csv", &text));
    assert!(error.to_string().contains("lines.csv` line 40003: "), "{error}");
}

#[test]
fn the_file_of_several_is_named_through_views_and_streams() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    write(&dir, "many/a.csv", &rows(0, ""));
    write(&dir, "many/b.csv", &rows(30_000, "x,y\n"));
    session.block_on(async {
        let frame = session.read_csv(dir.path().join("many")).await.unwrap();
        session.register("many", &frame).unwrap();
        let table = session.context().sql("SELECT sum(id) FROM many").await.unwrap();
        let table = trefoil_plan::DataFrame::new(session.clone(), table);
        for error in [table.collect().await.unwrap_err(), table.persist().await.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::MalformedData, "{error}");
            assert!(error.to_string().contains("b.csv` line 30001: the row has 2 cells"), "{error}");
        }
        let mut stream = frame.stream();
        let error = loop {
            if let Err(error) = stream.next().await.expect("the stream must end in an error") {
                break error;
            }
        };
        assert!(error.to_string().contains("b.csv` line 30001"), "{error}");
        assert!(stream.next().await.is_none());
    });
}

#[test]
fn near_the_start() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, "ragged.csv", "a,b\n1,2\n3,4,5\n");
    let error = read(&session, &path);
    assert_eq!(error.kind(), ErrorKind::MalformedData, "{error}");
    assert!(error.to_string().contains("ragged.csv` line 3: the row has 3 cells, expected 2"), "{error}");
}

#[test]
fn json_lines() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let check = |name: &str, bad: &str| {
        let mut text = String::new();
        for row in 1..=30_000 {
            let line = format!("{{\"id\": {row}}}");
            writeln!(text, "{}", if row == 20_000 { bad } else { &line }).unwrap();
        }
        let path = write(&dir, name, &text);
        let error = session.block_on(async { session.read_json(&path).await?.collect().await }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MalformedData, "{error}");
        assert!(error.to_string().contains(&format!("{name}` line 20000: ")), "{error}");
    };
    check("cut.json", "{\"id\": 2");
    check("type.json", "{\"id\": \"many\"}");
}

#[test]
fn words_for_null_keep_the_line() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, "words.csv", &rows(40_000, "40000,thing,dear\n").replace("thing 7,", "NA,"));
    let options = trefoil_plan::CsvOptions::new().nulls(["NA"]);
    let read = session.block_on(async { session.read_csv_with(&path, options).await?.collect().await });
    let error = read.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MalformedData, "{error}");
    assert!(error.to_string().contains("words.csv` line 40001: `dear` in column `price`"), "{error}");
}
