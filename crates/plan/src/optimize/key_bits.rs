//! Which keys a join has hashed, a bit each.
//!
//! A join tells the scan of its other side which rows can match: the scan asks the join's hash table, which for many keys is
//! far from the processor, and which for keys of several columns is asked by the hash of all of them. Here the rows that go
//! into such a join are looked at on their way: for each column of whole numbers that lie close together, a bit says
//! whether a number is there. Two million keys are 250 kB of bits. The scan asks those first, column by
//! column, and the hash table for the rows that are left.
//!
//! ```text
//!   rows ─ KeyBitsExec ─ HashJoinExec                 bits begin empty: all rows pass; when the rows have ended they are
//!               │            └─ scan, running filters  told to the scan, before the join asks for its first row
//!               └──── bits ───────┘
//! ```
//!
//! Bits are charged to the budget; where it has no room, keys are too far apart, or most of them are there, nothing is told.

use super::OptimizeOptions;
use super::estimate::{estimate, of_expr};
use super::replace::{only, replaced};
use crate::source::FilteredParquet;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray, RecordBatch};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema, UInt8Type,
    UInt16Type, UInt32Type,
};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{NullEquality, Result, internal_err};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{DynamicFilterPhysicalExpr, lit};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{StreamExt, stream};
use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;
type Expr = Arc<dyn PhysicalExpr>;

/// The greatest distance of two keys: 16 MiB of bits.
const SPAN: i64 = 1 << 27;
/// Numbers between the least and the greatest key from which an array of places is far from the processor: a megabyte.
const NEAR: f64 = 262_144.0;
/// Bits for each key, at most, beyond those that are always granted: 8 KiB.
const SPARSE: usize = 1024;
const FREE: usize = 1 << 16;

#[derive(Debug)]
pub(crate) struct KeyBits;

impl PhysicalOptimizerRule for KeyBits {
    fn optimize(&self, plan: Plan, config: &ConfigOptions) -> Result<Plan> {
        let options = OptimizeOptions::of(config);
        if !(options.key_bits && options.row_filters && options.filtered_scans) {
            return Ok(plan);
        }
        let mut joins = HashMap::new();
        find(&plan, &mut joins);
        if joins.is_empty() {
            return Ok(plan);
        }
        let plan = replaced(&plan, &|node| asked(node, &joins))?.unwrap_or(plan);
        Ok(replaced(&plan, &|node| told(node, &joins))?.unwrap_or(plan))
    }

