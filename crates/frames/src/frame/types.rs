//! The types of expressions: the habits of pandas, and refusals that name columns and types.

use super::check::{find_in, mismatch, plain, schema};
use datafusion::arrow::compute::can_cast_types;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, ExprSchema};
use datafusion::logical_expr::expr::{AggregateFunction, Between, InList, WindowFunction};
use datafusion::logical_expr::type_coercion::binary::type_union_coercion;
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, Operator};
use trefoil_plan::{DataFrame, Error, Result, plan_error};

/// The kinds of values that never mix without a cast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Number,
    Text,
    Mask,
    Null,
    Other,
}

pub(super) fn class(data_type: &DataType) -> Class {
    match data_type {
        DataType::Dictionary(_, values) => class(values),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Class::Text,
        DataType::Boolean => Class::Mask,
        DataType::Null => Class::Null,
        other if other.is_numeric() => Class::Number,
        _ => Class::Other,
    }
}

fn never_mix(left: &DataType, right: &DataType) -> bool {
    let (left, right) = (class(left), class(right));
    left != right && ![left, right].iter().any(|c| matches!(c, Class::Null | Class::Other))
}

/// The type that holds the values of both, if no text has to become a number or the other way round.
pub(super) fn unify(left: &DataType, right: &DataType) -> Option<DataType> {
    if left == right {
        return Some(left.clone());
    }
    if never_mix(left, right) { None } else { type_union_coercion(left, right) }
}

pub(super) fn type_of(op: &'static str, frame: &DataFrame, expr: &Expr) -> Result<DataType> {
    expr.get_type(schema(frame)).map_err(|e| plan_error(e, op))
}

/// Looks up the columns of an expression, gives it the habits of pandas and checks its types.
pub(super) fn resolve(op: &'static str, frame: &DataFrame, expr: Expr) -> Result<Expr> {
    let expr = super::order::fill(op, frame, expr)?;
    let schema = schema(frame);
    let mut failure = None;
    let result = expr.transform_up(|node| match resolve_node(op, schema, node) {
        Ok(node) => Ok(Transformed::yes(node)),
        Err(error) => {
            failure = Some(error);
            Err(DataFusionError::Plan(String::new()))
        }
    });
    match (failure, result) {
        (Some(error), _) => Err(error),
        (None, Ok(resolved)) => Ok(resolved.data),
        (None, Err(error)) => Err(plan_error(error, op)),
    }
}

const MATH: &[&str] = &[
    "ceil", "floor", "round", "abs", "sqrt", "ln", "exp", "power", "isnan", "nanvl", "log10", "log2",
    "signum", "sin", "cos", "tan",
];
const TEXT: &[&str] =
    &["lower", "upper", "character_length", "contains", "starts_with", "ends_with", "replace", "btrim"];
const SAME: &[&str] = &["coalesce", "greatest", "least", "nullif"];
const NUMERIC: &[&str] = &[
    "sum",
    "avg",
    "stddev",
    "var",
    "median",
    "quantile",
    "corr",
    "covar_samp",
    "product",
    "top_k",
    "bottom_k",
    "skew",
    "kurt",
];

fn resolve_node(op: &'static str, schema: &DFSchema, node: Expr) -> Result<Expr> {
    let type_of = |expr: &Expr| expr.get_type(schema).map_err(|e| plan_error(e, op));
    let clash = |node: &Expr| mismatch(op, clash_text(schema, node));
    match node {
        Expr::Column(column) if column.relation.is_none() => {
            Ok(Expr::Column(find_in(op, schema, &column.name)?.0))
        }
        Expr::Column(column) => {
            if schema.has_column(&column) {
                return Ok(Expr::Column(column));
            }
            let known = schema.columns().into_iter().map(|c| c.flat_name());
            Err(Error::unknown_column(op, &column.flat_name(), known))
        }
        Expr::BinaryExpr(binary) => binary_node(op, schema, binary),
        Expr::Not(inner) if !matches!(class(&type_of(&inner)?), Class::Mask | Class::Null) => {
            Err(clash(&Expr::Not(inner)).with_help("`!` needs a mask (Boolean)"))
        }
        Expr::Negative(inner) if matches!(class(&type_of(&inner)?), Class::Text | Class::Mask) => {
            Err(clash(&Expr::Negative(inner)))
        }
        Expr::Between(between) => {
            let Between { expr, low, high, .. } = &between;
            let value = type_of(expr)?;
            if never_mix(&value, &type_of(low)?) || never_mix(&value, &type_of(high)?) {
                return Err(clash(&Expr::Between(between)));
            }
            Ok(Expr::Between(between))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let value = type_of(&expr)?;
            for item in &list {
                if never_mix(&value, &type_of(item)?) {
                    return Err(clash(&Expr::InList(InList { expr, list, negated })));
                }
            }
            Ok(Expr::InList(InList { expr, list, negated }))
        }
        Expr::Cast(cast) => {
            let from = type_of(&cast.expr)?;
            let to = cast.field.data_type();
            if can_cast_types(&from, to) {
                return Ok(Expr::Cast(cast));
            }
            Err(mismatch(op, format!("`{}` is {from} and cannot become {to}", plain(&cast.expr))))
        }
        Expr::AggregateFunction(function) => aggregate_node(op, schema, function),
        Expr::WindowFunction(window) => window_node(op, schema, window),
        Expr::ScalarFunction(function) => {
            let wanted = match function.name() {
                name if MATH.contains(&name) => Some((Class::Number, "numbers")),
                name if TEXT.contains(&name) => Some((Class::Text, "text")),
                _ if super::text::check(op, &function.func)? => Some((Class::Text, "text")),
                _ => None,
            };
            if let (Some((wanted, what)), Some(first)) = (wanted, function.args.first()) {
                let found = class(&type_of(first)?);
                if found != wanted && found != Class::Null {
                    let help = format!("`{}` works on {what}; convert with `cast`", function.name());
                    return Err(clash(&Expr::ScalarFunction(function)).with_help(help));
                }
            }
            super::dates::check(op, &function.func)?;
            super::cat::check(op, schema, &function)?;
            if SAME.contains(&function.name()) {
                let mut common = DataType::Null;
                for arg in &function.args {
                    match unify(&common, &type_of(arg)?) {
                        Some(wider) => common = wider,
                        None => return Err(clash(&Expr::ScalarFunction(function))),
                    }
                }
            }
            check_type(op, schema, Expr::ScalarFunction(function))
        }
        Expr::Case(case) => {
            let branches = case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
            let mut common = DataType::Null;
            for branch in branches {
                match unify(&common, &type_of(branch)?) {
                    Some(wider) => common = wider,
                    None => return Err(clash(&Expr::Case(case))),
                }
            }
            check_type(op, schema, Expr::Case(case))
        }
        other => check_type(op, schema, other),
    }
}

