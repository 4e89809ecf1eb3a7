//! Arguments of calls: values, refs or other calls on the way in, borrowed or owned values when they run.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;

use super::call::Call;
use super::fuse::Fused;
use super::launch::Launch;
use super::node::Node;
use crate::error::{Error, Result};
use crate::refs::{Ref, Task as Dependent, Value, Waiter};

/// An argument of a [`Call`].
pub enum Arg<T> {
    /// A value, known when the call is written.
    Value(T),
    /// The value of a ref, once it is there.
    Ref(Ref<T>),
    /// The result of another call, started together with this one.
    Call(Call<T>),
    /// A call that runs inside the task that takes its result.
    #[doc(hidden)]
    Fused(Fused<T>),
}

impl<T: Clone> Clone for Arg<T> {
    fn clone(&self) -> Self {
        match self {
            Arg::Value(value) => Arg::Value(value.clone()),
            Arg::Ref(reference) => Arg::Ref(reference.clone()),
            Arg::Call(call) => Arg::Call(call.clone()),
            Arg::Fused(fused) => Arg::Fused(fused.clone()),
        }
    }
}

impl<T> fmt::Debug for Arg<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Arg::Value(_) => "Arg::Value",
            Arg::Ref(_) => "Arg::Ref",
            Arg::Call(_) => "Arg::Call",
            Arg::Fused(_) => "Arg::Fused",
        })
    }
}

/// What can be given where a task takes a `T`: a value, a [`Ref`] or a [`Call`] of it.
///
/// A `String` is also taken as `&str`, a `Vec<T>` as slice or array.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given to a task that takes `{T}`",
    label = "expected `{T}`, `Ref<{T}>` or `Call<{T}>`"
)]
pub trait IntoArg<T> {
    /// The argument.
    fn into_arg(self) -> Arg<T>;
}

impl<T> IntoArg<T> for T {
    fn into_arg(self) -> Arg<T> {
        Arg::Value(self)
    }
}

impl<T> IntoArg<T> for Ref<T> {
    fn into_arg(self) -> Arg<T> {
        Arg::Ref(self)
    }
}

impl<T> IntoArg<T> for &Ref<T> {
    fn into_arg(self) -> Arg<T> {
        Arg::Ref(self.clone())
    }
}

impl<T> IntoArg<T> for Call<T> {
    fn into_arg(self) -> Arg<T> {
        Arg::Call(self)
    }
}

impl<T> IntoArg<T> for &Call<T> {
    fn into_arg(self) -> Arg<T> {
        Arg::Call(self.clone())
    }
}

impl IntoArg<String> for &str {
    fn into_arg(self) -> Arg<String> {
        Arg::Value(self.to_owned())
    }
}

impl<T: Clone> IntoArg<Vec<T>> for &[T] {
    fn into_arg(self) -> Arg<Vec<T>> {
        Arg::Value(self.to_vec())
    }
}

impl<T, const N: usize> IntoArg<Vec<T>> for [T; N] {
    fn into_arg(self) -> Arg<Vec<T>> {
        Arg::Value(self.into())
    }
}

/// An argument as the running task gets it: owned, or borrowed from a ref without a copy.
#[derive(Clone)]
pub enum Input<T> {
    /// The task's own value.
    Owned(T),
    /// The value of a ref, in place.
    Shared(Value<T>),
}

impl<T> Deref for Input<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Input::Owned(value) => value,
            Input::Shared(value) => value,
        }
    }
}

