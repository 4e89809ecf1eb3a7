//! The nodes users see: a ledger behind a lock, and those who wait for it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use trefoil_core::{Call, Engine, Error, ErrorKind, Ref, Result, suggest};

use super::bundle::{Amounts, Bundle};
use super::gang::{Gang, PlacementGroup};
use super::ledger::{Ledger, Node, Placed, Strategy, Where, Wish};

#[derive(Default)]
struct State {
    ledger: Ledger,
    gangs: HashMap<u64, Weak<Gang>>,
    last: u64,
}

pub(super) struct Shared(Mutex<State>);

impl Shared {
    /// Gives back what a gang holds, or its place in the line.
    pub(super) fn release(&self, number: u64) {
        let mut state = self.0.lock();
        state.gangs.remove(&number);
        let known = state.ledger.release(number);
        drop(state);
        if known {
            self.settle();
        }
    }

    /// Places who is next, and tells them. Without the lock: their tasks may come back here.
    fn settle(&self) {
        let told: Vec<(Arc<Gang>, Vec<String>)> = {
            let mut state = self.0.lock();
            let placed = state.ledger.settle();
            let name = |state: &State, at: usize| state.ledger.nodes[at].name.clone();
            let tell = |(number, places): Placed| {
                let gang = state.gangs.get(&number)?.upgrade()?;
                Some((gang, places.into_iter().map(|at| name(&state, at)).collect()))
            };
            placed.into_iter().filter_map(tell).collect()
        };
        told.into_iter().for_each(|(gang, nodes)| gang.placed(nodes));
    }
}

/// What a node has and what of it is free; from [`Nodes::status`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NodeStatus {
    /// The node's name.
    pub name: String,
    /// All it has.
    pub total: Bundle,
    /// What no gang holds.
    pub free: Bundle,
}

/// A gang that waits for room; from [`Nodes::demand`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Demand {
    /// How its bundles are to lie.
    pub strategy: Strategy,
    /// Which nodes come into question.
    pub place: Where,
    /// What it asks for.
    pub bundles: Vec<Bundle>,
}

/// Virtual nodes: named amounts of resources, from which gangs are reserved.
///
/// # Examples
///
/// Two workers, each on a node of its own, started only when there is room for both:
///
/// ```
/// use trefoil_tasks::placement::{Bundle, Nodes, Strategy};
/// use trefoil_tasks::{Call, Engine};
///
/// let engine = Engine::new()?;
/// let nodes = Nodes::new([("a", Bundle::cpus(1.0)), ("b", Bundle::cpus(1.0))])?;
/// let gang = nodes.reserve(Strategy::StrictSpread, [Bundle::cpus(1.0), Bundle::cpus(1.0)])?;
/// engine.block_on(gang.ready())?;
/// assert_eq!(gang.nodes(), Some(vec!["a".to_owned(), "b".to_owned()]));
///
/// let late = nodes.reserve(Strategy::Pack, [Bundle::cpus(1.0)])?;
/// assert!(!late.is_ready());
///
/// let rank = gang.bundle(1)?.spawn(&engine, Call::value(1));
/// assert_eq!(rank.get()?, 1);
///
/// gang.remove();
/// engine.block_on(late.ready())?;
/// # Ok::<(), trefoil_tasks::Error>(())
/// ```
#[derive(Clone)]
pub struct Nodes(Arc<Shared>);

impl Nodes {
    /// Nodes of these names, each with what it has.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for an amount that is none, [`ErrorKind::AlreadyExists`] for a name
    /// given twice.
    pub fn new<N: Into<String>>(nodes: impl IntoIterator<Item = (N, Bundle)>) -> Result<Self> {
        let all = Self(Arc::new(Shared(Mutex::default())));
        for (name, has) in nodes {
            all.add(name, has, [])?;
        }
        Ok(all)
    }

    /// One node, `local`, with the cpus of this engine.
    ///
    /// # Errors
    ///
    /// None in practice: an engine has a countable number of workers.
    pub fn of(engine: &Engine) -> Result<Self> {
        Self::new([("local", Bundle::cpus(engine.workers() as f64))])
    }

