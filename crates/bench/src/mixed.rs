//! Suite `mixed`: heavy queries, a flood of tasks and a fork-join kernel at once on one engine, while an actor is
//! pinged and a light query is asked; and what an idle engine burns.
//!
//! | case | trefoil | peer |
//! |---|---|---|
//! | `kernel_scaling` | the kernel's passes on one thread, as many in `par_for` from a task: how many times faster | |
//! | `mixed_work` | the three loads one after another over the three at once: 1 if nothing is lost by sharing | |
//! | `mixed_ping` | an actor's answer under the load: the 99th percentile over the median when idle | `threads`: the same of a plain thread |
//! | `mixed_light_query` | the same of `SELECT count(*), sum(a)` over 1,000 rows | |
//! | `idle_cpu` | processor seconds a second of this process while its engine has nothing to do | |
//!
//! Probes are closed loops with a pause between (3 ms and 5 ms), as a user with a cache or a dashboard would ask.
//!
//! The peer of the actor is a thread of the standard library that waits at a channel and answers through another, asked in the
//! same minutes in a loop of its own: nothing of trefoil, but the same two threads to be woken. While more threads
//! than cores are busy the system makes any thread wait for its turn, and what the peer takes is what the system gives. `of_threads`
//! in the figures of the actor has its percentiles over the peer's.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use datafusion::arrow::array::{Float64Array, Int64Array, RecordBatch};
use serde_json::{Map, Value, json};
use trefoil::{ActorHandle, ActorSession, actor};
use trefoil_core::{Engine, Ref};
use trefoil_plan::Session;
use trefoil_sql::SqlSession;

use crate::arguments::Arguments;
use crate::measure::{median, percentile, rounded};
use crate::report::{Report, Row};
use crate::{Error, Result};

/// Rows of the large table; a quarter as many groups.
const ROWS: usize = 6_000_000;
const GROUPS: u64 = 1_500_000;
const TASKS: usize = 200_000;
const TASK_TIME: Duration = Duration::from_micros(20);
/// Numbers of the kernel, and how often it goes through them.
const NUMBERS: usize = 16_000_000;
const PASSES: usize = 100;
const GRAIN: usize = 1 << 16;

const WIDE: &str =
    "SELECT count(*), sum(a), avg(b), min(a), max(b), sum(a * b), stddev(a), sum(a + b) FROM large";
const GROUPED: &str =
    "SELECT count(*) FROM (SELECT k, sum(a) AS s, avg(b) AS m FROM large GROUP BY k) AS g WHERE s > 0.0";
const LIGHT: &str = "SELECT count(*), sum(a) FROM small";

struct Pong;

#[actor]
impl Pong {
    pub fn ping(&mut self) -> u64 {
        1
    }
}

struct Load {
    session: Session,
    numbers: Arc<Vec<f64>>,
    /// Rounds of arithmetic that take a task's time.
    rounds: usize,
}

fn spin(rounds: usize, seed: u64) -> u64 {
    (0..rounds as u64).fold(seed, |value, step| black_box(value.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ step))
}

fn piece(numbers: &[f64]) -> f64 {
    numbers.iter().fold(0.0, |sum, x| sum + (x * 1.000_1 + 0.5) * x)
}

impl Load {
    fn new(arguments: &Arguments) -> Result<Self> {
        let session = Session::builder().workers(arguments.workers).build()?;
        session.block_on(async {
            for (name, rows) in [("large", ROWS), ("small", 1000)] {
                let batches = (0..rows)
                    .step_by(65_536)
                    .map(|from| batch(from, rows.min(from + 65_536)))
                    .collect::<Result<Vec<_>>>()?;
                session.register(name, &session.frame_from_batches(batches)?.persist().await?)?;
            }
            Ok::<_, Error>(())
        })?;
        let begin = Instant::now();
        black_box(spin(10_000_000, 1));
        let rounds = (TASK_TIME.as_secs_f64() / (begin.elapsed().as_secs_f64() / 1e7)) as usize;
        let numbers = Arc::new((0..NUMBERS).map(|i| (i % 1000) as f64).collect());
        Ok(Self { session, numbers, rounds })
    }

    fn queries(&self) -> Result<()> {
        for text in [WIDE, WIDE, GROUPED].iter().cycle().take(18) {
            self.session.block_on(async { self.session.sql(text).await?.collect().await })?;
        }
        Ok(())
    }

    fn flood(&self) -> Result<()> {
        let rounds = self.rounds;
        let jobs = (0..TASKS as u64).map(|seed| move || spin(rounds, seed));
        let refs: Vec<Ref<u64>> = self.session.engine().spawn_fns(jobs);
        for reference in &refs {
            reference.get_value()?;
        }
        Ok(())
    }

