//! Operators between calls: `a + b` is a call too.

use std::ops::{Add, Div, Mul, Sub};

use super::args::{Arg, Input};
use super::call::Call;
use super::options::TaskSpec;

macro_rules! operator {
    ($trait:ident, $method:ident, $name:literal) => {
        impl<T, O> $trait for Call<T>
        where
            T: $trait<Output = O> + Clone + Send + Sync + 'static,
            O: Send + Sync + 'static,
        {
            type Output = Call<O>;

            #[track_caller]
            fn $method(self, other: Self) -> Call<O> {
                let args = (Arg::Call(self), Arg::Call(other));
                Call::new(TaskSpec::new($name), args, |(a, b): (Input<T>, Input<T>)| {
                    Ok($trait::$method(a.into_owned(), b.into_owned()))
                })
            }
        }
    };
}

operator!(Add, add, "add");
operator!(Sub, sub, "sub");
operator!(Mul, mul, "mul");
operator!(Div, div, "div");
