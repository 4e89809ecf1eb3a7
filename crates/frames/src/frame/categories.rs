//! Categories of text columns, and one-hot encoding.
//!
//! Which columns an encoding gives depends on the data, and a plan must know its columns before it runs.
//! So `categorize` looks once (one pass, all columns together) and writes what it found next to the column:
//! as JSON in the field metadata `trefoil.categories`. Metadata travel with the plan through filters,
//! sorts, joins, renames, `persist` and SQL; a new expression in the column's place drops them. As in
//! pandas, a category that a filter removes is still a category.

use super::check::{self, Class, class, invalid};
use super::expr::{Expr, lit};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::functions::core::with_metadata;
use datafusion::logical_expr::{Cast, LogicalPlanBuilder, grouping_set};
use std::collections::BTreeSet;
use trefoil_plan::{DataFrame, Error, ErrorKind, Result, plan_error};

/// The key of the field metadata that hold a column's categories, a JSON array of texts.
pub const CATEGORIES: &str = "trefoil.categories";

pub(super) fn of(op: &'static str, field: &Field) -> Result<Option<Vec<String>>> {
    match field.metadata().get(CATEGORIES) {
        None => Ok(None),
        Some(json) => serde_json::from_str(json).map(Some).map_err(|e| {
            Error::new(
                ErrorKind::MalformedData,
                op,
                format!("the metadata `{CATEGORIES}` of `{}` is not a JSON array of texts", field.name()),
            )
            .with_source(e)
        }),
    }
}

fn remember(op: &'static str, expr: Expr, categories: &[String]) -> Result<Expr> {
    let json = serde_json::to_string(categories)
        .map_err(|e| Error::new(ErrorKind::Internal, op, "categories do not encode").with_source(e))?;
    Ok(with_metadata().call(vec![expr, lit(CATEGORIES), lit(json)]))
}

fn text_columns(op: &'static str, frame: &DataFrame) -> Result<Vec<String>> {
    let mut names = check::names(op, frame)?;
    let schema = check::schema(frame);
    names.retain(|name| {
        schema.fields().iter().any(|f| f.name() == name && class(f.data_type()) == Class::Text)
    });
    Ok(names)
}

fn text_only(op: &'static str, field: &Field) -> Result<()> {
    if class(field.data_type()) == Class::Text {
        return Ok(());
    }
    Err(check::mismatch(op, format!("`{}` is {}, not text", field.name(), field.data_type()))
        .with_help("convert it with `astype` first"))
}

/// Collects the distinct values of text columns and remembers them in the plan.
pub(super) async fn categorize(frame: &DataFrame, columns: Option<Vec<String>>) -> Result<DataFrame> {
    const OP: &str = "categorize";
    let columns = match columns {
        Some(columns) => check::list(OP, frame, columns)?,
        None => text_columns(OP, frame)?,
    };
    let Some(found) = distinct_values(OP, frame, &columns).await? else { return Ok(frame.clone()) };
    let mut outputs = check::all(OP, frame)?;
    for (name, expr) in &mut outputs {
        if let Some(i) = columns.iter().position(|c| c == name) {
            let known: Vec<String> = found[i].iter().cloned().collect();
            *expr = remember(OP, expr.clone(), &known)?;
        }
    }
    check::project(OP, frame, outputs)
}

/// The distinct values of text columns in one pass; `None` if there are no columns.
pub(super) async fn distinct_values(
    op: &'static str,
    frame: &DataFrame,
    columns: &[String],
) -> Result<Option<Vec<BTreeSet<String>>>> {
    let mut sets = Vec::new();
    for name in columns {
        let (column, field) = check::find(op, frame, name)?;
        text_only(op, &field)?;
        sets.push(vec![Expr::Column(column)]);
    }
    let keys = match sets.as_slice() {
        [] => return Ok(None),
        [single] => single.clone(),
        _ => vec![grouping_set(sets)],
    };
    let plan = LogicalPlanBuilder::from(check::plan(frame))
        .aggregate(keys, Vec::<Expr>::new())
        .and_then(LogicalPlanBuilder::build)
        .map_err(|e| plan_error(e, op))?;
    let rows = check::with_plan(frame, plan).collect().await?;
    let mut found = vec![BTreeSet::new(); columns.len()];
    for batch in &rows {
        for (values, array) in found.iter_mut().zip(batch.columns()) {
            let texts = cast(array, &DataType::Utf8).map_err(|e| plan_error(e.into(), op))?;
            values.extend(texts.as_string::<i32>().iter().flatten().map(str::to_owned));
        }
    }
    Ok(Some(found))
}

/// How columns are one-hot encoded, where [`get_dummies`](super::FrameMethods::get_dummies) is not enough; for
/// [`get_dummies_with`](super::FrameMethods::get_dummies_with).
///
/// ```
/// use datafusion::arrow::datatypes::DataType;
/// use trefoil_frames::frame::*;
///
/// # let session = trefoil_plan::Session::local()?;
/// # session.block_on(async {
/// let diamonds = session.read_csv("../../examples/data/diamonds.csv").await?.categorize().await?;
/// let how = Dummies::new().columns(["cut"]).prefixes([("cut", "is")]).drop_first().data_type(DataType::UInt8);
/// let encoded = diamonds.select(["price", "cut"])?.get_dummies_with(&how)?;
/// assert_eq!(encoded.columns(), ["price", "is_Good", "is_Ideal", "is_Premium", "is_Very Good"]);
/// # Ok::<(), trefoil_plan::Error>(()) })?;
/// # Ok::<(), trefoil_plan::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "an encoding does nothing until a frame is asked for it"]
pub struct Dummies {
    columns: Option<Vec<String>>,
    prefixes: Vec<(String, String)>,
    separator: String,
    drop_first: bool,
    nulls: bool,
    data_type: DataType,
}

