//! From a key to the number of its group.
//!
//! Groups are numbered as they come. Keys that are numbers close together have a place each ([`Index::Places`]):
//! no hash, no comparison, and keys that follow one another lie beside one another. All others are hashed into a table
//! with open addressing, at most half full ([`Index::Hashed`]). Which of the two fits is looked at with each batch, by
//! how far apart the least and the greatest key are for the number of groups: places take at most what hashing takes.

use super::keys::{Key, Keys};

/// Places for each group, at most, as far as nobody knows that more will come; a place has four bytes, a hashed group 32 or more.
const SPARSE: i64 = 8;
/// Places that are always granted: 256 KiB.
const FREE: i64 = 1 << 16;
/// Slots of the first table.
const SLOTS: usize = 256;

#[derive(Debug)]
enum Index<K> {
    /// The group of the key `least + at`, plus one; zero if there is none.
    Places { least: i64, places: Vec<u32> },
    /// Keys and groups, plus one, where the hash says, or the first free slot after it.
    Hashed { slots: Vec<(K, u32)> },
}

/// The keys of all groups, and where to find them.
#[derive(Debug)]
pub(super) struct Table<K> {
    /// By group.
    keys: Vec<K>,
    null: Option<u32>,
    /// Least and greatest key, if keys are numbers.
    limits: Option<(i64, i64)>,
    /// Places that are granted whatever the number of groups.
    granted: i64,
    index: Index<K>,
}

impl<K: Key> Table<K> {
    /// With so many places, where keys are known to fill them.
    pub(super) fn new(granted: i64) -> Self {
        let index = Index::Hashed { slots: Vec::new() };
        Self { keys: Vec::new(), null: None, limits: None, granted: granted.max(FREE), index }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The group that stands for null.
    pub(super) fn null(&self) -> Option<usize> {
        self.null.map(|group| group as usize)
    }

    /// Takes the keys out, by group; the table is empty then.
    pub(super) fn take(&mut self) -> Vec<K> {
        let keys = std::mem::take(&mut self.keys);
        *self = Self::new(self.granted);
        keys
    }

    pub(super) fn size(&self) -> usize {
        let index = match &self.index {
            Index::Places { places, .. } => places.capacity() * size_of::<u32>(),
            Index::Hashed { slots } => slots.capacity() * size_of::<(K, u32)>(),
        };
        index + self.keys.capacity() * size_of::<K>()
    }

    /// The groups of a batch of keys, in `groups`.
    pub(super) fn find(&mut self, batch: &Keys<K>, groups: &mut Vec<usize>) {
        groups.clear();
        groups.reserve(batch.keys.len());
        self.prepare(batch);
        match &batch.nulls {
            None => match &mut self.index {
                Index::Places { least, places } => {
                    for key in &batch.keys {
                        groups.push(placed(*key, *least, places, &mut self.keys));
                    }
                }
                Index::Hashed { slots } => {
                    // Rows of a group often follow one another.
                    let mut last: Option<(K, usize)> = None;
                    for key in &batch.keys {
                        let group = match last {
                            Some((before, group)) if before == *key => group,
                            _ => hashed(*key, slots, &mut self.keys),
                        };
                        last = Some((*key, group));
                        groups.push(group);
                    }
                }
            },
            Some(nulls) => {
                for (row, key) in batch.keys.iter().enumerate() {
                    let group = if nulls.is_null(row) {
                        let keys = &mut self.keys;
                        let new = || {
                            keys.push(K::default());
                            keys.len() as u32 - 1
                        };
                        *self.null.get_or_insert_with(new) as usize
                    } else {
                        match &mut self.index {
                            Index::Places { least, places } => placed(*key, *least, places, &mut self.keys),
                            Index::Hashed { slots } => hashed(*key, slots, &mut self.keys),
                        }
                    };
                    groups.push(group);
                }
            }
        }
    }

    /// Makes room for the keys of a batch, in the form that fits.
    fn prepare(&mut self, batch: &Keys<K>) {
        let mut limits = self.limits;
        for (row, key) in batch.keys.iter().enumerate() {
            if batch.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                continue;
            }
            let Some(number) = key.number() else { break };
            limits =
                Some(limits.map_or((number, number), |(least, most)| (least.min(number), most.max(number))));
        }
        self.limits = limits;
        let span = limits.and_then(|(least, most)| most.checked_sub(least)?.checked_add(1));
        let room = (self.keys.len() as i64).saturating_mul(SPARSE).max(self.granted);
        // Half of that to change over, so that keys at the limit do not go to and fro.
        let hashed = matches!(self.index, Index::Hashed { .. }) && !self.keys.is_empty();
        let enough = if hashed { room / 2 } else { room };
        match (limits, span) {
            (Some(limits), Some(span)) if span <= enough => self.be_placed(limits, span, room),
            _ => self.be_hashed(),
        }
    }

