//! The shape of a graph given whole: edges both ways, and the order its nodes are gone through.

use std::ops::Range;

use super::marks::GROUP;
use crate::error::{Error, ErrorKind, Result};

/// Places of a block, unless they stand in rows; whole groups.
const BLOCK: u32 = 512;
/// Places of a block of rows, or more: to take one costs as much as to run some.
const ROWS: u32 = 16;

/// The most nodes: a place, and the end of its group, are words of 32 bits.
const MOST: usize = (u32::MAX - GROUP) as usize;

/// Nodes stand at places, each behind its predecessors; all but `order` speak of places.
///
/// What a run asks for each node is inlined: the run is compiled in the crate of the closure.
#[derive(Debug)]
pub(super) struct Shape {
    after: Lists,
    before: Lists,
    /// The node of each place; empty if they are the same.
    order: Vec<u32>,
    /// Where the blocks begin, if most places need the one before them; empty otherwise.
    rows: Vec<u32>,
    /// Whether each node needs the one before it, so that there is never more than one to run.
    pub(super) is_chain: bool,
}

/// A list for each place, one behind the other.
#[derive(Debug)]
struct Lists {
    /// Where the list of each place begins; one more at the end.
    begins: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    #[inline]
    fn of(&self, place: u32) -> &[u32] {
        let at = place as usize;
        &self.items[self.begins[at] as usize..self.begins[at + 1] as usize]
    }

    fn len(&self) -> usize {
        self.begins.len() - 1
    }

    fn places(&self) -> Range<u32> {
        0..self.len() as u32
    }

    /// The edges from `from` to `to`, which are below `nodes`.
    fn new(nodes: usize, edges: impl Iterator<Item = (usize, usize)> + Clone) -> Result<Self> {
        let wrong = |message: String| Error::new(ErrorKind::InvalidArgument, "dag", message);
        let mut begins = vec![0u32; nodes + 2];
        let mut count = 0usize;
        for (from, to) in edges.clone() {
            if from >= nodes || to >= nodes {
                return Err(wrong(format!("edge {from} -> {to} of a graph of {nodes} nodes"))
                    .with_help("nodes are numbered from 0"));
            }
            count += 1;
            // Before they are counted by node, in words of as many bits.
            if u32::try_from(count).is_err() {
                return Err(wrong(format!("{count} edges are too many")).with_help("split the graph"));
            }
            begins[from + 2] += 1;
        }
        sum_up(&mut begins);
        let mut items = vec![0u32; count];
        for (from, to) in edges {
            let place = begins.get_mut(from + 1).filter(|_| to < nodes);
            match place.and_then(|place| items.get_mut(*place as usize).map(|slot| (place, slot))) {
                Some((place, slot)) => {
                    *slot = to as u32;
                    *place += 1;
                }
                None => return Err(changed()),
            }
        }
        begins.pop();
        if begins.is_sorted() && begins.last().is_some_and(|end| *end as usize == count) {
            Ok(Self { begins, items })
        } else {
            Err(changed())
        }
    }

    /// The same edges from their other ends.
    fn turned(&self) -> Self {
        let mut begins = vec![0u32; self.len() + 2];
        self.items.iter().for_each(|&to| begins[to as usize + 2] += 1);
        sum_up(&mut begins);
        let mut items = vec![0u32; self.items.len()];
        for from in self.places() {
            for &to in self.of(from) {
                let place = &mut begins[to as usize + 1];
                items[*place as usize] = from;
                *place += 1;
            }
        }
        begins.pop();
        Self { begins, items }
    }

    /// The same edges, with the nodes in this order.
    fn ordered(&self, order: &[u32]) -> Self {
        let mut places = vec![0u32; order.len()];
        (0..).zip(order).for_each(|(place, &node)| places[node as usize] = place);
        let mut begins = Vec::with_capacity(order.len() + 1);
        let mut items = Vec::with_capacity(self.items.len());
        begins.push(0);
        for &node in order {
            items.extend(self.of(node).iter().map(|&to| places[to as usize]));
            begins.push(items.len() as u32);
        }
        Self { begins, items }
    }

