//! Rounds: every rank deposits something, and gets what all deposited.
//!
//! ```text
//!   enter (n-th round of this rank) ──last one in──> complete ──all have taken──> forgotten
//!      └── other operation, a rank gone, destroyed ──> broken: everyone who waits or comes fails
//! ```
//!
//! A complete round is handed out even if the group breaks afterwards. A wait that is dropped in the middle
//! breaks the group, since the others have counted on it.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use parking_lot::Mutex;
use trefoil_core::{Error, ErrorKind, Result};

/// Something a rank deposits.
pub(super) type Item = Arc<dyn Any + Send + Sync>;

/// What an operation is; ranks that meet must agree on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) name: &'static str,
    /// The elements' type, if they have one.
    pub(super) element: &'static str,
    /// How many elements, if all ranks must give the same number.
    pub(super) count: Option<usize>,
    /// The root's rank or the kind of reduction, for operations that have one.
    pub(super) detail: String,
}

impl Operation {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, element: "", count: None, detail: String::new() }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        match self.count {
            Some(count) => write!(f, "{count} x {}", self.element)?,
            None => f.write_str(self.element)?,
        }
        if !self.detail.is_empty() {
            write!(f, ", {}", self.detail)?;
        }
        f.write_str(")")
    }
}

struct Round {
    operation: Operation,
    /// Who began it, for messages.
    first: usize,
    deposits: Vec<Option<Item>>,
    arrived: usize,
    complete: Option<Arc<Vec<Item>>>,
    taken: usize,
    wakers: Vec<Option<Waker>>,
}

#[derive(Default)]
struct State {
    /// Rounds not forgotten, the first of them with number `base`.
    rounds: VecDeque<Round>,
    base: u64,
    /// Ranks that are gone, with how.
    gone: Vec<Option<&'static str>>,
    broken: Option<Error>,
    /// Sent and not received, by sender and receiver.
    mail: HashMap<(usize, usize), VecDeque<Item>>,
    receivers: HashMap<(usize, usize), Waker>,
}

impl State {
    /// Everyone who may be waiting, to be woken outside the lock.
    fn wakers(&mut self) -> Vec<Waker> {
        let rounds =
            self.rounds.iter_mut().flat_map(|round| round.wakers.iter_mut().filter_map(Option::take));
        let mut wakers: Vec<Waker> = rounds.collect();
        wakers.extend(self.receivers.drain().map(|(_, waker)| waker));
        wakers
    }
}

/// What the ranks of a group share.
pub(super) struct Shared {
    size: usize,
    state: Mutex<State>,
}

fn broken(message: String) -> Error {
    Error::new(ErrorKind::GroupBroken, "worker group", message)
}

