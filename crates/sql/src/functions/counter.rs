//! `counter_diff`: how much a counter that only grows has grown since the row before, null where it began anew.

use crate::condition;
use crate::value::{self, Value, format, types};
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};
use std::sync::Arc;
use trefoil_core::ErrorKind;

const NAME: &str = "counter_diff";

/// The window function.
pub(crate) fn counter_diff() -> Arc<WindowUDF> {
    let function = CounterDiff { signature: Signature::user_defined(Volatility::Immutable) };
    Arc::new(WindowUDF::new_from_impl(function))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CounterDiff {
    signature: Signature,
}

impl WindowUDFImpl for CounterDiff {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        if !matches!(given.len(), 1 | 2) {
            return Err(condition::argument_count(NAME, "1 to 2", given.len()));
        }
        let wrong = |which: &str, t: &DataType, expected: &str| {
            let name = types::name(t).to_uppercase();
            Err(condition::argument_type(
                NAME,
                format!("the {which} argument is of type {name}, not {expected}"),
            ))
        };
        let mut wanted = Vec::with_capacity(given.len());
        match types::plain(&given[0]) {
            DataType::Null => wanted.push(DataType::Float64),
            t if t.is_numeric() => wanted.push(t),
            t => return wrong("first", &t, "a number"),
        }
        match given.get(1).map(types::plain) {
            None => {}
            Some(t @ DataType::Timestamp(..)) => wanted.push(t),
            Some(DataType::Null) => wanted.push(types::TIMESTAMP),
            Some(t) => return wrong("second", &t, "TIMESTAMP"),
        }
        Ok(wanted)
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        let counted = args.get_input_field(0).map_or(DataType::Float64, |field| field.data_type().clone());
        Ok(Arc::new(Field::new(args.name(), counted, true)))
    }

    fn partition_evaluator(&self, _: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Evaluator))
    }
}

#[derive(Debug)]
struct Evaluator;

fn difference(now: &Value, before: &Value) -> Value {
    match (now, before) {
        (Value::Decimal(now, scale), Value::Decimal(before, _)) => Value::Decimal(now - before, *scale),
        (Value::Float(now), before) => Value::Float(now - before.float()),
        (now, before) => Value::Int(now.int() - before.int()),
    }
}

impl PartitionEvaluator for Evaluator {
    fn evaluate_all(&mut self, values: &[ArrayRef], num_rows: usize) -> Result<ArrayRef> {
        let data_type = values[0].data_type();
        let counters = value::read(&values[0])?;
        let starts = values.get(1).map(value::read).transpose()?;
        let zero = Value::Int(0);
        let (mut before, mut begun): (Option<Value>, Option<i64>) = (None, None);
        let mut out = Vec::with_capacity(num_rows);
        for (row, counter) in counters.into_iter().enumerate() {
            // A row without a counter is as if it were not there.
            if counter.is_null() {
                out.push(Value::Null);
                continue;
            }
            if counter < zero {
                let text = format::cast_text(&counter, &types::plain(data_type));
                return Err(condition::error(
                    ErrorKind::InvalidArgument,
                    "COUNTER_DIFF_NEGATIVE_COUNTER_VALUE",
                    "22003",
                    format!("a negative counter value {text} was provided to function `{NAME}`."),
                ));
            }
            let mut anew = before.as_ref().is_none_or(|before| counter < *before);
            if let Some(start) = starts.as_ref().map(|starts| &starts[row]).filter(|start| !start.is_null()) {
                let start = start.int();
                if let Some(begun) = begun.filter(|begun| start < *begun) {
                    let text = |micros| format::cast_text(&Value::Ts(micros), &types::TIMESTAMP);
                    return Err(condition::error(
                        ErrorKind::InvalidArgument,
                        "COUNTER_DIFF_START_TIME_DECREASED",
                        "22023",
                        format!(
                            "start time provided to function `{NAME}` decreased from {} to {}.",
                            text(begun),
                            text(start)
                        ),
                    ));
                }
                anew |= begun.is_some_and(|begun| start > begun);
                begun = Some(start);
            }
            out.push(match &before {
                Some(before) if !anew => difference(&counter, before),
                _ => Value::Null,
            });
            before = Some(counter);
        }
        value::build(&out, data_type)
    }
}
