//! Placement groups on virtual nodes: pending until whole, seats, removal, affinity, demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use trefoil_tasks::placement::{Bundle, Nodes, Seat, Strategy, Where};
use trefoil_tasks::{ActorSession, Engine, ErrorKind, Ref, actor, sync::Event, task};

use crate::engine;

fn nodes(cpus: &[f64]) -> Nodes {
    Nodes::new(cpus.iter().enumerate().map(|(at, cpus)| (format!("n{at}"), Bundle::cpus(*cpus)))).unwrap()
}

fn cpus(counts: &[f64]) -> Vec<Bundle> {
    counts.iter().map(|count| Bundle::cpus(*count)).collect()
}

fn free(nodes: &Nodes) -> Vec<f64> {
    nodes.status().iter().map(|node| node.free.amount("cpus")).collect()
}

#[task]
async fn pass(gate: Event, value: u32) -> u32 {
    gate.wait().await;
    value
}

#[task]
fn now(value: u32) -> u32 {
    value
}

#[test]
fn a_gang_waits_until_it_is_whole_and_nobody_overtakes() {
    let (engine, nodes) = (engine(), nodes(&[2.0, 2.0]));
    let first = nodes.reserve(Strategy::Pack, cpus(&[1.0])).unwrap();
    let whole = nodes.reserve(Strategy::StrictSpread, cpus(&[2.0, 2.0])).unwrap();
    let small = nodes.reserve(Strategy::Pack, cpus(&[1.0])).unwrap();
    assert!(first.is_ready() && !whole.is_ready() && !small.is_ready());
    assert_eq!(free(&nodes).iter().sum::<f64>(), 3.0, "a pending gang holds nothing");
    let demand = nodes.demand();
    assert_eq!(demand.len(), 2);
    assert_eq!((demand[0].strategy, demand[0].bundles.clone()), (Strategy::StrictSpread, cpus(&[2.0, 2.0])));
    first.remove();
    engine.block_on(whole.ready()).unwrap();
    assert_eq!(free(&nodes), [0.0, 0.0]);
    assert!(!small.is_ready());
    drop(whole);
    engine.block_on(small.ready()).unwrap();
    assert!(nodes.demand().is_empty());
}

