//! Tables made by `CREATE TABLE`: in the store, spilled, changed; beside DataFusion's own tables in memory.

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use trefoil_plan::{DataFrame, ErrorKind, Result, Session};

fn session(memory: &str) -> Session {
    Session::builder().workers(2).memory(memory).build().unwrap()
}

/// Carries a statement out as the SQL leaf does.
async fn run(session: &Session, text: &str) -> Result<Vec<RecordBatch>> {
    let plan = session.context().state().create_logical_plan(text).await.unwrap();
    if let LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(create)) = plan {
        session.create_table(create).await?;
        return Ok(Vec::new());
    }
    let frame = session.context().execute_logical_plan(plan).await.unwrap();
    DataFrame::new(session.clone(), frame).collect().await
}

/// The same in DataFusion's tables, on a runtime that it can spawn on.
async fn oracle(session: &Session, plain: &SessionContext, text: &str) -> Vec<RecordBatch> {
    let (plain, text) = (plain.clone(), text.to_owned());
    let done = session.on_cpu(async move { plain.sql(&text).await?.collect().await }).await.unwrap();
    done.unwrap()
}

#[test]
fn statements_do_what_they_do_to_tables_in_memory() {
    let session = session("64MiB");
    let plain = SessionContext::new();
    let statements = [
        "CREATE TABLE t (n BIGINT, s VARCHAR DEFAULT 'none')",
        "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, NULL)",
        "INSERT INTO t (n) VALUES (4), (NULL)",
        "INSERT INTO t SELECT n * 10, s FROM t",
        "UPDATE t SET s = concat(s, '!'), n = n + 1 WHERE n > 2",
        "DELETE FROM t WHERE n = 2",
        "UPDATE t SET n = 0 WHERE s IS NULL",
        "CREATE TABLE IF NOT EXISTS t (x INT)",
        "CREATE TABLE u AS SELECT s, count(*) AS c FROM t GROUP BY s",
        "CREATE OR REPLACE TABLE u AS SELECT s, sum(n) AS c FROM t GROUP BY s",
        "DELETE FROM u WHERE c > 20 AND s = 'none'",
        "CREATE TABLE v AS SELECT * FROM t WHERE false",
        "INSERT INTO v SELECT * FROM t",
        "DELETE FROM v",
        "INSERT INTO v VALUES (7, 'seven')",
        "DROP TABLE v",
    ];
    session.block_on(async {
        for statement in statements {
            let found = run(&session, statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
            let expected = oracle(&session, &plain, statement).await;
            let text = |batches: &[RecordBatch]| pretty_format_batches(batches).unwrap().to_string();
            if statement.starts_with(['I', 'U', 'D']) && !statement.starts_with("DROP") {
                assert_eq!(text(&found), text(&expected), "{statement}");
            }
            for table in ["t", "u", "v"].iter().filter(|t| session.tables().contains(&(**t).to_owned())) {
                let query = format!("SELECT * FROM {table} ORDER BY 1, 2");
                let found = run(&session, &query).await.unwrap();
                let expected = oracle(&session, &plain, &query).await;
                let expected: Vec<_> = expected.into_iter().filter(|batch| batch.num_rows() > 0).collect();
                let found: Vec<_> = found.into_iter().filter(|batch| batch.num_rows() > 0).collect();
                assert_eq!(text(&found), text(&expected), "after {statement}");
            }
        }
        let error = run(&session, "CREATE TABLE t (x INT)").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
        assert!(error.to_string().contains("CREATE OR REPLACE"), "{error}");
    });
}

#[test]
fn a_table_of_ten_budgets_is_stored_iterated_and_aggregated() {
    const ROWS: i64 = 2_700_000;
    let session = session("4MiB");
    session.block_on(async {
        run(&session, &format!("CREATE TABLE t AS SELECT value AS n, value * 3 AS m FROM range(0, {ROWS})"))
            .await
            .unwrap();
        let stored: usize = session.store().objects().iter().map(|object| object.memory_bytes).sum();
        assert!(stored >= 40 << 20, "{stored} bytes are not ten budgets");
        assert!(session.budget().peak() <= session.budget().limit(), "{}", session.budget().peak());
        let mut stream = session.table("t").await.unwrap().stream();
        let (mut rows, mut sum) = (0, 0);
        while let Some(batch) = stream.next().await {
            let batch = batch.unwrap();
            rows += batch.num_rows() as i64;
            sum += batch.column(1).as_primitive::<Int64Type>().values().iter().sum::<i64>();
        }
        assert_eq!((rows, sum), (ROWS, 3 * (ROWS - 1) * ROWS / 2));
        let text = "SELECT n % 10 AS k, count(*) AS c, sum(m) AS s FROM t GROUP BY k ORDER BY k";
        let groups = run(&session, text).await.unwrap();
        let groups = datafusion::arrow::compute::concat_batches(&groups[0].schema(), &groups).unwrap();
        for k in 0..10usize {
            assert_eq!(groups.column(1).as_primitive::<Int64Type>().value(k), ROWS / 10);
            let expected: i64 = (0..ROWS / 10).map(|i| 3 * (10 * i + k as i64)).sum();
            assert_eq!(groups.column(2).as_primitive::<Int64Type>().value(k), expected);
        }
        let _ = run(&session, "DROP TABLE t").await.unwrap();
    });
    let begin = std::time::Instant::now();
    while session.budget().reserved() > 0 || session.store().object_count() > 0 {
        assert!(begin.elapsed().as_secs() < 20, "{:?}", session.budget().consumers());
        std::thread::yield_now();
    }
}
