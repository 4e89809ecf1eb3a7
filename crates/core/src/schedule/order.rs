//! The order in which a graph is given to the workers: depth first, what needs most memory first.
//!
//! A result lives until everything that takes it has run. Going down one branch to its end before the next
//! is begun keeps few results; among the branches of a node the one that needs the most comes first, while
//! nothing of the others is kept. On trees of results of one size no order needs less (R. Sethi and
//! J. Ullman, *The generation of optimal code for arithmetic expressions*, 1970; J. Liu, 1986); on graphs
//! with shared results it is a good guess, as Dask's ordering is.

/// A graph by places: what each node takes.
pub(crate) struct Below {
    begins: Vec<u32>,
    below: Vec<u32>,
}

impl Below {
    /// Without nodes.
    pub(crate) fn new() -> Self {
        Self { begins: vec![0], below: Vec::new() }
    }

    /// Adds a node that takes the results of these.
    pub(crate) fn push(&mut self, below: impl IntoIterator<Item = u32>) {
        self.below.extend(below);
        self.begins.push(self.below.len() as u32);
    }

    /// What a node takes.
    pub(crate) fn of(&self, node: u32) -> &[u32] {
        let at = node as usize;
        &self.below[self.begins[at] as usize..self.begins[at + 1] as usize]
    }

    fn len(&self) -> usize {
        self.begins.len() - 1
    }
}

/// The nodes below `roots`, each once, what a node takes before itself. Without recursion.
pub(crate) fn depth_first(graph: &mut Below, roots: &[u32]) -> Vec<u32> {
    let order = below_first(graph, roots);
    if (0..graph.len() as u32).all(|node| graph.of(node).len() < 2) {
        return order;
    }
    // How many results are there at most while a node is computed, itself included.
    let mut needs = vec![1u32; graph.len()];
    // Which node has looked at a node last: the same result twice is kept once.
    let mut taken_by = vec![u32::MAX; graph.len()];
    for &node in &order {
        let (begin, end) = (graph.begins[node as usize] as usize, graph.begins[node as usize + 1] as usize);
        let below = &mut graph.below[begin..end];
        below.sort_by_key(|&other| std::cmp::Reverse(needs[other as usize]));
        let mut need = 1;
        let mut kept = 0;
        for &other in below.iter() {
            if std::mem::replace(&mut taken_by[other as usize], node) != node {
                need = need.max(needs[other as usize].saturating_add(kept));
                kept += 1;
            }
        }
        needs[node as usize] = need.max(kept + 1);
    }
    below_first(graph, roots)
}

/// As `depth_first`, branches in the order they are written.
fn below_first(graph: &Below, roots: &[u32]) -> Vec<u32> {
    let mut order = Vec::with_capacity(graph.len());
    let mut seen = vec![false; graph.len()];
    // Each node with how many of its branches were gone down.
    let mut stack: Vec<(u32, u32)> = Vec::new();
    for &root in roots {
        if !std::mem::replace(&mut seen[root as usize], true) {
            stack.push((root, 0));
        }
        while let Some((node, branch)) = stack.last_mut() {
            match graph.of(*node).get(*branch as usize) {
                Some(&below) => {
                    *branch += 1;
                    if !std::mem::replace(&mut seen[below as usize], true) {
                        stack.push((below, 0));
                    }
                }
                None => {
                    order.push(*node);
                    stack.pop();
                }
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn graph(below: &[Vec<u32>]) -> Below {
        let mut graph = Below::new();
        below.iter().for_each(|below| graph.push(below.iter().copied()));
        graph
    }

    /// How many results there are at most when the nodes run in this order; none if it breaks an edge.
    fn peak(below: &[Vec<u32>], order: &[u32]) -> Option<usize> {
        let mut takers = vec![0usize; below.len()];
        below.iter().flatten().for_each(|&node| takers[node as usize] += 1);
        let (mut live, mut done, mut most) = (0usize, vec![false; below.len()], 0);
        for &node in order {
            live += 1;
            most = most.max(live);
            for &taken in &below[node as usize] {
                if !done[taken as usize] {
                    return None;
                }
                takers[taken as usize] -= 1;
                if takers[taken as usize] == 0 {
                    live -= 1;
                }
            }
            done[node as usize] = true;
        }
        Some(most)
    }

    /// The least peak over all orders.
    fn best(below: &[Vec<u32>], order: &mut Vec<u32>) -> usize {
        if order.len() == below.len() {
            return peak(below, order).unwrap();
        }
        let mut least = usize::MAX;
        for node in 0..below.len() as u32 {
            let ready = below[node as usize].iter().all(|other| order.contains(other));
            if ready && !order.contains(&node) {
                order.push(node);
                least = least.min(best(below, order));
                order.pop();
            }
        }
        least
    }

    #[test]
    fn orders() {
        let check = |below: &[Vec<u32>], roots: &[u32], expect: &[u32]| {
            assert_eq!(depth_first(&mut graph(below), roots), expect, "{below:?}");
        };
        check(&[], &[], &[]);
        check(&[vec![1], vec![2], vec![]], &[0], &[2, 1, 0]);
        // The branch that needs two results goes before the one that needs one.
        check(&[vec![1, 2], vec![], vec![3, 4], vec![], vec![]], &[0], &[3, 4, 2, 1, 0]);
        // A result taken twice, by one node and by two.
        check(&[vec![1, 1], vec![]], &[0, 0], &[1, 0]);
        check(&[vec![1, 2], vec![3], vec![3], vec![]], &[0], &[3, 1, 2, 0]);
    }

    #[test]
    fn a_wide_tree_keeps_few_results() {
        // 1,024 leaves, added two by two: a node per pair, the last is the root.
        let mut below: Vec<Vec<u32>> = vec![vec![]; 1024];
        let mut level: Vec<u32> = (0..1024).collect();
        while level.len() > 1 {
            level = level
                .chunks(2)
                .map(|pair| {
                    below.push(pair.to_vec());
                    below.len() as u32 - 1
                })
                .collect();
        }
        let order = depth_first(&mut graph(&below), &[below.len() as u32 - 1]);
        assert_eq!(peak(&below, &order), Some(12));
        let by_level: Vec<u32> = (0..below.len() as u32).collect();
        assert_eq!(peak(&below, &by_level), Some(1025));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Random trees: no order whatsoever keeps fewer results.
        #[test]
        fn on_trees_no_order_keeps_less(above in prop::collection::vec(any::<prop::sample::Index>(), 0..7)) {
            let mut below = vec![Vec::new(); above.len() + 1];
            for (at, above) in above.iter().enumerate() {
                below[above.index(at + 1)].push(at as u32 + 1);
            }
            let order = depth_first(&mut graph(&below), &[0]);
            prop_assert_eq!(peak(&below, &order), Some(best(&below, &mut Vec::new())));
        }

        /// Random graphs: every node once, after what it takes.
        #[test]
        fn every_node_comes_once(below in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), 1..40)) {
            let below: Vec<Vec<u32>> = below
                .iter()
                .enumerate()
                .map(|(at, list)| list.iter().filter(|_| at > 0).map(|index| index.index(at) as u32).collect())
                .collect();
            let roots: Vec<u32> = (0..below.len() as u32).rev().collect();
            let order = depth_first(&mut graph(&below), &roots);
            prop_assert_eq!(order.len(), below.len());
            prop_assert!(peak(&below, &order).is_some());
        }
    }
}
