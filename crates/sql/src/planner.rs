//! Planning of expressions with their types known: operators, literals, casts and calls by mark.

use crate::functions::{self, call};
use crate::rewrite::MARK;
use crate::value::{cast, datetime, decimal, types};
use crate::zone::{self, SessionZone};
use crate::{condition, interval, lengths};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawBinaryExpr, RawDictionaryExpr, RawFieldAccessExpr, TypePlanner,
};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, GetFieldAccess, Operator};
use datafusion::sql::sqlparser::ast::{self, BinaryOperator as Op};
use std::sync::Arc;

/// Spark's operators, literals, casts and scalar functions.
#[derive(Debug)]
pub(crate) struct SparkPlanner {
    pub(crate) zone: SessionZone,
}

/// Whether a call by this name is planned here, and not by DataFusion's registry.
pub(crate) fn is_planned(name: &str) -> bool {
    functions::scalar(name).is_some() || functions::is_expression(name)
}

/// Whether an expression names a column that is not there: the planner says so later, with the place.
fn unknown(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_err_and(|error| crate::repair::missing(&error).is_some())
}

fn lit(value: ScalarValue) -> Expr {
    Expr::Literal(value, None)
}

impl ExprPlanner for SparkPlanner {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let given = expr.clone();
        let mut keys = Keys::default();
        let expr = RawBinaryExpr {
            left: keys.qualified(expr.left, schema)?,
            right: keys.qualified(expr.right, schema)?,
            op: expr.op,
        };
        if !keys.0.is_empty() {
            return Ok(match self.plan_binary_op(expr, schema)? {
                PlannerResult::Planned(planned) => PlannerResult::Planned(keys.written(planned)?),
                PlannerResult::Original(_) => PlannerResult::Original(given),
            });
        }
        if unknown(&expr.left, schema) || unknown(&expr.right, schema) {
            return Ok(PlannerResult::Original(expr));
        }
        let expr = match self.zone.label() {
            Some(zone) => zone::beside_intervals(expr, &zone, schema)?,
            None => expr,
        };
        match binary(&expr, schema)? {
            Some(planned) => Ok(PlannerResult::Planned(planned)),
            None => Ok(PlannerResult::Original(expr)),
        }
    }

    fn plan_dictionary_literal(
        &self,
        expr: RawDictionaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawDictionaryExpr>> {
        let tag = match expr.keys.first() {
            Some(Expr::Literal(ScalarValue::Utf8(Some(tag)), _)) => tag.clone(),
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let Some(tag) = tag.strip_prefix(MARK) else { return Ok(PlannerResult::Original(expr)) };
        if let Some(kind) = tag.strip_prefix('=') {
            let Some(Expr::Literal(ScalarValue::Utf8(Some(text)), _)) = expr.values.first() else {
                return Ok(PlannerResult::Original(expr));
            };
            let settled = match self.zone.label() {
                Some(zone) => zone::literal(kind, text, &zone)?,
                None => None,
            };
            return Ok(PlannerResult::Planned(lit(match settled {
                Some(value) => value,
                None => literal(kind, text)?,
            })));
        }
        let mut arguments = expr.values;
        arguments.remove(0);
        let mut keys = Keys::default();
        let arguments =
            arguments.into_iter().map(|a| keys.qualified(a, schema)).collect::<Result<Vec<_>>>()?;
        let planned = self.marked(tag, arguments, schema)?;
        Ok(PlannerResult::Planned(keys.written(planned)?))
    }

    fn plan_field_access(
        &self,
        expr: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        self.field(expr, schema)
    }

    fn plan_make_map(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(call("map", args)?))
    }
}

/// The keys of a join `USING` in an expression: each is a column of both sides, and only DataFusion knows which one is
/// meant. While types are looked at, it is that of the first side.
#[derive(Default)]
struct Keys(Vec<(Column, Column)>);

impl Keys {
    fn qualified(&mut self, expr: Expr, schema: &DFSchema) -> Result<Expr> {
        let made = expr.transform(|expr| {
            let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
            if column.relation.is_some() {
                return Ok(Transformed::no(expr));
            }
            let found = schema.qualified_fields_with_unqualified_name(&column.name);
            let [(Some(table), _), _, ..] = found.as_slice() else { return Ok(Transformed::no(expr)) };
            let first = Column::new(Some((*table).clone()), &column.name);
            self.0.push((first.clone(), column.clone()));
            Ok(Transformed::yes(Expr::Column(first)))
        })?;
        Ok(made.data)
    }

