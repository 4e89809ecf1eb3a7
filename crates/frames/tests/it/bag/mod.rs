//! Bags against plain vectors.

mod files;
mod limits;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use trefoil_core::{Call, Engine, ErrorKind};
use trefoil_frames::bag::{Bag, BagSession};
use trefoil_frames::delayed::DelayedSession;
use trefoil_frames::seed;

pub fn engine() -> &'static Engine {
    super::array::engine()
}

pub fn compute<T: Send + 'static>(bag: &Bag<T>) -> Vec<T> {
    engine().block_on(bag.compute()).unwrap()
}

pub fn value<T: Clone + Send + Sync + 'static>(call: Call<T>) -> T {
    engine().block_on(engine().compute(call)).unwrap()
}

fn bag(items: &[i64], parts: usize) -> Bag<i64> {
    engine().bag().of(items.to_vec(), parts).unwrap()
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}

fn items() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(-20..20_i64, 0..60)
}

fn parts() -> impl Strategy<Value = usize> {
    prop::sample::select(&[1_usize, 2, 7, 20][..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn chains(xs in items(), n in parts()) {
        let b = bag(&xs, n);
        prop_assert_eq!(compute(&b), xs.clone());
        prop_assert_eq!(compute(&b.map(|x| x * 2)), xs.iter().map(|x| x * 2).collect::<Vec<_>>());
        prop_assert_eq!(
            compute(&b.filter(|x| x % 3 == 0).map(|x| x.to_string())),
            xs.iter().filter(|x| *x % 3 == 0).map(ToString::to_string).collect::<Vec<_>>()
        );
        let repeat = |x: i64| vec![x; usize::try_from(x.rem_euclid(3)).unwrap()];
        let flat: Vec<i64> = xs.iter().flat_map(|x| repeat(*x)).collect();
        prop_assert_eq!(compute(&b.flat_map(repeat)), flat.clone());
        prop_assert_eq!(compute(&b.map(repeat).flatten()), flat);
        prop_assert_eq!(compute(&b.concat(&b)), [xs.clone(), xs.clone()].concat());
        prop_assert_eq!(b.iter().collect::<Result<Vec<_>, _>>().unwrap(), xs.clone());
        let pairs = b.zip(&b.map(|x| -x)).unwrap();
        prop_assert_eq!(compute(&pairs), xs.iter().map(|x| (*x, -x)).collect::<Vec<_>>());
        let (left, right) = pairs.unzip();
        prop_assert_eq!(compute(&left.zip(&right).unwrap().map(|(a, b)| a + b)), vec![0; xs.len()]);
        let running: Vec<i64> = xs.iter().scan(5, |s, x| { *s += x; Some(*s) }).collect();
        prop_assert_eq!(compute(&b.accumulate(5, |s, x| s + x)), running);
        prop_assert_eq!(compute(&engine().block_on(b.persist()).unwrap()), xs);
    }

    #[test]
    fn reductions(xs in items(), n in parts(), k in 0..9_usize) {
        let b = bag(&xs, n);
        prop_assert_eq!(value(b.sum()), xs.iter().sum::<i64>());
        prop_assert_eq!(value(b.count()), xs.len() as u64);
        prop_assert_eq!(value(b.min()), xs.iter().min().copied());
        prop_assert_eq!(value(b.max()), xs.iter().max().copied());
        prop_assert_eq!(value(b.all(|x| *x < 15)), xs.iter().all(|x| *x < 15));
        prop_assert_eq!(value(b.any(|x| *x > 15)), xs.iter().any(|x| *x > 15));
        prop_assert_eq!(value(b.take(k)), xs.iter().take(k).copied().collect::<Vec<_>>());
        let mut top = xs.clone();
        top.sort_by_key(|x| std::cmp::Reverse(*x));
        top.truncate(k);
        prop_assert_eq!(value(b.top_k(k)), top);
        // not commutative: the order of the partitions is kept
        let text = b.fold(String::new(), |s, x| format!("{s}{x},"), |a, b| a + &b);
        prop_assert_eq!(value(text), xs.iter().map(|x| format!("{x},")).collect::<String>());
        // equal keys: the first item wins
        let place: Vec<(i64, usize)> = xs.iter().map(|x| x.rem_euclid(4)).zip(0..).collect();
        let least = engine().bag().of(place.clone(), n).unwrap().min_by(|a, b| a.0.cmp(&b.0));
        prop_assert_eq!(value(least), place.iter().min().copied());
        let mean = xs.iter().sum::<i64>() as f64 / xs.len() as f64;
        let squares = xs.iter().map(|x| (*x as f64 - mean).powi(2)).sum::<f64>();
        let near = |found: Option<f64>, expect: f64, over: usize| match found {
            Some(found) => xs.len() > over && (found - expect).abs() < 1e-9,
            None => xs.len() <= over,
        };
        prop_assert!(near(value(b.mean()), mean, 0));
        prop_assert!(near(value(b.var(0)), squares / xs.len() as f64, 0));
        prop_assert!(near(value(b.std(1)), (squares / (xs.len() as f64 - 1.0)).sqrt(), 1));
    }

    #[test]
    fn shuffles(xs in items(), ys in items(), n in parts(), m in parts()) {
        let (b, c) = (bag(&xs, n), bag(&ys, m));
        let mut groups: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for x in &xs {
            groups.entry(x.rem_euclid(5)).or_default().push(*x);
        }
        let found: BTreeMap<_, _> = compute(&b.group_by(|x| x.rem_euclid(5))).into_iter().collect();
        prop_assert_eq!(&found, &groups);
        let sums = b.fold_by(|x| x.rem_euclid(5), (0, 0), |(s, n), x| (s + x, n + 1), |a, b| (a.0 + b.0, a.1 + b.1));
        let expect: Vec<_> = groups.iter().map(|(k, g)| (*k, (g.iter().sum::<i64>(), g.len()))).collect();
        prop_assert_eq!(sorted(compute(&sums)), expect);
        let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
        for x in &xs {
            *counts.entry(*x).or_default() += 1;
        }
        prop_assert_eq!(sorted(compute(&b.frequencies())), counts.into_iter().collect::<Vec<_>>());
        let unique: BTreeSet<i64> = xs.iter().copied().collect();
        prop_assert_eq!(sorted(compute(&b.distinct())), unique.into_iter().collect::<Vec<_>>());
        let firsts: Vec<i64> = groups.values().map(|g| g[0]).collect();
        prop_assert_eq!(sorted(compute(&b.distinct_by(|x| x.rem_euclid(5)))), sorted(firsts));
        let joined = b.join(&c, |x| x.rem_euclid(7), |y| y.rem_euclid(7));
        let pairs = |meet: fn(i64, i64) -> bool| {
            let all = xs.iter().flat_map(|x| ys.iter().map(move |y| (*x, *y)));
            sorted(all.filter(|(x, y)| meet(*x, *y)).collect::<Vec<_>>())
        };
        prop_assert_eq!(sorted(compute(&joined)), pairs(|x, y| x.rem_euclid(7) == y.rem_euclid(7)));
        prop_assert_eq!(sorted(compute(&b.product(&c))), pairs(|_, _| true));
        let other = b.repartition(m).unwrap();
        prop_assert_eq!(other.partition_count(), m);
        prop_assert_eq!(compute(&other), xs.clone());
        // a shuffle of a shuffle, used twice
        let twice = b.group_by(|x| x.rem_euclid(3)).flat_map(|(_, g)| g).group_by(|x| x.rem_euclid(2));
        let both = twice.concat(&twice).flat_map(|(_, g)| g);
        prop_assert_eq!(sorted(compute(&both)), sorted([xs.clone(), xs].concat()));
    }

    #[test]
    fn samples(n in parts(), number in 0..50_u64) {
        let b = engine().bag().range(2000, n).unwrap();
        let some = b.random_sample(0.3, seed(number)).unwrap();
        let drawn = compute(&some);
        prop_assert_eq!(compute(&some), drawn.clone());
        prop_assert!(drawn.len() > 400 && drawn.len() < 800, "{}", drawn.len());
        prop_assert!(drawn.is_sorted());
        prop_assert_eq!(compute(&b.random_sample(0.0, seed(number)).unwrap()).len(), 0);
        prop_assert_eq!(compute(&b.random_sample(1.0, seed(number)).unwrap()).len(), 2000);
    }
}

#[test]
fn what_two_results_share_runs_once() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let groups = bag(&[1, 2, 3, 4], 2).map(move |x| {
        counted.fetch_add(1, Ordering::SeqCst);
        x
    });
    let groups = groups.group_by(|x| x % 2);
    let both = (groups.count(), groups.map(|(_, g)| g.iter().sum::<i64>()).sum());
    assert_eq!(engine().block_on(engine().compute_all(both)).unwrap(), (2, 10));
    assert_eq!(runs.load(Ordering::SeqCst), 4);
    // computed again, it runs again
    assert_eq!(compute(&groups).len(), 2);
    assert_eq!(runs.load(Ordering::SeqCst), 8);
    // persisted, it does not
    let held = engine().block_on(groups.persist()).unwrap();
    assert_eq!((compute(&held).len(), value(held.count())), (2, 2));
    assert_eq!(runs.load(Ordering::SeqCst), 12);
}

#[test]
fn nothing_runs_before_it_is_asked_for() {
    let pulled = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&pulled);
    let b = engine().bag().range(1_000_000, 2).unwrap().map(move |x| {
        counted.fetch_add(1, Ordering::SeqCst);
        x
    });
    let first = b.take(3);
    assert_eq!(pulled.load(Ordering::SeqCst), 0);
    assert_eq!(value(first), [0, 1, 2]);
    assert_eq!(pulled.load(Ordering::SeqCst), 3);
    assert!(value(b.any(|x| *x == 5)));
}

