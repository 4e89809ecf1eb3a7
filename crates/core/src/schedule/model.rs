//! The machine beside a dumb model, driven by random events: one list of tasks, gone through from the start
//! after every event.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::backoff::Backoff;
use super::demand::{CPUS, Demand, MEMORY};
use super::lineup::Turn;
use super::machine::{Action, Ask, Doom, Event, LOOK, Machine, PATIENCE, State, TaskId, Time};

const CAPACITY: [u64; 3] = [20_000, 1000, 10_000];

const NONE: [TaskId; 0] = [];

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn ask(demand: &[(usize, u64)]) -> Arc<Ask> {
    Arc::new(Ask { demand: Demand::new(demand.to_vec()), ..Ask::default() })
}

/// Who acts for a task: its number and the attempt.
type Who = (TaskId, u32);

/// Those that start.
fn starts(actions: &[Action<Who>]) -> Vec<TaskId> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Start { id, .. } => Some(*id),
            _ => None,
        })
        .collect()
}

struct Bench(Machine<Who>);

impl Bench {
    fn new() -> Self {
        Self(Machine::new(&CAPACITY))
    }

    fn on(&mut self, event: Event<Who>) -> Vec<Action<Who>> {
        self.0.on(Time::ZERO, event)
    }

    fn ready(&mut self, id: TaskId, ask: &Arc<Ask>) -> Vec<TaskId> {
        assert!(self.on(Event::Spawned { id, ask: Arc::clone(ask), who: (id, 1) }).is_empty());
        starts(&self.on(Event::Ready { id }))
    }

    fn ended(&mut self, id: TaskId) -> Vec<TaskId> {
        starts(&self.on(Event::Ended { id }))
    }
}

#[test]
fn in_the_order_of_turns_with_bounded_overtaking() {
    let mut bench = Bench::new();
    let (large, small) = (ask(&[(CPUS, 20_000)]), ask(&[(CPUS, 10_000)]));
    assert_eq!(bench.ready(1, &small), [1]);
    assert_eq!(bench.ready(2, &large), NONE);
    let mut running = 1;
    // Small tasks overtake the large one for a while, then it is its turn.
    let mut overtook = 0;
    for id in 3.. {
        if bench.ready(id, &small) == [id] {
            overtook += 1;
            assert_eq!(bench.ended(running), NONE);
            running = id;
        } else {
            break;
        }
    }
    assert_eq!(overtook, PATIENCE);
    assert_eq!(bench.ended(running), [2], "and then nobody else goes before it");
}

#[test]
fn a_line_for_one_thing_does_not_hold_up_another() {
    let mut bench = Bench::new();
    assert_eq!(bench.ready(1, &ask(&[(2, 10_000)])), [1]);
    assert_eq!(bench.ready(2, &ask(&[(2, 1)])), NONE);
    for id in 3..100 {
        assert_eq!(bench.ready(id, &ask(&[(CPUS, 5000)])), [id]);
        assert_eq!(bench.ended(id), NONE);
    }
    assert_eq!(bench.ended(1), [2]);
}

#[test]
fn a_blocked_task_lends_its_cpus_and_comes_first() {
    let mut bench = Bench::new();
    let whole = ask(&[(CPUS, 20_000), (2, 10_000)]);
    assert_eq!(bench.ready(1, &whole), [1]);
    assert_eq!(bench.ready(2, &ask(&[(CPUS, 20_000)])), NONE);
    assert_eq!(bench.ready(3, &ask(&[(2, 1)])), NONE);
    assert_eq!(starts(&bench.on(Event::Blocked { id: 1 })), [2], "it keeps what is not cpus");
    assert_eq!(bench.ready(4, &ask(&[(CPUS, 1)])), NONE);
    assert_eq!(bench.on(Event::Unblocked { id: 1 }), []);
    assert_eq!(bench.on(Event::Ended { id: 2 }), [Action::Resume { id: 1 }]);
    assert_eq!(bench.ended(1), [4, 3]);
}

#[test]
fn refused_memory_is_offered_again() {
    let mut bench = Bench::new();
    let half = ask(&[(MEMORY, 500)]);
    assert_eq!(bench.ready(1, &half), [1]);
    assert_eq!(bench.ready(2, &half), [2]);
    assert_eq!(bench.on(Event::Refused { id: 2 }), []);
    assert_eq!(bench.ready(3, &ask(&[(MEMORY, 1)])), [3], "who asks for less may get it");
    assert_eq!(bench.0.next_timer(), Some(LOOK));
    assert_eq!(starts(&bench.0.on(LOOK, Event::Tick)), [2]);
    assert_eq!(bench.on(Event::Refused { id: 2 }), []);
    assert_eq!(bench.ended(1), [2], "a task that held memory has ended");
    assert_eq!(bench.0.next_timer(), None);
}