fn check_type(op: &'static str, schema: &DFSchema, node: Expr) -> Result<Expr> {
    match node.to_field(schema) {
        Ok(_) => Ok(node),
        Err(cause) => Err(mismatch(op, clash_text(schema, &node)).with_source(cause)),
    }
}

/// "`carat + cut`: `carat` is Float64, `cut` is Utf8".
fn clash_text(schema: &DFSchema, node: &Expr) -> String {
    let mut types: Vec<String> = Vec::new();
    // the visitor never fails
    let _ = node.apply(|inner| {
        let line = match inner {
            Expr::Column(column) => schema
                .field_from_column(column)
                .ok()
                .map(|found| format!("`{}` is {}", column.name, found.data_type())),
            Expr::Literal(value, _) => Some(format!("`{value}` is {}", value.data_type())),
            _ => None,
        };
        types.extend(line.filter(|line| !types.contains(line)));
        Ok(TreeNodeRecursion::Continue)
    });
    format!("the types do not fit in `{}`: {}", plain(node), types.join(", "))
}

fn binary_node(op: &'static str, schema: &DFSchema, binary: BinaryExpr) -> Result<Expr> {
    let type_of = |expr: &Expr| expr.get_type(schema).map_err(|e| plan_error(e, op));
    let (left, right) = (type_of(&binary.left)?, type_of(&binary.right)?);
    let both = |wanted: Class| class(&left) == wanted && class(&right) == wanted;
    let BinaryExpr { left: a, op: operator, right: b } = binary;
    let operator = match operator {
        Operator::BitwiseAnd if both(Class::Mask) => Operator::And,
        Operator::BitwiseOr if both(Class::Mask) => Operator::Or,
        Operator::BitwiseXor if both(Class::Mask) => Operator::NotEq,
        Operator::Plus if both(Class::Text) => Operator::StringConcat,
        other => other,
    };
    let true_division = operator == Operator::Divide && left.is_integer() && right.is_integer();
    let float = |e: Box<Expr>| if true_division { to_type(e, DataType::Float64) } else { e };
    let node = Expr::BinaryExpr(BinaryExpr::new(float(a), operator, float(b)));
    if operator != Operator::StringConcat && never_mix(&left, &right) {
        return Err(mismatch(op, clash_text(schema, &node)).with_help("convert one side with `cast`"));
    }
    check_type(op, schema, node)
}

fn to_type(expr: Box<Expr>, to: DataType) -> Box<Expr> {
    Box::new(Expr::Cast(Cast::new(expr, to)))
}

fn aggregate_node(op: &'static str, schema: &DFSchema, mut function: AggregateFunction) -> Result<Expr> {
    if NUMERIC.contains(&function.func.name()) {
        let before = Expr::AggregateFunction(function.clone());
        count_masks(op, schema, &mut function.params.args, &before)?;
    }
    check_type(op, schema, Expr::AggregateFunction(function))
}

fn window_node(op: &'static str, schema: &DFSchema, mut window: Box<WindowFunction>) -> Result<Expr> {
    if NUMERIC.contains(&window.fun.name()) {
        let before = Expr::WindowFunction(window.clone());
        count_masks(op, schema, &mut window.params.args, &before)?;
    }
    check_type(op, schema, Expr::WindowFunction(window))
}

/// Makes numbers of masks and refuses text, for functions that add up.
fn count_masks(op: &'static str, schema: &DFSchema, args: &mut [Expr], node: &Expr) -> Result<()> {
    // the third of a quantile is the name of what is there between two values
    for arg in args.iter_mut().take(2) {
        match class(&arg.get_type(schema).map_err(|e| plan_error(e, op))?) {
            Class::Mask => *arg = *to_type(Box::new(arg.clone()), DataType::Int64),
            Class::Text => return Err(mismatch(op, clash_text(schema, node)).with_help("it needs numbers")),
            Class::Number | Class::Null | Class::Other => {}
        }
    }
    Ok(())
}
