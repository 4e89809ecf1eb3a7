//! Who gets which node: a pure state machine. Requests and releases go in, placements come out.
//!
//! Requests wait in one line and nobody overtakes, so that a large gang is not starved by small ones. A gang
//! is placed whole or not at all. The search tries the nodes of each bundle in the order its strategy likes
//! them and goes back when it is stuck, for a bounded number of steps; what it does not find on empty nodes
//! is refused at once, so nothing waits for what could never come.

use std::collections::{BTreeMap, VecDeque};

use super::bundle::{Amounts, fits, give, take};

/// How the bundles of a gang lie on the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// On few nodes: on one if they fit there now.
    Pack,
    /// On as many nodes as there is room on.
    Spread,
    /// All on one node, or it waits.
    StrictPack,
    /// Each on a node of its own, or it waits.
    StrictSpread,
}

/// Which nodes come into question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Where {
    /// All of them.
    #[default]
    Anywhere,
    /// The node of this name.
    On(String),
    /// The node of this name if there is room on it now, else any.
    Prefer(String),
    /// Nodes with this label and value.
    Labelled(String, String),
}

/// A gang that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) bundles: Vec<Amounts>,
    pub(super) strategy: Strategy,
    pub(super) place: Where,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) total: Amounts,
    pub(super) free: Amounts,
}

/// A gang that has its places: of each bundle, the node.
pub(super) type Placed = (u64, Vec<usize>);

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) nodes: Vec<Node>,
    pub(super) pending: VecDeque<(u64, Wish)>,
    placed: BTreeMap<u64, (Wish, Vec<usize>)>,
}

/// Steps of a search before it gives up.
const STEPS: usize = 20_000;

impl Ledger {
    /// Puts a gang at the end of the line; false if it could not be placed on empty nodes either.
    pub(super) fn request(&mut self, number: u64, wish: Wish) -> bool {
        let totals: Vec<Amounts> = self.nodes.iter().map(|node| node.total.clone()).collect();
        if self.find(&wish, totals).is_none() {
            return false;
        }
        self.pending.push_back((number, wish));
        true
    }

    /// Places those at the head of the line that fit.
    pub(super) fn settle(&mut self) -> Vec<Placed> {
        let mut placed = Vec::new();
        while let Some((number, wish)) = self.pending.front() {
            let free = self.nodes.iter().map(|node| node.free.clone()).collect();
            let Some(places) = self.find(wish, free) else { break };
            for (bundle, place) in wish.bundles.iter().zip(&places) {
                take(bundle, &mut self.nodes[*place].free);
            }
            placed.push((*number, places.clone()));
            if let Some((number, wish)) = self.pending.pop_front() {
                self.placed.insert(number, (wish, places));
            }
        }
        placed
    }

    /// Forgets a gang, waiting or placed; false if it is not known (any more).
    pub(super) fn release(&mut self, number: u64) -> bool {
        if let Some((wish, places)) = self.placed.remove(&number) {
            for (bundle, place) in wish.bundles.iter().zip(&places) {
                give(bundle, &mut self.nodes[*place].free);
            }
            return true;
        }
        let before = self.pending.len();
        self.pending.retain(|(waiting, _)| *waiting != number);
        self.pending.len() < before
    }

    fn find(&self, wish: &Wish, free: Vec<Amounts>) -> Option<Vec<usize>> {
        let among = |allowed: &dyn Fn(&Node) -> bool| {
            let allowed: Vec<usize> = (0..self.nodes.len()).filter(|at| allowed(&self.nodes[*at])).collect();
            let search = |strategy| Search::new(&wish.bundles, strategy, &allowed, free.clone()).run();
            match wish.strategy {
                Strategy::Pack => search(Strategy::StrictPack).or_else(|| search(Strategy::Pack)),
                strategy => search(strategy),
            }
        };
        match &wish.place {
            Where::Anywhere => among(&|_| true),
            Where::On(name) => among(&|node| node.name == *name),
            Where::Prefer(name) => among(&|node| node.name == *name).or_else(|| among(&|_| true)),
            Where::Labelled(key, value) => among(&|node| node.labels.get(key) == Some(value)),
        }
    }
}