impl Default for Dummies {
    fn default() -> Self {
        Self::new()
    }
}

impl Dummies {
    /// Every text column, as masks called `column_category`.
    pub fn new() -> Self {
        Dummies {
            columns: None,
            prefixes: Vec::new(),
            separator: "_".to_owned(),
            drop_first: false,
            nulls: false,
            data_type: DataType::Boolean,
        }
    }

    /// These columns only. pandas: `columns=[...]`.
    pub fn columns<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.columns = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// What stands before the category, in place of the name of the column, as pairs of column and prefix.
    /// pandas: `prefix={...}`.
    pub fn prefixes<A: Into<String>, B: Into<String>>(
        mut self,
        pairs: impl IntoIterator<Item = (A, B)>,
    ) -> Self {
        self.prefixes = pairs.into_iter().map(|(column, prefix)| (column.into(), prefix.into())).collect();
        self
    }

    /// What stands between the two; `_` by default. pandas: `prefix_sep=...`.
    pub fn separator(mut self, separator: impl Into<String>) -> Self {
        self.separator = separator.into();
        self
    }

    /// Leaves the first category of each column out: it is the one that is none of the others.
    /// pandas: `drop_first=True`.
    pub fn drop_first(mut self) -> Self {
        self.drop_first = true;
        self
    }

    /// One more column for each, `column_null`: whether the value is null. pandas: `dummy_na=True`, called `nan` there.
    pub fn nulls(mut self) -> Self {
        self.nulls = true;
        self
    }

    /// Numbers 0 and 1 of this type instead of masks. pandas: `dtype=...`.
    pub fn data_type(mut self, data_type: DataType) -> Self {
        self.data_type = data_type;
        self
    }
}

/// One-hot encoding: the other columns first, then `column_category` for every category, in order.
pub(super) fn get_dummies(op: &'static str, frame: &DataFrame, how: &Dummies) -> Result<DataFrame> {
    let encoded = match &how.columns {
        Some(columns) => check::list(op, frame, columns)?,
        None => text_columns(op, frame)?,
    };
    if let Some((column, _)) = how.prefixes.iter().find(|(column, _)| !encoded.contains(column)) {
        check::find(op, frame, column)?;
        return Err(invalid(op, format!("`{column}` has a prefix, but is not encoded")));
    }
    if !(how.data_type.is_numeric() || how.data_type == DataType::Boolean) {
        let text = format!("0 and 1 cannot be {}", how.data_type);
        return Err(check::mismatch(op, text).with_help("give a type of numbers, or `Boolean`"));
    }
    // First every text is looked up once, as a code, then compared as a number: the second step knows nothing of
    // categories, which would be looked at for each of its columns whenever the plan is.
    let mut coded = check::all(op, frame)?;
    coded.retain(|(name, _)| !encoded.contains(name));
    let kept = coded.len();
    let code = |i: usize| format!("__trefoil_code_{i}");
    let null = |i: usize| format!("__trefoil_null_{i}");
    let mut known = Vec::new();
    for (i, name) in encoded.iter().enumerate() {
        let (column, field) = check::find(op, frame, name)?;
        text_only(op, &field)?;
        let Some(categories) = of(op, &field)? else {
            return Err(invalid(op, format!("the categories of `{name}` are not known"))
                .with_help("call `categorize().await` first: it looks at the data once"));
        };
        // null and what is no category have the code -1
        coded.push((code(i), super::cat::codes(Expr::Column(column.clone()))));
        if how.nulls {
            coded.push((null(i), Expr::Column(column).is_null()));
        }
        known.push(categories);
    }
    let coded = if encoded.is_empty() { frame.clone() } else { check::project(op, frame, coded)? };
    let mut outputs = check::all(op, &coded)?;
    outputs.truncate(kept);
    for (i, (name, categories)) in encoded.iter().zip(known).enumerate() {
        let prefix =
            how.prefixes.iter().find(|(column, _)| column == name).map_or(name, |(_, prefix)| prefix);
        let mut add = |category: &str, mask: Expr| {
            let value = match &how.data_type {
                DataType::Boolean => mask,
                other => Expr::Cast(Cast::new(Box::new(mask), other.clone())),
            };
            outputs.push((format!("{prefix}{}{category}", how.separator), value));
        };
        let code = Expr::Column(check::find(op, &coded, &code(i))?.0);
        for (category, i) in categories.iter().zip(0_i32..).skip(usize::from(how.drop_first)) {
            add(category, code.clone().eq(lit(i)));
        }
        if how.nulls {
            add("null", Expr::Column(check::find(op, &coded, &null(i))?.0));
        }
    }
    if outputs.is_empty() {
        return Err(invalid(op, "no column would be left: every column is text without a category"));
    }
    check::project(op, &coded, outputs)
}

/// Gives stacked frames the categories of all of them, for columns where every frame knows its own.
pub(super) fn merge(op: &'static str, stacked: &DataFrame, parts: &[&DataFrame]) -> Result<DataFrame> {
    let mut outputs = check::all(op, stacked)?;
    let mut changed = false;
    for (name, expr) in &mut outputs {
        let mut all = BTreeSet::new();
        let mut known = true;
        for part in parts {
            let Some(field) = check::schema(part).fields().iter().find(|f| f.name() == name) else {
                continue;
            };
            match of(op, field)? {
                Some(categories) => all.extend(categories),
                None => known = false,
            }
        }
        if known && !all.is_empty() {
            *expr = remember(op, expr.clone(), &all.into_iter().collect::<Vec<_>>())?;
            changed = true;
        }
    }
    if changed { check::project(op, stacked, outputs) } else { Ok(stacked.clone()) }
}
