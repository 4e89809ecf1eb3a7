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
pub mod registry;

pub use actor::{Actor, ActorBuilder, ActorEnd, ActorHandle, ActorId, ActorSession, FromFn, FromValue};
pub use check::TaskValue;
pub use trefoil_core::{Arg, Call, Engine, Error, ErrorKind, IntoArg, Ref, Result, TaskSpec};
pub use trefoil_macros::{actor, task};

/// What the macros name. Not for users: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use crate::actor::{Actor, Port};
    pub use crate::check::{Fallible, check_value};
    pub use crate::codec::{decode, encode, encode_ref};
    pub use crate::registry::spec as task_spec;
    pub use crate::registry::{ACTORS, ActorEntry, MethodEntry, Runner, TASKS, TaskEntry, methods};
    pub use linkme;
    pub use trefoil_core::{Call, Error, Input, IntoArg, Ref};
}
