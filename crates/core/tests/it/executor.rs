//! The executor as a whole: batches, completion order, graphs given whole, fork-join loops, sleep.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures::StreamExt;
use proptest::prelude::*;
use trefoil_core::{Dag, Error, ErrorKind, Ref};

use crate::{busy, engine};

#[test]
fn closures_in_batches_give_their_values_in_order() {
    let engine = engine(2);
    for count in [0u64, 1, 255, 256, 257, 5000] {
        let refs = engine.spawn_fns((0..count).map(|i| move || i * 3));
        let values = engine.block_on(engine.gather(refs)).unwrap();
        assert_eq!(values, (0..count).map(|i| i * 3).collect::<Vec<_>>());
    }
}

/// A thread outside that spawns much has a deque of its own: what is in there must not depend on the thread.
#[test]
fn what_a_thread_left_behind_is_run() {
    let engine = engine(1);
    // None, one that is told from the thread's first tasks, and more than its deque takes.
    for count in [10u64, 1000, 40_000] {
        let (release, blocker) = busy(&engine);
        let refs = std::thread::scope(|scope| {
            scope.spawn(|| (0..count).map(|i| engine.spawn_fn(move || i)).collect::<Vec<_>>()).join().unwrap()
        });
        assert!(refs.iter().all(|reference| !reference.is_done()));
        drop(release);
        assert_eq!(engine.block_on(engine.gather(refs)).unwrap(), (0..count).collect::<Vec<_>>());
        blocker.get().unwrap();
    }
}

#[test]
fn one_thread_serves_many_engines_and_outlives_them() {
    let mut left = Vec::new();
    for round in 0..3u64 {
        let engines = [engine(1), engine(1), engine(1)];
        let refs: Vec<Ref<u64>> =
            (0..1500).map(|i| engines[i as usize % 3].spawn_fn(move || i + round)).collect();
        let sum: u64 = refs.iter().map(|reference| reference.get().unwrap()).sum();
        assert_eq!(sum, (0..1500).map(|i| i + round).sum::<u64>());
        // The deques hold tasks when the engines go.
        let blockers: Vec<_> = engines.iter().map(busy).collect();
        left.extend((0..1500).map(|i| engines[i % 3].spawn_fn(|| ())));
        engines.iter().for_each(trefoil_core::Engine::shutdown);
        drop(blockers);
    }
    for reference in left {
        assert_eq!(reference.get().unwrap_err().kind(), ErrorKind::ShutDown);
    }
}

#[test]
fn refs_come_in_the_order_of_their_completion() {
    let engine = engine(2);
    let (promises, refs): (Vec<_>, Vec<_>) = (0..100).map(|_| Ref::<usize>::promise("late")).unzip();
    let mut promises: Vec<_> = promises.into_iter().map(Some).collect();
    // Some are done before the stream is made, the others after, from the last to the first.
    for at in [7, 3] {
        promises[at].take().unwrap().fulfil(Ok(at));
    }
    let mut completed = engine.as_completed(refs);
    let mut seen = Vec::new();
    engine.block_on(async {
        for _ in 0..2 {
            seen.push(completed.next().await.unwrap().0);
        }
        for at in (0..100).rev().filter(|at| ![3, 7].contains(at)) {
            promises[at].take().unwrap().fulfil(Ok(at));
            let (place, reference) = completed.next().await.unwrap();
            assert_eq!((place, reference.await.unwrap()), (at, at));
        }
        assert!(completed.next().await.is_none());
    });
    assert_eq!(seen, [3, 7], "what is done already comes in the order given");
    assert_eq!(completed.remaining(), 0);
}

#[test]
fn a_dropped_stream_leaves_the_work_alone() {
    let engine = engine(1);
    let (release, gate) = mpsc::channel::<()>();
    let slow = engine.spawn_fn(move || gate.recv().unwrap());
    let waits = engine.map([slow.clone()], |()| 5).remove(0);
    drop(engine.as_completed([slow.clone(), slow.clone()]));
    for _ in 0..3 {
        let pending = engine
            .block_on(engine.wait(std::slice::from_ref(&slow), 1, Some(std::time::Duration::ZERO)))
            .unwrap();
        assert!(pending.0.is_empty());
    }
    release.send(()).unwrap();
    assert_eq!(waits.get().unwrap(), 5);
}

