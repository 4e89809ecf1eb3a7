//! Rows of clients: values to bind, and tables to store.
//!
//! Rows of a table go to the engine's store piece by piece, charged to its budget and spilled when memory is short.

use crate::answers::status;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::sql::server::PeekableFlightDataStream;
use arrow_flight::sql::{CommandStatementIngest, TableExistsOption, TableNotExistOption};
use futures::TryStreamExt;
use std::sync::Arc;
use tonic::{Request, Status};
use trefoil_core::{Dataset, Ref};
use trefoil_plan::Session;
use trefoil_plan::arrow::array::RecordBatch;
use trefoil_plan::arrow::datatypes::{Schema, SchemaRef};
use trefoil_sql::SqlSession;

/// Bytes of rows that become one partition.
const PIECE: usize = 16 << 20;

/// The batches that a client sends.
pub(crate) fn batches(request: Request<PeekableFlightDataStream>) -> FlightRecordBatchStream {
    // A message that only says what the rows are for has no header.
    let data = request.into_inner().try_filter(|data| std::future::ready(!data.data_header.is_empty()));
    FlightRecordBatchStream::new_from_flight_data(data.map_err(Into::into))
}

/// All of them, for values.
pub(crate) async fn all(request: Request<PeekableFlightDataStream>) -> Result<Vec<RecordBatch>, Status> {
    batches(request).try_collect().await.map_err(Status::from)
}

/// All of them in the store, and how many rows.
async fn stored(
    session: &Session,
    request: Request<PeekableFlightDataStream>,
) -> Result<(Dataset, usize), Status> {
    let mut stream = batches(request);
    let (mut parts, mut piece, mut size, mut rows) = (Vec::new(), Vec::new(), 0, 0);
    let mut schema: Option<SchemaRef> = None;
    let put = |schema: &SchemaRef, piece: Vec<RecordBatch>| {
        session.put_batches(Arc::clone(schema), piece).map(Ref::ready).map_err(status)
    };
    while let Some(batch) = stream.try_next().await? {
        let schema = schema.get_or_insert_with(|| batch.schema());
        rows += batch.num_rows();
        size += batch.get_array_memory_size();
        piece.push(batch);
        if size >= PIECE {
            parts.push(put(schema, std::mem::take(&mut piece))?);
            size = 0;
        }
    }
    let schema = schema.or_else(|| stream.schema().cloned()).unwrap_or_else(|| Arc::new(Schema::empty()));
    if !piece.is_empty() || parts.is_empty() {
        parts.push(put(&schema, piece)?);
    }
    Ok((Dataset::new(schema, parts), rows))
}

/// Makes, fills or replaces a table; gives the number of rows. `source` is a name that nobody else uses.
pub(crate) async fn table(
    session: &Session,
    ingest: &CommandStatementIngest,
    request: Request<PeekableFlightDataStream>,
    source: &str,
) -> Result<i64, Status> {
    let (exists, missing) = match &ingest.table_definition_options {
        Some(options) => (options.if_exists(), options.if_not_exist()),
        None => (TableExistsOption::Fail, TableNotExistOption::Create),
    };
    let there = session.tables().contains(&ingest.table);
    let name = format!("`{}`", ingest.table.replace('`', "``"));
    let text = match (there, exists, missing) {
        (true, TableExistsOption::Append, _) => format!("INSERT INTO {name} SELECT * FROM `{source}`"),
        (true, TableExistsOption::Replace, _) => {
            format!("CREATE OR REPLACE TABLE {name} AS SELECT * FROM `{source}`")
        }
        (true, ..) => return Err(Status::already_exists(format!("there is a table {name} already"))),
        (false, _, TableNotExistOption::Fail) => {
            return Err(Status::not_found(format!("there is no table {name}")));
        }
        (false, ..) => format!("CREATE TABLE {name} AS SELECT * FROM `{source}`"),
    };
    let (rows, count) = stored(session, request).await?;
    let frame = session.frame_from_dataset(&rows).await.map_err(status)?;
    session.register(source, &frame).map_err(status)?;
    let done = match session.sql(&text).await {
        Ok(frame) => frame.collect().await,
        Err(error) => Err(error),
    };
    session.deregister(source).map_err(status)?;
    done.map_err(status)?;
    i64::try_from(count).map_err(|_| Status::internal("more rows than a number holds"))
}
