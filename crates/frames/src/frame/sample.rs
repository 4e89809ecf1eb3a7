//! Random rows: `sample`, of a frame or of each group, and `train_test_split`.
//!
//! A lazy frame is computed anew by everyone who asks, with any number of partitions, its batches in any
//! order. So the draw must depend on nothing but the rows and the seed: a `random()` per row would give
//! `train` and `valid` rows in common, and a row number depends on which thread came first. Here every row
//! gets a 64-bit hash of its values (Arrow's row encoding, mixed with the seed); rows with equal values have
//! equal hashes, so they are numbered, and each draws a lot: the hash of its hash and its number. Rows are put in
//! the order of their lots, and the first so many are drawn. Equal rows may change numbers, which nobody can see;
//! so the parts are always disjoint, complete and of exact size (as scikit-learn's), the copies of a row are drawn
//! apart, and splitting a part again with the same seed is still a fair draw.
//!
//! The price is two sorts (in parallel, spillable) and a second pass that counts. What is needed is a frame
//! whose rows come out the same every time; for the result of `random()`, of `head` without a sort or of
//! floating-point sums over several partitions, `persist` it first. Volatile functions are refused.

use super::asof::{self, AsOf};
use super::check::{self, invalid};
use super::expr::{Expr, ExprMethods, IntoExpr, choose, col, lit};
use crate::Seed;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, JoinType, NullEquality, ScalarValue, UnnestOptions};
use datafusion::functions_aggregate::expr_fn::{count, sum};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::functions_nested::range::gen_series;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Cast, ExprFunctionExt, LogicalPlanBuilder, WindowFrame, WindowFrameBound, WindowFrameUnits,
    scalar_subquery,
};
use std::sync::Arc;
use trefoil_plan::{DataFrame, Result, mix, plan_error, row_hash_udf};

const HASH: &str = "__trefoil_hash";
const COPY: &str = "__trefoil_copy";
const LOT: &str = "__trefoil_lot";
const WEIGHED: &str = "__trefoil_weighed";
const RANK: &str = "__trefoil_rank";
const SIZE: &str = "__trefoil_size";
const DRAW: &str = "__trefoil_draw";
const PLACE: &str = "__trefoil_place";
const TOTAL: &str = "__trefoil_total";
const BEGIN: &str = "__trefoil_begin";
const END: &str = "__trefoil_end";

/// How rows are drawn at random; for [`sample_with`](super::FrameMethods::sample_with) and
/// [`GroupBy::sample`](super::GroupBy::sample).
///
/// ```
/// use trefoil_frames::{frame::*, seed};
///
/// # let session = trefoil_plan::Session::local()?;
/// # session.block_on(async {
/// let diamonds = session.read_csv("../../examples/data/diamonds.csv").await?;
/// let resampled = diamonds.sample_with(&Draw::share(1.0, seed(7)).with_replacement())?;
/// assert_eq!(resampled.count().await?, 53_940);
/// let dear = diamonds.sample_with(&Draw::rows(100, seed(7)).weighted_by(col("price")))?;
/// assert_eq!(dear.count().await?, 100);
/// # Ok::<(), trefoil_plan::Error>(()) })?;
/// # Ok::<(), trefoil_plan::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is drawn until a frame is asked for it"]
pub struct Draw {
    wanted: Wanted,
    seed: Seed,
    replace: bool,
    weights: Option<Expr>,
}

#[derive(Clone, Copy, Debug)]
enum Wanted {
    Rows(usize),
    Share(f64),
}

impl Draw {
    /// So many rows, or all if there are fewer (with replacement always so many, of a frame that has rows).
    /// pandas: `n=...`, which is an error if there are fewer.
    pub fn rows(n: usize, seed: Seed) -> Self {
        Draw { wanted: Wanted::Rows(n), seed, replace: false, weights: None }
    }

    /// `round(fraction * rows)` rows. pandas: `frac=...`.
    pub fn share(fraction: f64, seed: Seed) -> Self {
        Draw { wanted: Wanted::Share(fraction), seed, replace: false, weights: None }
    }

    /// A row may be drawn more than once. The numbers of the draws are kept in memory, 8 bytes each.
    /// pandas: `replace=True`.
    pub fn with_replacement(mut self) -> Self {
        self.replace = true;
        self
    }

    /// Rows are drawn one after another, each with a chance in proportion to its weight among those that are left, or,
    /// with replacement, among all. A row whose weight is null, no finite number, 0 or less is never drawn.
    /// pandas: `weights=...`.
    pub fn weighted_by(mut self, weights: impl IntoExpr) -> Self {
        self.weights = Some(weights.into_expr());
        self
    }

