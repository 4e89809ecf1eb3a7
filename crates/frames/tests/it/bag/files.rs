//! Bags from and to files of lines.

use std::fs;
use std::io::Write;
use std::path::Path;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use trefoil_core::{Error, ErrorKind};
use trefoil_frames::bag::{BagSession, TextOptions};

use super::{compute, engine, value};

fn read(path: impl AsRef<Path>, block: Option<u64>) -> Vec<String> {
    let options = block.map_or(TextOptions::new(), |bytes| TextOptions::new().block_bytes(bytes));
    compute(&engine().bag().read_text_with(path, options).unwrap())
}

#[test]
fn files_directories_and_patterns() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("a.txt"), "one\r\ntwo\n").unwrap();
    fs::write(at("b.txt"), "three").unwrap();
    fs::write(at("c.log"), "\nfour\n\n").unwrap();
    fs::write(at(".hidden"), "no").unwrap();
    fs::write(at("empty.none"), "").unwrap();
    let mut zip = flate2::write::GzEncoder::new(fs::File::create(at("d.gz")).unwrap(), Default::default());
    zip.write_all(b"packed\nlines").unwrap();
    zip.finish().unwrap();
    for block in [None, Some(1), Some(3), Some(100)] {
        assert_eq!(read(at("a.txt"), block), ["one", "two"]);
        assert_eq!(read(at("*.txt"), block), ["one", "two", "three"]);
        assert_eq!(read(at("c.log"), block), ["", "four", ""]);
        assert_eq!(read(at("d.gz"), block), ["packed", "lines"]);
        assert_eq!(read(dir.path(), block).len(), 8);
        assert!(read(at("empty.none"), block).is_empty());
    }
    assert_eq!(engine().bag().read_text(at("*.txt")).unwrap().partition_count(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn blocks_cut_at_line_ends(lines in prop::collection::vec("[a-zä€]{0,9}", 0..30), block in 1..40_u64) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines.txt");
        fs::write(&path, lines.join("\n")).unwrap();
        // the end of the text ends the last line; nothing after a last line end is no line
        let mut expect = lines.clone();
        if expect.last().is_some_and(String::is_empty) {
            expect.pop();
        }
        prop_assert_eq!(read(&path, Some(block)), expect.clone());
        prop_assert_eq!(read(&path, None), expect);
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Gem {
    cut: String,
    carat: Option<f64>,
}

#[test]
fn json_lines_there_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let gems: Vec<Gem> =
        (0..10).map(|i| Gem { cut: format!("c{i}"), carat: (i % 2 == 0).then_some(f64::from(i)) }).collect();
    let bag = engine().bag().of(gems.clone(), 3).unwrap();
    let out = dir.path().join("gems");
    let files = engine().block_on(bag.write_json(&out)).unwrap();
    assert_eq!(files.len(), 3);
    assert!(files.iter().all(|file| file.is_file()));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(compute(&engine().bag().read_json::<Gem>(&out).unwrap()), gems);
    let any = engine().bag().read_json_with::<Value>(&out, TextOptions::new().block_bytes(20)).unwrap();
    assert_eq!(value(any.map(|_| 1).sum()), 10);
    assert_eq!(compute(&any.pluck("cut"))[1], json!("c1"));
    assert_eq!(compute(&any.pluck("price"))[1], Value::Null);
    let text = bag.map(|gem| gem.cut);
    let again = engine().block_on(text.write_text(dir.path().join("cuts"))).unwrap();
    assert_eq!(fs::read_to_string(&again[0]).unwrap(), "c0\nc1\nc2\nc3\n");
}

#[test]
fn errors_name_the_place() {
    let check = |error: Error, kind: ErrorKind, words: &str| {
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let b = engine().bag();
    check(b.read_text(at("*.txt")).unwrap_err(), ErrorKind::NotFound, "no file matches");
    check(b.read_text("[").unwrap_err(), ErrorKind::InvalidArgument, "not a pattern");
    fs::write(at("bad.txt"), b"fine\n\xff\n").unwrap();
    let zero = b.read_text_with(at("bad.txt"), TextOptions::new().block_bytes(0));
    check(zero.unwrap_err(), ErrorKind::InvalidArgument, "at least one byte");
    let bad = b.read_text(at("bad.txt")).unwrap();
    check(engine().block_on(bad.compute()).unwrap_err(), ErrorKind::MalformedData, "byte 5 of");
    fs::write(at("bad.jsonl"), "{\"cut\": \"a\"}\n\n{\"cut\": 1}\n").unwrap();
    let bad = b.read_json::<Gem>(at("bad.jsonl")).unwrap();
    check(engine().block_on(bad.compute()).unwrap_err(), ErrorKind::MalformedData, "byte 14 of");
    fs::write(at("bad.gz"), "no gzip").unwrap();
    let bad = b.read_text(at("bad.gz")).unwrap();
    check(engine().block_on(bad.compute()).unwrap_err(), ErrorKind::MalformedData, "bad.gz");
    let gone = b.read_text(at("bad.txt")).unwrap();
    fs::remove_file(at("bad.txt")).unwrap();
    check(engine().block_on(gone.compute()).unwrap_err(), ErrorKind::NotFound, "bad.txt");
    // a failed write leaves nothing behind
    let lines = b.of(["a", "b\nc"], 2).unwrap();
    let out = at("out");
    check(engine().block_on(lines.write_text(&out)).unwrap_err(), ErrorKind::MalformedData, "line end");
    fs::create_dir(&out).unwrap();
    check(engine().block_on(lines.write_text(&out)).unwrap_err(), ErrorKind::AlreadyExists, "exists already");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
}