    fn written(self, expr: Expr) -> Result<Expr> {
        if self.0.is_empty() {
            return Ok(expr);
        }
        let made = expr.transform(|expr| {
            Ok(match &expr {
                Expr::Column(column) => match self.0.iter().find(|(first, _)| first == column) {
                    Some((_, written)) => Transformed::yes(Expr::Column(written.clone())),
                    None => Transformed::no(expr),
                },
                _ => Transformed::no(expr),
            })
        })?;
        Ok(made.data)
    }
}

impl SparkPlanner {
    /// A call by mark, with its arguments planned.
    fn marked(&self, tag: &str, arguments: Vec<Expr>, schema: &DFSchema) -> Result<Expr> {
        if arguments.iter().any(|argument| unknown(argument, schema)) {
            return call("#unknown", arguments);
        }
        match self.zone.label() {
            _ if tag == "current_timezone" => Ok(zone::text(&self.zone.name())),
            Some(zone) => zone::call(&zone, tag, arguments, schema),
            None => named(tag, arguments, schema),
        }
    }

    fn field(
        &self,
        expr: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let base = types::plain(&expr.expr.get_type(schema)?);
        match &expr.field_access {
            // Arrays count from 0; maps are read by key.
            GetFieldAccess::ListIndex { key } => {
                let key = *key.clone();
                if types::entry_of(&base).is_some() {
                    Ok(PlannerResult::Planned(call("try_element_at", vec![expr.expr, key])?))
                } else if types::item_of(&base).is_some() {
                    Ok(PlannerResult::Planned(call("#item", vec![expr.expr, key])?))
                } else {
                    Ok(PlannerResult::Original(expr))
                }
            }
            GetFieldAccess::NamedStructField { name } if types::entry_of(&base).is_some() => {
                let key = lit(name.clone());
                Ok(PlannerResult::Planned(call("try_element_at", vec![expr.expr, key])?))
            }
            _ => Ok(PlannerResult::Original(expr)),
        }
    }
}

/// The value of a literal.
fn literal(kind: &str, text: &str) -> Result<ScalarValue> {
    let bad = |to: &str| condition::cast_invalid_input(text, "STRING", to);
    match kind {
        "number" => number(text),
        "date" => Ok(ScalarValue::Date32(Some(datetime::parse_date(text).ok_or_else(|| bad("DATE"))?))),
        "timestamp" | "timestamp_ntz" => {
            let micros = datetime::parse_timestamp(text).ok_or_else(|| bad("TIMESTAMP"))?;
            Ok(ScalarValue::TimestampMicrosecond(Some(micros), None))
        }
        "timestamp_ns" => match datetime::parse_nanos(text) {
            Some(nanos) => Ok(ScalarValue::TimestampNanosecond(Some(nanos), None)),
            None => literal("timestamp", text),
        },
        "time" => {
            let micros = datetime::parse_time(text).ok_or_else(|| bad("TIME"))?;
            Ok(ScalarValue::Time64Microsecond(Some(micros)))
        }
        _ => {
            let found = interval::parse(text).ok_or_else(|| bad("INTERVAL"))?;
            let data_type = found.data_type();
            let value = found.as_type(&data_type).ok_or_else(|| bad("INTERVAL"))?;
            ScalarValue::try_from_array(&crate::value::build(&[value], &data_type)?, 0)
        }
    }
}

