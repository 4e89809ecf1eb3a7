//! Random rows: `sample` and `train_test_split`.
//!
//! A lazy frame is computed anew by everyone who asks, with any number of partitions, its batches in any
//! order. So the draw must depend on nothing but the rows and the seed: a `random()` per row would give
//! `train` and `valid` rows in common, and a row number depends on which thread came first. Here every row
//! gets a 64-bit hash of its values (Arrow's row encoding, mixed with the seed), rows are put in the order
//! of their hashes, and the first so many are drawn. Rows with equal values have equal hashes and may
//! change places, which nobody can see; so the parts are always disjoint, complete and of exact size (as
//! scikit-learn's), and splitting a part again with the same seed is still a fair draw.
//!
//! The price is a sort (in parallel, spillable) and a second pass that counts. What is needed is a frame
//! whose rows come out the same every time; for the result of `random()`, of `head` without a sort or of
//! floating-point sums over several partitions, `persist` it first. Volatile functions are refused.

use super::check::{self, invalid};
use super::expr::{Expr, col, lit};
use crate::Seed;
use datafusion::arrow::array::{Array, ArrayRef, UInt64Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result as PlanResult;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    Cast, ColumnarValue, ExprFunctionExt, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, scalar_subquery,
};
use std::sync::{Arc, LazyLock};
use trefoil_plan::{DataFrame, Result, plan_error};

const HASH: &str = "__trefoil_hash";
const RANK: &str = "__trefoil_rank";

pub(super) fn sample(frame: &DataFrame, fraction: f64, seed: Seed) -> Result<DataFrame> {
    const OP: &str = "sample";
    check_fraction(OP, fraction)?;
    let wanted = datafusion::functions::expr_fn::round(vec![share(fraction)]);
    let ranked = ranked(OP, frame, seed)?;
    let limit = drawn(OP, frame, wanted)?;
    part(OP, frame, &ranked, col(RANK).lt_eq(limit))
}

pub(super) fn sample_n(frame: &DataFrame, n: usize, seed: Seed) -> Result<DataFrame> {
    const OP: &str = "sample_n";
    let ranked = ranked(OP, frame, seed)?;
    part(OP, frame, &ranked, col(RANK).lt_eq(lit(n as u64)))
}

pub(super) fn split(frame: &DataFrame, fraction: f64, seed: Seed) -> Result<(DataFrame, DataFrame)> {
    const OP: &str = "train_test_split";
    check_fraction(OP, fraction)?;
    let wanted = datafusion::functions::expr_fn::ceil(share(fraction));
    let ranked = ranked(OP, frame, seed)?;
    let limit = drawn(OP, frame, wanted)?;
    let train = part(OP, frame, &ranked, col(RANK).gt(limit.clone()))?;
    let test = part(OP, frame, &ranked, col(RANK).lt_eq(limit))?;
    Ok((train, test))
}

fn check_fraction(op: &'static str, fraction: f64) -> Result<()> {
    if (0.0..=1.0).contains(&fraction) {
        return Ok(());
    }
    Err(invalid(op, format!("the fraction is {fraction}, it must be between 0 and 1")))
}

fn share(fraction: f64) -> Expr {
    lit(fraction) * Expr::Cast(Cast::new(Box::new(col("rows")), DataType::Float64))
}

/// The frame with every row's place in the order of the hashes, from 1.
fn ranked(op: &'static str, frame: &DataFrame, seed: Seed) -> Result<DataFrame> {
    refuse_volatile(op, frame)?;
    let mut columns = check::all(op, frame)?;
    let mut args = vec![lit(seed.value())];
    args.extend(columns.iter().map(|(_, expr)| expr.clone()));
    columns.push((HASH.to_owned(), ROW_HASH.call(args)));
    let hashed = check::project(op, frame, columns)?;
    let rank = row_number()
        .order_by(vec![col(HASH).sort(true, false)])
        .build()
        .map_err(|e| plan_error(e, op))?
        .alias(RANK);
    let plan = LogicalPlanBuilder::from(check::plan(&hashed))
        .window([rank])
        .and_then(LogicalPlanBuilder::build)
        .map_err(|e| plan_error(e, op))?;
    Ok(check::with_plan(frame, plan))
}

