//! Traces: what Perfetto needs to draw them. Slices nest, rows are named, arrows have two ends.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use trefoil_core::{Engine, Error, Trace};

type Row = (u64, u64);

/// Checks the form of a trace and gives the names of its slices by the name of their row.
fn check(trace: &Trace) -> BTreeMap<String, Vec<String>> {
    let json: Value = serde_json::from_str(&trace.to_json()).unwrap();
    let events = json["traceEvents"].as_array().unwrap();
    let number = |event: &Value, key: &str| event[key].as_f64().unwrap_or_else(|| panic!("{key} of {event}"));
    let row = |event: &Value| -> Row { (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap()) };
    let mut rows: HashMap<Row, String> = HashMap::new();
    let mut processes = BTreeSet::new();
    let mut slices: BTreeMap<Row, Vec<(f64, f64, String)>> = BTreeMap::new();
    let mut arrows: HashMap<u64, (usize, usize, f64, f64)> = HashMap::new();
    for event in events {
        match event["ph"].as_str().unwrap() {
            "M" => {
                let name = event["args"]["name"].as_str().unwrap().to_owned();
                match event["name"].as_str().unwrap() {
                    "thread_name" => assert!(rows.insert(row(event), name).is_none(), "named twice: {event}"),
                    _ => assert!(processes.insert(event["pid"].as_u64().unwrap())),
                }
            }
            "X" => {
                let start = number(event, "ts");
                let end = start + number(event, "dur");
                slices.entry(row(event)).or_default().push((
                    start,
                    end,
                    event["name"].as_str().unwrap().to_owned(),
                ));
            }
            "i" => assert!(rows.contains_key(&row(event)), "no name for the row of {event}"),
            "s" => {
                let arrow = arrows.entry(event["id"].as_u64().unwrap()).or_default();
                *arrow = (arrow.0 + 1, arrow.1, number(event, "ts"), arrow.3);
            }
            "f" => {
                let arrow = arrows.entry(event["id"].as_u64().unwrap()).or_default();
                *arrow = (arrow.0, arrow.1 + 1, arrow.2, number(event, "ts"));
            }
            other => panic!("unknown phase {other}"),
        }
    }
    let mut found = BTreeMap::new();
    for (row, slices) in &mut slices {
        assert!(processes.contains(&row.0), "process {} has no name", row.0);
        let name = rows.get(row).unwrap_or_else(|| panic!("row {row:?} has no name"));
        slices.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
        // Microseconds with three places: sums may be off by a rounding.
        let same = 1e-6;
        let mut around: Vec<f64> = Vec::new();
        for (start, end, slice) in slices.iter() {
            assert!(end >= start, "{slice} ends before it begins");
            around.retain(|outer| outer - same > *start);
            if let Some(outer) = around.last() {
                assert!(*end <= outer + same, "{slice} in {name} sticks out: {end} > {outer}");
            }
            around.push(*end);
        }
        found.insert(name.clone(), slices.iter().map(|(_, _, slice)| slice.clone()).collect());
    }
    for (id, (starts, ends, from, to)) in arrows {
        assert_eq!((starts, ends), (1, 1), "arrow {id}");
        assert!(to >= from, "arrow {id} points back");
    }
    found
}

fn fib(engine: &Engine, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (one, two) = (engine.clone(), engine.clone());
    let a = engine.spawn_fn(move || fib(&one, n - 1));
    let b = engine.spawn_fn(move || fib(&two, n - 2));
    a.get().unwrap() + b.get().unwrap()
}

#[test]
fn nested_tasks_floods_and_spans_make_a_sound_trace() {
    let engine = Engine::builder().workers(2).memory("64MiB").events(50_000).build().unwrap();
    let recorder = engine.start_trace();
    let inside = engine.clone();
    engine.span("outer \"quoted\"\n", || {
        engine.span("inner", || assert_eq!(engine.spawn_fn(move || fib(&inside, 12)).get().unwrap(), 144));
        let refs: Vec<_> = (0..3000u64).map(|n| engine.spawn_fn(move || n)).collect();
        assert_eq!(refs.iter().map(|r| r.get().unwrap()).sum::<u64>(), 2999 * 3000 / 2);
    });
    let _ = engine.try_spawn_fn(|| Err::<(), _>(Error::user("a \\ in the message"))).get();
    engine.block_on(engine.spawn_async(async { Ok(1) })).unwrap();
    engine.put_sized([0u8; 16], 128 << 20).unwrap_err();
    // Both hold the same.
    for trace in [engine.trace(), recorder.stop()] {
        assert_eq!(trace.lost(), 0);
        let rows = check(&trace);
        let all: Vec<&str> = rows.values().flatten().map(String::as_str).collect();
        for name in ["outer \"quoted\"\n", "inner", "closure", "future"] {
            assert!(all.contains(&name), "no slice {name:?} in {:?}", rows.keys());
        }
        assert!(rows.keys().any(|row| row.ends_with("-task-0")), "{:?}", rows.keys());
        assert!(rows.keys().any(|row| row.starts_with("async")), "{:?}", rows.keys());
        assert!(trace.events().iter().any(|event| event.kind.word() == "memory pressure"));
    }
}

#[test]
fn a_trace_of_a_full_ring_says_what_is_missing() {
    let engine = Engine::builder().workers(1).events(8).build().unwrap();
    for _ in 0..100 {
        engine.span("s", || ());
    }
    let trace = engine.trace();
    assert_eq!((trace.lost(), trace.events().len()), (92, 8));
    assert!(trace.to_json().contains("\"lost_events\":92"));
    check(&trace);
}

#[test]
fn an_empty_trace_is_a_document_too() {
    let engine = crate::engine(1);
    assert!(check(&engine.trace()).is_empty());
    let missing = engine.trace().save("no/such/directory/trace.json").unwrap_err();
    assert_eq!(missing.kind(), trefoil_core::ErrorKind::Io);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("trace.json");
    engine.trace().save(&path).unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), engine.trace().to_json());
}

#[test]
fn queries_and_their_operators_have_rows() {
    let engine = Engine::builder().workers(1).events(100).build().unwrap();
    let query = engine.begin_query("SELECT 1");
    let since = engine.status().uptime;
    query.planned(move || {
        let mut scan = trefoil_core::OperatorMetrics::default();
        scan.name = "Scan".to_owned();
        scan.rows = Some(1);
        scan.span = Some((since, since));
        vec![scan]
    });
    query.finish(trefoil_core::Outcome::Succeeded);
    drop(engine.begin_query("SELECT 2"));
    let rows = check(&engine.trace());
    let mut all: Vec<String> = rows.into_values().flatten().collect();
    all.sort();
    assert_eq!(all, ["SELECT 1", "SELECT 2", "Scan"]);
    let states: Vec<_> = engine.queries().0.iter().map(|query| query.state()).collect();
    assert_eq!(states, ["finished", "cancelled"]);
}
