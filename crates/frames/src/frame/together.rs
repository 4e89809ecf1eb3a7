//! Several frames computed together: what their plans have in common runs once.
//!
//! Sub-plans that occur more than once are looked for, each as large as it is common; a scan counts. Each is put
//! into the store once, with only the columns that any of the frames uses there (each plan is optimised over
//! a stand-in for the shared part to find them), and the plans then read the stored part.

use super::check;
use super::expr::{Expr, lit};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::{Cast, LogicalPlan, LogicalPlanBuilder};
use futures::future::try_join_all;
use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use trefoil_plan::{DataFrame, Result, StoredTable, plan_error};

const OP: &str = "compute_all";

/// Computes several frames together: a sub-plan that more than one of them has (a scan of the same files, a
/// common join) runs once. Gives the rows of each. Dask: `dask.compute(a, b, c)`.
///
/// # Errors
/// What running any of the frames can raise, frames of different sessions.
pub async fn compute_all<'f>(
    frames: impl IntoIterator<Item = &'f DataFrame>,
) -> Result<Vec<Vec<RecordBatch>>> {
    let shared = share_all(frames).await?;
    try_join_all(shared.iter().map(DataFrame::collect)).await
}

/// The same frames, lazy, over what they have in common, which is computed now and kept in the store.
/// Dask: `dask.optimize(a, b, c)`, `dask.persist(common)`.
///
/// # Errors
/// As [`compute_all`].
pub async fn share_all<'f>(frames: impl IntoIterator<Item = &'f DataFrame>) -> Result<Vec<DataFrame>> {
    let mut frames: Vec<DataFrame> = frames.into_iter().cloned().collect();
    let Some(first) = frames.first() else { return Ok(frames) };
    let engine = first.session().engine().id();
    if frames.iter().any(|f| f.session().engine().id() != engine) {
        return Err(check::invalid(OP, "the frames belong to different engines"));
    }
    while let Some(common) = next_common(&frames) {
        frames = share(frames, &common).await?;
    }
    Ok(frames)
}

/// Nodes below a plan, itself included; scans of the store are free and count for nothing.
fn size(plan: &LogicalPlan) -> usize {
    let mut nodes = 0;
    // the visitor never fails
    let _ = plan.apply(|node| {
        nodes += usize::from(!is_stored(node));
        Ok(TreeNodeRecursion::Continue)
    });
    nodes
}

fn is_stored(plan: &LogicalPlan) -> bool {
    let LogicalPlan::TableScan(scan) = plan else { return false };
    let Ok(provider) = source_as_provider(&scan.source) else { return false };
    let provider: &dyn TableProvider = provider.as_ref();
    (provider as &dyn Any).is::<StoredTable>()
}

