//! Functions of dates, times and durations that DataFusion has not, as one scalar function.

use super::check::invalid;
use super::expr::Expr;
use super::span::Span;
use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array,
};
use datafusion::arrow::compute::{DatePart, cast, date_part};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, TimeUnit};
use datafusion::common::utils::take_function_args;
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::any::Any;
use std::sync::Arc;
use trefoil_plan::Result;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Way {
    Floor,
    Ceil,
    Round,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Op {
    /// To multiples of so many nanoseconds; none is a length that is not fixed.
    To(Way, Option<i64>),
    Zone(String),
    TotalSeconds,
    DaysInMonth,
    IsLeapYear,
    IsMonthStart,
    IsMonthEnd,
    IsQuarterStart,
    IsQuarterEnd,
    IsYearStart,
    IsYearEnd,
}

impl Op {
    pub fn to(way: Way, span: &Span) -> Op {
        Op::To(way, span.nanoseconds())
    }

    fn name(&self) -> &'static str {
        match self {
            Op::To(Way::Floor, _) => "dt_floor",
            Op::To(Way::Ceil, _) => "dt_ceil",
            Op::To(Way::Round, _) => "dt_round",
            Op::Zone(_) => "tz_convert",
            Op::TotalSeconds => "total_seconds",
            Op::DaysInMonth => "days_in_month",
            Op::IsLeapYear => "is_leap_year",
            Op::IsMonthStart => "is_month_start",
            Op::IsMonthEnd => "is_month_end",
            Op::IsQuarterStart => "is_quarter_start",
            Op::IsQuarterEnd => "is_quarter_end",
            Op::IsYearStart => "is_year_start",
            Op::IsYearEnd => "is_year_end",
        }
    }
}

pub(super) fn call(value: Expr, op: Op) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    ScalarUDF::from(DateFunction { op, signature }).call(vec![value])
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct DateFunction {
    op: Op,
    signature: Signature,
}

