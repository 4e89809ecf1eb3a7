//! The exact quantile as an aggregation.
//!
//! `quantile(value, q)` is computed in `Float64`, between two values on the line from one to the other. DataFusion's
//! `percentile_cont` cuts the place on that line to six digits. Groups keep their values in one list with the number
//! of the group beside each; when the groups are asked for, a counting sort puts the values of each together, and the
//! quantile is selected there. The state that partial aggregations hand on is a list of values.
//!
//! Over a window the values are kept in order from the second question on: one question is answered by selection,
//! many by a sorted list.

use super::ordered::{self, Interpolation, Ordered};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, ListArray, RecordBatch,
};
use datafusion::arrow::buffer::{OffsetBuffer, ScalarBuffer};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Schema};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, EmitTo, GroupsAccumulator, Signature,
    Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use std::sync::{Arc, LazyLock};

/// The name of the function, by which the rule for windows knows it.
pub(crate) const NAME: &str = "quantile";

/// `quantile(value, q)`: the exact quantile of numbers, with `q` a literal in 0..=1. A third argument may name an
/// [`Interpolation`].
///
/// ```
/// use datafusion::logical_expr::{col, lit};
///
/// let middle = trefoil_plan::quantile_udaf().call(vec![col("price"), lit(0.5)]);
/// assert_eq!(middle.to_string(), "quantile(price, Float64(0.5))");
/// ```
pub fn quantile_udaf() -> Arc<AggregateUDF> {
    static UDAF: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(AggregateUDF::from(Quantile { signature }))
    });
    Arc::clone(&UDAF)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Quantile {
    signature: Signature,
}

/// The place that is asked for, if it is a literal.
pub(super) fn literal(q: &Arc<dyn PhysicalExpr>) -> Option<f64> {
    let nothing = RecordBatch::new_empty(Arc::new(Schema::empty()));
    match q.evaluate(&nothing) {
        Ok(ColumnarValue::Scalar(ScalarValue::Float64(Some(q)))) if (0.0..=1.0).contains(&q) => Some(q),
        _ => None,
    }
}

/// The place that is asked for, and what is there between two values.
fn asked(args: &AccumulatorArgs) -> Result<(f64, Interpolation)> {
    let Some(q) = args.exprs.get(1).and_then(literal) else {
        return plan_err!("the place of a quantile must be a number in 0..=1 that is written down");
    };
    let Some(name) = args.exprs.get(2) else { return Ok((q, Interpolation::Linear)) };
    let nothing = RecordBatch::new_empty(Arc::new(Schema::empty()));
    let name = match name.evaluate(&nothing) {
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8(Some(name)))) => Interpolation::by_name(&name),
        _ => None,
    };
    match name {
        Some(how) => Ok((q, how)),
        None => {
            plan_err!("the third argument of {NAME} is `linear`, `lower`, `higher`, `nearest` or `midpoint`")
        }
    }
}

fn list() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Float64, true)))
}

impl AggregateUDFImpl for Quantile {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [value, q] if (value.is_numeric() || value.is_null()) && q.is_numeric() => {
                Ok(vec![DataType::Float64; 2])
            }
            [value, q, name]
                if (value.is_numeric() || value.is_null()) && q.is_numeric() && name.is_string() =>
            {
                Ok(vec![DataType::Float64, DataType::Float64, DataType::Utf8])
            }
            _ => plan_err!("{NAME} works on numbers and a place in 0..=1, not on {arg_types:?}"),
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format_state_name(args.name, "values"), list(), true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return plan_err!("{NAME} of distinct values is not supported: take the distinct rows first");
        }
        let (q, how) = asked(&args)?;
        Ok(Box::new(One { q, how, values: Kept::Loose(Vec::new()), asked: false }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let (q, how) = asked(&args)?;
        Ok(Box::new(Groups { q, how, ..Groups::default() }))
    }
}

/// The values of all groups, in no order, each with the number of its group.
#[derive(Debug, Default)]
struct Groups {
    q: f64,
    how: Interpolation,
    values: Vec<f64>,
    of: Vec<u32>,
    groups: usize,
}

impl Groups {
    fn push(&mut self, group: usize, value: f64) {
        self.values.push(value);
        // groups are numbered by DataFusion, which has no more than it has rows in memory
        self.of.push(group as u32);
    }