/// What is worth keeping: it reads something that is not in the store, or does more than rename; and it
/// gives the same rows every time.
fn is_worth_it(plan: &LogicalPlan) -> bool {
    let (mut worth, mut steady) = (false, true);
    // the visitor never fails
    let _ = plan.apply_with_subqueries(|node| {
        worth |= match node {
            LogicalPlan::TableScan(_) => !is_stored(node),
            LogicalPlan::Aggregate(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Distinct(_) => true,
            _ => false,
        };
        steady &= !node.expressions().iter().any(Expr::is_volatile);
        Ok(TreeNodeRecursion::Continue)
    });
    worth && steady
}

/// The tables a plan reads, by their addresses: DataFusion takes scans of two tables for equal if their names
/// and columns are, and tables that are read directly have no names.
fn sources(plan: &LogicalPlan) -> Vec<usize> {
    let mut found = Vec::new();
    // the visitor never fails
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            found.push(Arc::as_ptr(&scan.source).cast::<()>() as usize);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

/// The smallest plan that is worth keeping and occurs at two places or more, so that tables are read once;
/// larger ones follow over what is kept then.
fn next_common(frames: &[DataFrame]) -> Option<LogicalPlan> {
    let mut seen: HashMap<(Vec<usize>, &LogicalPlan), usize> = HashMap::new();
    for frame in frames {
        let mut stack = vec![frame.inner().logical_plan()];
        while let Some(plan) = stack.pop() {
            let count = seen.entry((sources(plan), plan)).or_default();
            *count += 1;
            // what is below a plan seen before is as common as it, not more
            if *count == 1 {
                stack.extend(plan.inputs());
            }
        }
    }
    let common = seen.into_iter().filter(|((_, plan), count)| *count > 1 && is_worth_it(plan));
    common.map(|((_, plan), _)| plan).min_by_key(|plan| size(plan)).cloned()
}

/// Replaces a sub-plan everywhere; `None` if it is nowhere.
fn replaced(plan: LogicalPlan, old: &LogicalPlan, new: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let tables = sources(old);
    let changed = plan.transform_down(|node| {
        Ok(if node == *old && sources(&node) == tables {
            Transformed::new(new.clone(), true, TreeNodeRecursion::Jump)
        } else {
            Transformed::no(node)
        })
    });
    let changed = changed.map_err(|e| plan_error(e, OP))?;
    if !changed.transformed {
        return Ok(None);
    }
    // columns that nobody reads may be null now
    let fresh = changed.data.transform_up(|node| node.recompute_schema().map(Transformed::yes));
    fresh.map(|t| Some(t.data)).map_err(|e| plan_error(e, OP))
}

const STAND_IN: &str = "__trefoil_shared";

/// A scan of `table` under the names and qualifiers of `like`; columns it lacks are null, and never read.
fn scan(table: StoredTable, kept: &[usize], like: &LogicalPlan) -> Result<LogicalPlan> {
    let fail = |e| plan_error(e, OP);
    let scan = LogicalPlanBuilder::scan(STAND_IN, provider_as_source(Arc::new(table)), None).map_err(fail)?;
    let columns = like.schema().iter().enumerate().map(|(i, (relation, field))| {
        let value = if kept.contains(&i) {
            Expr::Column(Column::new(Some(STAND_IN), i.to_string()))
        } else {
            Expr::Cast(Cast::new(Box::new(lit(ScalarValue::Null)), field.data_type().clone()))
        };
        value.alias_qualified(relation.cloned(), field.name())
    });
    scan.project(columns.collect::<Vec<_>>()).and_then(LogicalPlanBuilder::build).map_err(fail)
}

/// The columns of a plan by their places, so that two of one name do not clash.
fn numbered(plan: &LogicalPlan, kept: &[usize]) -> Result<LogicalPlan> {
    let columns = plan.schema().columns();
    let exprs = kept.iter().filter_map(|i| Some(Expr::Column(columns.get(*i)?.clone()).alias(i.to_string())));
    LogicalPlanBuilder::from(plan.clone())
        .project(exprs.collect::<Vec<_>>())
        .and_then(LogicalPlanBuilder::build)
        .map_err(|e| plan_error(e, OP))
}

async fn share(frames: Vec<DataFrame>, common: &LogicalPlan) -> Result<Vec<DataFrame>> {
    let Some(any) = frames.first() else { return Ok(frames) };
    let width = common.schema().fields().len();
    let everything: Vec<usize> = (0..width).collect();
    let whole = check::with_plan(any, numbered(common, &everything)?);
    let stand_in = scan(StoredTable::new(whole.schema(), Vec::new()), &everything, common)?;

    // which columns the optimiser leaves in the scans of the stand-in
    let mut used: BTreeSet<usize> = BTreeSet::new();
    for frame in &frames {
        let Some(plan) = replaced(check::plan(frame), common, &stand_in)? else { continue };
        let plan = check::with_plan(frame, plan).inner().clone().into_optimized_plan();
        let plan = plan.map_err(|e| plan_error(e, OP))?;
        // the visitor never fails
        let _ = plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node
                && scan.table_name.table() == STAND_IN
            {
                used.extend(scan.projection.clone().unwrap_or_else(|| everything.clone()));
            }
            Ok(TreeNodeRecursion::Continue)
        });
    }
    // a bare count reads no column, and still needs the rows
    if used.is_empty() {
        used.insert(0);
    }
    let kept: Vec<usize> = used.into_iter().collect();
    let part = check::with_plan(any, numbered(common, &kept)?).persist().await?;
    let schema: SchemaRef = part.schema();
    let partitions = any.session().gather(part.partitions()?).await?;
    let stored = scan(StoredTable::new(schema, partitions), &kept, common)?;
    frames
        .iter()
        .map(|frame| {
            let plan = replaced(check::plan(frame), common, &stored)?;
            Ok(plan.map_or_else(|| frame.clone(), |plan| check::with_plan(frame, plan)))
        })
        .collect()
}