    fn check(&self, op: &'static str) -> Result<()> {
        match self.wanted {
            Wanted::Share(fraction) if self.replace && !(fraction.is_finite() && fraction >= 0.0) => {
                Err(invalid(op, format!("the fraction is {fraction}, it must be a number from 0")))
            }
            Wanted::Share(fraction) if !self.replace => check_fraction(op, fraction),
            _ => Ok(()),
        }
    }

    /// How many rows to draw of `rows`.
    fn of(&self, rows: Expr) -> Expr {
        let wanted = match self.wanted {
            Wanted::Rows(n) => lit(n as u64),
            Wanted::Share(fraction) => datafusion::functions::expr_fn::round(vec![share(fraction, rows)]),
        };
        Expr::Cast(Cast::new(Box::new(wanted), DataType::UInt64))
    }
}

/// Rows of a frame, or of each group of it.
pub(super) fn draw(op: &'static str, frame: &DataFrame, keys: &[Expr], how: &Draw) -> Result<DataFrame> {
    how.check(op)?;
    let mut ranked = Ranked::new(op, frame, keys, how.seed)?;
    let limit = match (how.wanted, keys) {
        _ if how.replace => {
            return match &how.weights {
                Some(weights) => again_by_weight(op, frame, &ranked, weights, how),
                None => again(op, frame, &ranked, how),
            };
        }
        (Wanted::Rows(_), _) => how.of(lit(0_u64)),
        (Wanted::Share(_), []) => drawn(op, frame, how.of(col("rows")))?,
        (Wanted::Share(_), _) => {
            ranked.count(op)?;
            how.of(col(SIZE))
        }
    };
    if let Some(weights) = &how.weights {
        ranked.weigh(op, weights)?;
    }
    part(op, frame, &ranked.rank(op)?, col(RANK).lt_eq(limit))
}

pub(super) fn split(frame: &DataFrame, fraction: f64, seed: Seed) -> Result<(DataFrame, DataFrame)> {
    const OP: &str = "train_test_split";
    check_fraction(OP, fraction)?;
    let wanted = datafusion::functions::expr_fn::ceil(share(fraction, col("rows")));
    let ranked = Ranked::new(OP, frame, &[], seed)?.rank(OP)?;
    let limit = drawn(OP, frame, wanted)?;
    let train = part(OP, frame, &ranked, col(RANK).gt(limit.clone()))?;
    let test = part(OP, frame, &ranked, col(RANK).lt_eq(limit))?;
    Ok((train, test))
}

fn check_fraction(op: &'static str, fraction: f64) -> Result<()> {
    if (0.0..=1.0).contains(&fraction) {
        return Ok(());
    }
    Err(invalid(op, format!("the fraction is {fraction}, it must be between 0 and 1")))
}

fn share(fraction: f64, rows: Expr) -> Expr {
    lit(fraction) * Expr::Cast(Cast::new(Box::new(rows), DataType::Float64))
}

/// A frame with its keys and the lot of each row, to be put in the order of the lots within the keys.
struct Ranked {
    frame: DataFrame,
    keys: Vec<String>,
    seed: u64,
    order: &'static str,
}

impl Ranked {
    fn new(op: &'static str, frame: &DataFrame, keys: &[Expr], seed: Seed) -> Result<Self> {
        refuse_volatile(op, frame)?;
        let mut columns = check::all(op, frame)?;
        let mut args = vec![lit(seed.value())];
        args.extend(columns.iter().map(|(_, expr)| expr.clone()));
        columns.push((HASH.to_owned(), row_hash_udf().call(args)));
        let mut names = Vec::new();
        for (i, key) in keys.iter().enumerate() {
            let name = format!("__trefoil_key_{i}");
            columns.push((name.clone(), check::named_row(op, frame, key)?.1));
            names.push(name);
        }
        let frame = check::project(op, frame, columns)?;
        let copy = row_number().partition_by(vec![col(HASH)]).build().map_err(|e| plan_error(e, op))?;
        let mut columns = check::all(op, &frame)?;
        columns.push((LOT.to_owned(), row_hash_udf().call(vec![lit(seed.value()), col(HASH), col(COPY)])));
        let frame = window(op, &frame, copy.alias(COPY))?;
        let frame = check::project(op, &frame, columns)?;
        Ok(Ranked { frame, keys: names, seed: seed.value(), order: LOT })
    }

    fn keys(&self) -> Vec<Expr> {
        self.keys.iter().map(col).collect()
    }

    /// Only rows with a weight, ordered by `-ln(u) / weight`, where `u` is the lot as a number in 0..1: the first n
    /// are drawn as if one after another (P. Efraimidis and P. Spirakis, "Weighted random sampling with a reservoir",
    /// 2006).
    fn weigh(&mut self, op: &'static str, weights: &Expr) -> Result<()> {
        let weight = self.weight(op, weights)?;
        self.frame = filtered(op, &self.frame, weight.clone().is_not_null())?;
        let mut columns = check::all(op, &self.frame)?;
        columns.push((WEIGHED.to_owned(), lit(-1.0) * uniform(col(LOT)).ln() / weight));
        self.frame = check::project(op, &self.frame, columns)?;
        self.order = WEIGHED;
        Ok(())
    }