    /// Takes groups out: their values, one group after another, and where each begins and the last one ends.
    fn take(&mut self, emit_to: EmitTo) -> (Vec<f64>, Vec<usize>) {
        let groups = match emit_to {
            EmitTo::All => self.groups,
            EmitTo::First(n) => n.min(self.groups),
        };
        let mut starts = vec![0_usize; groups + 1];
        for group in self.of.iter().map(|group| *group as usize) {
            if group < groups {
                starts[group + 1] += 1;
            }
        }
        for group in 0..groups {
            starts[group + 1] += starts[group];
        }
        let mut next = starts.clone();
        let mut taken = vec![0.0; starts[groups]];
        let (values, of) = (std::mem::take(&mut self.values), std::mem::take(&mut self.of));
        for (group, value) in of.into_iter().map(|group| group as usize).zip(values) {
            if group < groups {
                taken[next[group]] = value;
                next[group] += 1;
            } else {
                self.push(group - groups, value);
            }
        }
        self.groups -= groups;
        (taken, starts)
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups = self.groups.max(total_num_groups);
        let Some(values) = values.first() else { return Ok(()) };
        let values = values.as_primitive::<Float64Type>();
        if values.null_count() == 0 && opt_filter.is_none() {
            self.values.extend_from_slice(values.values());
            self.of.extend(group_indices.iter().map(|group| *group as u32));
            return Ok(());
        }
        for (row, group) in group_indices.iter().enumerate() {
            let kept = opt_filter.is_none_or(|mask| mask.is_valid(row) && mask.value(row));
            if kept && values.is_valid(row) {
                self.push(*group, values.value(row));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (mut values, starts) = self.take(emit_to);
        let quantile = |ends: &[usize]| ordered::quantile(&mut values[ends[0]..ends[1]], self.q, self.how);
        let quantiles: Float64Array = starts.windows(2).map(quantile).collect();
        Ok(Arc::new(quantiles))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (values, starts) = self.take(emit_to);
        Ok(vec![Arc::new(lists(values, &starts)?)])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups = self.groups.max(total_num_groups);
        let Some(states) = values.first() else { return Ok(()) };
        let states = states.as_list::<i32>();
        let items = states.values().as_primitive::<Float64Type>();
        let offsets = states.value_offsets();
        for (row, group) in group_indices.iter().enumerate().filter(|(row, _)| states.is_valid(*row)) {
            let values = &items.values()[offsets[row] as usize..offsets[row + 1] as usize];
            self.values.extend_from_slice(values);
            self.of.resize(self.values.len(), *group as u32);
        }
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |values| values.len());
        let mut each = Groups { q: self.q, how: self.how, ..Groups::default() };
        let groups: Vec<usize> = (0..rows).collect();
        each.update_batch(values, &groups, opt_filter, rows)?;
        each.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<f64>() + self.of.capacity() * size_of::<u32>()
    }
}

/// A list per group.
fn lists(values: Vec<f64>, starts: &[usize]) -> Result<ListArray> {
    if i32::try_from(values.len()).is_err() {
        return exec_err!("{NAME}: more than 2^31 values at once: use `approx_quantile`, or more partitions");
    }
    let offsets = starts.iter().map(|start| *start as i32).collect::<ScalarBuffer<i32>>();
    let values = Float64Array::new(ScalarBuffer::from(values), None);
    let field = Arc::new(Field::new_list_field(DataType::Float64, true));
    Ok(ListArray::try_new(field, OffsetBuffer::new(offsets), Arc::new(values), None)?)
}

/// The values of the one group of an aggregation without keys, or of a window.
#[derive(Debug)]
struct One {
    q: f64,
    how: Interpolation,
    values: Kept,
    /// Whether a quantile was asked for already: then it is a window, and will be again.
    asked: bool,
}

#[derive(Debug)]
enum Kept {
    Loose(Vec<f64>),
    Sorted(Ordered),
}

impl One {
    /// Keeps the values in order from now on.
    fn sort(&mut self) {
        if let Kept::Loose(values) = &mut self.values {
            self.values = Kept::Sorted(Ordered::of(std::mem::take(values)));
        }
    }
}

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else { return Ok(()) };
        let values = values.as_primitive::<Float64Type>();
        if self.asked {
            self.sort();
        }
        match &mut self.values {
            Kept::Loose(kept) if values.null_count() == 0 => kept.extend_from_slice(values.values()),
            Kept::Loose(kept) => kept.extend(values.iter().flatten()),
            Kept::Sorted(list) => values.iter().flatten().for_each(|value| list.insert(value)),
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.asked = true;
        let (q, how) = (self.q, self.how);
        Ok(ScalarValue::Float64(match &mut self.values {
            Kept::Loose(values) => ordered::quantile(values, q, how),
            Kept::Sorted(list) => list.quantile_by(q, how),
        }))
    }

    fn size(&self) -> usize {
        let values = match &self.values {
            Kept::Loose(values) => values.capacity() * size_of::<f64>(),
            Kept::Sorted(list) => list.size(),
        };
        size_of_val(self) + values
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = match std::mem::replace(&mut self.values, Kept::Loose(Vec::new())) {
            Kept::Loose(values) => values,
            Kept::Sorted(list) => list.into_values(),
        };
        let ends = [0, values.len()];
        Ok(vec![ScalarValue::List(Arc::new(lists(values, &ends)?))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(states) = states.first() else { return Ok(()) };
        for values in states.as_list::<i32>().iter().flatten() {
            self.update_batch(&[values])?;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else { return Ok(()) };
        self.sort();
        for value in values.as_primitive::<Float64Type>().iter().flatten() {
            let there = match &mut self.values {
                Kept::Sorted(list) => list.remove(value),
                Kept::Loose(_) => false,
            };
            if !there {
                return exec_err!("{NAME}: {value} leaves a window it is not in");
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }
}
