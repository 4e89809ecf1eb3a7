//! Tasks as the rings tell of them: one record per task, or per group of tiny tasks.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::Hub;
use super::event::{Event, EventKind, Label};

/// What is known of a task, or of a group of tasks alike that were recorded together.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskRecord {
    /// The task, or the last one of the group.
    pub id: u64,
    /// Its name.
    pub name: Label,
    /// `submitted`, `queued`, `running`, `finished`, `failed` or `cancelled`: what was heard of it last.
    pub state: &'static str,
    /// The thread it ran on, or runs on.
    pub worker: Option<String>,
    /// The task that made it.
    pub parent: Option<u64>,
    /// Which attempt it is or was, from 1.
    pub attempt: u32,
    /// How many tasks the record stands for.
    pub count: u32,
    /// When it was made, since the start of the engine.
    pub submitted: Option<Duration>,
    /// When it began.
    pub started: Option<Duration>,
    /// When it ended.
    pub finished: Option<Duration>,
    /// The error of a failure.
    pub error: Option<String>,
}

impl TaskRecord {
    fn new(id: u64, name: &Label, state: &'static str) -> Self {
        Self {
            id,
            name: name.clone(),
            state,
            worker: None,
            parent: None,
            attempt: 1,
            count: 1,
            submitted: None,
            started: None,
            finished: None,
            error: None,
        }
    }
}

impl Hub {
    /// What the rings still hold, in the order of time, the names of the lanes, and how much is lost.
    pub(super) fn recorded(&self) -> (Vec<Event>, Vec<String>, u64) {
        let (mut events, mut names, mut lost) = (Vec::new(), Vec::new(), 0);
        for lane in self.lanes() {
            names.push(lane.name.lock().clone());
            let mut cursor = 0;
            loop {
                let before = events.len();
                lost += lane.ring.lock().read(&mut cursor, 128, &mut events);
                if events.len() - before < 128 {
                    break;
                }
            }
        }
        events.sort_by_key(|event: &Event| event.at);
        (events, names, lost)
    }

    /// What is known of tasks, oldest first, and how many events were overwritten.
    pub(crate) fn tasks(&self) -> (Vec<TaskRecord>, u64) {
        let (events, lanes, lost) = self.recorded();
        (records(&events, &lanes), lost)
    }
}

fn records(events: &[Event], lanes: &[String]) -> Vec<TaskRecord> {
    let mut tasks: BTreeMap<u64, TaskRecord> = BTreeMap::new();
    // The names of groups: what was heard of such a task only at its start is in one of them.
    let mut grouped: HashSet<Label> = HashSet::new();
    for event in events {
        let worker = || lanes.get(event.lane as usize).cloned();
        match &event.kind {
            EventKind::TaskSubmitted { id, name, parent, count: 1 } => {
                let task = tasks.entry(*id).or_insert_with(|| TaskRecord::new(*id, name, "submitted"));
                task.parent = *parent;
                task.submitted = Some(event.at);
            }
            EventKind::TaskQueued { id } => {
                if let Some(task) = tasks.get_mut(id)
                    && task.state == "submitted"
                {
                    task.state = "queued";
                }
            }
            EventKind::TaskStarted { id, name } => {
                let task = tasks.entry(*id).or_insert_with(|| TaskRecord::new(*id, name, "running"));
                task.state = "running";
                task.worker = worker();
                task.started = Some(event.at);
            }
            EventKind::TaskRetried { id, name, attempt, .. } => {
                tasks.entry(*id).or_insert_with(|| TaskRecord::new(*id, name, "running")).attempt =
                    attempt + 1;
            }
            EventKind::TaskFinished { id, name, started, outcome, attempt, count, .. } => {
                if *count > 1 {
                    grouped.insert(name.clone());
                }
                let task = tasks.entry(*id).or_insert_with(|| TaskRecord::new(*id, name, "running"));
                task.state = outcome.word();
                task.attempt = (*attempt).max(task.attempt);
                task.count = *count;
                task.started = task.started.or(*started);
                task.finished = Some(event.at);
                task.error = outcome.error().map(ToString::to_string);
                task.worker = task.worker.take().or_else(|| started.and_then(|_| worker()));
            }
            _ => {}
        }
    }
    tasks.into_values().filter(|task| !(task.state == "submitted" && grouped.contains(&task.name))).collect()
}

impl TaskRecord {
    /// Whether the task has ended, however.
    pub fn has_ended(&self) -> bool {
        ["finished", "failed", "cancelled"].contains(&self.state)
    }
}
