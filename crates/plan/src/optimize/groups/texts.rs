//! The texts of a column as numbers.
//!
//! Groups by text have few different texts as a rule: names of shops, categories, states. Each gets a number when it comes
//! first, and the number goes into the key. Texts come as views, and where a join or a dictionary has put them the same
//! view comes again and again: so views are looked up first, in a table without chains, and the bytes only if that does not
//! have them. A view of up to twelve bytes is the text itself. Another means something as long as its buffers are those of the
//! batch before, which are held here, so that no other can come to stand in their place.

use super::keys::fold;
use datafusion::arrow::array::{Array, ArrayRef, StringViewArray, make_view};
use datafusion::arrow::buffer::Buffer;
use datafusion::common::Result;
use std::sync::Arc;

/// Different texts of a column, at most; and their bytes. With more of them DataFusion's operator is the faster: a hundred
/// thousand texts in ten million rows took it 0.9 s, and 4.4 s here.
const MOST: usize = 1 << 14;
const BYTES: usize = 1 << 28;
/// Views that are remembered: at first they take 16 KiB, and 256 where most of them come again after others.
const VIEWS: usize = 512;
const MOST_VIEWS: usize = 16 * VIEWS;
/// The longest text that is within its view.
const INLINE: u32 = 12;
/// Instead of buffers, where the view is the text.
const INLINED: u32 = u32::MAX;
/// The number of null; texts are counted from one.
const NULL: u32 = 0;

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    view: u128,
    /// The buffers that the view points into, by when they came; none is zero.
    buffers: u32,
    number: u32,
}

/// Texts, numbered as they come.
#[derive(Debug, Default)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    /// Where each text ends in `bytes`, and its hash.
    texts: Vec<(usize, u64)>,
    /// Numbers, where the hash says or the first free slot after it; at most half are taken.
    slots: Vec<u32>,
    seen: Vec<Seen>,
    /// Those of the batch before, and when they came.
    buffers: Vec<Buffer>,
    came: u32,
}

impl Texts {
    pub(super) fn size(&self) -> usize {
        let texts = self.texts.capacity() * size_of::<(usize, u64)>();
        let tables = self.slots.capacity() * size_of::<u32>() + self.seen.capacity() * size_of::<Seen>();
        self.bytes.capacity() + texts + tables
    }

    /// Gives `put` the number of each row; false if there are too many different texts.
    pub(super) fn number(&mut self, column: &StringViewArray, mut put: impl FnMut(usize, u32)) -> bool {
        if self.seen.is_empty() {
            self.seen = vec![Seen::default(); VIEWS];
        }
        self.meet(column.data_buffers());
        let mut missed = 0;
        let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
        for (row, view) in column.views().iter().enumerate() {
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                put(row, NULL);
                continue;
            }
            let at = fold(*view as u64 ^ (*view >> 64) as u64) as usize & (self.seen.len() - 1);
            let seen = self.seen[at];
            let buffers = if *view as u32 <= INLINE { INLINED } else { self.came };
            let number = match seen.view == *view && seen.buffers == buffers {
                true => seen.number,
                false => {
                    missed += 1;
                    let Some(number) = self.find(column.value(row).as_bytes()) else { return false };
                    self.seen[at] = Seen { view: *view, buffers, number };
                    number
                }
            };
            put(row, number);
        }
        if missed > self.seen.len() && self.seen.len() < MOST_VIEWS.min(self.texts.len()) {
            self.seen = vec![Seen::default(); 2 * self.seen.len()];
        }
        true
    }

    /// Notes whether views point into other buffers than before.
    fn meet(&mut self, buffers: &[Buffer]) {
        let is_same = self.buffers.len() == buffers.len()
            && self
                .buffers
                .iter()
                .zip(buffers)
                .all(|(one, other)| one.as_ptr() == other.as_ptr() && one.len() == other.len());
        if is_same {
            return;
        }
        self.buffers = buffers.to_vec();
        self.came = self.came.checked_add(1).filter(|came| *came < INLINED).unwrap_or_else(|| {
            self.seen.fill(Seen::default());
            1
        });
    }

    fn text(&self, number: u32) -> &[u8] {
        let at = number as usize - 1;
        let start = at.checked_sub(1).map_or(0, |before| self.texts[before].0);
        &self.bytes[start..self.texts[at].0]
    }

    fn find(&mut self, text: &[u8]) -> Option<u32> {
        if self.slots.len() < 2 * (self.texts.len() + 1) {
            self.slots = vec![NULL; (self.slots.len() * 2).max(256)];
            for (at, (_, hash)) in self.texts.iter().enumerate() {
                let place = free(&self.slots, *hash);
                self.slots[place] = at as u32 + 1;
            }
        }
        let hash = hash(text);
        let mask = self.slots.len() - 1;
        let mut place = hash as usize & mask;
        while self.slots[place] != NULL {
            let number = self.slots[place];
            if self.texts[number as usize - 1].1 == hash && self.text(number) == text {
                return Some(number);
            }
            place = (place + 1) & mask;
        }
        if self.texts.len() >= MOST || self.bytes.len() + text.len() > BYTES {
            return None;
        }
        self.bytes.extend_from_slice(text);
        self.texts.push((self.bytes.len(), hash));
        let number = self.texts.len() as u32;
        self.slots[place] = number;
        Some(number)
    }

    /// The texts of numbers. They are forgotten here.
    pub(super) fn take(&mut self, numbers: impl Iterator<Item = u32>) -> Result<ArrayRef> {
        let texts = std::mem::take(self);
        let mut views = Vec::with_capacity(texts.texts.len() + 1);
        views.push(0);
        let mut start = 0;
        for (end, _) in &texts.texts {
            views.push(make_view(&texts.bytes[start..*end], 0, start as u32));
            start = *end;
        }
        let numbers: Vec<u32> = numbers.collect();
        let nulls: Vec<bool> = numbers.iter().map(|number| *number != NULL).collect();
        let nulls = nulls.contains(&false).then(|| nulls.into());
        let rows: Vec<u128> = numbers.into_iter().map(|number| views[number as usize]).collect();
        let bytes = Buffer::from_vec(texts.bytes);
        Ok(Arc::new(StringViewArray::try_new(rows.into(), vec![bytes], nulls)?))
    }
}

