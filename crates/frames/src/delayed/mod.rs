//! Delayed graphs out of closures: the Dask-delayed view over core calls.
//!
//! A [`Call`] is already a delayed computation; this module adds what closures need to join
//! in ([`delayed()`], [`delayed_try`]), lists of calls as one call ([`collect_calls`]), and computing several
//! results of one graph together ([`DelayedSession::compute_all`]).
//!
//! ```
//! use trefoil_core::Engine;
//! use trefoil_frames::delayed::{collect_calls, delayed};
//!
//! let engine = Engine::new()?;
//! let inc = delayed("inc", |x: &i64| x + 1);
//! let add = delayed("add", |a: &i64, b: &i64| a + b);
//! let total = delayed("total", |xs: &Vec<i64>| xs.iter().sum::<i64>());
//!
//! let steps: Vec<_> = (0..4).map(|i| add.call(inc.call(i), 10)).collect();
//! let result = total.call(collect_calls(steps));
//! assert!(result.graph().to_mermaid().contains("total"));   // nothing has run yet
//! assert_eq!(engine.block_on(engine.compute(result))?, 50);
//! # Ok::<(), trefoil_core::Error>(())
//! ```

mod compute;
mod function;

pub use compute::{Computable, DelayedSession, visualize};
pub use function::{Delayed, DelayedFn, DelayedTry, DelayedTryFn, delayed, delayed_try};
pub use trefoil_core::Call;

use trefoil_core::{Arg, Input, IntoArg, TaskSpec};

/// Many calls (or refs, or values) as one call of the list of their results, in order.
#[track_caller]
pub fn collect_calls<T, I>(calls: I) -> Call<Vec<T>>
where
    T: Clone + Send + Sync + 'static,
    I: IntoIterator,
    I::Item: IntoArg<T>,
{
    let args: Vec<Arg<T>> = calls.into_iter().map(IntoArg::into_arg).collect();
    Call::new(TaskSpec::new("collect"), args, |inputs: Vec<Input<T>>| {
        Ok(inputs.into_iter().map(Input::into_owned).collect())
    })
}
