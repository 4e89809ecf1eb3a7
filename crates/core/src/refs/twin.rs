//! The bare cell in safe code, and random operations on both: what `raw` does must be what this does.
//!
//! The interface is that of `raw`, the implementation one lock. Jobs, outcomes and waiters are counted
//! tokens, so a value that is lost, dropped twice or read after its end shows.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;

#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Phase {
    Unstarted,
    Waiting,
    Queued,
    Claimed,
}

struct State<W, T, J> {
    phase: Phase,
    done: bool,
    listened: bool,
    waiters: Vec<W>,
    job: Option<J>,
    outcome: Option<T>,
}

pub(crate) struct Core<W, T, J>(Mutex<State<W, T, J>>);

pub(crate) struct Claim<W, T, J> {
    cell: Arc<Core<W, T, J>>,
}

struct Told<W> {
    waiters: std::iter::Rev<std::vec::IntoIter<W>>,
    listened: bool,
}

impl<W, T: Clone, J> Core<W, T, J> {
    fn new(job: J, phase: Phase) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            phase,
            done: false,
            listened: false,
            waiters: Vec::new(),
            job: Some(job),
            outcome: None,
        })))
    }

    fn push(&self, waiter: W) -> Result<(), W> {
        let mut state = self.0.lock().unwrap();
        if state.done {
            return Err(waiter);
        }
        state.waiters.push(waiter);
        Ok(())
    }

    fn listen(&self) -> bool {
        let mut state = self.0.lock().unwrap();
        state.listened |= !state.done;
        !state.done
    }

    fn queue(&self) -> bool {
        let mut state = self.0.lock().unwrap();
        let waits = state.phase == Phase::Waiting;
        if waits {
            state.phase = Phase::Queued;
        }
        waits
    }

    fn claim_if(cell: Arc<Self>, may: impl FnOnce(Phase) -> bool) -> Option<(J, Claim<W, T, J>)> {
        let mut state = cell.0.lock().unwrap();
        if !may(state.phase) {
            return None;
        }
        state.phase = Phase::Claimed;
        let job = state.job.take().unwrap();
        drop(state);
        Some((job, Claim { cell }))
    }

    fn claim(cell: Arc<Self>) -> Option<(J, Claim<W, T, J>)> {
        Self::claim_if(cell, |phase| phase == Phase::Queued)
    }

    fn claim_unstarted(cell: Arc<Self>) -> Option<(J, Claim<W, T, J>)> {
        Self::claim_if(cell, |phase| phase == Phase::Waiting || phase == Phase::Queued)
    }

    fn start(mut cell: Arc<Self>, phase: Phase) -> Result<Arc<Self>, Arc<Self>> {
        let own = Arc::get_mut(&mut cell).and_then(|cell| cell.0.get_mut().ok());
        match own.filter(|state| state.phase == Phase::Unstarted) {
            Some(state) => {
                state.phase = phase;
                Ok(cell)
            }
            None => Err(cell),
        }
    }

    fn unstarted_job<R>(&self, look: impl FnOnce(&J) -> R) -> Option<R> {
        let state = self.0.lock().unwrap();
        if state.phase == Phase::Unstarted { state.job.as_ref().map(look) } else { None }
    }

    fn inspect<R>(&self, look: impl FnOnce(&J) -> R) -> Option<R> {
        let state = self.0.lock().unwrap();
        if state.phase == Phase::Waiting { state.job.as_ref().map(look) } else { None }
    }

    fn outcome(&self) -> Option<T> {
        self.0.lock().unwrap().outcome.clone()
    }

    fn take(&mut self) -> Option<T> {
        self.0.get_mut().unwrap().outcome.take()
    }

    fn is_done(&self) -> bool {
        self.0.lock().unwrap().done
    }

    fn is_queued(&self) -> bool {
        self.0.lock().unwrap().phase == Phase::Queued
    }
}

impl<W, T, J> Claim<W, T, J> {
    fn complete(self, outcome: T) -> Told<W> {
        let mut state = self.cell.0.lock().unwrap();
        state.outcome = Some(outcome);
        state.done = true;
        let waiters = std::mem::take(&mut state.waiters).into_iter().rev();
        Told { waiters, listened: state.listened }
    }
}

/// A value that is counted while it lives.
type Token = Arc<u32>;

/// The two cells under one interface.
trait Subject: Sized {
    type Claim;
    fn new(job: Token, waits: bool) -> Arc<Self>;
    fn unstarted(job: Token) -> Arc<Self>;
    fn start(cell: Arc<Self>, waits: bool) -> Result<Arc<Self>, Arc<Self>>;
    fn unstarted_job(&self) -> Option<u32>;
    fn done(job: Token, outcome: Token) -> Arc<Self>;
    fn push(&self, waiter: Token) -> Result<(), Token>;
    fn listen(&self) -> bool;
    fn queue(&self) -> bool;
    fn claim(cell: Arc<Self>, unstarted: bool) -> Option<(Token, Self::Claim)>;
    fn complete(claim: Self::Claim, outcome: Token) -> (Vec<Token>, bool);
    fn inspect(&self) -> Option<u32>;
    fn outcome(&self) -> Option<u32>;
    fn take(&mut self) -> Option<Token>;
    fn marks(&self) -> (bool, bool);
}

