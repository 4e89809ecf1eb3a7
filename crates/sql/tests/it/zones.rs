//! The time zone of a session: against what Spark printed (`tests/data/spark_zones.jsonl`, made by `make_zones.py`), and
//! what is refused.

use super::as_spark::{check_file, rows};
use super::{prints, session};
use datafusion::arrow::array::{ArrayRef, RecordBatch, TimestampMicrosecondArray, TimestampNanosecondArray};
use std::sync::Arc;
use trefoil_plan::{ErrorKind, Session};
use trefoil_sql::SqlSession;

fn set(session: &Session, statement: &str) {
    let _ = session.block_on(session.sql(statement)).unwrap_or_else(|error| panic!("{statement}\n{error}"));
}

#[test]
fn as_spark_in_three_zones() {
    check_file("spark_zones.jsonl", 140, &[]);
}

#[test]
fn settings_and_their_errors() {
    let session = session();
    let zone = "SELECT current_timezone()";
    prints(&session, zone, &["UTC"]);
    for (statement, expect) in [
        ("SET TIME ZONE 'Europe/Berlin'", "Europe/Berlin"),
        ("SET spark.sql.session.timeZone = America/New_York", "America/New_York"),
        ("SET spark.sql.session.timeZone = 'Asia/Tokyo'", "Asia/Tokyo"),
        ("SET TIME ZONE INTERVAL 2 HOURS", "+02:00"),
        ("set time zone interval '02:30' hour to minute", "+02:30"),
        ("SET TIME ZONE INTERVAL -3 HOURS", "-03:00"),
        ("SET TIME ZONE INTERVAL 2 HOURS 30 MINUTES", "+02:30"),
        ("SET TIME ZONE '+2'", "+2"),
        ("SET TIME ZONE 'UTC+3'", "UTC+3"),
        ("SET TIME ZONE 'PST'", "PST"),
        ("SET spark.sql.session.timeZone = +05:30", "+05:30"),
        ("SET TIME ZONE 'Etc/UTC'", "Etc/UTC"),
    ] {
        prints(&session, statement, &[&format!("spark.sql.session.timeZone|{expect}")]);
        prints(&session, zone, &[expect]);
        prints(
            &session,
            "SET spark.sql.session.timeZone",
            &[&format!("spark.sql.session.timeZone|{expect}")],
        );
    }
    // Whatever the machine says it is.
    set(&session, "SET TIME ZONE LOCAL");
    set(&session, "SET TIME ZONE 'Europe/Berlin'");
    let check = |statement: &str, says: &[&str]| {
        let error = session.block_on(session.sql(statement)).map(|_| ()).expect_err(statement);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        says.iter().for_each(|part| assert!(error.to_string().contains(part), "{part}: {error}"));
        prints(&session, zone, &["Europe/Berlin"]);
    };
    check(
        "SET TIME ZONE 'Europe/Berlyn'",
        &["INVALID_CONF_VALUE.TIME_ZONE", "22022", "did you mean `Europe/Berlin`"],
    );
    check("SET spark.sql.session.timeZone = europe/paris", &["did you mean `Europe/Paris`"]);
    check("SET TIME ZONE 'Mars'", &["there is no time zone `Mars`", "+02:00"]);
    check("SET TIME ZONE ''", &["INVALID_CONF_VALUE"]);
    check("SET TIME ZONE INTERVAL 20 HOURS", &["TIMEZONE_INTERVAL_OUT_OF_RANGE"]);
    check("SET TIME ZONE INTERVAL 1 MONTH", &["TIMEZONE_INTERVAL_OUT_OF_RANGE"]);
    let syntax = session.block_on(session.sql("SET TIME ZONE PST")).map(|_| ()).unwrap_err();
    assert_eq!(syntax.kind(), ErrorKind::Syntax, "{syntax}");
}

