//! Graphs given whole: a shape, one closure, and no ref per node.
//!
//! The nodes of a [`Dag`] have an order in which each comes after its predecessors; mostly it is the order of their
//! numbers. A run goes through it from front to back: lanes take blocks of it from a cursor, and run what is ready.
//! So what a graph needs of memory is read in order, and what nodes next to one another share is in the cache.
//!
//! ```text
//!   cursor ──> blocks: [ done done done | lane 0: at ... | lane 1: at ... | not looked at ... ]
//!   behind:    nodes that were not ready: whoever finishes the last predecessor has them, ──> next, deque ──steal──>
//! ```
//!
//! | file | what |
//! |---|---|
//! | `shape.rs` | edges both ways, the order, the blocks |
//! | `marks.rs` | four bits a node: who runs it, is it done, does somebody wait for its end |
//! | `run.rs` | lanes: what they run next, and what happens to a node that is not ready |
//! | `pace.rs` | how long lanes work, wait and hold |

mod marks;
mod pace;
mod run;
mod shape;

use std::panic::Location;
use std::sync::Arc;

use self::run::Run;
use self::shape::Shape;
use crate::engine::Engine;
use crate::error::Result;
use crate::refs::{Ref, current_scope};

/// The shape of a directed graph without cycles: nodes `0..len`, and which must be done before which.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use trefoil_core::{Dag, Engine};
///
/// // Each node is the sum of the two before it.
/// let edges = (2..50).flat_map(|i| [(i - 2, i), (i - 1, i)]);
/// let dag = Dag::new(50, edges)?;
/// let values: Arc<Vec<AtomicU64>> = Arc::new((0..50).map(|_| AtomicU64::new(1)).collect());
/// let engine = Engine::new()?;
/// let own = values.clone();
/// engine.spawn_dag(&dag, move |i| {
///     if i >= 2 {
///         let sum = own[i - 1].load(Ordering::Relaxed) + own[i - 2].load(Ordering::Relaxed);
///         own[i].store(sum, Ordering::Relaxed);
///     }
///     Ok(())
/// }).get()?;
/// assert_eq!(values[49].load(Ordering::Relaxed), 12_586_269_025);
/// # Ok::<(), trefoil_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dag(Arc<Shape>);

impl Dag {
    /// The graph of `nodes` nodes with these edges: `(a, b)` means that `a` is done before `b` begins. An
    /// edge may be given more than once. The edges are gone through twice.
    ///
    /// Number the nodes so that every edge leads to a higher number, and neighbours work on what is in the cache: nodes
    /// are then begun in the order of their numbers, as far as the edges and the other workers let them. If an edge
    /// leads back, an order is found instead, depth first along the edges as they are given.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) if an edge names a node that is not there, or
    /// for more than 4 billion nodes or edges; [`ErrorKind::Cycle`](crate::ErrorKind::Cycle) if a node comes before
    /// itself, naming some nodes of the cycle.
    pub fn new<I>(nodes: usize, edges: I) -> Result<Self>
    where
        I: IntoIterator<Item = (usize, usize)>,
        I::IntoIter: Clone,
    {
        Ok(Self(Arc::new(Shape::new(nodes, edges.into_iter())?)))
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.0.node_count()
    }

    /// How many edges there are.
    pub fn edge_count(&self) -> usize {
        self.0.edge_count()
    }
}

impl Engine {
    /// Runs `work` once for each node of a graph, each after its predecessors are done, and gives one ref for
    /// the whole. Made for millions of small nodes: a node costs some nanoseconds and 9 bytes, and 8 bytes an edge,
    /// besides what the closure keeps.
    ///
    /// A node must not wait for another but along edges: a worker takes several small ones at once. Slow nodes it takes
    /// one by one, and goes on with what they let, so that what they made is used soon.
    ///
    /// What a node writes, its successors see. The first error or panic stops the run: no further node
    /// starts, and the ref has that error with the node's number. Cancelling the ref stops it too.
    #[track_caller]
    pub fn spawn_dag<F>(&self, dag: &Dag, work: F) -> Ref<()>
    where
        F: Fn(usize) -> Result<()> + Send + Sync + 'static,
    {
        let (promise, reference) = Ref::promise("graph");
        if dag.node_count() == 0 {
            promise.fulfil(Ok(()));
            return reference;
        }
        let shape = Arc::clone(&dag.0);
        Run::start(shape, work, promise, Location::caller(), current_scope(), self.pool(), self.workers());
        reference
    }
}