/// `1` is an INT, `1L` a BIGINT, `1S` and `1Y` shorter, `1.5` a DECIMAL(2,1), `1D` and `1e3` DOUBLEs.
fn number(text: &str) -> Result<ScalarValue> {
    let bad = |to: &str| condition::cast_invalid_input(text, "STRING", to);
    let suffixed = |suffix: &str| {
        text.strip_suffix(suffix).filter(|digits| digits.ends_with(|c: char| c.is_ascii_digit() || c == '.'))
    };
    let range = |to: &str| {
        condition::error(
            trefoil_core::ErrorKind::Syntax,
            "INVALID_NUMERIC_LITERAL_RANGE",
            "22003",
            format!("the number {text} does not fit {to}."),
        )
    };
    if let Some(digits) = suffixed("BD") {
        let (n, s) = decimal::parse(digits).ok_or_else(|| bad("DECIMAL"))?;
        return Ok(ScalarValue::Decimal128(Some(n), decimal::digits(n).max(s.unsigned_abs()), s));
    }
    if let Some(digits) = suffixed("L") {
        return Ok(ScalarValue::Int64(Some(digits.parse().map_err(|_| range("BIGINT"))?)));
    }
    if let Some(digits) = suffixed("S") {
        return Ok(ScalarValue::Int16(Some(digits.parse().map_err(|_| range("SMALLINT"))?)));
    }
    if let Some(digits) = suffixed("Y") {
        return Ok(ScalarValue::Int8(Some(digits.parse().map_err(|_| range("TINYINT"))?)));
    }
    if let Some(digits) = suffixed("D") {
        return Ok(ScalarValue::Float64(Some(digits.parse().map_err(|_| bad("DOUBLE"))?)));
    }
    if let Some(digits) = suffixed("F") {
        let number: f64 = digits.parse().map_err(|_| bad("FLOAT"))?;
        // What only rounds into the range is outside of it.
        return if number.abs() <= f64::from(f32::MAX) {
            Ok(ScalarValue::Float32(Some(digits.parse().map_err(|_| bad("FLOAT"))?)))
        } else {
            Err(range("FLOAT"))
        };
    }
    if text.contains(['e', 'E']) {
        let number: f64 = text.parse().map_err(|_| bad("DOUBLE"))?;
        return if number.is_finite() {
            Ok(ScalarValue::Float64(Some(number)))
        } else {
            Err(range("DOUBLE"))
        };
    }
    if let Ok(n) = text.parse::<i32>() {
        return Ok(ScalarValue::Int32(Some(n)));
    }
    if let Ok(n) = text.parse::<i64>() {
        return Ok(ScalarValue::Int64(Some(n)));
    }
    let (n, s) = decimal::parse(text).ok_or_else(|| bad("DECIMAL"))?;
    let precision = decimal::digits(n).max(s.unsigned_abs());
    if precision > decimal::MAX {
        return Ok(ScalarValue::Float64(Some(text.parse().map_err(|_| bad("DOUBLE"))?)));
    }
    Ok(ScalarValue::Decimal128(Some(n), precision, s))
}

/// A cast: DataFusion's own where it means the same, so that filters on it can still be pushed down.
pub(crate) fn cast_to(expr: Expr, to: &DataType, schema: &DFSchema, fallible: bool) -> Result<Expr> {
    let given = expr.get_type(schema)?;
    let (from, to) = (types::plain(&given), types::plain(to));
    if given == to {
        return Ok(expr);
    }
    if let Expr::Literal(scalar, _) = &expr
        && let Some(value) = functions::row::literal(scalar)
    {
        match cast::cast(&value, &from, &to) {
            Ok(value) => {
                return Ok(lit(ScalarValue::try_from_array(&crate::value::build(&[value], &to)?, 0)?));
            }
            Err(error) if !cast::possible(&from, &to) => return Err(error),
            Err(_) if fallible => {
                return Ok(lit(ScalarValue::try_from(&to)?));
            }
            // A branch that is never taken may hold it: an error of running, not of planning.
            Err(_) => {}
        }
    }
    if !cast::possible(&from, &to) {
        return Err(cast::mismatch(&from, &to));
    }
    use DataType as T;
    let same = match (&from, &to) {
        (T::Null, _) => true,
        (f, t) if f.is_integer() && t.is_integer() => f.primitive_width() <= t.primitive_width(),
        (f, T::Float64) if f.is_numeric() => true,
        (f, T::Float32) if f.is_integer() => true,
        (T::Date32, t @ T::Timestamp(..)) | (t @ T::Timestamp(..), T::Date32) => types::zone_of(t).is_none(),
        // Only the name of the zone changes.
        (f @ T::Timestamp(_, Some(_)), t @ T::Timestamp(_, Some(_))) => {
            types::zone_of(f).is_some() || types::zone_of(t).is_some()
        }
        (f, T::Decimal128(p, s)) if f.is_integer() => {
            decimal::type_for(f).is_some_and(|(q, _)| i32::from(*p) - i32::from(*s) >= i32::from(q))
        }
        (T::Decimal128(p, s), T::Decimal128(q, t)) => {
            i32::from(*q) - i32::from(*t) >= i32::from(*p) - i32::from(*s) && t >= s
        }
        (f, T::Utf8) => f.is_integer() || matches!(f, T::Date32 | T::Boolean | T::Utf8),
        (f, t) => f == t,
    };
    if same {
        return Ok(Expr::Cast(Cast::new(Box::new(expr), to)));
    }
    let null = lit(ScalarValue::try_from(&to)?);
    call(if fallible { "try_cast" } else { "cast" }, vec![expr, null])
}

