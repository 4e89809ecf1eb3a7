//! Which waits can never end: the reduction of a graph of waits, and a cycle to name.
//!
//! Whoever waits for nothing goes on, ends and gives back what it holds. Taking such tasks away until none is
//! left (R. Holt, *Some deadlock properties of computer systems*, 1972) leaves those that are stuck: each
//! waits for a task that is stuck, or for resources of which the stuck ones hold too much.

use std::collections::{HashMap, HashSet};

use super::machine::TaskId;

/// What a task waits for. A task without needs goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// All of these tasks have to end.
    All(Vec<TaskId>),
    /// So much of these resources has to be free.
    Free(Vec<(usize, u64)>),
}

/// A step of a cycle: a task, and the resource it waits for if it waits for one, held by the next.
pub(crate) type Step = (TaskId, Option<usize>);

/// The cycle that `start` waits for, if it is stuck: at least one step, each waits for the next, and the
/// last for the first.
pub(crate) fn find_cycle(
    start: TaskId,
    waits: &HashMap<TaskId, Needs>,
    held: &[(TaskId, Vec<(usize, u64)>)],
    free: &[u64],
) -> Option<Vec<Step>> {
    let mut free = free.to_vec();
    let mut stuck: HashSet<TaskId> = waits.keys().copied().collect();
    let give_back = |free: &mut [u64], of: &dyn Fn(TaskId) -> bool| {
        held.iter().filter(|(id, _)| of(*id)).flat_map(|(_, parts)| parts).for_each(|&(place, amount)| {
            free[place] = free[place].saturating_add(amount);
        });
    };
    give_back(&mut free, &|id| !waits.contains_key(&id));
    loop {
        let goes_on = |id: &TaskId| match waits.get(id) {
            Some(Needs::All(tasks)) => !tasks.iter().any(|task| stuck.contains(task)),
            Some(Needs::Free(parts)) => parts.iter().all(|&(place, amount)| amount <= free[place]),
            None => true,
        };
        let going: HashSet<TaskId> = stuck.iter().copied().filter(goes_on).collect();
        if going.is_empty() {
            break;
        }
        stuck.retain(|id| !going.contains(id));
        give_back(&mut free, &|id| going.contains(&id));
    }
    if !stuck.contains(&start) {
        return None;
    }
    // Every stuck task waits for a stuck one, so going on along the waits must come round.
    let mut path: Vec<Step> = Vec::new();
    let mut at = start;
    loop {
        if let Some(begin) = path.iter().position(|(id, _)| *id == at) {
            return Some(path.split_off(begin));
        }
        let (next, place) = match waits.get(&at)? {
            Needs::All(tasks) => (*tasks.iter().find(|task| stuck.contains(task))?, None),
            Needs::Free(parts) => {
                let (place, _) = parts.iter().find(|&&(place, amount)| amount > free[place])?;
                let holds = |parts: &[(usize, u64)]| parts.iter().any(|(at, _)| at == place);
                let holder = held.iter().find(|(id, parts)| stuck.contains(id) && holds(parts))?;
                (holder.0, Some(*place))
            }
        };
        path.push((at, place));
        at = next;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(tasks: &[TaskId]) -> Needs {
        Needs::All(tasks.to_vec())
    }

    #[test]
    fn cycles_are_found_and_named() {
        let check =
            |waits: &[(TaskId, Needs)], held: &[(TaskId, Vec<(usize, u64)>)], expect: Option<&[Step]>| {
                let waits: HashMap<TaskId, Needs> = waits.iter().cloned().collect();
                assert_eq!(find_cycle(1, &waits, held, &[1, 0]).as_deref(), expect, "{waits:?} {held:?}");
            };
        check(&[], &[], None);
        check(&[(1, all(&[2]))], &[], None);
        check(&[(1, all(&[1]))], &[], Some(&[(1, None)]));
        check(&[(1, all(&[3, 2])), (2, all(&[1]))], &[], Some(&[(1, None), (2, None)]));
        // Not on the cycle, but waiting for it.
        check(&[(1, all(&[2])), (2, all(&[3])), (3, all(&[2]))], &[], Some(&[(2, None), (3, None)]));
        // 2 waits for what 1 holds.
        let gpu = vec![(1, 1)];
        let waits = [(1, all(&[2])), (2, Needs::Free(gpu.clone()))];
        check(&waits, &[(1, gpu.clone())], Some(&[(1, None), (2, Some(1))]));
        // Somebody else who goes on holds enough.
        check(&waits, &[(1, gpu.clone()), (9, gpu.clone())], None);
        // 3 holds the other half, and waits as well.
        let both = Needs::Free(vec![(1, 2)]);
        let waits = [(1, all(&[2])), (2, both), (3, all(&[1]))];
        check(&waits, &[(3, gpu.clone()), (1, gpu)], Some(&[(1, None), (2, Some(1)), (3, None)]));
        check(&[(1, Needs::Free(vec![(0, 1)]))], &[], None);
    }

    proptest! {
        /// Waits for tasks only: stuck is who reaches a cycle, by plain search.
        #[test]
        fn stuck_is_who_reaches_a_cycle(edges in prop::collection::vec((0u64..8, 0u64..8), 0..16)) {
            let mut waits: HashMap<TaskId, Needs> = HashMap::new();
            for (from, to) in &edges {
                match waits.entry(*from).or_insert_with(|| all(&[])) {
                    Needs::All(tasks) => tasks.push(*to),
                    Needs::Free(_) => unreachable!(),
                }
            }
            let reaches = |from: TaskId, to: TaskId| {
                let (mut seen, mut stack) = (HashSet::new(), vec![from]);
                while let Some(at) = stack.pop() {
                    for (_, next) in edges.iter().filter(|(from, _)| *from == at) {
                        if seen.insert(*next) {
                            stack.push(*next);
                        }
                    }
                }
                seen.contains(&to)
            };
            for start in 0..8 {
                let expected = reaches(start, start) || (0..8).any(|at| reaches(start, at) && reaches(at, at));
                let found = find_cycle(start, &waits, &[], &[]);
                prop_assert_eq!(found.is_some(), expected, "{}", start);
                for (at, step) in found.iter().flatten().enumerate() {
                    let cycle = found.as_ref().unwrap();
                    prop_assert!(edges.contains(&(step.0, cycle[(at + 1) % cycle.len()].0)));
                }
            }
        }
    }
}
