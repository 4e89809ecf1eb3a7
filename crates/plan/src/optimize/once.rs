//! The rows of a tree of joins, made once for several places.

use super::build::Builder;
use super::common::draws;
use super::graph::{Graph, Id};
use super::join_order::tree_of;
use super::shared::{Cell, SharedExec};
use datafusion::arrow::datatypes::{Field, Fields, SchemaRef};
use datafusion::common::Result;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;

pub(super) struct Once {
    plan: Plan,
    /// Its columns in the graph.
    columns: Vec<Id>,
    cell: Arc<Cell>,
}

impl Once {
    /// The outputs of a graph, if `pays` says so of the rows that are guessed; none if rows are drawn at random, too.
    pub(super) fn of(graph: &Graph, partitions: usize, pays: impl Fn(f64) -> bool) -> Result<Option<Self>> {
        let Some((tree, placed)) = tree_of(graph).filter(|(tree, _)| pays(tree.rows)) else {
            return Ok(None);
        };
        let field = |id: &Id| -> Field {
            let (table, at) = graph.columns[*id];
            graph.tables[table].schema().field(at).clone()
        };
        let fields: Fields = graph.outputs.iter().map(field).collect();
        let plan = Builder::new(graph, &placed, partitions).build(&tree, &fields)?;
        let once = Self { plan, columns: graph.outputs.clone(), cell: Arc::default() };
        Ok((!draws(&once.plan)?).then_some(once))
    }

    /// The columns of the graph that the rows have.
    pub(super) fn columns(&self) -> &[Id] {
        &self.columns
    }

    /// The rows at one more place.
    pub(super) fn rows(&self) -> Plan {
        Arc::new(SharedExec::new(Arc::clone(&self.plan), Arc::clone(&self.cell)))
    }

    /// These columns of them under the names of `wanted`; none if there are others in there.
    pub(super) fn projected(&self, columns: &[Id], wanted: &SchemaRef) -> Result<Option<Plan>> {
        let schema = self.plan.schema();
        let items = columns.iter().zip(wanted.fields()).map(|(id, field)| {
            let at = self.columns.iter().position(|one| one == id)?;
            let expr = Arc::new(Column::new(schema.field(at).name(), at));
            Some(ProjectionExpr { expr, alias: field.name().clone() })
        });
        let Some(items) = items.collect::<Option<Vec<_>>>() else { return Ok(None) };
        let rows = ProjectionExec::try_new(items, self.rows())?;
        let is_same = rows.schema().fields() == wanted.fields();
        Ok(is_same.then(|| Arc::new(rows) as Plan))
    }
}