    fn name(&self) -> &str {
        "key_bits"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The filters by bits that a join may have, by the identity of the filter that it has anyway.
type Joins = HashMap<u64, Vec<Option<Filter>>>;

struct Filter {
    bits: Arc<DynamicFilterPhysicalExpr>,
    /// Whether a scan asks it.
    asked: Cell<bool>,
}

fn find(plan: &Plan, joins: &mut Joins) {
    if let Some((join, id)) =
        plan.downcast_ref::<HashJoinExec>().and_then(|join| Some((join, filter_of(join)?)))
        && is_far(join)
    {
        let (left, right) = (join.left().schema(), join.right().schema());
        let filters = join.on().iter().map(|(hashed, asked)| {
            let kinds = (hashed.data_type(&left).ok()?, asked.data_type(&right).ok()?);
            let fits = kinds.0 == kinds.1 && is_whole(&kinds.0);
            let bits = || Arc::new(DynamicFilterPhysicalExpr::new(vec![Arc::clone(asked)], lit(true)));
            fits.then(|| Filter { bits: bits(), asked: Cell::new(false) })
        });
        joins.entry(id).or_insert_with(|| filters.collect());
    }
    plan.children().into_iter().for_each(|child| find(child, joins));
}

/// The identity of the filter that a join hands to scans, if the join hashes its rows in one place and null equals nothing.
fn filter_of(join: &HashJoinExec) -> Option<u64> {
    let plain = join.partition_mode() == &PartitionMode::CollectLeft
        && join.null_equality() == NullEquality::NullEqualsNothing
        && join.left().output_partitioning().partition_count() == 1;
    match join.dynamic_expressions_produced().as_slice() {
        [filter] if plain => filter.expression_id(),
        _ => None,
    }
}

/// Whether bits may be asked faster than what the join has. Several columns are looked up by the hash of all of them. One is
/// looked up in an array if it is close together: a short one is as near as bits are.
fn is_far(join: &HashJoinExec) -> bool {
    let [(hashed, _)] = join.on() else { return true };
    let Some(rows) = estimate(join.left()) else { return false };
    of_expr(hashed, &rows).range.is_some_and(|(least, most)| most - least >= NEAR)
}

fn is_whole(kind: &DataType) -> bool {
    use DataType::{Date32, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32};
    matches!(kind, Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | Date32)
}

/// A scan with the filters by bits of those joins whose filters it has.
fn asked(plan: &Plan, joins: &Joins) -> Result<Option<Plan>> {
    let Some(scan) = plan.downcast_ref::<DataSourceExec>() else { return Ok(None) };
    let Some((_, source)) = FilteredParquet::in_scan(scan) else { return Ok(None) };
    let mut more: Vec<Expr> = Vec::new();
    for filter in source.running_filters() {
        let Some(filters) = filter.expression_id().and_then(|id| joins.get(&id)) else { continue };
        let asked = filter.children();
        if asked.len() != filters.len() {
            continue;
        }
        for (filter, asked) in filters.iter().zip(asked) {
            let Some(filter) = filter else { continue };
            // As the join's own filter found its way here.
            more.push(Arc::clone(&filter.bits).with_new_children(vec![Arc::clone(asked)])?);
            filter.asked.set(true);
        }
    }
    let scan = if more.is_empty() { None } else { FilteredParquet::asking(scan, more) };
    Ok(scan.map(|scan| Arc::new(scan) as Plan))
}

/// A join that tells its bits to the scans that ask.
fn told(plan: &Plan, joins: &Joins) -> Result<Option<Plan>> {
    let Some(join) = plan.downcast_ref::<HashJoinExec>() else { return Ok(None) };
    let Some(filters) = filter_of(join).and_then(|id| joins.get(&id)) else { return Ok(None) };
    let keys = join.on().iter().zip(filters).filter_map(|((hashed, asked), filter)| {
        let filter = filter.as_ref().filter(|filter| filter.asked.get())?;
        Some(Told { hashed: Arc::clone(hashed), asked: Arc::clone(asked), filter: Arc::clone(&filter.bits) })
    });
    let keys: Vec<Told> = keys.collect();
    if keys.is_empty() {
        return Ok(None);
    }
    let left = Arc::new(KeyBitsExec { input: Arc::clone(join.left()), keys });
    let keep = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
    let children: Vec<Plan> = vec![left, Arc::clone(join.right())];
    Ok(Some(Arc::clone(plan).replace_children(children, keep)?))
}

/// A key, and whom to tell.
#[derive(Clone, Debug)]
struct Told {
    /// Over the rows that are hashed.
    hashed: Expr,
    /// Over the rows of the other side of the join.
    asked: Expr,
    filter: Arc<DynamicFilterPhysicalExpr>,
}

/// Hands its rows on, and tells which keys they had.
#[derive(Debug)]
struct KeyBitsExec {
    input: Plan,
    keys: Vec<Told>,
}

impl DisplayAs for KeyBitsExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.keys.iter().map(|key| key.hashed.to_string()).collect();
        write!(f, "KeyBitsExec: {}", names.join(", "))
    }
}