#[test]
fn what_could_never_fit_is_an_error_with_the_reason() {
    let nodes = nodes(&[1.0, 2.0]);
    let check = |result: Result<_, trefoil_tasks::Error>, kind: ErrorKind, text: &str| {
        let error = result.map(|_: trefoil_tasks::placement::PlacementGroup| ()).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(text), "{error}");
    };
    use ErrorKind::{InvalidArgument, NotFound};
    check(
        nodes.reserve(Strategy::StrictPack, cpus(&[1.0, 2.0])),
        InvalidArgument,
        "StrictPack of {cpus: 1}, {cpus: 2} can never be placed on n0 {cpus: 1}, n1 {cpus: 2}",
    );
    check(nodes.reserve(Strategy::Pack, [Bundle::new().with("gpu", 1.0)]), InvalidArgument, "gpu");
    check(nodes.reserve(Strategy::Pack, cpus(&[-1.0])), InvalidArgument, "-1 is no amount of `cpus`");
    check(
        nodes.reserve_at(Where::On("m1".into()), Strategy::Pack, cpus(&[1.0])),
        NotFound,
        "did you mean `n1`",
    );
    // A node that comes later changes that.
    nodes.add("n2", Bundle::cpus(3.0), []).unwrap();
    assert!(nodes.reserve(Strategy::StrictPack, cpus(&[1.0, 2.0])).unwrap().is_ready());
    assert_eq!(nodes.add("n2", Bundle::cpus(3.0), []).unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[test]
fn seats_are_a_share_of_their_bundle() {
    let (engine, nodes) = (engine(), nodes(&[2.0]));
    let gang = nodes.reserve(Strategy::Pack, cpus(&[0.5, 1.0])).unwrap();
    let (running, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let seats = |slot: trefoil_tasks::placement::Slot, at_once: u32| {
        most.store(0, Ordering::SeqCst);
        let refs: Vec<Ref<()>> = (0..8)
            .map(|_| {
                let (running, most, slot) = (Arc::clone(&running), Arc::clone(&most), slot.clone());
                engine.spawn_async(async move {
                    let _seat = slot.seat().await?;
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    running.fetch_sub(1, Ordering::SeqCst);
                    Ok(())
                })
            })
            .collect();
        engine.block_on(engine.gather(refs)).unwrap();
        assert!(most.load(Ordering::SeqCst) <= at_once);
    };
    seats(gang.bundle(0).unwrap(), 1);
    seats(gang.bundle(1).unwrap(), 1);
    seats(gang.bundle(1).unwrap().needs(&Bundle::cpus(0.25)).unwrap(), 4);
    // 0.25 of a cpu four times, exactly.
    let slot = gang.bundle(1).unwrap().needs(&Bundle::cpus(0.25)).unwrap();
    let four: Vec<Arc<Seat>> = (0..4).map(|_| engine.block_on(slot.seat()).unwrap()).collect();
    assert!(four.iter().all(|seat| seat.node() == "n0" && seat.bundle() == 1));
    let fifth = engine.spawn_async(slot.seat());
    assert_eq!(fifth.get_value_timeout(std::time::Duration::ZERO).unwrap_err().kind(), ErrorKind::TimedOut);
    drop(four);
    assert_eq!(fifth.get().unwrap().node(), "n0");
    assert_eq!(
        gang.bundle(0).unwrap().needs(&Bundle::cpus(1.0)).unwrap_err().message(),
        "{cpus: 1} is more than the bundle has: {cpus: 0.5}"
    );
    assert_eq!(gang.bundle(2).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn removal_kills_its_users_and_is_idempotent() {
    let (engine, nodes) = (engine(), nodes(&[1.0]));
    let gang = nodes.reserve(Strategy::Pack, cpus(&[1.0])).unwrap();
    let next = nodes.reserve(Strategy::Pack, cpus(&[1.0])).unwrap();
    let gate = Event::new();
    let slot = gang.bundle(0).unwrap();
    let before = slot.spawn(&engine, now(1));
    assert_eq!(before.get().unwrap(), 1);
    let running = slot.spawn(&engine, pass(gate.clone(), 2));
    let queued = slot.spawn(&engine, pass(gate.clone(), 3));
    assert!(!next.is_ready());
    gang.remove();
    gang.remove();
    for user in [running, queued, slot.spawn(&engine, pass(gate, 4))] {
        let error = user.get().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert!(error.to_string().contains("the group was removed"), "{error}");
    }
    engine.block_on(next.ready()).unwrap();
    assert_eq!(before.get().unwrap(), 1, "what was done stays");
    assert_eq!(engine.block_on(gang.bundle(0).unwrap().seat()).unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn a_pending_group_that_is_removed_is_forgotten() {
    let (engine, nodes) = (engine(), nodes(&[1.0]));
    let held = nodes.reserve(Strategy::Pack, cpus(&[1.0])).unwrap();
    let pending = nodes.reserve(Strategy::Pack, cpus(&[1.0])).unwrap();
    let user = pending.bundle(0).unwrap().spawn(&engine, now(1));
    pending.remove();
    assert_eq!(engine.block_on(pending.ready()).unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(user.get().unwrap_err().kind(), ErrorKind::Cancelled);
    drop(held);
    assert_eq!(free(&nodes), [1.0]);
}

#[test]
fn a_cancelled_or_failed_call_gives_its_seat_back() {
    #[task]
    fn fails() -> Result<u32, String> {
        Err("as asked".to_owned())
    }
    let (engine, nodes) = (engine(), nodes(&[1.0]));
    let gang = nodes.reserve(Strategy::Pack, cpus(&[1.0])).unwrap();
    let slot = gang.bundle(0).unwrap();
    let error = slot.spawn(&engine, fails()).get().unwrap_err();
    assert_eq!((error.kind(), error.task().unwrap().name.as_ref()), (ErrorKind::User, "fails"));
    let gate = Event::new();
    let running = slot.spawn(&engine, pass(gate.clone(), 1));
    let queued = slot.spawn(&engine, pass(gate.clone(), 2));
    queued.cancel();
    running.cancel();
    assert_eq!(running.get().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(slot.spawn(&engine, now(3)).get().unwrap(), 3);
    // The last handle is dropped while a call runs: the amounts go back after it.
    let last = slot.spawn(&engine, pass(gate.clone(), 4));
    drop((slot, gang));
    gate.set();
    assert_eq!(last.get().unwrap(), 4);
    let after = nodes.reserve(Strategy::Pack, cpus(&[1.0])).unwrap();
    engine.block_on(after.ready()).unwrap();
}

#[test]
fn single_calls_go_to_the_node_they_ask_for() {
    let engine = engine();
    let nodes = nodes(&[1.0, 1.0]);
    nodes.add("big", Bundle::cpus(2.0).with("gpu", 1.0), [("disk", "ssd")]).unwrap();
    let gate = Event::new();
    let spawn = |place, need| nodes.spawn(&engine, place, need, pass(gate.clone(), 1));
    let on = spawn(Where::On("n1".into()), Bundle::cpus(1.0));
    let again = spawn(Where::On("n1".into()), Bundle::cpus(1.0));
    assert_eq!(free(&nodes), [1.0, 0.0, 2.0]);
    assert_eq!(nodes.demand().len(), 1, "hard affinity waits for its node");
    again.cancel();
    gate.set();
    on.get().unwrap();
    assert_eq!(again.get().unwrap_err().kind(), ErrorKind::Cancelled);
    let labelled = Where::Labelled("disk".into(), "ssd".into());
    assert_eq!(spawn(labelled, Bundle::new().with("gpu", 1.0)).get().unwrap(), 1);
    let error = spawn(Where::Anywhere, Bundle::cpus(3.0)).get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

struct Placed {
    seat: Arc<Seat>,
}

#[actor]
impl Placed {
    pub fn node(&self) -> String {
        self.seat.node()
    }
}

#[test]
fn an_actor_keeps_its_seat_as_long_as_it_lives() {
    let engine = engine();
    let nodes = Nodes::of(&engine).unwrap();
    let gang = nodes.reserve(Strategy::Pack, cpus(&[1.0, 1.0])).unwrap();
    let seat = engine.block_on(gang.bundle(1).unwrap().seat()).unwrap();
    let actor = engine.actor(Placed { seat }).spawn().unwrap();
    assert_eq!(actor.node().get().unwrap(), "local");
    let second = engine.spawn_async(gang.bundle(1).unwrap().seat());
    assert!(!second.is_done());
    actor.stop();
    engine.block_on(actor.wait_ended());
    assert_eq!(second.get().unwrap().bundle(), 1);
}

#[test]
fn nested_calls_find_their_group_through_the_seat() {
    let engine: Engine = engine();
    let nodes = nodes(&[2.0]);
    let gang = nodes.reserve(Strategy::Pack, cpus(&[2.0])).unwrap();
    let slot = gang.bundle(0).unwrap();
    let parent = engine.spawn_async(async move {
        let seat = slot.seat().await?;
        let engine = Engine::current()?;
        let child = seat.group().bundle(seat.bundle())?.spawn(&engine, now(7));
        child.await
    });
    assert_eq!(parent.get().unwrap(), 7);
}