impl<T: Clone> Input<T> {
    /// The value itself: moved if this is its only holder, cloned otherwise.
    pub fn into_owned(self) -> T {
        match self {
            Input::Owned(value) => value,
            Input::Shared(value) => value.take_if_last().unwrap_or_else(|shared| T::clone(&shared)),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Input<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

mod sealed {
    pub trait Sealed {}
}

/// One argument, or a list of them, inside [`Args`].
pub trait ArgSlot: sealed::Sealed + Clone + Send + Sync + 'static {
    /// What the task gets.
    type Input: Clone + Send + 'static;

    #[doc(hidden)]
    fn nodes(&self, out: &mut Vec<Arc<dyn Node>>);
    #[doc(hidden)]
    fn external_refs(&self, out: &mut Vec<String>);
    #[doc(hidden)]
    fn launch(&mut self, launch: &Launch<'_>);
    /// Whether `subscribe` may have anything to show.
    #[doc(hidden)]
    fn reads_refs(&self) -> bool;
    #[doc(hidden)]
    fn subscribe(&self, subscriber: &mut Subscriber<'_>);
    #[doc(hidden)]
    fn resolve(self) -> Result<Self::Input>;
}

/// Registers a task or a waker with each unfinished ref.
#[doc(hidden)]
pub struct Subscriber<'a>(pub(crate) SubscriberKind<'a>);

pub(crate) enum SubscriberKind<'a> {
    /// A task that counts its dependencies; notes the failure of one that is done already.
    Task(&'a Dependent, &'a mut Option<Error>),
    /// Collects the unfinished tasks.
    Upstream(&'a mut dyn FnMut(Dependent)),
    /// Registers a waker; notes whether anything is unfinished.
    Waker(&'a std::task::Waker, &'a mut bool),
}

impl Subscriber<'_> {
    pub(crate) fn see<T>(&mut self, reference: &Ref<T>) {
        match &mut self.0 {
            SubscriberKind::Task(task, failure) => {
                task.base().add_dependency();
                if reference.cell().base().push(Arc::clone(task)).is_err() {
                    // Done already. This cannot be the last count: the registration holds one.
                    task.base().dependency_done();
                    if failure.is_none() {
                        **failure = reference.failure();
                    }
                }
            }
            SubscriberKind::Upstream(visit) => {
                if let Some(task) = reference.runnable() {
                    visit(task);
                }
            }
            SubscriberKind::Waker(waker, unfinished) => {
                let waiter = Waiter::Waker((*waker).clone());
                **unfinished |= reference.cell().base().register(waiter).is_none();
            }
        }
    }
}

impl<T: Clone + Send + Sync + 'static> sealed::Sealed for Arg<T> {}

impl<T: Clone + Send + Sync + 'static> ArgSlot for Arg<T> {
    type Input = Input<T>;

    fn nodes(&self, out: &mut Vec<Arc<dyn Node>>) {
        if let Arg::Call(call) = self {
            out.push(call.node());
        }
    }

    fn external_refs(&self, out: &mut Vec<String>) {
        if let Arg::Ref(reference) = self {
            out.push(reference.id().to_string());
        }
    }

    fn launch(&mut self, launch: &Launch<'_>) {
        if let Arg::Call(call) = self {
            *self = if call.typed().is_fused() {
                Arg::Fused(Fused::new(call, launch))
            } else {
                Arg::Ref(launch.launched(call))
            };
        }
    }

    fn reads_refs(&self) -> bool {
        !matches!(self, Arg::Value(_))
    }

    fn subscribe(&self, subscriber: &mut Subscriber<'_>) {
        match self {
            Arg::Ref(reference) => subscriber.see(reference),
            Arg::Fused(fused) => fused.subscribe(subscriber),
            Arg::Value(_) | Arg::Call(_) => {}
        }
    }

    fn resolve(self) -> Result<Input<T>> {
        match self {
            Arg::Value(value) => Ok(Input::Owned(value)),
            Arg::Ref(reference) => reference.into_value().map(Input::Shared),
            Arg::Fused(fused) => fused.run(),
            Arg::Call(_) => unreachable!("launching turns calls into refs"),
        }
    }
}

impl<T: Clone + Send + Sync + 'static> sealed::Sealed for Vec<Arg<T>> {}

impl<T: Clone + Send + Sync + 'static> ArgSlot for Vec<Arg<T>> {
    type Input = Vec<Input<T>>;

    fn nodes(&self, out: &mut Vec<Arc<dyn Node>>) {
        self.iter().for_each(|arg| arg.nodes(out));
    }

    fn external_refs(&self, out: &mut Vec<String>) {
        self.iter().for_each(|arg| arg.external_refs(out));
    }

    fn launch(&mut self, launch: &Launch<'_>) {
        self.iter_mut().for_each(|arg| arg.launch(launch));
    }

