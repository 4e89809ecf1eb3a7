//! What is reported through the facade of `metrics`, read as Prometheus reads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use trefoil_core::{Engine, Error, Outcome};

/// Samples by name and labels; comments are left out.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value in {line:?}"));
            (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number in {line:?}")))
        })
        .collect()
}

fn work(engine: &Engine) {
    for n in 0..50 {
        let _ = engine.try_spawn_fn(move || if n % 10 == 0 { Err("tenth") } else { Ok(n) }).get();
    }
    engine.begin_query("SELECT 1").finish(Outcome::Succeeded);
    engine.begin_query("SELECT x").finish(Outcome::Failed(Error::user("no x")));
    drop(engine.begin_query("SELECT 2"));
    let numbers = Arc::new(Int64Array::from_iter_values(0..100_000)) as ArrayRef;
    let rows = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
    let stored = engine.put_batches(rows.schema(), vec![rows]).unwrap();
    assert!(engine.store().spill(usize::MAX) > 0);
    assert_eq!(stored.batches().unwrap()[0].num_rows(), 100_000);
    let _held = engine.put(vec![0u8; 1000]).unwrap();
}

const EXPECTED: [(&str, f64); 16] = [
    ("trefoil_tasks_submitted_total{engine=\"e\"}", 50.0),
    ("trefoil_tasks_total{engine=\"e\",outcome=\"finished\"}", 45.0),
    ("trefoil_tasks_total{engine=\"e\",outcome=\"failed\"}", 5.0),
    ("trefoil_tasks_total{engine=\"e\",outcome=\"cancelled\"}", 0.0),
    ("trefoil_task_seconds_count{engine=\"e\",task=\"closure\"}", 50.0),
    ("trefoil_queries_total{engine=\"e\",outcome=\"finished\"}", 1.0),
    ("trefoil_queries_total{engine=\"e\",outcome=\"failed\"}", 1.0),
    ("trefoil_queries_total{engine=\"e\",outcome=\"cancelled\"}", 1.0),
    ("trefoil_query_seconds_count{engine=\"e\",outcome=\"finished\"}", 1.0),
    ("trefoil_spills_total{engine=\"e\"}", 1.0),
    ("trefoil_spilled_bytes_total{engine=\"e\"}", 800_000.0),
    ("trefoil_restores_total{engine=\"e\"}", 1.0),
    ("trefoil_spill_seconds_count{engine=\"e\"}", 1.0),
    ("trefoil_memory_limit_bytes{engine=\"e\"}", 67_108_864.0),
    ("trefoil_workers{engine=\"e\"}", 2.0),
    ("trefoil_events_missed_total{engine=\"e\"}", 0.0),
];

fn check(text: &str) {
    let samples = samples(text);
    for (name, expected) in EXPECTED {
        assert_eq!(samples.get(name), Some(&expected), "{name} in\n{text}");
    }
    assert!(text.contains("# TYPE trefoil_tasks_total counter"), "{text}");
    assert!(text.contains("# TYPE trefoil_task_seconds histogram"), "{text}");
    assert!(text.contains("# HELP trefoil_memory_reserved_bytes "), "{text}");
}

fn engine() -> Engine {
    Engine::builder().workers(2).memory("64MiB").name("e").build().unwrap()
}

#[test]
fn prometheus_reads_exact_counts() {
    let engine = engine();
    let prometheus = engine.prometheus();
    work(&engine);
    let text = prometheus.render();
    check(&text);
    // Rendering again counts nothing twice, and another engine counts for itself.
    let other = Engine::builder().workers(1).name("other").build().unwrap();
    let others = other.prometheus();
    check(&prometheus.render());
    assert_eq!(samples(&others.render()).get("trefoil_tasks_submitted_total{engine=\"other\"}"), Some(&0.0));
}

#[test]
fn the_facade_leads_to_the_recorder_of_the_program() {
    let buckets = [0.001, 1.0];
    let builder = metrics_exporter_prometheus::PrometheusBuilder::new().set_buckets(&buckets).unwrap();
    let handle = builder.install_recorder().unwrap();
    let engine = engine();
    let reporter = engine.report_metrics();
    work(&engine);
    drop(reporter);
    check(&handle.render());
}

#[test]
fn counts_are_exact_when_a_ring_is_too_small() {
    let engine = Engine::builder().workers(1).events(8).name("e").build().unwrap();
    let prometheus = engine.prometheus();
    let refs = engine.spawn_fns((0..5000u64).map(|n| move || n));
    engine.block_on(engine.gather(refs)).unwrap();
    // A worker counts a task before whoever waits for it is told.
    let samples = samples(&prometheus.render());
    assert_eq!(samples["trefoil_tasks_submitted_total{engine=\"e\"}"], 5000.0);
    assert_eq!(samples["trefoil_tasks_total{engine=\"e\",outcome=\"finished\"}"], 5000.0);
}
