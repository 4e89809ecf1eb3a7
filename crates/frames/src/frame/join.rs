//! Joins of two frames, and frames stacked on one another.

use super::check::{self, Named, invalid, mismatch, unify};
use super::expr::{Expr, ExprMethods, lit};
use super::{categories, check::find};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{Cast, JoinType, LogicalPlanBuilder};
use trefoil_plan::{DataFrame, Result, plan_error};

/// Which rows a join keeps. Null keys match nothing (pandas matches them with one another).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JoinKind {
    /// Pairs of rows with equal keys. pandas: `how="inner"`.
    Inner,
    /// All rows of the left frame. pandas: `how="left"`.
    Left,
    /// All rows of the right frame. pandas: `how="right"`.
    Right,
    /// All rows of both frames. pandas: `how="outer"`.
    Full,
    /// Rows of the left frame that have a match, once each. pandas: `left[left.k.isin(right.k)]`.
    Semi,
    /// Rows of the left frame that have no match. pandas: `left[~left.k.isin(right.k)]`.
    Anti,
}

/// How two frames are joined, where [`join`](super::FrameMethods::join) is not enough.
///
/// ```
/// use trefoil_frames::frame::{Join, JoinKind};
/// let how = Join::on(["id"], JoinKind::Left).suffixes("", "_right");
/// let how = Join::on_pairs([("origin", "iata")], JoinKind::Inner);
/// # let _ = how;
/// ```
#[derive(Clone, Debug)]
pub struct Join {
    left: Vec<String>,
    right: Vec<String>,
    kind: JoinKind,
    suffixes: (String, String),
}

impl Join {
    /// On columns that have the same name in both frames; they appear once in the result.
    pub fn on<S: AsRef<str>>(columns: impl IntoIterator<Item = S>, kind: JoinKind) -> Join {
        let left: Vec<String> = columns.into_iter().map(|c| c.as_ref().to_owned()).collect();
        Join { right: left.clone(), left, kind, suffixes: ("_x".to_owned(), "_y".to_owned()) }
    }

    /// On columns with different names, as pairs of left and right; both appear in the result.
    pub fn on_pairs<L: AsRef<str>, R: AsRef<str>>(
        pairs: impl IntoIterator<Item = (L, R)>,
        kind: JoinKind,
    ) -> Join {
        let (left, right) =
            pairs.into_iter().map(|(l, r)| (l.as_ref().to_owned(), r.as_ref().to_owned())).unzip();
        Join { left, right, kind, suffixes: ("_x".to_owned(), "_y".to_owned()) }
    }

    /// What is appended to columns that both frames have and that are not keys (`_x` and `_y`).
    #[must_use]
    pub fn suffixes(mut self, left: impl Into<String>, right: impl Into<String>) -> Join {
        self.suffixes = (left.into(), right.into());
        self
    }
}

const LEFT: &str = "left";
const RIGHT: &str = "right";

fn side(relation: &str, name: &str) -> Expr {
    Expr::Column(Column::new(Some(relation), name))
}

fn aliased(op: &'static str, frame: &DataFrame, relation: &str) -> Result<LogicalPlanBuilder> {
    // a projection first: it takes off qualifiers, which may be ambiguous under one alias
    let plain = check::project(op, frame, check::all(op, frame)?)?;
    LogicalPlanBuilder::from(check::plan(&plain)).alias(relation).map_err(|e| plan_error(e, op))
}

pub(super) fn join(op: &'static str, left: &DataFrame, right: &DataFrame, how: &Join) -> Result<DataFrame> {
    let left_keys = check::list(op, left, &how.left)?;
    let right_keys = check::list(op, right, &how.right)?;
    for (l, r) in left_keys.iter().zip(&right_keys) {
        let (l_type, r_type) = (find(op, left, l)?.1, find(op, right, r)?.1);
        let (l_type, r_type) = (l_type.data_type(), r_type.data_type());
        if unify(l_type, r_type).is_none() {
            return Err(mismatch(
                op,
                format!("left `{l}` is {l_type} and right `{r}` is {r_type}: they cannot be equal"),
            )
            .with_help("convert one of them with `astype`"));
        }
    }
    let kind = match how.kind {
        JoinKind::Inner => JoinType::Inner,
        JoinKind::Left => JoinType::Left,
        JoinKind::Right => JoinType::Right,
        JoinKind::Full => JoinType::Full,
        JoinKind::Semi => JoinType::LeftSemi,
        JoinKind::Anti => JoinType::LeftAnti,
    };
    let columns = |relation: &'static str, names: &[String]| {
        names.iter().map(|name| Column::new(Some(relation), name)).collect::<Vec<_>>()
    };
    let other = aliased(op, right, RIGHT)?.build().map_err(|e| plan_error(e, op))?;
    let plan = aliased(op, left, LEFT)?
        .join(other, kind, (columns(LEFT, &left_keys), columns(RIGHT, &right_keys)), None)
        .and_then(LogicalPlanBuilder::build)
        .map_err(|e| plan_error(e, op))?;
    let joined = check::with_plan(left, plan);

    let left_names = check::names(op, left)?;
    let mut outputs: Vec<Named> = Vec::new();
    if matches!(how.kind, JoinKind::Semi | JoinKind::Anti) {
        outputs.extend(left_names.into_iter().map(|name| (name.clone(), side(LEFT, &name))));
        return check::project(op, &joined, outputs);
    }
    let right_names = check::names(op, right)?;
    let shared = |name: &String| {
        left_keys.iter().position(|l| l == name).is_some_and(|i| right_keys.get(i) == Some(name))
    };
    for name in &left_names {
        if shared(name) {
            let value = match how.kind {
                JoinKind::Right => side(RIGHT, name),
                JoinKind::Full => side(LEFT, name).fill_null(side(RIGHT, name)),
                _ => side(LEFT, name),
            };
            outputs.push((name.clone(), value));
        } else {
            let suffix = if right_names.contains(name) { how.suffixes.0.as_str() } else { "" };
            outputs.push((format!("{name}{suffix}"), side(LEFT, name)));
        }
    }
    for name in right_names.iter().filter(|name| !shared(name)) {
        let suffix = if left_names.contains(name) { how.suffixes.1.as_str() } else { "" };
        outputs.push((format!("{name}{suffix}"), side(RIGHT, name)));
    }
    check::project(op, &joined, outputs)
}

