//! Bad input through the front door: a typed error that says what was wrong, where, and what to do; and the
//! engine works on after each.

use std::fmt::Write as _;
use std::path::Path;

use trefoil::Error;
use trefoil::prelude::*;

fn session() -> Session {
    Session::builder().workers(2).memory("64MiB").build().unwrap()
}

/// The error has this kind and says each of these things; afterwards the session still answers.
#[track_caller]
fn check<T>(session: &Session, result: trefoil::Result<T>, kind: ErrorKind, says: &[&str]) -> Error {
    let Err(error) = result else { panic!("no error, but {kind:?} was due: {says:?}") };
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    for part in says {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    session.block_on(async {
        assert_eq!(session.sql("SELECT 1").await.unwrap().count().await.unwrap(), 1);
    });
    assert_eq!(session.spawn_fn(|| 1).get().unwrap(), 1);
    assert_eq!(session.budget().reserved(), 0, "nothing stays reserved after: {text}");
    error
}

fn diamonds() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/diamonds.csv").display().to_string()
}

#[test]
fn files() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    std::fs::create_dir(at("empty")).unwrap();
    std::fs::write(at("diamonds.csv"), "a,b\n1,2\n").unwrap();

    let missing = session.block_on(session.read_csv(at("diamond.csv")));
    check(&session, missing, ErrorKind::NotFound, &["diamond.csv", "did you mean", "diamonds.csv"]);
    let query = format!("SELECT * FROM csv.`{}`", at("diamond.csv"));
    let missing = session.block_on(session.sql(&query));
    check(&session, missing, ErrorKind::NotFound, &["diamond.csv", "diamonds.csv"]);
    let none = session.block_on(session.read_parquet(at("empty")));
    check(&session, none, ErrorKind::NotFound, &["empty", ".parquet"]);

    let mut ragged = String::from("id,price\n");
    let mut number = ragged.clone();
    for row in 1..=50_000 {
        let _ = if row == 40_000 { writeln!(ragged, "{row}") } else { writeln!(ragged, "{row},{row}") };
        let _ = if row == 40_000 { writeln!(number, "{row},cheap") } else { writeln!(number, "{row},{row}") };
    }
    for (name, text, what) in [("ragged.csv", ragged, ""), ("number.csv", number, "cheap")] {
        std::fs::write(at(name), text).unwrap();
        let options = CsvOptions::new().infer_rows(1000);
        let read = session
            .block_on(async { session.read_csv_with(at(name), options).await?.collect().await.map(|_| ()) });
        check(&session, read, ErrorKind::MalformedData, &[name, "40001", what]);
    }
}

#[test]
fn names_and_types() {
    let session = session();
    let frame = session.block_on(session.read_csv(diamonds())).unwrap();
    session.register("diamonds", &frame).unwrap();
    let sql = |query: &str| session.block_on(async { session.sql(query).await?.collect().await.map(|_| ()) });
    check(&session, sql("SELECT prise FROM diamonds"), ErrorKind::UnknownColumn, &["prise", "`price`"]);
    check(&session, sql("SELECT * FROM diamond"), ErrorKind::UnknownTable, &["diamond", "`diamonds`"]);
    check(&session, sql("SELEC 1"), ErrorKind::Syntax, &["SELEC"]);
    check(&session, sql("SELECT cut - true FROM diamonds"), ErrorKind::TypeMismatch, &["BOOLEAN"]);
    let frames = frame.select(["prise"]).map(|_| ());
    check(&session, frames, ErrorKind::UnknownColumn, &["prise", "did you mean `price`"]);
    let frames = frame.group_by(["cut"]).mean(["color"]).map(|_| ());
    check(&session, frames, ErrorKind::TypeMismatch, &["color"]);
    let frames = frame.get_dummies().map(|_| ());
    check(&session, frames, ErrorKind::InvalidArgument, &["categorize"]);
}

#[task]
fn fails(code: i64) -> Result<i64, std::io::Error> {
    Err(std::io::Error::other(format!("code {code}")))
}

#[task]
fn panics(code: i64) -> i64 {
    panic!("code {code}")
}

#[task]
fn next(x: i64) -> i64 {
    x + 1
}

#[test]
fn tasks() {
    let session = session();
    let failed = session.spawn(fails(7));
    let error = check(&session, failed.get(), ErrorKind::User, &["fails", "code 7", "failures.rs"]);
    assert!(error.downcast_ref::<std::io::Error>().is_some());
    check(&session, session.spawn(panics(9)).get(), ErrorKind::Panicked, &["panics", "code 9"]);
    let dependent = session.spawn(next(next(&failed)));
    let reached = check(&session, dependent.get(), ErrorKind::User, &["fails", "code 7"]);
    assert!(reached.same_as(&error), "the dependent has the very error of the task");
    let cancelled: Ref<()> = session.spawn_async(std::future::pending());
    cancelled.cancel();
    check(&session, cancelled.get(), ErrorKind::Cancelled, &["cancelled"]);
}

#[test]
fn arrays() {
    let session = session();
    let array = session.array();
    let zero = array.zeros::<f64>([10, 10], chunks([0, 5])).map(|_| ());
    check(&session, zero, ErrorKind::InvalidArgument, &["chunk"]);
    let (a, b) = (
        array.zeros::<f64>([10, 20], chunks([5, 5])).unwrap(),
        array.zeros::<f64>([10, 20], chunks([5, 5])).unwrap(),
    );
    check(&session, a.dot(&b).map(|_| ()), ErrorKind::ShapeMismatch, &["[10, 20]", "dot"]);
}

#[test]
fn engines() {
    let session = session();
    let build = |builder: trefoil::SessionBuilder| builder.build().map(|_| ());
    let check_build = |builder, kind, says: &[&str]| drop(check(&session, build(builder), kind, says));
    use ErrorKind::{InvalidArgument, Io};
    check_build(Session::builder().memory("0"), InvalidArgument, &["`0`"]);
    check_build(Session::builder().memory("plenty"), InvalidArgument, &["`plenty`", "512MiB"]);
    check_build(Session::builder().memory_bytes(0), InvalidArgument, &["too small"]);
    check_build(Session::builder().workers(0), InvalidArgument, &["0 workers"]);
    check_build(Session::builder().spill_dir("/proc/nowhere"), Io, &["/proc/nowhere", "spill_dir"]);

    let other = self::session();
    other.shutdown();
    let used = other.block_on(async { other.sql("SELECT 1").await?.collect().await.map(|_| ()) });
    check(&session, used, ErrorKind::ShutDown, &["shut down"]);
    check(&session, other.spawn(next(1)).get(), ErrorKind::ShutDown, &["shut down"]);
}
