//! What recording events costs: the same work on an engine that records and on one that does not.

use std::hint::black_box;
use std::time::{Duration, Instant};

use trefoil_core::Engine;
use trefoil_plan::{Dialect, Session};
use trefoil_sql::SqlSession;
use trefoil_tasks::{ActorSession, actor};

use crate::Result;
use crate::arguments::Arguments;
use crate::measure::Case;
use crate::report::Report;

/// Events each thread keeps.
const CAPACITY: usize = 4096;

struct Counter(u64);

#[actor]
impl Counter {
    pub fn add(&mut self, by: u64) -> u64 {
        self.0 += by;
        self.0
    }
}

/// Arithmetic for about this long.
fn busy(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        black_box((0..64u64).fold(0, |sum, n| sum ^ black_box(n)));
    }
}

fn flood(engine: &Engine, tasks: u64) -> Result<()> {
    let refs = engine.spawn_fns((0..tasks).map(|n| move || n));
    let sum: u64 = engine.block_on(engine.gather(refs))?.iter().sum();
    if sum == tasks * (tasks - 1) / 2 { Ok(()) } else { Err("another sum".into()) }
}

fn one_by_one(engine: &Engine, tasks: u64) -> Result<()> {
    let refs: Vec<_> = (0..tasks).map(|n| engine.spawn_fn(move || n)).collect();
    let sum: u64 = engine.block_on(engine.gather(refs))?.iter().sum();
    if sum == tasks * (tasks - 1) / 2 { Ok(()) } else { Err("another sum".into()) }
}

fn short(engine: &Engine, tasks: u64) -> Result<()> {
    let refs = engine.spawn_fns((0..tasks).map(|_| || busy(Duration::from_micros(20))));
    engine.block_on(engine.gather(refs))?;
    Ok(())
}

fn calls(engine: &Engine, calls: u64) -> Result<()> {
    let counter = engine.actor(Counter(0)).spawn()?;
    let answers: Vec<_> = (0..calls).map(|_| counter.add(1)).collect();
    let last = engine.block_on(engine.gather(answers))?.last().copied();
    if last == Some(calls) { Ok(()) } else { Err("another count".into()) }
}

fn asks(engine: &Engine, calls: u64) -> Result<()> {
    let counter = engine.actor(Counter(0)).spawn()?;
    let asked = engine.spawn_async(async move {
        let mut last = 0;
        for _ in 0..calls {
            last = counter.add(1).await?;
        }
        Ok(last)
    });
    if engine.block_on(asked)? == calls { Ok(()) } else { Err("another count".into()) }
}

pub(super) fn run(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let builder = || Engine::builder().workers(arguments.workers).memory("512MiB");
    let (recording, silent) = (builder().events(CAPACITY).build()?, builder().build()?);
    type Work = fn(&Engine, u64) -> Result<()>;
    let cases: [(&str, Work, u64); 5] = [
        ("events_flood_batched", flood, 200_000),
        ("events_flood", one_by_one, 200_000),
        ("events_tasks_20us", short, 2_000),
        ("events_actor_calls", calls, 50_000),
        ("events_actor_ask", asks, 20_000),
    ];
    for (name, work, count) in cases {
        Case::rate(name, count as usize, "ops/s")
            .peer("trefoil", || work(&recording, count))
            .peer("silent", || work(&silent, count))
            .run(arguments, report)?;
    }
    drop((recording, silent));
    let session = |events: bool| {
        let builder =
            Session::builder().workers(arguments.workers).memory("1GiB").dialect(Dialect::DataFusion);
        if events { builder.events(CAPACITY).build() } else { builder.build() }
    };
    let (recording, silent) = (session(true)?, session(false)?);
    let query = |session: &Session, text: &str| -> Result<()> {
        session.block_on(async { session.sql(text).await?.collect().await })?;
        Ok(())
    };
    let heavy = "SELECT value % 100000 AS k, count(*), sum(value) FROM range(0, 2000000) GROUP BY 1";
    for (name, text, count) in [("events_query", heavy, 1), ("events_light_queries", "SELECT 1 + 1", 50)] {
        let many = |session: &Session| (0..count).try_for_each(|_| query(session, text));
        Case::rate(name, count, "ops/s")
            .peer("trefoil", || many(&recording))
            .peer("silent", || many(&silent))
            .run(arguments, report)?;
    }
    Ok(())
}