pub(super) fn cross(left: &DataFrame, right: &DataFrame) -> Result<DataFrame> {
    const OP: &str = "cross_join";
    let other = aliased(OP, right, RIGHT)?.build().map_err(|e| plan_error(e, OP))?;
    let plan = aliased(OP, left, LEFT)?
        .cross_join(other)
        .and_then(LogicalPlanBuilder::build)
        .map_err(|e| plan_error(e, OP))?;
    let (left_names, right_names) = (check::names(OP, left)?, check::names(OP, right)?);
    let suffix = |name: &String, others: &[String], suffix: &str| {
        if others.contains(name) { format!("{name}{suffix}") } else { name.clone() }
    };
    let outputs = left_names
        .iter()
        .map(|n| (suffix(n, &right_names, "_x"), side(LEFT, n)))
        .chain(right_names.iter().map(|n| (suffix(n, &left_names, "_y"), side(RIGHT, n))))
        .collect();
    check::project(OP, &check::with_plan(left, plan), outputs)
}

/// Pairs of rows for which a condition over both holds.
pub(super) fn on(left: &DataFrame, right: &DataFrame, condition: Expr) -> Result<DataFrame> {
    const OP: &str = "join_where";
    // the condition is written over the names of the result
    let pairs = cross(left, right)?;
    super::rows::filter(OP, &pairs, condition)
}

/// Stacks frames: columns are matched by name, a column that a frame lacks is null there.
pub(super) fn concat(op: &'static str, frames: &[&DataFrame]) -> Result<DataFrame> {
    let [first, rest @ ..] = frames else {
        return Err(invalid(op, "no frames given").with_help("give at least one frame"));
    };
    if rest.is_empty() {
        return Ok((*first).clone());
    }
    // the union of the columns, in the order they are first seen, each with a type that holds all
    let mut columns: Vec<(String, DataType)> = Vec::new();
    for (i, frame) in frames.iter().enumerate() {
        for name in check::names(op, frame)? {
            let found = find(op, frame, &name)?.1;
            match columns.iter_mut().find(|(known, _)| *known == name) {
                None => columns.push((name, found.data_type().clone())),
                Some((_, known)) => match unify(known, found.data_type()) {
                    Some(wider) => *known = wider,
                    None => {
                        let text =
                            format!("`{name}` is {known} before frame {i} and {} in it", found.data_type());
                        return Err(
                            mismatch(op, text).with_help("convert with `astype`, or `rename` one of them")
                        );
                    }
                },
            }
        }
    }
    let mut plan: Option<LogicalPlanBuilder> = None;
    for frame in frames {
        let present = check::names(op, frame)?;
        let mut outputs = Vec::new();
        for (name, wanted) in &columns {
            let expr = if present.contains(name) {
                let (column, field) = find(op, frame, name)?;
                if field.data_type() == wanted {
                    Expr::Column(column)
                } else {
                    cast(Expr::Column(column), wanted)
                }
            } else {
                cast(lit(ScalarValue::Null), wanted)
            };
            outputs.push((name.clone(), expr));
        }
        let aligned = check::plan(&check::project(op, frame, outputs)?);
        plan = Some(match plan {
            None => LogicalPlanBuilder::from(aligned),
            Some(so_far) => so_far.union(aligned).map_err(|e| plan_error(e, op))?,
        });
    }
    let Some(plan) = plan else { return Ok((*first).clone()) };
    let stacked = check::with_plan(first, plan.build().map_err(|e| plan_error(e, op))?);
    categories::merge(op, &stacked, frames)
}

fn cast(expr: Expr, to: &DataType) -> Expr {
    Expr::Cast(Cast::new(Box::new(expr), to.clone()))
}
