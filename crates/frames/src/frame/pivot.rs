//! From long to wide: `pivot_table`.
//!
//! The distinct keys of the new columns are looked up first: a plan knows its columns before it runs. Then the values
//! are aggregated per row and column of the wide table, which is one aggregation over all rows, and what comes out,
//! one value a cell, is dealt to the columns. Margins are more of the same: the values aggregated per row, per column
//! and over all, each marked as what it is.

use super::check::{self, Class, Named, class, invalid, mismatch, unify};
use super::expr::{Expr, ExprMethods, choose, col, lit};
use super::group::{Aggregation, GroupBy};
use super::{columns, join, rows};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use trefoil_plan::{DataFrame, Result, plan_error};

/// A wide table to make: rows, columns, what is in the cells; for
/// [`pivot_table_with`](super::FrameMethods::pivot_table_with).
///
/// A new column is named after its key, such as `Ideal`. Keys of several columns are joined by `_`. If there are several
/// values, or several aggregations, their names come before it: `price_Ideal`, `mean_Ideal`, `mean_price_Ideal`. The new
/// columns come by aggregation, then by value, then in the order of the keys.
///
/// ```
/// use trefoil_frames::frame::*;
///
/// # let session = trefoil_plan::Session::local()?;
/// # session.block_on(async {
/// let diamonds = session.read_csv("../../examples/data/diamonds.csv").await?;
/// let wide = Pivot::new(["color"], ["cut"])
///     .value("price", [Aggregation::Mean, Aggregation::Max])
///     .value("carat", [Aggregation::Mean])
///     .fill(lit(0))
///     .margins("All");
/// let wide = diamonds.pivot_table_with(&wide).await?;
/// assert_eq!(wide.shape().await?, (8, 1 + 3 * 6));
/// assert_eq!(wide.columns()[1], "mean_price_Fair");
/// # Ok::<(), trefoil_plan::Error>(()) })?;
/// # Ok::<(), trefoil_plan::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a pivot does nothing until a frame is asked for it"]
pub struct Pivot {
    index: Vec<String>,
    columns: Vec<String>,
    cells: Vec<(String, Aggregation)>,
    fill: Option<Expr>,
    margins: Option<String>,
}

impl Pivot {
    /// A row per distinct `index` and a column per distinct value of `columns` (or combination, of several). Rows in
    /// which one of `columns` is null belong to no column and are left out.
    /// pandas: `df.pivot_table(index=..., columns=...)`.
    pub fn new<S: Into<String>, T: Into<String>>(
        index: impl IntoIterator<Item = S>,
        columns: impl IntoIterator<Item = T>,
    ) -> Self {
        Pivot {
            index: index.into_iter().map(Into::into).collect(),
            columns: columns.into_iter().map(Into::into).collect(),
            cells: Vec::new(),
            fill: None,
            margins: None,
        }
    }

    /// Cells with aggregations of the column `name`; for several columns say it several times.
    /// pandas: `values=[...]`, `aggfunc={name: [...]}`.
    pub fn value(
        mut self,
        name: impl Into<String>,
        aggregations: impl IntoIterator<Item = Aggregation>,
    ) -> Self {
        let name = name.into();
        self.cells.extend(aggregations.into_iter().map(|how| (name.clone(), how)));
        self
    }

    /// The value of cells that would be null: those without rows, and aggregations of nothing but nulls.
    /// pandas: `fill_value=...`.
    pub fn fill(mut self, value: Expr) -> Self {
        self.fill = Some(value);
        self
    }

    /// A column of this name with the aggregation of each row, and a row with that of each column. The row has the name
    /// in its first index column if that is text, and null in the others. They are aggregated from all rows of the
    /// frame, so that the mean of a row is not the mean of its means. pandas: `margins=True, margins_name=...`.
    pub fn margins(mut self, name: impl Into<String>) -> Self {
        self.margins = Some(name.into());
        self
    }
}

/// Whether a line of the long table belongs to the row, or the column, of margins.
const MARGIN_ROW: &str = "__trefoil_margin_row";
const MARGIN_COLUMN: &str = "__trefoil_margin_column";

fn cell(i: usize) -> String {
    format!("__trefoil_cell_{i}")
}