    /// The weight of a row; null if it is none.
    fn weight(&self, op: &'static str, weights: &Expr) -> Result<Expr> {
        let (_, weight) = check::named_row(op, &self.frame, weights)?;
        let kind = check::type_of(op, &self.frame, &weight)?;
        if check::class(&kind) != check::Class::Number {
            let text = format!("the weight `{}` is {kind}, not a number", check::plain(&weight));
            return Err(check::mismatch(op, text).with_help("convert it with `cast`"));
        }
        let weight = weight.cast(DataType::Float64);
        // `NaN` is larger than all numbers
        let is_weight = weight.clone().gt(lit(0.0)).and(weight.clone().lt(lit(f64::INFINITY)));
        Ok(choose(is_weight, weight, None))
    }

    /// Adds the number of rows with the same keys.
    fn count(&mut self, op: &'static str) -> Result<()> {
        let size = lit(1_i64).count().over(self.keys()).alias(SIZE);
        self.frame = window(op, &self.frame, size)?;
        Ok(())
    }

    /// Adds every row's place among those of its keys, from 1.
    fn rank(&self, op: &'static str) -> Result<DataFrame> {
        let rank = row_number().partition_by(self.keys()).order_by(vec![col(self.order).sort(true, false)]);
        window(op, &self.frame, rank.build().map_err(|e| plan_error(e, op))?.alias(RANK))
    }
}

/// A hash as a number in 0..1.
fn uniform(hash: Expr) -> Expr {
    (hash.cast(DataType::Float64) + lit(0.5)) * lit(2.0_f64.powi(-64))
}

fn filtered(op: &'static str, frame: &DataFrame, mask: Expr) -> Result<DataFrame> {
    let inner = frame.inner().clone().filter(mask).map_err(|e| plan_error(e, op))?;
    Ok(DataFrame::new(frame.session().clone(), inner))
}

fn window(op: &'static str, frame: &DataFrame, window: Expr) -> Result<DataFrame> {
    let plan = LogicalPlanBuilder::from(check::plan(frame))
        .window([window])
        .and_then(LogicalPlanBuilder::build)
        .map_err(|e| plan_error(e, op))?;
    Ok(check::with_plan(frame, plan))
}

/// A row for each draw of each group; its groups have the columns of their keys, [`SIZE`], and what `more` says.
fn draws(
    op: &'static str,
    frame: &DataFrame,
    ranked: &Ranked,
    how: &Draw,
    more: Option<Expr>,
) -> Result<DataFrame> {
    let fail = |e| plan_error(e, op);
    let size = count(lit(1_i64)).alias(SIZE);
    let plan = LogicalPlanBuilder::from(check::plan(&ranked.frame))
        .aggregate(ranked.keys(), std::iter::once(size).chain(more))
        .and_then(LogicalPlanBuilder::build)
        .map_err(fail)?;
    let groups = check::with_plan(frame, plan);
    // of no rows nothing is drawn
    let wanted = choose(col(SIZE).gt(lit(0_i64)), how.of(col(SIZE)), Some(lit(0_u64))).cast(DataType::Int64);
    let mut columns = check::all(op, &groups)?;
    columns.push((DRAW.to_owned(), gen_series(lit(1_i64), wanted, lit(1_i64))));
    let draws = check::project(op, &groups, columns)?;
    let options = UnnestOptions::new().with_preserve_nulls(false);
    let draws = draws.inner().clone().unnest_columns_with_options(&[DRAW], options).map_err(fail)?;
    Ok(DataFrame::new(frame.session().clone(), draws))
}

/// A number by chance for each draw, of another seed than the order of the rows.
fn chance(ranked: &Ranked) -> Expr {
    let mut args = vec![lit(mix(ranked.seed))];
    args.extend(ranked.keys().into_iter().chain([col(DRAW)]));
    row_hash_udf().call(args)
}