    /// Adds a node with labels; gangs that wait may now fit.
    ///
    /// # Errors
    ///
    /// As [`Nodes::new`].
    pub fn add<'l>(
        &self,
        name: impl Into<String>,
        has: Bundle,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
    ) -> Result<()> {
        let (name, total) = (name.into(), has.counted()?);
        let labels: BTreeMap<String, String> =
            labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let mut state = self.0.0.lock();
        if state.ledger.nodes.iter().any(|node| node.name == name) {
            let message = format!("there is a node `{name}` already");
            return Err(Error::new(ErrorKind::AlreadyExists, "placement", message));
        }
        state.ledger.nodes.push(Node { name, labels, free: total.clone(), total });
        drop(state);
        self.0.settle();
        Ok(())
    }

    /// Asks for a gang of bundles anywhere; see [`Nodes::reserve_at`].
    ///
    /// # Errors
    ///
    /// As [`Nodes::reserve_at`].
    pub fn reserve(
        &self,
        strategy: Strategy,
        bundles: impl IntoIterator<Item = Bundle>,
    ) -> Result<PlacementGroup> {
        self.reserve_at(Where::Anywhere, strategy, bundles)
    }

    /// Asks for a gang of bundles on certain nodes. It has its place when [`PlacementGroup::ready`] says so:
    /// when all of it fits, and everyone who asked before has had their turn.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if it would not fit on these nodes if they were empty, or for an amount
    /// that is none; [`ErrorKind::NotFound`] for a node that does not exist.
    pub fn reserve_at(
        &self,
        place: Where,
        strategy: Strategy,
        bundles: impl IntoIterator<Item = Bundle>,
    ) -> Result<PlacementGroup> {
        let bundles = bundles.into_iter().map(|bundle| bundle.counted()).collect::<Result<Vec<Amounts>>>()?;
        let mut state = self.0.0.lock();
        if let Where::On(name) | Where::Prefer(name) = &place
            && !state.ledger.nodes.iter().any(|node| node.name == *name)
        {
            let error = Error::new(ErrorKind::NotFound, "placement", format!("there is no node `{name}`"));
            let near = suggest(name, state.ledger.nodes.iter().map(|node| node.name.as_str()));
            return Err(match near {
                Some(near) => error.with_help(format!("did you mean `{near}`?")),
                None => error,
            });
        }
        let number = state.last;
        state.last += 1;
        let wish = Wish { bundles: bundles.clone(), strategy, place };
        if !state.ledger.request(number, wish.clone()) {
            return Err(never(&wish, &state.ledger));
        }
        let gang = Arc::new(Gang::new(Arc::clone(&self.0), number, bundles));
        state.gangs.insert(number, Arc::downgrade(&gang));
        drop(state);
        self.0.settle();
        Ok(PlacementGroup::new(gang))
    }

    /// Starts a call when a node has room for `need`; the node is charged until the call has ended.
    ///
    /// A call that cannot be placed fails with the error of [`Nodes::reserve_at`].
    #[track_caller]
    pub fn spawn<T: Clone + Send + Sync + 'static>(
        &self,
        engine: &Engine,
        place: Where,
        need: Bundle,
        call: Call<T>,
    ) -> Ref<T> {
        match self.reserve_at(place, Strategy::Spread, [need]).and_then(|gang| gang.bundle(0)) {
            Ok(slot) => slot.whole().spawn(engine, call),
            Err(error) => Ref::failed(error),
        }
    }

    /// What every node has, and what is free.
    pub fn status(&self) -> Vec<NodeStatus> {
        let status = |node: &Node| NodeStatus {
            name: node.name.clone(),
            total: Bundle::of(&node.total),
            free: Bundle::of(&node.free),
        };
        self.0.0.lock().ledger.nodes.iter().map(status).collect()
    }

    /// The gangs that wait for room, in their order: what an autoscaler looks at.
    pub fn demand(&self) -> Vec<Demand> {
        let demand = |(_, wish): &(u64, Wish)| Demand {
            strategy: wish.strategy,
            place: wish.place.clone(),
            bundles: wish.bundles.iter().map(Bundle::of).collect(),
        };
        self.0.0.lock().ledger.pending.iter().map(demand).collect()
    }
}

impl fmt::Debug for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.0.lock();
        write!(f, "Nodes({} nodes, {} gangs wait)", state.ledger.nodes.len(), state.ledger.pending.len())
    }
}

/// Why a gang cannot be placed, not even on empty nodes.
fn never(wish: &Wish, ledger: &Ledger) -> Error {
    let list = |bundles: &[Amounts]| {
        bundles.iter().map(|bundle| Bundle::of(bundle).to_string()).collect::<Vec<_>>().join(", ")
    };
    let nodes: Vec<String> =
        ledger.nodes.iter().map(|node| format!("{} {}", node.name, Bundle::of(&node.total))).collect();
    let message = format!(
        "{:?} of {} can never be placed on {}",
        wish.strategy,
        list(&wish.bundles),
        if nodes.is_empty() { "no nodes".to_owned() } else { nodes.join(", ") },
    );
    Error::new(ErrorKind::InvalidArgument, "placement", message)
        .with_help("ask for less, for another strategy, or add a node")
}
