//! Calls that give many results, one after another: items become refs as they are produced.
//!
//! The body runs as one asynchronous task and pushes items into a queue; the reader takes them out as refs.
//!
//! ```text
//!   body ──push──> queue (at most `look_ahead`) ──next──> Ref<T>, Ref<T>, …, end
//!    └──── error, panic, cancel ──> its own ref ──after the last item──> one failed ref, end
//! ```
//!
//! The body waits when the queue is full, without a thread, and goes on when half of it is read. The reader
//! looks at the queue, then whether the task is done, then at the queue once more: what was pushed before
//! the end is never lost. Dropping the reader closes the queue and cancels the task; items nobody read are
//! freed with it.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures::{Stream, StreamExt};
use parking_lot::Mutex;

use super::args::Args;
use super::call::Call;
use super::options::TaskSpec;
use crate::engine::Engine;
use crate::error::Result;
use crate::refs::Ref;
use crate::runtime::block_on;

/// How many items a stream produces ahead of its reader unless told otherwise.
const LOOK_AHEAD: usize = 64;

struct Queue<T> {
    items: VecDeque<T>,
    /// The reader is gone.
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

struct Channel<T> {
    queue: Mutex<Queue<T>>,
    look_ahead: usize,
}

impl<T> Channel<T> {
    fn new(look_ahead: usize) -> Arc<Self> {
        let queue = Queue { items: VecDeque::new(), closed: false, reader: None, writer: None };
        Arc::new(Self { queue: Mutex::new(queue), look_ahead })
    }

    /// Takes an item; wakes the writer when the queue is half empty, not for each.
    fn pop(&self) -> Option<T> {
        let mut queue = self.queue.lock();
        let item = queue.items.pop_front()?;
        let writer = if queue.items.len() <= self.look_ahead / 2 { queue.writer.take() } else { None };
        drop(queue);
        if let Some(writer) = writer {
            writer.wake();
        }
        Some(item)
    }

    fn close(&self) {
        let mut queue = self.queue.lock();
        queue.closed = true;
        let unread = std::mem::take(&mut queue.items);
        let writer = queue.writer.take();
        drop(queue);
        drop(unread);
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}

/// Where the body of a streaming call puts its items.
pub struct StreamSink<T>(Arc<Channel<T>>);

impl<T> Clone for StreamSink<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for StreamSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamSink")
    }
}

impl<T: Send + Sync + 'static> StreamSink<T> {
    /// Hands an item to the reader, waiting while the reader is `look_ahead` items behind. False if the
    /// reader is gone: the body should return.
    pub async fn push(&self, item: T) -> bool {
        let mut item = Some(item);
        poll_fn(|context| {
            let mut queue = self.0.queue.lock();
            if queue.closed {
                return Poll::Ready(false);
            }
            if queue.items.len() >= self.0.look_ahead {
                queue.writer = Some(context.waker().clone());
                return Poll::Pending;
            }
            queue.items.extend(item.take());
            let reader = queue.reader.take();
            drop(queue);
            if let Some(reader) = reader {
                reader.wake();
            }
            Poll::Ready(true)
        })
        .await
    }

    /// Pushes what an iterator gives, until it ends, fails or nobody reads.
    #[doc(hidden)]
    pub async fn feed_iter<I: Iterator>(self, items: I, each: fn(I::Item) -> Result<T>) -> Result<()> {
        for item in items {
            if !self.push(each(item)?).await {
                break;
            }
        }
        Ok(())
    }

    /// Pushes what a stream gives, until it ends, fails or nobody reads.
    #[doc(hidden)]
    pub async fn feed_stream<S: Stream>(self, items: S, each: fn(S::Item) -> Result<T>) -> Result<()> {
        let mut items = std::pin::pin!(items);
        while let Some(item) = items.next().await {
            if !self.push(each(item)?).await {
                break;
            }
        }
        Ok(())
    }
}

/// A typed call with many results that has not started; [`Engine::spawn_stream`] starts it.
///
/// Made by a `#[task(stream)]` function, or with [`StreamCall::new`].
///
/// # Examples
///
/// ```
/// use trefoil_core::{Engine, StreamCall, StreamSink, TaskSpec};
///
/// let engine = Engine::new()?;
/// let squares = StreamCall::new(TaskSpec::new("squares"), (), |(), sink: StreamSink<u64>| async move {
///     for i in 0.. {
///         if !sink.push(i * i).await {
///             break;                              // nobody reads any more
///         }
///     }
///     Ok(())
/// });
/// let mut large = engine.spawn_stream(squares.look_ahead(8)).into_iter().skip(100);
/// assert_eq!(large.next().unwrap().get()?, 10_000);
/// # Ok::<(), trefoil_core::Error>(())
/// ```
#[must_use = "a call does nothing until it is given to `spawn_stream`"]
pub struct StreamCall<T> {
    spec: TaskSpec,
    look_ahead: usize,
    start: Box<dyn FnOnce(TaskSpec, StreamSink<T>) -> Call<()> + Send>,
}