    /// An order in which each node comes after its predecessors, and as soon as it may after the one that lets it: depth
    /// first, so that what a node works on is in the cache, and soon not needed any more.
    ///
    /// Kahn's algorithm (1962): what cannot be taken away leaf by leaf is on a cycle or behind one.
    fn order(&self) -> Result<Vec<u32>> {
        let mut left = vec![0u32; self.len()];
        self.items.iter().for_each(|&to| left[to as usize] += 1);
        let mut order = Vec::with_capacity(left.len());
        // What becomes ready counts as left until it is taken, so that no root of the loop is taken twice.
        let roots: Vec<u32> = self.places().filter(|&node| left[node as usize] == 0).collect();
        let mut ready = Vec::new();
        for root in roots {
            ready.push(root);
            while let Some(node) = ready.pop() {
                order.push(node);
                for &next in self.of(node).iter().rev() {
                    left[next as usize] -= 1;
                    if left[next as usize] == 0 {
                        ready.push(next);
                    }
                }
            }
        }
        if order.len() == left.len() { Ok(order) } else { Err(self.cycle(&left)) }
    }

    /// The error of a graph of whose nodes some have predecessors left.
    fn cycle(&self, left: &[u32]) -> Error {
        // Each stuck node has a stuck predecessor; going back along them must come round.
        let mut back = vec![u32::MAX; left.len()];
        for node in self.places().filter(|&node| left[node as usize] > 0) {
            self.of(node).iter().for_each(|&next| back[next as usize] = node);
        }
        let mut node = (0..left.len()).find(|&node| left[node] > 0).unwrap_or(0) as u32;
        let mut seen = std::collections::HashSet::new();
        while seen.insert(node) {
            node = back[node as usize];
        }
        let mut cycle = vec![node];
        while back[cycle[cycle.len() - 1] as usize] != node {
            cycle.push(back[cycle[cycle.len() - 1] as usize]);
        }
        cycle.push(node);
        cycle.reverse();
        const SHOWN: usize = 8;
        let mut names: Vec<String> = cycle.iter().take(SHOWN).map(u32::to_string).collect();
        if cycle.len() > SHOWN {
            names.push(format!("({} more)", cycle.len() - SHOWN));
        }
        let message = format!("node {node} comes before itself: {}", names.join(" -> "));
        Error::new(ErrorKind::Cycle, "dag", message).with_help("leave out one of these edges")
    }
}

/// From counts to begins, one place too far on; filling turns a begin into its end, the next one's begin.
fn sum_up(counts: &mut [u32]) {
    let mut end = 0;
    for count in counts {
        end += *count;
        *count = end;
    }
}

/// The error of edges of which a second look shows others.
fn changed() -> Error {
    Error::new(ErrorKind::InvalidArgument, "dag", "the edges were not the same the second time")
        .with_help("give an iterator whose clones give the same")
}

impl Shape {
    pub(super) fn new(nodes: usize, edges: impl Iterator<Item = (usize, usize)> + Clone) -> Result<Self> {
        if nodes > MOST {
            let message = format!("{nodes} nodes are too many");
            return Err(Error::new(ErrorKind::InvalidArgument, "dag", message).with_help("split the graph"));
        }
        let mut after = Lists::new(nodes, edges)?;
        let mut order = Vec::new();
        // Most are numbered so that edges lead onward; then there is no cycle.
        if !after.places().all(|node| after.of(node).iter().all(|&to| to > node)) {
            order = after.order()?;
            after = after.ordered(&order);
        }
        let follows = |place: &u32| after.of(place - 1).contains(place);
        let followers = after.places().skip(1).filter(follows).count();
        let is_chain = followers + 1 >= nodes;
        let mut rows = Vec::new();
        if followers >= nodes / 2 {
            for place in after.places() {
                if rows.last().is_none_or(|&begin| place - begin >= ROWS && !follows(&place)) {
                    rows.push(place);
                }
            }
        }
        Ok(Self { before: after.turned(), after, order, rows, is_chain })
    }

    /// Whether most places need the one before them, as in a grid. Then a block is a row or some, as long as it may be:
    /// of two blocks of one row the second could only begin when the first is done, of two rows one follows the other.
    #[inline]
    pub(super) fn is_in_rows(&self) -> bool {
        !self.rows.is_empty()
    }

    pub(super) fn block_count(&self) -> usize {
        if self.is_in_rows() { self.rows.len() } else { self.node_count().div_ceil(BLOCK as usize) }
    }

