//! Which rows of a file belong to a range of its bytes.
//!
//! DataFusion deals a file to workers by ranges of bytes, and a row group is his in whose range it begins: of three row groups
//! one worker has two. Here a large row group is dealt by rows: the place of a byte within it says how many of its
//! rows lie before. Ranges that cover the file once so cover its rows once, without a word between the workers.

use datafusion::datasource::listing::FileRange;
use datafusion::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use std::ops::Range;

/// Rows of a row group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) group: usize,
    pub(super) rows: Range<usize>,
}

/// The rows of each row group that lie in the range, all of them without one; row groups without any are left out, and those of
/// at most `together` rows are not cut. None if the row groups do not follow one another in the file: the places of bytes say nothing then.
pub(super) fn parts(
    metadata: &ParquetMetaData,
    range: Option<&FileRange>,
    file_bytes: u64,
    together: usize,
) -> Option<Vec<Part>> {
    let groups = metadata.row_groups();
    let rows: Vec<usize> =
        groups.iter().map(|group| usize::try_from(group.num_rows()).unwrap_or_default()).collect();
    let starts: Vec<u64> = groups.iter().map(start).collect();
    let ascend = starts.windows(2).all(|pair| pair[0] < pair[1]);
    let spans = (0..rows.len()).map(|at| {
        let end = starts.get(at + 1).copied().unwrap_or(file_bytes);
        (starts[at]..end.max(starts[at] + 1), rows[at])
    });
    cut(spans, range, together, ascend)
}

fn cut(
    groups: impl Iterator<Item = (Range<u64>, usize)>,
    range: Option<&FileRange>,
    together: usize,
    ascend: bool,
) -> Option<Vec<Part>> {
    if range.is_some() && !ascend {
        return None;
    }
    let parts = groups.enumerate().map(|(group, (bytes, rows))| {
        let before = |at: i64| {
            let at = u64::try_from(at).unwrap_or_default();
            match at {
                _ if at <= bytes.start => 0,
                _ if at >= bytes.end || rows <= together => rows,
                _ => {
                    let share = u128::from(at - bytes.start) * rows as u128;
                    usize::try_from(share / u128::from(bytes.end - bytes.start)).unwrap_or(rows)
                }
            }
        };
        let rows = range.map_or(0..rows, |range| before(range.start)..before(range.end));
        Part { group, rows }
    });
    Some(parts.filter(|part| !part.rows.is_empty()).collect())
}

/// Where a row group begins: in a file of some writers that is not what the footer says.
pub(super) fn start(group: &RowGroupMetaData) -> u64 {
    let column = group.column(0);
    let at = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    u64::try_from(at).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOGETHER: usize = 1 << 17;

    proptest! {
        #[test]
        fn ranges_that_cover_a_file_cover_its_rows(
            groups in prop::collection::vec((1_u64..1000, prop_oneof![0..3 * TOGETHER, 0..5_usize]), 0..6),
            cuts in prop::collection::vec(0_i64..4000, 0..8),
        ) {
            let mut end = 4;
            let spans: Vec<(Range<u64>, usize)> = groups
                .iter()
                .map(|(bytes, rows)| {
                    end += bytes;
                    (end - bytes..end, *rows)
                })
                .collect();
            let size = i64::try_from(end).unwrap() + 8;
            let mut cuts: Vec<i64> = cuts.into_iter().map(|cut| cut.min(size)).collect();
            cuts.extend([0, size]);
            cuts.sort_unstable();
            let mut next = vec![0; spans.len()];
            for pair in cuts.windows(2) {
                let range = FileRange { start: pair[0], end: pair[1] };
                for Part { group, rows } in cut(spans.iter().cloned(), Some(&range), TOGETHER, true).unwrap() {
                    prop_assert_eq!(rows.start, next[group]);
                    prop_assert!(rows.len() == spans[group].1 || spans[group].1 > TOGETHER);
                    next[group] = rows.end;
                }
            }
            prop_assert_eq!(next, spans.iter().map(|(_, rows)| *rows).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_large_group_is_dealt_by_rows() {
        let groups = [(4..104, 1_000_000), (104..204, 1_000_000), (204..304, 1_000_000)];
        let check = |start, end, expect: &[(usize, Range<usize>)]| {
            let found = cut(groups.iter().cloned(), Some(&FileRange { start, end }), TOGETHER, true).unwrap();
            let found: Vec<_> = found.into_iter().map(|part| (part.group, part.rows)).collect();
            assert_eq!(found, expect, "{start}..{end}");
        };
        check(0, 154, &[(0, 0..1_000_000), (1, 0..500_000)]);
        check(154, 312, &[(1, 500_000..1_000_000), (2, 0..1_000_000)]);
        check(4, 4, &[]);
        check(210, 220, &[(2, 60_000..160_000)]);
        assert_eq!(cut(groups.iter().cloned(), None, TOGETHER, false).unwrap().len(), 3);
        assert_eq!(cut(groups.iter().cloned(), Some(&FileRange { start: 0, end: 9 }), TOGETHER, false), None);
    }
}