fn hash(text: &[u8]) -> u64 {
    let mut hash = fold(text.len() as u64);
    for part in text.chunks(8) {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        hash = fold(hash ^ u64::from_le_bytes(word));
    }
    hash
}

fn free(slots: &[u32], hash: u64) -> usize {
    let mask = slots.len() - 1;
    let mut place = hash as usize & mask;
    while slots[place] != NULL {
        place = (place + 1) & mask;
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{AsArray, UInt64Array};
    use datafusion::arrow::compute::take;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn a_text_has_one_number(
            batches in proptest::collection::vec(
                proptest::collection::vec(proptest::option::of("[ab]{0,30}|[a-z]{0,14}|.{0,3}"), 0..200), 0..6),
        ) {
            let mut texts = Texts::default();
            let mut model: HashMap<Option<String>, u32> = HashMap::from([(None, NULL)]);
            let mut all = Vec::new();
            for batch in &batches {
                let column: StringViewArray = batch.iter().collect();
                let mut numbers = vec![u32::MAX; batch.len()];
                prop_assert!(texts.number(&column, |row, number| numbers[row] = number));
                for (text, number) in batch.iter().zip(&numbers) {
                    let next = model.len() as u32;
                    prop_assert_eq!(*model.entry(text.clone()).or_insert(next), *number);
                }
                all.extend(numbers);
            }
            let column = texts.take(all.into_iter()).unwrap();
            let expect: StringViewArray = batches.iter().flatten().collect();
            prop_assert_eq!(column.as_string_view(), &expect);
            prop_assert_eq!(texts.size(), 0);
        }
    }

    #[test]
    fn equal_views_into_other_buffers() {
        let source = |last: char| StringViewArray::from(vec![format!("a text of many letters, {last}")]);
        let (one, other) = (source('x'), source('y'));
        assert_eq!(one.views(), other.views());
        let mut texts = Texts::default();
        for (column, expect) in
            [(&one, 1), (&one, 1), (&other, 2), (&one, 1), (&source('z'), 3), (&source('w'), 4)]
        {
            assert!(texts.number(column, |_, number| assert_eq!(number, expect)));
        }
    }

    #[test]
    fn many_views_that_come_again() {
        let rows = 4000_usize;
        let source: StringViewArray =
            (0..rows).map(|row| Some(format!("a text of many letters, {row}"))).collect();
        let mut texts = Texts::default();
        for step in [1, 7, 11, 13] {
            let at: UInt64Array = (0..rows).map(|row| (row * step % rows) as u64).collect();
            let column = take(&source, &at, None).unwrap();
            assert!(texts.number(column.as_string_view(), |row, number| assert_eq!(
                number as usize,
                row * step % rows + 1
            )));
        }
        assert!(texts.seen.len() > VIEWS);
    }

    #[test]
    fn too_many_texts() {
        let mut texts = Texts::default();
        let mut next = 0;
        let full = loop {
            let column: StringViewArray = (next..next + 8192).map(|n| Some(n.to_string())).collect();
            next += 8192;
            if !texts.number(&column, |_, _| {}) {
                break next;
            }
        };
        assert_eq!(full, MOST + 8192);
        // Those that are there are found still.
        let column: StringViewArray = ["0", "77"].into_iter().map(Some).collect();
        assert!(texts.number(&column, |row, number| assert_eq!(number, [1, 78][row])));
    }
}
