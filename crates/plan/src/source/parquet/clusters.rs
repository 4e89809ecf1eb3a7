//! Row groups in the order of a column of whole numbers.
//!
//! Tables that grow have their newest rows last: orders by number, events by day. The footers of their files say between
//! which numbers the rows of each row group lie. Row groups that share no number with those before are a cluster:
//!
//! ```text
//!   row groups    1..40   40..77 │ 78..120 │ 121..160   150..199 │ 200..
//!   clusters            1        │    2    │          3          │   4        cuts: 78, 121, 200
//! ```
//!
//! Each worker gets clusters that follow one another, and reads them in that order: who has read a number from a cut on has read
//! all rows below it that it will ever read, and no other worker has such rows. Row groups that filters leave out are nobody's.

use super::FilteredParquet;
use super::open::Prune;
use super::parts::start;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::datasource::listing::{FileRange, PartitionedFile};
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccessPlanFilter};
use datafusion::datasource::physical_plan::{FileGroup, FileSource, ParquetFileMetrics};
use datafusion::datasource::source::{DataSource, DataSourceExec};
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::parquet_to_arrow_schema;
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, RowGroupMetaData};
use datafusion::parquet::file::statistics::Statistics;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Files whose footers are looked at, at most.
const FILES: usize = 1000;
/// Clusters of a worker, at least: fewer would save little.
const CLUSTERS: usize = 4;

/// A scan by clusters, and the cuts between those of each partition.
pub(crate) struct Clustered {
    pub(crate) scan: DataSourceExec,
    pub(crate) cuts: Vec<Vec<i64>>,
}

#[derive(Clone, Debug, PartialEq)]
struct RowGroup {
    file: usize,
    at: usize,
    bytes: (u64, u64),
    rows: usize,
    least: i64,
    most: i64,
}

impl FilteredParquet {
    /// The scan by clusters of its output column at `place`. None if there are too few of them, not said to be `few`, if they
    /// are too uneven, or if the footers do not say enough or are not at hand.
    pub(crate) fn in_clusters(scan: &DataSourceExec, place: usize, few: bool) -> Option<Clustered> {
        let (config, source) = Self::in_scan(scan)?;
        let (running, predicate) = source.handed_down();
        // What those leave is not known yet, and may be one worker's.
        let is_asked = !running.is_empty() || !source.keys.is_empty();
        if is_asked || config.output_partitioning.is_some() || config.limit.is_some() {
            return None;
        }
        let projection = source.parquet.projection()?;
        let column = projection.as_ref().get(place)?.expr.downcast_ref::<Column>()?;
        let schema = source.parquet.table_schema().file_schema();
        let field = schema.fields().get(column.index()).filter(|field| field.name() == column.name())?;
        let readers = source.parquet.parquet_file_reader_factory()?;
        let mut files: BTreeMap<String, (PartitionedFile, u64)> = BTreeMap::new();
        for file in config.file_groups.iter().flat_map(FileGroup::iter) {
            let whole = PartitionedFile { range: None, ..file.clone() };
            files.entry(file.object_meta.location.to_string()).or_insert((whole, 0)).1 +=
                super::bytes_of(file);
        }
        if files.len() > FILES || files.values().any(|(file, bytes)| *bytes != file.object_meta.size) {
            return None;
        }
        let files: Vec<PartitionedFile> = files.into_values().map(|(file, _)| file).collect();
        let mut groups = Vec::new();
        for (number, file) in files.iter().enumerate() {
            let metrics = source.parquet.metrics();
            let mut reader = readers.create_reader(0, file.clone(), file.metadata_size_hint, metrics).ok()?;
            let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Skip);
            // At hand where it was looked at for its statistics; nothing waits for it here.
            let metadata = reader.get_metadata(Some(&options)).now_or_never()?.ok()?;
            let metrics = ParquetFileMetrics::new(
                0,
                file.object_meta.location.as_ref(),
                &ExecutionPlanMetricsSet::new(),
            );
            let max_in_list = source.parquet.max_in_list_size();
            let mut prune = Prune::new(schema, predicate.clone(), max_in_list, &metadata, metrics).ok()?;
            let all = ParquetAccessPlan::new_all(metadata.num_row_groups());
            let mut left = RowGroupAccessPlanFilter::new(all);
            prune.apply(&metadata, &mut left).ok()?;
            let left: Vec<usize> = left.row_group_indexes().collect();
            let found = row_groups(&metadata, field, number, file.object_meta.size)?;
            groups.extend(found.into_iter().filter(|group| left.contains(&group.at)));
        }
        let (order, cuts) = clusters(groups, config.file_groups.len(), few)?;
        let part = |groups: Vec<RowGroup>| {
            let mut parts: Vec<(RowGroup, PartitionedFile)> = Vec::new();
            for group in groups {
                match parts.last_mut() {
                    Some((last, part)) if (last.file, last.at + 1) == (group.file, group.at) => {
                        part.range = Some(FileRange {
                            start: part.range.as_ref().map_or(0, |range| range.start),
                            end: group.bytes.1 as i64,
                        });
                        *last = group;
                    }
                    _ => {
                        let (start, end) = (group.bytes.0 as i64, group.bytes.1 as i64);
                        let range = Some(FileRange { start, end });
                        parts.push((group.clone(), PartitionedFile { range, ..files[group.file].clone() }));
                    }
                }
            }
            FileGroup::new(parts.into_iter().map(|(_, part)| part).collect())
        };
        let mut config = config.clone();
        config.file_groups = order.into_iter().map(part).collect();
        // Nobody takes what is another's.
        config.preserve_order = true;
        Some(Clustered { scan: DataSourceExec::new(Arc::new(config) as Arc<dyn DataSource>), cuts })
    }
}