impl<T: Send + Sync + 'static> StreamCall<T> {
    /// A call of `work` with `args`, as of [`Call::new_async`]; the work pushes its items into the sink.
    pub fn new<A: Args, Fut: Future<Output = Result<()>> + Send + 'static>(
        spec: TaskSpec,
        args: A,
        work: impl Fn(A::Inputs, StreamSink<T>) -> Fut + Send + Sync + 'static,
    ) -> Self {
        let start = move |spec: TaskSpec, sink: StreamSink<T>| {
            Call::new_async(spec, args, move |inputs| work(inputs, sink.clone()))
        };
        Self { spec, look_ahead: LOOK_AHEAD, start: Box::new(start) }
    }

    /// How many items may be there before the reader takes them; 1 at least. Default 64.
    pub fn look_ahead(mut self, items: usize) -> Self {
        self.look_ahead = items.max(1);
        self
    }

    /// Changes name, cpus and the other options of the task; retries are not made, since items are out.
    pub fn options(mut self, change: impl FnOnce(TaskSpec) -> TaskSpec) -> Self {
        self.spec = change(self.spec);
        self
    }

    fn spawn(self, engine: &Engine) -> RefStream<T> {
        let channel = Channel::new(self.look_ahead);
        let Self { spec, start, .. } = self;
        let body = engine.spawn(start(spec.retries(0), StreamSink(Arc::clone(&channel))));
        RefStream { channel, body: Some(body) }
    }
}

impl<T> fmt::Debug for StreamCall<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamCall({})", self.spec.name)
    }
}

/// The results of a streaming call, a ref each: a [`Stream`] in async code, an iterator in blocking code.
///
/// A failure is one failed ref, and then the end. Dropping the stream stops the work and frees what was
/// not read; refs that were read keep their values.
#[must_use = "the work waits until its items are read, and stops when the stream is dropped"]
pub struct RefStream<T> {
    channel: Arc<Channel<T>>,
    /// The task of the body; taken when its end has been told.
    body: Option<Ref<()>>,
}

impl<T: Send + Sync + 'static> RefStream<T> {
    /// A sink and its stream; the body is named by [`fed_by`](Self::fed_by) at once.
    #[doc(hidden)]
    pub fn open(look_ahead: usize) -> (StreamSink<T>, Self) {
        let channel = Channel::new(look_ahead.max(1));
        (StreamSink(Arc::clone(&channel)), RefStream { channel, body: None })
    }

    /// The stream of what this work pushes into the sink.
    #[doc(hidden)]
    pub fn fed_by(mut self, body: Ref<()>) -> Self {
        self.body = Some(body);
        self
    }

    /// The next item, or none after the last.
    pub async fn next_ref(&mut self) -> Option<Ref<T>> {
        poll_fn(|context| self.poll_ref(context)).await
    }

    fn poll_ref(&mut self, context: &mut Context<'_>) -> Poll<Option<Ref<T>>> {
        if let Some(item) = self.channel.pop() {
            return Poll::Ready(Some(Ref::ready(item)));
        }
        let Some(body) = &self.body else { return Poll::Ready(None) };
        {
            let mut queue = self.channel.queue.lock();
            if queue.items.is_empty() {
                queue.reader = Some(context.waker().clone());
            }
        }
        let ended = body.poll_done(context).is_ready();
        // What came between the first look and the registration.
        if let Some(item) = self.channel.pop() {
            return Poll::Ready(Some(Ref::ready(item)));
        }
        if !ended {
            return Poll::Pending;
        }
        let failure = body.failure();
        self.body = None;
        Poll::Ready(failure.map(Ref::failed))
    }

    /// Stops the work. Items produced before can still be read; after them comes one ref that was cancelled.
    pub fn cancel(&self) -> bool {
        self.body.as_ref().is_some_and(Ref::cancel)
    }
}

impl<T> Drop for RefStream<T> {
    fn drop(&mut self) {
        self.channel.close();
        if let Some(body) = self.body.take() {
            body.cancel();
        }
    }
}

impl<T: Send + Sync + 'static> Stream for RefStream<T> {
    type Item = Ref<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Ref<T>>> {
        self.poll_ref(context)
    }
}

impl<T: Send + Sync + 'static> IntoIterator for RefStream<T> {
    type Item = Ref<T>;
    type IntoIter = RefIter<T>;

    fn into_iter(self) -> RefIter<T> {
        RefIter(self)
    }
}

impl<T> fmt::Debug for RefStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefStream({} ready)", self.channel.queue.lock().items.len())
    }
}

/// A [`RefStream`] as an iterator that blocks for the next item; safe in tasks.
#[must_use = "iterators are lazy; this one's work waits until its items are read"]
#[derive(Debug)]
pub struct RefIter<T>(RefStream<T>);

impl<T: Send + Sync + 'static> Iterator for RefIter<T> {
    type Item = Ref<T>;

    fn next(&mut self) -> Option<Ref<T>> {
        match self.0.channel.pop() {
            Some(item) => Some(Ref::ready(item)),
            None => block_on(self.0.next_ref()),
        }
    }
}

impl Engine {
    /// Starts a streaming call: its items become refs as they are produced, at most
    /// [`look_ahead`](StreamCall::look_ahead) of them before they are read.
    pub fn spawn_stream<T: Send + Sync + 'static>(&self, call: StreamCall<T>) -> RefStream<T> {
        call.spawn(self)
    }
}