/// A call by mark.
pub(crate) fn named(name: &str, mut arguments: Vec<Expr>, schema: &DFSchema) -> Result<Expr> {
    let type_of = |expr: &Expr| expr.get_type(schema).map(|t| types::plain(&t));
    if let Some(native) = crate::native::call(name, &arguments, schema) {
        return Ok(native);
    }
    match name {
        "cast" | "try_cast" if arguments.len() == 2 => {
            let to = type_of(&arguments[1])?;
            cast_to(arguments.swap_remove(0), &to, schema, name == "try_cast")
        }
        "if" if arguments.len() == 3 => {
            let otherwise = arguments.pop().unwrap_or_default();
            let then = arguments.pop().unwrap_or_default();
            let (then, otherwise) = same_type("if", vec![then, otherwise], schema)?.into_pair();
            let condition = arguments.pop().unwrap_or_default();
            Ok(Expr::Case(datafusion::logical_expr::Case::new(
                None,
                vec![(Box::new(condition), Box::new(then))],
                Some(Box::new(otherwise)),
            )))
        }
        "#in" if !arguments.is_empty() => {
            let value = arguments.remove(0);
            let filled = |item: Expr| match lengths::alike(&value, &item, schema)? {
                Some((_, filled)) => Ok(filled),
                None => Ok(item),
            };
            let list = arguments.into_iter().map(filled).collect::<Result<Vec<_>>>()?;
            Ok(value.in_list(list, false))
        }
        "case" => case(None, arguments, schema),
        "case_of" if !arguments.is_empty() => {
            let operand = arguments.remove(0);
            for when in arguments.chunks_exact_mut(2) {
                if let Some((_, filled)) = lengths::alike(&operand, &when[0], schema)? {
                    when[0] = filled;
                }
            }
            case(Some(operand), arguments, schema)
        }
        "now" | "current_timestamp" | "localtimestamp" if arguments.is_empty() => Ok(now()),
        "current_date" | "curdate" if arguments.is_empty() => {
            cast_to(now(), &DataType::Date32, schema, false)
        }
        "current_time" | "localtime" if arguments.is_empty() => cast_to(now(), &types::TIME, schema, false),
        "nvl2" if arguments.len() == 3 => {
            let condition = arguments.remove(0);
            let (then, otherwise) = same_type("nvl2", arguments, schema)?.into_pair();
            Ok(Expr::Case(datafusion::logical_expr::Case::new(
                None,
                vec![(Box::new(condition.is_not_null()), Box::new(then))],
                Some(Box::new(otherwise)),
            )))
        }
        "coalesce" | "nvl" | "ifnull" => {
            let arguments = same_type(name, arguments, schema)?;
            Ok(datafusion::functions::core::expr_fn::coalesce(arguments))
        }
        "nullif" if arguments.len() == 2 => {
            let second = arguments.pop().unwrap_or_default();
            let first = arguments.pop().unwrap_or_default();
            let raw = RawBinaryExpr { op: Op::Eq, left: first.clone(), right: second };
            let equal = match binary(&raw, schema)? {
                Some(planned) => planned,
                None => raw.left.eq(raw.right),
            };
            let null = lit(ScalarValue::try_from(&type_of(&first)?)?);
            Ok(Expr::Case(datafusion::logical_expr::Case::new(
                None,
                vec![(Box::new(equal), Box::new(null))],
                Some(Box::new(first)),
            )))
        }
        "like" | "ilike" if arguments.len() == 2 => {
            let pattern = arguments.pop().unwrap_or_default();
            let text = arguments.pop().unwrap_or_default();
            let text = cast_to(text, &DataType::Utf8, schema, false)?;
            let pattern = cast_to(pattern, &DataType::Utf8, schema, false)?;
            Ok(if name == "like" { text.like(pattern) } else { text.ilike(pattern) })
        }
        "try_add" | "try_subtract" | "try_multiply" | "try_divide" | "try_mod" if arguments.len() == 2 => {
            let (a, b) = (type_of(&arguments[0])?, type_of(&arguments[1])?);
            let (left, right) = arguments.into_pair();
            let decimal = |t: &DataType| matches!(t, DataType::Decimal128(..));
            let (left, right) = match (decimal(&a), decimal(&b)) {
                (true, false) => (left, narrow(right)),
                (false, true) => (narrow(left), right),
                _ => (left, right),
            };
            call(name, vec![left, right])
        }
        // Text in an aggregate of numbers is a number.
        "numeric" if arguments.len() == 1 => match type_of(&arguments[0])? {
            DataType::Utf8 => cast_to(arguments.remove(0), &DataType::Float64, schema, false),
            _ => Ok(arguments.remove(0)),
        },
        "positive" if arguments.len() == 1 => match type_of(&arguments[0])? {
            DataType::Utf8 => cast_to(arguments.remove(0), &DataType::Float64, schema, false),
            _ => Ok(arguments.remove(0)),
        },
        // A field that is no column is called by its place.
        "struct" => {
            let mut fields = Vec::with_capacity(arguments.len() * 2);
            for (index, argument) in arguments.into_iter().enumerate() {
                let name = match &argument {
                    Expr::Column(column) => column.name.clone(),
                    Expr::Alias(alias) => alias.name.clone(),
                    Expr::ScalarFunction(call) if call.func.name() == "get_field" => match call.args.get(1) {
                        Some(Expr::Literal(ScalarValue::Utf8(Some(field)), _)) => field.clone(),
                        _ => format!("col{}", index + 1),
                    },
                    _ => format!("col{}", index + 1),
                };
                fields.extend([lit(ScalarValue::from(name)), argument.unalias()]);
            }
            call("named_struct", fields)
        }
        // The collation of a text that was just given one.
        "collation" if arguments.len() == 1 => {
            if let Expr::ScalarFunction(inner) = &arguments[0]
                && inner.func.name() == "collate"
                && let Some(Expr::Literal(ScalarValue::Utf8(Some(name)), _)) = inner.args.get(1)
            {
                return Ok(lit(ScalarValue::from(functions::collation(name)?)));
            }
            call(name, arguments)
        }
        "equal_null" if arguments.len() == 2 => {
            let raw =
                RawBinaryExpr { op: Op::Spaceship, right: arguments.remove(1), left: arguments.remove(0) };
            binary(&raw, schema)?.ok_or_else(|| DataFusionError::Internal("equal_null".into()))
        }
        "mod" if arguments.len() == 2 => {
            let raw = RawBinaryExpr { op: Op::Modulo, right: arguments.remove(1), left: arguments.remove(0) };
            binary(&raw, schema)?.ok_or_else(|| DataFusionError::Internal("mod".into()))
        }
        _ => call(name, arguments),
    }
}