/// With replacement and by weight: the weights of a group's rows lie one after another on a line, and each draw hits a
/// place on it.
fn again_by_weight(
    op: &'static str,
    frame: &DataFrame,
    ranked: &Ranked,
    weights: &Expr,
    how: &Draw,
) -> Result<DataFrame> {
    let weight = ranked.weight(op, weights)?;
    let draws = draws(op, frame, ranked, how, Some(sum(weight.clone()).alias(TOTAL)))?;
    // a group without a weight has a total of null
    let draws = filtered(op, &draws, col(TOTAL).gt(lit(0.0)))?;
    let keys = ranked.keys.iter().map(|key| (key.clone(), col(key)));
    let hit = (PLACE.to_owned(), uniform(chance(ranked)) * col(TOTAL));
    let draws = check::project(op, &draws, keys.chain([hit]).collect())?;

    let rows = filtered(op, &ranked.frame, weight.clone().is_not_null())?;
    let so_far = WindowFrame::new_bounds(
        WindowFrameUnits::Rows,
        WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
        WindowFrameBound::CurrentRow,
    );
    let end = Expr::from(WindowFunction::new(sum_udaf(), vec![weight.clone()]))
        .partition_by(ranked.keys())
        .order_by(vec![col(LOT).sort(true, false)])
        .window_frame(so_far)
        .build()
        .map_err(|e| plan_error(e, op))?;
    let rows = window(op, &rows, end.alias(END))?;
    let mut columns = check::all(op, &rows)?;
    columns.retain(|(name, _)| ![HASH, LOT, END].contains(&name.as_str()));
    columns.push((BEGIN.to_owned(), col(END) - weight));
    let rows = check::project(op, &rows, columns)?;
    let how = AsOf::on_pair(PLACE, BEGIN).by(ranked.keys.clone());
    let joined = asof::join(&draws, &rows, &how)?;
    let own = |name: String| (name.clone(), col(name));
    check::project(op, &joined, check::names(op, frame)?.into_iter().map(own).collect())
}

/// With replacement: for each draw a place by chance, and the row at that place.
fn again(op: &'static str, frame: &DataFrame, ranked: &Ranked, how: &Draw) -> Result<DataFrame> {
    let fail = |e| plan_error(e, op);
    let draws = draws(op, frame, ranked, how, None)?;
    let place = chance(ranked) % col(SIZE).cast(DataType::UInt64) + lit(1_u64);
    let mut columns: Vec<_> = ranked.keys.iter().map(|key| (key.clone(), col(key))).collect();
    columns.push((PLACE.to_owned(), place));
    let draws = check::project(op, &draws, columns)?;

    let side = |relation: &'static str, more: &'static str| -> Vec<Column> {
        let names = ranked.keys.iter().map(String::as_str).chain([more]);
        names.map(|name| Column::new(Some(relation), name)).collect()
    };
    let draws = LogicalPlanBuilder::from(check::plan(&draws)).alias("draws").map_err(fail)?.build();
    let plan = LogicalPlanBuilder::from(check::plan(&ranked.rank(op)?))
        .alias("rows")
        .map_err(fail)?
        // null is a group like any other
        .join_detailed(
            draws.map_err(fail)?,
            JoinType::Inner,
            (side("rows", RANK), side("draws", PLACE)),
            None,
            NullEquality::NullEqualsNull,
        )
        .and_then(LogicalPlanBuilder::build)
        .map_err(fail)?;
    let joined = check::with_plan(frame, plan);
    let own = |name: String| (name.clone(), Expr::Column(Column::new(Some("rows"), name)));
    check::project(op, &joined, check::names(op, frame)?.into_iter().map(own).collect())
}

/// How many rows to draw, from the number of rows, as a subquery.
fn drawn(op: &'static str, frame: &DataFrame, wanted: Expr) -> Result<Expr> {
    let wanted = Expr::Cast(Cast::new(Box::new(wanted), DataType::UInt64)).alias("drawn");
    let plan = LogicalPlanBuilder::from(check::plan(frame))
        .aggregate(Vec::<Expr>::new(), [count(lit(1_i64)).alias("rows")])
        .and_then(|plan| plan.project([wanted]))
        .and_then(LogicalPlanBuilder::build)
        .map_err(|e| plan_error(e, op))?;
    Ok(scalar_subquery(Arc::new(plan)))
}

fn part(op: &'static str, frame: &DataFrame, ranked: &DataFrame, mask: Expr) -> Result<DataFrame> {
    let inner = ranked.inner().clone().filter(mask).map_err(|e| plan_error(e, op))?;
    let kept = check::names(op, frame)?.into_iter().map(|name| (name.clone(), col(name))).collect();
    check::project(op, &DataFrame::new(frame.session().clone(), inner), kept)
}

fn refuse_volatile(op: &'static str, frame: &DataFrame) -> Result<()> {
    let mut volatile = None;
    // the visitor never fails
    let _ = frame.inner().logical_plan().apply_with_subqueries(|node| {
        volatile = node.expressions().into_iter().find(Expr::is_volatile);
        Ok(if volatile.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    match volatile {
        None => Ok(()),
        Some(expr) => Err(invalid(op, format!("`{}` gives other rows every time", check::plain(&expr)))
            .with_help("`persist().await` the frame first")),
    }
}
