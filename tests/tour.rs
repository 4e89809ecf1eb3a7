//! Every step of the tour against figures computed by other programs: pandas 3.1 and NumPy 2.4, by
//! `tests/expected/tour.py`, recorded in `tests/expected/tour.json`.

use std::path::{Path, PathBuf};

use serde_json::Value;
use trefoil::prelude::*;

#[path = "../examples/tour/steps/mod.rs"]
mod steps;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data")
}

fn expected() -> Value {
    serde_json::from_str(include_str!("expected/tour.json")).unwrap()
}

fn run<T>(step: impl AsyncFnOnce(&Session) -> trefoil::Result<T>) -> T {
    let session = Session::builder().workers(2).memory("512MiB").build().unwrap();
    session.block_on(step(&session)).unwrap()
}

#[track_caller]
fn close(have: f64, want: f64) {
    assert!((have - want).abs() <= 1e-9 * want.abs().max(1.0), "{have} is not {want}");
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

#[test]
fn flights_are_all_there() {
    let flights = run(async |session| steps::sql::flights(session, &data()).await);
    let want = &expected()["flights"];
    assert_eq!(flights.rows as u64, want["rows"].as_u64().unwrap());
    close(flights.delay_sum, number(&want["delay_sum"]));
    assert!(flights.preview.contains("destination"), "{}", flights.preview);
}

#[test]
fn slow_origins_are_those_of_pandas() {
    let slow = run(async |session| steps::sql::slow_origins(session, &data()).await);
    let expected = expected();
    let want = list(&expected["flights"]["delay_by_origin"]);
    assert_eq!(slow.origins.len(), want.len());
    for ((origin, delay, flights), want) in slow.origins.iter().zip(want) {
        assert_eq!(origin, want["origin"].as_str().unwrap());
        close(*delay, number(&want["delay"]));
        close(*flights, number(&want["n"]));
    }
    let scan = slow.plan.lines().find(|line| line.contains("DataSourceExec"));
    assert!(scan.is_some_and(|scan| scan.contains(" 300,000 ")), "{}", slow.plan);
}

#[test]
fn diamonds_have_the_types_pandas_sees() {
    let diamonds = run(async |session| steps::frames::diamonds(session, &data()).await);
    let expected = expected();
    let want = &expected["diamonds"];
    assert_eq!(diamonds.rows as u64, want["rows"].as_u64().unwrap());
    let kinds: Vec<(&str, &str)> = list(&want["types"])
        .iter()
        .map(|column| (column["name"].as_str().unwrap(), column["type"].as_str().unwrap()))
        .collect();
    assert_eq!(diamonds.types.len(), kinds.len());
    for ((name, have), (want_name, want)) in diamonds.types.iter().zip(kinds) {
        assert_eq!(name, want_name);
        let fits = match want {
            "int" => have == "Int64",
            "float" => have == "Float64",
            _ => have.starts_with("Utf8") || have == "LargeUtf8",
        };
        assert!(fits, "{name}: {have} for {want}");
    }
}

#[test]
fn prices_by_carats_are_those_of_pandas() {
    let by_carats = run(async |session| steps::frames::price_by_carats(session, &data()).await);
    let expected = expected();
    let want = list(&expected["diamonds"]["price_by_carats"]);
    assert_eq!(by_carats.prices.len(), want.len());
    for ((carats, price), want) in by_carats.prices.iter().zip(want) {
        close(*carats, number(&want["carats"]));
        close(*price, number(&want["price"]));
    }
}

#[test]
fn features_are_those_of_pandas_and_the_split_is_a_partition() {
    let features = run(async |session| steps::frames::features(session, &data()).await);
    let expected = expected();
    let want = &expected["diamonds"];
    let mut columns = features.columns.clone();
    columns.sort();
    let want_columns: Vec<&str> =
        list(&want["dummy_columns"]).iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(columns, want_columns);
    for dummy in list(&want["dummy_sums"]) {
        let name = dummy["name"].as_str().unwrap();
        let have = features.dummy_sums.iter().find(|(have, _)| have == name).unwrap();
        close(have.1, number(&dummy["sum"]));
    }
    close(features.label_sum, number(&want["label_sum"]));
    let rows = want["rows"].as_u64().unwrap() as usize;
    assert_eq!(features.train.0 + features.valid.0, rows);
    assert_eq!(features.valid.0, (0.2 * rows as f64).ceil() as usize);
    close(features.train.1 + features.valid.1, number(&want["label_sum"]));
}

/// The largest eigenvalue of `m.T @ m` by power iteration, in plain Rust: the square of the first singular value.
fn first_singular_value(matrix: &[f64], columns: usize) -> f64 {
    let mut v = vec![1.0; columns];
    let mut norm = 0.0;
    for _ in 0..200 {
        let mut next = vec![0.0; columns];
        for row in matrix.chunks(columns) {
            let dot: f64 = row.iter().zip(&v).map(|(a, b)| a * b).sum();
            next.iter_mut().zip(row).for_each(|(n, a)| *n += a * dot);
        }
        norm = next.iter().map(|x| x * x).sum::<f64>().sqrt();
        v = next.into_iter().map(|x| x / norm).collect();
    }
    norm.sqrt()
}

#[test]
fn a_random_array_is_decomposed() {
    let svd = run(steps::arrays::random_svd);
    assert_eq!(svd.shape, [200, 200]);
    let s = &svd.singular_values;
    assert_eq!(s.len(), 200);
    assert!(s.windows(2).all(|pair| pair[0] >= pair[1]));
    // y = x @ x.T is positive semi-definite, so its singular values sum up to its trace, and the first is
    // found by power iteration.
    let trace: f64 = (0..200).map(|i| svd.matrix[i * 200 + i]).sum();
    close(s.iter().sum::<f64>() / trace, 1.0);
    close(s[0] / first_singular_value(&svd.matrix, 200), 1.0);
    let again = run(steps::arrays::random_svd);
    assert_eq!(again.matrix, svd.matrix, "the same seed gives the same numbers");
}

#[test]
fn known_arrays_have_the_singular_values_of_numpy() {
    let expected = expected();
    let svd = run(steps::arrays::known_svd);
    let want = &expected["array"];
    close(svd.matrix.iter().sum(), number(&want["y_sum"]));
    close((0..200).map(|i| svd.matrix[i * 200 + i]).sum(), number(&want["y_trace"]));
    let largest = svd.singular_values[0];
    for (have, want) in svd.singular_values.iter().zip(list(&want["y_singular_values"])) {
        // The matrix has rank 3: what lies below is rounding, relative to the largest.
        assert!((have - number(want)).abs() < 1e-9 * largest, "{have} is not {want}");
    }

    let svd = run(async |session| steps::arrays::cancer_svd(session, &data()).await);
    assert_eq!(svd.shape, [569, 30]);
    let want = list(&expected["breast_cancer"]["singular_values"]);
    assert_eq!(svd.singular_values.len(), want.len());
    for (have, want) in svd.singular_values.iter().zip(want) {
        close(*have, number(want));
    }
}

#[test]
fn the_delayed_graph_is_drawn_and_computed() {
    let out = tempfile::tempdir().unwrap();
    let delayed = run(async |session| steps::graph::delayed(session, out.path()).await);
    let expected = expected();
    assert_eq!(delayed.total, expected["graph"]["delayed_total"].as_i64().unwrap());
    assert_eq!(delayed.tasks, 5);
    assert_eq!(delayed.mermaid.matches("get_data").count(), 2);
    assert_eq!(delayed.mermaid.matches("-->").count(), 4);
    let svg = std::fs::read_to_string(delayed.svg).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains(">get_data<"), "{svg}");
}

#[test]
fn tasks_and_actors_keep_their_order() {
    let tasks = run(steps::tasks::tasks);
    let expected = expected();
    assert_eq!(tasks.sum, expected["graph"]["task_sum"].as_i64().unwrap());
    let want: Vec<i64> =
        list(&expected["graph"]["actor_sums"]).iter().map(|sum| sum.as_i64().unwrap()).collect();
    assert_eq!(tasks.counts, want);
    assert_eq!(tasks.waited, (5, 5));
    assert!(tasks.failure.contains("parse") && tasks.failure.contains("invalid digit"), "{}", tasks.failure);
}

#[test]
fn nothing_is_copied_at_the_borders() {
    let out = tempfile::tempdir().unwrap();
    let borders = run(async |session| steps::borders::borders(session, &data(), out.path()).await);
    assert_eq!(borders.rows, 300_000);
    assert!(borders.partitions > 1);
    assert!(borders.buffers > 0);
    assert_eq!(borders.same_in_tasks, borders.buffers);
    assert_eq!(borders.same_in_sql, borders.buffers);
    assert_eq!(borders.late, 4257, "pandas: (flights.delay > 120).sum()");
}
