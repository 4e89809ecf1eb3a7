//! Rust code over the batches of a frame, as a lazy step of its plan.
//!
//! The frame below is planned by itself, with all of its columns, because code may look at any of them; what it
//! gives flows through the code batch by batch, in the streams and in the order it comes, so nothing is gathered
//! and a reader that is slow slows the source. Results are checked against the columns that were declared, or
//! that a dry run on a batch without rows gave.

use super::DataFrame;
use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, project_schema};
use datafusion::error::Result as PlanResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, displayable,
};
use futures::StreamExt;
use std::fmt;
use std::sync::Arc;
use trefoil_core::{Error, ErrorKind, Result};

type Work = Arc<dyn Fn(RecordBatch) -> Result<RecordBatch> + Send + Sync>;

impl DataFrame {
    /// Runs Rust code on every batch when the frame runs, as a step of the plan like any other. The columns of
    /// the result are found by a dry run on a batch without rows. Dask: `ddf.map_partitions(f)`, whose `meta`
    /// comes from a dry run on made-up rows.
    ///
    /// ```
    /// use trefoil_plan::{Error, Session};
    ///
    /// let session = Session::local()?;
    /// session.block_on(async {
    ///     let diamonds = session.read_csv("../../examples/data/diamonds.csv").await?;
    ///     let first = diamonds.map_batches(|batch| Ok::<_, Error>(batch.project(&[0]).map_err(Error::user)?))?;
    ///     assert_eq!(first.columns(), ["carat"]);
    ///     assert_eq!(first.count().await?, 53_940);
    ///     Ok::<(), Error>(())
    /// })?;
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::User`] when the dry run fails ([`map_batches_as`](DataFrame::map_batches_as) does without);
    /// when the frame runs: the error of the closure, and [`ErrorKind::TypeMismatch`] for a batch with other
    /// columns.
    pub fn map_batches<F, E>(&self, work: F) -> Result<DataFrame>
    where
        F: Fn(RecordBatch) -> Result<RecordBatch, E> + Send + Sync + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let dry = work(RecordBatch::new_empty(self.schema())).map_err(Error::user)?;
        let schema = dry.schema().as_ref().clone();
        self.map_batches_as(schema, work)
    }

    /// As [`map_batches`](DataFrame::map_batches), with the columns of the result declared: nothing runs now.
    ///
    /// # Errors
    /// When the frame runs, as [`map_batches`](DataFrame::map_batches).
    pub fn map_batches_as<F, E>(&self, columns: Schema, work: F) -> Result<DataFrame>
    where
        F: Fn(RecordBatch) -> Result<RecordBatch, E> + Send + Sync + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let nullable = columns.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let schema =
            Arc::new(Schema::new_with_metadata(nullable.collect::<Vec<_>>(), columns.metadata().clone()));
        let declared = Arc::clone(&schema);
        let work: Work = Arc::new(move |batch| {
            let result = work(batch).map_err(Error::user)?;
            fit(&declared, result)
        });
        let table = Mapped { input: self.inner().logical_plan().clone(), schema, work };
        let frame = self.session().context().read_table(Arc::new(table));
        let frame = frame.map_err(|error| self.session().error(error, "map_batches"))?;
        Ok(DataFrame::new(self.session().clone(), frame))
    }
}

/// The result of the code under the declared schema.
fn fit(declared: &SchemaRef, batch: RecordBatch) -> Result<RecordBatch> {
    let found = batch.schema();
    let same = found.fields().len() == declared.fields().len()
        && found
            .fields()
            .iter()
            .zip(declared.fields())
            .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type());
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    if same
        && let Ok(batch) =
            RecordBatch::try_new_with_options(Arc::clone(declared), batch.columns().to_vec(), &options)
    {
        return Ok(batch);
    }
    let text = |schema: &Schema| {
        let fields = schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type()));
        fields.collect::<Vec<_>>().join(", ")
    };
    let message = format!("the columns are ({}), the closure gave ({})", text(declared), text(&found));
    Err(Error::new(ErrorKind::TypeMismatch, "map_batches", message)
        .with_help("give the same columns for every batch, also for one without rows"))
}

/// A frame with code over it, as a table.
struct Mapped {
    input: LogicalPlan,
    schema: SchemaRef,
    work: Work,
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mapped({})", self.input.display())
    }
}

#[async_trait]
impl TableProvider for Mapped {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let input = state.create_physical_plan(&self.input).await?;
        let schema = project_schema(&self.schema, projection)?;
        let projection = projection.cloned();
        Ok(Arc::new(MapExec::new(input, schema, projection, Arc::clone(&self.work))))
    }
}

/// The code over what an operator gives.
struct MapExec {
    input: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    projection: Option<Vec<usize>>,
    work: Work,
    properties: Arc<PlanProperties>,
}

impl MapExec {
    fn new(
        input: Arc<dyn ExecutionPlan>,
        schema: SchemaRef,
        projection: Option<Vec<usize>>,
        work: Work,
    ) -> Self {
        let count = input.output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(count),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { input, schema, projection, work, properties: Arc::new(properties) }
    }
}

impl fmt::Debug for MapExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MapExec({:?})", self.input)
    }
}

impl DisplayAs for MapExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MapBatchesExec: closure over {}", displayable(self.input.as_ref()).one_line())
    }
}

impl ExecutionPlan for MapExec {
    fn name(&self) -> &str {
        "MapBatchesExec"
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    /// None to others: the plan below is optimised already, and must not be a second time.
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> PlanResult<TreeNodeRecursion>,
    ) -> PlanResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> PlanResult<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let (work, projection) = (Arc::clone(&self.work), self.projection.clone());
        let mapped = input.map(move |batch| {
            let result = work(batch?).map_err(|error| DataFusionError::External(Box::new(error)))?;
            Ok(match &projection {
                Some(columns) => result.project(columns)?,
                None => result,
            })
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), mapped)))
    }
}
