//! Queries of the class of TPC-DS over its data at scale 0.01, against DuckDB's answers (`tests/data/tpcds`), at
//! several settings.
//!
//! The generator writes CSV files, which trefoil turns into Parquet: the queries read those.

use std::fs;
use std::path::Path;

use trefoil_plan::Session;
use trefoil_sql::SqlSession;

use super::answers;
use super::tpcds_tables::{TABLES, create, queries, write};

const SCALE: f64 = 0.01;

fn make(dir: &Path) {
    let session = answers::session(2, 8192, "1GiB");
    for name in TABLES {
        let file = dir.join(format!("{name}.csv"));
        write(name, SCALE, &file).unwrap();
        session.block_on(async {
            let _ = session.sql(&create(name, &file)).await.unwrap();
            let frame = session.table(name).await.unwrap();
            frame.write_parquet(dir.join(format!("{name}.parquet"))).await.unwrap();
        });
        fs::remove_file(file).unwrap();
    }
}

fn open(dir: &Path, (workers, batch, memory): (usize, usize, &str)) -> Session {
    let session = answers::session(workers, batch, memory);
    session.block_on(async {
        for entry in fs::read_dir(dir).unwrap() {
            let file = entry.unwrap().path();
            let frame = session.read_parquet(&file).await.unwrap();
            session.register(&file.file_stem().unwrap().to_string_lossy(), &frame).unwrap();
        }
    });
    session
}

#[test]
fn answers_are_those_of_duckdb() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path());
    let queries = queries();
    assert!(queries.len() >= 25);
    let mut wrong = Vec::new();
    for settings in [(2, 8192, "512MiB"), (1, 1000, "48MiB")] {
        let session = open(dir.path(), settings);
        for (name, text) in &queries {
            let difference =
                answers::difference(&session, text, &answers::data(&format!("tpcds/{name}")), true);
            wrong.extend(difference.map(|difference| format!("with {settings:?}: {difference}")));
        }
        let budget = session.engine().budget().clone();
        drop(session);
        assert_eq!(budget.reserved(), 0);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