#[test]
fn a_chain_does_not_starve_what_waits_beside_it() {
    let engine = engine(1);
    let done = Arc::new(AtomicUsize::new(0));
    // Runs until the task that was queued after it has run: on one worker that needs fairness.
    fn step(engine: trefoil_core::Engine, done: Arc<AtomicUsize>) {
        if done.load(Ordering::SeqCst) == 0 {
            let (own, next) = (engine.clone(), Arc::clone(&done));
            drop(engine.spawn_fn(move || step(own, next)));
        }
    }
    let (own, next) = (engine.clone(), Arc::clone(&done));
    drop(engine.spawn_fn(move || step(own, next)));
    let other = Arc::clone(&done);
    engine.spawn_fn(move || other.fetch_add(1, Ordering::SeqCst)).get().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A random graph, numbered onward or anyhow: every node runs once, after all it needs.
    #[test]
    fn a_graph_runs_every_node_once_and_in_order(
        needs in prop::collection::vec(
            (prop::collection::vec(any::<prop::sample::Index>(), 0..4), 0usize..600, any::<u32>()),
            1..1500,
        ),
        onward in any::<bool>(),
        workers in 1usize..5,
    ) {
        // The number of each node, and which give way to other threads.
        let mut numbers: Vec<usize> = (0..needs.len()).collect();
        if !onward {
            numbers.sort_by_key(|&node| needs[node].2);
        }
        let slow: HashSet<usize> =
            numbers.iter().zip(&needs).filter(|(_, (_, _, rank))| rank % 16 == 0).map(|(node, _)| *node).collect();
        // From near by as often as from anywhere, so that lanes meet nodes that are not ready.
        let edges: Vec<(usize, usize)> = needs
            .iter()
            .enumerate()
            .flat_map(|(to, (from, near, _))| from.iter().filter(move |_| to > 0).map(move |index| {
                let reach = if near % 2 == 0 { to } else { to.min(near / 2 + 1) };
                (to - 1 - index.index(reach), to)
            }))
            .map(|(from, to)| (numbers[from], numbers[to]))
            .collect();
        let dag = Dag::new(needs.len(), edges.iter().copied()).unwrap();
        prop_assert_eq!((dag.node_count(), dag.edge_count()), (needs.len(), edges.len()));
        let clock = AtomicU32::new(1);
        let ran: Arc<Vec<AtomicU32>> = Arc::new(needs.iter().map(|_| AtomicU32::new(0)).collect());
        let own = Arc::clone(&ran);
        engine(workers)
            .spawn_dag(&dag, move |node| {
                if slow.contains(&node) {
                    std::thread::yield_now();
                }
                let before = own[node].swap(clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
                assert_eq!(before, 0, "node {node} ran twice");
                Ok(())
            })
            .get()
            .unwrap();
        let ran: Vec<u32> = ran.iter().map(|at| at.load(Ordering::Relaxed)).collect();
        prop_assert!(ran.iter().all(|&at| at > 0));
        for (from, to) in edges {
            prop_assert!(ran[from] < ran[to], "{from} -> {to}");
        }
    }
}

#[test]
fn long_and_wide_graphs() {
    let engine = engine(2);
    let check = |name: &str, nodes: usize, edges: Vec<(usize, usize)>| {
        let sum = Arc::new(AtomicU64::new(0));
        let own = Arc::clone(&sum);
        let work = move |node: usize| {
            own.fetch_add(node as u64, Ordering::Relaxed);
            Ok(())
        };
        engine.spawn_dag(&Dag::new(nodes, edges).unwrap(), work).get().unwrap();
        let expected = (0..nodes as u64).sum::<u64>();
        assert_eq!(sum.load(Ordering::Relaxed), expected, "{name}");
    };
    check("empty", 0, vec![]);
    check("points", 100_000, vec![]);
    check("chain", 100_000, (1..100_000).map(|i| (i - 1, i)).collect());
    check("fan", 50_001, (1..50_001).map(|i| (0, i)).collect());
    check("funnel", 50_001, (0..50_000).map(|i| (i, 50_000)).collect());
    check("twice", 2, vec![(0, 1), (0, 1)]);
}

#[test]
fn a_graph_ends_at_the_first_failure() {
    let engine = engine(2);
    let dag = Dag::new(1000, (1..1000).map(|i| (i - 1, i))).unwrap();
    for panics in [false, true] {
        let last = Arc::new(AtomicUsize::new(0));
        let own = Arc::clone(&last);
        let error = engine
            .spawn_dag(&dag, move |node| {
                own.store(node, Ordering::Relaxed);
                assert!(!(panics && node == 500), "as asked");
                if node == 500 { Err(Error::user("no more")) } else { Ok(()) }
            })
            .get()
            .unwrap_err();
        assert_eq!(error.kind(), if panics { ErrorKind::Panicked } else { ErrorKind::User });
        assert_eq!(error.task().unwrap().name, "node 500");
        assert_eq!(last.load(Ordering::Relaxed), 500);
    }
}

#[test]
fn graphs_are_checked_and_cancelled() {
    for (nodes, edges, kind, text) in [
        (2, vec![(0, 2)], ErrorKind::InvalidArgument, "edge 0 -> 2 of a graph of 2 nodes"),
        (4, vec![(0, 1), (1, 2), (2, 1), (2, 3)], ErrorKind::Cycle, "comes before itself: "),
        (1, vec![(0, 0)], ErrorKind::Cycle, "node 0 comes before itself: 0 -> 0"),
    ] {
        let error = Dag::new(nodes, edges).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(text), "{error}");
    }
    let engine = engine(2);
    let (started, begin) = mpsc::channel();
    let (release, gate) = mpsc::channel::<()>();
    let (gate, ran) = (std::sync::Mutex::new(gate), Arc::new(AtomicUsize::new(0)));
    let own = Arc::clone(&ran);
    let run = engine.spawn_dag(&Dag::new(1000, (1..1000).map(|i| (i - 1, i))).unwrap(), move |node| {
        if node == 0 {
            started.send(()).unwrap();
            gate.lock().unwrap().recv().unwrap();
        }
        own.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    begin.recv().unwrap();
    assert!(run.cancel());
    release.send(()).unwrap();
    assert!(run.get().unwrap_err().is_cancelled());
    // A graph goes with the task that started it.
    let (started, begin) = mpsc::channel();
    let (slot, gone) = (Arc::new(std::sync::OnceLock::new()), Arc::new(AtomicUsize::new(0)));
    let (own, run, seen) = (engine.clone(), Arc::clone(&slot), Arc::clone(&gone));
    let ran = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&ran);
    let parent = engine.spawn_fn(move || {
        let dag = Dag::new(1000, (1..1000).map(|i| (i - 1, i))).unwrap();
        let cancelled = Arc::clone(&seen);
        let graph = own.spawn_dag(&dag, move |node| {
            counter.fetch_add(1, Ordering::Relaxed);
            if node == 0 {
                started.send(()).unwrap();
                while cancelled.load(Ordering::SeqCst) == 0 {
                    std::thread::yield_now();
                }
            }
            Ok(())
        });
        assert!(run.set(graph).is_ok());
        while !trefoil_core::task_is_cancelled() {
            std::thread::yield_now();
        }
        seen.store(1, Ordering::SeqCst);
    });
    begin.recv().unwrap();
    assert!(parent.cancel());
    assert!(slot.wait().get().unwrap_err().is_cancelled());
    assert!(ran.load(Ordering::Relaxed) < 1000);
}

/// Edges that are others each time they are gone through.
#[derive(Clone)]
struct Fickle(Arc<AtomicUsize>, usize);

impl Iterator for Fickle {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        self.1 += 1;
        let turn = self.0.fetch_add(1, Ordering::Relaxed);
        (self.1 <= 3).then_some((turn % 3, (turn * 7 + turn / 4) % 3))
    }
}