    fn reads_refs(&self) -> bool {
        self.iter().any(ArgSlot::reads_refs)
    }

    fn subscribe(&self, subscriber: &mut Subscriber<'_>) {
        self.iter().for_each(|arg| arg.subscribe(subscriber));
    }

    fn resolve(self) -> Result<Self::Input> {
        self.into_iter().map(ArgSlot::resolve).collect()
    }
}

/// The arguments of a call: a tuple of up to twelve [`ArgSlot`]s, or one list `Vec<Arg<T>>`.
pub trait Args: sealed::Sealed + Clone + Send + Sync + 'static {
    /// What the task gets: a tuple of [`Input`]s, or a list of them.
    type Inputs: Clone + Send + 'static;

    #[doc(hidden)]
    fn nodes(&self, out: &mut Vec<Arc<dyn Node>>);
    #[doc(hidden)]
    fn external_refs(&self, out: &mut Vec<String>);
    #[doc(hidden)]
    fn launch(&mut self, launch: &Launch<'_>);
    /// Whether `subscribe` may have anything to show.
    #[doc(hidden)]
    fn reads_refs(&self) -> bool;
    #[doc(hidden)]
    fn subscribe(&self, subscriber: &mut Subscriber<'_>);

    /// The values; every ref must be done (await [`Args::ready`] first).
    ///
    /// # Errors
    ///
    /// The error of the first argument that failed, unchanged.
    fn resolve(self) -> Result<Self::Inputs>;

    /// Completes when every ref among the arguments is done, failed ones included.
    fn ready(&self) -> impl Future<Output = ()> + Send {
        std::future::poll_fn(|context| {
            let mut unfinished = false;
            self.subscribe(&mut Subscriber(SubscriberKind::Waker(context.waker(), &mut unfinished)));
            if unfinished { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
        })
    }
}

impl<T: Clone + Send + Sync + 'static> Args for Vec<Arg<T>> {
    type Inputs = Vec<Input<T>>;

    fn nodes(&self, out: &mut Vec<Arc<dyn Node>>) {
        ArgSlot::nodes(self, out);
    }

    fn external_refs(&self, out: &mut Vec<String>) {
        ArgSlot::external_refs(self, out);
    }

    fn launch(&mut self, launch: &Launch<'_>) {
        ArgSlot::launch(self, launch);
    }

    fn reads_refs(&self) -> bool {
        ArgSlot::reads_refs(self)
    }

    fn subscribe(&self, subscriber: &mut Subscriber<'_>) {
        ArgSlot::subscribe(self, subscriber);
    }

    fn resolve(self) -> Result<Self::Inputs> {
        ArgSlot::resolve(self)
    }
}

macro_rules! tuples {
    ($($name:ident)*) => {
        impl<$($name: ArgSlot),*> sealed::Sealed for ($($name,)*) {}

        #[allow(non_snake_case, unused_variables, clippy::unused_unit)]
        impl<$($name: ArgSlot),*> Args for ($($name,)*) {
            type Inputs = ($($name::Input,)*);

            fn nodes(&self, out: &mut Vec<Arc<dyn Node>>) {
                let ($($name,)*) = self;
                $($name.nodes(out);)*
            }

            fn external_refs(&self, out: &mut Vec<String>) {
                let ($($name,)*) = self;
                $($name.external_refs(out);)*
            }

            fn launch(&mut self, launch: &Launch<'_>) {
                let ($($name,)*) = self;
                $($name.launch(launch);)*
            }

            fn reads_refs(&self) -> bool {
                let ($($name,)*) = self;
                false $(|| $name.reads_refs())*
            }

            fn subscribe(&self, subscriber: &mut Subscriber<'_>) {
                let ($($name,)*) = self;
                $($name.subscribe(subscriber);)*
            }

            fn resolve(self) -> Result<Self::Inputs> {
                let ($($name,)*) = self;
                Ok(($($name.resolve()?,)*))
            }
        }
    };
}

tuples!();
tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);
tuples!(A B C D E F G H I);
tuples!(A B C D E F G H I J);
tuples!(A B C D E F G H I J K);
tuples!(A B C D E F G H I J K L);