    /// The passes within one task.
    fn kernel(&self, passes: usize) -> Result<()> {
        let (engine, numbers) = (self.session.engine().clone(), Arc::clone(&self.numbers));
        let task = self.session.engine().try_spawn_fn(move || {
            for _ in 0..passes {
                forked(&engine, &numbers)?;
            }
            Ok::<_, trefoil_core::Error>(())
        });
        task.get_value()?;
        Ok(())
    }

    fn kernel_alone(&self, passes: usize) {
        for _ in 0..passes {
            black_box(self.numbers.chunks(GRAIN).map(piece).sum::<f64>());
        }
    }
}

fn forked(engine: &Engine, numbers: &Arc<Vec<f64>>) -> trefoil_core::Result<f64> {
    let sums: Arc<Vec<AtomicU64>> =
        Arc::new((0..numbers.len().div_ceil(GRAIN)).map(|_| AtomicU64::new(0)).collect());
    let (own, out) = (Arc::clone(numbers), Arc::clone(&sums));
    engine.par_for(numbers.len(), GRAIN, move |range| {
        out[range.start / GRAIN].store(piece(&own[range]).to_bits(), Ordering::Relaxed);
    })?;
    Ok(sums.iter().map(|sum| f64::from_bits(sum.load(Ordering::Relaxed))).sum())
}

fn batch(from: usize, to: usize) -> Result<RecordBatch> {
    let keys = (from as u64..to as u64).map(|row| (row.wrapping_mul(0x9E37_79B9_7F4A_7C15) % GROUPS) as i64);
    let floats = |scale: f64| Float64Array::from_iter_values((from..to).map(move |row| row as f64 * scale));
    Ok(RecordBatch::try_from_iter([
        ("k", Arc::new(Int64Array::from_iter_values(keys)) as _),
        ("a", Arc::new(floats(0.5)) as _),
        ("b", Arc::new(floats(0.25)) as _),
    ])?)
}

/// Asks again and again until `stop`; the times in milliseconds.
fn probe<'s>(
    scope: &'s Scope<'s, '_>,
    stop: &'s AtomicBool,
    pause: Duration,
    ask: impl Fn() -> Result<()> + Send + 's,
) -> ScopedJoinHandle<'s, Result<Vec<f64>>> {
    scope.spawn(move || {
        let mut times = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let begin = Instant::now();
            ask()?;
            times.push(begin.elapsed().as_secs_f64() * 1e3);
            std::thread::sleep(pause);
        }
        Ok(times)
    })
}

/// How long what was asked meanwhile took, in milliseconds.
#[derive(Default)]
struct Asked {
    /// The actor.
    pings: Vec<f64>,
    /// The thread that is nobody's.
    threads: Vec<f64>,
    lights: Vec<f64>,
}

impl Asked {
    fn extend(&mut self, other: Asked) {
        self.pings.extend(other.pings);
        self.threads.extend(other.threads);
        self.lights.extend(other.lights);
    }
}

/// A question to a thread that does nothing but answer; it ends when the question is dropped.
fn echo<'s>(scope: &'s Scope<'s, '_>) -> impl Fn() -> Result<()> + Send + 's {
    let (ask, asked) = mpsc::channel();
    let (answer, answered) = mpsc::channel();
    scope.spawn(move || {
        for question in asked {
            if answer.send(question).is_err() {
                break;
            }
        }
    });
    move || {
        ask.send(1_u64)?;
        black_box(answered.recv()?);
        Ok(())
    }
}

/// Runs `work` beside the probes; its time, and theirs.
fn probed(load: &Load, pong: &ActorHandle<Pong>, work: impl FnOnce() -> Result<()>) -> Result<(f64, Asked)> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pause = Duration::from_millis(3);
        let pings = probe(scope, &stop, pause, || Ok(pong.ping().get_value().map(drop)?));
        let threads = probe(scope, &stop, pause, echo(scope));
        let lights = probe(scope, &stop, Duration::from_millis(5), || {
            load.session.block_on(async { load.session.sql(LIGHT).await?.collect().await })?;
            Ok(())
        });
        let begin = Instant::now();
        let done = work();
        let time = begin.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        let times = |probe: ScopedJoinHandle<'_, Result<Vec<f64>>>| {
            probe.join().map_err(|_| Error::from("a probe panicked"))?
        };
        // All of them, so that none is left when one has failed.
        let [pings, threads, lights] = [pings, threads, lights].map(times);
        done?;
        Ok((time, Asked { pings: pings?, threads: threads?, lights: lights? }))
    })
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let begin = Instant::now();
    work()?;
    Ok(begin.elapsed().as_secs_f64())
}