#[test]
fn edges_that_change_are_an_error_or_a_graph() {
    for first in 0..64 {
        let edges = Fickle(Arc::new(AtomicUsize::new(first)), 0);
        if let Err(error) = Dag::new(3, edges) {
            assert!(matches!(error.kind(), ErrorKind::InvalidArgument | ErrorKind::Cycle), "{error}");
        }
    }
}

#[test]
fn nodes_begin_in_the_order_of_their_numbers_or_along_the_edges() {
    let engine = engine(1);
    let order = |nodes: usize, edges: &[(usize, usize)]| {
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let own = Arc::clone(&order);
        let run = engine.spawn_dag(&Dag::new(nodes, edges.iter().copied()).unwrap(), move |node| {
            own.lock().unwrap().push(node);
            Ok(())
        });
        run.get().unwrap();
        std::mem::take(&mut *order.lock().unwrap())
    };
    assert_eq!(order(5, &[(0, 3), (0, 1), (3, 4), (0, 2)]), [0, 1, 2, 3, 4]);
    // The last edge leads back.
    assert_eq!(order(6, &[(0, 3), (0, 1), (3, 4), (0, 2), (5, 4)]), [0, 3, 1, 2, 5, 4]);
    assert_eq!(order(4, &[(3, 2), (2, 1), (1, 0)]), [3, 2, 1, 0]);
}

