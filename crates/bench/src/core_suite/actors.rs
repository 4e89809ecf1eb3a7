//! Actors: one call at a time, many in flight, several actors and callers, beside a loop written by hand.

use std::collections::VecDeque;

use kameo::actor::Spawn;
use kameo::message::{Context, Message};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use trefoil::{ActorHandle, ActorSession, actor};
use trefoil_core::Ref;

use super::{Peers, check};
use crate::arguments::Arguments;
use crate::measure::Case;
use crate::report::{Report, Row};
use crate::{Error, Result};

#[derive(Clone)]
struct Counter {
    calls: u64,
}

#[actor]
impl Counter {
    pub fn count(&mut self) -> u64 {
        self.calls += 1;
        self.calls
    }

    pub async fn count_beside(&self) -> u64 {
        self.calls + 1
    }
}

/// What the actor by hand understands.
enum Ask {
    Count(oneshot::Sender<u64>),
    CountBeside(oneshot::Sender<u64>),
}

/// The actor by hand; it ends with its last sender.
#[derive(Clone)]
struct ByHand(mpsc::UnboundedSender<Ask>);

impl ByHand {
    fn spawn(runtime: &Handle) -> Self {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        runtime.spawn(async move {
            let mut calls = 0u64;
            while let Some(ask) = receiver.recv().await {
                match ask {
                    Ask::Count(answer) => {
                        calls += 1;
                        // The caller may have gone.
                        let _ = answer.send(calls);
                    }
                    Ask::CountBeside(answer) => {
                        tokio::spawn(async move {
                            let _ = answer.send(calls + 1);
                        });
                    }
                }
            }
        });
        Self(sender)
    }

    fn count(&self) -> oneshot::Receiver<u64> {
        self.ask(Ask::Count)
    }

    fn ask(&self, make: impl FnOnce(oneshot::Sender<u64>) -> Ask) -> oneshot::Receiver<u64> {
        let (sender, receiver) = oneshot::channel();
        // A closed queue drops the sender, which fails the receiver.
        let _ = self.0.send(make(sender));
        receiver
    }
}

/// The same actor of the crate kameo.
#[derive(kameo::Actor)]
struct Kameo {
    calls: u64,
}

#[derive(Clone, Copy)]
struct Count;

impl Message<Count> for Kameo {
    type Reply = u64;

    async fn handle(&mut self, _: Count, _: &mut Context<Self, u64>) -> u64 {
        self.calls += 1;
        self.calls
    }
}

type KameoRef = kameo::actor::ActorRef<Kameo>;

fn spawn_kameo(peers: &Peers) -> KameoRef {
    let _runtime = peers.actors.enter();
    Kameo::spawn_with_mailbox(Kameo { calls: 0 }, kameo::mailbox::unbounded())
}

fn batch_kameo(actor: &KameoRef, count: usize) -> Result<()> {
    let answers = (0..count)
        .map(|_| actor.ask(Count).blocking_enqueue())
        .collect::<std::result::Result<Vec<_>, _>>()?;
    for answer in answers {
        if answer.recv()? == 0 {
            return Err("an answer of 0".into());
        }
    }
    Ok(())
}

fn new_actor(peers: &Peers) -> Result<ActorHandle<Counter>> {
    Ok(peers.engine.actor(Counter { calls: 0 }).spawn()?)
}

/// Every answer of a batch is there and positive.
fn batch(answers: Vec<Ref<u64>>) -> Result<()> {
    for answer in &answers {
        if *answer.get_value()? == 0 {
            return Err("an answer of 0".into());
        }
    }
    Ok(())
}

fn batch_by_hand(answers: Vec<oneshot::Receiver<u64>>) -> Result<()> {
    for answer in answers {
        if answer.blocking_recv()? == 0 {
            return Err("an answer of 0".into());
        }
    }
    Ok(())
}

/// Runs the cases.
pub fn run(peers: &Peers, arguments: &Arguments, report: &mut Report) -> Result<()> {
    creation(peers).run(arguments, report)?;
    crowd(peers).run(arguments, report)?;
    weight(peers, arguments, report)?;
    from_a_thread(peers, arguments, report)?;
    from_a_task(peers, arguments, report)?;
    several(peers, arguments, report)
}