#[test]
fn attempts_pauses_and_deadlines() {
    let mut bench = Machine::new(&CAPACITY);
    let ask = Arc::new(Ask {
        retries: 2,
        backoff: Some(Backoff::new(ms(10))),
        deadline: Some(ms(25)),
        ..Ask::default()
    });
    assert!(bench.on(ms(0), Event::Spawned { id: 1, ask: Arc::clone(&ask), who: (1, 1) }).is_empty());
    assert_eq!(bench.on(ms(1), Event::Ready { id: 1 }), [Action::Start { id: 1, who: (1, 1) }]);
    assert_eq!(bench.on(ms(2), Event::Failed { id: 1 }), [Action::Retry { id: 1, attempt: 1 }]);
    assert_eq!(bench.on(ms(2), Event::Again { id: 1, who: (1, 2) }), []);
    assert_eq!(bench.next_timer(), Some(ms(12)));
    assert_eq!(bench.on(ms(12), Event::Tick), [Action::Start { id: 1, who: (1, 2) }]);
    assert_eq!(bench.on(ms(13), Event::Failed { id: 1 }), [Action::Retry { id: 1, attempt: 2 }]);
    assert_eq!(bench.on(ms(13), Event::Again { id: 1, who: (1, 3) }), []);
    assert_eq!(bench.next_timer(), Some(ms(25)), "the deadline is before the end of the pause");
    assert_eq!(bench.on(ms(30), Event::Tick), [Action::End { who: (1, 3), doom: Doom::Deadline }]);
    assert_eq!((bench.next_timer(), bench.state(1)), (None, None));

    // While it runs, its deadline dooms it: whoever runs it is told, and nothing follows a failure.
    assert!(bench.on(ms(30), Event::Spawned { id: 2, ask, who: (2, 1) }).is_empty());
    assert_eq!(bench.on(ms(31), Event::Ready { id: 2 }).len(), 1);
    assert_eq!(bench.on(ms(55), Event::Tick), [Action::Expire { who: (2, 1) }]);
    assert_eq!(bench.on(ms(56), Event::Failed { id: 2 }), [Action::GiveUp { id: 2 }]);
}

#[derive(Clone, Debug)]
enum Step {
    Spawn {
        demand: Vec<(usize, u64)>,
        priority: i32,
        deadline: Option<u64>,
        retries: u32,
        pause: Option<u64>,
    },
    Ready(usize),
    Refuse(usize),
    Block(usize),
    Unblock(usize),
    Fail(usize),
    End(usize),
    Cancel(usize),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let demand = prop_oneof![
        2 => Just(vec![]),
        4 => (1u64..=20).prop_map(|n| vec![(CPUS, n * 1000)]),
        2 => (1u64..=10).prop_map(|n| vec![(MEMORY, n * 100)]),
        2 => (1u64..=2).prop_map(|n| vec![(2, n * 5000)]),
        2 => (1u64..=4, 1u64..=4).prop_map(|(a, b)| vec![(CPUS, a * 5000), (MEMORY, b * 250), (2, a * 2500)]),
    ];
    let spawn =
        (demand, -1i32..=1, prop::option::weighted(0.2, 0u64..60), 0u32..3, prop::option::of(0u64..20));
    let at = 0usize..1000;
    let step = prop_oneof![
        6 => spawn.prop_map(|(demand, priority, deadline, retries, pause)| Step::Spawn { demand, priority, deadline, retries, pause }),
        6 => at.clone().prop_map(Step::Ready),
        1 => at.clone().prop_map(Step::Refuse),
        1 => at.clone().prop_map(Step::Block),
        1 => at.clone().prop_map(Step::Unblock),
        2 => at.clone().prop_map(Step::Fail),
        4 => at.clone().prop_map(Step::End),
        1 => at.prop_map(Step::Cancel),
        2 => (0u64..15).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..120)
}

/// A task as the model knows it.
#[derive(Clone, Debug)]
struct Task {
    id: TaskId,
    ask: Arc<Ask>,
    state: State,
    turn: Turn,
    failed: u32,
    overtaken: u32,
    refused: bool,
    doomed: bool,
    deadline: Option<Time>,
    due: Time,
}

#[derive(Default)]
struct Model {
    tasks: Vec<Task>,
    resuming: Vec<TaskId>,
    look: Option<Time>,
    came: u64,
    /// How often any task has started.
    started: usize,
    now: Time,
}