/// The row groups of a file with rows; none if one of them does not say between which numbers its rows lie.
fn row_groups(metadata: &ParquetMetaData, field: &Field, file: usize, size: u64) -> Option<Vec<RowGroup>> {
    let schema = metadata.file_metadata().schema_descr();
    let found = parquet_to_arrow_schema(schema, metadata.file_metadata().key_value_metadata()).ok()?;
    if found.field_with_name(field.name()).ok()?.data_type() != field.data_type() {
        return None;
    }
    let is_it = |leaf: &usize| matches!(schema.column(*leaf).path().parts(), [name] if name == field.name());
    let leaf = (0..schema.num_columns()).find(is_it)?;
    let groups = metadata.row_groups();
    let starts: Vec<u64> = groups.iter().map(start).collect();
    if !starts.windows(2).all(|pair| pair[0] < pair[1]) {
        return None;
    }
    let group = |(at, group): (usize, &RowGroupMetaData)| {
        let (least, most) = bounds(group.column(leaf).statistics()?, field.data_type())?;
        let bytes = (starts[at], starts.get(at + 1).copied().unwrap_or(size));
        Some(RowGroup { file, at, bytes, rows: usize::try_from(group.num_rows()).ok()?, least, most })
    };
    groups.iter().enumerate().filter(|(_, group)| group.num_rows() > 0).map(group).collect()
}

fn bounds(statistics: &Statistics, kind: &DataType) -> Option<(i64, i64)> {
    use DataType::{Date32, Int8, Int16, Int32, Int64};
    let exact = statistics.min_is_exact() && statistics.max_is_exact();
    if !exact || statistics.null_count_opt() != Some(0) {
        return None;
    }
    match (statistics, kind) {
        (Statistics::Int32(values), Int8 | Int16 | Int32 | Date32) => {
            Some((i64::from(*values.min_opt()?), i64::from(*values.max_opt()?)))
        }
        (Statistics::Int64(values), Int64) => Some((*values.min_opt()?, *values.max_opt()?)),
        _ => None,
    }
}

/// The row groups of each worker in order, and the cuts between its clusters.
type Dealt = (Vec<Vec<RowGroup>>, Vec<Vec<i64>>);

/// Deals row groups to workers; none if it does not pay.
fn clusters(mut groups: Vec<RowGroup>, workers: usize, few: bool) -> Option<Dealt> {
    groups.sort_by_key(|group| (group.least, group.most, group.file, group.at));
    let mut clusters: Vec<Vec<RowGroup>> = Vec::new();
    let mut most = None;
    for group in groups {
        let apart = most.is_none_or(|most| group.least > most);
        most = most.max(Some(group.most));
        match clusters.last_mut() {
            Some(cluster) if !apart => cluster.push(group),
            _ => clusters.push(vec![group]),
        }
    }
    let rows = |cluster: &[RowGroup]| cluster.iter().map(|group| group.rows).sum::<usize>();
    let all: usize = clusters.iter().map(|cluster| rows(cluster)).sum();
    if !few && clusters.len() < CLUSTERS * workers {
        return None;
    }
    let (mut order, mut cuts) = (vec![Vec::new(); workers], vec![Vec::new(); workers]);
    let mut before = 0;
    for mut cluster in clusters {
        let own = rows(&cluster);
        // It goes to whom its middle belongs.
        let worker = ((before + own / 2) * workers / all.max(1)).min(workers - 1);
        before += own;
        if !order[worker].is_empty() {
            cuts[worker].push(cluster[0].least);
        }
        // Rows of one file as they follow one another.
        cluster.sort_by_key(|group| (group.file, group.at));
        order[worker].extend(cluster);
    }
    let even = order.iter().all(|groups| rows(groups) * workers * 4 <= all * 5);
    (few || even).then_some((order, cuts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(file: usize, at: usize, least: i64, most: i64) -> RowGroup {
        RowGroup { file, at, bytes: (0, 0), rows: 10, least, most }
    }

    #[test]
    fn row_groups_that_share_no_number_are_apart() {
        let groups = vec![
            group(1, 0, 30, 39),
            group(0, 0, 0, 9),
            group(0, 1, 9, 15),
            group(1, 1, 20, 29),
            group(0, 2, 16, 16),
            group(2, 0, 35, 50),
        ];
        let (order, cuts) = clusters(groups, 2, true).unwrap();
        let places =
            |groups: &[RowGroup]| groups.iter().map(|group| (group.file, group.at)).collect::<Vec<_>>();
        assert_eq!(places(&order[0]), [(0, 0), (0, 1), (0, 2)]);
        assert_eq!(places(&order[1]), [(1, 1), (1, 0), (2, 0)]);
        assert_eq!(cuts, [vec![16], vec![30]]);
    }

    #[test]
    fn clusters_that_are_not_worth_it() {
        let apart =
            |count: i64| (0..count).map(|at| group(0, at as usize, at * 10, at * 10 + 9)).collect::<Vec<_>>();
        assert!(clusters(apart(8), 2, false).is_some());
        assert!(clusters(apart(7), 2, false).is_none());
        // One of them has most of the rows.
        let mut uneven = apart(20);
        uneven[3].rows = 1000;
        assert!(clusters(uneven.clone(), 2, false).is_none());
        assert!(clusters(uneven, 2, true).is_some());
        assert_eq!(clusters(Vec::new(), 2, true).unwrap().1, vec![Vec::<i64>::new(); 2]);
    }
}