struct Search<'a> {
    bundles: &'a [Amounts],
    /// The bundles, those that ask for most first.
    order: Vec<usize>,
    strategy: Strategy,
    allowed: &'a [usize],
    free: Vec<Amounts>,
    /// Bundles of this gang on each node so far.
    used: Vec<usize>,
    places: Vec<usize>,
    steps: usize,
}

impl<'a> Search<'a> {
    fn new(bundles: &'a [Amounts], strategy: Strategy, allowed: &'a [usize], free: Vec<Amounts>) -> Self {
        let mut order: Vec<usize> = (0..bundles.len()).collect();
        let size = |at: &usize| bundles[*at].values().copied().max().unwrap_or(0);
        order.sort_by_key(|at| std::cmp::Reverse(size(at)));
        let used = vec![0; free.len()];
        Self { bundles, order, strategy, allowed, free, used, places: vec![0; bundles.len()], steps: 0 }
    }

    fn run(mut self) -> Option<Vec<usize>> {
        self.place(0).then_some(self.places)
    }

    /// Places the bundle at this place of the order, and those behind it.
    fn place(&mut self, at: usize) -> bool {
        let Some(&bundle) = self.order.get(at) else { return true };
        self.steps += 1;
        if self.steps > STEPS {
            return false;
        }
        let need = &self.bundles[bundle];
        for node in self.candidates(at) {
            if !fits(need, &self.free[node]) {
                continue;
            }
            take(need, &mut self.free[node]);
            self.used[node] += 1;
            self.places[bundle] = node;
            if self.place(at + 1) {
                return true;
            }
            self.used[node] -= 1;
            give(need, &mut self.free[node]);
        }
        false
    }