fn unit_nanoseconds(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

impl ScalarUDFImpl for DateFunction {
    fn name(&self) -> &str {
        self.op.name()
    }

    /// With what it does: two of them on one column are two columns.
    fn schema_name(&self, args: &[Expr]) -> PlanResult<String> {
        let args: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(format!("{}({}) {:?}", self.name(), args.join(", "), self.op))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> PlanResult<DataType> {
        let [of] = take_function_args(self.name(), arg_types)?;
        match (&self.op, of) {
            (Op::TotalSeconds, DataType::Duration(_)) => Ok(DataType::Float64),
            (Op::TotalSeconds, other) => plan_err!("{other} is no duration"),
            (Op::To(_, None), _) => plan_err!("the length of time is not fixed"),
            (Op::To(..), DataType::Timestamp(..)) => Ok(of.clone()),
            (Op::Zone(zone), DataType::Timestamp(unit, Some(_))) => {
                Ok(DataType::Timestamp(*unit, Some(zone.as_str().into())))
            }
            (Op::Zone(_), other) => plan_err!("{other} has no time zone; use `tz_localize`"),
            (Op::DaysInMonth, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64) => {
                Ok(DataType::Int32)
            }
            (_, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64) => Ok(DataType::Boolean),
            (_, other) => plan_err!("{other} is no date"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [value] = take_function_args(self.name(), arrays)?;
        Ok(ColumnarValue::Array(apply(&self.op, &value, args.return_field.data_type())?))
    }
}

/// Refuses time zones that nobody knows.
pub(super) fn check(op: &'static str, function: &ScalarUDF) -> Result<()> {
    let inner: &dyn ScalarUDFImpl = function.inner().as_ref();
    match (inner as &dyn Any).downcast_ref::<DateFunction>().map(|ours| &ours.op) {
        Some(Op::Zone(zone)) if zone.parse::<Tz>().is_err() => {
            Err(invalid(op, format!("`{zone}` is no time zone"))
                .with_help("zones have names such as `Europe/Paris` or offsets such as `+02:00`"))
        }
        _ => Ok(()),
    }
}

fn apply(op: &Op, value: &ArrayRef, output: &DataType) -> PlanResult<ArrayRef> {
    match (op, value.data_type()) {
        (Op::Zone(_), _) => Ok(cast(value, output)?),
        (Op::TotalSeconds, DataType::Duration(unit)) => {
            let per_second = 1e9 / unit_nanoseconds(*unit) as f64;
            let counts = cast(&cast(value, &DataType::Int64)?, &DataType::Float64)?;
            let seconds: Float64Array =
                counts.as_primitive::<Float64Type>().iter().map(|n| n.map(|n| n / per_second)).collect();
            Ok(Arc::new(seconds))
        }
        (Op::To(way, Some(length)), DataType::Timestamp(unit, zone)) => {
            // in local time: days begin at midnight of their zone
            let naive = match zone {
                Some(_) => local(value, *unit)?,
                None => Arc::clone(value),
            };
            let step = length / unit_nanoseconds(*unit);
            let counts = cast(&naive, &DataType::Int64)?;
            let counts = counts.as_primitive::<Int64Type>();
            if step <= 1 {
                return Ok(Arc::clone(value));
            }
            let moved: Int64Array = counts.iter().map(|n| n.and_then(|n| to_step(*way, n, step))).collect();
            let naive = cast(&(Arc::new(moved) as ArrayRef), &DataType::Timestamp(*unit, None))?;
            Ok(cast(&naive, output)?)
        }
        _ => calendar(op, value),
    }
}

/// The wall-clock time of instants with a zone.
fn local(value: &ArrayRef, unit: TimeUnit) -> PlanResult<ArrayRef> {
    // by text of the date and time of day would be slow; the parts are exact
    let part = |part: DatePart| -> PlanResult<Int64Array> {
        let parts = cast(&date_part(value.as_ref(), part)?, &DataType::Int64)?;
        Ok(parts.as_primitive::<Int64Type>().clone())
    };
    let (hour, minute, second) = (part(DatePart::Hour)?, part(DatePart::Minute)?, part(DatePart::Second)?);
    let utc = cast(value, &DataType::Int64)?;
    let utc = utc.as_primitive::<Int64Type>();
    let per_second = 1_000_000_000 / unit_nanoseconds(unit);
    let shifted: Int64Array = (0..utc.len())
        .map(|i| {
            utc.is_valid(i).then(|| {
                let seconds = utc.value(i).div_euclid(per_second);
                let of_day = hour.value(i) * 3600 + minute.value(i) * 60 + second.value(i);
                // the offset is within 15 hours of zero
                let offset = (of_day - seconds.rem_euclid(86_400) + 43_200).rem_euclid(86_400) - 43_200;
                utc.value(i) + offset * per_second
            })
        })
        .collect();
    Ok(cast(&(Arc::new(shifted) as ArrayRef), &DataType::Timestamp(unit, None))?)
}

/// `None` for what does not fit.
fn to_step(way: Way, n: i64, step: i64) -> Option<i64> {
    let (quotient, rest) = (n.div_euclid(step), n.rem_euclid(step));
    let up = match way {
        Way::Floor => false,
        Way::Ceil => rest > 0,
        // halves to even
        Way::Round => rest * 2 > step || (rest * 2 == step && quotient % 2 != 0),
    };
    quotient.checked_add(i64::from(up))?.checked_mul(step)
}

fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i32, month: i32) -> i32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn calendar(op: &Op, value: &ArrayRef) -> PlanResult<ArrayRef> {
    let part = |part: DatePart| -> PlanResult<Int32Array> {
        Ok(date_part(value.as_ref(), part)?.as_primitive::<Int32Type>().clone())
    };
    let (years, months, days) = (part(DatePart::Year)?, part(DatePart::Month)?, part(DatePart::Day)?);
    let dates = years.iter().zip(&months).zip(&days).map(|((year, month), day)| Some((year?, month?, day?)));
    if *op == Op::DaysInMonth {
        return Ok(Arc::new(dates.map(|d| d.map(|(y, m, _)| days_in(y, m))).collect::<Int32Array>()));
    }
    let test: fn(i32, i32, i32) -> bool = match op {
        Op::IsLeapYear => |y, _, _| is_leap(y),
        Op::IsMonthStart => |_, _, d| d == 1,
        Op::IsMonthEnd => |y, m, d| d == days_in(y, m),
        Op::IsQuarterStart => |_, m, d| m % 3 == 1 && d == 1,
        Op::IsQuarterEnd => |y, m, d| m % 3 == 0 && d == days_in(y, m),
        Op::IsYearStart => |_, m, d| m == 1 && d == 1,
        Op::IsYearEnd => |_, m, d| m == 12 && d == 31,
        other => return exec_err!("{} of another type", other.name()),
    };
    Ok(Arc::new(dates.map(|d| d.map(|(y, m, d)| test(y, m, d))).collect::<BooleanArray>()))
}
