//! The largest or smallest values of a group, as a list: an aggregation that keeps `n` values a group.
//!
//! All groups share one array with `n` places each, so a value that does not belong to the best costs one
//! comparison. `NaN` counts as the largest number, as in sorts.

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, ListArray, PrimitiveArray,
};
use datafusion::arrow::buffer::{OffsetBuffer, ScalarBuffer};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, Expr, GroupsAccumulator, Signature, Volatility,
};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The `n` best values of each group, the best first; nulls aside.
pub(super) fn call(value: Expr, n: usize, largest: bool) -> Expr {
    let signature = Signature::user_defined(Volatility::Immutable);
    AggregateUDF::from(Top { n, largest, signature }).call(vec![value])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Top {
    n: usize,
    largest: bool,
    signature: Signature,
}

/// A list of the values, the field of its items as Arrow calls it.
fn list_of(item: &DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item.clone(), true)))
}

impl AggregateUDFImpl for Top {
    fn name(&self) -> &str {
        if self.largest { "top_k" } else { "bottom_k" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> PlanResult<Vec<DataType>> {
        match arg_types {
            [DataType::UInt64] => Ok(vec![DataType::Float64]),
            [integer] if integer.is_integer() => Ok(vec![DataType::Int64]),
            [number] if number.is_numeric() => Ok(vec![DataType::Float64]),
            _ => plan_err!("{} works on numbers, not on {arg_types:?}", self.name()),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> PlanResult<DataType> {
        match self.coerce_types(arg_types)?.first() {
            Some(item) => Ok(list_of(item)),
            None => plan_err!("{} takes one value", self.name()),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> PlanResult<Vec<FieldRef>> {
        let state = args.return_field.data_type().clone();
        Ok(vec![Arc::new(Field::new(format_state_name(args.name, "best"), state, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> PlanResult<Box<dyn Accumulator>> {
        let (n, largest) = (self.n, self.largest);
        Ok(match is_whole(args.return_field.data_type()) {
            true => Box::new(One(Best::<Int64Type>::new(n, largest, i64::cmp))),
            false => Box::new(One(Best::<Float64Type>::new(n, largest, f64::total_cmp))),
        })
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> PlanResult<Box<dyn GroupsAccumulator>> {
        let (n, largest) = (self.n, self.largest);
        Ok(match is_whole(args.return_field.data_type()) {
            true => Box::new(Best::<Int64Type>::new(n, largest, i64::cmp)),
            false => Box::new(Best::<Float64Type>::new(n, largest, f64::total_cmp)),
        })
    }
}

/// Whether the lists hold whole numbers.
fn is_whole(list: &DataType) -> bool {
    matches!(list, DataType::List(item) if *item.data_type() == DataType::Int64)
}

/// The best values of all groups: `n` places a group, of which the first `len` are taken.
struct Best<T: ArrowPrimitiveType> {
    n: usize,
    largest: bool,
    order: fn(&T::Native, &T::Native) -> Ordering,
    places: Vec<T::Native>,
    len: Vec<u32>,
}

impl<T: ArrowPrimitiveType> fmt::Debug for Best<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Best({} of {} groups)", self.n, self.len.len())
    }
}

impl<T: ArrowPrimitiveType> Best<T> {
    fn new(n: usize, largest: bool, order: fn(&T::Native, &T::Native) -> Ordering) -> Self {
        Best { n, largest, order, places: Vec::new(), len: Vec::new() }
    }

    fn grow(&mut self, groups: usize) {
        if groups > self.len.len() {
            self.len.resize(groups, 0);
            self.places.resize(groups * self.n, T::Native::default());
        }
    }

    #[inline]
    fn is_better(&self, a: &T::Native, b: &T::Native) -> bool {
        let order = (self.order)(a, b);
        if self.largest { order == Ordering::Greater } else { order == Ordering::Less }
    }

    #[inline]
    fn offer(&mut self, group: usize, value: T::Native) {
        let (start, len) = (group * self.n, self.len[group] as usize);
        if len == self.n && (len == 0 || !self.is_better(&value, &self.places[start + len - 1])) {
            return;
        }
        // from the worst upwards
        let mut at = if len == self.n { len - 1 } else { len };
        while at > 0 && self.is_better(&value, &self.places[start + at - 1]) {
            self.places[start + at] = self.places[start + at - 1];
            at -= 1;
        }
        self.places[start + at] = value;
        if len < self.n {
            self.len[group] += 1;
        }
    }

    fn emit(&mut self, emit_to: EmitTo) -> ArrayRef {
        let groups = match emit_to {
            EmitTo::All => self.len.len(),
            EmitTo::First(n) => n.min(self.len.len()),
        };
        let total: usize = self.len[..groups].iter().map(|len| *len as usize).sum();
        let mut values = Vec::with_capacity(total);
        for (group, len) in self.len[..groups].iter().enumerate() {
            let start = group * self.n;
            values.extend_from_slice(&self.places[start..start + *len as usize]);
        }
        let offsets = OffsetBuffer::from_lengths(self.len[..groups].iter().map(|len| *len as usize));
        self.len.drain(..groups);
        self.places.drain(..groups * self.n);
        let values = PrimitiveArray::<T>::new(ScalarBuffer::from(values), None);
        let field = Arc::new(Field::new_list_field(T::DATA_TYPE, true));
        Arc::new(ListArray::new(field, offsets, Arc::new(values), None))
    }
}

impl<T: ArrowPrimitiveType> GroupsAccumulator for Best<T> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> PlanResult<()> {
        self.grow(total_num_groups);
        let Some(values) = values.first() else { return Ok(()) };
        let values = values.as_primitive::<T>();
        if values.null_count() == 0 && opt_filter.is_none() {
            for (group, value) in group_indices.iter().zip(values.values()) {
                self.offer(*group, *value);
            }
            return Ok(());
        }
        for (row, group) in group_indices.iter().enumerate() {
            let kept = opt_filter.is_none_or(|mask| mask.is_valid(row) && mask.value(row));
            if kept && values.is_valid(row) {
                self.offer(*group, values.value(row));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> PlanResult<ArrayRef> {
        Ok(self.emit(emit_to))
    }

    fn state(&mut self, emit_to: EmitTo) -> PlanResult<Vec<ArrayRef>> {
        Ok(vec![self.emit(emit_to)])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> PlanResult<()> {
        self.grow(total_num_groups);
        let Some(lists) = values.first() else { return Ok(()) };
        let lists = lists.as_list::<i32>();
        let items = lists.values().as_primitive::<T>();
        for (row, group) in group_indices.iter().enumerate().filter(|(row, _)| lists.is_valid(*row)) {
            let offsets = lists.value_offsets();
            for at in offsets[row] as usize..offsets[row + 1] as usize {
                self.offer(*group, items.value(at));
            }
        }
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> PlanResult<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |values| values.len());
        let mut each = Best::<T>::new(self.n.min(1), self.largest, self.order);
        let groups: Vec<usize> = (0..rows).collect();
        each.update_batch(values, &groups, opt_filter, rows)?;
        each.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.places.capacity() * size_of::<T::Native>() + self.len.capacity() * 4
    }
}

/// The one group of an aggregation without keys.
struct One<T: ArrowPrimitiveType>(Best<T>);

impl<T: ArrowPrimitiveType> fmt::Debug for One<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: ArrowPrimitiveType> Accumulator for One<T> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> PlanResult<()> {
        let rows = values.first().map_or(0, |values| values.len());
        self.0.update_batch(values, &vec![0; rows], None, 1)
    }

    fn evaluate(&mut self) -> PlanResult<ScalarValue> {
        self.0.merge_batch(&[], &[], 1)?;
        let list = self.0.evaluate(EmitTo::All)?;
        ScalarValue::try_from_array(&list, 0)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.0.size()
    }

    fn state(&mut self) -> PlanResult<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> PlanResult<()> {
        let rows = states.first().map_or(0, |states| states.len());
        self.0.merge_batch(states, &vec![0; rows], 1)
    }
}