    /// The nodes that may take the next bundle, the best first.
    fn candidates(&self, placed: usize) -> Vec<usize> {
        let room =
            |node: &usize| self.free[*node].values().fold(0_u64, |sum, left| sum.saturating_add(*left));
        let mut nodes: Vec<usize> = self.allowed.to_vec();
        match self.strategy {
            Strategy::StrictPack => nodes.retain(|node| placed == 0 || self.used[*node] > 0),
            Strategy::StrictSpread => nodes.retain(|node| self.used[*node] == 0),
            Strategy::Pack | Strategy::Spread => {}
        }
        match self.strategy {
            // The fullest first, to leave whole nodes to others.
            Strategy::Pack | Strategy::StrictPack => {
                nodes.sort_by_key(|node| (std::cmp::Reverse(self.used[*node]), room(node), *node));
            }
            Strategy::Spread | Strategy::StrictSpread => {
                nodes.sort_by_key(|node| (self.used[*node], std::cmp::Reverse(room(node)), *node));
            }
        }
        nodes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Strategy;
    use super::*;

    fn cpus(count: u64) -> Amounts {
        Amounts::from([("cpus".to_owned(), count)])
    }

    fn ledger(nodes: &[u64]) -> Ledger {
        let node = |(at, count): (usize, &u64)| Node {
            name: format!("n{at}"),
            labels: BTreeMap::from([("parity".to_owned(), (at % 2).to_string())]),
            total: cpus(*count),
            free: cpus(*count),
        };
        Ledger { nodes: nodes.iter().enumerate().map(node).collect(), ..Ledger::default() }
    }

    fn wish(strategy: Strategy, place: Where, bundles: &[u64]) -> Wish {
        Wish { bundles: bundles.iter().map(|count| cpus(*count)).collect(), strategy, place }
    }

    #[test]
    fn strategies_and_places() {
        use Strategy::{Pack, Spread, StrictPack, StrictSpread};
        let check = |nodes: &[u64], strategy, place: Where, bundles: &[u64], expect: Option<&[usize]>| {
            let mut ledger = ledger(nodes);
            let taken = ledger.request(1, wish(strategy, place.clone(), bundles));
            let placed = ledger.settle().pop().map(|(_, places)| places);
            assert_eq!(placed.as_deref(), expect, "{nodes:?} {strategy:?} {place:?} {bundles:?}");
            assert_eq!(taken, expect.is_some());
        };
        let any = || Where::Anywhere;
        check(&[4, 2], Pack, any(), &[1, 1], Some(&[1, 1]));
        check(&[4, 2], Pack, any(), &[2, 2], Some(&[0, 0]));
        check(&[2, 2], Pack, any(), &[2, 1, 1], Some(&[0, 1, 1]));
        check(&[2, 2], Spread, any(), &[1, 1], Some(&[0, 1]));
        check(&[3], Spread, any(), &[1, 1, 1], Some(&[0, 0, 0]));
        check(&[2, 2], StrictPack, any(), &[2, 1], None);
        check(&[2, 3], StrictPack, any(), &[2, 1], Some(&[1, 1]));
        check(&[2, 2], StrictSpread, any(), &[1, 1, 1], None);
        // The greedy choice for the small one would be wrong.
        check(&[1, 5], StrictSpread, any(), &[1, 2], Some(&[0, 1]));
        check(&[5, 5], Pack, Where::On("n1".into()), &[1], Some(&[1]));
        check(&[5, 5], Pack, Where::On("nowhere".into()), &[1], None);
        check(&[5, 1], Pack, Where::Prefer("n1".into()), &[2], Some(&[0]));
        check(&[5, 5], Pack, Where::Prefer("n1".into()), &[2], Some(&[1]));
        check(&[5, 5, 5], Spread, Where::Labelled("parity".into(), "0".into()), &[1, 1], Some(&[0, 2]));
        check(&[5], Pack, Where::Labelled("parity".into(), "1".into()), &[1], None);
        check(&[1], Pack, any(), &[], Some(&[]));
    }

    proptest! {
        /// Whatever is asked for and given back: no node is over-subscribed, strict gangs lie as they must,
        /// gangs are whole, nobody overtakes, and in the end everyone had their turn and all is free.
        #[test]
        fn the_ledger_keeps_its_promises(
            nodes in prop::collection::vec(0u64..6, 1..5),
            gangs in prop::collection::vec((0usize..4, prop::collection::vec(0u64..4, 1..5)), 1..20),
            dice in any::<u64>(),
        ) {
            use Strategy::{Pack, Spread, StrictPack, StrictSpread};
            let strategies = [Pack, Spread, StrictPack, StrictSpread];
            let mut ledger = ledger(&nodes);
            let mut accepted = Vec::new();
            let mut running: Vec<Placed> = Vec::new();
            let mut started = Vec::new();
            let mut dice = dice;
            let mut roll = |below: usize| {
                dice = dice.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (dice >> 33) as usize % below.max(1)
            };
            let verify = |running: &[Placed], ledger: &Ledger| {
                let mut used = vec![0u64; nodes.len()];
                for (number, places) in running {
                    let (strategy, bundles) = &gangs[*number as usize];
                    assert_eq!(places.len(), bundles.len(), "whole");
                    for (place, bundle) in places.iter().zip(bundles) {
                        used[*place] += bundle;
                    }
                    let mut distinct = places.clone();
                    distinct.sort_unstable();
                    distinct.dedup();
                    match strategies[*strategy] {
                        StrictPack => assert_eq!(distinct.len(), 1),
                        StrictSpread => assert_eq!(distinct.len(), places.len()),
                        _ => {}
                    }
                }
                for ((used, total), node) in used.iter().zip(&nodes).zip(&ledger.nodes) {
                    assert!(used <= total, "over-subscribed");
                    assert_eq!(node.free.get("cpus").copied().unwrap_or(0), total - used);
                }
            };
            for (number, (strategy, bundles)) in gangs.iter().enumerate() {
                let number = number as u64;
                if ledger.request(number, wish(strategies[*strategy], Where::Anywhere, bundles)) {
                    accepted.push(number);
                }
                for placed in ledger.settle() {
                    started.push(placed.0);
                    running.push(placed);
                }
                verify(&running, &ledger);
                if roll(2) == 0 && !running.is_empty() {
                    let (ended, _) = running.swap_remove(roll(running.len()));
                    assert!(ledger.release(ended));
                    assert!(!ledger.release(ended), "removal is idempotent");
                }
            }
            loop {
                for placed in ledger.settle() {
                    started.push(placed.0);
                    running.push(placed);
                }
                verify(&running, &ledger);
                let Some((ended, _)) = running.pop() else { break };
                assert!(ledger.release(ended));
            }
            prop_assert_eq!(started, accepted, "in the order of asking, and nobody is left out");
            prop_assert!(ledger.nodes.iter().all(|node| node.free == node.total));
        }
    }
}
