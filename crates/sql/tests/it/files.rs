//! Files by path in the FROM clause.

use super::{check, data, session};
use trefoil_plan::ErrorKind;
use trefoil_sql::SqlSession;

#[test]
fn every_format_by_path() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    session.block_on(async {
        let two = session.sql("SELECT * FROM (VALUES (1, 'x'), (2, 'y')) AS t(n, s)").await.unwrap();
        two.write_parquet(at("two.parquet")).await.unwrap();
        two.write_csv(at("two.csv")).await.unwrap();
        two.write_json(at("two.json")).await.unwrap();
        two.write_parquet(at("many")).await.unwrap();
    });
    for from in ["parquet.`{}/two.parquet`", "csv.`{}/two.csv`", "json.`{}/two.json`", "PARQUET.`{}/many`"] {
        let from = from.replace("{}", dir.path().to_str().unwrap());
        check(&session, &format!("SELECT n, s FROM {from} ORDER BY n"), &["1|x", "2|y"]);
    }
    let everything = format!("{}/*.parquet", dir.path().display());
    check(&session, &format!("SELECT count(*) FROM parquet.`{everything}` AS p WHERE p.n = 1"), &["1"]);
    let join = format!(
        "SELECT a.s FROM csv.`{}` a JOIN parquet.`{}` b ON a.n = b.n WHERE b.n = 2",
        at("two.csv"),
        at("two.parquet")
    );
    check(&session, &join, &["y"]);
}

#[test]
fn avro() {
    let session = session();
    let at = |name: &str| format!("{}/../plan/tests/data/avro/{name}", env!("CARGO_MANIFEST_DIR"));
    // Without the feature there is an error that names it; builds of the whole workspace have it.
    if let Err(error) = session.block_on(session.read_avro(at("orders"))) {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("feature `avro`"), "{error}");
        return;
    }
    let orders = at("orders");
    check(
        &session,
        &format!(
            "SELECT count(*), count(city), sum(due), max(day), count_if(kind = 'new'), sum(box.w), max(size(tags))
             FROM avro.`{orders}`"
        ),
        &["60|40|1785.00|2024-04-28|10|1770|2"],
    );
    check(
        &session,
        &format!("SELECT id, counts['b'] FROM read_avro('{orders}') WHERE id IN (3, 51) ORDER BY id"),
        &["3|-3", "51|-51"],
    );
    check(
        &session,
        &format!("SELECT year, sum(n) FROM avro.`{}` GROUP BY year ORDER BY year", at("years")),
        &["2023|3", "2024|3"],
    );
    let _ = session.block_on(session.sql(&format!("CREATE TABLE o USING avro LOCATION '{orders}'"))).unwrap();
    check(&session, "SELECT max(id) FROM o", &["59"]);
    let write = session.block_on(session.sql("INSERT INTO o SELECT * FROM o")).unwrap_err();
    assert_eq!(write.kind(), ErrorKind::Unsupported, "{write}");
    let external = format!("CREATE EXTERNAL TABLE e STORED AS AVRO LOCATION '{}'", at("orders/xz.avro"));
    let _ = session.block_on(session.sql(&external)).unwrap();
    check(&session, "SELECT min(id), max(id) FROM e", &["50|59"]);
}