fn creation(peers: &Peers) -> Case<'_> {
    const COUNT: usize = 20;
    Case::rate("actor_create_20", COUNT, "actors/s")
        .param("note", "with the first call of each")
        .peer("trefoil", || {
            let actors = (0..COUNT).map(|_| new_actor(peers)).collect::<Result<Vec<_>>>()?;
            batch(actors.iter().map(|actor| actor.count()).collect())
        })
        .peer("mpsc", || {
            let actors: Vec<ByHand> = (0..COUNT).map(|_| ByHand::spawn(peers.actors.handle())).collect();
            batch_by_hand(actors.iter().map(ByHand::count).collect())
        })
        .peer("kameo", || {
            let actors: Vec<KameoRef> = (0..COUNT).map(|_| spawn_kameo(peers)).collect();
            let asked: std::result::Result<Vec<_>, _> =
                actors.iter().map(|actor| actor.ask(Count).blocking_enqueue()).collect();
            for answer in asked? {
                answer.recv()?;
            }
            Ok(())
        })
}

/// Many actors, each called once, then dropped; and what one of them weighs.
fn crowd(peers: &Peers) -> Case<'_> {
    const COUNT: usize = 100_000;
    Case::rate("actor_create_100k", COUNT, "actors/s")
        .param("note", "with the first call of each, and dropped")
        .peer("trefoil", || {
            let actors = (0..COUNT).map(|_| new_actor(peers)).collect::<Result<Vec<_>>>()?;
            batch(actors.iter().map(|actor| actor.count()).collect())
        })
        .peer("mpsc", || {
            let actors: Vec<ByHand> = (0..COUNT).map(|_| ByHand::spawn(peers.actors.handle())).collect();
            batch_by_hand(actors.iter().map(ByHand::count).collect())
        })
}

/// Resident bytes of each of a million idle actors that have answered a call; Linux only.
fn weight(peers: &Peers, arguments: &Arguments, report: &mut Report) -> Result<()> {
    const COUNT: usize = 1_000_000;
    const NAME: &str = "actor_idle_1m";
    if !arguments.wants_case(NAME) || !arguments.wants_peer("trefoil") {
        return Ok(());
    }
    let resident = || -> Option<f64> {
        let text = std::fs::read_to_string("/proc/self/statm").ok()?;
        text.split_whitespace().nth(1)?.parse::<f64>().ok().map(|pages| pages * 4096.0)
    };
    let Some(before) = resident() else { return Ok(()) };
    let mut actors = Vec::with_capacity(COUNT);
    while actors.len() < COUNT {
        let some = (0..COUNT / 100).map(|_| new_actor(peers)).collect::<Result<Vec<_>>>()?;
        batch(some.iter().map(|actor| actor.count()).collect())?;
        actors.extend(some);
    }
    let Some(after) = resident() else { return Ok(()) };
    let mut params = serde_json::Map::new();
    params.insert("n".into(), COUNT.into());
    report.case(vec![Row::new("trefoil", NAME, (after - before) / COUNT as f64, "bytes/actor", params)])
}

/// The caller is a plain thread that blocks on answers.
fn from_a_thread(peers: &Peers, arguments: &Arguments, report: &mut Report) -> Result<()> {
    const MANY: usize = 10_000;
    let actor = new_actor(peers)?;
    let by_hand = ByHand::spawn(peers.actors.handle());
    let kameo = spawn_kameo(peers);
    Case::latency("actor_call_sync_1_1", 2000)
        .peer("trefoil", || batch(vec![actor.count()]))
        .peer("mpsc", || batch_by_hand(vec![by_hand.count()]))
        .peer("kameo", || batch_kameo(&kameo, 1))
        .run(arguments, report)?;
    Case::rate("actor_call_async_1_1", MANY, "calls/s")
        .peer("trefoil", || batch((0..MANY).map(|_| actor.count()).collect()))
        .peer("mpsc", || batch_by_hand((0..MANY).map(|_| by_hand.count()).collect()))
        .peer("kameo", || batch_kameo(&kameo, MANY))
        .run(arguments, report)?;
    Case::latency("asyncactor_call_sync_1_1", 1000)
        .param("note", "by hand: a task per call")
        .peer("trefoil", || batch(vec![actor.count_beside()]))
        .peer("mpsc", || batch_by_hand(vec![by_hand.ask(Ask::CountBeside)]))
        .run(arguments, report)?;
    Case::rate("asyncactor_call_async_1_1", MANY / 2, "calls/s")
        .param("note", "by hand: a task per call")
        .peer("trefoil", || batch((0..MANY / 2).map(|_| actor.count_beside()).collect()))
        .peer("mpsc", || batch_by_hand((0..MANY / 2).map(|_| by_hand.ask(Ask::CountBeside)).collect()))
        .run(arguments, report)
}