    /// The places of a block; empty past the last.
    pub(super) fn block(&self, number: usize) -> Range<u32> {
        let count = self.node_count() as u32;
        let begin = |number: usize| match number {
            number if number >= self.block_count() => count,
            _ if self.is_in_rows() => self.rows[number],
            _ => number as u32 * BLOCK,
        };
        begin(number)..begin(number + 1)
    }

    /// Whether a place needs the one before it.
    #[inline]
    pub(super) fn follows(&self, place: u32) -> bool {
        place > 0 && self.predecessors(place).contains(&(place - 1))
    }

    #[inline]
    pub(super) fn node_count(&self) -> usize {
        self.after.len()
    }

    pub(super) fn edge_count(&self) -> usize {
        self.after.items.len()
    }

    #[inline]
    pub(super) fn successors(&self, place: u32) -> &[u32] {
        self.after.of(place)
    }

    #[inline]
    pub(super) fn predecessors(&self, place: u32) -> &[u32] {
        self.before.of(place)
    }

    /// Whether these places need nothing but one another and what is before `done_below`.
    #[inline]
    pub(super) fn is_free(&self, places: Range<u32>, done_below: u32) -> bool {
        let Lists { begins, items } = &self.before;
        let items = &items[begins[places.start as usize] as usize..begins[places.end as usize] as usize];
        // Without a way out, so that it is compiled to vectors.
        items.iter().fold(true, |free, &before| free & ((before < done_below) | (before >= places.start)))
    }

    /// The predecessors of each of some places.
    #[inline]
    pub(super) fn predecessors_of(&self, places: Range<u32>) -> impl Iterator<Item = &[u32]> {
        let Lists { begins, items } = &self.before;
        let begins = &begins[places.start as usize..=places.end as usize];
        begins.windows(2).map(|list| &items[list[0] as usize..list[1] as usize])
    }

    /// The node of each place; empty if they are the same.
    #[inline]
    pub(super) fn order(&self) -> &[u32] {
        &self.order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(nodes: usize, edges: &[(usize, usize)]) -> Shape {
        Shape::new(nodes, edges.iter().copied()).unwrap()
    }

    #[test]
    fn every_edge_leads_onward() {
        let edges = [(5, 0), (0, 3), (3, 1), (5, 1), (4, 2), (2, 5), (2, 5)];
        let shape = shape(6, &edges);
        let mut found = Vec::new();
        for place in 0..6 {
            for &after in shape.successors(place) {
                assert!(after > place);
                assert!(shape.predecessors(after).contains(&place));
                found.push((shape.order()[place as usize] as usize, shape.order()[after as usize] as usize));
            }
        }
        found.sort();
        let mut expected = edges.to_vec();
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(shape.edge_count(), (0..6).map(|place| shape.predecessors(place).len()).sum::<usize>());
    }

    #[test]
    fn too_many_nodes_are_refused_before_memory_is_taken() {
        for nodes in [MOST + 1, u32::MAX as usize, usize::MAX] {
            let error = Shape::new(nodes, std::iter::empty()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.to_string().contains("are too many"), "{error}");
        }
    }

    #[test]
    fn rows_are_blocks() {
        let row = |row: usize| (1..20).map(move |column| (row * 20 + column - 1, row * 20 + column));
        let rows = shape(60, &(0..3).flat_map(row).collect::<Vec<_>>());
        assert!(rows.is_in_rows() && !rows.is_chain);
        assert_eq!(
            (0..4).map(|number| rows.block(number)).collect::<Vec<_>>(),
            [0..20, 20..40, 40..60, 60..60]
        );
        let points = shape(1000, &[(0, 1)]);
        assert!(!points.is_in_rows() && points.follows(1) && !points.follows(0) && !points.follows(2));
        assert_eq!((points.block_count(), points.block(0), points.block(1)), (2, 0..512, 512..1000));
    }

    #[test]
    fn chains_are_known() {
        assert!(shape(1, &[]).is_chain && shape(3, &[(0, 1), (0, 2), (1, 2)]).is_chain);
        assert!(shape(3, &[(2, 0), (0, 1)]).is_chain);
        assert!(!shape(2, &[]).is_chain && !shape(3, &[(0, 1), (0, 2)]).is_chain);
    }
}
