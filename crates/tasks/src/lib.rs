//! The tasks leaf of trefoil: functions and objects that run on an engine.
//!
//! [`#[task]`](macro@task) makes a function a task: calling it gives a [`Call`],
//! which [`Engine::spawn`] starts (and gives a [`Ref`]) or which becomes an
//! argument of other calls. [`#[actor]`](macro@actor) makes the methods of a
//! type callable through an [`ActorHandle`], one after another.
//!
//! # Examples
//!
//! ```
//! # extern crate trefoil_tasks as trefoil;
//! use trefoil_tasks::{ActorSession, Engine, Ref, actor, task};
//!
//! #[task]
//! fn get_data(i: i64) -> Vec<i64> {
//!     vec![i, i + 1, i + 2]
//! }
//!
//! #[task]
//! fn sum(xs: &[i64]) -> i64 {
//!     xs.iter().sum()
//! }
//!
//! struct Counter(i64);
//!
//! #[actor]
//! impl Counter {
//!     pub fn add(&mut self, by: i64) -> i64 {
//!         self.0 += by;
//!         self.0
//!     }
//! }
//!
//! # fn main() -> trefoil_tasks::Result<()> {
//! let engine = Engine::new()?;
//! let data: Ref<Vec<i64>> = engine.spawn(get_data(7));       // runs now
//! let total = engine.spawn(sum(&data) + sum(get_data(100))); // a graph; `sum` borrows the stored value
//! assert_eq!(total.get()?, 24 + 303);
//!
//! let counter = engine.actor(Counter(0)).spawn()?;
//! assert_eq!(counter.add(&total).get()?, 327);
//! assert_eq!(sum::run(&[1, 2]), 3);                          // the plain function
//! # Ok(())
//! # }
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod actor;
mod check;
mod codec;
pub mod group;
pub mod placement;
pub mod registry;
pub mod sync;

pub use actor::{
    Actor, ActorBuilder, ActorContext, ActorEnd, ActorHandle, ActorId, ActorPool, ActorSession, Checkpoint,
    FromFn, FromValue, Overflow, PoolIter, PoolResults, Reserved, Restart, Restarts, Timer, WeakHandle,
};
pub use check::TaskValue;
pub use trefoil_core::{
    Arg, Backoff, Call, Engine, Error, ErrorKind, IntoArg, Ref, RefStream, Result, StreamCall, TaskSpec,
};

/// # Examples
///
/// ```
/// # extern crate trefoil_tasks as trefoil;
/// use trefoil_tasks::{Call, Engine, ErrorKind, Ref, task};
///
/// #[task]
/// fn words(text: &str) -> Vec<String> {
///     text.split_whitespace().map(str::to_owned).collect()
/// }
///
/// #[task]
/// fn longest(words: &[String]) -> Option<String> {
///     words.iter().max_by_key(|word| word.len()).cloned()
/// }
///
/// #[task(retries = 2, name = "port")]
/// async fn parse_port(text: String) -> Result<u16, std::num::ParseIntError> {
///     text.parse()
/// }
///
/// # fn main() -> trefoil_tasks::Result<()> {
/// let engine = Engine::new()?;
///
/// // Start now and pass the result on: `longest` borrows the stored words.
/// let list: Ref<Vec<String>> = engine.spawn(words("a leaf of clover"));
/// let first = engine.spawn(longest(&list));
/// assert_eq!(first.get()?.as_deref(), Some("clover"));
///
/// // Or compose first and start later.
/// let graph: Call<Option<String>> = longest(words("one two three"));
/// assert_eq!(engine.block_on(engine.compute(graph))?.as_deref(), Some("three"));
///
/// // The function's own error reaches whoever asks, with its type.
/// let error = engine.spawn(parse_port("80a")).get().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::User);
/// assert!(error.downcast_ref::<std::num::ParseIntError>().is_some());
///
/// // The plain function is still there, and so is its registered name.
/// assert_eq!(words::run("x y"), ["x", "y"]);
/// assert_eq!(parse_port::NAME, "port");
/// # Ok(())
/// # }
/// ```
pub use trefoil_macros::task;

/// # Examples
///
/// ```
/// # extern crate trefoil_tasks as trefoil;
/// use std::collections::HashMap;
/// use trefoil_tasks::{ActorSession, Engine, Ref, actor, task};
///
/// /// A table of counts.
/// #[derive(Clone, Default)]
/// struct Tally {
///     counts: HashMap<String, u64>,
/// }
///
/// #[actor]
/// impl Tally {
///     /// Runs alone, in the order of the calls.
///     pub fn add(&mut self, word: String, times: u64) -> u64 {
///         let count = self.counts.entry(word).or_default();
///         *count += times;
///         *count
///     }
///
///     /// Runs beside other `&self` calls.
///     pub async fn count(&self, word: &str) -> u64 {
///         self.counts.get(word).copied().unwrap_or(0)
///     }
/// }
///
/// #[task]
/// fn length(text: &str) -> u64 {
///     text.len() as u64
/// }
///
/// # fn main() -> trefoil_tasks::Result<()> {
/// let engine = Engine::new()?;
/// let tally = engine.actor(Tally::default()).name("tally").max_restarts(3).spawn()?;
/// let counts: Vec<Ref<u64>> = (1..=3).map(|n| tally.add("leaf".to_owned(), n)).collect();
/// assert_eq!(engine.block_on(engine.gather(counts))?, [1, 3, 6]);
///
/// // Arguments may be the results of tasks; the call keeps its place until they are there.
/// assert_eq!(tally.add("leaf", length("clover")).get()?, 12);
/// assert_eq!(engine.actor_named::<Tally>("tally")?.count("leaf").get()?, 12);
/// # Ok(())
/// # }
/// ```
pub use trefoil_macros::actor;

/// What the macros name. Not for users: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use crate::actor::{Actor, MethodInfo, Port};
    pub use crate::check::{Fallible, check_value};
    pub use crate::codec::{collect_iter, collect_stream, decode, encode, encode_items, encode_ref};
    pub use crate::registry::spec_from_here;
    pub use crate::registry::{ACTORS, ActorEntry, MethodEntry, Runner, TASKS, TaskEntry, methods};
    pub use linkme;
    pub use trefoil_core::{
        Backoff, Call, Error, Input, IntoArg, Ref, RefStream, StreamCall, StreamSink, TaskSpec,
    };
}
