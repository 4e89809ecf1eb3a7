//! Answers as Flight data: streams of frames, single batches, and errors as statuses.
//!
//! Clients know fewer layouts than the engine: texts with views and dictionaries leave as plain columns.

use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::{
    FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, IpcMessage, SchemaAsIpc, Ticket,
};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use std::pin::Pin;
use std::sync::Arc;
use tonic::{Code, Response, Status};
use trefoil_core::{Error, ErrorKind};
use trefoil_plan::DataFrame;
use trefoil_plan::arrow::array::{AsArray, RecordBatch};
use trefoil_plan::arrow::compute::cast;
use trefoil_plan::arrow::datatypes::{DataType, Schema, SchemaRef, UInt64Type};
use trefoil_plan::arrow::error::ArrowError;
use trefoil_plan::arrow::ipc::writer::IpcWriteOptions;

/// What `DoGet` answers with.
pub(crate) type Batches = Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send + 'static>>;

/// An error of trefoil as a status; the text says what, where and what to do.
#[allow(clippy::needless_pass_by_value)]
pub(crate) fn status(error: Error) -> Status {
    let code = match error.kind() {
        ErrorKind::UnknownTable | ErrorKind::NotFound => Code::NotFound,
        ErrorKind::AlreadyExists => Code::AlreadyExists,
        ErrorKind::Unsupported => Code::Unimplemented,
        ErrorKind::OutOfMemory | ErrorKind::Overloaded => Code::ResourceExhausted,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::ShutDown => Code::Unavailable,
        ErrorKind::Internal | ErrorKind::Panicked | ErrorKind::DataLost => Code::Internal,
        _ => Code::InvalidArgument,
    };
    Status::new(code, error.to_string())
}

/// The same type without views and dictionaries.
fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => plain_type(values),
        other => other.clone(),
    }
}

/// The columns as clients get them.
pub(crate) fn plain_schema(schema: &Schema) -> SchemaRef {
    let fields: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_data_type(plain_type(field.data_type())))
        .collect();
    Arc::new(Schema::new(fields))
}

fn plain(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| match column.data_type() == field.data_type() {
            true => Ok(Arc::clone(column)),
            false => cast(column, field.data_type()),
        })
        .collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// The rows of a frame as they are computed.
pub(crate) fn rows(frame: &DataFrame) -> Batches {
    let schema = plain_schema(&frame.schema());
    let over = Arc::clone(&schema);
    let batches = frame.stream().map(move |batch| {
        let batch = batch.map_err(|error| FlightError::Tonic(Box::new(status(error))))?;
        plain(&batch, &over).map_err(FlightError::from)
    });
    encoded(schema, batches)
}

/// A batch.
pub(crate) fn batch(batch: Result<RecordBatch, FlightError>) -> Result<Response<Batches>, Status> {
    let batch = batch.map_err(Status::from)?;
    Ok(Response::new(encoded(batch.schema(), futures::stream::iter([Ok(batch)]))))
}

fn encoded(
    schema: SchemaRef,
    batches: impl Stream<Item = Result<RecordBatch, FlightError>> + Send + 'static,
) -> Batches {
    FlightDataEncoderBuilder::new().with_schema(schema).build(batches).map_err(Status::from).boxed()
}

/// Says where the rows are: here, for the ticket.
pub(crate) fn info(
    descriptor: FlightDescriptor,
    schema: &Schema,
    ticket: impl Into<Bytes>,
) -> Result<Response<FlightInfo>, Status> {
    let endpoint = FlightEndpoint::new().with_ticket(Ticket { ticket: ticket.into() });
    let info = FlightInfo::new()
        .try_with_schema(schema)
        .map_err(|error| Status::internal(error.to_string()))?
        .with_endpoint(endpoint)
        .with_descriptor(descriptor);
    Ok(Response::new(info))
}

/// A schema as bytes.
pub(crate) fn schema_bytes(schema: &Schema) -> Result<Bytes, Status> {
    let options = IpcWriteOptions::default();
    let IpcMessage(bytes) = SchemaAsIpc::new(schema, &options)
        .try_into()
        .map_err(|error: ArrowError| Status::internal(error.to_string()))?;
    Ok(bytes)
}

/// The number of rows that a statement says it changed, or -1 if it says none.
pub(crate) fn changed(batches: &[RecordBatch]) -> i64 {
    let count = batches
        .iter()
        .find(|batch| batch.num_rows() == 1 && batch.num_columns() == 1)
        .and_then(|batch| batch.column(0).as_primitive_opt::<UInt64Type>().map(|column| column.value(0)));
    count.and_then(|count| i64::try_from(count).ok()).unwrap_or(-1)
}