#[test]
fn items_need_not_be_clone() {
    struct Only(u64);
    let b = engine().bag().range(5, 2).unwrap().map(Only);
    assert_eq!(compute(&b).into_iter().map(|only| only.0).sum::<u64>(), 10);
    assert_eq!(value(b.fold(0, |s, only| s + only.0, |a, b| a + b)), 10);
}

#[test]
fn calls_in_and_out() {
    let lists = [vec![1_i64, 2], vec![], vec![3]].map(Call::value);
    let b = engine().bag().from_calls(lists).unwrap();
    assert_eq!(b.partition_count(), 3);
    assert_eq!(compute(&b.map(|x| x + 1)), [2, 3, 4]);
    let calls = b.to_calls();
    assert_eq!(calls.into_iter().map(value).collect::<Vec<_>>(), [vec![1, 2], vec![], vec![3]]);
    let held = [engine().put(vec![7_i64]).unwrap()];
    assert_eq!(compute(&engine().bag().from_refs(held).unwrap()), [7]);
    assert!(b.group_by(|x| x % 2).graph().to_mermaid().contains("group_by"));
}

#[test]
fn errors() {
    let check = |error: trefoil_core::Error, kind: ErrorKind, words: &str| {
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    let b = bag(&[1, 2, 3], 2);
    let builder = engine().bag();
    check(builder.of([1], 0).unwrap_err(), ErrorKind::InvalidArgument, "at least one partition");
    check(builder.range(1, 0).unwrap_err(), ErrorKind::InvalidArgument, "at least one partition");
    check(builder.from_calls::<i64>([]).unwrap_err(), ErrorKind::InvalidArgument, "no partition");
    check(b.repartition(0).unwrap_err(), ErrorKind::InvalidArgument, "at least one partition");
    check(b.random_sample(1.5, seed(1)).unwrap_err(), ErrorKind::InvalidArgument, "1.5");
    check(b.zip(&bag(&[1], 1)).unwrap_err(), ErrorKind::ShapeMismatch, "2 partitions, the other 1");
    let uneven = b.zip(&b.filter(|x| *x != 2)).unwrap();
    check(engine().block_on(uneven.compute()).unwrap_err(), ErrorKind::ShapeMismatch, "partition 0");
    let failing = b.try_map(|x| if x == 3 { Err(format!("no {x}")) } else { Ok(x) });
    for bag in [failing.clone(), failing.repartition(5).unwrap(), failing.group_by(|x| *x).flat_map(|g| g.1)]
    {
        check(engine().block_on(bag.compute()).unwrap_err(), ErrorKind::User, "no 3");
        check(engine().block_on(bag.persist()).unwrap_err(), ErrorKind::User, "no 3");
    }
    let seen: Vec<_> = failing.iter().collect();
    assert_eq!(seen.iter().filter(|item| item.is_ok()).count(), 2);
    check(seen.into_iter().next_back().unwrap().unwrap_err(), ErrorKind::User, "no 3");
    let panicking = b.map(|x| if x == 2 { panic!("at {x}") } else { x });
    check(engine().block_on(panicking.compute()).unwrap_err(), ErrorKind::Panicked, "at 2");
}
