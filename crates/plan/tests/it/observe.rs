//! What queries tell of themselves, and the tables of the engine.

use super::{batch, data, session};
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use futures::StreamExt;
use trefoil_core::EventKind;
use trefoil_plan::{DataFrame, ErrorKind, Session};

async fn sql(session: &Session, text: &str) -> trefoil_plan::Result<DataFrame> {
    let (context, query) = (session.context().clone(), text.to_owned());
    let planned = session.on_cpu(async move { context.sql(&query).await }).await?;
    Ok(DataFrame::new(session.clone(), planned.map_err(|error| session.error(error, "sql"))?).with_text(text))
}

async fn rows(session: &Session, text: &str) -> RecordBatch {
    let batches = sql(session, text).await.unwrap().collect().await.unwrap();
    datafusion::arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn words(batch: &RecordBatch, column: &str) -> Vec<String> {
    let texts = batch.column_by_name(column).unwrap().as_string::<i32>();
    texts.iter().map(|text| text.unwrap_or("null").to_owned()).collect()
}

fn numbers(batch: &RecordBatch, column: &str) -> Vec<i64> {
    batch.column_by_name(column).unwrap().as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn every_table_can_be_read_by_sql_and_as_a_frame() {
    let session = session();
    session.block_on(async {
        for name in ["actors", "engine", "objects", "queries", "tasks", "workers"] {
            let text = format!("SELECT * FROM trefoil.{name}");
            let by_sql = sql(&session, &text).await.unwrap();
            let frame = session.table(&format!("trefoil.{name}")).await.unwrap();
            assert_eq!(by_sql.columns(), frame.columns(), "{name}");
            frame.collect().await.unwrap();
        }
        let missing = session.table("trefoil.task").await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::UnknownTable);
        // Not among the user's own tables.
        assert!(session.tables().is_empty());
    });
}

#[test]
fn queries_are_listed_with_what_they_did() {
    let session = session();
    session.block_on(async {
        let good = "SELECT count(*) AS n FROM (VALUES (1), (2), (3)) AS t(a)";
        assert_eq!(numbers(&rows(&session, good).await, "n"), [3]);
        let bad = "SELECT 1 / (a - 1) AS x FROM (VALUES (1)) AS t(a)";
        sql(&session, bad).await.unwrap().collect().await.unwrap_err();
        let list = rows(&session, "SELECT * FROM trefoil.queries ORDER BY id").await;
        assert_eq!(words(&list, "text")[..2], [good, bad]);
        assert_eq!(words(&list, "state"), ["finished", "failed", "running"]);
        assert_eq!(numbers(&list, "rows")[0], 1);
        assert!(numbers(&list, "operators")[0] > 0);
        assert!(words(&list, "error")[1].to_lowercase().contains("zero"), "{list:?}");
        assert_eq!(session.status().failures.len(), 1);
        assert!(session.status().queries.is_empty());
    });
}

#[test]
fn a_dropped_stream_is_a_cancelled_query() {
    let session = session();
    session.block_on(async {
        let frame = session.read_csv(data("diamonds.csv")).await.unwrap();
        let mut stream = frame.stream();
        stream.next().await.unwrap().unwrap();
        assert!(session.status().queries[0].text.starts_with("stream: "), "{}", session.status());
        drop(stream);
        let all = frame.count().await.unwrap();
        assert_eq!(all, 53_940);
    });
    // The aborted query is dropped by its runtime soon after.
    while !session.status().queries.is_empty() {
        std::thread::yield_now();
    }
    let states: Vec<_> = session.queries().0.iter().map(|query| query.state()).collect();
    assert_eq!(states, ["cancelled", "finished"]);
}

#[test]
fn filters_come_before_limits() {
    let session = Session::builder().workers(1).memory("256MiB").events(10_000).build().unwrap();
    for n in 0..20 {
        let done = session.try_spawn_fn(move || if n == 15 { Err("fifteen") } else { Ok(n) }).get();
        assert_eq!(done.is_err(), n == 15);
    }
    session.block_on(async {
        let failed =
            rows(&session, "SELECT state, error FROM trefoil.tasks WHERE state = 'failed' LIMIT 1").await;
        assert_eq!(words(&failed, "state"), ["failed"]);
        assert!(words(&failed, "error")[0].contains("fifteen"), "{failed:?}");
        let sums =
            rows(&session, "SELECT state, sum(tasks) AS n FROM trefoil.tasks GROUP BY state ORDER BY state")
                .await;
        assert_eq!(
            (words(&sums, "state"), numbers(&sums, "n")),
            (vec!["failed".into(), "finished".into()], vec![1, 19])
        );
        let workers = rows(&session, "SELECT * FROM trefoil.workers WHERE name LIKE '%-task-0'").await;
        assert_eq!((numbers(&workers, "finished"), numbers(&workers, "failed")), (vec![19], vec![1]));
        let engine = rows(&session, "SELECT * FROM trefoil.engine").await;
        assert_eq!((numbers(&engine, "workers"), numbers(&engine, "lost_events")), (vec![1], vec![0]));
    });
}

#[test]
fn stored_partitions_are_objects() {
    let session = session();
    session.block_on(async {
        let frame = session.frame_from_batches(vec![batch(0, 100)]).unwrap();
        let list = rows(&session, "SELECT * FROM trefoil.objects").await;
        assert_eq!((words(&list, "kind"), numbers(&list, "rows")), (vec!["partition".to_owned()], vec![100]));
        assert_eq!(words(&list, "place"), ["memory"]);
        drop(frame);
        assert_eq!(rows(&session, "SELECT * FROM trefoil.objects").await.num_rows(), 0);
    });
}

#[test]
fn a_traced_query_has_its_operators() {
    let session = session();
    let recorder = session.start_trace();
    session.block_on(async {
        let frame = session.read_csv(data("diamonds.csv")).await.unwrap();
        session.register("diamonds", &frame).unwrap();
        let text = "SELECT cut, avg(price) AS p FROM diamonds GROUP BY cut ORDER BY cut";
        assert_eq!(rows(&session, text).await.num_rows(), 5);
        let trace = recorder.stop();
        let finished = trace.events().iter().find_map(|event| match &event.kind {
            EventKind::QueryFinished { text: of, operators, started, .. } if of.as_str() == text => {
                Some((operators.clone(), *started, event.at))
            }
            _ => None,
        });
        let (operators, started, ended) = finished.unwrap();
        let scan = operators.last().unwrap();
        assert_eq!((scan.name.as_str(), scan.rows), ("DataSourceExec", Some(53_940)));
        assert_eq!((operators[0].depth, operators[0].rows), (0, Some(5)));
        let slack = std::time::Duration::from_millis(50);
        let spans: Vec<_> = operators.iter().filter_map(|operator| operator.span).collect();
        assert!(!spans.is_empty());
        for (from, to) in spans {
            assert!(from <= to && from + slack >= started && to <= ended + slack, "{from:?} {to:?}");
        }
        let json = trace.to_json();
        assert!(json.contains("\"PartedAggregateExec\"") && json.contains("\"queries\""), "{json}");
        let words: Vec<_> = trace.events().iter().map(|event| event.kind.word()).collect();
        let find = |word| words.iter().rposition(|other| *other == word).unwrap();
        assert!(find("query started") < find("query planned"));
        assert!(find("query planned") < find("query finished"));
    });
}

#[test]
fn explain_analyze_is_a_tree_with_aligned_columns() {
    let session = session();
    session.block_on(async {
        let frame = session.read_csv(data("diamonds.csv")).await.unwrap();
        session.register("diamonds", &frame).unwrap();
        let text = "SELECT cut, avg(price) AS p FROM diamonds GROUP BY cut ORDER BY cut";
        let plan = sql(&session, text).await.unwrap().explain_analyze().await.unwrap();
        let lines: Vec<&str> = plan.lines().collect();
        assert!(lines[0].starts_with("== 5 rows in "), "{plan}");
        let heads: Vec<&str> = lines[1].split_whitespace().collect();
        assert_eq!(heads[..4], ["operator", "rows", "compute", "share"], "{plan}");
        // Numbers end where their heading does.
        let column = |line: &str, head: &str| {
            let end = lines[1].find(head).unwrap() + head.len();
            let cells: Vec<char> = line.chars().collect();
            (cells.get(end - 1).copied(), cells.get(end).copied())
        };
        for line in &lines[2..] {
            let (last, after) = column(line, "rows");
            assert!(
                last.is_some_and(|c| c.is_ascii_digit() || c == ' ') && after == Some(' '),
                "{line}\n{plan}"
            );
        }
        assert!(plan.contains("└─ DataSourceExec"), "{plan}");
        assert!(plan.contains("53,940"), "{plan}");
        assert!(lines.iter().all(|line| line.chars().count() < 220), "{plan}");
    });
}
