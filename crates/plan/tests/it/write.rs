//! Writing: what comes back is what was written, and a failed write leaves nothing.

use super::{batch, data, session, write};
use trefoil_plan::{ErrorKind, WriteOptions};

#[test]
fn written_and_read_again() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    session.block_on(async {
        let frame = session.frame_from_batches(vec![batch(0, 20_000), batch(20_000, 20_000)]).unwrap();
        let sum = |frames: Vec<datafusion::arrow::array::RecordBatch>| -> i64 {
            use datafusion::arrow::array::AsArray;
            use datafusion::arrow::datatypes::Int64Type;
            frames.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec()).sum()
        };
        let expect = sum(frame.collect().await.unwrap());
        assert_eq!(frame.write_parquet(at("one.parquet")).await.unwrap(), 40_000);
        assert_eq!(frame.write_parquet(at("new/many")).await.unwrap(), 40_000);
        assert_eq!(frame.write_csv(at("one.csv")).await.unwrap(), 40_000);
        assert_eq!(frame.write_json(at("one.json")).await.unwrap(), 40_000);
        assert_eq!(std::fs::read_dir(at("new/many")).unwrap().count(), 2);
        for path in ["one.parquet", "new/many"] {
            let back = session.read_parquet(at(path)).await.unwrap();
            assert_eq!(sum(back.collect().await.unwrap()), expect, "{path}");
        }
        assert_eq!(sum(session.read_csv(at("one.csv")).await.unwrap().collect().await.unwrap()), expect);
        let json = session.read_json(at("one.json")).await.unwrap();
        assert_eq!(json.count().await.unwrap(), 40_000);

        // Nothing is replaced without being asked for.
        let few = session.frame_from_batches(vec![batch(0, 3)]).unwrap();
        for path in ["one.parquet", "new/many"] {
            let error = few.write_parquet(at(path)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
            let overwrite = WriteOptions::new().overwrite(true);
            assert_eq!(few.write_parquet_with(at(path), overwrite).await.unwrap(), 3);
            assert_eq!(session.read_parquet(at(path)).await.unwrap().count().await.unwrap(), 3);
        }
        // Without rows the columns are kept.
        let none = few.inner().clone().limit(0, Some(0)).unwrap();
        let none = trefoil_plan::DataFrame::new(session.clone(), none);
        for path in ["none.parquet", "none"] {
            assert_eq!(none.write_parquet(at(path)).await.unwrap(), 0);
            assert_eq!(session.read_parquet(at(path)).await.unwrap().columns(), ["n", "s", "f"]);
        }
        none.write_csv(at("none.csv")).await.unwrap();
        assert_eq!(std::fs::read_to_string(at("none.csv")).unwrap(), "n,s,f\n");
    });
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
}

#[test]
fn a_failed_write_leaves_nothing() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::from("a\n");
    for row in 0..30_000 {
        text.push_str(if row == 25_000 { "x\n" } else { "1\n" });
    }
    let path = write(&dir, "bad.csv", &text);
    std::fs::create_dir(dir.path().join("out")).unwrap();
    session.block_on(async {
        let bad = session.read_csv(&path).await.unwrap();
        for name in ["out/t.parquet", "out/t", "out/t.csv", "out/t.json"] {
            let target = dir.path().join(name);
            let error = match name {
                "out/t.csv" => bad.write_csv(target).await,
                "out/t.json" => bad.write_json(target).await,
                _ => bad.write_parquet(target).await,
            };
            let error = error.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::MalformedData, "{error}");
            assert!(error.to_string().contains("bad.csv` line 25002"), "{error}");
        }
        assert_eq!(std::fs::read_dir(dir.path().join("out")).unwrap().count(), 0);
        let good = session.read_csv(data("diamonds.csv")).await.unwrap();
        let below_a_file = good.write_parquet(format!("{path}/t.parquet")).await.unwrap_err();
        assert_eq!(below_a_file.kind(), ErrorKind::Io, "{below_a_file}");
        assert_eq!(good.write_csv("/").await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    });
}