#[test]
fn delta() {
    let session = session();
    let at = |name: &str| format!("{}/../plan/tests/data/delta/{name}", env!("CARGO_MANIFEST_DIR"));
    if let Err(error) = session.block_on(session.read_delta(at("keys"))) {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("feature `delta`"), "{error}");
        return;
    }
    let history = at("history");
    check(&session, &format!("SELECT count(*), max(id) FROM delta.`{history}`"), &["18|100"]);
    check(&session, &format!("SELECT count(*), max(id) FROM delta.`{history}@v1`"), &["20|19"]);
    check(
        &session,
        &format!(
            "SELECT k.shop, count(*) FROM read_delta('{}') k JOIN delta.`{history}` h ON h.id = k.n
             WHERE k.day < DATE'2024-02-29' GROUP BY k.shop ORDER BY 1",
            at("keys")
        ),
        &["null|1", "a b|1", "x/y|1"],
    );
    let _ =
        session.block_on(session.sql(&format!("CREATE TABLE h USING delta LOCATION '{history}'"))).unwrap();
    check(&session, "SELECT sum(id) FROM h WHERE id < 5", &["10"]);
    check(&session, "SELECT count(*), max(h.id) FROM h VERSION AS OF 1", &["20|19"]);
    check(&session, "SELECT count(*) FROM H version as of 0 AS old WHERE old.id > 7", &["2"]);
    check(
        &session,
        &format!(
            "SELECT now.id FROM delta.`{history}` now LEFT ANTI JOIN delta.`{history}` VERSION AS OF 3 old ON now.id = old.id"
        ),
        &["100"],
    );
    let write = session.block_on(session.sql("INSERT INTO h SELECT * FROM h")).unwrap_err();
    assert_eq!(write.kind(), ErrorKind::Unsupported, "{write}");

    // A copy whose versions are of the first days of 1970: without rows' files, which are not read for the columns.
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy");
    std::fs::create_dir_all(copy.join("_delta_log")).unwrap();
    for version in 0..5_u64 {
        let name = format!("_delta_log/{version:020}.json");
        std::fs::copy(format!("{history}/{name}"), copy.join(&name)).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(86_400 * (version + 1));
        std::fs::File::options().write(true).open(copy.join(&name)).unwrap().set_modified(time).unwrap();
    }
    let sql = format!("CREATE TABLE c USING delta LOCATION '{}'", copy.display());
    let _ = session.block_on(session.sql(&sql)).unwrap();
    let columns = |moment: &str| {
        let frame = session.block_on(session.sql(&format!("SELECT * FROM c TIMESTAMP AS OF {moment}")));
        frame.map(|frame| frame.columns().len())
    };
    assert_eq!(columns("'1970-01-02'").unwrap(), 4);
    assert_eq!(columns("TIMESTAMP'1970-01-05 00:00:00' - INTERVAL 1 SECOND").unwrap(), 4);
    assert_eq!(columns("DATE'1970-01-05'").unwrap(), 5);
    let refused = |moment: &str, kind: ErrorKind, part: &str| {
        let error = columns(moment).unwrap_err();
        assert_eq!(error.kind(), kind, "{moment}: {error}");
        assert!(error.to_string().contains(part), "{moment}: {error}");
    };
    refused("'1970-01-01'", ErrorKind::NotFound, "out of range");
    refused("'2000-01-01'", ErrorKind::NotFound, "the newest is of 1970-01-06");
    refused("id", ErrorKind::InvalidArgument, "[INVALID_TIME_TRAVEL_TIMESTAMP_EXPR]");
    refused("NULL", ErrorKind::InvalidArgument, "it is null");
    let error = session.block_on(session.sql("SELECT * FROM h VERSION AS OF 9")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let error = session.block_on(session.sql("SELECT * FROM h VERSION AS OF 1.5")).unwrap_err();
    assert!(error.to_string().contains("a version is a number"), "{error}");
}

#[test]
fn the_flights_of_the_tour() {
    let session = session();
    let flights = data("flights");
    // Computed with pandas: 240,000 is given by the README beside the data.
    let query = format!(
        "SELECT origin, AVG(delay) AS delay FROM parquet.`{flights}`
         GROUP BY origin HAVING count(1) > 500 ORDER BY delay DESC LIMIT 3"
    );
    let frame = session.block_on(session.sql(&query)).unwrap();
    assert_eq!(frame.columns(), ["origin", "delay"]);
    assert_eq!(session.block_on(frame.count()).unwrap(), 3);
    let one = format!("SELECT count(*) > 1000 FROM parquet.`{flights}/2001-01.parquet`");
    check(&session, &one, &["true"]);
    let glob = format!("SELECT count(*) > 1000 FROM parquet.`{flights}/2001-0[12].parquet`");
    check(&session, &glob, &["true"]);
}

#[test]
fn paths_that_do_not_fit() {
    let session = session();
    let error = |from: &str| session.block_on(session.sql(&format!("SELECT * FROM {from}"))).unwrap_err();
    let missing = error(&format!("parquet.`{}`", data("flihgts")));
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.to_string().contains("did you mean `"), "{missing}");
    assert!(missing.to_string().contains("flights`?"), "{missing}");
    let wrong = error(&format!("csv.`{}`", data("flights")));
    assert_eq!(wrong.kind(), ErrorKind::NotFound);
    assert!(wrong.to_string().contains("looked for *.csv"), "{wrong}");
    assert!(wrong.to_string().contains("holds Parquet files; read them with `read_parquet`"), "{wrong}");
    let corrupt = error(&format!("parquet.`{}`", data("diamonds.csv")));
    assert_eq!(corrupt.kind(), ErrorKind::MalformedData);
    assert!(corrupt.to_string().contains("diamonds.csv` is not a sound Parquet file"), "{corrupt}");
}