#[test]
fn tables_and_files() {
    let dir = tempfile::tempdir().unwrap();
    let session = session();
    let micros = [1_719_828_000_000_000, 1_704_063_600_000_000];
    let moments = |zone: &str| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(micros.to_vec()).with_timezone(zone))
    };
    let local: ArrayRef = Arc::new(TimestampMicrosecondArray::from(micros.to_vec()));
    let columns = [("u", moments("UTC")), ("b", moments("Europe/Berlin")), ("l", local)];
    session.register_batches("t", vec![RecordBatch::try_from_iter(columns).unwrap()]).unwrap();
    let query = "SELECT u, b, l, hour(u), hour(b), hour(l), u = b, CAST(b AS STRING) FROM t ORDER BY u";
    // In UTC all are shown in UTC, whatever their types say.
    let utc = [
        "2023-12-31 23:00:00|2023-12-31 23:00:00|2023-12-31 23:00:00|23|23|23|true|2023-12-31 23:00:00",
        "2024-07-01 10:00:00|2024-07-01 10:00:00|2024-07-01 10:00:00|10|10|10|true|2024-07-01 10:00:00",
    ];
    prints(&session, query, &utc);
    set(&session, "SET TIME ZONE 'America/New_York'");
    // Moments move, readings of a clock stay.
    prints(
        &session,
        query,
        &[
            "2023-12-31 18:00:00|2023-12-31 18:00:00|2023-12-31 23:00:00|18|18|23|true|2023-12-31 18:00:00",
            "2024-07-01 06:00:00|2024-07-01 06:00:00|2024-07-01 10:00:00|6|6|10|true|2024-07-01 06:00:00",
        ],
    );
    prints(&session, "DESCRIBE t", &["u|timestamp|NULL", "b|timestamp|NULL", "l|timestamp_ntz|NULL"]);
    // Nanoseconds, as pandas writes them.
    let nanos: ArrayRef =
        Arc::new(TimestampNanosecondArray::from(vec![1_719_828_000_000_000_007]).with_timezone("UTC"));
    session.register_batches("nanos", vec![RecordBatch::try_from_iter([("n", nanos)]).unwrap()]).unwrap();
    prints(
        &session,
        "SELECT n, hour(n), CAST(n AS DATE), n > '2024-07-01 05:59:59' FROM nanos",
        &["2024-07-01 06:00:00.000000007|6|2024-07-01|true"],
    );
    // By name, alias, path and sub-query; with other columns' names kept.
    let path = dir.path().join("t.parquet");
    session.block_on(async {
        session.sql("SELECT * FROM t").await.unwrap().write_parquet(&path).await.unwrap()
    });
    for from in ["t", "t AS t", "(SELECT * FROM t) t", &format!("parquet.`{}` AS t", path.display())] {
        let text =
            format!("SELECT t.u, date_trunc('day', t.b) FROM {from} WHERE t.u > '2024-07-01 05:59:59'");
        prints(&session, &text, &["2024-07-01 06:00:00|2024-07-01 00:00:00"]);
        let text = format!(
            "SELECT count(*) FROM {from} WHERE t.b BETWEEN '2023-12-31' AND TIMESTAMP'2023-12-31 18:00:00'"
        );
        prints(&session, &text, &["1"]);
    }
    // Written and read back, in every format that SQL writes.
    for format in ["parquet", "csv", "json", "arrow"] {
        let at = dir.path().join(format);
        set(
            &session,
            &format!(
                "CREATE TABLE {format}s (at TIMESTAMP, seen TIMESTAMP_NTZ) USING {format} LOCATION '{}'",
                at.display()
            ),
        );
        let values = "VALUES (TIMESTAMP'2024-07-01 06:00:00', TIMESTAMP_NTZ'2024-07-01 06:00:00'), (timestamp_seconds(0), NULL)";
        set(&session, &format!("INSERT INTO {format}s {values}"));
        set(&session, &format!("INSERT INTO {format}s {values}"));
        prints(
            &session,
            &format!("SELECT DISTINCT at, unix_seconds(at), seen FROM {format}s ORDER BY at"),
            &["1969-12-31 19:00:00|0|NULL", "2024-07-01 06:00:00|1719828000|2024-07-01 06:00:00"],
        );
    }
    // Columns of a table are moments of the zone in which it was made.
    set(&session, "CREATE TABLE made (at TIMESTAMP, seen TIMESTAMP_NTZ)");
    set(
        &session,
        "INSERT INTO made VALUES (TIMESTAMP'2024-07-01 06:00:00', TIMESTAMP_NTZ'2024-07-01 06:00:00')",
    );
    prints(&session, "SELECT unix_seconds(at), seen FROM made", &["1719828000|2024-07-01 06:00:00"]);
    set(&session, "SET TIME ZONE 'UTC'");
    prints(&session, "SELECT at, seen, hour(at) FROM made", &["2024-07-01 10:00:00|2024-07-01 06:00:00|10"]);
    prints(&session, query, &utc);
}

#[test]
fn what_is_not_built_is_refused() {
    let session = session();
    set(&session, "SET TIME ZONE 'Europe/Berlin'");
    for text in [
        "SELECT to_json(struct(timestamp_seconds(0) AS t))",
        "SELECT from_json('{\"t\": \"2024-01-01\"}', 't TIMESTAMP')",
        "SELECT from_csv('2024-01-01', 't TIMESTAMP')",
        "SELECT to_csv(struct(timestamp_seconds(0) AS t))",
        "SELECT sequence(TIMESTAMP'2024-03-30', TIMESTAMP'2024-04-02', INTERVAL 1 DAY)",
        "SELECT current_time(3)",
    ] {
        let error = rows(&session, text).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("time zone"), "{error}");
    }
    // The same functions without timestamps are what they were.
    prints(
        &session,
        "SELECT to_json(struct(1 AS a)), from_json('{\"a\": 2}', 'a INT'), sequence(1, 3)",
        &["{\"a\":1}|{\"a\":2}|[1,2,3]"],
    );
}
