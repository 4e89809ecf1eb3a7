//! Known divisions: a stored table whose partitions are sorted and follow one another in the order of its keys.
//!
//! They are found by looking at the rows (never believed), once, and serve the planner in four ways: a scan
//! says how it is sorted, so sorts above it vanish and joins by sorting do not sort; it says where its
//! partitions begin ([`Partitioning::Range`]), so groups and joins over the keys of equally divided tables
//! need no shuffle; it knows the smallest and largest keys of each partition, so a filter on them passes
//! whole partitions over; and those figures are exact statistics.
//!
//! A partition holds the keys from its split point (included) up to the next one (excluded). The first has no
//! split point. Partitions may be empty.

use datafusion::arrow::array::{ArrayRef, RecordBatch, UInt64Array, new_null_array};
use datafusion::arrow::compute::{SortColumn, SortOptions, lexsort_to_indices, take};
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, ScalarValue, SplitPoint};
use datafusion::error::Result as PlanResult;
use datafusion::physical_expr::expressions;
use datafusion::physical_expr::{
    EquivalenceProperties, LexOrdering, Partitioning, PhysicalSortExpr, RangePartitioning,
};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use trefoil_core::{Error, ErrorKind, Partition, Result};

use crate::error::plan_error;

/// A key of a divided table: the name of a column and how it is sorted.
pub type DivisionKey = (String, SortOptions);

/// How the partitions of a stored table follow one another.
#[derive(Clone, Debug)]
pub struct Divisions {
    /// The places of the keys among the columns.
    keys: Vec<(usize, SortOptions)>,
    names: Vec<String>,
    /// Where each partition but the first begins.
    splits: Vec<Vec<ScalarValue>>,
    /// Whether no key lies on both sides of a split.
    separate: bool,
    bounds: Vec<Bounds>,
}

/// What is known of the keys of a partition.
#[derive(Clone, Debug)]
struct Bounds {
    rows: usize,
    /// Of each key: nulls, the smallest and the largest value (null if there is none).
    keys: Vec<(usize, ScalarValue, ScalarValue)>,
}

impl Divisions {
    /// Looks at the rows of partitions that are sorted by `keys`; empty ones are left out.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownColumn`], [`ErrorKind::InvalidArgument`] for rows in another order or no keys, and
    /// what reading a partition back from disk can raise.
    pub fn find(
        operation: &'static str,
        schema: &SchemaRef,
        partitions: Vec<Partition>,
        keys: &[DivisionKey],
    ) -> Result<(Vec<Partition>, Divisions)> {
        let looked = Look::new(operation, schema, keys)?;
        let mut kept = Vec::new();
        let (mut splits, mut bounds) = (Vec::new(), Vec::new());
        let mut separate = true;
        let mut last: Option<OwnedRow> = None;
        let mut empty = Vec::new();
        for partition in partitions {
            let Some(seen) = looked.at(&partition)? else {
                empty.push(partition);
                continue;
            };
            if let Some(last) = &last {
                if seen.first_row.row() < last.row() {
                    return Err(looked.unsorted());
                }
                separate &= seen.first_row.row() > last.row();
                splits.push(seen.first);
            }
            last = Some(seen.last_row);
            bounds.push(seen.bounds);
            kept.push(partition);
        }
        if kept.is_empty() {
            // a table has at least one partition
            kept.extend(empty.into_iter().next());
            bounds.extend(kept.iter().map(|_| looked.nothing()));
        }
        let Look { keys, names, .. } = looked;
        Ok((kept, Divisions { keys, names, splits, separate, bounds }))
    }

