//! How soon a cancelled query is gone: from the drop of its stream until nothing is reserved and no file of
//! its operators is left.

use std::path::Path;
use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::{Map, json};
use trefoil_plan::{Dialect, Session};
use trefoil_sql::SqlSession;

use crate::Result;
use crate::arguments::Arguments;
use crate::measure::{percentile, rounded};
use crate::report::{Report, Row};
use crate::tpch;

/// Queries over generated rows, on a budget in which sort and join spill.
const GENERATED: [&str; 4] = [
    "SELECT * FROM range(0, 30000000) ORDER BY value % 1000, value DESC",
    "SELECT value % 5000000, count(*) FROM range(0, 30000000) GROUP BY 1",
    "SELECT a.value FROM range(0, 3000000) a JOIN range(0, 3000000) b ON a.value = b.value + 1 ORDER BY 1 DESC",
    "SELECT sum(a.value * b.value) FROM range(0, 3000000) a CROSS JOIN range(0, 30000) b",
];

/// Queries of TPC-H that hold much and take long.
const HEAVY: [&str; 5] = ["q05", "q09", "q13", "q18", "q21"];

fn files(dir: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.flatten().map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

/// Runs a query for a while and drops it; how long it took to be gone, or none if it had ended before.
fn cancelled(session: &Session, query: &str, after: Duration) -> Result<Option<Duration>> {
    let frame = session.block_on(session.sql(query))?;
    let mut stream = frame.stream();
    let begin = Instant::now();
    let ended = session.block_on(async {
        while begin.elapsed() < after {
            match futures::poll!(stream.next()) {
                std::task::Poll::Ready(None) => return Ok(true),
                std::task::Poll::Ready(Some(Err(error))) => return Err(error),
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        Ok(false)
    })?;
    let begin = Instant::now();
    drop(stream);
    while session.budget().reserved() > 0 || files(session.spill_dir()) > 0 {
        if begin.elapsed() > Duration::from_secs(20) {
            return Err(format!("{:?} {query}", session.budget().consumers()).into());
        }
        std::thread::yield_now();
    }
    Ok((!ended).then(|| begin.elapsed()))
}

/// Each query is dropped after many different times.
fn measure(
    name: &str,
    session: &Session,
    queries: &[String],
    arguments: &Arguments,
    report: &mut Report,
) -> Result<()> {
    let moments = arguments.repeat.unwrap_or(12) as u64;
    let mut times = Vec::new();
    let mut slowest = (0.0, 0);
    for moment in 0..moments {
        for (at, query) in queries.iter().enumerate() {
            // From 3 ms to about a second, closer at the beginning.
            let after = Duration::from_millis(3 + moment * moment * 1000 / (moments * moments).max(1));
            if let Some(time) = cancelled(session, query, after)? {
                let time = time.as_secs_f64() * 1e3;
                slowest = if time > slowest.0 { (time, at) } else { slowest };
                times.push(time);
            }
        }
    }
    times.sort_by(f64::total_cmp);
    let mut params = Map::new();
    params.insert("cancelled".into(), json!(times.len()));
    params.insert("p99_ms".into(), json!(rounded(percentile(&times, 99.0))));
    params.insert("most_ms".into(), json!(rounded(percentile(&times, 100.0))));
    params.insert("slowest".into(), json!(queries[slowest.1].chars().take(60).collect::<String>()));
    params.insert("over_50_ms".into(), json!(times.iter().filter(|time| **time > 50.0).count()));
    params.insert("workers".into(), json!(arguments.workers));
    report.say(&format!("{name}: {}", serde_json::to_string(&params)?));
    report.case(vec![Row::new("trefoil", name, percentile(&times, 50.0), "ms", params)])
}

pub(super) fn run(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let session = |memory: &str| {
        let builder = Session::builder().workers(arguments.workers).memory(memory);
        builder.dialect(Dialect::DataFusion).build()
    };
    if arguments.wants_case("cancel_generated") {
        let queries = GENERATED.map(str::to_owned);
        measure("cancel_generated", &session("64MiB")?, &queries, arguments, report)?;
    }
    for (name, memory) in [("cancel_tpch_4GiB", "4GiB"), ("cancel_tpch_128MiB", "128MiB")] {
        if !arguments.wants_case(name) {
            continue;
        }
        let session = session(memory)?;
        let dir = arguments.data.clone().unwrap_or_else(|| crate::sql_suite::default_dir(arguments.scale));
        let tables = tpch::tables(&dir, arguments.scale, |line| report.say(line))?;
        session.block_on(async {
            for (name, path) in &tables {
                session.register(name, &session.read_parquet(path).await?)?;
            }
            Ok::<(), crate::Error>(())
        })?;
        let texts = tpch::QUERIES.iter().filter(|(query, _)| HEAVY.contains(query));
        let queries: Vec<String> = texts.map(|(_, text)| tpch::query(text, arguments.scale)).collect();
        measure(name, &session, &queries, arguments, report)?;
    }
    Ok(())
}
