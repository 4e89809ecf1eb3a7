//! The actor cases of the suite `core` with the crate ractor: the same work, the same JSON lines.
//!
//! A round is repeated for at least 7 rounds and 0.3 s after one that does not count; the value is the median.
//! The actors live on a runtime of two threads, as trefoil's do.

use std::time::{Duration, Instant};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Counter;

struct Count(RpcReplyPort<u64>);

impl Actor for Counter {
    type Msg = Count;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Count>, _: ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(&self, _: ActorRef<Count>, ask: Count, calls: &mut u64) -> Result<(), ActorProcessingErr> {
        *calls += 1;
        let _ = ask.0.send(*calls);
        Ok(())
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn ask(actor: &ActorRef<Count>) -> Result<oneshot::Receiver<u64>, Failure> {
    let (sender, receiver) = oneshot::channel();
    actor.send_message(Count(sender.into())).map_err(|error| error.to_string())?;
    Ok(receiver)
}

async fn asks(actor: ActorRef<Count>, count: usize, window: usize) -> Result<(), Failure> {
    let mut answers = std::collections::VecDeque::with_capacity(window);
    for _ in 0..count {
        if answers.len() == window
            && let Some(oldest) = answers.pop_front()
        {
            let oldest: oneshot::Receiver<u64> = oldest;
            oldest.await?;
        }
        answers.push_back(ask(&actor)?);
    }
    for answer in answers {
        answer.await?;
    }
    Ok(())
}

fn case(name: &str, ops: usize, unit: &str, mut round: impl FnMut() -> Result<(), Failure>) -> Result<(), Failure> {
    round()?;
    let (begin, mut times) = (Instant::now(), Vec::new());
    while times.len() < 7 || begin.elapsed() < Duration::from_millis(300) {
        let start = Instant::now();
        round()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    let rate = |seconds: f64| ops as f64 / seconds;
    let (median, best, worst) = (rate(times[times.len() / 2]), rate(times[0]), rate(times[times.len() - 1]));
    println!(
        "{{\"peer\":\"ractor\",\"case\":\"{name}\",\"value\":{median:.1},\"unit\":\"{unit}\",\"params\":{{\"n\":{ops},\"rounds\":{},\"best\":{best:.1},\"worst\":{worst:.1}}}}}",
        times.len()
    );
    Ok(())
}

fn main() -> Result<(), Failure> {
    let runtime: Runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let spawn = || runtime.block_on(Actor::spawn(None, Counter, ()));
    let (actor, _handle) = spawn()?;
    case("actor_call_sync_1_1", 1000, "ops/s", || {
        (0..1000).try_for_each(|_| ask(&actor)?.blocking_recv().map(drop).map_err(Failure::from))
    })?;
    case("actor_call_async_1_1", 10_000, "calls/s", || {
        let answers = (0..10_000).map(|_| ask(&actor)).collect::<Result<Vec<_>, _>>()?;
        answers.into_iter().try_for_each(|answer| answer.blocking_recv().map(drop).map_err(Failure::from))
    })?;
    for (name, window) in [("actor_ask_task_1", 1), ("actor_ask_task_64", 64)] {
        case(name, 10_000, "calls/s", || runtime.block_on(runtime.spawn(asks(actor.clone(), 10_000, window)))?)?;
    }
    case("actor_create_20", 20, "actors/s", || {
        let actors = (0..20).map(|_| spawn()).collect::<Result<Vec<_>, _>>()?;
        let answers = actors.iter().map(|(actor, _)| ask(actor)).collect::<Result<Vec<_>, _>>()?;
        answers.into_iter().try_for_each(|answer| answer.blocking_recv().map(drop).map_err(Failure::from))?;
        actors.iter().for_each(|(actor, _)| actor.stop(None));
        Ok(())
    })
}
