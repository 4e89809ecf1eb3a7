//! How calls become tasks.
//!
//! Spawning walks the graph below a call without recursion, gives each node one task however many parents
//! it has, and wires the tasks by refs. A node that nobody outside this graph holds gives its arguments
//! away; a shared one clones them, so a kept call can be spawned again and runs again.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::call::Call;
use super::node::Node;
use super::options::TaskSpec;
use crate::error::{Error, ErrorKind};
use crate::refs::{Job, Origin, Outcome, Ref, Task, TaskCell};
use crate::runtime::PoolShared;
use crate::schedule::{Below, depth_first};

/// One spawn in progress: the refs of the nodes launched so far.
#[doc(hidden)]
pub struct Launch<'a> {
    pool: &'a Arc<PoolShared>,
    /// None for a call without calls below it. What is ready at once in a graph is begun in the order of the
    /// launch, also by a worker, which otherwise begins with what it made last.
    graph: Option<Graph>,
}

struct Graph {
    refs: HashMap<u64, Box<dyn Any>>,
    exclusive: HashSet<u64>,
}

impl Launch<'_> {
    pub(super) fn pool(&self) -> &Arc<PoolShared> {
        self.pool
    }

    pub(super) fn insert<T: Send + Sync + 'static>(&mut self, id: u64, reference: Ref<T>) {
        if let Some(graph) = &mut self.graph {
            graph.refs.insert(id, Box::new(reference));
        }
    }

    /// Forgets the ref of a node that no later one takes.
    fn forget(&mut self, id: u64) {
        if let Some(graph) = &mut self.graph {
            graph.refs.remove(&id);
        }
    }

    pub(super) fn may_take(&self, id: u64) -> bool {
        self.graph.as_ref().is_some_and(|graph| graph.exclusive.contains(&id))
    }

    pub(crate) fn launched<T: Send + Sync + 'static>(&self, call: &Call<T>) -> Ref<T> {
        let found = self.graph.as_ref().and_then(|graph| graph.refs.get(&call.typed().id()));
        let found = found.and_then(|any| any.downcast_ref::<Ref<T>>());
        found.cloned().unwrap_or_else(|| {
            Ref::failed(Error::new(ErrorKind::Internal, "spawn", "a node was launched out of order"))
        })
    }
}
/// The nodes below some roots, each once, arguments before the calls that take them, in the order in which
/// they are best begun.
struct Plan {
    nodes: Vec<Arc<dyn Node>>,
    /// By place in `nodes`: the places of nodes that no later one takes.
    last_taken: Vec<Vec<u32>>,
}

impl Plan {
    fn new(roots: &[Arc<dyn Node>]) -> Self {
        let mut places: HashMap<u64, u32> = HashMap::new();
        let mut found: Vec<Option<Arc<dyn Node>>> = Vec::new();
        let mut place = |found: &mut Vec<Option<Arc<dyn Node>>>, node: &Arc<dyn Node>| {
            *places.entry(node.id()).or_insert_with(|| {
                found.push(Some(Arc::clone(node)));
                found.len() as u32 - 1
            })
        };
        let roots: Vec<u32> = roots.iter().map(|root| place(&mut found, root)).collect();
        let mut graph = Below::new();
        let mut next = 0;
        while let Some(Some(node)) = found.get(next) {
            let below = node.below();
            graph.push(below.iter().map(|node| place(&mut found, node)).collect::<Vec<_>>());
            next += 1;
        }
        let order = depth_first(&mut graph, &roots);
        // Roots are kept to the end.
        let mut kept = vec![false; found.len()];
        roots.iter().for_each(|root| kept[*root as usize] = true);
        let mut position = vec![0u32; found.len()];
        order.iter().enumerate().for_each(|(at, node)| position[*node as usize] = at as u32);
        let mut last_taken = vec![Vec::new(); order.len()];
        for (at, node) in order.iter().enumerate().rev() {
            for &below in graph.of(*node) {
                if !std::mem::replace(&mut kept[below as usize], true) {
                    last_taken[at].push(position[below as usize]);
                }
            }
        }
        let nodes = order.into_iter().filter_map(|node| found[node as usize].take()).collect();
        Self { nodes, last_taken }
    }
}

/// The nodes below `roots`, each once, arguments before the calls that take them.
pub(super) fn below_first(roots: &[Arc<dyn Node>]) -> Vec<Arc<dyn Node>> {
    Plan::new(roots).nodes
}

/// The nodes nobody outside this graph can reach: their arguments may be taken instead of cloned.
///
/// A node is exclusive if its handles are exactly those of exclusive nodes above it (plus ours). Nobody
/// else can make a new handle of it meanwhile, since nobody else has one.
pub(super) fn exclusive_nodes(order: &[Arc<dyn Node>], roots: &HashMap<u64, usize>) -> HashSet<u64> {
    let mut from_exclusive: HashMap<u64, usize> = HashMap::new();
    let mut exclusive = HashSet::new();
    for node in order.iter().rev() {
        // `order` holds one handle; a root has one more for each call of it being spawned.
        let ours = 1 + roots.get(&node.id()).copied().unwrap_or(0);
        let parents = from_exclusive.get(&node.id()).copied().unwrap_or(0);
        if Arc::strong_count(node) == ours + parents && node.is_sole_owner() {
            exclusive.insert(node.id());
            for below in node.below() {
                *from_exclusive.entry(below.id()).or_default() += 1;
            }
        }
    }
    exclusive
}