/// How many rows to draw, from the number of rows, as a subquery.
fn drawn(op: &'static str, frame: &DataFrame, wanted: Expr) -> Result<Expr> {
    let wanted = Expr::Cast(Cast::new(Box::new(wanted), DataType::UInt64)).alias("drawn");
    let plan = LogicalPlanBuilder::from(check::plan(frame))
        .aggregate(Vec::<Expr>::new(), [count(lit(1_i64)).alias("rows")])
        .and_then(|plan| plan.project([wanted]))
        .and_then(LogicalPlanBuilder::build)
        .map_err(|e| plan_error(e, op))?;
    Ok(scalar_subquery(Arc::new(plan)))
}

fn part(op: &'static str, frame: &DataFrame, ranked: &DataFrame, mask: Expr) -> Result<DataFrame> {
    let inner = ranked.inner().clone().filter(mask).map_err(|e| plan_error(e, op))?;
    let kept = check::names(op, frame)?.into_iter().map(|name| (name.clone(), col(name))).collect();
    check::project(op, &DataFrame::new(frame.session().clone(), inner), kept)
}

fn refuse_volatile(op: &'static str, frame: &DataFrame) -> Result<()> {
    let mut volatile = None;
    // the visitor never fails
    let _ = frame.inner().logical_plan().apply_with_subqueries(|node| {
        volatile = node.expressions().into_iter().find(Expr::is_volatile);
        Ok(if volatile.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    match volatile {
        None => Ok(()),
        Some(expr) => Err(invalid(op, format!("`{}` gives other rows every time", check::plain(&expr)))
            .with_help("`persist().await` the frame first")),
    }
}

static ROW_HASH: LazyLock<ScalarUDF> = LazyLock::new(|| ScalarUDF::from(RowHash::new()));

/// `trefoil_row_hash(seed, columns...)`: a hash of the values of a row, the same for equal rows whatever
/// batch they are in.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RowHash {
    signature: Signature,
}

impl RowHash {
    fn new() -> Self {
        Self { signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for RowHash {
    fn name(&self) -> &str {
        "trefoil_row_hash"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> PlanResult<DataType> {
        Ok(DataType::UInt64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some((seed, columns)) = arrays.split_first() else {
            let [_seed] = take_function_args::<1, _>(self.name(), arrays)?;
            return Ok(ColumnarValue::Array(Arc::new(UInt64Array::from(Vec::<u64>::new()))));
        };
        let seed = seed.as_any().downcast_ref::<UInt64Array>().and_then(|s| s.iter().next().flatten());
        Ok(ColumnarValue::Array(Arc::new(row_hashes(seed.unwrap_or(0), columns, args.number_rows)?)))
    }
}

pub(super) fn row_hashes(seed: u64, columns: &[ArrayRef], rows: usize) -> PlanResult<UInt64Array> {
    let start = mix(seed);
    if columns.is_empty() {
        return Ok(UInt64Array::from(vec![start; rows]));
    }
    let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
    let encoded = RowConverter::new(fields)?.convert_columns(columns)?;
    Ok(encoded.iter().map(|row| hash(start, row.as_ref())).collect())
}

/// Chains the words of `bytes` through [`mix`]; the length tells a short tail from zeros.
fn hash(start: u64, bytes: &[u8]) -> u64 {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut state = start;
    for word in words {
        state = mix(state ^ u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    for (slot, byte) in last.iter_mut().zip(tail) {
        *slot = *byte;
    }
    mix(mix(state ^ u64::from_le_bytes(last)) ^ bytes.len() as u64)
}

/// The output function of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014): a bijection that spreads every bit.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Int64Array, StringArray, StringViewArray};

    #[test]
    fn the_hash_is_of_the_values() {
        let check = |a: ArrayRef, b: ArrayRef, equal: bool| {
            let (a, b) = (row_hashes(7, &[a], 1).unwrap(), row_hashes(7, &[b], 1).unwrap());
            assert_eq!(a == b, equal);
        };
        check(Arc::new(Int64Array::from(vec![1])), Arc::new(Int64Array::from(vec![1])), true);
        check(Arc::new(Int64Array::from(vec![1])), Arc::new(Int64Array::from(vec![2])), false);
        check(Arc::new(Int64Array::from(vec![0])), Arc::new(Int64Array::from(vec![None])), false);
        check(Arc::new(StringArray::from(vec!["ab"])), Arc::new(StringViewArray::from(vec!["ab"])), true);
        check(Arc::new(StringArray::from(vec![""])), Arc::new(StringArray::from(vec!["\0"])), false);
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let columns = [column];
        assert_ne!(row_hashes(1, &columns, 1).unwrap(), row_hashes(2, &columns, 1).unwrap());
    }
}
