//! Keys of rows.
//!
//! A key is a word, if one column of numbers is sorted by ([`Words`]), or the row format of Arrow: bytes that compare as
//! the rows do. What all such keys begin with is left out, and the next 8 or 16 bytes stand beside each row, so that most
//! comparisons, and often all, are of one or two words.

use super::words::{self, Words};
use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::{Result, internal_err};

/// Makes the keys of batches.
pub(super) enum Encoder {
    Rows(RowConverter),
    Words(SortOptions),
}

impl Encoder {
    /// For columns of these types.
    pub(super) fn new(fields: &[(DataType, SortOptions)]) -> Result<Self> {
        if let [(data_type, options)] = fields
            && words::knows(data_type)
        {
            return Ok(Encoder::Words(*options));
        }
        let fields = fields
            .iter()
            .map(|(data_type, options)| SortField::new_with_options(data_type.clone(), *options));
        Ok(Encoder::Rows(RowConverter::new(fields.collect())?))
    }

    pub(super) fn keys(&self, columns: &[ArrayRef]) -> Result<BatchKeys> {
        match (self, columns) {
            (Encoder::Rows(converter), _) => Ok(BatchKeys::Rows(converter.convert_columns(columns)?)),
            (Encoder::Words(options), [column]) => match Words::of(column, *options) {
                Some(words) => Ok(BatchKeys::Words(words)),
                None => internal_err!("a key of type {} is no word", column.data_type()),
            },
            _ => internal_err!("one key, {} columns", columns.len()),
        }
    }
}

/// The keys of a batch; those of all batches of a sort are of one kind.
#[derive(Debug)]
pub(super) enum BatchKeys {
    Rows(Rows),
    Words(Words),
}

impl BatchKeys {
    pub(super) fn len(&self) -> usize {
        match self {
            BatchKeys::Rows(rows) => rows.num_rows(),
            BatchKeys::Words(words) => words.len(),
        }
    }

    pub(super) fn size(&self) -> usize {
        match self {
            BatchKeys::Rows(rows) => rows.size(),
            BatchKeys::Words(words) => words.size(),
        }
    }
}

/// What the keys of some rows have in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Common {
    /// The first key, as far as all others begin with it.
    start: Option<Vec<u8>>,
    /// The length of the longest key; of words 8, or 9 if there are nulls.
    longest: usize,
}

impl Common {
    /// Looks at more keys.
    pub(super) fn look(&mut self, keys: &BatchKeys) {
        match keys {
            BatchKeys::Rows(rows) => rows.iter().for_each(|row| self.shorten(row.data())),
            BatchKeys::Words(words) => self.longest = self.longest.max(8 + usize::from(words.has_nulls())),
        }
    }

    fn shorten(&mut self, key: &[u8]) {
        self.longest = self.longest.max(key.len());
        match &mut self.start {
            None => self.start = Some(key.to_vec()),
            Some(start) if key.starts_with(start) => {}
            Some(start) => {
                let same = start.iter().zip(key).take_while(|(a, b)| a == b).count();
                start.truncate(same);
            }
        }
    }

    pub(super) fn and(mut self, other: Common) -> Common {
        if let Some(start) = &other.start {
            self.shorten(start);
        }
        self.longest = self.longest.max(other.longest);
        self
    }

    /// How many bytes to leave out, and how many there are then at most.
    pub(super) fn lengths(&self) -> (usize, usize) {
        let skip = self.start.as_ref().map_or(0, Vec::len);
        (skip, self.longest.saturating_sub(skip))
    }
}

/// The beginning of a key, in words.
///
/// No key is the beginning of another one, so zeros behind a short one do not change the order.
pub(super) trait Prefix: Copy + Ord + Send + Sync + 'static {
    const BYTES: usize;

    fn of(key: &[u8]) -> Self;

    /// Of a key that is a word, with where its null stands.
    fn of_word(key: (u64, u64)) -> Self;

    /// The first word.
    fn word(self) -> u64;
}

fn word(key: &[u8]) -> u64 {
    match key.first_chunk::<8>() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => {
            let mut bytes = [0; 8];
            bytes[..key.len()].copy_from_slice(key);
            u64::from_be_bytes(bytes)
        }
    }
}

/// Keys of up to eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Short(u64);

impl Prefix for Short {
    const BYTES: usize = 8;

    fn of(key: &[u8]) -> Self {
        Short(word(key))
    }

    fn of_word((_, word): (u64, u64)) -> Self {
        Short(word)
    }

    fn word(self) -> u64 {
        self.0
    }
}

/// The first sixteen bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Long(u64, u64);

impl Prefix for Long {
    const BYTES: usize = 16;

    fn of(key: &[u8]) -> Self {
        Long(word(key), key.get(8..).map_or(0, word))
    }

    fn of_word((null, word): (u64, u64)) -> Self {
        Long(null, word)
    }

    fn word(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_keys_begin_with_is_left_out() {
        let check = |keys: &[&str], wanted: (usize, usize)| {
            let mut common = Common::default();
            keys.iter().for_each(|key| common.shorten(key.as_bytes()));
            assert_eq!(common.lengths(), wanted, "{keys:?}");
            // one by one, put together
            let parts = keys.iter().map(|key| {
                let mut part = Common::default();
                part.shorten(key.as_bytes());
                part
            });
            assert_eq!(parts.fold(Common::default(), Common::and).lengths(), wanted, "{keys:?}");
        };
        check(&[], (0, 0));
        check(&["abc"], (3, 0));
        check(&["abc", "abd", "abcd"], (2, 2));
        check(&["abc", "xyz"], (0, 3));
        check(&["same", "same"], (4, 0));
    }
}