impl Shared {
    pub(super) fn new(size: usize) -> Arc<Self> {
        let state = State { gone: vec![None; size], ..State::default() };
        Arc::new(Self { size, state: Mutex::new(state) })
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Fails if the group is broken.
    pub(super) fn check(&self) -> Result<()> {
        self.state.lock().broken.clone().map_or(Ok(()), Err)
    }

    /// Breaks the group with this error, unless it is broken already.
    pub(super) fn break_up(&self, error: impl FnOnce() -> Error) {
        let mut state = self.state.lock();
        if state.broken.is_none() {
            state.broken = Some(error());
        }
        let wakers = state.wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// A rank is gone: rounds that wait for it break.
    pub(super) fn leave(&self, rank: usize, how: &'static str) {
        let mut state = self.state.lock();
        state.gone[rank] = Some(how);
        let waits =
            state.rounds.iter().any(|round| round.complete.is_none() && round.deposits[rank].is_none());
        if waits && state.broken.is_none() {
            state.broken = Some(broken(format!("rank {rank} {how} while others waited for it")));
        }
        let wakers = state.wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Deposits `item` in round `number` and waits for what all ranks deposit, in the order of ranks.
    pub(super) async fn exchange(
        &self,
        rank: usize,
        number: u64,
        operation: Operation,
        item: Item,
    ) -> Result<Arc<Vec<Item>>> {
        let name = operation.name;
        self.enter(rank, number, operation, item)?;
        let mut guard = Guard { shared: self, rank, name, armed: true };
        let result = poll_fn(|context| {
            let mut state = self.state.lock();
            let base = state.base;
            // It cannot have been forgotten: this rank has not taken it.
            let Some(round) = state.rounds.get_mut((number - base) as usize) else {
                return Poll::Ready(Err(broken("a round was lost".to_owned())));
            };
            if let Some(all) = &round.complete {
                let all = Arc::clone(all);
                round.taken += 1;
                while state.rounds.front().is_some_and(|round| round.taken == self.size) {
                    state.rounds.pop_front();
                    state.base += 1;
                }
                return Poll::Ready(Ok(all));
            }
            round.wakers[rank] = Some(context.waker().clone());
            match &state.broken {
                Some(error) => Poll::Ready(Err(error.clone())),
                None => Poll::Pending,
            }
        })
        .await;
        guard.armed = false;
        result
    }

    fn enter(&self, rank: usize, number: u64, operation: Operation, item: Item) -> Result<()> {
        let mut state = self.state.lock();
        if let Some(error) = &state.broken {
            return Err(error.clone());
        }
        let at = (number - state.base) as usize;
        if at == state.rounds.len() {
            if let Some(gone) = (0..self.size).find(|other| state.gone[*other].is_some()) {
                let how = state.gone[gone].unwrap_or_default();
                let error = broken(format!("rank {gone} {how}; `{}` needs every rank", operation.name));
                state.broken = Some(error.clone());
                return Err(error);
            }
            state.rounds.push_back(Round {
                operation: operation.clone(),
                first: rank,
                deposits: vec![None; self.size],
                arrived: 0,
                complete: None,
                taken: 0,
                wakers: vec![None; self.size],
            });
        }
        let round = &mut state.rounds[at];
        if round.operation != operation {
            let message =
                format!("rank {rank} calls {operation} where rank {} calls {}", round.first, round.operation);
            let error = broken(message).with_help("all ranks call the same operations in the same order");
            state.broken = Some(error.clone());
            let wakers = state.wakers();
            drop(state);
            wakers.into_iter().for_each(Waker::wake);
            return Err(error);
        }
        round.deposits[rank] = Some(item);
        round.arrived += 1;
        if round.arrived == self.size {
            round.complete = Some(Arc::new(round.deposits.iter_mut().filter_map(Option::take).collect()));
            let wakers: Vec<Waker> = round.wakers.iter_mut().filter_map(Option::take).collect();
            drop(state);
            wakers.into_iter().for_each(Waker::wake);
        }
        Ok(())
    }

    /// Puts an item where rank `to` finds it.
    pub(super) fn send(&self, from: usize, to: usize, item: Item) -> Result<()> {
        let mut state = self.state.lock();
        if let Some(error) = &state.broken {
            return Err(error.clone());
        }
        if let Some(how) = state.gone[to] {
            return Err(broken(format!("rank {to} {how}; nothing can be sent to it")));
        }
        state.mail.entry((from, to)).or_default().push_back(item);
        let waker = state.receivers.remove(&(from, to));
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// The next item that `from` sent to `to`. Dropped before it is done, it takes nothing.
    pub(super) async fn receive(&self, from: usize, to: usize) -> Result<Item> {
        poll_fn(|context| {
            let mut state = self.state.lock();
            if let Some(item) = state.mail.get_mut(&(from, to)).and_then(VecDeque::pop_front) {
                return Poll::Ready(Ok(item));
            }
            if let Some(error) = &state.broken {
                return Poll::Ready(Err(error.clone()));
            }
            if let Some(how) = state.gone[from] {
                return Poll::Ready(Err(broken(format!("rank {from} {how} and sends nothing more"))));
            }
            state.receivers.insert((from, to), context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// Breaks the group when a wait in a round is dropped.
struct Guard<'s> {
    shared: &'s Shared,
    rank: usize,
    name: &'static str,
    armed: bool,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if self.armed {
            let (rank, name) = (self.rank, self.name);
            self.shared.break_up(|| broken(format!("rank {rank} gave up in the middle of `{name}`")));
        }
    }
}