/// The moment at which the query began, the same wherever it is asked for.
pub(crate) fn now() -> Expr {
    let now = datafusion::functions::datetime::now(&datafusion::config::ConfigOptions::default());
    Expr::Cast(Cast::new(Box::new(now.call(Vec::new())), types::TIMESTAMP))
}

/// A CASE: what is compared has one type, and so have the branches.
fn case(operand: Option<Expr>, mut arguments: Vec<Expr>, schema: &DFSchema) -> Result<Expr> {
    let otherwise = if arguments.len() % 2 == 1 { arguments.pop() } else { None };
    let (mut conditions, mut branches) = (Vec::new(), Vec::new());
    let mut arguments = arguments.into_iter();
    while let (Some(condition), Some(branch)) = (arguments.next(), arguments.next()) {
        conditions.push(condition);
        branches.push(branch);
    }
    let has_otherwise = otherwise.is_some();
    branches.extend(otherwise);
    let mut branches = same_type("CASE", branches, schema)?;
    let otherwise = if has_otherwise { branches.pop() } else { None };
    let operand = match operand {
        Some(operand) => {
            conditions.push(operand);
            conditions = same_type("CASE", conditions, schema)?;
            conditions.pop()
        }
        None => None,
    };
    let whens = conditions.into_iter().zip(branches).map(|(when, then)| (Box::new(when), Box::new(then)));
    Ok(Expr::Case(datafusion::logical_expr::Case::new(
        operand.map(Box::new),
        whens.collect(),
        otherwise.map(Box::new),
    )))
}

