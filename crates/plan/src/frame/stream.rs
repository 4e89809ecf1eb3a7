//! A stream of batches that may be polled from any executor and cancels its query on drop.
//!
//! The query runs on one of the engine's runtimes and sends batches through a short channel; the stream polls both the
//! channel and the query, so that a failure or a shutdown of the engine reaches the reader.

use super::DataFrame;
use super::light::light;
use super::run::{second_plan, settle};
use crate::error::{is_malformed, is_out_of_memory};
use crate::observe::Watch;
use crate::source::diagnose;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use trefoil_core::Result;

/// Batches computed ahead of the reader.
const AHEAD: usize = 2;

/// The rows of a [`DataFrame`] as they are computed: a `Stream` of `Result<RecordBatch>`.
///
/// Dropping it stops the query. After an error it ends.
#[must_use = "a stream does nothing until it is polled"]
pub struct FrameStream {
    schema: SchemaRef,
    batches: Receiver<RecordBatch>,
    query: Option<BoxFuture<'static, Result<()>>>,
}

impl FrameStream {
    pub(super) fn new(frame: &DataFrame) -> Self {
        let (sender, batches) = channel(AHEAD);
        let frame = frame.clone();
        let schema = frame.schema();
        Self { schema, batches, query: Some(pump(frame, sender).boxed()) }
    }

    /// The names and types of the columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

async fn pump(frame: DataFrame, sender: Sender<RecordBatch>) -> Result<()> {
    let session = frame.session().clone();
    let (inner, prompt) = light(&session, frame.inner().clone());
    let watch = Watch::begin(session.engine(), frame.label("stream"));
    let over = watch.clone();
    let query = over.over(async move {
        let mut sent = false;
        let first = send_all(inner.clone(), &sender, &mut sent).await;
        let result = match first {
            // A second plan may give the rows in another order, so only before the first row.
            Err(error) if is_out_of_memory(&error) && !sent => match second_plan(inner.clone()) {
                Some(second) => {
                    settle().await;
                    send_all(second, &sender, &mut sent).await
                }
                None => Err(error),
            },
            other => other,
        };
        result.map_err(|error| {
            let found = match is_malformed(&error) {
                true => diagnose::in_plan(inner.logical_plan(), "stream"),
                false => None,
            };
            (found, error)
        })
    });
    let engine = session.engine();
    let done = if prompt { engine.promptly(query).await } else { engine.on_cpu(query).await };
    let result = done.and_then(|done| {
        done.map_err(|(found, error)| found.unwrap_or_else(|| session.error(error, "stream")))
    });
    watch.end(&result);
    result
}

async fn send_all(
    frame: datafusion::dataframe::DataFrame,
    sender: &Sender<RecordBatch>,
    sent: &mut bool,
) -> datafusion::error::Result<()> {
    let mut stream = frame.execute_stream().await?;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        if batch.num_rows() == 0 {
            continue;
        }
        *sent = true;
        if sender.send(batch).await.is_err() {
            break;
        }
    }
    Ok(())
}

impl Stream for FrameStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Poll::Ready(Some(batch)) = self.batches.poll_recv(cx) {
                return Poll::Ready(Some(Ok(batch)));
            }
            let Some(query) = &mut self.query else {
                return Poll::Ready(None);
            };
            match query.poll_unpin(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => self.query = None,
                Poll::Ready(Err(error)) => {
                    self.query = None;
                    self.batches.close();
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

impl fmt::Debug for FrameStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameStream").field("running", &self.query.is_some()).finish()
    }
}