/// The caller is a task of the runtime the actors live on.
fn from_a_task(peers: &Peers, arguments: &Arguments, report: &mut Report) -> Result<()> {
    const ASKS: usize = 10_000;
    let actor = new_actor(peers)?;
    let by_hand = ByHand::spawn(peers.actors.handle());
    let kameo = spawn_kameo(peers);
    for (name, window) in [("actor_ask_task_1", 1), ("actor_ask_task_64", 64)] {
        Case::rate(name, ASKS, "calls/s")
            .param("in_flight", window)
            .peer("trefoil", || {
                let actor = actor.clone();
                let asks = async move {
                    let mut answers: VecDeque<Ref<u64>> = VecDeque::with_capacity(window);
                    for _ in 0..ASKS {
                        if answers.len() == window
                            && let Some(oldest) = answers.pop_front()
                        {
                            oldest.await?;
                        }
                        answers.push_back(actor.count());
                    }
                    for answer in answers {
                        answer.await?;
                    }
                    Ok::<(), Error>(())
                };
                peers.actors.block_on(peers.engine.control().spawn(asks))?
            })
            .peer("mpsc", || {
                let by_hand = by_hand.clone();
                let asks = async move {
                    let mut answers: VecDeque<oneshot::Receiver<u64>> = VecDeque::with_capacity(window);
                    for _ in 0..ASKS {
                        if answers.len() == window
                            && let Some(oldest) = answers.pop_front()
                        {
                            oldest.await?;
                        }
                        answers.push_back(by_hand.count());
                    }
                    for answer in answers {
                        answer.await?;
                    }
                    Ok::<(), Error>(())
                };
                peers.actors.block_on(peers.actors.spawn(asks))?
            })
            .peer("kameo", || {
                let kameo = kameo.clone();
                let asks = async move {
                    let mut answers = VecDeque::with_capacity(window);
                    for _ in 0..ASKS {
                        if window == 1 {
                            kameo.ask(Count).send().await?;
                            continue;
                        }
                        if answers.len() == window
                            && let Some(oldest) = answers.pop_front()
                        {
                            let oldest: kameo::request::PendingReply<Count, u64> = oldest;
                            oldest.await?;
                        }
                        answers.push_back(kameo.ask(Count).enqueue().await?);
                    }
                    for answer in answers {
                        answer.await?;
                    }
                    Ok::<(), Error>(())
                };
                peers.actors.block_on(peers.actors.spawn(asks))?
            })
            .run(arguments, report)?;
    }
    Ok(())
}

/// Two actors with one caller, and with two.
fn several(peers: &Peers, arguments: &Arguments, report: &mut Report) -> Result<()> {
    const EACH: usize = 2500;
    let actors = [new_actor(peers)?, new_actor(peers)?];
    let by_hand = [ByHand::spawn(peers.actors.handle()), ByHand::spawn(peers.actors.handle())];
    let asks = || batch(actors.iter().flat_map(|actor| (0..EACH).map(|_| actor.count())).collect());
    let asks_by_hand =
        || batch_by_hand(by_hand.iter().flat_map(|actor| (0..EACH).map(|_| actor.count())).collect());
    Case::rate("actor_call_1_n_2", 2 * EACH, "calls/s")
        .peer("trefoil", asks)
        .peer("mpsc", asks_by_hand)
        .run(arguments, report)?;
    Case::rate("actor_call_n_n_2x2", 4 * EACH, "calls/s")
        .param("clients", 2)
        .param("servers", 2)
        .peer("trefoil", || two_threads(asks))
        .peer("mpsc", || two_threads(asks_by_hand))
        .run(arguments, report)
}

fn two_threads(work: impl Fn() -> Result<()> + Sync) -> Result<()> {
    let failures = std::thread::scope(|scope| {
        let clients = [scope.spawn(&work), scope.spawn(&work)];
        clients.map(|client| client.join().is_ok_and(|result| result.is_ok()))
    });
    check(failures.iter().filter(|ok| **ok).count() as u64, 2)
}
