//! What a query costs before its rows: a count and a sum of a thousand rows, through trefoil in both dialects and
//! through plain DataFusion.

use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use trefoil_plan::{Dialect, Session};
use trefoil_sql::SqlSession;

use crate::Result;
use crate::arguments::Arguments;
use crate::measure::Case;
use crate::report::Report;

const QUERY: &str = "SELECT count(*), sum(a) FROM small";

pub fn run(arguments: &Arguments, report: &mut Report) -> Result<()> {
    const NAME: &str = "trivial_query";
    if !arguments.wants_case(NAME) {
        return Ok(());
    }
    let column = Arc::new(Int64Array::from_iter_values(0..1000)) as _;
    let batch = RecordBatch::try_from_iter([("a", column)])?;
    let session = |dialect| -> Result<Session> {
        let session = Session::builder().workers(arguments.workers).dialect(dialect).build()?;
        session.register("small", &session.frame_from_batches(vec![batch.clone()])?)?;
        Ok(session)
    };
    let (spark, native) = (session(Dialect::Spark)?, session(Dialect::DataFusion)?);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(arguments.workers).enable_all().build()?;
    let plain =
        SessionContext::new_with_config(SessionConfig::new().with_target_partitions(arguments.workers));
    plain.register_table("small", Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?))?;
    let ask = |session: &Session| -> Result<()> {
        session.block_on(async { session.sql(QUERY).await?.collect().await })?;
        Ok(())
    };
    Case::latency(NAME, 50)
        .peer("trefoil", || ask(&spark))
        .peer("trefoil-native", || ask(&native))
        .peer("datafusion", || {
            // Spawned, as a server does it, so that its operators' thread is not the caller's.
            let context = plain.clone();
            let rows = runtime.spawn(async move { context.sql(QUERY).await?.collect().await });
            runtime.block_on(rows)??;
            Ok(())
        })
        .run(arguments, report)
}
