//! Arguments and results as bytes: postcard, one tuple for the arguments.

use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use trefoil_core::{Error, ErrorKind, Ref, RefStream, Result};

/// The bytes of `value`: a result, or a tuple of arguments.
///
/// # Errors
///
/// [`ErrorKind::MalformedData`] if the type's own `Serialize` fails.
pub fn encode<T: Serialize>(name: &'static str, value: &T) -> Result<Vec<u8>> {
    postcard::to_stdvec(value).map_err(|error| failed(name, "encode its result", error))
}

/// The value in `bytes`.
///
/// # Errors
///
/// [`ErrorKind::MalformedData`] if the bytes are not, or not only, a `T`.
pub fn decode<T: DeserializeOwned>(name: &'static str, bytes: &[u8]) -> Result<T> {
    let (value, rest) =
        postcard::take_from_bytes(bytes).map_err(|error| failed(name, "decode its arguments", error))?;
    if rest.is_empty() {
        return Ok(value);
    }
    let message = format!("{} bytes are left after the arguments", rest.len());
    Err(Error::new(ErrorKind::MalformedData, name, message))
}

/// The bytes of the value of a ref, when it is there.
pub fn encode_ref<T: Serialize + Send + Sync + 'static>(
    name: &'static str,
    reference: Ref<T>,
) -> BoxFuture<'static, Result<Vec<u8>>> {
    async move { encode(name, &*reference.value().await?) }.boxed()
}

/// The items of a streaming task that runs for another process, all of them.
pub fn collect_iter<I: Iterator, T>(items: I, each: fn(I::Item) -> Result<T>) -> Result<Vec<T>> {
    items.map(each).collect()
}

/// As [`collect_iter`] for an asynchronous stream.
pub async fn collect_stream<S: Stream, T>(items: S, each: fn(S::Item) -> Result<T>) -> Result<Vec<T>> {
    let mut items = std::pin::pin!(items);
    let mut all = Vec::new();
    while let Some(item) = items.next().await {
        all.push(each(item)?);
    }
    Ok(all)
}

fn failed(name: &'static str, what: &str, error: postcard::Error) -> Error {
    Error::new(ErrorKind::MalformedData, name, format!("cannot {what}: {error}")).with_source(error)
}

/// The bytes of all items of a stream, as a list, when they are there.
pub fn encode_items<T: Clone + Serialize + Send + Sync + 'static>(
    name: &'static str,
    mut items: RefStream<T>,
) -> BoxFuture<'static, Result<Vec<u8>>> {
    async move {
        let mut all = Vec::new();
        while let Some(item) = items.next_ref().await {
            all.push(item.await?);
        }
        encode(name, &all)
    }
    .boxed()
}
