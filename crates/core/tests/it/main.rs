//! Tests of the stem through its public API; one binary, a module per area.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod budget;
mod calls;
mod cancel;
mod contexts;
mod desk;
mod errors;
mod events;
mod executor;
#[cfg(feature = "prometheus")]
mod metrics;
mod models;
mod options;
mod replay;
mod schedules;
mod several;
mod shutdown;
mod spans;
mod status;
mod store;
mod stored;
mod sync;
mod tasks;
mod trace;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use trefoil_core::{Engine, Ref};

/// An engine of `workers` threads with room for tests.
fn engine(workers: usize) -> Engine {
    Engine::builder().workers(workers).memory("64MiB").build().unwrap()
}

/// Occupies the only worker until it is told to end.
fn busy(engine: &Engine) -> (mpsc::Sender<()>, Ref<()>) {
    let (release, gate) = mpsc::channel::<()>();
    let (started, begun) = mpsc::channel();
    let blocker = engine.spawn_fn(move || {
        started.send(()).unwrap();
        let _ = gate.recv();
    });
    begun.recv().unwrap();
    (release, blocker)
}

/// Counts how often a closure ran.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

impl Counter {
    fn add(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}
