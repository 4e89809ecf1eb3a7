//! Callers, lanes and groups: who waits for whom, and who does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::sync::Semaphore;
use trefoil_tasks::{ActorSession, Engine, ErrorKind, Ref, actor};

use crate::engine;

#[derive(Clone, Default)]
struct Log(Vec<(u8, u32)>);

#[actor]
impl Log {
    pub fn push(&mut self, caller: u8, number: u32, _late: u8) {
        self.0.push((caller, number));
    }

    pub async fn push_later(&mut self, caller: u8, number: u32, _late: u8) {
        tokio::task::yield_now().await;
        self.0.push((caller, number));
    }

    pub fn all(&self) -> Vec<(u8, u32)> {
        self.0.clone()
    }
}

#[test]
fn a_late_argument_holds_up_its_own_caller_only() {
    let engine = engine();
    let first = engine.actor(Log::default()).spawn().unwrap();
    let second = first.clone();
    let (promise, late) = Ref::promise("late");
    let held = first.push(1, 0, late);
    let behind = first.push(1, 1, 0);
    second.push(2, 0, 0).get().unwrap();
    assert_eq!(second.all().get().unwrap(), [(2, 0)]);
    assert!(!held.is_done() && !behind.is_done());
    assert_eq!(first.pending(), 2);
    promise.fulfil(Ok(0));
    behind.get().unwrap();
    assert_eq!(second.all().get().unwrap(), [(2, 0), (1, 0), (1, 1)]);
    assert_eq!(first.pending(), 0);
}