#[test]
fn nodes_that_are_ready_run_side_by_side() {
    let engine = engine(4);
    // Its name, nodes and edges, and which nodes wait until all four of them run.
    type Case = (&'static str, usize, Vec<(usize, usize)>, fn(usize) -> bool);
    let onward = |rows: usize, columns: usize| {
        let at = move |row, column| row * columns + column;
        let left = (0..rows)
            .flat_map(move |row| (1..columns).map(move |column| (at(row, column - 1), at(row, column))));
        left.chain((columns..rows * columns).map(move |node| (node - columns, node))).collect()
    };
    let cases: [Case; 7] = [
        ("points", 4, vec![], |_| true),
        ("fan", 5, (1..5).map(|i| (0, i)).collect(), |i| i > 0),
        ("fan of a slow node", 5, (1..5).map(|i| (0, i)).collect(), |i| i > 0),
        ("pairs", 8, (0..4).map(|i| (2 * i, 2 * i + 1)).collect(), |i| i % 2 == 1),
        // Slow ones after so many fast ones that a worker takes several at once.
        ("points among many", 30_000, vec![], |i| i > 20_000 && i % 64 == 32 && i < 20_000 + 5 * 64),
        ("rows", 4000, onward(4, 1000), |i| i % 1000 == 900 - 64 * (i / 1000)),
        ("diamonds", 3000, (1..3000).map(|i| (i - 1 - (i - 1) % 300, i)).collect(), |i| {
            i > 2701 && i < 2960 && i % 64 == 32
        }),
    ];
    for (name, nodes, edges, meets) in cases {
        let dag = Dag::new(nodes, edges).unwrap();
        for _ in 0..50 {
            let (arrived, all) = (std::sync::Mutex::new(0), std::sync::Condvar::new());
            let run = engine.spawn_dag(&dag, move |node| {
                if name == "fan of a slow node" && node == 0 {
                    // So slow that whoever looks for work meanwhile gives up.
                    std::thread::sleep(Duration::from_millis(1));
                }
                if meets(node) {
                    let mut arrived = arrived.lock().unwrap();
                    *arrived += 1;
                    all.notify_all();
                    let limit = Duration::from_secs(60);
                    let (arrived, _) =
                        all.wait_timeout_while(arrived, limit, |arrived| *arrived < 4).unwrap();
                    assert_eq!(*arrived, 4, "{name}");
                }
                Ok(())
            });
            run.get().unwrap();
        }
    }
}

#[test]
fn loops_run_every_number_once_wherever_they_are_called() {
    for workers in [1, 2, 3] {
        let engine = engine(workers);
        let check = |engine: &trefoil_core::Engine, len: usize, grain: usize| {
            let hits: Arc<Vec<AtomicU32>> = Arc::new((0..len).map(|_| AtomicU32::new(0)).collect());
            let own = Arc::clone(&hits);
            engine
                .par_for(len, grain, move |piece| {
                    piece.for_each(|i| own[i].store(own[i].load(Ordering::Relaxed) + 1, Ordering::Relaxed))
                })
                .unwrap();
            assert!(hits.iter().all(|hit| hit.load(Ordering::Relaxed) == 1), "{len} by {grain}");
        };
        for (len, grain) in [(0, 1), (1, 1), (10, 3), (1000, 1), (1000, 1000), (1000, usize::MAX)] {
            check(&engine, len, grain);
            let inner = engine.clone();
            engine.spawn_fn(move || check(&inner, len, grain)).get().unwrap();
        }
        // A loop in a loop in a task.
        let (inner, total) = (engine.clone(), Arc::new(AtomicUsize::new(0)));
        let own = Arc::clone(&total);
        let outer = engine.clone();
        let nested = engine.try_spawn_fn(move || {
            outer.par_for(20, 1, move |_| {
                let own = Arc::clone(&own);
                inner
                    .par_for(50, 7, move |piece| {
                        own.fetch_add(piece.len(), Ordering::Relaxed);
                    })
                    .unwrap();
            })
        });
        nested.get().unwrap();
        assert_eq!(total.load(Ordering::Relaxed), 1000);
    }
    let engine = engine(2);
    assert_eq!(engine.par_for(5, 0, |_| {}).unwrap_err().kind(), ErrorKind::InvalidArgument);
    let error = engine.par_for(100, 1, |piece| assert!(piece.start != 50, "as asked")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
}

#[test]
fn workers_are_kept_on_cores() {
    let cores = |pinned: bool| -> std::collections::BTreeSet<String> {
        let engine =
            trefoil_core::Engine::builder().workers(2).memory("64MiB").pin_workers(pinned).build().unwrap();
        // Both workers have to come for the barrier to open.
        let barrier = Arc::new(std::sync::Barrier::new(2));
        let refs = engine.spawn_fns((0..2).map(|_| {
            let barrier = Arc::clone(&barrier);
            move || {
                barrier.wait();
                let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
                status
                    .lines()
                    .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
                    .unwrap()
                    .trim()
                    .to_owned()
            }
        }));
        engine.block_on(engine.gather(refs)).unwrap().into_iter().collect()
    };
    let free = cores(false);
    assert_eq!(free.len(), 1, "as the process: {free:?}");
    let pinned = cores(true);
    assert!(pinned.iter().all(|core| core.parse::<usize>().is_ok()), "one core each: {pinned:?}");
    let alone = free.iter().all(|cores| cores.parse::<usize>().is_ok());
    assert_eq!(pinned.len(), if alone { 1 } else { 2 });
}
