//! Tables of files in an object store: `CREATE TABLE`, `CREATE EXTERNAL TABLE`, `INSERT INTO / OVERWRITE`, over a store in memory.

use super::{prints, session};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;
use trefoil_plan::{ErrorKind, Session};
use trefoil_sql::SqlSession;

/// A session with the bucket `s3://box`; none without the feature `s3`, which builds of the whole workspace have.
fn open() -> Option<(Session, Arc<InMemory>)> {
    let session = session();
    let store = Arc::new(InMemory::new());
    let url = url::Url::parse("s3://box").unwrap();
    session.context().register_object_store(&url, Arc::clone(&store) as Arc<dyn ObjectStore>);
    match session.block_on(session.read_parquet("s3://box/nothing")) {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            assert!(error.to_string().contains("`s3`"), "{error}");
            None
        }
        _ => Some((session, store)),
    }
}

fn run(session: &Session, statement: &str) {
    let _ = session.block_on(session.sql(statement)).unwrap_or_else(|error| panic!("{statement}\n{error}"));
}

fn fails(session: &Session, statement: &str, kind: ErrorKind, says: &str) {
    let error = session.block_on(session.sql(statement)).map(|_| ()).expect_err(statement);
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

fn objects(session: &Session, store: &InMemory) -> Vec<String> {
    let all = store.list(None).map_ok(|object| object.location.to_string()).try_collect();
    let mut all: Vec<String> = session.block_on(all).unwrap();
    all.sort();
    all
}

const FAILING: &str =
    "SELECT id, CASE WHEN id = 99999 THEN raise_error('no more') ELSE id END FROM range(100000)";

#[test]
fn tables_by_format() {
    let Some((session, store)) = open() else { return };
    for format in ["parquet", "csv", "json", "arrow"] {
        let t = format!("t_{format}");
        run(&session, &format!("CREATE TABLE {t} (k INT, v BIGINT) USING {format} LOCATION 's3://box/{t}'"));
        let all = format!("SELECT k, v FROM {t} ORDER BY k, v");
        prints(&session, &all, &[]);
        run(&session, &format!("INSERT INTO {t} VALUES (1, 10), (2, 20)"));
        run(&session, &format!("INSERT INTO {t} (v, k) SELECT 30L, 3"));
        prints(&session, &all, &["1|10", "2|20", "3|30"]);
        // A statement that reads what it replaces.
        run(&session, &format!("INSERT OVERWRITE {t} SELECT k, v + 1 FROM {t} WHERE k > 1"));
        prints(&session, &all, &["2|21", "3|31"]);
        let before = objects(&session, &store);
        for what in ["INTO", "OVERWRITE"] {
            fails(&session, &format!("INSERT {what} {t} {FAILING}"), ErrorKind::User, "no more");
            assert_eq!(objects(&session, &store), before, "{format}, {what}");
        }
        fails(&session, &format!("INSERT INTO {t} VALUES (1)"), ErrorKind::InvalidArgument, "21S01");
        prints(&session, &all, &["2|21", "3|31"]);
        // The files of a LOCATION stay.
        run(&session, &format!("DROP TABLE {t}"));
        assert_eq!(objects(&session, &store), before);
    }
}

#[test]
fn partitions() {
    let Some((session, store)) = open() else { return };
    run(
        &session,
        "CREATE TABLE p USING parquet PARTITIONED BY (y, m) LOCATION 's3://box/p' AS
         SELECT * FROM VALUES (1, 2023, 1), (2, 2023, 2), (3, 2024, 1) AS t(v, y, m)",
    );
    let all = "SELECT v, y, m FROM p ORDER BY v";
    prints(&session, "SHOW PARTITIONS p", &["y=2023/m=1", "y=2023/m=2", "y=2024/m=1"]);
    run(&session, "INSERT INTO p PARTITION (y = 2024, m) VALUES (4, 2)");
    run(&session, "INSERT OVERWRITE p PARTITION (y = 2023, m = 1) VALUES (5)");
    prints(&session, all, &["2|2023|2", "3|2024|1", "4|2024|2", "5|2023|1"]);
    run(&session, "SET spark.sql.sources.partitionOverwriteMode = dynamic");
    run(&session, "INSERT OVERWRITE p VALUES (6, 2024, 1), (7, 2025, 1)");
    prints(&session, all, &["2|2023|2", "4|2024|2", "5|2023|1", "6|2024|1", "7|2025|1"]);
    // Without rows a partition that is named goes.
    run(&session, "INSERT OVERWRITE p PARTITION (y = 2023, m = 2) SELECT 1 WHERE false");
    prints(&session, "SHOW PARTITIONS p", &["y=2023/m=1", "y=2024/m=1", "y=2024/m=2", "y=2025/m=1"]);
    assert!(objects(&session, &store).iter().all(|name| name.starts_with("p/y=")));
}

#[test]
fn the_warehouse_in_a_store() {
    let Some((session, store)) = open() else { return };
    run(&session, "SET spark.sql.warehouse.dir = 's3://box/warehouse'");
    run(&session, "CREATE TABLE w USING parquet AS SELECT id FROM range(3)");
    run(&session, "INSERT INTO w VALUES (7)");
    prints(&session, "SELECT sum(id) FROM w", &["10"]);
    assert!(objects(&session, &store).iter().all(|name| name.starts_with("warehouse/w/")));
    run(&session, "DROP TABLE w");
    assert!(objects(&session, &store).is_empty());
}

fn external(session: &Session, location: &str) {
    for (format, options) in [("PARQUET", ""), ("CSV", " OPTIONS ('format.has_header' 'true')"), ("JSON", "")]
    {
        let name = format!("e_{}", format.to_lowercase());
        run(
            session,
            &format!(
                "CREATE TABLE first USING {format} LOCATION '{location}/{name}' AS SELECT 1L AS k, 'a' AS v"
            ),
        );
        run(session, "DROP TABLE first");
        run(
            session,
            &format!(
                "CREATE EXTERNAL TABLE {name} (k BIGINT, v STRING) STORED AS {format} LOCATION '{location}/{name}/'{options}"
            ),
        );
        let all = format!("SELECT k, v FROM {name} ORDER BY k");
        run(session, &format!("INSERT INTO {name} VALUES (2, 'b'), (3, NULL)"));
        run(session, &format!("INSERT INTO {name} (k) VALUES (4)"));
        prints(session, &format!("SELECT k FROM {name} ORDER BY k"), &["1", "2", "3", "4"]);
        fails(session, &format!("INSERT INTO {name} {FAILING}"), ErrorKind::User, "no more");
        prints(session, &format!("SELECT count(*) FROM {name}"), &["4"]);
        run(session, &format!("INSERT OVERWRITE {name} SELECT k * 10, 'x' FROM {name} WHERE k < 3"));
        prints(session, &all, &["10|x", "20|x"]);
    }
}

#[test]
fn external_tables_of_this_machine() {
    let dir = tempfile::tempdir().unwrap();
    let session = session();
    external(&session, dir.path().to_str().unwrap());
    let file = dir.path().join("one.csv");
    std::fs::write(&file, "k\n1\n").unwrap();
    run(
        &session,
        &format!(
            "CREATE EXTERNAL TABLE one (k BIGINT) STORED AS CSV LOCATION '{}' OPTIONS ('format.has_header' 'true')",
            file.display()
        ),
    );
    fails(&session, "INSERT INTO one VALUES (2)", ErrorKind::Unsupported, "is one file");
    let dir = dir.path().join("plain");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("a.csv"), "1\n").unwrap();
    run(
        &session,
        &format!(
            "CREATE EXTERNAL TABLE plain (k BIGINT) STORED AS CSV LOCATION '{}/' OPTIONS ('format.has_header' 'false')",
            dir.display()
        ),
    );
    fails(&session, "INSERT INTO plain VALUES (2)", ErrorKind::Unsupported, "header");
}

#[test]
fn external_tables_in_a_store() {
    let Some((session, store)) = open() else { return };
    external(&session, "s3://box/ext");
    run(
        &session,
        "CREATE EXTERNAL TABLE h (v BIGINT, k INT) STORED AS PARQUET PARTITIONED BY (k) LOCATION 's3://box/h/'",
    );
    run(&session, "INSERT INTO h VALUES (10, 1), (20, 2)");
    run(&session, "INSERT OVERWRITE h PARTITION (k = 2) VALUES (21)");
    prints(&session, "SELECT k, v FROM h ORDER BY k", &["1|10", "2|21"]);
    let names = objects(&session, &store);
    assert!(names.iter().any(|name| name.starts_with("h/k=1/")), "{names:?}");
    session.block_on(store.delete(&names[0].as_str().into())).unwrap();
}
