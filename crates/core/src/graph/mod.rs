//! Deferred calls and the graphs they form.
//!
//! A [`Call`] is a typed call that has not started; its arguments may be values, refs or other calls, so it
//! is also a graph. [`Engine::spawn`](crate::Engine::spawn) turns each node into a task: arguments that are
//! calls become refs, refs become dataflow edges, and a task starts when its last edge is done.
//! [`TaskGraph`] is the untyped picture of it: for drawing, ordering and finding cycles.

mod args;
mod call;
mod dag;
mod draw;
mod fuse;
mod jobs;
mod kernel;
mod launch;
mod node;
mod ops;
mod options;
mod split;
mod stream;
mod task_graph;
mod then;

pub use args::{Arg, ArgSlot, Args, Input, IntoArg};
pub(crate) use args::{Subscriber, SubscriberKind};
pub use call::Call;
pub use dag::Dag;
pub(crate) use jobs::{Closure, FnJob, MapJob};
pub(crate) use launch::{Launch, launch_all, spawn_call, spawn_calls, start, start_all};
pub(crate) use node::Node;
pub(crate) use options::RetryIf;
pub use options::TaskSpec;
pub use split::Split;
pub use stream::{RefIter, RefStream, StreamCall, StreamSink};
pub use task_graph::{NodeKind, TaskGraph};