    /// Looks at partitions that were cut at these split points; any of them may be empty.
    ///
    /// # Errors
    /// As [`find`](Divisions::find), and rows on the wrong side of a split point.
    pub fn at(
        operation: &'static str,
        schema: &SchemaRef,
        partitions: &[Partition],
        keys: &[DivisionKey],
        splits: Vec<Vec<ScalarValue>>,
    ) -> Result<Divisions> {
        let looked = Look::new(operation, schema, keys)?;
        let wrong = || {
            Error::new(
                ErrorKind::InvalidArgument,
                operation,
                "the rows are not divided at these split points",
            )
        };
        if splits.len() + 1 != partitions.len() || splits.iter().any(|split| split.len() != keys.len()) {
            return Err(wrong());
        }
        let edges = splits.iter().map(|split| looked.row_of(split)).collect::<Result<Vec<_>>>()?;
        if edges.windows(2).any(|pair| matches!(pair, [a, b] if a.row() >= b.row())) {
            return Err(Error::new(ErrorKind::InvalidArgument, operation, "the split points do not rise"));
        }
        let mut bounds = Vec::new();
        for (at, partition) in partitions.iter().enumerate() {
            let Some(seen) = looked.at(partition)? else {
                bounds.push(looked.nothing());
                continue;
            };
            let low = at.checked_sub(1).and_then(|at| edges.get(at));
            if low.is_some_and(|edge| seen.first_row.row() < edge.row())
                || edges.get(at).is_some_and(|edge| seen.last_row.row() >= edge.row())
            {
                return Err(wrong());
            }
            bounds.push(seen.bounds);
        }
        let Look { keys, names, .. } = looked;
        Ok(Divisions { keys, names, splits, separate: true, bounds })
    }

    /// The keys, from the first to the last.
    pub fn keys(&self) -> Vec<DivisionKey> {
        self.names.iter().cloned().zip(self.keys.iter().map(|(_, options)| *options)).collect()
    }

    /// Where each partition but the first begins, a value per key.
    pub fn splits(&self) -> &[Vec<ScalarValue>] {
        &self.splits
    }

    /// The smallest and largest value of a key in each partition, `None` where it has none; nothing if it is
    /// no key.
    pub fn bounds(&self, column: &str) -> Option<Vec<Option<(ScalarValue, ScalarValue)>>> {
        let at = self.names.iter().position(|name| name == column)?;
        let of = |bounds: &Bounds| {
            let (_, low, high) = bounds.keys.get(at)?;
            (!low.is_null()).then(|| (low.clone(), high.clone()))
        };
        Some(self.bounds.iter().map(of).collect())
    }

    pub(super) fn is_key(&self, name: &str) -> bool {
        self.names.iter().any(|key| key == name)
    }

    /// The divisions of some of the partitions, in their order.
    pub(super) fn only(&self, kept: &[usize]) -> Divisions {
        let bounds = kept.iter().filter_map(|at| self.bounds.get(*at).cloned()).collect();
        let splits = kept.iter().skip(1).filter_map(|at| self.splits.get(at.checked_sub(1)?).cloned());
        Divisions { splits: splits.collect(), bounds, ..self.clone() }
    }

    /// Neighbours in at most `count` groups of as many partitions: the same for all tables divided alike.
    pub(super) fn groups(&self, count: usize) -> Arc<[Range<usize>]> {
        let all = self.bounds.len();
        let count = count.clamp(1, all.max(1));
        (0..count).map(|i| all * i / count..all * (i + 1) / count).collect()
    }

    /// The keys that a projection keeps, up to the first it does not, as physical columns.
    fn ordering(&self, projected: &Schema) -> Vec<PhysicalSortExpr> {
        let keys = self.names.iter().zip(&self.keys).map_while(|(name, (_, options))| {
            let column = expressions::col(name, projected).ok()?;
            Some(PhysicalSortExpr::new(column, *options))
        });
        keys.collect()
    }

    pub(super) fn eq_properties(&self, projected: &SchemaRef) -> EquivalenceProperties {
        match self.ordering(projected) {
            none if none.is_empty() => EquivalenceProperties::new(Arc::clone(projected)),
            keys => EquivalenceProperties::new_with_orderings(Arc::clone(projected), [keys]),
        }
    }

