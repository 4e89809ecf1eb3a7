//! `CHAR(n)` and `VARCHAR(n)`: texts of a length that the tables keep, and nothing else does.
//!
//! A column of such a type is a text whose field says so in its metadata. What is written to it is checked, spaces at the
//! end aside, and `CHAR` is filled up with spaces; a constant beside a `CHAR` column is filled up before they are compared.
//! A cast to such a type is one to STRING, as in Spark.

use crate::condition;
use crate::functions::call;
use crate::value::Value;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{DFSchema, ExprSchema};
use datafusion::error::Result;
use datafusion::logical_expr::dml::DmlStatement;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, WriteOp, lit};
use datafusion::sql::sqlparser::ast::{self, CharacterLength};
use std::collections::HashMap;
use std::sync::Arc;
use trefoil_core::ErrorKind;

/// The key of the metadata.
const KEY: &str = "trefoil.length";

/// Functions that check a text before it is written, and that fill one up.
pub(crate) const WRITTEN: &str = "#written";
pub(crate) const FILLED: &str = "#filled";

/// The length of a text, in characters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Length {
    most: i32,
    /// Whether shorter texts are filled up: `CHAR`, not `VARCHAR`.
    fills: bool,
}

impl Length {
    pub(crate) fn new(most: i32, fills: bool) -> Self {
        Self { most, fills }
    }

    /// The length that the metadata of a field tell.
    pub(crate) fn of(field: &Field) -> Option<Self> {
        let (name, most) = field.metadata().get(KEY)?.strip_suffix(')')?.split_once('(')?;
        Some(Self { most: most.parse().ok()?, fills: name == "char" })
    }

    /// `char(5)`.
    pub(crate) fn name(self) -> String {
        format!("{}({})", if self.fills { "char" } else { "varchar" }, self.most)
    }

    /// The field of a column of such a type.
    pub(crate) fn field(self, name: &str) -> Field {
        let metadata = HashMap::from([(KEY.to_owned(), self.name())]);
        Field::new(name, DataType::Utf8, true).with_metadata(metadata)
    }

    /// The value as it is written.
    pub(crate) fn written(self, value: Expr) -> Result<Expr> {
        call(WRITTEN, vec![value, lit(self.most), lit(self.fills)])
    }

    /// The value as it is read: files of others may have shorter ones.
    pub(crate) fn read(self, value: Expr) -> Result<Expr> {
        if self.fills { call(FILLED, vec![value, lit(self.most)]) } else { Ok(value) }
    }

    /// The arguments of [`WRITTEN`] behind the value.
    pub(crate) fn arguments(self) -> (i32, bool) {
        (self.most, self.fills)
    }
}

/// The length of a type as it is written; none of another type.
///
/// # Errors
/// `DATATYPE_MISSING_SIZE`.
pub(crate) fn declared(sql_type: &ast::DataType) -> Result<Option<Length>> {
    use ast::DataType as S;
    let (length, fills) = match sql_type {
        S::Char(length) | S::Character(length) => (length, true),
        S::Varchar(length) | S::CharVarying(length) | S::CharacterVarying(length) => (length, false),
        _ => return Ok(None),
    };
    match length {
        Some(CharacterLength::IntegerLength { length, .. }) if i32::try_from(*length).is_ok() => {
            Ok(Some(Length { most: *length as i32, fills }))
        }
        _ => {
            let name = if fills { "CHAR" } else { "VARCHAR" };
            Err(condition::error(
                ErrorKind::Syntax,
                "DATATYPE_MISSING_SIZE",
                "42K01",
                format!("the type {name} needs a length, as in {name}(10)."),
            ))
        }
    }
}

/// Whether a column of a schema has such a type.
pub(crate) fn any(schema: &Schema) -> bool {
    schema.fields().iter().any(|field| Length::of(field).is_some())
}

/// The text cut to a length where spaces are too many, and filled up.
///
/// # Errors
/// `EXCEED_LIMIT_LENGTH`.
pub(crate) fn write(text: &str, most: usize, fills: bool) -> Result<Value> {
    let count = text.chars().count();
    if count <= most {
        return Ok(fill(text, if fills { most } else { 0 }));
    }
    let kept: String = text.chars().take(most).collect();
    if text.chars().skip(most).all(|c| c == ' ') {
        return Ok(kept.into());
    }
    Err(condition::error(
        ErrorKind::InvalidArgument,
        "EXCEED_LIMIT_LENGTH",
        "54006",
        format!("the text '{text}' has {count} characters, and its column takes {most}."),
    ))
}

/// The text with spaces up to a length.
pub(crate) fn fill(text: &str, least: usize) -> Value {
    format!("{text}{}", " ".repeat(least.saturating_sub(text.chars().count()))).into()
}

/// The length of a CHAR column.
fn fixed(expr: &Expr, schema: &DFSchema) -> Option<i32> {
    let Expr::Column(column) = expr else { return None };
    let field = schema.field_from_column(column).ok()?;
    Length::of(field).filter(|length| length.fills).map(|length| length.most)
}

/// Two sides of a comparison, the shorter one filled up; none if they stay as they are.
///
/// # Errors
/// None but defects.
pub(crate) fn alike(left: &Expr, right: &Expr, schema: &DFSchema) -> Result<Option<(Expr, Expr)>> {
    let filled = |expr: &Expr, least: i32| call(FILLED, vec![expr.clone(), lit(least)]);
    Ok(match (fixed(left, schema), fixed(right, schema)) {
        (Some(a), Some(b)) if a < b => Some((filled(left, b)?, right.clone())),
        (Some(a), Some(b)) if a > b => Some((left.clone(), filled(right, a)?)),
        (Some(a), None) if is_constant(right, schema) => Some((left.clone(), filled(right, a)?)),
        (None, Some(b)) if is_constant(left, schema) => Some((filled(left, b)?, right.clone())),
        _ => None,
    })
}

/// Whether it is a constant text.
fn is_constant(expr: &Expr, schema: &DFSchema) -> bool {
    let subquery = matches!(expr, Expr::ScalarSubquery(_) | Expr::OuterReferenceColumn(..));
    !subquery && expr.column_refs().is_empty() && expr.get_type(schema).is_ok_and(|t| t == DataType::Utf8)
}

/// A plan of an INSERT with its texts checked.
///
/// # Errors
/// For UPDATE of a table with such columns.
pub(crate) fn checked(plan: LogicalPlan) -> Result<LogicalPlan> {
    let LogicalPlan::Dml(dml) = &plan else { return Ok(plan) };
    let target = dml.target.schema();
    if !any(&target) {
        return Ok(plan);
    }
    match dml.op {
        WriteOp::Insert(_) => {}
        WriteOp::Update | WriteOp::MergeInto(_) => {
            return Err(condition::unsupported("UPDATE of a table with columns of CHAR or VARCHAR."));
        }
        _ => return Ok(plan),
    }
    let columns = dml.input.schema().columns().into_iter().zip(target.fields());
    let columns = columns.map(|(column, field)| {
        let value = Expr::Column(column);
        Ok(match Length::of(field) {
            Some(length) => length.written(value)?.alias(field.name()),
            None => value,
        })
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let input = LogicalPlanBuilder::from(dml.input.as_ref().clone()).project(columns)?.build()?;
    let (name, target, op) = (dml.table_name.clone(), Arc::clone(&dml.target), dml.op.clone());
    Ok(LogicalPlan::Dml(DmlStatement::new(name, target, op, Arc::new(input))))
}
