//! Numbers into intervals: `cut` by edges, `qcut` by quantiles.

use super::check::{self, Class, class, invalid};
use super::expr::{Expr, ExprMethods, cases, col, lit};
use super::{columns, summary};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use trefoil_plan::{DataFrame, Result, plan_error};

/// Intervals between edges; what is in none of them is null.
///
/// ```
/// use trefoil_frames::frame::{Cut, ExprMethods, col};
/// let sizes = Cut::new(&[0.0, 0.5, 1.0, 10.0]).labels(["small", "middle", "large"]);
/// let expr = sizes.of(col("carat")).alias("size");
/// # let _ = expr;
/// ```
#[derive(Clone, Debug)]
#[must_use = "intervals give a column when they are asked for one, with `of`"]
pub struct Cut {
    edges: Vec<f64>,
    labels: Option<Vec<String>>,
    right: bool,
    include_lowest: bool,
}

impl Cut {
    /// Intervals between neighbouring edges, open at the left and closed at the right. Edges are sorted.
    pub fn new(edges: &[f64]) -> Self {
        let mut edges = edges.to_vec();
        edges.sort_by(f64::total_cmp);
        Cut { edges, labels: None, right: true, include_lowest: false }
    }

    /// Names instead of intervals; intervals without a name are null. pandas: `labels=[...]`.
    pub fn labels<S: Into<String>>(mut self, labels: impl IntoIterator<Item = S>) -> Self {
        self.labels = Some(labels.into_iter().map(Into::into).collect());
        self
    }

    /// Closed at the left and open at the right instead. pandas: `right=False`.
    pub fn left(mut self) -> Self {
        self.right = false;
        self
    }

    /// The first interval is closed at both ends. pandas: `include_lowest=True`.
    pub fn include_lowest(mut self) -> Self {
        self.include_lowest = true;
        self
    }

    fn masks(&self, value: &Expr) -> Vec<(Expr, f64, f64)> {
        let pairs = self.edges.windows(2).enumerate();
        pairs
            .filter_map(|(i, pair)| {
                let [low, high] = *pair else { return None };
                let value = || value.clone().cast(DataType::Float64);
                let mask = match self.right {
                    true if i == 0 && self.include_lowest => {
                        value().gt_eq(lit(low)).and(value().lt_eq(lit(high)))
                    }
                    true => value().gt(lit(low)).and(value().lt_eq(lit(high))),
                    false => value().gt_eq(lit(low)).and(value().lt(lit(high))),
                };
                Some((mask, low, high))
            })
            .collect()
    }

    /// The interval or label of each value, as text. pandas: `pd.cut(s, edges, ...)`.
    pub fn of(&self, value: Expr) -> Expr {
        let named = self.masks(&value).into_iter().enumerate().filter_map(|(i, (mask, low, high))| {
            let name = match &self.labels {
                Some(labels) => labels.get(i)?.clone(),
                None if self.right => format!("({low}, {high}]"),
                None => format!("[{low}, {high})"),
            };
            Some((mask, lit(name)))
        });
        cases(named.collect::<Vec<_>>(), None)
    }

    /// The number of the interval of each value, from 0. pandas: `pd.cut(s, edges, labels=False)`.
    pub fn index_of(&self, value: Expr) -> Expr {
        let numbered = self.masks(&value).into_iter().zip(0_i64..).map(|((mask, _, _), i)| (mask, lit(i)));
        cases(numbered.collect::<Vec<_>>(), None)
    }
}

pub(super) async fn qcut(frame: &DataFrame, column: &str, bins: usize, name: &str) -> Result<DataFrame> {
    const OP: &str = "qcut";
    let (_, field) = check::find(OP, frame, column)?;
    if class(field.data_type()) != Class::Number {
        let text = format!("`{column}` is {}, not a number", field.data_type());
        return Err(check::mismatch(OP, text).with_help("convert with `astype` first"));
    }
    if bins == 0 {
        return Err(invalid(OP, "there is at least one bin"));
    }
    let value = || col(column).cast(DataType::Float64);
    let outputs = (0..=bins).map(|i| (i.to_string(), value().quantile(i as f64 / bins as f64))).collect();
    let row = summary::one_row(OP, frame, outputs).await?;
    let mut edges = Vec::new();
    for array in row.columns() {
        let array = cast(array, &DataType::Float64).map_err(|e| plan_error(e.into(), OP))?;
        edges.extend(array.as_primitive::<Float64Type>().iter().flatten());
    }
    if let Some(pair) = edges.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(invalid(OP, format!("two quantiles of `{column}` are {}", pair[0]))
            .with_help("use fewer bins, or `cut` with edges of your own"));
    }
    let bin = Cut::new(&edges).include_lowest().index_of(col(column));
    let bin = check::resolve(OP, frame, bin)?;
    columns::with_columns(OP, frame, vec![(name.to_owned(), bin)])
}