    /// How groups of partitions divide the rows, if the groups can tell.
    pub(super) fn partitioning(&self, projected: &Schema, groups: &[Range<usize>]) -> Option<Partitioning> {
        let keys = self.ordering(projected);
        if !self.separate || groups.len() < 2 || keys.len() != self.keys.len() {
            return None;
        }
        let split = |group: &Range<usize>| {
            let values = self.splits.get(group.start.checked_sub(1)?)?.clone();
            Some(SplitPoint::new(values))
        };
        let splits = groups.iter().skip(1).map(split).collect::<Option<Vec<_>>>()?;
        let range = RangePartitioning::try_new(LexOrdering::new(keys)?, splits).ok()?;
        Some(Partitioning::Range(range))
    }

    /// What is known of the keys among the columns of a projection, over some partitions.
    pub(super) fn statistics(&self, projected: &Schema, of: Range<usize>, columns: &mut [ColumnStatistics]) {
        let bounds = self.bounds.get(of).unwrap_or_default();
        for (at, name) in self.names.iter().enumerate() {
            let Some(column) = projected.index_of(name).ok().and_then(|place| columns.get_mut(place)) else {
                continue;
            };
            let keys = || bounds.iter().filter_map(|b| b.keys.get(at));
            let nulls = keys().map(|(nulls, ..)| *nulls).sum();
            let smallest = keys().map(|(_, low, _)| low).filter(|v| !v.is_null());
            let largest = keys().map(|(_, _, high)| high).filter(|v| !v.is_null());
            column.null_count = Precision::Exact(nulls);
            let smallest = smallest.min_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
            let largest = largest.max_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
            if let (Some(low), Some(high)) = (smallest, largest) {
                column.min_value = Precision::Exact(low.clone());
                column.max_value = Precision::Exact(high.clone());
            }
        }
    }

    fn column_of(
        &self,
        column: &Column,
        pick: impl Fn(&(usize, ScalarValue, ScalarValue)) -> ScalarValue,
    ) -> Option<ArrayRef> {
        let at = self.names.iter().position(|name| *name == column.name)?;
        let values = self.bounds.iter().map(|bounds| bounds.keys.get(at).map(&pick));
        ScalarValue::iter_to_array(values.collect::<Option<Vec<_>>>()?).ok()
    }
}

impl PruningStatistics for Divisions {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.column_of(column, |(_, low, _)| low.clone())
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.column_of(column, |(_, _, high)| high.clone())
    }

    fn num_containers(&self) -> usize {
        self.bounds.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        self.column_of(column, |(nulls, ..)| ScalarValue::UInt64(Some(*nulls as u64)))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from_iter_values(self.bounds.iter().map(|bounds| bounds.rows as u64))))
    }

    fn contained(
        &self,
        _column: &Column,
        _values: &HashSet<ScalarValue>,
    ) -> Option<datafusion::arrow::array::BooleanArray> {
        None
    }
}

/// How partitions are looked at.
struct Look {
    operation: &'static str,
    keys: Vec<(usize, SortOptions)>,
    names: Vec<String>,
    types: Vec<DataType>,
    converter: RowConverter,
}

/// What was seen of a partition with rows.
struct Seen {
    first_row: OwnedRow,
    last_row: OwnedRow,
    first: Vec<ScalarValue>,
    bounds: Bounds,
}

