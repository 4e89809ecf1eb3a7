//! Joins of two frames, and frames stacked on one another.

use super::check::{self, Named, invalid, mismatch, unify};
use super::expr::{Expr, ExprMethods, IntoExpr, lit};
use super::{categories, check::find};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
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
    /// Keys that are computed, of the left and the right frame.
    computed: Vec<(Expr, Expr)>,
    condition: Option<Expr>,
    kind: JoinKind,
    suffixes: (String, String),
}

impl Join {
    /// On columns that have the same name in both frames; they appear once in the result.
    pub fn on<S: AsRef<str>>(columns: impl IntoIterator<Item = S>, kind: JoinKind) -> Join {
        let left: Vec<String> = columns.into_iter().map(|c| c.as_ref().to_owned()).collect();
        Self::over(left.clone(), left, kind)
    }

    /// On columns with different names, as pairs of left and right; both appear in the result.
    pub fn on_pairs<L: AsRef<str>, R: AsRef<str>>(
        pairs: impl IntoIterator<Item = (L, R)>,
        kind: JoinKind,
    ) -> Join {
        let (left, right) =
            pairs.into_iter().map(|(l, r)| (l.as_ref().to_owned(), r.as_ref().to_owned())).unzip();
        Self::over(left, right, kind)
    }

    /// On pairs of expressions, the first over the left frame, the second over the right one; they are not in
    /// the result. polars: `left.join(right, left_on=[...], right_on=[...])`.
    ///
    /// ```
    /// use trefoil_frames::frame::{ExprMethods, Join, JoinKind, col};
    /// let how = Join::on_exprs([(col("name").str().lower(), col("id"))], JoinKind::Full);
    /// # let _ = how;
    /// ```
    pub fn on_exprs<L: IntoExpr, R: IntoExpr>(
        pairs: impl IntoIterator<Item = (L, R)>,
        kind: JoinKind,
    ) -> Join {
        let computed = pairs.into_iter().map(|(l, r)| (l.into_expr(), r.into_expr())).collect();
        Join { computed, ..Self::over(Vec::new(), Vec::new(), kind) }
    }

    /// On a condition alone, over the names of the result (shared names with their suffixes).
    /// polars: `left.join_where(right, condition)`, for kinds other than `Inner`, too.
    pub fn on_condition(condition: Expr, kind: JoinKind) -> Join {
        Self::over(Vec::new(), Vec::new(), kind).only_if(condition)
    }

    fn over(left: Vec<String>, right: Vec<String>, kind: JoinKind) -> Join {
        let suffixes = ("_x".to_owned(), "_y".to_owned());
        Join { left, right, computed: Vec::new(), condition: None, kind, suffixes }
    }