#[test]
fn a_cancelled_call_that_waited_for_an_argument_lets_the_next_pass() {
    let engine = engine();
    let log = engine.actor(Log::default()).spawn().unwrap();
    let (_promise, never) = Ref::promise("never");
    let (held, behind) = (log.push(1, 0, &never), log.push(1, 1, 0));
    let (later, last) = (log.push(1, 2, never), log.push(1, 3, 0));
    assert!(held.cancel());
    behind.get().unwrap();
    assert!(later.cancel());
    last.get().unwrap();
    assert_eq!(log.all().get().unwrap(), [(1, 1), (1, 3)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Several callers, arguments that come in any order: each caller's calls run in its order, and all run.
    #[test]
    fn calls_of_a_caller_keep_their_order(
        calls in prop::collection::vec((0_u8..3, any::<bool>(), prop::option::weighted(0.5, any::<u32>())), 1..60),
        stopped in any::<bool>(),
    ) {
        thread_local! { static ENGINE: Engine = crate::engine(); }
        let engine = ENGINE.with(Engine::clone);
        let log = engine.actor(Log::default()).spawn().unwrap();
        let callers: Vec<_> = (0..3).map(|_| log.clone()).collect();
        let (mut late, mut answers, mut made) = (Vec::new(), Vec::new(), [0_u32; 3]);
        for &(caller, later, order) in &calls {
            let argument = match order {
                None => Ref::ready(0_u8),
                Some(order) => {
                    let (promise, argument) = Ref::promise("late");
                    late.push((order, promise));
                    argument
                }
            };
            let at = usize::from(caller);
            let number = made[at];
            made[at] += 1;
            answers.push(if later {
                callers[at].push_later(caller, number, argument)
            } else {
                callers[at].push(caller, number, argument)
            });
        }
        let seen = log.clone();
        if stopped {
            // The queue is done before the actor ends, late arguments and all.
            drop(callers);
        }
        late.sort_by_key(|(order, _)| *order);
        for (_, promise) in late {
            promise.fulfil(Ok(0));
        }
        for answer in answers {
            answer.get().unwrap();
        }
        let all = seen.all().get().unwrap();
        for (caller, made) in (0_u8..).zip(made) {
            let numbers: Vec<u32> = all.iter().filter(|(of, _)| *of == caller).map(|(_, n)| *n).collect();
            prop_assert_eq!(numbers, (0..made).collect::<Vec<_>>());
        }
    }
}

/// Methods that wait until they are let through.
struct Gates {
    io: Arc<Semaphore>,
    compute: Arc<Semaphore>,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Gates {
    fn new() -> (Self, Arc<Semaphore>, Arc<Semaphore>) {
        let (io, compute) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        (Self { io: io.clone(), compute: compute.clone(), now, most }, io, compute)
    }

    async fn pass(&self, gate: &Semaphore) -> usize {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        gate.acquire().await.unwrap().forget();
        self.now.fetch_sub(1, Ordering::SeqCst);
        self.most.load(Ordering::SeqCst)
    }
}

#[actor]
impl Gates {
    #[actor(group = "io")]
    pub async fn read(&self) -> usize {
        self.pass(&self.io).await
    }

    #[actor(group = "compute")]
    pub async fn compute(&self) -> usize {
        self.pass(&self.compute).await
    }

    pub async fn plain(&self) -> u8 {
        1
    }

    pub fn quick(&self) -> u8 {
        2
    }
}

#[test]
fn a_blocked_group_holds_up_no_other() {
    let engine = engine();
    let (gates, io, compute) = Gates::new();
    let gates = engine.actor(gates).group("io", 2).group("compute", 1).spawn().unwrap();
    let reads: Vec<_> = (0..4).map(|_| gates.read()).collect();
    let computes: Vec<_> = (0..3).map(|_| gates.compute()).collect();
    // Both groups are full and more calls wait, of the same caller.
    assert_eq!((gates.plain().get().unwrap(), gates.quick().get().unwrap()), (1, 2));
    assert_eq!(gates.pending(), 4, "two reads and two computations have not started");
    compute.add_permits(3);
    for answer in computes {
        assert!(answer.get().unwrap() <= 3, "two reads and one computation at once");
    }
    assert!(reads.iter().all(|read| !read.is_done()));
    io.add_permits(4);
    for read in reads {
        assert!(read.get().unwrap() <= 3);
    }
}

#[test]
fn a_group_can_be_chosen_at_the_call() {
    let engine = engine();
    let (gates, io, compute) = Gates::new();
    let gates = engine.actor(gates).group("io", 1).group("compute", 1).spawn().unwrap();
    let read = gates.read();
    let as_compute = gates.in_group("compute").unwrap();
    let second = as_compute.read();
    assert_eq!(
        as_compute.plain().get_timeout(std::time::Duration::from_millis(20)).unwrap_err().kind(),
        ErrorKind::TimedOut
    );
    io.add_permits(2);
    assert!(read.get().is_ok() && second.get().unwrap() == 2, "both at once");
    compute.add_permits(1);

    let missing = gates.in_group("compte").unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.to_string().contains("did you mean `compute`?"), "{missing}");
    let (gates, ..) = Gates::new();
    assert_eq!(engine.actor(gates).group("oi", 1).spawn().unwrap_err().kind(), ErrorKind::NotFound);
    let (gates, ..) = Gates::new();
    assert_eq!(engine.actor(gates).group("io", 0).spawn().unwrap_err().kind(), ErrorKind::InvalidArgument);
}

/// Methods that block their thread.
struct Blocking {
    together: std::sync::Barrier,
    enter: SyncSender<()>,
    leave: Mutex<Receiver<()>>,
}

#[actor]
impl Blocking {
    pub fn block(&self) -> u8 {
        self.enter.send(()).unwrap();
        1
    }

    /// Ends when three are inside.
    pub fn meet(&self) -> u8 {
        self.together.wait();
        2
    }

    #[actor(group = "slow")]
    pub fn slow(&self) -> u8 {
        self.leave.lock().recv().unwrap();
        3
    }

    #[actor(blocking)]
    pub fn marked(&mut self) -> u8 {
        self.leave.lock().recv().unwrap();
        4
    }

    pub fn explode(&self) {
        panic!("on a thread");
    }
}

#[test]
fn threads_run_shared_methods_beside_each_other() {
    let engine = engine();
    let (enter, _entered) = sync_channel(0);
    let (_leave, leave) = sync_channel(0);
    let together = std::sync::Barrier::new(3);
    let blocking = Blocking { together, enter, leave: Mutex::new(leave) };
    let actor = engine.actor(blocking).threads(3).spawn().unwrap();
    let answers: Vec<_> = (0..6).map(|_| actor.meet()).collect();
    for answer in answers {
        assert_eq!(answer.get().unwrap(), 2);
    }
    assert_eq!(actor.explode().get().unwrap_err().kind(), ErrorKind::Panicked);
    assert!(!actor.is_alive());
}

#[test]
fn a_blocked_thread_of_a_group_leaves_the_loop_free() {
    let engine = engine();
    let (enter, entered) = sync_channel(1);
    let (release, leave) = sync_channel(0);
    let blocking = Blocking { together: std::sync::Barrier::new(3), enter, leave: Mutex::new(leave) };
    let actor = engine.actor(blocking).spawn().unwrap();
    let slow = actor.slow();
    assert_eq!(actor.block().get().unwrap(), 1);
    entered.recv().unwrap();
    assert!(!slow.is_done());
    release.send(()).unwrap();
    assert_eq!(slow.get().unwrap(), 3);
    let marked = actor.marked();
    release.send(()).unwrap();
    assert_eq!(marked.get().unwrap(), 4);
}

struct Holder(Vec<u8>);

#[actor]
impl Holder {
    pub fn swap(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        std::mem::replace(&mut self.0, bytes)
    }

    pub async fn swap_later(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        tokio::task::yield_now().await;
        std::mem::replace(&mut self.0, bytes)
    }

    pub fn place(&self, bytes: &[u8]) -> usize {
        bytes.as_ptr() as usize
    }
}

/// Objects: a message and an answer of 100 MB are the same bytes at both ends.
#[test]
fn a_hundred_megabytes_travel_without_a_copy() {
    const SIZE: usize = 100_000_000;
    let engine = engine();
    let holder = engine.actor(Holder(Vec::new())).spawn().unwrap();
    let bytes = vec![7_u8; SIZE];
    let place = bytes.as_ptr() as usize;
    let bytes = Ref::ready(bytes);
    assert_eq!(holder.place(&bytes).get().unwrap(), place, "borrowed from a ref");
    let bytes = engine.block_on(bytes).unwrap();
    assert_eq!(bytes.as_ptr() as usize, place);
    drop(holder.swap(bytes).get_value().unwrap());
    let back = holder.swap(Vec::new()).get_value().unwrap();
    assert_eq!((back.as_ptr() as usize, back.len()), (place, SIZE), "moved in, and borrowed from the answer");
    let bytes = engine.block_on(holder.swap_later(Vec::new())).unwrap();
    assert!(bytes.is_empty());
}