impl Look {
    fn new(operation: &'static str, schema: &SchemaRef, keys: &[DivisionKey]) -> Result<Look> {
        if keys.is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, operation, "there is no key to divide by"));
        }
        let mut places = Vec::new();
        let mut types = Vec::new();
        for (name, options) in keys {
            let Ok(place) = schema.index_of(name) else {
                let known = schema.fields().iter().map(|field| field.name().clone());
                return Err(Error::unknown_column(operation, name, known));
            };
            places.push((place, *options));
            types.push(schema.field(place).data_type().clone());
        }
        let fields = types.iter().zip(keys);
        let fields = fields.map(|(of, (_, options))| SortField::new_with_options(of.clone(), *options));
        let converter =
            RowConverter::new(fields.collect()).map_err(|error| plan_error(error.into(), operation))?;
        let names = keys.iter().map(|(name, _)| name.clone()).collect();
        Ok(Look { operation, keys: places, names, types, converter })
    }

    fn unsorted(&self) -> Error {
        let keys = self.names.join("`, `");
        Error::new(ErrorKind::InvalidArgument, self.operation, format!("the rows are not sorted by `{keys}`"))
            .with_help("sort them first, nulls last")
    }

    fn nothing(&self) -> Bounds {
        let null = |of: &DataType| ScalarValue::try_from(of).unwrap_or(ScalarValue::Null);
        Bounds { rows: 0, keys: self.types.iter().map(|of| (0, null(of), null(of))).collect() }
    }

    fn row_of(&self, values: &[ScalarValue]) -> Result<OwnedRow> {
        let fail = |error| plan_error(error, self.operation);
        let cast = |(value, to): (&ScalarValue, &DataType)| value.cast_to(to)?.to_array();
        let columns =
            values.iter().zip(&self.types).map(cast).collect::<PlanResult<Vec<_>>>().map_err(fail)?;
        let rows = self.converter.convert_columns(&columns).map_err(|error| fail(error.into()))?;
        Ok(rows.row(0).owned())
    }

    fn columns(&self, batch: &RecordBatch) -> Vec<ArrayRef> {
        self.keys.iter().map(|(place, _)| Arc::clone(batch.column(*place))).collect()
    }

    /// Checks the order within a partition; `None` if it has no rows.
    fn at(&self, partition: &Partition) -> Result<Option<Seen>> {
        let fail = |error| plan_error(error, self.operation);
        let mut found: Option<Seen> = None;
        for batch in partition.batches()?.iter().filter(|batch| batch.num_rows() > 0) {
            let columns = self.columns(batch);
            let rows = self.converter.convert_columns(&columns).map_err(|error| fail(error.into()))?;
            let count = rows.num_rows();
            let mut before = rows.row(0);
            for at in 1..count {
                let next = rows.row(at);
                if next < before {
                    return Err(self.unsorted());
                }
                before = next;
            }
            let own = self.bounds_of(&columns, count).map_err(fail)?;
            match &mut found {
                None => {
                    let first = columns.iter().map(|column| ScalarValue::try_from_array(column, 0));
                    found = Some(Seen {
                        first_row: rows.row(0).owned(),
                        last_row: rows.row(count - 1).owned(),
                        first: first.collect::<PlanResult<Vec<_>>>().map_err(fail)?,
                        bounds: own,
                    });
                }
                Some(seen) => {
                    if rows.row(0) < seen.last_row.row() {
                        return Err(self.unsorted());
                    }
                    seen.last_row = rows.row(count - 1).owned();
                    seen.bounds.rows += own.rows;
                    for (known, new) in seen.bounds.keys.iter_mut().zip(own.keys) {
                        known.0 += new.0;
                        if known.1.is_null() || (!new.1.is_null() && new.1 < known.1) {
                            known.1 = new.1;
                        }
                        if known.2.is_null() || (!new.2.is_null() && new.2 > known.2) {
                            known.2 = new.2;
                        }
                    }
                }
            }
        }
        Ok(found)
    }

    fn bounds_of(&self, columns: &[ArrayRef], rows: usize) -> PlanResult<Bounds> {
        let end = |column: &ArrayRef, descending: bool| {
            let options = Some(SortOptions { descending, nulls_first: false });
            let values = SortColumn { values: Arc::clone(column), options };
            let at = lexsort_to_indices(&[values], Some(1))?;
            ScalarValue::try_from_array(&take(column, &at, None)?, 0)
        };
        let keys = columns.iter().zip(&self.keys).enumerate().map(|(at, (column, (_, options)))| {
            let nulls = column.null_count();
            // the first key is sorted already
            if at == 0 && nulls == 0 {
                let (first, last) = if options.descending { (rows - 1, 0) } else { (0, rows - 1) };
                let value = |at| ScalarValue::try_from_array(column, at);
                return Ok((0, value(first)?, value(last)?));
            }
            if nulls == rows {
                let null = ScalarValue::try_from_array(&new_null_array(column.data_type(), 1), 0)?;
                return Ok((nulls, null.clone(), null));
            }
            Ok((nulls, end(column, false)?, end(column, true)?))
        });
        Ok(Bounds { rows, keys: keys.collect::<PlanResult<_>>()? })
    }
}