type Raw = super::raw::Core<(), Token, (), Token, Token>;
type Twin = Core<Token, Token, Token>;

impl Subject for Raw {
    type Claim = super::raw::Claim<(), Token, (), Token, Token>;

    fn new(job: Token, waits: bool) -> Arc<Self> {
        if waits {
            Raw::wired((), (), job, |_, job| assert!(**job < 1000)).0
        } else {
            Arc::new(Raw::queued((), (), job))
        }
    }
    fn unstarted(job: Token) -> Arc<Self> {
        Arc::new(Raw::unstarted((), (), job))
    }
    fn start(mut cell: Arc<Self>, waits: bool) -> Result<Arc<Self>, Arc<Self>> {
        if waits {
            return Raw::start_wired(cell, |_, job| assert!(**job < 1000)).map(|(cell, ())| cell);
        }
        match Arc::get_mut(&mut cell) {
            Some(own) => {
                let job = own.unstarted_job_mut().is_some();
                assert_eq!(own.start_queued(), job);
                if job { Ok(cell) } else { Err(cell) }
            }
            None => Err(cell),
        }
    }
    fn unstarted_job(&self) -> Option<u32> {
        Raw::unstarted_job(self).map(|job| **job)
    }
    fn done(job: Token, outcome: Token) -> Arc<Self> {
        Raw::done((), (), job, outcome)
    }
    fn push(&self, waiter: Token) -> Result<(), Token> {
        self.head.push(waiter)
    }
    fn listen(&self) -> bool {
        self.head.listen()
    }
    fn queue(&self) -> bool {
        self.head.queue()
    }
    fn claim(cell: Arc<Self>, unstarted: bool) -> Option<(Token, Self::Claim)> {
        if unstarted { Raw::claim_unstarted(cell) } else { Raw::claim(cell) }
    }
    fn complete(claim: Self::Claim, outcome: Token) -> (Vec<Token>, bool) {
        let told = claim.complete(outcome);
        (told.waiters.collect(), told.listened)
    }
    fn inspect(&self) -> Option<u32> {
        Raw::inspect(self, |job| **job)
    }
    fn outcome(&self) -> Option<u32> {
        Raw::outcome(self).map(|token| **token)
    }
    fn take(&mut self) -> Option<Token> {
        Raw::take(self)
    }
    fn marks(&self) -> (bool, bool) {
        (self.head.is_done(), self.head.is_queued())
    }
}

impl Subject for Twin {
    type Claim = Claim<Token, Token, Token>;

    fn new(job: Token, waits: bool) -> Arc<Self> {
        Core::new(job, if waits { Phase::Waiting } else { Phase::Queued })
    }
    fn unstarted(job: Token) -> Arc<Self> {
        Core::new(job, Phase::Unstarted)
    }
    fn start(cell: Arc<Self>, waits: bool) -> Result<Arc<Self>, Arc<Self>> {
        Core::start(cell, if waits { Phase::Waiting } else { Phase::Queued })
    }
    fn unstarted_job(&self) -> Option<u32> {
        Core::unstarted_job(self, |job| **job)
    }
    fn done(job: Token, outcome: Token) -> Arc<Self> {
        let cell = Core::new(job, Phase::Queued);
        let (_, claim) = Core::claim(Arc::clone(&cell)).unwrap();
        claim.complete(outcome);
        cell
    }
    fn push(&self, waiter: Token) -> Result<(), Token> {
        Core::push(self, waiter)
    }
    fn listen(&self) -> bool {
        Core::listen(self)
    }
    fn queue(&self) -> bool {
        Core::queue(self)
    }
    fn claim(cell: Arc<Self>, unstarted: bool) -> Option<(Token, Self::Claim)> {
        if unstarted { Core::claim_unstarted(cell) } else { Core::claim(cell) }
    }
    fn complete(claim: Self::Claim, outcome: Token) -> (Vec<Token>, bool) {
        let told = claim.complete(outcome);
        (told.waiters.collect(), told.listened)
    }
    fn inspect(&self) -> Option<u32> {
        Core::inspect(self, |job| **job)
    }
    fn outcome(&self) -> Option<u32> {
        Core::outcome(self).map(|token| *token)
    }
    fn take(&mut self) -> Option<Token> {
        Core::take(self)
    }
    fn marks(&self) -> (bool, bool) {
        (self.is_done(), self.is_queued())
    }
}

