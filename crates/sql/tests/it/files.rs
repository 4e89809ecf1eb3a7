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
