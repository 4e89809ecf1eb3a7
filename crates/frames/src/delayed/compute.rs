//! Several results of one graph, computed together.

use std::future::Future;
use std::path::Path;

use ndarray::ArrayD;
use trefoil_core::{Arg, Call, Engine, Input, Result, TaskGraph, TaskSpec};

use crate::array::{Array, Element};

/// What can be computed: calls, arrays, and tuples or lists of those.
pub trait Computable {
    /// What computing gives.
    type Output: Clone + Send + Sync + 'static;

    /// The whole as one call.
    ///
    /// # Errors
    /// An error an array operator left behind.
    fn to_root(&self) -> Result<Call<Self::Output>>;
}

impl<T: Clone + Send + Sync + 'static> Computable for Call<T> {
    type Output = T;
    fn to_root(&self) -> Result<Call<T>> {
        Ok(self.clone())
    }
}

impl<T: Element> Computable for Array<T> {
    type Output = ArrayD<T>;
    fn to_root(&self) -> Result<Call<ArrayD<T>>> {
        self.to_call()
    }
}

impl<C: Computable + ?Sized> Computable for &C {
    type Output = C::Output;
    fn to_root(&self) -> Result<Call<C::Output>> {
        (**self).to_root()
    }
}

impl<C: Computable> Computable for Vec<C> {
    type Output = Vec<C::Output>;
    fn to_root(&self) -> Result<Call<Vec<C::Output>>> {
        let roots = self.iter().map(Computable::to_root).collect::<Result<Vec<_>>>()?;
        Ok(super::collect_calls(roots))
    }
}

macro_rules! tuple {
    ($($part:ident $value:ident),*) => {
        impl<$($part: Computable),*> Computable for ($($part,)*) {
            type Output = ($($part::Output,)*);
            fn to_root(&self) -> Result<Call<Self::Output>> {
                let ($($value,)*) = self;
                Ok(Call::new(
                    TaskSpec::new("collect"),
                    ($(Arg::Call($value.to_root()?),)*),
                    |($($value,)*): ($(Input<$part::Output>,)*)| Ok(($($value.into_owned(),)*)),
                ))
            }
        }
    };
}

tuple!(A a);
tuple!(A a, B b);
tuple!(A a, B b, C c);
tuple!(A a, B b, C c, D d);
tuple!(A a, B b, C c, D d, E e);
tuple!(A a, B b, C c, D d, E e, F f);

mod sealed {
    pub trait Sealed {}
    impl Sealed for trefoil_core::Engine {}
}

/// Adds [`compute_all`](DelayedSession::compute_all) to an engine.
pub trait DelayedSession: sealed::Sealed {
    /// Computes several calls or arrays together: what they share runs once.
    ///
    /// # Errors
    /// The first error of any part.
    ///
    /// ```
    /// use trefoil_core::Engine;
    /// use trefoil_frames::delayed::{DelayedSession, delayed};
    /// let engine = Engine::new()?;
    /// let inc = delayed("inc", |x: &i64| x + 1);
    /// let one = inc.call(0);
    /// let text = delayed("text", |x: &i64| x.to_string()).call(&one);
    /// assert_eq!(engine.block_on(engine.compute_all((one, text)))?, (1, "1".to_string()));
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    fn compute_all<C: Computable>(&self, what: C) -> impl Future<Output = Result<C::Output>> + Send;
}

impl DelayedSession for Engine {
    fn compute_all<C: Computable>(&self, what: C) -> impl Future<Output = Result<C::Output>> + Send {
        // Started here, not when awaited: `what` need not be sent to the awaiting thread.
        let started = what.to_root().map(|root| self.spawn(root));
        async move { started?.await }
    }
}

/// Writes the drawing of the graph of calls or arrays to `path`: `.svg`, `.mmd` (Mermaid) or
/// `.dot`. Returns the graph.
///
/// # Errors
/// An error an array operator left behind; a path that cannot be written or whose ending is
/// not known.
pub fn visualize<C: Computable>(what: C, path: impl AsRef<Path>) -> Result<TaskGraph> {
    let graph = what.to_root()?.graph();
    graph.save(path)?;
    Ok(graph)
}