#[derive(Clone, Debug)]
enum Step {
    New { waits: bool },
    Unstarted,
    Start(usize, bool),
    Look(usize),
    Done,
    Clone(usize),
    Drop(usize),
    Push(usize),
    Listen(usize),
    Queue(usize),
    Claim(usize, bool),
    Complete(usize),
    Abandon(usize),
    Inspect(usize),
    Outcome(usize),
    Take(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = 0usize..8;
    let step = prop_oneof![
        2 => any::<bool>().prop_map(|waits| Step::New { waits }),
        2 => Just(Step::Unstarted),
        3 => (at.clone(), any::<bool>()).prop_map(|(at, waits)| Step::Start(at, waits)),
        1 => at.clone().prop_map(Step::Look),
        1 => Just(Step::Done),
        1 => at.clone().prop_map(Step::Clone),
        2 => at.clone().prop_map(Step::Drop),
        3 => at.clone().prop_map(Step::Push),
        1 => at.clone().prop_map(Step::Listen),
        2 => at.clone().prop_map(Step::Queue),
        3 => (at.clone(), any::<bool>()).prop_map(|(at, unstarted)| Step::Claim(at, unstarted)),
        3 => at.clone().prop_map(Step::Complete),
        1 => at.clone().prop_map(Step::Abandon),
        1 => at.clone().prop_map(Step::Inspect),
        2 => at.clone().prop_map(Step::Outcome),
        2 => at.prop_map(Step::Take),
    ];
    prop::collection::vec(step, 1..80)
}

/// Runs the steps; returns what was seen, step by step, and how many tokens lived on at each.
fn drive<S: Subject>(steps: &[Step]) -> Vec<String> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut cells: Vec<Arc<S>> = Vec::new();
    let mut claims: Vec<S::Claim> = Vec::new();
    let mut seen = Vec::new();
    for step in steps {
        let mut token = || {
            tokens.push(Arc::new(tokens.len() as u32));
            Arc::clone(&tokens[tokens.len() - 1])
        };
        let at = |index: usize| cells.get(index % cells.len().max(1));
        let saw = match *step {
            Step::New { waits } => {
                cells.push(S::new(token(), waits));
                String::new()
            }
            Step::Unstarted => {
                cells.push(S::unstarted(token()));
                String::new()
            }
            Step::Start(index, waits) if !cells.is_empty() => {
                let index = index % cells.len();
                let started = S::start(cells.remove(index), waits);
                let saw = started.is_ok().to_string();
                cells.insert(index, started.unwrap_or_else(|cell| cell));
                saw
            }
            Step::Start(..) => String::new(),
            Step::Look(index) => format!("{:?}", at(index).map(|cell| cell.unstarted_job())),
            Step::Done => {
                cells.push(S::done(token(), token()));
                String::new()
            }
            Step::Clone(index) => {
                let cell = at(index).cloned();
                cells.extend(cell);
                String::new()
            }
            Step::Drop(index) => {
                if !cells.is_empty() {
                    cells.remove(index % cells.len());
                }
                String::new()
            }
            Step::Push(index) => format!("{:?}", at(index).map(|cell| cell.push(token()))),
            Step::Listen(index) => format!("{:?}", at(index).map(|cell| cell.listen())),
            Step::Queue(index) => format!("{:?}", at(index).map(|cell| cell.queue())),
            Step::Claim(index, unstarted) => {
                match at(index).and_then(|cell| S::claim(Arc::clone(cell), unstarted)) {
                    None => "none".to_owned(),
                    Some((job, claim)) => {
                        claims.push(claim);
                        job.to_string()
                    }
                }
            }
            Step::Complete(index) if !claims.is_empty() => {
                let claim = claims.remove(index % claims.len());
                format!("{:?}", S::complete(claim, token()))
            }
            Step::Abandon(index) if !claims.is_empty() => {
                drop(claims.remove(index % claims.len()));
                String::new()
            }
            Step::Complete(_) | Step::Abandon(_) => String::new(),
            Step::Inspect(index) => format!("{:?}", at(index).map(|cell| cell.inspect())),
            Step::Outcome(index) => format!("{:?}", at(index).map(|cell| (cell.outcome(), cell.marks()))),
            Step::Take(index) => {
                let count = cells.len().max(1);
                let cell = cells.get_mut(index % count).and_then(Arc::get_mut);
                format!("{:?}", cell.map(|cell| cell.take()))
            }
        };
        let alive: Vec<usize> = tokens.iter().map(Arc::strong_count).collect();
        seen.push(format!("{step:?}: {saw} {alive:?}"));
    }
    drop((cells, claims));
    let left: Vec<usize> = tokens.iter().map(Arc::strong_count).collect();
    seen.push(format!("{left:?}"));
    assert!(left.iter().all(|&count| count == 1), "a value outlives its cell: {seen:#?}");
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn raw_does_what_its_twin_does(steps in steps()) {
        prop_assert_eq!(drive::<Raw>(&steps), drive::<Twin>(&steps));
    }
}