impl ExecutionPlan for KeyBitsExec {
    fn name(&self) -> &str {
        "KeyBitsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Plan> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Expr) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for key in &self.keys {
            if f(&key.hashed)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Plan>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Plan> {
        let input = only(children, &*self)?;
        Ok(Arc::new(Self { input, keys: self.keys.clone() }))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Plan>) -> Result<Plan> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, index: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(index, Arc::clone(&context))?;
        let mut keys = Vec::new();
        for key in &self.keys {
            // What an earlier run told is not so now.
            key.filter.update(lit(true))?;
            let charge = MemoryConsumer::new("KeyBits").register(context.memory_pool());
            keys.push((key.clone(), Some(Bits::new(charge))));
        }
        let schema = input.schema();
        let batches = stream::try_unfold((input, keys), |(mut input, mut keys)| async move {
            let Some(batch) = input.next().await else {
                for (key, bits) in keys {
                    if let Some(bits) = bits.filter(Bits::says_much) {
                        key.filter
                            .update(Arc::new(HasBit { key: Arc::clone(&key.asked), bits: Arc::new(bits) }))?;
                    }
                }
                return Ok(None);
            };
            let batch = batch?;
            for (key, bits) in &mut keys {
                let values = key.hashed.evaluate(&batch)?.into_array(batch.num_rows())?;
                *bits = bits.take().and_then(|bits| bits.with(&values));
            }
            Ok(Some((batch, (input, keys))))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

/// A bit for each number from `least` on; `least` is a multiple of 64.
#[derive(Debug)]
struct Bits {
    least: i64,
    words: Vec<u64>,
    /// Keys that were seen, some of them perhaps several times.
    keys: usize,
    charge: MemoryReservation,
}

impl Bits {
    fn new(charge: MemoryReservation) -> Self {
        Self { least: 0, words: Vec::new(), keys: 0, charge }
    }

    /// With more keys; none where there is no room for them.
    fn with(mut self, keys: &ArrayRef) -> Option<Self> {
        match keys.data_type() {
            DataType::Int64 => self.add(keys.as_primitive::<Int64Type>(), |key| key),
            DataType::Int32 => self.add(keys.as_primitive::<Int32Type>(), i64::from),
            DataType::Date32 => self.add(keys.as_primitive::<Date32Type>(), i64::from),
            _ => self.add(cast(keys, &DataType::Int64).ok()?.as_primitive::<Int64Type>(), |key| key),
        }
        .then_some(self)
    }

    fn add<T: ArrowPrimitiveType>(
        &mut self,
        keys: &PrimitiveArray<T>,
        number: impl Fn(T::Native) -> i64,
    ) -> bool {
        let mut limits: Option<(i64, i64)> = None;
        for key in keys.iter().flatten() {
            let key = number(key);
            limits = Some(limits.map_or((key, key), |(least, most)| (least.min(key), most.max(key))));
        }
        let Some((least, most)) = limits else { return true };
        self.keys += keys.len() - keys.null_count();
        if !self.reach(least, most) {
            return false;
        }
        for key in keys.iter().flatten() {
            let at = number(key).wrapping_sub(self.least) as usize;
            self.words[at / 64] |= 1 << (at % 64);
        }
        true
    }

    /// Makes room for these numbers and all between them; false where there is none.
    fn reach(&mut self, least: i64, most: i64) -> bool {
        let (mut first, mut last) = (least.div_euclid(64), most.div_euclid(64));
        if !self.words.is_empty() {
            let own = self.least.div_euclid(64);
            let end = own + self.words.len() as i64 - 1;
            if own <= first && last <= end {
                return true;
            }
            (first, last) = (first.min(own), last.max(end));
        }
        let Some(span) = last.checked_sub(first).filter(|span| *span < SPAN / 64) else { return false };
        let (count, own) = (span as usize + 1, self.least.div_euclid(64));
        if count * 64 > FREE.max(self.keys.saturating_mul(SPARSE)) {
            return false;
        }
        if self.charge.try_resize(count * size_of::<u64>()).is_err() {
            return false;
        }
        let mut words = vec![0; count];
        if !self.words.is_empty() {
            let at = (own - first) as usize;
            words[at..at + self.words.len()].copy_from_slice(&self.words);
        }
        (self.least, self.words) = (first * 64, words);
        true
    }

    /// Whether so many numbers are missing that it is worth while to ask.
    fn says_much(&self) -> bool {
        let there: u64 = self.words.iter().map(|word| u64::from(word.count_ones())).sum();
        there * 8 <= self.words.len() as u64 * 64 * 7
    }

    fn has(&self, key: i64) -> bool {
        let at = key.wrapping_sub(self.least) as u64 as usize;
        self.words.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    fn of<T: ArrowPrimitiveType>(&self, keys: &ArrayRef, number: impl Fn(T::Native) -> i64) -> BooleanArray {
        let keys = keys.as_primitive::<T>();
        let values = keys.values();
        let found = BooleanBuffer::collect_bool(keys.len(), |row| self.has(number(values[row])));
        // Null is no key.
        match keys.nulls() {
            Some(nulls) => BooleanArray::new(&found & nulls.inner(), None),
            None => BooleanArray::new(found, None),
        }
    }
}

/// Whether a key is among those that have a bit.
#[derive(Debug)]
struct HasBit {
    key: Expr,
    bits: Arc<Bits>,
}

impl PartialEq for HasBit {
    fn eq(&self, other: &Self) -> bool {
        self.key.eq(&other.key) && Arc::ptr_eq(&self.bits, &other.bits)
    }
}

impl Eq for HasBit {}

impl Hash for HasBit {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl fmt::Display for HasBit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has a bit", self.key)
    }
}

impl PhysicalExpr for HasBit {
    fn data_type(&self, _schema: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _schema: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let keys = self.key.evaluate(batch)?.into_array(batch.num_rows())?;
        let bits = &self.bits;
        let found = match keys.data_type() {
            DataType::Int64 => bits.of::<Int64Type>(&keys, |key| key),
            DataType::Int32 => bits.of::<Int32Type>(&keys, i64::from),
            DataType::Date32 => bits.of::<Date32Type>(&keys, i64::from),
            DataType::Int16 => bits.of::<Int16Type>(&keys, i64::from),
            DataType::Int8 => bits.of::<Int8Type>(&keys, i64::from),
            DataType::UInt8 => bits.of::<UInt8Type>(&keys, i64::from),
            DataType::UInt16 => bits.of::<UInt16Type>(&keys, i64::from),
            DataType::UInt32 => bits.of::<UInt32Type>(&keys, i64::from),
            other => return internal_err!("keys of type {other} have no bits"),
        };
        Ok(ColumnarValue::Array(Arc::new(found)))
    }

    fn children(&self) -> Vec<&Expr> {
        vec![&self.key]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Expr>) -> Result<Expr> {
        match children.pop() {
            Some(key) => Ok(Arc::new(Self { key, bits: Arc::clone(&self.bits) })),
            None => internal_err!("bits are of a key"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::Int64Array;
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool, UnboundedMemoryPool};
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn bits(pool: Arc<dyn MemoryPool>, batches: &[Vec<Option<i64>>]) -> Option<Bits> {
        let bits = Bits::new(MemoryConsumer::new("bits").register(&pool));
        batches
            .iter()
            .try_fold(bits, |bits, batch| bits.with(&(Arc::new(Int64Array::from(batch.clone())) as ArrayRef)))
    }

    fn key() -> impl Strategy<Value = Option<i64>> {
        prop_oneof![
            1 => Just(None),
            4 => (-70_i64..70).prop_map(Some),
            4 => (-5000_i64..5000).prop_map(Some),
            1 => prop_oneof![Just(i64::MIN), Just(i64::MAX), any::<i64>()].prop_map(Some),
        ]
    }

    proptest! {
        #[test]
        fn a_bit_for_each_key(
            batches in proptest::collection::vec(proptest::collection::vec(key(), 0..40), 0..6),
            asked in proptest::collection::vec(key(), 1..80),
        ) {
            let known: HashSet<i64> = batches.iter().flatten().flatten().copied().collect();
            let Some(bits) = bits(Arc::new(UnboundedMemoryPool::default()), &batches) else {
                // Only keys that lie far apart find no room.
                let (least, most) = (known.iter().min().unwrap(), known.iter().max().unwrap());
                prop_assert!(i128::from(*most) - i128::from(*least) > 60_000);
                return Ok(());
            };
            let keys = Arc::new(Int64Array::from(asked.clone())) as ArrayRef;
            let found = bits.of::<Int64Type>(&keys, |key| key);
            for (row, key) in asked.iter().enumerate() {
                prop_assert_eq!(found.value(row), key.is_some_and(|key| known.contains(&key)), "{:?}", key);
            }
        }
    }

    #[test]
    fn where_nothing_is_told() {
        let all = |range: std::ops::Range<i64>| vec![range.map(Some).collect::<Vec<_>>()];
        let unbounded = || Arc::new(UnboundedMemoryPool::default());
        assert!(!bits(unbounded(), &all(0..640)).unwrap().says_much());
        assert!(bits(unbounded(), &[vec![Some(0), Some(1000)]]).unwrap().says_much());
        assert!(bits(unbounded(), &[]).unwrap().says_much());
        assert!(bits(unbounded(), &[vec![Some(0), Some(SPAN)]]).is_none());
        // Memory for the bits is short.
        let pool = Arc::new(GreedyMemoryPool::new(1000));
        assert!(bits(pool.clone(), &[vec![Some(0), Some(6000)]]).is_some());
        assert_eq!(pool.reserved(), 0);
        assert!(bits(pool.clone(), &[vec![Some(0), Some(60_000)]]).is_none());
        assert_eq!(pool.reserved(), 0);
    }
}