/// Starts a call and everything below it.
pub(crate) fn spawn_call<T: Send + Sync + 'static>(pool: &Arc<PoolShared>, call: Call<T>) -> Ref<T> {
    // The usual call of a task takes values and refs only, so there is no graph to walk, and is nobody else's.
    let alone = Launch { pool, graph: None };
    let call = match call.into_node().start_alone(&alone) {
        Ok(reference) => return reference,
        Err(node) => Call::from_node(node),
    };
    let node = call.typed();
    if node.below().is_empty() {
        let take = Arc::strong_count(node) == 1 && node.is_sole_owner();
        return node.start(&alone, take);
    }
    let launch = launch_all(pool, &[call.node()]);
    launch.launched(&call)
}

/// Starts several calls and everything below them; what they share starts once.
pub(crate) fn spawn_calls<T: Send + Sync + 'static>(
    pool: &Arc<PoolShared>,
    calls: Vec<Call<T>>,
) -> Vec<Ref<T>> {
    let roots: Vec<Arc<dyn Node>> = calls.iter().map(Call::node).collect();
    let launch = launch_all(pool, &roots);
    calls.iter().map(|call| launch.launched(call)).collect()
}

/// Starts the nodes `roots` and everything below them. Each root is held by us, and by the call it is of.
pub(crate) fn launch_all<'p>(pool: &'p Arc<PoolShared>, roots: &[Arc<dyn Node>]) -> Launch<'p> {
    let Plan { nodes, last_taken } = Plan::new(roots);
    let mut handles: HashMap<u64, usize> = HashMap::with_capacity(roots.len());
    for root in roots {
        *handles.entry(root.id()).or_default() += 2;
    }
    let exclusive = exclusive_nodes(&nodes, &handles);
    let graph = Graph { refs: HashMap::new(), exclusive };
    let mut launch = Launch { pool, graph: Some(graph) };
    for (node, taken) in nodes.iter().zip(last_taken) {
        node.launch(&mut launch);
        // A result that is there before the graph is launched must not live longer for it.
        for place in taken {
            launch.forget(nodes[place as usize].id());
        }
    }
    launch
}

/// Starts a job under the options of its node.
pub(super) fn start_with_spec<T: Send + Sync + 'static, J: Job<T>>(
    launch: &Launch<'_>,
    spec: Option<&TaskSpec>,
    job: J,
) -> Ref<T> {
    let origin = match spec.map_or_else(|| Ok(Origin::here()), |spec| spec.origin(launch.pool)) {
        Ok(origin) => origin,
        Err(error) => return Ref::failed(error),
    };
    let (cell, ready) = TaskCell::make(launch.pool, origin, job);
    queue(launch, cell, ready)
}

/// Queues a task that is ready; its ref.
pub(super) fn queue<T: Send + Sync + 'static>(
    launch: &Launch<'_>,
    cell: Arc<dyn Outcome<T>>,
    ready: Option<Task>,
) -> Ref<T> {
    match ready {
        Some(task) if launch.graph.is_some() => launch.pool.submit_last(task),
        Some(task) => launch.pool.submit(task),
        None => {}
    }
    Ref::from_cell(cell)
}

/// Makes the task of a job, wires its dependencies, and queues it when the last of them is done.
pub(crate) fn start<T: Send + Sync + 'static, J: Job<T>>(
    pool: &Arc<PoolShared>,
    origin: Origin,
    job: J,
) -> Ref<T> {
    let (cell, ready) = TaskCell::make(pool, origin, job);
    if let Some(task) = ready {
        pool.submit(task);
    }
    Ref::from_cell(cell as Arc<dyn Outcome<T>>)
}

/// Makes the task of a job that belongs to no other, and gives it back to be queued if it is ready.
pub(super) fn prepare<T: Send + Sync + 'static, J: Job<T>>(
    pool: &Arc<PoolShared>,
    job: J,
) -> (Ref<T>, Option<Task>) {
    let (cell, ready) = TaskCell::make(pool, Origin::default(), job);
    (Ref::from_cell(cell as Arc<dyn Outcome<T>>), ready)
}

/// Starts many tasks without dependencies among each other, and queues them a batch at a time.
pub(crate) fn start_all<T: Send + Sync + 'static, J: Job<T>>(
    pool: &Arc<PoolShared>,
    origin: &Origin,
    jobs: impl IntoIterator<Item = J>,
) -> Vec<Ref<T>> {
    const BATCH: usize = 256;
    let jobs = jobs.into_iter();
    let mut refs = Vec::with_capacity(jobs.size_hint().0);
    let mut batch = Vec::with_capacity(BATCH);
    for job in jobs {
        let (cell, ready) = TaskCell::make(pool, origin.clone(), job);
        batch.extend(ready);
        refs.push(Ref::from_cell(cell as Arc<dyn Outcome<T>>));
        if batch.len() == BATCH {
            pool.submit_all(batch.drain(..));
        }
    }
    pool.submit_all(batch);
    refs
}
