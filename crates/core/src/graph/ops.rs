//! Operators and look-ups on calls: `a + b`, `2 * a`, `list.at(3)` are calls too.
//!
//! The other side of an operator is whatever a task would take: a value, a ref or a call. `&call` works too,
//! so that a call can be used in several places, where it still runs once.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::hash::{BuildHasher, Hash};
use std::ops::{Add, Div, Mul, Neg, Rem, Sub};

use super::args::{Arg, Input, IntoArg};
use super::call::Call;
use super::options::TaskSpec;
use crate::error::{Error, ErrorKind, Result};

/// The call of `work` on two values.
#[track_caller]
fn binary<A, B, O>(name: &'static str, (left, right): (Arg<A>, Arg<B>), work: fn(A, B) -> O) -> Call<O>
where
    A: Clone + Send + Sync + 'static,
    B: Clone + Send + Sync + 'static,
    O: Send + Sync + 'static,
{
    Call::new(TaskSpec::new(name), (left, right), move |(left, right): (Input<A>, Input<B>)| {
        Ok(work(left.into_owned(), right.into_owned()))
    })
}

macro_rules! operator {
    ($trait:ident, $method:ident, $name:literal) => {
        impl<T, V, O> $trait<V> for Call<T>
        where
            V: IntoArg<T>,
            T: $trait<Output = O> + Clone + Send + Sync + 'static,
            O: Send + Sync + 'static,
        {
            type Output = Call<O>;

            #[track_caller]
            fn $method(self, other: V) -> Call<O> {
                binary($name, (Arg::Call(self), other.into_arg()), <T as $trait>::$method)
            }
        }

        impl<T, V, O> $trait<V> for &Call<T>
        where
            V: IntoArg<T>,
            T: $trait<Output = O> + Clone + Send + Sync + 'static,
            O: Send + Sync + 'static,
        {
            type Output = Call<O>;

            #[track_caller]
            fn $method(self, other: V) -> Call<O> {
                binary($name, (Arg::Call(self.clone()), other.into_arg()), <T as $trait>::$method)
            }
        }

        operator!($trait, $method, $name, i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f32 f64);
    };
    ($trait:ident, $method:ident, $name:literal, $($number:ty)*) => {
        $(
            impl $trait<Call<$number>> for $number {
                type Output = Call<$number>;

                #[track_caller]
                fn $method(self, other: Call<$number>) -> Call<$number> {
                    binary($name, (Arg::Value(self), Arg::Call(other)), <$number as $trait>::$method)
                }
            }

            impl $trait<&Call<$number>> for $number {
                type Output = Call<$number>;

                #[track_caller]
                fn $method(self, other: &Call<$number>) -> Call<$number> {
                    binary($name, (Arg::Value(self), Arg::Call(other.clone())), <$number as $trait>::$method)
                }
            }
        )*
    };
}

operator!(Add, add, "add");
operator!(Sub, sub, "sub");
operator!(Mul, mul, "mul");
operator!(Div, div, "div");
operator!(Rem, rem, "rem");

impl<T, O> Neg for Call<T>
where
    T: Neg<Output = O> + Clone + Send + Sync + 'static,
    O: Send + Sync + 'static,
{
    type Output = Call<O>;

    #[track_caller]
    fn neg(self) -> Call<O> {
        Call::new(TaskSpec::new("neg"), (Arg::Call(self),), |(value,): (Input<T>,)| Ok(-value.into_owned()))
    }
}

/// The call of a part of a collection, found by `find`.
#[track_caller]
fn part<C, K, T>(
    collection: Call<C>,
    key: Arg<K>,
    find: impl Fn(&C, &K) -> Result<T> + Send + Sync + 'static,
) -> Call<T>
where
    C: Clone + Send + Sync + 'static,
    K: Clone + Send + Sync + 'static,
    T: Send + Sync + 'static,
{
    let args = (Arg::Call(collection), key);
    Call::new(TaskSpec::new("at"), args, move |(all, key): (Input<C>, Input<K>)| find(&all, &key))
}

fn no_entry(key: &impl Debug, count: usize) -> Error {
    Error::new(ErrorKind::NotFound, "at", format!("there is no entry {key:?} among {count}"))
}

impl<T: Clone + Send + Sync + 'static> Call<Vec<T>> {
    /// The call of the element at `index`, which may itself be a ref or a call. It fails with
    /// [`ErrorKind::InvalidArgument`] if the list turns out to be shorter.
    ///
    /// # Examples
    ///
    /// ```
    /// use trefoil_core::{Call, Engine};
    ///
    /// let engine = Engine::new()?;
    /// let list = Call::value(vec![3_i64, 5, 7]);
    /// let sum: i64 = engine.spawn(list.clone().at(1) + 10_i64 * list.clone().at(2)).get()?;
    /// assert_eq!(sum, 75);
    /// assert_eq!(
    ///     engine.spawn(list.at(3)).get().unwrap_err().message(),
    ///     "there is no element 3 in a list of 3"
    /// );
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    #[track_caller]
    pub fn at(self, index: impl IntoArg<usize>) -> Call<T> {
        part(self, index.into_arg(), |list, index| {
            list.get(*index).cloned().ok_or_else(|| {
                let message = format!("there is no element {index} in a list of {}", list.len());
                Error::new(ErrorKind::InvalidArgument, "at", message)
            })
        })
    }
}

impl<K, V, S> Call<HashMap<K, V, S>>
where
    K: Clone + Debug + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Clone + Send + Sync + 'static,
{
    /// The call of the value at `key`, which may itself be a ref or a call. It fails with
    /// [`ErrorKind::NotFound`] if there is none.
    #[track_caller]
    pub fn at(self, key: impl IntoArg<K>) -> Call<V> {
        part(self, key.into_arg(), |map, key| map.get(key).cloned().ok_or_else(|| no_entry(key, map.len())))
    }
}

impl<K, V> Call<BTreeMap<K, V>>
where
    K: Clone + Debug + Ord + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The call of the value at `key`, which may itself be a ref or a call. It fails with
    /// [`ErrorKind::NotFound`] if there is none.
    #[track_caller]
    pub fn at(self, key: impl IntoArg<K>) -> Call<V> {
        part(self, key.into_arg(), |map, key| map.get(key).cloned().ok_or_else(|| no_entry(key, map.len())))
    }
}