trait IntoPair {
    fn into_pair(self) -> (Expr, Expr);
}

impl IntoPair for Vec<Expr> {
    fn into_pair(mut self) -> (Expr, Expr) {
        let second = self.pop().unwrap_or_default();
        (self.pop().unwrap_or_default(), second)
    }
}

/// Arguments cast to the type that holds them all.
fn same_type(function: &str, arguments: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    let given = arguments
        .iter()
        .map(|expr| expr.get_type(schema).map(|t| types::plain(&t)))
        .collect::<Result<Vec<_>>>()?;
    let Some(common) = types::common(&given) else {
        let names: Vec<String> = given.iter().map(|t| types::name(t).to_uppercase()).collect();
        return Err(condition::error(
            trefoil_core::ErrorKind::TypeMismatch,
            "DATATYPE_MISMATCH.DATA_DIFF_TYPES",
            "42K09",
            format!("`{function}`: the types {} have no common type.", names.join(", ")),
        ));
    };
    arguments.into_iter().map(|expr| cast_to(expr, &common, schema, false)).collect()
}

fn native(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// Binary operators; none where DataFusion's meaning is Spark's.
fn binary(raw: &RawBinaryExpr, schema: &DFSchema) -> Result<Option<Expr>> {
    let (left, right) = (raw.left.clone(), raw.right.clone());
    let types_of = || -> Result<(DataType, DataType)> {
        Ok((types::plain(&raw.left.get_type(schema)?), types::plain(&raw.right.get_type(schema)?)))
    };
    let name = match raw.op {
        Op::Plus => "add",
        Op::Minus => "subtract",
        Op::Multiply => "multiply",
        Op::Divide => "divide",
        Op::Modulo => "mod",
        Op::MyIntegerDivide => "div",
        Op::BitwiseAnd => return integers(left, Operator::BitwiseAnd, right, schema, types_of()?).map(Some),
        Op::BitwiseOr => return integers(left, Operator::BitwiseOr, right, schema, types_of()?).map(Some),
        Op::BitwiseXor => return integers(left, Operator::BitwiseXor, right, schema, types_of()?).map(Some),
        Op::PGBitwiseShiftLeft => return call("shiftleft", vec![left, right]).map(Some),
        Op::PGBitwiseShiftRight => return call("shiftright", vec![left, right]).map(Some),
        Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq | Op::Spaceship => {
            return comparison(&raw.op, left, right, schema, types_of()?);
        }
        Op::StringConcat => return call("concat", vec![left, right]).map(Some),
        _ => return Ok(None),
    };
    let (a, b) = types_of()?;
    arithmetic(name, left, right, &a, &b, schema).map(Some)
}

fn integers(
    left: Expr,
    op: Operator,
    right: Expr,
    schema: &DFSchema,
    (a, b): (DataType, DataType),
) -> Result<Expr> {
    let common = types::wider(&a, &b).unwrap_or(DataType::Int64);
    let common = if common.is_integer() { common } else { DataType::Int64 };
    Ok(native(cast_to(left, &common, schema, false)?, op, cast_to(right, &common, schema, false)?))
}

/// `+ - * / % div` by the types of their sides.
fn arithmetic(
    name: &str,
    left: Expr,
    right: Expr,
    a: &DataType,
    b: &DataType,
    schema: &DFSchema,
) -> Result<Expr> {
    use DataType as T;
    let special = |t: &T| types::is_datetime(t) || types::is_interval(t) || matches!(t, T::Time64(_));
    if special(a) || special(b) {
        // A whole number of days keeps a date a date.
        if matches!(name, "add" | "subtract") {
            if let (T::Date32, Some(days)) = (a, days(&right)) {
                return functions::call(name, vec![left, lit(ScalarValue::Int32(Some(days)))]);
            }
            if let (T::Date32, Some(days), "add") = (b, days(&left), name) {
                return functions::call(name, vec![right, lit(ScalarValue::Int32(Some(days)))]);
            }
        }
        return functions::call(name, vec![left, right]);
    }
    // Text is a number here: a whole one beside whole numbers, otherwise a double.
    let number = |t: &T, other: &T| match t {
        T::Utf8 if other.is_integer() && name != "divide" => T::Int64,
        T::Utf8 => T::Float64,
        T::Null if other.is_numeric() => other.clone(),
        T::Null => T::Float64,
        t => t.clone(),
    };
    let (wanted_a, wanted_b) = (number(a, b), number(b, a));
    if !wanted_a.is_numeric() || !wanted_b.is_numeric() {
        let symbol = match name {
            "add" => "+",
            "subtract" => "-",
            "multiply" => "*",
            "divide" => "/",
            "mod" => "%",
            other => other,
        };
        return Err(condition::error(
            trefoil_core::ErrorKind::TypeMismatch,
            "DATATYPE_MISMATCH.BINARY_OP_WRONG_TYPE",
            "42K09",
            format!(
                "`{symbol}` needs numbers, not {} and {}.",
                types::name(a).to_uppercase(),
                types::name(b).to_uppercase()
            ),
        ));
    }
    if name == "div" && (wanted_a.is_floating() || wanted_b.is_floating()) {
        let which = if a == b { "WRONG_TYPE" } else { "DIFF_TYPES" };
        return Err(condition::error(
            trefoil_core::ErrorKind::TypeMismatch,
            &format!("DATATYPE_MISMATCH.BINARY_OP_{which}"),
            "42K09",
            format!(
                "`div` needs whole numbers or decimals, not {} and {}.",
                types::name(a).to_uppercase(),
                types::name(b).to_uppercase()
            ),
        ));
    }
    let left = cast_to(left, &wanted_a, schema, false)?;
    let right = cast_to(right, &wanted_b, schema, false)?;
    // A literal number has only as many digits as it needs.
    let (left, right) = match (&wanted_a, &wanted_b) {
        (T::Decimal128(..), t) if t.is_integer() => (left, narrow(right)),
        (t, T::Decimal128(..)) if t.is_integer() => (narrow(left), right),
        _ => (left, right),
    };
    let (a, b) = (types::plain(&left.get_type(schema)?), types::plain(&right.get_type(schema)?));
    let decimal = matches!(a, T::Decimal128(..)) || matches!(b, T::Decimal128(..));
    let float = a.is_floating() || b.is_floating();
    let op = match name {
        "add" => Operator::Plus,
        "subtract" => Operator::Minus,
        "multiply" => Operator::Multiply,
        _ => return functions::call(name, vec![left, right]),
    };
    if float || decimal {
        let both = |t: &T| cast_to_pair(left.clone(), right.clone(), t, schema);
        return Ok(match (float, decimal) {
            (true, true) => {
                let (l, r) = both(&T::Float64)?;
                native(l, op, r)
            }
            (false, true) if !functions::decimals_are_native(name, &a, &b) => {
                return functions::call(name, vec![left, right]);
            }
            _ => native(left, op, right),
        });
    }
    let common = types::wider(&a, &b).unwrap_or(T::Int64);
    let (l, r) = cast_to_pair(left, right, &common, schema)?;
    functions::call(name, vec![l, r])
}

/// The days of a constant interval that is a whole number of them.
pub(crate) fn days(expr: &Expr) -> Option<i32> {
    match expr {
        Expr::Literal(ScalarValue::DurationMicrosecond(Some(micros)), _) if micros % datetime::DAY == 0 => {
            i32::try_from(micros / datetime::DAY).ok()
        }
        _ => None,
    }
}

fn cast_to_pair(left: Expr, right: Expr, to: &DataType, schema: &DFSchema) -> Result<(Expr, Expr)> {
    Ok((cast_to(left, to, schema, false)?, cast_to(right, to, schema, false)?))
}

fn narrow(expr: Expr) -> Expr {
    let Expr::Literal(scalar, metadata) = &expr else { return expr };
    let n = match scalar {
        ScalarValue::Int16(Some(n)) => i128::from(*n),
        ScalarValue::Int32(Some(n)) => i128::from(*n),
        ScalarValue::Int64(Some(n)) => i128::from(*n),
        _ => return expr,
    };
    Expr::Literal(ScalarValue::Decimal128(Some(n), decimal::digits(n), 0), metadata.clone())
}

/// Comparisons between text and something else compare as the something else.
fn comparison(
    op: &Op,
    left: Expr,
    right: Expr,
    schema: &DFSchema,
    (a, b): (DataType, DataType),
) -> Result<Option<Expr>> {
    let operator = match op {
        Op::Eq => Operator::Eq,
        Op::NotEq => Operator::NotEq,
        Op::Lt => Operator::Lt,
        Op::LtEq => Operator::LtEq,
        Op::Gt => Operator::Gt,
        Op::GtEq => Operator::GtEq,
        _ => Operator::IsNotDistinctFrom,
    };
    if let Some((left, right)) = lengths::alike(&left, &right, schema)? {
        return Ok(Some(native(left, operator, right)));
    }
    let texts = matches!(a, DataType::Utf8) != matches!(b, DataType::Utf8);
    let has_null = matches!(a, DataType::Null) || matches!(b, DataType::Null);
    if texts && !has_null {
        let Some(common) = types::wider(&a, &b) else {
            return Err(condition::error(
                trefoil_core::ErrorKind::TypeMismatch,
                "DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES",
                "42K09",
                format!(
                    "cannot compare {} with {}.",
                    types::name(&a).to_uppercase(),
                    types::name(&b).to_uppercase()
                ),
            ));
        };
        let (l, r) = cast_to_pair(left, right, &common, schema)?;
        return Ok(Some(native(l, operator, r)));
    }
    // A moment in a zone beside a date or a reading of a clock.
    let moments = types::zone_of(&a).is_some() || types::zone_of(&b).is_some();
    if moments
        && a != b
        && types::is_datetime(&a)
        && types::is_datetime(&b)
        && let Some(common) = types::wider(&a, &b)
    {
        let (l, r) = cast_to_pair(left, right, &common, schema)?;
        return Ok(Some(native(l, operator, r)));
    }
    if matches!(op, Op::Spaceship) {
        return Ok(Some(native(left, operator, right)));
    }
    Ok(None)
}

/// Spark's names of types.
#[derive(Debug)]
pub(crate) struct SparkTypes {
    pub(crate) zone: SessionZone,
}

impl TypePlanner for SparkTypes {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> Result<Option<FieldRef>> {
        if let Some(length) = lengths::declared(sql_type)? {
            return Ok(Some(Arc::new(length.field(""))));
        }
        let found = data_type(sql_type).map(|found| match self.zone.label() {
            Some(zone) if !without_zone(sql_type) => zone::of_session(&found, &zone),
            _ => found,
        });
        Ok(found.map(|t| Arc::new(Field::new("", t, true))))
    }
}

/// Whether a type is written as one of readings of a clock.
fn without_zone(sql_type: &ast::DataType) -> bool {
    sql_type.to_string().to_lowercase().contains("timestamp_ntz")
}

/// The type that a name in the text stands for.
pub(crate) fn data_type(sql_type: &ast::DataType) -> Option<DataType> {
    use ast::DataType as S;
    Some(match sql_type {
        S::Timestamp(..) | S::TimestampNtz(_) => types::TIMESTAMP,
        S::Time(..) => types::TIME,
        S::Array(ast::ArrayElemTypeDef::AngleBracket(item)) => types::list_of(data_type(item)?),
        S::Map(key, value) => types::map_of(data_type(key)?, data_type(value)?),
        S::Struct(fields, _) => types::struct_of(
            fields
                .iter()
                .map(|f| Some((f.field_name.as_ref()?.value.clone(), data_type(&f.field_type)?)))
                .collect::<Option<Vec<_>>>()?,
        ),
        other => types::parse_schema(&other.to_string()).filter(|t| !matches!(t, DataType::Struct(_)))?,
    })
}