pub(super) async fn run(op: &'static str, frame: &DataFrame, pivot: &Pivot) -> Result<DataFrame> {
    let index = check::list(op, frame, &pivot.index)?;
    let keys = check::list(op, frame, &pivot.columns)?;
    if let Some(both) = index.iter().find(|name| keys.contains(name)) {
        return Err(invalid(op, format!("`{both}` is to name the rows and the columns")));
    }
    if pivot.cells.is_empty() {
        return Err(invalid(op, "there is nothing to put into the cells")
            .with_help("name at least one column and an aggregation with `value`"));
    }
    for (name, _) in &pivot.cells {
        check::find(op, frame, name)?;
    }
    for name in &keys {
        let (_, field) = check::find(op, frame, name)?;
        if field.data_type().is_nested() {
            return Err(mismatch(op, format!("`{name}` is {}, it cannot name columns", field.data_type())));
        }
    }
    let found = distinct(op, frame, &keys).await?;
    if found.is_empty() {
        let names = keys.join("`, `");
        return Err(invalid(op, format!("`{names}` has no values, so there would be no columns")));
    }
    let long = long(op, frame, pivot, &index, &keys)?;
    wide(op, &long, pivot, &index, &keys, found)
}

/// A line per cell: the keys of its row and column, and its values.
fn long(
    op: &'static str,
    frame: &DataFrame,
    pivot: &Pivot,
    index: &[String],
    keys: &[String],
) -> Result<DataFrame> {
    let kept = rows::dropna(op, frame, keys.to_vec())?;
    let cells = || -> Vec<Named> {
        let cells = pivot.cells.iter().enumerate();
        cells.map(|(i, (name, how))| (cell(i), how.of(col(name)))).collect()
    };
    let marked = |frame: DataFrame, row: bool, column: bool| {
        let marks = vec![(MARGIN_ROW.to_owned(), lit(row)), (MARGIN_COLUMN.to_owned(), lit(column))];
        columns::with_columns(op, &frame, marks)
    };
    let inside = GroupBy::new(&kept, index.iter().chain(keys)).run(op, cells())?;
    if pivot.margins.is_none() {
        return Ok(inside);
    }
    let resolved = cells()
        .into_iter()
        .map(|(name, expr)| Ok((name, check::resolve(op, &kept, expr)?)))
        .collect::<Result<_>>()?;
    let parts = [
        marked(inside, false, false)?,
        marked(GroupBy::new(&kept, index).run(op, cells())?, false, true)?,
        marked(GroupBy::new(&kept, keys).run(op, cells())?, true, false)?,
        marked(super::group::aggregate(op, &kept, vec![], resolved)?, true, true)?,
    ];
    join::concat(op, &parts.iter().collect::<Vec<_>>())
}

fn wide(
    op: &'static str,
    long: &DataFrame,
    pivot: &Pivot,
    index: &[String],
    keys: &[String],
    found: Vec<(Vec<ScalarValue>, String)>,
) -> Result<DataFrame> {
    let margins = pivot.margins.as_ref();
    let mut by: Vec<&str> = index.iter().map(String::as_str).collect();
    // a null among the keys of the rows is a key, so the row of margins is told apart by its mark
    by.extend(margins.map(|_| MARGIN_ROW));
    let mut names = Vec::new();
    let mut outputs: Vec<Named> = Vec::new();
    for (i, prefix) in prefixes(pivot) {
        let (_, field) = check::find(op, long, &cell(i))?;
        // a cell has one line, so any of its values is the value; the largest is found fastest
        let pick: fn(Expr) -> Expr = match class(field.data_type()) {
            Class::Number | Class::Text => ExprMethods::max,
            _ => ExprMethods::first,
        };
        let mut add = |name: &str, mask: Expr| {
            names.push(format!("{prefix}{name}"));
            outputs
                .push((format!("__trefoil_out_{}", outputs.len()), pick(choose(mask, col(cell(i)), None))));
        };
        for (values, name) in &found {
            let of_key = keys.iter().zip(values).map(|(key, value)| col(key).eq(lit(value.clone())));
            let of_key = of_key.chain(margins.map(|_| !col(MARGIN_COLUMN))).reduce(Expr::and);
            add(name, of_key.unwrap_or_else(|| lit(true)));
        }
        if let Some(name) = margins {
            add(name, col(MARGIN_COLUMN));
        }
    }
    let made = GroupBy::new(long, by).run(op, outputs)?;

    let mut last: Vec<Named> = Vec::new();
    for (i, name) in index.iter().enumerate() {
        let (column, field) = check::find(op, &made, name)?;
        let mut value = Expr::Column(column);
        if let (0, Class::Text, Some(all)) = (i, class(field.data_type()), margins) {
            value = choose(col(MARGIN_ROW), lit(all.as_str()).cast(field.data_type().clone()), Some(value));
        }
        last.push((name.clone(), check::resolve(op, &made, value)?));
    }
    for (i, name) in names.into_iter().enumerate() {
        let (column, field) = check::find(op, &made, &format!("__trefoil_out_{i}"))?;
        let value = Expr::Column(column);
        let value = match &pivot.fill {
            None => value,
            Some(fill) => {
                let kind = check::type_of(op, &made, fill)?;
                if unify(field.data_type(), &kind).is_none() {
                    let text =
                        format!("`{name}` is {}, `{}` is {kind}", field.data_type(), check::plain(fill));
                    return Err(mismatch(op, text).with_help("fill with a value of the type of the cells"));
                }
                check::resolve(op, &made, value.fill_null(fill.clone()))?
            }
        };
        last.push((name, value));
    }
    check::project(op, &made, last)
}