impl Model {
    fn free(&self) -> Vec<u64> {
        let mut free = CAPACITY.to_vec();
        for task in &self.tasks {
            for (place, amount) in task.ask.demand.parts() {
                match task.state {
                    State::Running => free[place] -= amount,
                    State::Blocked | State::Resuming if place != CPUS => free[place] -= amount,
                    _ => {}
                }
            }
        }
        free
    }

    fn at(&mut self, id: TaskId) -> &mut Task {
        self.tasks.iter_mut().find(|task| task.id == id).unwrap()
    }

    fn line_up(&mut self, id: TaskId) {
        self.came += 1;
        let came = self.came;
        let task = self.at(id);
        task.turn = Turn::new(came, task.ask.priority);
        task.state = State::Lined;
        self.deal();
    }

    /// Goes through all that wait, in their order, until nobody can be granted anything.
    fn deal(&mut self) {
        let mut closed = [false; 3];
        while let Some(&id) = self.resuming.first() {
            let free = self.free()[CPUS];
            let task = self.at(id);
            if task.ask.demand.amount(CPUS) > free {
                closed[CPUS] = true;
                break;
            }
            task.state = State::Running;
            self.resuming.remove(0);
        }
        let mut passed: Vec<TaskId> = Vec::new();
        let mut lined: Vec<(Turn, TaskId)> =
            self.tasks.iter().filter(|t| t.state == State::Lined).map(|t| (t.turn, t.id)).collect();
        lined.sort_unstable();
        for (_, id) in lined {
            let free = self.free();
            let task = self.at(id).clone();
            let alike =
                |other: &TaskId| self.tasks.iter().any(|t| t.id == *other && t.ask.demand == task.ask.demand);
            if passed.iter().any(alike) {
                continue;
            }
            let fits = task.ask.demand.parts().all(|(place, amount)| !closed[place] && amount <= free[place]);
            let mut impatient = Vec::new();
            if fits && !task.refused {
                let task = self.at(id);
                (task.state, task.overtaken) = (State::Running, 0);
                let demand = task.ask.demand.clone();
                self.started += 1;
                for other in &passed {
                    let other = self.at(*other);
                    if other.ask.demand.parts().any(|(place, _)| demand.amount(place) > 0) {
                        other.overtaken += 1;
                        impatient.push(other.clone());
                    }
                }
            } else {
                passed.push(id);
                impatient.push(task);
            }
            for task in impatient.iter().filter(|task| task.overtaken >= PATIENCE) {
                for (place, _) in task.ask.demand.parts() {
                    closed[place] |= !task.refused || place == MEMORY;
                }
            }
        }
    }

    fn end(&mut self, id: TaskId) {
        let task = self.at(id).clone();
        self.tasks.retain(|task| task.id != id);
        self.resuming.retain(|other| *other != id);
        if matches!(task.state, State::Running | State::Blocked | State::Resuming) {
            if task.ask.demand.amount(MEMORY) > 0 {
                self.offer_again();
            }
            if task.ask.demand.is_empty() {
                return;
            }
        }
        self.deal();
    }

    fn offer_again(&mut self) {
        if self.look.take().is_some() {
            self.tasks.iter_mut().for_each(|task| task.refused = false);
        }
    }

    fn doom(&mut self, id: TaskId) {
        match self.at(id).state {
            State::Waiting | State::Lined | State::Pausing => self.end(id),
            _ => self.at(id).doomed = true,
        }
    }

    /// Lets time pass up to `now`, one timer after the other.
    fn pass(&mut self, now: Time) {
        self.now = now;
        loop {
            let timers = self.tasks.iter().flat_map(|task| {
                let deadline = task.deadline.map(|at| (at, 0, task.id));
                let pause = (task.state == State::Pausing).then_some((task.due, 1, task.id));
                deadline.into_iter().chain(pause)
            });
            let Some((at, kind, id)) = timers.chain(self.look.map(|at| (at, 2, 0))).min() else { return };
            if at > now {
                return;
            }
            match kind {
                0 => {
                    self.at(id).deadline = None;
                    self.doom(id);
                }
                1 => self.line_up(id),
                _ => {
                    self.offer_again();
                    self.deal();
                }
            }
        }
    }
}

/// Picks a task in one of these states.
fn pick(model: &Model, index: usize, states: &[State]) -> Option<TaskId> {
    let all: Vec<TaskId> = model.tasks.iter().filter(|t| states.contains(&t.state)).map(|t| t.id).collect();
    (!all.is_empty()).then(|| all[index % all.len()])
}

