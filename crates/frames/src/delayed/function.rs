//! Closures as delayed functions of one to four arguments.

use std::marker::PhantomData;
use std::sync::Arc;

use trefoil_core::{Call, Error, Input, IntoArg, Result, TaskSpec};

/// A named closure whose calls are [`Call`]s: made by [`delayed`].
pub struct Delayed<F, Params> {
    name: Arc<str>,
    f: Arc<F>,
    params: PhantomData<fn(Params)>,
}

impl<F, Params> Clone for Delayed<F, Params> {
    fn clone(&self) -> Self {
        Delayed { name: self.name.clone(), f: self.f.clone(), params: PhantomData }
    }
}

impl<F, Params> std::fmt::Debug for Delayed<F, Params> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Delayed({})", self.name)
    }
}

/// The closures that [`delayed`] takes: of one to four references, `Send + Sync + 'static`.
///
/// `Params` are the arguments' types and tell closures of different arity apart.
pub trait DelayedFn<Params>: Send + Sync + 'static {
    /// What the closure returns.
    type Output: Send + Sync + 'static;
}

/// A closure as a delayed function: its `call` composes a graph and runs nothing.
///
/// Arguments are taken by reference; values, refs and other calls may be given for them. The
/// name stands in errors and drawings.
///
/// ```
/// use trefoil_core::Engine;
/// use trefoil_frames::delayed::delayed;
/// let engine = Engine::new()?;
/// let inc = delayed("inc", |x: &i64| x + 1);
/// assert_eq!(engine.block_on(engine.compute(inc.call(inc.call(1))))?, 3);
/// # Ok::<(), trefoil_core::Error>(())
/// ```
pub fn delayed<Params, F: DelayedFn<Params>>(name: impl Into<String>, f: F) -> Delayed<F, Params> {
    Delayed { name: name.into().into(), f: Arc::new(f), params: PhantomData }
}

/// A named closure that may fail: made by [`delayed_try`].
pub struct DelayedTry<F, Params>(Delayed<F, Params>);

impl<F, Params> Clone for DelayedTry<F, Params> {
    fn clone(&self) -> Self {
        DelayedTry(self.0.clone())
    }
}

impl<F, Params> std::fmt::Debug for DelayedTry<F, Params> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The closures that [`delayed_try`] takes: as [`DelayedFn`], returning a `Result`.
pub trait DelayedTryFn<Params>: Send + Sync + 'static {
    /// What the closure returns if all is well.
    type Output: Send + Sync + 'static;
}

/// As [`delayed`] for a closure that may fail: its error becomes the call's, to be got back
/// with [`Error::downcast_ref`](trefoil_core::Error::downcast_ref).
///
/// ```
/// use trefoil_core::{Engine, ErrorKind};
/// use trefoil_frames::delayed::delayed_try;
/// let engine = Engine::new()?;
/// let parse = delayed_try("parse", |text: &String| text.parse::<i64>());
/// assert_eq!(engine.block_on(engine.compute(parse.call("7")))?, 7);
/// let error = engine.block_on(engine.compute(parse.call("x"))).unwrap_err();
/// assert!(error.downcast_ref::<std::num::ParseIntError>().is_some());
/// # Ok::<(), trefoil_core::Error>(())
/// ```
pub fn delayed_try<Params, F: DelayedTryFn<Params>>(name: impl Into<String>, f: F) -> DelayedTry<F, Params> {
    DelayedTry(Delayed { name: name.into().into(), f: Arc::new(f), params: PhantomData })
}

macro_rules! arity {
    ($($param:ident $arg:ident),*) => {
        impl<Func, Out, $($param),*> DelayedFn<($($param,)*)> for Func
        where
            Func: Fn($(&$param),*) -> Out + Send + Sync + 'static,
            Out: Send + Sync + 'static,
        {
            type Output = Out;
        }

        impl<Func, Out, $($param),*> Delayed<Func, ($($param,)*)>
        where
            Func: Fn($(&$param),*) -> Out + Send + Sync + 'static,
            Out: Send + Sync + 'static,
            $($param: Clone + Send + Sync + 'static),*
        {
            /// The call of the closure with these arguments; nothing runs yet.
            #[track_caller]
            pub fn call(&self, $($arg: impl IntoArg<$param>),*) -> Call<Out> {
                let f = self.f.clone();
                Call::new(
                    TaskSpec::new(self.name.to_string()),
                    ($($arg.into_arg(),)*),
                    move |($($arg,)*): ($(Input<$param>,)*)| Ok(f($(&$arg),*)),
                )
            }
        }

        impl<Func, Out, Fault, $($param),*> DelayedTryFn<($($param,)*)> for Func
        where
            Func: Fn($(&$param),*) -> Result<Out, Fault> + Send + Sync + 'static,
            Out: Send + Sync + 'static,
            Fault: Into<Box<dyn std::error::Error + Send + Sync>>,
        {
            type Output = Out;
        }

        impl<Func, Out, Fault, $($param),*> DelayedTry<Func, ($($param,)*)>
        where
            Func: Fn($(&$param),*) -> Result<Out, Fault> + Send + Sync + 'static,
            Out: Send + Sync + 'static,
            Fault: Into<Box<dyn std::error::Error + Send + Sync>>,
            $($param: Clone + Send + Sync + 'static),*
        {
            /// The call of the closure with these arguments; nothing runs yet.
            #[track_caller]
            pub fn call(&self, $($arg: impl IntoArg<$param>),*) -> Call<Out> {
                let f = self.0.f.clone();
                Call::new(
                    TaskSpec::new(self.0.name.to_string()),
                    ($($arg.into_arg(),)*),
                    move |($($arg,)*): ($(Input<$param>,)*)| f($(&$arg),*).map_err(Error::user),
                )
            }
        }
    };
}

arity!(A a);
arity!(A a, B b);
arity!(A a, B b, C c);
arity!(A a, B b, C c, D d);