/// The cells by aggregation and then by value, each with what comes before the keys in the names of its columns.
fn prefixes(pivot: &Pivot) -> Vec<(usize, String)> {
    let (mut values, mut hows): (Vec<&String>, Vec<Aggregation>) = (Vec::new(), Vec::new());
    for (name, how) in &pivot.cells {
        if !values.contains(&name) {
            values.push(name);
        }
        if !hows.contains(how) {
            hows.push(*how);
        }
    }
    let mut cells: Vec<_> = pivot.cells.iter().enumerate().collect();
    let place = |how: &Aggregation| hows.iter().position(|known| known == how);
    cells.sort_by_key(|(_, (_, how))| place(how));
    let prefix = |name: &String, how: Aggregation| {
        let how = if hows.len() > 1 { format!("{}_", how.name()) } else { String::new() };
        let name = if values.len() > 1 { format!("{name}_") } else { String::new() };
        format!("{how}{name}")
    };
    cells.into_iter().map(|(i, (name, how))| (i, prefix(name, *how))).collect()
}

/// The distinct keys without null, in their order, with their texts.
async fn distinct(
    op: &'static str,
    frame: &DataFrame,
    keys: &[String],
) -> Result<Vec<(Vec<ScalarValue>, String)>> {
    let fail = |e: datafusion::common::DataFusionError| plan_error(e, op);
    let kept = rows::dropna(op, &columns::select(frame, keys)?, keys.to_vec())?;
    let mut found = Vec::new();
    for batch in rows::distinct(op, &kept)?.collect().await? {
        let texts = batch.columns().iter().map(|values| cast(values, &DataType::Utf8));
        let texts = texts.collect::<std::result::Result<Vec<_>, _>>().map_err(|e| fail(e.into()))?;
        for row in 0..batch.num_rows() {
            let values = batch.columns().iter().map(|values| ScalarValue::try_from_array(values, row));
            let values = values.collect::<std::result::Result<Vec<_>, _>>().map_err(fail)?;
            let names: Vec<&str> = texts.iter().map(|texts| texts.as_string::<i32>().value(row)).collect();
            found.push((values, names.join("_")));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    Ok(found)
}

pub(super) async fn unstack(
    frame: &DataFrame,
    index: Vec<String>,
    key: &str,
    values: &str,
) -> Result<DataFrame> {
    const OP: &str = "unstack";
    let cells = index.iter().map(String::as_str).chain([key]);
    let twice = GroupBy::new(frame, cells).run(OP, vec![("n".to_owned(), lit(1_i64).count())])?;
    let twice = rows::filter(OP, &twice, col("n").gt(lit(1_i64)))?;
    if twice.count().await? > 0 {
        return Err(invalid(OP, format!("some cells have more than one value of `{values}`"))
            .with_help("`pivot_table` aggregates them"));
    }
    run(OP, frame, &Pivot::new(index, [key]).value(values, [Aggregation::First])).await
}