fn check(machine: &Machine<Who>, model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(machine.free().to_vec(), model.free());
    for task in &model.tasks {
        prop_assert_eq!(machine.state(task.id), Some(task.state), "{:?}", task);
        prop_assert!(task.failed <= task.ask.retries);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_machine_does_what_the_model_does(steps in steps()) {
        let mut machine: Machine<Who> = Machine::new(&CAPACITY);
        let mut model = Model::default();
        let mut next = 0;
        let mut started = 0;
        // In the end everything that is left is brought to its end.
        let ends = (0..2000).map(|n| match n % 4 {
            0 => Step::Wait(30),
            1 => Step::Unblock(n),
            2 => Step::Ready(n),
            _ => Step::End(n),
        });
        for step in steps.into_iter().chain(ends) {
            let now = model.now;
            model.pass(now);
            let mut on = |time: Time, event: Event<Who>| {
                let actions = machine.on(time, event);
                started += starts(&actions).len();
                actions
            };
            on(now, Event::Tick);
            match step {
                Step::Spawn { demand, priority, deadline, retries, pause } => {
                    next += 1;
                    let ask = Arc::new(Ask {
                        demand: Demand::new(demand.clone()),
                        priority,
                        deadline: deadline.map(ms),
                        retries,
                        backoff: pause.map(|pause| Backoff::new(ms(pause))),
                    });
                    on(now, Event::Spawned { id: next, ask: Arc::clone(&ask), who: (next, 1) });
                    model.came += 1;
                    model.tasks.push(Task {
                        id: next,
                        state: State::Waiting,
                        turn: Turn::new(0, 0),
                        failed: 0,
                        overtaken: 0,
                        refused: false,
                        doomed: false,
                        deadline: ask.deadline.map(|deadline| now + deadline),
                        due: now,
                        ask,
                    });
                }
                Step::Ready(index) => {
                    if let Some(id) = pick(&model, index, &[State::Waiting]) {
                        on(now, Event::Ready { id });
                        model.line_up(id);
                    }
                }
                Step::Refuse(index) => {
                    let holds = |id: &TaskId| model.tasks.iter().any(|t| t.id == *id && t.ask.demand.amount(MEMORY) > 0);
                    if let Some(id) = pick(&model, index, &[State::Running]).filter(holds) {
                        on(now, Event::Refused { id });
                        let task = model.at(id);
                        (task.state, task.refused) = (State::Lined, true);
                        model.look = Some(model.look.unwrap_or(now + LOOK));
                        model.deal();
                    }
                }
                Step::Block(index) => {
                    if let Some(id) = pick(&model, index, &[State::Running]) {
                        on(now, Event::Blocked { id });
                        model.at(id).state = State::Blocked;
                        model.deal();
                    }
                }
                Step::Unblock(index) => {
                    if let Some(id) = pick(&model, index, &[State::Blocked]) {
                        on(now, Event::Unblocked { id });
                        model.at(id).state = State::Resuming;
                        model.resuming.push(id);
                        model.deal();
                    }
                }
                Step::Fail(index) => {
                    if let Some(id) = pick(&model, index, &[State::Running]) {
                        let actions = on(now, Event::Failed { id });
                        let task = model.at(id);
                        task.failed += 1;
                        let again = task.failed <= task.ask.retries && !task.doomed;
                        let attempt = task.failed;
                        let expected = if again { Action::Retry { id, attempt } } else { Action::GiveUp { id } };
                        prop_assert_eq!(actions.first(), Some(&expected));
                        if !again {
                            model.end(id);
                        } else {
                            let pause = task.ask.backoff.map_or(Duration::ZERO, |b| b.pause(attempt, id));
                            (task.state, task.due) = (State::Between, now + pause);
                            if task.ask.demand.amount(MEMORY) > 0 {
                                model.offer_again();
                            }
                            model.deal();
                            on(now, Event::Again { id, who: (id, attempt + 1) });
                            match pause.is_zero() {
                                true => model.line_up(id),
                                false => model.at(id).state = State::Pausing,
                            }
                        }
                    }
                }
                Step::End(index) => {
                    if let Some(id) = pick(&model, index, &[State::Running, State::Blocked]) {
                        on(now, Event::Ended { id });
                        model.end(id);
                    }
                }
                Step::Cancel(index) => {
                    let any = [State::Waiting, State::Lined, State::Pausing, State::Running, State::Blocked];
                    if let Some(id) = pick(&model, index, &any) {
                        on(now, Event::Cancelled { id });
                        model.doom(id);
                    }
                }
                Step::Wait(time) => {
                    model.pass(now + ms(time));
                    on(model.now, Event::Tick);
                }
            }
            check(&machine, &model)?;
            prop_assert_eq!(started, model.started);
        }
        prop_assert!(model.tasks.is_empty(), "left: {:?}", model.tasks);
        prop_assert_eq!(machine.free().to_vec(), CAPACITY);
        prop_assert_eq!(machine.next_timer(), None);
    }
}