    /// Besides equal keys, rows must meet a condition over the names of the result to match (shared names
    /// with their suffixes; a key of one name is the left one's); rows of an outer join that match nothing
    /// stay. SQL: `LEFT JOIN ... ON a.k = b.k AND a.x < b.y`.
    #[must_use]
    pub fn only_if(mut self, condition: Expr) -> Join {
        self.condition = Some(match self.condition.take() {
            Some(before) => before.and(condition),
            None => condition,
        });
        self
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

/// The frame with computed keys as columns after its own, and their names.
fn keyed(
    op: &'static str,
    frame: &DataFrame,
    keys: impl Iterator<Item = Expr>,
) -> Result<(DataFrame, Vec<String>)> {
    let mut columns = check::all(op, frame)?;
    let mut names = Vec::new();
    for (i, key) in keys.enumerate() {
        let (_, key) = check::named_row(op, frame, key)?;
        check::no_window(op, &key)?;
        names.push(format!("{KEY}{i}"));
        columns.push((format!("{KEY}{i}"), key));
    }
    if names.is_empty() {
        return Ok((frame.clone(), names));
    }
    Ok((check::project(op, frame, columns)?, names))
}

const KEY: &str = "__trefoil_join_";

/// A condition over the names of the result, over the two sides instead.
fn between_sides(
    op: &'static str,
    left: &DataFrame,
    right: &DataFrame,
    how: &Join,
    condition: &Expr,
) -> Result<Expr> {
    let (left_names, right_names) = (check::names(op, left)?, check::names(op, right)?);
    let is_key = |name: &String| {
        how.left.iter().position(|l| l == name).is_some_and(|i| how.right.get(i) == Some(name))
    };
    let mut known: Vec<(String, Expr)> = Vec::new();
    for name in &left_names {
        let both = right_names.contains(name) && !is_key(name);
        let suffix = if both { how.suffixes.0.as_str() } else { "" };
        known.push((format!("{name}{suffix}"), side(LEFT, name)));
    }
    for name in right_names.iter().filter(|name| !is_key(name)) {
        let suffix = if left_names.contains(name) { how.suffixes.1.as_str() } else { "" };
        known.push((format!("{name}{suffix}"), side(RIGHT, name)));
    }
    // looked up, and their types checked, over a frame of both
    let pairs = cross_with(op, left, right, &how.suffixes, is_key)?;
    let checked = check::resolve(op, &pairs, condition.clone().unalias())?;
    check::row_wise(op, &checked)?;
    check::no_window(op, &checked)?;
    let kind = check::type_of(op, &pairs, &checked)?;
    if !matches!(check::class(&kind), check::Class::Mask | check::Class::Null) {
        let text = format!("`{}` is {kind}, not a mask", check::plain(&checked));
        return Err(mismatch(op, text).with_help("a condition compares columns of the two frames"));
    }
    let moved = checked.transform_up(|node| {
        Ok(match &node {
            Expr::Column(column) => match known.iter().find(|(name, _)| *name == column.name) {
                Some((_, from)) => Transformed::yes(from.clone()),
                None => Transformed::no(node),
            },
            _ => Transformed::no(node),
        })
    });
    Ok(moved.map_err(|e| plan_error(e, op))?.data)
}

pub(super) fn join(op: &'static str, left: &DataFrame, right: &DataFrame, how: &Join) -> Result<DataFrame> {
    let condition = match &how.condition {
        Some(condition) => Some(between_sides(op, left, right, how, condition)?),
        None => None,
    };
    let computed = !how.computed.is_empty();
    let ((left_keyed, left_made), (right_keyed, right_made)) = (
        keyed(op, left, how.computed.iter().map(|(l, _)| l.clone()))?,
        keyed(op, right, how.computed.iter().map(|(_, r)| r.clone()))?,
    );
    let (own_left, own_right) = (left, right);
    let (left, right) = (&left_keyed, &right_keyed);
    let (left_keys, right_keys) = match (computed, how.left.is_empty() && condition.is_some()) {
        (true, _) => (left_made, right_made),
        (false, true) => (Vec::new(), Vec::new()),
        (false, false) => (check::list(op, left, &how.left)?, check::list(op, right, &how.right)?),
    };
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
        .join(other, kind, (columns(LEFT, &left_keys), columns(RIGHT, &right_keys)), condition)
        .and_then(LogicalPlanBuilder::build)
        .map_err(|e| plan_error(e, op))?;
    let joined = check::with_plan(left, plan);

    let left_names = check::names(op, own_left)?;
    let mut outputs: Vec<Named> = Vec::new();
    if matches!(how.kind, JoinKind::Semi | JoinKind::Anti) {
        outputs.extend(left_names.into_iter().map(|name| (name.clone(), side(LEFT, &name))));
        return check::project(op, &joined, outputs);
    }
    let right_names = check::names(op, own_right)?;
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
    cross_with("cross_join", left, right, &("_x".to_owned(), "_y".to_owned()), |_| false)
}

/// All pairs of rows, under the names a join gives; keys of one name are those of the left.
fn cross_with(
    op: &'static str,
    left: &DataFrame,
    right: &DataFrame,
    suffixes: &(String, String),
    is_key: impl Fn(&String) -> bool,
) -> Result<DataFrame> {
    let other = aliased(op, right, RIGHT)?.build().map_err(|e| plan_error(e, op))?;
    let plan = aliased(op, left, LEFT)?
        .cross_join(other)
        .and_then(LogicalPlanBuilder::build)
        .map_err(|e| plan_error(e, op))?;
    let (left_names, right_names) = (check::names(op, left)?, check::names(op, right)?);
    let suffix = |name: &String, others: &[String], suffix: &str| {
        let both = others.contains(name) && !is_key(name);
        if both { format!("{name}{suffix}") } else { name.clone() }
    };
    let theirs = right_names.iter().filter(|n| !is_key(n));
    let outputs = left_names
        .iter()
        .map(|n| (suffix(n, &right_names, &suffixes.0), side(LEFT, n)))
        .chain(theirs.map(|n| (suffix(n, &left_names, &suffixes.1), side(RIGHT, n))))
        .collect();
    check::project(op, &check::with_plan(left, plan), outputs)
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
