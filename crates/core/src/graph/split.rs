//! Several results of one call: a call of a tuple or a list taken apart into a call per part.
//!
//! The task of the whole moves its parts into slots, on the thread that made them; a part's task takes its
//! part out of its slot. Nothing is cloned, however many handles there are, and a part that nobody keeps is
//! freed while the others live on. A failure of the whole is the failure of every part, unchanged.

use std::panic::Location;
use std::sync::Arc;

use parking_lot::Mutex;

use super::args::{Arg, Input};
use super::call::Call;
use super::options::TaskSpec;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind};
use crate::refs::Ref;

type Slot<T> = Mutex<Option<T>>;

fn slot<T>(value: T) -> Slot<T> {
    Mutex::new(Some(value))
}

/// The call that takes one part out of the slots of the whole.
fn part<S, T>(
    slots: &Call<Arc<S>>,
    location: &'static Location<'static>,
    find: impl Fn(&S) -> Option<&Slot<T>> + Send + Sync + 'static,
) -> Call<T>
where
    S: Send + Sync + 'static,
    T: Send + Sync + 'static,
{
    let mut spec = TaskSpec::new("part");
    spec.location = location;
    Call::new(spec, (Arg::Call(slots.clone()),), move |(slots,): (Input<Arc<S>>,)| {
        find(&slots)
            .and_then(|slot| slot.lock().take())
            .ok_or_else(|| Error::new(ErrorKind::Internal, "split", "a part was taken twice"))
    })
}

mod sealed {
    pub trait Sealed {}
}

/// A tuple of two to eight results, each of which can have a ref of its own; see [`Engine::spawn_split`].
pub trait Split: sealed::Sealed + Clone + Send + Sync + 'static {
    /// A call for each part.
    type Calls;
    /// A ref for each part.
    type Refs;

    #[doc(hidden)]
    fn split_call(whole: Call<Self>, location: &'static Location<'static>) -> Self::Calls;
    #[doc(hidden)]
    fn spawn_calls(engine: &Engine, calls: Self::Calls) -> Self::Refs;
}

macro_rules! tuples {
    ($($name:ident $at:tt),*) => {
        impl<$($name),*> sealed::Sealed for ($($name,)*) {}

        #[allow(non_snake_case)]
        impl<$($name: Clone + Send + Sync + 'static),*> Split for ($($name,)*) {
            type Calls = ($(Call<$name>,)*);
            type Refs = ($(Ref<$name>,)*);

            fn split_call(whole: Call<Self>, location: &'static Location<'static>) -> Self::Calls {
                let slots = whole.then_in_place(|whole| {
                    let ($($name,)*) = whole.into_owned();
                    Ok(Arc::new(($(slot($name),)*)))
                });
                ($(part(&slots, location, |slots| Some(&slots.$at)),)*)
            }

            fn spawn_calls(engine: &Engine, calls: Self::Calls) -> Self::Refs {
                let ($($name,)*) = calls;
                let launch = engine.launch(&[$($name.node()),*]);
                ($(launch.launched(&$name),)*)
            }
        }
    };
}

tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

impl<T: Split> Call<T> {
    /// A call for each part of a tuple. Together they run this call once; parts are moved, never copied.
    ///
    /// # Examples
    ///
    /// ```
    /// use trefoil_core::{Call, Engine, TaskSpec};
    ///
    /// let engine = Engine::new()?;
    /// let halves = Call::new(TaskSpec::new("halves"), (), |()| Ok((vec![1, 2], vec![3])));
    /// let (left, right) = halves.split();
    /// let total = left.map("left", |xs| xs.len()) + right.map("right", |xs| xs.len());
    /// assert_eq!(engine.spawn(total).get()?, 3);
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    #[track_caller]
    pub fn split(self) -> T::Calls {
        T::split_call(self, Location::caller())
    }
}

impl<T: Clone + Send + Sync + 'static> Call<Vec<T>> {
    /// A call for each of the `count` elements of a list. Together they run this call once; elements are
    /// moved, never copied. If the list turns out to have another length, every element fails with
    /// [`ErrorKind::ShapeMismatch`].
    #[track_caller]
    pub fn split_list(self, count: usize) -> Vec<Call<T>> {
        let location = Location::caller();
        let slots = self.then_in_place(move |list| {
            let list = list.into_owned();
            if list.len() != count {
                let message = format!("{count} results were asked for, the call gave {}", list.len());
                return Err(Error::new(ErrorKind::ShapeMismatch, "split", message)
                    .with_help("a call that is split must return exactly as many values"));
            }
            Ok(Arc::new(list.into_iter().map(slot).collect::<Vec<Slot<T>>>()))
        });
        (0..count).map(|at| part(&slots, location, move |slots: &Vec<Slot<T>>| slots.get(at))).collect()
    }
}

impl Engine {
    /// Starts a call of a tuple and gives a ref for each of its parts: several returns.
    ///
    /// Parts are moved into their refs, so nothing is copied, and each is freed on its own. A failure of the
    /// call is the failure of every part.
    ///
    /// # Examples
    ///
    /// ```
    /// use trefoil_core::{Call, Engine, TaskSpec};
    ///
    /// let engine = Engine::new()?;
    /// let call = Call::new(TaskSpec::new("divide"), (), |()| Ok((7 / 2, 7 % 2)));
    /// let (quotient, remainder) = engine.spawn_split(call);
    /// assert_eq!((quotient.get()?, remainder.get()?), (3, 1));
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn_split<T: Split>(&self, call: Call<T>) -> T::Refs {
        T::spawn_calls(self, T::split_call(call, Location::caller()))
    }

    /// Starts a call of a list and gives a ref for each of its `count` elements; see [`Call::split_list`].
    ///
    /// # Examples
    ///
    /// ```
    /// use trefoil_core::{Call, Engine, TaskSpec};
    ///
    /// let engine = Engine::new()?;
    /// let call = Call::new(TaskSpec::new("squares"), (), |()| Ok((0..3000).map(|i| i * i).collect()));
    /// let squares = engine.spawn_split_list(call, 3000);
    /// assert_eq!(squares[2999].get()?, 2999 * 2999);
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn_split_list<T: Clone + Send + Sync + 'static>(
        &self,
        call: Call<Vec<T>>,
        count: usize,
    ) -> Vec<Ref<T>> {
        self.spawn_all(call.split_list(count))
    }
}
