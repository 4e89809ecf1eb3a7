//! The programs of `examples/tasks` against dumb computations of the same things.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use trefoil::prelude::*;

#[path = "../examples/tasks/programs/mod.rs"]
mod examples;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data")
}

fn engine() -> Engine {
    Engine::builder().workers(2).memory("256MiB").build().unwrap()
}

#[test]
fn the_sweep_finds_what_a_loop_finds() {
    let path = data().join("breast_cancer.csv");
    let sweep = examples::sweep::run(&engine(), &path).unwrap();
    let table = examples::sweep::table(&path).unwrap();
    let mut best = None;
    let mut diverged = 0;
    for setting in examples::sweep::settings() {
        match examples::sweep::accuracy::run(&table, setting) {
            Ok(score) if best.is_none_or(|(_, known)| score > known) => best = Some((setting, score)),
            Ok(_) => {}
            Err(_) => diverged += 1,
        }
    }
    assert_eq!((Some(sweep.best), sweep.diverged), (best, diverged));
    assert!(sweep.best.1 > 0.9 && sweep.diverged > 0, "{sweep}");
}

#[test]
fn words_are_those_of_a_loop() {
    let words = examples::words::run(&engine(), &data()).unwrap();
    let mut counts: HashMap<String, u64> = HashMap::new();
    let texts = examples::words::texts(&data()).unwrap();
    for path in &texts {
        for word in examples::words::words(&std::fs::read_to_string(path).unwrap()) {
            *counts.entry(word).or_default() += 1;
        }
    }
    assert!(texts.len() >= 3);
    assert_eq!((words.files, words.counts), (texts.len(), counts));
}

#[test]
fn the_tree_sums_up() {
    for depth in [0, 1, 5, 10] {
        let tree = examples::tree::run(&engine(), depth).unwrap();
        let (leaves, numbers) = (1_usize << depth, (1_u64 << depth) * 1000);
        assert_eq!(tree.sum, numbers * (numbers - 1) / 2);
        assert_eq!(tree.calls, (3 * leaves - 1, 2 * leaves - 1));
        assert!(tree.picture.contains("leaf → sum"), "{}", tree.picture);
    }
}

#[test]
fn the_server_learns_the_line_of_least_squares() {
    let path = data().join("diamonds.csv");
    let learned = examples::server::run(&engine(), &path, 200).unwrap();
    let rows = examples::server::carats_and_prices(&path).unwrap();
    let count = rows.len() as f64;
    let (x, y) =
        (rows.iter().map(|r| r.0).sum::<f64>() / count, rows.iter().map(|r| r.1).sum::<f64>() / count);
    let slope = rows.iter().map(|r| (r.0 - x) * (r.1 - y)).sum::<f64>()
        / rows.iter().map(|r| (r.0 - x).powi(2)).sum::<f64>();
    let close = |have: f64, want: f64| assert!((have / want - 1.0).abs() < 1e-9, "{have} is not {want}");
    close(learned.model.0, slope);
    close(learned.model.1, y - slope * x);
}

#[test]
fn the_crawler_finds_every_page_and_keeps_its_limit() {
    for limit in [1, 3] {
        let site = examples::crawler::Site::new(200);
        let crawl = examples::crawler::run(&engine(), &site, limit).unwrap();
        assert_eq!(crawl.pages.len(), site.len());
        assert!((1..=limit).contains(&crawl.most_at_once), "{}", crawl.most_at_once);
    }
}

#[test]
fn the_limiter_survives_and_gives_no_token_twice() {
    let limited = examples::limiter::run(&engine()).unwrap();
    assert_eq!(limited.granted, [3, 2, 2, 2, 2, 2]);
    assert_eq!(limited.restarts, 1);
}

#[test]
fn pi_is_near() {
    let pi = examples::pi::run(&engine(), 0.01).unwrap();
    assert!((pi.estimate - std::f64::consts::PI).abs() < 5.0 * pi.error, "{pi}");
    assert!(pi.error <= 0.01 && pi.points >= 20_000, "{pi}");
}