    fn be_placed(&mut self, (first, last): (i64, i64), span: i64, room: i64) {
        if let Index::Places { least, places } = &mut self.index
            && *least <= first
        {
            let needed = (last - *least) as usize + 1;
            if needed > places.len() {
                // Keys often grow; half as much again spares most copies.
                places.resize((needed + needed / 2).min((room as usize).max(needed)), 0);
            }
            return;
        }
        let mut places = vec![0; span as usize];
        for (group, key) in self.keys.iter().enumerate() {
            if self.null != Some(group as u32)
                && let Some(number) = key.number()
            {
                places[(number - first) as usize] = group as u32 + 1;
            }
        }
        self.index = Index::Places { least: first, places };
    }

    fn be_hashed(&mut self) {
        if let Index::Hashed { slots } = &mut self.index {
            if slots.is_empty() {
                slots.resize(SLOTS, (K::default(), 0));
            }
            return;
        }
        let count = (self.keys.len() * 2 + SLOTS).next_power_of_two();
        self.index = Index::Hashed { slots: rehashed(&self.keys, self.null, count) };
    }
}

fn placed<K: Key>(key: K, least: i64, places: &mut [u32], keys: &mut Vec<K>) -> usize {
    let at = key.number().unwrap_or_default().wrapping_sub(least) as usize;
    let place = &mut places[at];
    if *place == 0 {
        keys.push(key);
        *place = keys.len() as u32;
    }
    *place as usize - 1
}

fn hashed<K: Key>(key: K, slots: &mut Vec<(K, u32)>, keys: &mut Vec<K>) -> usize {
    let mask = slots.len() - 1;
    let mut at = key.hash() as usize & mask;
    loop {
        let (found, group) = slots[at & mask];
        if group == 0 {
            break;
        }
        if found == key {
            return group as usize - 1;
        }
        at += 1;
    }
    keys.push(key);
    slots[at & mask] = (key, keys.len() as u32);
    if keys.len() * 2 > slots.len() {
        // The group that stands for null has a key here like any other, which is only looked for where it is not null.
        let mut larger = vec![(K::default(), 0); slots.len() * 2];
        for (key, group) in slots.iter().filter(|(_, group)| *group != 0) {
            insert(&mut larger, *key, *group);
        }
        *slots = larger;
    }
    keys.len() - 1
}

fn insert<K: Key>(slots: &mut [(K, u32)], key: K, group: u32) {
    let mask = slots.len() - 1;
    let mut at = key.hash() as usize & mask;
    while slots[at].1 != 0 {
        at = (at + 1) & mask;
    }
    slots[at] = (key, group);
}

fn rehashed<K: Key>(keys: &[K], null: Option<u32>, count: usize) -> Vec<(K, u32)> {
    let mut slots = vec![(K::default(), 0); count];
    for (group, key) in keys.iter().enumerate() {
        if null != Some(group as u32) {
            insert(&mut slots, *key, group as u32 + 1);
        }
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::buffer::NullBuffer;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn key() -> impl Strategy<Value = Option<i64>> {
        prop_oneof![
            1 => Just(None),
            6 => (-40_i64..40).prop_map(Some),
            2 => (0_i64..200_000).prop_map(Some),
            1 => any::<i64>().prop_map(Some),
        ]
    }

    fn check<K: Key + std::fmt::Debug>(batches: &[Vec<Option<i64>>], as_key: impl Fn(i64) -> K) {
        let mut table = Table::new(0);
        let mut model: HashMap<Option<i64>, usize> = HashMap::new();
        let mut groups = Vec::new();
        for batch in batches {
            let keys = batch.iter().map(|key| as_key(key.unwrap_or(7))).collect();
            let nulls: NullBuffer = batch.iter().map(Option::is_some).collect::<Vec<_>>().into();
            let nulls = (nulls.null_count() > 0).then_some(nulls);
            table.find(&Keys { keys, nulls }, &mut groups);
            let expect = batch.iter().map(|key| {
                let next = model.len();
                *model.entry(*key).or_insert(next)
            });
            assert_eq!(groups, expect.collect::<Vec<_>>(), "{batches:?}");
        }
        assert_eq!((table.len(), table.null()), (model.len(), model.get(&None).copied()));
        let keys = table.take();
        assert_eq!(table.len(), 0);
        for (key, group) in model {
            if let Some(key) = key {
                assert_eq!(keys[group], as_key(key));
            }
        }
    }

    proptest! {
        #[test]
        fn a_key_has_one_group(
            batches in proptest::collection::vec(proptest::collection::vec(key(), 0..300), 0..8),
        ) {
            check(&batches, |key| key as u64);
            check(&batches, |key| (key as u64 as u128) << 40);
        }
    }

    #[test]
    fn keys_that_spread_and_close_up_again() {
        let range =
            |keys: std::ops::Range<i64>, step: i64| keys.map(|key| Some(key * step)).collect::<Vec<_>>();
        check(
            &[
                range(0..1000, 1),
                range(0..1000, 1_000_000),
                range(-100_000..100_000, 2),
                vec![None, Some(i64::MIN), Some(i64::MAX)],
                range(0..200_000, 5),
            ],
            |key| key as u64,
        );
        // Places that grow downwards, upwards, and with a null between.
        check(
            &[range(5000..6000, 1), vec![None, Some(7), None], range(-60..60, 1), range(0..9000, 1)],
            |key| key as u64,
        );
    }
}