/// Runs the suite.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut report = Report::new(arguments.json.as_deref())?;
    let load = Load::new(arguments)?;
    let row = |case: &str, value: f64, unit: &str, more: &[(&str, Value)]| {
        let mut params = Map::new();
        params.insert("workers".into(), json!(arguments.workers));
        more.iter().for_each(|(name, value)| drop(params.insert((*name).into(), value.clone())));
        vec![Row::new("trefoil", case, value, unit, params)]
    };
    let repeat = arguments.repeat.unwrap_or(3);

    if arguments.wants_case("idle_cpu") {
        load.kernel(1)?;
        std::thread::sleep(Duration::from_millis(200));
        let before = own_cpu()?;
        std::thread::sleep(Duration::from_secs(3));
        let burnt = (own_cpu()? - before) / 3.0;
        report.case(row("idle_cpu", burnt, "cpu", &[("resolution", json!(0.01 / 3.0))]))?;
    }
    if arguments.wants_case("kernel_scaling") {
        let (mut alone, mut forked) = (Vec::new(), Vec::new());
        load.kernel(2)?;
        for _ in 0..repeat.max(5) {
            alone.push(timed(|| {
                load.kernel_alone(PASSES / 4);
                Ok(())
            })?);
            forked.push(timed(|| load.kernel(PASSES / 4))?);
        }
        let (alone, forked) = (median(&alone), median(&forked));
        let more = [("one_thread_s", json!(rounded(alone))), ("forked_s", json!(rounded(forked)))];
        report.case(row("kernel_scaling", alone / forked, "times", &more))?;
    }
    if !arguments.wants_case("mixed") {
        return Ok(());
    }

    let pong = load.session.engine().actor(Pong).spawn()?;
    let (_, idle) = probed(&load, &pong, || {
        std::thread::sleep(Duration::from_secs(3));
        Ok(())
    })?;
    let (mut work, mut asked, mut times) = (Vec::new(), Asked::default(), Vec::new());
    for _ in 0..repeat {
        let parts = [timed(|| load.queries())?, timed(|| load.flood())?, timed(|| load.kernel(PASSES))?];
        let (mixed, meanwhile) = probed(&load, &pong, || {
            std::thread::scope(|scope| {
                let others = [scope.spawn(|| load.flood()), scope.spawn(|| load.kernel(PASSES))];
                load.queries()?;
                for other in others {
                    other.join().map_err(|_| Error::from("a load panicked"))??;
                }
                Ok(())
            })
        })?;
        work.push(parts.iter().sum::<f64>() / mixed);
        times.push(json!({"apart": parts.map(rounded), "mixed": rounded(mixed)}));
        asked.extend(meanwhile);
    }
    report.case(row("mixed_work", median(&work), "of apart", &[("times_s", json!(times))]))?;
    let ping = Waited::new(median(&idle.pings), asked.pings);
    let thread = Waited::new(median(&idle.threads), asked.threads);
    let light = Waited::new(median(&idle.lights), asked.lights);
    for (case, waited, peer) in [("mixed_ping", &ping, Some(&thread)), ("mixed_light_query", &light, None)] {
        let mut more = waited.figures();
        if let Some(peer) = peer {
            more.push(("of_threads", waited.over(peer)));
        }
        report.say(&serde_json::to_string(&more)?);
        let mut rows = row(case, waited.worth(), OF_IDLE, &more);
        if let Some(peer) = peer {
            let more = peer.figures();
            report.say(&serde_json::to_string(&more)?);
            rows.extend(
                row(case, peer.worth(), OF_IDLE, &more)
                    .into_iter()
                    .map(|row| Row { peer: "threads".into(), ..row }),
            );
        }
        report.case(rows)?;
    }
    Ok(())
}

const OF_IDLE: &str = "of idle p50";

/// How long answers took under load, in milliseconds in order, and the median when idle.
struct Waited {
    idle: f64,
    times: Vec<f64>,
}

impl Waited {
    fn new(idle: f64, mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        Self { idle, times }
    }

    fn worth(&self) -> f64 {
        percentile(&self.times, 99.0) / self.idle
    }

    fn figures(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("idle_p50_ms", json!(rounded(self.idle))),
            ("p50_ms", json!(rounded(percentile(&self.times, 50.0)))),
            ("p99_ms", json!(rounded(percentile(&self.times, 99.0)))),
            ("most_ms", json!(rounded(percentile(&self.times, 100.0)))),
            ("probes", json!(self.times.len())),
        ]
    }

    /// Each figure over that of another.
    fn over(&self, other: &Self) -> Value {
        let of = |at: f64| json!(rounded(percentile(&self.times, at) / percentile(&other.times, at)));
        json!({
            "idle_p50": rounded(self.idle / other.idle),
            "p50": of(50.0),
            "p99": of(99.0),
            "most": of(100.0),
        })
    }
}

/// Processor seconds of this process; Linux only.
fn own_cpu() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').ok_or("no such file format")?.1.split_whitespace();
    Ok(fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0)
}
